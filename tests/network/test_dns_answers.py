"""What names resolve to, as a table; and that the directory, told of changes, knows what a fresh one would."""
from __future__ import annotations

import random

import pytest

from muster.api.objects import Key
from muster.network.directory import Directory
from muster.network.dns import answer
from muster.store.history import Change, Snapshot


def a_service(name, ip="None", namespace="default", **spec):
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "clusterIPs": [ip], **spec}}


def a_slice(name, service, endpoints, ports=({"name": "http", "port": 8080, "protocol": "TCP"},)):
    return {"metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "ports": list(ports), "endpoints": endpoints}


def an_endpoint(address, hostname=None, ready=True):
    conditions = {} if ready is None else {"conditions": {"ready": ready}}
    return {"addresses": [address], **conditions, **({"hostname": hostname} if hostname else {})}


class Told:
    """A directory, and the objects that it was told of."""

    def __init__(self):
        self.directory, self.revision, self.there = Directory(), 0, {}

    def tell(self, resource, obj=None, name=""):
        metadata = obj["metadata"] if obj else {"name": name, "namespace": "default"}
        key = Key(resource, metadata.get("namespace", ""), metadata["name"])
        self.revision += 1
        after, before = Snapshot(obj, self.revision) if obj else None, self.there.pop(key, None)
        if after:
            self.there[key] = after
        if after or before:
            self.directory.hear(Change(self.revision, key, after, before))
        return self


@pytest.fixture(scope="module")
def seen():
    told = Told()
    told.tell("namespaces", {"metadata": {"name": "default"}})
    http, dns = {"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}
    told.tell("services", a_service("web", "10.96.0.7", ports=[http, dns, {"port": 9, "protocol": "TCP"}]))
    told.tell("services", a_service("nginx"))
    told.tell("endpointslices.discovery.k8s.io", a_slice("nginx-1", "nginx", [
        an_endpoint("10.1.0.4", "web-0"), an_endpoint("10.1.0.5", "web-1", ready=False), an_endpoint("10.1.0.6", ready=None)]))
    told.tell("endpointslices.discovery.k8s.io", a_slice("nginx-2", "nginx", [an_endpoint("10.1.0.4", "web-0")]))
    told.tell("endpointslices.discovery.k8s.io", a_slice("web-1", "web", [an_endpoint("10.1.0.9")]))
    told.tell("services", a_service("quiet"))
    told.tell("services", a_service("elsewhere", "", type="ExternalName", externalName="db.example.com"))
    told.tell("services", a_service("alias", "", type="ExternalName", externalName="web.default.svc.cluster.local"))
    told.tell("services", a_service("loop", "", type="ExternalName", externalName="loop.default.svc.cluster.local"))
    return told.directory


IN = "default.svc.cluster.local"


@pytest.mark.parametrize("name, type_, values", [
    pytest.param(f"web.{IN}", "A", ["10.96.0.7"], id="a service"),
    pytest.param(f"WEB.{IN}".upper(), "A", ["10.96.0.7"], id="case does not matter"),
    pytest.param(f"nginx.{IN}", "A", ["10.1.0.4", "10.1.0.6"], id="a headless one: who is ready, each once"),
    pytest.param(f"web-0.nginx.{IN}", "A", ["10.1.0.4"], id="by hostname"),
    pytest.param(f"10-1-0-6.nginx.{IN}", "A", ["10.1.0.6"], id="by address where it has none"),
    pytest.param(f"elsewhere.{IN}", "A", ["db.example.com"], id="somewhere else"),
    pytest.param(f"elsewhere.{IN}", "CNAME", ["db.example.com"], id="the alias itself"),
    pytest.param(f"alias.{IN}", "A", ["web.default.svc.cluster.local", "10.96.0.7"], id="an alias within the zone"),
    pytest.param(f"loop.{IN}", "A", [f"loop.{IN}"], id="an alias of itself"),
    pytest.param(f"_http._tcp.web.{IN}", "SRV", [(0, 100, 80, f"web.{IN}")], id="a port"),
    pytest.param(f"_DNS._udp.web.{IN}", "SRV", [(0, 100, 53, f"web.{IN}")], id="a port over UDP"),
    pytest.param(f"web.{IN}", "SRV", [(0, 50, 80, f"web.{IN}"), (0, 50, 53, f"web.{IN}")], id="all named ports"),
    pytest.param(f"_http._tcp.nginx.{IN}", "SRV",
                 [(0, 50, 8080, f"web-0.nginx.{IN}"), (0, 50, 8080, f"10-1-0-6.nginx.{IN}")], id="a port of each endpoint"),
    pytest.param("7.0.96.10.in-addr.arpa", "PTR", [f"web.{IN}"], id="who has a cluster IP"),
    pytest.param("4.0.1.10.in-addr.arpa", "PTR", [f"web-0.nginx.{IN}"], id="who is an endpoint"),
    pytest.param("1-2-3-4.default.pod.cluster.local", "A", ["1.2.3.4"], id="an address spelled"),
    pytest.param("dns-version.cluster.local", "TXT", ["1.1.0"], id="the schema's version"),
    pytest.param("cluster.local", "NS", ["ns.dns.cluster.local"], id="the zone's server"),
])
def test_answers(seen, name, type_, values):
    found = answer(seen, name, type_)
    assert (found.code, [record.value for record in found.records], found.authority) == ("NOERROR", values, [])
    assert found.records[0].name == name, "as it was asked"


@pytest.mark.parametrize("name, type_, code", [
    pytest.param(f"nobody.{IN}", "A", "NXDOMAIN", id="no such service"),
    pytest.param("web.other.svc.cluster.local", "A", "NXDOMAIN", id="no such namespace"),
    pytest.param("other.svc.cluster.local", "A", "NXDOMAIN", id="nor that itself"),
    pytest.param(f"web-1.nginx.{IN}", "A", "NXDOMAIN", id="not ready"),
    pytest.param(f"web-0.web.{IN}", "A", "NXDOMAIN", id="below a service with an address"),
    pytest.param(f"quiet.{IN}", "A", "NXDOMAIN", id="headless, nobody ready"),
    pytest.param(f"a.b.c.web.{IN}", "A", "NXDOMAIN", id="too deep"),
    pytest.param(f"_ftp._tcp.web.{IN}", "SRV", "NXDOMAIN", id="no such port"),
    pytest.param(f"_http._udp.web.{IN}", "SRV", "NXDOMAIN", id="not over that"),
    pytest.param("cluster.local.x.cluster.local", "A", "NXDOMAIN", id="nonsense"),
    pytest.param("300.0.1.10.in-addr.arpa", "PTR", "NXDOMAIN", id="no address"),
    pytest.param("5.0.1.10.in-addr.arpa", "PTR", "NXDOMAIN", id="an address that is not ready"),
    pytest.param("9.0.1.10.in-addr.arpa", "PTR", "NXDOMAIN", id="behind a service with an address of its own"),
    pytest.param("x.default.pod.cluster.local", "A", "NXDOMAIN", id="spells no address"),
    pytest.param(f"web.{IN}", "AAAA", "NOERROR", id="no such record"),
    pytest.param(f"nginx.{IN}", "MX", "NOERROR", id="no such record of a headless one"),
    pytest.param(f"_tcp.web.{IN}", "A", "NOERROR", id="on the way to a port"),
    pytest.param(IN, "A", "NOERROR", id="a namespace"),
    pytest.param("svc.cluster.local", "A", "NOERROR", id="all services"),
    pytest.param("cluster.local", "A", "NOERROR", id="the zone"),
])
def test_there_is_nothing(seen, name, type_, code):
    found = answer(seen, name, type_)
    assert (found.code, found.records) == (code, [])
    (soa,) = found.authority
    assert soa.type == "SOA" and soa.name == ("in-addr.arpa" if name.endswith("arpa") else "cluster.local")


@pytest.mark.parametrize("name", ["example.com", "xcluster.local", "", "local"])
def test_other_zones_are_refused(seen, name):
    assert answer(seen, name, "A").code == "REFUSED"


def test_where_a_port_is_comes_with_its_address(seen):
    found = answer(seen, f"_http._tcp.nginx.{IN}", "SRV")
    assert [(one.name, one.value) for one in found.additional] == [
        (f"web-0.nginx.{IN}", "10.1.0.4"), (f"10-1-0-6.nginx.{IN}", "10.1.0.6")]


@pytest.mark.parametrize("seed", range(30))
def test_it_knows_what_a_fresh_one_would(seed):
    rng = random.Random(seed)
    told = Told()
    told.tell("namespaces", {"metadata": {"name": "default"}})
    ips = ["10.96.0.1", "10.96.0.2", "None"]
    for _ in range(60):
        name = rng.choice("ab")
        match rng.randrange(4):
            case 0:
                told.tell("services", a_service(name, rng.choice(ips)))
            case 1:
                told.tell("services", name=name)
            case 2:
                told.tell("endpointslices.discovery.k8s.io", a_slice(rng.choice(["s", "t"]), name, [
                    an_endpoint(f"10.1.0.{i}", rng.choice(["h-0", "h-1", None]), rng.random() < .7) for i in range(rng.randrange(4))]))
            case 3:
                told.tell("endpointslices.discovery.k8s.io", name=rng.choice(["s", "t"]))
        fresh = Told()
        for key, snapshot in told.there.items():
            fresh.tell(key.resource, snapshot.value)
        fresh.directory.serial = told.directory.serial
        for asked, type_ in [*((f"{service}.{IN}", type_) for service in "ab" for type_ in ("A", "SRV")),
                             *((f"h-0.{service}.{IN}", "A") for service in "ab"),
                             *((f"{i}.0.1.10.in-addr.arpa", "PTR") for i in range(3)),
                             ("1.0.96.10.in-addr.arpa", "PTR")]:
            assert answer(told.directory, asked, type_) == answer(fresh.directory, asked, type_)
