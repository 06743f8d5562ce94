"""Jobs and CronJobs, driven by the real kubectl."""
import pytest

TRUE = ("--", "true")


def job(name="work", script="true", restart="Never", **spec):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {**spec, "template": {"spec": {
        "restartPolicy": restart, "containers": [{"name": "main", "image": "busybox:1", "command": ["sh", "-c", script]}]}}}}


def complete(space, name, condition="complete"):
    return space.kubectl("wait", f"--for=condition={condition}", f"job/{name}", "--timeout=50s")


def test_create_wait_logs(space):
    assert space.kubectl("create", "job", "hello", "--image=busybox", "--", "sh", "-c",
                         "echo hi; sleep 1").lines == ["job.batch/hello created"]
    assert complete(space, "hello").lines == ["job.batch/hello condition met"]
    (row,) = space.kubectl("get", "jobs").table
    assert (row["NAME"], row["STATUS"], row["COMPLETIONS"]) == ("hello", "Complete", "1/1")
    assert space.kubectl("get", "jobs", "-o", "wide").table[0]["IMAGES"] == "busybox"
    assert space.kubectl("logs", "job/hello").lines == ["hi"]
    (pod,) = space.get("pods", "-l", "job-name=hello")["items"]
    assert pod["metadata"]["name"].startswith("hello-") and not pod["metadata"].get("finalizers")
    assert space.kubectl("get", "pods").table[0]["STATUS"] == "Completed"
    assert "job.batch/hello" in space.kubectl("get", "all").stdout


def test_describe(space):
    space.kubectl("create", "job", "pi", "--image=perl:5.34.0", *TRUE)
    complete(space, "pi")
    told = space.kubectl("describe", "job", "pi").stdout
    for line in ("Parallelism:      1", "Completions:      1", "Completion Mode:  NonIndexed", "Backoff Limit:    6",
                 "Pods Statuses:    0 Active (0 Ready) / 1 Succeeded / 0 Failed", "job-controller  Created pod: pi-",
                 "Job completed"):
        assert line in told


