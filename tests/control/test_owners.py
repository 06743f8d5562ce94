"""Who is adopted, released, left alone."""
from __future__ import annotations

import asyncio

import pytest

from muster.api.objects import Key, name_of
from muster.api.selectors import from_label_selector
from muster.client.client import Listing
from muster.client.mirror import Mirror
from muster.control.owners import candidates, claim, orphans
from muster.control.plan import Patch
from muster.store.history import Change, Snapshot

OWNER = {"apiVersion": "apps/v1", "kind": "DaemonSet",
         "metadata": {"name": "agent", "namespace": "logging", "uid": "u1"}}
GOING = {**OWNER, "metadata": {**OWNER["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
SELECTOR = from_label_selector({"matchLabels": {"app": "agent"}})
OURS, THEIRS = {"app": "agent"}, {"app": "other"}


def a_pod(labels, controller=None, namespace="logging", going=False, name="p"):
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels, "resourceVersion": "1"}
    if controller:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x",
                                        "uid": controller, "controller": True}]
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}}


ADOPT = {"metadata": {"ownerReferences": [{
    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "u1", "controller": True,
    "blockOwnerDeletion": True}]}}
RELEASE = {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": "u1"}]}}


@pytest.mark.parametrize("owner, pod, is_mine, patch", [
    pytest.param(OWNER, a_pod(OURS, "u1"), True, None, id="ours"),
    pytest.param(OWNER, a_pod(THEIRS, "u1"), False, RELEASE, id="ours, no longer matching: released"),
    pytest.param(OWNER, a_pod(OURS, "u2"), False, None, id="somebody else's"),
    pytest.param(OWNER, a_pod(OURS), True, ADOPT, id="orphan: adopted"),
    pytest.param(OWNER, a_pod(THEIRS), False, None, id="orphan that does not match"),
    pytest.param(OWNER, a_pod(OURS, going=True), False, None, id="orphan that is going"),
    pytest.param(OWNER, a_pod(OURS, namespace="other"), False, None, id="orphan elsewhere"),
    pytest.param(GOING, a_pod(OURS, "u1"), True, None, id="ours while we go"),
    pytest.param(GOING, a_pod(THEIRS, "u1"), False, None, id="not released while we go"),
    pytest.param(GOING, a_pod(OURS), False, None, id="not adopted while we go"),
])
def test_claims(owner, pod, is_mine, patch):
    found = claim(owner, SELECTOR, [pod], "pods")
    assert bool(found.mine) is is_mine
    assert found.actions == ([] if patch is None else [
        Patch(Key("pods", "logging", "p"), "uid-p", patch, how="strategic")])


class Silent:
    """A cluster in which nothing happens by itself."""

    async def list(self, resource, namespace="", *, labels="", fields=""):
        return Listing([a_pod(OURS, name="a"), a_pod(OURS, "u1", name="b")], 1)

    async def follow(self, resource, after):
        await asyncio.Event().wait()
        yield ()


def test_orphans_follow_the_mirror():
    async def story():
        mirror = Mirror(Silent(), ["pods"])
        running = asyncio.create_task(mirror.run())
        await mirror.synced()
        assert [name_of(one) for one in orphans(mirror, "pods", "logging")] == ["a"]
        assert sorted(name_of(one) for one in candidates(mirror, OWNER, "pods")) == ["a", "b"]

        def turn(name, before, after):
            mirror._apply(Change(2, Key("pods", "logging", name), Snapshot(after, 2) if after else None,
                                 Snapshot(before, 1)))

        turn("a", a_pod(OURS, name="a"), a_pod(OURS, "u1", name="a"))
        turn("b", a_pod(OURS, "u1", name="b"), a_pod(OURS, name="b"))
        assert [name_of(one) for one in orphans(mirror, "pods", "logging")] == ["b"]
        turn("b", a_pod(OURS, name="b"), None)
        assert list(orphans(mirror, "pods", "logging")) == []
        running.cancel()

    asyncio.run(story())
