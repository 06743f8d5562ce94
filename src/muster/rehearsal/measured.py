"""How long things took on a recorded cluster: what `--pull measured` and the others draw from.

    pull    events "Pulled": Successfully pulled image "x" in 12.3s
    start   from "Pulled" to "Started" of one container, where both were kept; times there are whole seconds
    ready   from a container's start to the pod's Ready, of pods that never restarted
    task    from start to finish of containers of Jobs that ended well
    stop    is told by nothing that a dump holds: give it a length
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..api.durations import parse_duration
from ..api.errors import BadRequest
from ..api.objects import Obj, at, condition, controller_of, from_time, is_true
from ..node.durations import Sample
from .snapshot import Snapshot

MOST = 10_000  # of each length
_PULLED = re.compile(r"Successfully pulled image .* in ([0-9hmsµ.]*s)(?=[ .]|$)")
_SOURCES = {"pull": 'events "Pulled" (add events to the dump)',
            "start": 'events "Pulled" and "Started" of one container (add events to the dump)',
            "ready": "running pods with a Ready condition", "task": "pods of Jobs that succeeded",
            "stop": "anything that says how long pods took to stop"}


def measured(name: str, snapshot: Snapshot) -> Sample:
    """Raises BadRequest where the snapshot says nothing about it."""
    found = {"pull": _pulls, "start": _starts, "ready": _readies, "task": _tasks, "stop": _stops}[name](snapshot)
    lengths = tuple(sorted(found)[:MOST])
    if not lengths:
        raise BadRequest(f"--{name} measured: the snapshot holds no {_SOURCES[name]}; "
                         f"say a length, such as --{name} 20s")
    return Sample(lengths)


def _pulls(snapshot: Snapshot) -> Iterable[float]:
    for event in snapshot.events:
        if event.get("reason") != "Pulled":
            continue
        found = _PULLED.search(event.get("message") or "")
        if found is not None:
            try:
                yield parse_duration(found[1])
            except ValueError:
                continue


def _starts(snapshot: Snapshot) -> Iterable[float]:
    pulled: dict[tuple[str, str], float] = {}
    ordered = sorted((one for one in snapshot.events if one.get("reason") in ("Pulled", "Started") and _at(one)),
                     key=lambda one: (_at(one), one["reason"] == "Started"))
    for event in ordered:
        about = event.get("involvedObject") or {}
        place = about.get("uid", ""), about.get("fieldPath", "")
        if event["reason"] == "Pulled":
            pulled[place] = _at(event)
        elif place in pulled:
            yield max(0.0, _at(event) - pulled.pop(place))


def _at(event: Obj) -> float:
    told = event.get("firstTimestamp") or event.get("eventTime")
    return from_time(told) if told else 0.0


def _readies(snapshot: Snapshot) -> Iterable[float]:
    for pod in snapshot.of_kind("Pod"):
        told: Sequence[Obj] = at(pod, "status.containerStatuses", ())
        began = [at(one, "state.running.startedAt") for one in told]
        if not is_true(pod, "Ready") or not told or not all(began) or any(one.get("restartCount") for one in told):
            continue
        ready = (condition(pod, "Ready") or {}).get("lastTransitionTime")
        if ready:
            yield max(0.0, from_time(ready) - max(from_time(one) for one in began))


def _tasks(snapshot: Snapshot) -> Iterable[float]:
    for pod in snapshot.of_kind("Pod"):
        if (controller_of(pod) or {}).get("kind") != "Job":
            continue
        for told in at(pod, "status.containerStatuses", ()):
            ended = at(told, "state.terminated", {})
            if ended.get("exitCode") == 0 and ended.get("startedAt") and ended.get("finishedAt"):
                yield max(0.0, from_time(ended["finishedAt"]) - from_time(ended["startedAt"]))


def _stops(snapshot: Snapshot) -> Iterable[float]:
    return ()
