"""What must be so once nothing is left to do: every workload is what it should be, and its status says so.

    check_settled(laws, history)     everything is as it was asked for: nodes are well, templates work
    check_statuses(laws)             whatever there is, the statuses tell the truth of it
    check_mirror(laws, history, mirror)

These look at everything, so they are asked when a story is over and not at every change.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, finalizers_of, is_deleting, is_true, labels_of, name_of, namespace_of
from ..client.mirror import Mirror
from ..store.history import History
from .invariants_scene import (
    ENDED,
    Scene,
    available_from,
    daemon_fits,
    is_active,
    is_ready,
    node_of,
    phase_of,
)

if TYPE_CHECKING:
    from .invariants import Laws

HASH_LABEL = "controller-revision-hash"


def check_settled(laws: Laws, history: History) -> None:
    scene = laws.scene
    for uid, workload in scene.workloads.items():
        if is_deleting(workload):
            laws.wrong("what is deleted goes", _key(workload), f"is still there, {finalizers_of(workload)}")
            continue
        pods = list(scene.pods_of(uid).values())
        match workload["kind"]:
            case "DaemonSet":
                _daemons(laws, workload, pods)
            case "Deployment" | "ReplicaSet" | "StatefulSet":
                _replicas(laws, workload)
            case "Job":
                _job(laws, workload, pods)
    for key, pod in scene.pods.items():
        if is_deleting(pod):
            laws.wrong("what is deleted goes", key, "is still there")
    check_statuses(laws)
    _endpoints(laws, history)
    laws.scaling.check_settled()


def _key(obj: Obj) -> Key:
    return Key(obj["kind"], namespace_of(obj), name_of(obj))


def _daemons(laws: Laws, daemonset: Obj, pods: list[Obj]) -> None:
    at: dict[str, list[Obj]] = {}
    for pod in pods:
        at.setdefault(node_of(pod), []).append(pod)
    newest = _newest_hash(daemonset, pods)
    for name, node in laws.scene.nodes.items():
        there = at.get(name, [])
        fits = daemon_fits(daemonset, node)
        if fits == "run" and (len(there) != 1 or available_from(there[0], daemonset) > laws.now()):
            laws.wrong("every node gets its daemon", _key(daemonset),
                       f"on {name}: {[(name_of(pod), phase_of(pod)) for pod in there]}, not one that is available")
        elif fits == "run" and _rolls(daemonset) and labels_of(there[0]).get(HASH_LABEL) != newest:
            laws.wrong("rollouts end", _key(daemonset), f"on {name}: {name_of(there[0])} is not of today's template")
        elif (fits == "leave" and there) or len(there) > 1:
            laws.wrong("every node gets its daemon", _key(daemonset), f"on {name}: {len(there)} that should have left")


def _newest_hash(daemonset: Obj, pods: Iterable[Obj]) -> str:
    """Of the pods whose image is that of the template."""
    image = daemonset["spec"]["template"]["spec"]["containers"][0]["image"]
    return next((labels_of(pod).get(HASH_LABEL, "") for pod in pods
                 if pod["spec"]["containers"][0]["image"] == image), "")


def _rolls(workload: Obj) -> bool:
    return (workload["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def _replicas(laws: Laws, workload: Obj) -> None:
    """As many as were asked for, all available, all of today's template."""
    if workload["spec"].get("paused") or (workload["kind"] == "ReplicaSet" and _is_part(workload)):
        return
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    fields = ["replicas", "readyReplicas", "availableReplicas"]
    if workload["kind"] == "Deployment":
        fields.append("updatedReplicas")
    told = {field: status.get(field) or 0 for field in fields}
    if any(number != wanted for number in told.values()):
        laws.wrong("workloads get what they asked for", _key(workload), f"{wanted} replicas, but {told}")


def _is_part(replica_set: Obj) -> bool:
    return any(owner.get("kind") == "Deployment" for owner in replica_set["metadata"].get("ownerReferences") or ())


def _job(laws: Laws, job: Obj, pods: list[Obj]) -> None:
    status = job.get("status") or {}
    is_over = is_true(job, "Complete") or is_true(job, "Failed")
    if not is_over and not job["spec"].get("suspend") and job["spec"].get("parallelism", 1):
        laws.wrong("Jobs end", _key(job), f"is not over: {status}")
    elif is_true(job, "Complete") and status.get("succeeded") != job["spec"].get("completions", 1):
        laws.wrong("Jobs end", _key(job), f"is complete with {status.get('succeeded')} successes")
    elif is_over and any(is_active(pod) for pod in pods):
        laws.wrong("Jobs end", _key(job), "is over, and some of its pods still run")


# ------------------------------------------------------------------ statuses

