"""Which endpoints a service's port leads to, by readiness, policy, node and zone."""
import pytest

from muster.network.backends import Here, backends

HERE = Here("n1", "10.88.0.2", "10.88.0.0/16", "10.88.1.0/24")
PORT = {"name": "http", "port": 80, "protocol": "TCP"}


def endpoint(number, node="n1", *, ready=True, serving=None, terminating=None, zones=()):
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    made = {"addresses": [f"10.88.9.{number}"], "nodeName": node,
            "conditions": {name: value for name, value in conditions.items() if value is not None}}
    return made | ({"hints": {"forZones": [{"name": zone} for zone in zones]}} if zones else {})


def ending(number, node="n1", serving=True):
    return endpoint(number, node, ready=False, serving=serving, terminating=True)


def slice_(*endpoints, name="web-1", ports=({"name": "http", "protocol": "TCP", "port": 8080},), family="IPv4"):
    return {"metadata": {"name": name}, "addressType": family, "ports": list(ports), "endpoints": list(endpoints)}


def numbers(chosen):
    return [int(one.address.rpartition(".")[2]) for one in chosen]


@pytest.mark.parametrize("endpoints, everywhere, local, are_any", [
    pytest.param([], [], [], False, id="none"),
    pytest.param([endpoint(1), endpoint(2, "n2")], [1, 2], [1], True, id="ready ones"),
    pytest.param([endpoint(1, ready=None)], [1], [1], True, id="nothing said is ready"),
    pytest.param([endpoint(1, ready=False)], [], [], False, id="not ready"),
    pytest.param([endpoint(1, ready=False, serving=True)], [], [], False, id="not ready, though not ending"),
    pytest.param([endpoint(1), ending(2)], [1], [1], True, id="an ending one steps back"),
    pytest.param([ending(1), ending(2, "n2")], [1, 2], [1], True, id="all are ending, and serve"),
    pytest.param([ending(1, serving=False)], [], [], False, id="ending, and not serving"),
    pytest.param([endpoint(1, "n2"), ending(2)], [1], [2], True, id="ending here, ready elsewhere"),
    pytest.param([endpoint(1, "n2")], [1], [], True, id="elsewhere alone"),
    pytest.param([endpoint(1, ready=True, serving=True, terminating=True)], [1], [1], True,
                 id="published however it is"),
])
def test_readiness(endpoints, everywhere, local, are_any):
    found = backends([slice_(*endpoints)], PORT, HERE, cluster=True, local=True)
    assert (numbers(found.everywhere), numbers(found.local), found.are_any) == (everywhere, local, are_any)


@pytest.mark.parametrize("endpoints, cluster, local, expected", [
    pytest.param([endpoint(1), endpoint(2, "n2")], True, False, ([1, 2], [], True), id="cluster alone"),
    pytest.param([endpoint(1), endpoint(2, "n2")], False, True, ([], [1], True), id="local alone"),
    pytest.param([endpoint(2, "n2")], False, True, ([], [], True), id="none in reach is not none at all"),
])
def test_what_is_asked_for(endpoints, cluster, local, expected):
    found = backends([slice_(*endpoints)], PORT, HERE, cluster=cluster, local=local)
    assert (numbers(found.everywhere), numbers(found.local), found.are_any) == expected


@pytest.mark.parametrize("zone, endpoints, expected", [
    pytest.param("a", [endpoint(1, zones="a"), endpoint(2, zones="b")], [1], id="of the zone"),
    pytest.param("c", [endpoint(1, zones="a"), endpoint(2, zones="b")], [1, 2], id="none for the zone"),
    pytest.param("a", [endpoint(1, zones="a"), endpoint(2)], [1, 2], id="one without hints"),
    pytest.param("", [endpoint(1, zones="a"), endpoint(2, zones="b")], [1, 2], id="a node without a zone"),
    pytest.param("a", [endpoint(1, zones="a"), endpoint(2, ready=False)], [1], id="who is not ready does not count"),
])
def test_zones(zone, endpoints, expected):
    found = backends([slice_(*endpoints)], PORT, HERE._replace(zone=zone), cluster=True, local=False)
    assert numbers(found.everywhere) == expected


@pytest.mark.parametrize("slices, expected", [
    pytest.param([slice_(endpoint(1), name="b", ports=[{"name": "http", "protocol": "TCP", "port": 81}]),
                  slice_(endpoint(2), name="a")], [("10.88.9.1", 81), ("10.88.9.2", 8080)], id="each slice its numbers"),
    pytest.param([slice_(endpoint(1), name="a"), slice_(endpoint(1), name="b")], [("10.88.9.1", 8080)], id="listed twice"),
    pytest.param([slice_(endpoint(1), ports=[{"name": "http", "protocol": "UDP", "port": 81}])], [], id="protocol"),
    pytest.param([slice_(endpoint(1), ports=[{"name": "other", "port": 81}])], [], id="name"),
    pytest.param([slice_(endpoint(1), ports=[{"name": "http"}])], [], id="no number"),
    pytest.param([slice_({"addresses": ["fd00::1"]}, family="IPv6")], [], id="another family"),
])
def test_ports(slices, expected):
    found = backends(slices, PORT, HERE, cluster=True, local=False)
    assert [(one.address, one.port) for one in found.everywhere] == expected
