"""The addresses of a node's pods: each is handed out once until it is given back.

They come from the node's podCIDR (a /24: 253 pods), round and round, so that an address is not used again soon.
A simulated node that nobody gave a podCIDR or an address gets one of the few that are set aside for such nodes.
"""
from __future__ import annotations

from collections.abc import Iterable

MOST_POD_ADDRESSES = 253  # .2 to .254
STRANGERS = 256


def stranger_cidr(index: int) -> str:
    """For a node that belongs to no pool: pools use 10.132.0.0 and up."""
    return f"10.131.{index % STRANGERS}.0/24"


def stranger_address(index: int) -> str:
    return f"10.130.0.{index % STRANGERS}"


class PodAddresses:
    def __init__(self, cidr: str):
        self._stem = cidr.partition("/")[0].rpartition(".")[0]
        self._next = 2
        self._taken: set[str] = set()

    def take(self) -> str:
        """The next free one; "" when all are taken."""
        for _ in range(MOST_POD_ADDRESSES):
            address = f"{self._stem}.{self._next}"
            self._next = self._next + 1 if self._next <= MOST_POD_ADDRESSES else 2
            if address not in self._taken:
                self._taken.add(address)
                return address
        return ""

    def keep(self, addresses: Iterable[str]) -> None:
        """Those that pods already have."""
        self._taken.update(addresses)

    def give_back(self, address: str) -> None:
        self._taken.discard(address)
