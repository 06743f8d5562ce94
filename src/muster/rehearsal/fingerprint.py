"""One number for a whole history: the same for two runs of one seed, and another one where a single change differs.

Of each change goes in what it changed: its revision, who it is about, and the fields that read otherwise than before.
What stays (a pod's specification, most of the time) was taken in when it came, so nothing less is told apart.
"""
from __future__ import annotations

import hashlib

import orjson

from ..api.objects import Obj
from ..store.history import Change

TOGETHER = 256  # changes that are written as JSON one after the other: nobody changes an object meanwhile


class Fingerprint:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        # Revision and key, what it is now, and what of it differs: one of the two, neither for a deletion.
        self._heard: list[tuple[int, str, str, str, Obj | None, Obj | None]] = []

    def hear(self, change: Change) -> None:
        before, after = change.previous, change.value
        if before is None or after is None or not before.keys() <= after.keys():
            self._heard.append((change.revision, *change.key, after, None))
        else:
            differs = {field: value for field, value in after.items()
                       if (was := before.get(field)) is not value and was != value}
            self._heard.append((change.revision, *change.key, None, differs))
        if len(self._heard) >= TOGETHER:
            self._take_in()

    def text(self) -> str:
        self._take_in()
        return self._hash.hexdigest()

    def _take_in(self) -> None:
        self._hash.update(b"".join(map(orjson.dumps, self._heard)))
        self._heard.clear()
