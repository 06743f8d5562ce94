"""Jobs: how often, how many at once, what a failure means, and what may not change afterwards.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, invalid, not_supported, required
from ..errors import BadRequest
from ..objects import Obj, at
from ..selectors import from_label_selector
from .job_policies import validate_pod_failure_policy, validate_success_policy
from .metadata import (
    complain,
    immutable,
    not_negative,
    validate_metadata,
    validate_metadata_update,
)
from .pod import validate_pod_template
from .selected_template import validate_selector

MODES = ("Indexed", "NonIndexed")
REPLACEMENTS = ("Failed", "TerminatingOrFailed")
MOST_PARALLEL_INDEXED = 100_000
MOST_FAILED_INDEXES = 100_000
MANY_COMPLETIONS, MOST_FAILED_OF_MANY, MOST_PARALLEL_OF_MANY = 100_000, 10_000, 10_000
NUMBERS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
           "backoffLimitPerIndex", "maxFailedIndexes")
STATUS_NUMBERS = ("active", "succeeded", "failed", "ready", "terminating")
# What may still change in the template of a suspended job that never started (KEP-2926).
_FREE_IN_POD = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def validate_job(job: Obj) -> list[Cause]:
    wrong = validate_metadata(job, namespaced=True)
    spec = job.get("spec") or {}
    if not spec.get("manualSelector") and spec.get("selector") is not None:
        _generated_selector(job, spec, wrong)
    validate_job_spec(spec, "spec", wrong)
    validate_selector(spec, wrong)
    count, name = spec.get("completions"), job["metadata"].get("name", "")
    if spec.get("completionMode") == "Indexed" and count:
        longest = f"{name}-{count - 1}"
        if names.is_dns_label(longest):
            wrong.append(invalid("metadata.name", name,
                                 f"will not able to create pod with invalid DNS label: {longest}"))
    return wrong


def _generated_selector(job: Obj, spec: Obj, wrong: list[Cause]) -> None:
    """The labels that tell the job's pods from all others are there and true."""
    uid, name = job["metadata"].get("uid", ""), job["metadata"].get("name", "")
    if not uid:
        wrong.append(required("metadata.uid"))
    path, labels = "spec.template.metadata.labels", at(spec, "template.metadata.labels", {})
    expected = (("controller-uid", uid), ("job-name", name), ("batch.kubernetes.io/controller-uid", uid),
                ("batch.kubernetes.io/job-name", name))
    for key, value in expected:
        if key not in labels:
            wrong.append(required(f"{path}[{key}]", f"must be '{value}'"))
        elif labels[key] != value:
            wrong.append(Cause("FieldValueInvalid", f"{path}[{key}]",
                               f"{invalid('labels', labels, '').message}must be '{value}'"))
    try:
        if not from_label_selector(spec["selector"]).matches(dict(expected)):
            wrong.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    except BadRequest:  # said with the selector itself
        pass


def validate_job_spec(spec: Obj, path: str, wrong: list[Cause]) -> None:
    """All but the selector, which a CronJob's template does not have."""
    for field in NUMBERS:
        wrong += not_negative(spec.get(field), f"{path}.{field}")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        wrong.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    _managed_by(spec.get("managedBy"), f"{path}.managedBy", wrong)
    mode = spec.get("completionMode")
    if mode is not None and mode not in MODES:
        wrong.append(not_supported(f"{path}.completionMode", mode, MODES))
    if mode == "Indexed":
        _indexed(spec, path, wrong)
    elif mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                wrong.append(invalid(f"{path}.{field}", spec[field], "requires indexed completion mode"))
    _policies(spec, path, wrong)
    validate_pod_template(spec.get("template") or {}, f"{path}.template", wrong)
    _restart_policy(spec, f"{path}.template.spec.restartPolicy", wrong)


def _managed_by(name: str | None, path: str, wrong: list[Cause]) -> None:
    if name is None:
        return
    domain, slash, rest = name.partition("/")
    if not slash or not domain or not rest:
        wrong.append(invalid(path, name, "must be a domain-prefixed path (such as \"acme.io/foo\")"))
    else:
        wrong += complain(path, domain, names.is_dns_subdomain(domain))
    if len(name) > names.LABEL_LENGTH:
        wrong.append(Cause("FieldValueTooLong", path,
                           f"Too long: may not be more than {names.LABEL_LENGTH} bytes"))


