"""What a rehearsal measures, on stories small enough to be worked out by hand."""
from __future__ import annotations

import pytest
from rehearsed import ONE_S, a_daemonset, seen

from muster.rehearsal.outcome import FINISHED, STUCK

SLACK_S = 0.2  # for a step: controllers rest a moment between two looks


@pytest.mark.parametrize(("at_once", "worst", "rounds"), [
    pytest.param(1, 1, 6, id="one at a time"),
    pytest.param("50%", 3, 2, id="half of them"),
    pytest.param("100%", 6, 1, id="all at once"),
])
def test_a_rollout_takes_its_rounds(tmp_path, at_once, worst, rounds) -> None:
    found = seen(tmp_path, [a_daemonset("agent:2", rolling={"maxUnavailable": at_once})], [a_daemonset()], nodes=6)
    (work,) = found.workloads
    assert found.verdict == FINISHED
    assert work.worst_unavailable == worst
    assert found.finished_s == work.finished_s == pytest.approx(rounds * ONE_S, abs=rounds * SLACK_S)
    assert work.unavailable_s == pytest.approx(6 * ONE_S, abs=6 * SLACK_S), "each node is down once"
    assert found.replaced == {"ds/default/agent": 6}
    assert not found.endings


def test_a_surge_keeps_every_node_served(tmp_path) -> None:
    rolling = {"maxUnavailable": 0, "maxSurge": 2}
    found = seen(tmp_path, [a_daemonset("agent:2", rolling=rolling)], [a_daemonset()], nodes=6)
    (work,) = found.workloads
    assert work.worst_unavailable == 0
    assert work.unavailable_s == 0


def test_an_image_that_is_missing_stops_the_rollout_at_its_budget(tmp_path) -> None:
    rolling = {"maxUnavailable": 2}
    found = seen(tmp_path, [a_daemonset("agent:404", rolling=rolling)], [a_daemonset()], nodes=6)
    (work,) = found.workloads
    assert found.verdict == STUCK
    assert found.finished_s is None
    assert (work.worst_unavailable, work.available) == (2, 4)
    assert "ErrImagePull" in work.stuck or "ImagePullBackOff" in work.stuck
    (without,) = found.without_daemon
    assert (len(without.nodes), without.wanted) == (2, True)


def test_nodes_that_are_kept_away_say_why(tmp_path) -> None:
    found = seen(tmp_path, [a_daemonset(nodeSelector={"kind": "fast"})], pools=["a=2,kind=fast", "b=3", "c=1,kind=fast,taint=gpu:NoSchedule"])
    assert {one.why: (len(one.nodes), one.wanted) for one in found.without_daemon} == {
        "node(s) didn't match Pod's node affinity/selector": (3, False),
        "node(s) had untolerated taint {gpu: }": (1, False)}
    assert found.verdict == FINISHED


def test_settling_counts_as_down(tmp_path) -> None:
    """A pod is available once it was ready for minReadySeconds."""
    found = seen(tmp_path, [a_daemonset("agent:2", spec={"minReadySeconds": 30})], [a_daemonset()], nodes=2)
    (work,) = found.workloads
    assert work.unavailable_s == pytest.approx(2 * (ONE_S + 30), abs=3)
    assert found.finished_s == pytest.approx(2 * (ONE_S + 30), abs=3)


def test_the_timeline_of_a_node(tmp_path) -> None:
    found = seen(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=1, lengths={
        "pull": "10s", "start": "2s", "ready": "5s", "stop": "4s"})
    ((spans,),) = [rows.values() for rows in found.timelines.values()]
    assert [(span.state, round(span.start)) for span in spans] == [
        ("stopping", 0), ("pulling", 4), ("starting", 14), ("not-ready", 16), ("ready-new", 21)]
