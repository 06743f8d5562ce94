"""Where a DaemonSet stands, kept from one look to the next: a look costs what changed since the last one.

    Board            every place (a node that has or should have a pod), and what they add up to
    board.take_in    the nodes as they are now, and the pods that changed
    board.chores     what places need, whatever the rollout does        (daemonset_places.py)
    board.steps      how old pods give way to new ones                  (daemonset_rollout.py)

A place is judged again when its node or one of its pods changed, when a pod there has settled meanwhile, and as long as
it has something to be done: that holds until it shows in what is there.  So the board follows from the nodes and pods
it was shown last and from the time, never from what it was shown before (tests/controllers/test_daemonset_laws.py).
"""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from operator import is_
from typing import NamedTuple

from sortedcontainers import SortedDict

from ..api.objects import Obj, name_of
from .daemonset_nodes import Fit, eligibility
from .daemonset_places import Chores, Failures, Place, by_age, tend
from .daemonset_pods import Daemon, Want, daemons_of
from .daemonset_rollout import Limits, Steps, Turn, turn_of
from .daemonset_status import NOTHING, Counts, counts_of
from .readiness import NEVER

Order = tuple[bool, str]  # nodes by name, those that are not there (any more) last


class Judged(NamedTuple):
    """A place, and what was made of it."""

    order: Order
    counts: Counts
    turn: Turn
    chores: Chores | None  # None: nothing is to be done
    settles_at: float  # when the next pod there is available; NEVER: none is about to be


