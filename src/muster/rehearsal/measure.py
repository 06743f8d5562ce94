"""Listens to a rehearsal's changes and adds them up: who is available when, who ended what, what it cost.

It works in proportion to what changed: each change touches one pod, one node or one workload.  `Measure` keeps its
own copy of the few objects it needs; it reads nothing from the cluster while that is at work, and changes nothing.

A pod counts as available when it is Ready, has been for its workload's minReadySeconds, and is not being deleted.
A DaemonSet's unavailability counts nodes: those that should run a daemon and have none available.
"""
from __future__ import annotations

import asyncio
import hashlib
import heapq
import time
from collections import Counter
from collections.abc import Sequence

import orjson

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_of,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from ..api.placement import pinned_node
from ..control.plan import Tell
from ..control.revisions import RESOURCE as REVISIONS
from ..control.revisions import hash_label_of, number_of
from ..controllers.daemonset_nodes import Fit, eligibility
from ..controllers.deployment_sets import REVISION as SET_REVISION
from ..controllers.readiness import NEVER, available_at
from ..store.history import Change
from ..why import rollouts
from ..why.daemonset import without_daemon
from ..why.pod import pending_why
from ..why.rollouts import DAEMONSETS, REPLICASETS, SHORT
from ..why.workload import stuck_why
from . import timeline
from .budgets import RESOURCE as BUDGETS
from .budgets import Budgets
from .endings import OVER, Endings
from .outcome import Cost, Outcome, WithoutDaemon, WorkloadOutcome
from .timeline import Timeline
from .tracked import Tracked, Workload
from .world import World

MOST_STRIKES = MOST_PENDING = 200
STEPS = {"Pulling": timeline.PULLING, "Pulled": timeline.STARTING}


