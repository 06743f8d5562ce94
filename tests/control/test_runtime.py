"""How decisions are carried out, shown with small controllers on a real registry and mirror in virtual time."""
from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest

from muster.api.errors import Conflict, Forbidden, NotFound, Unavailable
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj, name_of, revision_of, uid_of
from muster.api.schema import Schema
from muster.client.local import LocalClient
from muster.client.mirror import Mirror
from muster.clock import Clock, run_virtual
from muster.control.plan import Create, Delete, Patch, Plan, Replace, SetStatus, Tell
from muster.control.runtime import BATCH, Controller, Runtime
from muster.server.registry import Registry
from muster.store.memory import MemoryStore

MAPS = "configmaps"


def a_map(name: str, namespace: str = "default", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def key(name: str) -> Key:
    return Key(MAPS, "default", name)


class Bench:
    """A store with a registry, a mirror and a runtime whose `plan` is given.  Looks and times are noted."""

    def __init__(self, clock: Clock, plan: Callable[[Any, float], Plan], **more: Any):
        self.clock = clock
        self.store = MemoryStore()
        self.kinds = Kinds(BUILT_IN)
        registry = Registry(self.store, self.kinds, Schema.load(), clock)
        self.client = LocalClient(registry, "system:tester")
        self.mirror = Mirror(self.client, [MAPS, "pods", "namespaces"])
        self.told: list[Tell] = []
        self.looks: list[tuple[float, str]] = []
        controller = Controller(**{"name": "test", "resources": (MAPS,), "wakes": lambda change, mirror: (change.key,),
                                   "observe": self._observe, "plan": plan, **more})
        self.runtime = Runtime(controller, self.mirror, self.client, clock, self.kinds, self.told.append)

    def _observe(self, mirror: Mirror, key: Key) -> Obj | None:
        found = mirror.get(key)
        if found is not None:
            self.looks.append((round(self.clock.now() - 1_767_225_600.0, 3), name_of(found)))
        return found

    @contextlib.asynccontextmanager
    async def at_work(self):
        await self.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.mirror.run()), group.create_task(self.runtime.run())]
            await self.mirror.synced()
            yield self
            for task in tasks:
                task.cancel()

    def there(self) -> list[str]:
        return [place[1] for place in self.store.history.lane(MAPS).objects]


def play(plan, story, **more):
    async def main(clock: Clock) -> None:
        async with Bench(clock, plan, **more).at_work() as bench:
            await story(bench)
    run_virtual(main)


def only(name: str, plan: Callable[[Obj, float], Plan]) -> Callable[[Obj, float], Plan]:
    """The plan, for the object of that name; nothing for others."""
    return lambda obj, now: plan(obj, now) if name_of(obj) == name else Plan()


class Refusing:
    """Wraps a client: some writes fail, as `fails(what, name)` says (it returns the error, or None)."""

    def __init__(self, client: LocalClient, fails: Callable[[str, str], Exception | None]):
        self._client, self._fails = client, fails
        self.asked: list[str] = []

    def __getattr__(self, verb: str) -> Any:
        def act(what: Any, *args: Any, **more: Any) -> Any:
            name = what.name if isinstance(what, Key) else name_of(what)
            self.asked.append(f"{verb} {name}")
            if (error := self._fails(verb, name)) is not None:
                raise error
            return getattr(self._client, verb)(what, *args, **more)
        return act


def refusing(bench: Bench, fails: Callable[[str, str], Exception | None]) -> Refusing:
    bench.runtime._client = wrapped = Refusing(bench.client, fails)  # type: ignore[assignment]
    return wrapped


# ------------------------------------------------------------------ batches

def test_creations_grow_from_one_to_many_and_stop_at_the_first_refusal():
    def plan(obj, now):
        return Plan([Create(a_map(f"made-{number:03}")) for number in range(100)])

    async def story(bench):
        client = refusing(bench, lambda verb, name: Unavailable("no") if name == "made-005" else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.05)
        made = [name for name in bench.there() if name != "first"]
        assert made == [f"made-{number:03}" for number in (0, 1, 2, 3, 4, 6)], "1, 2, then the 4 with the refused one"
        assert len(client.asked) == 7, "the other 93 were not even asked for"

    play(only("first", plan), story)


