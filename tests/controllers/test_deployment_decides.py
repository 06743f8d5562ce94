"""What a Deployment does, one row a decision."""
import pytest
from replica_set_cases import NOW, a_deployment, a_pod, a_template, progress, said, set_of, status_in, summary, told

from muster.api.objects import annotations_of, labels_of, name_of, to_time, with_, without_
from muster.control.plan import Create, Patch, SetStatus
from muster.controllers.deployment import Observed, plan
from muster.controllers.deployment_sets import DESIRED, HISTORY, LONGEST_HISTORY, MOST, REVISION, limits_of, new_set

TODAY = a_deployment()  # of web:2, three pods


def sets(deployment, *sizes):
    """`("web:1", 3), ("web:2", 1, 0, 1)`: image, size, how many are available and ready, numbered in that order."""
    return [set_of(deployment, *size, revision=number) for number, size in enumerate(sizes, 1)]


def decided(deployment, *sizes, pods=()):
    found = sets(deployment, *sizes)
    return plan(Observed(deployment, found, {name_of(one): one for one in found}, pods), NOW)


@pytest.mark.parametrize("rolling, replicas, most, least", [
    pytest.param({}, 3, 4, 3, id="a quarter of three: one more, none less"),
    pytest.param({}, 4, 5, 3, id="of four: one more, one less"),
    pytest.param({}, 10, 13, 8, id="of ten: three more, two less"),
    pytest.param({"maxSurge": 3, "maxUnavailable": 1}, 6, 9, 5, id="numbers"),
    pytest.param({"maxSurge": 0, "maxUnavailable": 0}, 3, 3, 2, id="neither: one less, or it would never move"),
    pytest.param({"maxSurge": 0, "maxUnavailable": "10%"}, 3, 3, 2, id="a share that rounds to nothing"),
    pytest.param({"maxUnavailable": 9}, 3, 4, 0, id="no more down than there are"),
    pytest.param({}, 0, 0, 0, id="none"),
])
def test_limits(rolling, replicas, most, least):
    limits = limits_of(a_deployment(replicas=replicas, rolling=rolling))
    assert (limits.most, limits.least_available) == (most, least)


