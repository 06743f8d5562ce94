"""The `muster` command.  Each command imports what it needs when it runs, so that `muster --help` is quick.

Whatever goes wrong is one sentence on stderr and exit code 1: never a traceback.
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data_directory import DEFAULT, DataDirectory

app = typer.Typer(help="A Kubernetes workload plane in one process: kubectl talks to it, nodes are simulated or real.",
                  no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
nodes = typer.Typer(help="The nodes of the cluster.", no_args_is_help=True)
pool = typer.Typer(help="Groups of like nodes that can be resized.", no_args_is_help=True)
app.add_typer(nodes, name="nodes")
node = typer.Typer(help="This machine as a node of a cluster, and how others become one.", no_args_is_help=True)
app.add_typer(node, name="node")
app.add_typer(pool, name="pool")
history = typer.Typer(help="What was: a recording (`--record FILE`), or what a data directory still holds.",
                      no_args_is_help=True)
app.add_typer(history, name="history")

DataDir = Annotated[Path, typer.Option("--data-dir", envvar="MUSTER_DATA_DIR",
                                       help="Where the cluster lives.", show_default=DEFAULT)]
HOME = Path(DEFAULT)
NODE_DEFAULT = "~/.muster/node"
NodeDataDir = Annotated[Path, typer.Option("--data-dir", help="What this machine keeps as a node.",
                                           show_default=NODE_DEFAULT)]
KubeletConfig = Annotated[Path | None, typer.Option("--kubelet-config", metavar="FILE", help=(
    "A KubeletConfiguration for real nodes: evictions, image clean-up, reservations. Default: DATA/kubelet.yaml."))]
Output = Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")]


@app.command()
def up(
    node_count: Annotated[int | None, typer.Option("--nodes", min=0, max=20_000, help=(
        "Nodes in default-pool. A new cluster has 3 unless told otherwise."))] = None,
    pools: Annotated[list[str] | None, typer.Option(
        "--pool", metavar="NAME=N[,cpu=8,...]",
        help="A pool of nodes: NAME=N[,cpu=8,memory=32Gi,zone=A+B,role=R,taint=K=V:EFFECT,LABEL=VALUE...].")] = None,
    files: Annotated[list[Path] | None, typer.Option("-f", "--filename", help="Manifests to apply.")] = None,
    data_dir: DataDir = HOME,
    store: Annotated[str, typer.Option(help="sqlite (kept on disk) or memory.")] = "sqlite",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: the last one used here, or any free one.")] = 0,
    runtime: Annotated[str, typer.Option(help="simulated, or containers: real pods (Linux, root).")] = "",
    cluster_cidr: Annotated[str, typer.Option("--cluster-cidr", metavar="10.88.0.0/16", help=(
        "The network of real nodes and their pods. Default: the first free one."))] = "",
    images: Annotated[list[Path] | None, typer.Option(
        "--load-image", metavar="FILE.tar", help="Load images into real nodes.")] = None,
    image_map: Annotated[list[str] | None, typer.Option(
        "--image-map", metavar="PATTERN=IMAGE",
        help="On real nodes, run IMAGE where a manifest names one that matches (* and ?).")] = None,
    kubelet_config: KubeletConfig = None,
    pull: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long a node pulls an image.")] = None,
    start: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long a container takes to start.")] = None,
    ready: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long from started to ready.")] = None,
    task: Annotated[str | None, typer.Option(metavar="2s..6s", help=(
        "How long init containers and Jobs run, where their command does not tell."))] = None,
    stop: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long a container takes to stop.")] = None,
    missing_images: Annotated[list[str] | None, typer.Option(
        "--missing-image", metavar="PATTERN",
        help="Images that can not be pulled. Default: *non-existent* and *:404.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draw names, uids and delays from this seed.")] = None,
    dns_port: Annotated[int | None, typer.Option(
        "--dns-port", min=0, max=65535,
        help="Answer DNS for cluster.local there, over UDP and TCP. 0: any free port.")] = None,
    record: Annotated[Path | None, typer.Option(metavar="FILE", help=(
        "Keep the whole history there, for `muster history`; goes on in a file of the same cluster."))] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once the cluster is ready.")] = False,
) -> None:
    """Start a cluster, or resume the one in --data-dir."""
    from ..request import Request
    from .pools import DEFAULT_POOL, behaviour_from, parse_pool
    from .up import CONTAINERS, last_runtime, parse_image_map, run
    behaviour = behaviour_from(pull, start, ready, task, stop, missing_images or ())
    wanted = [parse_pool(text, behaviour) for text in pools or ()]
    data = DataDirectory(data_dir)
    runtime = runtime or last_runtime(data)
    if node_count is not None and runtime != CONTAINERS:
        wanted.insert(0, parse_pool(f"{DEFAULT_POOL}={node_count}", behaviour))
    run(Request(data, store, host, port, runtime, tuple(wanted), behaviour, tuple(files or ()), seed, node_count,
                cluster_cidr, tuple(path.absolute() for path in images or ()), parse_image_map(image_map or ()),
                kubelet_config.absolute() if kubelet_config else None, dns_port, record), detach=detach)


@app.command()
def down(data_dir: DataDir = HOME) -> None:
    """Stop the cluster. What it holds stays in --data-dir."""
    from .up import stop
    stop(DataDirectory(data_dir))


@app.command()
def status(data_dir: DataDir = HOME) -> None:
    """Say whether the cluster runs, and what is on it."""
    from .status import show
    show(DataDirectory(data_dir))


@app.command()
def kubeconfig(data_dir: DataDir = HOME) -> None:
    """Print the path of the kubeconfig: export KUBECONFIG=$(muster kubeconfig)."""
    from .status import kubeconfig_path
    typer.echo(kubeconfig_path(DataDirectory(data_dir)))


@app.command()
def demo(data_dir: DataDir = Path("~/.muster/demo"),
         node_count: Annotated[int, typer.Option("--nodes", min=1, max=1000)] = 4) -> None:
    """A daemon on every node, live: start a cluster, apply a DaemonSet, watch its pods land."""
    from .demo import run
    run(DataDirectory(data_dir), node_count)


@app.command()
def bench(
    names: Annotated[list[str], typer.Argument(metavar="BENCH", help=(
        "ds-create, ds-roll, ds-idle, ds-delete, deploy-create, deploy-roll, api-create, api-get, api-put, "
        "api-delete, api-list, watch-fanout, cold-start, rehearse, rehearse-runs, or all."))],
    node_count: Annotated[int | None, typer.Option(
        "--nodes", min=1, max=20_000, show_default="1000; cold-start: 3; rehearse-runs: 250",
        help="Simulated nodes, without delays.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often; told are the medians.")] = 1,
    connections: Annotated[int | None, typer.Option(min=1, max=20_000, help="Connections that ask, or watch.",
                                                    show_default="32; api-list: 1; watch-fanout: 1000")] = None,
    seconds: Annotated[float, typer.Option(min=0.05, max=3600, help="Of each kind of request.")] = 1.0,
    kubeconfig: Annotated[Path | None, typer.Option(help="Measure this server instead of one of Muster's.")] = None,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json (lines, with all figures).")] = "table",
) -> None:
    """Measure what a cluster costs, through its front door: TLS, a store on disk, all controllers."""
    from ..bench.request import request
    from ..bench.run import run
    run(request(names, nodes=node_count, runs=runs, connections=connections, seconds=seconds, kubeconfig=kubeconfig,
                output=output))


@app.command()
def rehearse(
    files: Annotated[list[Path] | None, typer.Option("-f", "--filename", help="What is applied.")] = None,
    on: Annotated[list[Path] | None, typer.Option("--on", metavar="SNAPSHOT|KUBECONFIG", help=(
        "What is there before: a dump (kubectl get ... -o yaml), manifests, or a cluster (only read)."))] = None,
    node_count: Annotated[int | None, typer.Option("--nodes", min=1, max=20_000, help="So many nodes.")] = None,
    pools: Annotated[list[str] | None, typer.Option(
        "--pool", metavar="NAME=N[,cpu=8,...]", help="A pool of nodes, as `muster up --pool` takes it.")] = None,
    settings: Annotated[list[str] | None, typer.Option(
        "--set", metavar="KIND/NAME.FIELD=A[,B...]",
        help="Alternatives, compared side by side: ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable=1,10%.",
    )] = None,
    restart: Annotated[list[str] | None, typer.Option(
        "--restart", metavar="KIND/NAME", help="As `kubectl rollout restart` would, after all files.")] = None,
    pull: Annotated[str | None, typer.Option(metavar="20s..90s", help=(
        "How long a pull takes: 20s, 20s..90s, lognormal(p50=30s,p95=2m), or measured (in the snapshot)."))] = None,
    start: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long a container takes to start.")] = None,
    ready: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long from started to ready.")] = None,
    task: Annotated[str | None, typer.Option(metavar="2s..6s", help=(
        "How long init containers and Jobs run, where their command does not tell."))] = None,
    stop: Annotated[str | None, typer.Option(metavar="1s..3s", help="How long a container takes to stop.")] = None,
    fail: Annotated[list[str] | None, typer.Option("--fail", metavar="2%[@1h,for=5m,by=pull]", help=(
        "So many pods never start."))] = None,
    kill_node: Annotated[list[str] | None, typer.Option("--kill-node", metavar="3%@10m[,for=10m]", help=(
        "So many nodes fall silent."))] = None,
    skew: Annotated[list[str] | None, typer.Option("--skew", metavar="3%=-2m..2m[@10m,for=1h]", help=(
        "The clocks of so many nodes are wrong by so much."))] = None,
    until: Annotated[str, typer.Option(metavar="stable|2h", help="When it is over.")] = "stable",
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="Of each alternative, each on its own luck.")] = 1,
    seed: Annotated[str, typer.Option(help="The same seed gives the same history, byte for byte.")] = "0",
    jobs: Annotated[int | None, typer.Option(min=1, max=256, show_default="all cores", help="Processes.")] = None,
    laws: Annotated[str, typer.Option(metavar="all|first|none", show_default="first, up to 1,000 nodes", help=(
        "Which runs of each alternative are held to Muster's laws for its own controllers."))] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="text, json, svg, png or html.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", help="Write it there instead of to the terminal.")] = None,
    record: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Keep the history of the first run there, for `muster history`.")] = None,
) -> None:
    """Play through what applying these files would do: the same controllers, in virtual time."""
    from ..rehearsal.options import options
    from .pools import DEFAULT_POOL, parse_pool
    from .rehearse import run
    described = [parse_pool(text) for text in pools or ()]
    if node_count is not None:
        described.insert(0, parse_pool(f"{DEFAULT_POOL}={node_count}"))
    run(options(files=files or (), on=on or (), pools=described, settings=settings or (), restart=restart or (),
                lengths={"pull": pull, "start": start, "ready": ready, "task": task, "stop": stop},
                fail=fail or (), kill_node=kill_node or (), skew=skew or (), until=until, runs=runs, seed=seed,
                jobs=jobs, output=output, out=out, laws=laws, record=record))


@app.command()
def why(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=(
        "A pod (or else a node) by its name, or KIND/NAME: pod/web-0, node/n1, ds/agent, deploy, rs, sts, job, rc."))],
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Where it is.",
                                           show_default="the kubeconfig's")] = "",
    kubeconfig: Annotated[Path | None, typer.Option(help="Ask this API server instead of --data-dir's.")] = None,
    data_dir: DataDir = HOME,
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
) -> None:
    """Say why a pod, a workload or a node is not as it should be, and the smallest change that would help."""
    from .why import Question, run
    run(Question.of(target, namespace, output), DataDirectory(data_dir), kubeconfig)


@nodes.command("list")
def nodes_list(data_dir: DataDir = HOME, output: Output = "table") -> None:
    """List the nodes as a cloud's console would."""
    from .fleet import list_nodes
    list_nodes(DataDirectory(data_dir), output)


