"""Random histories: what users and machines do to a cluster, drawn from one seed.

A scenario runs a few dozen actions with pauses between them, heals what it declared broken, waits, and then
watches ten quiet minutes.  The process may end in between and another one go on with the same store.
"""
from __future__ import annotations

import asyncio
import random
from collections import Counter

from laws import Laws
from small_world import a_daemonset, a_node, a_pod, at_work, image_patch, key_of_set

from muster.api.errors import ApiError, Conflict, Invalid, NotFound
from muster.api.objects import Key, Obj, annotations_of, is_deleting, name_of, namespace_of, uid_of
from muster.clock import Clock, run_virtual
from muster.control.revisions import RESOURCE, number_of
from muster.store.memory import MemoryStore

ACTIONS = 30
HEALED_AFTER_S, QUIET_S = 1000.0, 600.0
MOST_NODES, NAMES, NAMESPACES = 9, ("red", "green", "blue"), ("default", "team")
GOOD_IMAGES, BAD_IMAGE = ("x:1", "x:2", "x:3"), "x:404"
CRASHING = {"muster.dev/crash": "agent,after=3s"}
QUIET_WRITES = {"leases.coordination.k8s.io", "nodes", "events"}  # heartbeats, reports, and what expires
FAIL = "muster.dev/fail"


def play(seed: int) -> Counter:
    """Plays the scenario of that seed; raises AssertionError where a law is broken.  Returns what was done."""
    try:
        return run_virtual(Scenario(seed).run, seed=seed)
    except ExceptionGroup as failures:
        broken, _ = failures.split(AssertionError)
        while isinstance(broken, ExceptionGroup):
            broken = broken.exceptions[0]
        if broken is None:
            raise
        raise broken from None