@pytest.mark.parametrize("given, sizes, does", [
    pytest.param({}, [], "+web:2=3", id="the first set has full size"),
    pytest.param({}, [("web:1", 3)], "+web:2=1", id="the next one what the surge allows"),
    pytest.param({}, [("web:1", 3), ("web:2", 1, 0)], "", id="waits for the new pod"),
    pytest.param({}, [("web:1", 3), ("web:2", 1)], "web-1=2", id="an old one goes for it"),
    pytest.param({}, [("web:1", 2), ("web:2", 1)], "web-2=2", id="the next new one"),
    pytest.param({}, [("web:1", 1), ("web:2", 3)], "web-1=0", id="the last old one"),
    pytest.param({}, [("web:1", 0), ("web:2", 3)], "", id="done"),
    pytest.param({}, [("web:1", 3, 1)], "+web:2=1", id="grows first, though old pods are down"),
    pytest.param({}, [("web:1", 3, 1), ("web:2", 1, 0)], "", id="none to spare while the new one starts"),
    pytest.param({}, [("web:1", 3, 1), ("web:2", 1, 1)], "web-1=2", id="what is down goes first"),
    pytest.param({"rolling": {"maxUnavailable": 2, "maxSurge": 0}}, [("web:1", 3), ("web:2", 0)], "web-1=1",
                 id="without surge the old ones go first"),
    pytest.param({"rolling": {"maxUnavailable": 2, "maxSurge": 0}}, [("web:1", 1, 3), ("web:2", 0)], "web-2=2",
                 id="a set that was just made smaller has none to spare"),
    pytest.param({"image": "web:3"}, [("web:1", 2), ("web:2", 2, 1)], "+web:3=0", id="rollover: no room yet"),
    pytest.param({"image": "web:3"}, [("web:1", 2), ("web:2", 2, 1), ("web:3", 0)], "web-2=1",
                 id="rollover: the newer old set loses what is down"),
    pytest.param({"image": "web:3"}, [("web:1", 2), ("web:2", 1, 1), ("web:3", 1)], "web-1=1",
                 id="rollover: then the oldest set goes first"),
    # minReadySeconds: ready, and not available yet
    pytest.param({}, [("web:1", 3, 2, 3), ("web:2", 1, 1)], "",
                 id="nobody can be told to end just the pod that is not available yet"),
    pytest.param({}, [("web:1", 3, 1, 2), ("web:2", 1, 1)], "web-1=2", id="but the one that is not ready goes"),
    pytest.param({}, [("web:1", 3, 0, 3), ("web:2", 1, 1)], "web-1=2", id="and any where none is available"),
    pytest.param({"rolling": {"maxUnavailable": "50%", "maxSurge": 2}, "replicas": 6},
                 [("web:1", 6, 5, 6), ("web:2", 2, 0)], "web-1=4", id="no more than can be spared if all were available"),
    pytest.param({"image": "web:3"}, [("web:1", 3, 2, 3), ("web:2", 1, 0), ("web:3", 0)], "web-2=0",
                 id="rollover: the set that has none available goes before one that has some"),
    pytest.param({"rolling": {"maxUnavailable": 2, "maxSurge": 0}}, [("web:1", 2, 2, 3), ("web:2", 1)], "web-1=1",
                 id="those that a set is still to end may be those that are available"),
    pytest.param({"image": "web:1"}, [("web:1", 0), ("web:2", 3)], "web-1=1", id="undo: the old set is used again"),
    pytest.param({"replicas": 0}, [], "+web:2=0", id="none wanted"),
    # Recreate
    pytest.param({"recreate": True}, [], "+web:2=3", id="recreate: the first"),
    pytest.param({"recreate": True}, [("web:1", 3)], "web-1=0", id="recreate: the old ones go at once"),
    pytest.param({"recreate": True}, [("web:1", 0, 0)], "+web:2=3", id="recreate: then the new ones come"),
    pytest.param({"recreate": True}, [("web:1", 0), ("web:2", 0)], "web-2=3", id="recreate: back to an old template"),
    # paused
    pytest.param({"paused": True}, [("web:1", 3)], "", id="paused: nothing new"),
    pytest.param({"paused": True}, [], "", id="paused from the start: no set"),
    pytest.param({"paused": True}, [("web:1", 3), ("web:2", 1)], "", id="paused half-way"),
])
def test_steps(given, sizes, does):
    assert summary(decided(a_deployment(**given), *sizes)) == does


@pytest.mark.parametrize("pod, waits", [
    pytest.param({"phase": "Running"}, True, id="running"),
    pytest.param({"phase": "Running", "going": True}, True, id="ending"),
    pytest.param({"phase": "Succeeded", "going": True}, False, id="ended"),
    pytest.param({"phase": "Failed"}, False, id="failed"),
])
def test_recreate_waits_for_the_last_pod(pod, waits):
    deployment = a_deployment(recreate=True)
    (old,) = sets(deployment, ("web:1", 0))
    pods = [a_pod("a", old, **pod)]
    assert summary(decided(deployment, ("web:1", 0), pods=pods)) == ("" if waits else "+web:2=3")


@pytest.mark.parametrize("replicas, before, sizes, does", [
    pytest.param(5, 3, [("web:2", 3)], "web-2=5", id="one set takes it all"),
    pytest.param(5, 3, [("web:1", 3)], "web-1=5", id="also an old one"),
    pytest.param(15, 10, [("web:1", 8), ("web:2", 5, 0)], "web-1=11 web-2=7", id="the page of the documentation, up"),
    pytest.param(5, 10, [("web:1", 8), ("web:2", 5, 0)], "web-1=5 web-2=3", id="down"),
    pytest.param(11, 10, [("web:1", 5), ("web:3", 4), ("web:2", 4, 0)], "web-1=6 web-2* web-3*",
                 id="what rounding leaves goes to the largest"),
    pytest.param(0, 10, [("web:1", 8), ("web:2", 5)], "web-1=0 web-2=0", id="to nothing"),
    pytest.param(5, 5, [("web:1", 2), ("web:2", 5)], "web-1=0", id="the new set has all: the old ones go"),
])
def test_scaled_in_the_middle_of_a_rollout(replicas, before, sizes, does):
    rolling = {"maxSurge": 3, "maxUnavailable": 2} if before == 10 else {}
    found = sets(a_deployment(replicas=before, rolling=rolling), *sizes)
    plan_ = plan(Observed(a_deployment(replicas=replicas, rolling=rolling), found), NOW)
    assert summary(plan_) == does


