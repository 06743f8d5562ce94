"""Services find their pods, and names find services, as kubectl and a resolver see it."""
import json
import re
import socket

import pytest
from conftest import Cluster, Space, is_ready
from dnslib import DNSRecord

from rows import rows

QUICK = ("--nodes", 3, "--pull", "0s", "--start", "10ms..50ms", "--ready", "0s", "--stop", "10ms..50ms")
SLICES = "endpointslices.discovery.k8s.io"


class Named(Cluster):
    """A cluster that answers DNS."""

    def ask(self, name, type_="A", *, tcp=False):
        """[(type, text)] of the answer section; the reply itself under `.reply`."""
        host, port = json.loads((self.data_dir / "server.json").read_text())["dns"].split(":")
        packet = DNSRecord.question(name, type_).send(host, int(port), tcp=tcp, timeout=10)
        return DNSRecord.parse(packet)

    def addresses(self, name, **more):
        return sorted(str(record.rdata) for record in self.ask(name, **more).rr)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    found = Named(tmp_path_factory.mktemp("named"), *QUICK, "--dns-port", 0)
    found.up()
    yield found
    found.down()


@pytest.fixture
def shop(named, request):
    name = re.sub("[^a-z]+", "-", request.node.name.lower())[:50].strip("-")
    named.kubectl("create", "ns", name)
    return Space(named, name)


def daemons(name="agent"):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "agent:1", "ports": [
                    {"name": "http", "containerPort": 8080}]}]}}}}


def a_service(name="agent", app="agent", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": app}},
            "spec": {"selector": {"app": app}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}], **spec}}


def a_pod(name, app, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
            "spec": {"containers": [{"name": "main", "image": "web:1"}], **spec}}


def addresses_of(space, selector):
    return sorted(pod["status"]["podIP"] for pod in space.get("pods", "-l", selector)["items"])


def listed(endpoints, field="addresses"):
    return sorted(one["ip"] for subset in endpoints.get("subsets", ()) for one in subset.get(field, ()))


def filled(space, name, count):
    """Waits until both kinds of list have so many ready addresses."""
    space.until("endpoints", lambda there: len(listed(there.get(name, {}))) == count, name)
    space.until(SLICES, lambda there: sum(one["conditions"]["ready"] for slice_ in there.values()
                                          for one in slice_.get("endpoints") or ()) == count,
                "-l", f"kubernetes.io/service-name={name}")


@rows(162, 163, 166)
def test_a_headless_service_lists_the_pods(shop):
    space = shop
    space.apply(a_service(clusterIP="None"), daemons())
    space.settled("agent", 3)
    filled(space, "agent", 3)
    (row,) = space.kubectl("get", "svc").table
    assert (row["TYPE"], row["CLUSTER-IP"], row["PORT(S)"]) == ("ClusterIP", "None", "80/TCP")
    ips = addresses_of(space, "app=agent")
    endpoints, (slice_,) = space.get("ep", "agent"), space.get("endpointslices")["items"]
    assert listed(endpoints) == sorted(one["addresses"][0] for one in slice_["endpoints"]) == ips
    assert endpoints["metadata"]["labels"] == {"app": "agent", "service.kubernetes.io/headless": ""}
    assert endpoints["subsets"][0]["ports"] == [{"name": "web", "port": 8080, "protocol": "TCP"}]
    assert all(one["targetRef"]["kind"] == "Pod" and one["nodeName"] for one in slice_["endpoints"])
    both = space.kubectl("get", "ep,endpointslices")
    assert re.search(r"^endpoints/agent +\S+:8080,\S+:8080,\S+:8080 +\d+s$", both.stdout, re.M), both.stdout
    assert re.search(rf"^endpointslice\.discovery\.k8s\.io/agent-\w{{5}} +IPv4 +8080 +{'[0-9.]+,' * 2}[0-9.]+ +\d+s$", both.stdout, re.M), both.stdout
    told = space.kubectl("describe", "svc", "agent").stdout
    assert re.search(r"^Endpoints: +\S+:8080,\S+:8080,\S+:8080$", told, re.M) and "Headless" not in told, told
    assert sorted(shop.cluster.addresses(f"agent.{space.name}.svc.cluster.local")) == ips


