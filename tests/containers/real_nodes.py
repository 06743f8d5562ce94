"""A cluster of real nodes as tests drive it, and the pods they run on it."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
PATIENCE_S = 60
WAITS = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


class Nodes:
    """A server with real nodes, and a kubectl that talks to it."""

    within = ()  # words before each command: on which machine it runs

    def __init__(self, data_dir, *arguments):
        self.data_dir, self.arguments = data_dir, arguments
        self.kubeconfig = data_dir / "kubeconfig"

    def up(self, *more):
        return self.muster("up", "--runtime", "containers", "--detach", *self.arguments, *more)

    def down(self):
        return self.muster("down")

    @property
    def pid(self):
        return json.loads((self.data_dir / "server.json").read_text())["pid"]

    @property
    def tag(self):
        return json.loads((self.data_dir / "nodes.json").read_text())["tag"]

    def muster(self, *arguments, fails=False):
        done = subprocess.run([*self.within, sys.executable, "-m", "muster", *map(str, arguments), "--data-dir", str(self.data_dir)],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (done.returncode != 0) == fails, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def kubectl(self, *arguments, given=None, fails=False, within_s=PATIENCE_S):
        """`fails=None`: it may."""
        if isinstance(given, dict | list):
            given = json.dumps(given)
        done = subprocess.run([*self.within, KUBECTL, *map(str, arguments)], input=given, capture_output=True, text=True,
                              timeout=within_s, env=self.environment, check=False)
        assert fails is None or (done.returncode != 0) == fails, f"kubectl {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if fails else "")

    def start(self, *arguments, **more):
        return subprocess.Popen([*self.within, KUBECTL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=self.environment, **more)

    @property
    def environment(self):
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.data_dir)}

    def leftovers(self):
        """What of it is on the machine."""
        tag, found = self.tag, []
        found += [f"namespace {path.name}" for path in Path("/run/netns").glob(f"muster-{tag}-*")]
        found += [f"link {line}" for line in self._said("ip", "-o", "link") if tag in line]
        found += [f"rules {line}" for line in self._said("nft", "list", "tables") if tag in line]
        found += [f"mount {line.split()[4]}" for line in Path("/proc/self/mountinfo").read_text().splitlines()
                  if str(self.data_dir) in line or f"/run/muster/{tag}" in line]
        found += [f"cgroup {path}" for stem in ("", "*/") for path in Path("/sys/fs/cgroup").glob(f"{stem}muster-{tag}")]
        found += [f"state {path}" for path in Path("/run/muster").glob(tag)]
        found += [f"route {line}" for line in self._said("ip", "route") if tag in line]
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if words.startswith(("containerd", "/usr/bin/containerd")) and (str(self.data_dir) in words
                                                                           or f"/run/muster/{tag}" in words):
                found.append(f"process {words}")
        return found


    def _said(self, *words):
        return subprocess.run([*self.within, *words], capture_output=True, text=True, check=True).stdout.splitlines()


def kill(pid):
    """At once, and waits until it is so."""
    os.kill(pid, signal.SIGKILL)
    while (told := said_of(pid, "stat")) and b" Z " not in told:
        time.sleep(0.01)


def said_of(pid, file):
    """What the kernel says of a process; nothing once it is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


class Space:
    """A namespace of its own for one test."""

    def __init__(self, nodes, name):
        self.nodes, self.name = nodes, name

    def kubectl(self, *arguments, **more):
        return self.nodes.kubectl("-n", self.name, *arguments, **more)

    def start(self, *arguments, **more):
        return self.nodes.start("-n", self.name, *arguments, **more)

    def apply(self, *objects):
        for one in objects:
            self.kubectl("apply", "-f", "-", given=one)

    def get(self, kind, name):
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def until(self, name, holds, kind="pod", within_s=30.0):
        """Asks until it is so: these are real processes, and take real time."""
        deadline = time.monotonic() + within_s
        while True:
            seen = self.get(kind, name)
            if holds(seen):
                return seen
            assert time.monotonic() < deadline, f"{name}: {json.dumps(seen.get('status'), indent=1)}\n{self.events(name)}"
            time.sleep(0.1)

    def ready(self, name, within_s=30):
        self.kubectl("wait", f"pod/{name}", "--for=condition=Ready", f"--timeout={within_s}s")

    def ended(self, name, within_s=30.0):
        return self.until(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), within_s=within_s)

    def logs(self, name, *more):
        return self.kubectl("logs", name, *more)

    def events(self, name):
        """ "Normal Started Started container c", the oldest first."""
        listed = json.loads(self.kubectl("get", "events", "-o", "json", "--field-selector", f"involvedObject.name={name}"))
        return [f"{one['type']} {one['reason']} {one['message']}"
                for one in sorted(listed["items"], key=lambda one: (one["firstTimestamp"], one["metadata"]["name"]))]


@contextmanager
def started(nodes):
    """These, once pods can run there, and their default namespace; ended afterwards."""
    nodes.up()
    nodes.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=10s")
    try:
        yield nodes, Space(nodes, "default")
    finally:
        nodes.down()


@contextmanager
def kept_so(tmp_path, busybox, *archives, disk_mi=0, **settings):
    """A cluster of one node with these settings; with `disk_mi`, on a disk of its own."""
    data = tmp_path / "data"
    data.mkdir()
    if disk_mi:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk_mi}m,nr_inodes=20000", "tmpfs", str(data)], check=True)
    try:
        (data / "kubelet.yaml").write_text(yaml.safe_dump(
            {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **settings}))
        loads = [word for archive in (busybox, *archives) for word in ("--load-image", archive)]
        with started(Nodes(data, "--nodes", 1, *loads)) as found:
            yield found
    finally:
        if disk_mi:
            subprocess.run(["umount", str(data)], check=True)


def until(holds, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def said_to(space, name, words):
    """The line that a pod answers to one, by an attached terminal that is torn away then."""
    there = space.start("attach", "-i", name, stdin=subprocess.PIPE)
    there.stdin.write(f"{words}\n")
    there.stdin.flush()
    line = there.stdout.readline()
    there.kill()
    there.communicate()
    return line


def pod(name="web", *containers, **spec):
    """A pod that ends quickly when it is told to."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}}


def shell(script, name="app", **more):
    return {"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script], **more}


TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
# The machine's Python, with the client library that such programs use.
MACHINE = sorted({"/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix})
PROGRAM = f"""
import json, os, ssl, urllib.request
from kubernetes import client, config

config.load_incluster_config()
me = client.CoreV1Api().read_namespaced_pod(os.environ["HOSTNAME"], open("{TOKEN}/namespace").read())
who = client.AuthenticationV1Api().create_self_subject_review(client.V1SelfSubjectReview()).status.user_info
trusted = ssl.create_default_context(cafile="{TOKEN}/ca.crt")
by_name = urllib.request.urlopen("https://kubernetes.default.svc/version", context=trusted)
print(json.dumps(dict(pod=me.metadata.name, uid=me.metadata.uid, user=who.username, extra=who.extra, version=json.load(by_name)["minor"])))
"""


def program(name, **spec):
    """A pod that asks the server about itself, and says in JSON what it was told."""
    mounts = [{"name": f"machine-{number}", "mountPath": path, "readOnly": True} for number, path in enumerate(MACHINE)]
    one = {"name": "app", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": [sys.executable, "-c", PROGRAM],
           "volumeMounts": mounts}
    return pod(name, one, restartPolicy="Never", **spec, volumes=[
        {"name": f"machine-{number}", "hostPath": {"path": path}} for number, path in enumerate(MACHINE)])
