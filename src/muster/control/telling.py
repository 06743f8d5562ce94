"""The events that tell what was made, changed and ended, in the words that users know from each controller.

    Created pod: agent-x2fgh                              most of them
    Created job report-28391040                           a CronJob
    create Pod web-0 in StatefulSet web successful        a StatefulSet
    create Claim www-web-0 Pod web-0 in StatefulSet web success
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..api.errors import AlreadyExists
from ..api.objects import Obj, name_of
from .plan import Tell

Verb = Literal["create", "update", "delete"]
_DONE = {"create": "Created", "update": "Updated", "delete": "Deleted"}
_DOING = {"create": "creating", "update": "updating", "delete": "deleting"}


def done(verb: Verb, about: Obj, kind: str, name: str) -> Tell:
    if about["kind"] == "StatefulSet":
        success = "success" if verb == "create" and kind == "PersistentVolumeClaim" else "successful"
        return _told(f"Successful{verb.capitalize()}", about, f"{_in_set(verb, about, kind, name)} {success}")
    noun = kind.lower()
    thing = f"{noun} {name}" if noun == "job" else f"{noun}: {name}"
    return _told(f"Successful{verb.capitalize()}", about, f"{_DONE[verb]} {thing}")


def refused(verb: Verb, about: Obj, kind: str, name: str, error: Exception) -> Tell | None:
    """None: nothing is said.  What has a name of its own may have been made by an earlier try."""
    reason = f"Failed{verb.capitalize()}"
    match about["kind"]:
        case "StatefulSet" | "CronJob" if isinstance(error, AlreadyExists):
            return None
        case "StatefulSet":
            owned = f"could not update claim {name} for delete policy ownerRefs: " if _is_owned(verb, kind) else ""
            return _warned(reason, about, f"{_in_set(verb, about, kind, name, ' for')} failed error: {owned}{error}")
        case "CronJob":  # upstream's words, both
            return _warned(reason, about, f"{'Error creating' if verb == 'create' else 'Deleted'} job: {error}")
    return _warned(reason, about, f"Error {_DOING[verb]}: {error}")


def lacking(needed: Sequence[tuple[str, Exception]]) -> str:
    """Why a pod is not made whose claims (by name) could not be."""
    said = [f"failed to create PVC {name}: {error}" for name, error in needed]
    return said[0] if len(said) == 1 else f"[{', '.join(said)}]"


def _in_set(verb: Verb, about: Obj, kind: str, name: str, joined: str = "") -> str:
    if kind != "PersistentVolumeClaim":
        return f"{verb} {kind} {name} in StatefulSet {name_of(about)}"
    pod = f"{name_of(about)}-{name.rpartition('-')[2]}"
    claim = "" if _is_owned(verb, kind) else f"Claim {name}{joined} "
    return f"{verb} {claim}Pod {pod} in StatefulSet {name_of(about)}"


def _is_owned(verb: Verb, kind: str) -> bool:
    """A claim that gets another owner: upstream speaks of its pod."""
    return kind == "PersistentVolumeClaim" and verb == "update"


def _told(reason: str, about: Obj, message: str) -> Tell:
    return Tell(about, "Normal", reason, message)


def _warned(reason: str, about: Obj, message: str) -> Tell:
    return Tell(about, "Warning", reason, message)
