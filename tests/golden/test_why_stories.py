"""What `muster why` says, of clusters played in virtual time, compared with what is written down.

After a wanted change run `MUSTER_UPDATE_GOLDEN=1 pytest tests/golden` and read the difference before committing it.
"""
from __future__ import annotations

from pathlib import Path

import pytest
from why_story import play

from golden_file import compare

STORIES = sorted(Path(__file__).parent.glob("why_*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path):
    compare(path, play)
