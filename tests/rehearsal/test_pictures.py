"""Pictures and pages: whole, readable, and of what happened."""
from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import orjson
import pytest
from rehearsed import a_daemonset, asked

from muster.rehearsal.bands import bands, ordered
from muster.rehearsal.picture import COLOURS, MOST_LINES, svg
from muster.rehearsal.play import play
from muster.rehearsal.report_html import html
from muster.rehearsal.report_json import json_text
from muster.rehearsal.stage import prepare
from muster.rehearsal.timeline import STATES, Span, Timeline

SVG = "{http://www.w3.org/2000/svg}"


def an_answer(folder, nodes=20, *, fail=(), settings=()):
    return play(prepare(asked(folder, [a_daemonset("agent:2", rolling={"maxUnavailable": "25%"})], [a_daemonset()],
                              nodes=nodes, fail=fail, settings=settings)))


def lines_of(root) -> set[str]:
    """The heights at which something is drawn that says who did what."""
    found = set()
    for rect in root.iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None:
            found.add(rect.get("y"))
    return found


def test_every_node_has_a_line_and_its_name(tmp_path) -> None:
    answer = an_answer(tmp_path)
    root = ElementTree.fromstring(svg(answer))
    assert len(lines_of(root)) == 20
    written = [text.text for text in root.iter(f"{SVG}text")]
    names = next(iter(answer.alternatives[0].first.timelines.values()))
    assert all(any(told and name.endswith(told.lstrip("\N{HORIZONTAL ELLIPSIS}")) for told in written) for name in names)
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert "Rehearsal of ds/default/agent" in title.text
    assert "at worst 5 of 20 nodes down" in desc.text
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"


def test_it_needs_nothing_from_elsewhere(tmp_path) -> None:
    answer = an_answer(tmp_path, nodes=4, fail=["50%"])
    for text in (svg(answer), html(answer)):
        for word in ("href=\"http", "src=", "@import", "url(", "<script", "<link"):
            assert word not in text


def test_every_state_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(STATES)
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_a_page_holds_table_pictures_and_reasons(tmp_path) -> None:
    answer = an_answer(tmp_path, fail=["20%"], settings=["ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable=1,25%"])
    page = html(answer)
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append(tag)

    Reader().feed(page)
    assert seen.count("svg") == 2
    assert seen.count("tr") == 3
    assert "Nodes without a daemon" in page
    assert len({identity for identity in ("t0", "t1") if f'id="{identity}"' in page}) == 2, "pictures have ids of their own"


def test_json_says_what_the_guide_says(tmp_path) -> None:
    answer = an_answer(tmp_path, nodes=3)
    found = orjson.loads(json_text(answer))
    assert list(found) == ["version", "complete", "seed", "runs", "assumed", "alternatives"]
    (one,) = found["alternatives"]
    assert one["finishedSeconds"]["p50"] == answer.alternatives[0].first.finished_s
    (outcome,) = one["outcomes"]
    assert {"verdict", "workloads", "timelines", "withoutDaemon", "ended", "cost", "history"} <= set(outcome)
    (rows,) = outcome["timelines"].values()
    assert len(rows) == 3
    assert all(state in STATES for spans in rows.values() for _, state in spans)


# ------------------------------------------------------------------ lines


ROLLED = (Span(0, "ready-old"), Span(10, "pulling"), Span(20, "ready-new"))


def test_rows_are_sorted_by_how_they_ended_and_when_they_changed() -> None:
    rows = {"a-down": [Span(0, "ready-old"), Span(5, "node-down")], "b-late": list(ROLLED),
            "c-early": [Span(0, "ready-old"), Span(1, "pulling"), Span(20, "ready-new")],
            "d-failing": [Span(0, "ready-old"), Span(2, "failing")], "e-kept": [Span(0, "ready-old")]}
    assert [name for name, _ in ordered(rows)] == ["c-early", "b-late", "e-kept", "d-failing", "a-down"]


@pytest.mark.parametrize("count", [1, 279, 280, 281, 5000])
def test_lines_hold_all_rows(count) -> None:
    rows = {f"n{number:05}": [Span(0, "ready-old"), Span(number + 1.0, "pulling"), Span(number + 9.0, "ready-new")]
            for number in range(count)} | {"bad": [Span(0, "ready-old"), Span(3, "failing")]}
    found = bands(rows, MOST_LINES, count + 10.0)
    assert sum(band.size for band in found) == count + 1
    assert len(found) <= MOST_LINES + 1
    assert found[-1].names == ("bad",), "what went wrong shares its line with nothing that went well"


def test_a_timeline_notes_changes_alone() -> None:
    timeline = Timeline()
    for at, state in ((0, "pulling"), (1, "pulling"), (2, "starting"), (2, "ready-new"), (3, "ready-new")):
        timeline.note("n", at, state)
    assert timeline.rows["n"] == [Span(0, "pulling"), Span(2, "ready-new")], "what nobody could see is not there"