@node.command("token")
def node_token(
    data_dir: DataDir = HOME,
    ttl: Annotated[str, typer.Option(help="How long it lets machines in; 0: for ever.")] = "24h",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Print the command with which another machine joins the cluster that runs here."""
    from .node import make_token
    make_token(DataDirectory(data_dir), ttl, description)


@node.command("join")
def node_join(
    server: Annotated[str, typer.Option(metavar="URL", help="The cluster's server: https://192.0.2.7:6443.")] = "",
    token: Annotated[str, typer.Option(help="What `muster node token` gave.")] = "",
    ca_hash: Annotated[str, typer.Option(metavar="sha256:...", help="By which the server's CA is known.")] = "",
    name: Annotated[str, typer.Option(help="The node's name. Default: the machine's.")] = "",
    data_dir: NodeDataDir = Path(NODE_DEFAULT),
    images: Annotated[list[Path] | None, typer.Option("--load-image", metavar="FILE.tar", help="Load images.")] = None,
    image_map: Annotated[list[str] | None, typer.Option(
        "--image-map", metavar="PATTERN=IMAGE",
        help="Run IMAGE where a manifest names one that matches (* and ?).")] = None,
    kubelet_config: KubeletConfig = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once pods can run.")] = False,
) -> None:
    """Make this machine a node of a cluster elsewhere (Linux, root); later without options, as before."""
    from ..joined_machine import Request
    from .node import join
    from .up import parse_image_map
    join(Request(DataDirectory(data_dir), server, token, ca_hash, name, tuple(path.absolute() for path in images or ()),
                 parse_image_map(image_map or ()), kubelet_config.absolute() if kubelet_config else None),
         detach=detach)


@node.command("leave")
def node_leave(data_dir: NodeDataDir = Path(NODE_DEFAULT)) -> None:
    """Take this machine out of its cluster; nothing of it is left here."""
    from .node import leave
    leave(DataDirectory(data_dir))


@pool.command("list")
def pool_list(data_dir: DataDir = HOME, output: Output = "table") -> None:
    """List the node pools."""
    from .fleet import list_pools
    list_pools(DataDirectory(data_dir), output)


@pool.command("resize")
def pool_resize(name: str, node_count: Annotated[int, typer.Option("--nodes", min=0, max=20_000)],
                data_dir: DataDir = HOME) -> None:
    """Add nodes to a pool or take nodes away (nothing is drained)."""
    from .fleet import resize_pool
    resize_pool(DataDirectory(data_dir), name, node_count)


Recorded = Annotated[Path | None, typer.Argument(metavar="[FILE]", show_default="--data-dir",
                                                 help="A file that --record wrote.")]
OfKind = Annotated[str, typer.Option("--kind", help="Of this kind: pods, ds, Deployment, ...")]
OfName = Annotated[str, typer.Option("--name", help="Of this name; * and ? stand for any.")]
OfNamespace = Annotated[str, typer.Option("-n", "--namespace", help="In this namespace.")]
INSTANT = "A revision, a time (2026-01-01T00:10:00Z), +10m (after the beginning), or last."


@history.command("list")
def history_list(
    file: Recorded = None, data_dir: DataDir = HOME, kind: OfKind = "", name: OfName = "", namespace: OfNamespace = "",
    since: Annotated[str, typer.Option(help=INSTANT)] = "", until: Annotated[str, typer.Option(help=INSTANT)] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table or json (lines).")] = "table",
) -> None:
    """List the changes, in order."""
    from .history import Which, list_changes, source
    list_changes(source(file, DataDirectory(data_dir)), Which.of(kind, name, namespace), since, until, output)


@history.command("diff")
def history_diff(
    first: Annotated[str, typer.Argument(help=INSTANT)], second: Annotated[str, typer.Argument(help=INSTANT)],
    file: Recorded = None, data_dir: DataDir = HOME, kind: OfKind = "", name: OfName = "", namespace: OfNamespace = "",
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
) -> None:
    """Compare two instants, object by object."""
    from .history import Which, diff, source
    diff(source(file, DataDirectory(data_dir)), first, second, Which.of(kind, name, namespace), output)


@history.command("serve")
def history_serve(
    file: Recorded = None, at: Annotated[str, typer.Option(help=INSTANT)] = "last", data_dir: DataDir = HOME,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
) -> None:
    """Serve the cluster as it was, read-only, to kubectl."""
    from .history import serve, source
    serve(source(file, DataDirectory(data_dir)), at, host, port)


@history.command("sha")
def history_sha(file: Recorded = None, data_dir: DataDir = HOME) -> None:
    """Print the sha256 of the history: the same for two runs of one seed."""
    from .history import sha, source
    sha(source(file, DataDirectory(data_dir)))


@history.command("verify")
def history_verify(file: Recorded = None, data_dir: DataDir = HOME) -> None:
    """Check that a recording is whole and unchanged."""
    from .history import source, verify
    verify(source(file, DataDirectory(data_dir)))


@app.command()
def version() -> None:
    """Print the version of Muster and of the Kubernetes API it serves."""
    from .status import version as shown
    typer.echo(shown())


# What Typer raises for options that it can not read. It lives in click or in Typer's own copy, by version.
Misused: type[Exception] = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")


def main() -> None:
    from ..api.errors import ApiError
    try:
        sys.exit(app(prog_name="muster", standalone_mode=False) or 0)
    except Misused as error:
        _fail_misused(error)
    except ApiError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _fail_misused(error: Any) -> None:
    said, context = error.format_message(), getattr(error, "ctx", None)
    if not said or "\n" in said:
        typer.echo(said)  # a group of commands without a command: this is its help, unless Typer has shown it
        sys.exit(0)
    _fail(said if context is None else f"{said.rstrip('.')}; see `{context.command_path} --help`")


def _fail(message: str) -> None:
    sys.stderr.write(f"muster: {message}\n")
    sys.exit(1)
