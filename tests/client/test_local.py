"""The client inside the server's process: the same verbs and errors as over the wire."""
from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from muster.api.errors import BadRequest, Conflict, NotFound
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj, with_
from muster.api.schema import Schema
from muster.client.local import LocalClient
from muster.clock import Clock, run_virtual
from muster.server.registry import Registry
from muster.store.memory import MemoryStore

POD = Key("pods", "default", "web")


def pod(name: str = "web") -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}


def binding(uid: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web", "namespace": "default", "uid": uid},
            "target": {"kind": "Node", "name": "n1"}}


def with_client(test: Callable[[LocalClient, MemoryStore], Awaitable[None]]) -> None:
    async def main(clock: Clock) -> None:
        store = MemoryStore()
        client = LocalClient(Registry(store, Kinds(BUILT_IN), Schema.load(), clock), "system:tester")
        await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        await client.create({"apiVersion": "v1", "kind": "ServiceAccount",
                             "metadata": {"name": "default", "namespace": "default"}})
        await test(client, store)
    run_virtual(main)


def test_a_pod_from_birth_to_end():
    async def check(client: LocalClient, store: MemoryStore) -> None:
        made = await client.create(pod())
        uid = made["metadata"]["uid"]
        assert await client.get(POD) is made is store.get(POD).value
        bound = await client.create(binding(uid), subresource="binding")
        assert bound["kind"] == "Pod" and bound["spec"]["nodeName"] == "n1"
        running = await client.set_status(POD, uid, {"phase": "Running"})
        assert running["status"] == {"phase": "Running", "qosClass": "BestEffort"}
        listing = await client.list("pods", "default", fields="spec.nodeName=n1")
        assert list(listing.items) == [running] and listing.revision == store.history.revision
        with pytest.raises(Conflict):
            await client.delete(POD, uid=uid, revision=int(bound["metadata"]["resourceVersion"]))
        marked = await client.delete(POD, uid=uid, revision=int(running["metadata"]["resourceVersion"]))
        assert marked == store.history.revision and (await client.get(POD))["metadata"]["deletionTimestamp"]
        assert await client.delete(POD, uid=uid, grace_period_s=0) == store.history.revision
        with pytest.raises(NotFound, match='^pods "web" not found$'):
            await client.get(POD)
    with_client(check)


def test_a_token_is_the_answer():
    async def story(client: LocalClient, store: MemoryStore) -> None:
        before = store.history.revision
        made = await client.create({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["me"]},
                                    "metadata": {"name": "default", "namespace": "default"}}, subresource="token")
        assert made["kind"] == "TokenRequest" and made["status"]["token"].count(".") == 2
        assert store.history.revision == before
    with_client(story)


def test_writes_for_a_namesake_are_refused():
    async def check(client: LocalClient, store: MemoryStore) -> None:
        await client.create(pod())
        for write in (client.set_status(POD, "other", {"phase": "Running"}), client.delete(POD, uid="other"),
                      client.create(binding("other"), subresource="binding"),
                      client.replace(with_(pod(), "metadata.uid", "other"))):
            with pytest.raises(Conflict):
                await write
    with_client(check)


def test_replace_and_patch():
    async def check(client: LocalClient, store: MemoryStore) -> None:
        made = await client.create(pod())
        patched = await client.patch(POD, {"metadata": {"labels": {"a": "b"}}})
        with pytest.raises(Conflict, match="the object has been modified"):
            await client.replace(made)
        replaced = await client.replace(with_(patched, "metadata.labels", {"c": "d"}))
        assert replaced["metadata"]["labels"] == {"c": "d"}
        status = await client.replace(with_(replaced, "status.phase", "Running"), subresource="status")
        assert status["status"]["phase"] == "Running"
    with_client(check)


def test_follow_is_the_stores():
    async def check(client: LocalClient, store: MemoryStore) -> None:
        before = store.history.revision
        made = await client.create(pod())
        changes = await anext(client.follow("pods", before))
        assert [change.value for change in changes] == [made]
    with_client(check)


def test_what_is_not_served():
    async def check(client: LocalClient, store: MemoryStore) -> None:
        with pytest.raises(NotFound, match="the server could not find the requested resource"):
            await client.list("unicorns")
        with pytest.raises(BadRequest, match='no matches for kind "Unicorn" in version "v1"'):
            await client.create({"apiVersion": "v1", "kind": "Unicorn", "metadata": {"name": "u"}})
    with_client(check)
