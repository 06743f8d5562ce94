"""What the Job controller decides, case by case."""
from __future__ import annotations

import pytest
from job_cases import NOW, a_job, a_pod, conditions_in, events_in, indexed, seen, status_in, summary

from muster.api.objects import at, finalizers_of, labels_of, to_time
from muster.control.plan import Create
from muster.controllers import job_orphans, ttl_after_finished
from muster.controllers.job import plan
from muster.controllers.job_pods import FAILURES, FINALIZER, INDEX

REACHED = {"type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached"}
FAILING = {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}
FAIL_ON_42 = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
                        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
SOME = {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]}


@pytest.mark.parametrize("job, pods, expected", [
    pytest.param(a_job(), [], "+", id="one"),
    pytest.param(a_job(completions=5, parallelism=3), [], "+ + +", id="as many at once as allowed"),
    pytest.param(a_job(completions=2, parallelism=3), [], "+ +", id="no more than are needed"),
    pytest.param(a_job(completions=3, parallelism=3, status={"succeeded": 2}), [], "+", id="the rest"),
    pytest.param(a_job(parallelism=0, completions=1), [], "", id="paused by parallelism 0"),
    pytest.param(a_job(parallelism=2), [a_pod("a")], "+", id="work queue: parallelism"),
    pytest.param(a_job(parallelism=2, status={"succeeded": 1}), [a_pod("a")], "", id="work queue: one succeeded"),
    pytest.param(a_job(parallelism=1, completions=3), [a_pod("a"), a_pod("b", ready=False)], "-b",
                 id="fewer at once: the one that is not ready"),
    pytest.param(a_job(suspend=True), [], "", id="suspended"),
    pytest.param(a_job(suspend=True), [a_pod("a")], "-a", id="suspended: pods end"),
    pytest.param(indexed(), [], "+#0 +#1 +#2", id="indexes"),
    pytest.param(indexed(4, 2, status={"completedIndexes": "0,2"}), [a_pod("a", index=3)], "+#1", id="the index that is missing"),
    pytest.param(indexed(), [a_pod("a", index=0), a_pod("b", index=0, age=9.0)], "-b", id="twins: the younger goes"),
    pytest.param(indexed(), [a_pod("a"), a_pod("b", index=7)], "-b -a", id="no index, or none of ours"),
    pytest.param(a_job(), [a_pod("a", "Failed", ago=9.0)], "", id="a pause after a failure"),
    pytest.param(a_job(), [a_pod("a", "Failed", ago=10.0)], "+", id="and then a new one"),
    pytest.param(a_job(), [a_pod("a", "Failed", ago=25.0, tracked=False), a_pod("b", "Failed", ago=19.0)], "",
                 id="a longer pause after two"),
    pytest.param(a_job(completions=2), [a_pod("a", "Failed", ago=30.0), a_pod("b", "Succeeded", ago=1.0)], "+",
                 id="no pause after a success"),
    pytest.param(a_job(), [a_pod("a", going=True, ago=20.0, ready=False)], "+",
                 id="a pod that goes is replaced before it is gone"),
    pytest.param(a_job(podReplacementPolicy="Failed"), [a_pod("a", going=True, ago=20.0, ready=False)], "",
                 id="or when it is gone, if so wanted"),
    pytest.param(a_job(managedBy="acme.io/queue"), [], "", id="somebody else's"),
    pytest.param(a_job(), [a_pod("a", orphan=True)], "=a", id="an orphan is adopted, and held"),
    pytest.param(a_job(deleting=True), [a_pod("a")], "~a", id="a job that goes lets go"),
    pytest.param(a_job(status={"conditions": [{"type": "Complete", "status": "True"}]}), [a_pod("a")], "~a",
                 id="a job that ended lets go"),
    pytest.param(a_job(status={"uncountedTerminatedPods": {"succeeded": ["a"]}, "conditions": [REACHED]}),
                 [a_pod("a", "Succeeded")], "~a", id="written down: let go"),
    pytest.param(indexed(backoffLimitPerIndex=1, completions=1), [a_pod("a", "Failed", index=0, failures=0, ago=9.0)], "",
                 id="an index waits"),
    pytest.param(indexed(backoffLimitPerIndex=1, completions=1), [a_pod("a", "Failed", index=0, failures=0, ago=11.0)], "+#0",
                 id="an index is tried again"),
])
def test_pods(job, pods, expected):
    found = [part for part in summary(plan(seen(job, *pods), NOW)).split() if part[0] != "~" or expected.startswith("~")]
    assert " ".join(found) == expected


