"""What a StatefulSet does next: tables of decisions, then laws over random histories."""
import random

import pytest

from muster.api.kinds.stateful_set import defaults
from muster.api.objects import controller_reference, is_deleting, is_true, labels_of, name_of, to_time, uid_of
from muster.control.plan import Create, Delete, Patch, SetStatus
from muster.control.revisions import HASH_LABEL
from muster.controllers.stateful_set import Observed, plan
from muster.controllers.stateful_set_history import history, new_revision
from muster.controllers.stateful_set_order import UPSTREAM_STUCK_ROLLOUT, rules_of
from muster.controllers.stateful_set_pods import new_pod, ordinal_of, parent_and_ordinal, was_never_ready

NOW = 10_000.0
APP = {"app": "web"}


def a_set(image="B", *, current="A", rolling=None, annotations=None, status=None, **spec):
    template = {"metadata": {"labels": APP}, "spec": {"containers": [{"name": "main", "image": f"web:{image}"}]}}
    if rolling:
        spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    metadata = {"name": "web", "namespace": "shop", "uid": "set-1", "generation": 4, "annotations": annotations or {}}
    obj = defaults({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata,
                    "spec": {"replicas": 3, "serviceName": "nginx", "selector": {"matchLabels": APP},
                             "template": template, **spec}})
    if current:
        obj["status"] = {"replicas": 0, "currentRevision": revision_name(current), **(status or {})}
    return obj


def a_revision(image, number):
    revision = new_revision(a_set(image, current=""), number)
    return {**revision, "metadata": {**revision["metadata"], "uid": f"revision-{image}"}}


def revision_name(image):
    return name_of(new_revision(a_set(image, current=""), 1))


def a_pod(text):
    """`0A`: web-0 of A, ready.  `!` not ready (but it was), `?` never ready, `-` ending, `x` failed, `~` ready for 5 s."""
    ordinal, image, marks = int(text[0]), text[1], text[2:]
    owner = a_set(image)
    pod = new_pod(owner, owner["spec"]["template"], revision_name(image), ordinal)
    metadata = {**pod["metadata"], "uid": f"uid-{text}"}
    if "-" in marks:
        metadata["deletionTimestamp"] = to_time(NOW)
    since = NOW - 5 if "~" in marks else NOW - 500
    ready = "False" if set(marks) & set("!?x") else "True"
    running = {"state": {"running": {"startedAt": to_time(NOW - 1000 if "!" in marks else NOW - 400)}}}
    status = {"phase": "Failed" if "x" in marks else "Running", "containerStatuses": [running],
              "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": to_time(since)}]}
    return {**pod, "metadata": metadata, "status": status}


def seen(stateful_set, pods, revisions="AB", taken=()):
    recorded = [a_revision(image, number) for number, image in enumerate(revisions, 1)]
    found = [a_pod(text) for text in pods.split()]
    return Observed(stateful_set, found, recorded, {name_of(one): one for one in recorded},
                    {*map(name_of, found), *taken})


def summary(planned):
    said = []
    for action in planned.actions:
        match action:
            case Create(obj) if obj["kind"] == "Pod":
                said.append(f"+{name_of(obj)[-1]}{obj['spec']['containers'][0]['image'][-1]}")
            case Create(obj):
                said.append(f"+revision{obj['revision']}")
            case Delete(key) if key.resource == "pods":
                said.append(f"-{key.name[-1]}")
            case Delete(_, uid):
                said.append(f"-{uid}")
            case Patch(_, uid, patch):
                said.append(f"{uid}:{patch['revision']}" if "revision" in patch else f"patch:{uid}")
    return " ".join(said)


def status_in(planned):
    return next((action.status for action in planned.actions if isinstance(action, SetStatus)), None)


PARALLEL = {"podManagementPolicy": "Parallel"}


