"""From one template to the next, by way of a ReplicaSet for each.

    observe   the Deployment, its ReplicaSets (and orphans it may adopt); for Recreate also their pods
    decide    claims first: adopt what matches, release what no longer does
              the set of today's template gets the next revision number, or is made
              one step: grow, shrink, clear or resize            (deployment_rollout.py)
              sets that nobody will go back to are deleted once all is done
              status: numbers, and how the rollout goes          (deployment_status.py)

No pod is touched here: ReplicaSets make and end them.  `kubectl rollout undo` writes an old template into the
Deployment; its ReplicaSet is found by that template, and gets the next number.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    condition,
    controller_of,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
)
from ..api.selectors import from_label_selector
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control import owners
from ..control.dependents import owner_of, woken_by_dependent
from ..control.plan import Action, Create, Delete, Patch, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change
from . import deployment_sets as sets_of
from .deployment_rollout import Draft, clear, first_size, grow, is_cleared, resize, shrink, was_scaled
from .deployment_sets import (
    REVISION,
    active,
    count,
    is_observed,
    is_rolling,
    key_of,
    replicas_of,
    revision_of,
    sort_out,
)
from .deployment_status import (
    CREATE_ERROR,
    NO_DEADLINE,
    deadline_of,
    is_complete,
    late_at,
    numbers_of,
    progressing,
    with_failures,
    with_pause,
    with_progress,
)

RESOURCE, SETS = "deployments.apps", sets_of.RESOURCE
SELECTS_EVERYTHING = "This deployment is selecting all pods. A non-empty selector is required."


@dataclass(frozen=True, slots=True)
class Observed:
    deployment: Obj
    sets: Sequence[Obj]  # its own, and those of its namespace without a controller
    names: Mapping[str, Obj] = field(default_factory=dict)  # every ReplicaSet of the namespace
    pods: Sequence[Obj] = ()  # of its sets; only for Recreate, which waits until they are gone


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    match change.key.resource:
        case "pods":
            return _woken_by_pod(change, mirror)
        case resource if resource == SETS:
            return woken_by_dependent(change, mirror, RESOURCE, "Deployment")
        case _:
            return (change.key,)


def _woken_by_pod(change: Change, mirror: Mirror) -> list[Key]:
    """A pod counts only when it has ended: Recreate waits for the last one of the old template."""
    old, new = change.previous, change.value
    if old is None or new is not None and not _has_ended(new):
        return []
    by = owner_of(old, mirror, SETS, "ReplicaSet")
    replica_set = mirror.get(by) if by is not None else None
    key = owner_of(replica_set, mirror, RESOURCE, "Deployment") if replica_set is not None else None
    deployment = mirror.get(key) if key is not None else None
    return [] if key is None or deployment is None or is_rolling(deployment) else [key]


def _has_ended(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


# ------------------------------------------------------------------ the look

def observe(mirror: Mirror, key: Key) -> Observed | None:
    """None for a Deployment that is being deleted: the garbage collector sees to its sets."""
    deployment = mirror.get(key)
    if deployment is None or is_deleting(deployment):
        return None
    found = owners.candidates(mirror, deployment, SETS)
    pods = [] if is_rolling(deployment) else [
        pod for one in found for pod_key, pod in mirror.dependents(uid_of(one)).items() if pod_key.resource == "pods"]
    return Observed(deployment, found, mirror.in_namespace(SETS, key.namespace), pods)


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    deployment, size = seen.deployment, len(seen.sets) + len(seen.pods) + 1
    selector = deployment["spec"].get("selector") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return Plan([Tell(deployment, "Warning", "SelectingAll", SELECTS_EVERYTHING)])
    claimed = owners.claim(deployment, from_label_selector(selector), seen.sets, SETS)
    if claimed.actions:
        return Plan(claimed.actions, size=size)

    new, old = sort_out(deployment, claimed.mine)
    look = Look(deployment, new, old, now)
    if deployment["spec"].get("paused") or was_scaled(look.draft):
        return look.resized(seen.pods, size)
    if is_rolling(deployment):
        return look.rolled(seen.names, size)
    return look.recreated(seen.names, seen.pods, size)


class Look:
    """One decision in the making: the sets as drafted, and what the status will say."""

    def __init__(self, deployment: Obj, new: Obj | None, old: Sequence[Obj], now: float):
        self._deployment = deployment
        self._now = now
        self._seen_status: Obj = deployment.get("status") or {}
        self._status = with_pause(deployment, self._seen_status, now)
        self._number = max(map(revision_of, old), default=0) + 1
        self._made: Obj | None = None
        self._rest: list[Action] = []
        self.draft = Draft(deployment, new, old)
        if new is not None:
            self.draft.put(sets_of.described(deployment, new, self._number))

    # ---- the three ways

    def resized(self, pods: Iterable[Obj], size: int) -> Plan:
        self._look_at_found()
        sets = self.draft.all
        if is_rolling(self._deployment) or active(sets) or self._is_cleared(pods):
            resize(self.draft)
        if self._deployment["spec"].get("paused"):
            self._forget_old()
        return self._decided(self._numbers(sets), size)

    def rolled(self, names: Mapping[str, Obj], size: int) -> Plan:
        if self.draft.new is None and not self._make(names):
            return self._counted_collision(size)
        self._look_at_found()
        sets = self.draft.all
        if self._made is None and not grow(self.draft) and not shrink(self.draft):
            self._forget_old_when_complete()
        return self._followed(sets, size)

    def recreated(self, names: Mapping[str, Obj], pods: Iterable[Obj], size: int) -> Plan:
        self._look_at_found()
        draft, sets = self.draft, self.draft.all
        if not clear(draft) and self._is_cleared(pods):
            if draft.new is None and not self._make(names):
                return self._counted_collision(size)
            sets = draft.all
            if draft.new is not None and self._made is None and replicas_of(draft.new) != draft.limits.replicas:
                draft.scale(draft.new, draft.limits.replicas)
            self._forget_old_when_complete()
        return self._followed(sets, size)

    def _is_cleared(self, pods: Iterable[Obj]) -> bool:
        """For Recreate: is no pod of an old set left?  Also a pause does not let the new ones start before."""
        old = {uid_of(one) for one in self.draft.old}
        return is_cleared(self.draft.old, [pod for pod in pods if (controller_of(pod) or {}).get("uid") in old])

    # ---- the set of today's template

    def _make(self, names: Mapping[str, Obj]) -> bool:
        """Drafts the new set; False where another set stands under its name."""
        replicas = first_size(self.draft.limits, self.draft.old, is_rolling(self._deployment))
        made = sets_of.new_set(self._deployment, self._number, replicas)
        name = name_of(made)
        if name in names:
            return False
        self._made = self.draft.new = made
        if replicas:
            self.draft.say(name, 0, replicas)
        if deadline_of(self._deployment) is not None:
            self._status = progressing(self._status, "True", "NewReplicaSetCreated",
                                       f'Created new replica set "{name}"', self._now)
        return True

    def _look_at_found(self) -> None:
        """A Deployment whose progress nobody followed until now."""
        new = self.draft.new
        if new is not None and self._made is None and deadline_of(self._deployment) is not None \
                and condition({"status": self._status}, "Progressing") is None:
            self._status = progressing(self._status, "True", "FoundNewReplicaSet",
                                       f'Found new replica set "{name_of(new)}"', self._now)

    def _counted_collision(self, size: int) -> Plan:
        collisions = (self._seen_status.get("collisionCount") or 0) + 1
        return Plan(self._written({**self._status, "collisionCount": collisions}), size=size)

    # ---- the history

    def _forget_old_when_complete(self) -> None:
        if is_complete(self._deployment, self._seen_status):
            self._forget_old()

    def _forget_old(self) -> None:
        """Beyond the limit the sets with the lowest numbers go, but none that has or is to have pods."""
        limit = self._deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == NO_DEADLINE:
            return
        alive = sorted((one for one in self.draft.old if not is_deleting(one)), key=revision_of)
        self._rest += [Delete(key_of(one), uid_of(one)) for one in alive[:max(0, len(alive) - limit)]
                       if _is_at_rest(one)]

    # ---- the end

    def _numbers(self, sets: Sequence[Obj]) -> Obj:
        return numbers_of(self._deployment, self._status, self.draft.new, sets, self.draft.limits, self._now)

    def _followed(self, sets: Sequence[Obj], size: int) -> Plan:
        status = with_progress(self._deployment, self._status, self._numbers(sets), self.draft.new, self._now)
        status = with_failures(status, self.draft.new, sets)
        return self._decided(status, size, late_at(self._deployment, status))

    def _decided(self, status: Obj, size: int, wake_at: float | None = None) -> Plan:
        actions: list[Action] = [*self._rest, *self.draft.actions(), *self._numbered(), *self._written(status)]
        if self._made is None:
            return Plan(actions, wake_at, size)
        refused = partial(self._refused, name_of(self._made))
        return Plan([Create(self._made), *actions], wake_at, size, otherwise=refused)

    def _numbered(self) -> list[Action]:
        """The Deployment carries the number of its newest set; written as a status is: no new generation."""
        new = self.draft.new
        number = annotations_of(new).get(REVISION) if new is not None else None
        if number is None or annotations_of(self._deployment).get(REVISION) == number:
            return []
        return [Patch(self._key, uid_of(self._deployment), {"metadata": {"annotations": {REVISION: number}}},
                      subresource="status")]

    def _refused(self, name: str, message: str) -> list[Action]:
        """The new set could not be made."""
        said = f'Failed to create new replica set "{name}": {message}'
        status = self._seen_status
        if deadline_of(self._deployment) is not None:
            status = progressing(status, "False", CREATE_ERROR, said, self._now)
        return [*self._written(status), Tell(self._deployment, "Warning", CREATE_ERROR, said)]

    def _written(self, status: Obj) -> list[Action]:
        if status == self._seen_status:
            return []
        return [SetStatus(self._key, uid_of(self._deployment), status)]

    @property
    def _key(self) -> Key:
        return Key(RESOURCE, namespace_of(self._deployment), name_of(self._deployment))


def _is_at_rest(replica_set: Obj) -> bool:
    return not count([replica_set], "replicas") and not replicas_of(replica_set) and is_observed(replica_set)


controller = Controller("deployment-controller", (
    RESOURCE, Changes(SETS, concerning=RESOURCE, owned_by="Deployment"),
    Changes("pods", concerning=RESOURCE, owned_by="ReplicaSet")), wakes, observe, plan)
