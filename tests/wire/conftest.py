"""The real kubectl against a real server: one for all wire tests, each test in a namespace of its own.

Without kubectl every wire test is skipped, with the reason; pytest counts them.  A kubectl older than 1.27 (Debian
12 has 1.20) says and does too much otherwise; with it only what is marked `any_kubectl` runs.
"""
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest

KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 60
OLDEST = (1, 27)
NOT_READY = "node.kubernetes.io/not-ready"
NUMBERS = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.wire)
            if KUBECTL is None:
                item.add_marker(pytest.mark.skip(reason="no kubectl on this machine"))
            elif kubectl_version() < OLDEST and item.get_closest_marker("any_kubectl") is None:
                item.add_marker(pytest.mark.skip(reason="these tests are for kubectl {}.{} and newer".format(*OLDEST)))


@lru_cache
def kubectl_version():
    done = subprocess.run([KUBECTL, "version", "--client", "-o", "json"], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=True)
    told = json.loads(done.stdout)["clientVersion"]
    return int(told["major"]), int(re.match(r"\d+", told["minor"])[0])


def needs_kubectl(major, minor):
    """Skips a test where the kubectl is older."""
    if KUBECTL is not None and kubectl_version() < (major, minor):
        pytest.skip(f"needs kubectl {major}.{minor} or newer")


class Kubectl(subprocess.CompletedProcess):
    """What one command said."""

    @property
    def lines(self):
        return [line.rstrip() for line in self.stdout.splitlines() if line.strip()]

    @property
    def table(self):
        """The printed columns as dicts; cells are divided by two or more spaces."""
        head, *rest = self.lines
        places = [(found.group(), found.start()) for found in re.finditer(r"\S+(?: \S+)*", head)]
        rows = []
        for line in rest:
            row = {}
            for (name, start), end in zip(places, [at for _, at in places[1:]] + [None], strict=True):
                row[name] = line[start:end].strip()
            rows.append(row)
        return rows

    @property
    def json(self):
        return json.loads(self.stdout)


