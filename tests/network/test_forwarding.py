"""Questions that are not for the cluster: who else is asked, and what becomes of their answers."""
import asyncio
import contextlib

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from muster.api.objects import Key
from muster.network import forwarding
from muster.network.directory import Directory
from muster.network.dns_server import DnsServer
from muster.network.forwarding import Forwarder
from muster.store.history import Change, Snapshot

NAME = "example.com"


def answer_to(packet, address="192.0.2.1"):
    question = DNSRecord.parse(packet)
    reply = question.reply()
    if question.q.qtype == QTYPE.A and str(question.q.qname) == f"{NAME}.":
        reply.add_answer(RR(NAME, QTYPE.A, rdata=A(address), ttl=60))
    else:
        reply.header.rcode = RCODE.NXDOMAIN
    return bytes(reply.pack())


class Elsewhere(asyncio.DatagramProtocol):
    """A name server of the world: first something forged, then the answer."""

    def __init__(self, answers):
        self.answers, self.asked = answers, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.asked += 1
        if self.answers:
            self.transport.sendto(bytes([data[0] ^ 1]) + answer_to(data, "203.0.113.66")[1:], addr)
            self.transport.sendto(data, addr)  # a question is no answer
            self.transport.sendto(answer_to(data), addr)

    async def converse(self, reader, writer):
        packet = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        reply = answer_to(packet, "192.0.2.2")
        writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()


async def _listening(loop, answers):
    """On one port over both protocols: another process may have one of the two."""
    for _ in range(20):
        transport, server = await loop.create_datagram_endpoint(lambda: Elsewhere(answers), local_addr=("127.0.0.1", 0))
        address = transport.get_extra_info("sockname")
        try:
            return transport, server, await asyncio.start_server(server.converse, *address), address
        except OSError:
            transport.close()
    raise AssertionError("no port is free for UDP and TCP")


@contextlib.asynccontextmanager
async def elsewhere(answers=True):
    loop = asyncio.get_running_loop()
    transport, server, listening, address = await _listening(loop, answers)
    try:
        yield server, address
    finally:
        transport.close()
        listening.close()


def directory():
    seen = Directory()
    outside = {"metadata": {"name": "outside", "namespace": "default"},
               "spec": {"type": "ExternalName", "externalName": NAME}}
    for revision, (resource, obj) in enumerate([("namespaces", {"metadata": {"name": "default"}}), ("services", outside)], 1):
        key = Key(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        seen.hear(Change(revision, key, Snapshot(obj, revision), None))
    return seen


async def told(servers, name, type_="A", *, over_tcp=False):
    question = DNSRecord.question(name, type_)
    reply = DnsServer(directory(), forwarder=Forwarder(servers)).reply(bytes(question.pack()), over_tcp=over_tcp)
    found = DNSRecord.parse(reply if isinstance(reply, bytes) else await reply)
    assert found.header.id == question.header.id
    return RCODE.get(found.header.rcode), [str(one.rdata) for one in found.rr]


@pytest.mark.parametrize("name, type_, over_tcp, expected, times", [
    pytest.param(NAME, "A", False, ("NOERROR", ["192.0.2.1"]), 1, id="another zone"),
    pytest.param(NAME, "A", True, ("NOERROR", ["192.0.2.2"]), 0, id="over TCP as it was asked"),
    pytest.param("nowhere.example.com", "A", False, ("NXDOMAIN", []), 1, id="their word is passed on"),
    pytest.param("outside.default.svc.cluster.local", "A", False, ("NOERROR", [f"{NAME}.", "192.0.2.1"]), 1,
                 id="where a name of the cluster leads"),
    pytest.param("outside.default.svc.cluster.local", "TXT", False, ("NOERROR", [f"{NAME}."]), 0, id="asked for no address"),
    pytest.param("nobody.default.svc.cluster.local", "A", False, ("NXDOMAIN", []), 0, id="the cluster's own"),
    pytest.param("1.2.0.192.in-addr.arpa", "PTR", False, ("NXDOMAIN", []), 1, id="an address of nobody here"),
])
def test_who_answers(name, type_, over_tcp, expected, times):
    async def main():
        async with elsewhere() as (server, address):
            assert await told([address], name, type_, over_tcp=over_tcp) == expected
            assert server.asked == times
    asyncio.run(asyncio.wait_for(main(), 20))


def test_one_after_the_other(monkeypatch):
    monkeypatch.setattr(forwarding, "EACH_WITHIN_S", .05)

    async def main():
        async with elsewhere(answers=False) as (silent, one), elsewhere() as (_, two):
            assert await told([one, two], NAME) == ("NOERROR", ["192.0.2.1"])
            assert await told([one], NAME) == ("SERVFAIL", [])
            assert await told([one], "1.2.0.192.in-addr.arpa", "PTR") == ("NXDOMAIN", [])
            assert silent.asked == 3
    asyncio.run(asyncio.wait_for(main(), 20))


def test_so_many_at_once(monkeypatch):
    monkeypatch.setattr(forwarding, "MOST_UNDER_WAY", 2)
    monkeypatch.setattr(forwarding, "EACH_WITHIN_S", .05)

    async def main():
        async with elsewhere(answers=False) as (server, address):
            forwarder, packet = Forwarder([address]), bytes(DNSRecord.question(NAME).pack())
            assert await asyncio.gather(*(forwarder.ask(packet) for _ in range(5))) == [None] * 5
            assert server.asked == 2
    asyncio.run(asyncio.wait_for(main(), 20))
