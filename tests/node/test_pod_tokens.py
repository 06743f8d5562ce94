"""The tokens of real pods' volumes: whose they are, when they are renewed, and how they lie in their files."""
from __future__ import annotations

import asyncio
import os
import random
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from muster.api.errors import Unavailable
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj
from muster.api.schema import Schema
from muster.client.local import LocalClient
from muster.clock import Clock, run_virtual
from muster.node import volumes
from muster.node.environment import Facts
from muster.node.pod_tokens import JITTER_S, Asked, NoToken, PodTokens, Tokens, asked_of
from muster.server.registry import Registry
from muster.server.signing_key import unchecked_claims
from muster.store.memory import MemoryStore

FACTS = Facts("n1", "10.0.0.1", "10.0.1.1", {})
HOUR = Asked("", 3607)


class World:
    """A server, a node's tokens, and a line between them that may be cut."""

    def __init__(self, clock: Clock):
        self.clock, self.asked, self.is_cut = clock, 0, False
        self.client = LocalClient(Registry(MemoryStore(), Kinds(BUILT_IN), Schema.load(), clock), "system:tester")
        self.tokens = self.of_a_new_process()

    def of_a_new_process(self) -> PodTokens:
        return PodTokens(self, self.clock.now, random.Random(1))  # type: ignore[arg-type]  # a client that can do one thing

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        self.asked += 1
        if self.is_cut:
            raise Unavailable("the server is away")
        return await self.client.create(obj, subresource=subresource)

    async def pod(self, *sources: Obj, **spec: Any) -> Obj:
        for kind, name in (("Namespace", "default"), ("ServiceAccount", "default")):
            await self.client.create({"apiVersion": "v1", "kind": kind, "metadata": {
                "name": name, **({"namespace": "default"} if kind == "ServiceAccount" else {})}})
        if sources:
            spec["volumes"] = [{"name": "given", "projected": {"sources": [{"serviceAccountToken": one} for one in sources]}}]
        return await self.client.create({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}], "nodeName": "n1", **spec}})


def played(story: Callable[[World], Awaitable[None]]) -> None:
    run_virtual(lambda clock: story(World(clock)))


def said(token: str) -> Obj:
    found = unchecked_claims(token)
    assert found is not None
    return found


def test_it_is_bound_to_its_pod():
    async def story(world: World) -> None:
        pod = await world.pod({"path": "vault", "audience": "vault", "expirationSeconds": 600})
        tokens = await world.tokens.of(pod)
        assert list(tokens) == [Asked("vault", 600), HOUR] == list(asked_of(pod))
        about = said(tokens[Asked("vault", 600)])
        assert about["aud"] == ["vault"] and about["kubernetes.io"]["pod"] == {"name": "web", "uid": pod["metadata"]["uid"]}
    played(story)


@pytest.mark.parametrize(("lifetime_s", "renewed_after_s"), [
    pytest.param(600, 480, id="four fifths of ten minutes"),
    pytest.param(3607, 2885.6, id="of an hour"),
    pytest.param(200_000, 24 * 3600, id="a day at most"),
])
def test_when_it_is_renewed(lifetime_s: int, renewed_after_s: float):
    async def story(world: World) -> None:
        pod = await world.pod({"path": "it", "audience": "a", "expirationSeconds": lifetime_s}, automountServiceAccountToken=False)
        assert world.tokens.wants(pod)
        first = await world.tokens.of(pod)
        await asyncio.sleep(renewed_after_s - JITTER_S - 1)
        assert not world.tokens.wants(pod) and await world.tokens.of(pod) == first
        await asyncio.sleep(JITTER_S + 1)
        assert world.tokens.wants(pod)
        again = await world.tokens.of(pod)
        assert again != first and world.asked == 2 and not world.tokens.wants(pod)
    played(story)