class Measure:
    """From `begin` on; `outcome` may be asked for at any time."""

    def __init__(self, world: World):
        self._world, self._now = world, world.clock.now
        self.nodes: dict[str, Obj] = {}
        self.workloads: dict[str, Workload] = {}  # by uid
        self.pods: dict[Key, Tracked] = {}
        self._owner_of_set: dict[str, str] = {}  # ReplicaSet uid -> Deployment uid
        self._maturing: list[tuple[float, int, Tracked]] = []
        self._matured = 0
        self._incomplete: dict[str, None] = {}
        self._unsettled: dict[Key, None] = {}
        self._fewest_unsettled = 0
        self._came_to_rest = asyncio.Event()
        self._started: float | None = None
        self._cpu_began = 0.0
        self._revision_began = self._events_began = 0
        self._plans_began = 0
        self.progress_at = 0.0
        self.moved_at = 0.0
        self._writes_by: Counter[str] = Counter()
        self._writes_of: Counter[str] = Counter()
        self._endings = Endings(self.pods, self.nodes)
        self._budgets = Budgets()
        self._strikes: list[tuple[float, str]] = []
        self._hash = hashlib.sha256()
        for resource in ("nodes", *rollouts.RESOURCES, REVISIONS, BUDGETS, "pods"):
            for snapshot in world.store.history.lane(resource).snapshots():
                key = world.kinds.key_of(snapshot.value)
                self._take(key, None, snapshot.value, self._now())
        world.store.history.on_append(self._hear)
        world.told.append(self._told)

    # ---- the run

    def begin(self) -> None:
        """What happens from here on is measured."""
        now = self._started = self._now()
        self._cpu_began = time.process_time()
        self._revision_began = self._world.store.history.revision
        self._events_began = self._world.events_told()
        self._plans_began = self._world.plans().total()
        self.progress_at = self.moved_at = now
        for one in self.workloads.values():
            one.down, one.down_since = one.are_down(), now
            one.worst, one.worst_at = one.down, now
            self._set_record(one)
            self._draw_all(one, now)
        self._fewest_unsettled = len(self._unsettled)

    def stir(self) -> None:
        """Something was done to the cluster on purpose: progress is counted from here."""
        self.progress_at = self._now()
        self._fewest_unsettled = len(self._unsettled)
        for one in self.workloads.values():
            self._set_record(one)

    def strike(self, what: str) -> None:
        """A fault happened."""
        assert self._started is not None, "begun"
        if len(self._strikes) < MOST_STRIKES:
            self._strikes.append((self._now() - self._started, what))
        self.stir()

    @property
    def is_at_rest(self) -> bool:
        return not self._incomplete and not self._unsettled

    def is_anything_under_way(self) -> bool:
        """Is a node still pulling, starting or stopping something that will come to its end?"""
        return any(self._world.fleet.is_busy_with(key) for key in self._unsettled)

    async def rest(self) -> None:
        """Returns once every rollout is complete and every pod has come up or gone."""
        while not self.is_at_rest:
            self._came_to_rest.clear()
            await self._came_to_rest.wait()

    def share_done(self) -> float:
        """Between 0 and 1: how much of what is wanted is up to date and available."""
        wanted = done = 0
        for one in self.workloads.values():
            wanted += one.standing.wanted
            done += min(one.standing.wanted, one.standing.updated, one.available)
        return done / wanted if wanted else 1.0

    # ---- hearing

    def _hear(self, changes: Sequence[Change]) -> None:
        now, who = self._now(), self._world.writers.who
        for change in changes:
            value = change.value
            self._hash.update(b"%d %s " % (change.revision, str(change.key).encode()))
            self._hash.update(orjson.dumps(value) if value is not None else b"-")
            resource = change.key.resource
            if self._started is not None:
                self._writes_by[who] += 1
                self._writes_of[resource] += 1
                self.moved_at = now
            if self._maturing and self._maturing[0][0] <= now:
                self._mature(now)
            if resource == "pods" and self._started is not None:
                self._endings.hear(change, who, now - self._started)
            self._take(change.key, change.previous, value, now)

    def _told(self, tell: Tell) -> None:
        self._endings.told(tell)
        step = STEPS.get(tell.reason)
        if step is None:
            return
        about = tell.about
        tracked = self.pods.get(Key("pods", namespace_of(about), name_of(about)))
        if tracked is not None and tracked.step != step:
            tracked.step = step
            self._draw(tracked, self._now())

    def _take(self, key: Key, old: Obj | None, new: Obj | None, now: float) -> None:
        match key.resource:
            case "pods":
                self._take_pod(key, new, now)
            case "nodes":
                self._take_node(key.name, old, new, now)
            case resource if resource == REVISIONS:
                self._take_revision(new, now)
            case resource if resource == BUDGETS:
                self._budgets.hear(key, new, now - (self._started or now))
            case resource if resource in SHORT:
                if resource == REPLICASETS and new is not None and controller_of(new) is not None:
                    self._take_set(new, now)
                elif resource in SHORT:
                    self._take_workload(key, old, new, now)

    # ---- pods

    def _take_pod(self, key: Key, pod: Obj | None, now: float) -> None:
        tracked = self.pods.get(key)
        if tracked is not None and (pod is None or uid_of(pod) != tracked.uid):
            self._leave(tracked, now)
            tracked = None
        if pod is None:
            return
        if tracked is None:
            tracked = self.pods[key] = Tracked(key, pod)
        before = tracked.pod
        tracked.pod = pod
        self._place(tracked, pod)
        owner = tracked.owner
        if owner is not None:
            tracked.is_current = self._is_current(owner, pod)
            self._set_available(tracked, self._available_from(owner, pod), now)
        settled = not is_deleting(pod) and (is_true(pod, "Ready") or at(pod, "status.phase") in OVER)
        if settled != tracked.is_settled:
            tracked.is_settled = settled
            if settled:
                self._unsettled.pop(key, None)
            else:
                self._unsettled[key] = None
            self._count_unsettled(now)
        if before is pod or before.get("status") != pod.get("status") or is_deleting(before) != is_deleting(pod):
            self._draw(tracked, now)

    def _place(self, tracked: Tracked, pod: Obj) -> None:
        node = pod["spec"].get("nodeName") or _pinned(pod)
        reference = controller_of(pod)
        uid = reference["uid"] if reference is not None else ""
        owner = self.workloads.get(self._owner_of_set.get(uid, uid))
        if owner is tracked.owner and node == tracked.node:
            return
        self._unplace(tracked)
        tracked.owner, tracked.node = owner, node
        if owner is not None:
            owner.pods[tracked.key] = tracked
            if owner.is_daemonset:
                owner.on.setdefault(node, {})[tracked.key] = tracked

    def _unplace(self, tracked: Tracked) -> None:
        owner = tracked.owner
        if owner is None:
            return
        self._set_available(tracked, NEVER, self._now())
        owner.pods.pop(tracked.key, None)
        if owner.is_daemonset:
            there = owner.on.get(tracked.node)
            if there is not None:
                there.pop(tracked.key, None)
                if not there:
                    del owner.on[tracked.node]
        tracked.owner = None

    def _leave(self, tracked: Tracked, now: float) -> None:
        owner, node = tracked.owner, tracked.node
        self._unplace(tracked)
        del self.pods[tracked.key]
        if self._unsettled.pop(tracked.key, 0) is None:
            self._count_unsettled(now)
        if owner is not None and self._started is not None:
            if owner.is_daemonset:
                self._draw_node(owner, node, now)
            else:
                owner.timeline.end(tracked.key.name, now - self._started)

    def _available_from(self, owner: Workload, pod: Obj) -> float:
        if is_deleting(pod) or not is_true(pod, "Ready"):
            return NEVER
        if not owner.min_ready_s:
            return 0.0
        return available_at(pod, owner.min_ready_s)

    def _set_available(self, tracked: Tracked, since: float, now: float) -> None:
        before, after = tracked.available_from <= now, since <= now
        tracked.available_from = since
        if not after and since < NEVER:
            self._matured += 1
            heapq.heappush(self._maturing, (since, self._matured, tracked))
        if before != after:
            self._count_available(tracked, 1 if after else -1, now)

    def _mature(self, now: float) -> None:
        """Pods that have been ready for long enough."""
        while self._maturing and self._maturing[0][0] <= now:
            since, _, tracked = heapq.heappop(self._maturing)
            if tracked.available_from == since and tracked.owner is not None:
                self._count_available(tracked, 1, since)

    def _count_available(self, tracked: Tracked, more: int, now: float) -> None:
        owner = tracked.owner
        assert owner is not None, "only a workload's pods are counted"
        if not owner.is_daemonset:
            owner.available += more
        else:
            there = owner.up_on.get(tracked.node, 0) + more
            owner.up_on[tracked.node] = there
            if tracked.node in owner.wanted_on and there == (1 if more > 0 else 0):
                owner.available += more
        self._count_down(owner, now)

    def _count_down(self, owner: Workload, now: float) -> None:
        if self._started is None:
            return
        down = owner.are_down()
        if down != owner.down:
            owner.down_s += owner.down * (now - owner.down_since)
            owner.down, owner.down_since = down, now
            if down > owner.worst:
                owner.worst, owner.worst_at = down, now

    def _is_current(self, owner: Workload, pod: Obj) -> bool:
        if owner.key.resource in (DAEMONSETS, rollouts.STATEFULSETS):
            return labels_of(pod).get("controller-revision-hash") == owner.current
        if owner.key.resource == rollouts.DEPLOYMENTS:
            reference = controller_of(pod)
            return reference is not None and reference["uid"] == owner.current
        return True

    # ---- what pods belong to

    def _take_workload(self, key: Key, old: Obj | None, new: Obj | None, now: float) -> None:
        if new is None or not rollouts.is_measured(key.resource, new):
            gone = self.workloads.pop(uid_of(old), None) if old is not None else None
            if gone is not None:
                self._forget(gone, now)
            return
        one = self.workloads.get(uid_of(new))
        if one is None:
            one = self.workloads[uid_of(new)] = Workload(key, new)
            one.touched = self._started is not None
            if self._started is not None:
                one.down_since = one.worst_at = now
            before = None
        else:
            before, one.obj = one.obj, new
        if one.is_daemonset and (before is None or before["spec"]["template"] != new["spec"]["template"]):
            self._judge_nodes(one, now)
        if before is not None and before["spec"] != new["spec"]:
            one.touched = True
            for tracked in list(one.pods.values()):
                self._set_available(tracked, self._available_from(one, tracked.pod), now)
        self._count_down(one, now)
        if key.resource == rollouts.STATEFULSETS and (update := at(new, "status.updateRevision", "")) != one.current:
            self._set_current(one, update, 0, now)  # its pods carry the revision's name
        one.standing = rollouts.standing(key.resource, new)
        self._set_complete(one, now)

    def _set_complete(self, one: Workload, now: float) -> None:
        if one.standing.complete:
            self._incomplete.pop(one.uid, None)
            if one.touched and one.finished_at is None:
                one.finished_at = now
            self._check_rest()
        else:
            one.touched = one.touched or self._started is not None
            one.finished_at = None
            self._incomplete[one.uid] = None
        if self._is_record(one):
            self._set_record(one)
            self.progress_at = now

    def _is_record(self, one: Workload) -> bool:
        return self._reached(one) > one.record

    def _set_record(self, one: Workload) -> None:
        one.record = self._reached(one)

    @staticmethod
    def _reached(one: Workload) -> tuple[int, int]:
        """Its status speaks of a template only once it was seen."""
        seen = at(one.obj, "status.observedGeneration", 0)
        return seen, one.standing.updated + min(one.standing.updated, one.standing.available)

    def _forget(self, one: Workload, now: float) -> None:
        self._incomplete.pop(one.uid, None)
        for tracked in list(one.pods.values()):
            tracked.owner = None
        self._check_rest()

    def _take_set(self, replica_set: Obj, now: float) -> None:
        reference = controller_of(replica_set)
        assert reference is not None, "a set that a Deployment owns"
        uid = uid_of(replica_set)
        self._owner_of_set[uid] = reference["uid"]
        owner = self.workloads.get(reference["uid"])
        number = annotations_of(replica_set).get(SET_REVISION, "")
        if owner is not None and number.isdigit() and int(number) > owner.number:
            self._set_current(owner, uid, int(number), now)

    def _take_revision(self, revision: Obj | None, now: float) -> None:
        reference = controller_of(revision) if revision is not None else None
        owner = self.workloads.get(reference["uid"]) if reference is not None else None
        if owner is not None and owner.is_daemonset and revision is not None and number_of(revision) > owner.number:
            self._set_current(owner, hash_label_of(revision), number_of(revision), now)

    def _set_current(self, owner: Workload, current: str, number: int, now: float) -> None:
        owner.current, owner.number = current, number
        for tracked in list(owner.pods.values()):
            tracked.is_current = self._is_current(owner, tracked.pod)
            self._draw(tracked, now)

    # ---- nodes

    def _take_node(self, name: str, old: Obj | None, node: Obj | None, now: float) -> None:
        was = self.nodes.get(name)
        if node is None:
            self.nodes.pop(name, None)
        else:
            self.nodes[name] = node
        if was is not None and node is not None and was["metadata"].get("labels") == node["metadata"].get("labels") \
                and was["spec"].get("taints") == node["spec"].get("taints") \
                and is_true(was, "Ready") == is_true(node, "Ready"):
            return
        for one in self.workloads.values():
            if one.is_daemonset:
                self._judge_node(one, name, now)
                self._draw_node(one, name, now)

    def _judge_nodes(self, one: Workload, now: float) -> None:
        for name in self.nodes:
            self._judge_node(one, name, now)

    def _judge_node(self, one: Workload, name: str, now: float) -> None:
        node = self.nodes.get(name)
        wanted = node is not None and eligibility(one.obj["spec"]["template"])(node) is Fit.RUN
        if wanted == (name in one.wanted_on):
            return
        is_up = one.up_on.get(name, 0) > 0
        if wanted:
            one.wanted_on.add(name)
            one.available += is_up
        else:
            one.wanted_on.discard(name)
            one.available -= is_up
        self._count_down(one, now)

    # ---- the picture

    def _draw_all(self, one: Workload, now: float) -> None:
        if one.is_daemonset:
            for name in self.nodes:
                self._draw_node(one, name, now)
        else:
            for tracked in one.pods.values():
                self._draw(tracked, now)

    def _draw(self, tracked: Tracked, now: float) -> None:
        owner = tracked.owner
        if owner is None or self._started is None:
            return
        if owner.is_daemonset:
            self._draw_node(owner, tracked.node, now)
        else:
            owner.timeline.note(tracked.key.name, now - self._started, timeline.pod_state(tracked.seen()))

    def _draw_node(self, one: Workload, name: str, now: float) -> None:
        if self._started is None:
            return
        at_s = now - self._started
        if name not in self.nodes:
            one.timeline.end(name, at_s)
            return
        there = one.on.get(name)
        one.timeline.note(name, at_s, timeline.daemon_state(
            self.nodes[name], name in one.wanted_on, [tracked.seen() for tracked in there.values()] if there else ()))

    # ---- rest and progress

    def _count_unsettled(self, now: float) -> None:
        if len(self._unsettled) < self._fewest_unsettled:
            self._fewest_unsettled = len(self._unsettled)
            self.progress_at = now
        self._check_rest()

    def _check_rest(self) -> None:
        if self.is_at_rest:
            self._came_to_rest.set()

    # ---- the answer

    def outcome(self, seed: str, verdict: str, violations: Sequence[str] = (), *, timelines: bool = True) -> Outcome:
        assert self._started is not None, "begun"
        now, began = self._now(), self._started
        self._mature(now)
        store = self._world.store
        found = sorted(self.workloads.values(), key=lambda one: one.name)
        told = [self._told_of(one, now) for one in found]
        last = [one.finished_at for one in found if one.touched]
        finished = None if self._incomplete or self._unsettled else \
            max((when - began for when in last if when is not None), default=0.0)
        cost = Cost(store.history.revision - self._revision_began, self._world.events_told() - self._events_began,
                    dict(self._writes_by.most_common()), dict(self._writes_of.most_common()),
                    self._world.plans().total() - self._plans_began, time.process_time() - self._cpu_began, now - began)
        return Outcome(
            seed, verdict, now - began, finished, told, self._endings.found(), self._endings.left_out,
            dict(sorted(self._endings.replaced.items())),
            [WithoutDaemon(one.name, why, there, wanted) for one in found if one.is_daemonset
             for wanted, why, there in without_daemon(one.obj, self.nodes, {
                 node: [each.pod for each in pods.values()] for node, pods in one.on.items()})],
            [(f"{key.namespace}/{key.name}", pending_why(self.pods[key].pod, self.nodes.get(self.pods[key].node)))
             for key in sorted(self._unsettled)[:MOST_PENDING]],
            [*self._budgets.broken(now - began), *violations], list(self._strikes), cost, self._hash.hexdigest(),
            {one.name: one.timeline.rows for one in found
             if timelines and (one.touched or _has_moved(one.timeline))})

    def _told_of(self, one: Workload, now: float) -> WorkloadOutcome:
        assert self._started is not None, "begun"
        began = self._started
        down_s = one.down_s + one.down * (now - one.down_since)
        over_s = max((one.finished_at or now) - began, 1e-9) if one.touched else max(now - began, 1e-9)
        stuck = ""
        if one.uid in self._incomplete:
            pods = [each.pod for each in one.pods.values()]
            stuck = stuck_why(one.key.resource, one.obj, one.standing, pods, self.nodes)
        return WorkloadOutcome(
            one.name, one.obj["kind"], one.should_be_up() or one.standing.wanted, one.standing.updated, one.available,
            one.touched, None if one.finished_at is None or one.uid in self._incomplete else one.finished_at - began,
            one.worst, one.worst_at - began, down_s, min(down_s / over_s, one.worst), stuck)


def _pinned(pod: Obj) -> str:
    return pinned_node(pod["spec"]) or ""


def _has_moved(found: Timeline) -> bool:
    return any(len(spans) > 1 for spans in found.rows.values())

