"""Which node each waiting pod gets: the scheduler, as one more controller.

    a pod pinned to one node    that node is looked at and no other: O(1), so a DaemonSet costs its pods
    any other pod               nodes are asked from a place of its own on, until enough of them fit (sample.py);
                                the best score wins, ties by a number made of both names
    no node fits                the reasons are counted and told; where it may, the pod preempts others

Pods that wait are decided on together, the most important first, each seeing the ones before it as placed; as
many in one look as keep it short, the others in the next.  https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from ..api.objects import Key, Obj, at, condition, name_of, namespace_of, to_time, uid_of
from ..client.mirror import Mirror
from ..control.disruptions import disrupted
from ..control.plan import Action, Bind, Delete, Patch, Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .examination import Answer, Examinations, examine
from .fit import Refusal
from .preempt import Preemption, best_preemption, may_preempt
from .sample import enough_of, sample, tie
from .score import FULL
from .snapshot import Room, Snapshot, Waiting
from .volumes import CLAIMS, CLASSES, CONFLICT, VOLUMES, VolumeNeeds, claim_names, volume_needs

# One look is worth so many examinations (some 5 us each); the pods beyond come in the next look.
LOOK, GLANCES = 4_000, 32  # how many known answers cost as much as one examination
NAME = "default-scheduler"
NOT_THIS_NODE = "node(s) didn't satisfy plugin(s) [NodeAffinity]"


@dataclass(frozen=True)
class Observed:
    waiting: list[Waiting]
    rooms: Mapping[str, Room]
    order: Sequence[str] = ()  # of the nodes; default: as in rooms
    examinations: Examinations = field(default_factory=Examinations)
    more: bool = False  # pods that wait for the next look
    volumes: Mapping[Key, VolumeNeeds] = field(default_factory=dict)  # of the pods that have claims


def plan(seen: Observed, now: float) -> Plan:
    rooms, order = dict(seen.rooms), seen.order or tuple(seen.rooms)
    actions: list[Action] = []
    examined = len(seen.waiting)
    for one in seen.waiting:
        if one.pod["spec"].get("schedulingGates"):
            actions.extend(_gated(one, now))
            continue
        volumes = seen.volumes.get(one.key)
        if volumes is not None and volumes.why_not:
            actions.extend(_nowhere(one, volumes.why_not, len(rooms), now))
            continue
        found = _ask(one, rooms, order, seen.examinations, volumes)
        examined += found.examined
        if found.fitting:
            best = _best(one, found.fitting)
            rooms[best.name] = best.with_pod(one.key, one.needs)
            actions.append(Bind(one.key, uid_of(one.pod), best.name, tell=one.pod))
        else:
            actions.extend(_no_place(one, rooms, found.refused, now))
    return Plan(actions, wake_at=now if seen.more else None, size=examined)


@dataclass(slots=True)
class _Asked:
    fitting: list[Answer]
    refused: dict[str, Refusal]
    examined: int


def _ask(one: Waiting, rooms: Mapping[str, Room], order: Sequence[str], examinations: Examinations,
         volumes: VolumeNeeds | None) -> _Asked:
    """The nodes that fit, as many as are compared, and why the others that were asked do not."""
    if one.only_on is not None:
        known: dict[str, Answer] = {}
        names: Iterable[str] = (one.only_on,) if one.only_on in rooms else ()
        enough = 1
    else:
        known = examinations.known(one.shape)
        names, enough = sample(order, uid_of(one.pod))
    fitting: list[Answer] = []
    refused: dict[str, Refusal] = {}
    examined = 0
    nominated = at(one.pod, "status.nominatedNodeName", "")
    if nominated in rooms and one.only_on is None:
        names = chain((nominated,), names)
    for name in names:
        room = rooms[name]
        answer = known.get(name)
        if answer is None or answer.room is not room:
            answer = known[name] = examine(one, room)
            examined += 1
        if answer.refusal is not None:
            refused[name] = answer.refusal
        elif volumes is not None and not volumes.allows(room.node):
            refused[name] = Refusal((CONFLICT,))
        else:
            fitting.append(answer)
            if len(fitting) == enough or name == nominated:
                break
    return _Asked(fitting, refused, examined)


def _best(one: Waiting, fitting: list[Answer]) -> Room:
    if len(fitting) == 1:
        return fitting[0].room
    scores = [answer.left for answer in fitting]
    preferred = max(answer.preferred for answer in fitting)
    if preferred:
        scores = [score + 2 * (FULL * answer.preferred // preferred)
                  for score, answer in zip(scores, fitting, strict=True)]
    unwelcome = max(answer.unwelcome for answer in fitting)
    if unwelcome:
        scores = [score - 3 * (FULL * answer.unwelcome // unwelcome)
                  for score, answer in zip(scores, fitting, strict=True)]
    if owner := one.needs.owner:
        scores = [score + 2 * FULL // (1 + answer.room.siblings.get(owner, 0))
                  for score, answer in zip(scores, fitting, strict=True)]
    highest = max(scores)
    best = [answer.room for answer, score in zip(fitting, scores, strict=True) if score == highest]
    return best[0] if len(best) == 1 else max(best, key=lambda room: tie(uid_of(one.pod), room.name))


def _no_place(one: Waiting, rooms: dict[str, Room], said: Mapping[str, Refusal], now: float) -> Iterable[Action]:
    helpful = [rooms[name] for name, why in said.items() if why.room_could_help]
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
    snapshot, examinations = Snapshot(), Examinations()

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
        now = ready[:_as_many_as_one_look_bears(ready, len(snapshot.rooms), examinations)]
        for one in now:
            snapshot.tried(one.key)  # one that is bound leaves the list; the others wait for something that helps
        volumes = {one.key: volume_needs(one.pod, mirror) for one in now if claim_names(one.pod)}
        return Observed(now, snapshot.rooms, snapshot.node_order(), examinations, more=len(ready) > len(now),
                        volumes=volumes)

    return Controller(NAME, ("nodes", "pods", CLAIMS, VOLUMES, CLASSES), wakes, observe, plan, workers=1,
                      account="kube-scheduler")


def _as_many_as_one_look_bears(ready: Sequence[Waiting], nodes: int, examinations: Examinations) -> int:
    """How many of them are decided on now: by what they may cost at most, but one at least."""
    cost, shapes = 0, set[bytes]()
    for number, one in enumerate(ready):
        if one.only_on is not None:
            cost += 2
        elif one.shape in shapes or examinations.has(one.shape):
            cost += 2 + enough_of(nodes) // GLANCES
        else:
            cost += nodes
            shapes.add(one.shape)
        if cost > LOOK and number:
            return number
    return len(ready)


def _importance(one: Waiting) -> tuple[int, str, str, str]:
    """The most important first, then the oldest."""
    return (-one.needs.priority, one.pod["metadata"].get("creationTimestamp", ""),
            namespace_of(one.pod), name_of(one.pod))


