"""What a failed pod means to its Job, and when enough indexes have succeeded.

    judge(job, pod)      the first rule of podFailurePolicy that fits: Ignore, Count, FailIndex, FailJob
    met_by(job, done)    which rule of successPolicy is met by these indexes, if any

Without a rule that fits a failure is counted.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy
"""
from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from ..api.indexes import known_indexes
from ..api.objects import Obj, at, condition, name_of, namespace_of
from .job_pods import container_statuses


class Judgement(NamedTuple):
    action: str  # "Count" where no rule fits
    message: str = ""  # for FailJob: what fitted


COUNT = Judgement("Count")


def judge(job: Obj, pod: Obj) -> Judgement:
    if at(pod, "status.phase") != "Failed":
        return COUNT
    for index, rule in enumerate(at(job, "spec.podFailurePolicy.rules", ())):
        why = _by_exit_code(rule["onExitCodes"], pod) if rule.get("onExitCodes") else _by_condition(rule, pod)
        if why:
            return Judgement(rule["action"], f"{why} matching {rule['action']} rule at index {index}")
    return COUNT


def _by_exit_code(wanted: Obj, pod: Obj) -> str:
    for status in container_statuses(pod):
        ended = at(status, "state.terminated")
        if ended is None or wanted.get("containerName") not in (None, status["name"]):
            continue
        code = ended.get("exitCode", 0)
        if code != 0 and (code in wanted["values"]) == (wanted["operator"] == "In"):
            return f"Container {status['name']} for pod {_spoken(pod)} failed with exit code {code}"
    return ""


def _by_condition(rule: Obj, pod: Obj) -> str:
    for pattern in rule.get("onPodConditions") or ():
        found = condition(pod, pattern["type"])
        if found is not None and found.get("status") == pattern["status"]:
            return f"Pod {_spoken(pod)} has condition {pattern['type']}"
    return ""


def _spoken(pod: Obj) -> str:
    return f"{namespace_of(pod)}/{name_of(pod)}"


def met_by(job: Obj, done: Set[int]) -> int | None:
    """The place of the first success rule that holds."""
    completions = job["spec"].get("completions") or 0
    for place, rule in enumerate(at(job, "spec.successPolicy.rules", ())):
        named = rule.get("succeededIndexes")
        among = known_indexes(named, completions) if named is not None else None
        succeeded = len(done & among) if among is not None else len(done)
        count = rule.get("succeededCount")
        needed = count if count is not None else len(among or ())
        if succeeded >= needed:
            return place
    return None
