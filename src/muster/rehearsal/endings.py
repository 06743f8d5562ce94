"""Who ended which pod: its own controller, which is counted, or somebody else, which is told one by one."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ..api.objects import Key, Obj, at, uid_of
from ..control.plan import Tell
from .outcome import Ending
from .tracked import Tracked
from .world import ADMIN

MOST_ENDINGS = 200  # told one by one; the rest are counted
OWN = {"daemon-set-controller", "replicaset-controller", "statefulset-controller", "job-controller",
       "generic-garbage-collector", "garbage-collector", "namespace-controller", "node"}
HOW = {"kube-scheduler": "preempted", "taint-eviction-controller": "evicted", "pod-garbage-collector": "lost",
       ADMIN: "deleted"}
PREEMPTED, BY = "Preempted", "Preempted by pod "


class Endings:
    def __init__(self, pods: Mapping[Key, Tracked], nodes: Mapping[str, Obj]):
        self._pods, self._nodes = pods, nodes
        self.replaced: Counter[str] = Counter()  # by the workload's own controller
        self.left_out = 0
        self._found: list[tuple[str, Ending]] = []  # with the pod's uid
        self._preemptors: dict[str, str] = {}  # uid of who was preempted -> the pod that came

    def hear(self, tracked: Tracked, who: str, at_s: float) -> None:
        """A pod that ran on until now has failed, is being deleted, or is gone at once."""
        if tracked.phase == "Failed":
            reason, why = at(tracked.pod, "status.reason", ""), at(tracked.pod, "status.message", "")
            self._add(tracked, at_s, "evicted" if reason == "Evicted" else "failed", "its node", why or reason)
        elif who in OWN:
            if tracked.owner is not None:
                self.replaced[tracked.owner.name] += 1
        else:
            how = HOW.get(who, "deleted")
            self._add(tracked, at_s, how, "you" if who == ADMIN else who, self._why(how, tracked))

    def _add(self, tracked: Tracked, at_s: float, how: str, by: str, why: str) -> None:
        if len(self._found) >= MOST_ENDINGS:
            self.left_out += 1
            return
        name = f"{tracked.key.namespace}/{tracked.key.name}"
        self._found.append((tracked.uid, Ending(at_s, name, tracked.node, how, by, why)))

    def told(self, tell: Tell) -> None:
        """An event: one of the scheduler's says who had to leave for whom."""
        if tell.reason == PREEMPTED:
            uid = tell.message.removeprefix(BY).partition(" ")[0]
            found = next((key for key, one in self._pods.items() if one.uid == uid), None)
            self._preemptors[uid_of(tell.about)] = f"{found.namespace}/{found.name}" if found is not None else uid

    def found(self) -> list[Ending]:
        return [replace(ending, by=self._preemptors[uid], why="a pod of higher priority")
                if uid in self._preemptors else ending for uid, ending in self._found]

    def _why(self, how: str, tracked: Tracked) -> str:
        if how == "evicted":
            node = self._nodes.get(tracked.node)
            taints = [f"{one['key']}:{one['effect']}" for one in at(node or {}, "spec.taints", [])
                      if one.get("effect") == "NoExecute"]
            return f"taint {', '.join(taints)}" if taints else ""
        if how == "lost":
            return "its node is gone" if tracked.node not in self._nodes else ""
        return ""
