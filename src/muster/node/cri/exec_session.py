"""A command in a container that runs: `kubectl exec`, by containerd's tasks and named pipes.

CRI's own way (a URL to stream through) can not close the input by itself over a WebSocket; here it can, so
`echo hi | kubectl exec -i web -- cat` ends.

    <folder>/0 1 2     the pipes: opened for reading before the process starts, for writing once it has
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from ...api.errors import Internal
from ...api.objects import Obj
from ...server.processes import STDERR, STDIN, STDOUT, Wanted
from .client import Runtime, RuntimeFailed

PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
MOST_WAITING = 64  # pieces of output, before the process has to wait
PIECE = 64 * 1024
SIGHUP = 1
DRAINED_WITHIN_S = 5.0


class ExecSession:
    def __init__(self, runtime: Runtime, container: str, id_: str, folder: Path, wanted: Wanted):
        self._runtime, self._container, self._id, self._folder = runtime, container, id_, folder
        self._wanted = wanted
        self._output: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(MOST_WAITING)
        self._readers: list[asyncio.Task[None]] = []
        self._open: list[int] = []
        self._input = -1
        self._waiting: asyncio.Future[Any] | None = None
        self._ended = False

    async def start(self) -> None:
        """Raises Internal where the command can not be run."""
        wanted, outputs = self._wanted, [STDOUT] if self._wanted.tty else [STDOUT, STDERR]
        self._folder.mkdir(mode=0o700, parents=True)
        wired = {STDIN: wanted.stdin, STDOUT: True, STDERR: not wanted.tty}
        for channel, is_wired in wired.items():
            if is_wired:
                os.mkfifo(self._folder / str(channel), 0o600)
        for channel in outputs:
            self._open.append(os.open(self._folder / str(channel), os.O_RDONLY | os.O_NONBLOCK))
        pipes: dict[str, Any] = {name: str(self._folder / str(channel))
                                 for channel, name in enumerate(("stdin", "stdout", "stderr")) if wired[channel]}
        try:
            await self._runtime.task(
                "Exec", container_id=self._container, exec_id=self._id, terminal=wanted.tty, spec={
                    "type_url": PROCESS, "value": await self._process(wanted.command)}, **pipes)
            self._waiting = asyncio.ensure_future(self._runtime.task(
                "Wait", container_id=self._container, exec_id=self._id, within_s=None))
            await self._runtime.task("Start", container_id=self._container, exec_id=self._id)
        except RuntimeFailed as error:
            await self.close()
            raise Internal("Internal error occurred: error executing command in container: failed to exec in "
                           f"container: failed to start exec \"{self._id}\": {error.said}") from None
        self._readers = [asyncio.ensure_future(self._read(fd, channel))
                         for fd, channel in zip(self._open, outputs, strict=True)]
        if wanted.stdin:
            self._input = os.open(self._folder / str(STDIN), os.O_WRONLY | os.O_NONBLOCK)

    async def _process(self, command: Sequence[str]) -> bytes:
        """As the container's own, but for what it runs."""
        process = (await self._runtime.spec(self._container))["process"]
        env = process.get("env") or []
        if self._wanted.tty:
            env = [*env, "TERM=xterm"]
        return json.dumps({**process, "args": list(command), "terminal": self._wanted.tty, "env": env}).encode()

    async def _read(self, fd: int, channel: int) -> None:
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    data = os.read(fd, PIECE)
                except BlockingIOError:
                    ready.clear()
                    loop.add_reader(fd, ready.set)
                    try:
                        await ready.wait()
                    finally:
                        loop.remove_reader(fd)
                    continue
                if not data:
                    return
                await self._output.put((channel, data))
        finally:
            os.close(fd)
            self._open.remove(fd)

    async def write(self, data: bytes) -> None:
        while data and self._input >= 0:
            try:
                data = data[os.write(self._input, data):]
            except BlockingIOError:
                await self._room()
            except BrokenPipeError:
                await self.end_input()

    async def _room(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        fd = self._input
        loop.add_writer(fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(fd)

    async def end_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1
            with contextlib.suppress(RuntimeFailed):
                await self._runtime.task("CloseIO", container_id=self._container, exec_id=self._id, stdin=True)

    async def resize(self, width: int, height: int) -> None:
        with contextlib.suppress(RuntimeFailed):
            await self._runtime.task("ResizePty", container_id=self._container, exec_id=self._id, width=width,
                                     height=height)

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Until the process has ended and all that it wrote was read: what it left in the background may go on."""
        assert self._waiting is not None, "it was started"
        drained = asyncio.gather(*self._readers)
        over = asyncio.ensure_future(self._over(drained))
        try:
            while not (over.done() and self._output.empty()):
                getting = asyncio.ensure_future(self._output.get())
                await asyncio.wait((getting, over), return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                else:
                    getting.cancel()
        finally:
            over.cancel()

    async def _over(self, drained: asyncio.Future[Any]) -> None:
        assert self._waiting is not None, "it was started"
        await asyncio.wait((self._waiting,))
        await asyncio.wait((drained,), timeout=DRAINED_WITHIN_S)

    async def result(self) -> Obj:
        assert self._waiting is not None, "it was started"
        try:
            code = (await self._waiting).exit_status
        except RuntimeFailed as error:
            return {"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
                    "message": f"Internal error occurred: error executing command in container: {error}"}
        return exit_status(code)

    async def close(self) -> None:
        """A terminal that hangs up ends what runs in it; anything else goes on without being heard."""
        if self._ended:
            return
        self._ended = True
        await self.end_input()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for fd in list(self._open):
            os.close(fd)
        self._open.clear()
        if self._waiting is not None and not self._waiting.done() and self._wanted.tty:
            with contextlib.suppress(RuntimeFailed):
                await self._runtime.task("Kill", container_id=self._container, exec_id=self._id, signal=SIGHUP)
        if self._waiting is not None:
            self._waiting.add_done_callback(lambda _: None)
            asyncio.ensure_future(self._forget())
        else:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _forget(self) -> None:
        assert self._waiting is not None, "it was started"
        await asyncio.wait((self._waiting,))
        self._waiting.exception()
        with contextlib.suppress(RuntimeFailed):
            await self._runtime.task("DeleteProcess", container_id=self._container, exec_id=self._id)
        shutil.rmtree(self._folder, ignore_errors=True)


def exit_status(code: int) -> Obj:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": f"command terminated with non-zero exit code: error executing command, exit code {code}",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}
