"""Pods that hold more of a disk than they may; and what they hold, added up."""
import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")

from muster.api.samples import Used  # noqa: E402
from muster.node.disk_use import DiskUse, Housed, measure  # noqa: E402
from muster.node.storage_limits import broken, has_any  # noqa: E402

MI = 1 << 20


def pod(limit=None, size=None, **empty):
    resources = {"limits": {"ephemeral-storage": limit}} if limit else {}
    return {"metadata": {"name": "web", "uid": "u1"}, "spec": {
        "containers": [{"name": "app", "resources": resources}, {"name": "side", "resources": resources}],
        "volumes": [{"name": "data", "emptyDir": {"sizeLimit": size, **empty} if size else empty}, {"name": "own", "hostPath": {"path": "/x"}}]}}


def use(*, app=0, side=0, data=0):
    return DiskUse({"app": Used(0, 0, app * MI), "side": Used(0, 0, side * MI)}, {"data": Used(0, 0, data * MI)})


@pytest.mark.parametrize("given, held, why", [
    pytest.param(pod(), use(app=1000, data=1000), None, id="no limit"),
    pytest.param(pod(size="5Mi"), use(data=5), None, id="just as much"),
    pytest.param(pod(size="5Mi"), use(data=6), 'Usage of EmptyDir volume "data" exceeds the limit "5Mi". ', id="an emptyDir"),
    pytest.param(pod(size="5Mi", medium="Memory"), use(data=6), None, id="in memory the kernel holds it to that"),
    pytest.param(pod(limit="5Mi"), use(app=5, data=6), "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
                 id="the pod"),
    pytest.param(pod(limit="5Mi"), use(app=6), 'Container app exceeded its local ephemeral storage limit "5Mi". ', id="a container"),
])
def test_what_is_not_kept(given, held, why):
    found = broken(given, held)
    assert (found and found.message) == why
    assert found is None or (found.reason == "Evicted" and has_any(given))


def test_what_a_pod_holds(tmp_path):
    logs, data = tmp_path / "logs", tmp_path / "data"
    (logs / "app").mkdir(parents=True)
    (logs / "app" / "0.log").write_bytes(b"x" * 8192)
    data.mkdir()
    (data / "x").write_bytes(b"x" * 100_000)

    class Runtime:
        async def call(self, method):
            assert method == "ListContainerStats"
            wrote = SimpleNamespace(used_bytes=SimpleNamespace(value=50_000), inodes_used=SimpleNamespace(value=3))
            return SimpleNamespace(stats=[SimpleNamespace(attributes=SimpleNamespace(id=id_), writable_layer=wrote) for id_ in ("c1", "c2")])

    files = SimpleNamespace(logs=logs, volume=lambda name: tmp_path / name)
    found = asyncio.run(measure(Runtime(), [Housed(pod(), files, {"app": ["c1"], "side": []})]))["u1"]
    assert found.containers == {"app": Used(0, 0, 58_192, 4), "side": Used(0, 0, 0)}
    assert 100_000 <= found.volumes["data"].storage < 120_000 and found.volumes["data"].inodes == 2
    assert set(found.volumes) == {"data"}
