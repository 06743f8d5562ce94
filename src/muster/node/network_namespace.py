"""The network under real nodes: a bridge on the host, and for each node a network namespace of its own on it.

    10.88.0.0/16   the cluster          10.88.0.1     the host, on the bridge
    10.88.0.0/24   the nodes            10.88.0.N+1   node N, its eth0
    10.88.N.0/24   the pods of node N   10.88.N.1     node N, on the bridge of its pods (made by CNI)

Each node knows a plain route to the pods of every other one; what leaves the cluster is masqueraded by the host.
So a node has its own address, host ports, rules and interfaces, as if it were a machine.  All names hold the
cluster's tag: whatever was left behind is found by it, and taken away.  What pods see of Services and names is not
here but in network/.
"""
from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..api.objects import Obj
from ..server.service_addresses import IP_RANGE
from .host_command import CommandFailed, attempt, run

__all__ = ["CommandFailed"]

CANDIDATES = tuple(f"10.{second}.0.0/16" for second in range(88, 120))
PROTOCOL = "77"  # what routes to other machines are told by
NAMESPACES = Path("/run/netns")
RULES_WITHIN_S = 300.0  # 2,000 services take 4 s at the start, and 0.2 s when one changes
BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class Unusable(Exception):
    """The host's network can not be used so; the message says what to change."""


class Fabric(NamedTuple):
    tag: str  # of the cluster: six hexadecimal digits
    cidr: str  # a /16

    @property
    def bridge(self) -> str:
        return f"muster{self.tag}"

    @property
    def table(self) -> str:
        return f"muster_{self.tag}"

    @property
    def gateway(self) -> str:
        return f"{self._stem}.0.1"

    @property
    def _stem(self) -> str:
        return ".".join(self.cidr.split(".")[:2])

    def node_address(self, number: int) -> str:
        return f"{self._stem}.0.{number + 1}"

    def pod_cidr(self, number: int) -> str:
        return f"{self._stem}.{number}.0/24"

    def veth(self, number: int) -> str:
        return f"m{self.tag}n{number}"

    def namespace(self, node: str) -> str:
        return f"muster-{self.tag}-{node}"

    def namespace_path(self, node: str) -> Path:
        return NAMESPACES / self.namespace(node)


async def choose(tag: str, asked: str, last: str) -> Fabric:
    """The cluster's network: the one asked for, else the one it had, else the first that is free.  Raises Unusable."""
    if asked:
        check_cidr(asked)
    taken = await _taken(f"muster{tag}", last)
    if asked:
        if (other := _overlapping(asked, taken)) is not None:
            raise Unusable(f"--cluster-cidr {asked}: {other} is in use on this machine; choose another one")
        return Fabric(tag, asked)
    taken.append(str(IP_RANGE))
    for cidr in (last, *CANDIDATES) if last else CANDIDATES:
        if _overlapping(cidr, taken) is None:
            return Fabric(tag, cidr)
    raise Unusable("every network from 10.88.0.0/16 to 10.119.0.0/16 is in use on this machine; "
                   "name a free one with --cluster-cidr")


def check_cidr(asked: str) -> None:
    """Can nodes and pods have their addresses there, whatever else is on the machine?  Raises Unusable."""
    try:
        network = ipaddress.ip_network(asked)
    except ValueError as error:
        raise Unusable(f"--cluster-cidr {asked}: {error}") from None
    if network.version != 4 or network.prefixlen != 16:
        raise Unusable(f"--cluster-cidr {asked}: a network of 16 bits is needed, such as 10.88.0.0/16")
    if network.overlaps(IP_RANGE):
        raise Unusable(f"--cluster-cidr {asked}: services have their addresses there; choose another one")


async def _taken(own: str, last: str) -> list[str]:
    """The networks that this machine has routes to, but for the default route and our own."""
    routes = json.loads(await run("ip", "-json", "-4", "route", "show", "table", "all"))
    ours = {route.get("gateway") for route in routes if route.get("dev") == own} - {None}
    return sorted({route["dst"] for route in routes if route.get("dev") != own and route["dst"] != "default"
                   and route.get("type") not in ("broadcast", "multicast") and route.get("gateway") not in ours
                   and not (last and _leads_to_machine(route, last))})


def _leads_to_machine(route: Obj, cidr: str) -> bool:
    """Is it a route of ours to the pods on another machine?"""
    return route.get("protocol") == PROTOCOL and route["dst"] != "default" and ipaddress.ip_network(
        route["dst"]).subnet_of(ipaddress.ip_network(cidr))  # type: ignore[arg-type]


async def lead(fabric: Fabric, nodes: Iterable[str], wanted: Mapping[str, str], gone: Iterable[str]) -> None:
    """Networks on other machines (and the addresses of these machines), for this one and for its nodes.

    Raises CommandFailed for a machine that is on no network of this one.
    """
    for network in gone:
        await attempt("ip", "route", "delete", network, "proto", PROTOCOL)
    for network, machine in wanted.items():
        await run("ip", "route", "replace", network, "via", machine, "proto", PROTOCOL)
        if network.endswith("/32"):  # a node's own address, which the others would look for on their bridge
            for node in nodes:
                await run("ip", "-netns", fabric.namespace(node), "route", "replace", network, "via", fabric.gateway)


