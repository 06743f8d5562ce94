"""What one node needs now, whatever the update strategy: a pod where none is, and no more than belong.

A `Place` is a node and the set's pods there, the oldest first.  `tend` says what to start and what to end
on it, and leaves in `live` the pods that stay: the rollout then decides over those.

A daemon pod that failed is ended and made anew, but with patience: on each node at most once in a second,
then two, four, ... up to 15 minutes, for the node may reject it again and again.
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..api.objects import Obj, is_deleting, labels_of, name_of, namespace_of
from ..control.plan import Tell
from ..control.revisions import HASH_LABEL
from .daemonset_nodes import Fit
from .daemonset_pods import node_of
from .readiness import is_ended, is_ready

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 15 * 60.0
FORGET_AFTER_S = 2 * LONGEST_DELAY_S


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed pod was ended on a node at `at`; the next one there waits for `delay_s`."""

    at: float
    delay_s: float

    def is_over(self, now: float) -> bool:
        return now - self.at > FORGET_AFTER_S


Failures = Mapping[str, Failure]  # by node


@dataclass(slots=True)
class Place:
    node: str
    fit: Fit | None  # None: there is no such node (any more)
    pods: list[Obj] = field(default_factory=list)  # the oldest first
    live: list[Obj] = field(default_factory=list)  # of these, the ones that are and stay


@dataclass(slots=True)
class Chores:
    """What all places together need."""

    start: list[str] = field(default_factory=list)  # nodes
    end: list[Obj] = field(default_factory=list)  # pods
    tell: list[Tell] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    wake_at: float | None = None

    def wake(self, when: float) -> None:
        self.wake_at = when if self.wake_at is None else min(self.wake_at, when)


def places_of(nodes: Iterable[tuple[str, Fit]], pods: Iterable[Obj]) -> list[Place]:
    """Every node that has or should have a pod, in the order of the nodes; the missing ones at the end.

    A pod that has ended and is being deleted is nobody's concern any more: only its finalizers hold it.
    """
    on: dict[str, list[Obj]] = {}
    for pod in pods:
        node = node_of(pod)
        if node is not None and not (is_deleting(pod) and is_ended(pod)):
            on.setdefault(node, []).append(pod)
    found = []
    for name, fit in nodes:
        there = on.pop(name, None)
        if there is not None or fit is Fit.RUN:
            found.append(Place(name, fit, sorted(there, key=_age) if there and len(there) > 1 else there or []))
    found.extend(Place(name, None, sorted(on[name], key=_age)) for name in sorted(on))
    return found


def _age(pod: Obj) -> tuple[bool, str, str]:
    """Bound ones first, then by time of creation."""
    return not pod["spec"].get("nodeName"), pod["metadata"].get("creationTimestamp") or "", name_of(pod)


def tend(places: Iterable[Place], daemonset: Obj, hash: str, surging: bool, available: set[str],
         failures: Failures, now: float) -> Chores:
    """`available` holds the uids of the pods that are."""
    chores = Chores(failures={node: one for node, one in failures.items() if not one.is_over(now)})
    for place in places:
        place.live = [pod for pod in place.pods if not is_deleting(pod)]
        if place.fit is Fit.RUN and not place.pods:
            chores.start.append(place.node)
        elif place.fit is None:
            # Bound pods are left to the pod garbage collector; one that was never bound has nobody else.
            _end(place, [pod for pod in place.live if not pod["spec"].get("nodeName")], chores)
        elif place.fit is Fit.LEAVE:
            _end(place, place.live, chores)
        else:
            _end(place, list(_ended(place, daemonset, chores, now)), chores)
            running = [pod for pod in place.live if not is_ended(pod)]
            if not surging:
                _end(place, running[1:], chores)
            elif not running and place.fit is Fit.RUN:
                chores.start.append(place.node)
            elif len(running) > 1:
                _end(place, list(_superseded(running, hash, available)), chores)
    return chores


def _end(place: Place, pods: list[Obj], chores: Chores) -> None:
    if pods:
        chores.end += pods
        place.live = [pod for pod in place.live if not any(pod is one for one in pods)]


def _ended(place: Place, daemonset: Obj, chores: Chores, now: float) -> Iterator[Obj]:
    """Pods that ran to an end, which no daemon should; the failed ones only as often as patience allows."""
    for pod in place.live:
        if not is_ended(pod):
            continue
        where = f"{namespace_of(pod)}/{name_of(pod)} on node {place.node}"
        if pod["status"]["phase"] == "Succeeded":
            chores.tell.append(Tell(daemonset, "Normal", "SucceededDaemonPod",
                                    f"Found succeeded daemon pod {where}, will try to delete it"))
            yield pod
            continue
        last = chores.failures.get(place.node)
        if last is not None and now < last.at + last.delay_s:
            chores.wake(last.at + last.delay_s)
            continue
        delay_s = FIRST_DELAY_S if last is None else min(2 * last.delay_s, LONGEST_DELAY_S)
        chores.failures[place.node] = Failure(now, delay_s)
        chores.tell.append(Tell(daemonset, "Warning", "FailedDaemonPod",
                                f"Found failed daemon pod {where}, will try to kill it"))
        yield pod


def _superseded(running: list[Obj], hash: str, available: set[str]) -> Iterator[Obj]:
    """With surge, two pods may stand on a node: the oldest new one that is on its way, and the oldest old
    one while it is ready.  All others go, and the old one once it is not ready or the new one is available."""
    new: Obj | None = None
    old: Obj | None = None
    for pod in running:
        if labels_of(pod).get(HASH_LABEL) == hash:
            if new is None:
                new = pod
                continue
        elif old is None:
            old = pod
            continue
        yield pod
    if new is not None and old is not None and (not is_ready(old) or new["metadata"]["uid"] in available):
        yield old
