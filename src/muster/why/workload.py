"""Why a workload is not complete: what its controller was refused, whom it waits for, and its pods that are not ready.

    stuck_why(...)             in one sentence (`muster rehearse` tells it)
    workload_answer(...)       of a Deployment, ReplicaSet, StatefulSet or Job, with each pod's own answer
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..api.objects import Obj, at, condition, is_deleting, is_true, labels_of, name_of, namespace_of, uid_of
from ..controllers.deployment_sets import sort_out
from .answer import Answer, counted, largest_first
from .pod import pending_why, pod_answer
from .rollouts import DAEMONSETS, DEPLOYMENTS, JOBS, REPLICASETS, SHORT, STATEFULSETS, Standing, standing
from .scene import Scene

CONTROLLERS = "replicationcontrollers"
_EXCEEDED = re.compile(r"exceeded quota: ([a-z0-9.-]+)")

# ------------------------------------------------------------------ in one sentence


def stuck_why(resource: str, obj: Obj, standing: Standing, pods: Iterable[Obj], nodes: Mapping[str, Obj]) -> str:
    """Why a rollout is not complete, as far as can be told from what is there."""
    if standing.waits_for:
        return standing.waits_for
    reasons: dict[str, list[str]] = {}
    for pod in sorted(pods, key=name_of):
        if why := pending_why(pod, nodes.get(pod["spec"].get("nodeName", ""))):
            reasons.setdefault(why, []).append(name_of(pod))
    if reasons:
        why, names = max(reasons.items(), key=lambda item: len(item[1]))
        others = sum(map(len, reasons.values())) - len(names)
        more = f" ({len(names)} pods)" if len(names) > 1 else ""
        rest = f"; {others} more for other reasons" if others else ""
        return f"{names[0]}{more}: {why}{rest}{_limit(resource, obj) if standing.updated < standing.wanted else ''}"
    if said := next(_complaints(obj), None):
        return said[1]
    missing = standing.wanted - standing.available
    return f"{missing} of {standing.wanted} pods are missing" if missing > 0 else "its controller has not finished it"


def _complaints(obj: Obj) -> Iterator[tuple[str, str]]:
    """The conditions that something is wrong by, and what they say."""
    for type_ in ("ReplicaFailure", "Progressing"):
        said = condition(obj, type_)
        if said is not None and (said["status"] == "True") == (type_ == "ReplicaFailure"):
            yield type_, said.get("message") or said.get("reason") or type_


def _limit(resource: str, obj: Obj) -> str:
    field = "updateStrategy" if resource == DAEMONSETS else "strategy"
    rolling = at(obj, f"spec.{field}.rollingUpdate", {})
    if resource not in (DAEMONSETS, DEPLOYMENTS) or rolling.get("maxUnavailable") is None:
        return ""
    return f"; with maxUnavailable {rolling['maxUnavailable']} nothing else may go down for it"


# ------------------------------------------------------------------ in full

def workload_answer(resource: str, obj: Obj, scene: Scene) -> Answer:
    about = f"{SHORT.get(resource, 'rc')} {namespace_of(obj)}/{name_of(obj)}"
    sets = _sets(resource, obj, scene)
    pods = [pod for one in (obj, *sets) for pod in _pods(one, scene)]
    parts = [one for pod in pods if (one := pod_answer(pod, scene)).state not in ("ready", "succeeded")]
    notes = list(_notes(resource, obj, sets, pods, scene))
    verdict, change = _state(resource, obj)
    if is_deleting(obj):
        verdict, change = "it is being deleted", ""
    state = "complete" if verdict.startswith("complete") else "not complete"
    return Answer(about, verdict, change, largest_first(parts), notes, state=state)


def _state(resource: str, obj: Obj) -> tuple[str, str]:
    if resource == JOBS:
        return _job_state(obj)
    found = standing(resource if resource != CONTROLLERS else REPLICASETS, obj)
    counts = f"{found.available} of {found.wanted} pods are available, {found.updated} of today's template"
    if resource in (REPLICASETS, CONTROLLERS):
        counts = f"{found.available} of {found.wanted} pods are available, {found.updated} are there"
    if found.complete:
        return f"complete: {counts}", ""
    if found.waits_for:
        return f"{counts}; {found.waits_for}", _goes_on(resource, obj)
    return counts, ""


def _goes_on(resource: str, obj: Obj) -> str:
    name = f"-n {namespace_of(obj)} {SHORT.get(resource, 'rc')}/{name_of(obj)}"
    if resource == DEPLOYMENTS:
        return f"`kubectl rollout resume {name}`"
    if at(obj, "spec.updateStrategy.type", "") == "OnDelete":
        return "delete the old pods one by one"
    return "lower spec.updateStrategy.rollingUpdate.partition"


def _job_state(job: Obj) -> tuple[str, str]:
    status, spec = job.get("status") or {}, job["spec"]
    counts = f"{status.get('succeeded', 0)} of {spec.get('completions', 1)} completions"
    if is_true(job, "Complete"):
        return f"complete: {counts}", ""
    failed = condition(job, "Failed") or condition(job, "FailureTarget")
    if failed is not None and failed["status"] == "True":
        return (f"failed: {failed.get('reason', '')}: {failed.get('message', '')}",
                "correct it and make it anew: a job that failed is not tried again")
    if spec.get("suspend"):
        return (f"{counts}; it is suspended", f"`kubectl patch job -n {namespace_of(job)} {name_of(job)} "
                "--type merge -p '{\"spec\":{\"suspend\":false}}'`")
    more = f", {status['failed']} pods failed of at most {spec.get('backoffLimit', 6)}" if status.get("failed") else ""
    return f"{counts}, {status.get('active', 0)} pods are at it{more}", ""


def _sets(resource: str, obj: Obj, scene: Scene) -> Sequence[Obj]:
    """Of a Deployment: its ReplicaSets, the new one first."""
    if resource != DEPLOYMENTS:
        return ()
    found = scene.mirror.dependents_of(uid_of(obj), REPLICASETS)
    new, old = sort_out(obj, [found[key] for key in sorted(found)])
    return ([new] if new is not None else []) + old[::-1]


def _pods(obj: Obj, scene: Scene) -> list[Obj]:
    found = scene.mirror.dependents_of(uid_of(obj), "pods")
    return [found[key] for key in sorted(found)]


def _notes(resource: str, obj: Obj, sets: Sequence[Obj], pods: Sequence[Obj], scene: Scene) -> Iterator[str]:
    if resource != JOBS and at(obj, "status.observedGeneration", 0) < at(obj, "metadata.generation", 0):
        yield "its controller has not seen its last change yet: does the controller manager run?"
    told: set[str] = set()
    for one in (obj, *sets):
        for type_, said in _complaints(one):
            if said not in told:
                told.add(said)
                yield f"its pods are refused: {said}{_quota(said, obj)}" if type_ == "ReplicaFailure" \
                    else f"its rollout is stuck: {said}"
    if resource == STATEFULSETS:
        yield from _ordinals(obj, pods)
    if resource == JOBS and is_true(obj, "Failed"):
        return  # that says it
    for one in (obj, *sets):
        last, missing = scene.last_warning(one), at(one, "status.replicas", 0) < one["spec"].get("replicas", 1)
        if last and missing and not told:
            yield f"last warning about {'it' if one is obj else name_of(one)}: {last}"


def _quota(said: str, obj: Obj) -> str:
    found = _EXCEEDED.search(said)
    if found is None:
        return ""
    return f"; raise it (`kubectl edit quota -n {namespace_of(obj)} {found[1]}`), or end what it counts"


def _ordinals(obj: Obj, pods: Sequence[Obj]) -> Iterator[str]:
    """In order: each one waits until the one before it is ready."""
    if obj["spec"].get("podManagementPolicy") == "Parallel":
        return
    start, wanted = at(obj, "spec.ordinals.start", 0), obj["spec"].get("replicas", 1)
    there = {name_of(pod): pod for pod in pods}
    for ordinal in range(start, start + wanted):
        name = f"{name_of(obj)}-{ordinal}"
        pod = there.get(name)
        if pod is None:
            yield f"{name} is to be made next"
            return
        if not is_true(pod, "Ready") or is_deleting(pod):
            later = start + wanted - ordinal - 1
            missing = sum(f"{name_of(obj)}-{one}" not in there for one in range(ordinal + 1, start + wanted))
            if later:
                yield (f"it goes by ordinal: {name} is not ready, and what comes after it waits for it"
                       + (f" ({counted(missing, 'pod', 'is', 'are')} not made yet)" if missing else "")
                       + "; podManagementPolicy Parallel would not wait")
            return
    update = at(obj, "status.updateRevision", "")
    old = [name for name, pod in there.items() if labels_of(pod).get("controller-revision-hash") != update]
    if update and old and at(obj, "spec.updateStrategy.type", "RollingUpdate") == "RollingUpdate":
        yield f"{len(old)} pods are of an older template; they are replaced from the highest ordinal down"


