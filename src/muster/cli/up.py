"""`muster up` and `muster down`: start a cluster in this process or in one of its own, and stop it."""
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from ..api.errors import BadRequest, invalid
from ..api.kinds.node_pool import NODE_POOL
from ..api.objects import name_of
from ..bootstrap import node_pool
from ..data_directory import DataDirectory, Running, Unusable
from ..request import Request

STOP_WITHIN_S, KILL_WITHIN_S = 60.0, 5.0
SIMULATED, CONTAINERS = "simulated", "containers"
DETACHED = "MUSTER_DETACHED"  # set for the process that `--detach` starts


def run(request: Request, *, detach: bool) -> None:
    """Serves until it is told to stop; with `detach`, starts a process that does and returns once it is ready."""
    check(request)
    request.data.prepare()
    running = request.data.running()
    if running is not None:
        raise Unusable(f"a cluster is already running on {request.data.path} (pid {running.pid}, {running.url}); "
                       "stop it with `muster down` or name another folder with --data-dir")
    if detach:
        line = spawn([word for word in sys.argv[1:] if word not in ("-d", "--detach")], request.data)
        print(line)
        return
    from ..process import serve
    serve(request, ready=_say_ready)


def check(request: Request) -> None:
    """Refuses what can not work before anything is started."""
    if request.store not in ("sqlite", "memory"):
        raise BadRequest(f"--store {request.store}: this version keeps a cluster in sqlite or memory")
    if request.runtime not in (SIMULATED, CONTAINERS):
        raise BadRequest(f"--runtime {request.runtime}: it is {SIMULATED} or {CONTAINERS}")
    if request.runtime != CONTAINERS and (request.images or request.image_map or request.kubelet_config):
        raise BadRequest(f"--load-image, --image-map and --kubelet-config are for --runtime {CONTAINERS}")
    if request.runtime == CONTAINERS:
        check_extra()
    for archive in request.images:
        if not archive.is_file():
            raise BadRequest(f"--load-image {archive}: no such file")
    names = [pool["metadata"]["name"] for pool in request.pools]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"--pool {name}: named twice")
    for pool in request.pools or (node_pool("default-pool", 0, behaviour=request.behaviour),):
        if causes := NODE_POOL.validate(NODE_POOL.defaults(pool)):
            raise invalid(NODE_POOL.name, NODE_POOL.group, name_of(pool), causes)
    for file in request.files:
        if not file.is_file():
            raise BadRequest(f"-f {file}: no such file")


def check_extra(what: str = f"--runtime {CONTAINERS}") -> None:
    if not all(_is_installed(module) for module in ("grpc", "google.protobuf", "websockets")):
        raise BadRequest(f"{what} needs Muster's extra: pip install 'muster[containers]'")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False


def last_runtime(data: DataDirectory) -> str:
    """A cluster that had real nodes has them again."""
    return CONTAINERS if (data.path / "nodes.json").exists() else SIMULATED


def parse_image_map(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts:
        pattern, equals, image = text.partition("=")
        if not (pattern and equals and image):
            raise BadRequest(f"--image-map {text}: it is PATTERN=IMAGE, such as 'fluentd*=localhost/busybox:1'")
        pairs.append((pattern, image))
    return tuple(pairs)


def _say_ready(url: str, kubeconfig: str) -> None:
    say(f"muster is ready at {url} with kubeconfig {kubeconfig}: export KUBECONFIG={kubeconfig}")


def say(line: str) -> None:
    """The line that says that it is ready."""
    print(line, flush=True)
    if os.environ.get(DETACHED):
        # The one who started us reads this line and leaves; nobody reads another.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def spawn(arguments: Sequence[str], data: DataDirectory) -> str:
    """Starts `muster ARGUMENTS` as a process of its own; returns its ready line.  Raises Unusable if it fails."""
    with data.log.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen([sys.executable, "-m", "muster", *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=log, start_new_session=True,
                                   env={**os.environ, DETACHED: "1"})
    os.chmod(data.log, 0o600)
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    process.stdout.close()
    if line:
        return line
    process.wait()
    with data.log.open("rb") as log:
        log.seek(start)
        said = log.read(100_000).decode(errors="replace").strip().splitlines()
    raise Unusable(said[-1].removeprefix("muster: ") if said else f"the server ended with {process.returncode}; "
                   f"see {data.log}")


def stop(data: DataDirectory) -> None:
    running = data.running()
    if running is None:
        print(f"no cluster is running on {data.path}")
        _clean_up(data)
        return
    asyncio.run(end(running))
    command = "node join" if (data.path / "node.json").exists() else "up"
    print(f"stopped (pid {running.pid}); start it again with `muster {command} --data-dir {data.path}`")


def _clean_up(data: DataDirectory) -> None:
    """A server that was killed leaves its real nodes standing, so that the next one can take them over."""
    if last_runtime(data) != CONTAINERS or find_spec("grpc") is None:
        return
    from ..node import local_nodes
    if local_nodes.is_left(data.path):
        asyncio.run(local_nodes.clean(data.path))
        print("what its real nodes had left was taken away")


async def end(running: Running) -> None:
    os.kill(running.pid, signal.SIGTERM)
    if not await _ended(running.pid, STOP_WITHIN_S):
        os.kill(running.pid, signal.SIGKILL)
        if not await _ended(running.pid, KILL_WITHIN_S):
            raise Unusable(f"process {running.pid} does not end")


async def _ended(pid: int, within_s: float) -> bool:
    from ..data_directory import alive
    for _ in range(int(within_s / 0.02)):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False
