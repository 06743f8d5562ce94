"""How many pods each ReplicaSet of a Deployment should have next.

    rolling    the new set grows as far as the surge allows; else old sets shrink, those that do not work first,
               as far as enough pods stay available
    recreate   old sets go to nothing; the new one starts once no pod of theirs is left
    resize     a Deployment that was scaled or is paused: one active set takes the whole size, several grow
               or shrink in proportion

One look takes one of these steps; the change of a set wakes the Deployment for the next one.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..api.objects import Obj, annotations_of, name_of, uid_of, with_
from ..control.plan import Action, Patch, Tell
from .deployment_sets import (
    DESIRED,
    Limits,
    active,
    age,
    asked_of,
    count,
    is_observed,
    is_rolling,
    key_of,
    limits_of,
    number_in,
    proportions,
    replicas_of,
    with_sizes,
)


class Draft:
    """The sets as this look wants them; what differs from what was seen becomes a patch for each."""

    def __init__(self, deployment: Obj, new: Obj | None, old: Sequence[Obj]):
        self.deployment = deployment
        self.limits: Limits = limits_of(deployment)
        self.new = new  # None: there is none yet
        self.old = list(old)  # the oldest first
        self.tell: list[Tell] = []
        self._seen = {uid_of(one): one for one in self.all}

    @property
    def all(self) -> list[Obj]:
        return self.old if self.new is None else [*self.old, self.new]

    def put(self, changed: Obj) -> None:
        """Takes the place of the set with its uid."""
        if self.new is not None and uid_of(self.new) == uid_of(changed):
            self.new = changed
        else:
            self.old = [changed if uid_of(one) == uid_of(changed) else one for one in self.old]

    def scale(self, replica_set: Obj, size: int) -> bool:
        """Says so where the size differs; True then."""
        before = replicas_of(replica_set)
        changed = with_sizes(replica_set, self.limits)
        if size != before:
            changed = with_(changed, "spec.replicas", size)
            self.say(name_of(replica_set), before, size)
        if changed is not replica_set:
            self.put(changed)
        return size != before

    def say(self, name: str, before: int, after: int) -> None:
        way = "up" if before < after else "down"
        self.tell.append(Tell(self.deployment, "Normal", "ScalingReplicaSet",
                              f"Scaled {way} replica set {name} from {before} to {after}"))

    def actions(self) -> list[Action]:
        patches = (_patch(self._seen[uid_of(one)], one) for one in self.all if uid_of(one) in self._seen)
        return [*filter(None, patches), *self.tell]


def _patch(old: Obj, new: Obj) -> Patch | None:
    before = annotations_of(old)
    annotations = {key: value for key, value in annotations_of(new).items() if before.get(key) != value}
    spec = {field: new["spec"][field] for field in ("replicas", "minReadySeconds")
            if new["spec"].get(field) != old["spec"].get(field)}
    patch = {**({"metadata": {"annotations": annotations}} if annotations else {}), **({"spec": spec} if spec else {})}
    return Patch(key_of(old), uid_of(old), patch) if patch else None


# ------------------------------------------------------------------ rolling


def first_size(limits: Limits, sets: Iterable[Obj], rolling: bool) -> int:
    """How large a set is made that does not exist yet."""
    return _grown(limits, asked_of(sets), 0) if rolling else limits.replicas


def _grown(limits: Limits, total: int, size: int) -> int:
    room = limits.most - total
    return size + min(room, limits.replicas - size) if room > 0 else size


def grow(draft: Draft) -> bool:
    """The new set: towards the size of the Deployment, with no more pods in all than the surge allows."""
    new, limits = draft.new, draft.limits
    if new is None or replicas_of(new) == limits.replicas:
        return False
    if replicas_of(new) > limits.replicas:
        return draft.scale(new, limits.replicas)
    size = _grown(limits, asked_of(draft.all), replicas_of(new))
    return size != replicas_of(new) and draft.scale(new, size)


def shrink(draft: Draft) -> bool:
    """The old sets: by pods that are down anyway, then by as many as can be spared, the oldest sets first."""
    new, limits = draft.new, draft.limits
    if new is None or not asked_of(draft.old) or not all(map(is_observed, active(draft.all))):
        return False  # a status from before the last step would count pods that have gone since
    starting = replicas_of(new) - available_of(new)
    can_go = asked_of(draft.all) - limits.least_available - starting
    if can_go <= 0:
        return False
    sizes = {uid_of(one): replicas_of(one) for one in draft.old}
    _shrink_broken(draft.old, sizes, can_go)
    spare = sum(map(available_of, [*draft.old, new])) - limits.least_available
    for one in draft.old:
        less = min(sizes[uid_of(one)], max(0, spare))
        sizes[uid_of(one)] -= less
        spare -= less
    scaled = [draft.scale(one, sizes[uid_of(one)]) for one in active(draft.old)]
    return any(scaled)


def available_of(replica_set: Obj) -> int:
    """Those that stay whatever goes next: a set that was just made smaller still counts pods that will go, and who
    took those for spare ones would end too many."""
    available, ready = count([replica_set], "availableReplicas"), _ready_of(replica_set)
    return max(0, available - max(0, ready - replicas_of(replica_set)))


def broken_of(replica_set: Obj) -> int:
    """How many pods it can lose and none that is available.  A ReplicaSet ends those first that are not ready; one that
    is ready, but not for minReadySeconds yet, is to it as good as any other, and so it can be told to end that one only
    where none is available (upstream does anyway, and then ends others, fewer than were promised being left)."""
    size = replicas_of(replica_set)
    return max(0, size - _ready_of(replica_set)) if count([replica_set], "availableReplicas") else size


def _ready_of(replica_set: Obj) -> int:
    return max(count([replica_set], "readyReplicas"), count([replica_set], "availableReplicas"))


def _shrink_broken(old: Iterable[Obj], sizes: dict[str, int], can_go: int) -> None:
    for one in old:
        less = min(can_go, broken_of(one))
        sizes[uid_of(one)] -= less
        can_go -= less


# ------------------------------------------------------------------ recreating


def clear(draft: Draft) -> bool:
    """The old sets go to nothing at once."""
    scaled = [draft.scale(one, 0) for one in active(draft.old)]
    return any(scaled)


def is_cleared(old: Iterable[Obj], pods: Iterable[Obj]) -> bool:
    """Does no pod of an old set run any more, be it that it is still ending?"""
    old = list(old)
    return not count(old, "replicas") and not any(
        (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") for pod in pods)


# ------------------------------------------------------------------ resizing


def was_scaled(draft: Draft) -> bool:
    """Was an active set last scaled for another number of pods than the Deployment asks for now?"""
    sizes = (number_in(one, DESIRED) for one in active(draft.all))
    return any(size is not None and size != draft.limits.replicas for size in sizes)


def resize(draft: Draft) -> None:
    only = _only_active(draft)
    if only is not None:
        draft.scale(only, draft.limits.replicas)
    elif _is_saturated(draft):
        clear(draft)
    elif is_rolling(draft.deployment):
        sets = active(draft.all)
        sizes = proportions(sets, draft.deployment, draft.limits)
        for one in sets:
            draft.scale(one, sizes[name_of(one)])


def _only_active(draft: Draft) -> Obj | None:
    """The one active set; where none is, the new or else the latest one; None where there are several."""
    found = active(draft.all)
    if len(found) > 1:
        return None
    if found:
        return found[0]
    return draft.new or max(draft.old, key=age, default=None)


def _is_saturated(draft: Draft) -> bool:
    """Does the new set have all the pods that are wanted, available?"""
    new = draft.new
    return new is not None and number_in(new, DESIRED) == draft.limits.replicas == replicas_of(new) == count(
        [new], "availableReplicas")
