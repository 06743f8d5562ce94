"""What the containers of a pod that is on its node say: which can not go on, and what each one waits for.

    trouble_of(pod)       ("ImagePullBackOff", "Back-off pulling image ..."), in the kubelet's words
    held_up(pod, now)     the same in a sentence, with the container, what it waits for, and what would help

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..api.objects import Obj, at, condition, is_true
from ..api.tables import since

BROKEN = ("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName",
          "CreateContainerConfigError", "CreateContainerError", "RunContainerError")
PULLS = ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName")
FIELDS = (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses"))


def trouble_of(pod: Obj) -> tuple[str, str] | None:
    """The reason and message of a container that can not go on, or ended badly."""
    status = pod.get("status") or {}
    for _, field in FIELDS:
        for one in status.get(field) or ():
            state = one.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
            if waiting.get("reason") in BROKEN:
                return waiting["reason"], waiting.get("message", "")
            if ended and ended.get("exitCode"):
                return ended.get("reason") or "Error", f"container {one['name']} exited with {ended['exitCode']}"
    return None


class HeldUp(NamedTuple):
    found: str
    change: str = ""


def held_up(pod: Obj, now: float) -> HeldUp:
    """Why a pod that is on its node is not ready."""
    for one in _steps(pod, now):
        return one
    gates = [gate["conditionType"] for gate in at(pod, "spec.readinessGates", ())
             if not is_true(pod, gate["conditionType"])]
    if gates:
        return HeldUp(f"its readiness gates are not true: {', '.join(gates)}",
                      "whoever is responsible for them has to set these conditions")
    ready = condition(pod, "Ready") or {}
    return HeldUp(ready.get("message") or "its containers are not ready yet")


def _steps(pod: Obj, now: float) -> Iterator[HeldUp]:
    for containers, field in FIELDS:
        statuses = {one["name"]: one for one in at(pod, f"status.{field}", ())}
        later: list[HeldUp] = []
        for container in at(pod, f"spec.{containers}", ()):
            status = statuses.get(container["name"])
            is_step = containers == "initContainers"
            is_sidecar = is_step and container.get("restartPolicy") == "Always"
            found = _of_one(pod, container, status, is_step and not is_sidecar, is_sidecar, now)
            if found is None:
                continue
            if is_step or status is not None and _is_broken(status):
                yield found  # what comes after it has to wait
            later.append(found)
        yield from later


def _is_broken(status: Obj) -> bool:
    state = status.get("state") or {}
    return (state.get("waiting") or {}).get("reason") in BROKEN or bool(state.get("terminated"))


def _of_one(pod: Obj, container: Obj, status: Obj | None, is_step: bool, is_sidecar: bool, now: float) -> HeldUp | None:
    """None: this one holds nothing up."""
    name = container["name"]
    called = f"init container {name}" if is_step or is_sidecar else f"container {name}"
    state = (status or {}).get("state") or {}
    waiting, ended, running = state.get("waiting"), state.get("terminated"), state.get("running")
    if status is None or not state:
        return HeldUp(f"{called} has not been started{_age(at(pod, 'status.startTime'), now)}")
    if waiting is not None:
        return _waiting(pod, container, called, status, waiting, now)
    if ended is not None:
        if is_step and not ended.get("exitCode"):
            return None
        return HeldUp(f"{called} ended: {_ending(ended)}", _logs(pod, name, previous=False))
    if is_step:
        return HeldUp(f"{called} is still running{_age((running or {}).get('startedAt'), now)}: what comes after it "
                      "starts once it has ended", _logs(pod, name, previous=False))
    if is_sidecar and status.get("started") or not is_sidecar and status.get("ready"):
        return None
    return _probed(called, container, status, running or {}, now)


def _waiting(pod: Obj, container: Obj, called: str, status: Obj, waiting: Obj, now: float) -> HeldUp:
    reason, message = waiting.get("reason") or "waiting", waiting.get("message") or ""
    said = f"{called}: {reason}" + (f" ({message})" if message else "")
    if reason in PULLS:
        return HeldUp(said, f"is image {container.get('image', '')} right, and may the node pull it?")
    if reason == "CrashLoopBackOff":
        last = at(status, "lastState.terminated", {})
        ending = f"; it ended {status.get('restartCount') or 1} times, last: {_ending(last)}" if last else ""
        return HeldUp(f"{said}{ending}", _logs(pod, container["name"], previous=True))
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return HeldUp(said, "make what it names, or correct the template")
    if reason == "PodInitializing":
        return HeldUp(f"{called} waits for the init containers")
    return HeldUp(f"{called}: {reason}{_age(at(pod, 'status.startTime'), now)}" + (f" ({message})" if message else ""))


def _probed(called: str, container: Obj, status: Obj, running: Obj, now: float) -> HeldUp:
    """It runs, and is not ready: a probe says so."""
    since_when = _age(running.get("startedAt"), now)
    if container.get("startupProbe") and not status.get("started"):
        return HeldUp(f"{called} runs{since_when}, but its startup probe ({probe_text(container['startupProbe'])}) has "
                      "not succeeded yet")
    if container.get("readinessProbe"):
        return HeldUp(f"{called} runs{since_when}, but its readiness probe "
                      f"({probe_text(container['readinessProbe'])}) does not succeed")
    return HeldUp(f"{called} runs{since_when}, but is not ready yet")


def probe_text(probe: Obj) -> str:
    if "httpGet" in probe:
        get = probe["httpGet"]
        return f"httpGet :{get.get('port')}{get.get('path') or '/'}"
    if "tcpSocket" in probe:
        return f"tcpSocket :{probe['tcpSocket'].get('port')}"
    if "grpc" in probe:
        return f"grpc :{probe['grpc'].get('port')}"
    return f"exec {' '.join(at(probe, 'exec.command', ()))}"


def _ending(ended: Obj) -> str:
    reason = ended.get("reason") or "Error"
    code = f"signal {ended['signal']}" if ended.get("signal") else f"exit code {ended.get('exitCode', 0)}"
    return f"{reason}, {code}" + (f", {ended['message']}" if ended.get("message") else "")


def _logs(pod: Obj, name: str, *, previous: bool) -> str:
    space, pod_name = pod["metadata"].get("namespace", ""), pod["metadata"].get("name", "")
    return f"`kubectl logs -n {space} {pod_name} -c {name}{' --previous' if previous else ''}` may say more"


def _age(text: str | None, now: float) -> str:
    return f" (for {since(text, now)})" if text else ""
