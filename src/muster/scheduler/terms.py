"""What a pod says about other pods: affinity, anti-affinity and spreading, read once into values.

    Who          whom a term is about: namespaces and a label selector
    Term         "together with (or apart from) those, where `key` is one place": a zone, a host, a rack
    Constraint   "spread evenly over the values of `key`"
    Wishes       all that one pod says, and the group (namespace and labels) that others know it by

`matchLabelKeys` of affinity were turned into selectors when the pod was made; those of spreading are here.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import orjson

from ..api.objects import Obj, labels_of, namespace_of
from ..api.placement import HARD_EFFECTS, matches_required_affinity, untolerated
from ..api.selectors import Requirement, Selector, from_label_selector

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
HARD_AFFINITY_WEIGHT = 1  # what a required term of a pod that is there counts in scores
NamespaceLabels = Mapping[str, Mapping[str, str]]


class Group(NamedTuple):
    """What terms know a pod by.  The pods of a template are one group."""

    namespace: str
    labels: tuple[tuple[str, str], ...]


def group_of(pod: Obj) -> Group:
    return Group(namespace_of(pod), tuple(sorted(labels_of(pod).items())))


class Who(NamedTuple):
    namespaces: tuple[str, ...]
    namespace_selector: Selector | None
    selector: Selector

    def means(self, group: Group, namespaces: NamespaceLabels) -> bool:
        return ((group.namespace in self.namespaces
                 or self.namespace_selector is not None
                 and self.namespace_selector.matches(namespaces.get(group.namespace, {})))
                and self.selector.matches(dict(group.labels)))


class Term(NamedTuple):
    who: Who
    key: str


class Held(NamedTuple):
    """A term of a pod that is there, as others meet it: weight 0 keeps them away, any other counts in scores."""

    term: Term
    weight: int


class Eligible:
    """Which nodes count for a spread constraint: those with all its pod's keys, and that it would consider at all."""

    __slots__ = ("keys", "_spec", "_affinity", "_taints", "_said")

    def __init__(self, keys: tuple[str, ...], spec: Obj, *, affinity: bool, taints: bool):
        self.keys = keys
        self._spec = spec
        self._affinity = affinity and bool(spec.get("nodeSelector") or (spec.get("affinity") or {}).get("nodeAffinity"))
        self._taints = taints
        self._said = orjson.dumps((keys, (spec.get("nodeSelector"), (spec.get("affinity") or {}).get("nodeAffinity"))
                                   if self._affinity else None, (spec.get("tolerations") or ()) if taints else None),
                                  option=orjson.OPT_SORT_KEYS)

    def __call__(self, node: Obj) -> bool:
        labels = node["metadata"].get("labels") or {}
        return (all(key in labels for key in self.keys)
                and (not self._affinity or matches_required_affinity(self._spec, node))
                and (not self._taints or untolerated(self._spec.get("tolerations"), node["spec"].get("taints"),
                                                     HARD_EFFECTS) is None))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Eligible) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)


class Count(NamedTuple):
    """A number to be kept for each value of `key`: of the pods there that all of `whos` mean."""

    whos: tuple[Who, ...]
    key: str
    staying: bool = False  # pods on their way out do not count
    eligible: Eligible | None = None  # only pods on these nodes; None: on all
    evenly: bool = False  # the lowest of the numbers is asked for, so values without any pod are kept too

    def means(self, group: Group, namespaces: NamespaceLabels) -> bool:
        return all(who.means(group, namespaces) for who in self.whos)

    def value_on(self, node: Obj) -> str | None:
        """The value of the key there; None where the node does not count."""
        value = (node["metadata"].get("labels") or {}).get(self.key)
        return value if value is None or self.eligible is None or self.eligible(node) else None


class Constraint(NamedTuple):
    counted: Count
    max_skew: int
    min_domains: int
    counts_itself: bool  # the pod is one of those that are counted


class Weighted(NamedTuple):
    counted: Count
    weight: int  # negative: rather apart


@dataclass(frozen=True)
class Wishes:
    group: Group
    affinity: tuple[Term, ...] = ()
    apart: tuple[Term, ...] = ()
    preferred: tuple[Weighted, ...] = ()
    hard: tuple[Constraint, ...] = ()
    soft: tuple[Constraint, ...] = ()
    all_keys: bool = True  # a node without one of the soft constraints' keys is the worst (not so for defaults)
    held: tuple[Held, ...] = ()

    @cached_property
    def together(self) -> tuple[Count, ...]:
        """Of the pods that all required terms mean, one number a key."""
        whos = tuple(term.who for term in self.affinity)
        return tuple(Count(whos, term.key) for term in self.affinity)

    @cached_property
    def not_with(self) -> tuple[Count, ...]:
        return tuple(Count((term.who,), term.key) for term in self.apart)

    @property
    def narrow(self) -> bool:
        """Does it rule nodes out because of other pods?"""
        return bool(self.affinity or self.apart or self.hard)


