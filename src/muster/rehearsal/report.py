"""The answer as a person reads it in a terminal: a table of the alternatives, then what there is to say about each."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .answer import Answer, Answered
from .outcome import FINISHED, Ending, Outcome, WithoutDaemon, WorkloadOutcome
from .spoken import spoken

MOST_TOLD = 10


def text(answer: Answer) -> str:
    return "\n".join(_lines(answer))


def _lines(answer: Answer) -> Iterator[str]:
    for note in answer.stage.notes:
        yield f"Assumed: {note}"
    if answer.stage.notes:
        yield ""
    known = answer.known()
    if not known:
        yield "Nothing is known yet: no run has ended."
        return
    if not answer.complete:
        yield f"Interrupted: this is what is known after {answer.runs} runs."
        yield ""
    yield from columns(HEAD, [row(one) for one in known])
    for one in known:
        yield ""
        yield from _about(one, several=len(known) > 1)


HEAD = ("ALTERNATIVE", "FINISHED P50", "P95", "WORST DOWN", "POD-SECONDS DOWN", "EVICTED", "PREEMPTED", "API WRITES",
        "CPU S")


def row(one: Answered) -> tuple[str, ...]:
    finished = sum(each.verdict == FINISHED and each.finished_s is not None for each in one.outcomes)
    p50 = spoken(one.finish_s(0.5))
    if finished < len(one.outcomes):
        p50 += f" ({finished} of {len(one.outcomes)} runs)" if len(one.outcomes) > 1 else ""
    down_s = one.median(lambda each: sum(work.unavailable_s for work in each.workloads if work.touched))
    return (one.name, p50, spoken(one.finish_s(0.95)), str(one.worst_unavailable()), f"{down_s:,.0f}",
            str(one.count("evicted")), str(one.count("preempted")),
            f"{one.median(lambda each: each.cost.api_writes + each.cost.events):,.0f}",
            f"{one.median(lambda each: each.cost.cpu_s):.2f}")


def _about(one: Answered, *, several: bool) -> Iterator[str]:
    first = one.first
    head = f"{one.name}: " if several else ""
    runs = len(one.outcomes)
    yield f"{head}{verdict(first)}" + (f" (the first of {runs} runs)" if runs > 1 else "")
    for work in first.workloads:
        if work.touched or work.stuck:
            yield f"  {work.name}: {sentence(work)}"
    for at_s, what in first.strikes[:MOST_TOLD]:
        yield f"  after {spoken(at_s)}: {what}"
    if len(first.strikes) > MOST_TOLD:
        yield f"  and {len(first.strikes) - MOST_TOLD} more faults"
    yield from indented(endings(first))
    yield from indented(nodes_without(first.without_daemon))
    for name, why in first.pending[:MOST_TOLD]:
        yield f"  pod {name}: {why}"
    if len(first.pending) > MOST_TOLD:
        yield f"  and {len(first.pending) - MOST_TOLD} more pods that did not come up"
    for broken in broken_rules(one)[:MOST_TOLD]:
        yield f"  broken rule: {broken}"
    yield f"  laws: {laws(one)}"
    cost = first.cost
    yield (f"  cost: {cost.api_writes + cost.events:,} API writes, {cost.events:,} of them events; "
           f"{cost.cpu_s:.2f} s of CPU for {spoken(cost.virtual_s)}; seed {first.seed}, history sha256 {first.history}")


def broken_rules(one: Answered) -> list[str]:
    """The budgets of the first run, and the laws of every run."""
    return [*one.first.broken_budgets, *(
        law if each is one.first else f"{law} (seed {each.seed})"
        for each in one.outcomes for law in each.broken_laws or ())]


def laws(one: Answered) -> str:
    """In which runs the laws were checked, and whether they held."""
    checked = [each for each in one.outcomes if each.broken_laws is not None]
    if not checked:
        return "not checked"
    broken = sum(bool(each.broken_laws) for each in checked)
    where = f" in {len(checked)} of {len(one.outcomes)} runs" if len(one.outcomes) > 1 else ""
    return f"checked{where}, " + ("none was broken" if not broken else f"broken in {broken}" if where else "broken")


def verdict(one: Outcome) -> str:
    if one.verdict == FINISHED and one.finished_s is not None:
        return f"finished after {spoken(one.finished_s)}"
    if one.verdict == FINISHED:
        return f"at rest after {spoken(one.ended_s)}"
    return f"{one.verdict} after {spoken(one.ended_s)}"


def sentence(work: WorkloadOutcome) -> str:
    noun = "nodes" if work.kind == "DaemonSet" else "pods"
    done = f"complete after {spoken(work.finished_s)}" if work.finished_s is not None else \
        f"{work.updated} of {work.wanted} {noun} up to date, {work.available} available"
    down = "never fewer than wanted" if not work.worst_unavailable else (
        f"at worst {work.worst_unavailable} of {work.wanted} {noun} down (at {spoken(work.worst_at_s)}), "
        f"{work.mean_unavailable:.1f} on average")
    stuck = f"; it is stuck: {work.stuck}" if work.stuck else ""
    return f"{done}; {down}{stuck}"


def endings(one: Outcome) -> Iterator[str]:
    for how in ("preempted", "evicted", "lost", "deleted", "failed"):
        found = [ending for ending in one.endings if ending.how == how]
        if not found:
            continue
        yield f"{len(found)} pod{'s' * (len(found) > 1)} {how}:"
        for ending in found[:MOST_TOLD]:
            yield f"  {ended(ending)}"
        if len(found) > MOST_TOLD:
            yield f"  and {len(found) - MOST_TOLD} more"
    if one.endings_left_out:
        yield f"and {one.endings_left_out} more pods ended"


def ended(ending: Ending) -> str:
    where = f" on {ending.node}" if ending.node else ""
    why = f" ({ending.why})" if ending.why else ""
    return f"{ending.pod}{where} by {ending.by}{why}, after {spoken(ending.at_s)}"


def nodes_without(found: Sequence[WithoutDaemon]) -> Iterator[str]:
    for one in found:
        names = ", ".join(one.nodes[:3]) + (", ..." if len(one.nodes) > 3 else "")
        count = "1 node has" if len(one.nodes) == 1 else f"{len(one.nodes)} nodes have"
        yield f"{count} no daemon of {one.workload}: {one.why} ({names})"


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]
    for line in (head, *rows):
        yield "   ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                         for place, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
