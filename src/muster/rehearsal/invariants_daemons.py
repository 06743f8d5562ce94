"""The laws of DaemonSets: how many nodes may be without their daemon because of us, and how many daemons a node has.

    a daemon that is available is taken down only while, with it, no more than maxUnavailable nodes are without one;
    nodes that went down by themselves before count too, those that did so just now do not
    no daemon comes to a node where one of its set still is, but for the successor in a rollout that surges

Nodes that are down are counted along (Standing), so a daemon that goes costs the same on ten nodes and on 5,000.
https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/
"""
from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, annotations_of, controller_of, is_deleting, uid_of
from ..store.history import Change
from .invariants_scene import (
    ENDED,
    Standing,
    available_from,
    daemon_fits,
    node_of,
    owner_of,
    phase_of,
    share_of,
)

if TYPE_CHECKING:
    from .invariants import Laws

CONTROLLER = "daemon-set-controller", "daemonset-controller"
HASH_LABEL = "controller-revision-hash"


class _Set:
    """One DaemonSet: which of its nodes have a daemon that is available, and why the others do not."""

    def __init__(self, daemonset: Obj):
        self.obj = daemonset
        self.nodes: Standing[str] = Standing()  # those where a daemon is wanted
        self.at: dict[str, dict[Key, Obj]] = {}  # node -> its pods there
        self.went_down: dict[str, tuple[float, bool]] = {}  # when, and was it the controller's doing?
        self.changed = -math.inf
        self.allowed = -math.inf, 0  # until when more was allowed, and how much
        self.newest = 0, ""  # the last revision, and its hash
        self.is_sure = True  # where its daemons belong

    def surges(self) -> bool:
        strategy = self.obj["spec"].get("updateStrategy") or {}
        return strategy.get("type", "RollingUpdate") == "RollingUpdate" and bool(
            share_of((strategy.get("rollingUpdate") or {}).get("maxSurge") or 0, 100, up=True))

    def may_be_down(self) -> int:
        strategy = self.obj["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate" \
                or annotations_of(self.obj).get("muster.dev/paused") == "true":
            return 0
        most = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
        return share_of(most, len(self.nodes.since), up=True)

    def is_current(self, pod: Obj) -> bool:
        return (pod["metadata"].get("labels") or {}).get(HASH_LABEL) == self.newest[1]


class Daemons:
    def __init__(self, laws: Laws):
        self._laws = laws
        self._sets: dict[str, _Set] = {}
        self._node_changed: dict[str, float] = {}

    # ---- before the scene knows

    def hear(self, change: Change) -> None:
        if change.key.resource == "pods":
            self._judge(change)

    def _judge(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        if new is None:
            return
        daemons = self._sets.get(owner_of(new, "DaemonSet"))
        if daemons is None:
            return
        if old is None:
            self._comes(key, daemons, node_of(new))
        elif is_deleting(new) and not is_deleting(old) and self._laws.who() in CONTROLLER:
            self._goes(key, old, daemons, node_of(old))

    def _comes(self, key: Key, daemons: _Set, node: str) -> None:
        laws = self._laws
        came = laws.scene.came
        others = [pod for other, pod in daemons.at.get(node, {}).items()
                  if not (is_deleting(pod) and phase_of(pod) in ENDED) and not laws.is_hidden(came.get(other))]
        standing = [pod for pod in others if not is_deleting(pod)]
        if laws.is_fresh(daemons.changed):
            return
        if len(standing) > 1 or (others and not daemons.surges()):
            laws.wrong("one daemon a node", key, f"comes to {node}, where {len(others)} of its set are already")

    def _goes(self, key: Key, pod: Obj, daemons: _Set, node: str) -> None:
        laws, now = self._laws, self._laws.now()
        if node not in daemons.nodes.since or not daemons.is_sure:
            return  # no daemon belongs there
        standing = [other for other in daemons.at.get(node, {}).values()
                    if not is_deleting(other) and phase_of(other) not in ENDED]
        alike = [other for other in standing if daemons.is_current(other) == daemons.is_current(pod)]
        if len(alike if daemons.surges() else standing) > 1:
            return  # one too many
        up = [other for other in standing if available_from(other, daemons.obj) <= now]
        if pod not in up or len(up) > 1:
            return  # it was down itself, or another one stands there
        if laws.is_fresh(daemons.changed) or laws.is_fresh(self._node_changed.get(node)):
            return
        down = [name for name in daemons.nodes.down(now) if not self._just_went(daemons, name)]
        until, most = daemons.allowed
        allowed = max(daemons.may_be_down(), most if laws.is_fresh(until) else 0)
        if len(down) + 1 > allowed:
            laws.wrong("never more than maxUnavailable down", key,
                       f"is taken down on {node}: {len(down) + 1} nodes without their daemon "
                       f"({', '.join([node, *down][:5])}), {allowed} allowed")

    def _just_went(self, daemons: _Set, node: str) -> bool:
        """By itself, or with its node, a moment ago: the controller may not know."""
        when, by_controller = daemons.went_down.get(node, (-math.inf, False))
        return (not by_controller and self._laws.is_fresh(when)) or self._laws.is_fresh(self._node_changed.get(node))

    # ---- once the scene knows

    def heard(self, change: Change) -> None:
        match change.key.resource:
            case "pods":
                self._pod_changed(change)
            case "nodes":
                self._node_is_new(change)
            case "daemonsets.apps":
                self._set_changed(change)
            case _:
                self._revision_came(change.value)

    def _pod_changed(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        before, after = owner_of(old, "DaemonSet"), owner_of(new, "DaemonSet")
        for uid, pod, is_there in ((before, old, False), (after, new, True)):
            daemons = self._sets.get(uid) if uid else None
            if daemons is None or pod is None:
                continue
            node = node_of(pod)
            there = daemons.at.setdefault(node, {})
            if is_there:
                there[key] = pod
            elif not (before == after and new is not None and node_of(new) == node):
                there.pop(key, None)
            else:
                continue  # it is put there in a moment
            self._place(daemons, node)
            if not there:
                del daemons.at[node]

    def _place(self, daemons: _Set, node: str) -> None:
        if node not in daemons.nodes.since:
            return
        now = self._laws.now()
        was_up = daemons.nodes.is_up(node, now)
        since = min((available_from(pod, daemons.obj) for pod in daemons.at.get(node, {}).values()), default=math.inf)
        daemons.nodes.put(node, since, now)
        if was_up and since > now:
            daemons.went_down[node] = now, self._laws.who() in CONTROLLER
        elif not was_up and since <= now:
            daemons.went_down.pop(node, None)

    def _node_is_new(self, change: Change) -> None:
        old, new, name, now = change.previous, change.value, change.key.name, self._laws.now()
        if old is not None and new is not None and old["spec"] == new["spec"] \
                and old["metadata"].get("labels") == new["metadata"].get("labels"):
            return
        self._node_changed[name] = now
        for daemons in self._sets.values():
            self._note_limit(daemons)
            self._fit(daemons, name, new)

    def _fit(self, daemons: _Set, name: str, node: Obj | None) -> None:
        fits = daemon_fits(daemons.obj, node) if node is not None else "leave"
        if fits == "unsure":
            daemons.is_sure = False
        if fits != "run":
            daemons.nodes.drop(name)
            daemons.went_down.pop(name, None)
        elif name not in daemons.nodes.since:
            daemons.nodes.put(name, math.inf, self._laws.now())
            self._place(daemons, name)

    def _note_limit(self, daemons: _Set) -> None:
        """What is allowed now stays allowed until the controller must have seen the change that comes."""
        until, most = daemons.allowed
        daemons.allowed = self._laws.now(), max(daemons.may_be_down(), most if self._laws.is_fresh(until) else 0)

    def _set_changed(self, change: Change) -> None:
        old, new, now = change.previous, change.value, self._laws.now()
        if new is None:
            self._sets.pop(uid_of(old) if old is not None else "", None)
            return
        daemons = self._sets.get(uid_of(new))
        if daemons is None:
            daemons = self._sets[uid_of(new)] = _Set(new)
            for key, pod in self._laws.scene.pods_of(uid_of(new)).items():
                daemons.at.setdefault(node_of(pod), {})[key] = pod
        elif daemons.obj["spec"] == new["spec"] and _asked(daemons.obj) == _asked(new):
            daemons.obj = new
            return
        else:
            self._note_limit(daemons)
        daemons.obj, daemons.changed, daemons.is_sure = new, now, True
        for name, node in self._laws.scene.nodes.items():
            self._fit(daemons, name, node)
            self._place(daemons, name)

    def _revision_came(self, revision: Obj | None) -> None:
        owner = controller_of(revision) if revision is not None else None
        if revision is None or owner is None or owner["kind"] != "DaemonSet":
            return
        daemons = self._sets.get(owner["uid"])
        if daemons is not None and revision["revision"] >= daemons.newest[0]:
            daemons.newest = revision["revision"], (revision["metadata"].get("labels") or {}).get(HASH_LABEL, "")


def _asked(daemonset: Obj) -> tuple[object, ...]:
    metadata = daemonset["metadata"]
    return metadata.get("annotations"), metadata.get("deletionTimestamp"), metadata.get("labels")