def test_deletions_go_together():
    """There is no template that could be wrong: a slow start would only make each step of a rollout longer."""
    in_flight = most = 0

    class Counting:
        def __init__(self, client):
            self._client = client

        async def delete(self, key, **options):
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(.001)
            in_flight -= 1
            return await self._client.delete(key, **options)

    def plan(obj, now):
        return Plan([Delete(key(f"old-{number}"), uid) for number, uid in enumerate(uids)])

    uids: list[str] = []

    async def story(bench):
        for number in range(100):
            uids.append(uid_of(await bench.client.create(a_map(f"old-{number}"))))
        bench.runtime._client = Counting(bench.client)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.05)
        assert bench.there() == ["first"] and most == BATCH

    play(only("first", plan), story)


def test_deletions_come_before_creations_and_need_none_to_succeed():
    """A set whose new pods are refused must still be able to end those that should go."""
    def plan(obj, now):
        return Plan([Create(a_map("made")), Delete(key("old"), obj["data"]["old"])])

    async def story(bench):
        old = await bench.client.create(a_map("old"))
        client = refusing(bench, lambda verb, name: Unavailable("no") if verb == "create" else None)
        await bench.client.create(a_map("first", old=uid_of(old)))
        await asyncio.sleep(.05)
        assert client.asked == ["delete old", "create made"] and bench.there() == ["first"]

    play(only("first", plan), story)


def test_what_is_refused_does_not_keep_the_rest_from_being_done():
    def plan(obj, now):
        return Plan([Create(a_map("made")), Patch(key("first"), uid_of(obj), {"data": {"seen": "yes"}})])

    async def story(bench):
        refusing(bench, lambda verb, name: Unavailable("no") if verb == "create" else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.05)
        assert (await bench.client.get(key("first")))["data"] == {"seen": "yes"}

    play(only("first", plan), story)


def test_a_plan_may_say_what_to_write_instead_of_the_rest_where_something_is_refused():
    def plan(obj, now):
        def seen(what):
            return [Patch(key("first"), uid_of(obj), {"data": {"seen": what}})]
        return Plan([Create(a_map("made")), *seen("made")], otherwise=seen)

    async def story(bench):
        refusing(bench, lambda verb, name: Unavailable("no room") if verb == "create" else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.05)
        assert (await bench.client.get(key("first")))["data"] == {"seen": "no room"}

    play(only("first", plan), story)


def test_what_is_needed_first_is_made_first_and_nothing_without_it():
    def plan(obj, now):
        return Plan([Create(a_map("pod"), tell=obj, first=(Create(a_map("claim-a")), Create(a_map("claim-b"))))])

    async def story(bench):
        wrapped = refusing(bench, lambda verb, name: Forbidden("no") if (verb, name) == ("create", "claim-a") else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.05)
        assert wrapped.asked == ["create claim-a", "create claim-b"], "all that is needed, and then not what needs it"
        assert [(one.reason, one.message) for one in bench.told] == [
            ("FailedCreate", "Error creating: failed to create PVC claim-a: no")]
        bench.runtime._client = bench.client
        await bench.client.delete(key("claim-b"))
        await asyncio.sleep(1)
        assert sorted(bench.there()) == ["claim-a", "claim-b", "first", "pod"]

    play(only("first", plan), story)


def test_a_change_of_scale_that_is_refused_is_told_instead():
    """All that follows would say that it was done."""
    def plan(obj, now):
        status = Patch(key("first"), uid_of(obj), {"data": {"said": "scaled"}})
        instead = [Patch(key("first"), uid_of(obj), {"data": {"said": "not scaled"}})]
        return Plan([Patch(key("second"), "", {"spec": {"replicas": 2}}, subresource="scale"), status],
                    otherwise=lambda why: [*instead, Tell(obj, "Warning", "FailedRescale", why)])

    async def story(bench):
        refusing(bench, lambda verb, name: Forbidden("no") if name == "second" else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.05)
        assert (await bench.client.get(key("first")))["data"] == {"said": "not scaled"}
        assert (bench.told[0].reason, bench.told[0].message) == ("FailedRescale", "no")

    play(only("first", plan), story)


