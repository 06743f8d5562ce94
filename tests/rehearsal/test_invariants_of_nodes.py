"""The laws of nodes: who is heard of and who is not, by the moments at which the history heard of it."""
from __future__ import annotations

import pytest
from tale import NOON, Tale, node

from muster.api.objects import to_micro_time

LEASES = "leases.coordination.k8s.io"
LOST, FOUND = "who gives signs of life is not lost", "who falls silent is found missing"


def lease(renewed, holds_s=40, ago_s=None):
    said = {} if ago_s is None else {"annotations": {"muster.dev/renewed-seconds-ago": str(ago_s)}}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {
        "name": "n1", "namespace": "kube-node-lease", "uid": "lease", **said},
        "spec": {"renewTime": to_micro_time(renewed), "leaseDurationSeconds": holds_s}}


def renewed(tale, *, skew_s=0.0, holds_s=40, ago_s=None):
    return tale.by("system:node").put(LEASES, lease(tale.now + skew_s, holds_s, ago_s))


def called_lost(tale):
    return tale.by("node-controller").put("nodes", node("n1", ready="Unknown"))


@pytest.mark.parametrize("skew_s", [-3600, 0, 3600])
@pytest.mark.parametrize(("silent_s", "broken"), [(49.9, [LOST]), (50, [])])
def test_who_was_heard_of_is_not_called_lost_whatever_its_clock_says(skew_s, silent_s, broken):
    tale = Tale().put("nodes", node("n1"))
    for _ in range(20):
        renewed(tale.after(10), skew_s=skew_s)
    assert called_lost(tale.after(silent_s)).laws_broken() == broken


def test_who_holds_a_long_lease_is_not_called_lost_until_it_says_otherwise():
    tale = renewed(Tale().put("nodes", node("n1")), holds_s=10**9)
    assert called_lost(tale.after(5000)).laws_broken() == [LOST]
    tale = renewed(Tale().put("nodes", node("n1")), holds_s=10**9)
    renewed(tale.after(5000), ago_s=7)
    assert called_lost(tale.after(43)).laws_broken() == []
    tale = renewed(Tale().put("nodes", node("n1")), holds_s=10**9)
    tale.after(7).put(LEASES, lease(NOON, ago_s=7))
    assert called_lost(tale.after(43)).laws_broken() == []


def test_a_status_that_is_reported_is_a_sign_of_life_and_what_others_write_is_none():
    tale = Tale().put("nodes", node("n1")).after(100)
    tale.by("system:node").put("nodes", node("n1", heard=NOON - 900))
    assert called_lost(tale.after(20)).laws_broken() == [LOST]
    tale = Tale().put("nodes", node("n1")).after(100)
    tale.by("kubernetes-admin").put("nodes", node("n1", unschedulable=True))
    assert called_lost(tale.after(20)).laws_broken() == []


def test_what_the_controller_could_not_have_heard_is_not_held_against_it():
    tale = Tale(lag_s=30).put("nodes", node("n1")).after(100)
    assert called_lost(renewed(tale).after(20)).laws_broken() == []
    assert called_lost(renewed(Tale(lag_s=30).put("nodes", node("n1")).after(100)).after(48)).laws_broken() == [LOST]


@pytest.mark.parametrize(("ready", "within_s"), [("True", 170), ("", 180)])
def test_who_falls_silent_is_found_missing(ready, within_s):
    tale = Tale().put("nodes", node("n1", ready))
    assert tale.after(within_s - 1).laws_broken() == []
    assert tale.after(2).laws_broken() == [FOUND]
    assert called_lost(Tale().put("nodes", node("n1", ready)).after(60)).after(500).laws_broken() == []


def test_who_looks_anew_is_given_the_time_again():
    tale = Tale().put("nodes", node("n1")).after(100)
    tale.laws.restarted["node-controller"] = tale.now
    assert tale.after(160).laws_broken() == []
    assert tale.after(30).laws_broken() == [FOUND]


def test_while_the_line_is_bad_nobody_has_to_be_found():
    tale = Tale().put("nodes", node("n1"))
    tale.laws.good_since = lambda: tale.now
    assert tale.after(500).laws_broken() == []


def test_a_node_that_is_gone_is_missed_by_nobody():
    assert Tale().put("nodes", node("n1")).after(30).gone("nodes", "n1", "").after(500).laws_broken() == []
