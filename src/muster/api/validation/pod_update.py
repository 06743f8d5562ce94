"""What may change in a pod that exists: very little, since its containers run already.

Images, a shorter deadline, more tolerations, fewer scheduling gates; while it is still gated also a narrower
choice of nodes.  Everything else is compared, with the allowed changes taken back first.

https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement
"""
from __future__ import annotations

from typing import Any

from .. import names
from ..causes import Cause, forbidden, invalid, required
from ..go_text import syntax_of_addresses, syntax_of_term, syntax_of_terms
from ..objects import Obj
from .forbidden_change import difference
from .metadata import IMMUTABLE, complain, validate_metadata_update
from .pod import MIRROR
from .pod_placement import validate_tolerations

_MAY_CHANGE = ",".join((
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
))
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_OWN_CONDITIONS = frozenset(["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"])


def validate_pod_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    _mirror_mark(new, old, wrong)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before or after == before:
        return wrong
    for field in ("containers", "initContainers"):
        if not _images(after.get(field) or [], before.get(field) or [], f"spec.{field}", wrong):
            return wrong
    if not _deadline(after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"), wrong):
        return wrong
    _tolerations(after.get("tolerations") or [], before.get("tolerations") or [], wrong)
    _gates(after.get("schedulingGates") or [], before.get("schedulingGates") or [], wrong)
    taken_back = _without_allowed_changes(after, before)
    if before.get("schedulingGates"):
        taken_back = _narrowed(taken_back, before, wrong)
    if taken_back != before:
        wrong.append(forbidden("spec", f"pod updates may not change fields other than {_MAY_CHANGE}\n"
                               f"{difference(before, taken_back, 'spec')}"))
    return wrong


def _mirror_mark(new: Obj, old: Obj, wrong: list[Cause]) -> None:
    after = (new["metadata"].get("annotations") or {}).get(MIRROR)
    before = (old["metadata"].get("annotations") or {}).get(MIRROR)
    if after != before:
        what = "add" if before is None else "remove or update"
        wrong.append(forbidden(f"metadata.annotations[{MIRROR}]", f"may not {what} mirror pod annotation"))


def _images(after: list[Obj], before: list[Obj], path: str, wrong: list[Cause]) -> bool:
    """False: there is no telling which container is which, so nothing more is said."""
    if len(after) != len(before):
        wrong.append(forbidden(path, "pod updates may not add or remove containers"))
        return False
    for index, container in enumerate(after):
        image = container.get("image") or ""
        if not image:
            wrong.append(required(f"{path}[{index}].image"))
        if image != image.strip():
            wrong.append(invalid(f"{path}[{index}].image", image, "must not have leading or trailing whitespace"))
    return True


def _deadline(after: int | None, before: int | None, wrong: list[Cause]) -> bool:
    path = "spec.activeDeadlineSeconds"
    if after is None:
        if before is not None:
            wrong.append(invalid(path, None, "must not update from a positive integer to nil value"))
        return True
    if not 0 <= after <= names.MAX_INT32:
        wrong.append(invalid(path, after, names.not_between(0, names.MAX_INT32)))
        return False
    if before is not None and before < after:
        wrong.append(invalid(path, after, "must be less than or equal to previous value"))
        return False
    return True


def _tolerations(after: list[Obj], before: list[Obj], wrong: list[Cause]) -> None:
    if after == before:
        return
    kept = [_whatever_the_seconds(one) for one in after]
    if any(_whatever_the_seconds(one) not in kept for one in before):
        wrong.append(forbidden("spec.tolerations",
                               "existing toleration can not be modified except its tolerationSeconds"))
        return
    validate_tolerations(after, "spec.tolerations", wrong)


def _whatever_the_seconds(toleration: Obj) -> Obj:
    return {field: value for field, value in toleration.items() if field != "tolerationSeconds"}


def _gates(after: list[Obj], before: list[Obj], wrong: list[Cause]) -> None:
    had = {gate.get("name") for gate in before}
    for index, gate in enumerate(after):
        if gate.get("name") not in had:
            wrong.append(forbidden(f"spec.schedulingGates[{index}].name", "only deletion is allowed, but found new "
                                   f"scheduling gate '{gate.get('name', '')}'"))


def _without_allowed_changes(after: Obj, before: Obj) -> Obj:
    spec = dict(after)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [_with_image_of(new, old) for new, old in zip(spec[field], before[field], strict=True)]
    grace, grace_before = spec.get("terminationGracePeriodSeconds"), before.get("terminationGracePeriodSeconds")
    restored = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    if grace == 1 and grace_before is not None and grace_before < 0:
        restored.append("terminationGracePeriodSeconds")
    return _with_fields_of(spec, before, restored)


def _with_image_of(new: Obj, old: Obj) -> Obj:
    return _with_fields_of(new, old, ["image"])


def _with_fields_of(new: Obj, old: Obj, fields: list[str]) -> Obj:
    kept = {field: value for field, value in new.items() if field not in fields}
    return {**kept, **{field: old[field] for field in fields if field in old}}


def _narrowed(after: Obj, before: Obj, wrong: list[Cause]) -> Obj:
    """A gated pod's node selector and node affinity may become stricter."""
    selector = after.get("nodeSelector") or {}
    if any(selector.get(key) != value for key, value in (before.get("nodeSelector") or {}).items()):
        wrong.append(invalid("spec.nodeSelector", selector,
                             "only additions to spec.nodeSelector are allowed (no mutations or deletions)"))
    old = (before.get("affinity") or {}).get("nodeAffinity")
    new = (after.get("affinity") or {}).get("nodeAffinity")
    after = _with_fields_of(after, before, ["nodeSelector"])
    if new == old:
        return after
    _narrowed_terms((new or {}).get(_REQUIRED), (old or {}).get(_REQUIRED), wrong)
    affinity = _with_fields_of(after.get("affinity") or {}, before.get("affinity") or {}, ["nodeAffinity"])
    if not affinity and before.get("affinity") is None:
        return _with_fields_of(after, before, ["affinity"])
    return {**after, "affinity": affinity}


def _narrowed_terms(new: Obj | None, old: Obj | None, wrong: list[Cause]) -> None:
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    before, after = (old or {}).get("nodeSelectorTerms") or [], (new or {}).get("nodeSelectorTerms") or []
    if not before:
        return
    if len(before) != len(after):
        wrong.append(invalid(path, syntax_of_terms(after or None),
                             "no additions/deletions to non-empty NodeSelectorTerms list are allowed"))
        return
    for index, (term, had) in enumerate(zip(after, before, strict=True)):
        if not _only_adds(term, had):
            wrong.append(invalid(f"{path}[{index}]", syntax_of_term(term),
                                 "only additions are allowed (no mutations or deletions)"))


def _only_adds(term: Obj, had: Obj) -> bool:
    fields = ("matchExpressions", "matchFields")
    if not any(had.get(field) for field in fields):  # it matched nothing: anything more would match something
        return not any(term.get(field) for field in fields)
    return all((term.get(field) or [])[:len(had.get(field) or [])] == (had.get(field) or []) for field in fields)


def validate_ephemeral_containers_update(new: Obj, old: Obj) -> list[Cause]:
    """For the subresource `ephemeralcontainers`: they may be added, never changed or taken away."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("", "static pods do not support ephemeral containers")]
    wrong = validate_metadata_update(new, old)
    path, found = "spec.ephemeralContainers", {}
    for container in (new.get("spec") or {}).get("ephemeralContainers") or ():
        found[container.get("name")] = container
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in found:
            wrong.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif found[name] != container:
            wrong.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n'
                                   f"{difference(container, found[name], path)}"))
    return wrong


# ------------------------------------------------------------------ status


def validate_pod_status_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("status") or {}, old.get("status") or {}
    if after is before:
        return wrong
    for index, one in enumerate(after.get("conditions") or ()):
        if (kind := one.get("type") or "") not in _OWN_CONDITIONS and (said := names.is_qualified_name(kind)):
            wrong += complain(f"metadata.conditions[{index}].Type", kind, said)
    node = after.get("nominatedNodeName")
    if node and node != before.get("nominatedNodeName"):
        wrong += complain("status.nominatedNodeName", node, names.is_dns_subdomain(node))
    if (after.get("qosClass") or "") != (before.get("qosClass") or ""):
        wrong.append(invalid("status.qosClass", after.get("qosClass") or "", IMMUTABLE))
    restart = (old.get("spec") or {}).get("restartPolicy") or ""
    if restart != "Always":
        sidecars = {one.get("name") for one in (old.get("spec") or {}).get("initContainers") or ()
                    if one.get("restartPolicy") == "Always"}
        _no_revival(after, before, "containerStatuses", restart, frozenset(), wrong)
        _no_revival(after, before, "initContainerStatuses", restart, sidecars, wrong)
    if before.get("ephemeralContainerStatuses"):
        _no_revival(after, before, "ephemeralContainerStatuses", "Never", frozenset(), wrong)
    for field in ("podIPs", "hostIPs"):  # what stays was looked at when it came
        if after.get(field) and (after[field] != before.get(field) or after.get("hostIP") != before.get("hostIP")):
            _addresses(after, field, wrong)
    return wrong


def _no_revival(after: Obj, before: Obj, field: str, restart: str, sidecars: Any, wrong: list[Cause]) -> None:
    """A container that ended for good stays ended."""
    if not before.get(field):
        return
    states = {one.get("name"): one.get("state") or {} for one in after.get(field) or ()}
    for index, one in enumerate(before.get(field) or ()):
        ended = (one.get("state") or {}).get("terminated")
        if ended is None or one.get("name") in sidecars or (ended.get("exitCode") and restart == "OnFailure"):
            continue
        if "terminated" not in states.get(one.get("name"), {"terminated": ended}):
            wrong.append(forbidden(f"status.{field}[{index}].state",
                                   "may not be transitioned to non-terminated state"))


def _addresses(status: Obj, field: str, wrong: list[Cause]) -> None:
    path, listed = f"status.{field}", status[field]
    addresses = [one.get("ip") or "" for one in listed]
    if field == "hostIPs" and (status.get("hostIP") or "") != addresses[0]:
        wrong.append(invalid(f"{path}[0].ip", addresses[0], "must be equal to `hostIP`"))
    for index, address in enumerate(addresses):
        if complaints := names.is_ip(address):
            wrong += complain(f"{path}[{index}]", address, complaints)
    if len(addresses) > 1 and (len(addresses) > 2 or (":" in addresses[0]) == (":" in addresses[1])):
        shown_ips = syntax_of_addresses("core.PodIP" if field == "podIPs" else "core.HostIP", listed)
        wrong.append(invalid(path, shown_ips, "may specify no more than one IP for each IP family"))
