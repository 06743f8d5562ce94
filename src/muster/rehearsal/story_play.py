"""Plays a story on a cluster in virtual time, while the laws listen.

    ending = play(7)                     Ending(broken, ...)
    ending = play(7, keep=(0, 3, 4))     only some of its steps

What is done before the end may be refused or be in vain (a pod that is gone can not be evicted): laws are all that
counts.  In the end everything that was broken is mended, every workload gets a template that works, and after a while
each must be what it should be, its status must say so, and nobody may have anything left to write.
"""
from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from ..api.errors import ApiError, NotFound
from ..api.objects import Key, Obj, annotations_of, controller_of, is_deleting, name_of, owners_of
from ..app import Cluster, running
from ..bootstrap import first_objects
from ..clock import Clock, run_virtual
from ..node.crashes import ANNOTATION as CRASH
from ..node.fleet import Fleet
from ..node.machines import FAIL
from ..store.memory import MemoryStore
from .faults import ClockSkew
from .faults_line import Line
from .invariants import Broken, Laws
from .invariants_settled import check_mirror, check_settled
from .story import a_node, story
from .story_clocks import AHEAD_S
from .story_ground import Ground
from .story_steps import SCALED, Fail, Make, RestartProcess, Step

LAST_S = 130.0  # the longest that a fault of starts lasts
MACHINES_S, WELL_AFTER_S, QUIET_S = 15.0, 420.0, 120.0
SETTLED_AFTER_S = 300.0
GOOD_IMAGE = "x:9"
HEARTBEATS = .2  # the share of stories whose nodes renew their leases all the time
MENDED = {"DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"}


@dataclass
class Ending:
    seed: int
    broken: list[Broken]
    changes: int  # of the history
    virtual_s: float
    refused: int  # steps that were in vain
    began: float  # Unix seconds
    told: list[str] = field(default_factory=list)

    @classmethod
    def failed(cls, seed: int, failure: Exception) -> Ending:
        """Of a story that could not be played to its end."""
        broken = Broken(0.0, "stories can be played", Key("story", "", str(seed)), repr(failure))
        return cls(seed, [broken], 0, 0.0, 0, 0.0)


def play(seed: int, keep: Collection[int] | None = None) -> Ending:
    steps = [step for number, step in enumerate(story(seed)) if keep is None or number in keep]
    steps.sort(key=lambda step: step.at_s)
    return run_virtual(_Play(seed, steps).run, seed=seed)


