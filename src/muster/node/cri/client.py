"""The container runtime of one node, spoken to over its unix socket.

    runtime = Runtime("/run/.../containerd.sock")
    answer = await runtime.call("RunPodSandbox", config=..., within_s=240)
    async for envelope in runtime.events(...)

A call takes the fields of its request and returns the response as it is; `m(name, ...)` makes the messages inside.
What the runtime refuses is a RuntimeFailed with the code's name ("NotFound") and its own words, worded as the
kubelet words it: "rpc error: code = NotFound desc = ...".
"""
from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

# Commands of the host are started beside its threads; what it says about that would fill the log.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
import grpc.aio

from . import proto

CALL_WITHIN_S = 120.0  # as the kubelet's --runtime-request-timeout
LARGEST_MESSAGE = 64 << 20
_OPTIONS = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.default_authority", "localhost")]

_RUNTIME = proto.read("runtime.proto")
_METHODS = {**_RUNTIME.methods["RuntimeService"], **_RUNTIME.methods["ImageService"]}
_EVENTS, _TASKS = proto.read("events.proto"), proto.read("tasks.proto")
_CONTAINERS_GET = proto.read("containers.proto").methods["Containers"]["Get"]
_NAMESPACE = (("containerd-namespace", "k8s.io"),)  # where CRI keeps its containers


class RuntimeFailed(Exception):
    """What the runtime did not do, and why."""

    def __init__(self, code: str, said: str):
        super().__init__(f"rpc error: code = {code} desc = {said}")
        self.code, self.said = code, said

    @property
    def is_absent(self) -> bool:
        return self.code == "NotFound"

    @property
    def is_away(self) -> bool:
        """Is the runtime itself not there (yet, or any more)?"""
        return self.code == "Unavailable"


def m(name: str, /, **fields: Any) -> Any:
    """A message of CRI; None leaves a field out."""
    return _RUNTIME.message(name)(**{field: value for field, value in fields.items() if value is not None})


class Runtime:
    def __init__(self, socket: str):
        self.socket = socket
        self._channel = grpc.aio.insecure_channel(f"unix://{socket}", options=_OPTIONS)
        self._calls: dict[str, Any] = {}

    async def close(self) -> None:
        await self._channel.close()

    async def call(self, method: str, /, *, within_s: float | None = CALL_WITHIN_S, **fields: Any) -> Any:
        return await self._ask(method, _METHODS[method], fields, within_s, ())

    async def task(self, method: str, /, *, within_s: float | None = CALL_WITHIN_S, **fields: Any) -> Any:
        """A method of containerd's own tasks."""
        return await self._ask(f"task {method}", _TASKS.methods["Tasks"][method], fields, within_s,
                               _NAMESPACE)

    async def spec(self, container: str) -> dict[str, Any]:
        """The container as the OCI runtime was told of it."""
        answer = await self._ask("container Get", _CONTAINERS_GET, {"id": container}, CALL_WITHIN_S, _NAMESPACE)
        return dict(json.loads(answer.container.spec.value))

    async def _ask(self, name: str, method: proto.Method, fields: dict[str, Any], within_s: float | None,
                   metadata: tuple[tuple[str, str], ...]) -> Any:
        call = self._calls.get(name)
        if call is None:
            call = self._calls[name] = self._channel.unary_unary(
                method.path, request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString)
        request = method.request(**{field: value for field, value in fields.items() if value is not None})
        try:
            return await call(request, timeout=within_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise failed(error) from None

    async def events(self, *filters: str) -> AsyncIterator[tuple[str, str]]:
        """(topic, id of the container) of what happens from now on.  Ends with RuntimeFailed."""
        method = _EVENTS.methods["Events"]["Subscribe"]
        call = self._channel.unary_stream(method.path, request_serializer=method.request.SerializeToString,
                                          response_deserializer=method.response.FromString)
        try:
            async for envelope in call(method.request(filters=filters)):
                yield envelope.topic, _subject(envelope)
        except grpc.aio.AioRpcError as error:
            raise failed(error) from None
        raise RuntimeFailed("Unavailable", "the stream of events ended")


def _subject(envelope: Any) -> str:
    """All of these events name the container first; an exit, the process second."""
    if envelope.topic == "/tasks/exit":
        ended = _EVENTS.message("TaskExit").FromString(envelope.event.value)
        return "" if ended.id and ended.id != ended.container_id else str(ended.container_id)  # of an exec
    if envelope.topic.startswith("/tasks/"):
        return str(_EVENTS.message("TaskOOM").FromString(envelope.event.value).container_id)
    return ""


def failed(error: grpc.aio.AioRpcError) -> RuntimeFailed:
    """In the words in which gRPC's own errors are shown."""
    code = "".join(word.capitalize() for word in error.code().name.split("_"))
    return RuntimeFailed(code, error.details() or "")


async def answers(socket: str, within_s: float) -> Runtime | None:
    """A runtime that answers on the socket within that time, or None."""
    runtime = Runtime(socket)
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            await runtime.call("Version", within_s=2.0)
            return runtime
        except RuntimeFailed:
            if asyncio.get_running_loop().time() >= deadline:
                await runtime.close()
                return None
        await asyncio.sleep(0.02)
