"""What is the matter with a node: its conditions and taints, what each DaemonSet makes of it, who is there and not
well, and which of the pods that wait it refuses, by the same functions that decide on them.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..api.objects import Key, Obj, at, condition, is_deleting, is_true, name_of
from ..api.pod_claims import claims_of
from ..api.tables import since
from ..scheduler.barrier import barrier
from ..scheduler.obstacle import NODE, Case
from ..scheduler.snapshot import DEFAULT_SCHEDULER, FINISHED, waiting_of
from ..scheduler.volumes import NONE, volume_needs
from .answer import Answer, counted, largest_first
from .daemonset import RESOURCE, fit_answer
from .placing import refused
from .pod import pod_answer
from .scene import Scene

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
WELL = ("ready", "succeeded")
MOST_WAITING = 2_000  # pods asked about; what a thousand alike are told is the same


def node_answer(node: Obj, scene: Scene) -> Answer:
    name, now = name_of(node), scene.now
    pods = {key: pod for key, pod in scene.mirror.on_node(name).items() if at(pod, "status.phase") not in FINISHED}
    told = (pod_answer(pod, scene) for _, pod in sorted(pods.items()))
    unwell = [one for one in told if one.state not in WELL]
    sets = [fit_answer(one, node) for _, one in sorted(scene.objects(RESOURCE).items()) if not is_deleting(one)]
    waiting = list(_waiting(node, scene))
    verdict, change = _state(node, now)
    notes = list(_notes(node, len(pods), len(unwell)))
    parts = [Answer("DaemonSets", f"{len(sets)}", parts=sets)] if sets else []
    if unwell:
        parts.append(Answer("pods there that are not well", f"{len(unwell)} of {len(pods)}",
                            parts=largest_first(unwell)))
    if waiting:
        against = sum(one.state != "takes" for one in waiting)
        parts.append(Answer("pods that wait for a node", f"{against} of {len(waiting)} are refused here",
                            parts=largest_first(waiting)))
    state = "ready" if is_true(node, "Ready") else "not ready"
    return Answer(f"node {name}", verdict, change, parts, notes, state=state)


def _state(node: Obj, now: float) -> tuple[str, str]:
    ready, name = condition(node, "Ready"), name_of(node)
    if ready is None:
        return "it has not said yet how it is: its agent has not registered", "start its agent"
    long = since(ready.get("lastTransitionTime"), now)
    if ready["status"] == "Unknown":
        return (f"its agent has been silent for {long} (last heard of: {ready.get('lastHeartbeatTime', 'never')})",
                "look at the machine, or take the node away: `kubectl delete node " + name + "`")
    if ready["status"] != "True":
        return f"not ready for {long}: {ready.get('message') or ready.get('reason') or 'it does not say why'}", ""
    if at(node, "spec.unschedulable", False):
        return f"ready for {long}, but cordoned: no pod is placed there", f"`kubectl uncordon {name}`"
    pressed = [type_ for type_ in PRESSURES if is_true(node, type_)]
    if pressed:
        return f"ready for {long}, but in trouble: {', '.join(pressed)}", "end what uses it up, or move pods away"
    return f"ready for {long}", ""


def _notes(node: Obj, pods: int, unwell: int) -> Iterable[str]:
    is_silent = (condition(node, "Ready") or {}).get("status") == "Unknown"  # then all of its conditions are
    for one in at(node, "status.conditions", ()):
        if one["type"] in PRESSURES and one["status"] != "False" and not is_silent:
            yield f"condition {one['type']} is {one['status']}: {one.get('message') or one.get('reason') or ''}"
    for taint in at(node, "spec.taints", ()):
        value = f"={taint['value']}" if taint.get("value") else ""
        yield f"taint {taint['key']}{value}:{taint['effect']}"
    most = at(node, "status.allocatable", {}).get("pods", "?")
    unwell_too = f"; {unwell} of them not well" if unwell else ""
    yield f"{counted(pods, 'pod', 'is', 'are')} there, of {most} at most{unwell_too}"


def _waiting(node: Obj, scene: Scene) -> Iterable[Answer]:
    """Pods without a node that this one could be for."""
    name = name_of(node)
    asked = 0
    for key, pod in sorted(scene.mirror.on_node("").items()):
        spec = pod["spec"]
        if is_deleting(pod) or at(pod, "status.phase") in FINISHED or spec.get("schedulingGates") \
                or (spec.get("schedulerName") or DEFAULT_SCHEDULER) != DEFAULT_SCHEDULER:
            continue
        one = waiting_of(Key("pods", key.namespace, key.name), pod)
        if one.only_on not in (None, name):
            continue
        if (asked := asked + 1) > MOST_WAITING:
            break
        about = f"pod {key.namespace}/{key.name}"
        volumes = volume_needs(pod, scene.mirror) if claims_of(pod) else NONE
        if volumes.why_not:
            yield Answer(about, volumes.why_not, state="unschedulable")
            continue
        found = barrier(Case(pod, one.needs, scene.world.room_for(one, name)), scene.around, volumes)
        yield Answer(about, "this node would take it", state="takes") if found is None else \
            _named(refused(about, found), name)


def _named(answer: Answer, node: str) -> Answer:
    notes = [one.replace(NODE, node) for one in answer.notes]
    return replace(answer, verdict=answer.verdict.replace(NODE, node), notes=notes)
