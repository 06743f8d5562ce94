"""The tutorials' commands in their order, each showing what it should: the tours of examples/tour."""
from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "examples" / "tour"
spec = importlib.util.spec_from_file_location("play_tour", HERE / "play.py")
play = importlib.util.module_from_spec(spec)
sys.modules["play_tour"] = play
spec.loader.exec_module(play)

FOLDERS = sorted(one.parent for one in HERE.glob("*/tour.console"))


@pytest.mark.wire
@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("perl") is None, reason="tours are played by bash and perl")
@pytest.mark.parametrize("folder", FOLDERS, ids=[one.name for one in FOLDERS])
def test_tour(folder):
    for _ in play.Tour(folder).play():
        pass


def test_there_is_a_tour_for_each_tutorial():
    assert [folder.name[:3] for folder in FOLDERS] == ["000", "001", "002", "003", "004"]


@pytest.mark.parametrize("wanted, shown, holds", [
    pytest.param(["NAME READY", "web-{id} {number}/1"], "NAME      READY\nweb-x7k2p 1/1\n", True, id="blanks and patterns"),
    pytest.param(["web-{id} 1/1"], "web-x7k2p 0/1\n", False, id="another number"),
    pytest.param(["a"], "a\nb\n", False, id="a line too many"),
    pytest.param(["a", "..."], "a\nb\nc\n", True, id="any more lines"),
    pytest.param(["...", "c"], "a\nb\nc\n", True, id="any lines before"),
    pytest.param(["...", "d"], "a\nb\nc\n", False, id="a line that does not come"),
    pytest.param(["{x=word} 1", "{x} 2"], "n1 1\nn1 2\n", True, id="the same again"),
    pytest.param(["{x=word} 1", "{x} 2"], "n1 1\nn2 2\n", False, id="not the same again"),
    pytest.param(["{x=word} {x}"], "n1 n1\n", True, id="the same in one line"),
    pytest.param(["a"], "", False, id="nothing shown"),
])
def test_what_counts_as_the_same(wanted, shown, holds):
    assert (play.matched(wanted, play.plain(shown), {}) is not None) is holds


def test_lines_of_a_watch_come_in_order_with_others_between():
    assert play.matched(["a", "b"], ["x", "a", "x", "b", "x"], {}, gaps=True) is not None
    assert play.matched(["a", "b"], ["b", "a"], {}, gaps=True) is None