@pytest.mark.parametrize("spec, pods, does", [
    pytest.param({}, "", "+0B", id="the first pod first"),
    pytest.param({}, "0B!", "", id="none before the first is ready"),
    pytest.param({}, "0B", "+1B", id="then the second"),
    pytest.param({}, "0B 2B", "+1B", id="a gap is filled"),
    pytest.param({}, "0B- 1B", "", id="waits for one that is ending"),
    pytest.param({}, "0Bx", "-0", id="a failed pod is ended"),
    pytest.param({}, "0Bx-", "", id="a failed pod that is ending is awaited"),
    pytest.param({}, "0B 1Bx 2B", "-1", id="a failed pod in the middle"),
    pytest.param({"minReadySeconds": 10}, "0B~", "", id="ready is not yet available"),
    pytest.param({"minReadySeconds": 10}, "0B", "+1B", id="available"),
    pytest.param({"ordinals": {"start": 5}}, "", "+5B", id="begins where it is told"),
    pytest.param({"ordinals": {"start": 1}}, "0B 1B 2B 3B", "-0", id="a later start condemns the lower ones"),
    pytest.param(PARALLEL, "", "+0B +1B +2B", id="parallel: all at once"),
    pytest.param(PARALLEL, "0B! 2Bx", "-2 +1B", id="parallel: waits for nobody"),
])
def test_starts(spec, pods, does):
    assert summary(plan(seen(a_set(current="B", **spec), pods, "B"), NOW)) == does


@pytest.mark.parametrize("spec, pods, does", [
    pytest.param({}, "0B 1B 2B", "-2", id="the highest first"),
    pytest.param({}, "0B 1B 2B-", "", id="the next one once the former is gone"),
    pytest.param({}, "0B 1B", "-1", id="then the next"),
    pytest.param({}, "0B! 1B 2B", "", id="none while a lower one is not ready"),
    pytest.param({}, "0B 1B! 2B", "-2", id="the highest while a lower condemned one is not ready"),
    pytest.param({}, "0B 1B! 2B!", "", id="an unready one waits for a lower unready one"),
    pytest.param({}, "0B 1Bx 2Bx", "-2", id="a failed one waits for nobody"),
    pytest.param({}, "0B 1B 2B!", "-2", id="the only unready one goes"),
    pytest.param(PARALLEL, "0B! 1B 2B", "-1 -2", id="parallel: all at once"),
])
def test_stops(spec, pods, does):
    stopped = plan(seen(a_set(current="B", replicas=1, **spec), pods, "B"), NOW)
    assert " ".join(sorted(summary(stopped).split())) == does


ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize("spec, pods, does", [
    pytest.param({}, "0A 1A 2A", "-2", id="the highest first"),
    pytest.param({}, "0A 1A 2A-", "", id="waits for it to end"),
    pytest.param({}, "0A 1A", "+2B", id="its successor is of the new template"),
    pytest.param({}, "0A 1A 2B!", "", id="waits for the successor"),
    pytest.param({}, "0A 1A 2B", "-1", id="then the next"),
    pytest.param({}, "0A 1B 2B", "-0", id="then the last"),
    pytest.param({}, "0B 1B 2B", "", id="done"),
    pytest.param({"minReadySeconds": 10}, "0A 1A 2B~", "", id="waits until the successor is available"),
    pytest.param({"rolling": {"partition": 2}}, "0A 1A 2B", "", id="none below the partition"),
    pytest.param({"rolling": {"partition": 2}}, "0A 2B", "+1A", id="below the partition the old template"),
    pytest.param({"rolling": {"partition": 7}}, "0A 1A 2A", "", id="a partition above all"),
    pytest.param({"rolling": {"partition": 1}, "ordinals": {"start": 1}}, "1A 2A 3B", "-2", id="partition counts places"),
    pytest.param({"rolling": {"maxUnavailable": 2}}, "0A 1A 2A", "-2 -1", id="two at a time"),
    pytest.param({"rolling": {"maxUnavailable": "67%"}}, "0A 1A 2A", "-2 -1", id="a share, rounded down"),
    pytest.param({"rolling": {"maxUnavailable": "1%"}}, "0A 1A 2A", "-2", id="at least one"),
    pytest.param({"rolling": {"maxUnavailable": 2}, **PARALLEL}, "0A 1A 2A-", "-1", id="what is down counts"),
    pytest.param({"rolling": {"maxUnavailable": 1}, **PARALLEL}, "0A 1A 2A!", "-2", id="what is down is free"),
    pytest.param({"rolling": {"maxUnavailable": 1}, **PARALLEL}, "0A! 1A 2A", "", id="but the order is kept"),
    pytest.param(PARALLEL, "0A 1A 2B!", "", id="parallel rolls in order too"),
    pytest.param(PARALLEL, "0A 1A 2A!", "-2", id="parallel does not wait for old ones"),
    pytest.param(ON_DELETE, "0A 1A 2A", "", id="on delete: leaves them alone"),
    pytest.param(ON_DELETE, "0A 1A", "+2B", id="on delete: the successor is new"),
])
def test_rolls(spec, pods, does):
    assert summary(plan(seen(a_set(**spec), pods), NOW)) == does


