"""The DNS server's packets: sizes, cuts, what is refused and what is dropped; and real sockets."""
from __future__ import annotations

import asyncio
import random

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord

from muster.api.objects import Key
from muster.network import dns_server
from muster.network.directory import Directory
from muster.network.dns_server import DnsServer
from muster.store.history import Change, Snapshot

NAME = "nginx.default.svc.cluster.local"


def a_server(endpoints):
    directory = Directory()
    service = {"metadata": {"name": "nginx", "namespace": "default"}, "spec": {"clusterIP": "None"}}
    slice_ = {"metadata": {"name": "nginx-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "nginx"}},
              "addressType": "IPv4", "ports": [{"name": "http", "port": 80}],
              "endpoints": [{"addresses": [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"]} for i in range(endpoints)]}
    for revision, (resource, obj) in enumerate([("services", service), ("endpointslices.discovery.k8s.io", slice_)], 1):
        key = Key(resource, "default", obj["metadata"]["name"])
        directory.hear(Change(revision, key, Snapshot(obj, revision), None))
    return DnsServer(directory)


def a_question(name=NAME, type_="A", edns=None, version=0):
    question = DNSRecord.question(name, type_)
    if edns:
        question.add_ar(EDNS0(udp_len=edns, version=version))
    return bytes(question.pack())


@pytest.mark.parametrize("endpoints, type_, edns, over_tcp, most, is_cut", [
    pytest.param(28, "A", None, False, 512, False, id="just fits 512"),
    pytest.param(29, "A", None, False, 512, True, id="does not"),
    pytest.param(30, "A", 1232, False, 1232, False, id="the asker takes more"),
    pytest.param(100, "A", 4096, False, 1232, True, id="never more than a packet"),
    pytest.param(20, "A", 100, False, 512, False, id="an asker's 100 means 512"),
    pytest.param(4000, "A", None, True, 65535, False, id="thousands over TCP"),
    pytest.param(5000, "A", None, True, 65535, True, id="more than TCP can tell"),
    pytest.param(500, "SRV", 1232, False, 1232, True, id="ports are longer"),
])
def test_sizes(endpoints, type_, edns, over_tcp, most, is_cut):
    packed = a_server(endpoints).reply(a_question(type_=type_, edns=edns), over_tcp=over_tcp)
    reply = DNSRecord.parse(packed)
    assert len(packed) <= most
    assert reply.header.tc == is_cut and (len(reply.rr) < endpoints) == is_cut and reply.rr
    assert [extra.rtype for extra in reply.ar if extra.rtype == QTYPE.OPT] == ([QTYPE.OPT] if edns else [])


def test_what_an_answer_says_of_itself():
    question = DNSRecord.parse(a_question(NAME.upper()))
    reply = DNSRecord.parse(a_server(1).reply(bytes(question.pack())))
    assert reply.header.id == question.header.id and reply.header.aa and reply.header.qr and not reply.header.ra
    assert str(reply.q.qname) == str(reply.rr[0].rname) == NAME.upper() + "."


@pytest.mark.parametrize("packet, code", [
    pytest.param(a_question("example.com"), RCODE.REFUSED, id="another zone"),
    pytest.param(bytes(DNSRecord(DNSHeader(opcode=5), q=DNSQuestion(NAME)).pack()), RCODE.NOTIMP, id="an update"),
    pytest.param(bytes(DNSRecord(DNSHeader()).pack()), RCODE.FORMERR, id="no question"),
    pytest.param(bytes(DNSRecord(DNSHeader(), questions=[DNSQuestion(NAME)] * 2).pack()), RCODE.FORMERR, id="two"),
    pytest.param(bytes(DNSRecord(DNSHeader(), q=DNSQuestion("version.bind", QTYPE.TXT, 3)).pack()), RCODE.REFUSED, id="chaos"),
    pytest.param(a_question("nobody.default.svc.cluster.local"), RCODE.NXDOMAIN, id="no such name"),
    pytest.param(a_question(type_="HTTPS"), RCODE.NOERROR, id="no such record"),
])
def test_codes(packet, code):
    assert DNSRecord.parse(a_server(1).reply(packet)).header.rcode == code


def test_an_unknown_version_of_edns_is_said_so():
    reply = DNSRecord.parse(a_server(1).reply(a_question(edns=1232, version=1)))
    assert reply.ar[0].edns_rcode == 1 and not reply.rr, "BADVERS: 16 = 1 << 4"


@pytest.mark.parametrize("packet", [
    pytest.param(b"", id="nothing"), pytest.param(b"x" * 11, id="less than a header"),
    pytest.param(b"\xff" * 100, id="noise"), pytest.param(a_question()[:-3], id="cut short"),
    pytest.param(bytes(DNSRecord.parse(a_question()).reply().pack()), id="an answer"),
    pytest.param(bytes(12)[:4] + b"\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1", id="a name that points to itself"),
])
def test_what_can_not_be_read_is_dropped(packet):
    assert a_server(1).reply(packet) is None


def test_noise_never_raises():
    rng, server = random.Random(1), a_server(3)
    for _ in range(3000):
        packet = bytearray(a_question(edns=512))
        for _ in range(rng.randint(1, 6)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        server.reply(bytes(packet))


# ------------------------------------------------------------------ sockets

class Silence:
    """Nothing to hear: these tests are about sockets."""

    def on_change(self, listener, resources):
        pass


async def ask(port, packet):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(len(packet).to_bytes(2, "big") + packet)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return DNSRecord.parse(await reader.readexactly(size))
    finally:
        writer.close()


class Answers(asyncio.DatagramProtocol):
    def __init__(self):
        self.first = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        self.first.set_result(data)


def test_udp_and_tcp_answer_on_the_same_port():
    async def main():
        async with dns_server.serve_dns(Silence(), "127.0.0.1", 0) as server:
            over_tcp = await ask(server.port, a_question("svc.cluster.local"))
            transport, answers = await asyncio.get_running_loop().create_datagram_endpoint(
                Answers, remote_addr=("127.0.0.1", server.port))
            transport.sendto(b"noise")
            transport.sendto(a_question("svc.cluster.local"))
            over_udp = DNSRecord.parse(await answers.first)
            transport.close()
            return over_tcp, over_udp
    for reply in asyncio.run(asyncio.wait_for(main(), 20)):
        assert reply.header.rcode == RCODE.NOERROR and reply.auth


def test_one_connection_too_many_is_closed_at_once(monkeypatch):
    monkeypatch.setattr(dns_server, "MOST_CONNECTIONS", 1)

    async def main():
        async with dns_server.serve_dns(Silence(), "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            packet = a_question("svc.cluster.local")
            writer.write(len(packet).to_bytes(2, "big") + packet)
            await reader.readexactly(2)  # it is served
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await ask(server.port, packet)
            writer.close()
    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_idle_connection_is_closed(monkeypatch):
    monkeypatch.setattr(dns_server, "IDLE_S", .01)

    async def main():
        async with dns_server.serve_dns(Silence(), "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\0")
            assert await reader.read() == b""
            writer.close()
    asyncio.run(asyncio.wait_for(main(), 20))
