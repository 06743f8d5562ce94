"""The ReplicaSets of a Deployment: one for each template it had, and what is written on them.

    new   the set of today's template (the oldest one, should there be twins)      old   all others
    name  <deployment>-<hash>; pods, set and selector carry the hash as `pod-template-hash`

Annotations of a set, by which kubectl and the next look find their way:

    deployment.kubernetes.io/revision           its number; going back to an old template gives the next one
    deployment.kubernetes.io/revision-history   the numbers it had before
    deployment.kubernetes.io/desired-replicas   what the Deployment asked for when the set was last scaled
    deployment.kubernetes.io/max-replicas       that and the surge: proportions are worked out from it
    all of the Deployment's own                 its change cause is one

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from ..api.apply import LAST_APPLIED
from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_reference,
    name_of,
    namespace_of,
    with_,
)
from ..api.remembered import Remembered
from ..control.revisions import hash_of

RESOURCE = "replicasets.apps"
HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
LONGEST_HISTORY = 2000  # characters
_NOT_COPIED = frozenset((LAST_APPLIED, REVISION, HISTORY, DESIRED, MOST))


# ------------------------------------------------------------------ numbers


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pods are wanted, how many more there may be, how many may be down."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.replicas + self.surge

    @property
    def least_available(self) -> int:
        return self.replicas - self.unavailable


def is_rolling(deployment: Obj) -> bool:
    return at(deployment, "spec.strategy.type", "RollingUpdate") == "RollingUpdate"


def limits_of(deployment: Obj) -> Limits:
    """The surge is rounded up, what may be down is rounded down; if neither is left, one may be down."""
    replicas = deployment["spec"].get("replicas", 1)
    if not is_rolling(deployment):
        return Limits(replicas, 0, 0)
    rolling = at(deployment, "spec.strategy.rollingUpdate", {})
    surge = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1
    return Limits(replicas, surge, min(unavailable, replicas))


def _share(value: int | str, total: int, *, up: bool) -> int:
    if isinstance(value, str):
        exact = total * int(value.removesuffix("%"))
        return -(-exact // 100) if up else exact // 100
    return value


def key_of(replica_set: Obj) -> Key:
    return Key(RESOURCE, namespace_of(replica_set), name_of(replica_set))


def replicas_of(replica_set: Obj) -> int:
    """How many pods the set is asked to have."""
    return replica_set["spec"].get("replicas", 1)


def count(sets: Iterable[Obj], field: str) -> int:
    """How many the sets have together, by their status: `replicas`, `readyReplicas`, `availableReplicas`."""
    return sum((one.get("status") or {}).get(field) or 0 for one in sets)


def is_observed(replica_set: Obj) -> bool:
    """Was the status written by who knew what is asked of the set now?"""
    observed = (replica_set.get("status") or {}).get("observedGeneration", 0)
    return observed >= replica_set["metadata"].get("generation", 0)


def asked_of(sets: Iterable[Obj]) -> int:
    return sum(map(replicas_of, sets))


def active(sets: Iterable[Obj]) -> list[Obj]:
    return [one for one in sets if replicas_of(one) > 0]


def number_in(replica_set: Obj, annotation: str) -> int | None:
    text = annotations_of(replica_set).get(annotation, "")
    return int(text) if text.isascii() and text.isdigit() else None


def revision_of(replica_set: Obj) -> int:
    return number_in(replica_set, REVISION) or 0


def age(replica_set: Obj) -> tuple[str, str]:
    """Sorts the oldest first."""
    return replica_set["metadata"].get("creationTimestamp") or "", name_of(replica_set)


# ------------------------------------------------------------------ which set is of which template


def _without_hash(template: Obj) -> Any:
    """A template as it is compared: without the hash label, and without fields that say nothing."""
    labels = {key: value for key, value in at(template, "metadata.labels", {}).items() if key != HASH_LABEL}
    return _said({**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}})


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _said(one) for key, one in value.items()}
        return {key: one for key, one in inner.items() if one is not None and one != {} and one != []}
    if isinstance(value, list):
        return [_said(one) for one in value]
    return value


_compared: Remembered[Any] = Remembered(_without_hash, keep=8192)


def same_template(one: Obj, other: Obj) -> bool:
    return one is other or _compared(one) == _compared(other)


def sort_out(deployment: Obj, sets: Iterable[Obj]) -> tuple[Obj | None, list[Obj]]:
    """The new set, if there is one, and the old ones; the oldest first."""
    template = deployment["spec"]["template"]
    ordered = sorted(sets, key=age)
    new = next((one for one in ordered if same_template(one["spec"]["template"], template)), None)
    return new, [one for one in ordered if one is not new]


# ------------------------------------------------------------------ making one, and writing on it


def new_set(deployment: Obj, revision: int, replicas: int) -> Obj:
    spec, template = deployment["spec"], deployment["spec"]["template"]
    hash = hash_of(template, at(deployment, "status.collisionCount"))
    labels = {**at(template, "metadata.labels", {}), HASH_LABEL: hash}
    selector = with_(spec["selector"], ("matchLabels", HASH_LABEL), hash)
    made: Obj = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": f"{name_of(deployment)}-{hash}", "namespace": namespace_of(deployment),
                     "labels": labels, "ownerReferences": [controller_reference(deployment)]},
        "spec": {"replicas": replicas, "selector": selector,
                 "template": with_(template, "metadata.labels", labels)},
    }
    if spec.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return with_sizes(described(deployment, made, revision), limits_of(deployment))


def described(deployment: Obj, replica_set: Obj, revision: int) -> Obj:
    """The set with the Deployment's annotations, minReadySeconds, and a revision number no less than this."""
    annotations = annotations_of(replica_set)
    wanted = {**annotations, **{key: value for key, value in annotations_of(deployment).items()
                                if key not in _NOT_COPIED}}
    before = revision_of(replica_set)
    if before < revision:
        wanted[REVISION] = str(revision)
        if REVISION in annotations:
            wanted |= _with_history(annotations.get(HISTORY, ""), annotations[REVISION])
    if wanted != annotations:
        replica_set = with_(replica_set, "metadata.annotations", wanted)
    min_ready_s = deployment["spec"].get("minReadySeconds") or 0
    if min_ready_s != (replica_set["spec"].get("minReadySeconds") or 0):
        replica_set = with_(replica_set, "spec.minReadySeconds", min_ready_s)
    return replica_set


