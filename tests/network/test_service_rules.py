"""What a service adds to a node's rules, and the scripts that bring a table up to date."""
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.network.backends import Here
from muster.network.nft_table import Part, Table
from muster.network.proxy import ended_flows, frame, part

HERE = Here("n1", "10.88.0.2", "10.88.0.0/16", "10.88.1.0/24")
NEAR, FAR = "10.88.1.5", "10.88.2.5"


def service(*, status=None, port=None, **spec):
    ports = [{"name": "", "port": 80, "protocol": "TCP", **(port or {})}]
    return {"metadata": {"name": "web", "namespace": "shop"}, "status": status or {},
            "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": ports, **spec}}


def slices(*addresses, protocol="TCP"):
    nodes = {NEAR: "n1", FAR: "n2"}
    return [{"metadata": {"name": "web-1"}, "addressType": "IPv4", "ports": [{"port": 8080, "protocol": protocol}],
             "endpoints": [{"addresses": [one], "nodeName": nodes[one]} for one in addresses]}]


def of_maps(made):
    """map -> key -> verdict, without what every service has."""
    found = {}
    for (name, key), verdict in made.elements.items():
        if name != "cluster_addresses":
            found.setdefault(name, {})[key] = verdict.replace("/shop/web/tcp/80", "").replace("goto ", "")
    return found


VIP, PORT = "10.96.0.7 . tcp . 80", "tcp . 30080"
OPEN = {"type": "NodePort", "port": {"nodePort": 30080}}
KEPT = {**OPEN, "externalTrafficPolicy": "Local"}
BALANCED = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}, {"hostname": "lb.example"}]}},
            "type": "LoadBalancer"}


