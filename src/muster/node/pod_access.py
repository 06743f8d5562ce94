"""What kubectl asks of the pods of one real node: logs, exec, attach, port-forward.

Each raises what the server answers with where the container is not there to be asked.
"""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ..api.errors import BadRequest, NotFound
from ..api.logs import LogOptions
from ..api.objects import Key, Obj, name_of, namespace_of, uid_of
from ..server.pipe import Duplex
from ..server.processes import Closing, Session, Wanted
from . import life, logs, pod_ports, reports
from .cri import configs, log_files
from .cri.attach_session import AttachSession
from .cri.exec_session import ExecSession

if TYPE_CHECKING:
    from .agent import Agent


class PodAccess:
    """`salt`: no two commands are named alike, not even in two processes."""

    def __init__(self, agent: Agent, salt: int):
        self._agent = agent
        self._commands, self._salt = 0, f"{salt:08x}"

    async def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        """Raises BadRequest where there is nothing to read yet."""
        agent = self._agent
        resident = agent.fleet.resident(Key("pods", namespace_of(pod), name_of(pod)))
        attempt = logs.attempt_asked(pod, options)
        path = configs.log_folder(agent.place, pod) / configs.log_path(options.container, attempt)

        def goes_on() -> bool:
            there = resident.life if resident is not None and not resident.gone else None
            place = reports.place_of(there, options.container) if there is not None else None
            if there is None or place is None:
                return False
            return there.runs[place].stage == life.RUNNING and there.runs[place].restarts == attempt

        try:
            async for piece in log_files.read(path, options, agent.now(), goes_on):
                yield piece
        except NotFound as error:
            raise BadRequest(str(error)) from None

    async def run_command(self, pod: Obj, wanted: Wanted) -> Session:
        """Raises NotFound where the container does not run."""
        container = self._running_container(pod, wanted.container)
        self._commands += 1
        id_ = f"exec-{self._commands}-{self._salt}"
        return ExecSession(self._agent.runtime, container, id_, self._agent.containerd.state / "exec" / id_, wanted)

    async def attach(self, pod: Obj, wanted: Wanted) -> Session:
        container = self._running_container(pod, wanted.container)
        spec = self._agent.runners[uid_of(pod)].containers.spec_of(wanted.container)
        return AttachSession(self._agent.runtime, container, wanted,
                             is_given_once=bool(spec.get("stdinOnce")) and not spec.get("tty"))

    async def connect(self, pod: Obj, port: int) -> tuple[Duplex, Closing]:
        """Raises OSError."""
        runner = self._agent.runners.get(uid_of(pod))
        if runner is None or not runner.sandbox.id:
            raise OSError(f"pod {name_of(pod)} has no network")
        namespace = await runner.sandbox.network_namespace()
        found = await pod_ports.connect(namespace, port)
        return found, found

    def _running_container(self, pod: Obj, name: str) -> str:
        runner = self._agent.runners.get(uid_of(pod))
        place = reports.place_of(runner.life, name) if runner is not None else None
        if runner is None or place is None or runner.life.runs[place].stage != life.RUNNING:
            raise NotFound(f'container not found ("{name}")')
        return runner.containers.id_of(name) or ""
