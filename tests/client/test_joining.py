"""A machine becomes known to a cluster: over TLS, with a token, against a cluster at work."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from muster import bootstrap
from muster.api.errors import Forbidden, NotFound, Unauthorized, Unavailable
from muster.api.objects import Key
from muster.app import Cluster, running
from muster.client import joining
from muster.client.kubeconfig import Kubeconfig, kubeconfig_of_cluster
from muster.client.remote import RemoteClient
from muster.clock import Clock
from muster.node.membership import Membership, keep, load
from muster.server.bootstrap_tokens import secret_of
from muster.server.certificates import authority_hash, prepare, signer
from muster.server.http import Api
from muster.server.serving import serve
from muster.store.memory import MemoryStore

WITHIN_S = 60.0  # only a hang takes as long
TOKEN = "abcdef.0123456789abcdef"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return folder, prepare(folder, Clock().now())


class World:
    def __init__(self, pki, url: str, cluster: Cluster):
        self.folder, self.issued, self.url, self.cluster = *pki, url, cluster
        self.hash = authority_hash(self.issued.ca)
        self.client = cluster.client("tester")

    async def join(self, node: str = "far", token: str = TOKEN) -> Kubeconfig:
        return await joining.joined(self.url, await joining.trusted_ca(self.url, self.hash), token, node)


def meet(pki, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = Clock()
        cluster = Cluster(MemoryStore(), clock, sign=signer(pki[0]))
        async with asyncio.timeout(WITHIN_S), serve(Api(cluster.registry, clock), "127.0.0.1", 0, pki[1]) as front:
            await cluster.create_missing(bootstrap.first_objects("127.0.0.1", front.port))
            info = bootstrap.cluster_info(kubeconfig_of_cluster(front.url, pki[1].ca))
            await cluster.create_missing([info, secret_of(TOKEN, clock.now() + 600)])
            await cluster.create_roles()
            async with running(cluster):
                await test(World(pki, front.url, cluster))
    asyncio.run(main())


def test_a_machine_joins_and_stays(pki, tmp_path):
    async def check(world: World) -> None:
        config = await world.join()
        assert config.token == "" and config.ca == world.issued.ca
        await _does_as_a_node(config)
        keep(tmp_path, Membership("far", config))
        kept = load(tmp_path)
        assert kept is not None and kept.config == config
        await world.client.delete(Key("secrets", "kube-system", "bootstrap-token-abcdef"))
        again = await joining.renewed(kept.config, "far")  # the certificate alone is enough
        assert again.key != config.key
        await _does_as_a_node(again)
    meet(pki, check)


async def _does_as_a_node(config: Kubeconfig) -> None:
    client = RemoteClient(config)
    try:
        assert (await client.list("nodes")).items == []
        with pytest.raises(Forbidden):
            await client.list("secrets")
    finally:
        await client.close()


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(pki):
    async def check(world: World) -> None:
        config = await world.join()
        client = RemoteClient(replace(config, certificate=b"", key=b""))
        with pytest.raises(Unauthorized):
            await client.list("nodes")
        await client.close()
        client.present(config)
        await client.list("nodes")
        await client.close()
    meet(pki, check)


@pytest.mark.parametrize(("token", "error", "said"), [
    pytest.param("abcdef.aaaaaaaaaaaaaaaa", Unauthorized, "make another one with `muster node token`", id="a wrong token"),
    pytest.param("zzzzzz.0123456789abcdef", Unauthorized, "make another one with `muster node token`", id="no token"),
])
def test_tokens_that_are_no_good(pki, token, error, said):
    async def check(world: World) -> None:
        with pytest.raises(error, match=said):
            await world.join(token=token)
    meet(pki, check)


def test_a_token_that_has_expired(pki):
    async def check(world: World) -> None:
        token = "old000.0123456789abcdef"
        await world.client.create(secret_of(token, world.cluster.clock.now() - 1))
        with pytest.raises(Unauthorized, match="has expired"):
            await world.join(token=token)
        key = Key("secrets", "kube-system", "bootstrap-token-old000")
        for _ in range(10_000):  # the cleaner takes it away in its own time
            try:
                await world.client.get(key)
            except NotFound:
                return
            await asyncio.sleep(0)
        raise AssertionError("it is still there")
    meet(pki, check)


def test_a_name_that_is_taken(pki):
    async def check(world: World) -> None:
        node = await world.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "far"}})
        await world.client.set_status(Key("nodes", "", "far"), node["metadata"]["uid"], READY)
        with pytest.raises(Forbidden, match="node far is there and ready; choose another name"):
            await world.join()
    meet(pki, check)


def test_another_authority(pki):
    async def check(world: World) -> None:
        with pytest.raises(Unauthorized, match="is not the one that the token is for.*copy the whole command again"):
            await joining.trusted_ca(world.url, "sha256:" + "0" * 64)
    meet(pki, check)


def test_no_server():
    import socket
    with socket.socket() as bound:  # not listening: nobody answers, and nobody else can
        bound.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(Unavailable, match="refused.*is the address right, and does a firewall"):
            asyncio.run(joining.trusted_ca(url, "sha256:x"))


def test_a_certificate_is_renewed_before_it_ends(pki, tmp_path):
    """One of ten minutes: it is dated back an hour, so four fifths of its time are over when it comes."""
    from muster.joined_machine import Renewal

    async def check(world: World) -> None:
        config = await world.join()
        client = RemoteClient(config)
        key, certificate = await joining.certified(client, "far", lasts_s=600)
        old = Membership("far", replace(config, key=key, certificate=certificate))
        assert old.renews_at() < world.cluster.clock.now() and not old.is_over(world.cluster.clock.now())
        bare = RemoteClient(Kubeconfig(world.url, world.issued.ca))  # what it shows later can only be the new one
        renewal = Renewal(old, tmp_path, bare, world.cluster.clock)
        work = asyncio.ensure_future(renewal.run())
        while renewal.member is old:
            await asyncio.sleep(0)
        work.cancel()
        assert load(tmp_path) == renewal.member and renewal.member.renews_at() > world.cluster.clock.now()
        assert (await bare.list("nodes")).items == []
        await bare.close()
        await client.close()
    meet(pki, check)