@pytest.mark.parametrize("error, told", [
    pytest.param(Unavailable("no"), ["FailedUpdateStatus: no"], id="refused"),
    pytest.param(NotFound("gone"), [], id="gone meanwhile"),
])
def test_who_wants_to_hears_of_a_status_that_could_not_be_written(error, told):
    def plan(obj, now):
        return Plan([SetStatus(key("first"), uid_of(obj), {}, tell=obj)])

    async def story(bench):
        refusing(bench, lambda verb, name: error if verb == "set_status" else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.001)
        assert [f"{one.reason}: {one.message}" for one in bench.told] == told

    play(only("first", plan), story)


def test_many_writes_are_never_all_in_flight_at_once():
    in_flight = most = 0

    class Counting:
        def __init__(self, client):
            self._client = client

        async def create(self, obj):
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(.001)
            in_flight -= 1
            return await self._client.create(obj)

    def plan(obj, now):
        return Plan([Create(a_map(f"made-{number}")) for number in range(2000)])

    async def story(bench):
        bench.runtime._client = Counting(bench.client)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(1)
        assert len(bench.there()) == 2001 and most == BATCH

    play(lambda obj, now: plan(obj, now) if name_of(obj) == "first" and now < 1_767_225_600.5 else Plan(), story)


# ------------------------------------------------------------------ each action

def test_a_deletion_is_left_undone_where_what_it_follows_from_is_not_so():
    """`unless` asks the API itself: the mirror may not have heard of it yet."""
    def plan(obj, now):
        return Plan([Delete(key("victim"), obj["data"]["victim"], unless=((key("owner"), obj["data"]["owner"]),))])

    async def story(bench):
        victim, owner = uid_of(await bench.client.create(a_map("victim"))), await bench.client.create(a_map("owner"))
        await bench.client.create(a_map("first", victim=victim, owner=uid_of(owner)))
        await asyncio.sleep(1)
        assert "victim" in bench.there()
        await bench.client.delete(key("owner"))
        await bench.client.create(a_map("owner"))  # a namesake, with another uid
        await asyncio.sleep(10)
        assert "victim" not in bench.there(), "tried again, and not kept by a namesake"

    play(only("first", plan), story)


@pytest.mark.parametrize("since, goes_after_s", [
    pytest.param("nothing", 0.1, id="what was seen goes"),
    pytest.param("changed", 1.0, id="what has changed since is looked at once more"),
    pytest.param("replaced", None, id="a namesake stays"),
])
def test_a_deletion_may_be_meant_for_what_was_seen_and_nothing_newer(since, goes_after_s):
    """`revision`, as of a look that is older than what the API has."""
    looks = []

    def plan(obj, now):
        looks.append(now)
        is_late = since == "nothing" or len(looks) > 1
        return Plan([Delete(key("victim"), obj["data"]["uid"], revision=int(obj["data"]["later" if is_late else "seen"]))])

    async def story(bench):
        seen = later = await bench.client.create(a_map("victim"))
        if since != "nothing":
            later = await bench.client.patch(key("victim"), {"data": {"new": "yes"}})
        if since == "replaced":
            await bench.client.delete(key("victim"))
            await bench.client.create(a_map("victim"))
        await bench.client.create(a_map("first", uid=uid_of(seen), seen=str(revision_of(seen)), later=str(revision_of(later))))
        await asyncio.sleep(0.1)
        assert ("victim" not in bench.there()) == (goes_after_s == 0.1)
        await asyncio.sleep(0.9)
        assert ("victim" not in bench.there()) == (goes_after_s is not None)
        assert len(looks) == (2 if since == "changed" else 1), "tried again only where it is still there"

    play(only("first", plan), story)


