"""How a real node is to be kept: read from a KubeletConfiguration, as clusters have it already.

    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    evictionHard: {memory.available: 200Mi, nodefs.available: "5%"}
    systemReserved: {memory: 2Gi}

Whatever else such a file says is refused by name: it would not hold here.
https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..api import quantities
from ..api.durations import parse_duration
from ..api.objects import Obj
from . import thresholds
from .pressure import TRANSITION_S
from .thresholds import Threshold, read_thresholds

API_VERSION, KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
MOST_PODS = 110
LEAST_LOOK_S = 3.0  # upstream's own limit for containerLogMonitorInterval
# What the thresholds of these keep back, pods do not get.
KEPT_BACK = {"memory.available": "memory", "nodefs.available": "ephemeral-storage"}


@dataclass(frozen=True)
class NodeSettings:
    system_reserved: Mapping[str, str] = field(default_factory=dict)
    kube_reserved: Mapping[str, str] = field(default_factory=dict)
    hard: tuple[Threshold, ...] = thresholds.USUAL
    transition_s: float = TRANSITION_S
    image_high_percent: int = 85
    image_low_percent: int = 80
    image_min_age_s: float = 120.0
    image_max_age_s: float = 0.0  # 0: however old
    pod_processes: int | None = None  # None: as many as there can be
    most_pods: int = MOST_PODS
    log_bytes: int | None = 10 << 20  # of a container, before they are put aside; None: never
    log_files: int = 5  # of a container, at most
    log_look_s: float = 10.0  # how often logs are looked at

    def for_pods(self, capacity: Mapping[str, str]) -> dict[str, str]:
        """Of a node's capacity, what is left beside what is reserved: more than that pods never get together."""
        return {resource: _less(amount, (self.system_reserved.get(resource), self.kube_reserved.get(resource)))
                for resource, amount in capacity.items()}

    def allocatable(self, capacity: Mapping[str, str]) -> dict[str, str]:
        """What the scheduler may give away: also without what is kept back from eviction."""
        left = self.for_pods(capacity)
        for threshold in self.hard:
            resource = KEPT_BACK.get(threshold.signal.name)
            if resource in left:
                kept_back = threshold.kept_back(quantities.whole(capacity[resource]))
                left[resource] = _less(left[resource], (str(kept_back),))
        return left


USUAL = NodeSettings()


def read_settings(told: Any) -> NodeSettings:
    """Raises ValueError."""
    if not isinstance(told, dict):
        raise ValueError(f"it is no object of kind {KIND}")
    if (told.get("apiVersion"), told.get("kind")) != (API_VERSION, KIND):
        raise ValueError(f"it is no {KIND} of {API_VERSION}")
    settings = USUAL
    for name, value in told.items():
        if name in ("apiVersion", "kind"):
            continue
        if name not in _FIELDS:
            raise ValueError(f"{name} does not hold here; what does is {', '.join(sorted(_FIELDS))}")
        into, read = _FIELDS[name]
        try:
            settings = replace(settings, **{into: read(value)})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: {error}") from None
    if settings.image_low_percent >= settings.image_high_percent:
        raise ValueError("imageGCLowThresholdPercent: it must be less than imageGCHighThresholdPercent")
    return settings


def _reserved(value: Obj) -> dict[str, str]:
    for resource, amount in value.items():
        if quantities.parse(amount) < 0:
            raise ValueError(f"{resource}: {amount} is less than nothing")
    return {resource: str(amount) for resource, amount in value.items()}


def _percent(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError(f"{value} is not between 0 and 100")
    return value


def _processes(value: Any) -> int | None:
    return None if int(value) <= 0 else int(value)


def _pods(value: Any) -> int:
    if int(value) < 0:
        raise ValueError(f"{value} is less than nothing")
    return int(value)


def _log_bytes(value: Any) -> int | None:
    size = quantities.whole(str(value))
    return size if size >= 0 else None


def _log_files(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 1:
        raise ValueError(f"{value} is not more than 1: one is written, and one at least is kept")
    return value


def _log_look(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds < LEAST_LOOK_S:
        raise ValueError(f"{value} is less than 3s")
    return seconds


_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "systemReserved": ("system_reserved", _reserved),
    "kubeReserved": ("kube_reserved", _reserved),
    "evictionHard": ("hard", read_thresholds),
    "evictionPressureTransitionPeriod": ("transition_s", parse_duration),
    "imageGCHighThresholdPercent": ("image_high_percent", _percent),
    "imageGCLowThresholdPercent": ("image_low_percent", _percent),
    "imageMinimumGCAge": ("image_min_age_s", parse_duration),
    "imageMaximumGCAge": ("image_max_age_s", parse_duration),
    "podPidsLimit": ("pod_processes", _processes),
    "maxPods": ("most_pods", _pods),
    "containerLogMaxSize": ("log_bytes", _log_bytes),
    "containerLogMaxFiles": ("log_files", _log_files),
    "containerLogMonitorInterval": ("log_look_s", _log_look),
}


def _less(amount: str, taken: tuple[str | None, ...]) -> str:
    """Written as the amount was; never less than nothing."""
    by = [one for one in taken if one is not None]
    if not by:
        return amount
    left = quantities.parse(amount) - sum(quantities.parse(one) for one in by)
    return quantities.written(max(0, left), quantities.family_of(amount))
