"""Jobs: pods that run to their end, a given number of times.

The selector is made here, from the job's own uid, unless the user says `manualSelector: true`; the template's
labels get the uid and the name under their new and their old keys, so that no job ever counts another one's pods.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""
from __future__ import annotations

from ..defaults import each, filled, inside, status_stays, within
from ..objects import Obj, at, from_time, is_deleting, is_true, name_of, uid_of
from ..tables import AGE, NAME, age
from ..validation.job import validate_job, validate_job_status_update, validate_job_update
from . import workload_columns
from .kind import STATUS, Column, Kind
from .pod_defaults import pod_template_defaults
from .pod_warnings import template_warnings

UID_LABEL, JOB_NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
OLD_UID_LABEL, OLD_JOB_NAME_LABEL = "controller-uid", "job-name"
MAX_INT32 = 2**31 - 1
_ENDED = ("Complete", "Failed")
_PASSING = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def defaults(job: Obj) -> Obj:
    return _with_labels(within(job, "spec", _spec_defaults))


def _with_labels(job: Obj) -> Obj:
    """A job without labels has those of its template."""
    labels = at(job, "spec.template.metadata.labels")
    if not labels or job["metadata"].get("labels"):
        return job
    return {**job, "metadata": {**job["metadata"], "labels": labels}}


def _spec_defaults(spec: Obj) -> Obj:
    spec = template_defaults(spec)
    if spec.get("parallelism") is None:
        # Without any of the two it is one pod; with completions alone it is one pod at a time.
        spec = filled(spec, completions=1, parallelism=1)
    limit = MAX_INT32 if spec.get("backoffLimitPerIndex") is not None else 6
    replaced = "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed"
    return filled(spec, backoffLimit=limit, completionMode="NonIndexed", suspend=False, manualSelector=False,
                  podReplacementPolicy=replaced)


def template_defaults(spec: Obj) -> Obj:
    """What is filled in a job's spec wherever it stands, in a CronJob's template too."""
    spec = within(spec, "template", pod_template_defaults)
    return inside(spec, "podFailurePolicy", lambda policy: each(policy, "rules", _rule_defaults))


def _rule_defaults(rule: Obj) -> Obj:
    return each(rule, "onPodConditions", lambda pattern: filled(pattern, status="True"))


def prepare_create(job: Obj) -> Obj:
    job = {**job, "status": {}}
    return job if at(job, "spec.manualSelector") else _with_labels(_with_selector(job))


def _with_selector(job: Obj) -> Obj:
    uid, name, spec = uid_of(job), name_of(job), job.get("spec") or {}
    template = spec.get("template") or {}
    described = template.get("metadata") or {}
    labels = {OLD_JOB_NAME_LABEL: name, JOB_NAME_LABEL: name, OLD_UID_LABEL: uid, UID_LABEL: uid,
              **(described.get("labels") or {})}
    selector = spec.get("selector") or {}
    chosen = {UID_LABEL: uid, **(selector.get("matchLabels") or {})}
    return {**job, "spec": {**spec, "selector": {**selector, "matchLabels": chosen},
                            "template": {**template, "metadata": {**described, "labels": labels}}}}


def _status(job: Obj, now: float) -> str:
    ended = next((state for state in _ENDED if is_true(job, state)), None)
    if ended is None and is_deleting(job):
        return "Terminating"
    return ended or next((state for state in _PASSING if is_true(job, state)), "Running")


def _completions(job: Obj, now: float) -> str:
    succeeded, wanted = at(job, "status.succeeded", 0), at(job, "spec.completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallel = at(job, "spec.parallelism", 0)
    return f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"


def _duration(job: Obj, now: float) -> str:
    began, ended = at(job, "status.startTime"), at(job, "status.completionTime")
    if not began:
        return ""
    return age((from_time(ended) if ended else now) - from_time(began))


JOB = Kind(
    group="batch", version="v1", name="Job", plural="jobs", singular="job", namespaced=True,
    definition="io.k8s.api.batch.v1.Job",
    categories=("all",),
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Status", _status, description="Complete, Failed, Suspended, Terminating or Running."),
        Column("Completions", _completions, description="Pods that succeeded, of those that should."),
        Column("Duration", _duration, description="How long it has run, or ran."),
        AGE,
        *workload_columns.of_template("spec.template.spec"),
        workload_columns.SELECTOR,
    ),
    selectable={"status.successful": lambda job: str(at(job, "status.succeeded", 0))},
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=status_stays,
    validate=validate_job,
    validate_update=validate_job_update,
    validate_status_update=validate_job_status_update,
    warnings=template_warnings,
)