def test_status_of_a_finished_job(space):
    space.kubectl("create", "job", "done", "--image=busybox", *TRUE)
    complete(space, "done")
    status = space.get("job", "done")["status"]
    assert [one["type"] for one in status["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert {one["reason"] for one in status["conditions"]} == {"CompletionsReached"}
    assert status["succeeded"] == 1 and status["uncountedTerminatedPods"] == {} and status["completionTime"]


def test_indexed(space):
    space.apply(job("numbered", "sleep 0.1", completions=5, parallelism=2, completionMode="Indexed"))
    complete(space, "numbered")
    assert space.get("job", "numbered")["status"]["completedIndexes"] == "0-4"
    pods = space.get("pods", "-l", "batch.kubernetes.io/job-name=numbered")["items"]
    assert sorted(pod["spec"]["hostname"] for pod in pods) == [f"numbered-{number}" for number in range(5)]


def test_a_job_that_fails(space):
    space.apply(job("bad", "exit 1", backoffLimit=0))
    complete(space, "bad", "failed")
    assert space.kubectl("get", "jobs", "bad").table[0]["STATUS"] == "Failed"
    assert space.get("job", "bad")["status"]["failed"] == 1
    assert space.events("BackoffLimitExceeded", "bad") == ["Job has reached the specified backoff limit"]


def test_a_deadline(space):
    space.apply(job("slow", "sleep 600", activeDeadlineSeconds=1))
    complete(space, "slow", "failed")
    assert space.events("DeadlineExceeded", "slow") == ["Job was active longer than specified deadline"]
    assert not space.get("pods", "--field-selector", "status.phase=Running")["items"]


def test_suspend_and_resume(space):
    space.apply(job("later", suspend=True))
    complete(space, "later", "suspended")
    assert space.kubectl("get", "job", "later").table[0]["STATUS"] == "Suspended"
    space.kubectl("patch", "job", "later", "-p", '{"spec":{"suspend":false}}')
    complete(space, "later")
    assert space.events("Resumed", "later") == ["Job resumed"]


def test_time_to_live(space):
    space.apply(job("brief", ttlSecondsAfterFinished=1))
    space.kubectl("wait", "--for=delete", "job/brief", "--timeout=50s")
    assert not space.get("pods")["items"]


@pytest.mark.parametrize("cascade, left", [
    pytest.param("background", 0, id="background"), pytest.param("foreground", 0, id="foreground"),
    pytest.param("orphan", 1, id="orphan"),
])
def test_deletion(space, cascade, left):
    space.apply(job("long", "sleep 600"))
    space.until("pods", lambda there: any(pod["status"].get("phase") == "Running" for pod in there.values()))
    space.kubectl("delete", "job", "long", f"--cascade={cascade}")
    if left:
        space.until("pods", lambda there: len(there) == left and not any(
            pod["metadata"].get("finalizers") for pod in there.values()))
    else:
        space.kubectl("wait", "--for=delete", "pods", "-l", "job-name=long", "--timeout=50s")
        assert not space.get("pods")["items"]


@pytest.mark.parametrize("given, said", [
    pytest.param(job(restart="Always"), 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
                 id="restart"),
    pytest.param(job(completionMode="Indexed", completions=None, parallelism=2),
                 "spec.completions: Required value: when completion mode is Indexed", id="indexed without completions"),
    pytest.param(job(backoffLimitPerIndex=1),
                 "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode", id="per index"),
])
def test_refused(space, given, said):
    assert said in space.kubectl("create", "-f", "-", given=given, fails=True).stderr


def test_what_may_not_change(space):
    space.apply(job("fixed", "sleep 600"))
    for patch, said in (('{"spec":{"completions":5}}', "spec.completions: Invalid value: 5: field is immutable"),
                        ('{"spec":{"template":{"spec":{"hostname":"x"}}}}', "field is immutable")):
        assert said in space.kubectl("patch", "job", "fixed", "-p", patch, fails=True).stderr
    space.kubectl("patch", "job", "fixed", "-p", '{"spec":{"parallelism":0}}')


def test_cron_job(space):
    assert space.kubectl("create", "cronjob", "tick", "--image=busybox", "--schedule=0 0 1 1 *", *TRUE).lines == [
        "cronjob.batch/tick created"]
    (row,) = space.kubectl("get", "cj").table
    assert [row[name] for name in ("NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE")] == [
        "tick", "0 0 1 1 *", "<none>", "False", "0", "<none>"]
    assert space.kubectl("create", "job", "now", "--from=cronjob/tick").lines == ["job.batch/now created"]
    complete(space, "now")
    assert "cronjob.batch/tick" in space.kubectl("get", "all").stdout
    assert "Concurrency Policy:            Allow" in space.kubectl("describe", "cj", "tick").stdout


def test_cron_job_runs(space):
    space.kubectl("create", "cronjob", "often", "--image=busybox", "--schedule=@every 1s", *TRUE)
    space.until("jobs", lambda there: any(
        one["type"] == "Complete" for each in there.values() for one in each.get("status", {}).get("conditions", ())))
    space.until("cj", lambda there: "lastSuccessfulTime" in there["often"]["status"])
    assert any(said.startswith("Created job often-") for said in space.events("SuccessfulCreate", "often"))
    space.kubectl("delete", "cj", "often", "--cascade=foreground")
    assert not space.get("jobs")["items"]


@pytest.mark.parametrize("change, said", [
    pytest.param({"schedule": "* * *"}, 'spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]',
                 id="schedule"),
    pytest.param({"timeZone": "Mars/Olympus"}, 'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
                 id="time zone"),
    pytest.param({"concurrencyPolicy": "Never"}, 'spec.concurrencyPolicy: Unsupported value: "Never": supported values: '
                 '"Allow", "Forbid", "Replace"', id="policy"),
])
def test_cron_job_refused(space, change, said):
    given = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "x"},
             "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job()["spec"]}, **change}}
    assert said in space.kubectl("create", "-f", "-", given=given, fails=True).stderr
