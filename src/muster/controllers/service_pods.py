"""Which pods stand behind a service, and which services hear of a change.

A pod counts once it has an address and until it has ended.  A change of a pod wakes the services of its
namespace whose selector finds it (before or after), and only where something changed that an endpoint tells:
most changes of a pod's status wake nobody.  Services without a selector, and names for somewhere else
(ExternalName), are fed by hand and left alone.

https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..api.objects import Key, Obj, at, is_deleting, is_true, labels_of, name_of, namespace_of, uid_of
from ..client.mirror import Mirror
from ..store.history import Change

SERVICES = "services"
HEADLESS_LABEL = "service.kubernetes.io/headless"
ZONE = "topology.kubernetes.io/zone"
ENDED = ("Succeeded", "Failed")
# What one pod weighs in the size of a look: a change of one rewrites the lists that hold a hundred or a thousand.
# So a service over thousands of pods is looked at twice a second in a rollout, one over a few at once (measured on
# 400 pods rolled out: 122 MB written at weight 1).
WEIGHT = 20


# ------------------------------------------------------------------ who is meant

def is_fed(service: Obj) -> bool:
    """Whether its endpoints come from pods."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def selects(service: Obj, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in service["spec"]["selector"].items())


def pods_of(mirror: Mirror, service: Obj) -> list[Obj]:
    """The pods that its selector finds, by name."""
    found = mirror.in_namespace("pods", namespace_of(service))
    return sorted((pod for pod in found.values() if selects(service, labels_of(pod))), key=name_of)


def counts(pod: Obj, *, ending_too: bool) -> bool:
    """Whether a pod has an address that can be listed."""
    return bool(address_of(pod)) and at(pod, "status.phase") not in ENDED and (ending_too or not is_deleting(pod))


def has_address(service: Obj) -> bool:
    return at(service, "spec.clusterIP", "None") not in ("None", "")


# ------------------------------------------------------------------ what is told of a pod

def address_of(pod: Obj) -> str:
    return at(pod, "status.podIP", "")


def reference_to(pod: Obj) -> Obj:
    return {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}


def hostname_in(service: Obj, pod: Obj) -> str:
    """The name by which a pod is found below its service's; "" for one that has none there."""
    return at(pod, "spec.hostname", "") if at(pod, "spec.subdomain") == name_of(service) else ""


def ports_of(service: Obj, pod: Obj) -> list[Obj]:
    """The service's ports as this pod listens on them; a port name that it does not know is left out."""
    found = []
    for port in at(service, "spec.ports", ()):
        number = _number(port, pod)
        if number is not None:
            about: Obj = {"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": number}
            if port.get("appProtocol") is not None:
                about["appProtocol"] = port["appProtocol"]
            found.append(about)
    return found


def _number(port: Obj, pod: Obj) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    sidecars = [one for one in at(pod, "spec.initContainers", ()) if one.get("restartPolicy") == "Always"]
    return next((own["containerPort"] for container in (*at(pod, "spec.containers", ()), *sidecars)
                 for own in container.get("ports") or ()
                 if own.get("name") == target and own.get("protocol", "TCP") == port.get("protocol", "TCP")), None)


# ------------------------------------------------------------------ who is woken

def woken(change: Change, mirror: Mirror) -> Iterable[Key]:
    """The services that a change of a service, a pod or a node concerns."""
    match change.key.resource:
        case "services":
            yield change.key
        case "pods":
            yield from _by_pod(change, mirror)
        case "nodes":
            if _zone(change.value) != _zone(change.previous):
                for pod in mirror.on_node(change.key.name).values():
                    yield from _selecting(mirror, namespace_of(pod), [labels_of(pod)])


def _by_pod(change: Change, mirror: Mirror) -> Iterable[Key]:
    after, before = change.value, change.previous
    if not any(map(is_fed, mirror.in_namespace(SERVICES, change.key.namespace).values())):
        return ()  # asked first: most namespaces of daemons have none, and every change of a pod comes by here
    if after is not None and before is not None and _told(after) == _told(before):
        return ()
    versions = [labels_of(pod) for pod in (after, before) if pod is not None and address_of(pod)]
    if len(versions) == 2 and versions[0] == versions[1]:
        versions.pop()
    return _selecting(mirror, change.key.namespace, versions) if versions else ()


def _selecting(mirror: Mirror, namespace: str, versions: list[dict[str, str]]) -> list[Key]:
    return [Key(SERVICES, namespace, name) for name, service in mirror.in_namespace(SERVICES, namespace).items()
            if is_fed(service) and any(selects(service, labels) for labels in versions)]


def _told(pod: Obj) -> Any:
    """What of a pod an endpoint tells; its ports and names never change."""
    return (address_of(pod), is_true(pod, "Ready"), is_deleting(pod), at(pod, "status.phase") in ENDED,
            labels_of(pod), at(pod, "spec.nodeName"), uid_of(pod))


def _zone(node: Obj | None) -> str | None:
    """None: there is no such node."""
    return None if node is None else labels_of(node).get(ZONE, "")