@rows(167, 169)
def test_a_headless_service_finds_all_daemons_by_name(shop):
    space = shop
    space.apply(a_service(clusterIP="None"), daemons())
    space.settled("agent", 3)
    filled(space, "agent", 3)
    cluster, name = space.cluster, f"agent.{space.name}.svc.cluster.local"
    ips = addresses_of(space, "app=agent")
    for tcp in (False, True):
        assert cluster.addresses(name, tcp=tcp) == ips
    ports = cluster.ask(f"_web._tcp.{name}", "SRV")
    assert {(record.rdata.port, str(record.rdata.target)) for record in ports.rr} == {
        (8080, f"{ip.replace('.', '-')}.{name}.") for ip in ips}
    assert sorted(str(record.rdata) for record in ports.ar) == ips
    (pointer,) = cluster.ask(f"{'.'.join(reversed(ips[0].split('.')))}.in-addr.arpa", "PTR").rr
    assert str(pointer.rdata) == f"{ips[0].replace('.', '-')}.{name}."

    first = space.get("pods", "-l", "app=agent")["items"][0]
    space.kubectl("label", "pod", first["metadata"]["name"], "app=other", "--overwrite")
    space.until("endpoints", lambda there: first["status"]["podIP"] not in listed(there["agent"]), "agent")
    space.kubectl("delete", "svc", "agent")
    space.kubectl("wait", "--for=delete", "endpoints/agent", "--timeout=20s")
    space.kubectl("wait", "--for=delete", "endpointslices", "--all", "--timeout=20s")
    assert cluster.ask(name).header.rcode == 3, "NXDOMAIN"


@rows(168)
def test_an_ordinary_service_has_one_address_for_all_daemons(shop):
    space = shop
    space.apply(a_service(), daemons())
    space.settled("agent", 3)
    filled(space, "agent", 3)
    ip = space.get("svc", "agent")["spec"]["clusterIP"]
    name = f"agent.{space.name}.svc.cluster.local"
    assert space.cluster.addresses(name) == [ip] and ip.startswith("10.96.")
    (port,) = space.cluster.ask(f"_web._tcp.{name}", "SRV").rr
    assert (port.rdata.port, str(port.rdata.target)) == (80, f"{name}.")
    (pointer,) = space.cluster.ask(f"{'.'.join(reversed(ip.split('.')))}.in-addr.arpa", "PTR").rr
    assert str(pointer.rdata) == f"{name}."
    assert listed(space.get("ep", "agent")) == addresses_of(space, "app=agent"), "any of them may be reached"


@rows(164)
def test_without_a_selector_the_endpoints_are_made_by_hand(shop):
    space = shop
    service = a_service("db", clusterIP="None", ports=[{"name": "sql", "port": 3306}])
    del service["spec"]["selector"]
    name = f"db.{space.name}.svc.cluster.local"
    space.apply(service, a_service("empty", app="nobody", clusterIP="None"))
    space.until("endpoints", lambda there: "empty" in there)
    assert [one["metadata"]["name"] for one in space.get("ep")["items"]] == ["empty"], "nobody makes any for db"
    assert space.cluster.ask(name).header.rcode == 3
    assert space.kubectl("get", "ep", "empty").table[0]["ENDPOINTS"] == "<none>"
    (row,) = space.kubectl("get", "endpointslices").table
    assert (row["PORTS"], row["ENDPOINTS"]) == ("<unset>", "<unset>")

    space.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                 "metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
                 "ports": [{"name": "sql", "port": 3306}], "endpoints": [{"addresses": ["192.0.2.7"], "hostname": "main"}]})
    within_reach(lambda: space.cluster.addresses(name) == ["192.0.2.7"])
    assert space.cluster.addresses(f"MAIN.{name}") == ["192.0.2.7"]

    space.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside"},
                 "spec": {"type": "ExternalName", "externalName": "db.example.com"}})
    within_reach(lambda: space.cluster.addresses(f"outside.{space.name}.svc.cluster.local") == ["db.example.com."])


