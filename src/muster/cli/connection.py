"""A client for the cluster of a data directory, for commands that talk to a running server."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..client.kubeconfig import read_kubeconfig
from ..client.remote import RemoteClient
from ..data_directory import DataDirectory, Unusable

T = TypeVar("T")


def ask(data: DataDirectory, question: Callable[[RemoteClient], Awaitable[T]]) -> T:
    """Runs `question(client)` against the running cluster.  Raises Unusable where none runs."""
    if data.running() is None:
        raise Unusable(f"no cluster is running on {data.path}; start one with `muster up`")

    async def main() -> T:
        client = RemoteClient(read_kubeconfig(data.kubeconfig))
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(main())
