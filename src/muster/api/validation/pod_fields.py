"""Rules for what several parts of a pod are made of: paths in volumes, references to the pod's own fields.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""
from __future__ import annotations

import re
from collections.abc import Collection

from .. import names
from ..causes import Cause, invalid, not_supported, required
from ..objects import Obj
from ..quantities import canonical
from .metadata import complain

ENV_FIELD_PATHS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
                   "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
VOLUME_FIELD_PATHS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
                      "metadata.uid")
_KNOWN_FIELD_PATHS = frozenset((*ENV_FIELD_PATHS, *VOLUME_FIELD_PATHS, "spec.schedulerName", "spec.restartPolicy",
                                "status.phase"))
RESOURCE_FIELDS = ("limits.cpu", "limits.ephemeral-storage", "limits.memory",
                   "requests.cpu", "requests.ephemeral-storage", "requests.memory")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SUBSCRIPT = re.compile(r"(.+)\['(.*)'\]")


def validate_choice(value: str | None, allowed: tuple[str, ...], path: str, wrong: list[Cause]) -> None:
    """One of a few words, which defaults have filled in where it was left out."""
    if value not in allowed:
        wrong.append(not_supported(path, value, allowed) if value else required(path))


def validate_no_backsteps(path: str, at: str, wrong: list[Cause]) -> None:
    if ".." in path and ".." in path.split("/"):
        wrong.append(invalid(at, path, "must not contain '..'"))


def validate_relative_path(path: str, at: str, wrong: list[Cause]) -> None:
    if path.startswith("/"):
        wrong.append(invalid(at, path, "must be a relative path"))
    validate_no_backsteps(path, at, wrong)


def validate_local_path(path: str, at: str, wrong: list[Cause]) -> None:
    """Relative, without steps up, and not a name that begins with `..` (kept for the node agent)."""
    validate_relative_path(path, at, wrong)
    if path.startswith("..") and not path.startswith("../"):
        wrong.append(invalid(at, path, "must not start with '..'"))


def validate_field_reference(reference: Obj, at: str, allowed: Collection[str], wrong: list[Cause]) -> None:
    for field in ("apiVersion", "fieldPath"):
        if not reference.get(field):
            wrong.append(required(f"{at}.{field}"))
            return
    path = reference["fieldPath"]
    if subscripted := _SUBSCRIPT.fullmatch(path):
        path, key = subscripted[1], subscripted[2]
        if path == "metadata.annotations":
            wrong += complain(at, key.lower(), names.is_qualified_name(key.lower()))
        elif path == "metadata.labels":
            wrong += complain(at, key, names.is_qualified_name(key))
        else:
            wrong.append(invalid(at, path, "does not support subscript"))
    elif path not in _KNOWN_FIELD_PATHS:
        wrong.append(invalid(f"{at}.fieldPath", path,
                             f"error converting fieldPath: field label not supported: {path}"))
    elif path not in allowed:
        wrong.append(not_supported(f"{at}.fieldPath", path, allowed))


def validate_resource_field_reference(reference: Obj, at: str, in_volume: bool, wrong: list[Cause]) -> None:
    resource = reference.get("resource") or ""
    huge = resource.startswith(("requests.hugepages-", "limits.hugepages-"))
    if in_volume and not reference.get("containerName"):
        wrong.append(required(f"{at}.containerName"))
    elif not resource:
        wrong.append(required(f"{at}.resource"))
    elif resource not in RESOURCE_FIELDS and not huge:
        wrong.append(not_supported(f"{at}.resource", resource, RESOURCE_FIELDS))
    _divisor(resource, huge, reference.get("divisor"), at, wrong)


def _divisor(resource: str, huge: bool, divisor: str | None, at: str, wrong: list[Cause]) -> None:
    try:
        text = canonical(divisor or "0")
    except ValueError as complaint:
        wrong.append(invalid(f"{at}.divisor", divisor, str(complaint)))
        return
    if text == "0":
        return
    if resource.endswith(".cpu"):
        if text not in ("1", "1m"):
            wrong.append(invalid(f"{at}.divisor", resource,
                                 "only divisor's values 1m and 1 are supported with the cpu resource"))
    elif (resource in RESOURCE_FIELDS or huge) and text not in _SIZES:
        spoken = "hugepages" if huge else "memory" if resource.endswith("memory") else "local ephemeral storage"
        wrong.append(invalid(f"{at}.divisor", resource, f"only divisor's values {', '.join(_SIZES)} are supported "
                             f"with the {spoken} resource"))
