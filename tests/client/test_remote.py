"""The client and the server over real TLS connections, in one event loop: no sleeps, no fakes."""
from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from certificate_requests import client_certificate
from muster.api.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj
from muster.api.schema import Schema
from muster.client.kubeconfig import Kubeconfig
from muster.client.remote import PAGE, RemoteClient
from muster.clock import Clock
from muster.first_roles import first_roles
from muster.server.certificates import Certificates, prepare
from muster.server.http import Api
from muster.server.identity import component
from muster.server.registry import Registry, WriteOptions
from muster.server.serving import LARGEST_HEAD, Serving, serve
from muster.store.memory import MemoryStore

WITHIN_S = 20.0  # only a hang takes as long
ME = WriteOptions(component("tester"))


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> tuple[Any, Certificates]:
    folder = tmp_path_factory.mktemp("pki")
    return folder, prepare(folder, Clock().now())


class World:
    def __init__(self, certificates: Certificates, where: Serving, registry: Registry, api: Api):
        self.certificates, self.where, self.registry, self.api = certificates, where, registry, api
        self.config = Kubeconfig(where.url, certificates.ca, certificates.admin, certificates.admin_key)
        self.client = RemoteClient(self.config)

    async def create(self, obj: Obj) -> Obj:
        kind = self.registry.kinds.named(obj["apiVersion"], obj["kind"])
        assert kind is not None
        return (await self.registry.create(kind, obj["metadata"].get("namespace", ""), obj, ME)).snapshot.value

    async def tls(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to write raw bytes to."""
        context = ssl.create_default_context(cadata=self.certificates.ca.decode())
        return await asyncio.open_connection(self.where.host, self.where.port, ssl=context)


def registry() -> Registry:
    return Registry(MemoryStore(keep=50), Kinds(BUILT_IN), Schema.load(), Clock(seed=1), ())


def meet(pki, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        made = registry()
        api = Api(made, Clock(seed=1))
        async with asyncio.timeout(WITHIN_S), serve(api, "127.0.0.1", 0, pki[1]) as where:
            world = World(pki[1], where, made, api)
            for name in ("default", "kube-public"):
                await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            for role in first_roles():
                await world.create(role)
            try:
                await test(world)
            finally:
                await world.client.close()
    asyncio.run(main())


def config(name: str, **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


A = Key("configmaps", "default", "a")


def test_every_verb(pki):
    async def story(world: World) -> None:
        client = world.client
        made = await client.create(config("a", x="1"))
        assert await client.get(A) == made
        assert (await client.patch(A, {"data": {"x": "2"}}))["data"] == {"x": "2"}
        assert (await client.patch(A, [{"op": "add", "path": "/data/y", "value": "3"}], how="json"))["data"]["y"] == "3"
        now = await client.get(A)
        assert (await client.replace({**now, "data": {}}))["metadata"]["uid"] == made["metadata"]["uid"]
        with pytest.raises(Conflict):
            await client.replace({**now, "data": {"late": "1"}})
        with pytest.raises(AlreadyExists):
            await client.create(config("a"))
        with pytest.raises(Conflict):
            await client.delete(A, uid="another")
        with pytest.raises(Conflict):
            await client.delete(A, revision=int(now["metadata"]["resourceVersion"]))  # it was replaced since
        revision = await client.delete(A, uid=made["metadata"]["uid"])
        assert revision == world.registry.store.history.revision
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            await client.get(A)
        with pytest.raises(Invalid) as wrong:
            await client.create(config("Not A Name"))
        assert wrong.value.details["causes"][0]["field"] == "metadata.name"
        with pytest.raises(NotFound):
            await client.list("unicorns.example.com")
        with pytest.raises(BadRequest, match="no matches for kind"):
            await client.create({"apiVersion": "v9", "kind": "Unicorn", "metadata": {"name": "a"}})
    meet(pki, story)


def test_status_and_binding(pki):
    async def story(world: World) -> None:
        client = world.client
        made = await client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
                                    "spec": {"containers": [{"name": "c", "image": "i"}]}})
        key, uid = Key("pods", "default", "p"), made["metadata"]["uid"]
        bound = await client.create({"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n1"},
                                     "metadata": {"name": "p", "namespace": "default", "uid": uid}}, subresource="binding")
        assert (bound["kind"], bound["spec"]["nodeName"]) == ("Pod", "n1")
        done = await client.set_status(key, uid, {"phase": "Running"})
        assert done["status"]["phase"] == "Running"
        with pytest.raises(Conflict):
            await client.set_status(key, "00000000-0000-4000-8000-000000000000", {"phase": "Failed"})
        assert (await client.get(key))["status"]["phase"] == "Running"
    meet(pki, story)


def test_who_brings_the_token_of_an_account(pki):
    async def story(world: World) -> None:
        bot = {"name": "bot", "namespace": "default"}
        await world.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": bot})
        made = await world.client.create({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": bot,
                                          "spec": {"audiences": []}}, subresource="token")
        client = RemoteClient(replace(world.config, certificate=b"", key=b"", token=made["status"]["token"]))
        try:
            with pytest.raises(Forbidden, match='User "system:serviceaccount:default:bot" cannot list resource "configmaps"'):
                await client.list("configmaps", "default")
            _, _, found = await client.request("GET", "/.well-known/openid-configuration")
            assert f'"jwks_uri":"{world.where.url}/openid/v1/jwks"'.encode() in found
            await world.client.delete(Key("serviceaccounts", "default", "bot"))
            with pytest.raises(Unauthorized):
                await client.list("configmaps", "default")
        finally:
            await client.close()
    meet(pki, story)


def test_a_list_of_several_pages_is_of_one_moment(pki):
    async def story(world: World) -> None:
        count = PAGE + 7
        for number in range(count):
            await world.create(config(f"c{number:04}"))
        found = await world.client.list("configmaps")
        assert [one["metadata"]["name"] for one in found.items] == [f"c{number:04}" for number in range(count)]
        assert all(one["kind"] == "ConfigMap" for one in found.items)
        assert found.revision == world.registry.store.history.revision
        few = await world.client.list("configmaps", "default", fields="metadata.name=c0003")
        assert len(few.items) == 1
    meet(pki, story)


def test_following_says_what_was_before(pki):
    async def story(world: World) -> None:
        await world.create(config("a", x="1"))
        listing = await world.client.list("configmaps")
        seen = []
        changes = world.client.follow("configmaps", listing.revision)
        await world.client.patch(A, {"data": {"x": "2"}})
        await world.client.create(config("b"))
        await world.client.delete(A)
        async for batch in changes:
            seen += batch
            if len(seen) == 3:
                break
        await changes.aclose()
        changed, created, deleted = seen
        assert (changed.previous["data"], changed.value["data"]) == ({"x": "1"}, {"x": "2"})
        assert created.before is None and created.key.name == "b"
        assert deleted.after is None and deleted.previous["data"] == {"x": "2"}
        assert deleted.revision == world.registry.store.history.revision
    meet(pki, story)


def test_following_a_past_that_is_forgotten(pki):
    async def story(world: World) -> None:
        for number in range(120):
            await world.create(config(f"c{number}"))
        with pytest.raises(Gone):
            async for _ in world.client.follow("configmaps", 1):
                pass
    meet(pki, story)


def test_following_goes_on_when_the_server_was_away(pki):
    async def main() -> None:
        made = registry()
        certificates = pki[1]
        async with asyncio.timeout(WITHIN_S):
            async with serve(Api(made, Clock()), "127.0.0.1", 0, certificates) as where:
                world = World(certificates, where, made, Api(made, Clock()))
                await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
                listing = await world.client.list("configmaps")
                changes = world.client.follow("configmaps", listing.revision)
                await world.create(config("a"))
                assert (await anext(changes))[0].key.name == "a"
            waiting = asyncio.ensure_future(anext(changes))
            await world.create(config("b"))  # while nobody serves
            async with serve(Api(made, Clock()), "127.0.0.1", where.port, certificates):
                assert (await waiting)[0].key.name == "b"
                await changes.aclose()
                await world.client.close()
    asyncio.run(main())


def test_many_at_once_share_few_connections(pki):
    async def story(world: World) -> None:
        await world.create(config("a"))
        await asyncio.gather(*(world.client.get(A) for _ in range(300)))
        assert 0 < len(world.client._pool._all) <= 64
        assert len(world.client._pool._idle) == len(world.client._pool._all)
    meet(pki, story)


def test_a_server_that_is_not_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"

        async def main() -> None:
            client = RemoteClient(Kubeconfig(url))
            with pytest.raises(Unavailable, match="is not running .connection refused.; start it with `muster up`"):
                await client.get(A)
        asyncio.run(main())


def test_who_one_is(pki, tmp_path):
    async def story(world: World) -> None:
        certificate, key = client_certificate(pki[0], Clock().now(), "bob", ["developers"])
        bob = RemoteClient(Kubeconfig(world.where.url, world.certificates.ca, certificate, key))
        who = await bob._ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert who["status"]["userInfo"] == {"username": "bob", "groups": ["developers", "system:authenticated"]}
        nobody = RemoteClient(Kubeconfig(world.where.url, world.certificates.ca))
        with pytest.raises(Unauthorized):
            await nobody.get(A)
        other = prepare(tmp_path, Clock().now())  # another cluster's
        with pytest.raises(Unavailable, match="is not the one this kubeconfig is for"):
            await RemoteClient(Kubeconfig(world.where.url, other.ca)).get(A)
        stranger = RemoteClient(Kubeconfig(world.where.url, world.certificates.ca, other.admin, other.admin_key))
        with pytest.raises(Unavailable):
            await stranger.get(A)
        await bob.close()
        await nobody.close()
    meet(pki, story)


def test_stopping_ends_watches_at_once(pki):
    async def main() -> None:
        made = registry()
        api = Api(made, Clock())
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(WITHIN_S):
            async with serve(api, "127.0.0.1", 0, pki[1]) as where:
                world = World(pki[1], where, made, api)
                streams = [await world.client._pool.stream("GET", "/api/v1/pods?watch=1") for _ in range(5)]
                assert len(api.streams) == 5
                begun = loop.time()
            for _, chunks in streams:
                assert [chunk async for chunk in chunks] == []  # ended well, not cut off
            assert loop.time() - begun < WITHIN_S / 4
            await world.client.close()
    asyncio.run(main())


@pytest.mark.parametrize(("sent", "answer"), [
    pytest.param(b"GET /" + b"x" * (LARGEST_HEAD + 10), b"HTTP/1.1 431 ", id="an endless request line"),
    pytest.param(b"GET /version HTTP/1.1\r\nhost: a\r\n" + b"x-long: " + b"x" * (LARGEST_HEAD + 10), b"HTTP/1.1 431 ",
                 id="an endless header"),
    pytest.param(b"NONSENSE\r\n\r\n", b"HTTP/1.1 400 ", id="no HTTP"),
    pytest.param(b"GET /version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", b"HTTP/1.1 200 ", id="a plain one"),
    pytest.param(b"GET /api/v1/pods HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
                 b"HTTP/1.1 401 ", id="a WebSocket"),
    pytest.param(b"POST /api/v1/namespaces HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999999\r\n\r\n", b"HTTP/1.1 401 ",
                 id="a body that is announced too large"),
])
def test_raw_bytes(pki, sent, answer):
    async def story(world: World) -> None:
        reader, writer = await world.tls()
        writer.write(sent)
        assert (await reader.readline()).startswith(answer)
        writer.close()
        assert await world.client.list("namespaces")  # the server lives on
    meet(pki, story)


def test_a_port_that_is_taken(pki):
    async def story(world: World) -> None:
        with pytest.raises(OSError, match="[Aa]ddress already in use"):
            async with serve(world.api, "127.0.0.1", world.where.port, world.certificates):
                pass
    meet(pki, story)
