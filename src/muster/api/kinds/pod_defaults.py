"""What the server fills in where a pod, or the template of one, says nothing.

Every step answers with the very object it was given when nothing is missing: a defaulted pod passes through
without a copy, and pods made from one template keep sharing its containers.  The lists of what to fill are
tables; the code only walks to the places.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from .. import quantities
from ..defaults import each, every, inside, put, within
from ..objects import Obj
from ..remembered import Remembered

FILE_MODE = 0o644  # 420: what files of a projected volume are readable as

_SPEC = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
}
_CONTAINER = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP_GET = {"path": "/", "scheme": "HTTP"}
_PORT = {"protocol": "TCP"}
_FIELD_REF = {"apiVersion": "v1"}
_RESOURCE_FIELD_REF = {"divisor": "0"}
_TOKEN = {"expirationSeconds": 3600}
_MODE = {"defaultMode": FILE_MODE}
_VOLUMES: dict[str, dict[str, Any]] = {
    "configMap": _MODE,
    "secret": _MODE,
    "downwardAPI": _MODE,
    "projected": _MODE,
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
# A value that is present but empty counts as missing for these: they are plain strings and numbers upstream.
# For the others (pointers upstream) only an absent field does: a grace period of 0 or a mode of 0 is meant.
_ZERO_IS_MEANT = frozenset(["terminationGracePeriodSeconds", "defaultMode", "type", "expirationSeconds",
                            "cachingMode", "kind", "fsType", "readOnly"])


def with_defaults(obj: Obj, defaults: Mapping[str, Any]) -> Obj:
    """The object with the missing ones of `defaults`; itself where none is missing."""
    missing = {field: value for field, value in defaults.items() if _misses(obj, field)}
    return {**obj, **missing} if missing else obj


def _misses(obj: Obj, field: str) -> bool:
    found = obj.get(field)
    return found is None or (not found and field not in _ZERO_IS_MEANT)


def pod_defaults(pod: Obj) -> Obj:
    """A pod: what its template would get, and what only pods get."""
    return within(pod, "spec", lambda spec: _only_in_pods(pod_spec_defaults(spec)))


def pod_template_defaults(template: Obj) -> Obj:
    return within(template, "spec", pod_spec_defaults)


def pod_spec_defaults(spec: Obj) -> Obj:
    spec = with_defaults(spec, _SPEC)
    if spec.get("securityContext") is None:
        spec = {**spec, "securityContext": {}}
    account, deprecated = spec.get("serviceAccountName") or "", spec.get("serviceAccount") or ""
    if account != deprecated:  # the two names of one field
        spec = {**spec, "serviceAccountName": account or deprecated, "serviceAccount": account or deprecated}
    for field in ("containers", "initContainers", "ephemeralContainers"):
        if spec.get(field):
            spec = put(spec, field, _filled_containers(spec[field]))
    if spec.get("volumes"):
        spec = put(spec, "volumes", _filled_volumes(spec["volumes"]))
    if "overhead" in spec:
        spec = inside(spec, "overhead", canonical_amounts)
    return spec


def _only_in_pods(spec: Obj) -> Obj:
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec = put(spec, field, _requesting_containers(spec[field]))
            if spec.get("hostNetwork"):
                spec = each(spec, field, lambda container: each(container, "ports", _host_port))
    if spec.get("enableServiceLinks") is None:
        spec = {**spec, "enableServiceLinks": True}
    return spec


# ------------------------------------------------------------------ containers


def container_defaults(container: Obj) -> Obj:
    after = container
    if not after.get("imagePullPolicy"):
        after = {**after, "imagePullPolicy": pull_policy(after.get("image") or "")}
    after = with_defaults(after, _CONTAINER)
    if after.get("resources") is None:
        after = {**after, "resources": {}}
    elif after["resources"]:
        after = inside(after, "resources", _resources)
    if "ports" in after:
        after = each(after, "ports", _port)
    if "env" in after:
        after = each(after, "env", _env)
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in after:
            after = inside(after, field, _probe)
    if "lifecycle" in after:
        after = inside(after, "lifecycle", _lifecycle)
    return after


_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """`Always` for the tag "latest", written or implied; `IfNotPresent` for any other tag, or a digest.

    https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting
    """
    named, _, digest = image.partition("@")
    host_and_path, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:  # no tag: that colon belongs to the port of a registry
        host_and_path, tag = named, ""
    host, slash, path = host_and_path.partition("/")
    name = path if slash and ("." in host or ":" in host or host == "localhost") else host_and_path
    if not _NAME.fullmatch(name) or (tag and not _TAG.fullmatch(tag)):
        return "IfNotPresent"  # not an image reference at all: nothing is implied
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _port(port: Obj) -> Obj:
    return with_defaults(port, _PORT)


def _env(variable: Obj) -> Obj:
    return inside(variable, "valueFrom", _field_references)


def _field_references(source: Obj) -> Obj:
    source = inside(source, "fieldRef", lambda ref: with_defaults(ref, _FIELD_REF))
    return inside(source, "resourceFieldRef", lambda ref: with_defaults(ref, _RESOURCE_FIELD_REF))


def _handler(handler: Obj) -> Obj:
    return inside(handler, "httpGet", lambda get: with_defaults(get, _HTTP_GET))


def _probe(probe: Obj) -> Obj:
    probe = _handler(with_defaults(probe, _PROBE))
    return inside(probe, "grpc",
                      lambda grpc: grpc if grpc.get("service") is not None else {**grpc, "service": ""})


def _lifecycle(lifecycle: Obj) -> Obj:
    return inside(inside(lifecycle, "postStart", _handler), "preStop", _handler)


def _resources(resources: Obj) -> Obj:
    return inside(inside(resources, "limits", canonical_amounts), "requests", canonical_amounts)


def canonical_amounts(amounts: Obj) -> Obj:
    """Every amount in the form the server shows, to the thousandth; what is no amount is left to validation."""
    after = {resource: _canonical(amount) for resource, amount in amounts.items()}
    return amounts if after == amounts else after


@lru_cache(maxsize=16384)
def _canonical(amount: Any) -> Any:
    try:
        text = quantities.canonical(amount)
        if text.endswith(("n", "u")):
            text = quantities.canonical(f"{quantities.milli(amount)}m")
    except ValueError:
        return amount
    return amount if text == amount else text


def _requests_from_limits(container: Obj) -> Obj:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits"), resources.get("requests") or {}
    if not limits or all(resource in requests for resource in limits):
        return container
    return {**container, "resources": {**resources, "requests": {**limits, **requests}}}


def _host_port(port: Obj) -> Obj:
    return port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort")}


# ------------------------------------------------------------------ volumes


def _volume(volume: Obj) -> Obj:
    if not any(field != "name" and found is not None for field, found in volume.items()):
        return {**volume, "emptyDir": {}}
    for field in volume:
        if defaults := _VOLUMES.get(field):
            volume = inside(volume, field, partial(with_defaults, defaults=defaults))
    if "downwardAPI" in volume:
        volume = inside(volume, "downwardAPI", _downward)
    elif "projected" in volume:
        volume = inside(volume, "projected", _projected)
    elif "ephemeral" in volume:
        volume = inside(volume, "ephemeral", _ephemeral)
    return volume


def _downward(source: Obj) -> Obj:
    return each(source, "items", _field_references)


def _projected(source: Obj) -> Obj:
    return each(source, "sources", _projection)


def _projection(source: Obj) -> Obj:
    source = inside(source, "downwardAPI", _downward)
    return inside(source, "serviceAccountToken", lambda token: with_defaults(token, _TOKEN))


def _ephemeral(source: Obj) -> Obj:
    return inside(source, "volumeClaimTemplate", lambda template: inside(
        template, "spec", lambda spec: with_defaults(spec, {"volumeMode": "Filesystem"})))


# The lists of a template come again with each of its pods: they are filled once, and shared.
_filled_containers = Remembered(lambda containers: every(containers, container_defaults))
_filled_volumes = Remembered(lambda volumes: every(volumes, _volume))
_requesting_containers = Remembered(lambda containers: every(containers, _requests_from_limits))
