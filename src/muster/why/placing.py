"""A pod without a node: what every node says to it, what would change that, and what preempting others would take.

The scheduler asks the same questions (scheduler/fit.py, topology.py, volumes.py, preempt.py) and samples in large
clusters; here every node is asked.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

from ..api.objects import Key, Obj, annotations_of, at, condition, is_deleting, name_of, namespace_of
from ..api.pod_claims import claims_of, mismatch
from ..api.storage import SELECTED_NODE, suits
from ..scheduler.barrier import Barrier, barrier, likeness
from ..scheduler.fit import Refusal
from ..scheduler.obstacle import Case
from ..scheduler.preempt import Preemption, best_preemption, may_preempt
from ..scheduler.snapshot import DEFAULT_SCHEDULER, Waiting, waiting_of
from ..scheduler.volumes import CLAIMS, CLASSES, NONE, VOLUMES, VolumeNeeds, volume_needs
from .answer import NAMED, Answer, names
from .scene import Scene

HIGHEST = (1 << 31) - 1


def unplaced(about: str, pod: Obj, scene: Scene) -> Answer:
    spec, space, name = pod["spec"], namespace_of(pod), name_of(pod)
    if gates := [gate["name"] for gate in spec.get("schedulingGates") or ()]:
        return Answer(about, f"it is gated: no node is looked for while it has the scheduling gates {', '.join(gates)}",
                      "whoever set them has to take them off; by hand: `kubectl patch pod "
                      f"-n {space} {name} --type json -p '[{{\"op\":\"remove\",\"path\":\"/spec/schedulingGates\"}}]'`",
                      state="gated")
    scheduler = spec.get("schedulerName") or DEFAULT_SCHEDULER
    if scheduler != DEFAULT_SCHEDULER:
        said = (condition(pod, "PodScheduled") or {}).get("message")
        return Answer(about, f'it is for the scheduler "{scheduler}", '
                      + (f"which says: {said}" if said else "which has said nothing about it"),
                      f'run that scheduler, or leave schedulerName out (it is then for "{DEFAULT_SCHEDULER}")',
                      state="foreign scheduler")
    volumes = volume_needs(pod, scene.mirror) if claims_of(pod) else NONE
    if volumes.why_not:
        verdict, change = _claims(pod, scene, volumes)
        return Answer(about, f"unschedulable: {verdict}", change, state="unschedulable")
    if not scene.world.rooms:
        return Answer(about, "unschedulable: there are no nodes", "add one", state="unschedulable")
    one = waiting_of(Key("pods", space, name), pod)
    if volumes is not NONE:
        return _asked(about, one, scene, volumes)
    alike = (one.shape, one.needs.wishes, one.only_on, one.needs.priority, one.nominated, may_preempt(pod),
             condition(pod, "PodScheduled") is None)
    if alike not in scene.answered:  # a thousand pods of one template are answered alike
        scene.answered[alike] = _asked(about, one, scene, volumes)
    return replace(scene.answered[alike], about=about)


# ------------------------------------------------------------------ every node

def barriers(one: Waiting, scene: Scene, volumes: VolumeNeeds = NONE) -> dict[str, Barrier | None]:
    """What keeps the pod off each node, in order of name; for a pod that is pinned only that one is asked."""
    world = scene.world
    asked = sorted(world.rooms) if one.only_on is None else [name for name in (one.only_on,) if name in world.rooms]
    likeness_of = likeness(one, scene.around(one.needs.wishes)) if volumes is NONE else None
    known: dict[Hashable, Barrier | None] = {}
    found: dict[str, Barrier | None] = {}
    for name in asked:
        room = world.room_for(one, name)
        like = likeness_of(room) if likeness_of is not None else None
        if like is None or like not in known:
            found[name] = barrier(Case(one.pod, one.needs, room), scene.around, volumes)
            if like is not None:
                known[like] = found[name]
        else:
            found[name] = known[like]
    return found


def refused(name: str, found: Barrier) -> Answer:
    """All that is in the way, one by one."""
    obstacles = [{"plugin": one.refusal.plugin, "reasons": list(one.refusal.reasons), "found": one.found,
                  **({"change": one.change} if one.change else {}), **({"instead": one.instead} if one.instead else {})}
                 for one in found.obstacles]
    first, *others = (one.says for one in found.obstacles)
    return Answer(name, first, notes=[f"and {each}" for each in others], found=obstacles, state="refused",
                  roughly=", ".join(reason for one in found.obstacles for reason in one.refusal.reasons))


def _asked(about: str, one: Waiting, scene: Scene, volumes: VolumeNeeds) -> Answer:
    found = barriers(one, scene, volumes)
    total = len(scene.world.rooms)
    if one.only_on is not None and not found:
        return Answer(about, f"unschedulable: it is for node {one.only_on} alone, which is not there",
                      state="unschedulable")
    fits = [name for name, there in found.items() if there is None]
    against = sorted(((name, there) for name, there in found.items() if there is not None),
                     key=lambda item: (not item[1].can_be_lifted, item[1].cost, item[1].says, item[0]))
    told = {id(there): refused("", there) for _, there in against}  # nodes that are alike have one barrier
    parts = [replace(told[id(there)], about=name) for name, there in against]
    if waits := _nominated(one, scene):
        return Answer(about, waits, parts=parts, state="nominated")
    if fits:
        return _fits(about, one, volumes, fits, total, parts)
    said = {name: there.obstacles[0].refusal for name, there in against}
    notes = [_preempting(one, scene, volumes, said)]
    if one.only_on is not None:
        return Answer(about, "unschedulable: the one node that it is for does not take it", notes=notes, parts=parts,
                      state="unschedulable")
    none = "the one node does not take it" if total == 1 else f"none of {total:,} nodes takes it"
    return Answer(about, f"unschedulable: {none}", notes=notes, parts=parts, state="unschedulable")


def _fits(about: str, one: Waiting, volumes: VolumeNeeds, fits: list[str], total: int,
          parts: list[Answer]) -> Answer:
    takes = f"{names(fits)} of {total:,} nodes would take it"
    taking = [Answer(name, "takes it", state="takes") for name in fits]
    if volumes.unbound:
        told = volumes.selected
        claims = ", ".join(name_of(each.claim) for each in volumes.unbound)
        where = f"; they were told of node {told}" if told else ""
        return Answer(about, f"it waits for its claims to be bound: {claims}{where}", parts=[*taking, *parts],
                      state="waiting")
    said = condition(one.pod, "PodScheduled")
    before = " (it was refused before; what it was told then is over)" if said is not None else ""
    return Answer(about, f"it waits for the scheduler's next look: {takes}{before}", parts=[*taking, *parts],
                  state="waiting")


def _nominated(one: Waiting, scene: Scene) -> str:
    """It has preempted others, which are still there."""
    room = scene.world.rooms.get(one.nominated)
    if room is None:
        return ""
    leaving = [key for key, pod in room.pods.items() if pod.leaving and pod.priority < one.needs.priority]
    if not leaving:
        return ""
    whom = names([f"{key.namespace}/{key.name}" for key in sorted(leaving)])
    return f"room is made for it on {one.nominated}: it waits for {whom} to end"


# ------------------------------------------------------------------ preemption

def _preempting(one: Waiting, scene: Scene, volumes: VolumeNeeds, said: Mapping[str, Refusal]) -> str:
    if not any(why.room_could_help for why in said.values()):
        return "preemption: pods of lower priority that left would not help"
    if may_preempt(one.pod):
        found = best_preemption(one, scene.world, said, volumes, scene.budgets)
        if found is not None:
            return f"preemption: it may take the place of {_victims(found)}, and will at its next try"
    most = replace(one, needs=replace(one.needs, priority=HIGHEST))
    found = best_preemption(most, scene.world, said, volumes, scene.budgets)
    if found is None:
        return "preemption: no priority would help, for even with all other pods gone no node has the room"
    needed = max(taken.priority for _, taken in found.victims)
    if not may_preempt(one.pod) and needed < one.needs.priority:
        return f"preemption: its preemptionPolicy is Never; else it could take the place of {_victims(found)}"
    return (f"preemption: its priority is {one.needs.priority}; with one above {needed} it could take the place of "
            f"{_victims(found)}")


def _victims(found: Preemption) -> str:
    pods = sorted(f"{key.namespace}/{key.name}" for key, _ in found.victims)
    broken = f" (against {found.broken} disruption budgets)" if found.broken else ""
    return f"{names(pods)} on {found.node}{broken}"


# ------------------------------------------------------------------ claims

def _claims(pod: Obj, scene: Scene, volumes: VolumeNeeds) -> tuple[str, str]:
    """What is wrong with the claim that stands in the way, and what would help it."""
    space = namespace_of(pod)
    for name, is_own in claims_of(pod):
        claim = scene.mirror.get(Key(CLAIMS, space, name))
        if claim is None and is_own:
            return volumes.why_not, ""
        if claim is not None and is_own and mismatch(pod, claim):
            return volumes.why_not, f"delete the claim {name}, or name the pod or its volume otherwise"
        if claim is None:
            return volumes.why_not, f"make the PersistentVolumeClaim {name} in namespace {space}"
        if is_deleting(claim):
            return volumes.why_not, f"make {name} anew once it is gone (pods that use it hold it)"
        phase = at(claim, "status.phase")
        if phase == "Lost":
            return volumes.why_not, f"delete the claim {name} and make it anew: what was on the volume is lost"
        if phase != "Bound" and (found := _unbound(claim, scene)):
            return found
    return volumes.why_not, ""


def _unbound(claim: Obj, scene: Scene) -> tuple[str, str] | None:
    """None: it waits for its pod, and is not what is in the way."""
    name, class_name = name_of(claim), at(claim, "spec.storageClassName", "")
    class_ = scene.objects(CLASSES).get(("", class_name))
    if class_ is not None and class_.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    size = at(claim, "spec.resources.requests", {}).get("storage", "")
    if any(suits(volume, claim) for volume in scene.objects(VOLUMES).values()):
        return f"claim {name} is about to be bound to a volume that suits it", ""
    make = f"make a PersistentVolume of {size} with the access modes {', '.join(at(claim, 'spec.accessModes', ()))}"
    if not class_name:
        return f"claim {name} names no storage class, and no volume without one suits it", make
    if class_ is None:
        known = sorted(each for _, each in scene.objects(CLASSES))
        there = f" (there are {', '.join(known[:NAMED + 1])})" if known else ""
        return (f'claim {name} is of storage class "{class_name}", which is not there{there}',
                f'make that class, or {make} and storageClassName "{class_name}"')
    last = scene.last_warning(claim)
    told = annotations_of(claim).get(SELECTED_NODE, "")
    where = f" for node {told}" if told else ""
    said = f": {last}" if last else ""
    return f'claim {name} waits for {class_.get("provisioner", "")} to make its volume{where}{said}', ""