def both_ways(image, current, pods):
    """What is done, and what a set does that wants upstream's way."""
    recorded = "BA" if image == "A" else "AB" + image.replace("B", "")
    return tuple(summary(plan(seen(a_set(image, current=current, **how), pods, recorded), NOW))
                 for how in ({}, {"annotations": {UPSTREAM_STUCK_ROLLOUT: "true"}}))


@pytest.mark.parametrize("image, current, pods, ours, upstreams", [
    pytest.param("A", "A", "0A 1A 2B?", "-2", "", id="rolled back from a broken template"),
    pytest.param("A", "A", "0A 1A 2B!", "-2", "", id="also where it was ready for a moment"),
    pytest.param("C", "A", "0A 1A 2B?", "-2", "", id="the broken template is mended"),
    pytest.param("C", "A", "0A 1A 2C?", "", "", id="the one that is wanted gets its time"),
    pytest.param("B", "A", "0A? 1A", "-0", "", id="the very first template was broken"),
    pytest.param("B", "A", "0A! 1A 2A", "", "", id="a pod that was ready may get ready again"),
    pytest.param("A", "A", "0A 1A 2B?-", "", "", id="once is enough"),
])
def test_a_stuck_rollout_can_be_left(image, current, pods, ours, upstreams):
    assert both_ways(image, current, pods) == (ours, upstreams)


@pytest.mark.parametrize("image, current, pods, ours, upstreams", [
    pytest.param("C", "A", "0A 1A 2A 3B? 4B?", "-4", "", id="the broken template is mended"),
    pytest.param("C", "A", "0A 1A 2A 3B! 4B!", "-4", "", id="also where they were ready for a moment"),
    pytest.param("A", "A", "0A 1A 2A 3B? 4B?", "-4", "", id="rolled back"),
    pytest.param("B", "A", "0A 1A 2A 3B? 4B?", "", "", id="the template is still the broken one"),
    pytest.param("C", "A", "0A 1A 2A 3A! 4A!", "", "", id="pods that were ready may get ready again"),
    pytest.param("C", "A", "0A 1A 2A 3B? 4B?-", "", "", id="one at a time"),
    pytest.param("C", "A", "0A 1A 2A 3B? 4A", "-4", "-4", id="in their order"),
    pytest.param("C", "A", "0A 1A 2A! 3B? 4B?", "", "", id="not before those that stay are ready"),
])
def test_stuck_pods_do_not_keep_a_set_from_shrinking(image, current, pods, ours, upstreams):
    assert both_ways(image, current, pods) == (ours, upstreams)


def test_a_pod_and_who_it_is():
    (made,) = [one.obj for one in plan(seen(a_set(), "0B 1B"), NOW).actions if isinstance(one, Create)]
    assert made["metadata"] == {
        "name": "web-2", "namespace": "shop", "ownerReferences": [controller_reference(a_set())],
        "labels": {"app": "web", "statefulset.kubernetes.io/pod-name": "web-2",
                   "apps.kubernetes.io/pod-index": "2", HASH_LABEL: revision_name("B")}}
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("web-2", "nginx")


def test_a_name_that_is_taken_is_awaited():
    assert summary(plan(seen(a_set(), "0B", taken=["web-1"]), NOW)) == ""


def test_an_adopted_pod_gets_its_labels():
    pod = a_pod("0B")
    bare = {**pod, "metadata": {**pod["metadata"], "labels": {**APP, HASH_LABEL: revision_name("B")}}}
    (patch,) = [one for one in plan(Observed(a_set(replicas=1), [bare], [a_revision("B", 1)]), NOW).actions
                if isinstance(one, Patch)]
    assert patch.patch == {"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": "web-0",
                                                   "apps.kubernetes.io/pod-index": "0"}}}


@pytest.mark.parametrize("image, current, recorded, does", [
    pytest.param("A", "", "", "+revision1 +0A", id="the first"),
    pytest.param("C", "A", "AB", "+revision3 +0C", id="another"),
    pytest.param("A", "B", "AB", "revision-A:3 +0A", id="an old one again is no new revision"),
    pytest.param("B", "A", "AB", "+0B", id="nothing new"),
])
def test_history(image, current, recorded, does):
    assert summary(plan(seen(a_set(image, current=current), "", recorded), NOW)) == does


