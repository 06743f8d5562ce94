"""`--set`: which fields of which object, and all combinations of their values."""
from __future__ import annotations

import pytest
from rehearsed import ONE_S, a_daemonset, asked

from muster.rehearsal.alternatives import Choice, alternatives, merge_patch_of, parse_setting, with_choice
from muster.rehearsal.answer import Answered
from muster.rehearsal.play import play
from muster.rehearsal.report import text
from muster.rehearsal.stage import prepare

BUDGET = "ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable"


@pytest.mark.parametrize(("written", "target", "path", "values"), [
    pytest.param(f"{BUDGET}=1,5%,10%", ("ds", "", "agent"), "spec.updateStrategy.rollingUpdate.maxUnavailable",
                 (1, "5%", "10%"), id="numbers and shares"),
    pytest.param("deploy/prod/web.v2.spec.replicas=3", ("deploy", "prod", "web.v2"), "spec.replicas", (3,), id="dots, namespace"),
    pytest.param("ds/a.spec.template.spec.containers[app].image=web:1,web:2", ("ds", "", "a"),
                 "spec.template.spec.containers[app].image", ("web:1", "web:2"), id="an item"),
    pytest.param('ds/a.spec.x="1","a,b"', ("ds", "", "a"), "spec.x", ("1", "a,b"), id="quotes"),
    pytest.param("ds/a.spec.x=[1,2],{a: 1}", ("ds", "", "a"), "spec.x", ([1, 2], {"a": 1}), id="lists"),
    pytest.param("ds/a.metadata.annotations[muster.dev/paused]=null", ("ds", "", "a"),
                 "metadata.annotations[muster.dev/paused]", (None,), id="null"),
])
def test_reading(written, target, path, values) -> None:
    found = parse_setting(written)
    assert (found.kind, found.namespace, found.name) == target
    assert (found.path, found.values) == (path, values)


def test_all_combinations() -> None:
    found = alternatives([parse_setting("ds/a.spec.x=1,2"), parse_setting("ds/a.spec.y=a,b"), parse_setting("ds/a.spec.z=9")])
    assert [one.name for one in found] == ["x=1, y=a", "x=1, y=b", "x=2, y=a", "x=2, y=b"]
    assert [one.name for one in alternatives([])] == ["as given"]


@pytest.mark.parametrize(("written", "after"), [
    pytest.param("ds/a.spec.new.deep=1", {"spec": {"list": [{"name": "app", "v": 1}], "new": {"deep": 1}}}, id="made"),
    pytest.param("ds/a.spec.list[app].v=2", {"spec": {"list": [{"name": "app", "v": 2}]}}, id="by name"),
    pytest.param("ds/a.spec.list[0].v=3", {"spec": {"list": [{"name": "app", "v": 3}]}}, id="by number"),
])
def test_putting_it_in_its_place(written, after) -> None:
    before = {"spec": {"list": [{"name": "app", "v": 1}]}}
    setting = parse_setting(written)
    assert with_choice(before, Choice(setting, setting.values[0])) == after
    assert before == {"spec": {"list": [{"name": "app", "v": 1}]}}, "the object itself stays"


def test_merge_patches() -> None:
    assert merge_patch_of({"a": 1, "b": {"c": 1, "d": 2}, "e": 0}, {"a": 1, "b": {"c": 5}, "f": 1}) == {
        "b": {"c": 5, "d": None}, "f": 1, "e": None}


def test_alternatives_are_compared_on_the_same_luck(tmp_path) -> None:
    """The files, what is there already, and two settings at once."""
    stage = prepare(asked(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=6, runs=2,
                          settings=[f"{BUDGET}=1,50%", "ds/agent.spec.minReadySeconds=0,10"]))
    answer = play(stage)
    assert [one.name for one in answer.alternatives] == [
        "maxUnavailable=1, minReadySeconds=0", "maxUnavailable=1, minReadySeconds=10",
        "maxUnavailable=50%, minReadySeconds=0", "maxUnavailable=50%, minReadySeconds=10"]
    finished = [one.finish_s(0.5) for one in answer.alternatives]
    assert finished == pytest.approx([6 * ONE_S, 6 * (ONE_S + 10), 2 * ONE_S, 2 * (ONE_S + 10)], abs=3)
    assert [one.worst_unavailable() for one in answer.alternatives] == [1, 1, 3, 3]
    assert "maxUnavailable=50%, minReadySeconds=10" in text(answer)


def test_what_is_only_on_the_cluster_is_patched(tmp_path) -> None:
    stage = prepare(asked(tmp_path, before=[a_daemonset()], nodes=4, settings=[f"{BUDGET}=1,100%"], restart=["ds/agent"]))
    answer = play(stage)
    assert [one.worst_unavailable() for one in answer.alternatives] == [1, 4]


def test_processes_make_no_difference(tmp_path) -> None:
    def told(jobs: int) -> list[list[str]]:
        stage = prepare(asked(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=5, runs=3, jobs=jobs,
                              lengths={"pull": "2s..90s"}, settings=[f"{BUDGET}=1,2"]))
        return [[each.history for each in one.outcomes] for one in play(stage).alternatives]

    one, three = told(1), told(3)
    assert one == three
    assert len({history for found in one for history in found}) == 6, "each run has its own luck"


@pytest.mark.parametrize(("share", "is_at"), [(0.5, 3.0), (0.95, 5.0), (0.2, 1.0)])
def test_percentiles(share, is_at) -> None:
    class Ended:
        def __init__(self, finished_s): self.finished_s = finished_s
    answered = Answered(alternatives([])[0], [Ended(float(number)) for number in (4, 1, 3, 5, 2)])  # type: ignore[misc]
    assert answered.finish_s(share) == is_at
