"""Which networks are on which machine."""
from __future__ import annotations

import pytest

from muster.network.machine_routes import address_of, routes

SERVER = "192.0.2.1"


def node(name: str, number: int, machine: str = "", *, real: bool = True, address: str = "") -> dict:
    return {"metadata": {"name": name, "labels": {"muster.dev/runtime": "containers"} if real else {},
                         "annotations": {"muster.dev/machine": machine} if machine else {}},
            "spec": {"podCIDR": f"10.88.{number}.0/24"} if number else {},
            "status": {"addresses": [{"type": "InternalIP", "address": address or f"10.88.0.{number + 1}"},
                                     {"type": "Hostname", "address": name}]}}


NEAR, FAR, OTHER = node("node-1", 1), node("far", 51, "192.0.2.2"), node("other", 52, "192.0.2.3")


@pytest.mark.parametrize(("nodes", "own", "server", "expected"), [
    pytest.param([NEAR, FAR], ["node-1"], "", {"10.88.51.0/24": "192.0.2.2", "10.88.0.52/32": "192.0.2.2"},
                 id="on the server's machine"),
    pytest.param([NEAR, FAR], ["far"], SERVER, {"10.88.1.0/24": SERVER, "10.88.0.2/32": SERVER}, id="on another"),
    pytest.param([FAR, OTHER], ["far"], SERVER, {"10.88.52.0/24": "192.0.2.3", "10.88.0.53/32": "192.0.2.3"},
                 id="from one that joined to the next"),
    pytest.param([node("pool-1", 7, real=False)], ["far"], SERVER, {}, id="nothing runs on simulated nodes"),
    pytest.param([NEAR, node("node-2", 2)], ["node-1"], "", {}, id="of the server's machine, and unknown: none"),
    pytest.param([node("new", 0, "192.0.2.2")], ["node-1"], "", {}, id="no network yet"),
    pytest.param([node("sly", 51, "192.0.2.2", address="10.88.0.2")], ["node-1"], "",
                 {"10.88.51.0/24": "192.0.2.2", "10.88.0.52/32": "192.0.2.2"}, id="an address of another that it says is its"),
])
def test_routes(nodes, own, server, expected):
    assert routes(nodes, own, server) == expected


def test_a_node_has_the_address_that_others_look_for_it_at():
    from muster.node.network_namespace import Fabric
    fabric = Fabric("abcdef", "10.88.0.0/16")
    assert [address_of(fabric.pod_cidr(number)) for number in (1, 51, 254)] == [
        fabric.node_address(number) for number in (1, 51, 254)]
