"""What the fleet remembers of a node and of each pod on it, between two looks.

All of it can be read again from the cluster; only what is drawn but not yet over (a pull, a start) is lost when the
process ends, and is drawn again.
"""
from __future__ import annotations

import math

from ..api.durations import parse_offset
from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    controller_of,
    labels_of,
    name_of,
    revision_of,
    uid_of,
)
from . import images, status
from .addresses import PodAddresses, stranger_address, stranger_cidr
from .admission import Footprint, footprint_of
from .life import Life, put_off
from .pod_status import PHASE_OVER
from .thresholds import CONDITIONS

SIMULATED, FAIL, POOL = "muster.dev/simulated", "muster.dev/fail", "muster.dev/pool"
CLOCK_SKEW, FURTHEST_SKEW_S = "muster.dev/clock-skew", 365 * 86400.0


def is_simulated(node: Obj) -> bool:
    owner = controller_of(node)
    return (owner is not None and owner.get("kind") == "NodePool") or annotations_of(node).get(SIMULATED) == "true"


def is_failing(node: Obj) -> bool:
    return annotations_of(node).get(FAIL) == "true"


def clock_skew_s(node: Obj) -> float:
    """How far a simulated node says that its clock is ahead; nonsense is as if it were not there."""
    text = annotations_of(node).get(CLOCK_SKEW)
    if text is None:
        return 0.0
    try:
        return max(-FURTHEST_SKEW_S, min(FURTHEST_SKEW_S, parse_offset(text)))
    except ValueError:
        return 0.0


class Machine:
    """A node.  All that it and its pods say of times is by its own clock, which is `skew_s` ahead of ours."""

    __slots__ = ("name", "uid", "node", "pool", "address", "addresses", "images", "residents", "timers", "reporting",
                 "pressures", "is_silent", "skew_s", "renewed_at")

    def __init__(self, node: Obj, stranger: int, now: float, skew_s: float = 0.0):
        self.name, self.uid, self.node = name_of(node), uid_of(node), node
        self.pool = labels_of(node).get(POOL, "")
        self.address = status.internal_ip(node) or stranger_address(stranger)
        self.addresses = PodAddresses(node["spec"].get("podCIDR") or stranger_cidr(stranger))
        self.images: dict[str, float] = {}  # full name -> since when it is there, by its clock
        self.residents: dict[Key, Resident] = {}
        self.timers: dict[str, float] = {}
        self.reporting = False
        self.is_silent, self.skew_s = is_failing(node), skew_s
        self.renewed_at = -math.inf  # when it last renewed its lease, by our clock
        # What it runs out of -> when it did last.  A node that was under pressure before is so for a while.
        told = (node.get("status") or {}).get("conditions") or ()
        there = {one.get("type") for one in told if one.get("status") == "True"}
        self.pressures = {one: now for one in CONDITIONS if one in there}

    def set_clock(self, skew_s: float) -> None:
        """What is under way takes as long as it would have; what was told before stays as it was told."""
        by_s, self.skew_s = skew_s - self.skew_s, skew_s
        self.images = {name: there_at + by_s for name, there_at in self.images.items()}
        for resident in self.residents.values():
            if resident.life is not None:
                resident.life = put_off(resident.life, by_s)

    def remember(self, pod: Obj) -> None:
        """What a pod that was here before says of the machine: its address is taken, its images are here."""
        told = pod.get("status") or {}
        if told.get("podIP"):
            self.addresses.keep([told["podIP"]])
        for field in ("initContainerStatuses", "containerStatuses"):
            for one in told.get(field) or ():
                if one.get("imageID"):
                    self.images.setdefault(images.full_name(one["image"]), 0.0)


class Resident:
    """A pod on a simulated node."""

    __slots__ = ("key", "uid", "pod", "revision", "machine", "footprint", "life", "status", "asked", "remove",
                 "removed", "writing", "gone", "failures", "timers")

    def __init__(self, key: Key, pod: Obj, machine: Machine):
        self.key, self.uid, self.machine = key, uid_of(pod), machine
        self.pod, self.revision = pod, revision_of(pod)  # the newest that was seen or written
        self.footprint: Footprint = footprint_of(pod)
        self.life: Life | None = None
        self.status: Obj | None = None  # as it should read
        self.asked: Obj | None = None  # as it was last written, unless somebody else wrote since
        self.remove = self.removed = False
        self.writing = self.gone = False
        self.failures = 0
        self.timers: dict[str, float] = {}

    def is_live(self) -> bool:
        """Does it take room on the node?"""
        return self.life is not None and self.life.verdict is None and not self.is_over()

    def is_over(self) -> bool:
        return (self.pod.get("status") or {}).get("phase") in PHASE_OVER

    def wants_status(self) -> bool:
        return (self.status is not None and self.status != self.asked and self.status != self.pod.get("status"))

    def wants_removal(self) -> bool:
        """A pod whose finalizers hold it is asked for only once; one that lost its server half way, again."""
        metadata = self.pod["metadata"]
        held = metadata.get("deletionGracePeriodSeconds") == 0 and metadata.get("finalizers")
        return self.remove and not self.removed and not held