async def _forget_machines(fabric: Fabric) -> None:
    listed = await run("ip", "-json", "-4", "route", "show", "proto", PROTOCOL)
    for route in json.loads(listed or "[]"):
        if _leads_to_machine({**route, "protocol": PROTOCOL}, fabric.cidr):
            await attempt("ip", "route", "delete", route["dst"], "proto", PROTOCOL)


def _overlapping(cidr: str, taken: Iterable[str]) -> str | None:
    wanted = ipaddress.ip_network(cidr)
    return next((one for one in taken if wanted.overlaps(ipaddress.ip_network(one, strict=False))), None)


async def build_fabric(fabric: Fabric) -> None:
    """The host's side.  What is there already stays."""
    if not BRIDGED.exists():
        await attempt("modprobe", "br_netfilter")
    await attempt("ip", "link", "add", fabric.bridge, "type", "bridge")
    await run("ip", "link", "set", fabric.bridge, "up")
    await run("ip", "addr", "replace", f"{fabric.gateway}/24", "dev", fabric.bridge)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    await run("nft", "-f", "-", given=(
        f"add table ip {fabric.table}\ndelete table ip {fabric.table}\n"
        f"table ip {fabric.table} {{\n"
        "  chain postrouting {\n    type nat hook postrouting priority srcnat;\n"
        f"    ip saddr {fabric.cidr} ip daddr != {fabric.cidr} masquerade\n  }}\n"
        "}\n"))
    await _open_firewall(fabric)


def _let_through(fabric: Fabric) -> list[list[str]]:
    comment = ["-m", "comment", "--comment", fabric.table]
    return [["FORWARD", way, fabric.bridge, *comment, "-j", "ACCEPT"] for way in ("-i", "-o")]


async def _open_firewall(fabric: Fabric) -> None:
    """Where the machine drops what it does not forward itself (Docker has it so), the bridge is an exception.

    A rule of ours in a table of our own could not overrule that.
    """
    if "-P FORWARD DROP" not in await run("iptables", "-S", "FORWARD"):
        return
    for rule in _let_through(fabric):
        if not await attempt("iptables", "-C", *rule):
            await run("iptables", "-I", *rule)


async def _close_firewall(fabric: Fabric) -> None:
    if fabric.table in await run("iptables", "-S", "FORWARD"):
        for rule in _let_through(fabric):
            await attempt("iptables", "-D", *rule)


async def build_node(fabric: Fabric, node: str, number: int, numbers: Iterable[int]) -> None:
    """A node's namespace, its address and its routes to the pods of the other `numbers`.  What is there stays."""
    namespace, veth, address = fabric.namespace(node), fabric.veth(number), fabric.node_address(number)
    if not fabric.namespace_path(node).exists():
        await run("ip", "netns", "add", namespace)
    if not await attempt("ip", "-netns", namespace, "link", "show", "eth0"):
        await attempt("ip", "link", "delete", veth)
        await run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    await run("ip", "link", "set", veth, "master", fabric.bridge, "up")
    lines = ["link set lo up", f"addr replace {address}/24 dev eth0", "link set eth0 up",
             f"route replace default via {fabric.gateway}"]
    lines += [f"route replace {fabric.pod_cidr(other)} via {fabric.node_address(other)}"
              for other in numbers if other != number]
    await run("ip", "-netns", namespace, "-batch", "-", given="\n".join(lines) + "\n")
    await run("nsenter", f"--net={fabric.namespace_path(node)}", "sh", "-c",
              f"echo 1 > /proc/sys/net/ipv4/ip_forward; ! test -e {BRIDGED} || echo 1 > {BRIDGED}")
    await run("ip", "route", "replace", fabric.pod_cidr(number), "via", address)


def sees_bridged() -> bool:
    """Does what goes from pod to pod over a node's bridge pass the node's rules?"""
    return BRIDGED.exists()


async def load_rules(fabric: Fabric, node: str, script: str) -> None:
    """Carries out all of a script for nft in the node's namespace, or nothing.  Raises CommandFailed."""
    await run("nsenter", f"--net={fabric.namespace_path(node)}", "nft", "-f", "-", given=script,
              within_s=RULES_WITHIN_S)


async def forget_flows(fabric: Fabric, node: str, answered: Iterable[tuple[str, int]]) -> None:
    """Datagrams that were answered from there are led anew.  Needs the program conntrack; without it they time out."""
    for address, port in answered:
        await attempt("nsenter", f"--net={fabric.namespace_path(node)}", "conntrack", "--delete", "--proto", "udp",
                      "--reply-src", address, "--reply-port-src", str(port))


async def remove_node(fabric: Fabric, node: str, number: int) -> None:
    await attempt("ip", "netns", "delete", fabric.namespace(node))
    await attempt("ip", "link", "delete", fabric.veth(number))
    await attempt("ip", "route", "delete", fabric.pod_cidr(number))


async def remove_fabric(fabric: Fabric) -> None:
    await attempt("nft", "delete", "table", "ip", fabric.table)
    await _forget_machines(fabric)
    await _close_firewall(fabric)
    await attempt("ip", "link", "delete", fabric.bridge)


def left_behind(tag: str) -> list[str]:
    """The namespaces of this cluster that are there."""
    stem = f"muster-{tag}-"
    try:
        return sorted(path.name for path in NAMESPACES.iterdir() if path.name.startswith(stem))
    except OSError:
        return []
