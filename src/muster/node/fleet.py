"""Every node of one kind, simulated or real, and every pod on them, in one loop.

    the mirror changes  ->  look at that node or pod  ->  plan  ->  at most one write under way for each
    a timer is due      ->       (machines.py)        (plan.py)     and at most 128 in all (agenda.py)

There is no task for a node or a pod: one heap of timers says who is next, in real and in virtual time alike, and
the writers are as many as there is something to write.  It goes by what is there now, so it may be stopped and
started at any time: the pods that ran go on running.  What nodes tell of themselves is in heartbeats.py.

Which nodes it takes, and how their pods run, is for its `hosting` to say: simulation.py, or agent.py for real ones.
A node that says `muster.dev/fail: "true"` falls silent, with its pods, for as long as it does.
"""
from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Callable
from itertools import islice

from ..api.errors import ApiError, NotFound
from ..api.logs import LogOptions
from ..api.objects import Key, Obj, is_deleting, name_of, namespace_of, revision_of, uid_of
from ..client.client import Client
from ..client.mirror import Mirror
from ..clock import Clock
from ..control.plan import Tell
from ..store.history import Change
from . import admission, behaviour, leases, life, log_stream, plan, pressure, status
from .agenda import Agenda
from .behaviour import Behaviour
from .gauge import Gauge
from .heartbeats import Heartbeats
from .hosting import Hosting
from .machines import Machine, Resident, is_failing, is_simulated
from .meter import FleetMeter
from .misfortune import Misfortune
from .simulation import Simulation
from .turn import Host

log = logging.getLogger(__name__)

IN_FLIGHT = 128
LOOKS_AT_ONCE = 50  # before others of the event loop get their turn
STATUS_S = 10.0  # a kubelet writes what changed of its node this often
RETRY_S, LONGEST_RETRY_S = 1.0, 10.0  # a kubelet writes what is left to be written every 10 s

_ASKING = ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "annotations")


