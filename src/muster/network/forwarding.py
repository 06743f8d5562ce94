"""Asks the machine's own name servers what is not for the cluster to answer.

A question goes out as it came, over UDP or TCP, from a socket of its own, so that nobody else's answer is taken for
its; one server after the other is given a while.  So many may be under way at once; what comes beyond is not asked.
RFC 5452 (forged answers), https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/
"""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

PORT = 53
EACH_WITHIN_S = 2.0
MOST_SERVERS, MOST_UNDER_WAY = 3, 256
HEAD, ID = 12, 2  # octets


class Forwarder:
    """`servers`: their addresses, with a port where it is not the usual one: ("192.0.2.53", 53)."""

    def __init__(self, servers: Sequence[tuple[str, int]]):
        self._servers = tuple(servers)[:MOST_SERVERS]
        self._under_way = 0

    async def ask(self, packet: bytes, *, over_tcp: bool = False) -> bytes | None:
        """The first answer; None for none."""
        if self._under_way >= MOST_UNDER_WAY:
            return None
        self._under_way += 1
        try:
            for server in self._servers:
                try:
                    async with asyncio.timeout(EACH_WITHIN_S):
                        return await (_over_tcp if over_tcp else _over_udp)(server, packet)
                except (TimeoutError, OSError, asyncio.IncompleteReadError):
                    continue
            return None
        finally:
            self._under_way -= 1


async def _over_udp(server: tuple[str, int], packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, listening = await loop.create_datagram_endpoint(lambda: _Answer(packet), remote_addr=server)
    try:
        return await listening.heard
    finally:
        transport.close()


async def _over_tcp(server: tuple[str, int], packet: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(packet).to_bytes(2, "big") + packet)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        if not _is_answer(answer, packet):
            raise ConnectionError("an answer to something else")
        return answer
    finally:
        writer.close()


class _Answer(asyncio.DatagramProtocol):
    """One question on a connected socket, and what is heard of it."""

    def __init__(self, packet: bytes):
        self._packet = packet
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._packet)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if _is_answer(data, self._packet) and not self.heard.done():
            self.heard.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.heard.done():
            self.heard.set_exception(exc)


def _is_answer(data: bytes, packet: bytes) -> bool:
    return len(data) >= HEAD and data[:ID] == packet[:ID] and bool(data[2] & 0x80)
