"""Services over the pods of a DaemonSet, told in virtual time and compared with tests/golden/service_*.yaml.

After a wanted change run `MUSTER_UPDATE_GOLDEN=1 pytest tests/cluster/test_service_stories.py` and read the difference.
"""
from __future__ import annotations

from pathlib import Path

import pytest
from service_story import play

from golden_file import compare

STORIES = sorted((Path(__file__).parents[1] / "golden").glob("service_*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path):
    compare(path, play)