def _with_history(history: str, number: str) -> dict[str, str]:
    """One more former number; the oldest ones are forgotten once the list is too long."""
    numbers = [*filter(None, history.split(",")), number]
    while len(numbers) > 1 and len(",".join(numbers)) > LONGEST_HISTORY:
        del numbers[0]
    return {HISTORY: ",".join(numbers)}


def with_sizes(replica_set: Obj, limits: Limits) -> Obj:
    wanted = {DESIRED: str(limits.replicas), MOST: str(limits.most)}
    annotations = annotations_of(replica_set)
    if wanted.items() <= annotations.items():
        return replica_set
    return with_(replica_set, "metadata.annotations", {**annotations, **wanted})


# ------------------------------------------------------------------ sizes in proportion


def proportions(sets: Sequence[Obj], deployment: Obj, limits: Limits) -> dict[str, int]:
    """The sizes of active sets for a Deployment that was scaled in the middle of a rollout, by their names.

    Each grows or shrinks as the whole does; what rounding leaves goes to the largest one.
    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling
    """
    to_add = (limits.most if limits.replicas else 0) - asked_of(sets)
    sizes = {name_of(one): replicas_of(one) for one in sets}
    if not to_add or not sets:
        return sizes
    added = 0
    ordered = sorted(sets, key=age, reverse=to_add > 0)
    ordered.sort(key=replicas_of, reverse=True)  # among equals the newest grows and the oldest shrinks
    for one in ordered:
        left = to_add - added
        share = _fraction(one, deployment, limits)
        share = min(share, left) if to_add > 0 else max(share, left)
        sizes[name_of(one)] += share
        added += share
    largest = name_of(ordered[0])
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _fraction(replica_set: Obj, deployment: Obj, limits: Limits) -> int:
    size = replicas_of(replica_set)
    if not limits.replicas:
        return -size
    most_before = number_in(replica_set, MOST) or at(deployment, "status.replicas", 0)
    if not most_before:
        return 0
    exact = size * limits.most / most_before
    return (floor(exact + .5) if exact >= 0 else ceil(exact - .5)) - size