def check_statuses(laws: Laws) -> None:
    for uid, workload in laws.scene.workloads.items():
        if is_deleting(workload):
            continue
        pods = list(laws.scene.pods_of(uid).values())
        match workload["kind"]:
            case "DaemonSet":
                truth = _daemon_numbers(laws, workload, pods)
            case "ReplicaSet":
                truth = _set_numbers(laws, workload, pods)
            case "StatefulSet":
                truth = _set_numbers(laws, workload, pods)
            case "Deployment":
                truth = _deployment_numbers(laws.scene, uid)
            case _:
                active = [pod for pod in pods if is_active(pod)]
                truth = {"active": len(active), "ready": sum(map(is_ready, active))}
        truth["observedGeneration"] = workload["metadata"].get("generation", 0)
        status = workload.get("status") or {}
        if workload["kind"] == "Job":
            del truth["observedGeneration"]
        for field, number in truth.items():
            if (told := status.get(field) or 0) != number:
                laws.wrong("statuses tell the truth", _key(workload), f"{field} is {told}, not {number}")


def _daemon_numbers(laws: Laws, daemonset: Obj, pods: list[Obj]) -> dict[str, int]:
    now, at = laws.now(), dict[str, list[Obj]]()
    counted: Counter[str] = Counter(desiredNumberScheduled=0, currentNumberScheduled=0, numberMisscheduled=0,
                                    numberReady=0, numberAvailable=0)
    for pod in pods:
        if not (is_deleting(pod) and phase_of(pod) in ENDED):
            at.setdefault(node_of(pod), []).append(pod)
    for name, node in laws.scene.nodes.items():
        there = sorted(at.get(name, []), key=lambda pod: (not pod["spec"].get("nodeName"),
                                                          pod["metadata"]["creationTimestamp"], name_of(pod)))
        if daemon_fits(daemonset, node) != "run":
            counted["numberMisscheduled"] += bool(there)
            continue
        counted["desiredNumberScheduled"] += 1
        counted["currentNumberScheduled"] += bool(there)
        if there:
            counted["numberReady"] += is_ready(there[0])
            counted["numberAvailable"] += available_from(there[0], daemonset) <= now
    counted["numberUnavailable"] = counted["desiredNumberScheduled"] - counted["numberAvailable"]
    return dict(counted)


def _set_numbers(laws: Laws, workload: Obj, pods: list[Obj]) -> dict[str, int]:
    there = [pod for pod in pods if phase_of(pod) not in ENDED] if workload["kind"] == "ReplicaSet" else pods
    there = [pod for pod in there if not is_deleting(pod)]
    return {"replicas": len(there), "readyReplicas": sum(map(is_ready, there)),
            "availableReplicas": sum(available_from(pod, workload) <= laws.now() for pod in there)}


def _deployment_numbers(scene: Scene, uid: str) -> dict[str, int]:
    sets = [one for one in scene.workloads.values() if one["kind"] == "ReplicaSet"
            and any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or ())]
    return {field: sum((one.get("status") or {}).get(field) or 0 for one in sets)
            for field in ("replicas", "readyReplicas", "availableReplicas")}


# ------------------------------------------------------------------ services, and the copy that controllers read

def _endpoints(laws: Laws, history: History) -> None:
    """The slices of a service name exactly the ready pods that it selects."""
    slices: dict[tuple[str, str], set[str]] = {}
    for snapshot in history.lane("endpointslices.discovery.k8s.io").snapshots():
        one = snapshot.value
        place = namespace_of(one), labels_of(one).get("kubernetes.io/service-name", "")
        slices.setdefault(place, set()).update(
            address for endpoint in one.get("endpoints") or () if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"])
    for snapshot in history.lane("services").snapshots():
        service = snapshot.value
        selector: Mapping[str, str] = service["spec"].get("selector") or {}
        if not selector:
            continue
        place = namespace_of(service), name_of(service)
        every = service["spec"].get("publishNotReadyAddresses", False)
        wanted: set[str] = {(pod.get("status") or {}).get("podIP", "") for key, pod in laws.scene.pods.items()
                  if key.namespace == place[0] and selector.items() <= labels_of(pod).items()
                  and phase_of(pod) not in ENDED and (is_ready(pod) or every) and not is_deleting(pod)}
        wanted.discard("")
        if wanted != slices.get(place, set()):
            laws.wrong("services lead to their pods", Key("services", *place),
                       f"{sorted(slices.get(place, set()))}, not {sorted(wanted)}")


def check_mirror(laws: Laws, history: History, mirror: Mirror) -> None:
    for resource in mirror.resources:
        there = {place: one.value for place, one in history.lane(resource).objects.items()}
        if dict(mirror.objects(resource)) != there:
            laws.wrong("mirrors are true", Key(resource, "", ""), "the mirror holds something else than the store")
