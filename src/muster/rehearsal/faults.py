"""What goes wrong in a rehearsal, as values, and how a person writes them down.

    --kill-node 3%@10m                  three in a hundred nodes fall silent after ten minutes, for good
    --kill-node 2@5m..20m,for=10m       two nodes, each at a moment of its own in that time, each back after ten minutes
    --fail 2%                           two in a hundred pods never start: no image, or a container that crashes
    --fail 10%@1h,for=5m,by=pull        only pulls, and only in those five minutes
    --skew 3%=-2m..2m                   the clocks of three in a hundred nodes are wrong, each by a length of its own
    --skew 1=1h@10m,for=5m              one is put forward by an hour after ten minutes, and right again after five

`carry_out` makes them happen to a running cluster; the moments count from when it is called.  A loss of less than the
50 s after which a node counts as lost (node_lifecycle.py) is a kubelet that paused: its pods ran on.  Whom a fault
strikes is drawn from the cluster's own clock, so one seed gives one history.
"""
from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from ..api.durations import parse_duration, parse_offset, parse_range
from ..api.errors import ApiError, NotFound
from ..api.objects import Key, Obj, name_of
from ..node.machines import CLOCK_SKEW, FAIL, FURTHEST_SKEW_S, clock_skew_s, is_failing
from ..node.misfortune import Misfortune

if TYPE_CHECKING:
    from ..app import Cluster

PULL, CRASH = "pull", "crash"
HANDS = "system:rehearsal"  # the account that breaks nodes and mends them
RETRY_S, TRIES = 0.5, 20


# ------------------------------------------------------------------ values

@dataclass(frozen=True)
class Amount:
    """So many, or a share of all that there are: at least one, if there is one."""

    count: int = 0
    share: float = 0.0

    def of(self, total: int) -> int:
        wanted = max(1, math.floor(self.share * total + 0.5)) if self.share else self.count
        return min(total, wanted)

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.share else str(self.count)


@dataclass(frozen=True)
class NodeLoss:
    """Nodes that fall silent, with all that runs on them."""

    nodes: Amount
    after_s: float = 0.0  # each at a moment between these two
    until_s: float = 0.0
    for_s: float = math.inf

    def __str__(self) -> str:
        back = "" if self.for_s == math.inf else f", back after {self.for_s:g} s"
        return f"{self.nodes} of the nodes fall silent{_between(self.after_s, self.until_s)}{back}"


@dataclass(frozen=True)
class StartFailure:
    """Pods whose start fails for as long as this lasts."""

    share: float
    by: tuple[str, ...] = (PULL, CRASH)  # half of the pods one way, half the other
    after_s: float = 0.0
    for_s: float = math.inf

    def __str__(self) -> str:
        return f"{self.share * 100:g}% of the pods do not start ({' or '.join(self.by)}){_lasting(self)}"


@dataclass(frozen=True)
class SlowPulls:
    """Pulls that take many times as long."""

    times: float
    after_s: float = 0.0
    for_s: float = math.inf

    def __str__(self) -> str:
        return f"pulls take {self.times:g} times as long{_lasting(self)}"


@dataclass(frozen=True)
class ClockSkew:
    """Nodes whose clocks are wrong: whatever they and their pods say of times is."""

    nodes: Amount
    least_s: float  # how far ahead of ours, behind where it is less than none: each by an offset between these two
    most_s: float
    after_s: float = 0.0  # each from a moment between these two on
    until_s: float = 0.0
    for_s: float = math.inf

    def __str__(self) -> str:
        by = f"{self.least_s:+g} s" if self.least_s == self.most_s else f"{self.least_s:+g} to {self.most_s:+g} s"
        back = "" if self.for_s == math.inf else f", right again after {self.for_s:g} s"
        return f"{self.nodes} of the nodes' clocks are wrong by {by}{_between(self.after_s, self.until_s)}{back}"


Fault = NodeLoss | StartFailure | SlowPulls | ClockSkew


# Whether a node is struck already.
IS_STRUCK: dict[type, Callable[[Obj], object]] = {NodeLoss: is_failing, ClockSkew: clock_skew_s}


def _between(after_s: float, until_s: float) -> str:
    return f" at {after_s:g} s" if until_s <= after_s else f" between {after_s:g} and {until_s:g} s"


def _lasting(fault: StartFailure | SlowPulls) -> str:
    return f" from {fault.after_s:g} s on" + ("" if fault.for_s == math.inf else f" for {fault.for_s:g} s")


