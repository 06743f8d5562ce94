"""The life of one pod on its node, as values: where each container stands and when that changes.

    Life                the pod: accepted when, its address, one Run for each of its Parts
    Part                what the spec says of a container, read once
    Run                 where the container stands: a stage, and until when

    QUEUED -> PULLING -> STARTING -> RUNNING -> DONE            it ended and stays so
                 |           ^          |
             UNPULLABLE      +------ EXITED -> BACKOFF          it ended and is started again

A pod's status holds all of this except the draws still under way, so a fleet that starts over takes each life up
again from there (`resume`): what runs goes on running, and nothing is restarted.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..api.objects import Obj, controller_of, from_time, is_true, to_time, uid_of
from ..api.remembered import Remembered
from . import crashes
from .commands import FOR_EVER, Course, course

QUEUED, PULLING, UNPULLABLE, STARTING = "queued", "pulling", "unpullable", "starting"
RUNNING, EXITED, BACKOFF, DONE = "running", "exited", "backoff", "done"

INIT, SIDECAR, APP, EPHEMERAL = "init", "sidecar", "app", "ephemeral"

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 10.0, 300.0


class Part(NamedTuple):
    """A container as the spec has it."""

    name: str
    image: str
    role: str
    path: str  # "spec.containers{app}": what events about it name
    pull_policy: str
    course: Course  # what its command does
    startup_s: float | None  # when the startup probe can first pass; None: there is none
    readiness_s: float | None
    liveness_s: float | None  # when a liveness probe that always fails ends the run; None: it does not
    mounts: list[Obj]  # as the status tells of them
    breaks_non_root: bool = False  # it would run as root, and may not
    is_task: bool = False  # it is expected to end by itself: an init container, or one of a Job's pod


class Report(NamedTuple):
    """What a runtime says of a container; a simulated one has none of it."""

    id: str = ""  # "containerd://..."
    image: str = ""
    image_id: str = ""
    size: int = 0  # of the image, in bytes
    failure: tuple[str, str] | None = None  # why the pull or start under way failed: a reason, and in words
    message: str = ""  # what it left when it ended
    stop_by: float = math.inf  # it was told to stop, and is killed then
    again: bool = False  # it was, so that it starts again as the pod reads now


UNREPORTED = Report()


class Run(NamedTuple):
    """Where a container stands."""

    stage: str = QUEUED
    until: float = math.inf  # when the stage changes by itself
    waiting: tuple[str, str] | None = None  # the reason and message shown while it does not run
    restarts: int = 0
    began: float = 0.0  # when this run started, and when it will be started, be ready, and end
    started_at: float = math.inf
    ready_at: float = math.inf
    exit_at: float = math.inf
    course: Course = FOR_EVER
    ended: Obj | None = None  # state.terminated of the last run that ended, and of the one before it
    before: Obj | None = None
    finished: float = 0.0
    pull_began: float = 0.0
    pull_took: float = 0.0
    failed_pulls: int = 0  # in a row
    backoff_s: float = 0.0  # how long the next restart waits; 0: it was not restarted yet
    restarted_at: float = 0.0
    report: Report = UNREPORTED

    @property
    def attempt(self) -> int:
        """How many runs there were before the one that starts next."""
        return self.restarts + (self.ended is not None)

    def is_ready(self, now: float) -> bool:
        return self.stage == RUNNING and self.ready_at <= now

    def is_started(self, now: float) -> bool:
        return self.stage == RUNNING and self.started_at <= now


def terminated(run: Run, id_: str, exit_code: int, reason: str, finished: float) -> Obj:
    """How a run ended, as the status tells it."""
    ended = {"containerID": id_, "exitCode": exit_code, "finishedAt": to_time(finished),
             "reason": reason or ("Completed" if exit_code == 0 else "Error"), "startedAt": to_time(run.began)}
    return {**ended, "message": run.report.message} if run.report.message else ended


class Verdict(NamedTuple):
    """Why the pod failed as a whole."""

    reason: str
    message: str


class Life(NamedTuple):
    uid: str
    since: float  # status.startTime
    address: str  # of the pod
    parts: tuple[Part, ...]
    runs: tuple[Run, ...]
    sandbox: bool = False  # the pod's network is there: PodReadyToStartContainers
    verdict: Verdict | None = None
    stops_by: float = math.inf  # when those of a deleted pod are killed
    stops_at: float | None = None  # when the containers of a deleted pod have ended
    gone_at: float | None = None  # when nothing is left of it on the node

    def has_ended(self) -> bool:
        return all(run.stage == DONE for run in self.runs)


CourseOf = Callable[[Obj, Part, int], Course]  # how the run after so many restarts will go


def begin(pod: Obj, now: float, address: str) -> Life:
    parts = parts_of(pod)
    return Life(uid_of(pod), now, address, parts, (Run(),) * len(parts))


def refused(pod: Obj, now: float, verdict: Verdict) -> Life:
    return Life(uid_of(pod), now, "", (), (), verdict=verdict)


def resume(pod: Obj, now: float, address: str, course: CourseOf | None = None) -> Life:
    """The life of a pod that was on this node before, from its status; `course` says how its runs go."""
    status = pod.get("status") or {}
    parts = parts_of(pod)
    told = {one["name"]: one for name in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
            for one in status.get(name) or ()}
    runs = tuple(_resume_run(part, told.get(part.name) or {}, pod, now, course or course_of) for part in parts)
    since = from_time(status["startTime"]) if status.get("startTime") else now
    verdict = None
    if status.get("phase") == "Failed" and status.get("reason"):
        verdict = Verdict(status["reason"], status.get("message", ""))
        if not told:
            return refused(pod, since, verdict)
    return Life(uid_of(pod), since, status.get("podIP") or address, parts, runs,
                sandbox=is_true(pod, "PodReadyToStartContainers"), verdict=verdict)


def _resume_run(part: Part, told: Obj, pod: Obj, now: float, course: CourseOf) -> Run:
    state, restarts = told.get("state") or {}, told.get("restartCount") or 0
    last = (told.get("lastState") or {}).get("terminated")
    backoff_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(restarts - 1, 10)) if restarts else 0.0
    if running := state.get("running"):
        began = from_time(running["startedAt"])
        since = min(began, now)  # the clock may have been put back
        run = course(pod, part, restarts)
        started = since if told.get("started") else since + (part.startup_s or 0.0)
        ready = since if told.get("ready") else max(now, started + (part.readiness_s or 0.0))
        ends = since + run.lasts_s
        if not run.is_known and ends < now:  # it takes longer than was thought: as long again
            ends = now + run.lasts_s
        return Run(RUNNING, now, None, restarts, began, started, ready, ends, run, ended=last,
                   backoff_s=backoff_s, restarted_at=began)
    if ended := state.get("terminated"):
        finished = from_time(ended["finishedAt"]) if ended.get("finishedAt") else now
        stage = EXITED if is_restarted(part, pod, ended.get("exitCode", 0)) else DONE
        return Run(stage, now if stage == EXITED else math.inf, None, restarts, ended=ended, before=last,
                   finished=finished, backoff_s=backoff_s, restarted_at=finished)
    if last is not None:
        finished = from_time(last["finishedAt"]) if last.get("finishedAt") else now
        return Run(BACKOFF, max(now, min(now, finished) + backoff_s), _waiting(state), restarts, ended=last,
                   finished=finished, backoff_s=backoff_s, restarted_at=finished)
    return Run(waiting=_waiting(state) if _waiting(state)[0].endswith(("BackOff", "Pull")) else None)


def _waiting(state: Obj) -> tuple[str, str]:
    waiting = state.get("waiting") or {}
    return waiting.get("reason", ""), waiting.get("message", "")


def put_off(life: Life, by_s: float) -> Life:
    """The same by a clock that was put forward: what is to come is as far away as before."""
    def later(when: float | None) -> float | None:
        return when + by_s if when is not None else None

    runs = tuple(run._replace(until=run.until + by_s, started_at=run.started_at + by_s, ready_at=run.ready_at + by_s,
                              exit_at=run.exit_at + by_s, pull_began=run.pull_began + by_s,
                              restarted_at=run.restarted_at + by_s) for run in life.runs)
    return life._replace(runs=runs, stops_by=life.stops_by + by_s, stops_at=later(life.stops_at),
                   gone_at=later(life.gone_at))


# ------------------------------------------------------------------ what the spec says


def is_restarted(part: Part, pod: Obj, exit_code: int) -> bool:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy"""
    policy = pod["spec"].get("restartPolicy") or "Always"
    match part.role:
        case "sidecar":
            return True
        case "ephemeral":
            return False
        case "init":
            return policy != "Never" and exit_code != 0
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def course_of(pod: Obj, part: Part, restarts: int) -> Course:
    """How the run after so many restarts will go."""
    annotations = pod["metadata"].get("annotations")
    crash = crashes.crash_of(annotations.get(crashes.ANNOTATION), part.name, restarts) if annotations else None
    if crash is not None:
        return crash._replace(prints=part.course.prints)
    if part.liveness_s is not None and part.liveness_s < part.course.lasts_s:
        return part.course._replace(lasts_s=part.liveness_s, exit_code=part.course.stop_code, is_known=True)
    return part.course


