"""A story that was written down, compared with how it plays today."""
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def compare(path: Path, play: Callable[[Any], list]) -> None:
    """With MUSTER_UPDATE_GOLDEN=1 it is written down anew."""
    story = yaml.safe_load(path.read_text())
    played = {**story, "steps": play(story)}
    if os.environ.get("MUSTER_UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(played, sort_keys=False, width=110))
        return
    for written, now in zip(story["steps"], played["steps"], strict=True):
        assert now == written
