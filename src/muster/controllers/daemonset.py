"""One pod of a DaemonSet on every node that should run it.

    observe   the set, its pods and revisions (and orphans it may adopt), the nodes
    decide    claims first: adopt what matches, release what no longer does
              history: today's template has its revision       (control/revisions.py)
              chores: a pod where none is, no more than belong (daemonset_places.py)
              rollout: old pods give way, few at a time        (daemonset_rollout.py)
              both over a board that reads only what changed   (daemonset_board.py)
              status, and revisions that nobody needs any more

A decision is a function of what was seen and of the time.  The one thing that is not in the cluster is how
often a failed pod was already replaced on a node: `decide` is handed that memory and returns the next one,
and `plan` keeps it (upstream keeps it in its controller's memory too; a restart forgets it).
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..api.objects import (
    Key,
    Obj,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
)
from ..api.selectors import from_label_selector
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control import owners, revisions
from ..control.dependents import woken_by_dependent
from ..control.plan import Action, Create, Delete, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .daemonset_board import Board
from .daemonset_memory import RESOURCE, Kept, Memories, Memory, Own, Reading, key_of
from .daemonset_nodes import Fit, eligibility
from .daemonset_places import Failure
from .daemonset_pods import Want, begins_to_go, pod_maker, says_nothing_new, template_generation, template_of
from .daemonset_rollout import Steps, allows_surge, is_rolling, limits_of
from .daemonset_status import status_of


@dataclass(frozen=True, slots=True)
class Observed:
    daemonset: Obj
    pods: Collection[Obj]  # its own, and those of its namespace without a controller
    nodes: Sequence[Obj]
    revisions: Sequence[Obj] = ()  # likewise
    names: Mapping[str, Obj] = field(default_factory=dict)  # every revision of the namespace
    memory: Memory = Memory()
    memories: Memories = field(default_factory=Memories)  # where `plan` leaves the next one
    touched: Mapping[str, Obj | None] | None = None  # of `pods`, those that may differ from what the memory holds


@dataclass(frozen=True, slots=True)
class Decision:
    plan: Plan
    memory: Memory = Memory()
    has_read: bool = False  # all that was touched: the memory holds it


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    match change.key.resource:
        case "nodes":
            return _woken_by_node(change, mirror)
        case "pods" if says_nothing_new(change.previous, change.value):
            return ()
        case "pods" if begins_to_go(change.previous, change.value):
            # Its place is down as soon as it shows; only with surge does another pod start beside it at once.
            return [key for key in woken_by_dependent(change, mirror, RESOURCE, "DaemonSet")
                    if allows_surge(mirror.objects(RESOURCE)[key[1:]])]
        case "pods" | revisions.RESOURCE:
            return woken_by_dependent(change, mirror, RESOURCE, "DaemonSet")
        case _:
            return (change.key,)


def _woken_by_node(change: Change, mirror: Mirror) -> list[Key]:
    """The sets for which the change of the node makes a difference; a heartbeat makes none."""
    old, new = change.previous, change.value
    if old is not None and new is not None and _placement_of(old) == _placement_of(new):
        return []
    woken = []
    for (namespace, name), daemonset in mirror.objects(RESOURCE).items():
        fits = eligibility(template_of(daemonset))
        before = fits(old) if old is not None else Fit.LEAVE
        after = fits(new) if new is not None else Fit.LEAVE
        if before is not after:
            woken.append(Key(RESOURCE, namespace, name))
    return woken


def _placement_of(node: Obj) -> tuple[object, object]:
    return node["metadata"].get("labels"), (node.get("spec") or {}).get("taints")


# ------------------------------------------------------------------ the look

def observe(mirror: Mirror, key: Key, memories: Memories) -> Observed | None:
    """None for a set that is being deleted: the garbage collector sees to its pods."""
    daemonset = mirror.get(key)
    if daemonset is None or is_deleting(daemonset):
        memories.forget(key)
        return None
    memory, touched = memories.of(daemonset), memories.touched(daemonset)
    pods: Collection[Obj]
    changed: dict[str, Obj | None] | None = None
    if touched is None or not _is_about(memory.reading, daemonset):
        pods = owners.candidates(mirror, daemonset, "pods")
    else:
        pods = mirror.dependents_of(uid_of(daemonset), "pods").values()
        changed = {name: mirror.get(Key("pods", key.namespace, name)) for name in touched}
        changed.update((name_of(pod), pod) for pod in owners.orphans(mirror, "pods", key.namespace))
    return Observed(
        daemonset,
        pods=pods,
        nodes=memories.nodes(mirror),
        revisions=owners.candidates(mirror, daemonset, revisions.RESOURCE),
        names=mirror.in_namespace(revisions.RESOURCE, key.namespace),
        memory=memory,
        memories=memories,
        touched=changed,
    )


def _is_about(reading: Reading | None, daemonset: Obj) -> bool:
    """A set of another selector claims its pods anew."""
    return reading is not None and reading.selector is daemonset["spec"]["selector"]


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    decision = decide(seen, now)
    seen.memories.keep(seen.daemonset, decision.memory)
    if decision.has_read:
        seen.memories.read(seen.daemonset)
    return decision.plan


def decide(seen: Observed, now: float) -> Decision:
    daemonset, size = seen.daemonset, len(seen.pods) + len(seen.nodes)
    if selects_everything(daemonset):
        return Decision(Plan([Tell(daemonset, "Warning", "SelectingAll",
                                   "This daemon set is selecting all pods. A non-empty selector is required.")]))

    selector = from_label_selector(daemonset["spec"]["selector"])
    reading = seen.memory.reading
    if reading is None or not _is_about(reading, daemonset):
        reading = Reading(daemonset["spec"]["selector"], Own())
    touched = seen.touched
    if touched is None or reading is not seen.memory.reading:
        touched = _differences(reading.own.all, seen.pods)
    claimed = owners.claim(daemonset, selector, [pod for _, pod in sorted(touched.items(), key=_first)
                                                 if pod is not None], "pods")
    kept = reading.kept
    if kept is None or not kept.holds(template_of(daemonset), seen.revisions):
        kept = None
    recorded = owners.claim(daemonset, selector, seen.revisions, revisions.RESOURCE) if kept is None else owners.Claim()
    if claimed.actions or recorded.actions:
        return Decision(Plan(recorded.actions + claimed.actions, size=size), seen.memory)

    mine = {name_of(pod): pod for pod in claimed.mine}
    reading.own.note({name: mine.get(name) for name in touched})
    if kept is None:
        past = revisions.keep(daemonset, template_of(daemonset), recorded.mine, reading.own.all.values(), seen.names)
        kept = Kept(template_of(daemonset), seen.revisions, past)
    if kept.past.collides:
        return Decision(Plan([_count_collision(daemonset)], size=size), replace(seen.memory, reading=reading), True)
    return _decide_pods(seen, reading, kept, now, size)


def _differences(known: Mapping[str, Obj], pods: Iterable[Obj]) -> dict[str, Obj | None]:
    there = {name_of(pod): pod for pod in pods}
    changed: dict[str, Obj | None] = {name: pod for name, pod in there.items() if known.get(name) is not pod}
    changed.update(dict.fromkeys(name for name in known if name not in there))
    return changed


def _first(item: tuple[str, object]) -> str:
    return item[0]


def _decide_pods(seen: Observed, reading: Reading, kept: Kept, now: float, size: int) -> Decision:
    past = kept.past
    daemonset, spec = seen.daemonset, seen.daemonset["spec"]
    want = Want(past.hash, template_generation(daemonset), spec.get("minReadySeconds") or 0)
    own, board = reading.own, reading.board
    if board is None or board.template is not template_of(daemonset) or board.want != want:
        board, own.unread = Board(template_of(daemonset), want), dict(own.all)
    failures = _failures(seen)
    changed = board.take_in(seen.nodes, own.unread, now)
    limits = limits_of(daemonset, board.desired)
    board.judge(changed, daemonset, allows_surge(daemonset), limits.max_surge > 0, failures, now)
    own.unread = {}

    chores = board.chores(failures, now)
    steps = board.steps(limits) if is_rolling(daemonset) else Steps()

    starts = list(dict.fromkeys(chores.start + steps.start))
    make = pod_maker(daemonset, past.hash) if starts else None
    limit = spec.get("revisionHistoryLimit")
    actions: list[Action] = [
        *past.actions,
        *chores.tell,
        *(_end(daemon.pod, daemonset) for daemon in chores.end + steps.end),
        *(Create(make(node), tell=daemonset) for node in starts if make is not None),
        *revisions.surplus(past.old, own.all.values(), 10 if limit is None else limit),
    ]
    status = status_of(daemonset, board.counts, board.desired)
    if status != daemonset.get("status"):
        actions.append(SetStatus(key_of(daemonset), uid_of(daemonset), status))
    wakes = [when for when in (board.settles_at(), chores.wake_at) if when is not None]
    read = Reading(reading.selector, own, board, None if past.actions else kept)
    return Decision(Plan(actions, min(wakes, default=None), size),
                    Memory(_generation(daemonset), chores.failures, read, status), True)


def selects_everything(daemonset: Obj) -> bool:
    selector = daemonset["spec"].get("selector") or {}
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def _generation(daemonset: Obj) -> int:
    return (daemonset.get("status") or {}).get("observedGeneration", 0)


def _failures(seen: Observed) -> Mapping[str, Failure]:
    return seen.memory.failures if seen.memory.generation == _generation(seen.daemonset) else {}


def _end(pod: Obj, daemonset: Obj) -> Delete:
    return Delete(Key("pods", namespace_of(pod), name_of(pod)), uid_of(pod), tell=daemonset)


def _count_collision(daemonset: Obj) -> SetStatus:
    status = daemonset.get("status") or {}
    return SetStatus(key_of(daemonset), uid_of(daemonset),
                     {**status, "collisionCount": (status.get("collisionCount") or 0) + 1})


def daemonset_controller() -> Controller:
    """A controller with a memory of its own."""
    memories = Memories()

    def hear(change: Change, mirror: Mirror) -> Iterable[Key]:
        resource = change.key.resource
        if resource == "pods" or resource == "nodes":
            memories.hear(change)
        elif resource == RESOURCE and memories.is_echo(change):
            return ()
        return wakes(change, mirror)

    own = [Changes(resource, concerning=RESOURCE, owned_by="DaemonSet") for resource in ("pods", revisions.RESOURCE)]
    return Controller("daemonset-controller", (RESOURCE, "nodes", *own), hear,
                      partial(observe, memories=memories), plan, account="daemon-set-controller")
