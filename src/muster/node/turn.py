"""One look at one pod, under way: its runs as they change, and what is told of them.

plan.py makes a Turn and decides in which order containers go on; pulling.py, running.py and stopping.py are the steps,
each a function of the turn and of a run's place in it.  Here is what they share: what a pod is asked, and the end of a
run.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from ..api.objects import Obj
from . import pod_status
from .life import APP, DONE, INIT, PULLING, STARTING, Life, Part, Run, terminated
from .means import Means
from .misfortune import Misfortune

MOST_STEPS = 1000  # in one look; a pod has a few


class Host(NamedTuple):
    """The node, as far as its pods depend on it."""

    name: str
    address: str
    images: Mapping[str, float]  # full name -> when it is (or will be) there
    misfortunes: Sequence[Misfortune] = ()
    skew_s: float = 0.0  # how far its clock, by which all times here are, is ahead of the server's


class Telling(NamedTuple):
    """An event about the pod."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    path: str = ""  # the container it is about: "spec.containers{app}"


class Turn:
    __slots__ = ("pod", "before", "host", "now", "means", "moment", "parts", "runs", "sandbox", "verdict", "stops_by",
                 "stops_at", "gone_at", "something_ended", "tells", "pulls", "deadline")

    def __init__(self, pod: Obj, life: Life, host: Host, now: float, means: Means):
        self.pod, self.before, self.host, self.now = pod, life, host, now
        self.means = means.towards(pod, host.misfortunes, now - host.skew_s)
        self.moment = now  # of the step under way
        self.parts = life.parts
        self.runs = list(life.runs)
        self.sandbox, self.verdict = life.sandbox, life.verdict
        self.stops_by, self.stops_at, self.gone_at = life.stops_by, life.stops_at, life.gone_at
        self.something_ended = False
        self.tells: list[Telling] = []
        self.pulls: dict[str, float] = {}
        deadline_s = pod["spec"].get("activeDeadlineSeconds")
        self.deadline = life.since + deadline_s if deadline_s is not None else math.inf

    def life(self) -> Life:
        """The pod's life, as the turn leaves it."""
        before = self.before
        return Life(before.uid, before.since, before.address, self.parts, tuple(self.runs), self.sandbox, self.verdict,
                    self.stops_by, self.stops_at, self.gone_at)

    def is_busy(self) -> bool:
        """Is the pod's worker pulling or starting a container?"""
        stages = [run.stage for run in self.runs]
        return PULLING in stages or STARTING in stages

    def is_over(self) -> bool:
        """Has every container ended for good?"""
        has_apps = False
        for part, run in zip(self.parts, self.runs, strict=True):
            if part.role == APP:
                if run.stage != DONE:
                    return False
                has_apps = True
            elif part.role == INIT and run.stage == DONE and not succeeded(run) \
                    and self.pod["spec"].get("restartPolicy") == "Never":
                return True
        return has_apps

    def network(self, up: bool) -> None:
        """A simulated pod's network is there when it is needed; a real one's, when that is reported."""
        if not self.means.is_reported:
            self.sandbox = up

    def end(self, place: int, run: Run, exit_code: int, reason: str = "") -> None:
        self.something_ended = True
        id_ = run.report.id or pod_status.container_id(self.before.uid, self.parts[place].name, run.restarts)
        ended = terminated(run, id_, exit_code, reason, min(self.moment, run.exit_at))
        self.runs[place] = run._replace(stage=DONE, until=math.inf, waiting=None, ended=ended, before=run.ended,
                                        finished=self.moment)

    def tell(self, part: Part, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self.tells.append(Telling(type_, reason, message, part.path))


def succeeded(run: Run) -> bool:
    return run.stage == DONE and run.ended is not None and run.ended.get("exitCode") == 0