@pytest.mark.parametrize("job, pods, expected", [
    pytest.param(a_job(), [a_pod("a", "Succeeded")], {"SuccessCriteriaMet": "CompletionsReached"}, id="reached"),
    pytest.param(a_job(completions=2), [a_pod("a", "Succeeded")], {}, id="half"),
    pytest.param(a_job(parallelism=2), [a_pod("a", "Succeeded"), a_pod("b")], {}, id="work queue: one still runs"),
    pytest.param(a_job(parallelism=2), [a_pod("a", "Succeeded"), a_pod("b", "Failed")],
                 {"SuccessCriteriaMet": "CompletionsReached"}, id="work queue: all ended"),
    pytest.param(a_job(backoffLimit=0), [a_pod("a", "Failed")], {"FailureTarget": "BackoffLimitExceeded"}, id="no second try"),
    pytest.param(a_job(backoffLimit=1), [a_pod("a", "Failed")], {}, id="a second try"),
    pytest.param(a_job(backoffLimit=1, status={"failed": 1, "uncountedTerminatedPods": {"failed": ["x"]}}), [],
                 {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}, id="those that are written down count"),
    pytest.param(a_job(restart="OnFailure", backoffLimit=2), [a_pod("a", restarts=2)],
                 {"FailureTarget": "BackoffLimitExceeded"}, id="restarts on the spot count"),
    pytest.param(a_job(activeDeadlineSeconds=100), [a_pod("a")], {"FailureTarget": "DeadlineExceeded"}, id="too late"),
    pytest.param(a_job(activeDeadlineSeconds=101), [a_pod("a")], {}, id="in time"),
    pytest.param(a_job(podFailurePolicy=FAIL_ON_42), [a_pod("a", "Failed", code=42)], {"FailureTarget": "PodFailurePolicy"},
                 id="an exit code that ends it"),
    pytest.param(a_job(podFailurePolicy=FAIL_ON_42, backoffLimit=0), [a_pod("a", "Failed", condition="DisruptionTarget")], {},
                 id="a disruption is no failure"),
    pytest.param(indexed(successPolicy=SOME), [a_pod("a", "Succeeded", index=1), a_pod("b", index=0)],
                 {"SuccessCriteriaMet": "SuccessPolicy"}, id="enough indexes"),
    pytest.param(indexed(successPolicy=SOME), [a_pod("a", "Succeeded", index=2)], {}, id="another index"),
    pytest.param(indexed(2, 2, backoffLimitPerIndex=0), [a_pod("a", "Failed", index=0), a_pod("b", index=1)], {},
                 id="one index failed, one runs"),
    pytest.param(indexed(2, 2, backoffLimitPerIndex=0), [a_pod("a", "Failed", index=0), a_pod("b", "Succeeded", index=1)],
                 {"FailureTarget": "FailedIndexes"}, id="one index failed, one succeeded"),
    pytest.param(indexed(3, 3, backoffLimitPerIndex=0, maxFailedIndexes=0), [a_pod("a", "Failed", index=0), a_pod("b", index=1)],
                 {"FailureTarget": "MaxFailedIndexesExceeded"}, id="too many indexes failed"),
    pytest.param(a_job(status={"conditions": [REACHED]}), [], {"SuccessCriteriaMet": "CompletionsReached",
                 "Complete": "CompletionsReached"}, id="complete once nothing is left to count"),
    pytest.param(a_job(status={"conditions": [FAILING]}), [a_pod("a", going=True, tracked=False)], None,
                 id="not failed while a pod still ends"),
    pytest.param(a_job(suspend=True), [], {"Suspended": "JobSuspended"}, id="suspended"),
])
def test_conditions(job, pods, expected):
    decided = plan(seen(job, *pods), NOW)
    if expected is None:
        assert "Failed" not in conditions_in(decided)
    else:
        assert conditions_in(decided) == expected


def test_a_failure_says_which_rule():
    decided = plan(seen(a_job(podFailurePolicy=FAIL_ON_42), a_pod("a", "Failed", code=42)), NOW)
    assert status_in(decided)["conditions"][0]["message"] == (
        "Container main for pod math/a failed with exit code 42 matching FailJob rule at index 0")


