"""Objects and shorthand for the tables about Jobs."""
from __future__ import annotations

from muster.api.kinds.job import JOB
from muster.api.objects import at, controller_reference, labels_of, to_time
from muster.control.plan import Create, Delete, Patch, SetStatus, Tell
from muster.controllers.job import Observed
from muster.controllers.job_pods import FAILURES, FINALIZER, INDEX

NOW = 100_000.0


def a_job(status=None, deleting=False, **spec):
    policy = spec.pop("restart", "Never")
    metadata = {"name": "pi", "namespace": "math", "uid": "job-1"}
    if deleting:
        metadata["deletionTimestamp"] = to_time(NOW)
    made = JOB.prepare_create(JOB.defaults({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
        "spec": {**spec, "template": {"spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "x"}]}}}}))
    return {**made, "status": {"startTime": to_time(NOW - 100), **(status or {})}}


def indexed(completions=3, parallelism=3, **more):
    return a_job(completions=completions, parallelism=parallelism, completionMode="Indexed", **more)


def a_pod(name, phase="Running", *, index=None, failures=None, going=False, tracked=True, ago=60.0, code=None,
          ready=True, restarts=0, age=50.0, bound=True, condition=None, orphan=False):
    """A pod of the job that ended so many seconds `ago`, if it has."""
    job = a_job()
    metadata = {"name": name, "namespace": "math", "uid": name, "creationTimestamp": to_time(NOW - ago - age),
                "labels": at(job, "spec.template.metadata.labels"), "ownerReferences": [controller_reference(job)]}
    if orphan:
        del metadata["ownerReferences"]
    if index is not None:
        metadata["annotations"] = {INDEX: str(index), **({FAILURES: str(failures)} if failures is not None else {})}
    if tracked:
        metadata["finalizers"] = [FINALIZER]
    if going:
        metadata |= {"deletionTimestamp": to_time(NOW + 30), "deletionGracePeriodSeconds": 30}
    container = {"name": "main", "restartCount": restarts}
    if phase in ("Succeeded", "Failed"):
        code = code if code is not None else int(phase == "Failed")
        container["state"] = {"terminated": {"exitCode": code, "finishedAt": to_time(NOW - ago)}}
    conditions = [{"type": "Ready", "status": str(ready and phase == "Running"), "lastTransitionTime": to_time(NOW - ago)}]
    if condition:
        conditions.append({"type": condition, "status": "True"})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "n1"} if bound else {},
            "status": {"phase": phase, "conditions": conditions, "containerStatuses": [container]}}


def seen(job, *pods):
    return Observed(job, list(pods))


def summary(plan) -> str:
    """`+ +#2 -a ~b`: two pods made, the second of index 2; a ended, b let go."""
    said = []
    for action in plan.actions:
        match action:
            case Create(obj):
                number = labels_of(obj).get(INDEX)
                said.append("+" if number is None else f"+#{number}")
            case Delete(key):
                said.append(f"-{key.name}")
            case Patch(key, _, patch):
                said.append(f"~{key.name}" if "finalizers" not in patch["metadata"] else f"={key.name}")
    return " ".join(said)


def status_in(plan):
    return next((action.status for action in plan.actions if isinstance(action, SetStatus)), None)


def conditions_in(plan):
    return {one["type"]: one["reason"] for one in (status_in(plan) or {}).get("conditions", ()) if one["status"] == "True"}


def events_in(plan):
    return [(action.type, action.reason, action.message) for action in plan.actions if isinstance(action, Tell)]
