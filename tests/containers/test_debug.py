"""`kubectl debug`: containers that come later into a pod that runs, to look at it, and a pod to look at its node."""
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time

import pytest
from real_nodes import KUBECTL, WAITS, pod, shell

PATIENCE_S = 30
IMAGE = ("--image=busybox", "--image-pull-policy=IfNotPresent")
SYS_ADMIN = 1 << 21  # a bit of what /proc says of a process


@pytest.fixture
def web(space):
    space.apply(pod("web", shell(f"mkdir /www; echo page > /www/index.html; {WAITS}")))
    space.ready("web")
    return space


def debugger(seen, name):
    return next((one for one in seen["status"].get("ephemeralContainerStatuses", ()) if one["name"] == name), {"state": {}})


def runs(space, name):
    return space.until("web", lambda seen: "running" in debugger(seen, name)["state"])


def look(space, script, *arguments):
    return space.kubectl("debug", "-i", "web", *IMAGE, *arguments, "--", "sh", given=f"{script}\n")


class Terminal:
    """kubectl at a terminal of so many rows and columns."""

    def __init__(self, space, *arguments):
        self.fd, far = pty.openpty()
        os.set_blocking(self.fd, False)
        self._set_size(33, 101)
        self._there = subprocess.Popen([KUBECTL, "-n", space.name, *arguments], stdin=far, stdout=far, stderr=far,
                                       env=space.nodes.environment, start_new_session=True)
        os.close(far)

    def resize(self, rows, columns):
        self._set_size(rows, columns)
        self._there.send_signal(signal.SIGWINCH)  # this is not the terminal that it would hear from

    def _set_size(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def shows(self, wanted, line):
        """Types the line again and again until that is to be seen."""
        deadline, seen = time.monotonic() + PATIENCE_S, ""
        while wanted not in seen:
            assert time.monotonic() < deadline, seen
            self.types(line)
            time.sleep(0.2)
            try:
                seen += os.read(self.fd, 65536).decode()
            except BlockingIOError:
                continue

    def ended(self):
        code = self._there.wait(PATIENCE_S)
        os.close(self.fd)
        return code


def test_processes_and_files_of_the_container_that_is_aimed_at(web):
    seen = look(web, "ps; cat /proc/1/root/www/index.html; exit 3", "--target=app", "-c", "look")
    assert "sleep 0.1" in seen and seen.endswith("page\n")
    told = debugger(web.until("web", lambda seen: "terminated" in debugger(seen, "look")["state"]), "look")
    assert told["state"]["terminated"]["exitCode"] == 3
    assert (told["restartCount"], told["ready"], "started" in told) == (0, False, False)
    assert seen.endswith(web.logs("web", "-c", "look")), "kubectl itself says something first"
    seen = web.get("pod", "web")
    assert seen["status"]["phase"] == "Running" and seen["status"]["containerStatuses"][0]["restartCount"] == 0


def test_without_a_target_it_sees_itself_and_the_network_of_the_pod(web):
    seen = look(web, "ps; hostname; ip -4 -o addr show eth0; exit")
    assert "sleep 0.1" not in seen
    assert "web" in seen.split() and f"{web.get('pod', 'web')['status']['podIP']}/24" in seen


def test_a_target_that_never_started(space):
    space.apply(pod("web", shell("true", env=[{"name": "K", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}])))
    space.until("web", lambda seen: seen["status"].get("containerStatuses"))
    space.kubectl("debug", "web", *IMAGE, "-c", "look", "--target=app", "--", "true")
    seen = space.until("web", lambda seen: "waiting" in debugger(seen, "look")["state"]
                       and debugger(seen, "look")["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    assert debugger(seen, "look")["state"]["waiting"]["message"] == "unable to find target container app"


def test_what_it_may_do_is_said_when_it_comes(web):
    """A privileged one, in a pod that is not."""
    script = f"echo up; read line; echo got $line; {WAITS}"
    web.kubectl("debug", "web", *IMAGE, "-c", "admin", "--profile=sysadmin", "--target=app", "--", "sh", "-c", script)
    runs(web, "admin")
    rights = {name: int(web.kubectl("exec", "web", "-c", name, "--", "awk", "/CapEff/ {print $2}", "/proc/self/status"), 16)
              for name in ("admin", "app")}
    assert rights["admin"] & SYS_ADMIN and not rights["app"] & SYS_ADMIN


def test_it_is_attached_to_and_followed(web):
    web.kubectl("debug", "web", *IMAGE, "-i", "--attach=false", "-c", "talks", "--", "sh", "-c",
                f"echo up; read line; echo got $line; {WAITS}")
    runs(web, "talks")
    there = web.start("attach", "-i", "web", "-c", "talks", stdin=subprocess.PIPE)
    there.stdin.write("words\n")
    there.stdin.flush()
    assert there.stdout.readline() == "got words\n"
    there.kill()
    there.communicate()
    following = web.start("logs", "-f", "web", "-c", "talks")
    assert [following.stdout.readline() for _ in range(2)] == ["up\n", "got words\n"]
    web.kubectl("delete", "pod", "web")
    assert following.wait(PATIENCE_S) == 0, "it goes with its pod"
    following.communicate()


def test_at_a_terminal(web):
    at = Terminal(web, "debug", "-it", "web", *IMAGE, "--target=app", "-c", "shell")
    at.shows("33 101", "stty size")
    at.resize(44, 122)
    at.shows("44 122", "stty size")
    at.types("exit 4")
    assert at.ended() == 0
    told = debugger(web.until("web", lambda seen: "terminated" in debugger(seen, "shell")["state"]), "shell")
    assert told["state"]["terminated"]["exitCode"] == 4


def test_a_terminal_of_a_command(web):
    at = Terminal(web, "exec", "-it", "web", "--", "sh")
    at.shows("33 101", "stty size")
    at.resize(44, 122)
    at.shows("44 122", "stty size")
    at.types("exit 4")
    assert at.ended() == 4


def test_a_node(space):
    """kubectl makes a pod of it, with the node's network and the machine's files."""
    seen = space.kubectl("debug", "-i", "node/node-2", *IMAGE, "--", "sh", given="ls /host; ip -4 -o addr show eth0\nexit\n")
    made = json.loads(space.kubectl("get", "pods", "-o", "json"))["items"]
    assert [one["spec"]["nodeName"] for one in made] == ["node-2"]
    address = space.nodes.kubectl("get", "node", "node-2", "-o", "jsonpath={.status.addresses[0].address}")
    assert "proc" in seen.split() and f"{address}/24" in seen


def test_a_copy_of_a_pod(web):
    web.kubectl("debug", "web", *IMAGE, "--copy-to=twin", "--share-processes", "-c", "look", "--", "sh", "-c", WAITS)
    web.ready("twin")
    assert web.kubectl("exec", "twin", "-c", "look", "--", "ps").count("sleep 0.1") >= 1
    assert "/www" in web.kubectl("exec", "twin", "-c", "look", "--", "sh", "-c", "ls -d /proc/*/root/www")
