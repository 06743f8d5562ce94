"""Role and ClusterRole: what may be done, in one namespace or in all.  Who may is said by bindings (role_binding.py).

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#role-and-clusterrole
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, invalid, required
from ..objects import Obj
from ..tables import NAME, path_cell
from ..validation.metadata import validate_label_selector, validate_metadata, validate_metadata_update
from .kind import Column, Kind

GROUP = "rbac.authorization.k8s.io"
CREATED_AT = Column("Created At", path_cell("metadata.creationTimestamp"), "date",
                    description="When the object was created.")


def validate_role(role: Obj) -> list[Cause]:
    return validate_metadata(role, namespaced=True, name=names.is_path_segment) + _rules(role, namespaced=True)


def validate_cluster_role(role: Obj) -> list[Cause]:
    wrong = validate_metadata(role, namespaced=False, name=names.is_path_segment) + _rules(role, namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return wrong
    selectors = aggregation.get("clusterRoleSelectors") or []
    path = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        wrong.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for place, selector in enumerate(selectors):
        validate_label_selector(selector, f"{path}[{place}]", wrong)
    return wrong


def _rules(role: Obj, *, namespaced: bool) -> list[Cause]:
    return [cause for place, rule in enumerate(role.get("rules") or ())
            for cause in _rule(rule, f"rules[{place}]", namespaced)]


def _rule(rule: Obj, path: str, namespaced: bool) -> list[Cause]:
    wrong: list[Cause] = []
    if not rule.get("verbs"):
        wrong.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    if urls := rule.get("nonResourceURLs"):
        if namespaced:
            wrong.append(invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            wrong.append(invalid(f"{path}.nonResourceURLs", urls,
                                 "rules cannot apply to both regular resources and non-resource URLs"))
        return wrong
    if not rule.get("apiGroups"):
        wrong.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        wrong.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return wrong


ROLE = Kind(
    group=GROUP, version="v1", name="Role", plural="roles", singular="role", namespaced=True,
    definition="io.k8s.api.rbac.v1.Role", columns=(NAME, CREATED_AT), generation_fields=(),
    validate=validate_role, validate_update=validate_metadata_update,
)
CLUSTER_ROLE = Kind(
    group=GROUP, version="v1", name="ClusterRole", plural="clusterroles", singular="clusterrole", namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRole", columns=(NAME, CREATED_AT), generation_fields=(),
    validate=validate_cluster_role, validate_update=validate_metadata_update,
)
