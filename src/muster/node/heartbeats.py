"""What each node tells of itself: that it is there (its Lease), and how it is (its status).

In virtual time heartbeats may be spared: a lease then holds for years, and a node that falls silent leaves the renewal
that it would have made last, at its own moment of every ten seconds.  So it is found missing exactly when it would be
otherwise, and a fleet that is well costs nothing.
https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats
"""
from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from ..api.errors import AlreadyExists, ApiError, NotFound
from ..api.objects import Key, Obj, is_true, revision_of
from ..client.client import Client
from ..client.mirror import Mirror
from ..clock import Clock
from ..control.plan import Tell
from ..store.history import Change
from . import leases, status
from .agenda import Agenda
from .hosting import Hosting
from .machines import Machine, is_failing

log = logging.getLogger(__name__)

REPORT_S = 300.0  # a kubelet reports the status of its node this often, changed or not
REPORTS_PER_S = 20
RETRY_S = 1.0
LAST_TRIES = 60  # to leave the renewal that a silent node made last


class Heartbeats:
    def __init__(self, client: Client, mirror: Mirror, clock: Clock, chance: random.Random,
                 tell: Callable[[Tell], None], hosting: Hosting, machines: Mapping[str, Machine], agenda: Agenda,
                 *, spared: bool):
        self._client, self._mirror, self._clock, self._chance, self._tell = client, mirror, clock, chance, tell
        self._hosting, self._machines, self._agenda = hosting, machines, agenda
        self._spared = spared

    def begin(self, machine: Machine, now: float) -> None:
        """A node came, or this process has just begun."""
        is_silent = is_failing(machine.node)
        if self._spared:
            held = self._mirror.get(leases.key(machine.name))
            holds = held is not None and leases.holds_long(held, machine.node, now)
            if is_silent and holds:
                self.fell_silent(machine, now)
            elif not is_silent and not holds:
                self._agenda.submit(self._begin_lease, machine)
            return
        if not is_silent:
            self._agenda.submit(self._begin_lease, machine)
            interval_s = leases.interval_s(len(self._machines))
            self._agenda.set_timer(machine, "lease", leases.together(now + interval_s * self._chance.random()))
        self._agenda.set_timer(machine, "report", now + self._report_s() * (0.5 + self._chance.random() / 2))

    def fell_silent(self, machine: Machine, now: float) -> None:
        if self._spared:
            self._agenda.submit(self._leave_last_renewal, (machine, now))

    def lease_changed(self, change: Change) -> None:
        """Heard where heartbeats are spared: a lease that is taken away is made again.  The collector takes one, say,
        that was made for a namesake who is gone by then."""
        machine = self._machines.get(change.key.name)
        if change.value is None and machine is not None and change.key == leases.key(machine.name):
            self._agenda.set_timer(machine, "lease", leases.next_renewal(machine.uid, self._clock.now()))

    def beat(self, machine: Machine, now: float) -> None:
        if self._is_here(machine) and not is_failing(machine.node):
            self._agenda.submit(self._renew_lease, machine, first=True)
            if not self._spared:
                self._agenda.set_timer(machine, "lease", leases.together(now + leases.interval_s(len(self._machines))))

    def report(self, machine: Machine) -> None:
        if self._is_here(machine):
            if not machine.reporting and not is_failing(machine.node):
                machine.reporting = True
                self._agenda.submit(self._write_status, machine)
            if not self._spared:
                self._agenda.set_timer(machine, "report", self._clock.now() + self._report_s())

    def _is_here(self, machine: Machine) -> bool:
        return self._machines.get(machine.name) is machine

    def _report_s(self) -> float:
        return max(REPORT_S, len(self._machines) / REPORTS_PER_S)

    async def _write_status(self, machine: Machine) -> None:
        node = machine.node
        if is_failing(node) or not self._is_here(machine):
            machine.reporting = False
            return
        was_ready = is_true(node, "Ready") and "allocatable" in (node.get("status") or {})
        now = self._clock.now()
        key = Key("nodes", "", machine.name)
        try:
            if not was_ready and (labels := status.missing_labels(node)):
                node = await self._client.patch(key, {"metadata": {"uid": machine.uid, "labels": labels}})
                machine.node = node
            told = self._hosting.node_status(machine, now + machine.skew_s)
            written = await self._client.set_status(key, machine.uid, told)
            if revision_of(written) > revision_of(machine.node):
                machine.node = written
            if not was_ready:
                self._tell(Tell(node, "Normal", "NodeReady", f"Node {machine.name} status is now: NodeReady",
                                host=machine.name))
        except NotFound:
            return  # the mirror will say so
        except ApiError as error:
            log.info("node %s: %s; again later", machine.name, error)
            self._agenda.set_timer(machine, "report", now + RETRY_S * (1 + 4 * self._chance.random()))
            return
        finally:
            machine.reporting = False
        if not status.is_registered(machine.node, machine.pressures):
            self.report(machine)  # it changed meanwhile

    async def _begin_lease(self, machine: Machine) -> None:
        if not self._is_here(machine):
            return
        try:
            await self._client.create(leases.lease(machine.node, self._renewal(machine)))
            machine.renewed_at = self._clock.now()
        except AlreadyExists:
            await self._write_lease(machine, leases.taken_over(machine.node, self._renewal(machine)))
        except ApiError as error:
            self._renew_later(machine, error)

    async def _renew_lease(self, machine: Machine) -> None:
        await self._write_lease(machine, self._renewal(machine))

    async def _write_lease(self, machine: Machine, patch: Obj) -> None:
        if not self._is_here(machine):
            return
        try:
            await self._client.patch(leases.key(machine.name), patch)
            machine.renewed_at = self._clock.now()
        except NotFound:
            await self._begin_lease(machine)
        except ApiError as error:
            self._renew_later(machine, error)

    def _renew_later(self, machine: Machine, error: ApiError) -> None:
        log.info("lease of %s: %s; again at its next renewal", machine.name, error)
        if self._spared:  # there is no other one
            self._agenda.set_timer(machine, "lease", self._clock.now() + RETRY_S)

    def _renewal(self, machine: Machine) -> Obj:
        now = self._clock.now() + machine.skew_s
        return leases.long_renewal(now) if self._spared else leases.renewal(len(self._machines), now)

    async def _leave_last_renewal(self, silence: tuple[Machine, float]) -> None:
        machine, since = silence
        for _ in range(LAST_TRIES):
            try:
                renewed = max(machine.renewed_at, leases.last_renewed(machine.uid, since))
                renewal = leases.late_renewal(renewed, self._clock.now(), machine.skew_s)
                await self._client.patch(leases.key(machine.name), renewal)
                if not is_failing(machine.node):  # it came back meanwhile
                    await self._renew_lease(machine)
                return
            except NotFound:
                return  # the node never renewed it
            except ApiError as error:
                log.info("lease of %s: %s; again in %.0f s", machine.name, error, RETRY_S)
                await asyncio.sleep(RETRY_S)
                if not is_failing(machine.node):
                    return
