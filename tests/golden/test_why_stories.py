"""What `muster why` says, of clusters played in virtual time, compared with what is written down.

After a wanted change run `MUSTER_UPDATE_GOLDEN=1 pytest tests/golden` and read the difference before committing it.
"""
from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from why_story import play

STORIES = sorted(Path(__file__).parent.glob("why_*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path):
    story = yaml.safe_load(path.read_text())
    played = {**story, "steps": play(story)}
    if os.environ.get("MUSTER_UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(played, sort_keys=False, width=110))
        return
    for written, now in zip(story["steps"], played["steps"], strict=True):
        assert now == written
