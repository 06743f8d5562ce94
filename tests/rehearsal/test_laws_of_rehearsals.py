"""`--laws`: which runs of each alternative are held to the laws, and how it is told."""
from __future__ import annotations

import pytest
from rehearsed import a_daemonset, asked

from muster.api.objects import Key
from muster.rehearsal import runs
from muster.rehearsal.answer import Answer
from muster.rehearsal.play import play
from muster.rehearsal.report import laws, text
from muster.rehearsal.report_html import html
from muster.rehearsal.report_json import document
from muster.rehearsal.stage import prepare


def played(folder, **more) -> Answer:
    return play(prepare(asked(folder, [a_daemonset("agent:2")], [a_daemonset()], nodes=4, **{"runs": 3, **more})))


@pytest.mark.parametrize(("asked_for", "large", "checked", "says"), [
    pytest.param("", False, [True, False, False], "checked in 1 of 3 runs, none was broken", id="usually"),
    pytest.param("", True, [False] * 3, "not checked", id="usually, many nodes"),
    pytest.param("first", True, [True, False, False], "checked in 1 of 3 runs, none was broken", id="first"),
    pytest.param("all", True, [True] * 3, "checked in 3 of 3 runs, none was broken", id="all"),
    pytest.param("none", False, [False] * 3, "not checked", id="none"),
])
def test_which_runs(tmp_path, monkeypatch, asked_for, large, checked, says) -> None:
    monkeypatch.setattr(runs, "MOST_NODES_WATCHED", 3 if large else 1000)
    answer = played(tmp_path, laws=asked_for)
    (one,) = answer.alternatives
    assert [each.broken_laws is not None for each in one.outcomes] == checked
    assert [each["brokenLaws"] for each in document(answer)["alternatives"][0]["outcomes"]] == [
        [] if there else None for there in checked]
    assert laws(one) == says
    assert f"laws: {says}" in text(answer) and f"Laws: {says}" in html(answer)


def test_laws_change_nothing(tmp_path) -> None:
    histories = {tuple(each.history for each in played(tmp_path, laws=which).alternatives[0].outcomes)
                 for which in ("all", "none")}
    assert len(histories) == 1


def test_what_is_broken_is_told_of_whatever_run(tmp_path, monkeypatch) -> None:
    class Strict(runs.Laws):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            self.wrong("no agent", Key("daemonsets.apps", "default", "agent"), "it is there")

    monkeypatch.setattr(runs, "Laws", Strict)
    answer = played(tmp_path, laws="all")
    said = text(answer)
    assert said.count("broken rule: no agent: ") == 3
    assert "it is there (seed 0/2)" in said
    assert "laws: checked in 3 of 3 runs, broken in 3" in said
    assert document(answer)["alternatives"][0]["outcomes"][2]["violations"][0].startswith("no agent")
    assert "laws: checked, broken" in text(played(tmp_path, runs=1))
