"""A pod on a real node without the node: what is reported of it, and what the decision makes of that."""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from muster.api.objects import Obj, at, to_time, with_
from muster.node import reports
from muster.node.life import DONE, PULLING, RUNNING, STARTING, Life, begin, resume
from muster.node.means import Reported
from muster.node.plan import plan
from muster.node.reports import Exit, Found
from muster.node.turn import Host

NOON = 1_767_225_600.0
FAILED = Exit(1, "", "", NOON)


def pod_of(*containers: Obj, **spec: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": "u1"},
            "spec": {"nodeName": "n1", "containers": list(containers) or [{"name": "app", "image": "nginx"}], **spec},
            "status": {"phase": "Pending", "qosClass": "BestEffort", "conditions": []}}


@dataclass
class Real:
    """A pod, and a node whose runtime says what a test says."""

    pod: Obj
    images: dict[str, float] = field(default_factory=lambda: {"docker.io/library/nginx:latest": 0.0})
    now: float = NOON
    events: list[str] = field(default_factory=list)
    life: Life | None = None

    def __post_init__(self) -> None:
        self.life = begin(self.pod, self.now, "")
        self.look()

    def look(self, after_s: float = 0.0) -> None:
        self.now += after_s
        assert self.life is not None
        found = plan(self.pod, self.life, Host("n1", "10.0.0.1", self.images), self.now, Reported())
        self.life = found.life
        self.events += [f"{tell.reason}: {tell.message}" for tell in found.tells]
        if found.status is not None:
            self.pod = with_(self.pod, "status", found.status)

    def says(self, report, *arguments: object) -> None:
        self.life = report(self.life, *arguments)
        self.look()

    def started(self, place: int = 0) -> None:
        self.says(reports.started, place, self.now, f"containerd://c{place}", "nginx", "sha256:1")

    def ended(self, place: int = 0, code: int = 0, reason: str = "", message: str = "") -> None:
        self.says(reports.exited, place, self.now, self.life.runs[place].restarts, Exit(code, reason, message, self.now))

    @property
    def stages(self) -> list[str]:
        return [run.stage for run in self.life.runs]

    @property
    def phase(self) -> str:
        return self.pod["status"]["phase"]

    def state(self, place: int = 0) -> Obj:
        return self.pod["status"]["containerStatuses"][place]["state"]


def running(**spec: object) -> Real:
    real = Real(pod_of(**spec))
    real.says(reports.network_up, "10.1.0.2")
    real.started()
    return real


def test_nothing_begins_before_there_is_a_network():
    real = Real(pod_of())
    assert real.stages == ["queued"] and "podIP" not in real.pod["status"]
    real.says(reports.network_up, "10.1.0.2")
    assert real.stages == [STARTING]
    real.started()
    assert real.stages == [RUNNING] and real.phase == "Running"
    assert real.pod["status"]["podIP"] == "10.1.0.2"
    assert real.pod["status"]["containerStatuses"][0]["containerID"] == "containerd://c0"


def test_a_pull_that_fails_is_tried_again():
    real = Real(pod_of(), images={})
    real.says(reports.network_up, "10.1.0.2")
    assert real.stages == [PULLING]
    real.says(reports.not_pulled, 0, real.now, "rpc error: no such image")
    assert real.state()["waiting"] == {"reason": "ErrImagePull", "message": "rpc error: no such image"}
    real.look(2)
    assert real.state()["waiting"]["reason"] == "ImagePullBackOff"
    real.look(8)
    assert real.stages == [PULLING]
    real.says(reports.pulled, 0, real.now, 1.5, 123, "sha256:1")
    assert real.stages == [STARTING]
    assert real.events[-1].endswith("Image size: 123 bytes.")


@pytest.mark.parametrize("policy, code, phase, stage", [
    pytest.param("Always", 0, "Running", STARTING, id="always"),
    pytest.param("OnFailure", 1, "Running", STARTING, id="failed"),
    pytest.param("OnFailure", 0, "Succeeded", DONE, id="succeeded"),
    pytest.param("Never", 1, "Failed", DONE, id="never"),
])
def test_an_exit(policy: str, code: int, phase: str, stage: str):
    real = running(restartPolicy=policy)
    real.ended(code=code, message="last words")
    assert (real.phase, real.stages) == (phase, [stage])
    ended = real.state()["terminated"]
    assert (ended["exitCode"], ended["message"], ended["containerID"]) == (code, "last words", "containerd://c0")


def test_it_backs_off_longer_and_longer():
    real = running()
    waits = []
    for _ in range(8):
        real.ended(code=1)
        if real.stages == ["backoff"]:
            until = real.life.runs[0].until
            waits.append(until - real.now)
            real.look(until - real.now)
        real.started()
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_what_did_not_start_counts_as_a_run():
    real = Real(pod_of())
    real.says(reports.network_up, "10.1.0.2")
    real.says(reports.not_started, 0, real.now, "RunContainerError", "no such file", "containerd://c0",
              Exit(128, "StartError", "no such file", real.now))
    assert real.state()["waiting"] == {"reason": "RunContainerError", "message": "no such file"}
    last = real.pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (128, "StartError")


