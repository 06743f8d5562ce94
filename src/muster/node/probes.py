"""One question to a container: is it well?  By a command in it, HTTP, TCP or gRPC.

Whatever goes wrong is an answer too: not passed, and in whose words the kubelet says why.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""
from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from ..api.objects import Obj
from .cri.client import Runtime, RuntimeFailed, failed
from .durations import go_duration

LARGEST_ANSWER = 10 * 1024  # bytes that are looked at, and shown
MOST_REDIRECTS, MOST_HEADERS = 10, 200
AGENT = "kube-probe/1.32"


class Answer(NamedTuple):
    passed: bool
    said: str
    is_warning: bool = False  # it passed, and something about it is odd


class Asked(NamedTuple):
    host: str
    port: int
    path: str
    secure: bool
    headers: Sequence[Obj]

    @property
    def url(self) -> str:
        path = self.path if self.path.startswith("/") else f"/{self.path}"
        return f"{'https' if self.secure else 'http'}://{_joined(self.host, self.port)}{path}"


def port_of(asked: Obj, container: Obj) -> int:
    """A number, or the name of one of the container's ports."""
    port = asked["port"]
    if isinstance(port, int):
        return port
    named = next((one["containerPort"] for one in container.get("ports") or () if one.get("name") == port), None)
    return int(named) if named is not None else int(port) if str(port).isdigit() else 0


async def ask(probe: Obj, container: Obj, address: str, id_: str, runtime: Runtime) -> Answer:
    within_s = float(probe.get("timeoutSeconds") or 1)
    if (asked := probe.get("exec")) is not None:
        return await _ask_command(runtime, id_, asked.get("command") or (), within_s)
    if (asked := probe.get("httpGet")) is not None:
        return await ask_http(Asked(asked.get("host") or address, port_of(asked, container), asked.get("path") or "/",
                                    asked.get("scheme") == "HTTPS", asked.get("httpHeaders") or ()), within_s)
    if (asked := probe.get("tcpSocket")) is not None:
        return await _ask_tcp(asked.get("host") or address, port_of(asked, container), within_s)
    if (asked := probe.get("grpc")) is not None:
        return await _ask_grpc(address, asked["port"], asked.get("service") or "", within_s)
    return Answer(True, "")


async def _ask_command(runtime: Runtime, id_: str, command: Sequence[str], within_s: float) -> Answer:
    try:
        answer = await runtime.call("ExecSync", container_id=id_, cmd=command, timeout=int(within_s),
                                    within_s=within_s + 10)
    except RuntimeFailed as error:
        if error.code == "DeadlineExceeded":
            return Answer(False, f'command "{" ".join(command)}" timed out')
        return Answer(False, str(error))
    return Answer(answer.exit_code == 0, (answer.stdout + answer.stderr)[:LARGEST_ANSWER].decode(errors="replace"))


async def ask_http(asked: Asked, within_s: float) -> Answer:
    """Redirects are followed on the same host; one that leads elsewhere is good enough, with a warning."""
    try:
        async with asyncio.timeout(within_s):
            for _ in range(MOST_REDIRECTS + 1):
                status, body, elsewhere = await _get(asked)
                if elsewhere is None or not 300 <= status < 400:
                    break
                after = _redirected(asked, elsewhere)
                if after.host != asked.host:
                    return Answer(True, f"Probe terminated redirects, Response body: {body}", is_warning=True)
                asked = after
            else:
                return _not_got(asked, f"stopped after {MOST_REDIRECTS} redirects")
    except TimeoutError:
        return _not_got(asked, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    except ConnectionRefusedError:
        return _not_got(asked, f"dial tcp {_joined(asked.host, asked.port)}: connect: connection refused")
    except (OSError, ValueError, ssl.SSLError) as error:
        return _not_got(asked, str(error))
    if 200 <= status < 400:
        return Answer(True, body)
    return Answer(False, f"HTTP probe failed with statuscode: {status}")


def _not_got(asked: Asked, why: str) -> Answer:
    return Answer(False, f'Get "{asked.url}": {why}')


def _redirected(asked: Asked, location: str) -> Asked:
    to = urlsplit(urljoin(asked.url, location))
    secure = to.scheme == "https"
    return asked._replace(host=to.hostname or asked.host, port=to.port or (443 if secure else 80), secure=secure,
                          path=(to.path or "/") + (f"?{to.query}" if to.query else ""))


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _get(asked: Asked) -> tuple[int, str, str | None]:
    """The status, what came with it, and where it leads."""
    context: ssl.SSLContext | None = None
    if asked.secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Host": _joined(asked.host, asked.port), "User-Agent": AGENT, "Accept": "*/*", "Connection": "close"}
    headers |= {one["name"].title(): one.get("value") or "" for one in asked.headers}
    reader, writer = await asyncio.open_connection(asked.host, asked.port, ssl=context)
    try:
        path = asked.path if asked.path.startswith("/") else f"/{asked.path}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        words = (await reader.readline()).split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].strip().isdigit():
            raise ValueError("malformed HTTP response")
        told: dict[bytes, str] = {}
        for _ in range(MOST_HEADERS):
            name, colon, value = (await reader.readline()).partition(b":")
            if not colon:
                break
            told[name.strip().lower()] = value.strip().decode("latin-1")
        length = told.get(b"content-length", "")
        body = await reader.read(min(int(length), LARGEST_ANSWER)) if length.isdigit() else b""
        return int(words[1]), body.decode(errors="replace"), told.get(b"location")
    finally:
        writer.close()


async def _ask_tcp(host: str, port: int, within_s: float) -> Answer:
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Answer(False, f"dial tcp {_joined(host, port)}: i/o timeout")
    except OSError as error:
        why = "connect: connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
        return Answer(False, f"dial tcp {_joined(host, port)}: {why}")
    writer.close()
    return Answer(True, "")


async def _ask_grpc(host: str, port: int, service: str, within_s: float) -> Answer:
    """https://github.com/grpc/grpc/blob/master/doc/health-checking.md"""
    import grpc
    import grpc.aio

    from .cri import proto
    messages = proto.read("health.proto")
    method = messages.methods["Health"]["Check"]
    where, within = _joined(host, port), go_duration(within_s)
    options = [("grpc.primary_user_agent", AGENT), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(where, options=options) as channel:
        call: Any = channel.unary_unary(method.path, request_serializer=method.request.SerializeToString,
                                        response_deserializer=method.response.FromString)
        try:
            async with asyncio.timeout(within_s):
                await channel.channel_ready()
        except TimeoutError:
            return Answer(False, f'timeout: failed to connect service "{where}" within {within}: '
                                 "context deadline exceeded")
        try:
            answer = await call(method.request(service=service), timeout=within_s)
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.UNIMPLEMENTED:
                    why = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                    return Answer(False, f"{why}: {error.details()}")
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    return Answer(False, f"timeout: health rpc did not complete within {within}")
            return Answer(False, f"error: health rpc probe failed: {failed(error)}")
    if answer.status != 1:
        names = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
        return Answer(False, f'service unhealthy (responded with "{names.get(answer.status, answer.status)}")')
    return Answer(True, "service healthy")