def parts_of(pod: Obj) -> tuple[Part, ...]:
    """Init containers and sidecars first, in the order in which they start."""
    spec = pod["spec"]
    is_task = (controller_of(pod) or {}).get("kind") == "Job"
    if not spec.get("initContainers") and not spec.get("ephemeralContainers"):
        return _apps_of(spec["containers"], spec.get("securityContext"), is_task)
    return tuple(_parts(spec, is_task))


def _apps(containers: list[Obj], of_pod: Obj | None, is_task: bool) -> tuple[Part, ...]:
    return tuple(_part(one, APP, "containers", of_pod, is_task) for one in containers)


_apps_of = Remembered(_apps)  # the same for all pods of a template


def _parts(spec: Obj, is_task: bool) -> Iterator[Part]:
    of_pod = spec.get("securityContext")
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            yield _part(container, SIDECAR, "initContainers", of_pod)
        else:
            yield _part(container, INIT, "initContainers", of_pod, is_task=True)
    for container in spec["containers"]:
        yield _part(container, APP, "containers", of_pod, is_task)
    for container in spec.get("ephemeralContainers") or ():
        yield _part(container, EPHEMERAL, "ephemeralContainers", of_pod)


def _part(container: Obj, role: str, field: str, of_pod: Obj | None, is_task: bool = False) -> Part:
    name, image = container["name"], container.get("image", "")
    readiness = container.get("readinessProbe")
    startup = container.get("startupProbe")
    liveness = container.get("livenessProbe")
    argv = (*(container.get("command") or ()), *(container.get("args") or ()))
    return Part(
        name, image, role, f"spec.{field}{{{name}}}", container.get("imagePullPolicy") or "IfNotPresent",
        course(argv) if argv else FOR_EVER,
        startup_s=_passes_after(startup) if startup else None,
        readiness_s=_passes_after(readiness) if readiness else None,
        liveness_s=_ends_after(liveness) if liveness else None,
        mounts=[_mount(one) for one in container.get("volumeMounts") or ()],
        breaks_non_root=_breaks_non_root(of_pod or {}, container.get("securityContext") or {}),
        is_task=is_task,
    )