@pytest.mark.parametrize("uid, left", [
    pytest.param("", ["first"], id="what is meant goes"),
    pytest.param("another", ["first", "victim"], id="a namesake is neither changed nor taken"),
])
def test_what_has_to_be_read_of_what_ends_is_written_before_it_ends(uid, left):
    def plan(obj, now):
        meant = obj["data"]["victim"]
        return Plan([Delete(key("victim"), meant, first=Patch(key("victim"), meant, {"data": {"why": "so"}}))])

    async def story(bench):
        seen = []
        bench.mirror.on_change(lambda change: seen.append((change.key.name, change.value and change.value["data"])), [MAPS])
        victim = uid_of(await bench.client.create(a_map("victim")))
        await bench.client.create(a_map("first", victim=uid or victim))
        await asyncio.sleep(1)
        assert sorted(bench.there()) == left
        ends = [("victim", {"why": "so"}), ("victim", None)] if not uid else []
        assert [one for one in seen if one[0] == "victim"][1:] == ends
        assert bench.runtime.tally.errors == 0, "there is nothing to try again"

    play(only("first", plan), story)


@pytest.mark.parametrize("action", [
    pytest.param(lambda uid: Delete(key("other"), uid), id="delete"),
    pytest.param(lambda uid: Patch(key("other"), uid, {"data": {"seen": "yes"}}), id="merge patch"),
    pytest.param(lambda uid: Patch(key("other"), uid, [{"op": "add", "path": "/data", "value": {"seen": "yes"}}],
                                   how="json"), id="json patch"),
    pytest.param(lambda uid: SetStatus(key("other"), uid, {"seen": "yes"}), id="status"),
])
def test_a_namesake_is_never_touched(action):
    async def story(bench):
        await bench.client.create(a_map("other"))
        await bench.client.create(a_map("first"))
        before = bench.store.get(key("other"))
        await asyncio.sleep(5)
        assert bench.store.get(key("other")) is before

    play(only("first", lambda obj, now: Plan([action("0000-another")])), story)


def test_a_replacement_that_comes_too_late_is_decided_anew():
    seen = []

    def plan(obj, now):
        seen.append(obj["data"])
        if "done" in obj["data"]:
            return Plan()
        stale = obj["data"].get("stale", "0")
        written = {**obj, "data": {**obj["data"], "done": "yes"}}
        if stale == "1":
            written = {**written, "metadata": {**written["metadata"], "resourceVersion": "1"}}
        return Plan([Replace(written)])

    async def story(bench):
        await bench.client.create(a_map("first", stale="1"))
        await asyncio.sleep(.1)
        assert "done" not in (await bench.client.get(key("first")))["data"]
        assert bench.runtime.tally.errors == 1
        await bench.client.patch(key("first"), {"data": {"stale": "0"}})
        await asyncio.sleep(5)
        assert (await bench.client.get(key("first")))["data"] == {"stale": "0", "done": "yes"}

    play(only("first", plan), story)


def test_creations_and_deletions_are_told():
    def plan(obj, now):
        return Plan([Create(a_map("made"), tell=obj), Delete(key("other"), obj["data"]["other"], tell=obj)])

    async def story(bench):
        other = await bench.client.create(a_map("other"))
        await bench.client.create(a_map("first", other=uid_of(other)))
        await asyncio.sleep(.1)
        await bench.client.patch(key("first"), {"data": {"again": "yes"}})
        await asyncio.sleep(.1)
        assert [(one.reason, one.message) for one in bench.told] == [
            ("SuccessfulDelete", "Deleted configmap: other"), ("SuccessfulCreate", "Created configmap: made"),
            ("FailedCreate", 'Error creating: configmaps "made" already exists')]

    play(only("first", plan), story)


# ------------------------------------------------------------------ looks

def test_no_look_is_taken_before_the_mirror_has_seen_what_the_last_one_wrote():
    """The controller makes one map a look until there are ten: with a late mirror it would make too many."""
    async def story(bench):
        inner = bench.mirror._apply

        def plan(obj, now):
            many = len(bench.mirror.objects(MAPS))
            return Plan([Create(a_map(f"made-{many}"))] if many < 10 else [])

        object.__setattr__(bench.runtime.controller, "plan", only("first", plan))
        object.__setattr__(bench.runtime.controller, "wakes", lambda change, mirror: (key("first"),))
        late = bench.client.follow

        async def follow(resource, after):
            async for changes in late(resource, after):
                await asyncio.sleep(.2)  # as a slow connection
                yield changes

        bench.client.follow = follow
        assert inner == bench.mirror._apply
        await bench.client.create(a_map("first"))
        await asyncio.sleep(20)
        assert len(bench.there()) == 10 and bench.runtime.tally.errors == 0

    async def main(clock: Clock) -> None:
        bench = Bench(clock, lambda obj, now: Plan())
        async with bench.at_work():
            await story(bench)
    run_virtual(main)