def test_what_could_not_be_made_is_tried_again():
    real = Real(pod_of())
    real.says(reports.network_up, "10.1.0.2")
    real.says(reports.not_started, 0, real.now, "CreateContainerConfigError", 'configmap "a" not found')
    assert real.state()["waiting"]["reason"] == "CreateContainerConfigError"
    real.look(10)
    assert real.stages == [STARTING]


def test_a_deleted_pod_ends_when_its_containers_have():
    real = running()
    real.pod = with_(with_(real.pod, "metadata.deletionTimestamp", to_time(NOON + 30)),
                     "metadata.deletionGracePeriodSeconds", 30)
    real.look()
    assert real.life.runs[0].report.stop_by == NOON + 30 and real.life.stops_at is None
    assert real.events[-1] == "Killing: Stopping container app"
    real.look(1)
    assert real.events.count("Killing: Stopping container app") == 1
    real.ended(code=0)
    assert real.stages == [DONE] and real.life.stops_at == real.now and real.life.gone_at is None
    real.life = reports.gone(real.life, real.now)
    found = plan(real.pod, real.life, Host("n1", "10.0.0.1", {}), real.now, Reported())
    assert found.remove


def test_sidecars_go_last_and_the_last_one_first():
    sidecars = [{"name": name, "image": "nginx", "restartPolicy": "Always"} for name in ("one", "two")]
    real = Real(pod_of(initContainers=sidecars, restartPolicy="Never"))
    real.says(reports.network_up, "10.1.0.2")
    for place in range(3):
        real.started(place)
    real.ended(2)
    assert [run.report.stop_by < math.inf for run in real.life.runs] == [False, True, False] and real.phase == "Running"
    real.ended(1)
    assert [run.report.stop_by < math.inf for run in real.life.runs[:1]] == [True]
    real.ended(0)
    assert real.stages == [DONE] * 3 and real.phase == "Succeeded"


def test_the_deadline_ends_a_pod_only_when_its_containers_have():
    real = running(activeDeadlineSeconds=60, restartPolicy="Never")
    real.look(60)
    assert real.phase == "Running" and real.life.runs[0].report.stop_by == real.now + 30
    real.ended(code=137)
    assert (real.phase, real.pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


def test_probes_make_it_ready_and_unready():
    probed = {"name": "app", "image": "nginx", "startupProbe": {"httpGet": {}}, "readinessProbe": {"httpGet": {}}}
    real = Real(pod_of(probed))
    real.says(reports.network_up, "10.1.0.2")
    real.started()

    def seen() -> tuple[bool, bool]:
        told = real.pod["status"]["containerStatuses"][0]
        return told["started"], told["ready"]
    assert seen() == (False, False)
    real.says(reports.startup_passed, 0, real.now)
    assert seen() == (True, False)
    for ready in (True, False, True):
        real.says(reports.readiness, 0, real.now, ready)
        assert seen() == (True, ready)


def test_late_words_change_nothing():
    real = running()
    before = real.life
    for report, *arguments in [
        (reports.started, 0, NOON, "containerd://x", "", ""), (reports.pulled, 0, NOON, 1.0, 1, ""),
        (reports.exited, 0, NOON, 7, FAILED), (reports.startup_passed, 0, NOON), (reports.readiness, 0, NOON, True),
    ]:
        assert report(before, *arguments) is before


class TestTakenOver:
    def over(self, real: Real, *found: Found, address: str | None = "10.1.0.2") -> Real:
        """A new process: the life from the status, and what the runtime has."""
        real.now += 5
        there = resume(real.pod, real.now, "")
        real.life = reports.taken_over(there, {"app": list(found)}, address, real.now)
        real.look()
        return real

    def found(self, attempt: int, ended: Exit | None = None) -> Found:
        return Found(attempt, f"containerd://c{attempt}", "nginx", "sha256:1", NOON, ended)

    def test_what_runs_goes_on(self):
        real = self.over(running(), self.found(0))
        assert real.stages == [RUNNING] and real.pod["status"]["containerStatuses"][0]["restartCount"] == 0

    def test_an_exit_that_nobody_saw(self):
        real = self.over(running(restartPolicy="Never"), self.found(0, Exit(7, "", "", NOON + 2)))
        ended = real.state()["terminated"]
        assert (ended["exitCode"], ended["finishedAt"], real.phase) == (7, to_time(NOON + 2), "Failed")

    def test_an_end_and_a_start_that_nobody_saw(self):
        real = self.over(running(), self.found(0, Exit(7, "", "", NOON + 2)), self.found(1))
        told = real.pod["status"]["containerStatuses"][0]
        assert told["restartCount"] == 1 and "running" in told["state"]
        assert told["lastState"]["terminated"]["exitCode"] == 7

    def test_a_start_that_was_not_written(self):
        real = Real(pod_of())
        real.says(reports.network_up, "10.1.0.2")
        assert real.stages == [STARTING]
        real = self.over(real, self.found(0))
        assert real.stages == [RUNNING]

    def test_a_machine_that_was_off(self):
        real = self.over(running(), address=None)
        assert at(real.state(), "terminated.reason") == "ContainerStatusUnknown" and not real.life.sandbox
        real.says(reports.network_up, "10.1.0.9")
        real.started()
        told = real.pod["status"]
        assert (told["containerStatuses"][0]["restartCount"], told["podIP"]) == (1, "10.1.0.9")
