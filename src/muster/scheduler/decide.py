"""Which node each waiting pod gets: the scheduler, as one more controller.

    a pod pinned to one node    that node is looked at and no other: O(1), so a DaemonSet costs its pods
    any other pod               every node is asked; the best score wins, ties by a number made of both names
    no node fits                the reasons are counted and told; where it may, the pod preempts others

All pods that wait are decided on in one look, the most important first, each seeing the ones before it as
placed.  https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from ..api.objects import Key, Obj, at, condition, name_of, namespace_of, to_time, uid_of
from ..client.mirror import Mirror
from ..control.disruptions import disrupted
from ..control.plan import Action, Bind, Delete, Patch, Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .fit import Refusal, refusal
from .preempt import Preemption, best_preemption, may_preempt
from .score import score
from .snapshot import Room, Snapshot, Waiting
from .volumes import CLAIMS, CLASSES, CONFLICT, VOLUMES, VolumeNeeds, claim_names, volume_needs

AT_ONCE = 2_000  # pods decided on in one look; the rest come in the next
NAME = "default-scheduler"
NOT_THIS_NODE = "node(s) didn't satisfy plugin(s) [NodeAffinity]"


@dataclass(frozen=True)
class Observed:
    waiting: list[Waiting]
    rooms: Mapping[str, Room]
    more: bool = False  # pods that wait for the next look
    volumes: Mapping[Key, VolumeNeeds] = field(default_factory=dict)  # of the pods that have claims


def plan(seen: Observed, now: float) -> Plan:
    rooms = dict(seen.rooms)
    actions: list[Action] = []
    looked_at = len(seen.waiting)
    for one in seen.waiting:
        if one.pod["spec"].get("schedulingGates"):
            actions.extend(_gated(one, now))
            continue
        volumes = seen.volumes.get(one.key)
        if volumes is not None and volumes.why_not:
            actions.extend(_nowhere(one, volumes.why_not, len(rooms), now))
            continue
        candidates = _candidates(one, rooms)
        looked_at += len(candidates)
        refusals = {room.name: refusal(one.pod, one.needs, room) for room in candidates}
        if volumes is not None:
            refusals = {room.name: refusals[room.name] or (None if volumes.allows(room.node) else Refusal((CONFLICT,)))
                        for room in candidates}
        best = _best(one, [room for room in candidates if refusals[room.name] is None])
        if best is not None:
            rooms[best.name] = best.with_pod(one.key, one.needs)
            actions.append(Bind(one.key, uid_of(one.pod), best.name, tell=one.pod))
        else:
            actions.extend(_no_place(one, rooms, candidates, refusals, now))
    return Plan(actions, wake_at=now if seen.more else None, size=looked_at)


def _candidates(one: Waiting, rooms: Mapping[str, Room]) -> list[Room]:
    if one.only_on is None:
        return list(rooms.values())
    return [rooms[one.only_on]] if one.only_on in rooms else []


def _best(one: Waiting, rooms: list[Room]) -> Room | None:
    if len(rooms) <= 1:
        return rooms[0] if rooms else None
    nominated = at(one.pod, "status.nominatedNodeName")
    for room in rooms:
        if room.name == nominated:
            return room
    return max(rooms, key=lambda room: (score(one.pod, one.needs, room),
                                        crc32(f"{uid_of(one.pod)}/{room.name}".encode())))


def _no_place(one: Waiting, rooms: dict[str, Room], candidates: list[Room],
              refusals: Mapping[str, Refusal | None], now: float) -> Iterable[Action]:
    said = {name: why for name, why in refusals.items() if why is not None}
    helpful = [room for room in candidates if said[room.name].room_could_help]
    found: Preemption | None = None
    if helpful and may_preempt(one.pod) and not _waits_for_victims(one, rooms):
        found = best_preemption(one.pod, one.needs, helpful)
    message = failure(len(rooms), said, preempting=found is not None, may=may_preempt(one.pod))
    if found is not None:
        for key, taken in found.victims:
            yield Delete(key, taken.uid, first=disrupted(
                key, taken.uid, "PreemptionByScheduler", f"{NAME}: preempting to accommodate a higher priority pod",
                now))
            victim = {"apiVersion": "v1", "kind": "Pod",
                      "metadata": {"name": key.name, "namespace": key.namespace, "uid": taken.uid}}
            yield Tell(victim, "Normal", "Preempted", f"Preempted by pod {uid_of(one.pod)} on node {found.node}")
    yield from _told(one, message, now, {"nominatedNodeName": found.node} if found is not None else {})


def _nowhere(one: Waiting, why: str, total: int, now: float) -> Iterable[Action]:
    """No node will do, whatever it is like."""
    text = f"0/{total} nodes are available"
    message = f"{text}: {why}. preemption: {text}: {total} Preemption is not helpful for scheduling."
    yield from _told(one, message, now, {})


def _told(one: Waiting, message: str, now: float, nominated: Obj) -> Iterable[Action]:
    old = condition(one.pod, "PodScheduled")
    if old is None or old.get("message") != message or nominated:
        yield _unscheduled(one, "Unschedulable", message, now, nominated)
        yield Tell(one.pod, "Warning", "FailedScheduling", message)


def _waits_for_victims(one: Waiting, rooms: Mapping[str, Room]) -> bool:
    """True while pods that it preempted are still on their way out."""
    room = rooms.get(at(one.pod, "status.nominatedNodeName", ""))
    return room is not None and any(pod.leaving and pod.priority < one.needs.priority for pod in room.pods.values())


def failure(total: int, said: Mapping[str, Refusal], *, preempting: bool, may: bool) -> str:
    """The message of a FailedScheduling event, as `kubectl describe pod` shows it."""
    if total == 0:
        return "no nodes available to schedule pods"
    reasons = Counter(reason for why in said.values() for reason in why.reasons)
    if len(said) < total:
        reasons[NOT_THIS_NODE] += total - len(said)
    counted = sorted(f"{count} {reason}" for reason, count in reasons.items())
    text = f"0/{total} nodes are available: {', '.join(counted)}"
    if preempting:
        return text + "."
    if not may:
        return f"{text}. preemption: not eligible due to preemptionPolicy=Never."
    in_vain = sum(why.room_could_help for why in said.values())
    verdicts = [f"{total - in_vain} Preemption is not helpful for scheduling" if in_vain < total else "",
                f"{in_vain} No preemption victims found for incoming pod" if in_vain else ""]
    shown = ", ".join(sorted(verdict for verdict in verdicts if verdict))
    return f"{text}. preemption: 0/{total} nodes are available: {shown}."


def _gated(one: Waiting, now: float) -> Iterable[Action]:
    if (condition(one.pod, "PodScheduled") or {}).get("reason") != "SchedulingGated":
        yield _unscheduled(one, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", now, {})


def _unscheduled(one: Waiting, reason: str, message: str, now: float, more: Obj) -> Patch:
    return Patch(one.key, uid_of(one.pod), {"status": {**more, "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": reason, "message": message,
        "lastProbeTime": None, "lastTransitionTime": to_time(now)}]}}, how="strategic", subresource="status")


def scheduler() -> Controller:
    """A scheduler with a snapshot of its own."""
    snapshot = Snapshot()

    def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
        if change.key.resource in ("nodes", "pods"):
            if snapshot.apply(change):
                yield NAME
        elif snapshot.try_those_with_claims():
            yield NAME

    def observe(mirror: Mirror, key: str) -> Observed | None:
        ready = sorted(snapshot.ready(), key=_importance)
        if not ready:
            return None
        for one in ready[:AT_ONCE]:
            snapshot.tried(one.key)  # one that is bound leaves the list; the others wait for something that helps
        volumes = {one.key: volume_needs(one.pod, mirror) for one in ready[:AT_ONCE] if claim_names(one.pod)}
        return Observed(ready[:AT_ONCE], snapshot.rooms, more=len(ready) > AT_ONCE, volumes=volumes)

    return Controller(NAME, ("nodes", "pods", CLAIMS, VOLUMES, CLASSES), wakes, observe, plan, workers=1,
                      account="kube-scheduler")


def _importance(one: Waiting) -> tuple[int, str, str, str]:
    """The most important first, then the oldest."""
    return (-one.needs.priority, one.pod["metadata"].get("creationTimestamp", ""),
            namespace_of(one.pod), name_of(one.pod))


