"""Which image runs where a manifest names another, and that a machine goes on so at its next start."""
import json

import pytest

pytest.importorskip("grpc")

from muster.node.local_nodes import _record, _write_record  # noqa: E402
from muster.node.network_namespace import Fabric  # noqa: E402
from muster.node.node_images import NodeImages  # noqa: E402

MAP = (("quay.io/fluentd*", "localhost/collector:1"), ("busybox", "busybox"), ("*", "localhost/other:1"))


@pytest.mark.parametrize("image, runs, is_replaced", [
    pytest.param("quay.io/fluentd_elasticsearch/fluentd:v5", "localhost/collector:1", True, id="as it is written"),
    pytest.param("docker.io/library/busybox:latest", "localhost/other:1", True, id="the first that matches"),
    pytest.param("busybox", "docker.io/library/busybox:latest", True, id="by itself: what is here will do"),
])
def test_the_map(image, runs, is_replaced):
    images = NodeImages(MAP)
    assert (images.mapped(image), images.is_replaced(image)) == (runs, is_replaced)


def test_without_a_map():
    assert not NodeImages(()).is_replaced("busybox")


def test_it_is_kept(tmp_path):
    _write_record(tmp_path, Fabric("abc", "10.88.0.0/16"), {"node-1": 1}, MAP)
    assert _record(tmp_path)["replaced"] == list(MAP)


def test_a_record_of_an_older_version_has_none(tmp_path):
    (tmp_path / "nodes.json").write_text(json.dumps({"tag": "abc", "cidr": "10.88.0.0/16", "nodes": ["node-1"]}))
    assert _record(tmp_path)["replaced"] == [] and _record(tmp_path)["nodes"] == {"node-1": 1}
