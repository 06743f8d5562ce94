"""The composition root of the past: the state at an instant, behind the front door that only reads.

No controller runs: watches stay open and tell nothing, and the clock stands at the instant, so that ages are what
they were.  The kubeconfig lives in a folder of its own for as long as the server does.
"""
from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from .api.kinds.built_in import BUILT_IN
from .api.kinds.catalogue import Kinds
from .api.objects import to_time
from .api.schema import Schema
from .client.kubeconfig import write_kubeconfig
from .clock import Clock
from .data_directory import Unusable
from .server import certificates
from .server.http import Api
from .server.past import PastApi
from .server.registry import Registry
from .server.serving import serve
from .store.instants import Past


async def serve_past(past: Past, host: str, port: int, stopping: asyncio.Event,
                     ready: Callable[[str, str], None]) -> None:
    """Serves until `stopping`; calls `ready(url, kubeconfig path)` once it can be used."""
    clock = Clock(lambda: past.at)
    api = Api(Registry(past.store(), Kinds(BUILT_IN), Schema.load(), clock), clock)
    shown = f"revision {past.revision} ({to_time(past.at)})"
    with tempfile.TemporaryDirectory(prefix="muster-past-") as name:
        folder = Path(name)
        issued = certificates.prepare(folder / "pki", Clock().now(), [host])
        try:
            async with serve(PastApi(api, clock, shown), host, port, issued) as front:
                write_kubeconfig(folder / "kubeconfig", front.url, issued.ca, issued.admin, issued.admin_key)
                ready(front.url, str(folder / "kubeconfig"))
                await stopping.wait()
        except OSError as error:
            raise Unusable(f"can not listen on {host}:{port}: {error.strerror}; "
                           "choose another one with --host and --port") from error
