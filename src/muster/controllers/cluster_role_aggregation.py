"""ClusterRoles that are put together: one with an `aggregationRule` gets the rules of all that its selectors find.

So `admin`, `edit` and `view` grow when somebody adds a role with their label.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, at, is_deleting, labels_of, name_of, uid_of
from ..api.selectors import from_label_selector
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change

ROLES = "clusterroles.rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Observed:
    role: Obj
    others: tuple[Obj, ...]  # in the order of their names


def plan(seen: Observed, now: float) -> Plan:
    selectors = [from_label_selector(one) for one in at(seen.role, "aggregationRule.clusterRoleSelectors", ())]
    rules: list[Obj] = []
    for other in seen.others:
        if any(selector.matches(labels_of(other)) for selector in selectors):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    if rules == (seen.role.get("rules") or []):
        return NOTHING
    return Plan([Patch(Key(ROLES, "", name_of(seen.role)), uid_of(seen.role),
                       [{"op": "add", "path": "/rules", "value": rules}], how="json")], size=len(seen.others))


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    """The role itself, and those that it is, or was, a part of."""
    changed = [labels_of(one) for one in (change.value, change.previous) if one is not None]
    for role in mirror.objects(ROLES).values():
        selectors = at(role, "aggregationRule.clusterRoleSelectors", ())
        if name_of(role) == change.key.name or any(from_label_selector(selector).matches(labels)
                                                   for selector in selectors for labels in changed):
            yield name_of(role)


def observe(mirror: Mirror, name: str) -> Observed | None:
    role = mirror.get(Key(ROLES, "", name))
    if role is None or is_deleting(role) or not role.get("aggregationRule"):
        return None
    return Observed(role, tuple(other for (_, other_name), other in sorted(mirror.objects(ROLES).items())
                                if other_name != name))


controller = Controller("clusterrole-aggregation-controller", (ROLES,), wakes, observe, plan)
