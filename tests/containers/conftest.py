"""Real nodes: one cluster of two for all tests here, each test in a namespace of its own.

They need Linux, root, containerd and its friends, the extra `containers` and a kubectl.  Where one is missing, every
test is skipped with the reason, and pytest counts them.
"""
import asyncio
import importlib.util
import itertools
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from real_nodes import KUBECTL, Nodes, Space

BUSYBOX = Path("/bin/busybox")
_numbers = itertools.count(1)


@lru_cache
def missing():
    """Why there can be no real nodes here; "" where there can."""
    if KUBECTL is None:
        return "no kubectl on this machine"
    if importlib.util.find_spec("grpc") is None:
        return "the extra muster[containers] is not installed"
    if not BUSYBOX.exists():
        return "no busybox-static on this machine"
    from muster.node.containerd import check_host
    from muster.node.network_namespace import Unusable
    try:
        asyncio.run(check_host())
    except Unusable as error:
        return str(error)
    return can_make_namespaces()


def can_make_namespaces():
    """A container without the right to do so is root in name alone."""
    done = subprocess.run(["ip", "netns", "add", "muster-try"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", "muster-try"], capture_output=True, check=False)
    return f"no network namespace can be made here: {done.stderr.strip()}" if done.returncode else ""


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.containers)
            if missing():
                item.add_marker(pytest.mark.skip(reason=missing()))
            elif item.get_closest_marker("long") is not None and not os.environ.get("MUSTER_LONG"):
                item.add_marker(pytest.mark.skip(reason="takes long: run by `make containers`"))


def image(folder, *arguments):
    tool = Path(__file__).parents[2] / "tools" / "busybox_image.py"
    target = folder / f"{next(_numbers)}.tar"
    subprocess.run([sys.executable, str(tool), str(target), *arguments], check=True)
    return target


@pytest.fixture(scope="session")
def busybox(tmp_path_factory):
    return image(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def collector(tmp_path_factory):
    """Reads the node's own logs, and reads on."""
    script = "trap 'exit 0' TERM; tail -n +1 -F $(ls /var/log/containers/*talker*.log) & wait"
    return image(tmp_path_factory.mktemp("images"), "localhost/collector:1", script)


@pytest.fixture(scope="session")
def nodes(tmp_path_factory, busybox, collector):
    cluster = Nodes(tmp_path_factory.mktemp("nodes"), "--nodes", 2, "--load-image", busybox, "--load-image", collector,
                    "--image-map", "*fluentd*=localhost/collector:1", "--image-map", "*filebeat*=localhost/collector:1")
    (cluster.data_dir / "registries").mkdir()  # see test_pulls.py
    cluster.up()
    yield cluster
    cluster.down()
    assert cluster.leftovers() == []


@pytest.fixture
def space(nodes, request):
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-") + f"-{next(_numbers)}"
    nodes.kubectl("create", "namespace", name)
    nodes.kubectl("wait", "--for=create", f"namespace/{name}", "--timeout=10s")
    yield Space(nodes, name)
    nodes.kubectl("delete", "namespace", name, "--wait=false")