class Fleet:
    def __init__(self, client: Client, mirror: Mirror, clock: Clock, tell: Callable[[Tell], None] | None = None,
                 *, hosting: Hosting | None = None, in_flight: int = IN_FLIGHT, usual: Behaviour = behaviour.USUAL,
                 simulates: Callable[[Obj], bool] = is_simulated, heartbeats: bool = True,
                 meter: FleetMeter | None = None):
        self._client, self._mirror, self._clock = client, mirror, clock
        self._tell = tell or (lambda one: None)
        self._chance: random.Random = clock.fork("fleet")
        self._machines: dict[str, Machine] = {}
        self._residents: dict[Key, Resident] = {}
        self._hosting: Hosting = hosting or Simulation(mirror, self._chance, usual, simulates)
        self._dirty: dict[Key, None] = {}
        self._agenda = Agenda(clock, in_flight)
        self._heartbeats = Heartbeats(client, mirror, clock, self._chance, self._tell, self._hosting,
                                      self._machines, self._agenda, spared=not heartbeats)
        # Without it no node comes under pressure.
        self._gauge = Gauge(meter, mirror, self._feel_soon) if meter is not None else None
        self._misfortunes: tuple[Misfortune, ...] = ()
        mirror.on_change(self._changed, ("pods", "nodes"))
        if not heartbeats:
            mirror.on_change(self._heartbeats.lease_changed, (leases.RESOURCE,))

    @property
    def writes(self) -> int:
        """Of all kinds but events, so far."""
        return self._agenda.writes

    async def run(self) -> None:
        await self._mirror.synced()
        self._dirty.update((Key("nodes", *place), None) for place in self._mirror.objects("nodes"))
        async with asyncio.TaskGroup() as writers:
            while True:
                looked = self._look_around() + self._fire()
                self._agenda.start_writers(writers)
                if looked >= LOOKS_AT_ONCE:
                    await asyncio.sleep(0)
                else:
                    await self._agenda.rest()

    def befall(self, misfortune: Misfortune) -> None:
        """From now on pods may be unlucky in this way too, until it is over."""
        lasting = [one for one in self._misfortunes if one.until > self._clock.now()]
        self._misfortunes = (*lasting, misfortune)

    def report(self, resident: Resident, change: Callable[[life.Life, float], life.Life]) -> None:
        """What a runtime tells of a pod: puts it into the pod's life, and looks at it."""
        if not resident.gone and resident.life is not None:
            now = self._clock.now()
            resident.life = change(resident.life, now + resident.machine.skew_s)
            self._look(resident, now)

    def machine(self, name: str) -> Machine | None:
        return self._machines.get(name)

    def report_soon(self, name: str) -> None:
        """Something that the node's status tells has changed."""
        machine, soon = self._machines.get(name), self._clock.now() + STATUS_S
        if machine is not None and machine.timers.get("report", math.inf) > soon:
            self._agenda.set_timer(machine, "report", soon)

    def resident(self, key: Key) -> Resident | None:
        return self._residents.get(key)

    def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        return log_stream.pieces(self._mirror, self._clock, pod, options)

    def is_busy_with(self, key: Key) -> bool:
        """Is a step of the pod under way that will end by itself: a pull, a start, getting ready, a stop?"""
        resident = self._residents.get(key)
        if resident is None or resident.life is None or is_failing(resident.machine.node):
            return False
        life_, now = resident.life, self._clock.now() + resident.machine.skew_s
        return (any(one is not None and now < one < math.inf for one in (life_.stops_at, life_.gone_at))
                or any(run.stage in (life.PULLING, life.STARTING) and run.until < math.inf
                       or run.stage == life.RUNNING and now < run.ready_at < math.inf for run in life_.runs))

    # What changed

    def _changed(self, change: Change) -> None:
        key = change.key
        if key.resource == "pods":
            pod = change.value
            if pod is not None and not pod["spec"].get("nodeName"):
                return
            resident = self._residents.get(key)
            if resident is not None and pod is not None and revision_of(pod) <= resident.revision:
                return  # our own write coming back
        self._dirty[key] = None
        self._agenda.stir()

    def _look_around(self) -> int:
        looked = 0
        while self._dirty and looked < LOOKS_AT_ONCE:
            for key in list(islice(self._dirty, LOOKS_AT_ONCE - looked)):
                del self._dirty[key]
                looked += 1
                if key.resource == "pods":
                    self._pod_changed(key)
                else:
                    self._node_changed(key.name)
        return looked

    def _fire(self) -> int:
        fired, now = 0, self._clock.now()
        while fired < LOOKS_AT_ONCE and (due := self._agenda.take_due(now)) is not None:
            fired += 1
            if isinstance(due.subject, Resident):
                self._look(due.subject, max(now, due.when))
            elif due.what == "lease":
                self._heartbeats.beat(due.subject, now)
            elif due.what == "pressure":
                self._feel(due.subject, now)
            else:
                self._heartbeats.report(due.subject)
        return fired

    # Nodes

    def _node_changed(self, name: str) -> None:
        node = self._mirror.get(Key("nodes", "", name))
        machine = self._machines.get(name)
        if machine is not None and (node is None or uid_of(node) != machine.uid or not self._hosting.takes(node)):
            self._leave(machine)
            machine = None
        if node is None or not self._hosting.takes(node):
            return
        if machine is None:
            self._move_in(node)
        elif revision_of(node) < revision_of(machine.node):
            return  # what this fleet has written since is on its way here
        else:
            self._take_node(machine, node, self._clock.now())
        machine = self._machines[name]
        if not is_failing(node) and not status.is_registered(node, machine.pressures):
            self._heartbeats.report(machine)

    def _take_node(self, machine: Machine, node: Obj, now: float) -> None:
        """Compared with what was acted upon: the change may have come already with the answer to a write."""
        was_silent, machine.is_silent = machine.is_silent, is_failing(node)
        machine.node = node
        if machine.skew_s != (skew_s := self._hosting.skew_s(node)):
            machine.set_clock(skew_s)
        if machine.is_silent and not was_silent:
            self._heartbeats.fell_silent(machine, now)
        if was_silent and not machine.is_silent:
            self._heartbeats.beat(machine, now)
            for resident in list(machine.residents.values()):
                self._look(resident, now)

    def _move_in(self, node: Obj) -> None:
        """A node came, or this fleet has just begun: its pods are taken up where they stand."""
        now = self._clock.now()
        machine = self._hosting.machine(node, now)
        self._machines[machine.name] = machine
        for key, pod in sorted(self._mirror.on_node(machine.name).items()):
            machine.remember(pod)
            self._dirty[key] = None
        if machine.pressures:
            self._feel_soon(machine.name)
        self._heartbeats.begin(machine, now)

    def _leave(self, machine: Machine) -> None:
        """The node is gone; its pods are left to the pod garbage collector."""
        machine.timers.clear()
        del self._machines[machine.name]
        for resident in list(machine.residents.values()):
            self._forget(resident)

    # Pods

    def _pod_changed(self, key: Key) -> None:
        pod, resident = self._mirror.get(key), self._residents.get(key)
        if resident is not None and (pod is None or uid_of(pod) != resident.uid):
            self._forget(resident)
            resident = None
        if pod is None or not (machine := self._machines.get(pod["spec"].get("nodeName", ""))):
            return
        if resident is None:
            resident = self._residents[key] = machine.residents[key] = Resident(key, pod, machine)
        elif revision_of(pod) > resident.revision:
            resident.pod, resident.revision, resident.asked = pod, revision_of(pod), None
        else:
            return
        self._look(resident, self._clock.now())

    def _forget(self, resident: Resident) -> None:
        resident.timers.clear()
        resident.gone = True
        self._residents.pop(resident.key, None)
        resident.machine.residents.pop(resident.key, None)
        self._hosting.left(resident)

    def _look(self, resident: Resident, now: float) -> None:
        """One look at one pod: where it stands, what is to be written, when to look again."""
        machine, pod = resident.machine, resident.pod
        if resident.gone or is_failing(machine.node):
            return
        by_its_clock = now + machine.skew_s
        if resident.life is None:
            resident.life = self._take_up(resident, by_its_clock)
        if resident.is_over() and resident.life.has_ended() and not is_deleting(pod):
            return
        found = plan.plan(pod, resident.life, self._host(machine), by_its_clock, self._hosting.means(machine))
        if found.status is not None and self._gauge is not None and self._gauge.matters(pod, machine.node):
            self._feel_soon(machine.name)
        self._take_over(resident, found)

    def _host(self, machine: Machine) -> Host:
        return Host(machine.name, machine.address, machine.images, self._misfortunes, machine.skew_s)

    def _take_over(self, resident: Resident, found: plan.Next) -> None:
        machine, pod = resident.machine, resident.pod
        resident.life = found.life
        machine.images.update(found.pulls)
        for one in found.tells:
            self._tell(Tell(pod, one.type, one.reason, one.message, one.path, machine.name))
        if found.wake_at < math.inf:
            self._agenda.set_timer(resident, "pod", found.wake_at - machine.skew_s)
        else:
            resident.timers.pop("pod", None)
        resident.status = found.status
        resident.remove = found.remove
        self._hosting.looked(resident, self._clock.now())
        self._write_if_needed(resident)

    def _take_up(self, resident: Resident, now: float) -> life.Life:
        pod, machine = resident.pod, resident.machine
        if (pod.get("status") or {}).get("startTime"):
            return self._hosting.resume(resident, now)
        others = [other.footprint for other in machine.residents.values() if other is not resident and other.is_live()]
        verdict = (pressure.refusal(pod, machine.pressures)
                   or admission.refusal(pod, resident.footprint, machine.node, others))
        if verdict is not None:
            self._tell(Tell(pod, "Warning", verdict.reason, verdict.message.removeprefix("Pod was rejected: "),
                            host=machine.name))
            return life.refused(pod, now, verdict)
        return self._hosting.begin(resident, now)

    def _feel(self, machine: Machine, now: float) -> None:
        """Has the node enough memory and disk left?  If not, the pod that is to go goes."""
        if self._machines.get(machine.name) is not machine or is_failing(machine.node) or self._gauge is None:
            return
        found = self._gauge.look(machine, now)
        self.press(machine, found)
        if found.wake_at < math.inf:
            self._agenda.set_timer(machine, "pressure", found.wake_at)

    def press(self, machine: Machine, found: pressure.Outcome) -> None:
        """What came of a look at what a node has left."""
        for one in found.tells:
            self._tell(Tell(machine.node, one.type, one.reason, one.message, host=machine.name))
        changed = list(found.pressures) != list(machine.pressures)
        machine.pressures = found.pressures
        if changed:
            self._heartbeats.report(machine)
        if found.victim is not None and found.verdict is not None:
            self.evict(found.victim, found.verdict)

    def evict(self, pod: Obj, verdict: life.Verdict) -> None:
        """Its node ends it; one that is not there any more needs no end."""
        resident = self._residents.get(Key("pods", namespace_of(pod), name_of(pod)))
        if resident is None or resident.uid != uid_of(pod) or resident.life is None:
            return
        machine, now = resident.machine, self._clock.now() + resident.machine.skew_s
        self._take_over(resident, plan.evict(resident.pod, resident.life, self._host(machine), now,
                                             self._hosting.means(machine), verdict))

    def _feel_soon(self, name: str) -> None:
        """Changes are looked at together, as often as a kubelet looks."""
        machine, soon = self._machines.get(name), self._clock.now() + pressure.MONITOR_S
        if machine is not None and machine.timers.get("pressure", math.inf) > soon:
            self._agenda.set_timer(machine, "pressure", soon)
            self._agenda.stir()

    def _write_if_needed(self, resident: Resident) -> None:
        if not resident.writing and (resident.wants_status() or resident.wants_removal()):
            resident.writing = True
            self._agenda.submit(self._write_pod, resident)

    # Writing

    async def _write_pod(self, resident: Resident) -> None:
        try:
            if resident.gone or is_failing(resident.machine.node):
                return
            if resident.wants_status():
                asked = resident.status
                assert asked is not None
                written = await self._client.set_status(resident.key, resident.uid, asked)
                if revision_of(written) >= resident.revision:
                    before = resident.pod
                    resident.pod, resident.revision, resident.asked = written, revision_of(written), asked
                    if _asks_otherwise(before, written):  # no change that is heard of later is newer than this
                        self._look(resident, self._clock.now())
            elif resident.wants_removal():
                resident.removed = True
                await self._client.delete(resident.key, uid=resident.uid, grace_period_s=0)
            resident.failures = 0
        except NotFound:
            return  # the mirror will say so, and needs its turn for that
        except ApiError as error:  # a conflict with a namesake too: by the next try the mirror has said so
            resident.removed = False
            self._try_again(resident, error)
            return
        finally:
            resident.writing = False
        if not resident.gone:
            self._write_if_needed(resident)

    def _try_again(self, resident: Resident, error: ApiError) -> None:
        wait_s = min(LONGEST_RETRY_S, RETRY_S * 2 ** min(resident.failures, 10))
        resident.failures += 1
        log.info("%s: %s; again in %.0f s", resident.key, error, wait_s)
        if not resident.gone:
            self._agenda.set_timer(resident, "retry", self._clock.now() + wait_s)


def _asks_otherwise(before: Obj, after: Obj) -> bool:
    """Did somebody change what the pod should do, or when it ends, while its status was being written?"""
    old, new = before["metadata"], after["metadata"]
    return before["spec"] != after["spec"] or list(map(old.get, _ASKING)) != list(map(new.get, _ASKING))