def test_paused_and_scaled():
    found = sets(TODAY, ("web:1", 3), ("web:2", 1))
    plan_ = plan(Observed(a_deployment(replicas=6, paused=True), found), NOW)
    assert summary(plan_) == "web-1=6 web-2=2"
    patches = {action.key.name: action.patch for action in plan_.actions if isinstance(action, Patch)}
    assert patches["web-1"]["metadata"]["annotations"] == {DESIRED: "6", MOST: "8"}


def test_events_say_from_where_to_where():
    assert told(decided(TODAY))[0].endswith(" from 0 to 3")
    assert told(decided(TODAY, ("web:1", 3), ("web:2", 1))) == ["Scaled down replica set web-1 from 3 to 2"]
    assert told(decided(TODAY, ("web:1", 2), ("web:2", 1))) == ["Scaled up replica set web-2 from 1 to 2"]


# ------------------------------------------------------------------ the sets, and what is written on them


def test_a_new_set_carries_the_hash_everywhere():
    deployment = a_deployment(annotations={"kubernetes.io/change-cause": "why not", REVISION: "7",
                                           "kubectl.kubernetes.io/last-applied-configuration": "{}"}, minReadySeconds=5)
    made = new_set(deployment, 4, 3)
    hash_ = labels_of(made)["pod-template-hash"]
    assert name_of(made) == f"web-{hash_}" and not set(hash_) & set("aeiou013")
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": hash_}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": hash_}
    assert annotations_of(made) == {"kubernetes.io/change-cause": "why not", REVISION: "4", DESIRED: "3", MOST: "4"}
    assert made["spec"]["minReadySeconds"] == 5
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-deploy"


def test_the_hash_differs_by_template_and_collisions():
    names = {name_of(new_set(one, 1, 1)) for one in (
        a_deployment("web:1"), a_deployment("web:2"), a_deployment("web:2", status={"collisionCount": 1}))}
    assert len(names) == 3


def test_a_collision_is_counted_and_hashed_again():
    stranger = {**new_set(TODAY, 1, 0), "spec": {"template": a_template("other:1")}}
    stranger = without_(stranger, "metadata.ownerReferences")
    plan_ = plan(Observed(TODAY, [], {name_of(stranger): stranger}), NOW)
    assert summary(plan_) == "" and status_in(plan_)["collisionCount"] == 1
    after = a_deployment(status=status_in(plan_))
    assert summary(plan(Observed(after, [], {name_of(stranger): stranger}), NOW)) == "+web:2=3"


def patch_of(plan_, name):
    return next(action.patch for action in plan_.actions if isinstance(action, Patch) and action.key.name == name)


def test_going_back_gives_the_old_set_the_next_number():
    deployment = a_deployment("web:1")
    plan_ = decided(deployment, ("web:1", 0), ("web:2", 3))
    assert patch_of(plan_, "web-1") == {"metadata": {"annotations": {REVISION: "3", HISTORY: "1"}},
                                        "spec": {"replicas": 1}}
    assert patch_of(plan_, "web") == {"metadata": {"annotations": {REVISION: "3"}}}


def test_former_numbers_are_kept_as_long_as_they_fit():
    long = ",".join(str(number) for number in range(100, 600))
    deployment = a_deployment("web:1")
    old = with_(set_of(deployment, "web:1", 0, revision=600), ("metadata", "annotations", HISTORY), long)
    plan_ = plan(Observed(deployment, [old, set_of(deployment, "web:2", 3, revision=601)]), NOW)
    history = patch_of(plan_, "web-1")["metadata"]["annotations"][HISTORY]
    assert len(history) <= LONGEST_HISTORY and history.endswith(",600") and not history.startswith("100,")


