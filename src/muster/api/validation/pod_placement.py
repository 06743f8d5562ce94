"""Where a pod may run: node and pod affinity, tolerations, topology spread.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..objects import Obj
from ..remembered import Proven
from .metadata import NOT_A_SELECTOR_OPERATOR, complain, validate_label_name, validate_label_selector

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NOT_POSITIVE = "must be greater than zero"
_WEIGHT = "must be in the range 1-100"


def validate_affinity(affinity: Obj, path: str, wrong: list[Cause]) -> None:
    if (node := affinity.get("nodeAffinity")) is not None:
        validate_node_affinity(node, f"{path}.nodeAffinity", wrong)
    for field in ("podAffinity", "podAntiAffinity"):
        if (pods := affinity.get(field)) is not None:
            _pod_affinity(pods, f"{path}.{field}", wrong)


def validate_node_affinity(affinity: Obj, path: str, wrong: list[Cause]) -> None:
    if (selector := affinity.get(_REQUIRED)) is not None:
        validate_node_selector(selector, f"{path}.{_REQUIRED}", wrong)
    for index, one in enumerate(affinity.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        _weight(one, at, wrong)
        # Values that no label can have are let through here, as ever: a preference may come to nothing.
        _node_selector_term(one.get("preference") or {}, f"{at}.preference", False, wrong)


def validate_node_selector(selector: Obj, path: str, wrong: list[Cause]) -> None:
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        wrong.append(required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
        return
    for index, term in enumerate(terms):
        _node_selector_term(term, f"{path}.nodeSelectorTerms[{index}]", True, wrong)


def _weight(one: Obj, path: str, wrong: list[Cause]) -> None:
    weight = one.get("weight") or 0
    if not 1 <= weight <= 100:
        wrong.append(invalid(f"{path}.weight", weight, _WEIGHT))


def _node_selector_term(term: Obj, path: str, check_values: bool, wrong: list[Cause]) -> None:
    for index, one in enumerate(term.get("matchExpressions") or ()):
        _node_labels(one, f"{path}.matchExpressions[{index}]", check_values, wrong)
    for index, one in enumerate(term.get("matchFields") or ()):
        _node_fields(one, f"{path}.matchFields[{index}]", wrong)


def _node_labels(one: Obj, path: str, check_values: bool, wrong: list[Cause]) -> None:
    operator, values = one.get("operator") or "", one.get("values") or ()
    match operator:
        case "In" | "NotIn":
            if not values:
                wrong.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        case "Exists" | "DoesNotExist":
            if values:
                wrong.append(forbidden(f"{path}.values",
                                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        case "Gt" | "Lt":
            if len(values) != 1:
                wrong.append(required(f"{path}.values",
                                      "must be specified single value when `operator` is 'Lt' or 'Gt'"))
        case _:
            wrong.append(invalid(f"{path}.operator", operator, NOT_A_SELECTOR_OPERATOR))
    validate_label_name(one.get("key") or "", f"{path}.key", wrong)
    if check_values:
        for index, value in enumerate(values):
            wrong += complain(f"{path}.values[{index}]", value, names.is_label_value(value))


def _node_fields(one: Obj, path: str, wrong: list[Cause]) -> None:
    operator, values = one.get("operator") or "", one.get("values") or ()
    if operator not in ("In", "NotIn"):
        wrong.append(invalid(f"{path}.operator", operator, NOT_A_SELECTOR_OPERATOR))
    elif len(values) != 1:
        wrong.append(required(f"{path}.values",
                              "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
    if one.get("key") != "metadata.name":
        wrong.append(invalid(f"{path}.key", one.get("key") or "", "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        wrong += complain(f"{path}.values[{index}]", value, names.is_dns_subdomain(value))


def _pod_affinity(affinity: Obj, path: str, wrong: list[Cause]) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        _pod_affinity_term(term, f"{path}.{_REQUIRED}[{index}]", wrong)
    for index, one in enumerate(affinity.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        _weight(one, at, wrong)
        _pod_affinity_term(one.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm", wrong)


def _pod_affinity_term(term: Obj, path: str, wrong: list[Cause]) -> None:
    selector = term.get("labelSelector")
    validate_label_selector(selector, f"{path}.labelSelector", wrong)
    validate_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", wrong)
    for name in term.get("namespaces") or ():
        wrong += complain(f"{path}.namespace", name, names.is_dns_label(name))
    same, other = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    for field, keys in (("matchLabelKeys", same), ("mismatchLabelKeys", other)):
        if keys and selector is None:
            wrong.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
            continue
        for index, key in enumerate(keys):
            validate_label_name(key, f"{path}.{field}[{index}]", wrong)
    for index, key in enumerate(same):
        if key in other:
            wrong.append(invalid(f"{path}.matchLabelKeys[{index}]", key,
                                 "exists in both matchLabelKeys and mismatchLabelKeys"))
    topology = term.get("topologyKey") or ""
    if not topology:
        wrong.append(required(f"{path}.topologyKey", "can not be empty"))
    validate_label_name(topology, f"{path}.topologyKey", wrong)


def validate_tolerations(tolerations: list[Obj], path: str, wrong: list[Cause]) -> None:
    if _tolerable.holds(tolerations):  # those of a template come again with each of its pods
        return
    before = len(wrong)
    for index, one in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator = one.get("key") or "", one.get("operator") or ""
        value, effect = one.get("value") or "", one.get("effect") or ""
        if key:
            validate_label_name(key, f"{at}.key", wrong)
        elif operator != "Exists":
            wrong.append(invalid(f"{at}.operator", operator, "operator must be Exists when `key` is empty, which "
                                 'means "match all values and all keys"'))
        if one.get("tolerationSeconds") is not None and effect != "NoExecute":
            wrong.append(invalid(f"{at}.effect", effect,
                                 "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("", "Equal"):
            if complaints := names.is_label_value(value):
                wrong.append(invalid(f"{at}.operator", value, ";".join(complaints)))
        elif operator != "Exists":
            wrong.append(not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
        elif value:
            wrong.append(invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"))
        if effect and effect not in TAINT_EFFECTS:
            wrong.append(not_supported(f"{at}.effect", effect, TAINT_EFFECTS))
    if len(wrong) == before:
        _tolerable.add(tolerations)


_tolerable = Proven()


def validate_topology_spread(constraints: list[Obj], path: str, wrong: list[Cause]) -> None:
    kinds = [(one.get("topologyKey") or "", one.get("whenUnsatisfiable") or "") for one in constraints]
    for index, one in enumerate(constraints):
        at, (topology, otherwise) = f"{path}[{index}]", kinds[index]
        skew, domains = one.get("maxSkew") or 0, one.get("minDomains")
        if skew <= 0:
            wrong.append(invalid(f"{at}.maxSkew", skew, _NOT_POSITIVE))
        if not topology:
            wrong.append(required(f"{at}.topologyKey", "can not be empty"))
        if otherwise not in ("DoNotSchedule", "ScheduleAnyway"):
            wrong.append(not_supported(f"{at}.whenUnsatisfiable", otherwise, ("DoNotSchedule", "ScheduleAnyway")))
        if kinds[index] in kinds[index + 1:]:
            wrong.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{topology}, {otherwise}}}"))
        if domains is not None and domains <= 0:
            wrong.append(invalid(f"{at}.minDomains", domains, _NOT_POSITIVE))
        if domains is not None and otherwise != "DoNotSchedule":
            wrong.append(invalid(f"{at}.minDomains", domains,
                                 f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {otherwise}"))
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if one.get(field) is not None and one[field] not in ("Honor", "Ignore"):
                wrong.append(not_supported(f"{at}.{field}", one[field], ("Honor", "Ignore")))
        _spread_keys(one, at, wrong)
        validate_label_selector(one.get("labelSelector"), f"{at}.labelSelector", wrong)


def _spread_keys(one: Obj, path: str, wrong: list[Cause]) -> None:
    keys, selector = one.get("matchLabelKeys"), one.get("labelSelector")
    if not keys:
        return
    if selector is None:
        wrong.append(forbidden(f"{path}.matchLabelKeys", "must not be specified when labelSelector is not set"))
    selected = {*((selector or {}).get("matchLabels") or ()),
                *(each.get("key") for each in (selector or {}).get("matchExpressions") or ())}
    for index, key in enumerate(keys):
        validate_label_name(key, f"{path}.matchLabelKeys[{index}]", wrong)
        if key in selected:
            wrong.append(invalid(f"{path}.matchLabelKeys[{index}]", key,
                                 "exists in both matchLabelKeys and labelSelector"))
