"""What a container wants done after it started and before it stops: a command in it, a request to it, or a wait.

https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..api.objects import Obj
from .cri.client import RuntimeFailed
from .probes import Asked, ask_http, port_of

if TYPE_CHECKING:
    from .agent import Agent

HTTP_WITHIN_S = 30.0


class HookFailed(Exception):
    pass


async def run_hook(agent: Agent, hook: Obj, container: Obj, id_: str, address: str) -> None:
    """Raises HookFailed."""
    if (asked := hook.get("exec")) is not None:
        try:
            answer = await agent.runtime.call("ExecSync", container_id=id_, cmd=asked.get("command") or (),
                                              within_s=None)
        except RuntimeFailed as error:
            raise HookFailed(str(error)) from None
        if answer.exit_code:
            said = (answer.stdout + answer.stderr).decode(errors="replace").strip()
            raise HookFailed(f"command '{' '.join(asked.get('command') or ())}' exited with {answer.exit_code}: {said}")
    elif (asked := hook.get("httpGet")) is not None:
        found = await ask_http(Asked(asked.get("host") or address, port_of(asked, container),
                                     asked.get("path") or "/", asked.get("scheme") == "HTTPS",
                                     asked.get("httpHeaders") or ()), HTTP_WITHIN_S)
        if not found.passed:
            raise HookFailed(found.said)
    elif (asked := hook.get("sleep")) is not None:
        await asyncio.sleep(asked["seconds"])
