"""What other pods say against a place: which numbers stand against this pod there, and what would change them.

    a spread constraint           the maxSkew that would do, or where room would have to be made
    required affinity             the labels that a pod there would need
    required anti-affinity        whose presence rules the place out, and the rule that says so
"""
from __future__ import annotations

from collections.abc import Mapping

from ..api.objects import Obj, at, labels_of, name_of, with_
from ..api.selectors import Selector
from .fit import Refusal
from .obstacle import NODE, Case, Obstacle
from .terms import HOST, Constraint, Count, Who
from .topology import Surroundings

MOST_PLACES = 3  # named in one sentence
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def spread_evenly(why: Refusal, case: Case, around: Surroundings) -> Obstacle:
    labels = labels_of(case.room.node)
    for number, (one, counts, lowest) in enumerate(around.spread):
        key = one.counted.key
        value = labels.get(key)
        if value is None:
            return _labelled(why, case, f"it is to be spread by {key}, which the node has no label for", key,
                             sorted(around.values_of(one), key=lambda place: (counts.get(place, 0), place)))
        there = counts.get(value, 0)
        if there + one.counts_itself - lowest > one.max_skew:
            return _skewed(why, case, around, number, one, value, there, lowest)
    return Obstacle(why, ", ".join(why.reasons))


def _labelled(why: Refusal, case: Case, found: str, key: str, values: list[str]) -> Obstacle:
    node = case.room.node
    value = name_of(node) if key == HOST else values[0] if values else "a"
    after = case.with_node(with_(node, "metadata.labels", {**labels_of(node), key: value}))
    like = "" if key == HOST or not values else f" (or what it is: {', '.join(sorted(values)[:MOST_PLACES])} are known)"
    return Obstacle(why, found, f"`kubectl label node {NODE} {key}={value if key != HOST else NODE}`{like}",
                    after=after, cost=2)


def _skewed(why: Refusal, case: Case, around: Surroundings, number: int, one: Constraint, value: str, there: int,
            lowest: int) -> Obstacle:
    key, needed = one.counted.key, there + one.counts_itself - lowest
    _, counts, _ = around.spread[number]
    places = around.values_of(one)
    if len(places) < one.min_domains:
        fewest = f"only {len(places)} of at least {one.min_domains} places are there"
        instead = f"add a node with another {key}"
    else:
        emptiest = sorted(place for place in places if counts.get(place, 0) == lowest)
        fewest = f"{lowest} in {_some(emptiest)}"
        instead = f"make room for it in {_some(emptiest)}"
    found = (f"{key}={value} has {there} of the pods that it is spread with, {fewest}: "
             f"one more makes a skew of {needed}, maxSkew is {one.max_skew}")
    after = case.with_pod(_allowing(case.pod, number, needed))
    return Obstacle(why, found, f"a maxSkew of {needed}", instead, after, cost=4)


def _allowing(pod: Obj, number: int, skew: int) -> Obj:
    constraints, hard = [], -1
    for one in at(pod, "spec.topologySpreadConstraints", ()):
        hard += one.get("whenUnsatisfiable") == "DoNotSchedule"
        mine = hard == number and one.get("whenUnsatisfiable") == "DoNotSchedule"
        constraints.append({**one, "maxSkew": skew} if mine else one)
    return with_(pod, "spec.topologySpreadConstraints", constraints)


def _some(names: list[str]) -> str:
    more = len(names) - MOST_PLACES
    return ", ".join(names[:MOST_PLACES]) + (f" and {more} more" if more > 0 else "")


# ------------------------------------------------------------------ affinity

def apart_from_others(why: Refusal, case: Case, around: Surroundings) -> Obstacle:
    labels, wishes = labels_of(case.room.node), case.needs.wishes
    if around.together and not around.is_together(labels):
        return _alone(why, case, around, labels)
    for number, (count, (key, counts)) in enumerate(zip(wishes.not_with, around.apart, strict=True)):
        if there := counts.get(labels.get(key, "")):
            found = f"its anti-affinity keeps it from {_whom(count)}: {_pods(there)} in {key}={labels[key]}"
            if any(held.term == wishes.apart[number] for held in around.held_against):  # its siblings', too
                change = f"make that rule preferredDuringScheduling... in their template{_by_host(key)}"
                elsewhere = "add a node" if key == HOST else f"add a node with another {key}"
                return Obstacle(why, found, change, elsewhere, cost=5)
            after = case.with_pod(_without_term(case.pod, number))
            return Obstacle(why, found, f"make that rule preferredDuringScheduling...{_by_host(key)}",
                            "end those pods", after, cost=5)
    for held, (key, counts) in zip(around.held_against, around.keep_away, strict=True):
        if there := counts.get(labels.get(key, "")):
            found = (f"{_pods(there)} in {key}={labels[key]} with anti-affinity to {_text(held.term.who.selector)}, "
                     "as this pod is labelled")
            return Obstacle(why, found, "end those pods", "label this pod otherwise", cost=6)
    return Obstacle(why, ", ".join(why.reasons))


def _by_host(key: str) -> str:
    return "" if key == HOST else f", or by {HOST} instead of {key}"


def _pods(count: int) -> str:
    return "1 pod is" if count == 1 else f"{count} pods are"


def _alone(why: Refusal, case: Case, around: Surroundings, labels: Mapping[str, str]) -> Obstacle:
    for count, (key, counts) in zip(case.needs.wishes.together, around.together, strict=True):
        value = labels.get(key)
        if value is None:
            return _labelled(why, case, f"its affinity is about {key}, which the node has no label for", key,
                             sorted(counts))
        if value not in counts:
            found = f"its affinity asks for {_whom(count)} in {key}={value}, there is none"
            if counts:
                found += f" (but in {_some(sorted(counts))})"
            wanted = pod_meant(count, case.needs.wishes.group.namespace)
            if wanted is None:
                return Obstacle(why, found, cost=9)
            namespace, needs = wanted
            told = ",".join(f"{name}={text}" for name, text in sorted(needs.items())) or "any"
            return Obstacle(why, found, f"a pod there with the labels {told} in namespace {namespace}",
                            needs_pod=wanted, cost=7)
    return Obstacle(why, ", ".join(why.reasons), cost=9)


def pod_meant(count: Count, namespace: str) -> tuple[str, Mapping[str, str]] | None:
    """Namespace and labels of a pod that all of these terms mean; None where that is not plain to see."""
    labels: dict[str, str] = {}
    found: str | None = None
    for who in count.whos:
        there = namespace if not who.namespaces or namespace in who.namespaces else who.namespaces[0]
        if found not in (None, there) or who.selector == Selector(None):
            return None
        found = there
        for one in who.selector.requirements:
            if one.op in ("=", "in"):
                value = one.values[0]
            elif one.op == "exists":
                value = labels.get(one.key, "true")
            else:
                continue
            if labels.setdefault(one.key, value) != value:
                return None
    if found is None or not all(who.selector.matches(labels) for who in count.whos):
        return None
    return found, labels


def _whom(count: Count) -> str:
    return "pods with " + " and ".join(_who(who) for who in count.whos)


def _who(who: Who) -> str:
    return _text(who.selector)


def _text(selector: Selector) -> str:
    return str(selector) or "any labels"


def _without_term(pod: Obj, number: int) -> Obj:
    path = f"spec.affinity.podAntiAffinity.{REQUIRED}"
    terms = at(pod, path, [])
    return with_(pod, path, [one for index, one in enumerate(terms) if index != number])
