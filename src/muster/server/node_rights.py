"""What a node may do: what its agent needs for the pods that are bound to it, and no more.

A node is the user `system:node:NAME` of the group `system:nodes`.  The rules are those of upstream's node authorizer
and of the role `system:node`, with what others give to kube-proxy and CoreDNS (to read nodes, namespaces, services and
endpoints), for here one agent does the work of all three.  Secrets, ConfigMaps and claims it may only get, by name, and
only those that a pod on it names; which of them is asked anew each time.  What a node may write into an object that it
may write to is for node_restriction.py to say.

https://kubernetes.io/docs/reference/access-authn-authz/node/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

from ..api.objects import Key, Obj, at
from ..api.pod_references import ACCOUNTS, CLAIMS, CONFIG_MAPS, SECRETS, of_all
from ..api.selectors import parse_fields
from .asked import Asked
from .identity import User

GROUP, PREFIX = "system:nodes", "system:node:"
LEASES, LEASE_NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
REQUESTS = "certificatesigningrequests.certificates.k8s.io"
VOLUMES = "persistentvolumes"
LINES = "/muster.dev/v1/nodes/"
LINE = LINES + "{}/line"  # by which the server reaches the node's agent (node_lines.py)

PodsOn = Callable[[str], Iterable[Obj]]

_READ, _WRITE = frozenset(("get", "list", "watch")), frozenset(("update", "patch"))
_READABLE = frozenset(("nodes", "namespaces", "services", "endpoints", "endpointslices.discovery.k8s.io",
                       "runtimeclasses.node.k8s.io", VOLUMES))
_EVENTS = frozenset(("events", "events.events.k8s.io"))
_NAMED_BY_PODS = frozenset((SECRETS, CONFIG_MAPS, CLAIMS))


def node_of(user: User) -> str:
    """The node whose agent this is; "" for anybody else."""
    return user.name.removeprefix(PREFIX) if GROUP in user.groups and user.name.startswith(PREFIX) else ""


def may(node: str, asked: Asked, pods_on: PodsOn) -> bool:
    """Where a name is chosen by the one who creates, node_restriction.py looks at it."""
    if not asked.resource:
        return asked.verb == "get" and asked.path == LINE.format(node)
    verb, resource, own = asked.verb, asked.resource, asked.name == node
    if asked.subresource:
        return _may_reach(node, asked, pods_on)
    if resource in _READABLE and verb in _READ:
        return True
    if resource == "nodes":
        return verb == "create" or own and verb in ("update", "patch", "delete")
    if resource == "pods":
        return _may_on_pods(node, asked, pods_on)
    if resource == LEASES:
        in_place = asked.namespace == LEASE_NAMESPACE
        return in_place and (verb == "create" or own and verb in ("get", "update", "patch", "delete"))
    if resource in _EVENTS:
        return verb in ("create", "update", "patch")
    if resource == REQUESTS:
        return verb in ("create", "get", "list", "watch")
    if resource in _NAMED_BY_PODS:
        return verb == "get" and Key(resource, asked.namespace, asked.name) in of_all(pods_on(node))
    return False


def _may_on_pods(node: str, asked: Asked, pods_on: PodsOn) -> bool:
    match asked.verb:
        case "list" | "watch":
            return not asked.name and parse_fields(asked.fields).exactly("spec.nodeName") == node
        case "get" | "delete":
            return _is_there(node, asked, pods_on)
    return False


def _may_reach(node: str, asked: Asked, pods_on: PodsOn) -> bool:
    match asked.resource, asked.subresource:
        case "nodes", "status":
            return asked.name == node and asked.verb in _WRITE
        case "pods", "status":
            return asked.verb in _WRITE and _is_there(node, asked, pods_on)
        case "serviceaccounts", "token":
            return asked.verb == "create" and Key(ACCOUNTS, asked.namespace, asked.name) in of_all(pods_on(node))
    return False


def _is_there(node: str, asked: Asked, pods_on: PodsOn) -> bool:
    return any((at(pod, "metadata.namespace"), at(pod, "metadata.name")) == (asked.namespace, asked.name)
               for pod in pods_on(node))
