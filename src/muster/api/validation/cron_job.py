"""CronJobs: the schedule, its time zone, and the job it makes.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""
from __future__ import annotations

from .. import cron
from ..causes import Cause, invalid, not_supported, required
from ..objects import Obj
from .job import validate_job_spec
from .metadata import not_negative, validate_metadata, validate_metadata_update

POLICIES = ("Allow", "Forbid", "Replace")
LONGEST_NAME = 52  # eleven more stand in the names of its jobs
NUMBERS = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def validate_cron_job(cron_job: Obj) -> list[Cause]:
    wrong = validate_metadata(cron_job, namespaced=True)
    spec = cron_job.get("spec") or {}
    text, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not text:
        wrong.append(required("spec.schedule"))
    else:
        _schedule(text, zone, wrong)
    if zone is not None:
        _time_zone(zone, wrong)
    policy = spec.get("concurrencyPolicy")
    if not policy:
        wrong.append(required("spec.concurrencyPolicy"))
    elif policy not in POLICIES:
        wrong.append(not_supported("spec.concurrencyPolicy", policy, POLICIES))
    for field in NUMBERS:
        wrong += not_negative(spec.get(field), f"spec.{field}")
    _template((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec", wrong)
    return wrong


def validate_new_cron_job(cron_job: Obj) -> list[Cause]:
    """What one that is there already may keep: its long name, and a zone in its schedule."""
    wrong: list[Cause] = []
    name, spec = cron_job["metadata"].get("name") or "", cron_job.get("spec") or {}
    if len(name) > LONGEST_NAME:
        wrong.append(invalid("metadata.name", name, f"must be no more than {LONGEST_NAME} characters"))
    _no_zone_in_schedule(spec, wrong)
    return wrong


def validate_cron_job_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    if "TZ" not in ((old.get("spec") or {}).get("schedule") or ""):
        _no_zone_in_schedule(new.get("spec") or {}, wrong)
    return wrong


def _schedule(text: str, zone: str | None, wrong: list[Cause]) -> None:
    try:
        cron.read(text)
    except ValueError as complaint:
        wrong.append(invalid("spec.schedule", text, str(complaint)))
    if "TZ" in text and zone is not None:
        wrong.append(invalid("spec.schedule", text, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))


def _no_zone_in_schedule(spec: Obj, wrong: list[Cause]) -> None:
    text = spec.get("schedule") or ""
    if "TZ" in text and spec.get("timeZone") is None:
        wrong.append(invalid("spec.schedule", text,
                             "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))


def _time_zone(zone: str, wrong: list[Cause]) -> None:
    if not zone:
        wrong.append(invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string"))
    elif zone.lower() == "local":
        wrong.append(invalid("spec.timeZone", zone,
                             "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
    else:
        try:
            cron.zone_of(zone)
        except ValueError as complaint:
            wrong.append(invalid("spec.timeZone", zone, str(complaint)))


def _template(spec: Obj, path: str, wrong: list[Cause]) -> None:
    """A job's, but the selector is always made for each job."""
    validate_job_spec(spec, path, wrong)
    if spec.get("selector") is not None:
        wrong.append(invalid(f"{path}.selector", spec["selector"], "`selector` will be auto-generated"))
    if spec.get("manualSelector"):
        wrong.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
