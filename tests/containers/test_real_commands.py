"""kubectl into real containers: exec, attach, cp, port-forward and logs, by WebSocket and by SPDY."""
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from real_nodes import KUBECTL, WAITS, pod, said_to, shell

WAYS = [pytest.param("true", id="websocket"), pytest.param("false", id="spdy")]


@pytest.fixture(scope="module")
def server(nodes):
    """One pod for all of them, in the default namespace."""
    from real_nodes import Space
    space = Space(nodes, "default")
    script = "mkdir /www; echo page > /www/index.html; httpd -p 127.0.0.1:8080 -h /www; echo up; " + WAITS
    space.apply(pod("server", shell(script, ports=[{"name": "http", "containerPort": 8080}])))
    space.ready("server")
    yield space
    space.kubectl("delete", "pod", "server", "--wait=false")


def run(space, way, *arguments, given=None):
    """(exit code, stdout, stderr)"""
    done = subprocess.run([KUBECTL, "-n", space.name, *arguments], input=given, capture_output=True, timeout=30,
                          env={**space.nodes.environment, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": way}, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("way", WAYS)
class TestExec:
    def test_output_and_exit_code(self, server, way):
        code, out, err = run(server, way, "exec", "server", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
        assert (code, out) == (3, b"out\n")
        assert err == b"err\ncommand terminated with exit code 3\n"

    def test_input_ends(self, server, way):
        blob = os.urandom(500_000)
        assert run(server, way, "exec", "-i", "server", "--", "cat", given=blob)[:2] == (0, blob)

    def test_it_runs_as_the_container_does(self, server, way):
        code, out, _ = run(server, way, "exec", "server", "--", "sh", "-c", "hostname; cat /www/index.html")
        assert (code, out) == (0, b"server\npage\n")

    def test_a_command_that_is_not_there(self, server, way):
        code, _, err = run(server, way, "exec", "server", "--", "nope")
        assert code == 1 and b'exec: "nope": executable file not found in $PATH' in err

    def test_files_there_and_back(self, server, way, tmp_path):
        (tmp_path / "blob").write_bytes(os.urandom(1_000_000))
        assert run(server, way, "cp", str(tmp_path / "blob"), "server:/blob")[0] == 0
        assert run(server, way, "cp", "server:/blob", str(tmp_path / "back"))[0] == 0
        assert (tmp_path / "back").read_bytes() == (tmp_path / "blob").read_bytes()


def test_no_such_container_and_none_that_runs(server, space):
    assert b"container nope is not valid for pod server" in run(server, "true", "exec", "-c", "nope", "server", "--", "true")[2]
    space.apply(pod("over", shell("true"), restartPolicy="Never"))
    space.ended("over")
    assert b"cannot exec into a container in a completed pod" in run(space, "true", "exec", "over", "--", "true")[2]


@pytest.mark.parametrize("way", WAYS)
def test_port_forward(server, way):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = subprocess.Popen([KUBECTL, "port-forward", "server", f"{port}:8080", f"{port + 1}:9"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             env={**server.nodes.environment, "KUBECTL_PORT_FORWARD_WEBSOCKETS": way})
    try:
        assert there.stdout.readline().startswith("Forwarding from")
        for _ in range(3):
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=10).read() == b"page\n"
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/", timeout=10)
    finally:
        there.kill()
    assert "failed to connect to localhost:9 inside" in there.communicate()[1]


def test_attach(space):
    space.apply(pod("echo", shell("echo up; read line; echo got $line; " + WAITS, stdin=True)))
    space.ready("echo")
    assert said_to(space, "echo", "words") == "got words\n"


def test_attach_without_an_input(space):
    space.apply(pod("ticks", shell("while :; do echo tick; sleep 0.2; done")))
    space.ready("ticks")
    there = space.start("attach", "ticks")
    assert [there.stdout.readline() for _ in range(3)] == ["tick\n"] * 3
    space.kubectl("delete", "pod", "ticks")
    assert there.wait(30) == 0
    there.communicate()


@pytest.mark.parametrize("way", WAYS)
class TestInputThatEnds:
    def test_of_a_pod_that_is_run_for_it(self, space, way):
        """kubectl says `stdinOnce`: the end of the input is the end of the container's."""
        words = ["--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--rm", "--quiet", "--", "cat"]
        assert run(space, way, "run", "-i", "copies", *words, given=b"one\ntwo\n")[:2] == (0, b"one\ntwo\n")

    def test_of_a_container_that_reads_on(self, space, way):
        """The session ends, and the container goes on."""
        space.apply(pod("echo", shell("while read line; do echo got $line; done", stdin=True)))
        space.ready("echo")
        for word in (b"one", b"two"):
            assert run(space, way, "attach", "-i", "-q", "echo", given=word + b"\n")[:2] == (0, b"got " + word + b"\n")
        assert space.get("pod", "echo")["status"]["containerStatuses"][0]["restartCount"] == 0


class TestLogs:
    def test_options(self, space):
        space.apply(pod("talks", shell("echo err >&2; sleep 0.2; for n in 1 2 3 4 5; do echo line $n; done; head -c 40000 /dev/zero | tr '\\0' x; echo"),
                        restartPolicy="Never"))
        space.ended("talks")
        whole = space.logs("talks").splitlines()
        assert whole == ["err", *(f"line {n}" for n in range(1, 6)), "x" * 40000]
        assert space.logs("talks", "--tail=1") == "x" * 40000 + "\n"
        assert space.logs("talks", "--limit-bytes=8") == "err\nline"
        stamp, text = space.logs("talks", "--timestamps").splitlines()[0].split(" ", 1)
        assert text == "err" and len(stamp) == len("2026-01-31T08:00:00.123456789Z")
        assert space.logs("talks", "--since=1h").splitlines() == whole
        assert "is not valid for pod talks" in space.kubectl("logs", "talks", "-c", "nope", fails=True)

    def test_followed_to_the_end(self, space):
        space.apply(pod("talks", shell("for n in 1 2 3; do echo $n; sleep 0.2; done"), restartPolicy="Never"))
        space.ready("talks")
        began = time.monotonic()
        assert space.logs("talks", "-f").split() == ["1", "2", "3"]
        assert time.monotonic() - began < 10
