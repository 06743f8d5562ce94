"""Listens to a rehearsal's changes and adds them up: who is available when, who ended what, what it cost.

    availability.py   how many of each workload are up, and how long too few were
    progress.py       what is not complete or settled yet, and when anything last came further
    drawing.py        what each node or pod was doing, for the picture
    endings.py        who ended which pod            budgets.py    which disruption budgets were broken
    fingerprint.py    one number for all changes

It works in proportion to what changed: each change touches one pod, one node or one workload.  `Measure` keeps its
own copy of the few objects it needs; it reads nothing from the cluster while that is at work, and changes nothing.
"""
from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from ..api.objects import Key, Obj, annotations_of, at, condition, controller_of, is_true, labels_of, uid_of
from ..api.placement import pinned_node
from ..control.plan import Tell
from ..control.revisions import RESOURCE as REVISIONS
from ..control.revisions import hash_label_of, number_of
from ..controllers.deployment_sets import REVISION as SET_REVISION
from ..store.history import Change
from ..why import rollouts
from ..why.daemonset import without_daemon
from ..why.pod import pending_why
from ..why.rollouts import DAEMONSETS, REPLICASETS, SHORT
from ..why.workload import stuck_why
from .availability import Availability
from .budgets import RESOURCE as BUDGETS
from .budgets import Budgets
from .drawing import STEPS, Drawing
from .endings import PREEMPTED, Endings
from .fingerprint import Fingerprint
from .outcome import Cost, Outcome, WithoutDaemon, WorkloadOutcome
from .progress import Progress
from .timeline import Timeline
from .tracked import Tracked, Workload
from .world import World

MOST_STRIKES = MOST_PENDING = 200


