"""What the CronJob controller decides, case by case."""
from __future__ import annotations

import pytest

from muster.api.kinds.cron_job import CRON_JOB
from muster.api.objects import controller_reference, name_of, to_time
from muster.control.plan import Create, Delete, SetStatus, Tell
from muster.controllers.cron_job import SCHEDULED_AT, Observed, job_name, plan

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
MINUTE, HOUR = 60, 3600


def a_cron_job(schedule="0 * * * *", status=None, made=NOON - 30 * MINUTE, **spec):
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "x"}]}}}}
    return CRON_JOB.defaults({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {
            "name": "tick", "namespace": "n", "uid": "cron-1", "creationTimestamp": to_time(made)},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec}, "status": status or {}})


def a_job(when=NOON, ended="", *, uid=None, scheduled=True, name=None):
    name = name or job_name(a_cron_job(), when)
    status = {"startTime": to_time(when)}
    if ended:
        status |= {"conditions": [{"type": ended, "status": "True"}], "completionTime": to_time(when + 5)}
    annotations = {SCHEDULED_AT: to_time(when)} if scheduled else {}
    return {"apiVersion": "batch/v1", "kind": "Job", "status": status, "metadata": {
        "name": name, "namespace": "n", "uid": uid or name, "annotations": annotations,
        "ownerReferences": [controller_reference(a_cron_job())]}}


def reference(job):
    return {"apiVersion": "batch/v1", "kind": "Job", "namespace": "n", "name": name_of(job),
            "uid": job["metadata"]["uid"], "resourceVersion": ""}


def running(*jobs, last=NOON - HOUR):
    return {"active": [reference(job) for job in jobs], "lastScheduleTime": to_time(last)}


def summary(decided):
    said = []
    for action in decided.actions:
        match action:
            case Create(obj):
                said.append(f"+{name_of(obj)}")
            case Delete(key):
                said.append(f"-{key.name}")
            case Tell(_, _, reason):
                said.append(reason)
    return " ".join(said)


BEFORE = a_job(NOON - HOUR)
DUE, EARLIER = (job_name(a_cron_job(), when) for when in (NOON, NOON - HOUR))


@pytest.mark.parametrize("cron_job, jobs, now, expected", [
    pytest.param(a_cron_job(), [], NOON - 1, "", id="not yet"),
    pytest.param(a_cron_job(), [], NOON, f"+{DUE}", id="on time"),
    pytest.param(a_cron_job(), [], NOON + 40 * MINUTE, f"+{DUE}", id="late"),
    pytest.param(a_cron_job(made=NOON - 5 * HOUR), [], NOON + 1, f"+{DUE}", id="the latest of those missed"),
    pytest.param(a_cron_job(status=running(last=NOON)), [], NOON + 1, "", id="served"),
    pytest.param(a_cron_job(suspend=True), [], NOON, "", id="suspended"),
    pytest.param(a_cron_job(startingDeadlineSeconds=30), [], NOON + 31, "", id="too late: as v1.32, nothing is said of it"),
    pytest.param(a_cron_job(startingDeadlineSeconds=0), [], NOON, "", id="with a deadline of no time it never starts"),
    pytest.param(a_cron_job(startingDeadlineSeconds=30), [], NOON + 29, f"+{DUE}", id="late, but not too late"),
    pytest.param(a_cron_job("* * * * *", made=NOON - 3 * HOUR), [], NOON, f"TooManyMissedTimes +{DUE}", id="very many missed"),
    pytest.param(a_cron_job("* * * * *", made=NOON - 3 * HOUR, startingDeadlineSeconds=200), [], NOON, f"+{DUE}",
                 id="a deadline forgets what was missed"),
    pytest.param(a_cron_job("0 21 * * *", timeZone="Asia/Tokyo"), [], NOON, f"+{DUE}", id="by the clock of Tokyo"),
    pytest.param(a_cron_job(status=running(BEFORE)), [BEFORE], NOON, f"+{DUE}", id="Allow: beside the other"),
    pytest.param(a_cron_job(status=running(BEFORE), concurrencyPolicy="Forbid"), [BEFORE], NOON, "JobAlreadyActive",
                 id="Forbid: not while one runs"),
    pytest.param(a_cron_job(status=running(BEFORE), concurrencyPolicy="Replace"), [BEFORE], NOON, f"-{EARLIER} +{DUE}",
                 id="Replace: in its place"),
    pytest.param(a_cron_job(), [a_job()], NOON, "", id="made, but not written down yet"),
    pytest.param(a_cron_job(status=running(BEFORE)), [a_job(NOON - HOUR, "Complete")], NOON - 1, "SawCompletedJob", id="ended"),
    pytest.param(a_cron_job(status=running(BEFORE)), [], NOON - 1, "MissingJob", id="gone"),
    pytest.param(a_cron_job(), [a_job(name="mine", scheduled=False)], NOON - 1, "UnexpectedJob", id="made by hand"),
    pytest.param(a_cron_job("59 23 31 2 *"), [], NOON, "InvalidSchedule", id="never"),
    pytest.param(a_cron_job("0 * * *"), [], NOON, "UnparseableSchedule", id="no schedule"),
    pytest.param(a_cron_job(timeZone="Mars/Olympus"), [], NOON, "UnknownTimeZone", id="no time zone"),
    pytest.param(a_cron_job("TZ=Asia/Tokyo 0 21 * * *"), [], NOON, f"UnsupportedSchedule +{DUE}", id="a zone in the schedule"),
    pytest.param(a_cron_job("TZ=Asia/Tokyo 0 21 * * *", timeZone="UTC"), [], NOON, f"UnsupportedSchedule +{DUE}",
                 id="a zone in the schedule counts more"),
    pytest.param(a_cron_job("TZ=Mars/Olympus 0 * * * *"), [], NOON, "UnsupportedSchedule UnparseableSchedule",
                 id="no time zone in the schedule"),
    pytest.param(a_cron_job(status=running()), [a_job(NOON - n * HOUR, "Complete") for n in (5, 4, 3, 2)], NOON - 1,
                 f"-{job_name(a_cron_job(), NOON - 5 * HOUR)}", id="three that succeeded are kept"),
    pytest.param(a_cron_job(status=running()), [a_job(NOON - n * HOUR, "Failed") for n in (3, 2)], NOON - 1,
                 f"-{job_name(a_cron_job(), NOON - 3 * HOUR)}", id="one that failed is kept"),
    pytest.param(a_cron_job(status=running(), successfulJobsHistoryLimit=0), [a_job(NOON - 2 * HOUR, "Complete")], NOON - 1,
                 f"-{job_name(a_cron_job(), NOON - 2 * HOUR)}", id="none is kept"),
])
def test_jobs(cron_job, jobs, now, expected):
    assert summary(plan(Observed(cron_job, jobs), now)) == expected