def test_the_change_cause_and_the_patience_go_on_to_the_set():
    deployment = a_deployment(annotations={"kubernetes.io/change-cause": "why not", REVISION: "1"}, minReadySeconds=9)
    found = [set_of(TODAY, "web:2", 3)]
    assert patch_of(plan(Observed(deployment, found), NOW), "web-2") == {
        "metadata": {"annotations": {"kubernetes.io/change-cause": "why not"}}, "spec": {"minReadySeconds": 9}}


@pytest.mark.parametrize("limit, does", [(10, ""), (2, "-web-1"), (0, "-web-1 -web-4 -web-5"), (2**31 - 1, "")])
def test_the_history_is_limited(limit, does):
    """Done: the lowest numbers go, but not what still has pods."""
    status = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "observedGeneration": 1}
    deployment = a_deployment(revisionHistoryLimit=limit, status=status)
    found = [set_of(deployment, "web:1", 0), set_of(deployment, "web:3", 0, revision=2, pods=1),
             set_of(deployment, "web:4", 0, revision=3), set_of(deployment, "web:5", 0, revision=4),
             set_of(deployment, "web:2", 3, revision=5)]
    assert summary(plan(Observed(deployment, found), NOW)) == does


def test_the_history_waits_for_the_end_of_the_rollout():
    deployment = a_deployment(revisionHistoryLimit=0)
    assert summary(decided(deployment, ("web:1", 0), ("web:2", 3))) == ""


def test_adopts_and_releases_before_anything_else():
    mine, orphan = sets(TODAY, ("web:1", 3), ("web:2", 3))
    orphan = without_(orphan, "metadata.ownerReferences")
    released = with_(mine, ("metadata", "labels", "app"), "other")
    assert summary(plan(Observed(TODAY, [released, orphan]), NOW)) == "adopt:web-2 release:web-1"


def test_selecting_everything_is_told():
    assert summary(plan(Observed(with_(TODAY, "spec.selector", {}), []), NOW)) == "!SelectingAll"


# ------------------------------------------------------------------ the status


def status_after(before, *sizes, now=NOW, **given):
    deployment = a_deployment(status=before, **given)
    found = sets(deployment, *sizes)
    plan_ = plan(Observed(deployment, found, {name_of(one): one for one in found}), now)
    return status_in(plan_) or before


def test_numbers():
    found = status_after({}, ("web:1", 2), ("web:2", 2, 1))
    assert {field: found[field] for field in found if field != "conditions"} == {
        "observedGeneration": 1, "replicas": 4, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3,
        "unavailableReplicas": 1}


STUCK = {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 1}
DONE = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 1}


