"""The laws of ReplicaSets and Deployments.

    a ReplicaSet makes no pod beyond its replicas, and ends none that it needs
    all ReplicaSets of a Deployment together are never asked for more than replicas + maxSurge
    a pod that is available is taken down only while, without it, replicas - maxUnavailable others are available

A Deployment decides by the statuses of its ReplicaSets, which tell of pods a moment late: pods that went down by
themselves in the last `SLACK_S` are counted as if they still stood.  While a Deployment is scaled in the middle of a
rollout its sets are scaled in proportion, whatever is available; the law takes hold again once the rollout is over.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling
"""
from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, condition, from_time, is_deleting, uid_of
from ..store.history import Change
from .invariants_scene import Standing, available_from, is_active, owner_of, share_of

if TYPE_CHECKING:
    from .invariants import Laws

SETS, ROLLOUTS = "replicaset-controller", "deployment-controller"
SLACK_S = 3.0


class _Limit:
    """A number that changes, and what it was for as long as somebody may still act on that."""

    def __init__(self, value: int, now: float):
        self._past: deque[tuple[float, int]] = deque(maxlen=64)  # (until when it was so, the number)
        self.value, self.since = value, now

    def set(self, value: int, now: float) -> None:
        if value != self.value:
            self._past.append((now, self.value))
            self.value, self.since = value, now

    def recent(self, after: float) -> list[int]:
        return [self.value, *(value for until, value in self._past if until >= after)]


class _Rollout:
    """A Deployment, and which of its pods are available."""

    def __init__(self, deployment: Obj, now: float):
        self.obj = deployment
        self.pods: Standing[Key] = Standing()
        self.lost: deque[float] = deque(maxlen=4096)  # when pods went down, not by our doing
        self.needed = _Limit(_least(deployment), now)
        self.most = _Limit(_most(deployment), now)
        self.changed = now
        self.scaled = False  # in the middle of a rollout


