"""A cluster and its front door in a thread of this process, and the way in from the test's own thread.

A thread, not a process: nothing is imported, spawned or waited for twice, so a cluster is there in some 30 ms.
The thread runs one event loop.  A cluster in real time lives on it like its connections do; one whose time is
stepped lives in a task of that time (clock.SteppedLoop), while its connections stay in the machine's time: they
are served at once, whatever o'clock it is inside.

Everything that touches the cluster runs on that loop (`call`); what fails there is raised here.  `stop` leaves
neither the thread nor a file.
"""
from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from .. import bootstrap
from ..api.objects import Obj, is_true
from ..app import Cluster, running
from ..client.kubeconfig import write_kubeconfig
from ..clock import START, Clock, SteppedLoop
from ..server import certificates
from ..server.http import Api
from ..server.serving import serve
from ..store.memory import MemoryStore
from ..store.recorded import anew

T = TypeVar("T")
HOST = "127.0.0.1"
START_WITHIN_S = 60.0
SETTLE_S = 10.0  # of stepped time, before its start: the nodes that were asked for are ready when it begins
NOT_READY = "node.kubernetes.io/not-ready"


@dataclass(frozen=True)
class Wanted:
    """What a cluster shall be."""

    pools: Sequence[Obj] = ()  # NodePool objects
    virtual: bool = False
    start: float = START  # when virtual time begins
    seed: int | str | None = None
    record: Path | None = None  # keep the whole history there


class Background:
    """Running from `start` to `stop`."""

    def __init__(self, wanted: Wanted):
        self._wanted = wanted
        self._folder = tempfile.TemporaryDirectory(prefix="muster-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.url = ""
        self.cluster: Cluster
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._ready: Future[None] = Future()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="muster", daemon=True)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def stepped(self) -> SteppedLoop | None:
        """The loop, where time is for the test to advance."""
        return self._loop if isinstance(self._loop, SteppedLoop) else None

    def start(self) -> None:
        self._thread.start()
        try:
            self._ready.result(START_WITHIN_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        self._folder.cleanup()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs it beside the cluster; returns or raises what it does."""
        if self._failure is not None or not self._thread.is_alive():
            work.close()
            raise RuntimeError("the cluster is not running any more") from self._failure
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            self._thread.join()
            raise RuntimeError("the cluster is not running any more") from self._failure
        except BaseException:  # also a Ctrl-C of the test: nothing goes on behind its back
            future.cancel()
            raise

    # ---- in the thread

    def _run(self) -> None:
        def loop() -> asyncio.AbstractEventLoop:
            if not self._wanted.virtual:
                return uvloop.new_event_loop()
            return SteppedLoop(self._wanted.start - SETTLE_S)

        try:
            with asyncio.Runner(loop_factory=loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = _the_first_of(error)
            if not self._ready.done():
                self._ready.set_exception(self._failure)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._changed = asyncio.Event()
        real = Clock()
        clock = Clock(self.stepped.now if self.stepped else real.now, self._wanted.seed)
        issued = certificates.prepare(self.pki, real.now())
        self.cluster = cluster = Cluster(MemoryStore(), clock, ca_certificate=issued.ca.decode())
        cluster.store.history.on_append(self._hear)
        api = Api(cluster.registry, clock, logs=cluster.fleet.logs, meter=cluster.meter, controllers=cluster.tallies)
        async with self._recording(cluster), serve(api, HOST, 0, issued) as front, self._at_work(cluster):
            await cluster.create_missing(bootstrap.first_objects(HOST, front.port))
            await cluster.create_roles()
            client = cluster.client("system:apiserver")
            for pool in self._wanted.pools:
                await client.create(pool)
            await self._settled(sum(pool["spec"]["replicas"] for pool in self._wanted.pools))
            write_kubeconfig(self.kubeconfig, front.url, issued.ca, issued.admin, issued.admin_key)
            self.url = front.url
            self._ready.set_result(None)
            await self._stopping.wait()

    @contextlib.asynccontextmanager
    async def _recording(self, cluster: Cluster) -> AsyncIterator[None]:
        if self._wanted.record is None:
            yield
            return
        recording = anew(self._wanted.record, cluster.clock.now)
        recording.follow(cluster.store.history, seed=self._wanted.seed)
        try:
            yield
        finally:
            recording.close()

    @contextlib.asynccontextmanager
    async def _at_work(self, cluster: Cluster) -> AsyncIterator[None]:
        if self.stepped is None:
            async with running(cluster):
                yield
            return
        begun = asyncio.Event()

        async def work() -> None:
            async with running(cluster):
                begun.set()
                await self._stopping.wait()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(_waited_for(self.stepped.create_stepped_task(work(), name="cluster")))
            await begun.wait()
            yield
            self._stopping.set()
            await task

    async def _settled(self, count: int) -> None:
        """Waits for the nodes to be ready for pods."""
        nodes = self.cluster.store.history.lane("nodes")

        def ready() -> bool:
            return len(nodes.objects) >= count and all(_is_ready(one.value) for one in nodes.snapshots())

        if self.stepped is not None:
            await self.stepped.advance(SETTLE_S)  # all of it, so that time begins where it was said to
        else:
            await self.until(ready, START_WITHIN_S)

    # ---- on the loop, for `call`

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Waits, or lets time pass, for what a change can bring about; False if it does not come within that time."""
        if self.stepped is not None:
            return await self.stepped.advance(within_s, holds) or holds()
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._changed.wait()
        except TimeoutError:
            return holds()
        return True

    def _hear(self, changes: object) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()


def _the_first_of(error: BaseException) -> BaseException:
    """What failed, out of the groups that it was passed on in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _waited_for(task: asyncio.Task[Any]) -> None:
    await task


def _is_ready(node: Obj) -> bool:
    return is_true(node, "Ready") and all(taint["key"] != NOT_READY for taint in node["spec"].get("taints") or ())
