"""Who may do what.

Until RBAC objects are served, the rules are those that every Kubernetes cluster starts with
(default roles of the RBAC reference): system:masters may do everything, anyone may ask for health
and version, and who is known may read discovery.
"""
from __future__ import annotations

from ..api.errors import ApiError, Forbidden
from .identity import AUTHENTICATED, MASTERS, User

_ANYONE = ("/healthz", "/livez", "/readyz", "/version")  # system:public-info-viewer
_KNOWN = ("/api", "/apis", "/openapi")  # system:discovery


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def may(user: User, verb: str, *, path: str = "", resource: str = "") -> bool:
    """`path` for a request about no resource ("/healthz/ping"), else `resource` as "daemonsets.apps"."""
    if MASTERS in user.groups:
        return True
    if resource:
        return False
    if verb not in ("get", "head"):
        return False
    return _below(path, _ANYONE) or (AUTHENTICATED in user.groups and _below(path, _KNOWN))


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
