"""Taking a pod away for those who can wait: a drain, an autoscaler, whoever is kind enough to ask.

    no budget for it, ended, or not yet running   it goes
    a budget covers it                            one disruption is taken off what the budget allows, then it goes
    not ready                                     goes without costing anything where its application is well, or
                                                  where the budget says AlwaysAllow
    nothing allowed                               429: ask again later
    more than one budget                          500: nobody knows which one to ask

The number that a budget allows is taken off by a commit at the revision it was read at, so evictions that come
together never take more than there is.  What was taken is noted by pod name until the disruption controller
sees that pod end.  The pod's condition DisruptionTarget says why it ends, and is written first.
https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from ..api.errors import ApiError, Conflict, TooManyRequests, forbidden, not_found
from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind
from ..api.kinds.pod_disruption_budget import ALWAYS_ALLOW, POD_DISRUPTION_BUDGET, with_allowed_condition
from ..api.objects import Key, Obj, at, is_deleting, is_true, labels_of, to_time, with_condition
from ..api.selectors import from_label_selector
from ..clock import Clock
from ..store.history import Snapshot
from ..store.store import Store
from . import deletion
from .landing import ClusterLook, Landing, Overtaken, until_it_lands
from .requests import Deleted, DeleteOptions

BUDGETS = POD_DISRUPTION_BUDGET.resource
TRIES = 20  # to take a disruption off a budget, or to end a pod, that others write to at the same time ...
WAIT_S = (0.02, 0.1)  # ... after so long each
MOST_DISRUPTED = 2000  # pods that a budget waits for at the same time
ENDED = ("Succeeded", "Failed")

Delete = Callable[[Kind, str, str, DeleteOptions, Any], Awaitable[Deleted]]


class Evictions:
    def __init__(self, store: Store, landing: Landing, kinds: Kinds, clock: Clock, delete: Delete):
        self._store = store
        self._landing = landing
        self._look = ClusterLook(store.history)
        self._kinds = kinds
        self._clock = clock
        self._chance = clock.fork("evictions")
        self._delete = delete
        # Who comes together waits in a line instead of being in each other's way; what decides is the commit.
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def evict(self, kind: Kind, namespace: str, name: str, asked: DeleteOptions, user: Any) -> Deleted:
        deletion.check_options(asked)
        for left in reversed(range(TRIES)):
            pod = self._landing.stored(kind, kind.key(namespace, name))
            if not is_nobodys_loss(pod.value):
                break
            try:
                return await self._end(kind, pod, _pinned(asked, pod) if may_get_well(pod.value) else asked, user)
            except Conflict:
                if not left or asked.resource_version:
                    raise
                await asyncio.sleep(self._chance.uniform(*WAIT_S))
        return await self._evict_running(kind, pod, asked, user)

    async def _evict_running(self, kind: Kind, pod: Snapshot, asked: DeleteOptions, user: Any) -> Deleted:
        budget = self._budget_of(pod.value)
        if budget is None:
            return await self._end(kind, pod, asked, user)
        if not costs_nothing(pod.value, budget):
            await self._spend(budget, pod.value, dry_run=asked.dry_run)
            return await self._end(kind, pod, asked, user)
        try:
            return await self._end(kind, pod, _pinned(asked, pod), user)
        except Conflict:
            if asked.resource_version:
                raise
            raise still_processed(budget) from None

    def _budget_of(self, pod: Obj) -> Obj | None:
        labels = labels_of(pod)
        found = [budget for budget in self._look.list(BUDGETS, pod["metadata"]["namespace"])
                 if from_label_selector(at(budget, "spec.selector")).matches(labels)]
        if len(found) > 1:
            raise _SeveralBudgets("This pod has more than one PodDisruptionBudget, which the eviction subresource does "
                                  "not support.")
        return found[0] if found else None

    async def _spend(self, budget: Obj, pod: Obj, *, dry_run: bool) -> None:
        kind = self._kinds.resource(BUDGETS)
        key = kind.key(budget["metadata"]["namespace"], budget["metadata"]["name"])
        turn = self._turns.setdefault(key, asyncio.Lock())
        for left in reversed(range(TRIES)):
            async with turn:
                stored = self._store.get(key)
                if stored is None:
                    raise not_found(BUDGETS, key.name)
                check(stored.value)
                if dry_run:
                    return
                try:
                    await self._landing.commit(key, stored, spent(stored.value, pod, self._clock.now()))
                    return
                except Overtaken as overtaken:
                    if not left:
                        raise overtaken.conflict from None
            await asyncio.sleep(self._chance.uniform(*WAIT_S))

    async def _end(self, kind: Kind, pod: Snapshot, options: DeleteOptions, user: Any) -> Deleted:
        spoken = pod.value["metadata"]
        key = kind.key(spoken["namespace"], spoken["name"])

        async def mark() -> Snapshot:
            stored = self._landing.stored(kind, key)
            deletion.check_preconditions(kind, stored.value, options)
            marked = with_target(stored.value, self._clock.now())
            return stored if marked == stored.value else await self._landing.commit(key, stored, marked)

        if not options.dry_run:
            marked = await until_it_lands(mark)
            if options.resource_version:
                options = options._replace(resource_version=marked.value["metadata"]["resourceVersion"])
        return await self._delete(kind, key.namespace, key.name, options, user)


class _SeveralBudgets(ApiError):
    code, reason = 500, ""


def _pinned(asked: DeleteOptions, pod: Snapshot) -> DeleteOptions:
    """Only while the pod is as it was looked at: it may have become ready since."""
    return asked if asked.resource_version else asked._replace(resource_version=str(pod.revision))


# ------------------------------------------------------------------ about the pod

def is_nobodys_loss(pod: Obj) -> bool:
    """It is on its way out, has ended or has not begun: no budget counts it."""
    return is_deleting(pod) or at(pod, "status.phase") in (*ENDED, "Pending")


def may_get_well(pod: Obj) -> bool:
    return not is_deleting(pod) and at(pod, "status.phase") not in ENDED


def with_target(pod: Obj, now: float) -> Obj:
    status = pod.get("status") or {}
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
              "message": "Eviction API: evicting", "lastProbeTime": None, "lastTransitionTime": to_time(now)}
    return {**pod, "status": {**status, "conditions": with_condition(status.get("conditions") or (), target)}}


# ------------------------------------------------------------------ about the budget

def costs_nothing(pod: Obj, budget: Obj) -> bool:
    """A pod that is not ready is not among those that the budget keeps up."""
    if is_true(pod, "Ready"):
        return False
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy") or 0
    return (at(budget, "spec.unhealthyPodEvictionPolicy") == ALWAYS_ALLOW
            or (status.get("currentHealthy") or 0) >= desired > 0)


def check(budget: Obj) -> None:
    """Raises why nothing can be taken off the budget now."""
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        raise still_processed(budget)
    allowed = status.get("disruptionsAllowed") or 0
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > MOST_DISRUPTED:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed == 0:
        raise _later(f"The disruption budget {name} needs {status.get('desiredHealthy') or 0} healthy pods and has "
                     f"{status.get('currentHealthy') or 0} currently")


def still_processed(budget: Obj) -> ApiError:
    return _later(f"The disruption budget {budget['metadata']['name']} is still being processed by the server.",
                  retry_after_s=10)


def spent(budget: Obj, pod: Obj, now: float) -> Obj:
    """One disruption less, and whose it was."""
    status = budget["status"]
    status = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1,
              "disruptedPods": {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: to_time(now)}}
    if not status["disruptionsAllowed"]:
        status = with_allowed_condition(status, now)
    return {**budget, "status": status}


def _later(cause: str, retry_after_s: int | None = None) -> ApiError:
    return TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", details={
        "causes": [{"reason": "DisruptionBudget", "message": cause}]}, retry_after_s=retry_after_s)


def _forbidden(name: str, why: str) -> ApiError:
    return forbidden("poddisruptionbudget.policy", name, why)
