"""One number for a whole history: the same for two runs of one seed, and another one where a single change differs.

Of each change goes in what it changed: its revision, who it is about, and the fields that read otherwise than before.
What stays (a pod's specification, most of the time) was taken in when it came, so nothing less is told apart.
"""
from __future__ import annotations

import hashlib

import orjson

from ..store.history import Change


class Fingerprint:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def hear(self, change: Change) -> None:
        before, after = change.previous, change.value
        if after is None:
            what = b"-"
        elif before is None or not before.keys() <= after.keys():
            what = b"=" + orjson.dumps(after)
        else:
            what = b"+" + orjson.dumps({field: value for field, value in after.items() if before.get(field) != value})
        resource, namespace, name = change.key
        self._hash.update(f"{change.revision} {resource}/{namespace}/{name} ".encode() + what)

    def text(self) -> str:
        return self._hash.hexdigest()
