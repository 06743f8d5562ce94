"""Values as Go prints them, where users meet that and search for it.

    syntax_of_...   Go's `%#v`, in what v1.32 says of a field that is wrong
    text_of_...     what a value's own String() gives, in events and conditions

Where Go prints a pointer, and with it an address of its memory, the value stands.  Not all types are here: what is
wrong with a whole pod template, say, is shown with the JSON that the user wrote.
https://pkg.go.dev/fmt#hdr-Printing
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson


class Syntax(NamedTuple):
    """A value in Go's syntax: an error shows it as it stands."""

    text: str


def quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def syntax_of_map(value: Mapping[str, str] | None) -> str:
    if value is None:
        return "map[string]string(nil)"
    return "map[string]string{" + ", ".join(f"{quoted(key)}:{quoted(value[key])}" for key in sorted(value)) + "}"


def syntax_of_texts(value: Iterable[str] | None, type_: str = "string") -> str:
    return _slice(type_, value, quoted)


def syntax_of_selector(value: Mapping[str, Any]) -> str:
    """Of a metav1.LabelSelector."""
    return _struct("v1.LabelSelector", MatchLabels=syntax_of_map(value.get("matchLabels")),
                   MatchExpressions=_slice("v1.LabelSelectorRequirement", value.get("matchExpressions"),
                                           lambda rule: _rule("v1.LabelSelectorRequirement", rule)))


def syntax_of_number_or_share(value: int | str) -> Syntax:
    number, text = (0, value) if isinstance(value, str) else (value, "")
    return Syntax(_struct("intstr.IntOrString", Type=str(int(isinstance(value, str))), IntVal=str(number),
                          StrVal=quoted(text)))


def syntax_of_strategy(type_: str, strategy: Mapping[str, Any], rolling: str) -> Syntax:
    """`type_` "apps.DeploymentStrategy", `rolling` "apps.RollingUpdateDeployment"."""
    return Syntax(_struct(type_, Type=quoted(strategy.get("type") or ""),
                          RollingUpdate=_pointer(rolling, strategy.get("rollingUpdate"))))


def syntax_of_terms(terms: Iterable[Mapping[str, Any]] | None) -> Syntax:
    return Syntax(_slice("core.NodeSelectorTerm", terms, lambda term: syntax_of_term(term).text))


def syntax_of_term(term: Mapping[str, Any]) -> Syntax:
    of = "core.NodeSelectorRequirement"
    return Syntax(_struct("core.NodeSelectorTerm", **{
        name: _slice(of, term.get(field), lambda rule: _rule(of, rule))
        for name, field in (("MatchExpressions", "matchExpressions"), ("MatchFields", "matchFields"))}))


def syntax_of_taint(taint: Mapping[str, Any]) -> Syntax:
    return Syntax(_struct("core.Taint", **_texts(taint, "Key", "Value", "Effect"),
                          TimeAdded=_pointer("v1.Time", taint.get("timeAdded"))))


def syntax_of_toleration(one: Mapping[str, Any]) -> Syntax:
    return Syntax(_struct("core.Toleration", **_texts(one, "Key", "Operator", "Value", "Effect"),
                          TolerationSeconds=_pointer("int64", one.get("tolerationSeconds"))))


def syntax_of_node_address(one: Mapping[str, Any]) -> Syntax:
    return Syntax(_struct("core.NodeAddress", **_texts(one, "Type", "Address")))


def syntax_of_addresses(type_: str, listed: Iterable[Mapping[str, Any]]) -> Syntax:
    """`type_`: "core.PodIP", "core.HostIP"."""
    return Syntax(_slice(type_, listed, lambda one: _struct(type_, IP=quoted(one.get("ip") or ""))))


def syntax_of_owner(owner: Mapping[str, Any]) -> Syntax:
    return Syntax(_struct(
        "v1.OwnerReference", APIVersion=quoted(owner.get("apiVersion") or ""), **_texts(owner, "Kind", "Name"),
        UID=quoted(owner.get("uid") or ""), Controller=_pointer("bool", owner.get("controller")),
        BlockOwnerDeletion=_pointer("bool", owner.get("blockOwnerDeletion"))))


def syntax_of_owners(owners: Iterable[Mapping[str, Any]]) -> Syntax:
    return Syntax(_slice("v1.OwnerReference", owners, lambda owner: syntax_of_owner(owner).text))


def syntax_of_scopes(scopes: Iterable[str] | None) -> Syntax:
    return Syntax(syntax_of_texts(scopes, "core.ResourceQuotaScope"))


def syntax_of_scope_selector(selector: Mapping[str, Any]) -> Syntax:
    of = "core.ScopedResourceSelectorRequirement"
    return Syntax(_struct("core.ScopeSelector", MatchExpressions=_slice(
        of, selector.get("matchExpressions"), lambda rule: _rule(of, rule, key=("ScopeName", "scopeName")))))


def syntax_of_role(role: Mapping[str, Any]) -> Syntax:
    return Syntax(_struct("rbac.RoleRef", APIGroup=quoted(role.get("apiGroup") or ""), **_texts(role, "Kind", "Name")))


def syntax_of_port(protocol: str, number: int) -> Syntax:
    """A service's port of which only these are compared."""
    return Syntax(_struct("core.ServicePort", Name=quoted(""), Protocol=quoted(protocol), AppProtocol="(*string)(nil)",
                          Port=str(number), TargetPort=syntax_of_number_or_share(0).text, NodePort="0"))


def _struct(type_: str, **fields: str) -> str:
    return f"{type_}{{{', '.join(f'{name}:{value}' for name, value in fields.items())}}}"


def _slice(type_: str, items: Iterable[Any] | None, shown: Callable[[Any], str]) -> str:
    return f"[]{type_}(nil)" if items is None else f"[]{type_}{{{', '.join(map(shown, items))}}}"


def _pointer(type_: str, value: Any) -> str:
    return f"(*{type_})(nil)" if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _texts(obj: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Fields that are called the same in JSON but for their first letter."""
    return {name: quoted(obj.get(name[0].lower() + name[1:]) or "") for name in names}


def _rule(type_: str, rule: Mapping[str, Any], key: tuple[str, str] = ("Key", "key")) -> str:
    name, field = key
    return _struct(type_, **{name: quoted(rule.get(field) or "")}, Operator=quoted(rule.get("operator") or ""),
                   Values=syntax_of_texts(rule.get("values")))


def text_of_selector(value: Mapping[str, Any] | None) -> str:
    """Of a *metav1.LabelSelector."""
    if value is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((value.get("matchLabels") or {}).items()))
    rules = "".join(f"LabelSelectorRequirement{{Key:{rule['key']},Operator:{rule['operator']},"
                    f"Values:[{' '.join(rule.get('values') or ())}],}},"
                    for rule in value.get("matchExpressions") or ())
    return (f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
            f"MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}")
