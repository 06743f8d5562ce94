"""Makes a Job each time that a CronJob's schedule says so.

    children   which of its jobs are active, which have ended         -> status, events
    schedule   the latest time that has come and has no job yet       (cron_schedule.py)
    start      as concurrencyPolicy allows; a job's name holds its time, so it can not be made twice
    history    the oldest of the ended jobs, beyond the limits, go

A job that was made is taken into the status when it is seen; a crash in between changes nothing.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from ..api import cron
from ..api.go_text import quoted
from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_of,
    controller_reference,
    from_time,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
    to_time,
    uid_of,
)
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.dependents import owner_of
from ..control.plan import Action, Create, Delete, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .cron_schedule import Due, Never, due
from .job import RESOURCE as JOBS

RESOURCE = "cronjobs.batch"
_UNSUPPORTED = ("CRON_TZ or TZ used in schedule {} is not officially supported, see "
                "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details")
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@dataclass(frozen=True, slots=True)
class Observed:
    cron_job: Obj
    jobs: Sequence[Obj]  # that it controls


@dataclass(slots=True)
class Children:
    status: Obj
    active: list[Obj] = field(default_factory=list)  # references, as the status has them
    jobs: dict[str, Obj] = field(default_factory=dict)  # those of them that are there, by uid
    said: list[Action] = field(default_factory=list)


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.key.resource == RESOURCE:
        return (change.key,)
    found = (owner_of(obj, mirror, RESOURCE, "CronJob") for obj in (change.previous, change.value) if obj is not None)
    return [key for key in dict.fromkeys(found) if key is not None]


def observe(mirror: Mirror, key: Key) -> Observed | None:
    cron_job = mirror.get(key)
    if cron_job is None or is_deleting(cron_job):
        return None
    uid = uid_of(cron_job)
    jobs = [job for place, job in mirror.dependents(uid).items() if place.resource == JOBS
            and (controller_of(job) or {}).get("uid") == uid]
    return Observed(cron_job, sorted(jobs, key=_began))


def plan(seen: Observed, now: float) -> Plan:
    cron_job = seen.cron_job
    children = _look_after(cron_job, seen.jobs)
    actions, wake_at = _schedule(cron_job, children, seen.jobs, now)
    actions = [*_history(cron_job, seen.jobs), *actions, *children.said]
    status = {**children.status, "active": children.active}
    if not children.active:
        del status["active"]
    if status != (cron_job.get("status") or {}):
        actions.append(SetStatus(Key(RESOURCE, namespace_of(cron_job), name_of(cron_job)), uid_of(cron_job), status))
    return Plan(actions, wake_at, size=1 + len(seen.jobs))


# ------------------------------------------------------------------ its jobs

def _look_after(cron_job: Obj, jobs: Iterable[Obj]) -> Children:
    status = cron_job.get("status") or {}
    found = Children(dict(status), list(status.get("active") or ()))
    uids = set()
    for job in jobs:
        uids.add(uid_of(job))
        _look_at(cron_job, job, found)
    for reference in [one for one in found.active if one["uid"] not in uids]:
        found.active.remove(reference)
        found.said.append(Tell(cron_job, "Normal", "MissingJob", f"Active job went missing: {reference['name']}"))
    return found


def _look_at(cron_job: Obj, job: Obj, found: Children) -> None:
    listed = next((one for one in found.active if one["uid"] == uid_of(job)), None)
    ended = _end_of(job)
    if listed is None and _is_new(job, found.status):
        listed = _reference(job)
        found.active.append(listed)
        found.status["lastScheduleTime"] = to_time(_scheduled(job) or 0)
    if listed is None and not ended and not is_deleting(job):
        found.said.append(Tell(cron_job, "Warning", "UnexpectedJob", "Saw a job that the controller did not create or "
                               f"forgot: {name_of(job)}"))
    if listed is not None and ended:
        found.active.remove(listed)
        found.said.append(Tell(cron_job, "Normal", "SawCompletedJob",
                               f"Saw completed job: {name_of(job)}, condition: {ended}"))
    elif listed is not None:
        found.jobs[uid_of(job)] = job
    if ended == "Complete":
        last, when = found.status.get("lastSuccessfulTime"), at(job, "status.completionTime")
        if when and (not last or from_time(last) < from_time(when)):
            found.status["lastSuccessfulTime"] = when


def _end_of(job: Obj) -> str:
    return next((type_ for type_ in ("Complete", "Failed") if is_true(job, type_)), "")


def _scheduled(job: Obj) -> float | None:
    text = annotations_of(job).get(SCHEDULED_AT)
    try:
        return from_time(text) if text else None
    except ValueError:
        return None


def _is_new(job: Obj, status: Obj) -> bool:
    """We made it, and have not written that down yet."""
    when, last = _scheduled(job), status.get("lastScheduleTime")
    return when is not None and (last is None or from_time(last) < when)


def _reference(job: Obj) -> Obj:
    return {"apiVersion": "batch/v1", "kind": "Job", "namespace": namespace_of(job), "name": name_of(job),
            "uid": uid_of(job), "resourceVersion": job["metadata"].get("resourceVersion", "")}


def _began(job: Obj) -> tuple[str, str]:
    return at(job, "status.startTime", "9999"), name_of(job)


def _history(cron_job: Obj, jobs: Sequence[Obj]) -> list[Action]:
    """The oldest of those that ended go, and their pods with them."""
    gone: list[Action] = []
    for field_, type_ in (("successfulJobsHistoryLimit", "Complete"), ("failedJobsHistoryLimit", "Failed")):
        limit = cron_job["spec"].get(field_)
        ended = [job for job in jobs if _end_of(job) == type_ and not is_deleting(job)]
        if limit is not None and len(ended) > limit:
            gone += [_end(cron_job, job) for job in ended[:len(ended) - limit]]
    return gone


def _end(cron_job: Obj, job: Obj) -> Delete:
    return Delete(Key(JOBS, namespace_of(job), name_of(job)), uid_of(job), tell=cron_job, propagation="Background")


# ------------------------------------------------------------------ its schedule

def _schedule(cron_job: Obj, children: Children, jobs: Sequence[Obj], now: float) -> tuple[list[Action], float | None]:
    spec, text = cron_job["spec"], cron_job["spec"]["schedule"]
    try:
        zone = cron.zone_of(spec.get("timeZone"))
    except ValueError as complaint:
        return [_warned(cron_job, "UnknownTimeZone", f'invalid timeZone: "{spec["timeZone"]}": {complaint}')], None
    if spec.get("suspend"):
        return [], None
    said: list[Action] = []
    if "TZ" in text:  # it was made by an older server, or comes from a dump
        said.append(_warned(cron_job, "UnsupportedSchedule", _UNSUPPORTED.format(quoted(text))))
    try:
        schedule = cron.read(text)
    except ValueError as complaint:
        why = f"unparseable schedule: {quoted(text)} : {complaint}"
        return [*said, _warned(cron_job, "UnparseableSchedule", why)], None
    clock = cron.zone_of(cron.zone_in(text)) if "TZ" in text else zone
    last, deadline = children.status.get("lastScheduleTime"), spec.get("startingDeadlineSeconds")
    born = from_time(cron_job["metadata"]["creationTimestamp"])
    try:
        found = due(schedule, clock, from_time(last) if last else born, deadline, now)
    except Never as complaint:
        return [*said, _warned(cron_job, "InvalidSchedule", f"invalid schedule: {text} : {complaint}")], None
    if found.too_many:
        said.append(_warned(cron_job, "TooManyMissedTimes", "too many missed start times. Set or decrease "
                            ".spec.startingDeadlineSeconds or check clock skew"))
    return said + _start(cron_job, children, jobs, found, zone), found.next_at


def _warned(cron_job: Obj, reason: str, message: str) -> Tell:
    return Tell(cron_job, "Warning", reason, message)


def _start(cron_job: Obj, children: Children, jobs: Sequence[Obj], found: Due, zone: tzinfo) -> list[Action]:
    if found.time is None:
        return []
    spec = cron_job["spec"]
    name = job_name(cron_job, found.time)
    if any(name_of(job) == name for job in jobs):
        return []
    if spec["concurrencyPolicy"] == "Forbid" and children.active:
        return [Tell(cron_job, "Normal", "JobAlreadyActive",
                     "Not starting job because prior execution is running and concurrency policy is Forbid")]
    ends: list[Action] = []
    if spec["concurrencyPolicy"] == "Replace":
        ends = [_end(cron_job, job) for job in children.jobs.values() if not is_deleting(job)]
        replaced = {action.uid for action in ends if isinstance(action, Delete)}
        children.active = [one for one in children.active if one["uid"] not in replaced]
    return [*ends, Create(_job(cron_job, name, found.time, zone), tell=cron_job)]


def job_name(cron_job: Obj, when: float) -> str:
    return f"{name_of(cron_job)}-{int(when) // 60}"


def _job(cron_job: Obj, name: str, when: float, zone: tzinfo) -> Obj:
    template = cron_job["spec"]["jobTemplate"]
    described = template.get("metadata") or {}
    spoken = datetime.fromtimestamp(when, zone).isoformat().replace("+00:00", "Z")
    metadata: Obj = {"name": name, "namespace": namespace_of(cron_job),
                     "annotations": {**(described.get("annotations") or {}), SCHEDULED_AT: spoken},
                     "ownerReferences": [controller_reference(cron_job)]}
    if described.get("labels"):
        metadata["labels"] = described["labels"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


controller = Controller("cronjob-controller", (RESOURCE, Changes(JOBS, concerning=RESOURCE, owned_by="CronJob")),
                        wakes, observe, plan)
