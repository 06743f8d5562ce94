"""Reads what simulated pods and nodes use, when it is asked: what kubelets tell and metrics-server keeps.

    pod(pod)     the newest sample of each running container; None: there is none yet
    node(node)   all of its pods, and what the node uses for itself
    used(pod)    the same before it is seen by a window: what the node's agent goes by

Every 15 s by a node's clock a window ends, and all answers are about the newest one that did.  A container is first
seen by the window that ends 10 s after its start or later, as metrics-server takes it.  One pod costs the same however
many there are: what is kept is how many pods of each owner are ready, for the loads that they share.
https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, annotations_of, controller_of, from_time, is_true, labels_of, uid_of
from ..api.samples import NodeSample, PodSample, Used
from ..client.mirror import Mirror
from ..clock import Clock
from ..store.history import Change
from . import behaviour, usage
from .machines import POOL, clock_skew_s, is_failing, is_simulated
from .pod_status import PHASE_OVER
from .usage import Use

FRESH_S = 10.0  # a container's first window is this long at least
POOLS = "nodepools.muster.dev"


class FleetMeter:
    def __init__(self, mirror: Mirror, clock: Clock, kinds: Kinds, simulates: Callable[[Obj], bool] = is_simulated):
        self._mirror, self._clock, self._kinds, self._simulates = mirror, clock, kinds, simulates
        self._ready: Counter[str] | None = None  # owner's uid -> how many of its pods are ready

    def pod(self, pod: Obj) -> PodSample | None:
        node = self._mirror.get(Key("nodes", "", pod["spec"].get("nodeName", "")))
        if node is None or not self._simulates(node) or is_failing(node):
            return None
        at = usage.window_at(self._clock.now() + clock_skew_s(node))
        began = dict(running_in(pod))
        if (pod.get("status") or {}).get("phase") != "Running" or not began:
            return None
        latest = max(began.values())
        if latest + FRESH_S > at:
            return None
        return PodSample(at, min(float(usage.WINDOW_S), at - latest), self.used(pod, node, at))

    def node(self, node: Obj) -> NodeSample | None:
        at = usage.window_at(self._clock.now() + clock_skew_s(node))
        capacity = (node.get("status") or {}).get("capacity")
        if not capacity or not self._simulates(node) or is_failing(node):
            return None
        if from_time(node["metadata"]["creationTimestamp"]) + clock_skew_s(node) + FRESH_S > at:
            return None
        pods = self._mirror.on_node(node["metadata"]["name"])
        used = [one for pod in pods.values() for one in self.used(pod, node, at).values()]
        return NodeSample(at, float(usage.WINDOW_S), usage.total([*used, usage.system_use(capacity)]))

    def used(self, pod: Obj, node: Obj, at: int | None = None) -> dict[str, Used]:
        """What each running container uses, however young it is."""
        running = dict(running_in(pod))
        if not running or (pod.get("status") or {}).get("phase") in PHASE_OVER:
            return {}
        said, workload = self._said(pod)
        usual = self._usual_on(node)
        unrequested = usage.unrequested_memory_of((node.get("status") or {}).get("capacity") or {})
        window = usage.window_at(self._clock.now() + clock_skew_s(node)) if at is None else at
        found: dict[str, Used] = {}
        spec = pod["spec"]
        for place, container in enumerate((*spec["containers"], *(spec.get("initContainers") or ()))):
            if container["name"] not in running:
                continue
            use = usage.use_of(container["name"], place == 0, said, usual)
            load = use.load * self._share(pod, workload) if use.load is not None else 0.0
            found[container["name"]] = usage.used_by(container, use, uid_of(pod), window, load, unrequested)
        return found

    # What was said, and where

    def _said(self, pod: Obj) -> tuple[Mapping[str, Use], Obj | None]:
        """What holds for the pod, and the workload it belongs to in the end (a Deployment, say)."""
        said = usage.said_of(annotations_of(pod))
        workload: Obj | None = None
        for owner in self._owners(pod):
            workload = owner
            said = {**usage.said_of(annotations_of(owner)), **said}
        return said, workload

    def _owners(self, obj: Obj) -> Iterator[Obj]:
        """Its controller, and the controller of that."""
        for _ in range(2):
            reference = controller_of(obj)
            kind = self._kinds.named(reference["apiVersion"], reference["kind"]) if reference is not None else None
            if reference is None or kind is None or kind.stored_resource not in self._mirror.resources:
                return
            namespace = obj["metadata"].get("namespace", "") if kind.namespaced else ""
            owner = self._mirror.get(Key(kind.stored_resource, namespace, reference["name"]))
            if owner is None or uid_of(owner) != reference["uid"]:
                return
            yield owner
            obj = owner

    def _usual_on(self, node: Obj) -> Use:
        pool = self._mirror.get(Key(POOLS, "", labels_of(node).get(POOL, "")))
        usual = behaviour.usage_of((pool["spec"].get("behaviour") or {}).get("usage")) if pool else usage.NOTHING_SAID
        own = annotations_of(node).get(behaviour.ANNOTATION)
        return behaviour.from_annotation(own).usage.over(usual) if own else usual

    def may_press(self, pod: Obj, node: Obj) -> bool:
        """Was anything said of what the pod uses?  If not, it brings no node under pressure."""
        usual = self._usual_on(node)
        return (usual.memory is not None or usual.storage is not None or usage.ANNOTATION in annotations_of(pod)
                or any(usage.ANNOTATION in annotations_of(owner) for owner in self._owners(pod)))

    # Loads that are shared

    def _share(self, pod: Obj, workload: Obj | None) -> float:
        """Of its workload's load: one part of as many as there are ready pods."""
        if not is_true(pod, "Ready"):
            return 0.0
        if workload is None:
            return 1.0
        uid, counted = uid_of(workload), self._counted()
        ready = counted[uid]
        owner = controller_of(pod)
        if owner is not None and owner["uid"] != uid:  # its sets stand between, few of them
            ready += sum(counted[uid_of(one)] for one in self._mirror.dependents(uid).values())
        return 1.0 / max(1, ready)

    def _counted(self) -> Counter[str]:
        """Kept from when it is first asked for: few clusters have loads that are shared."""
        if self._ready is not None:
            return self._ready
        counted = Counter(filter(None, map(_ready_for, self._mirror.objects("pods").values())))
        if self._mirror.is_synced:  # else changes that are counted here are still to be told
            self._ready = counted
            self._mirror.on_change(self._count, ["pods"])
        return counted

    def _count(self, change: Change) -> None:
        assert self._ready is not None, "it hears of changes once it counts"
        before, after = _ready_for(change.previous), _ready_for(change.value)
        if before == after:
            return
        if before:
            self._ready[before] -= 1
            if not self._ready[before]:
                del self._ready[before]
        if after:
            self._ready[after] += 1


def _ready_for(pod: Obj | None) -> str:
    """The uid of the controller that the pod is ready for; "" for one that is not, or has none."""
    if pod is None or not is_true(pod, "Ready"):
        return ""
    owner = controller_of(pod)
    return owner["uid"] if owner is not None else ""


def running_in(pod: Obj) -> Iterator[tuple[str, float]]:
    """The containers that run, and since when."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        for one in status.get(field) or ():
            running = (one.get("state") or {}).get("running")
            if running and running.get("startedAt"):
                yield one["name"], from_time(running["startedAt"])
