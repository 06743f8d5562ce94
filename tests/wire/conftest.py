"""The real kubectl against a real server: one for all wire tests, each test in a namespace of its own.

Without kubectl every wire test is skipped, with the reason; pytest counts them.
"""
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 60
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.wire)
            if KUBECTL is None:
                item.add_marker(pytest.mark.skip(reason="no kubectl on this machine"))


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


class Space:
    """The same kubectl in one namespace."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def kubectl(self, *arguments, **more):
        return self.cluster.kubectl("-n", self.name, *arguments, **more)

    def start(self, *arguments, **more):
        return self.cluster.start("-n", self.name, *arguments, **more)

    def apply(self, *objects):
        """Applies objects (dicts) to this namespace."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", given=items)

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


def daemonset(name="agent", image="agent:1", labels=None, strategy=None, container=None, metadata=None, **pod_spec):
    """A small DaemonSet; `strategy` is its updateStrategy, `container` more fields of its one container."""
    labels = labels or {"app": name}
    spec = {"selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                         "spec": {"containers": [{"name": "main", "image": image, **(container or {})}], **pod_spec}}}
    if strategy:
        spec["updateStrategy"] = strategy
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, **(metadata or {})}, "spec": spec}
