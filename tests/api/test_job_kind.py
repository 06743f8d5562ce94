"""The rows of Job and CronJob: what is filled in, what is refused, what may change, what `kubectl get` prints."""
import pytest

from muster.api.kinds.cron_job import CRON_JOB
from muster.api.kinds.job import JOB, UID_LABEL
from muster.api.objects import with_
from muster.api.tables import table

LABELS = {"job-name": "pi", "batch.kubernetes.io/job-name": "pi", "controller-uid": "u1", UID_LABEL: "u1"}


def job(name="pi", restart="Never", labels=None, **spec):
    pod = {"restartPolicy": restart, "containers": [{"name": "main", "image": "perl"}]}
    template = {"spec": pod, **({"metadata": {"labels": labels}} if labels else {})}
    return JOB.prepare_create(JOB.defaults({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {
            "name": name, "namespace": "math", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"template": template, **spec}}))


def indexed(**spec):
    return {"completionMode": "Indexed", "completions": 3, **spec}


def rule(**fields):
    return {"podFailurePolicy": {"rules": [{"action": "FailJob", **fields}]}}


def codes(**fields):
    return rule(onExitCodes={"operator": "In", "values": [1], **fields})


@pytest.mark.parametrize("given, expected", [
    pytest.param({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed",
                      "suspend": False, "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed",
                      "selector": {"matchLabels": {UID_LABEL: "u1"}}}, id="nothing said"),
    pytest.param({"completions": 4}, {"parallelism": 1}, id="completions"),
    pytest.param({"parallelism": 4}, {"completions": None}, id="a work queue"),
    pytest.param(indexed(backoffLimitPerIndex=1), {"backoffLimit": 2**31 - 1}, id="a limit for each index"),
    pytest.param(rule(onPodConditions=[{"type": "X"}]), {
        "podReplacementPolicy": "Failed", "podFailurePolicy": {"rules": [
            {"action": "FailJob", "onPodConditions": [{"type": "X", "status": "True"}]}]}}, id="a policy of failures"),
])
def test_defaults(given, expected):
    spec = job(**given)["spec"]
    assert {field: spec.get(field) for field in expected} == expected


def test_labels_of_the_template_and_the_job():
    made = job()
    assert made["spec"]["template"]["metadata"]["labels"] == LABELS == made["metadata"]["labels"]