def test_a_failed_job_ends_its_pods_and_counts_them():
    decided = plan(seen(a_job(completions=2, parallelism=2, backoffLimit=0), a_pod("a", "Failed"), a_pod("b")), NOW)
    assert summary(decided) == "-b"
    assert status_in(decided)["uncountedTerminatedPods"] == {"failed": ["a", "b"]}


def test_pods_that_are_too_much_are_no_failures():
    assert summary(plan(seen(a_job(suspend=True), a_pod("a")), NOW)) == "-a ~a"
    assert summary(plan(seen(a_job(), a_pod("a", going=True, tracked=False)), NOW)) == "+", "and cost no pause"


def test_counting_takes_three_steps():
    pod = a_pod("a", "Succeeded")
    first = plan(seen(a_job(completions=2, parallelism=1), pod), NOW)
    assert status_in(first)["uncountedTerminatedPods"] == {"succeeded": ["a"]} and "succeeded" not in status_in(first)
    second = plan(seen(a_job(completions=2, parallelism=1, status=status_in(first)), pod), NOW)
    assert summary(second) == "+ ~a"
    third = plan(seen(a_job(completions=2, parallelism=1, status=status_in(first)), a_pod("a", "Succeeded", tracked=False)), NOW)
    assert status_in(third)["succeeded"] == 1 and status_in(third)["uncountedTerminatedPods"] == {}


def test_an_index_that_was_tried_tells_its_successor():
    job = indexed(1, 1, backoffLimitPerIndex=3)
    decided = plan(seen(job, a_pod("a", "Failed", index=0, failures=1, ago=60.0)), NOW)
    (made,) = [action.obj for action in decided.actions if isinstance(action, Create)]
    assert made["metadata"]["annotations"] == {INDEX: "0", FAILURES: "2"}
    assert summary(decided) == "+#0", "the failed one is kept until its successor is there"


def test_what_a_numbered_pod_knows():
    (made, *_) = [action.obj for action in plan(seen(indexed()), NOW).actions if isinstance(action, Create)]
    assert made["metadata"]["generateName"] == "pi-0-" and made["spec"]["hostname"] == "pi-0"
    assert labels_of(made)[INDEX] == "0" and finalizers_of(made) == [FINALIZER]
    assert made["spec"]["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "valueFrom": {
        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}}]


def test_resumed_jobs_begin_again():
    stopped = a_job(status={"conditions": [{"type": "Suspended", "status": "True", "reason": "JobSuspended"}]})
    decided = plan(seen(stopped), NOW)
    assert summary(decided) == "+" and status_in(decided)["startTime"] == to_time(NOW)
    assert events_in(decided) == [("Normal", "Resumed", "Job resumed")]


@pytest.mark.parametrize("given, expected", [
    pytest.param(REACHED, [("Normal", "Completed", "Job completed")], id="complete"),
    pytest.param(FAILING, [("Warning", "BackoffLimitExceeded", "m")], id="failed"),
])
def test_the_end_is_told(given, expected):
    assert events_in(plan(seen(a_job(status={"conditions": [given]})), NOW)) == expected


@pytest.mark.parametrize("job, pods, expected", [
    pytest.param(a_job(activeDeadlineSeconds=200), [a_pod("a")], NOW + 100, id="the deadline"),
    pytest.param(a_job(), [a_pod("a", "Failed", ago=4.0)], NOW + 6, id="the end of the pause"),
    pytest.param(a_job(), [a_pod("a")], None, id="nothing to wait for"),
])
def test_when_it_looks_again(job, pods, expected):
    assert plan(seen(job, *pods), NOW).wake_at == expected


@pytest.mark.parametrize("ago, expected", [
    pytest.param(59, "waits", id="not yet"), pytest.param(60, "goes", id="now"),
])
def test_time_to_live(ago, expected):
    ended = {"type": "Failed", "status": "True", "lastTransitionTime": to_time(NOW - ago)}
    decided = ttl_after_finished.plan(a_job(ttlSecondsAfterFinished=60, status={"conditions": [ended]}), NOW)
    if expected == "waits":
        assert decided.wake_at == NOW + 1 and not decided.actions
    else:
        assert [action.propagation for action in decided.actions] == ["Foreground"]


def test_a_pod_without_its_job_is_let_go():
    (patch,) = job_orphans.plan(a_pod("a"), NOW).actions
    assert at(patch.patch, "metadata") == {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}
