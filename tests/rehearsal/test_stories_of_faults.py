"""Whatever is done to a cluster, and whatever fails, the laws hold: a fixed batch of stories, those that found something, and a
batch for each commit.

That is drawn from the commit, so what failed in one place fails everywhere.  `make seeds N=10000` plays more.  A story
that breaks a law is cut down to the steps that are needed and told.
"""
from __future__ import annotations

import os
from zlib import crc32

import pytest

from muster.api.objects import Key
from muster.rehearsal import story_scaling, story_seeds
from muster.rehearsal.faults import ClockSkew, NodeLoss, SlowPulls, StartFailure
from muster.rehearsal.faults_line import Trouble
from muster.rehearsal.invariants import Broken, Laws
from muster.rehearsal.story import story
from muster.rehearsal.story_play import play
from muster.rehearsal.story_shrink import shrink
from muster.rehearsal.story_steps import BadLine, Fail, Make, Restart, RestartProcess, Step, StopWatches

FIXED, FRESH = 36, 24
BROKE_ONCE = (613, 1780, 2694, 3087, 6356, 8772, 8945, 9390, 9792, 30278)
FIRST_FRESH = int(os.environ.get("MUSTER_FRESH_SEED") or 10**6 + crc32(story_seeds.version().encode()))


@pytest.mark.parametrize("seed", [*range(FIXED), *BROKE_ONCE, *range(FIRST_FRESH, FIRST_FRESH + FRESH)])
def test_the_laws_hold(seed):
    verdict = story_seeds.verdict(seed)
    if verdict.laws:
        pytest.fail("\n".join(story_seeds.report(verdict)), pytrace=False)


def test_a_story_is_the_same_for_ever_and_every_step_can_be_said():
    story.cache_clear()
    first = story(7)
    story.cache_clear()
    assert story(7) == first != story(8)
    assert all(str(step) for seed in range(40) for step in story(seed))


def test_stories_hold_every_kind_of_fault():
    kinds = {type(step.what) for seed in range(200) for step in story(seed)}
    assert {BadLine, Make, Restart, RestartProcess, StopWatches} <= kinds
    made = {step.what.manifest["kind"] for seed in range(200) for step in story(seed) if isinstance(step.what, Make)}
    assert made == {"Node", "Pod", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job", "Service",
                    "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    failed = {type(step.what.fault) for seed in range(200) for step in story(seed) if isinstance(step.what, Fail)}
    assert failed == {NodeLoss, StartFailure, SlowPulls, ClockSkew}


def test_a_strand_leaves_the_steps_of_the_others_as_they_are(monkeypatch):
    def of_others(seed):
        return [str(step) for step in story(seed) if "default/busy" not in str(step) and "autoscaler" not in str(step)]

    story.cache_clear()
    whole = [of_others(seed) for seed in range(60)]
    story.cache_clear()
    monkeypatch.setattr(story_scaling, "SHARE", 0.0)
    assert [list(map(str, story(seed))) for seed in range(60)] == whole
    story.cache_clear()


def test_steps_of_all_strands_are_played_in_the_order_of_their_moments():
    seed = next(seed for seed in range(60) if (steps := story(seed)) != tuple(sorted(steps, key=lambda step: step.at_s)))
    moments = [float(line.split()[0]) for line in play(seed).told]
    assert moments == sorted(moments)


def test_two_plays_of_one_seed_are_told_alike():
    one, other = play(11), play(11)
    assert one.told == other.told and one.changes == other.changes


# ------------------------------------------------------------------ a broken story is made small

def test_a_story_shrinks_to_the_steps_that_are_needed():
    tried = []

    def breaks(places):
        tried.append(places)
        return {3, 17} <= set(places)

    assert shrink(24, breaks) == [3, 17]
    assert len(tried) < 60


@pytest.mark.parametrize("needed", [[], [0], [9], [0, 9], list(range(10))], ids=str)
def test_whatever_is_needed_is_kept(needed):
    assert set(needed) <= set(shrink(10, lambda places: set(needed) <= set(places)))


def test_shrinking_is_bounded():
    tried = []
    shrink(500, lambda places: tried.append(places), most=20)
    assert len(tried) == 20


def test_a_broken_law_is_reported_with_seed_version_story_and_command(monkeypatch, capsys):
    """A law that nothing can keep: the story is cut down to one step, and said how to play again."""
    heard = Laws.say

    def say(self, text):
        heard(self, text)
        if text.startswith("apply"):
            self.wrong("nothing is ever applied", Key("stories", "", "4"), text)

    monkeypatch.setattr(Laws, "say", say)
    assert story_seeds.main(["--first", "4", "--count", "1", "--processes", "1"]) == 1
    said = capsys.readouterr().out
    assert "1 story broke a law" in said
    assert "seed 4 at " in said and "nothing is ever applied" in said
    assert "1 of its" in said and "again: python -m muster.rehearsal.story_seeds --seed 4 --only " in said


def test_the_command_plays_a_batch_in_several_processes(capsys):
    assert story_seeds.main(["--first", "0", "--count", "3", "--processes", "2"]) == 0
    assert "3 stories (seeds 0 to 2)" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "said"), [
    (["--count", "0"], "--count and --processes must be at least 1"),
    (["--only", "1,2"], "say which story with --seed"),
    (["--seed", "3", "--only", "a"], '"a" must be numbers of steps'),
])
def test_what_the_command_refuses(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        story_seeds.main(arguments)
    assert ended.value.code == 2 and said in capsys.readouterr().err


def test_steps_say_what_they_are():
    assert str(Step(3.5, StopWatches(10.0, True))) == "    3.50 s  watches stand still for 10 s, and the history is compacted"
    assert str(BadLine(Trouble("timeout after", .3), 5)) == "30% of the components' writes: timeout after, for 5 s"
    assert str(Broken(0.0, "law", "thing", "is wrong")) == "law: thing: is wrong"
