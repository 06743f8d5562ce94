"""What happens next to a pod on its node: one pure decision, the same for every pod, simulated or real.

    plan(pod, life, host, now, means) -> Next(life, status, tells, wake_at, ...)

It goes the way the kubelet does.  One worker a pod pulls and starts its containers one after the other, init
containers to their end first; nothing is told to the server while the worker is under way, so a pod costs as many
writes as it has visible states: ContainerCreating, Running, Ready, and one where some take no time.  What can not
be pulled, and what crashes, is tried again after 10 s, 20 s, 40 s ... up to 5 min.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from ..api.objects import Obj, from_time, is_deleting, name_of, namespace_of
from . import images, pod_status
from .commands import KILLED
from .durations import go_duration
from .life import (
    APP,
    BACKOFF,
    DONE,
    EPHEMERAL,
    EXITED,
    FIRST_BACKOFF_S,
    INIT,
    LONGEST_BACKOFF_S,
    PULLING,
    QUEUED,
    RUNNING,
    SIDECAR,
    STARTING,
    UNPULLABLE,
    Life,
    Part,
    Run,
    Verdict,
    is_critical_change,
    is_restarted,
    parts_of,
    terminated,
)
from .means import LONGEST_TEARDOWN_S, Failure, Means
from .misfortune import Misfortune

LATE_S = 1.0  # a step that comes later than this (the process slept, the node was away) counts from now
SHOWN_FAILURE_S = 2.0  # ErrImagePull stands this long before ImagePullBackOff
USUAL_GRACE_S = 30.0
# What went wrong after the container was made -> the event's reason.
AFTER_CREATION = {"RunContainerError": "Failed", "PostStartHookError": "FailedPostStartHook"}
MOST_STEPS = 1000  # in one look; a pod has a few

DEADLINE_EXCEEDED = Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class Host(NamedTuple):
    """The node, as far as its pods depend on it."""

    name: str
    address: str
    images: Mapping[str, float]  # full name -> when it is (or will be) there
    misfortunes: Sequence[Misfortune] = ()


class Telling(NamedTuple):
    """An event about the pod."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    path: str = ""  # the container it is about: "spec.containers{app}"


@dataclass(frozen=True, slots=True)
class Next:
    life: Life
    status: Obj | None  # as it should read now; None: nothing to say yet
    tells: list[Telling]
    pulls: dict[str, float]  # images that will be on the node, and when
    wake_at: float  # inf: only a change of the pod matters
    remove: bool  # nothing is left of a deleted pod: take it out of the cluster


def plan(pod: Obj, life: Life, host: Host, now: float, means: Means) -> Next:
    turn = _Turn(pod, life, host, now, means)
    if life.verdict is None or is_deleting(pod) or (means.is_reported and not life.has_ended()):
        turn.go_on()
    after = turn.life()
    # The kubelet writes a pod's status between two rounds of its worker: first of all, and when a container ended.
    held = (turn.is_busy() and not turn.something_ended and after.stops_at is None
            and "startTime" in (pod.get("status") or {}))
    return Next(after, None if held else pod_status.status_of(pod, after, host.address, now), turn.tells, turn.pulls,
                turn.wake_at(), after.gone_at is not None and after.gone_at <= now)


def evict(pod: Obj, life: Life, host: Host, now: float, means: Means, verdict: Verdict) -> Next:
    """The node ends the pod to get its room back: at once, for good, and the pod stays to tell why."""
    turn = _Turn(pod, life, host, now, means)
    turn.fail(verdict, "Warning")
    if not means.is_reported:
        turn.sandbox = False
    after = turn.life()
    return Next(after, pod_status.status_of(pod, after, host.address, now), turn.tells, {}, math.inf, False)


