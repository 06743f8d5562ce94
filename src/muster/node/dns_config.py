"""Which name servers a pod asks, and in which domains: its resolv.conf by dnsPolicy and dnsConfig.

    ClusterFirst               the cluster's server; NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN; ndots:5
    Default                    what the node itself asks
    ClusterFirst, on the host's network: as Default; ClusterFirstWithHostNet: as ClusterFirst
    None                       only what dnsConfig says

Where the cluster has no name server (`cluster` is ""), ClusterFirst is as Default.
https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy
"""
from __future__ import annotations

from typing import NamedTuple

from ..api.objects import Obj, namespace_of

MOST_SERVERS, MOST_SEARCHES = 3, 32


class DnsConfig(NamedTuple):
    servers: list[str]
    searches: list[str]
    options: list[str]


NOTHING = DnsConfig([], [], [])


def parse(text: str) -> DnsConfig:
    """A resolv.conf: resolv.conf(5)."""
    servers, searches, options = list[str](), list[str](), list[str]()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search", *domains]:
                searches = [domain for domain in domains if domain != "."]
            case ["options", *said]:
                options = said
    return DnsConfig(servers, searches, options)


def in_reach(host: DnsConfig, cluster: str) -> DnsConfig:
    """What the machine asks, for those who live in other network namespaces on it.

    A server on the machine's loopback (systemd-resolved) is not there for them: the cluster's asks it for them.
    """
    servers = [cluster if server.startswith("127.") or server == "::1" else server for server in host.servers]
    return host._replace(servers=_each_once([server for server in servers if server]))


def dns_config(pod: Obj, cluster: str, domain: str, host: DnsConfig) -> DnsConfig:
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and cluster:
        usual = DnsConfig([cluster], [f"{namespace_of(pod)}.svc.{domain}", f"svc.{domain}", domain, *host.searches],
                          ["ndots:5"])
    else:
        usual = NOTHING if policy == "None" else host
    own = spec.get("dnsConfig") or {}
    options = dict(_split(option) for option in usual.options)
    options |= {one["name"]: one.get("value") or "" for one in own.get("options") or ()}
    return DnsConfig(
        _each_once([*usual.servers, *(own.get("nameservers") or ())])[:MOST_SERVERS],
        _each_once([*usual.searches, *(own.get("searches") or ())])[:MOST_SEARCHES],
        [f"{name}:{value}" if value else name for name, value in options.items()])


def _split(option: str) -> tuple[str, str]:
    name, _, value = option.partition(":")
    return name, value


def _each_once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
