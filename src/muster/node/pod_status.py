"""A pod's status as the kubelet of v1.32 writes it, from the life of the pod.

Conditions of others (readiness gates, DisruptionTarget, PodScheduled) stay as they are; a condition keeps its
lastTransitionTime as long as its status stays.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
"""
from __future__ import annotations

import hashlib
from functools import lru_cache

from ..api.objects import Obj, to_time
from . import images
from .life import APP, DONE, EPHEMERAL, INIT, RUNNING, SIDECAR, Life, Part, Run

PHASE_OVER = ("Succeeded", "Failed")
NEVER_FOUND: Obj = {
    "exitCode": 137, "finishedAt": None, "reason": "ContainerStatusUnknown", "startedAt": None,
    "message": "The container could not be located when the pod was terminated",
}
EVICTED, DISRUPTED = "Evicted", "DisruptionTarget"
_FIELDS = {INIT: "initContainerStatuses", SIDECAR: "initContainerStatuses", APP: "containerStatuses",
           EPHEMERAL: "ephemeralContainerStatuses"}  # in the order in which a life has its parts


@lru_cache(maxsize=4096)
def container_id(uid: str, name: str, restarts: int) -> str:
    return "containerd://" + hashlib.sha256(f"{uid}/{name}/{restarts}".encode()).hexdigest()


def status_of(pod: Obj, life: Life, host_address: str, now: float) -> Obj:
    old = pod.get("status") or {}
    if life.verdict is not None and not life.parts:
        return _refused(old, life)
    # A pod that is over stays over, whoever said so.
    phase = old["phase"] if old.get("phase") in PHASE_OVER else phase_of(pod, life, now)
    status: Obj = {"conditions": _conditions(pod, life, phase, old, now)}
    creating = "PodInitializing" if life.parts[0].role in (INIT, SIDECAR) else "ContainerCreating"
    for part, run in zip(life.parts, life.runs, strict=True):
        status.setdefault(_FIELDS[part.role], []).append(_container_status(part, run, life.uid, creating, now))
    status["hostIP"] = host_address
    status["hostIPs"] = [{"ip": host_address}]
    status["phase"] = phase
    address = host_address if pod["spec"].get("hostNetwork") else life.address
    if address and (life.sandbox or phase in PHASE_OVER or old.get("podIP")):
        status["podIP"] = address
        status["podIPs"] = [{"ip": address}]
    for field in ("qosClass", "nominatedNodeName", "resourceClaimStatuses"):
        if field in old:
            status[field] = old[field]
    status["startTime"] = old.get("startTime") or to_time(life.since)
    if life.verdict is not None:
        status["reason"], status["message"] = life.verdict
    elif phase in PHASE_OVER:
        status |= {field: old[field] for field in ("reason", "message") if field in old}
    return status


def _refused(old: Obj, life: Life) -> Obj:
    assert life.verdict is not None, "a refused pod has a reason"
    kept: Obj = {field: old[field] for field in ("conditions", "qosClass") if field in old}
    return {**kept, "phase": "Failed", "reason": life.verdict.reason, "message": life.verdict.message,
            "startTime": old.get("startTime") or to_time(life.since)}


