"""How the nodes of a pool behave: how long they pull, start, get ready and stop, what they can not pull.

It comes from the `spec.behaviour` of the node's pool, at any time as it stands there.  A node and a pod may say
otherwise for themselves:

    muster.dev/behaviour: '{"pull": "1s..3s", "missingImages": ["*:broken"]}'      on a Node
    muster.dev/pull, muster.dev/start, muster.dev/ready, muster.dev/task, muster.dev/stop: "5s"      on a Pod

`ready` and `task` may be "never".  A task is an init container or one of a Job's pod, which are there to end by
themselves; where nothing is known of its command (commands.py) it runs that long and ends with 0.  All others run
until they are stopped.

Without a word about readiness a container is ready at once, as on a real node, unless it has a readiness probe,
which takes up to half a second.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from . import usage
from .durations import AT_ONCE, Range, Spread, read_spread

ANNOTATION = "muster.dev/behaviour"
LENGTHS = ("pull", "start", "ready", "task", "stop")
OF_A_POD = {f"muster.dev/{name}": name for name in LENGTHS}
PROBED_READY = Range(0.0, 0.5)


@dataclass(frozen=True, slots=True)
class Behaviour:
    pull: Spread = Range(1.0, 3.0)
    start: Spread = Range(0.2, 0.6)
    stop: Spread = Range(0.2, 1.0)
    ready: Spread | None = None  # None: at once, or PROBED_READY where there is a readiness probe
    task: Spread = Range(2.0, 6.0)  # of a task of whose command nothing is known
    missing: tuple[str, ...] = ()  # glob patterns of images that can not be pulled
    usage: usage.Use = usage.NOTHING_SAID  # what containers use, of which nothing else is said

    def ready_range(self, probed: bool) -> Spread:
        return self.ready if self.ready is not None else PROBED_READY if probed else AT_ONCE


USUAL = Behaviour()
INSTANT = Behaviour(AT_ONCE, AT_ONCE, AT_ONCE, AT_ONCE)


def from_pool(behaviour: Mapping[str, Any] | None, usual: Behaviour = USUAL) -> Behaviour:
    """From a pool's `spec.behaviour`.  What can not be read is as if it were not there: as usual."""
    if not behaviour:
        return usual
    missing = behaviour.get("missingImages")
    return replace(_with_ranges(usual, behaviour), missing=usual.missing if missing is None else tuple(missing),
                   usage=usage_of(behaviour.get("usage")).over(usual.usage))


def usage_of(said: Any) -> usage.Use:
    """From `behaviour.usage`.  What can not be read is as if it were not there."""
    if not isinstance(said, dict):
        return usage.NOTHING_SAID
    try:
        return usage.read_use({field: str(amount) for field, amount in said.items()})
    except ValueError:
        return usage.NOTHING_SAID


@lru_cache(maxsize=256)
def from_annotation(text: str, usual: Behaviour = USUAL) -> Behaviour:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return usual
    return from_pool(found, usual) if isinstance(found, dict) else usual


def of_pod(usual: Behaviour, annotations: Mapping[str, str]) -> Behaviour:
    """The node's behaviour towards a pod with these annotations."""
    own = {name: annotations[key] for key, name in OF_A_POD.items() if key in annotations}
    return _with_ranges(usual, own) if own else usual


def _with_ranges(usual: Behaviour, ranges: Mapping[str, Any]) -> Behaviour:
    read: dict[str, Spread] = {}
    for name in OF_A_POD.values():
        text = ranges.get(name)
        if isinstance(text, str):
            try:
                read[name] = read_spread(text)
            except ValueError:
                continue
    return replace(usual, **read) if read else usual  # type: ignore[arg-type]
