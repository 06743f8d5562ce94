"""CronJobs: a Job each time the clock says so.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""
from __future__ import annotations

from ..defaults import filled, status_stays, within
from ..objects import Obj, at
from ..tables import AGE, NAME, NONE, since
from ..validation.cron_job import validate_cron_job, validate_cron_job_update, validate_new_cron_job
from ..validation.metadata import validate_metadata_update
from . import workload_columns
from .job import template_defaults
from .kind import STATUS, Column, Kind


def defaults(cron_job: Obj) -> Obj:
    return within(cron_job, "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    """The template's own numbers are filled in when a job is made of it."""
    spec = within(spec, "jobTemplate", lambda template: within(template, "spec", template_defaults))
    if spec.get("concurrencyPolicy") == "":
        spec = {**spec, "concurrencyPolicy": None}
    return filled(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3,
                  failedJobsHistoryLimit=1)


def prepare_create(cron_job: Obj) -> Obj:
    return {**cron_job, "status": {}}


def _last_schedule(cron_job: Obj, now: float) -> str:
    when = at(cron_job, "status.lastScheduleTime")
    return since(when, now) if when else NONE


CRON_JOB = Kind(
    group="batch", version="v1", name="CronJob", plural="cronjobs", singular="cronjob", namespaced=True,
    definition="io.k8s.api.batch.v1.CronJob",
    short_names=("cj",),
    categories=("all",),
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Schedule", lambda one, now: at(one, "spec.schedule", ""), description="When it runs, in cron's form."),
        Column("Timezone", lambda one, now: at(one, "spec.timeZone", NONE), description="Whose clock is meant."),
        Column("Suspend", lambda one, now: str(bool(at(one, "spec.suspend"))),
               description="Whether it is told to make no more jobs."),
        Column("Active", lambda one, now: len(at(one, "status.active", ())), "integer",
               description="Jobs that have not ended."),
        Column("Last Schedule", _last_schedule, description="Time since a job was made on schedule."),
        AGE,
        *workload_columns.of_template("spec.jobTemplate.spec.template.spec"),
        Column("Selector", lambda one, now: workload_columns.selector_text(at(one, "spec.jobTemplate.spec.selector"))
               if at(one, "spec.jobTemplate.spec.selector") else NONE, priority=1,
               description="The pods that belong to it."),
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=status_stays,
    validate=validate_cron_job,
    validate_create=validate_new_cron_job,
    validate_update=validate_cron_job_update,
    validate_status_update=validate_metadata_update,
)
