"""What pods leave on their node, and that it goes."""
import asyncio

import pytest

pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")

from muster.node.cri.configs import Place  # noqa: E402
from muster.node.pod_files import PodFiles, remove_strangers  # noqa: E402
from muster.node.volumes import HostPaths  # noqa: E402


def pod(name, uid):
    return {"metadata": {"name": name, "namespace": "default", "uid": uid}, "spec": {"containers": [{"name": "app"}]}}


def test_pods_that_went_while_nobody_looked(tmp_path):
    host = HostPaths(tmp_path)
    place = Place("1a", "node-1", host.log / "pods", 1 << 30, tmp_path)
    for one in (pod("here", "u1"), pod("gone", "u2")):
        files = PodFiles(tmp_path, host, place, one)
        files.write_hosts(one, "10.88.1.2", "cluster.local")
        files.log("app", 0).parent.mkdir(parents=True)
        files.log("app", 0).write_text("line\n")
        files.link_log("app", 0, f"id-of-{one['metadata']['name']}")
    asyncio.run(remove_strangers(tmp_path, host, place, lambda uid: uid == "u1"))
    assert [path.name for path in (tmp_path / "pods").iterdir()] == ["u1"]
    assert [path.name for path in place.logs.iterdir()] == ["default_here_u1"]
    assert [path.name for path in (host.log / "containers").iterdir()] == ["here_default_app-id-of-here.log"]
