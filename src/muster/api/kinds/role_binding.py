"""RoleBinding and ClusterRoleBinding: who may do what a role says, in one namespace or everywhere.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import names
from ..causes import Cause, invalid, not_supported, required
from ..defaults import each, filled, inside
from ..go_text import syntax_of_role
from ..objects import Obj
from ..tables import AGE, NAME
from ..validation.metadata import complain, validate_metadata, validate_metadata_update
from .kind import Column, Kind
from .role import GROUP

USER, USER_GROUP, ACCOUNT = "User", "Group", "ServiceAccount"


def defaults(binding: Obj) -> Obj:
    binding = inside(binding, "roleRef", lambda role: role if role.get("apiGroup") else {**role, "apiGroup": GROUP})
    return each(binding, "subjects", _subject_defaults)


def _subject_defaults(subject: Obj) -> Obj:
    return filled(subject, apiGroup=GROUP) if subject.get("kind") in (USER, USER_GROUP) else subject


def _validated(*, namespaced: bool) -> Callable[[Obj], list[Cause]]:
    def validate(binding: Obj) -> list[Cause]:
        wrong = validate_metadata(binding, namespaced=namespaced, name=names.is_path_segment)
        wrong += _role(binding.get("roleRef") or {}, ("Role", "ClusterRole") if namespaced else ("ClusterRole",))
        for place, subject in enumerate(binding.get("subjects") or ()):
            wrong += _subject(subject, f"subjects[{place}]")
        return wrong
    return validate


def _role(role: Obj, kinds: tuple[str, ...]) -> list[Cause]:
    wrong: list[Cause] = []
    if role.get("apiGroup") != GROUP:
        wrong.append(not_supported("roleRef.apiGroup", role.get("apiGroup", ""), (GROUP,)))
    if role.get("kind") not in kinds:
        wrong.append(not_supported("roleRef.kind", role.get("kind", ""), kinds))
    name = role.get("name", "")
    if not name:
        wrong.append(required("roleRef.name"))
    return wrong + complain("roleRef.name", name, names.is_path_segment(name))


def _subject(subject: Obj, path: str) -> list[Cause]:
    wrong: list[Cause] = []
    name, group = subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        wrong.append(required(f"{path}.name"))
    match subject.get("kind", ""):
        case "ServiceAccount":
            if name:
                wrong += complain(f"{path}.name", name, names.is_dns_subdomain(name))
            if group:
                wrong.append(not_supported(f"{path}.apiGroup", group, ("",)))
            if not subject.get("namespace"):
                wrong.append(required(f"{path}.namespace"))
        case "User" | "Group":
            if group != GROUP:
                wrong.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
        case kind:
            wrong.append(not_supported(f"{path}.kind", kind, (ACCOUNT, USER, USER_GROUP)))
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    before, after = old.get("roleRef") or {}, new.get("roleRef") or {}
    if before != after:
        wrong.append(invalid("roleRef", syntax_of_role(after), "cannot change roleRef"))
    return wrong


def _subjects(kind: str) -> Callable[[Obj, float], Any]:
    def cell(binding: Obj, now: float) -> str:
        found = [one for one in binding.get("subjects") or () if one.get("kind") == kind]
        return ", ".join(f"{one.get('namespace', '')}/{one.get('name', '')}" if kind == ACCOUNT else one.get("name", "")
                         for one in found)
    return cell


def _role_cell(binding: Obj, now: float) -> str:
    role = binding.get("roleRef") or {}
    return f"{role.get('kind', '')}/{role.get('name', '')}"


_COLUMNS = (
    NAME, Column("Role", _role_cell, description="What they may do."), AGE,
    Column("Users", _subjects(USER), priority=1, description="The users who may."),
    Column("Groups", _subjects(USER_GROUP), priority=1, description="The groups who may."),
    Column("ServiceAccounts", _subjects(ACCOUNT), priority=1, description="The service accounts who may."),
)
ROLE_BINDING = Kind(
    group=GROUP, version="v1", name="RoleBinding", plural="rolebindings", singular="rolebinding", namespaced=True,
    definition="io.k8s.api.rbac.v1.RoleBinding", columns=_COLUMNS, generation_fields=(), defaults=defaults,
    validate=_validated(namespaced=True), validate_update=validate_update,
)
CLUSTER_ROLE_BINDING = Kind(
    group=GROUP, version="v1", name="ClusterRoleBinding", plural="clusterrolebindings",
    singular="clusterrolebinding", namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRoleBinding", columns=_COLUMNS, generation_fields=(), defaults=defaults,
    validate=_validated(namespaced=False), validate_update=validate_update,
)