class Scenario:
    def __init__(self, seed: int):
        self.seed = seed
        self.rng = random.Random(f"scenario {seed}")
        self.done: Counter[str] = Counter()
        self._weights = {action: self.rng.choice((1, weight, weight, 3 * weight)) for action, weight in self._ACTIONS}

    async def run(self, clock: Clock) -> Counter:
        store = MemoryStore()
        self.laws = laws = Laws(store, clock, self.seed)
        try:
            for begin in range(2 if self.rng.random() < .3 else 1):
                if begin:
                    laws.say("another process goes on")
                async with at_work(clock, store) as self.world:
                    laws.world, self.admin = self.world, self.world.admin
                    await self._live(first=not begin)
            async with at_work(clock, store) as self.world:
                laws.world, self.admin = self.world, self.world.admin
                await self._heal()
                await asyncio.sleep(HEALED_AFTER_S)
                self._all_is_well()
                await self._quiet()
        finally:
            laws.close()
        return self.done

    async def _live(self, first: bool) -> None:
        if first:
            for _ in range(self.rng.randint(2, 6)):
                await self._add_node()
            await asyncio.sleep(self.rng.choice((0, 5)))
            await self._create_set()
        names = list(self._weights)
        for _ in range(ACTIONS):
            action = self.rng.choices(names, weights=list(self._weights.values()))[0]
            try:
                await action(self)
            except (NotFound, Conflict, Invalid) as error:
                self.laws.say(f"... refused: {error}")
            except ApiError as error:
                if "terminat" not in str(error) and "deleted" not in str(error):
                    raise
            self.laws.check()
            pause = self.rng.choice((0, 0, .01, .5, 2, 5, 10, 30, 70)) * self.rng.uniform(.5, 1.5)
            if pause:
                await asyncio.sleep(pause)
                self.laws.check()

    # ---- what is there

    def _nodes(self) -> list[str]:
        return sorted(self.laws.nodes)

    def _a_node(self) -> str:
        nodes = self._nodes()
        if not nodes:
            raise NotFound("no node")
        return self.rng.choice(nodes)

    def _a_set(self) -> Obj:
        sets = sorted(self.laws.sets.values(), key=lambda one: (namespace_of(one), name_of(one)))
        if not sets:
            raise NotFound("no set")
        return self.rng.choice(sets)

    def _key(self, daemonset: Obj) -> Key:
        return key_of_set(name_of(daemonset), namespace_of(daemonset))

    async def _patch_node(self, name: str, patch: Obj, how="merge") -> None:
        self.laws.say(f"node {name}: {patch}")
        await self.admin.patch(Key("nodes", "", name), patch, how=how)

    async def _patch_set(self, daemonset: Obj, patch: Obj, how="merge") -> None:
        self.laws.say(f"set {self._key(daemonset)}: {patch}")
        await self.admin.patch(self._key(daemonset), patch, how=how)

    # ---- nodes

    async def _add_node(self) -> None:
        free = [f"n{number}" for number in range(MOST_NODES) if f"n{number}" not in self.laws.nodes]
        if free:
            name = self.rng.choice(free)
            self.laws.say(f"node {name} comes")
            await self.admin.create(a_node(name, {"disk": self.rng.choice(("ssd", "hdd"))}))

    async def _delete_node(self) -> None:
        name = self._a_node()
        self.laws.say(f"node {name} is deleted")
        await self.admin.delete(Key("nodes", "", name))

    async def _label(self) -> None:
        await self._patch_node(self._a_node(), {"metadata": {"labels": {"disk": self.rng.choice(("ssd", "hdd"))}}})

    async def _taint(self) -> None:
        name = self._a_node()
        taints = [taint for taint in self.laws.nodes[name]["spec"].get("taints") or () if taint["key"] != "mine"]
        if (effect := self.rng.choice(("NoSchedule", "NoExecute", "", ""))):
            taints.append({"key": "mine", "effect": effect})
        await self._patch_node(name, {"spec": {"taints": taints}})

    async def _cordon(self) -> None:
        await self._patch_node(self._a_node(), {"spec": {"unschedulable": self.rng.choice((True, None))}})

    async def _fail(self) -> None:
        await self._patch_node(self._a_node(), {"metadata": {"annotations": {FAIL: "true"}}})

    async def _return(self) -> None:
        failing = [name for name in self._nodes() if FAIL in annotations_of(self.laws.nodes[name])]
        if failing:
            await self._patch_node(self.rng.choice(failing), {"metadata": {"annotations": {FAIL: None}}})

    # ---- sets

    def _strategy(self) -> Obj:
        rng = self.rng
        match rng.choice(("down", "down", "surge", "on delete")):
            case "down":
                return {"type": "RollingUpdate", "rollingUpdate": {
                    "maxUnavailable": rng.choice((1, 2, 3, "25%", "50%", "100%")), "maxSurge": 0}}
            case "surge":
                return {"type": "RollingUpdate", "rollingUpdate": {
                    "maxUnavailable": 0, "maxSurge": rng.choice((1, 2, "30%", "100%"))}}
        return {"type": "OnDelete", "rollingUpdate": None}

    def _image(self) -> str:
        return self.rng.choice((*GOOD_IMAGES, *GOOD_IMAGES, BAD_IMAGE))

    async def _create_set(self) -> None:
        name, namespace, rng = self.rng.choice(NAMES), self.rng.choice(NAMESPACES), self.rng
        if namespace != "default" and self.world.store.get(Key("namespaces", "", namespace)) is None:
            await self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        pod_spec: Obj = {}
        if rng.random() < .3:
            pod_spec["nodeSelector"] = {"disk": "ssd"}
        if rng.random() < .2:
            pod_spec["tolerations"] = [{"key": "mine", "effect": rng.choice(("NoSchedule", "NoExecute")),
                                        "operator": "Exists"}]
        manifest = a_daemonset(name, namespace, self._image(), cpu=rng.choice(("", "100m", "600m")),
                               pod_spec=pod_spec, updateStrategy=self._strategy(),
                               minReadySeconds=rng.choice((0, 0, 3, 15)))
        self.laws.say(f"apply set {namespace}/{name}: {manifest['spec']}")
        await self.world.apply(manifest)

    async def _new_image(self) -> None:
        await self._patch_set(self._a_set(), image_patch(self._image()), how="strategic")

    async def _crash(self) -> None:
        annotations = self.rng.choice((CRASHING, dict.fromkeys(CRASHING), dict.fromkeys(CRASHING)))
        await self._patch_set(self._a_set(), {"spec": {"template": {"metadata": {"annotations": annotations}}}})

    async def _new_strategy(self) -> None:
        await self._patch_set(self._a_set(), {"spec": {"updateStrategy": self._strategy()}})

    async def _change_set(self) -> None:
        patch = self.rng.choice((
            {"minReadySeconds": self.rng.choice((0, 5, 20))},
            {"template": {"spec": {"nodeSelector": {"disk": self.rng.choice(("ssd", "hdd", None))}}}},
            {"revisionHistoryLimit": self.rng.choice((0, 1, 10))},
        ))
        await self._patch_set(self._a_set(), {"spec": patch})

    async def _pause(self) -> None:
        await self._patch_set(self._a_set(), {"metadata": {"annotations": {
            "muster.dev/paused": self.rng.choice(("true", None))}}})

    async def _undo(self) -> None:
        daemonset = self._a_set()
        past = [one.value for one in self.world.store.history.lane(RESOURCE).snapshots()
                if any(owner["uid"] == uid_of(daemonset) for owner in one.value["metadata"].get("ownerReferences", ()))]
        if past:
            chosen = self.rng.choice(sorted(past, key=number_of))
            await self._patch_set(daemonset, chosen["data"], how="strategic")

    async def _delete_set(self) -> None:
        daemonset = self._a_set()
        how = self.rng.choice(("Background", "Background", "Foreground", "Orphan"))
        self.laws.say(f"delete {self._key(daemonset)}: {how}")
        await self.admin.delete(self._key(daemonset), propagation=how)

    async def _delete_namespace(self) -> None:
        if self.world.store.get(Key("namespaces", "", "team")) is not None:
            self.laws.say("delete namespace team")
            await self.admin.delete(Key("namespaces", "", "team"))

    # ---- pods

    async def _delete_pod(self) -> None:
        if self.laws.pods:
            key = self.rng.choice(sorted(self.laws.pods))
            grace_s = self.rng.choice((None, None, 0, 1))
            self.laws.say(f"delete {key}, grace {grace_s}")
            await self.admin.delete(key, grace_period_s=grace_s)

    async def _relabel_pod(self) -> None:
        """The set lets go of a pod that no longer matches, and takes it back when it does again."""
        if self.laws.pods:
            key = self.rng.choice(sorted(self.laws.pods))
            app = self.rng.choice(("nobody", *NAMES))
            self.laws.say(f"{key} is labelled app={app}")
            await self.admin.patch(key, {"metadata": {"labels": {"app": app}}})

    async def _ordinary_pod(self) -> None:
        name = f"web-{self.rng.randrange(10**6)}"
        spec = {"nodeName": self.rng.choice((self._a_node(), "nowhere"))} if self.rng.random() < .2 else {}
        self.laws.say(f"pod {name} {spec}")
        await self.admin.create(a_pod(name, cpu=self.rng.choice(("", "2", "3500m")), **spec))

    async def _evict(self) -> None:
        if self.laws.pods:
            key = self.rng.choice(sorted(self.laws.pods))
            self.laws.say(f"evict {key}")
            await self.admin.create({"apiVersion": "policy/v1", "kind": "Eviction",
                                     "metadata": {"name": key.name, "namespace": key.namespace}},
                                    subresource="eviction")

    _ACTIONS = (
        (_add_node, 2), (_delete_node, 1), (_label, 2), (_taint, 2), (_cordon, 1), (_fail, 1), (_return, 2),
        (_create_set, 2), (_new_image, 6), (_crash, 1), (_new_strategy, 2), (_change_set, 2), (_pause, 1),
        (_undo, 1), (_delete_set, 1), (_delete_namespace, 1),
        (_delete_pod, 2), (_relabel_pod, 1), (_ordinary_pod, 4), (_evict, 1),
    )

    # ---- the end

    async def _heal(self) -> None:
        self.laws.say("all is healed")
        for name in self._nodes():
            if FAIL in annotations_of(self.laws.nodes[name]):
                await self._patch_node(name, {"metadata": {"annotations": {FAIL: None}}})
        await asyncio.sleep(30)
        for daemonset in list(self.laws.sets.values()):
            if not is_deleting(daemonset):
                patch = image_patch("x:9")
                patch["spec"]["template"]["metadata"] = {"annotations": dict.fromkeys(CRASHING)}
                patch["metadata"] = {"annotations": {"muster.dev/paused": None}}
                await self._patch_set(daemonset, patch, how="strategic")
        for key, pod in list(self.laws.pods.items()):
            if not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", ())):
                await self._gone(key)  # orphans and ordinary pods make room
        await asyncio.sleep(20)
        for key, pod in list(self.laws.pods.items()):  # what a set that updates on deletion leaves broken
            uid = next((owner["uid"] for owner in pod["metadata"].get("ownerReferences", ())), "")
            daemonset = self.laws.sets.get(uid)
            if daemonset is not None and daemonset["spec"]["updateStrategy"]["type"] == "OnDelete":
                await self._gone(key)
        self.laws.check()

    async def _gone(self, key: Key) -> None:
        try:
            await self.admin.delete(key)
        except NotFound:
            return

    def _all_is_well(self) -> None:
        self.laws.say("all should be well")
        self.laws.every_node_has_its_daemon()
        self._mirror_is_true()
        self.laws.check()

    def _mirror_is_true(self) -> None:
        mirror = self.world.mirror
        for resource in mirror.resources:
            there = {place: one.value for place, one in self.world.store.history.lane(resource).objects.items()}
            if dict(mirror.objects(resource)) != there:
                self.laws.wrong(f"the mirror's {resource} are not the store's")

    async def _quiet(self) -> None:
        """Ten minutes in which nothing is asked for: nodes give signs of life, and nobody else writes."""
        writes, looks = Counter(self.laws.writes), self._looks()
        await asyncio.sleep(QUIET_S)
        wrote = self.laws.writes - writes
        many = len(self.laws.nodes)
        at_most = {"leases.coordination.k8s.io": many * 61, "nodes": many * 4, "events": 1000}
        for resource, number in wrote.items():
            if number > at_most.get(resource, 0):
                self.laws.wrong(f"{number} writes of {resource} in {QUIET_S:.0f} quiet seconds")
        for name, number in (self._looks() - looks).items():
            if number > 20 + 65 * many:
                self.laws.wrong(f"{number} looks of {name} in {QUIET_S:.0f} quiet seconds")
        self.laws.nothing_was_changed_in_place()
        self.laws.check()

    def _looks(self) -> Counter:
        return Counter({runtime.controller.name: runtime.tally.plans for runtime in self.world.runtimes})