@pytest.mark.parametrize("cron_job, jobs, event", [
    pytest.param(a_cron_job("* * * * *", made=NOON - 3 * HOUR), [], "Warning: too many missed start times. Set or decrease "
                 ".spec.startingDeadlineSeconds or check clock skew", id="TooManyMissedTimes"),
    pytest.param(a_cron_job(status=running(BEFORE), concurrencyPolicy="Forbid"), [BEFORE], "Normal: Not starting job because "
                 "prior execution is running and concurrency policy is Forbid", id="JobAlreadyActive"),
    pytest.param(a_cron_job(suspend=True), [a_job(name="mine", scheduled=False)],
                 "Warning: Saw a job that the controller did not create or forgot: mine", id="UnexpectedJob"),
    pytest.param(a_cron_job(status=running(BEFORE), suspend=True), [a_job(NOON - HOUR, "Failed")],
                 f"Normal: Saw completed job: {EARLIER}, condition: Failed", id="SawCompletedJob"),
    pytest.param(a_cron_job(status=running(BEFORE), suspend=True), [], f"Normal: Active job went missing: {EARLIER}",
                 id="MissingJob"),
    pytest.param(a_cron_job(timeZone="Mars/Olympus"), [],
                 'Warning: invalid timeZone: "Mars/Olympus": unknown time zone Mars/Olympus', id="UnknownTimeZone"),
    pytest.param(a_cron_job("0 * * *"), [], 'Warning: unparseable schedule: "0 * * *" : expected exactly 5 fields, found 4: '
                 "[0 * * *]", id="UnparseableSchedule"),
    pytest.param(a_cron_job("59 23 31 2 *"), [], "Warning: invalid schedule: 59 23 31 2 * : time difference between two "
                 "schedules is less than 1 second", id="InvalidSchedule"),
    pytest.param(a_cron_job("CRON_TZ=UTC 0 3 * * *"), [], 'Warning: CRON_TZ or TZ used in schedule "CRON_TZ=UTC 0 3 * * *" is '
                 "not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more "
                 "details", id="UnsupportedSchedule"),
])
def test_the_words(request, cron_job, jobs, event):
    (told,) = [one for one in plan(Observed(cron_job, jobs), NOON).actions if isinstance(one, Tell)]
    assert (told.reason, f"{told.type}: {told.message}") == (request.node.callspec.id, event)


def test_the_zone_of_a_schedule_is_not_the_one_that_its_job_tells_of():
    (made,) = [one.obj for one in plan(Observed(a_cron_job("TZ=Asia/Tokyo 0 21 * * *"), []), NOON).actions
               if isinstance(one, Create)]
    assert made["metadata"]["annotations"][SCHEDULED_AT] == "2026-01-01T12:00:00Z"


def test_the_job_that_is_made():
    zone = a_cron_job("0 21 * * *", timeZone="Asia/Tokyo")
    (made,) = [action.obj for action in plan(Observed(zone, []), NOON).actions if isinstance(action, Create)]
    assert made["metadata"]["name"] == f"tick-{int(NOON) // 60}"
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["metadata"]["annotations"] == {"c": "d", SCHEDULED_AT: "2026-01-01T21:00:00+09:00"}
    assert made["metadata"]["ownerReferences"] == [controller_reference(zone)]


def test_what_is_written_down():
    decided = plan(Observed(a_cron_job(status=running(BEFORE)), [a_job(NOON - HOUR, "Complete"), a_job()]), NOON + 1)
    (status,) = [action.status for action in decided.actions if isinstance(action, SetStatus)]
    assert status == {"active": [reference(a_job())], "lastScheduleTime": to_time(NOON),
                      "lastSuccessfulTime": to_time(NOON - HOUR + 5)}


@pytest.mark.parametrize("schedule, now, expected", [
    pytest.param("0 * * * *", NOON - 1, NOON, id="the next hour"),
    pytest.param("0 * * * *", NOON, NOON + HOUR, id="the one after"),
    pytest.param("@every 90s", NOON, NOON + 90, id="every so often"),
])
def test_when_it_looks_again(schedule, now, expected):
    assert plan(Observed(a_cron_job(schedule), []), now).wake_at == expected
