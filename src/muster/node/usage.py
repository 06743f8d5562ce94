"""What a simulated container uses: a pure function of what was said about it, its pod's uid and the moment.

    muster.dev/usage: "app: cpu=100m..300m, memory=64Mi; proxy: cpu=5%"     on a Pod, its template or its workload
    muster.dev/usage: "load=2"                                              two cores, shared by all its ready pods
    behaviour: {usage: {cpu: "30%..60%", memory: "50%"}}                    on a NodePool, for the rest

An amount is drawn from its range: processor time anew in each window of 15 s, memory and disk once for a container.
A share is of the request.  A limit is never exceeded.  Nothing is stored and nothing runs: whoever asks twice in a
window hears the same.  Where nothing is said a container uses 20 to 40 % of the cpu and 50 to 70 % of the memory it
requests, and one without requests 1m to 5m and some MiB, so that no node comes under pressure by itself.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from ..api import quantities
from ..api.amount_ranges import AmountRange, parse_amount_range
from ..api.objects import Obj
from ..api.samples import Used

ANNOTATION = "muster.dev/usage"
WINDOW_S = 15  # as often as metrics-server asks the kubelets
CPU, MEMORY, STORAGE = "cpu", "memory", "ephemeral-storage"
EVERY = "*"
KI = 1024

SYSTEM_CPU_SHARE, SYSTEM_MEMORY_SHARE = 0.01, 0.02  # of a node, by what is no pod
# Of a node: what all the containers that request nothing use at most of its memory together.
UNREQUESTED_MEMORY_SHARE = 0.1
UNREQUESTED = {CPU: AmountRange(0.001, 0.005), MEMORY: AmountRange(4 * 2**20, 16 * 2**20)}


class Use(NamedTuple):
    """What is said of a container.  None: nothing."""

    cpu: AmountRange | None = None
    memory: AmountRange | None = None
    storage: AmountRange | None = None
    load: float | None = None  # cores, shared among the ready pods of one workload

    def over(self, usual: Use) -> Use:
        return Use(*(mine if mine is not None else other
                     for mine, other in zip(self, usual, strict=True)))  # type: ignore[arg-type]


NOTHING_SAID = Use()
USUAL = Use(AmountRange(0.2, 0.4, True), AmountRange(0.5, 0.7, True))
_FIELDS = {CPU: "cpu", MEMORY: "memory", STORAGE: "storage"}


@lru_cache(maxsize=1024)
def read_usage(text: str) -> Mapping[str, Use]:
    """{container: Use}; "*" is every other one.  ValueError for what can not be read."""
    found: dict[str, Use] = {}
    for part in filter(str.strip, text.split(";")):
        name, colon, amounts = part.partition(":")
        if not colon:
            name, amounts = EVERY, part
        pairs = [pair.partition("=") for pair in filter(str.strip, amounts.split(","))]
        found[name.strip()] = read_use({field.strip(): amount.strip() for field, _, amount in pairs})
    return found


def read_use(fields: Mapping[str, str]) -> Use:
    """ {"cpu": "30%..60%", "memory": "1Gi"}"""
    said: dict[str, Any] = {}
    for field, amount in fields.items():
        if field == "load":
            said["load"] = parse_amount_range(amount).least
        elif field in _FIELDS:
            said[_FIELDS[field]] = parse_amount_range(amount)
        else:
            raise ValueError(f'"{field}" is none of cpu, memory, ephemeral-storage and load')
    return Use(**said)


def said_of(annotations: Mapping[str, str]) -> Mapping[str, Use]:
    """What the annotation says; one that can not be read is as if it were not there."""
    text = annotations.get(ANNOTATION)
    if text is None:
        return {}
    try:
        return read_usage(text)
    except ValueError:
        return {}


def use_of(container: str, is_first: bool, said: Mapping[str, Use], usual: Use) -> Use:
    """What holds for one container.  A load that is said of all falls on the first of them."""
    own = said.get(container)
    if own is None:
        own = said.get(EVERY, NOTHING_SAID)
        if not is_first and own.load is not None:
            own = own._replace(load=None)
    return own.over(usual).over(USUAL)


def used_by(container: Obj, use: Use, uid: str, window: int, load: float, unrequested_memory: float) -> Used:
    """`load`: the cores that fall to this container now.  `unrequested_memory`: see `unrequested_memory_of`."""
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    name = container["name"]

    def drawn(what: str, said: AmountRange | None, place: str, least_without: AmountRange | None = None) -> float:
        request = float(quantities.parse(requests[what])) if what in requests else 0.0
        if said is None:
            return 0.0
        if said.is_share and not request:
            amount = least_without.at(_chance(uid, name, place)) if least_without is not None else 0.0
        else:
            amount = said.at(_chance(uid, name, place)) * (request if said.is_share else 1.0)
        if what == CPU:
            amount += load
        return min(amount, float(quantities.parse(limits[what]))) if what in limits else amount

    base = UNREQUESTED[MEMORY]
    small = AmountRange(min(base.least, unrequested_memory / 2), min(base.most, unrequested_memory))
    return Used(round(drawn(CPU, _cpu_beside(use), f"{CPU}/{window}", UNREQUESTED[CPU]) * 1e9),
                _in_ki(drawn(MEMORY, use.memory, MEMORY, small)), _in_ki(drawn(STORAGE, use.storage, STORAGE)))


def _cpu_beside(use: Use) -> AmountRange | None:
    """Beside a load nothing is used, unless that was said too."""
    return AmountRange(0.0, 0.0) if use.load is not None and use.cpu is USUAL.cpu else use.cpu


def unrequested_memory_of(capacity: Mapping[str, str]) -> float:
    """What a container that requests nothing uses at most, on a node with this capacity."""
    memory = quantities.whole(capacity.get(MEMORY, "0"))
    return UNREQUESTED_MEMORY_SHARE * memory / max(1, quantities.whole(capacity.get("pods", "110")))


def system_use(capacity: Mapping[str, str]) -> Used:
    """What the node uses beside its pods."""
    cpu = float(quantities.parse(capacity.get(CPU, "0")))
    memory = quantities.whole(capacity.get(MEMORY, "0"))
    return Used(round(SYSTEM_CPU_SHARE * cpu * 1e9), _in_ki(SYSTEM_MEMORY_SHARE * memory), 0)


def total(uses: list[Used]) -> Used:
    return Used(sum(one.cpu_n for one in uses), sum(one.memory for one in uses), sum(one.storage for one in uses))


def window_at(now: float) -> int:
    """When the newest window ended (Unix seconds)."""
    return int(now // WINDOW_S) * WINDOW_S


def _in_ki(amount: float) -> int:
    return round(amount / KI) * KI


def _chance(uid: str, container: str, what: str) -> float:
    digest = blake2b(f"{uid}/{container}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
