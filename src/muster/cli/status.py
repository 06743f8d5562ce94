"""`muster status`, `muster kubeconfig`, `muster version`."""
from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from ..api.objects import at, is_true
from ..client.client import Client
from ..data_directory import DataDirectory, Unusable
from .connection import ask
from .listing import columns


def show(data: DataDirectory) -> None:
    running = data.running()
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
    print(columns(("", ""), [(f"{name}:", text) for name, text in rows]).lstrip("\n"))


def kubeconfig_path(data: DataDirectory) -> str:
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
