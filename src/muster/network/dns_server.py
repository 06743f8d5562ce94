"""The DNS server: questions over UDP and TCP, answered from a Directory (`dns.py` decides).

What can not be read, and what is no question, is dropped without a word: an answer to it would only serve
those who forge senders.  Over UDP an answer is as long as the asker allows (512 octets unless its EDNS record
says more; never more than fits one packet) and else says that it is truncated, so that the asker comes back
over TCP.  Connections are bounded in number, in idle time and in questions.  Names of other zones are refused, or
asked of others (forwarding.py) where there are any: then also what a name of the cluster leads to (ExternalName).

RFC 1035, RFC 6891 (EDNS), RFC 7766 (TCP), https://www.dnsflagday.net/2020/ (1232 octets)
"""
from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any, cast

from dnslib import AAAA, CLASS, CNAME, EDNS0, NS, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord  # type: ignore[import-untyped]
from dnslib.dns import DNSError  # type: ignore[import-untyped]

from ..client.mirror import Mirror
from .directory import RESOURCES, Directory
from .dns import REFUSED, REVERSE, Answer, Record, answer, is_ours
from .forwarding import Forwarder

PLAIN_OCTETS, MOST_OCTETS, TCP_OCTETS = 512, 1232, 65535
MOST_CONNECTIONS, MOST_QUESTIONS = 128, 100
IDLE_S = 10.0
SHORTEST, SHORTEST_RECORD = 12, 16  # octets of a header, and of an address whose name stands there already
QUERY = 0  # the opcode


class DnsServer:
    """`port`: where it listens."""

    def __init__(self, directory: Directory, port: int = 0, forwarder: Forwarder | None = None):
        self.port = port
        self._directory, self._forwarder = directory, forwarder
        self._connections: set[asyncio.Task[None]] = set()

    def reply(self, packet: bytes, *, over_tcp: bool = False) -> bytes | Awaitable[bytes] | None:
        """None: not worth an answer.  What others have to be asked for is to be awaited."""
        question = _read(packet)
        if question is None:
            return None
        extension = next((extra for extra in question.ar if extra.rtype == QTYPE.OPT), None)
        most = TCP_OCTETS if over_tcp else PLAIN_OCTETS if extension is None else \
            min(max(PLAIN_OCTETS, extension.edns_len), MOST_OCTETS)
        reply = self._answered(question, extension, most)
        if self._forwarder is not None:
            if _is_elsewhere(reply):
                return self._forwarded(self._forwarder, packet, reply, over_tcp)
            if (target := _loose_end(reply, question)) is not None:
                return self._completed(self._forwarder, target, reply, most)
        return _fitted(reply, most)

    async def _forwarded(self, forwarder: Forwarder, packet: bytes, reply: DNSRecord, over_tcp: bool) -> bytes:
        answer = await forwarder.ask(packet, over_tcp=over_tcp)
        if answer is None and reply.header.rcode == RCODE.REFUSED:
            reply.header.rcode = RCODE.SERVFAIL
        return answer if answer is not None else bytes(reply.pack())

    async def _completed(self, forwarder: Forwarder, target: str, reply: DNSRecord, most: int) -> bytes:
        """The alias alone would do for a resolver, but those in pods do not ask again."""
        question = DNSRecord.question(target, QTYPE.get(reply.q.qtype))
        question.header.id = reply.header.id
        answer = await forwarder.ask(bytes(question.pack()))
        found = _read(answer, is_answer=True) if answer is not None else None
        if found is not None:
            reply.add_answer(*found.rr)
        return _fitted(reply, most)

    def _answered(self, question: DNSRecord, extension: Any, most: int) -> DNSRecord:
        reply = question.reply(ra=int(self._forwarder is not None), aa=1)
        if extension is not None:
            bad = bool(extension.edns_ver)  # BADVERS is 16, of which these are the upper bits
            reply.add_ar(EDNS0(udp_len=MOST_OCTETS, ext_rcode=int(bad)))
            if bad:
                return reply
        if question.header.opcode != QUERY:
            reply.header.rcode = RCODE.NOTIMP
        elif len(question.questions) != 1:
            reply.header.rcode = RCODE.FORMERR
        elif question.q.qclass != CLASS.IN:
            reply.header.rcode = RCODE.REFUSED
        else:
            name, type_ = str(question.q.qname).rstrip("."), str(QTYPE.get(question.q.qtype))
            _put(reply, answer(self._directory, name, type_), most)
        return reply

    # ---- over TCP

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is idle, has asked enough, or says what can not be read."""
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task of its own"
        if len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            for _ in range(MOST_QUESTIONS):
                async with asyncio.timeout(IDLE_S):
                    packet = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                    reply = self.reply(packet, over_tcp=True)
                    if reply is None:
                        return
                    if not isinstance(reply, bytes):
                        reply = await reply
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            pass  # it has gone, or says no more
        finally:
            self._connections.discard(task)
            writer.close()

    def hang_up(self) -> None:
        for task in self._connections:
            task.cancel()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer):
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        reply = self._server.reply(data)
        if isinstance(reply, bytes):
            self._send(reply, addr)
        elif reply is not None:
            task = asyncio.ensure_future(self._send_later(reply, addr))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in list(self._under_way):
            task.cancel()

    async def _send_later(self, reply: Awaitable[bytes], addr: Any) -> None:
        self._send(await reply, addr)

    def _send(self, reply: bytes, addr: Any) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(reply, addr)


@contextlib.asynccontextmanager
async def serve_dns(mirror: Mirror, host: str, port: int,
                    forwarder: Forwarder | None = None) -> AsyncIterator[DnsServer]:
    """Answers over UDP and TCP until the block ends.  Make it before the mirror runs.  Raises OSError."""
    directory = Directory()
    server = DnsServer(directory, port, forwarder)
    loop = asyncio.get_running_loop()
    listening = await asyncio.start_server(server.converse, host, port)
    try:
        server.port = listening.sockets[0].getsockname()[1]
        datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), (host, server.port))
        mirror.on_change(directory.hear, RESOURCES)
        try:
            yield server
        finally:
            datagrams.close()
    finally:
        listening.close()
        server.hang_up()


# ------------------------------------------------------------------ between packets and answers

def _read(packet: bytes, *, is_answer: bool = False) -> DNSRecord | None:
    """None for what can not be read, and for an answer where a question is: whoever answers those may talk for ever."""
    if len(packet) < SHORTEST or bool(packet[2] & 0x80) != is_answer:
        return None
    try:
        return DNSRecord.parse(packet)
    except (DNSError, ValueError, IndexError, KeyError, UnicodeError):
        return None


def _is_elsewhere(reply: DNSRecord) -> bool:
    """Another zone's name, or an address that nobody here has."""
    if reply.header.rcode == RCODE.REFUSED:
        return True
    name = str(reply.q.qname).rstrip(".").lower() if reply.questions else ""
    return reply.header.rcode == RCODE.NXDOMAIN and name.endswith(REVERSE)


