"""StatefulSets: the selector, the template it must match, how pods follow each other, and what may change later.

https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""
from __future__ import annotations

from collections.abc import Sequence

from .. import names
from ..causes import Cause, forbidden, invalid, not_supported, required
from ..errors import BadRequest
from ..go_text import syntax_of_strategy
from ..objects import Obj, at, with_
from ..selectors import from_label_selector
from .int_or_percent import is_zero, refused, validate_at_most_all, validate_not_negative
from .metadata import (
    complain,
    not_negative,
    validate_label_selector,
    validate_metadata,
    validate_metadata_update,
)
from .pod import validate_pod_template
from .selected_template import validate_found, validate_lasting
from .storage import validate_claim_spec

MAY_CHANGE = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
              "persistentVolumeClaimRetentionPolicy", "minReadySeconds")
STATUS_NUMBERS = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
                  "observedGeneration", "collisionCount")
PARTS = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
_FIXED = ("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
          "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")


def validate_stateful_set(stateful_set: Obj) -> list[Cause]:
    wrong = validate_metadata(stateful_set, namespaced=True)
    spec = stateful_set.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if not policy:
        wrong.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        wrong.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    _strategy(spec.get("updateStrategy") or {}, wrong)
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        if retention.get(field) not in ("Retain", "Delete"):
            wrong.append(not_supported(f"spec.persistentVolumeClaimRetentionPolicy.{field}",
                                       retention.get(field) or "", ("Delete", "Retain")))
    wrong += not_negative(spec.get("replicas"), "spec.replicas")
    wrong += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    wrong += not_negative(at(spec, "ordinals.start"), "spec.ordinals.start")
    wrong += not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
    _selector(spec, wrong)
    _claims(spec.get("volumeClaimTemplates") or (), wrong)
    _template(spec, wrong)
    return wrong


def _strategy(strategy: Obj, wrong: list[Cause]) -> None:
    path = "spec.updateStrategy"
    rolling = strategy.get("rollingUpdate")
    match strategy.get("type"):
        case "OnDelete":
            if rolling is not None:
                wrong.append(invalid(f"{path}.rollingUpdate", rolling,
                                     "only allowed for updateStrategy 'RollingUpdate'"))
        case "RollingUpdate":
            _rolling(rolling or {}, f"{path}.rollingUpdate", wrong)
        case other if other:
            said = syntax_of_strategy("apps.StatefulSetUpdateStrategy", strategy,
                                      "apps.RollingUpdateStatefulSetStrategy")
            wrong.append(invalid(path, said, "must be 'RollingUpdate' or 'OnDelete'"))
        case _:
            wrong.append(required(path))


def _rolling(rolling: Obj, path: str, wrong: list[Cause]) -> None:
    wrong += not_negative(rolling.get("partition"), f"{path}.partition")
    unavailable = rolling.get("maxUnavailable")
    if unavailable is not None:
        validate_not_negative(unavailable, f"{path}.maxUnavailable", wrong)
        if is_zero(unavailable):
            wrong.append(refused(f"{path}.maxUnavailable", unavailable, "cannot be 0"))
        validate_at_most_all(unavailable, f"{path}.maxUnavailable", wrong)


def _selector(spec: Obj, wrong: list[Cause]) -> None:
    selector = spec.get("selector")
    if selector is None:
        wrong.append(required("spec.selector"))
    validate_label_selector(selector, "spec.selector", wrong)
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        wrong.append(invalid("spec.selector", selector, "empty selector is invalid for statefulset"))
        return
    try:
        validate_found(from_label_selector(selector), at(spec, "template.metadata.labels"), wrong)
    except BadRequest:
        wrong.append(invalid("spec.selector", selector, ""))


def _claims(claims: Sequence[Obj], wrong: list[Cause]) -> None:
    for index, claim in enumerate(claims):
        path = f"spec.volumeClaimTemplates[{index}]"
        name = at(claim, "metadata.name", "")
        if not name:
            wrong.append(required(f"{path}.metadata.name"))
        else:
            wrong += complain(f"{path}.metadata.name", name, names.is_dns_label(name))
        validate_claim_spec(claim.get("spec") or {}, f"{path}.spec", wrong)


def _template(spec: Obj, wrong: list[Cause]) -> None:
    template = _with_volumes(spec.get("template") or {}, spec.get("volumeClaimTemplates") or ())
    validate_pod_template(template, "spec.template", wrong)
    validate_lasting(template, "StatefulSet", wrong)


def _with_volumes(template: Obj, claims: Sequence[Obj]) -> Obj:
    """The template as its pods will have it: containers may mount what the claims bring."""
    added = [{"name": at(claim, "metadata.name", ""), "persistentVolumeClaim": {"claimName": "of-the-pod"}}
             for claim in claims if at(claim, "metadata.name")]
    if not added:
        return template
    named = {one["name"] for one in added}
    volumes = [one for one in at(template, "spec.volumes", []) if one.get("name") not in named]
    return with_(template, "spec.volumes", [*volumes, *added])


def validate_stateful_set_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is not before and _fixed(after) != _fixed(before):
        wrong.append(forbidden("spec", _FIXED))
    return wrong


def _fixed(spec: Obj) -> Obj:
    return {field: value for field, value in spec.items() if field not in MAY_CHANGE and value not in (None, [], "")}


def validate_stateful_set_status_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("status") or {}, old.get("status") or {}
    for field in STATUS_NUMBERS:
        wrong += not_negative(after.get(field), f"status.{field}")
    for field in PARTS:
        if (after.get(field) or 0) > (after.get("replicas") or 0):
            wrong.append(invalid(f"status.{field}", after[field], "cannot be greater than status.replicas"))
    if (after.get("availableReplicas") or 0) > (after.get("readyReplicas") or 0):
        wrong.append(invalid("status.availableReplicas", after["availableReplicas"],
                             "cannot be greater than status.readyReplicas"))
    count, counted = after.get("collisionCount"), before.get("collisionCount")
    if counted is not None and (count is None or count < counted):
        wrong.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))
    return wrong
