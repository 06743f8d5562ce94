"""Probes over HTTP and gRPC against servers on this machine: what passes, and in whose words it does not."""
import asyncio
import contextlib

import pytest

grpc = pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")

from muster.node.probes import Asked, ask, ask_http  # noqa: E402


@contextlib.asynccontextmanager
async def http(pages):
    """`pages`: path -> (status, headers); also remembers what was asked."""
    asked = []

    async def serve(reader, writer):
        lines = [line async for line in until_empty(reader)]
        path = lines[0].split()[1]
        asked.append((path, dict(line.split(": ", 1) for line in lines[1:])))
        status, headers = pages.get(path, ("404 Not Found", {}))
        if status:
            writer.write("".join([f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()),
                                  "Content-Length: 4\r\n\r\nbody"]).encode())
            await writer.drain()
        else:
            await reader.read()  # says nothing until the other side has enough
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def until_empty(reader):
    while line := (await reader.readline()).decode().rstrip("\r\n"):
        yield line


PAGES = {"/": ("200 OK", {}), "/old": ("302 Found", {"Location": "/"}), "/broken": ("301 Moved", {"location": "/gone"}),
         "/away": ("302 Found", {"Location": "http://elsewhere.invalid/"}), "/round": ("302 Found", {"Location": "/round"}),
         "/unmodified": ("304 Not Modified", {}), "/silent": ("", {}), "/bad": ("500 Oops", {})}


@pytest.mark.parametrize("path, passed, said", [
    pytest.param("/", True, "body", id="ok"),
    pytest.param("", True, "body", id="no path"),
    pytest.param("/old", True, "body", id="leads to a page that is ok"),
    pytest.param("/broken", False, "HTTP probe failed with statuscode: 404", id="leads to one that is not"),
    pytest.param("/away", True, "Probe terminated redirects, Response body: body", id="leads elsewhere"),
    pytest.param("/round", False, 'Get "http://127.0.0.1:PORT/round": stopped after 10 redirects', id="leads to itself"),
    pytest.param("/unmodified", True, "body", id="less than 400"),
    pytest.param("/bad", False, "HTTP probe failed with statuscode: 500", id="an error"),
    pytest.param("/silent", False, 'Get "http://127.0.0.1:PORT/silent": context deadline exceeded (Client.Timeout exceeded while '
                 "awaiting headers)", id="nothing in time"),
])
def test_http(path, passed, said):
    async def run():
        async with http(PAGES) as (port, asked):
            within_s = 0.2 if path == "/silent" else 20.0
            answer = await ask_http(Asked("127.0.0.1", port, path, False, [{"name": "x-who", "value": "me"}]), within_s)
            return answer, asked, port
    answer, asked, port = asyncio.run(run())
    assert (answer.passed, answer.said.replace(str(port), "PORT")) == (passed, said)
    assert answer.is_warning == (path == "/away")
    assert asked[0][1] == {"Host": f"127.0.0.1:{port}", "User-Agent": "kube-probe/1.32", "Accept": "*/*", "Connection": "close", "X-Who": "me"}


def test_nobody_there():
    async def run():
        async with http({}) as (port, _):
            pass
        asked = {"httpGet": {"port": port, "path": "/"}}, {"tcpSocket": {"port": port}}
        return port, [(await ask(one, {}, "127.0.0.1", "", None)).said for one in asked]
    port, said = asyncio.run(run())
    assert said == [f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused',
                    f"dial tcp 127.0.0.1:{port}: connect: connection refused"]


SAYS = {b"": b"\x08\x01", b"down": b"\x08\x02", b"unknown": b"\x08\x03"}


@contextlib.asynccontextmanager
async def health(service="grpc.health.v1.Health"):
    async def check(request, context):
        name = request[2:]
        if name not in SAYS:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return SAYS[name]

    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        service, {"Check": grpc.unary_unary_rpc_method_handler(check)})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(0)


@pytest.mark.parametrize("service, passed, said", [
    pytest.param(None, True, "service healthy", id="the server"),
    pytest.param("down", False, 'service unhealthy (responded with "NOT_SERVING")', id="a service that does not serve"),
    pytest.param("unknown", False, 'service unhealthy (responded with "SERVICE_UNKNOWN")', id="one that says that it is unknown"),
    pytest.param("none", False, "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service", id="one that is not there"),
])
def test_grpc(service, passed, said):
    async def run():
        async with health() as port:
            return await ask({"grpc": {"port": port, "service": service}, "timeoutSeconds": 20}, {}, "127.0.0.1", "", None)
    assert asyncio.run(run()) == (passed, said, False)


def test_grpc_without_health():
    async def run():
        async with health("another.Service") as port:
            other = await ask({"grpc": {"port": port}, "timeoutSeconds": 20}, {}, "127.0.0.1", "", None)
        return port, other, await ask({"grpc": {"port": port}}, {}, "127.0.0.1", "", None)
    port, other, nobody = asyncio.run(run())
    assert other.said.startswith("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ")
    assert nobody.said == f'timeout: failed to connect service "127.0.0.1:{port}" within 1s: context deadline exceeded'
    assert not other.passed and not nobody.passed
