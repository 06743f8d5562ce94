"""Who may do what: asked in this order, and the first that allows it decides.

    system:masters           may do everything
    nodes                    what their pods need (node_rights.py)
    everybody                what the cluster's bindings grant (RBAC: grants.py)

Without any binding (first_roles.py makes those that every cluster begins with) nobody else may do anything.
https://kubernetes.io/docs/reference/access-authn-authz/authorization/
"""
from __future__ import annotations

from collections.abc import Sequence

from ..api.errors import ApiError, Forbidden
from ..api.objects import Obj
from . import node_rights
from .asked import Asked
from .grants import Grants
from .identity import MASTERS, User
from .node_rights import PodsOn, node_of

EVERYTHING: tuple[Obj, ...] = ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                               {"nonResourceURLs": ["*"], "verbs": ["*"]})


class Rights:
    def __init__(self, grants: Grants, pods_on: PodsOn):
        """`pods_on` gives the pods of a node, as they are now."""
        self.grants = grants
        self._pods_on = pods_on

    def may(self, user: User, asked: Asked) -> bool:
        return MASTERS in user.groups or self._may_as_node(user, asked) or bool(self.grants.why(user, asked))

    def check(self, user: User, asked: Asked) -> None:
        """Raises Forbidden, in the words that kubectl shows."""
        if not self.may(user, asked):
            raise refusal(user, asked, self.grants.missing(user, asked.namespace))

    def verdict(self, user: User, asked: Asked) -> Obj:
        """As the status of an access review tells it."""
        if MASTERS in user.groups or self._may_as_node(user, asked):
            return {"allowed": True}
        if why := self.grants.why(user, asked):
            return {"allowed": True, "reason": why}
        missing = self.grants.missing(user, asked.namespace)
        return {"allowed": False, **({"reason": _told(missing), "evaluationError": ", ".join(missing)}
                                     if missing else {})}

    def rules(self, user: User, namespace: str) -> list[Obj]:
        """All that somebody may do in a namespace, as rules of roles.  (What a node may for its pods is not told.)"""
        if MASTERS in user.groups:
            return list(EVERYTHING)
        return [grant.rule for grant in self.grants.of(user, namespace)]

    def _may_as_node(self, user: User, asked: Asked) -> bool:
        node = node_of(user)
        return bool(node) and node_rights.may(node, asked, self._pods_on)


def refusal(user: User, asked: Asked, missing: Sequence[str] = ()) -> ApiError:
    """`pods is forbidden: User "bob" cannot list resource "pods" in API group "" ...`."""
    why = f": {_told(missing)}" if missing else ""
    if not asked.resource:
        return Forbidden(f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{why}')
    resource = f"{asked.plural}/{asked.subresource}" if asked.subresource else asked.plural
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    about = f'{asked.resource} "{asked.name}"' if asked.name else asked.resource
    details = {"kind": asked.plural}
    if asked.name:
        details["name"] = asked.name
    if asked.group:
        details["group"] = asked.group
    return Forbidden(
        f'{about} is forbidden: User "{user.name}" cannot {asked.verb} resource "{resource}" '
        f'in API group "{asked.group}" {where}{why}', details=details)


def _told(missing: Sequence[str]) -> str:
    return "RBAC: " + ", ".join(missing)
