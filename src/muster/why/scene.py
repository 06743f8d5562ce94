"""What is looked at for one answer: a copy of the cluster, and the scheduler's books over it.

The books (rooms, tallies, budgets) are made when a question needs them: one about a pod that runs does not.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..api.objects import Key, Obj, at, name_of, namespace_of, uid_of
from ..client.mirror import Mirror
from ..scheduler.barrier import remembering
from ..scheduler.choice import World
from ..scheduler.obstacle import Around
from ..scheduler.preempt import Budget, budget_of
from ..scheduler.snapshot import Snapshot, Waiting, snapshot_of, waiting_of
from ..scheduler.topology import Surroundings
from .answer import Answer

BUDGETS, EVENTS = "poddisruptionbudgets.policy", "events"


@dataclass
class Scene:
    mirror: Mirror
    now: float
    answered: dict[Hashable, Answer] = field(default_factory=dict)  # pods that are alike, and without a node

    @cached_property
    def snapshot(self) -> Snapshot:
        return snapshot_of(*([one for _, one in self._all(resource)] for resource in ("nodes", "pods", "namespaces")))

    @cached_property
    def world(self) -> World:
        """With room kept for the pods that are nominated."""
        nominated: dict[str, dict[Key, Waiting]] = {}
        for pod in self.mirror.on_node("").values():
            if node := at(pod, "status.nominatedNodeName", ""):
                key = Key("pods", namespace_of(pod), name_of(pod))
                nominated.setdefault(node, {})[key] = waiting_of(key, pod)
        found = self.snapshot
        return World.of(found.rooms, found.node_order(), tallies=found.tallies, nominated=nominated)

    @cached_property
    def around(self) -> Around:
        return remembering(lambda wishes: Surroundings(wishes, self.world.draft))

    @cached_property
    def budgets(self) -> list[Budget]:
        return [budget_of(one) for _, one in self._all(BUDGETS)]

    def node(self, name: str) -> Obj | None:
        return self.mirror.get(Key("nodes", "", name)) if name else None

    def objects(self, resource: str) -> Mapping[tuple[str, str], Obj]:
        """Empty where it was not asked for, or may not be listed."""
        return self.mirror.objects(resource) if resource in self.mirror.resources else {}

    def _all(self, resource: str) -> list[tuple[tuple[str, str], Obj]]:
        return sorted(self.objects(resource).items())

    def last_warning(self, about: Obj) -> str:
        """The last thing that somebody complained of: "FailedMount: ..."."""
        last = self._last_warnings.get(uid_of(about))
        return f"{last.get('reason', '')}: {last.get('message', '')}" if last is not None else ""

    @cached_property
    def _last_warnings(self) -> Mapping[str, Obj]:
        """By the uid of what each is about."""
        told = [one for one in self.objects(EVENTS).values() if one.get("type") == "Warning"]
        told.sort(key=lambda one: (one.get("lastTimestamp") or one.get("eventTime") or "", name_of(one)))
        return {at(one, "involvedObject.uid", ""): one for one in told}