class Measure:
    """From `begin` on; `outcome` may be asked for at any time.  `draws`: with what each node or pod was doing."""

    def __init__(self, world: World, *, draws: bool = False):
        self._world, self._now = world, world.clock.now
        self.nodes: dict[str, Obj] = {}
        self._down: set[str] = set()  # nodes that are not ready; only asked, never iterated
        self.workloads: dict[str, Workload] = {}  # by uid
        self.pods: dict[Key, Tracked] = {}
        self.progress = Progress()
        self._owner_of_set: dict[str, str] = {}  # ReplicaSet uid -> Deployment uid
        self._draws = draws
        self._availability = Availability()
        self._drawing = Drawing(self.nodes, self._down, self.pods)
        self._endings = Endings(self.pods, self.nodes)
        self._budgets = Budgets()
        self._fingerprint = Fingerprint()
        self._strikes: list[tuple[float, str]] = []
        self._started: float | None = None
        self._cpu_began = 0.0
        self._revision_began = self._events_began = 0
        self._plans_began = 0
        self._writes_by: Counter[str] = Counter()
        self._writes_of: Counter[str] = Counter()
        for resource in ("nodes", *rollouts.RESOURCES, REVISIONS, BUDGETS, "pods"):
            for snapshot in world.store.history.lane(resource).snapshots():
                key = world.kinds.key_of(snapshot.value)
                self._take(Change(snapshot.revision, key, snapshot, None), self._now())
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
        self._availability.begin(self.workloads.values(), self.nodes, now)
        self.progress.begin(self.workloads.values(), now)
        if self._draws:
            self._drawing.begin(self.workloads.values(), now)

    def stir(self) -> None:
        """Something was done to the cluster on purpose: progress is counted from here."""
        self.progress.stir(self.workloads.values(), self._now())

    def strike(self, what: str) -> None:
        """A fault happened."""
        assert self._started is not None, "begun"
        if len(self._strikes) < MOST_STRIKES:
            self._strikes.append((self._now() - self._started, what))
        self.stir()

    def is_anything_under_way(self) -> bool:
        """Is a node still pulling, starting or stopping something that will come to its end?"""
        return any(self._world.fleet.is_busy_with(key) for key in self.progress.unsettled)

    def share_done(self) -> float:
        """Between 0 and 1: how much of what is wanted is up to date and available."""
        wanted = done = 0
        for one in self.workloads.values():
            wanted += one.standing.wanted
            done += min(one.standing.wanted, one.standing.updated, one.available)
        return done / wanted if wanted else 1.0

    # ---- hearing

    def _hear(self, changes: Sequence[Change]) -> None:
        now = self._now()
        self._availability.mature(now)
        if self._started is not None:
            self.progress.moved_at = now
            who = self._world.writers.who
            for change in changes:
                self._fingerprint.hear(change)
                self._writes_by[who] += 1
                self._writes_of[change.key.resource] += 1
        for change in changes:
            self._take(change, now)

    def _told(self, tell: Tell) -> None:
        if tell.reason in STEPS:
            self._drawing.told(tell, self._now())
        elif tell.reason == PREEMPTED:
            self._endings.told(tell)

    def _take(self, change: Change, now: float) -> None:
        key, new = change.key, change.value
        match key.resource:
            case "pods":
                self._take_pod(change, now)
            case "nodes":
                self._take_node(key.name, new, now)
            case resource if resource == REVISIONS:
                self._take_revision(new, now)
            case resource if resource == BUDGETS:
                self._budgets.hear(key, new, now - (self._started or now))
            case resource if resource == REPLICASETS and new is not None and controller_of(new) is not None:
                self._take_set(new, now)
            case resource if resource in SHORT:
                self._take_workload(key, change.previous, new, now)

    # ---- pods

    def _take_pod(self, change: Change, now: float) -> None:
        key, pod = change.key, change.value
        tracked = self.pods.get(key)
        if tracked is not None and (pod is None or uid_of(pod) != tracked.uid):
            if not tracked.has_ended:
                self._ended(tracked, now)
            self._leave(tracked, now)
            tracked = None
        if pod is None:
            return
        is_new = tracked is None
        if tracked is None:
            tracked = self.pods[key] = Tracked(key, pod)
            reads_otherwise = True
        else:
            before, was_going, had_ended = tracked.pod, tracked.is_going, tracked.has_ended
            tracked.read(pod)
            reads_otherwise = was_going != tracked.is_going or before.get("status") != pod.get("status")
            if not had_ended and (tracked.is_going or tracked.phase == "Failed"):
                self._ended(tracked, now)
        if is_new or not change.is_of_status:
            self._place(tracked, pod, now)
        if tracked.owner is not None:
            self._availability.of(tracked, now)
        self.progress.settle(tracked, not tracked.is_going and (tracked.is_ready or tracked.has_ended), now)
        if reads_otherwise:
            self._drawing.pod(tracked, now)

    def _ended(self, tracked: Tracked, now: float) -> None:
        if self._started is not None:
            self._endings.hear(tracked, self._world.writers.who, now - self._started)

    def _place(self, tracked: Tracked, pod: Obj, now: float) -> None:
        node = pod["spec"].get("nodeName") or pinned_node(pod["spec"]) or ""
        reference = controller_of(pod)
        uid = reference["uid"] if reference is not None else ""
        owner = self.workloads.get(self._owner_of_set.get(uid, uid))
        if owner is not tracked.owner or node != tracked.node:
            self._unplace(tracked, now)
            tracked.owner, tracked.node = owner, node
            if owner is not None:
                owner.pods[tracked.key] = tracked
                if owner.is_daemonset or self._draws:
                    owner.on.setdefault(node, {})[tracked.key] = tracked
        if owner is not None:
            tracked.is_current = _is_current(owner, pod)

    def _unplace(self, tracked: Tracked, now: float) -> None:
        owner = tracked.owner
        if owner is None:
            return
        self._availability.leave(tracked, now)
        owner.pods.pop(tracked.key, None)
        there = owner.on.get(tracked.node)
        if there is not None:
            there.pop(tracked.key, None)
            if not there:
                del owner.on[tracked.node]
        tracked.owner = None

    def _leave(self, tracked: Tracked, now: float) -> None:
        owner, node = tracked.owner, tracked.node
        self._unplace(tracked, now)
        del self.pods[tracked.key]
        self.progress.lose(tracked.key, now)
        if owner is not None:
            self._drawing.gone(owner, tracked, node, now)

    # ---- what pods belong to

    def _take_workload(self, key: Key, old: Obj | None, new: Obj | None, now: float) -> None:
        if new is None or not rollouts.is_measured(key.resource, new):
            gone = self.workloads.pop(uid_of(old), None) if old is not None else None
            if gone is not None:
                self.progress.forget(gone)
                for tracked in gone.pods.values():
                    tracked.owner = None
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
            for name, node in self.nodes.items():
                self._availability.judge(one, name, node, now)
        if before is not None and before["spec"] != new["spec"]:
            one.touched = True
            for tracked in list(one.pods.values()):
                self._availability.of(tracked, now)
        self._availability.count_down(one, now)
        if key.resource == rollouts.STATEFULSETS and (update := at(new, "status.updateRevision", "")) != one.current:
            self._set_current(one, update, 0, now)  # its pods carry the revision's name
        one.standing = rollouts.standing(key.resource, new)
        self.progress.judge(one, now)

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
            tracked.is_current = _is_current(owner, tracked.pod)
            self._drawing.pod(tracked, now)

    # ---- nodes

    def _take_node(self, name: str, node: Obj | None, now: float) -> None:
        was = self.nodes.get(name)
        if node is None:
            self.nodes.pop(name, None)
        else:
            self.nodes[name] = node
        if node is not None and condition(node, "Ready") is not None and not is_true(node, "Ready"):
            self._down.add(name)
        else:
            self._down.discard(name)
        if was is not None and node is not None and was["metadata"].get("labels") == node["metadata"].get("labels") \
                and was["spec"].get("taints") == node["spec"].get("taints") \
                and is_true(was, "Ready") == is_true(node, "Ready"):
            return
        for one in self.workloads.values():
            if one.is_daemonset:
                self._availability.judge(one, name, node, now)
                self._drawing.node(one, name, now)
            for tracked in one.on.get(name, {}).values() if not one.is_daemonset else ():
                self._drawing.pod(tracked, now)

    # ---- the answer

    def outcome(self, seed: str, verdict: str, broken_laws: Sequence[str] | None = None) -> Outcome:
        assert self._started is not None, "begun"
        now, began = self._now(), self._started
        self._availability.mature(now)
        store = self._world.store
        found = sorted(self.workloads.values(), key=lambda one: one.name)
        told = [self._told_of(one, now) for one in found]
        drawn = [one for one in found if self._draws and (one.touched or _has_moved(one.timeline))]
        last = [one.finished_at for one in found if one.touched]
        finished = None if not self.progress.is_at_rest else \
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
             for key in sorted(self.progress.unsettled)[:MOST_PENDING]],
            list(self._budgets.broken(now - began)), broken_laws, list(self._strikes), cost, self._fingerprint.text(),
            {one.name: one.timeline.rows for one in drawn},
            {one.name: [(max(0.0, when - began), down) for when, down in one.downs] for one in drawn})

    def _told_of(self, one: Workload, now: float) -> WorkloadOutcome:
        assert self._started is not None, "begun"
        began = self._started
        down_s = one.down_s + one.down * (now - one.down_since)
        over_s = max((one.finished_at or now) - began, 1e-9) if one.touched else max(now - began, 1e-9)
        stuck = ""
        if one.uid in self.progress.incomplete:
            pods = [each.pod for each in one.pods.values()]
            stuck = stuck_why(one.key.resource, one.obj, one.standing, pods, self.nodes)
        finished_s = None if one.finished_at is None or one.uid in self.progress.incomplete else one.finished_at - began
        return WorkloadOutcome(
            one.name, one.obj["kind"], one.should_be_up() or one.standing.wanted, one.standing.updated, one.available,
            one.touched, finished_s, one.worst, one.worst_at - began, down_s, min(down_s / over_s, one.worst), stuck)


def _is_current(owner: Workload, pod: Obj) -> bool:
    if owner.key.resource in (DAEMONSETS, rollouts.STATEFULSETS):
        return labels_of(pod).get("controller-revision-hash") == owner.current
    if owner.key.resource == rollouts.DEPLOYMENTS:
        reference = controller_of(pod)
        return reference is not None and reference["uid"] == owner.current
    return True


def _has_moved(found: Timeline) -> bool:
    return any(len(spans) > 1 for spans in found.rows.values())