def test_a_plan_that_raises_does_not_stop_other_keys(caplog):
    def plan(obj, now):
        if name_of(obj) == "bad" and obj["data"].get("mended") is None:
            raise ZeroDivisionError("our own mistake")
        return Plan([Patch(key(name_of(obj)), uid_of(obj), {"data": {"seen": "yes"}})]
                    if "seen" not in obj["data"] else [])

    async def story(bench):
        for name in ("bad", "good"):
            await bench.client.create(a_map(name, a="b"))
        await asyncio.sleep(1)
        assert (await bench.client.get(key("good")))["data"]["seen"] == "yes"
        assert "our own mistake" in caplog.text and "the plan failed" in caplog.text
        await bench.client.patch(key("bad"), {"data": {"mended": "yes"}})
        await asyncio.sleep(1)
        assert (await bench.client.get(key("bad")))["data"]["seen"] == "yes", "and it is looked at again"

    with caplog.at_level(logging.ERROR):
        play(plan, story, workers=1)


def test_a_conflict_is_tried_again_with_patience():
    def plan(obj, now):
        return Plan([SetStatus(key("first"), uid_of(obj), {})])

    async def story(bench):
        refusing(bench, lambda verb, name: Conflict("somebody was faster"))
        await bench.client.create(a_map("first"))
        await asyncio.sleep(400)
        times = [when for when, _ in bench.looks]
        waits = [round(later - sooner, 1) for sooner, later in zip(times, times[1:], strict=False)]
        assert waits == [.2, .4, .8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0, 60.0, 60.0][:len(waits)]
        assert len(waits) >= 12

    play(only("first", plan), story)


def test_patience_begins_anew_once_it_went_well():
    refused = True

    async def story(bench):
        nonlocal refused
        refusing(bench, lambda verb, name: Conflict("somebody was faster") if refused else None)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(7)
        refused = False
        await asyncio.sleep(60)
        assert not bench.runtime._failures
        bench.looks.clear()
        refused = True
        await bench.client.patch(key("first"), {"data": {"again": "yes"}})
        await asyncio.sleep(.3)
        assert len(bench.looks) == 2

    play(only("first", lambda obj, now: Plan([Patch(key("first"), uid_of(obj), {"data": {"seen": "yes"}})])), story)


def test_a_plan_names_when_to_look_again():
    def plan(obj, now):
        return Plan(wake_at=1_767_225_600.0 + 30 if now < 1_767_225_620.0 else None)

    async def story(bench):
        await bench.client.create(a_map("first"))
        await asyncio.sleep(100)
        assert [when for when, _ in bench.looks] == [0.0, 30.0]

    play(only("first", plan), story)


def test_many_changes_are_one_look_when_looks_are_large():
    async def story(bench):
        await bench.client.create(a_map("first"))
        for number in range(100):
            await bench.client.patch(key("first"), {"data": {"number": str(number)}})
            await asyncio.sleep(.01)
        await asyncio.sleep(5)
        assert 2 <= len(bench.looks) <= 5, "one in half a second, not one for each change"

    play(only("first", lambda obj, now: Plan(size=100_000)), story)


def test_it_ends_when_it_is_told_to_even_while_it_writes():
    """The mirror ends at the same time: waiting until it has seen the last write would be for ever."""
    def plan(obj, now):
        return Plan([Create({**a_map(""), "metadata": {"generateName": "made-", "namespace": "default"}})
                     for _ in range(50)])

    class Slow:
        def __init__(self, client):
            self._client = client

        async def create(self, obj):
            await asyncio.sleep(.01)
            return await self._client.create(obj)

    async def story(bench):
        bench.runtime._client = Slow(bench.client)
        await bench.client.create(a_map("first"))
        await asyncio.sleep(.025)

    play(only("first", plan), story)  # a deadlock in virtual time would be raised
