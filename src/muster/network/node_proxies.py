"""Keeps the rules of this machine's real nodes as services and EndpointSlices say (proxy.py decides).

One for all nodes: it hears of changes, remembers which services they concern, and has each node's table brought up to
date; what comes while that is done is done next.  A node whose rules can not be changed is told everything anew after
a while, and the reason once.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..api.objects import Key, Obj, labels_of
from ..client.mirror import Mirror
from ..store.history import Change
from . import proxy
from .backends import Here
from .directory import SERVICE_LABEL, SERVICES, SLICES, Place
from .nft_table import Table

log = logging.getLogger(__name__)

NODES, ZONE_LABEL = "nodes", "topology.kubernetes.io/zone"
RUNTIME_LABEL = "muster.dev/runtime"  # on nodes whose pods are real
NOWHERE: Obj = {"metadata": {}}
REST_S = 0.05  # between two rounds: a rollout's changes are seen together
REST_SHARE = 2.0  # and at least so many times as long as the last one took
AT_ONCE = 100  # services that are looked at in one go
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0


class Hosted(NamedTuple):
    """A node, and what is done in its network."""

    here: Here
    load: Callable[[str], Awaitable[object]]  # carries a script out; raises an Exception
    forget: Callable[[list[tuple[str, int]]], Awaitable[object]]  # datagrams that go to these are looked up anew


class NodeProxies:
    """Make it before the mirror runs."""

    def __init__(self, mirror: Mirror, nodes: Iterable[Hosted], service_cidr: str,
                 instead: Mapping[Place, tuple[str, int]] = MappingProxyType({})):
        """`instead`: services that lead somewhere else from here than their endpoints say."""
        self._mirror, self._instead = mirror, instead
        self._nodes = [_Node(one, service_cidr) for one in nodes]
        self._slices: dict[Place, dict[str, Obj]] = {}  # of a service, by name
        self._dirty: dict[Place, None] = {}
        self._woken = asyncio.Event()
        mirror.on_change(self._hear, (SERVICES, SLICES, NODES))

    async def run(self) -> None:
        await self._mirror.synced()
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            began = loop.time()
            await self._round()
            await asyncio.sleep(max(REST_S, REST_SHARE * (loop.time() - began)))
            await self._woken.wait()

    async def _round(self) -> None:
        places, self._dirty = list(self._dirty), {}
        for number, place in enumerate(places, 1):
            if not number % AT_ONCE:
                await asyncio.sleep(0)  # others have their turn
            service = self._mirror.get(Key(SERVICES, *place))
            slices = self._slices_of(place, service)
            for node in self._nodes:
                node.put(place, service, slices)
        await asyncio.gather(*(node.carry_out(self._woken.set) for node in self._nodes))

    def _slices_of(self, place: Place, service: Obj | None) -> list[Obj]:
        other = self._instead.get(place)
        if other is not None and service is not None and not service["spec"].get("selector"):
            return [led_to(service, *other)]
        return [self._reached(one) for one in self._slices.get(place, {}).values()]

    def _reached(self, slice_: Obj) -> Obj:
        """Without the endpoints of simulated nodes: no packet gets there, so who has no other is refused at once."""
        endpoints = slice_.get("endpoints") or ()
        real = [one for one in endpoints if self._is_real(one.get("nodeName"))]
        return slice_ if len(real) == len(endpoints) else {**slice_, "endpoints": real}

    def _is_real(self, node: str | None) -> bool:
        """Nothing is known of an endpoint that somebody wrote by hand, without a node."""
        return not node or RUNTIME_LABEL in labels_of(self._mirror.get(Key(NODES, "", node)) or NOWHERE)

    def _hear(self, change: Change) -> None:
        match change.key.resource:
            case "services":
                self._touch((change.key.namespace, change.key.name))
            case "nodes":
                self._node_changed(change)
            case _:
                self._slice_changed(change)

    def _slice_changed(self, change: Change) -> None:
        namespace, name = change.key.namespace, change.key.name
        if change.previous is not None and (service := labels_of(change.previous).get(SERVICE_LABEL)):
            there = self._slices.get((namespace, service), {})
            there.pop(name, None)
            if not there:
                self._slices.pop((namespace, service), None)
            self._touch((namespace, service))
        if change.value is not None and (service := labels_of(change.value).get(SERVICE_LABEL)):
            self._slices.setdefault((namespace, service), {})[name] = change.value
            self._touch((namespace, service))

    def _node_changed(self, change: Change) -> None:
        labels, before = labels_of(change.value or NOWHERE), labels_of(change.previous or NOWHERE)
        concerned = (RUNTIME_LABEL in labels) != (RUNTIME_LABEL in before)  # it came, or goes
        zone = labels.get(ZONE_LABEL, "")
        for node in self._nodes:
            if node.here.node == change.key.name and node.here.zone != zone:
                node.here = node.here._replace(zone=zone)
                concerned = True
        if concerned:
            for place in self._slices:
                self._touch(place)

    def _touch(self, place: Place) -> None:
        self._dirty[place] = None
        self._woken.set()


def led_to(service: Obj, address: str, port: int) -> Obj:
    """A slice that leads all its ports to one."""
    ports = [{"name": one.get("name", ""), "protocol": one.get("protocol", "TCP"), "port": port}
             for one in service["spec"].get("ports") or ()]
    return {"metadata": {"name": "instead"}, "addressType": "IPv4", "ports": ports,
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}]}


class _Node:
    def __init__(self, hosted: Hosted, service_cidr: str):
        self.here, self._load, self._forget = hosted
        self._table = Table(proxy.TABLE, proxy.frame(self.here, service_cidr))
        self._retry_s, self._said = FIRST_RETRY_S, ""
        self._waits: asyncio.TimerHandle | None = None  # until it may be tried again

    def put(self, place: Place, service: Obj | None, slices: list[Obj]) -> None:
        try:
            made = proxy.part(service, slices, self.here) if service is not None else None
        except Exception:
            log.exception("the rules of service %s/%s can not be made", *place)  # our own mistake: the others go on
        else:
            self._table.put(place, made)

    async def carry_out(self, again: Callable[[], None]) -> None:
        """`again`: called when it is to be tried once more."""
        script = self._table.script()
        if not script or self._waits is not None:
            return
        ended = proxy.ended_flows(self._table.leaving())
        try:
            await self._load(script)
        except Exception as error:  # whatever it was: packets go by the old rules until it is better
            self._table.lost()
            if str(error) != self._said:
                self._said = str(error)
                log.warning("%s: the rules of its services can not be changed: %s", self.here.node, error)
            self._waits = asyncio.get_running_loop().call_later(self._retry_s, self._may_try, again)
            self._retry_s = min(LONGEST_RETRY_S, 2 * self._retry_s)
        else:
            self._table.done()
            if ended:
                await self._forget(ended)
            self._retry_s, self._said = FIRST_RETRY_S, ""

    def _may_try(self, again: Callable[[], None]) -> None:
        self._waits = None
        again()