@pytest.mark.parametrize("about, endpoints, expected", [
    pytest.param({}, [NEAR, FAR], {"services": {VIP: "cluster"}}, id="cluster address"),
    pytest.param({}, [], {"unserved_services": {VIP: "refuse"}}, id="nobody answers"),
    pytest.param({"internalTrafficPolicy": "Local"}, [NEAR, FAR], {"services": {VIP: "local"}}, id="internal local"),
    pytest.param({"internalTrafficPolicy": "Local"}, [FAR], {"unserved_services": {VIP: "drop"}},
                 id="internal local, none here"),
    pytest.param({"internalTrafficPolicy": "Local"}, [], {"unserved_services": {VIP: "refuse"}},
                 id="internal local, none at all"),
    pytest.param(OPEN, [FAR], {"services": {VIP: "cluster"}, "node_ports": {PORT: "external"}}, id="node port"),
    pytest.param(OPEN, [], {"unserved_services": {VIP: "refuse"}, "unserved_node_ports": {PORT: "refuse"}},
                 id="node port, nobody answers"),
    pytest.param(KEPT, [NEAR], {"services": {VIP: "cluster"}, "node_ports": {PORT: "external"}}, id="external local"),
    pytest.param(KEPT, [FAR], {"services": {VIP: "cluster"}, "node_ports": {PORT: "external"},
                               "unserved_node_ports": {PORT: "drop"}}, id="external local, none here"),
    pytest.param({"externalIPs": ["192.0.2.7", "fd00::7"]}, [NEAR],
                 {"services": {VIP: "cluster", "192.0.2.7 . tcp . 80": "external"}}, id="external address"),
    pytest.param(BALANCED, [NEAR], {"services": {VIP: "cluster", "192.0.2.9 . tcp . 80": "external"}}, id="load balancer"),
    pytest.param({**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24"]}, [NEAR],
                 {"services": {VIP: "cluster", "192.0.2.9 . tcp . 80": "external"},
                  "guarded": {"192.0.2.9 . tcp . 80": "guard"}}, id="load balancer for some"),
])
def test_where_packets_go(about, endpoints, expected):
    assert of_maps(part(service(**about), slices(*endpoints), HERE)) == expected


@pytest.mark.parametrize("about", [
    pytest.param({"clusterIP": "None", "clusterIPs": ["None"]}, id="headless"),
    pytest.param({"type": "ExternalName", "externalName": "example.com", "clusterIP": "", "clusterIPs": []}, id="a name"),
    pytest.param({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}, id="the other family"),
])
def test_without_an_address(about):
    assert part(service(**about), slices(NEAR), HERE) is None


@pytest.mark.parametrize("about, here, expected", [
    pytest.param({}, HERE, {
        f"endpoint/{NEAR}/8080": [f"ip saddr {NEAR} jump masquerade_later", f"meta l4proto tcp dnat to {NEAR}:8080"],
        f"endpoint/{FAR}/8080": [f"ip saddr {FAR} jump masquerade_later", f"meta l4proto tcp dnat to {FAR}:8080"],
        "cluster": [f"numgen random mod 2 vmap {{ 0 : goto endpoint/{NEAR}/8080, 1 : goto endpoint/{FAR}/8080 }}"],
    }, id="by chance"),
    pytest.param({}, HERE._replace(sees_bridged=False), {
        f"endpoint/{NEAR}/8080": ["ip saddr 10.88.1.0/24 jump masquerade_later", f"meta l4proto tcp dnat to {NEAR}:8080"],
        f"endpoint/{FAR}/8080": [f"ip saddr {FAR} jump masquerade_later", f"meta l4proto tcp dnat to {FAR}:8080"],
        "cluster": [f"numgen random mod 2 vmap {{ 0 : goto endpoint/{NEAR}/8080, 1 : goto endpoint/{FAR}/8080 }}"],
    }, id="pods of one bridge, unseen"),
    pytest.param({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, HERE, {
        f"endpoint/{NEAR}/8080": [f"ip saddr {NEAR} jump masquerade_later", f"update @affinity/{NEAR}/8080/5s {{ ip saddr }}",
                                  f"meta l4proto tcp dnat to {NEAR}:8080"],
        f"endpoint/{FAR}/8080": [f"ip saddr {FAR} jump masquerade_later", f"update @affinity/{FAR}/8080/5s {{ ip saddr }}",
                                 f"meta l4proto tcp dnat to {FAR}:8080"],
        "cluster": [f"ip saddr @affinity/{NEAR}/8080/5s goto endpoint/{NEAR}/8080",
                    f"ip saddr @affinity/{FAR}/8080/5s goto endpoint/{FAR}/8080",
                    f"numgen random mod 2 vmap {{ 0 : goto endpoint/{NEAR}/8080, 1 : goto endpoint/{FAR}/8080 }}"],
    }, id="the same again"),
    pytest.param(OPEN, HERE, {"external": ["jump masquerade_later", "goto cluster"]}, id="from outside"),
    pytest.param(KEPT, HERE, {"local": [f"goto endpoint/{NEAR}/8080"], "external": [
        "ip saddr 10.88.1.0/24 goto cluster", "fib saddr type local jump masquerade_later",
        "fib saddr type local goto cluster", "goto local"]}, id="from outside, to this node's own"),
])
def test_ways(about, here, expected):
    made = part(service(**about), slices(NEAR, FAR), here)
    chains = {name: [rule.replace("/shop/web/tcp/80", "") for rule in rules] for name, rules in made.chains.items()}
    chains = {name.replace("/shop/web/tcp/80", ""): rules for name, rules in chains.items()}
    assert {name: chains[name] for name in expected} == expected


def test_affinity_lasts_as_long_as_it_says():
    made = part(service(sessionAffinity="ClientIP"), slices(NEAR), HERE)
    assert list(made.sets.values()) == ["type ipv4_addr; flags dynamic,timeout; timeout 10800s;"]


def test_datagrams():
    made = part(service(port={"protocol": "UDP", "port": 53}), slices(NEAR, protocol="UDP"), HERE)
    assert made.elements["services", "10.96.0.7 . udp . 53"] == "goto cluster/shop/web/udp/53"
    assert f"meta l4proto udp dnat to {NEAR}:8080" in made.chains[f"endpoint/shop/web/udp/53/{NEAR}/8080"]


def test_flows_of_datagrams_end_with_their_endpoint():
    table = Table("muster", frame(HERE, "10.96.0.0/16"))
    for name, about in (("names", {"protocol": "UDP", "port": 53}), ("web", {})):
        table.put(("shop", name), part(service(port=about), slices(NEAR, FAR, protocol=about.get("protocol", "TCP")), HERE))
    assert ended_flows(table.leaving()) == [], "nothing is known of what was there before"
    table.done()
    table.put(("shop", "names"), part(service(port={"protocol": "UDP", "port": 53}), slices(NEAR, protocol="UDP"), HERE))
    table.put(("shop", "web"), None)
    assert ended_flows(table.leaving()) == [(FAR, 8080)]


# ------------------------------------------------------------------ scripts

class Kernel:
    """What nft would make of a script: it knows what is there, and refuses what names something that is not."""

    def __init__(self):
        self.chains, self.sets, self.elements = {}, {}, {}

    def carry_out(self, script):
        for line in script.splitlines():
            self.step(line)
        named = " ".join([*(rule for rules in self.chains.values() for rule in rules), *self.elements.values()])
        for name in re.findall(r"(?:goto|jump) ([\w./-]+/[\w./-]+)", named):
            assert name in self.chains, f"a rule leads to {name}"
        for name in re.findall(r"@([\w./-]+/[\w./-]+)", named):
            assert name in self.sets, f"a rule asks {name}"

    def step(self, line):
        match line.split(" ", 6):
            case ["delete", "table", *_]:
                self.__init__()
            case ["add", "set", _, _, name, *_]:
                assert name not in self.sets
                self.sets[name] = line.split(" ", 5)[5]
            case ["add", "chain", _, _, name]:
                assert name not in self.chains
                self.chains[name] = []
            case ["add", "rule", _, _, name, *_]:
                self.chains[name].append(line.split(" ", 5)[5])
            case ["flush", "chain", _, _, name]:
                self.chains[name] = []
            case ["add", "element", _, _, name, *_]:
                key, _, verdict = line.split(" ", 5)[5].strip("{ }").partition(" : ")
                assert (name, key) not in self.elements, "it is there"
                self.elements[name, key] = verdict
            case ["delete", "element", _, _, name, *_]:
                del self.elements[name, line.split(" ", 5)[5].strip("{ }")]
            case ["delete", "chain", _, _, name]:
                assert not self.chains.pop(name), "it has rules"
                assert not any(f"goto {name}" in verdict for verdict in self.elements.values()), "it is in use"
            case ["delete", "set", _, _, name]:
                del self.sets[name]
                assert not any(f"@{name} " in rule for rules in self.chains.values() for rule in rules), "it is in use"


ABOUT = st.sampled_from([{}, OPEN, KEPT, {"sessionAffinity": "ClientIP"}, {"internalTrafficPolicy": "Local"},
                         {"externalIPs": ["192.0.2.7"]}, {"externalIPs": ["192.0.2.7", "192.0.2.8"]}])
STEP = st.tuples(st.sampled_from("abc"), st.none() | st.tuples(ABOUT, st.sets(st.sampled_from([NEAR, FAR]))))


def named(made, name):
    """The same part, of a service with another name and address."""
    def mine(text):
        return text.replace("/web/", f"/{name}/").replace("10.96.0.7", f"10.96.0.{ord(name)}").replace("30080", str(ord(name)))
    return Part({mine(one): tuple(mine(rule) for rule in rules) for one, rules in made.chains.items()},
                {mine(one): said for one, said in made.sets.items()},
                {(one, mine(key)): mine(verdict) for (one, key), verdict in made.elements.items()})


@given(st.lists(st.tuples(st.lists(STEP, max_size=4), st.sampled_from(["done", "done", "done", "lost"])), max_size=8))
def test_scripts_lead_to_what_is_wanted(rounds):
    """In steps, and whatever was between, the kernel has what a fresh start would give it; once there, nothing is done."""
    table, kernel, wanted = Table("muster", frame(HERE, "10.96.0.0/16")), Kernel(), {}
    for steps, outcome in rounds:
        for name, about in steps:
            made = None if about is None else named(part(service(**about[0]), slices(*sorted(about[1])), HERE), name)
            wanted[name] = made
            table.put(("shop", name), made)
        if outcome == "lost":  # the script was refused as a whole, or the node was made anew
            table.lost()
            kernel = Kernel()
            continue
        kernel.carry_out(table.script())
        table.done()
        assert table.script() == ""
    fresh, other = Table("muster", ""), Kernel()
    for name, made in wanted.items():
        fresh.put(("shop", name), made)
    if rounds and rounds[-1][1] == "done":
        other.carry_out(fresh.script())
        assert (kernel.chains, kernel.sets, kernel.elements) == (
            other.chains, other.sets, other.elements)


def test_a_small_change_is_a_small_script():
    table = Table("muster", frame(HERE, "10.96.0.0/16"))
    for name in "abcdefgh":
        table.put(("shop", name), named(part(service(), slices(NEAR, FAR), HERE), name))
    assert table.script().startswith("add table ip muster\ndelete table ip muster\n")
    table.done()
    table.put(("shop", "b"), named(part(service(), slices(NEAR), HERE), "b"))
    assert table.script().splitlines() == [
        "flush chain ip muster cluster/shop/b/tcp/80", f"flush chain ip muster endpoint/shop/b/tcp/80/{FAR}/8080",
        f"add rule ip muster cluster/shop/b/tcp/80 goto endpoint/shop/b/tcp/80/{NEAR}/8080",
        f"delete chain ip muster endpoint/shop/b/tcp/80/{FAR}/8080"]