def within_reach(holds):
    """What was written is answered within a moment: at most so many questions."""
    assert any(holds() for _ in range(2000))


@rows(165)
def test_a_pod_is_found_by_its_hostname(shop):
    space = shop
    space.apply(a_service("nginx", app="nginx", clusterIP="None", ports=[{"name": "web", "port": 80}]),
                *(a_pod(f"web-{i}", "nginx", hostname=f"web-{i}", subdomain="nginx") for i in range(2)))
    space.until("pods", lambda there: len(there) == 2 and all(is_ready(pod) for pod in there.values()))
    filled(space, "nginx", 2)
    name = f"nginx.{space.name}.svc.cluster.local"
    for i in range(2):
        assert space.cluster.addresses(f"web-{i}.{name}") == [space.get("pod", f"web-{i}")["status"]["podIP"]]
    missing = space.cluster.ask(f"web-2.{name}")
    assert missing.header.rcode == 3 and not missing.rr
    (soa,) = missing.auth
    assert str(soa.rname) == "cluster.local."
    nothing = space.cluster.ask(name, "AAAA")
    assert nothing.header.rcode == 0 and not nothing.rr and len(nothing.auth) == 1


@rows(162, 166)
def test_services_by_command(space):
    space.kubectl("create", "service", "clusterip", "one", "--tcp=80:8080")
    space.kubectl("create", "service", "nodeport", "two", "--tcp=80:8080")
    space.kubectl("create", "service", "externalname", "three", "--external-name", "example.com")
    space.kubectl("create", "service", "clusterip", "four", "--clusterip", "None")
    by_name = {row["NAME"]: row for row in space.kubectl("get", "svc").table}
    assert by_name["three"]["EXTERNAL-IP"] == "example.com" and by_name["four"]["CLUSTER-IP"] == "None"
    assert re.fullmatch(r"80:3\d{4}/TCP", by_name["two"]["PORT(S)"])

    space.kubectl("run", "web", "--image=web:1", "--port=8080", "--labels=app=one")
    filled(space, "one", 1)
    (ip,) = addresses_of(space, "app=one")
    assert space.kubectl("get", "endpoints", "one").table[0]["ENDPOINTS"] == f"{ip}:8080"
    assert f"Endpoints:                {ip}:8080" in space.kubectl("describe", "svc", "one").stdout
    told = space.kubectl("expose", "pod", "web", "--name=five", "--port=90", "--target-port=8080")
    assert told.stdout == "service/five exposed\n"
    filled(space, "five", 1)
    assert listed(space.get("ep", "five")) == [ip]
    assert f"Addresses:          {ip}" in space.kubectl("describe", "ep", "five").stdout
    assert re.search(rf"Addresses: +{re.escape(ip)}\n +Conditions:\n +Ready: +true", space.kubectl("describe", "endpointslices").stdout)
    space.kubectl("delete", "pod", "web")
    filled(space, "five", 0)


def test_status_says_where_names_are_answered(named):
    told = json.loads((named.data_dir / "server.json").read_text())["dns"]
    assert re.search(rf"^DNS: +{told}$", named.muster("status").stdout, re.M)
    assert told.startswith("127.0.0.1:")


def test_a_taken_port_is_said_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = Cluster(tmp_path).muster("up", "--detach", "--dns-port", port, fails=True)
    assert f"can not answer DNS on 127.0.0.1:{port}: " in failed.stderr and "--dns-port" in failed.stderr
