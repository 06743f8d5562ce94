"""Which networks are on which machine: a node's pods, and the node itself, by way of its machine's address.

For machines that reach each other directly.  A node says in an annotation which machine it is on; one that does not is
on the server's.  Which network is its own is for the cluster to say (podCIDR), and its address follows from that:
nothing that a node says of itself leads anybody else's packets to it.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from ..api.kinds.node import MACHINE
from ..api.objects import Obj, annotations_of, at, labels_of, name_of
from ..client.mirror import Mirror
from ..store.history import Change
from .node_proxies import NODES, RUNTIME_LABEL

log = logging.getLogger(__name__)

REST_S, RETRY_S = 0.05, 5.0
CarryOut = Callable[[Mapping[str, str], Collection[str]], Awaitable[None]]  # (network -> machine, networks to forget)


def routes(nodes: Iterable[Obj], own: Collection[str], server: str) -> dict[str, str]:
    """Network -> address of the machine it is on, for all but our own nodes.  `server`: "" on the server's machine."""
    found: dict[str, str] = {}
    for node in sorted(nodes, key=name_of):
        if name_of(node) in own or RUNTIME_LABEL not in labels_of(node):
            continue
        machine = annotations_of(node).get(MACHINE) or server
        if not machine:
            continue
        if cidr := at(node, "spec.podCIDR"):
            found[cidr] = found[f"{address_of(cidr)}/32"] = machine
    return found


def address_of(cidr: str) -> str:
    """Of the node whose pods have this network: 10.88.0.52 for 10.88.51.0/24 (node/network_namespace.py)."""
    first, second, number, _ = cidr.split(".")
    return f"{first}.{second}.0.{int(number) + 1}"


class MachineRoutes:
    """Make it before the mirror runs."""

    def __init__(self, mirror: Mirror, own: Collection[str], server: str, carry_out: CarryOut):
        self._mirror, self._own, self._server, self._carry_out = mirror, own, server, carry_out
        self._there: dict[str, str] = {}
        self._woken = asyncio.Event()
        self._said = ""
        mirror.on_change(self._hear, (NODES,))

    def _hear(self, change: Change) -> None:
        self._woken.set()

    async def run(self) -> None:
        await self._mirror.synced()
        while True:
            self._woken.clear()
            wanted = routes(self._mirror.objects(NODES).values(), self._own, self._server)
            if wanted != self._there:
                await self._lead(wanted)
            await asyncio.sleep(REST_S)
            await self._woken.wait()

    async def _lead(self, wanted: dict[str, str]) -> None:
        gone = [network for network in self._there if network not in wanted]
        fresh = {network: machine for network, machine in wanted.items() if self._there.get(network) != machine}
        self._there = {network: machine for network, machine in wanted.items() if network not in fresh}
        await self._carry_out({}, gone)
        wrong = []
        for network, machine in fresh.items():
            try:
                await self._carry_out({network: machine}, ())
                self._there[network] = machine
            except Exception as error:  # what can not be reached keeps none of the others from being led to
                wrong.append(f"{network} on {machine}: {error}")
        if wrong:
            asyncio.get_running_loop().call_later(RETRY_S, self._woken.set)
        if wrong and wrong[0] != self._said:
            log.warning("pods on another machine can not be reached: %s", wrong[0])
        self._said = wrong[0] if wrong else ""
