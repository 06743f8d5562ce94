"""`make demo`: a daemon on every node, as it happens.

Starts a cluster in a process of its own (or uses the one that the last demo left running), applies the
DaemonSet of examples/filebeat-ds.yaml, draws each node as its daemon lands, and says how to go on.
"""
from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ..api.apply import recorded
from ..api.errors import AlreadyExists, Timeout
from ..api.kinds.daemonset import DAEMONSET
from ..api.kinds.kind import Kind
from ..api.kinds.pod import POD
from ..api.kinds.pod_columns import Summary, summary
from ..api.objects import Key, Obj, at, labels_of, name_of
from ..api.tables import table
from ..client.mirror import Mirror
from ..client.remote import RemoteClient
from ..clock import Clock
from ..data_directory import DataDirectory
from ..manifests import read_manifests
from .connection import ask
from .listing import columns
from .up import spawn

AGENT = Key("daemonsets.apps", "kube-system", "filebeat-ds")
MOST_ROWS = 40
EXAMPLE = "filebeat-ds.yaml"
NO_LONGER_THAN_S = 120.0
COLOURS = {"Running": "yellow", "Pending": "yellow", "ContainerCreating": "cyan", "Terminating": "magenta"}


def run(data: DataDirectory, node_count: int, console: Console | None = None) -> None:
    console = console or Console(highlight=False)
    data.prepare()
    if data.running() is None:
        console.print(f"Starting a cluster of {node_count} nodes in {_short(data.path)} ...")
        spawn(["up", "--data-dir", str(data.path), "--nodes", str(node_count)], data)
    running = data.running()
    console.print(f"The API server listens on [bold]{running.url if running else ''}[/bold].")

    async def show(client: RemoteClient) -> tuple[Obj, list[Obj]]:
        return await _land(client, console)

    daemonset, pods = ask(data, show)
    console.print()
    now = Clock().now()
    for kind, objects in ((DAEMONSET, [daemonset]), (POD, pods[:MOST_ROWS])):
        console.print(f"\n{_printed(kind, objects, now)}", soft_wrap=True)
    console.print()
    _print_how_to_go_on(console, data)


async def _land(client: RemoteClient, console: Console) -> tuple[Obj, list[Obj]]:
    """Applies the manifest and draws until every node has its daemon; returns the set and its pods."""
    mirror = Mirror(client, ["nodes", "pods", AGENT.resource])
    changed = asyncio.Event()
    mirror.on_change(lambda change: changed.set())
    following = asyncio.create_task(mirror.run())
    try:
        async with asyncio.timeout(NO_LONGER_THAN_S):
            await mirror.synced()
            console.print("Applying examples/filebeat-ds.yaml: one log shipper for each node.\n")
            await _apply(client)
            with Live(_picture(mirror), console=console, refresh_per_second=12, transient=False) as live:
                while not _is_complete(mirror):
                    changed.clear()
                    await changed.wait()
                    live.update(_picture(mirror))
        daemonset = mirror.get(AGENT)
        assert daemonset is not None, "it is complete, so it is there"
        return daemonset, list(_daemons(mirror).values())
    except TimeoutError:
        raise Timeout("the daemons did not all become ready in time; see `kubectl -n kube-system get pods`") from None
    finally:
        following.cancel()


async def _apply(client: RemoteClient) -> None:
    try:
        for _, manifest in read_manifests(_example()):
            await client.create(recorded(manifest))
    except AlreadyExists:
        return  # the last demo left it: the picture shows it as it is


def _example() -> Path:
    """The manifest: of the checkout this runs from, else the copy that is installed beside the package."""
    checkout = Path(__file__).parents[3] / "examples" / EXAMPLE
    return checkout if checkout.is_file() else Path(__file__).parents[1] / "examples" / EXAMPLE


def _is_complete(mirror: Mirror) -> bool:
    status = at(mirror.get(AGENT) or {}, "status", {})
    nodes = len(mirror.objects("nodes"))
    return nodes > 0 and status.get("desiredNumberScheduled") == nodes == status.get("numberAvailable") \
        and status.get("observedGeneration") == at(mirror.get(AGENT) or {}, "metadata.generation")


def _daemons(mirror: Mirror) -> Mapping[str, Obj]:
    """The set's pods by the node they are on."""
    found = {}
    for pod in mirror.in_namespace("pods", AGENT.namespace).values():
        if labels_of(pod).get("name") == "filebeat":
            found[pod["spec"].get("nodeName", "")] = pod
    return found


def _picture(mirror: Mirror) -> Table:
    daemons = _daemons(mirror)
    nodes = sorted(mirror.objects("nodes").values(), key=name_of)
    found = [(node, daemons.get(name_of(node))) for node in nodes]
    rows = [(node, pod, summary(pod) if pod is not None else None) for node, pod in found]
    up = sum(1 for _, _, state in rows if state is not None and _is_up(state))
    picture = Table(title=f"{up} of {len(nodes)} nodes have their daemon", title_justify="left", box=None,
                    pad_edge=False)
    for heading in ("NODE", "POD", "STATUS"):
        picture.add_column(heading)
    for node, pod, state in rows[:MOST_ROWS]:
        if pod is None or state is None:
            picture.add_row(name_of(node), "", "[dim]○[/]")
            continue
        is_up = _is_up(state)
        colour = "green" if is_up else COLOURS.get(state.status, "red")
        picture.add_row(name_of(node), name_of(pod), f"[{colour}]{'●' if is_up else '○'} {state.status}[/]")
    if len(nodes) > MOST_ROWS:
        picture.add_row(f"... and {len(nodes) - MOST_ROWS} more", "", "")
    return picture


def _is_up(state: Summary) -> bool:
    return state.status == "Running" and state.ready == state.containers


def _printed(kind: Kind, objects: Iterable[Obj], now: float) -> str:
    """The objects as `kubectl get` prints them, pods with their address and node."""
    found = table(kind, objects, now, "None")
    shown = [place for place, column in enumerate(found["columnDefinitions"])
             if column["priority"] == 0 or column["name"] in ("IP", "Node")]
    head = [found["columnDefinitions"][place]["name"].upper() for place in shown]
    return columns(head, [[str(row["cells"][place]) for place in shown] for row in found["rows"]])


def _print_how_to_go_on(console: Console, data: DataDirectory) -> None:
    muster = shutil.which("muster") or ".venv/bin/muster"
    at_dir = f" --data-dir {_short(data.path)}"
    lines = ["The cluster goes on running. Go on with kubectl:", "",
             f"  export KUBECONFIG={_short(data.kubeconfig)}",
             "  kubectl -n kube-system get pods -o wide",
             "  kubectl -n kube-system set image ds filebeat-ds filebeat=docker.elastic.co/beats/filebeat:6.8.12",
             "  kubectl -n kube-system rollout status ds filebeat-ds", "",
             "Add a node and see its daemon land, then stop:", "",
             f"  {muster} pool resize default-pool --nodes 5{at_dir}",
             f"  {muster} down{at_dir}"]
    if shutil.which("kubectl") is None:
        lines.insert(0, "(There is no kubectl on this machine yet: https://kubernetes.io/docs/tasks/tools/)")
    console.print("\n".join(lines), soft_wrap=True)


def _short(path: Path) -> str:
    """`~/.muster/demo` for what is below the home directory; shells expand it again."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
