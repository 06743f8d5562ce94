"""What a node does with a pod: tables of lives, and laws that hold for any of them."""
from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.api.objects import Obj, at, condition, is_true, to_time, with_
from muster.node.behaviour import INSTANT, Behaviour, from_pool
from muster.node.durations import AT_ONCE, Range
from muster.node.life import Life, begin, resume
from muster.node.means import Drawn
from muster.node.plan import plan
from muster.node.turn import Host

NOON = 1_767_225_600.0
SEVEN = replace(INSTANT, task=Range(7, 7))
STEADY = Behaviour(pull=Range(2, 2), start=Range(1, 1), stop=Range(1, 1))


def pod_of(*containers: Obj, init: list[Obj] | None = None, annotations: Obj | None = None, **spec: object) -> Obj:
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "annotations": annotations or {}},
        "spec": {"nodeName": "n1", "containers": list(containers) or [app()],
                 **({"initContainers": init} if init else {}), **spec},
        "status": {"phase": "Pending", "qosClass": "BestEffort",
                   "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": to_time(NOON)}]},
    }


def of_a_job(pod: Obj) -> Obj:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "sum", "uid": "j1", "controller": True}
    return with_(with_(pod, "metadata.ownerReferences", [owner]), "spec.restartPolicy", "Never")


def app(name: str = "app", image: str = "nginx:1.27", **more: object) -> Obj:
    return {"name": name, "image": image, **more}


def runs(script: str, name: str = "app", **more: object) -> Obj:
    return app(name, "busybox", command=["sh", "-c", script], **more)


@dataclass
class Told:
    """A pod on a node, and the times that pass."""

    pod: Obj
    behaviour: Behaviour = STEADY
    seed: int = 0
    now: float = NOON
    life: Life | None = None
    images: dict[str, float] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # "+2s 0/1 ContainerCreating"
    wake_at: float = NOON
    removed: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def look(self) -> None:
        if self.life is None:
            means = Drawn(self.behaviour, self.chance)
            self.life = (resume(self.pod, self.now, "10.132.0.2", means.course) if "startTime" in self.pod["status"]
                         else begin(self.pod, self.now, "10.132.0.2"))
        host = Host("n1", "10.128.0.2", self.images)
        found = plan(self.pod, self.life, host, self.now, Drawn(self.behaviour, self.chance))
        self.life, self.wake_at, self.removed = found.life, found.wake_at, self.removed or found.remove
        self.images.update(found.pulls)
        self.events += [f"{tell.type} {tell.reason} {tell.message}" for tell in found.tells]
        if found.status is not None and found.status != self.pod["status"]:
            self.pod = {**self.pod, "status": found.status}
            self.shown.append(f"+{self.now - NOON:g}s {text_of(self.pod)}")

    def pass_time(self, seconds: float) -> Told:
        """Wakes where the plan asks for it, and nowhere else."""
        until = self.now + seconds
        self.look()
        for _ in range(2000):
            if self.wake_at > until or self.removed:
                break
            assert self.wake_at > self.now, "a wake lies ahead"
            self.now = self.wake_at
            self.look()
        self.now = until
        return self

    def delete(self, grace_s: int = 30) -> Told:
        self.pod = with_(with_(self.pod, "metadata.deletionTimestamp", to_time(self.now + grace_s)),
                         "metadata.deletionGracePeriodSeconds", grace_s)
        return self


def text_of(pod: Obj) -> str:
    status = pod["status"]
    told = status.get("containerStatuses", [])
    words = [next(iter(one["state"].values())).get("reason", "Running") for one in told]
    return f"{sum(one['ready'] for one in told)}/{len(told)} {status['phase']}: {' '.join(words)}"