def phase_of(pod: Obj, life: Life, now: float) -> str:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase"""
    if life.verdict is not None:
        return "Running" if any(run.stage == RUNNING for run in life.runs) else "Failed"
    policy = pod["spec"].get("restartPolicy") or "Always"
    ended_for_good = life.gone_at is not None
    apps, something_runs = [], False
    for part, run in zip(life.parts, life.runs, strict=True):
        if part.role == APP:
            apps.append(run)
            something_runs = something_runs or run.stage == RUNNING
        elif part.role == INIT and not _is_complete(run):
            if run.stage == DONE and (policy == "Never" or ended_for_good):
                return "Failed"
            if not ended_for_good:
                return "Pending"
        elif part.role == SIDECAR:
            if not run.is_started(now) and run.restarts == 0 and run.ended is None and not ended_for_good:
                return "Pending"
            something_runs = something_runs or run.stage == RUNNING
    for run in apps:
        if run.stage != RUNNING and run.ended is None:
            return "Pending"
    if something_runs:
        return "Running"
    if not ended_for_good and (policy == "Always" or any(run.stage != DONE for run in apps)):
        return "Running"
    return "Succeeded" if all(_is_complete(run) for run in apps) else "Failed"


def _is_complete(run: Run) -> bool:
    return run.stage == DONE and run.ended is not None and run.ended["exitCode"] == 0


def _container_status(part: Part, run: Run, uid: str, creating: str, now: float) -> Obj:
    has_run = run.stage == RUNNING or (run.ended is not None and run.ended is not NEVER_FOUND)
    last = run.ended
    if run.stage == RUNNING:
        state: Obj = {"running": {"startedAt": to_time(run.began)}}
    elif run.ended is not None and run.waiting is None:
        state, last = {"terminated": run.ended}, run.before
    else:
        reason, message = run.waiting or (creating, "")
        state = {"waiting": {"message": message, "reason": reason} if message else {"reason": reason}}
    status: Obj = {"containerID": run.report.id or container_id(uid, part.name, run.restarts)} if has_run else {}
    status["image"] = run.report.image or images.full_name(part.image) if has_run else part.image
    status["imageID"] = run.report.image_id or images.image_id(part.image) if has_run else ""
    status["lastState"] = {"terminated": last} if last is not None else {}
    status["name"] = part.name
    status["ready"] = _is_complete(run) if part.role == INIT else run.is_ready(now) and part.role != EPHEMERAL
    status["restartCount"] = run.restarts
    if part.role != EPHEMERAL:
        status["started"] = run.is_started(now)
    status["state"] = state
    if part.mounts:
        status["volumeMounts"] = part.mounts
    return status


def _conditions(pod: Obj, life: Life, phase: str, old: Obj, now: float) -> list[Obj]:
    known = {one["type"]: one for one in old.get("conditions") or ()}
    stamp = to_time(now)
    ready = _containers_ready(life, phase, now)
    whole = ready if ready[0] != "True" else _gates_ready(pod, known)
    conditions = [
        _condition(known, stamp, "PodReadyToStartContainers", "True" if life.sandbox else "False"),
        _condition(known, stamp, "Initialized", *_initialized(life, phase, now)),
        _condition(known, stamp, "Ready", *whole),
        _condition(known, stamp, "ContainersReady", *ready),
        _condition(known, stamp, "PodScheduled", "True"),
    ]
    conditions.extend(known.values())  # of others
    if life.verdict is not None and life.verdict.reason == EVICTED and DISRUPTED not in known:
        conditions.append(_condition(known, stamp, DISRUPTED, "True", "TerminationByKubelet", life.verdict.message))
    return conditions


def _condition(known: dict[str, Obj], stamp: str, type_: str, status: str, reason: str = "", message: str = "") -> Obj:
    """Takes it out of those that are known; what says the same as before stays the very same, so that a write is quick
    to compare."""
    old = known.pop(type_, None)
    if old is not None and old.get("status") == status:
        if (old.get("reason", "") == reason and old.get("message", "") == message
                and "lastTransitionTime" in old and "lastProbeTime" in old):
            return old
        stamp = old.get("lastTransitionTime") or stamp
    condition: Obj = {"lastProbeTime": None, "lastTransitionTime": stamp}
    if message:
        condition["message"] = message
    if reason:
        condition["reason"] = reason
    condition["status"], condition["type"] = status, type_
    return condition


def _containers_ready(life: Life, phase: str, now: float) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    unready = [part.name for part, run in zip(life.parts, life.runs, strict=True)
               if part.role in (APP, SIDECAR) and not run.is_ready(now)]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _gates_ready(pod: Obj, known: dict[str, Obj]) -> tuple[str, str, str]:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate"""
    complaints = []
    for gate in pod["spec"].get("readinessGates") or ():
        type_ = gate["conditionType"]
        if type_ not in known:
            complaints.append(f'corresponding condition of pod readiness gate "{type_}" does not exist.')
        elif known[type_].get("status") != "True":
            complaints.append(f'the status of pod readiness gate "{type_}" is not "True", but {known[type_]["status"]}')
    return ("False", "ReadinessGatesNotReady", ", ".join(complaints)) if complaints else ("True", "", "")


def _initialized(life: Life, phase: str, now: float) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if life.parts[0].role == APP:  # what comes before them comes first
        return "True", "", ""
    incomplete = [part.name for part, run in zip(life.parts, life.runs, strict=True)
                  if (part.role == INIT and not _is_complete(run))
                  or (part.role == SIDECAR and not run.is_started(now) and run.restarts == 0 and run.ended is None)]
    if incomplete:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"
    return "True", "", ""