class Cluster:
    """A running server, and a kubectl that talks to it."""

    def __init__(self, data_dir, *arguments):
        self.data_dir = data_dir
        self.arguments = arguments
        self.kubeconfig = data_dir / "kubeconfig"

    def up(self):
        return self.muster("up", "--detach", *self.arguments)

    def down(self):
        return self.muster("down")

    def muster(self, *arguments, fails=False):
        done = subprocess.run([sys.executable, "-m", "muster", *map(str, arguments), "--data-dir", str(self.data_dir)],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (done.returncode != 0) == fails, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return Kubectl(done.args, done.returncode, done.stdout, done.stderr)

    def start(self, *arguments, **more):
        """A kubectl that goes on running (watches): a Popen with text pipes."""
        return subprocess.Popen([KUBECTL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment, **more)

    @property
    def environment(self):
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "EDITOR": "true", "HOME": str(self.data_dir)}

    def kubectl(self, *arguments, given=None, fails=False, env=None):
        """Runs one command to its end; `given` goes to its standard input (a dict goes as JSON)."""
        if isinstance(given, dict | list):
            given = json.dumps(given)
        done = subprocess.run([KUBECTL, *map(str, arguments)], input=given, capture_output=True, text=True,
                              timeout=PATIENCE_S, env={**self.environment, **(env or {})}, check=False)
        assert (done.returncode != 0) == fails, f"kubectl {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Kubectl(done.args, done.returncode, done.stdout, done.stderr)


    def until(self, resource, holds, *arguments):
        """Follows `kubectl get -w` until what is there ({name: object}) is as it should be.

        Returns all that was there on the way, from the first look to the last.
        """
        if arguments and not arguments[-1].startswith("-") and not (arguments[-2:-1] or ("",))[0].startswith("-"):
            # Of an object that is named kubectl does not print what happens between its first look and its watch.
            arguments = (*arguments[:-1], "--field-selector", f"metadata.name={arguments[-1]}")
        process = self.start("get", resource, *arguments, "-w", "--output-watch-events", "-o", "json")
        alarm = threading.Timer(PATIENCE_S, process.kill)
        alarm.start()
        there, past = {}, []
        try:
            for line in process.stdout:
                event = json.loads(line)
                name = event["object"]["metadata"]["name"]
                if event["type"] == "DELETED":
                    there.pop(name, None)
                else:
                    there[name] = event["object"]
                past.append(dict(there))
                if holds(there):
                    return past
            raise AssertionError(f"{resource} {arguments} came no further than {json.dumps(there)}")
        finally:
            alarm.cancel()
            process.kill()
            process.communicate()


class Space:
    """The same kubectl in one namespace."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def kubectl(self, *arguments, **more):
        return self.cluster.kubectl("-n", self.name, *arguments, **more)

    def start(self, *arguments, **more):
        return self.cluster.start("-n", self.name, *arguments, **more)

    @contextmanager
    def watching(self, *arguments):
        """The lines of `kubectl get ... -w`, as they come, until the block ends."""
        process = self.start("get", *arguments, "-w")
        alarm = threading.Timer(PATIENCE_S, process.kill)
        alarm.start()
        try:
            yield iter(process.stdout)
        finally:
            alarm.cancel()
            process.kill()
            process.communicate()

    def apply(self, *objects):
        """Applies objects (dicts) to this namespace."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", given=items)

    def until(self, resource, holds, *arguments):
        return self.cluster.until(resource, holds, "-n", self.name, *arguments)

    def settled(self, name, count):
        """Waits until the DaemonSet has this many pods, all of today's template and available, and none elsewhere."""
        def holds(there):
            daemonset = there.get(name, {})
            status = daemonset.get("status", {})
            return (status.get("observedGeneration") == daemonset.get("metadata", {}).get("generation")
                    and all(status.get(number, 0) == count for number in NUMBERS)
                    and status.get("numberMisscheduled") == 0)
        return self.until("ds", holds, name)

    def on_nodes(self, selector, *nodes):
        """Waits until the pods that the selector finds run on exactly these nodes, one on each."""
        def holds(there):
            return (sorted(pod["spec"].get("nodeName", "") for pod in there.values()) == sorted(nodes)
                    and all(is_ready(pod) for pod in there.values()))
        return self.until("pods", holds, "-l", selector)

    def pods(self, selector):
        """{node: pod}, of which there is one a node."""
        items = self.get("pods", "-l", selector)["items"]
        found = {pod["spec"].get("nodeName"): pod for pod in items}
        assert len(found) == len(items), [pod["spec"].get("nodeName") for pod in items]
        return found

    def events(self, reason, about=""):
        """Their messages, in order."""
        items = self.get("events", "--field-selector", f"reason={reason}")["items"]
        return [one["message"] for one in items if one["involvedObject"]["name"].startswith(about)]

    def rolled_out(self, name, resource="ds"):
        return self.kubectl("rollout", "status", resource, name, f"--timeout={PATIENCE_S - 5}s")

    def get(self, *arguments):
        return self.kubectl("get", *arguments, "-o", "json").json


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Four quick nodes (gke-like names) on SQLite."""
    found = Cluster(tmp_path_factory.mktemp("cluster"), "--nodes", 4, "--pull", "0s", "--start", "10ms..50ms",
                    "--ready", "0s", "--stop", "10ms..50ms")
    found.up()
    yield found
    found.down()


@pytest.fixture
def space(cluster):
    """A namespace of the test's own; what is in it goes with it."""
    name = f"t{next(_numbers)}"
    cluster.kubectl("create", "ns", name)
    yield Space(cluster, name)
    cluster.kubectl("delete", "ns", name, "--wait=false")


@pytest.fixture
def pool(cluster, space):
    """pool(2, labels={...}, taints=[...]) -> names of new nodes of the test's own; they go when it ends.

    They carry the label test=<the namespace>, or what `labels` says.
    """
    made = []

    def make(count, behaviour=None, **template):
        name = f"{space.name}-p{len(made)}"
        template.setdefault("labels", {}).setdefault("test", space.name)
        made.append(name)
        quick = {"pull": "0s", "start": "0s", "ready": "0s", "stop": "0s", **(behaviour or {})}
        cluster.kubectl("create", "-f", "-", given={
            "apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": name},
            "spec": {"replicas": count, "template": template, "behaviour": quick}})
        return nodes_of(cluster, name, count)

    yield make
    for name in made:
        cluster.kubectl("delete", "nodepool", name, "--ignore-not-found", "--wait=false")


def nodes_of(cluster, pool, count):
    """Waits until the pool has this many nodes, all of them ready for pods; returns their names."""
    def holds(there):
        return len(there) == count and all(
            is_ready(node) and NOT_READY not in [taint["key"] for taint in node["spec"].get("taints", ())]
            for node in there.values())
    return sorted(cluster.until("nodes", holds, "-l", f"muster.dev/pool={pool}")[-1])


def is_ready(obj):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in obj.get("status", {}).get("conditions", ()))


def daemonset(name="agent", image="agent:1", labels=None, strategy=None, container=None, metadata=None, **pod_spec):
    """A small DaemonSet; `strategy` is its updateStrategy, `container` more fields of its one container."""
    labels = labels or {"app": name}
    spec = {"selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                         "spec": {"containers": [{"name": "main", "image": image, **(container or {})}], **pod_spec}}}
    if strategy:
        spec["updateStrategy"] = strategy
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, **(metadata or {})}, "spec": spec}