class Board:
    def __init__(self, template: Obj, want: Want):
        self.template, self.want = template, want
        self.counts = NOTHING
        self.desired = 0
        self._fits = eligibility(template)
        self._nodes: Sequence[Obj] = ()
        self._fit: dict[str, Fit] = {}
        self._node_of: dict[str, str] = {}  # by the pod's name
        self._daemons: dict[str, dict[str, Daemon]] = {}  # by node, then by the pod's name
        self._judged: dict[str, Judged] = {}
        self._surging = self._surges = False  # may two pods stand on a node; does the rollout go that way
        # Of places that are not counted alone: what each may do, in the order of the nodes.
        self._turns: SortedDict[Order, Turn] = SortedDict()
        self._waiting: SortedDict[Order, Turn] = SortedDict()  # for their turn in the rollout
        self._acting: SortedDict[Order, Chores] = SortedDict()
        self._settling: dict[str, float] = {}
        self._down = self._up = self._turning = 0

    # ---- what is there

    def take_in(self, nodes: Sequence[Obj], pods: Mapping[str, Obj | None], now: float) -> set[str]:
        """The nodes as they are, and the pods that changed (by name; None: gone).  Returns the nodes whose places have
        to be judged again."""
        changed = self._take_nodes(nodes) | self._take_pods(pods, now)
        for node, when in list(self._settling.items()):
            if when <= now:
                changed.add(node)
                if there := self._daemons.get(node):
                    again = daemons_of([one.pod for one in there.values()], self.want, now)
                    self._daemons[node] = {one.name: one for one in again}
        return changed

    def _take_nodes(self, nodes: Sequence[Obj]) -> set[str]:
        before = self._nodes
        if nodes is before or len(nodes) == len(before) and all(map(is_, nodes, before)):
            return set()
        fits = {name_of(node): self._fits(node) for node in nodes}
        changed = {name for name, fit in fits.items() if self._fit.get(name) is not fit}
        changed.update(name for name in self._fit if name not in fits)
        self._nodes, self._fit = nodes, fits
        self.desired = sum(fit is Fit.RUN for fit in fits.values())
        return changed

    def _take_pods(self, pods: Mapping[str, Obj | None], now: float) -> set[str]:
        changed: set[str] = set()
        for name in pods:
            node = self._node_of.pop(name, None)
            if node is not None:
                changed.add(node)
                there = self._daemons[node]
                del there[name]
                if not there:
                    del self._daemons[node]
        for daemon in daemons_of([pod for pod in pods.values() if pod is not None], self.want, now):
            self._node_of[daemon.name] = daemon.node
            self._daemons.setdefault(daemon.node, {})[daemon.name] = daemon
            changed.add(daemon.node)
        return changed

    # ---- what it adds up to

    def judge(self, changed: Collection[str], daemonset: Obj, surging: bool, surges: bool, failures: Failures,
              now: float) -> None:
        """`surging`: two pods may stand on a node.  `surges`: the rollout goes that way today."""
        again = set(changed)
        if self._acting:
            again.update(name for _, name in self._acting)
        if (surging, surges) != (self._surging, self._surges):
            self._surging, self._surges = surging, surges
            again.update(self._fit, self._daemons)
        for node in again:
            self._take_back(node)
            there, fit = self._daemons.get(node), self._fit.get(node)
            if there or fit is Fit.RUN:
                place = Place(node, fit, sorted(there.values(), key=by_age) if there else [])
                self._enter(place, daemonset, failures, now)

    def _enter(self, place: Place, daemonset: Obj, failures: Failures, now: float) -> None:
        node, order = place.node, (place.fit is None, place.node)
        counts = counts_of(place)
        chores = tend([place], daemonset, self._surging, {node: failures[node]} if node in failures else {}, now)
        turn = turn_of(place, self._surges)
        is_acting = chores.start or chores.end or chores.tell or chores.wake_at is not None
        settles_at = min((one.available_at for one in place.pods if one.is_ready and not one.is_available),
                         default=NEVER)
        judged = Judged(order, counts, turn, chores if is_acting else None, settles_at)
        self._judged[node] = judged
        self.counts = self.counts.plus(counts)
        self._add(turn, 1)
        if turn.acts:
            self._turns[order] = turn
        if turn.waits:
            self._waiting[order] = turn
        if judged.chores is not None:
            self._acting[order] = judged.chores
        if settles_at < NEVER:
            self._settling[node] = settles_at

    def _take_back(self, node: str) -> None:
        judged = self._judged.pop(node, None)
        if judged is None:
            return
        self.counts = self.counts.minus(judged.counts)
        self._add(judged.turn, -1)
        self._turns.pop(judged.order, None)
        self._waiting.pop(judged.order, None)
        self._acting.pop(judged.order, None)
        self._settling.pop(node, None)

    def _add(self, turn: Turn, sign: int) -> None:
        self._down += sign * turn.down
        self._up += sign * turn.up
        self._turning += sign * turn.surging

    # ---- what is to be done

    def chores(self, failures: Failures, now: float) -> Chores:
        """Of all places together."""
        whole = Chores(failures={node: one for node, one in failures.items() if not one.is_over(now)})
        for one in self._acting.values():
            whole.start += one.start
            whole.end += one.end
            whole.tell += one.tell
            whole.failures |= one.failures
            if one.wake_at is not None:
                whole.wake(one.wake_at)
        return whole

    def steps(self, limits: Limits) -> Steps:
        steps = Steps()
        if self._turns:
            steps.end += (turn.end for turn in self._turns.values() if turn.end is not None)
            steps.start += (turn.start for turn in self._turns.values() if turn.start is not None)
        if not self._waiting:
            return steps
        waiting = self._waiting.values()
        if self._surges:
            starts = (turn.may_start for turn in waiting if turn.may_start is not None)
            steps.start += islice(starts, max(0, limits.max_surge - self._turning))
            leaving = (turn.may_end for turn in waiting if turn.may_end is not None)
            steps.end += islice(leaving, max(0, self._up - self.desired))  # only once others carry on
        elif limits.max_unavailable > self._down:
            ends = (turn.may_end for turn in waiting if turn.may_end is not None)
            steps.end += islice(ends, limits.max_unavailable - self._down)
        return steps

    def settles_at(self) -> float | None:
        """When the next ready pod has settled."""
        return min(self._settling.values()) if self._settling else None