class Replicas:
    def __init__(self, laws: Laws):
        self._laws = laws
        self._rollouts: dict[str, _Rollout] = {}
        self._sets: dict[str, Obj] = {}  # by uid
        self._wanted: dict[str, _Limit] = {}  # replicas of a set
        self._left: dict[str, deque[float]] = {}  # when active pods of a set ended, or went, by themselves
        self._asked_by: dict[str, str] = {}  # who last asked a set for fewer
        self._sets_of: dict[str, dict[str, None]] = {}  # uid of a Deployment -> uids of its sets

    def _fresh_from(self) -> float:
        """Decisions of now may have been made on what held since then."""
        return self._laws.seen_until() - SLACK_S

    # ---- before the scene knows

    def hear(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        if key.resource == "replicasets.apps":
            if old is not None and new is not None and self._laws.who() == ROLLOUTS:
                self._resized(key, old, new)
        elif key.resource == "pods" and new is not None and self._laws.who() == SETS:
            if old is None:
                self._made(key, new)
            elif is_deleting(new) and not is_deleting(old):
                self._ended(key, old)

    def _made(self, key: Key, pod: Obj) -> None:
        laws, uid = self._laws, owner_of(pod, "ReplicaSet")
        if uid not in self._wanted:
            return
        most = max(self._wanted[uid].recent(self._fresh_from()))
        there = laws.scene.active[uid]
        if there + 1 > most:
            unseen = sum(laws.is_hidden(laws.scene.came.get(other)) for other in laws.scene.pods_of(uid))
            if there - unseen + 1 > most:
                laws.wrong("a ReplicaSet makes no more pods than asked for", key, f"is number {there + 1} of {most}")

    def _ended(self, key: Key, pod: Obj) -> None:
        laws, uid, now = self._laws, owner_of(pod, "ReplicaSet"), self._laws.now()
        if uid not in self._wanted or not is_active(pod):
            return
        fresh_from = self._fresh_from()
        least, there = min(self._wanted[uid].recent(fresh_from)), laws.scene.active[uid]
        there_a_moment_ago = there + sum(when >= fresh_from for when in self._left.get(uid, ()))
        if there_a_moment_ago - 1 < least and not is_deleting(self._sets[uid]):
            laws.wrong("a ReplicaSet ends no pod that it needs", key, f"leaves {there - 1} of {least}")
        rollout = self._rollouts.get(owner_of(self._sets[uid], "Deployment"))
        if rollout is None or self._asked_by.get(uid) != ROLLOUTS or not rollout.pods.is_up(key, now):
            return
        if rollout.scaled or rollout.changed >= fresh_from or not _rolls(rollout.obj) or is_deleting(rollout.obj):
            return
        if _ready_since(pod) + (rollout.obj["spec"].get("minReadySeconds") or 0) >= fresh_from - 1:
            return  # it was not available when it was chosen (times are whole seconds)
        just_lost = sum(when >= fresh_from for when in rollout.lost)
        left, needed = rollout.pods.up(now) - 1, min(rollout.needed.recent(fresh_from))
        if left + just_lost < needed:
            laws.wrong("never fewer available than the rollout promises", key,
                       f"is taken down: {left} are left available, {needed} are promised")

    def _resized(self, key: Key, old: Obj, new: Obj) -> None:
        before, after = old["spec"].get("replicas", 1), new["spec"].get("replicas", 1)
        rollout = self._rollouts.get(owner_of(new, "Deployment"))
        if after <= before or rollout is None or not _rolls(rollout.obj):
            return
        uid = owner_of(new, "Deployment")
        total = after + sum(self._sets[one]["spec"].get("replicas", 1) for one in self._sets_of.get(uid, {})
                            if one != uid_of(new))
        most = max(rollout.most.recent(self._fresh_from()))
        if total > most and not rollout.scaled:
            self._laws.wrong("never more pods than the rollout allows", key,
                             f"is scaled from {before} to {after}: {total} in all, {most} allowed")

    # ---- once the scene knows

    def heard(self, change: Change) -> None:
        match change.key.resource:
            case "pods":
                self._pod_changed(change)
            case "replicasets.apps":
                self._set_changed(change)
            case _:
                self._deployment_changed(change)

    def _pod_changed(self, change: Change) -> None:
        key, old, new, now = change.key, change.previous, change.value, self._laws.now()
        uid = owner_of(old, "ReplicaSet")
        if uid and old is not None and is_active(old) and self._laws.who() != SETS and (
                new is None or not is_active(new) or owner_of(new, "ReplicaSet") != uid):
            self._left.setdefault(uid, deque(maxlen=4096)).append(now)
        before, after = self._rollout_of(old), self._rollout_of(new)
        if before is not None and before is not after:
            self._lost(before, key, now)
            before.pods.drop(key)
        if after is None or new is None:
            return
        since = available_from(new, self._sets[owner_of(new, "ReplicaSet")])
        if since > now:
            self._lost(after, key, now)
        after.pods.put(key, since, now)

    def _lost(self, rollout: _Rollout, key: Key, now: float) -> None:
        if rollout.pods.is_up(key, now) and self._laws.who() != SETS:
            rollout.lost.append(now)

    def _rollout_of(self, pod: Obj | None) -> _Rollout | None:
        owner = self._sets.get(owner_of(pod, "ReplicaSet"))
        return self._rollouts.get(owner_of(owner, "Deployment")) if owner is not None else None

    def _set_changed(self, change: Change) -> None:
        old, new, now = change.previous, change.value, self._laws.now()
        if new is None:
            uid = uid_of(old) if old is not None else ""
            self._sets.pop(uid, None)
            self._wanted.pop(uid, None)
            self._asked_by.pop(uid, None)
            self._left.pop(uid, None)
            self._sets_of.get(owner_of(old, "Deployment"), {}).pop(uid, None)
            return
        uid, replicas = uid_of(new), new["spec"].get("replicas", 1)
        if old is not None and replicas < old["spec"].get("replicas", 1):
            self._asked_by[uid] = self._laws.who()
        self._sets[uid] = new
        if old is not None and old["spec"].get("minReadySeconds") != new["spec"].get("minReadySeconds"):
            self._count_anew(uid, now)
        self._wanted.setdefault(uid, _Limit(replicas, now)).set(replicas, now)
        before, after = owner_of(old, "Deployment"), owner_of(new, "Deployment")
        if before != after:
            self._sets_of.get(before, {}).pop(uid, None)
            if after:
                self._sets_of.setdefault(after, {})[uid] = None
                if (rollout := self._rollouts.get(after)) is not None and replicas and old is not None:
                    rollout.scaled = True  # a set with its pods was adopted

    def _count_anew(self, uid: str, now: float) -> None:
        rollout = self._rollouts.get(owner_of(self._sets[uid], "Deployment"))
        for key, pod in self._laws.scene.pods_of(uid).items():
            if rollout is not None:
                rollout.pods.put(key, available_from(pod, self._sets[uid]), now)

    def _deployment_changed(self, change: Change) -> None:
        old, new, now = change.previous, change.value, self._laws.now()
        if new is None:
            self._rollouts.pop(uid_of(old) if old is not None else "", None)
            return
        rollout = self._rollouts.get(uid_of(new))
        if rollout is None:
            rollout = self._rollouts[uid_of(new)] = _Rollout(new, now)
        before = rollout.obj["spec"]
        if before != new["spec"] and {**before, "template": 0} != {**new["spec"], "template": 0}:
            rollout.scaled = rollout.scaled or not _is_complete(rollout.obj)
            rollout.changed = now
        elif rollout.scaled and _is_complete(new):
            rollout.scaled = False
        rollout.obj = new
        rollout.needed.set(_least(new), now)
        rollout.most.set(_most(new), now)


def _ready_since(pod: Obj) -> float:
    return from_time((condition(pod, "Ready") or {}).get("lastTransitionTime", "1970-01-01T00:00:00Z"))


def _rolls(deployment: Obj) -> bool:
    return (deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def _bounds(deployment: Obj) -> tuple[int, int, int]:
    """replicas, maxSurge and maxUnavailable as numbers."""
    replicas = deployment["spec"].get("replicas", 1)
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = share_of(rolling.get("maxSurge", "25%"), replicas, up=True)
    down = share_of(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return replicas, surge, down or (0 if surge else 1)


def _least(deployment: Obj) -> int:
    replicas, _, down = _bounds(deployment)
    return max(0, replicas - down)


def _most(deployment: Obj) -> int:
    replicas, surge, _ = _bounds(deployment)
    return replicas + surge if replicas else 0


def _is_complete(deployment: Obj) -> bool:
    status, replicas = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    return (status.get("observedGeneration") == deployment["metadata"].get("generation")
            and all((status.get(field) or 0) == replicas
                    for field in ("replicas", "updatedReplicas", "availableReplicas")))
