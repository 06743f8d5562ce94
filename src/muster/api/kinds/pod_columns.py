"""What `kubectl get pods` prints, above all the STATUS: one word that sums up a pod's whole state.

The word starts as the phase (or the reason given with it), gives way to the first init container that is
not done, or else to the last container that waits or has ended, and to Terminating at the end.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
https://kubernetes.io/docs/tasks/debug/debug-application/debug-init-containers/#understanding-pod-status
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..objects import Obj, is_deleting, is_true
from ..tables import AGE, NAME, NONE, since
from .kind import Column

NODE_LOST = "NodeLost"  # status.reason of a pod whose node does not answer any more


class Summary(NamedTuple):
    status: str
    ready: int
    containers: int  # of those that count: init containers only where they keep running
    restarts: int
    last_restart: str  # RFC 3339, "" where none is known


def summary(pod: Obj) -> Summary:
    """READY, STATUS and RESTARTS, from one look at the pod."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    init = {one.get("name"): one for one in spec.get("initContainers") or ()}
    sidecars = {name for name, one in init.items() if one.get("restartPolicy") == "Always"}
    containers = len(spec.get("containers") or ()) + len(sidecars)
    init_states = status.get("initContainerStatuses") or ()
    waiting_for, ready, seen = _initialization(init_states, sidecars, len(spec.get("initContainers") or ()))
    states = status.get("containerStatuses") or ()

    word = waiting_for or _phase(status)
    if waiting_for is None or is_true(pod, "Initialized"):
        sidecar_states = [one for one in init_states[:seen] if one.get("name") in sidecars]
        counted: Iterable[Obj] = [*sidecar_states, *states]
        word, running = _main(word, states)
        ready += running
        if word == "Completed" and running:
            word = "Running" if is_true(pod, "Ready") else "NotReady"
    else:
        counted = init_states[:seen]
    if is_deleting(pod):
        if status.get("reason") == NODE_LOST:
            word = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            word = "Terminating"
    restarts, last = _restarts(counted)
    return Summary(word, ready, containers, restarts, last)


def _phase(status: Obj) -> str:
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("reason") == "SchedulingGated":
            return "SchedulingGated"
    return status.get("reason") or status.get("phase") or "Unknown"


def _initialization(states: list[Obj] | tuple[()], sidecars: set[str], total: int) -> tuple[str | None, int, int]:
    """What the pod still waits for (None: nothing), sidecars that are ready, and how many were looked at."""
    ready = 0
    for index, one in enumerate(states):
        state = one.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and not ended.get("exitCode"):
            continue
        if one.get("name") in sidecars and one.get("started"):
            ready += bool(one.get("ready"))
            continue
        if ended is not None:
            return f"Init:{_ending(ended)}", ready, index + 1
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", ready, index + 1
        return f"Init:{index}/{total}", ready, index + 1
    return None, ready, len(states)


def _main(word: str, states: Iterable[Obj]) -> tuple[str, int]:
    """The word once init containers are done (that of the first container wins), and how many are ready."""
    running = 0
    for one in reversed(list(states)):
        state = one.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if waiting.get("reason"):
            word = waiting["reason"]
        elif ended is not None:
            word = _ending(ended)
        elif one.get("ready") and state.get("running") is not None:
            running += 1
    return word, running


def _ending(ended: Obj) -> str:
    if ended.get("reason"):
        return ended["reason"]
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _restarts(states: Iterable[Obj]) -> tuple[int, str]:
    count, last = 0, ""
    for one in states:
        count += one.get("restartCount") or 0
        ended = (one.get("lastState") or {}).get("terminated") or {}
        last = max(last, ended.get("finishedAt") or "")  # RFC 3339 in UTC sorts as text
    return count, last


def _ready(pod: Obj, now: float) -> str:
    found = summary(pod)
    return f"{found.ready}/{found.containers}"


def _status(pod: Obj, now: float) -> str:
    return summary(pod).status


def _restarted(pod: Obj, now: float) -> str:
    found = summary(pod)
    if found.restarts and found.last_restart:
        return f"{found.restarts} ({since(found.last_restart, now)} ago)"
    return str(found.restarts)


def _ip(pod: Obj, now: float) -> str:
    status = pod.get("status") or {}
    for one in status.get("podIPs") or ():
        return one.get("ip") or NONE
    return status.get("podIP") or NONE


def _node(pod: Obj, now: float) -> str:
    return (pod.get("spec") or {}).get("nodeName") or NONE


def _nominated(pod: Obj, now: float) -> str:
    return (pod.get("status") or {}).get("nominatedNodeName") or NONE


def _gates(pod: Obj, now: float) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates")
    if not gates:
        return NONE
    return f"{sum(is_true(pod, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"


COLUMNS = (
    NAME,
    Column("Ready", _ready, description="Containers that are ready, of those that count."),
    Column("Status", _status, description="The state of the pod in one word."),
    Column("Restarts", _restarted, description="How often its containers were restarted, and when last."),
    AGE,
    Column("IP", _ip, priority=1, description="The pod's own address."),
    Column("Node", _node, priority=1, description="The node it is bound to."),
    Column("Nominated Node", _nominated, priority=1,
           description="The node where room is being made for it by preemption."),
    Column("Readiness Gates", _gates, priority=1, description="Gates that are true, of all of them."),
)
