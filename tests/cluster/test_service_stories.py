"""Services over the pods of a DaemonSet, told in virtual time and compared with tests/golden/service_*.yaml.

After a wanted change run `MUSTER_UPDATE_GOLDEN=1 pytest tests/cluster/test_service_stories.py` and read the difference.
"""
from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from service_story import play

STORIES = sorted((Path(__file__).parents[1] / "golden").glob("service_*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path):
    story = yaml.safe_load(path.read_text())
    played = {**story, "steps": play(story)}
    if os.environ.get("MUSTER_UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(played, sort_keys=False, width=110))
        return
    for written, now in zip(story["steps"], played["steps"], strict=True):
        assert now == written
