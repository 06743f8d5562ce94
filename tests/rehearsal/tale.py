"""Histories written by hand, for the tests of laws: who writes what, and when."""
from __future__ import annotations

import asyncio
from dataclasses import replace

from muster.api.objects import Key, to_time, with_
from muster.rehearsal.invariants import Laws
from muster.rehearsal.world import State
from muster.store.memory import MemoryStore
from muster.store.store import ANY

NOON = 1_767_225_600.0
RS, DS, DEPLOY, STS, JOB = "replicasets.apps", "daemonsets.apps", "deployments.apps", "statefulsets.apps", "jobs.batch"


class Tale:
    """A history written by hand: who writes what, and when."""

    def __init__(self, lag_s=0.0):
        self.now, self.who = NOON, "kubernetes-admin"
        self.store = MemoryStore()
        self._lag_s = lag_s
        self._begin()

    def _begin(self):
        self.laws = Laws(self.store.history, lambda: self.now, who=lambda: self.who,
                         seen_until=lambda: self.now - self._lag_s, keep_values=True)

    def taken_over(self):
        """By laws that begin here, on a store that holds pods first, and sets before who owns them."""
        state = State.of(self.store, self.now)
        self.store = replace(state, objects=dict(sorted(state.objects.items(), reverse=True))).store()
        self._begin()
        return self

    def by(self, who):
        self.who = who
        return self

    def after(self, seconds):
        self.now += seconds
        return self

    def put(self, resource, obj):
        key = Key(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        asyncio.run(self.store.commit(key, obj, expect=ANY))
        return self

    def gone(self, resource, name, namespace="default"):
        asyncio.run(self.store.commit(Key(resource, namespace, name), None, expect=ANY))
        return self

    def laws_broken(self):
        self.laws.check()
        return [one.law for one in self.laws.broken]


def workload(kind, name="w", owner=None, generation=1, **spec):
    group = "batch/v1" if kind == "Job" else "apps/v1"
    metadata = {"name": name, "namespace": "default", "uid": f"{kind}-{name}", "generation": generation}
    if owner is not None:
        metadata["ownerReferences"] = [reference(owner)]
    return {"apiVersion": group, "kind": kind, "metadata": metadata,
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "x"}]}}, **spec}, "status": {}}


def reference(owner):
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True}


def pod(name, owner, node="n1", ready=True, phase="Running", since=NOON, labels=None):
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": to_time(since)}]
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": node, "containers": [{"name": "app", "image": "x"}]},
            "metadata": {"name": name, "namespace": "default", "uid": f"pod-{name}", "labels": labels or {},
                         "creationTimestamp": to_time(since), "ownerReferences": [reference(owner)]},
            "status": {"phase": phase, "conditions": conditions}}


def going(one):
    return with_(one, "metadata.deletionTimestamp", to_time(NOON))


def node(name, ready="True", heard=NOON, **spec):
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": to_time(heard), "lastTransitionTime": to_time(heard)}
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": f"node-{name}", "labels": {}, "creationTimestamp": to_time(NOON)},
            "spec": spec, "status": {"conditions": [condition] if ready else []}}