class _Play:
    def __init__(self, seed: int, steps: Sequence[Step]):
        self._seed, self._steps = seed, steps
        self._told: list[str] = []
        self._refused = 0

    async def run(self, clock: Clock) -> Ending:
        self._clock, self._store, self._line = clock, MemoryStore(), Line(clock)
        self._began = clock.now()
        self._laws = laws = Laws(self._store.history, clock.now, who=lambda: self._line.writers.who,
                                 seen_until=self._line.seen_until, missed_from=self._line.missed_from,
                                 good_since=self._line.good_since, keep_values=True)
        self._line.acknowledged = laws.acknowledged
        complaints = _Complaints(laws)
        logging.getLogger("muster").addHandler(complaints)
        try:
            await self._live_on()
        finally:
            logging.getLogger("muster").removeHandler(complaints)
        laws.check_values()
        return Ending(self._seed, laws.broken, self._store.history.revision, clock.now() - self._began, self._refused,
                      self._began, self._told)

    async def _live_on(self) -> None:
        """One process after the other, on the same store."""
        heartbeats = random_of(self._seed) < HEARTBEATS
        lives = list(_lives(self._steps))
        for number, (away_s, steps) in enumerate(lives):
            if number:
                self._say(f"the process ended; another one begins after {away_s:g} s")
            await asyncio.sleep(away_s)
            self._line.let_go()
            self._laws.begun = self._clock.now()
            self._cluster = Cluster(self._store, self._clock, clients=self._line.client,
                                    make_fleet=partial(Fleet, heartbeats=heartbeats))
            async with running(self._cluster):
                await self._live(steps)
                if number + 1 == len(lives):
                    await self._end_well()

    async def _live(self, steps: Sequence[Step]) -> None:
        ground = self._ground = Ground(self._cluster, self._store, self._line, self._laws, self._say)
        await self._cluster.create_missing(first_objects("127.0.0.1", 6443))
        for step in steps:
            wait_s = self._began + step.at_s - self._clock.now()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                self._laws.check()
            self._say(str(step.what))
            try:
                await step.what.happen(ground)
            except ApiError as refused:
                if refused.code >= 500:
                    raise
                self._refused += 1
                self._say(f"... refused: {refused}")
        self._last_at = self._clock.now()
        ground.check()

    def _say(self, text: str) -> None:
        self._laws.say(text)
        self._told.append(f"{self._clock.now() - self._began:8.2f} s  {text}")

    # ---- the end

    async def _end_well(self) -> None:
        self._say("everything is mended")
        self._line.mend_all()
        await asyncio.sleep(max(0.0, self._last_at + LAST_S - self._clock.now()))
        await self._mend_machines()
        await asyncio.sleep(MACHINES_S)
        await self._mend_workloads()
        await asyncio.sleep(MACHINES_S)
        await self._mend_pods()
        await asyncio.sleep(WELL_AFTER_S + self._later_s())
        self._say("all should be well")
        self._laws.check()
        check_settled(self._laws, self._store.history)
        check_mirror(self._laws, self._store.history, self._cluster.mirror)
        await self._quiet()

    def _later_s(self) -> float:
        """Jobs wait longer by what clocks are ahead, each time they fail; autoscalers go by their last five minutes."""
        whats = [step.what for step in self._steps]
        is_skewed = any(isinstance(what, Fail) and isinstance(what.fault, ClockSkew) for what in whats)
        is_scaled = any(isinstance(what, Make) and name_of(what.manifest) == SCALED for what in whats)
        return 6 * AHEAD_S * is_skewed + SETTLED_AFTER_S * is_scaled

    async def _mend_machines(self) -> None:
        self._ground.end()
        if not self._laws.scene.nodes:
            await Make(a_node("spare", "ssd")).happen(self._ground)
        for name, node in sorted(self._laws.scene.nodes.items()):
            metadata: Obj = {"labels": {"disk": "ssd"}}
            if FAIL in annotations_of(node):
                metadata["annotations"] = {FAIL: None}
            taints = [taint for taint in node["spec"].get("taints") or () if taint["key"] != "mine"]
            await self._ground.admin.patch(Key("nodes", "", name), {
                "metadata": metadata, "spec": {"unschedulable": None, "taints": taints or None}})

    async def _mend_workloads(self) -> None:
        for workload in list(self._laws.scene.workloads.values()):
            owned = any(owner["kind"] == "Deployment" for owner in owners_of(workload))
            if is_deleting(workload) or workload["kind"] not in MENDED or owned:
                continue
            container: Obj = {"name": "app", "image": GOOD_IMAGE}
            if name_of(workload) != SCALED:  # an autoscaler goes by what is requested
                container["resources"] = None
            template: Obj = {"metadata": {"annotations": {CRASH: None}},
                             "spec": {"containers": [container], "nodeSelector": None}}
            spec: Obj = {"template": template}
            if workload["kind"] == "Deployment":
                spec["paused"] = False
                if workload["spec"]["strategy"]["type"] == "Recreate":
                    # Scaled in mid-rollout and then told to recreate, a Deployment stands still, upstream's too.
                    spec["strategy"] = {"type": "RollingUpdate"}
            if (workload["spec"].get("updateStrategy") or {}).get("rollingUpdate", {}).get("partition"):
                spec["updateStrategy"] = {"rollingUpdate": {"partition": 0}}
            await self._ground.admin.patch(self._cluster.kinds.key_of(workload), {"spec": spec}, how="strategic")

    async def _mend_pods(self) -> None:
        """Who belongs to nobody makes room; who is made anew only when somebody deletes it is deleted."""
        for key, pod in sorted(self._laws.scene.pods.items()):
            workload = self._laws.scene.workloads.get((controller_of(pod) or {}).get("uid", ""))
            if workload is None or workload["kind"] == "ReplicaSet" and not owners_of(workload) or (
                    (workload["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"):
                try:
                    await self._ground.admin.delete(key)
                except NotFound:
                    continue

    async def _quiet(self) -> None:
        """A while in which nothing is asked for: nodes give signs of life, and nobody else writes."""
        laws, many = self._laws, len(self._laws.scene.nodes)
        writes, looks = Counter(laws.writes), self._looks()
        await asyncio.sleep(QUIET_S)
        at_most = {"leases.coordination.k8s.io": many * (QUIET_S / 10 + 1), "nodes": many * 4, "events": 1000}
        swings = laws.scaling.most_writes_in(QUIET_S)
        for resource, number in (laws.writes - writes).items():
            if number > at_most.get(resource, 0) + swings:
                laws.wrong("nothing loops", Key(resource, "", ""), f"{number} writes in {QUIET_S:g} quiet seconds")
        for name, number in (self._looks() - looks).items():
            if number > 20 + 15 * many + swings:
                laws.wrong("nothing loops", Key(name, "", ""), f"{number} looks in {QUIET_S:g} quiet seconds")

    def _looks(self) -> Counter[str]:
        return Counter({one.controller.name: one.tally.plans for one in self._cluster.runtimes})


def random_of(seed: int) -> float:
    return Random(f"heartbeats {seed}").random()


def _lives(steps: Sequence[Step]) -> Iterator[tuple[float, list[Step]]]:
    """The steps of one process after the other, and how long nobody was there before it."""
    away_s, mine = 0.0, list[Step]()
    for step in steps:
        if isinstance(step.what, RestartProcess):
            yield away_s, mine
            away_s, mine = step.what.away_s, []
        else:
            mine.append(step)
    yield away_s, mine


class _Complaints(logging.Handler):
    """A plan that raises is logged and the others go on: here it breaks a law."""

    def __init__(self, laws: Laws):
        super().__init__(logging.ERROR)
        self._laws = laws

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else ""
        self._laws.wrong("no part fails", Key("log", "", record.name), f"{record.getMessage()} {error!r}")