def _breaks_non_root(of_pod: Obj, of_container: Obj) -> bool:
    """Is it to run as root, and must not?  What the container says wins; of the image's own user nothing is known.
    https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
    """
    def said(field: str) -> object:
        return of_container[field] if of_container.get(field) is not None else of_pod.get(field)

    return said("runAsNonRoot") is True and said("runAsUser") == 0


def fails(probe: Obj) -> bool:
    """Does the probe run a command that is known to fail?"""
    command: list[str] | None = (probe.get("exec") or {}).get("command")
    return command is not None and course(tuple(command)).exit_code != 0


def _passes_after(probe: Obj) -> float:
    if fails(probe):
        return math.inf
    more = (probe.get("successThreshold") or 1) - 1
    return float(probe.get("initialDelaySeconds") or 0) + more * (probe.get("periodSeconds") or 10)


def _ends_after(probe: Obj) -> float | None:
    if not fails(probe):
        return None
    return (float(probe.get("initialDelaySeconds") or 0)
            + ((probe.get("failureThreshold") or 3) - 1) * (probe.get("periodSeconds") or 10))


def _mount(mount: Obj) -> Obj:
    told = {"mountPath": mount["mountPath"], "name": mount["name"]}
    if mount.get("readOnly"):
        told |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return told


def is_critical_change(life: Life, pod: Obj) -> bool:
    """Did an image change, or did a debug container come, since the life was last looked at?"""
    spec = pod["spec"]
    place = len(spec.get("initContainers") or ())
    containers = spec["containers"]
    if len(life.parts) != place + len(containers) + len(spec.get("ephemeralContainers") or ()):
        return not (life.verdict is not None and not life.parts)
    for part, container in zip(life.parts[place:], containers, strict=False):  # debug containers come after these
        if part.image != container.get("image", ""):
            return True
    return False
