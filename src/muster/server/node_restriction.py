"""A node writes about itself and its own pods, and about nothing else (NodeRestriction).

Which requests a node may make at all is for node_rights.py; here is what it may put into them.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""
from __future__ import annotations

from ..api.errors import forbidden
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, at, labels_of, name_of, owners_of, uid_of
from .admission import Attempt, Look
from .node_rights import LEASE_NAMESPACE, LEASES, node_of

_OWN_DOMAINS = ("kubernetes.io", "k8s.io")
_LABELS = frozenset((
    "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone"))
_LABEL_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def node_restriction(attempt: Attempt, look: Look) -> Obj:
    node = node_of(attempt.user)
    if not node:
        return attempt.obj
    match attempt.kind.resource:
        case "nodes":
            return _about_nodes(node, attempt)
        case "pods":
            return _about_pods(node, attempt, look)
        case "serviceaccounts" if attempt.subresource == "token":
            _check_token(node, attempt, look)
        case resource if resource == LEASES:
            _check_lease(node, attempt)
    return attempt.obj


def _refused(kind: Kind, name: str, node: str, why: str) -> Exception:
    return forbidden(kind.resource, name, f'node "{node}" {why}')


def _about_nodes(node: str, attempt: Attempt) -> Obj:
    obj, name = attempt.obj, attempt.name or name_of(attempt.obj)
    if name != node:
        raise _refused(attempt.kind, name, node, f'is not allowed to modify node "{name}"')
    if attempt.operation == "DELETE":
        return obj
    before = labels_of(attempt.old) if attempt.operation == "UPDATE" else {}
    labels = labels_of(obj)
    changed = sorted(key for key in {*labels, *before} if labels.get(key) != before.get(key))
    if wrong := [key for key in changed if _is_not_its_own(key)]:
        verb = "set the following" if attempt.operation == "CREATE" else "modify"
        raise _refused(attempt.kind, name, node, f"is not allowed to {verb} labels: {', '.join(wrong)}")
    # Which network a node has is for the cluster to say: other machines send packets by it.
    old = attempt.old
    for field, said in (("spec.podCIDR", "podCIDR"), ("spec.podCIDRs", "podCIDRs")):
        if at(obj, field) != at(old, field):
            raise _refused(attempt.kind, name, node, f"is not allowed to modify {said}")
    if attempt.operation == "UPDATE":
        if (at(obj, "spec.taints") or []) != (at(old, "spec.taints") or []):
            raise _refused(attempt.kind, name, node, "is not allowed to modify taints")
        if owners_of(obj) != owners_of(old):
            raise _refused(attempt.kind, name, node, "is not allowed to modify ownerReferences")
    return obj


def _is_not_its_own(label: str) -> bool:
    """Of the labels that Kubernetes has a meaning for, a node sets those alone that describe it."""
    domain, slash, _ = label.partition("/")
    if not slash or not any(domain == one or domain.endswith("." + one) for one in _OWN_DOMAINS):
        return False
    return label not in _LABELS and not any(domain == one or domain.endswith("." + one) for one in _LABEL_DOMAINS)


def _about_pods(node: str, attempt: Attempt, look: Look) -> Obj:
    pod = attempt.obj if attempt.operation == "CREATE" else attempt.old
    there = look.get(Key("pods", attempt.namespace, attempt.name))
    own = (there or pod).get("spec", {}).get("nodeName") == node
    match attempt.operation, attempt.subresource:
        case "DELETE", _ if own:
            pass
        case "DELETE", _:
            raise _refused(attempt.kind, attempt.name, node,
                           f'can only delete pods with spec.nodeName set to itself, not "{_node_said(there)}"')
        case "UPDATE", "status":
            if not own:
                raise _refused(attempt.kind, attempt.name, node,
                               "can only update pod status for pods with spec.nodeName set to itself")
            if labels_of(attempt.obj) != labels_of(attempt.old):
                raise _refused(attempt.kind, attempt.name, node, "cannot update labels through pod status")
        case _:
            raise _refused(attempt.kind, attempt.name, node, "can only update the status of its pods, and delete them")
    return attempt.obj


def _node_said(pod: Obj | None) -> str:
    return at(pod or {}, "spec.nodeName", "")


def _check_lease(node: str, attempt: Attempt) -> None:
    if attempt.namespace != LEASE_NAMESPACE:
        raise _refused(attempt.kind, attempt.name, node,
                       f'is not allowed to access leases outside of the namespace "{LEASE_NAMESPACE}"')
    if (attempt.name or name_of(attempt.obj)) != node:
        raise _refused(attempt.kind, attempt.name, node,
                       "can only access node lease with the same name as the requesting node")


def _check_token(node: str, attempt: Attempt, look: Look) -> None:
    """For one of its pods, which the request is bound to by uid."""
    bound = at(attempt.obj, "spec.boundObjectRef") or {}
    if bound.get("kind") != "Pod" or not bound.get("name") or not bound.get("uid"):
        raise _refused(attempt.kind, attempt.name, node, "requested token not bound to a pod")
    pod = look.get(Key("pods", attempt.namespace, bound["name"]))
    if pod is None or uid_of(pod) != bound["uid"]:
        raise _refused(attempt.kind, attempt.name, node, f'requested token bound to pod "{bound["name"]}", '
                                                         "which is not there")
    if at(pod, "spec.nodeName") != node:
        raise _refused(attempt.kind, attempt.name, node, "requested token bound to a pod scheduled on a different node")
