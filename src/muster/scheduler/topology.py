"""Whether other pods let this one onto a node, and which node is best because of them.

`Surroundings` is put together once for a pod from the tallies; each node then costs a look at its labels.

    required affinity         somewhere in the same place are pods that all terms mean, or nowhere at all are any
                              and the pod means itself (the first of its kind)
    required anti-affinity    no pod that a term means is in the same place, and none there holds one that means it
    DoNotSchedule             no more than maxSkew above the place that has the fewest
    ScheduleAnyway, preferred terms    scores of 0 to 100 over the nodes compared, as upstream computes them

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

from ..api.objects import Obj
from .fit import Refusal
from .tallies import Draft
from .terms import HOST, Constraint, Wishes

SPREAD, INTER_POD = "PodTopologySpread", "InterPodAffinity"
SKEWED = "node(s) didn't match pod topology spread constraints"
FULL = 100
Labels = Mapping[str, str]


class Surroundings:
    """What stands around one pod, as of now."""

    def __init__(self, wishes: Wishes, draft: Draft):
        self._wishes, self._draft = wishes, draft
        self._about = draft.held_about(wishes.group)
        self.held_against = [held for held in self._about if not held.weight]
        self.keep_away = [(held.term.key, draft.held(held).counts) for held in self.held_against]
        self.spread = []
        for one in wishes.hard:
            tally = draft.tally(one.counted)
            lowest = tally.lowest if len(tally.nodes) >= one.min_domains else 0
            self.spread.append((one, tally.counts, lowest))
        self.together = [(count.key, draft.tally(count).counts) for count in wishes.together]
        self._first_of_its_kind = (bool(wishes.affinity) and not any(counts for _, counts in self.together)
                                   and all(term.who.means(wishes.group, draft.namespaces)
                                           for term in wishes.affinity))
        self.apart = [(count.key, draft.tally(count).counts) for count in wishes.not_with]
        self.is_narrow = bool(self.keep_away or wishes.narrow)  # some nodes may be ruled out
        self.matters = bool(self.is_narrow or self._about or wishes.preferred or wishes.soft)

    def refusal(self, node: Obj) -> Refusal | None:
        labels = node["metadata"].get("labels") or {}
        for one, counts, lowest in self.spread:
            value = labels.get(one.counted.key)
            if value is None:
                return Refusal(SPREAD, (f"{SKEWED} (missing required label)",), one.counted.key)
            there = counts.get(value, 0)
            if there + one.counts_itself - lowest > one.max_skew:
                return Refusal(SPREAD, (SKEWED,),
                               f"{one.counted.key}={value} has {there}, the lowest {lowest}, maxSkew is {one.max_skew}",
                               room_could_help=True)
        if self.together and not self.is_together(labels):
            return Refusal(INTER_POD, ("node(s) didn't match pod affinity rules",),
                           ", ".join(f"{key}={labels.get(key, '')}" for key, _ in self.together))
        for key, counts in self.apart:
            if counts.get(labels.get(key, "")):
                return Refusal(INTER_POD, ("node(s) didn't match pod anti-affinity rules",), f"{key}={labels[key]}",
                               room_could_help=True)
        for key, counts in self.keep_away:
            if counts.get(labels.get(key, "")):
                return Refusal(INTER_POD, ("node(s) didn't satisfy existing pods anti-affinity rules",),
                               f"{key}={labels[key]}", room_could_help=True)
        return None

    def is_together(self, labels: Obj) -> bool:
        there = True
        for key, counts in self.together:
            value = labels.get(key)
            if value is None:
                return False
            there = there and value in counts
        return there or self._first_of_its_kind

    def values_of(self, one: Constraint) -> list[str]:
        """The places that it is spread over."""
        return sorted(self._draft.tally(one.counted).nodes)

    # ------------------------------------------------------------------ scores

    def affinity_scores(self, nodes: Sequence[Labels]) -> list[int] | None:
        """By the labels of nodes; None: it does not matter."""
        draft = self._draft
        weighted = [(one.counted.key, draft.tally(one.counted).counts, one.weight) for one in self._wishes.preferred]
        weighted += [(held.term.key, draft.held(held).counts, held.weight) for held in self._about if held.weight]
        weighted = [one for one in weighted if one[1]]
        if not weighted:
            return None
        raw = [sum(counts.get(labels.get(key, ""), 0) * weight for key, counts, weight in weighted) for labels in nodes]
        lowest, highest = min(raw), max(raw)
        if lowest == highest:
            return None
        return [int(FULL * ((score - lowest) / (highest - lowest))) for score in raw]

    def spread_scores(self, nodes: Sequence[Labels]) -> list[int] | None:
        soft = self._wishes.soft
        if not soft:
            return None
        values = [[labels.get(one.counted.key) for labels in nodes] for one in soft]
        ignored = ({number for one in values if None in one for number, value in enumerate(one) if value is None}
                   if self._wishes.all_keys else set())
        if len(ignored) == len(nodes):
            return None
        totals = [0.0] * len(nodes)
        for one, found in zip(soft, values, strict=True):
            if ignored:
                places = len({value for number, value in enumerate(found) if number not in ignored})
            else:
                places = len(set(found))
            weight = log((len(nodes) - len(ignored) if one.counted.key == HOST else places) + 2)
            counts, skew = self._draft.tally(one.counted).counts, one.max_skew - 1
            totals = [total if value is None else total + counts.get(value, 0) * weight + skew
                      for total, value in zip(totals, found, strict=True)]
        raw = [int(total + 0.5) for total in totals]
        counted = [score for number, score in enumerate(raw) if number not in ignored] if ignored else raw
        lowest, highest = min(counted), max(counted)
        if highest == lowest and not ignored:
            return None
        if not highest:
            return [0 if number in ignored else FULL for number in range(len(raw))]
        by_score = {score: FULL * (highest + lowest - score) // highest for score in set(counted)}
        return [0 if number in ignored else by_score[score] for number, score in enumerate(raw)]