def test_the_oldest_unused_revisions_go():
    stateful_set = a_set("E", current="D", revisionHistoryLimit=1)
    assert summary(plan(seen(stateful_set, "0D 1D 2B-", "ABCDE"), NOW)) == "-revision-A"


def test_a_collision_is_counted():
    other = {**a_revision("A", 1), "metadata": {"name": revision_name("B"), "namespace": "shop"}}
    found = Observed(a_set(), [], [], {revision_name("B"): other})
    assert status_in(plan(found, NOW))["collisionCount"] == 1


@pytest.mark.parametrize("image, pods, numbers", [
    pytest.param("B", "0A 1A 2B", (3, 3, 3, 2, 1, "A", "B"), id="midway"),
    pytest.param("B", "0A 1A 2B!", (3, 2, 2, 2, 1, "A", "B"), id="one is not ready"),
    pytest.param("B", "0A 1A 2A-", (3, 3, 3, 2, 0, "A", "B"), id="one is ending"),
    pytest.param("B", "0B 1B 2B", (3, 3, 3, 3, 3, "B", "B"), id="done: the new one is the current one"),
    pytest.param("B", "0B 1B~ 2B", (3, 3, 2, 3, 3, "B", "B"), id="one is not available yet"),
])
def test_status(image, pods, numbers):
    status = status_in(plan(seen(a_set(image, minReadySeconds=10), pods), NOW))
    names = {revision_name(one): one for one in "AB"}
    assert numbers == (status["replicas"], status.get("readyReplicas", 0), status["availableReplicas"],
                       status.get("currentReplicas", 0), status.get("updatedReplicas", 0),
                       names[status["currentRevision"]], names[status["updateRevision"]])
    assert (status["observedGeneration"], status["collisionCount"]) == (4, 0)


def test_wakes_when_the_next_pod_is_available():
    assert plan(seen(a_set(minReadySeconds=10), "0B 1B~"), NOW).wake_at == NOW + 5


@pytest.mark.parametrize("name, found", [
    ("web-0", ("web", 0)), ("my-web-12", ("my-web", 12)), ("web", None), ("web-01", None), ("web-x", None)])
def test_names(name, found):
    assert parent_and_ordinal(name) == found


@pytest.mark.parametrize("text, never", [("0A", False), ("0A!", False), ("0A?", True)])
def test_never_ready(text, never):
    assert was_never_ready(a_pod(text)) is never


# ------------------------------------------------------------------ laws

class World:
    """Carries plans out, one step after another, as server and nodes would; chance decides who gets on."""

    def __init__(self, seed, **spec):
        self.rng = random.Random(seed)
        self.now = NOW
        self.pods = {}
        self.revisions = {}
        self.ends = self.starts = 0
        self.obj = a_set("A", current="", **spec)

    def change(self):
        spec, rng = self.obj["spec"], self.rng
        if rng.random() < 0.5:
            self.obj = {**self.obj, "spec": {**spec, "replicas": rng.randrange(6)}}
        else:
            self.obj = {**self.obj, "spec": {**spec, "template": a_set(rng.choice("ABC"))["spec"]["template"]}}

    def look(self):
        found = Observed(self.obj, list(self.pods.values()), list(self.revisions.values()), self.revisions, self.pods)
        planned = plan(found, self.now)
        for action in planned.actions:
            match action:
                case Create(obj) if obj["kind"] == "Pod":
                    assert name_of(obj) not in self.pods, "never two pods of one ordinal"
                    metadata = {**obj["metadata"], "uid": f"uid-{self.rng.random()}"}
                    self.pods[name_of(obj)] = {**obj, "metadata": metadata, "status": {"phase": "Pending"}}
                case Create(obj):
                    assert name_of(obj) not in self.revisions
                    self.revisions[name_of(obj)] = {**obj, "metadata": {**obj["metadata"], "uid": name_of(obj)}}
                case Delete(key, uid) if key.resource == "pods":
                    pod = self.pods[key.name]
                    assert uid_of(pod) == uid and not is_deleting(pod)
                    self.pods[key.name] = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": to_time(self.now)}}
                case Delete(key):
                    del self.revisions[key.name]
                case Patch(key, _, patch):
                    self.revisions[key.name] = {**self.revisions[key.name], **patch}
                case SetStatus(_, _, status):
                    self.obj = {**self.obj, "status": status}
        return planned

    def live(self, fails=True):
        """One pod gets on: to its end, to ready, or sometimes to failure."""
        self.now += 1
        if not self.pods:
            return
        name = self.rng.choice(sorted(self.pods))
        pod = self.pods[name]
        if is_deleting(pod):
            del self.pods[name]
        elif fails and self.rng.random() < 0.1:
            self.pods[name] = {**pod, "status": {"phase": "Failed"}}
        elif pod["status"]["phase"] == "Pending":
            self.pods[name] = {**pod, "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": to_time(self.now)}]}}

    def wanted(self):
        return [f"web-{n}" for n in range(self.obj["spec"]["replicas"])]


