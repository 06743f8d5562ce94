"""Which other objects a pod names: what its node has to read to run it, and all that the node may read.

https://kubernetes.io/docs/reference/access-authn-authz/node/
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator

from .objects import Key, Obj, at, namespace_of
from .pod_claims import claim_behind

CONFIG_MAPS, SECRETS, CLAIMS, ACCOUNTS = "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts"
_LISTS = ("initContainers", "containers", "ephemeralContainers")


def references(pod: Obj) -> frozenset[Key]:
    """ConfigMaps, Secrets, claims and the service account that it names; they are of its namespace."""
    namespace = namespace_of(pod)
    return frozenset(Key(resource, namespace, name) for resource, name in _named(pod) if name)


def _named(pod: Obj) -> Iterator[tuple[str, str]]:
    spec = pod["spec"]
    yield ACCOUNTS, spec.get("serviceAccountName") or ""
    for one in spec.get("imagePullSecrets") or ():
        yield SECRETS, one.get("name") or ""
    for container in (one for field in _LISTS for one in spec.get(field) or ()):
        for source in container.get("envFrom") or ():
            yield CONFIG_MAPS, at(source, "configMapRef.name", "")
            yield SECRETS, at(source, "secretRef.name", "")
        for variable in container.get("env") or ():
            yield CONFIG_MAPS, at(variable, "valueFrom.configMapKeyRef.name", "")
            yield SECRETS, at(variable, "valueFrom.secretKeyRef.name", "")
    for volume in spec.get("volumes") or ():
        yield from _of_volume(pod, volume)


def _of_volume(pod: Obj, volume: Obj) -> Iterator[tuple[str, str]]:
    yield SECRETS, at(volume, "secret.secretName", "")
    yield CONFIG_MAPS, at(volume, "configMap.name", "")
    if (claimed := claim_behind(pod, volume)) is not None:
        yield CLAIMS, claimed.claim
    for source in at(volume, "projected.sources") or ():
        yield SECRETS, at(source, "secret.name", "")
        yield CONFIG_MAPS, at(source, "configMap.name", "")


def of_all(pods: Iterable[Obj]) -> frozenset[Key]:
    return frozenset().union(*map(references, pods))
