"""Which node each waiting pod gets: the scheduler's decision, a function of what it sees.

    a pod pinned to one node    that node is asked and no other: O(1), so a DaemonSet costs its pods
    any other pod               nodes are asked until enough of them fit, and the best is taken (choice.py)
    no node fits                the reasons are counted and told; where it may, the pod preempts others

Pods are decided on the most important first, each seeing the ones before it as placed, until the look has cost
enough; the others come in the next.  https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.objects import Key, Obj, annotations_of, at, condition, to_time, uid_of
from ..control.disruptions import disrupted
from ..control.plan import Action, Bind, Delete, Patch, Tell
from .barrier import remembering, smallest
from .choice import Asked, Nominated, World, ask, best
from .examination import Examinations
from .fit import Refusal
from .images import Images
from .preempt import Budget, Preemption, best_preemption, may_preempt, waits_for_victims
from .snapshot import Room, Waiting
from .tallies import Tallies
from .topology import Surroundings
from .volumes import PLUGIN, VolumeNeeds
from .words import NEVER, VICTIMS_ARE_LEAVING, failure, nowhere

# One look is worth so many examinations (some 5 us each); a known answer and a node's place among others cost less.
LOOK, GLANCES, OF_OTHERS, TRIAL = 4_000, 32, 4, 20
NAME = "default-scheduler"
HELP_ANNOTATION = "muster.dev/would-help"  # "false" on a pod: it is told what upstream tells, and nothing else


@dataclass(frozen=True)
class Observed:
    waiting: Sequence[Waiting]
    rooms: Mapping[str, Room]
    order: Sequence[str] = ()  # of the nodes; default: as in rooms
    tallies: Tallies = field(default_factory=Tallies)
    images: Images = field(default_factory=Images)
    examinations: Examinations = field(default_factory=Examinations)
    nominated: Nominated = field(default_factory=dict)
    volumes: Mapping[Key, VolumeNeeds] = field(default_factory=dict)  # of the pods that have claims
    budgets: Sequence[Budget] = ()
    lowest_priority: int | None = None  # of all pods on nodes; None: not known


@dataclass(slots=True)
class Decision:
    actions: list[Action] = field(default_factory=list)
    bound: list[Key] = field(default_factory=list)
    refused: dict[Key, set[str]] = field(default_factory=dict)  # by which plugins
    binding_volumes: dict[Key, str] = field(default_factory=dict)  # the node that they will go to
    undone: list[Waiting] = field(default_factory=list)  # not come to
    size: int = 0  # nodes examined, and pods


def decide(seen: Observed, now: float) -> Decision:
    world = World.of(seen.rooms, seen.order, tallies=seen.tallies, images=seen.images, examinations=seen.examinations,
                     nominated=seen.nominated)
    done, cost = Decision(), 0
    for number, one in enumerate(seen.waiting):
        if cost >= LOOK:
            done.undone.extend(seen.waiting[number:])
            break
        cost += 2 + _one(one, world, seen, now, done)
    return done


def _one(one: Waiting, world: World, seen: Observed, now: float, done: Decision) -> int:
    """Decides on one pod; returns what that has cost."""
    done.size += 1
    volumes = seen.volumes.get(one.key)
    if volumes is not None and volumes.why_not:
        done.refused[one.key] = {PLUGIN}
        done.actions.extend(_told(one, nowhere(len(world.rooms), volumes.why_not), now, {}))
        return 0
    around = Surroundings(one.needs.wishes, world.draft)
    found = ask(one, world, around, volumes)
    done.size += found.examined
    cost = found.examined + found.glanced // (OF_OTHERS if around.matters else GLANCES)
    if not found.fitting:
        done.refused[one.key] = {why.plugin for why in found.refused.values()} or {"NodeAffinity"}
        return cost + _no_place(one, world, seen, found, volumes, now, done)
    node = best(one, found.fitting, world, around)
    if volumes is not None and volumes.unbound:
        done.actions.extend(volumes.bind_on(world.room(node).node))
        done.binding_volumes[one.key] = node
        world.keep_room(one, node)
    else:
        done.actions.append(Bind(one.key, uid_of(one.pod), node, tell=one.pod))
        done.bound.append(one.key)
        world.place(one, node)
    return cost


def _no_place(one: Waiting, world: World, seen: Observed, asked: Asked, volumes: VolumeNeeds | None, now: float,
              done: Decision) -> int:
    said, total, cost = asked.refused, len(world.rooms), 0
    found: Preemption | None = None
    not_eligible = "" if may_preempt(one.pod) else NEVER
    if not not_eligible and waits_for_victims(one, world):
        not_eligible = VICTIMS_ARE_LEAVING
    if not not_eligible and (seen.lowest_priority is None or seen.lowest_priority < one.needs.priority):
        found = best_preemption(one, world, said, volumes, seen.budgets)
        cost = TRIAL * min(len(said), 100)
    message = failure(total, said, preempting=found is not None, not_eligible=not_eligible)
    if found is not None:
        done.actions.extend(_preempted(one, found, world, now))
        for key, _ in found.victims:
            world.take_away(key, found.node)
        world.keep_room(one, found.node)
        nominated: Obj = {"nominatedNodeName": found.node}
    else:
        nominated = {"nominatedNodeName": None} if at(one.pod, "status.nominatedNodeName") and not not_eligible else {}
        if nominated:
            world.release(one)
    done.actions.extend(_told(one, message, now, nominated))
    if found is None and not_eligible != VICTIMS_ARE_LEAVING and _is_news(one, message):
        done.actions.extend(_helped(one, world, said, volumes))
        cost += len(said) // GLANCES
    return cost


def _helped(one: Waiting, world: World, said: Mapping[str, Refusal], volumes: VolumeNeeds | None) -> Iterable[Action]:
    if annotations_of(one.pod).get(HELP_ANNOTATION) == "false":
        return
    would_help = smallest(one, lambda name: world.room_for(one, name), said,
                          remembering(lambda wishes: Surroundings(wishes, world.draft)), volumes)
    if would_help:
        yield Tell(one.pod, "Normal", "WouldHelp", would_help)


def _preempted(one: Waiting, found: Preemption, world: World, now: float) -> Iterable[Action]:
    for key, taken in found.victims:
        yield Delete(key, taken.uid, first=disrupted(
            key, taken.uid, "PreemptionByScheduler", f"{NAME}: preempting to accommodate a higher priority pod", now))
        victim = {"apiVersion": "v1", "kind": "Pod",
                  "metadata": {"name": key.name, "namespace": key.namespace, "uid": taken.uid}}
        yield Tell(victim, "Normal", "Preempted", f"Preempted by pod {uid_of(one.pod)} on node {found.node}")
    for key, other in world.nominated.get(found.node, {}).items():  # they may fit elsewhere now, and not here
        if other.needs.priority < one.needs.priority:
            yield Patch(key, uid_of(other.pod), {"status": {"nominatedNodeName": None}}, how="strategic",
                        subresource="status")


def _told(one: Waiting, message: str, now: float, nominated: Obj) -> Iterable[Action]:
    if nominated or _is_news(one, message):
        yield Patch(one.key, uid_of(one.pod), {"status": {**nominated, "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": None, "lastTransitionTime": to_time(now)}]}}, how="strategic", subresource="status")
    yield Tell(one.pod, "Warning", "FailedScheduling", message)


def _is_news(one: Waiting, message: str) -> bool:
    """Has the pod not been told this the last time?"""
    old = condition(one.pod, "PodScheduled")
    return old is None or old.get("message") != message
