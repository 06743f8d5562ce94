"""What a rule of a role covers: one request, or all that another rule covers.  Pure, over rules as they are written.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..api.objects import Obj
from .asked import Asked

ALL = "*"


def allows(rule: Obj, asked: Asked) -> bool:
    if not _holds(rule.get("verbs"), asked.verb):
        return False
    if not asked.resource:
        return any(_is_under(asked.path, url) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    return (_holds(rule.get("apiGroups"), asked.group)
            and any(_is_resource(one, asked.plural, asked.subresource) for one in rule.get("resources") or ())
            and (not names or asked.name in names))


def _holds(said: Sequence[str] | None, value: str) -> bool:
    return said is not None and (ALL in said or value in said)


def _is_resource(said: str, plural: str, subresource: str) -> bool:
    if said == ALL:
        return True
    return said in (f"{plural}/{subresource}", f"*/{subresource}") if subresource else said == plural


def _is_under(path: str, url: str) -> bool:
    return url == path or (url.endswith(ALL) and path.startswith(url.rstrip(ALL)))


# ------------------------------------------------------------------ of rules, not requests


def not_covered(wanted: Iterable[Obj], held: Sequence[Obj]) -> list[Obj]:
    """The parts of the wanted rules, each of one thing, that no held rule covers."""
    return [part for rule in wanted for part in parts(rule) if not any(_covers(one, part) for one in held)]


def parts(rule: Obj) -> Iterator[Obj]:
    """The rule as many rules, each of one verb on one resource (and name), or on one path."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield {"nonResourceURLs": [url], "verbs": [verb]}
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames")
                yield from ({**part, "resourceNames": [name]} for name in names) if names else (part,)


def _covers(held: Obj, part: Obj) -> bool:
    if not _holds(held.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        wanted = part["nonResourceURLs"][0]
        return any(_is_under(wanted, url) for url in held.get("nonResourceURLs") or ())
    names = held.get("resourceNames")
    return (_holds(held.get("apiGroups"), part["apiGroups"][0])
            and any(_covers_resource(one, part["resources"][0]) for one in held.get("resources") or ())
            and (not names or part.get("resourceNames", [""])[0] in names))


def _covers_resource(held: str, wanted: str) -> bool:
    _, slash, subresource = wanted.partition("/")
    return held in (ALL, wanted) or bool(slash) and held == f"*/{subresource}"


def shown(rule: Obj) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`, as errors show one."""
    told = (("APIGroups", "apiGroups"), ("Resources", "resources"), ("ResourceNames", "resourceNames"),
            ("NonResourceURLs", "nonResourceURLs"), ("Verbs", "verbs"))
    return "{" + ", ".join(f"{name}:[{' '.join(_quoted(one) for one in rule[field])}]"
                           for name, field in told if rule.get(field)) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def merged(rules: Iterable[Obj]) -> list[Obj]:
    """Parts put together again where they differ in their verbs alone."""
    together: dict[str, Obj] = {}
    for rule in rules:
        of = shown({**rule, "verbs": []})
        known = together.get(of)
        together[of] = rule if known is None else {
            **known, "verbs": list(dict.fromkeys([*known["verbs"], *rule["verbs"]]))}
    return list(together.values())