class _Turn:
    """One look at one pod: the runs as they change, and what is told on the way."""

    def __init__(self, pod: Obj, life: Life, host: Host, now: float, means: Means):
        self.pod, self.before, self.host, self.now = pod, life, host, now
        self.means = means.towards(pod, host.misfortunes, now)
        self.moment = now  # of the step under way
        self.parts = life.parts
        self.runs = list(life.runs)
        self.sandbox, self.verdict = life.sandbox, life.verdict
        self.stops_at, self.gone_at = life.stops_at, life.gone_at
        self.something_ended = False
        self.tells: list[Telling] = []
        self.pulls: dict[str, float] = {}
        deadline_s = pod["spec"].get("activeDeadlineSeconds")
        self.deadline = life.since + deadline_s if deadline_s is not None else math.inf

    def life(self) -> Life:
        before = self.before
        return replace(before, parts=self.parts, runs=tuple(self.runs), sandbox=self.sandbox, verdict=self.verdict,
                       stops_at=self.stops_at, gone_at=self.gone_at)

    def go_on(self) -> None:
        if is_critical_change(self.before, self.pod) and not is_deleting(self.pod):
            self._take_up_changes()
        if is_deleting(self.pod):
            if self.means.is_reported:
                self._wind_up(from_time(self.pod["metadata"]["deletionTimestamp"]))
                if self.stops_at is None and all(run.stage == DONE for run in self.runs):
                    self.stops_at = self.now
            else:
                self._stop()
            return
        if self.verdict is not None or (self.pod.get("status") or {}).get("phase") in pod_status.PHASE_OVER:
            self._give_up()
            return
        for _ in range(MOST_STEPS):
            self._start_queued()
            place = self._next_due()
            if place is None:
                break
            run = self.runs[place]
            self.moment = run.until if self.now - run.until <= LATE_S else self.now
            self._network(up=True)
            self._step(place, run)
        if self.deadline <= self.now and self.verdict is None and not self._is_over():
            self.fail(DEADLINE_EXCEEDED, "Normal")
        elif self._is_over():
            self._stop_sidecars()
            self._network(up=False)

    def wake_at(self) -> float:
        if self.stops_at is not None:
            last = self.gone_at if self.gone_at is not None else self.stops_at
            return last if last > self.now else math.inf
        if self.verdict is not None or all(run.stage == DONE for run in self.runs):
            return math.inf
        busy = self.is_busy()
        wake = min((run.until for run in self.runs if not (busy and _needs_worker(run))), default=math.inf)
        return wake if self._is_over() else min(wake, self.deadline)

    def is_busy(self) -> bool:
        """Is the pod's worker pulling or starting a container?"""
        return any(run.stage in (PULLING, STARTING) for run in self.runs)

    def _network(self, up: bool) -> None:
        """A simulated pod's network is there when it is needed; a real one's, when that is reported."""
        if not self.means.is_reported:
            self.sandbox = up

    # The order in which containers run

    def _next_due(self) -> int | None:
        """The run whose stage ends first, of those that end by now."""
        busy = self.is_busy() or not self.means.has_network(self.sandbox)
        found, earliest = None, self.now
        for place, run in enumerate(self.runs):
            due = run.until < earliest or (run.until == earliest and found is None)
            if due and not (busy and _needs_worker(run)):
                found, earliest = place, run.until
        return found

    def _start_queued(self) -> None:
        """Hands the worker the next container, if it is free and one may start."""
        while not self.is_busy() and self.means.has_network(self.sandbox):
            place = self._startable()
            if place is None:
                return
            self._begin(place)

    def _startable(self) -> int | None:
        for place, (part, run) in enumerate(zip(self.parts, self.runs, strict=True)):
            if run.stage == QUEUED:
                return place
            if part.role == INIT and not _succeeded(run):
                return self._startable_ephemeral()
            if part.role == SIDECAR and not run.is_started(self.moment) and run.restarts == 0:
                return self._startable_ephemeral()
        return None

    def _startable_ephemeral(self) -> int | None:
        return next((place for place, part in enumerate(self.parts)
                     if part.role == EPHEMERAL and self.runs[place].stage == QUEUED), None)

    def _is_over(self) -> bool:
        """Has every container ended for good?"""
        policy = self.pod["spec"].get("restartPolicy")
        for part, run in zip(self.parts, self.runs, strict=True):
            if part.role == INIT and run.stage == DONE and not _succeeded(run) and policy == "Never":
                return True
        apps = [run for part, run in zip(self.parts, self.runs, strict=True) if part.role == APP]
        return bool(apps) and all(run.stage == DONE for run in apps)

    # The steps

    def _step(self, place: int, run: Run) -> None:
        match run.stage:
            case "pulling":
                self._end_pull(place, run)
            case "unpullable":
                self._after_failed_pull(place, run)
            case "starting":
                self._start(place, run)
            case "running":
                self._run_on(place, run)
            case "exited":
                self._restart(place, run)
            case "backoff":
                backoff_s = min(LONGEST_BACKOFF_S, 2 * run.backoff_s)
                self.runs[place] = run._replace(backoff_s=backoff_s, restarted_at=self.moment)
                self._begin(place)

    def _begin(self, place: int) -> None:
        """Finds the image on the node, or pulls it."""
        part, run, moment = self.parts[place], self.runs[place], self.moment
        if not images.is_valid(part.image):
            self._no_image_name(place, run)
            return
        name = images.full_name(part.image)
        there_at = self.pulls.get(name, self.host.images.get(name))
        is_there = there_at is not None and there_at <= moment
        if is_there and part.pull_policy != "Always" and not self.means.pulls_anyway:
            self._tell(part, "Normal", "Pulled", f'Container image "{part.image}" already present on machine')
            self._to_start(place, run)
        elif part.pull_policy == "Never" and not is_there:
            self._never_pulled(place, run)
        else:
            self._tell(part, "Normal", "Pulling", f'Pulling image "{part.image}"')
            after = self.means.pull(part, run, moment, is_there, there_at)
            if there_at is None and after.until < math.inf and not self.means.pull_failure(part, run):
                self.pulls[name] = after.until
            self.runs[place] = after

    def _end_pull(self, place: int, run: Run) -> None:
        part = self.parts[place]
        if why := self.means.pull_failure(part, run):
            self._tell(part, "Warning", "Failed", f'Failed to pull image "{part.image}": {why}')
            self._tell(part, "Warning", "Failed", "Error: ErrImagePull")
            self.runs[place] = run._replace(
                stage=UNPULLABLE, until=self.moment + SHOWN_FAILURE_S, waiting=("ErrImagePull", why),
                failed_pulls=run.failed_pulls + 1)
            return
        took, waited = go_duration(run.pull_took), go_duration(self.moment - run.pull_began)
        size = run.report.size or images.size_bytes(part.image)
        self._tell(part, "Normal", "Pulled", f'Successfully pulled image "{part.image}" in {took} ({waited} including '
                                             f'waiting). Image size: {size} bytes.')
        self._to_start(place, run)

    def _after_failed_pull(self, place: int, run: Run) -> None:
        part = self.parts[place]
        assert run.waiting is not None, "what can not be pulled says why"
        reason, why = run.waiting
        if reason != "ErrImagePull":
            self._begin(place)
            return
        backing_off = f'Back-off pulling image "{part.image}"'
        self._tell(part, "Normal", "BackOff", backing_off)
        self._tell(part, "Warning", "Failed", "Error: ImagePullBackOff")
        wait_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(run.failed_pulls - 1, 10))
        self.runs[place] = run._replace(until=self.moment + wait_s - SHOWN_FAILURE_S,
                                        waiting=("ImagePullBackOff", f"{backing_off}: {reason}: {why}"))

    def _never_pulled(self, place: int, run: Run) -> None:
        part = self.parts[place]
        why = f'Container image "{part.image}" is not present with pull policy of Never'
        self._stay_without_image(place, run, "ErrImageNeverPull", "ErrImageNeverPull", why)

    def _no_image_name(self, place: int, run: Run) -> None:
        image = self.parts[place].image
        why = (f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": '
               "invalid reference format")
        self._stay_without_image(place, run, "InvalidImageName", "InspectFailed", why)

    def _stay_without_image(self, place: int, run: Run, reason: str, told_as: str, why: str) -> None:
        part = self.parts[place]
        self.sandbox = True
        if run.failed_pulls == 0:
            self._tell(part, "Warning", told_as, why)
            self._tell(part, "Warning", "Failed", f"Error: {reason}")
        wait_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(run.failed_pulls, 10))
        self.runs[place] = run._replace(stage=UNPULLABLE, until=self.moment + wait_s, waiting=(reason, why),
                                        failed_pulls=run.failed_pulls + 1)

    def _to_start(self, place: int, run: Run) -> None:
        if self.parts[place].breaks_non_root:
            self._refuse_root(place, run)
            return
        self.runs[place] = self.means.start(self.parts[place], run, self.moment)

    def _refuse_root(self, place: int, run: Run) -> None:
        part, pod = self.parts[place], self.pod
        why = (f'container\'s runAsUser breaks non-root policy (pod: "{name_of(pod)}_{namespace_of(pod)}'
               f'({self.before.uid})", container: {part.name})')
        self._tell(part, "Warning", "Failed", f"Error: {why}")
        self.runs[place] = run._replace(stage=UNPULLABLE, until=self.moment + FIRST_BACKOFF_S, failed_pulls=0,
                                        waiting=("CreateContainerConfigError", why))

    def _start(self, place: int, run: Run) -> None:
        part = self.parts[place]
        if (failure := self.means.start_failure(run)) is not None:
            self._failed_to_start(place, run, failure)
            return
        self._tell(part, "Normal", "Created", f"Created container: {part.name}")
        self._tell(part, "Normal", "Started", f"Started container {part.name}")
        run = run._replace(restarts=run.attempt)
        run = self.means.running(self.pod, part, run, self.moment)
        if run.ready_at == math.inf and part.readiness_s is not None and not self.means.is_reported:
            self._tell(part, "Warning", "Unhealthy", "Readiness probe failed: ")
        self.runs[place] = run._replace(until=_next_of(run, self.moment))

    def _failed_to_start(self, place: int, run: Run, failure: Failure) -> None:
        """What could not be made is tried again; what was made, and then did not start, counts as a run that failed."""
        part = self.parts[place]
        if failure.reason not in AFTER_CREATION:
            self._tell(part, "Warning", "Failed", f"Error: {failure.message}")
            self.runs[place] = run._replace(stage=UNPULLABLE, until=self.moment + FIRST_BACKOFF_S, failed_pulls=0,
                                            waiting=(failure.reason, failure.message))
            return
        self._tell(part, "Normal", "Created", f"Created container: {part.name}")
        self._tell(part, "Warning", AFTER_CREATION[failure.reason],
                   failure.message if failure.reason == "PostStartHookError" else f"Error: {failure.message}")
        self._end(place, run._replace(restarts=run.attempt, began=run.exit_at, exit_at=math.inf),
                  run.course.exit_code, run.course.reason)
        if is_restarted(part, self.pod, run.course.exit_code):
            self.runs[place] = self.runs[place]._replace(
                stage=EXITED, until=self.moment + SHOWN_FAILURE_S, waiting=(failure.reason, failure.message))

    def _run_on(self, place: int, run: Run) -> None:
        if self.moment < run.exit_at:
            self.runs[place] = run._replace(until=_next_of(run, self.moment))
            return
        part = self.parts[place]
        if run.course.exit_code == run.course.stop_code and part.liveness_s == run.course.lasts_s:
            self._tell(part, "Warning", "Unhealthy", "Liveness probe failed: ")
            self._tell(part, "Normal", "Killing", f"Container {part.name} failed liveness probe, will be restarted")
        self._end(place, run, run.course.exit_code, run.course.reason)
        if run.report.again:  # it was stopped to be started as it reads now
            self.runs[place] = self.runs[place]._replace(stage=QUEUED, failed_pulls=0)
        elif is_restarted(part, self.pod, run.course.exit_code) and not (
                part.role == SIDECAR and self._is_over()):
            self.runs[place] = self.runs[place]._replace(
                stage=EXITED, until=self.moment + self.means.restart_pause_s())

    def _restart(self, place: int, run: Run) -> None:
        """At once the first time, and then after ever longer waits, until it has run for ten minutes."""
        part = self.parts[place]
        if run.backoff_s == 0 or run.finished - run.restarted_at > 2 * LONGEST_BACKOFF_S:
            self.runs[place] = run._replace(backoff_s=FIRST_BACKOFF_S, restarted_at=self.moment)
            self._begin(place)
            return
        pod = f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.before.uid})"
        self._tell(part, "Warning", "BackOff", f"Back-off restarting failed container {part.name} in pod {pod}")
        why = f"back-off {go_duration(run.backoff_s)} restarting failed container={part.name} pod={pod}"
        self.runs[place] = run._replace(stage=BACKOFF, until=max(self.moment, run.finished + run.backoff_s),
                                        waiting=("CrashLoopBackOff", why))

    # How it ends

    def _end(self, place: int, run: Run, exit_code: int, reason: str = "") -> None:
        self.something_ended = True
        id_ = run.report.id or pod_status.container_id(self.before.uid, self.parts[place].name, run.restarts)
        ended = terminated(run, id_, exit_code, reason, min(self.moment, run.exit_at))
        self.runs[place] = run._replace(stage=DONE, until=math.inf, waiting=None, ended=ended, before=run.ended,
                                        finished=self.moment)

    def _wind_up(self, allowed_until: float) -> None:
        """What runs is told to stop, sidecars after the rest and the last one first; their ends are reported.

        https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#pod-termination
        """
        self.moment = self.now
        for _ in range(MOST_STEPS):
            place = next((place for place, run in enumerate(self.runs)
                          if run.stage in (RUNNING, STARTING) and run.until <= self.now), None)
            if place is None:
                break
            self._step(place, self.runs[place])
        was_over = self.verdict is not None or self._is_over()
        for place, run in enumerate(self.runs):
            if run.stage not in (RUNNING, STARTING, DONE):
                ended = run.ended or (None if was_over else pod_status.NEVER_FOUND)
                self.runs[place] = run._replace(stage=DONE, until=math.inf, waiting=None, ended=ended)
        first = [place for place, part in enumerate(self.parts)
                 if part.role != SIDECAR and self.runs[place].stage in (RUNNING, STARTING)]
        last = [place for place, run in enumerate(self.runs) if run.stage == RUNNING][-1:]
        for place in first or last:
            self._tell_to_stop(place, allowed_until, f"Stopping container {self.parts[place].name}")

    def _tell_to_stop(self, place: int, by: float, why: str, again: bool = False) -> None:
        """A real container's end takes until it is reported, or until the grace period is over."""
        run = self.runs[place]
        if run.stage == RUNNING:
            if run.report.stop_by == math.inf:
                self._tell(self.parts[place], "Normal", "Killing", why)
            self.runs[place] = run._replace(
                report=run.report._replace(stop_by=min(by, run.report.stop_by), again=again))

    def _grace_s(self) -> float:
        said = self.pod["spec"].get("terminationGracePeriodSeconds")
        return float(said) if said is not None else USUAL_GRACE_S

    def _stop_running(self, exit_code: int | None = None) -> None:
        for place, run in enumerate(self.runs):
            if run.stage == RUNNING:
                self._end(place, run, run.course.stop_code if exit_code is None else exit_code)

    def _stop_sidecars(self) -> None:
        if self.means.is_reported:
            self._wind_up(self.now + self._grace_s())
            return
        for place, (part, run) in enumerate(zip(self.parts, self.runs, strict=True)):
            if part.role == SIDECAR and run.stage == RUNNING:
                self._tell(part, "Normal", "Killing", f"Stopping container {part.name}")
                self._end(place, run, run.course.stop_code)
            elif run.stage != DONE:
                self.runs[place] = run._replace(stage=DONE, until=math.inf)

    def fail(self, verdict: Verdict, type_: Literal["Normal", "Warning"]) -> None:
        self.moment = self.now
        self.verdict = verdict
        self.tells.append(Telling(type_, *verdict))
        if self.means.is_reported:
            self._wind_up(self.now + self._grace_s())
            return
        self._tell_stopping()
        self._stop_running(KILLED)
        self.runs = [run._replace(stage=DONE, until=math.inf) for run in self.runs]

    def _give_up(self) -> None:
        """It has failed as a whole, or somebody else has called it so: what still runs is stopped."""
        if self.means.is_reported:
            self._wind_up(self.now + self._grace_s())
            return
        self._tell_stopping()
        self._stop_running()
        self.runs = [run._replace(stage=DONE, until=math.inf) for run in self.runs]
        self.sandbox = False

    def _tell_stopping(self) -> None:
        for part, run in zip(self.parts, self.runs, strict=True):
            if run.stage == RUNNING:
                self._tell(part, "Normal", "Killing", f"Stopping container {part.name}")

    def _stop(self) -> None:
        """The pod is deleted: its containers end, then its network goes, then the pod itself may."""
        allowed_until = from_time(self.pod["metadata"]["deletionTimestamp"])
        if self.stops_at is None:
            self._tell_stopping()
            runs_on = any(run.stage == RUNNING for run in self.runs)
            self.stops_at = self.now + (self.means.stop_s() if runs_on else 0.0)
        if self.gone_at is None:
            self.stops_at = max(min(self.stops_at, allowed_until), min(self.now, self.stops_at))
            if self.stops_at <= self.now:
                self._end_all(killed=self.stops_at == allowed_until)
                teardown_s = min(self.means.stop_s() / 2, LONGEST_TEARDOWN_S) if self.sandbox else 0.0
                self.gone_at = self.now + teardown_s
        if self.gone_at is not None and self.gone_at <= self.now:
            self.sandbox = False

    def _end_all(self, killed: bool) -> None:
        self.moment = self.now
        was_over = self.verdict is not None or self._is_over()
        self._stop_running(KILLED if killed else None)
        for place, run in enumerate(self.runs):
            if run.stage != DONE:
                ended = run.ended or (None if was_over else pod_status.NEVER_FOUND)
                self.runs[place] = run._replace(stage=DONE, until=math.inf, waiting=None, ended=ended)
        if was_over:
            self.sandbox = False  # it went when the pod ended

    def _take_up_changes(self) -> None:
        """A container whose image was changed is started again with the new one."""
        parts = parts_of(self.pod)
        runs: list[Run] = []
        for place, part in enumerate(parts):
            run = self.runs[place] if place < len(self.runs) else Run()
            if place < len(self.parts) and self.parts[place].image != part.image:
                if run.stage == RUNNING:
                    run = self._changed(place, run)
                if run.stage != RUNNING and (run.stage != DONE or run.ended is not None):
                    run = run._replace(stage=QUEUED, until=math.inf, failed_pulls=0)
            runs.append(run)
        self.parts, self.runs = parts, runs

    def _changed(self, place: int, run: Run) -> Run:
        part = self.parts[place]
        why = f"Container {part.name} definition changed, will be restarted"
        if self.means.is_reported:
            self._tell_to_stop(place, self.now + self._grace_s(), why, again=True)
        else:
            self._tell(part, "Normal", "Killing", why)
            self._end(place, run, run.course.stop_code)
        return self.runs[place]

    def _tell(self, part: Part, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self.tells.append(Telling(type_, reason, message, part.path))


def _needs_worker(run: Run) -> bool:
    return run.stage in (UNPULLABLE, EXITED, BACKOFF)


def _succeeded(run: Run) -> bool:
    return run.stage == DONE and run.ended is not None and run.ended.get("exitCode") == 0


def _next_of(run: Run, moment: float) -> float:
    """When something about a running container changes next."""
    return min([run.exit_at, *(at for at in (run.started_at, run.ready_at) if at > moment)])
