"""Stories played on a whole cluster in virtual time, and compared with what is written down.

Each golden file tells what is given, what is done, and what that does; the first word of its name says who plays it.
After a wanted change run `MUSTER_UPDATE_GOLDEN=1 pytest tests/golden` and read the difference before committing it.
"""
from __future__ import annotations

from pathlib import Path

import autoscaler_story
import daemonset_story
import deployment_story
import eviction_story
import job_story
import pytest
import replicas_story
import scheduling_story
import yaml

from golden_file import compare

PLAYED = {"autoscaler": autoscaler_story.play, "daemonset": daemonset_story.play, "deployment": deployment_story.play,
          "eviction": eviction_story.play, "job": job_story.play, "scheduling": scheduling_story.play,
          "replicaset": replicas_story.play, "replicationcontroller": replicas_story.play,
          "statefulset": replicas_story.play}
STORIES = [path for path in sorted(Path(__file__).parent.glob("*.yaml")) if path.stem.partition("_")[0] in PLAYED]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path):
    compare(path, PLAYED[path.stem.partition("_")[0]])


def test_a_story_is_the_same_each_time():
    story = yaml.safe_load(STORIES[0].read_text())
    play = PLAYED[STORIES[0].stem.partition("_")[0]]
    assert play(story) == play(story)