LIVES = [
    pytest.param(pod_of(), STEADY, 60, [
        "+0s 0/1 Pending: ContainerCreating", "+3s 1/1 Running: Running"], id="a server"),
    pytest.param(pod_of(), INSTANT, 60, ["+0s 1/1 Running: Running"], id="without delays one status says it all"),
    pytest.param(pod_of(app(readinessProbe={"httpGet": {}, "initialDelaySeconds": 5})),
                 Behaviour(Range(2, 2), Range(1, 1), ready=AT_ONCE), 60, [
        "+0s 0/1 Pending: ContainerCreating", "+3s 0/1 Running: Running", "+8s 1/1 Running: Running"],
        id="a readiness probe takes its delay"),
    pytest.param(pod_of(app(startupProbe={"httpGet": {}, "initialDelaySeconds": 4}, readinessProbe={
        "httpGet": {}, "initialDelaySeconds": 2})), Behaviour(AT_ONCE, AT_ONCE, ready=AT_ONCE), 60, [
        "+0s 0/1 Running: Running", "+4s 1/1 Running: Running"], id="readiness waits for the startup probe"),
    pytest.param(pod_of(app(readinessProbe={"exec": {"command": ["false"]}})), STEADY, 600, [
        "+0s 0/1 Pending: ContainerCreating", "+3s 0/1 Running: Running"], id="a probe that fails is never ready"),
    pytest.param(pod_of(annotations={"muster.dev/ready": "10s"}), STEADY, 60, [
        "+0s 0/1 Pending: ContainerCreating", "+3s 0/1 Running: Running", "+13s 1/1 Running: Running"],
        id="a pod says how long it takes"),
    pytest.param(pod_of(app("a"), app("b")), STEADY, 60, [
        "+0s 0/2 Pending: ContainerCreating ContainerCreating", "+4s 2/2 Running: Running Running"],
        id="two of one image: pulled once, told once both run"),
    pytest.param(pod_of(init=[runs("sleep 5", "first"), runs("true", "second")]), STEADY, 60, [
        "+0s 0/1 Pending: PodInitializing", "+3s 0/1 Pending: PodInitializing", "+8s 0/1 Pending: PodInitializing",
        "+9s 0/1 Pending: PodInitializing", "+12s 1/1 Running: Running"], id="init containers one after the other"),
    pytest.param(pod_of(init=[runs("exit 1", "first")], restartPolicy="Never"), INSTANT, 60, [
        "+0s 0/1 Failed: PodInitializing"], id="a failed init container of a pod that is not restarted"),
    pytest.param(pod_of(runs("sleep 3; exit 0"), init=[app("mesh", restartPolicy="Always")], restartPolicy="Never"),
                 INSTANT, 60, ["+0s 1/1 Running: Running", "+3s 0/1 Succeeded: Completed"],
                 id="a sidecar does not keep a finished pod"),
    pytest.param(pod_of(runs("sleep 5"), restartPolicy="Never"), INSTANT, 60, [
        "+0s 1/1 Running: Running", "+5s 0/1 Succeeded: Completed"], id="a job that succeeds"),
    pytest.param(pod_of(runs("sleep 5; exit 4"), restartPolicy="Never"), INSTANT, 60, [
        "+0s 1/1 Running: Running", "+5s 0/1 Failed: Error"], id="a job that fails"),
    pytest.param(of_a_job(pod_of(app(command=["train", "--epochs=3"]))), SEVEN, 60, [
        "+0s 1/1 Running: Running", "+7s 0/1 Succeeded: Completed"], id="of a Job's command nothing is known"),
    pytest.param(of_a_job(pod_of(runs("echo begun; train; exit 3"))), SEVEN, 60, [
        "+0s 1/1 Running: Running", "+7s 0/1 Succeeded: Completed"], id="nor of a part of its script"),
    pytest.param(of_a_job(pod_of(runs("sleep infinity"))), SEVEN, 60, [
        "+0s 1/1 Running: Running"], id="a Job that is known never to end"),
    pytest.param(of_a_job(pod_of(annotations={"muster.dev/task": "never"})), SEVEN, 60, [
        "+0s 1/1 Running: Running"], id="a Job that is said never to end"),
    pytest.param(of_a_job(pod_of(annotations={"muster.dev/crash": "app,after=2s,times=1"})), SEVEN, 60, [
        "+0s 1/1 Running: Running", "+2s 0/1 Failed: Error"], id="a Job that is said to crash"),
    pytest.param(pod_of(restartPolicy="Never"), SEVEN, 60, [
        "+0s 1/1 Running: Running"], id="a pod of no Job is a server"),
    pytest.param(pod_of(init=[app("first", command=["migrate"]), app("mesh", restartPolicy="Always")]), SEVEN, 60, [
        "+0s 0/1 Pending: PodInitializing", "+7s 1/1 Running: Running"], id="an init container ends, a sidecar does not"),
    pytest.param(pod_of(runs("true"), restartPolicy="OnFailure"), INSTANT, 60, ["+0s 0/1 Succeeded: Completed"],
                 id="on failure only"),
    pytest.param(pod_of(annotations={"muster.dev/crash": "app=1,after=1s"}), STEADY, 40, [
        "+0s 0/1 Pending: ContainerCreating", "+3s 1/1 Running: Running", "+4s 0/1 Running: Error",
        "+6s 1/1 Running: Running", "+7s 0/1 Running: Error", "+8s 0/1 Running: CrashLoopBackOff",
        "+18s 1/1 Running: Running", "+19s 0/1 Running: Error", "+20s 0/1 Running: CrashLoopBackOff",
        "+40s 1/1 Running: Running"], id="a crash loop: at once, then 10 s, then 20 s"),
    pytest.param(pod_of(annotations={"muster.dev/crash": "app=1,after=1s,times=1"}), INSTANT, 600, [
        "+0s 1/1 Running: Running", "+1s 1/1 Running: Running"], id="crashes once"),
    pytest.param(pod_of(app(image="nginx:404")), from_pool({"pull": "1s", "start": "0s", "missingImages": ["*:404"]}),
                 24, ["+0s 0/1 Pending: ContainerCreating", "+1s 0/1 Pending: ErrImagePull",
                      "+3s 0/1 Pending: ImagePullBackOff", "+12s 0/1 Pending: ErrImagePull",
                      "+14s 0/1 Pending: ImagePullBackOff"], id="an image that nobody has"),
    pytest.param(pod_of(app(imagePullPolicy="Never")), STEADY, 60, ["+0s 0/1 Pending: ErrImageNeverPull"],
                 id="never pulled"),
    pytest.param(pod_of(app(image="Nginx")), STEADY, 60, ["+0s 0/1 Pending: InvalidImageName"], id="not a name"),
    pytest.param(pod_of(activeDeadlineSeconds=20), STEADY, 60, [
        "+0s 0/1 Pending: ContainerCreating", "+3s 1/1 Running: Running", "+20s 0/1 Failed: Error"],
        id="a deadline"),
    pytest.param(pod_of(app(livenessProbe={"exec": {"command": ["false"]}, "initialDelaySeconds": 5})), INSTANT, 26, [
        "+0s 1/1 Running: Running", "+25s 1/1 Running: Running"], id="a liveness probe restarts"),
]


