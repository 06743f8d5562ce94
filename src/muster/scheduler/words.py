"""What a pod is told that found no place: the message of FailedScheduling, as `kubectl describe pod` shows it."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .fit import Refusal

NOT_THIS_NODE = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
NEVER = "not eligible due to preemptionPolicy=Never."
VICTIMS_ARE_LEAVING = "not eligible due to a terminating pod on the nominated node."


def failure(total: int, said: Mapping[str, Refusal], *, preempting: bool = False, not_eligible: str = "") -> str:
    """`said` is what the nodes that were asked answered; those that are missing were ruled out by name."""
    if total == 0:
        return "no nodes available to schedule pods"
    reasons = Counter(reason for why in said.values() for reason in why.reasons)
    if len(said) < total:
        reasons[NOT_THIS_NODE] += total - len(said)
    counted = sorted(f"{count} {reason}" for reason, count in reasons.items())
    text = f"0/{total} nodes are available: {', '.join(counted)}."
    if preempting:
        return text
    if not_eligible:
        return f"{text} preemption: {not_eligible}"
    in_vain = sum(why.room_could_help for why in said.values())
    verdicts = [f"{total - in_vain} Preemption is not helpful for scheduling" if in_vain < total else "",
                f"{in_vain} No preemption victims found for incoming pod" if in_vain else ""]
    shown = ", ".join(sorted(verdict for verdict in verdicts if verdict))
    return f"{text} preemption: 0/{total} nodes are available: {shown}."


def nowhere(total: int, why: str) -> str:
    """No node will do, whatever it is like."""
    text = f"0/{total} nodes are available"
    return f"{text}: {why}. preemption: {text}: {total} Preemption is not helpful for scheduling."
