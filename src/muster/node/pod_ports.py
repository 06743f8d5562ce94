"""Connections into a pod's network namespace: `kubectl port-forward` reaches what listens on the pod's localhost.

A socket belongs to the namespace that its maker was in; one is made there by a thread that goes in and comes back.
"""
from __future__ import annotations

import asyncio
import ctypes
import os
import socket

CONNECT_WITHIN_S = 10.0
PIECE = 64 * 1024
_CLONE_NEWNET = 0x40000000
_HOSTS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class PodConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        return await self._reader.read(PIECE)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end_input(self) -> None:
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


async def connect(namespace: str, port: int) -> PodConnection:
    """Raises OSError."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, host in _HOSTS:
        made = await loop.run_in_executor(None, _socket_in, namespace, family)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await loop.sock_connect(made, (host, port))
        except OSError as error:
            made.close()
            failure = failure or error
            continue
        reader, writer = await asyncio.open_connection(sock=made)
        return PodConnection(reader, writer)
    assert failure is not None, "there is a host to try"
    raise OSError(f"failed to connect to localhost:{port} inside the pod's namespace: {failure.strerror or failure}")


def _socket_in(namespace: str, family: int) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    own, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        finally:
            if libc.setns(own, _CLONE_NEWNET):
                os._exit(70)  # a thread in the wrong namespace would serve others
        return made
    finally:
        os.close(own)
        os.close(there)
