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
from operator import attrgetter

from ..api.objects import Obj, namespace_of
from ..control.plan import Tell
from .daemonset_nodes import Fit
from .daemonset_pods import Daemon

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 15 * 60.0
FORGET_AFTER_S = 2 * LONGEST_DELAY_S

by_age = attrgetter("age")  # the oldest first


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
    pods: list[Daemon] = field(default_factory=list)  # the oldest first
    live: list[Daemon] = field(default_factory=list)  # of these, the ones that are and stay


@dataclass(slots=True)
class Chores:
    """What all places together need."""

    start: list[str] = field(default_factory=list)  # nodes
    end: list[Daemon] = field(default_factory=list)
    tell: list[Tell] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    wake_at: float | None = None

    def wake(self, when: float) -> None:
        self.wake_at = when if self.wake_at is None else min(self.wake_at, when)


def tend(places: Iterable[Place], daemonset: Obj, surging: bool, failures: Failures, now: float) -> Chores:
    chores = Chores(failures={node: one for node, one in failures.items() if not one.is_over(now)})
    for place in places:
        place.live = [daemon for daemon in place.pods if not daemon.is_going]
        if place.fit is None:
            # Bound pods are left to the pod garbage collector; one that was never bound has nobody else.
            _end(place, [daemon for daemon in place.live if not daemon.is_bound], chores)
        elif place.fit is Fit.LEAVE:
            _end(place, place.live, chores)
        elif place.pods:
            _tidy(place, daemonset, surging, chores, now)
        elif place.fit is Fit.RUN:
            chores.start.append(place.node)
    return chores


def _tidy(place: Place, daemonset: Obj, surging: bool, chores: Chores, now: float) -> None:
    """A node with pods that may be there: those that ended go, and those there are too many of."""
    running = [daemon for daemon in place.live if not daemon.is_ended]
    if len(running) < len(place.live):
        _end(place, list(_ended(place, daemonset, chores, now)), chores)
    if not surging:
        _end(place, running[1:], chores)
    elif len(running) > 1:
        _end(place, list(_superseded(running)), chores)
    elif not running and place.fit is Fit.RUN:
        chores.start.append(place.node)


def _end(place: Place, daemons: list[Daemon], chores: Chores) -> None:
    if daemons:
        chores.end += daemons
        place.live = [daemon for daemon in place.live if not any(daemon is one for one in daemons)]


def _ended(place: Place, daemonset: Obj, chores: Chores, now: float) -> Iterator[Daemon]:
    """Pods that ran to an end, which no daemon should; the failed ones only as often as patience allows."""
    for daemon in place.live:
        where = f"{namespace_of(daemon.pod)}/{daemon.name} on node {place.node}"
        if daemon.phase == "Succeeded":
            chores.tell.append(Tell(daemonset, "Normal", "SucceededDaemonPod",
                                    f"Found succeeded daemon pod {where}, will try to delete it"))
            yield daemon
        elif daemon.phase == "Failed":
            last = chores.failures.get(place.node)
            if last is not None and now < last.at + last.delay_s:
                chores.wake(last.at + last.delay_s)
                continue
            delay_s = FIRST_DELAY_S if last is None else min(2 * last.delay_s, LONGEST_DELAY_S)
            chores.failures[place.node] = Failure(now, delay_s)
            chores.tell.append(Tell(daemonset, "Warning", "FailedDaemonPod",
                                    f"Found failed daemon pod {where}, will try to kill it"))
            yield daemon


def _superseded(running: list[Daemon]) -> Iterator[Daemon]:
    """With surge, two pods may stand on a node: the oldest new one that is on its way, and the oldest old
    one while it is ready.  All others go, and the old one once it is not ready or the new one is available."""
    new: Daemon | None = None
    old: Daemon | None = None
    for daemon in running:
        if daemon.is_current and new is None:
            new = daemon
        elif not daemon.is_current and old is None:
            old = daemon
        else:
            yield daemon
    if new is not None and old is not None and (not old.is_ready or new.is_available):
        yield old