# ------------------------------------------------------------------ as they are written

_AMOUNT = re.compile(r"(\d+)|(\d+(?:\.\d+)?)%")


def parse_kill_node(text: str) -> NodeLoss:
    """ "3%@10m", "2@5m..20m,for=10m".  ValueError says what is wrong with it."""
    amount, when, options = _parts(text, ("for",))
    after_s, until_s = _when(when, text)
    return NodeLoss(_amount(amount, text), after_s, until_s, _length(options.get("for"), text))


def parse_fail(text: str) -> StartFailure:
    """ "2%", "10%@1h,for=5m,by=pull".  ValueError says what is wrong with it."""
    amount, when, options = _parts(text, ("for", "by"))
    share = _amount(amount, text).share
    if not share:
        raise ValueError(f'"{text}": "{amount}" must be a share of the pods, such as 2%')
    after_s, until_s = _when(when, text)
    if until_s > after_s:
        raise ValueError(f'"{text}": "{when}" must be one moment, such as 10m')
    by = tuple(options["by"].split("|")) if "by" in options else (PULL, CRASH)
    if wrong := [one for one in by if one not in (PULL, CRASH)]:
        raise ValueError(f'"{text}": by={wrong[0]} must be {PULL}, {CRASH} or {PULL}|{CRASH}')
    return StartFailure(share, by, after_s, _length(options.get("for"), text))


def parse_skew(text: str) -> ClockSkew:
    """ "3%=-2m..2m", "1=1h@5m..20m,for=10m".  ValueError says what is wrong with it."""
    head, when, options = _parts(text, ("for",))
    amount, equals, offsets = (part.strip() for part in head.partition("="))
    if not equals or not offsets:
        raise ValueError(f'"{text}": after the number of nodes there must be by how much their clocks are wrong, such '
                         "as 3%=-2m..2m")
    low, dots, high = offsets.partition("..")
    try:
        least_s = parse_offset(low)
        most_s = parse_offset(high) if dots else least_s
    except ValueError as wrong:
        raise ValueError(f'"{text}": "{offsets}" {wrong}') from None
    if least_s > most_s:
        raise ValueError(f'"{text}": "{offsets}" must not start ({low}) above its end ({high})')
    if max(-least_s, most_s) > FURTHEST_SKEW_S:
        raise ValueError(f'"{text}": "{offsets}" must be less than a year')
    after_s, until_s = _when(when, text)
    return ClockSkew(_amount(amount, text), least_s, most_s, after_s, until_s, _length(options.get("for"), text))


def _parts(text: str, known: tuple[str, ...]) -> tuple[str, str, dict[str, str]]:
    """The amount, the moment and the options of AMOUNT[@WHEN][,NAME=VALUE]..."""
    head, *rest = (part.strip() for part in text.split(","))
    options: dict[str, str] = {}
    for part in rest:
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            listed = " and ".join(f"{one}=" for one in known)
            raise ValueError(f'"{text}": "{part}" is unknown; after the comma {listed} may be said')
        if name in options:
            raise ValueError(f'"{text}": {name}= is said twice')
        options[name] = value.strip()
    amount, at, when = head.partition("@")
    if at and not when:
        raise ValueError(f'"{text}": after the @ there must be a moment, such as 10m or 5m..20m')
    return amount.strip(), when.strip(), options


def _amount(amount: str, text: str) -> Amount:
    found = _AMOUNT.fullmatch(amount)
    if found is None:
        raise ValueError(f'"{text}": "{amount}" must be a number such as 2, or a share such as 3%')
    made = Amount(count=int(found[1])) if found[1] else Amount(share=float(found[2]) / 100)
    if made.share > 1 or not (made.count or made.share):
        raise ValueError(f'"{text}": "{amount}" must be more than none and at most 100%')
    return made


def _when(when: str, text: str) -> tuple[float, float]:
    if not when:
        return 0.0, 0.0
    try:
        earliest, latest = parse_range(when)
    except ValueError as wrong:
        raise ValueError(f'"{text}": "{when}" {wrong}') from None
    if earliest == math.inf:
        raise ValueError(f'"{text}": "{when}" must come some time')
    return earliest, latest


def _length(length: str | None, text: str) -> float:
    if length is None:
        return math.inf
    try:
        return parse_duration(length)
    except ValueError:
        raise ValueError(f'"{text}": for={length} must be a duration such as 30s or 10m') from None


