"""`muster status`, `muster kubeconfig`, `muster version`."""
from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from ..api.errors import ApiError
from ..api.objects import Key, at, condition, is_true
from ..client.client import Client
from ..data_directory import DataDirectory, Running, Unusable
from ..node import membership
from ..node.membership import Membership
from .connection import ask, ask_as, check_not_joined
from .listing import columns


def show(data: DataDirectory) -> None:
    member, running = membership.load(data.path), data.running()
    if member is not None:
        show_node(data, member, running)
        return
    if running is None:
        raise Unusable(f"no cluster is running on {data.path}; start one with `muster up`")

    async def look(client: Client) -> list[tuple[str, str]]:
        nodes = (await client.list("nodes")).items
        pods = (await client.list("pods")).items
        daemonsets = (await client.list("daemonsets.apps")).items
        wanted = sum(at(one, "status.desiredNumberScheduled", 0) for one in daemonsets)
        available = sum(at(one, "status.numberAvailable", 0) for one in daemonsets)
        return [("Nodes", f"{sum(is_true(node, 'Ready') for node in nodes)} of {len(nodes)} ready"),
                ("Pods", f"{sum(at(pod, 'status.phase') == 'Running' for pod in pods)} of {len(pods)} running"),
                ("DaemonSets", f"{len(daemonsets)}, {available} of {wanted} daemons available")]

    found = ask(data, look)
    rows = [("Server", f"running (pid {running.pid})"), ("URL", running.url),
            *([("DNS", running.dns)] if running.dns else ()),
            ("Data", str(data.path)), ("Kubeconfig", str(data.kubeconfig)), *found]
    _print(rows)


def show_node(data: DataDirectory, member: Membership, running: Running | None) -> None:
    """Of a machine that has joined a cluster elsewhere: what its own certificate lets it see."""
    if running is None:
        raise Unusable(f"node {member.node} of {member.config.server} does not run here; start it again with "
                       f"`muster node join --data-dir {data.path}`")

    async def look(client: Client) -> list[tuple[str, str]]:
        node = await client.get(Key("nodes", "", member.node))
        pods = (await client.list("pods", fields=f"spec.nodeName={member.node}")).items
        ready = condition(node, "Ready") or {}
        return [("Ready", "yes" if ready.get("status") == "True" else f"no: {ready.get('message') or 'not yet'}"),
                ("Pods", f"{sum(at(pod, 'status.phase') == 'Running' for pod in pods)} of {len(pods)} running")]

    try:
        found = ask_as(member.config, look)
    except ApiError as error:
        found = [("Ready", f"not known: {error}")]
    _print([("Node", f"{member.node} (pid {running.pid})"), ("Cluster", member.config.server), ("Data", str(data.path)),
            *found])


def _print(rows: list[tuple[str, str]]) -> None:
    print(columns(("", ""), [(f"{name}:", text) for name, text in rows]).lstrip("\n"))


def kubeconfig_path(data: DataDirectory) -> str:
    check_not_joined(data)
    if not data.kubeconfig.is_file():
        raise Unusable(f"there is no cluster in {data.path} yet; start one with `muster up`")
    return str(data.kubeconfig)


def version() -> str:
    from ..server.health import KUBERNETES_VERSION
    try:
        number = installed("muster")
    except PackageNotFoundError:
        number = "(not installed: run from its source)"
    return f"muster {number}, serving Kubernetes {KUBERNETES_VERSION}"
