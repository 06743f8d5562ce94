"""Which addresses the simulated nodes and their pods have.

    10.128.0.0/14                   nodes, the InternalIP: one each, from the node's index
    10.132.0.0 - 10.255.255.0       their pods: a /24 a node, 31,744 of them, from the same index
    34.64.0.0/10                    nodes, the ExternalIP: the index, scattered

Services keep 10.96.0.0/12 to themselves.  A node's index is what its podCIDR says, so it needs no place of its own.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable

FIRST_POD_OCTET = 132
MOST_NODES = (256 - FIRST_POD_OCTET) * 256
MOST_POD_ADDRESSES = 253  # .2 to .254 of a /24
_SCATTER = 2_654_435_761  # odd: a bijection of the 22 bits under 34.64.0.0/10


def pod_cidr(index: int) -> str:
    assert 0 <= index < MOST_NODES, "the caller keeps to the nodes there is room for"
    return f"10.{FIRST_POD_OCTET + index // 256}.{index % 256}.0/24"


def index_of(cidr: str) -> int | None:
    """The index a podCIDR was made from; None for one of another range."""
    first, _, rest = cidr.partition(".")
    second, _, rest = rest.partition(".")
    third, _, rest = rest.partition(".")
    if first != "10" or rest != "0/24" or not (second.isdigit() and third.isdigit()):
        return None
    index = (int(second) - FIRST_POD_OCTET) * 256 + int(third)
    return index if 0 <= index < MOST_NODES else None


def free_indexes(taken: Collection[int], count: int) -> list[int]:
    """The lowest indexes that are not taken; fewer than `count` where there is no room left."""
    found: list[int] = []
    for index in range(MOST_NODES):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def internal_ip(index: int) -> str:
    place = index + 2  # .0 is the network, .1 the gateway
    return f"10.{128 + (place >> 16)}.{(place >> 8) & 255}.{place & 255}"


def external_ip(index: int) -> str:
    place = (index * _SCATTER + 1_234_567) & 0x3FFFFF
    return f"34.{64 + (place >> 16)}.{(place >> 8) & 255}.{place & 255}"


class PodAddresses:
    """The pod addresses of one node, each handed out once until it is given back; round and round, so that an
    address is not used again soon."""

    def __init__(self, cidr: str):
        self._stem = cidr.partition("/")[0].rpartition(".")[0]
        self._next = 2
        self._taken: set[str] = set()

    def take(self) -> str:
        """The next free one; "" when all are taken."""
        for _ in range(MOST_POD_ADDRESSES):
            address = f"{self._stem}.{self._next}"
            self._next = self._next + 1 if self._next < MOST_POD_ADDRESSES + 1 else 2
            if address not in self._taken:
                self._taken.add(address)
                return address
        return ""

    def keep(self, addresses: Iterable[str]) -> None:
        """Those a pod already has."""
        self._taken.update(addresses)

    def give_back(self, address: str) -> None:
        self._taken.discard(address)
