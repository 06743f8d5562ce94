"""Plays a story about Jobs and CronJobs on a whole cluster in virtual time, and writes down what their statuses say.

Lines are `seconds job: what it counts; conditions`; pods' uids do not appear, only how many are written down.
"""
from __future__ import annotations

import asyncio
from typing import Any

from stage import Stage, tell

from muster.api.objects import Key

COUNTS = ("active", "ready", "terminating", "succeeded", "failed", "completedIndexes", "failedIndexes")
TOLD_BY = ("job-controller", "cronjob-controller")


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    async def begin(stage: Stage):
        await stage.nodes(2)
        return lambda step: _step(stage, step)

    return tell(story, begin)


async def _step(stage, step):
    lines = []

    def hear(change):
        if change.key.resource == "jobs.batch":
            said = "gone" if change.value is None else _said(change.value.get("status") or {})
            line = f"{change.key.name}: {said}"
            if not any(one.partition(" ")[2].startswith(f"{change.key.name}: ") for one in lines) or said != _last(lines, change):
                lines.append(f"{round(stage.now_s)} {line}")

    stage.mirror.on_change(hear)
    if "apply" in step:
        await stage.cluster.apply(step["apply"])
    if "patch" in step:
        await stage.client.patch(Key("jobs.batch", "default", step["job"]), step["patch"])
    await asyncio.sleep(step.get("for", 60))
    events = sorted({f"{one['involvedObject']['name']}: {one['type']} {one['reason']}"
                     for one in stage.mirror.objects("events").values() if one["source"]["component"] in TOLD_BY})
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
