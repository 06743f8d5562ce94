"""The laws of autoscalers.

    what is asked for lies between minReplicas and maxReplicas
    while nothing changes and what is used is near enough to what should be, nothing is scaled
    once nothing changes any more, there are as many as the load takes

What a load takes is worked out a second time, where it is known exactly: one metric, cpu, and a load that the target's
ready pods share (`muster.dev/usage: load=...`).
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, annotations_of, is_deleting, name_of, namespace_of, owners_of, uid_of
from ..store.history import Change
from .invariants_scene import is_active, is_ready, owner_of

if TYPE_CHECKING:
    from .invariants import Laws

AUTOSCALERS, SCALER = "horizontalpodautoscalers.autoscaling", "horizontal-pod-autoscaler"
QUIET_S = 330.0  # for so long recommendations and starts count
PERIOD_S = 15.0  # from one of its looks to the next
POD_WRITES = 12  # from its creation to its removal, of any one resource
TOLERANCE, ROUNDING = 0.1, 1e-9  # exactly at the edge either is right
_LOAD, _MILLI = re.compile(r"load=(\d+)m"), re.compile(r"(\d+)m")


@dataclass
class _Known:
    """An autoscaler, and since when it asks for this."""

    obj: Obj
    since: float


class Scaling:
    def __init__(self, laws: Laws):
        self._laws = laws
        self._autoscalers: dict[Key, _Known] = {}
        self._stirred: dict[str, float] = {}  # when what uses something last changed, by the uid of its controller

    def hear(self, change: Change) -> None:
        old, new = change.previous, change.value
        if self._laws.who() != SCALER or old is None or new is None or change.key.resource in ("pods", AUTOSCALERS):
            return
        before, after = old["spec"].get("replicas", 1), new["spec"].get("replicas", 1)
        if before == after:
            return
        found = [one for one in self._autoscalers.values() if _names(one.obj, old)]
        if len(found) != 1 or self._laws.is_fresh(found[0].since):
            return  # it was not asked for this when that was decided
        spec = found[0].obj["spec"]
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if not least <= after <= most:
            self._laws.wrong("autoscalers keep to their bounds", change.key,
                             f"is scaled to {after}, not {least} to {most}")
        elif least <= before <= most and self._quiet_since(old, found[0]) + QUIET_S <= self._laws.now():
            ratio = self._ratio(found[0].obj, old)
            if ratio is not None and abs(1 - ratio) <= TOLERANCE - ROUNDING:
                self._laws.wrong("what is used as it should be is not scaled", change.key,
                                 f"is scaled from {before} to {after}, and uses {ratio:.3f} of what it should")

    def heard(self, change: Change) -> None:
        old, new, now = change.previous, change.value, self._laws.now()
        if change.key.resource == "pods":
            if _weighs(old) != _weighs(new):
                for uid in {owner["uid"] for pod in (old, new) if pod is not None for owner in owners_of(pod)}:
                    self._stirred[uid] = now
        elif change.key.resource == AUTOSCALERS:
            if new is None:
                self._autoscalers.pop(change.key, None)
            elif old is None or old["spec"] != new["spec"]:
                self._autoscalers[change.key] = _Known(new, now)
            else:
                self._autoscalers[change.key].obj = new
        elif new is None:
            self._stirred.pop(uid_of(old or {"metadata": {}}), None)
        elif old is None or old["spec"] != new["spec"] or annotations_of(old) != annotations_of(new):
            self._stirred[uid_of(new)] = now

    def check_settled(self) -> None:
        """There are as many as the load takes, of each target that has not changed for a while."""
        laws = self._laws
        for key, known in self._autoscalers.items():
            target = next((one for one in laws.scene.workloads.values() if _names(known.obj, one)), None)
            if target is None or is_deleting(target) or not (replicas := target["spec"].get("replicas", 1)) \
                    or self._quiet_since(target, known) + QUIET_S > laws.now():
                continue
            least, most = known.obj["spec"].get("minReplicas", 1), known.obj["spec"]["maxReplicas"]
            ratio = self._ratio(known.obj, target)
            near = ratio is None or abs(1 - ratio) <= TOLERANCE + ROUNDING
            wanted = min(most, max(least, replicas if near else math.ceil((ratio or 0) * replicas)))
            if wanted != replicas:
                laws.wrong("autoscalers settle", key, f"asks for {replicas}, not {wanted}, of {name_of(target)}, which "
                                                      f"uses {ratio or 0:.3f} of what it should")

    def most_writes_in(self, seconds: float) -> float:
        """How many writes to a resource may come of autoscalers in so long though nothing else changes.

        None, but for those that are told to scale down at once: they do not count the use of a pod that has just become
        ready, so they may go down and up with every look, as upstream's do.  A window of stabilization is what keeps
        them from it. https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#stabilization-window
        """
        hasty = [known.obj["spec"] for known in self._autoscalers.values()
                 if _scale_down(known.obj).get("stabilizationWindowSeconds", 300) < PERIOD_S]
        return sum(seconds / PERIOD_S * one["maxReplicas"] * POD_WRITES for one in hasty)

    # ---- a second opinion

    def _quiet_since(self, target: Obj, known: _Known) -> float:
        return max(known.since, *(self._stirred.get(uid, 0.0) for uid in self._uids(target)))

    def _uids(self, target: Obj) -> Iterator[str]:
        """Of the target, and of the sets between it and its pods."""
        yield uid_of(target)
        yield from (uid for uid, one in self._laws.scene.workloads.items()
                    if owner_of(one, "Deployment") == uid_of(target))

    def _ratio(self, autoscaler: Obj, target: Obj) -> float | None:
        """What is used, of what should be; None where that is not known, or some of the pods are not ready."""
        metrics = autoscaler["spec"]["metrics"]
        said = _LOAD.fullmatch(annotations_of(target).get("muster.dev/usage", ""))
        resource = metrics[0].get("resource") or {}
        if said is None or len(metrics) != 1 or resource.get("name") != "cpu":
            return None
        pods = [pod for uid in self._uids(target) for pod in self._laws.scene.pods_of(uid).values()]
        if not pods or not all(is_active(pod) and is_ready(pod) for pod in pods):
            return None
        each = math.ceil(int(said[1]) / len(pods))
        requested = _requested_m(target)
        if wanted := resource["target"].get("averageUtilization"):
            return each * 100 // requested / wanted if requested else None
        value = _MILLI.fullmatch(resource["target"].get("averageValue", ""))
        return each / int(value[1]) if value is not None else None


def _scale_down(autoscaler: Obj) -> Obj:
    return (autoscaler["spec"].get("behavior") or {}).get("scaleDown") or {}


def _names(autoscaler: Obj, target: Obj) -> bool:
    wanted = autoscaler["spec"]["scaleTargetRef"]
    return (wanted["kind"], wanted["name"], namespace_of(autoscaler)) == (
        target["kind"], name_of(target), namespace_of(target))


def _weighs(pod: Obj | None) -> tuple[bool, bool] | None:
    return (is_active(pod), is_ready(pod)) if pod is not None else None


def _requested_m(target: Obj) -> int:
    """Thousandths of a core that each of its pods requests; 0 where that is said in another way."""
    said = [_MILLI.fullmatch(((one.get("resources") or {}).get("requests") or {}).get("cpu", ""))
            for one in target["spec"]["template"]["spec"]["containers"]]
    return sum(int(one[1]) for one in said if one is not None) if all(said) else 0