@pytest.mark.parametrize(("pod", "behaviour", "seconds", "shown"), LIVES)
def test_a_life_as_it_is_shown(pod: Obj, behaviour: Behaviour, seconds: float, shown: list[str]) -> None:
    assert Told(pod, behaviour).pass_time(seconds).shown == shown


def test_the_words_of_a_start() -> None:
    told = Told(pod_of()).pass_time(10)
    assert told.events[0] == 'Normal Pulling Pulling image "nginx:1.27"'
    assert told.events[1].startswith('Normal Pulled Successfully pulled image "nginx:1.27" in 2s (2s including wait')
    assert told.events[2:] == ["Normal Created Created container: app", "Normal Started Started container app"]
    second = Told(pod_of(), images=told.images, now=told.now).pass_time(10)
    assert second.events[0] == 'Normal Pulled Container image "nginx:1.27" already present on machine'


def test_the_words_of_a_failed_pull() -> None:
    told = Told(pod_of(app(image="nginx:404")), from_pool({"pull": "0s", "missingImages": ["*:404"]})).pass_time(5)
    why = ('rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:404": failed to '
           'resolve reference "docker.io/library/nginx:404": docker.io/library/nginx:404: not found')
    assert told.events == [
        'Normal Pulling Pulling image "nginx:404"', f'Warning Failed Failed to pull image "nginx:404": {why}',
        "Warning Failed Error: ErrImagePull", 'Normal BackOff Back-off pulling image "nginx:404"',
        "Warning Failed Error: ImagePullBackOff"]
    assert at(told.pod, "status.containerStatuses")[0]["state"]["waiting"] == {
        "reason": "ImagePullBackOff", "message": f'Back-off pulling image "nginx:404": ErrImagePull: {why}'}