def wishes_of(pod: Obj) -> Wishes:
    """Pods that say the same share what was read."""
    spec, group = pod["spec"], group_of(pod)
    affinity, constraints = spec.get("affinity") or {}, spec.get("topologySpreadConstraints")
    if not constraints and not affinity.get("podAffinity") and not affinity.get("podAntiAffinity"):
        return _silent(group)
    own = {"affinity": affinity, "topologySpreadConstraints": constraints, "nodeSelector": spec.get("nodeSelector"),
           "tolerations": spec.get("tolerations")}
    if not constraints:  # then nodes are not counted, and daemons of one set say the same
        own = {"affinity": {kind: said for kind, said in affinity.items() if kind != "nodeAffinity"}}
    return _read(group, orjson.dumps(own))


@lru_cache(maxsize=16384)
def _silent(group: Group) -> Wishes:
    return Wishes(group)


@lru_cache(maxsize=4096)
def _read(group: Group, said: bytes) -> Wishes:
    spec = orjson.loads(said)
    affinity = spec["affinity"]
    towards, away = _required(affinity, "podAffinity", group), _required(affinity, "podAntiAffinity", group)
    wanted = _preferred(affinity, "podAffinity", group, 1)
    unwanted = _preferred(affinity, "podAntiAffinity", group, -1)
    held = (*(Held(term, 0) for term in away), *(Held(term, HARD_AFFINITY_WEIGHT) for term in towards),
            *(Held(term, weight) for term, weight in (*wanted, *unwanted)))
    return Wishes(group, towards, away,
                  tuple(Weighted(Count((term.who,), term.key), weight) for term, weight in (*wanted, *unwanted)),
                  _constraints(spec, group, "DoNotSchedule"), _constraints(spec, group, "ScheduleAnyway"), held=held)


def _required(affinity: Obj | None, kind: str, group: Group) -> tuple[Term, ...]:
    found = ((affinity or {}).get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return tuple(_term(one, group) for one in found or ())


def _preferred(affinity: Obj | None, kind: str, group: Group, sign: int) -> tuple[tuple[Term, int], ...]:
    found = ((affinity or {}).get(kind) or {}).get("preferredDuringSchedulingIgnoredDuringExecution")
    return tuple((_term(one["podAffinityTerm"], group), sign * one["weight"]) for one in found or () if one["weight"])


def _term(term: Obj, group: Group) -> Term:
    names, selector = tuple(sorted(term.get("namespaces") or ())), term.get("namespaceSelector")
    if not names and selector is None:
        names = (group.namespace,)
    return Term(Who(names, from_label_selector(selector) if selector is not None else None,
                    from_label_selector(term.get("labelSelector"))), term["topologyKey"])


def _constraints(spec: Obj, group: Group, when: str) -> tuple[Constraint, ...]:
    found = [one for one in spec.get("topologySpreadConstraints") or () if one.get("whenUnsatisfiable") == when]
    keys = tuple(sorted({one["topologyKey"] for one in found}))
    return tuple(_constraint(one, spec, group, keys, evenly=when == "DoNotSchedule") for one in found)


def _constraint(one: Obj, spec: Obj, group: Group, keys: tuple[str, ...], *, evenly: bool) -> Constraint:
    labels = dict(group.labels)
    selector = from_label_selector(one.get("labelSelector"))
    same = [Requirement(key, "=", (labels[key],)) for key in one.get("matchLabelKeys") or () if key in labels]
    if same:
        selector = Selector((*selector.requirements, *same))
    who = Who((group.namespace,), None, selector)
    eligible = Eligible(keys, spec, affinity=one.get("nodeAffinityPolicy") != "Ignore",
                        taints=one.get("nodeTaintsPolicy") == "Honor")
    return Constraint(Count((who,), one["topologyKey"], True, eligible, evenly), one["maxSkew"],
                      one.get("minDomains") or 1, selector.matches(labels))


def default_spreading(pod: Obj, selector: Selector) -> tuple[Constraint, ...]:
    """What pods that say nothing themselves are spread by: upstream's built-in constraints."""
    group = group_of(pod)
    who = Who((group.namespace,), None, selector)
    return tuple(Constraint(Count((who,), key, True, Eligible((), pod["spec"], affinity=True, taints=False)), skew, 1,
                            True) for key, skew in ((HOST, 3), (ZONE, 5)))