@pytest.mark.parametrize("given, expected", [
    pytest.param({}, [], id="fine"),
    pytest.param({"restart": "Always"}, ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
                 id="restart"),
    pytest.param({"completions": -1}, ["spec.completions: Invalid value: -1: must be greater than or equal to 0"], id="negative"),
    pytest.param({"completionMode": "Odd"}, ['spec.completionMode: Unsupported value: "Odd": supported values: "Indexed", '
                                             '"NonIndexed"'], id="mode"),
    pytest.param({"completionMode": "Indexed", "parallelism": 1},
                 ["spec.completions: Required value: when completion mode is Indexed"], id="indexed needs completions"),
    pytest.param({"maxFailedIndexes": 1, **indexed()},
                 ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"], id="max failed alone"),
    pytest.param(indexed(name="p" * 62), [f'metadata.name: Invalid value: "{"p" * 62}": will not able to create pod with '
                                          f"invalid DNS label: {'p' * 62}-2"], id="no host name"),
    pytest.param({"labels": {"job-name": "other"}}, [
        'spec.template.metadata.labels[job-name]: Invalid value: map[string]string{"batch.kubernetes.io/controller-uid":"u1", '
        '"batch.kubernetes.io/job-name":"pi", "controller-uid":"u1", "job-name":"other"}: must be \'pi\''], id="another's label"),
    pytest.param({"manualSelector": True, "labels": {"a": "b"}}, [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: map[string]string{"a":"b"}: `selector` does not match template `labels`'],
        id="no selector"),
    pytest.param(codes(), [], id="an exit code"),
    pytest.param(codes(values=[0]), ["spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for "
                                     "the In operator"], id="success is no failure"),
    pytest.param(codes(containerName="x"), [
        'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "x": must be one of the container or '
        "initContainer names in the pod template"], id="no such container"),
    pytest.param(rule(), ["spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is "
                          "required"], id="an empty rule"),
    pytest.param({**codes(), "restart": "OnFailure"}, [
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is '
        "specified"], id="a policy and restarts"),
    pytest.param({**codes(), "podReplacementPolicy": "TerminatingOrFailed"}, [
        'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'], id="replaced early"),
    pytest.param(indexed(successPolicy={"rules": [{"succeededIndexes": "0-9"}]}), [
        'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-9": error parsing succeededIndexes: too large index: '
        '"9"'], id="indexes out of range"),
    pytest.param(indexed(successPolicy={"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}), [
        "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes "
        "in the specified succeededIndexes field)"], id="more than are named"),
])
def test_validation(given, expected):
    assert [str(cause) for cause in JOB.validate(job(**given))] == expected


@pytest.mark.parametrize("old, path, value, expected", [
    pytest.param({}, "spec.parallelism", 5, [], id="parallelism"),
    pytest.param({}, "spec.completions", 5, ["spec.completions: Invalid value: 5: field is immutable"], id="completions"),
    pytest.param(indexed(parallelism=3), "spec.completions", 5, [
        "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"], id="not in tandem"),
    pytest.param(indexed(parallelism=5), "spec.completions", 5, [], id="in tandem"),
    pytest.param({"suspend": True}, "spec.template.spec.nodeSelector", {"a": "b"}, [], id="placement of one not started"),
])
def test_update(old, path, value, expected):
    before = job(**old)
    assert [str(cause) for cause in JOB.validate_update(with_(before, path, value), before)] == expected


def test_the_template_does_not_change():
    before = job()
    (cause,) = JOB.validate_update(with_(before, "spec.template.spec.nodeSelector", {"a": "b"}), before)
    assert cause.field == "spec.template" and cause.message.endswith("field is immutable")


@pytest.mark.parametrize("status, expected", [
    pytest.param({}, ["pi", "Running", "0/1", ""], id="new"),
    pytest.param({"startTime": "2026-01-01T00:00:10Z"}, ["pi", "Running", "0/1", "50s"], id="runs"),
    pytest.param({"startTime": "2026-01-01T00:00:10Z", "completionTime": "2026-01-01T00:00:30Z", "succeeded": 1,
                  "conditions": [{"type": "Complete", "status": "True"}]}, ["pi", "Complete", "1/1", "20s"], id="complete"),
    pytest.param({"conditions": [{"type": "FailureTarget", "status": "True"}]}, ["pi", "FailureTarget", "0/1", ""], id="failing"),
])
def test_columns(status, expected):
    shown = table(JOB, [with_(job(), "status", status)], 1_767_225_660.0)
    assert shown["rows"][0]["cells"][:4] == expected


def cron_job(**spec):
    return CRON_JOB.defaults({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick", "namespace": "n"}, "spec": {
        "schedule": "@hourly", "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}}}, **spec}})


def test_cron_job_defaults():
    spec = cron_job()["spec"]
    assert [spec[field] for field in ("concurrencyPolicy", "suspend", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")] == [
        "Allow", False, 3, 1]
    assert "completions" not in spec["jobTemplate"]["spec"]


@pytest.mark.parametrize("given, expected", [
    pytest.param({}, [], id="fine"),
    pytest.param({"schedule": ""}, ["spec.schedule: Required value"], id="no schedule"),
    pytest.param({"timeZone": "local"}, ['spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined '
                                         "in https://www.iana.org/time-zones"], id="whose clock"),
    pytest.param({"schedule": "TZ=UTC 0 0 * * *", "timeZone": "UTC"}, [
        'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule'],
        id="two zones"),
    pytest.param({"schedule": "TZ=UTC 0 0 * * *"}, [
        'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'],
        id="a zone in the schedule"),
])
def test_cron_job_validation(given, expected):
    made = cron_job(**given)
    assert [str(cause) for cause in [*CRON_JOB.validate(made), *CRON_JOB.validate_create(made)]] == expected
