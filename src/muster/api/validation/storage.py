"""Claims, volumes and classes: what each must say, and what may change later.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""
from __future__ import annotations

from collections.abc import Sequence

from .. import names, quantities
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..objects import Obj, at, with_
from .forbidden_change import difference
from .metadata import (
    complain,
    immutable,
    validate_label_name,
    validate_label_selector,
    validate_metadata,
    validate_metadata_update,
)
from .pod_fields import validate_no_backsteps
from .pod_placement import validate_node_selector
from .pod_volumes import validate_volume_source

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
SOURCES = ("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
           "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk",
           "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume")
_CLAIM_FIXED = ("spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                "bound claims")


def validate_claim(claim: Obj) -> list[Cause]:
    wrong = validate_metadata(claim, namespaced=True)
    validate_claim_spec(claim.get("spec") or {}, "spec", wrong)
    return wrong


def validate_claim_spec(spec: Obj, path: str, wrong: list[Cause]) -> None:
    _modes(spec.get("accessModes") or (), f"{path}.accessModes", wrong)
    validate_label_selector(spec.get("selector"), f"{path}.selector", wrong)
    wanted = at(spec, "resources.requests", {}).get("storage")
    if wanted is None:
        wrong.append(required(f"{path}.resources[storage]"))
    else:
        _positive(wanted, f"{path}.resources[storage]", wrong)
    _class_name(spec.get("storageClassName"), path, wrong)
    _volume_mode(spec.get("volumeMode"), path, wrong)
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            _data_source(spec[field], f"{path}.{field}", wrong)


def _data_source(source: Obj, path: str, wrong: list[Cause]) -> None:
    kind = source.get("kind") or ""
    wrong += [required(f"{path}.{field}") for field in ("name", "kind") if not source.get(field)]
    if not source.get("apiGroup") and kind != "PersistentVolumeClaim":
        wrong.append(invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))


def _modes(modes: Sequence[str], path: str, wrong: list[Cause]) -> None:
    if not modes:
        wrong.append(required(path, "at least 1 access mode is required"))
    wrong += [not_supported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        wrong.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))


def _positive(amount: str, path: str, wrong: list[Cause]) -> None:
    if quantities.parse(amount) <= 0:
        wrong.append(invalid(path, amount, "must be greater than zero"))


def _class_name(name: str | None, path: str, wrong: list[Cause]) -> None:
    if name:
        wrong += complain(f"{path}.storageClassName", name, names.is_dns_subdomain(name))


def _volume_mode(mode: str | None, path: str, wrong: list[Cause]) -> None:
    if mode is not None and mode not in VOLUME_MODES:
        wrong.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))


def validate_claim_update(new: Obj, old: Obj) -> list[Cause]:
    """A volume may be named where none was, and a class where none was said (KEP-3333)."""
    wrong = validate_metadata_update(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before:
        return wrong
    free = {field for field in ("volumeName", "storageClassName") if before.get(field) in (None, "")}
    if before.get("storageClassName") == "":
        free.discard("storageClassName")
    asked, had = (at(spec, "resources.requests.storage", "0") for spec in (after, before))
    if at(new, "status.phase") == "Bound":
        after = with_(after, "resources.requests.storage", had)
    was, would_be = _without(before, free), _without(after, free)
    if was != would_be:
        wrong.append(forbidden("spec", f"{_CLAIM_FIXED}\n{difference(was, would_be, 'spec')}"))
    if quantities.parse(asked) < quantities.parse(had) and quantities.parse(asked) <= quantities.parse(
            at(old, "status.capacity.storage", "0")):
        wrong.append(forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
    return wrong


def _without(spec: Obj, fields: set[str]) -> Obj:
    return {field: value for field, value in spec.items() if field not in fields and value is not None}


def validate_volume(volume: Obj) -> list[Cause]:
    wrong = validate_metadata(volume, namespaced=False)
    spec = volume.get("spec") or {}
    _modes(spec.get("accessModes") or (), "spec.accessModes", wrong)
    capacity = spec.get("capacity") or {}
    if not capacity:
        wrong.append(required("spec.capacity"))
    elif "storage" not in capacity or len(capacity) > 1:
        wrong.append(not_supported("spec.capacity", capacity, ("storage",)))
    for resource in sorted(capacity):
        _positive(capacity[resource], f"spec.capacity[{resource}]", wrong)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy not in RECLAIM_POLICIES:
        wrong.append(not_supported("spec.persistentVolumeReclaimPolicy", policy or "", RECLAIM_POLICIES))
    given = [field for field in SOURCES if spec.get(field) is not None]
    if not given:
        wrong.append(required("spec", "must specify a volume type"))
    wrong += [forbidden(f"spec.{field}", "may not specify more than 1 volume type") for field in given[1:]]
    _places(spec, wrong)
    for field in given[:1]:
        _source(field, spec, wrong)
    _class_name(spec.get("storageClassName"), "spec", wrong)
    _volume_mode(spec.get("volumeMode"), "spec", wrong)
    return wrong


def _places(spec: Obj, wrong: list[Cause]) -> None:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        if spec.get("local") is not None:
            wrong.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    elif affinity.get("required") is None:
        wrong.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
    else:
        validate_node_selector(affinity["required"], "spec.nodeAffinity.required", wrong)


def _source(kind: str, spec: Obj, wrong: list[Cause]) -> None:
    source, path = spec[kind], f"spec.{kind}"
    if kind == "local":
        if not source.get("path"):
            wrong.append(required(f"{path}.path"))
        else:
            validate_no_backsteps(source["path"], f"{path}.path", wrong)
        return
    validate_volume_source(kind, source, path, wrong)
    if kind == "csi" and not source.get("volumeHandle"):
        wrong.append(required(f"{path}.volumeHandle"))
    if kind == "hostPath" and source.get("path") == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        wrong.append(forbidden("spec.persistentVolumeReclaimPolicy",
                               "may not be 'recycle' for a hostPath mount of '/'"))


def validate_volume_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before:
        return wrong
    if any(after.get(field) != before.get(field) for field in SOURCES):
        wrong.append(forbidden("spec.persistentvolumesource",
                               "spec.persistentvolumesource is immutable after creation"))
    wrong += immutable(after.get("volumeMode"), before.get("volumeMode"), "spec.volumeMode")
    if before.get("nodeAffinity") is not None:
        wrong += immutable(after.get("nodeAffinity"), before["nodeAffinity"], "spec.nodeAffinity")
    return wrong


def validate_class(found: Obj) -> list[Cause]:
    wrong = validate_metadata(found, namespaced=False)
    provisioner = found.get("provisioner") or ""
    if not provisioner:
        wrong.append(required("provisioner"))
    elif complaints := names.is_qualified_name(provisioner.lower()):
        wrong += complain("provisioner", provisioner, complaints)
    wrong += [invalid("parameters", key, "field can not be empty.") for key in found.get("parameters") or () if not key]
    if found.get("reclaimPolicy") not in ("Delete", "Retain"):
        wrong.append(not_supported("reclaimPolicy", found.get("reclaimPolicy") or "", ("Delete", "Retain")))
    mode = found.get("volumeBindingMode")
    if mode is None:
        wrong.append(required("volumeBindingMode"))
    elif mode not in BINDING_MODES:
        wrong.append(not_supported("volumeBindingMode", mode, BINDING_MODES))
    for index, term in enumerate(found.get("allowedTopologies") or ()):
        _topology(term, f"allowedTopologies[{index}]", wrong)
    return wrong


def _topology(term: Obj, path: str, wrong: list[Cause]) -> None:
    for index, rule in enumerate(term.get("matchLabelExpressions") or ()):
        here, values = f"{path}.matchLabelExpressions[{index}]", rule.get("values") or []
        if not values:
            wrong.append(required(f"{here}.values"))
        wrong += [duplicate(f"{here}.values[{place}]", value)
                  for place, value in enumerate(values) if value in values[:place]]
        validate_label_name(rule.get("key") or "", f"{here}.key", wrong)


def validate_class_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(field) or None) != (old.get(field) or None):
            wrong.append(forbidden(field, f"updates to {field} are forbidden."))
    return wrong + immutable(new.get("volumeBindingMode"), old.get("volumeBindingMode"), "volumeBindingMode")
