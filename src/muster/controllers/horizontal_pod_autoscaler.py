"""Keeps the number of a target's pods at what their work takes, looking every 15 s.

    observe     the target's scale, its pods, and what they were measured to use
    decide      each metric's proposal (scaling_metrics.py), the largest of them, as fast as it may go (scaling_pace.py)
    act         the scale of the target; status, conditions and events of the autoscaler

The target is anything with a scale.  Its pods are found through their owners, not by asking every pod of the namespace
for its labels: what adopts by its selector owns what matches.  What is remembered between looks is lost with the
process, as upstream: nothing scales down in its first five minutes then.
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from ..api.kinds.catalogue import Kinds
from ..api.kinds.horizontal_pod_autoscaler import RESOURCE
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, at, from_time, is_deleting, name_of, namespace_of, to_time, uid_of, with_condition
from ..api.samples import Meter
from ..client.mirror import Mirror
from ..control.plan import Action, Patch, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..server.subresources import SCALE, scale_of
from ..store.history import Change
from .scaling_metrics import Look, Proposal, Unknown, propose
from .scaling_pace import Bounds, Memory, limit

PERIOD_S = 15.0
EARLY_S = 1e-3  # a timer may come this much too early
MOST_REMEMBERED = 10_000  # autoscalers

Condition = tuple[str, str, str, str]  # type, status, reason, message


class Memories(dict[str, Memory]):
    """The memory of every autoscaler, by its uid."""

    def keep(self, uid: str, memory: Memory) -> None:
        if uid not in self and len(self) >= MOST_REMEMBERED:
            del self[next(iter(self))]
        self[uid] = memory


@dataclass(frozen=True, slots=True)
class Observed:
    autoscaler: Obj
    key: Key | None = None  # of the target
    scale: Obj | None = None
    wrong: str = ""  # why there is no scale
    look: Look = field(default_factory=lambda: Look(0, (), {}))
    rivals: tuple[str, ...] = ()  # all autoscalers of that target, where there are several
    memory: Memory = Memory()
    memories: Memories = field(default_factory=Memories)


@dataclass(frozen=True, slots=True)
class Decision:
    plan: Plan
    memory: Memory
    unscaled: Memory = Memory()  # what is remembered where the target's scale could not be changed


# ------------------------------------------------------------------ looking

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    """One that is new, or that asks for something else: its own status says nothing new."""
    old, new = change.previous, change.value
    if new is not None and (old is None or old["spec"] != new["spec"] or uid_of(old) != uid_of(new)):
        yield change.key


def observe(mirror: Mirror, key: Key, kinds: Kinds, meter: Meter, memories: Memories) -> Observed | None:
    autoscaler = mirror.get(key)
    if autoscaler is None or is_deleting(autoscaler):
        return None
    memory = memories.get(uid_of(autoscaler), Memory())
    wanted = autoscaler["spec"]["scaleTargetRef"]
    kind, wrong = _kind_of(wanted, kinds)
    if kind is None:
        return Observed(autoscaler, wrong=wrong, memory=memory, memories=memories)
    target_key = kind.key(key.namespace, wanted["name"])
    target = mirror.get(target_key)
    if target is None:
        wrong = f'{kind.plural}/{SCALE}{"." if kind.group else ""}{kind.group} "{wanted["name"]}" not found'
        return Observed(autoscaler, wrong=wrong, memory=memory, memories=memories)
    scale = scale_of(target)
    pods = sorted(_pods_of(mirror, target), key=name_of)
    samples = {name_of(pod): sample for pod in pods if (sample := meter.pod(pod)) is not None}
    return Observed(autoscaler, target_key, scale, "", Look(at(scale, "spec.replicas", 0), pods, samples),
                    _rivals(mirror, autoscaler), memory, memories)


def _kind_of(reference: Obj, kinds: Kinds) -> tuple[Kind | None, str]:
    version = reference.get("apiVersion") or ""
    if version.count("/") > 1:
        return None, f"unexpected GroupVersion string: {version}"
    group = version.rpartition("/")[0]
    found = next((one for one in kinds if (one.group, one.name) == (group, reference["kind"])
                  and one.stored_as is None and one.namespaced), None)
    if found is None:
        return None, f'no matches for kind "{reference["kind"]}" in group "{group}"'
    if found.subresource(SCALE) is None:
        return None, "the server could not find the requested resource"
    return found, ""


def _pods_of(mirror: Mirror, owner: Obj) -> Iterator[Obj]:
    """Its pods, and those of what it owns (a Deployment's ReplicaSets)."""
    for key, one in mirror.dependents(uid_of(owner)).items():
        if key.resource == "pods":
            yield one
        elif "template" in (one.get("spec") or {}):
            yield from (pod for below, pod in mirror.dependents(uid_of(one)).items() if below.resource == "pods")


def _rivals(mirror: Mirror, autoscaler: Obj) -> tuple[str, ...]:
    wanted = _target_of(autoscaler)
    there = mirror.in_namespace(RESOURCE, namespace_of(autoscaler))
    if len(there) < 2:
        return ()
    names = sorted(name for name, other in there.items() if _target_of(other) == wanted)
    return tuple(f"{namespace_of(autoscaler)}/{name}" for name in names) if len(names) > 1 else ()


def _target_of(autoscaler: Obj) -> tuple[str, str]:
    reference = autoscaler["spec"]["scaleTargetRef"]
    return reference["kind"], reference["name"]


# ------------------------------------------------------------------ deciding

def plan(seen: Observed, now: float) -> Plan:
    decision = decide(seen, now)
    seen.memories.keep(uid_of(seen.autoscaler), decision.memory)
    instead = decision.plan.otherwise
    if instead is None:
        return decision.plan

    def refused(why: str) -> list[Action]:
        seen.memories.keep(uid_of(seen.autoscaler), decision.unscaled)
        return instead(why)
    return replace(decision.plan, otherwise=refused)


def decide(seen: Observed, now: float) -> Decision:
    memory = seen.memory
    due = memory.next_look or from_time(seen.autoscaler["metadata"]["creationTimestamp"]) + PERIOD_S
    if now < due - EARLY_S:
        return Decision(Plan(wake_at=due), replace(memory, next_look=due))
    memory = replace(memory, next_look=now + PERIOD_S)
    turn = _Turn(seen, now)
    memory = turn.go(memory)
    size = 1 + len(seen.look.pods)
    return Decision(Plan(turn.actions(), memory.next_look, size, turn.instead), memory, turn.unscaled)


class _Turn:
    """One look: the status as it becomes, what is told, and the number that is asked for."""

    def __init__(self, seen: Observed, now: float):
        self.seen, self.now = seen, now
        self.status: Obj = seen.autoscaler.get("status") or {}
        self.tells: list[Tell] = []
        self.wanted: int | None = None  # replicas to be asked for
        self.instead: Callable[[str], list[Action]] | None = None  # of what follows, where they are refused
        self.unscaled = Memory()

    def actions(self) -> list[Action]:
        autoscaler, key = self.seen.autoscaler, self.seen.key
        actions: list[Action] = []
        if self.wanted is not None and key is not None and self.seen.scale is not None:
            actions.append(Patch(key, uid_of(self.seen.scale), {"spec": {"replicas": self.wanted}}, subresource=SCALE))
        if self.status != autoscaler.get("status"):
            own = Key(RESOURCE, namespace_of(autoscaler), name_of(autoscaler))
            actions.append(SetStatus(own, uid_of(autoscaler), self.status, tell=autoscaler))
        return [*actions, *self.tells]

    def go(self, memory: Memory) -> Memory:
        spec, scale = self.seen.autoscaler["spec"], self.seen.scale
        if scale is None:
            why = f"the HPA controller was unable to get the target's current scale: {self.seen.wrong}"
            self._tell("Warning", "FailedGetScale", self.seen.wrong)
            self._say(("AbleToScale", "False", "FailedGetScale", why))
            return memory
        self._say(("AbleToScale", "True", "SucceededGetScale",
                   "the HPA controller was able to get the target's current scale"))
        current = at(scale, "spec.replicas", 0)
        if not memory.recommendations:
            memory = memory.recommended(self.now, current)
        bounds = Bounds(spec.get("minReplicas", 1), spec["maxReplicas"])
        if current == 0 and bounds.least != 0:
            self._say(("ScalingActive", "False", "ScalingDisabled",
                       "scaling is disabled since the replica count of the target is zero"))
            self._count(current, 0, [])
            return memory
        if current > bounds.most:
            return self._rescale(memory, current, bounds.most, "Current number of replicas above Spec.MaxReplicas", [])
        if current < bounds.least:
            return self._rescale(memory, current, bounds.least, "Current number of replicas below Spec.MinReplicas", [])
        return self._by_metrics(memory, current, bounds)

    def _by_metrics(self, memory: Memory, current: int, bounds: Bounds) -> Memory:
        behavior = self.seen.autoscaler["spec"].get("behavior")
        told: list[Obj] = []
        found = self._proposal(current, told)
        if found is None:
            self._count(current, at(self.status, "desiredReplicas", 0), told)
            return memory
        wanted, reason = found.replicas, ""
        if wanted > current:
            reason = f"{found.metric} above target"
        elif wanted < current:
            reason = "All metrics below target"
        limited = limit(behavior, memory, current, wanted, bounds, self.now)
        memory = memory.recommended(self.now, wanted)
        self._say(limited.able)
        self._say(limited.limited)
        if limited.replicas == current:
            self._count(current, current, told)
            return memory
        return self._rescale(memory, current, limited.replicas, reason, told)

    def _rescale(self, memory: Memory, current: int, wanted: int, reason: str, told: list[Obj]) -> Memory:
        self.wanted, self.unscaled = wanted, memory
        self.instead = partial(self._not_rescaled, self.status, list(self.tells), current, wanted, reason, told)
        self._say(("AbleToScale", "True", "SucceededRescale",
                   f"the HPA controller was able to update the target scale to {wanted}"))
        self._tell("Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")
        self._count(current, wanted, told)
        self.status = {**self.status, "lastScaleTime": to_time(self.now)}
        if self.seen.autoscaler["spec"].get("behavior") is None:
            return memory
        return memory.scaled(self.now, current, wanted)

    def _not_rescaled(self, status: Obj, tells: list[Tell], current: int, wanted: int, reason: str, told: list[Obj],
                      why: str) -> list[Action]:
        self.status, self.tells, self.wanted = status, tells, None
        self._tell("Warning", "FailedRescale", f"New size: {wanted}; reason: {reason}; error: {why}")
        self._say(("AbleToScale", "False", "FailedUpdateScale",
                   f"the HPA controller was unable to update the target scale: {why}"))
        self._count(current, at(status, "desiredReplicas", 0), told)
        return self.actions()

    # Metrics

    def _proposal(self, current: int, told: list[Obj]) -> Proposal | None:
        """The largest that any metric asks for; `told` gets what each one is.  None: they can not be trusted."""
        if not self._selects_alone():
            return None
        autoscaler, metrics = self.seen.autoscaler, self.seen.autoscaler["spec"].get("metrics") or []
        best: Proposal | None = None
        first: Unknown | None = None
        unknown = 0
        for metric in metrics:
            try:
                proposal = propose(metric, self.seen.look, namespace_of(autoscaler), self.now)
            except Unknown as failure:
                self._tell("Warning", failure.reason, failure.why)
                first, unknown = first or failure, unknown + 1
                told.append({"type": ""})
                continue
            told.append(proposal.status)
            if best is None or proposal.replicas > best.replicas:
                best = proposal
        if first is not None and (best is None or best.replicas < current):
            self._say(("ScalingActive", "False", first.reason,
                       f"the HPA was unable to compute the replica count: {first.why}"))
            self._tell("Warning", "FailedComputeMetricsReplicas",
                       f"invalid metrics ({unknown} invalid out of {len(metrics)}), first error is: {first.told}")
            return None
        assert best is not None, "an autoscaler has metrics: they are filled in"
        self._say(("ScalingActive", "True", "ValidMetricFound",
                   f"the HPA was able to successfully calculate a replica count from {best.metric}"))
        return best

    def _selects_alone(self) -> bool:
        selector = at(self.seen.scale or {}, "status.selector", "")
        if not selector:
            self._tell("Warning", "SelectorRequired", "selector is required")
            self._say(("ScalingActive", "False", "InvalidSelector", "the HPA target's scale is missing a selector"))
            self._tell("Warning", "FailedComputeMetricsReplicas", "selector is required")
            return False
        if self.seen.rivals:
            why = (f"pods by selector {selector} are controlled by multiple HPAs: "
                   f"[{' '.join(self.seen.rivals)}]")
            self._tell("Warning", "AmbiguousSelector", why)
            self._say(("ScalingActive", "False", "AmbiguousSelector", why))
            self._tell("Warning", "FailedComputeMetricsReplicas", why)
            return False
        return True

    # The status

    def _say(self, said: Condition) -> None:
        type_, status, reason, message = said
        fresh = {"lastTransitionTime": to_time(self.now), "message": message, "reason": reason, "status": status,
                 "type": type_}
        self.status = {**self.status, "conditions": with_condition(self.status.get("conditions") or (), fresh)}

    def _count(self, current: int, wanted: int, told: list[Obj]) -> None:
        self.status = {**self.status, "currentMetrics": told or None, "currentReplicas": current,
                       "desiredReplicas": wanted}

    def _tell(self, type_: str, reason: str, message: str) -> None:
        self.tells.append(Tell(self.seen.autoscaler, "Normal" if type_ == "Normal" else "Warning", reason, message))


def horizontal_pod_autoscaler(kinds: Kinds, meter: Meter) -> Controller:
    memories = Memories()
    return Controller("horizontal-pod-autoscaler", (RESOURCE,), wakes,
                      lambda mirror, key: observe(mirror, key, kinds, meter, memories), plan)
