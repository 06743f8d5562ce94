"""Plays a story about Jobs and CronJobs on a whole cluster in virtual time, and writes down what their statuses say.

Lines are `seconds job: what it counts; conditions`; pods' uids do not appear, only how many are written down.
"""
from __future__ import annotations

import asyncio
import json
from typing import Any

from muster.api.objects import Key
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore

COUNTS = ("active", "ready", "terminating", "succeeded", "failed", "completedIndexes", "failedIndexes")
NODE = {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s"}
TOLD_BY = ("job-controller", "cronjob-controller")


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    async def told(clock: Clock) -> list[dict[str, Any]]:
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            client = cluster.client("kubernetes-admin")
            for name in ("n1", "n2"):
                await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": {
                    "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(NODE)}}})
            await asyncio.sleep(5)
            return [await _step(cluster, client, step) for step in story["steps"]]

    return run_virtual(told, seed=story["about"])


async def _step(cluster, client, step):
    began, lines = cluster.clock.now(), []

    def hear(change):
        if change.key.resource == "jobs.batch":
            said = "gone" if change.value is None else _said(change.value.get("status") or {})
            line = f"{change.key.name}: {said}"
            if not any(one.partition(" ")[2].startswith(f"{change.key.name}: ") for one in lines) or said != _last(lines, change):
                lines.append(f"{round(cluster.clock.now() - began)} {line}")

    cluster.mirror.on_change(hear)
    if "apply" in step:
        await cluster.apply(step["apply"])
    if "patch" in step:
        await client.patch(Key("jobs.batch", "default", step["job"]), step["patch"])
    await asyncio.sleep(step.get("for", 60))
    events = sorted({f"{one['involvedObject']['name']}: {one['type']} {one['reason']}"
                     for one in cluster.mirror.objects("events").values() if one["source"]["component"] in TOLD_BY})
    return {**step, "does": list(lines), "events": events}


def _last(lines, change):
    ours = [line for line in lines if line.partition(" ")[2].startswith(f"{change.key.name}: ")]
    return ours[-1].partition(": ")[2]


def _said(status):
    counts = [f"{name} {status[name]}" for name in COUNTS if status.get(name)]
    uncounted = sum(map(len, (status.get("uncountedTerminatedPods") or {}).values()))
    if uncounted:
        counts.append(f"uncounted {uncounted}")
    conditions = [f"{one['type']}={one['reason']}" for one in status.get("conditions", ()) if one["status"] == "True"]
    return "; ".join(filter(None, (", ".join(counts), ", ".join(conditions)))) or "-"