def _indexed(spec: Obj, path: str, wrong: list[Cause]) -> None:
    completions, parallel = spec.get("completions"), spec.get("parallelism")
    failed = spec.get("maxFailedIndexes")
    if completions is None:
        wrong.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallel is not None and parallel > MOST_PARALLEL_INDEXED:
        wrong.append(invalid(f"{path}.parallelism", parallel, f"must be less than or equal to {MOST_PARALLEL_INDEXED} "
                             "when completion mode is Indexed"))
    if completions is not None and failed is not None and failed > completions:
        wrong.append(invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > MOST_FAILED_INDEXES:
        wrong.append(invalid(f"{path}.maxFailedIndexes", failed,
                             f"must be less than or equal to {MOST_FAILED_INDEXES}"))
    if completions is not None and completions > MANY_COMPLETIONS and spec.get("backoffLimitPerIndex") is not None:
        _very_many(spec, path, wrong)


def _very_many(spec: Obj, path: str, wrong: list[Cause]) -> None:
    failed, parallel = spec.get("maxFailedIndexes"), spec.get("parallelism")
    if failed is None:
        wrong.append(required(f"{path}.maxFailedIndexes", f"must be specified when completions is above "
                              f"{MANY_COMPLETIONS}"))
    elif failed > MOST_FAILED_OF_MANY:
        wrong.append(invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to "
                             f"{MOST_FAILED_OF_MANY} when completions are above {MANY_COMPLETIONS} and used with "
                             "backoff limit per index"))
    if parallel is not None and parallel > MOST_PARALLEL_OF_MANY:
        wrong.append(invalid(f"{path}.parallelism", parallel, f"must be less than or equal to "
                             f"{MOST_PARALLEL_OF_MANY} when completions are above {MANY_COMPLETIONS} and used with "
                             "backoff limit per index"))


def _policies(spec: Obj, path: str, wrong: list[Cause]) -> None:
    failure, success = spec.get("podFailurePolicy"), spec.get("successPolicy")
    if failure is not None:
        validate_pod_failure_policy(spec, failure, f"{path}.podFailurePolicy", wrong)
    if success is not None:
        if spec.get("completionMode") != "Indexed":
            wrong.append(invalid(f"{path}.successPolicy", success, "requires indexed completion mode"))
        else:
            validate_success_policy(success, spec.get("completions") or 0, f"{path}.successPolicy", wrong)
    replacement = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if failure is not None else REPLACEMENTS
    if replacement is not None and replacement not in allowed:
        wrong.append(not_supported(f"{path}.podReplacementPolicy", replacement, allowed))


def _restart_policy(spec: Obj, path: str, wrong: list[Cause]) -> None:
    policy = at(spec, "template.spec.restartPolicy", "")
    if policy in ("", "Always"):  # Always is what defaults write where the user wrote nothing
        wrong.append(required(path, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        wrong.append(not_supported(path, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        wrong.append(invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified'))


# ------------------------------------------------------------------ changes

def validate_job_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before:
        return wrong
    _completions_update(after, before, wrong)
    wrong += immutable(after.get("selector"), before.get("selector"), "spec.selector")
    _template_update(after, old, wrong)
    for field in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        wrong += immutable(after.get(field), before.get(field), f"spec.{field}")
    return wrong


def _completions_update(after: Obj, before: Obj, wrong: list[Cause]) -> None:
    """Numbered jobs may grow and shrink, completions and parallelism as one (KEP-3715)."""
    new, old = after.get("completions"), before.get("completions")
    if new == old:
        return
    if after.get("completionMode") != "Indexed" or new is None or old is None:
        wrong.extend(immutable(new, old, "spec.completions"))
    elif new != after.get("parallelism"):
        wrong.append(invalid("spec.completions", new, "can only be modified in tandem with spec.parallelism"))


def _template_update(after: Obj, old: Obj, wrong: list[Cause]) -> None:
    before = old.get("spec") or {}
    new, there = after.get("template") or {}, before.get("template") or {}
    if before.get("suspend") and at(old, "status.startTime") is None:
        new = _without_placement(new, there)
    if new != there:
        wrong.append(invalid("spec.template", after.get("template"), "field is immutable"))


def _without_placement(new: Obj, old: Obj) -> Obj:
    """The new template with what may change as it was."""
    metadata, pod = dict(new.get("metadata") or {}), dict(new.get("spec") or {})
    for fields, was in ((("labels", "annotations"), old.get("metadata") or {}), (_FREE_IN_POD, old.get("spec") or {})):
        here = metadata if "labels" in fields else pod
        for field in fields:
            here.pop(field, None)
            if field in was:
                here[field] = was[field]
    return {**new, "metadata": metadata, "spec": pod}


def validate_job_status_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    status = new.get("status") or {}
    for field in STATUS_NUMBERS:
        wrong += not_negative(status.get(field), f"status.{field}")
    return wrong
