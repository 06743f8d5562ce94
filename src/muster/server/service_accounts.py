"""Gives every pod the identity it runs under: its service account, and the files that prove it.

A pod that names no account runs as "default" of its namespace.  Unless it (or the account) says otherwise, a
volume `kube-api-access-xxxxx` with token, CA and namespace is mounted into each container.  The suffix is
derived from namespace and account, where Kubernetes draws it at random: so all pods of one template get the
very same lists, which are made once and shared by them (ten thousand pods hold one copy).

https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""
from __future__ import annotations

import hashlib
from functools import lru_cache

from ..api.objects import Key, Obj, annotations_of
from ..clock import NAME_ALPHABET
from .admission import Attempt, Look, refused
from .shared_lists import SharedLists

RESOURCE = "serviceaccounts"
DEFAULT_ACCOUNT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_LIFETIME_S = 3607  # an hour and a few seconds, by which tokens of this volume are told apart
MIRROR = "kubernetes.io/config.mirror"
_FILE_MODE = 0o644


def service_account(attempt: Attempt, look: Look) -> Obj:
    if attempt.kind.resource != "pods" or attempt.operation != "CREATE" or attempt.subresource:
        return attempt.obj
    pod = attempt.obj
    spec = pod.get("spec") or {}
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or ""
    if MIRROR in annotations_of(pod):
        if name:
            raise refused(attempt, "a mirror pod may not reference service accounts")
        return pod
    name = name or DEFAULT_ACCOUNT
    account = look.get(Key(RESOURCE, attempt.namespace, name))
    if account is None:
        raise refused(attempt, f"error looking up service account {attempt.namespace}/{name}: "
                               f'serviceaccount "{name}" not found')
    given = {**spec, "serviceAccountName": name, "serviceAccount": name}
    if _wants_token(spec, account):
        _mount_token(given, volume_name(attempt.namespace, name))
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        given["imagePullSecrets"] = account["imagePullSecrets"]
    return {**pod, "spec": given}


def account_awaited(attempt: Attempt, look: Look) -> bool:
    """Is it only that the namespace is so new that its default account is still being made?"""
    if attempt.kind.resource != "pods" or attempt.operation != "CREATE" or attempt.subresource:
        return False
    spec = attempt.obj.get("spec") or {}
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT_ACCOUNT
    return (name == DEFAULT_ACCOUNT and look.get(Key(RESOURCE, attempt.namespace, name)) is None
            and MIRROR not in annotations_of(attempt.obj)
            and look.get(Key("namespaces", "", attempt.namespace)) is not None)


def _wants_token(spec: Obj, account: Obj) -> bool:
    for said in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if said is not None:
            return said
    return True


@lru_cache(maxsize=4096)
def volume_name(namespace: str, account: str) -> str:
    digest = hashlib.sha256(f"{namespace}/{account}".encode()).digest()
    return VOLUME_PREFIX + "".join(NAME_ALPHABET[byte % len(NAME_ALPHABET)] for byte in digest[:5])


def _mount_token(spec: Obj, volume: str) -> None:
    """Fills `spec`, which is our own copy."""
    volumes = spec.get("volumes") or _NO_VOLUMES
    present = next((one["name"] for one in volumes if one["name"].startswith(VOLUME_PREFIX)), None)
    mounted = False
    for field in ("initContainers", "containers"):
        if spec.get(field):
            containers = _mounted(spec[field], present or volume)
            mounted = mounted or containers is not spec[field]
            spec[field] = containers
    if mounted and present is None:
        spec["volumes"] = _SHARED.made(volumes, f"volumes {volume}", lambda held: [*held, _token_volume(volume)])


def _mounted(containers: list[Obj], volume: str) -> list[Obj]:
    """The same list where every container has the mount already."""
    return _SHARED.made(containers, f"containers {volume}", lambda held: _with_mounts(held, volume))


def _with_mounts(containers: list[Obj], volume: str) -> list[Obj]:
    mount = {"name": volume, "readOnly": True, "mountPath": MOUNT_PATH}
    return [one if any(held.get("mountPath") == MOUNT_PATH for held in one.get("volumeMounts") or ())
            else {**one, "volumeMounts": [*(one.get("volumeMounts") or ()), mount]} for one in containers]


@lru_cache(maxsize=4096)
def _token_volume(volume: str) -> Obj:
    return {"name": volume, "projected": {"defaultMode": _FILE_MODE, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_LIFETIME_S, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace",
                                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}}


_NO_VOLUMES: list[Obj] = []
_SHARED = SharedLists()
