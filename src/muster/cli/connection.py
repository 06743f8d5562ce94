"""A client for the cluster of a data directory, for commands that talk to a running server."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..client.kubeconfig import Kubeconfig, read_kubeconfig
from ..client.remote import RemoteClient
from ..data_directory import DataDirectory, Unusable
from ..node import membership

T = TypeVar("T")


def ask(data: DataDirectory, question: Callable[[RemoteClient], Awaitable[T]]) -> T:
    """Runs `question(client)` against the running cluster.  Raises Unusable where none runs."""
    return ask_as(running_kubeconfig(data), question)


def ask_as(config: Kubeconfig, question: Callable[[RemoteClient], Awaitable[T]]) -> T:
    async def main() -> T:
        client = RemoteClient(config)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(main())


def running_kubeconfig(data: DataDirectory) -> Kubeconfig:
    """Raises Unusable where no cluster runs."""
    check_not_joined(data)
    if data.running() is None:
        raise Unusable(f"no cluster is running on {data.path}; start one with `muster up`")
    return read_kubeconfig(data.kubeconfig)


def check_not_joined(data: DataDirectory) -> None:
    """Raises Unusable where the folder is that of a node, whose cluster is elsewhere."""
    member = membership.load(data.path)
    if member is not None:
        raise Unusable(f"{data.path} is that of node {member.node}, which has joined {member.config.server}: ask on "
                       "the server's machine; of the node, `muster status` tells here")
