"""What takes its time on a node, and how it turns out: drawn by lot, or reported by a container runtime.

    the decision (plan.py)    begins a step: a pull, a start, a stop
    Drawn                     says at once when it will be over, and how: a simulated node
    Reported                  says nothing: what a runtime reports is put into the life (reports.py) before a look

So both kinds of node pull, start, restart, back off, order their containers and word their statuses by one decision.
"""
from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..api.objects import Obj, uid_of
from . import images
from .behaviour import Behaviour, of_pod
from .commands import Course
from .life import PULLING, RUNNING, STARTING, Part, Run, course_of
from .misfortune import CRASH, GOOD_LUCK, PULL_FAILED, Luck, Misfortune, luck, luck_of

LONGEST_TEARDOWN_S = 2.0  # of a simulated pod's network, however slowly its containers stop
RECHECK_SHARE = 0.1  # of a pull: asking the registry whether an image that is here is still the newest


class Failure(NamedTuple):
    """Why a container could not be started."""

    reason: str  # CreateContainerConfigError, CreateContainerError, RunContainerError, PostStartHookError
    message: str


class Means(Protocol):
    is_reported: bool  # do steps end when a runtime says so?


    @property
    def pulls_anyway(self) -> bool:
        """Also what is there already?"""
        ...

    def towards(self, pod: Obj, misfortunes: Sequence[Misfortune], now: float) -> Means:
        """The same, as the pod itself wants it, and its luck has it."""
        ...

    def has_network(self, sandbox: bool) -> bool:
        """May its containers be pulled and started?"""
        ...

    def pull(self, part: Part, run: Run, moment: float, is_there: bool, there_at: float | None) -> Run: ...

    def pull_failure(self, part: Part, run: Run) -> str: ...

    def start(self, part: Part, run: Run, moment: float) -> Run: ...

    def start_failure(self, run: Run) -> Failure | None: ...

    def running(self, pod: Obj, part: Part, run: Run, moment: float) -> Run: ...

    def restart_pause_s(self) -> float: ...

    def stop_s(self) -> float: ...


class Drawn:
    """A simulated node's: lengths from its behaviour, outcomes from images, commands and annotations."""

    is_reported = False
    __slots__ = ("behaviour", "chance", "luck")

    def __init__(self, behaviour: Behaviour, chance: random.Random, luck: Luck = GOOD_LUCK):
        self.behaviour, self.chance, self.luck = behaviour, chance, luck

    @property
    def pulls_anyway(self) -> bool:
        return self.luck.pull_fails

    def towards(self, pod: Obj, misfortunes: Sequence[Misfortune], now: float) -> Drawn:
        annotations = pod["metadata"].get("annotations")
        if not annotations and not misfortunes:
            return self
        return Drawn(of_pod(self.behaviour, annotations) if annotations else self.behaviour, self.chance,
                     luck_of(uid_of(pod), misfortunes, now))

    def has_network(self, sandbox: bool) -> bool:
        return True

    def pull(self, part: Part, run: Run, moment: float, is_there: bool, there_at: float | None) -> Run:
        if there_at is not None and not is_there:  # another pod of the node is pulling it
            took, until = 0.001, there_at
        else:
            took = self.behaviour.pull.draw(self.chance) * (RECHECK_SHARE if is_there else self.luck.pull_times)
            until = moment + took
        return run._replace(stage=PULLING, until=until, pull_began=moment, pull_took=took)

    def pull_failure(self, part: Part, run: Run) -> str:
        if images.is_missing(part.image, self.behaviour.missing):
            return f"rpc error: code = NotFound desc = {images.not_found_message(part.image)}"
        if self.luck.pull_fails:
            return f"rpc error: code = Unknown desc = {images.failed_message(part.image, PULL_FAILED)}"
        return ""

    def start(self, part: Part, run: Run, moment: float) -> Run:
        return run._replace(stage=STARTING, until=moment + self.behaviour.start.draw(self.chance), failed_pulls=0)

    def start_failure(self, run: Run) -> Failure | None:
        return None

    def running(self, pod: Obj, part: Part, run: Run, moment: float) -> Run:
        course = CRASH if self.luck.crashes else self.course(pod, part, run.restarts)
        probed = part.readiness_s is not None
        started_at = moment + (part.startup_s or 0.0)
        ready_at = (max(started_at, moment + (part.readiness_s or 0.0))
                    + self.behaviour.ready_range(probed).draw(self.chance))
        return run._replace(stage=RUNNING, waiting=None, began=moment, started_at=started_at, ready_at=ready_at,
                            exit_at=moment + course.lasts_s, course=course)

    def course(self, pod: Obj, part: Part, restarts: int) -> Course:
        """How a run will go.  The length of a task of which nothing is known is drawn from the pod's uid: a node that
        comes back to a running one finds the same.
        """
        course = course_of(pod, part, restarts)
        if course.is_known or not part.is_task:
            return course
        return course._replace(lasts_s=self.behaviour.task.at(luck(f"{uid_of(pod)}/{part.name}/{restarts}")))

    def restart_pause_s(self) -> float:
        return self.behaviour.start.draw(self.chance)

    def stop_s(self) -> float:
        return self.behaviour.stop.draw(self.chance)


class Reported:
    """A real node's: nothing is known before it has happened."""

    is_reported = True
    pulls_anyway = False

    def towards(self, pod: Obj, misfortunes: Sequence[Misfortune], now: float) -> Reported:
        return self

    def has_network(self, sandbox: bool) -> bool:
        return sandbox

    def pull(self, part: Part, run: Run, moment: float, is_there: bool, there_at: float | None) -> Run:
        return run._replace(stage=PULLING, until=math.inf, pull_began=moment,
                            report=run.report._replace(failure=None))

    def pull_failure(self, part: Part, run: Run) -> str:
        return run.report.failure[1] if run.report.failure is not None else ""

    def start(self, part: Part, run: Run, moment: float) -> Run:
        return run._replace(stage=STARTING, until=math.inf, failed_pulls=0, report=run.report._replace(failure=None))

    def start_failure(self, run: Run) -> Failure | None:
        return Failure(*run.report.failure) if run.report.failure is not None else None

    def running(self, pod: Obj, part: Part, run: Run, moment: float) -> Run:
        started_at = moment if part.startup_s is None else math.inf
        ready_at = moment if part.startup_s is None and part.readiness_s is None else math.inf
        return run._replace(stage=RUNNING, waiting=None, began=moment, started_at=started_at, ready_at=ready_at,
                            exit_at=math.inf, report=run.report._replace(message="", stop_by=math.inf, again=False))

    def restart_pause_s(self) -> float:
        return 0.0

    def stop_s(self) -> float:
        return math.inf
