"""Which containers a node does not start, because they would run as root and may not."""
import pytest

from muster.node.life import parts_of


@pytest.mark.parametrize(("of_the_pod", "of_the_container", "refused"), [
    pytest.param({}, {}, False, id="nothing said"),
    pytest.param({"runAsNonRoot": True}, {}, False, id="the image's user is not known"),
    pytest.param({"runAsUser": 0}, {}, False, id="root, where that is allowed"),
    pytest.param({"runAsNonRoot": True, "runAsUser": 0}, {}, True, id="root, where it is not"),
    pytest.param({"runAsNonRoot": True, "runAsUser": 7}, {"runAsUser": 0}, True, id="the container's user wins"),
    pytest.param({"runAsUser": 0}, {"runAsNonRoot": True}, True, id="the container's policy wins"),
    pytest.param({"runAsNonRoot": True, "runAsUser": 0}, {"runAsNonRoot": False}, False, id="also where it allows more"),
])
def test_root_policy(of_the_pod, of_the_container, refused):
    container = {"name": "main", "image": "web:1", "securityContext": of_the_container}
    spec = {"securityContext": of_the_pod, "containers": [container], "initContainers": [{**container, "name": "first"}]}
    assert [part.breaks_non_root for part in parts_of({"metadata": {}, "spec": spec})] == [refused, refused]
    assert [part.breaks_non_root for part in parts_of({"metadata": {}, "spec": {**spec, "initContainers": []}})] == [refused]
