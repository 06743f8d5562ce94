"""The answer as JSON, for programs.  docs/guides/rehearse.md says what each field means; fields are only ever added."""
from __future__ import annotations

from typing import Any

import orjson

from .answer import Answer, Answered
from .outcome import FINISHED, Outcome

VERSION = "muster.dev/rehearsal/v1"


def json_text(answer: Answer) -> str:
    return orjson.dumps(document(answer), option=orjson.OPT_INDENT_2).decode()


def document(answer: Answer) -> dict[str, Any]:
    options = answer.stage.options
    return {"version": VERSION, "complete": answer.complete, "seed": options.seed, "runs": options.runs,
            "assumed": list(answer.stage.notes), "alternatives": [_alternative(one) for one in answer.known()]}


def _alternative(one: Answered) -> dict[str, Any]:
    return {
        "name": one.name,
        "set": [{"object": f"{choice.setting.kind}/{choice.setting.name}", "path": choice.setting.path,
                 "value": choice.value} for choice in one.alternative.choices],
        "runs": len(one.outcomes),
        "finishedRuns": sum(each.verdict == FINISHED and each.finished_s is not None for each in one.outcomes),
        "finishedSeconds": {"p50": one.finish_s(0.5), "p95": one.finish_s(0.95)},
        "worstUnavailable": one.worst_unavailable(),
        "unavailableSeconds": one.median(
            lambda each: sum(work.unavailable_s for work in each.workloads if work.touched)),
        "evicted": one.count("evicted"), "preempted": one.count("preempted"),
        "apiWrites": one.median(lambda each: each.cost.api_writes + each.cost.events),
        "cpuSeconds": one.median(lambda each: each.cost.cpu_s),
        "outcomes": [_outcome(each) for each in one.outcomes],
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    cost = one.cost
    return {
        "seed": one.seed, "verdict": one.verdict, "endedSeconds": one.ended_s, "finishedSeconds": one.finished_s,
        "history": one.history,
        "workloads": [{
            "name": work.name, "kind": work.kind, "wanted": work.wanted, "updated": work.updated,
            "available": work.available, "changed": work.touched, "finishedSeconds": work.finished_s,
            "worstUnavailable": work.worst_unavailable, "worstAtSeconds": work.worst_at_s,
            "unavailableSeconds": work.unavailable_s, "meanUnavailable": work.mean_unavailable, "stuck": work.stuck,
        } for work in one.workloads],
        "faults": [{"atSeconds": at_s, "what": what} for at_s, what in one.strikes],
        "ended": [{"atSeconds": each.at_s, "pod": each.pod, "node": each.node, "how": each.how, "by": each.by,
                   "why": each.why} for each in one.endings],
        "endedLeftOut": one.endings_left_out,
        "replaced": dict(one.replaced),
        "withoutDaemon": [{"workload": each.workload, "why": each.why, "wanted": each.wanted, "nodes": list(each.nodes)}
                          for each in one.without_daemon],
        "pending": [{"pod": name, "why": why} for name, why in one.pending],
        "violations": [*one.broken_budgets, *(one.broken_laws or ())],
        "brokenLaws": None if one.broken_laws is None else list(one.broken_laws),
        "cost": {"apiWrites": cost.api_writes, "events": cost.events, "writesBy": dict(cost.writes_by),
                 "writesOf": dict(cost.writes_of), "plans": cost.plans, "cpuSeconds": cost.cpu_s,
                 "virtualSeconds": cost.virtual_s},
        "timelines": {workload: {row: [[span.start, span.state] for span in spans] for row, spans in rows.items()}
                      for workload, rows in one.timelines.items()},
        "down": {workload: [list(step) for step in steps] for workload, steps in one.down.items()},
    }