def _loose_end(reply: DNSRecord, question: DNSRecord) -> str | None:
    """Where the names that were found lead to, if that is not known here."""
    if not reply.rr or reply.rr[-1].rtype != QTYPE.CNAME or question.q.qtype not in (QTYPE.A, QTYPE.AAAA):
        return None
    target = str(reply.rr[-1].rdata).rstrip(".")
    return None if is_ours(target) else target


def _put(reply: DNSRecord, found: Answer, most: int) -> None:
    """No more than could fit: packing thousands of records to throw them away would hold up everybody."""
    fit = most // SHORTEST_RECORD
    reply.header.rcode = getattr(RCODE, found.code)
    if found.code == REFUSED:
        reply.header.aa = 0
    reply.add_answer(*_packed(found.records[:fit]))
    reply.add_auth(*_packed(found.authority))
    reply.add_ar(*_packed(found.additional[:fit]))
    reply.header.tc = int(len(found.records) > fit)


def _fitted(reply: DNSRecord, most: int) -> bytes:
    """In so many octets: without the additional records, then with fewer answers and the bit that says so."""
    packed = bytes(reply.pack())
    if len(packed) > most:
        reply.ar = [extra for extra in reply.ar if extra.rtype == QTYPE.OPT]
        packed = bytes(reply.pack())
    while len(packed) > most and (reply.rr or reply.auth):
        reply.header.tc = 1
        reply.auth = []
        reply.rr = reply.rr[:len(reply.rr) * most // len(packed)]
        packed = bytes(reply.pack())
    return packed


def _packed(records: Iterable[Record]) -> list[RR]:
    return [RR(one.name, getattr(QTYPE, one.type), rdata=_data(one), ttl=one.ttl_s) for one in records]


def _data(record: Record) -> Any:
    value: Any = record.value
    match record.type:
        case "A":
            return A(value)
        case "AAAA":
            return AAAA(ipaddress.ip_address(value).packed)
        case "SRV":
            return SRV(*value)
        case "SOA":
            return SOA(*value)
        case "TXT":
            return TXT(value)
    return {"CNAME": CNAME, "NS": NS, "PTR": PTR}[record.type](value)