def test_a_server_that_is_away():
    """The old one stays while it is good."""
    async def story(world: World) -> None:
        pod = await world.pod()
        world.is_cut = True
        with pytest.raises(NoToken, match='MountVolume.SetUp failed for volume "kube-api-access-.*" : failed to fetch token: the server is away'):
            await world.tokens.of(pod)
        world.is_cut = False
        first = await world.tokens.of(pod)
        world.is_cut = True
        await asyncio.sleep(3600)
        assert await world.tokens.of(pod) == first
        await asyncio.sleep(10)
        with pytest.raises(NoToken):
            await world.tokens.of(pod)
    played(story)


def test_a_pod_without_and_an_agent_that_starts_over():
    async def story(world: World) -> None:
        pod = await world.pod(automountServiceAccountToken=False)
        assert not world.tokens.wants(pod) and await world.tokens.of(pod) == {} and world.asked == 0
        await world.client.delete(Key("pods", "default", "web"), grace_period_s=0)
        other = await world.client.create({**pod, "metadata": {"name": "web", "namespace": "default"},
                                           "spec": {**pod["spec"], "automountServiceAccountToken": True}})
        await world.tokens.of(other)
        assert world.of_a_new_process().wants(other), "what it had is not known any more"
        world.tokens.forget(other)
        assert world.tokens.wants(other)
    played(story)


class TestFiles:
    def written(self, folder: Path, tokens: Tokens, **spec: Any) -> tuple[Path, Obj]:
        pod = {"metadata": {"name": "web", "namespace": "default", "uid": "u"}, "spec": {"containers": [{"name": "c"}], **spec}}
        volume = {"name": "access", "projected": {"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}}
        volumes.refresh(pod, volume, folder, volumes.Sources(lambda *_: None, FACTS, tokens))
        return folder / "volumes" / "access", pod

    @pytest.mark.parametrize(("spec", "mode", "beside"), [
        pytest.param({}, 0o644, 0o644, id="nobody knows who reads it"),
        pytest.param({"securityContext": {"runAsUser": os.getuid()}}, 0o600, 0o644, id="one user"),
        pytest.param({"securityContext": {"fsGroup": os.getgid()}}, 0o640, 0o644, id="a group"),
        pytest.param({"containers": [{"name": "a", "securityContext": {"runAsUser": os.getuid()}}, {"name": "b"}]}, 0o644, 0o644, id="one who does not say"),
    ])
    def test_who_may_read_it(self, tmp_path: Path, spec: Obj, mode: int, beside: int):
        place, _ = self.written(tmp_path, {HOUR: "secret"}, **spec)
        assert (place / "token").read_text() == "secret" and (place / "namespace").read_text() == "default"
        assert stat.S_IMODE((place / "token").stat().st_mode) == mode
        assert stat.S_IMODE((place / "namespace").stat().st_mode) == beside

    def test_it_changes_in_one_step(self, tmp_path: Path):
        place, _ = self.written(tmp_path, {HOUR: "one"})
        was = os.readlink(place / "..data")
        self.written(tmp_path, {HOUR: "one"})
        assert os.readlink(place / "..data") == was
        self.written(tmp_path, {HOUR: "two"})
        assert os.readlink(place / "..data") != was and (place / "token").read_text() == "two"
        assert os.readlink(place / "token") == "..data/token", "who reads follows the link that is exchanged"

    @pytest.mark.parametrize(("spec", "user"), [
        pytest.param({"securityContext": {"runAsUser": 5}, "containers": [{}]}, 5, id="the pod's"),
        pytest.param({"securityContext": {"runAsUser": 5}, "containers": [{"securityContext": {"runAsUser": 6}}]}, 6, id="its container's"),
        pytest.param({"containers": [{"securityContext": {"runAsUser": 6}}], "initContainers": [{"securityContext": {"runAsUser": 6}}]}, 6, id="all alike"),
        pytest.param({"containers": [{"securityContext": {"runAsUser": 6}}], "initContainers": [{"securityContext": {"runAsUser": 0}}]}, None, id="two"),
        pytest.param({"containers": [{"securityContext": {"runAsUser": 0}}]}, 0, id="root is one too"),
        pytest.param({"containers": [{}]}, None, id="the image's"),
    ])
    def test_whose_it_is(self, spec: Obj, user: int | None):
        assert volumes.user_of({"spec": spec}) == user
