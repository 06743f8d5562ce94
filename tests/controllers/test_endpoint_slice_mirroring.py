"""Slices for Endpoints that were written by hand."""
import pytest

from muster.api.objects import labels_of, name_of
from muster.control.plan import Create, Delete, Replace
from muster.controllers.endpoint_slice_mirroring import MANAGER, Observed, plan

HTTP = [{"name": "http", "port": 80, "protocol": "TCP"}]


def by_hand(*subsets, **metadata):
    return {"apiVersion": "v1", "kind": "Endpoints", "subsets": list(subsets),
            "metadata": {"name": "db", "namespace": "shop", "uid": "e1", **metadata}}


def a_subset(*ready, not_ready=(), ports=HTTP):
    return {"addresses": [{"ip": ip} for ip in ready], "notReadyAddresses": [{"ip": ip} for ip in not_ready], "ports": ports}


def decided(endpoints, slices=(), mirrored=True):
    return plan(Observed(endpoints, mirrored, slices), 0).actions


def stored(endpoints):
    return [{**action.obj, "metadata": {**action.obj["metadata"], "name": f"s{number}", "uid": f"s{number}"}}
            for number, action in enumerate(decided(endpoints))]


def shown(actions):
    said = []
    for action in actions:
        match action:
            case Create(obj) | Replace(obj):
                listed = [f"{one['addresses'][0]}{'' if one['conditions']['ready'] else '!'}" for one in obj["endpoints"]]
                verb = "+" if isinstance(action, Create) else f"={name_of(obj)} "
                said.append(f"{verb}{obj['addressType']}:{','.join(listed)}")
            case Delete(key):
                said.append(f"-{key.name}")
    return " ".join(said)


@pytest.mark.parametrize("endpoints, does", [
    pytest.param(by_hand(), "", id="none"),
    pytest.param(by_hand(a_subset("1.1.1.1", "1.1.1.2")), "+IPv4:1.1.1.1,1.1.1.2", id="one subset"),
    pytest.param(by_hand(a_subset("1.1.1.1", not_ready=["1.1.1.2"])), "+IPv4:1.1.1.1,1.1.1.2!", id="not ready"),
    pytest.param(by_hand(a_subset("1.1.1.1", "fd00::1")), "+IPv4:1.1.1.1 +IPv6:fd00::1", id="two families"),
    pytest.param(by_hand(a_subset("1.1.1.1"), a_subset("1.1.1.2", ports=[])), "+IPv4:1.1.1.1 +IPv4:1.1.1.2", id="other ports"),
    pytest.param(by_hand(a_subset("1.1.1.1"), a_subset("1.1.1.2")), "+IPv4:1.1.1.1,1.1.1.2", id="the same ports"),
])
def test_what_is_made(endpoints, does):
    assert shown(decided(endpoints)) == does
    assert shown(decided(endpoints, stored(endpoints))) == "", "what is right is left alone"


def test_what_changes_and_goes():
    before = by_hand(a_subset("1.1.1.1"), a_subset("2.2.2.2", ports=[]))
    slices = stored(before)
    assert shown(decided(by_hand(a_subset("1.1.1.9"), a_subset("2.2.2.2", ports=[])), slices)) == "=s0 IPv4:1.1.1.9"
    assert shown(decided(by_hand(a_subset("1.1.1.1")), slices)) == "-s1"
    assert shown(decided(before, slices, mirrored=False)) == "-s0 -s1"


def test_what_a_slice_carries():
    endpoints = by_hand(a_subset("1.1.1.1"), labels={"team": "a"}, annotations={
        "note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"})
    (slice_,) = stored(endpoints)
    assert labels_of(slice_) == {"team": "a", "kubernetes.io/service-name": "db",
                                 "endpointslice.kubernetes.io/managed-by": MANAGER}
    assert slice_["metadata"]["annotations"] == {"note": "x"} and slice_["metadata"]["generateName"] == "db-"
    assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    assert shown(decided(by_hand(a_subset("1.1.1.1")), [slice_])) == "=s0 IPv4:1.1.1.1", "labels that are gone"


def test_no_more_than_a_thousand_of_a_subset():
    many = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(1500)]
    (made,) = decided(by_hand(a_subset(*many)))
    assert len(made.obj["endpoints"]) == 1000