def ready(pod):
    return pod is not None and is_true(pod, "Ready") and not is_deleting(pod)


@pytest.mark.parametrize("seed", range(60))
def test_ordered_in_any_history(seed):
    world = World(seed)
    for _ in range(120):
        if world.rng.random() < 0.1:
            world.change()
        before = dict(world.pods)
        planned = world.look()
        made = [one.obj for one in planned.actions if isinstance(one, Create) and one.obj["kind"] == "Pod"]
        ended = [one.key.name for one in planned.actions if isinstance(one, Delete) and one.key.resource == "pods"]
        assert len(made) + len(ended) <= 1, "one after the other"
        for pod in made:
            assert all(ready(before.get(name)) for name in world.wanted()[:ordinal_of(pod)])
        for name in ended:
            if name not in world.wanted():
                assert name == max(set(before) - set(world.wanted())), "the highest first, alone"
                assert all(ready(before.get(one)) for one in world.wanted())
        world.live()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("spec", [{}, PARALLEL, {"rolling": {"maxUnavailable": 2}}], ids=["ordered", "parallel", "two"])
def test_any_history_ends_where_it_should(seed, spec):
    world = World(seed, **spec)
    for _ in range(60):
        if world.rng.random() < 0.2:
            world.change()
        world.look()
        world.live()
    for _ in range(400):
        world.look()
        world.live(fails=False)
    assert sorted(world.pods) == sorted(world.wanted())
    name = history(world.obj, world.revisions.values(), world.revisions).update
    assert {labels_of(pod)[HASH_LABEL] for pod in world.pods.values()} <= {name}
    assert world.obj["status"]["currentRevision"] == world.obj["status"]["updateRevision"] == name
    assert not [one for one in world.look().actions if not isinstance(one, SetStatus)]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("several, policy", [(None, "OrderedReady"), (None, "Parallel"), (2, "OrderedReady"), (2, "Parallel")])
def test_a_rollout_goes_down_from_the_highest_and_not_below_the_partition(seed, several, policy):
    """From a settled set to another template: each pod that is ended is the next in line, and those above are well."""
    partition = random.Random(seed).randrange(6)
    rolling = {"partition": partition, **({"maxUnavailable": several} if several else {})}
    world = World(seed, replicas=5, rolling=rolling, podManagementPolicy=policy)
    settle(world)
    world.obj = {**world.obj, "spec": {**world.obj["spec"], "template": a_set("B")["spec"]["template"]}}
    old = {name: labels_of(pod)[HASH_LABEL] for name, pod in world.pods.items()}
    for _ in range(80):
        before = dict(world.pods)
        planned = world.look()
        for name in [one.key.name for one in planned.actions if isinstance(one, Delete) and one.key.resource == "pods"]:
            above = [before.get(one) for one in world.wanted() if one > name]
            behind = [pod for pod in above if not (ready(pod) and labels_of(pod)[HASH_LABEL] != old[name_of(pod)])]
            assert name >= f"web-{partition}", "not below the partition"
            assert len(behind) < (several or 1), "the ones above are new and ready"
        assert sum(not ready(world.pods.get(name)) for name in world.wanted()) <= (several or 1)
        world.live(fails=False)
    settle(world)
    assert [name for name in world.wanted() if labels_of(world.pods[name])[HASH_LABEL] != old[name]] == world.wanted()[partition:]


def settle(world):
    for _ in range(100):
        world.look()
        world.live(fails=False)


def test_rules_are_read_from_the_set():
    rules = rules_of(a_set(rolling={"partition": 1, "maxUnavailable": "50%"}, ordinals={"start": 2}, minReadySeconds=3,
                           replicas=5, annotations={UPSTREAM_STUCK_ROLLOUT: "true"}))
    assert (rules.replicas, rules.start, rules.partition, rules.max_unavailable) == (5, 2, 1, 2)
    assert rules.is_ordered and rules.is_rolling and rules.stuck_stay and rules.min_ready_s == 3
