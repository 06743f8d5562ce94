"""Who may do what.

Until RBAC objects are served, the rules are those that every Kubernetes cluster starts with
(default roles of the RBAC reference): system:masters may do everything, anyone may ask for health
and version, and who is known may read discovery.  Nodes have rules of their own (node_rights.py); a machine that is to
become one may ask for a certificate, and anyone may read which authority signs those of this cluster.
"""
from __future__ import annotations

from ..api.errors import ApiError, Forbidden
from . import node_rights
from .bootstrap_tokens import BOOTSTRAPPERS
from .identity import AUTHENTICATED, MASTERS, User
from .node_rights import REQUESTS, Asked, PodsOn, nobody, node_of

_ANYONE = ("/healthz", "/livez", "/readyz", "/version")  # system:public-info-viewer
_KNOWN = ("/api", "/apis", "/openapi")  # system:discovery
_BOOTSTRAPPING = frozenset(("create", "get", "list", "watch"))  # system:node-bootstrapper
CLUSTER_INFO = ("configmaps", "kube-public", "cluster-info")  # where the cluster is, and its CA


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def may(user: User, verb: str, *, path: str = "", resource: str = "", subresource: str = "", namespace: str = "",
        name: str = "", fields: str = "", pods_on: PodsOn = nobody) -> bool:
    """`path` for a request about no resource ("/healthz/ping"), else `resource` as "daemonsets.apps".

    `fields` is the field selector of a list or watch; `pods_on` gives the pods of a node, as they are now.
    """
    if MASTERS in user.groups:
        return True
    node = node_of(user)
    if resource:
        if node and node_rights.may(node, Asked(verb, resource, subresource, namespace, name, fields), pods_on):
            return True
        return not subresource and (BOOTSTRAPPERS in user.groups and resource == REQUESTS and verb in _BOOTSTRAPPING
                                    or verb == "get" and (resource, namespace, name) == CLUSTER_INFO)
    if verb not in ("get", "head"):
        return False
    return (_below(path, _ANYONE) or (AUTHENTICATED in user.groups and _below(path, _KNOWN))
            or bool(node) and node_rights.may_read_path(node, verb, path))


def refusal(user: User, verb: str, *, path: str = "", resource: str = "", subresource: str = "",
            namespace: str = "", name: str = "") -> ApiError:
    """The Forbidden that kubectl shows: `pods is forbidden: User "bob" cannot list resource "pods" ...`."""
    if not resource:
        return Forbidden(f'forbidden: User "{user.name}" cannot {verb} path "{path}"')
    plural, _, group = resource.partition(".")
    asked = f"{plural}/{subresource}" if subresource else plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    about = f'{resource} "{name}"' if name else resource
    details = {"kind": plural}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    return Forbidden(
        f'{about} is forbidden: User "{user.name}" cannot {verb} resource "{asked}" in API group "{group}" {where}',
        details=details)
