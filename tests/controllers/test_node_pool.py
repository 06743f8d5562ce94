"""Node pools: which nodes come and go, and what they are."""
from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.api.objects import Obj, at, labels_of, name_of
from muster.control.plan import Create, Delete, SetStatus, Tell
from muster.controllers.node_pool import (
    MOST_NODES,
    Observed,
    external_ip,
    index_of,
    internal_ip,
    node_of,
    plan,
    pod_cidr,
    suffix,
)

NOON = 1_767_225_600.0


def pool(replicas: int, name: str = "gpu", **template: object) -> Obj:
    return {"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": name, "uid": f"uid-{name}"},
            "spec": {"replicas": replicas, "template": template}}


def nodes_of(owner: Obj, numbers: list[int], first_index: int = 0) -> list[Obj]:
    made = [node_of(owner, number, first_index + place, NOON) for place, number in enumerate(numbers)]
    return [{**node, "metadata": {**node["metadata"], "uid": f"uid-{name_of(node)}"}} for node in made]


def short(actions: list[object]) -> list[str]:
    """Creations and deletions, by number."""
    told = []
    for action in actions:
        if isinstance(action, Create):
            number = action.obj["metadata"]["annotations"]["muster.dev/number"]
            told.append(f"+{number} {at(action.obj, 'spec.podCIDR')}")
        elif isinstance(action, Delete):
            told.append(f"-{action.key.name.rpartition('-')[2]}")
    return told


@pytest.mark.parametrize(("replicas", "there", "does"), [
    pytest.param(2, [], ["+0 10.132.0.0/24", "+1 10.132.1.0/24"], id="new"),
    pytest.param(3, [0, 1], ["+2 10.132.2.0/24"], id="grows"),
    pytest.param(1, [0, 1, 2], [f"-{suffix('uid-gpu', 2)}", f"-{suffix('uid-gpu', 1)}"], id="the newest go first"),
    pytest.param(3, [0, 2], ["+3 10.132.2.0/24"], id="one that was deleted comes under a new name"),
    pytest.param(2, [0, 1], [], id="as it should be"),
])
def test_a_pool_follows_its_number(replicas: int, there: list[int], does: list[str]) -> None:
    owner = pool(replicas)
    found = plan(Observed([owner], nodes_of(owner, there)), NOON)
    assert short(found.actions) == does
    assert any(isinstance(action, Tell) for action in found.actions) == bool(does)


def test_status_counts_what_is_there() -> None:
    owner = pool(1)
    (node,) = nodes_of(owner, [0])
    ready = {**node, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    (action,) = plan(Observed([owner], [ready]), NOON).actions
    assert isinstance(action, SetStatus)
    assert action.status == {"replicas": 1, "readyReplicas": 1, "nodesMade": 1, "selector": "muster.dev/pool=gpu"}
    settled = {**owner, "status": action.status}
    assert plan(Observed([settled], [ready]), NOON).actions == []


def test_pools_share_the_addresses() -> None:
    first, second = pool(2, "a"), pool(2, "b")
    made = [action.obj for action in plan(Observed([first, second], []), NOON).actions if isinstance(action, Create)]
    assert len({node["spec"]["podCIDR"] for node in made}) == 4


def test_a_pool_that_is_deleted_is_left_to_the_garbage_collector() -> None:
    owner = pool(3)
    ending = {**owner, "metadata": {**owner["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert plan(Observed([ending], []), NOON).actions == []


def test_no_more_nodes_than_addresses() -> None:
    owner = pool(MOST_NODES + 2)
    actions = plan(Observed([owner], []), NOON).actions
    assert sum(isinstance(action, Create) for action in actions) == MOST_NODES
    assert any(isinstance(action, Tell) and action.reason == "NoAddresses" for action in actions)


def test_a_node_is_made_from_the_template() -> None:
    owner = pool(1, machineType="e2-medium", zones=["us-central1-c", "us-central1-f"], roles=["worker"],
                 labels={"disk": "ssd"}, taints=[{"key": "gpu", "effect": "NoSchedule"}], version="v1.31.2",
                 capacity={"cpu": "8"})
    node = node_of(owner, 1, 5, NOON)
    labels = labels_of(node)
    assert re.fullmatch(r"muster-gpu-[0-9a-f]{8}-[a-z0-9]{4}", name_of(node))
    assert labels["kubernetes.io/hostname"] == name_of(node)
    assert (labels["topology.kubernetes.io/zone"], labels["topology.kubernetes.io/region"]) == (
        "us-central1-f", "us-central1")
    assert labels["node.kubernetes.io/instance-type"] == "e2-medium"
    assert labels["node-role.kubernetes.io/worker"] == "" and labels["disk"] == "ssd"
    assert [taint["key"] for taint in node["spec"]["taints"]] == ["node.kubernetes.io/not-ready", "gpu"]
    assert node["status"]["capacity"] == {"cpu": "8"}
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.31.2"


def test_names_fit_however_long_the_pool_is_called() -> None:
    assert len(name_of(node_of(pool(1, "p" * 63), 0, 0, NOON))) <= 63


@settings(max_examples=30)
@given(uid=st.text(min_size=1, max_size=40), start=st.integers(0, 500_000))
def test_suffixes_differ(uid: str, start: int) -> None:
    assert len({suffix(uid, number) for number in range(start, start + 500)}) == 500


def test_addresses_differ() -> None:
    indexes = range(MOST_NODES)
    for address in (pod_cidr, internal_ip, external_ip):
        assert len({address(index) for index in indexes}) == MOST_NODES
    assert all(index_of(pod_cidr(index)) == index for index in indexes)
    assert index_of("192.168.0.0/24") is None and index_of("") is None and index_of("10.1.0.0/16") is None
