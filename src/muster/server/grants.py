"""What the bindings of the cluster grant (RBAC): rules for whoever is named by one, or is in a group that is.

A ClusterRoleBinding grants everywhere, a RoleBinding in its namespace.  Bindings are kept by whom they name, and
sorted anew once one of them has changed; roles are read when they are asked for.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..api.kinds.role_binding import ACCOUNT, USER, USER_GROUP
from ..api.objects import Key, Obj, name_of, namespace_of
from ..store.history import History
from .account_names import user_name
from .asked import Asked
from .identity import User
from .policy_rules import allows

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"

Named = tuple[str, str]  # ("User", "bob"), ("Group", "system:authenticated")


class Bound(NamedTuple):
    """A binding, and by which of its subjects somebody is bound."""

    binding: Obj
    subject: Obj


class Grant(NamedTuple):
    rule: Obj
    bound: Bound


class Grants:
    def __init__(self, history: History):
        self._history = history
        self._sorted_at = (-1, -1)
        self._bound: dict[Named, list[Bound]] = {}

    def why(self, user: User, asked: Asked) -> str:
        """What grants it, in words; "" where nothing does."""
        return next((told(grant.bound) for grant in self.of(user, asked.namespace) if allows(grant.rule, asked)), "")

    def of(self, user: User, namespace: str) -> Iterator[Grant]:
        """All that somebody is granted in a namespace; without one, what holds for the whole cluster."""
        for bound in self._of(user):
            where = namespace_of(bound.binding)
            if where and where != namespace:
                continue
            for rule in self.role_rules(bound.binding.get("roleRef") or {}, where) or ():
                yield Grant(rule, bound)

    def missing(self, user: User, namespace: str) -> list[str]:
        """The roles that bindings of somebody name, and that are not there."""
        gone: dict[str, None] = {}
        for bound in self._of(user):
            where, role = namespace_of(bound.binding), bound.binding.get("roleRef") or {}
            if where in ("", namespace) and self.role_rules(role, where) is None:
                gone[f'{role.get("kind", "").lower()}.{GROUP} "{role.get("name", "")}" not found'] = None
        return list(gone)

    def role_rules(self, role: Obj, namespace: str) -> list[Obj] | None:
        """The rules of the role that a binding names; None where it is not there."""
        key = (Key(ROLES, namespace, role.get("name", "")) if role.get("kind") == "Role"
               else Key(CLUSTER_ROLES, "", role.get("name", "")))
        found = self._history.get(key)
        return None if found is None else found.value.get("rules") or []

    def _of(self, user: User) -> Iterator[Bound]:
        self._sort()
        for named in ((USER, user.name), *((USER_GROUP, group) for group in user.groups)):
            yield from self._bound.get(named, ())

    def _sort(self) -> None:
        lanes = [self._history.lane(resource) for resource in (CLUSTER_BINDINGS, BINDINGS)]
        now = (lanes[0].revision, lanes[1].revision)
        if now == self._sorted_at:
            return
        self._sorted_at, self._bound = now, {}
        for lane in lanes:
            for snapshot in lane.snapshots():
                for subject in snapshot.value.get("subjects") or ():
                    self._bound.setdefault(_named(subject), []).append(Bound(snapshot.value, subject))


def _named(subject: Obj) -> Named:
    """A service account is the user of that name."""
    if subject.get("kind") == ACCOUNT:
        return USER, user_name(subject.get("namespace", ""), subject.get("name", ""))
    return subject.get("kind", ""), subject.get("name", "")


def told(bound: Bound) -> str:
    """`RBAC: allowed by ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`, as access reviews say it."""
    binding, subject = bound.binding, bound.subject
    role, where = binding.get("roleRef") or {}, namespace_of(binding)
    by = f'RoleBinding "{name_of(binding)}/{where}"' if where else f'ClusterRoleBinding "{name_of(binding)}"'
    to = subject.get("name", "")
    if subject.get("kind") == ACCOUNT:
        to = f"{to}/{subject.get('namespace', '')}"
    return f'RBAC: allowed by {by} of {role.get("kind")} "{role.get("name")}" to {subject.get("kind")} "{to}"'