# ------------------------------------------------------------------ as they happen

Say = Callable[[str], object]


async def carry_out(faults: Iterable[Fault], cluster: Cluster, say: Say = lambda text: None) -> None:
    """Makes the faults happen, each when it is due; returns when the last one is over.

    Nodes that are to stay away for good do so when this ends; cancel it, and those that are away stay away.
    """
    chance = cluster.clock.fork("faults")
    async with asyncio.TaskGroup() as group:
        for number, fault in enumerate(faults):
            mine = Random(f"{chance.getrandbits(64)}/{number}")
            match fault:
                case NodeLoss():
                    group.create_task(_strike(fault, cluster, mine, say, _lose_node))
                case ClockSkew():
                    others = Random(f"{mine.random()}/{fault}")  # than those that a loss drawn like this one strikes
                    group.create_task(_strike(fault, cluster, others, say, _set_clock_wrong))
                case StartFailure():
                    group.create_task(_befall(_failures(fault, str(mine.random())), fault, cluster, say))
                case SlowPulls():
                    group.create_task(_befall([Misfortune("slow", times=fault.times)], fault, cluster, say))


def _failures(fault: StartFailure, salt: str) -> list[Misfortune]:
    """One misfortune a way of failing; together they strike the share that was asked for."""
    each = fault.share / len(fault.by)
    return [Misfortune(way, number * each, (number + 1) * each, salt=salt)
            for number, way in enumerate(fault.by)]


async def _befall(misfortunes: list[Misfortune], fault: StartFailure | SlowPulls, cluster: Cluster, say: Say) -> None:
    await asyncio.sleep(fault.after_s)
    say(str(fault))
    now = cluster.clock.now()
    for one in misfortunes:
        cluster.fleet.befall(one._replace(since=now, until=now + fault.for_s))


Blow = Callable[[Any, str, Random, "Cluster", Say], Coroutine[Any, Any, None]]


async def _strike(fault: NodeLoss | ClockSkew, cluster: Cluster, chance: Random, say: Say, blow: Blow) -> None:
    """Nodes that are well, each at its moment, and no node twice."""
    await asyncio.sleep(fault.after_s)
    loop = asyncio.get_running_loop()
    began, nodes = loop.time(), cluster.mirror.objects("nodes")
    moments = sorted(chance.uniform(0.0, fault.until_s - fault.after_s) if fault.until_s > fault.after_s else 0.0
                     for _ in range(fault.nodes.of(len(nodes))))
    struck: set[str] = set()
    async with asyncio.TaskGroup() as group:
        for moment in moments:
            if (wait_s := began + moment - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            well = sorted(name_of(node) for node in nodes.values()
                          if name_of(node) not in struck and not IS_STRUCK[type(fault)](node))
            if well:
                struck.add(name := chance.choice(well))
                group.create_task(blow(fault, name, chance, cluster, say))


async def _lose_node(fault: NodeLoss, name: str, chance: Random, cluster: Cluster, say: Say) -> None:
    say(f"node {name} falls silent")
    await _annotate(name, FAIL, "true", cluster)
    if fault.for_s < math.inf:
        await asyncio.sleep(fault.for_s)
        say(f"node {name} is back")
        await _annotate(name, FAIL, None, cluster)


async def _set_clock_wrong(fault: ClockSkew, name: str, chance: Random, cluster: Cluster, say: Say) -> None:
    by_s = round(chance.uniform(fault.least_s, fault.most_s), 3)
    say(f"the clock of node {name} is {abs(by_s):g} s {'behind' if by_s < 0 else 'ahead'}")
    await _annotate(name, CLOCK_SKEW, f"{by_s:.3f}s", cluster)
    if fault.for_s < math.inf:
        await asyncio.sleep(fault.for_s)
        say(f"the clock of node {name} is right again")
        await _annotate(name, CLOCK_SKEW, None, cluster)


async def _annotate(name: str, annotation: str, value: str | None, cluster: Cluster) -> None:
    """The server may be in trouble too: it is asked again, a bounded number of times."""
    for tries_left in reversed(range(TRIES)):
        try:
            await cluster.client(HANDS).patch(Key("nodes", "", name), {
                "metadata": {"annotations": {annotation: value}}})
            return
        except NotFound:
            return  # the node was deleted
        except ApiError:
            if not tries_left:
                raise
            await asyncio.sleep(RETRY_S)