def test_the_words_of_a_crash_loop() -> None:
    told = Told(pod_of(annotations={"muster.dev/crash": "app"}), INSTANT).pass_time(5)
    (status,) = told.pod["status"]["containerStatuses"]
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 10s restarting failed container=app pod=web_shop(u1)"}
    assert status["lastState"]["terminated"]["reason"] == "Error" and status["restartCount"] == 1
    assert told.events[-1] == "Warning BackOff Back-off restarting failed container app in pod web_shop(u1)"


def test_back_offs_double_to_five_minutes_and_are_forgotten() -> None:
    told = Told(pod_of(annotations={"muster.dev/crash": "app=1,after=0s"}), INSTANT).pass_time(3000)
    starts = [float(line[1:].partition("s")[0]) for line in told.shown if "Back" in line]
    assert [later - earlier for earlier, later in zip(starts, starts[1:], strict=False)][:8] == [
        10, 20, 40, 80, 160, 300, 300, 300]
    rare = Told(pod_of(annotations={"muster.dev/crash": "app=1,after=11m"}), INSTANT).pass_time(6 * 660 + 1)
    assert at(rare.pod, "status.containerStatuses")[0]["restartCount"] == 6
    assert not any("Back" in line for line in rare.shown)


def test_conditions_say_why() -> None:
    told = Told(pod_of(app("a"), app("b", readinessProbe={"exec": {"command": ["false"]}}))).pass_time(30)
    ready = condition(told.pod, "Ready")
    assert ready is not None
    assert (ready["reason"], ready["message"]) == ("ContainersNotReady", "containers with unready status: [b]")
    assert [one["type"] for one in told.pod["status"]["conditions"]] == [
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]


def test_readiness_gates_and_the_conditions_of_others() -> None:
    told = Told(pod_of(readinessGates=[{"conditionType": "example.com/fit"}])).pass_time(30)
    ready = condition(told.pod, "Ready")
    assert ready is not None and ready["reason"] == "ReadinessGatesNotReady"
    told.pod = with_(told.pod, "status.conditions",
                     [*told.pod["status"]["conditions"], {"type": "example.com/fit", "status": "True"}])
    told.pass_time(1)
    assert is_true(told.pod, "Ready") and is_true(told.pod, "example.com/fit")


ENDINGS = [
    pytest.param(pod_of(), 10, 30, ["+11s 0/1 Succeeded: Completed", "+11.5s 0/1 Succeeded: Completed"], 0,
                 id="a server ends when asked"),
    pytest.param(pod_of(runs("sleep 1000")), 10, 30, ["+11s 0/1 Failed: Error", "+11.5s 0/1 Failed: Error"], 137,
                 id="a shell does not hear SIGTERM"),
    pytest.param(pod_of(), 1, 30, ["+1s 0/1 Failed: ContainerStatusUnknown"], 137, id="before it has started"),
    pytest.param(pod_of(annotations={"muster.dev/stop": "1m"}), 10, 5,
                 ["+15s 0/1 Failed: Error", "+17s 0/1 Failed: Error"], 137, id="no longer than its grace period"),
    pytest.param(pod_of(runs("true"), restartPolicy="Never"), 10, 30, [], 0, id="one that is over already"),
]


