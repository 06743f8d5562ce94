"""Every namespace has a ConfigMap `kube-root-ca.crt`, so that pods can check who the API server is.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, is_deleting, name_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Create, Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change

MAPS, NAME, FIELD = "configmaps", "kube-root-ca.crt", "ca.crt"
ABOUT = {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the API server of this cluster."}


@dataclass(frozen=True)
class Observed:
    namespace: Obj
    published: Obj | None
    certificate: str


def plan(seen: Observed, now: float) -> Plan:
    if seen.published is None:
        return Plan([Create({"apiVersion": "v1", "kind": "ConfigMap",
                             "metadata": {"name": NAME, "namespace": name_of(seen.namespace), "annotations": ABOUT},
                             "data": {FIELD: seen.certificate}})])
    if seen.published.get("data") != {FIELD: seen.certificate}:
        key = Key(MAPS, name_of(seen.namespace), NAME)
        return Plan([Patch(key, uid_of(seen.published), [{"op": "add", "path": "/data",
                                                         "value": {FIELD: seen.certificate}}], how="json")])
    return NOTHING


def root_certificate(certificate: str) -> Controller:
    """`certificate`: the CA's certificate in PEM form."""

    def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
        if change.key.resource == "namespaces" and change.value is not None:
            yield change.key.name
        elif change.key.resource == MAPS and change.key.name == NAME:
            yield change.key.namespace

    def observe(mirror: Mirror, name: str) -> Observed | None:
        namespace = mirror.get(Key("namespaces", "", name))
        if namespace is None or is_deleting(namespace):
            return None
        return Observed(namespace, mirror.get(Key(MAPS, name, NAME)), certificate)

    return Controller("root-ca-certificate-publisher", ("namespaces", MAPS), wakes, observe, plan,
                      account="root-ca-cert-publisher")
