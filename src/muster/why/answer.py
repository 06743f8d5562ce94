"""What `muster why` answers: a verdict, what would help, and the same for each part (nodes, pods, sets).

    Answer("pod x/web-0", "unschedulable: none of 3 nodes takes it", parts=(
        Answer("node-1", "taint dedicated=gpu:NoSchedule is not tolerated", "add this toleration: {...}"), ...))

`text` puts parts with the same verdict together and keeps to a screen; `as_json` has all of them.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..scheduler.obstacle import NODE

MOST_GROUPS = 12  # lines of one list; what is beyond is told in few words
NAMED = 2


@dataclass(frozen=True)
class Answer:
    about: str  # "pod x/web-0", "node-1"
    verdict: str
    change: str = ""  # the smallest that would help
    parts: Sequence[Answer] = ()
    notes: Sequence[str] = ()
    roughly: str = ""  # the verdict in fewer words, where there are too many of its sort
    pod: str = ""  # the one that it is about, where `about` is a node
    state: str = ""  # one word: "refused", "ready", "waiting", ...
    found: Sequence[Mapping[str, Any]] | None = None  # for machines: obstacles, in the order in which they were met

    @property
    def says(self) -> str:
        return f"{self.verdict}; {self.change}" if self.change else self.verdict


def text(answer: Answer) -> str:
    lines = [f"{answer.about}: {answer.says}".replace(NODE, answer.about.rpartition(" ")[2])]
    lines += [f"  {note}" for note in answer.notes]
    lines += _listed(answer.parts, "  ")
    return "\n".join(lines)


def _listed(parts: Sequence[Answer], indent: str) -> list[str]:
    """Those that say the same in one line."""
    groups: dict[tuple[str, tuple[str, ...], int], list[Answer]] = {}
    for one in parts:  # pods that are alike share their parts
        groups.setdefault((one.says, tuple(one.notes), id(one.parts) if one.parts else 0), []).append(one)
    told = list(groups.values())
    if len(told) > MOST_GROUPS:
        told, rest = told[:MOST_GROUPS - 4], [one for group in told[MOST_GROUPS - 4:] for one in group]
    else:
        rest = []
    lines = []
    for group in told:
        first = group[0]
        name = first.about if len(group) == 1 else NODE
        who = f" ({first.pod})" if len(group) == 1 and first.pod else ""
        lines.append(f"{indent}{names([one.about for one in group])}{who}: {first.says.replace(NODE, name)}")
        lines += [f"{indent}  {note.replace(NODE, name)}" for note in first.notes]
        lines += _listed(first.parts, indent + "  ")
    rough: dict[str, list[str]] = {}
    for one in rest:
        rough.setdefault(one.roughly or one.verdict, []).append(one.about)
    lines += [f"{indent}{names(there)}: {said}" for said, there in list(rough.items())[:MOST_GROUPS]]
    if (more := len(rough) - MOST_GROUPS) > 0:
        lines.append(f"{indent}and {more:,} verdicts more: -o json has them all")
    return lines


def names(all_: Sequence[str]) -> str:
    """ "node-1, node-2 and 4,998 more"."""
    if len(all_) <= NAMED + 1:
        return ", ".join(all_[:-1]) + (" and " if len(all_) > 1 else "") + all_[-1] if all_ else ""
    return f"{', '.join(all_[:NAMED])} and {len(all_) - NAMED:,} more"


def counted(number: int, noun: str, one: str = "", more: str = "") -> str:
    """ "1 node", "4,998 nodes"; with their verbs: "1 pod is", "2 pods are"."""
    return f"1 {noun} {one}".rstrip() if number == 1 else f"{number:,} {noun}s {more}".rstrip()


def as_json(answer: Answer) -> dict[str, Any]:
    name = answer.about.rpartition(" ")[2]
    found: dict[str, Any] = {"about": answer.about, "verdict": answer.verdict.replace(NODE, name)}
    if answer.pod:
        found["pod"] = answer.pod
    if answer.state:
        found["state"] = answer.state
    if answer.change:
        found["change"] = answer.change.replace(NODE, name)
    if answer.found is not None:
        found["obstacles"] = [{field: value.replace(NODE, name) if isinstance(value, str) else value
                               for field, value in one.items()} for one in answer.found]
    if answer.notes:
        found["notes"] = [note.replace(NODE, name) for note in answer.notes]
    if answer.parts:
        found["parts"] = [as_json(one) for one in answer.parts]
    return found


def largest_first(answers: Iterable[Answer]) -> list[Answer]:
    """Those that say the same next to each other, the most common first."""
    groups: dict[str, list[Answer]] = {}
    for one in answers:
        groups.setdefault(one.says, []).append(one)
    return [one for group in sorted(groups.values(), key=lambda group: -len(group)) for one in group]