@pytest.mark.parametrize("before, sizes, given, expected", [
    pytest.param({}, [], {}, "True NewReplicaSetCreated", id="a new set"),
    pytest.param({}, [("web:2", 3, 0)], {}, "True ReplicaSetUpdated", id="its first pods"),
    pytest.param({**STUCK, "conditions": [progress()]}, [("web:1", 3), ("web:2", 1, 1)], {}, "True ReplicaSetUpdated",
                 id="one more is ready"),
    pytest.param({**STUCK, "conditions": [progress()]}, [("web:1", 3), ("web:2", 1, 0)], {}, "True ReplicaSetUpdated",
                 id="in time"),
    pytest.param({**STUCK, "conditions": [progress(since=NOW - 601)]}, [("web:1", 3), ("web:2", 1, 0)], {},
                 "False ProgressDeadlineExceeded", id="too late"),
    pytest.param({**STUCK, "conditions": [progress("ProgressDeadlineExceeded", "False", NOW - 999)]},
                 [("web:1", 3), ("web:2", 1, 1)], {}, "True ReplicaSetUpdated", id="it moves after all"),
    pytest.param({**STUCK, "conditions": [progress()]}, [("web:1", 0), ("web:2", 3)], {}, "True NewReplicaSetAvailable",
                 id="done"),
    pytest.param({**DONE, "conditions": [progress("NewReplicaSetAvailable", since=NOW - 9999)]}, [("web:2", 3, 1)], {},
                 "True NewReplicaSetAvailable", id="pods that fail later are no rollout"),
    pytest.param({}, [("web:1", 3)], {"paused": True}, "Unknown DeploymentPaused", id="paused"),
    pytest.param({"conditions": [progress("DeploymentPaused", "Unknown")]}, [("web:1", 3), ("web:2", 0)],
                 {"rolling": {"maxSurge": 0, "maxUnavailable": 1}}, "True ReplicaSetUpdated", id="resumed, and moving"),
    pytest.param({**STUCK, "conditions": [progress("DeploymentPaused", "Unknown")]}, [("web:1", 3), ("web:2", 1, 0)], {},
                 "Unknown DeploymentResumed", id="resumed"),
    pytest.param({**STUCK, "conditions": [progress("ProgressDeadlineExceeded", "False")]},
                 [("web:1", 3), ("web:2", 1, 0)], {"paused": True}, "False ProgressDeadlineExceeded",
                 id="a lack of progress is not hidden by a pause"),
    pytest.param({**STUCK, "conditions": [progress()]}, [("web:2", 3)], {"progressDeadlineSeconds": 2**31 - 1}, None,
                 id="nobody waits"),
    pytest.param(STUCK, [("web:1", 3), ("web:2", 1, 0)], {}, "True FoundNewReplicaSet", id="nobody waited until now"),
])
def test_progress(before, sizes, given, expected):
    assert said(status_after(before, *sizes, **given)) == expected


@pytest.mark.parametrize("available, expected", [(3, "True MinimumReplicasAvailable"), (2, "False MinimumReplicasUnavailable")])
def test_available(available, expected):
    assert said(status_after({}, ("web:2", 3, available)), "Available") == expected


def test_a_condition_keeps_its_time_while_it_holds():
    before = {**STUCK, "conditions": [progress(since=NOW - 50)]}
    (found,) = [one for one in status_after(before, ("web:1", 3), ("web:2", 1, 1))["conditions"]
                if one["type"] == "Progressing"]
    assert (found["lastTransitionTime"], found["lastUpdateTime"]) == (to_time(NOW - 50), to_time(NOW))


def test_looks_again_when_the_deadline_is_over():
    deployment = a_deployment(status={**STUCK, "conditions": [progress(since=NOW - 10)]})
    found = sets(deployment, ("web:1", 3), ("web:2", 1, 0))
    assert plan(Observed(deployment, found), NOW).wake_at == NOW - 10 + 600 + 1
    finished = a_deployment(status={**DONE, "conditions": [progress("NewReplicaSetAvailable")]})
    assert plan(Observed(finished, sets(finished, ("web:2", 3))), NOW).wake_at is None


def test_the_failure_of_a_set_is_the_deployments():
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no",
               "lastTransitionTime": to_time(NOW)}
    (found,) = sets(TODAY, ("web:2", 3, 0))
    failing = with_(found, "status.conditions", [failure])
    status = status_in(plan(Observed(TODAY, [failing]), NOW))
    assert said(status, "ReplicaFailure") == "True FailedCreate"
    after = status_in(plan(Observed({**TODAY, "status": status}, [found]), NOW))
    assert said(after, "ReplicaFailure") is None


def test_a_set_that_can_not_be_made_is_told():
    plan_ = plan(Observed(TODAY, []), NOW)
    (made,) = [action.obj for action in plan_.actions if isinstance(action, Create)]
    write, tell = plan_.otherwise("exceeded quota")
    assert isinstance(write, SetStatus) and said(write.status) == "False ReplicaSetCreateError"
    assert (tell.type, tell.reason, tell.message) == (
        "Warning", "ReplicaSetCreateError", f'Failed to create new replica set "{name_of(made)}": exceeded quota')


def test_a_second_look_at_what_was_done_changes_nothing():
    status = status_after({}, ("web:1", 0), ("web:2", 3))
    deployment = a_deployment(status=status, annotations={REVISION: "2"})
    found = sets(deployment, ("web:1", 0), ("web:2", 3))
    assert plan(Observed(deployment, found), NOW).actions == []
