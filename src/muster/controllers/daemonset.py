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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from ..client.mirror import Mirror
from ..control import owners, revisions
from ..control.dependents import woken_by_dependent
from ..control.plan import Action, Create, Delete, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .daemonset_board import Board
from .daemonset_nodes import Fit, eligibility
from .daemonset_places import Failure
from .daemonset_pods import Want, pod_maker, says_nothing_new, template_generation, template_of
from .daemonset_rollout import Steps, allows_surge, is_rolling, limits_of
from .daemonset_status import status_of

RESOURCE = "daemonsets.apps"
MOST_SETS = 4096  # whose failures are remembered


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in the last look, by the identity of what it was read from: the next one reads what changed."""

    selector: Obj
    claimed: Mapping[int, Obj]  # pods that are its own, and need nothing done for that
    board: Board


@dataclass(frozen=True, slots=True)
class Memory:
    """When failed pods were ended, by node (a new generation of the set starts afresh); and what was read."""

    generation: int = 0
    failures: Mapping[str, Failure] = field(default_factory=dict)
    reading: Reading | None = None


class Memories:
    """The memory of every set that is there."""

    def __init__(self) -> None:
        self._of: dict[Key, tuple[str, Memory]] = {}  # with the uid: never that of a namesake

    def of(self, daemonset: Obj) -> Memory:
        uid, memory = self._of.get(_key(daemonset), ("", Memory()))
        return memory if uid == uid_of(daemonset) else Memory()

    def keep(self, daemonset: Obj, memory: Memory) -> None:
        key = _key(daemonset)
        if key not in self._of and len(self._of) >= MOST_SETS:
            del self._of[next(iter(self._of))]
        self._of[key] = uid_of(daemonset), memory

    def forget(self, key: Key) -> None:
        self._of.pop(key, None)


@dataclass(frozen=True, slots=True)
class Observed:
    daemonset: Obj
    pods: Sequence[Obj]  # its own, and those of its namespace without a controller
    nodes: Sequence[Obj]
    revisions: Sequence[Obj] = ()  # likewise
    names: Mapping[str, Obj] = field(default_factory=dict)  # every revision of the namespace
    memory: Memory = Memory()
    memories: Memories = field(default_factory=Memories)  # where `plan` leaves the next one


@dataclass(frozen=True, slots=True)
class Decision:
    plan: Plan
    memory: Memory = Memory()


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    match change.key.resource:
        case "nodes":
            return _woken_by_node(change, mirror)
        case "pods" if says_nothing_new(change.previous, change.value):
            return ()
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
    return Observed(
        daemonset,
        pods=owners.candidates(mirror, daemonset, "pods"),
        nodes=list(mirror.objects("nodes").values()),
        revisions=owners.candidates(mirror, daemonset, revisions.RESOURCE),
        names=mirror.in_namespace(revisions.RESOURCE, key.namespace),
        memory=memories.of(daemonset),
        memories=memories,
    )


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    decision = decide(seen, now)
    seen.memories.keep(seen.daemonset, decision.memory)
    return decision.plan


def decide(seen: Observed, now: float) -> Decision:
    daemonset, size = seen.daemonset, len(seen.pods) + len(seen.nodes)
    if selects_everything(daemonset):
        return Decision(Plan([Tell(daemonset, "Warning", "SelectingAll",
                                   "This daemon set is selecting all pods. A non-empty selector is required.")]))

    selector = from_label_selector(daemonset["spec"]["selector"])
    known = _claimed_before(seen)
    pods = dict(zip(map(id, seen.pods), seen.pods, strict=True))
    unknown = pods.keys() - known.keys()
    claimed = owners.claim(daemonset, selector, sorted((pods[one] for one in unknown), key=name_of), "pods")
    recorded = owners.claim(daemonset, selector, seen.revisions, revisions.RESOURCE)
    if claimed.actions or recorded.actions:
        return Decision(Plan(recorded.actions + claimed.actions, size=size), seen.memory)

    foreign = unknown.difference(map(id, claimed.mine))
    mine = {one: pod for one, pod in pods.items() if one not in foreign} if foreign else pods
    past = revisions.keep(daemonset, template_of(daemonset), recorded.mine, mine.values(), seen.names)
    if past.collides:
        return Decision(Plan([_count_collision(daemonset)], size=size), seen.memory)
    return _decide_pods(seen, mine, past, now, size)


def _claimed_before(seen: Observed) -> Mapping[int, Obj]:
    reading = seen.memory.reading
    return reading.claimed if reading is not None and reading.selector is seen.daemonset["spec"]["selector"] else {}


def _decide_pods(seen: Observed, pods: Mapping[int, Obj], past: revisions.Past, now: float, size: int) -> Decision:
    daemonset, spec = seen.daemonset, seen.daemonset["spec"]
    want = Want(past.hash, template_generation(daemonset), spec.get("minReadySeconds") or 0)
    board = _board(seen, want)
    failures = _failures(seen)
    changed = board.take_in(list(seen.nodes), pods, now)
    limits = limits_of(daemonset, board.desired)
    board.judge(changed, daemonset, allows_surge(daemonset), limits.max_surge > 0, failures, now)

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
        *revisions.surplus(past.old, pods.values(), 10 if limit is None else limit),
    ]
    status = status_of(daemonset, board.counts, board.desired)
    if status != daemonset.get("status"):
        actions.append(SetStatus(_key(daemonset), uid_of(daemonset), status))
    wakes = [when for when in (board.settles_at(), chores.wake_at) if when is not None]
    return Decision(Plan(actions, min(wakes, default=None), size),
                    Memory(_generation(daemonset), chores.failures, Reading(spec["selector"], pods, board)))


def _board(seen: Observed, want: Want) -> Board:
    """The one of the last look, while it is about the same template."""
    reading, template = seen.memory.reading, template_of(seen.daemonset)
    if reading is not None and reading.board.template is template and reading.board.want == want:
        return reading.board
    return Board(template, want)


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
    return SetStatus(_key(daemonset), uid_of(daemonset),
                     {**status, "collisionCount": (status.get("collisionCount") or 0) + 1})


def _key(daemonset: Obj) -> Key:
    return Key(RESOURCE, namespace_of(daemonset), name_of(daemonset))


def daemonset_controller() -> Controller:
    """A controller with a memory of its own."""
    return Controller("daemonset-controller", (RESOURCE, "pods", "nodes", revisions.RESOURCE),
                      wakes, partial(observe, memories=Memories()), plan, account="daemon-set-controller")