@pytest.mark.parametrize(("pod", "after", "grace_s", "shown", "exit_code"), ENDINGS)
def test_how_a_deleted_pod_ends(pod: Obj, after: float, grace_s: int, shown: list[str], exit_code: int) -> None:
    told = Told(pod).pass_time(after)
    before = len(told.shown)
    told.delete(grace_s).pass_time(120)
    assert told.removed
    assert told.shown[before:] == shown
    (status,) = told.pod["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == exit_code


def test_a_changed_image_restarts_its_container() -> None:
    told = Told(pod_of(), INSTANT).pass_time(5)
    told.pod = with_(told.pod, "spec.containers", [app(image="nginx:1.28")])
    told.pass_time(5)
    (status,) = told.pod["status"]["containerStatuses"]
    assert (status["image"], status["restartCount"]) == ("docker.io/library/nginx:1.28", 1)
    assert "Normal Killing Container app definition changed, will be restarted" in told.events


def test_a_life_is_taken_up_where_it_stood() -> None:
    for pod in (pod_of(), pod_of(init=[runs("true", "first")]), pod_of(runs("exit 3"), restartPolicy="Never")):
        told = Told(pod, INSTANT).pass_time(30)
        again = Told(told.pod, INSTANT, now=told.now).pass_time(30)
        assert again.pod is told.pod, "nothing is written"
        assert not again.events


containers = st.sampled_from([app(), runs("sleep 2"), runs("sleep 1; exit 2"), runs("false"), runs("echo hi"),
                              app(image="x:404"), app(readinessProbe={"httpGet": {}, "initialDelaySeconds": 3}),
                              app(imagePullPolicy="Always")])
ranges = st.sampled_from(["0s", "1s", "200ms..2s", "0s..10s"])


def test_a_task_ends_when_it_would_have_although_its_node_starts_over() -> None:
    told = Told(of_a_job(pod_of()), Behaviour(AT_ONCE, AT_ONCE, task=Range(60, 600)))
    told.pass_time(10)
    again = Told(told.pod, told.behaviour, seed=99, now=told.now)
    assert again.pass_time(600).shown == [shown for shown in told.pass_time(600).shown if "Succeeded" in shown] != []


def test_a_task_that_outlived_its_length_is_not_over_because_its_node_starts_over() -> None:
    told = Told(of_a_job(pod_of(annotations={"muster.dev/task": "1h"})), INSTANT).pass_time(1800)
    hasty = Told(with_(told.pod, "metadata.annotations", {}), SEVEN, now=told.now)
    assert hasty.pass_time(6).shown == []
    assert hasty.pass_time(1).shown == ["+1807s 0/1 Succeeded: Completed"]


@settings(max_examples=200, deadline=None)
@given(apps=st.lists(containers, min_size=1, max_size=3), init=st.lists(containers, max_size=2),
       policy=st.sampled_from(["Always", "OnFailure", "Never"]), pull=ranges, start=ranges, ready=ranges, stop=ranges,
       seed=st.integers(0, 2**32), starts_over=st.booleans(), ends=st.booleans())
def test_laws_of_every_life(apps, init, policy, pull, start, ready, stop, seed, starts_over, ends) -> None:  # type: ignore[no-untyped-def]
    """A pod that is over stays over, restarts only grow, Ready means that all containers are ready."""
    named = [{**one, "name": f"c{number}"} for number, one in enumerate(apps)]
    first = [{**one, "name": f"i{number}"} for number, one in enumerate(init)]
    behaviour = from_pool({"pull": pull, "start": start, "ready": ready, "stop": stop, "missingImages": ["*:404"]})
    told = Told(pod_of(*named, init=first, restartPolicy=policy), behaviour, seed)
    seen = [told.pod]
    for step in range(12):
        told.pass_time(random.Random(seed + step).choice([0.3, 2.0, 30.0]))
        seen.append(told.pod)
        if starts_over and step == 5:
            told.life = None
        if ends and step == 8:
            told.delete()
    seen.append(told.pass_time(60).pod)
    for before, after in zip(seen, seen[1:], strict=False):
        check_step(before, after)
    assert not ends or told.removed
    assert told.wake_at > told.now or told.removed


def check_step(before: Obj, after: Obj) -> None:
    if before["status"]["phase"] in ("Succeeded", "Failed"):
        assert after["status"]["phase"] == before["status"]["phase"]
    told = after["status"].get("containerStatuses", [])
    for old, new in zip(before["status"].get("containerStatuses", []), told, strict=False):
        assert new["restartCount"] >= old["restartCount"]
    if is_true(after, "Ready"):
        assert all(one["ready"] for one in told) and after["status"]["phase"] == "Running"
    for one in told:
        assert len(one["state"]) == 1
        assert one["ready"] <= ("running" in one["state"])
