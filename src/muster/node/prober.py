"""Asks a running container's probes, each at its own pace, and reports what changes.

    startup     until it passes, the others wait; when it fails too often, the container is stopped
    liveness    when it fails too often, the container is stopped
    readiness   as often as it turns, the container is ready or not

https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
"""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..api.objects import Obj, is_deleting
from . import reports
from .life import RUNNING, Run
from .probes import Answer, ask

if TYPE_CHECKING:
    from .pod_runner import PodRunner

FIELDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
WAIT_FOR_START_S = 0.1


class Prober:
    def __init__(self, runner: PodRunner, place: int, run: Run, container: Obj):
        self._runner, self._place, self._container = runner, place, container
        self._attempt, self._began = run.restarts, run.began
        self._probes = {kind: container[field] for kind, field in FIELDS.items() if container.get(field)}
        self.started = run.is_started(runner.agent.now())
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_needed(self) -> bool:
        return bool(self._probes)

    def start(self) -> None:
        self._tasks = [self._runner.agent.spawn(self._watch(kind, probe)) for kind, probe in self._probes.items()]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _watch(self, kind: str, probe: Obj) -> None:
        agent = self._runner.agent
        period_s = float(probe.get("periodSeconds") or 10)
        while kind != "startup" and not self.started:
            await asyncio.sleep(WAIT_FOR_START_S)
        await asyncio.sleep(max(0.0, self._began + float(probe.get("initialDelaySeconds") or 0) - agent.now()))
        passed, failed = 0, 0
        while True:
            if kind == "startup" and self.started:
                return
            if kind == "liveness" and is_deleting(self._runner.pod):
                return
            answer = await self._ask(probe)
            if not self._is_current():
                return  # it ended while it was asked
            passed, failed = (passed + 1, 0) if answer.passed else (0, failed + 1)
            if not answer.passed:
                self._runner.tell("Warning", "Unhealthy", f"{kind.capitalize()} probe failed: {answer.said}",
                                  self._place)
            elif answer.is_warning:
                self._runner.tell("Warning", "ProbeWarning", f"{kind.capitalize()} probe warning: {answer.said}",
                                  self._place)
            if self._draws_conclusion(kind, probe, passed, failed):
                return
            await asyncio.sleep(period_s)

    def _is_current(self) -> bool:
        run = self._runner.life.runs[self._place]
        return run.stage == RUNNING and run.restarts == self._attempt

    async def _ask(self, probe: Obj) -> Answer:
        id_ = self._runner.containers.id_of(self._container["name"]) or ""
        return await ask(probe, self._container, self._runner.sandbox.address, id_, self._runner.agent.runtime)

    def _draws_conclusion(self, kind: str, probe: Obj, passed: int, failed: int) -> bool:
        """Has this probe nothing more to say?"""
        place, report = self._place, self._runner.report
        good = passed >= int(probe.get("successThreshold") or 1)
        bad = failed >= int(probe.get("failureThreshold") or 3)
        if kind == "readiness":
            if good or bad:
                report(lambda life, now: reports.readiness(life, place, now, good))
            return False
        if kind == "startup" and good:
            self.started = True
            report(lambda life, now: reports.startup_passed(life, place, now))
            return True
        if bad:
            self._stop(kind, probe)
        return bad

    def _stop(self, kind: str, probe: Obj) -> None:
        spec = self._runner.pod["spec"]
        name, restarts = self._container["name"], spec.get("restartPolicy") != "Never"
        self._runner.tell("Normal", "Killing", f"Container {name} failed {kind} probe"
                          f"{', will be restarted' if restarts else ''}", self._place)
        said = probe.get("terminationGracePeriodSeconds")
        grace_s = float(said if said is not None else spec.get("terminationGracePeriodSeconds", 30))
        self._runner.report(lambda life, now: reports.unhealthy(life, self._place, now, grace_s))
