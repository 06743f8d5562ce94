"""The events that tell what was made and ended, in the words that users know from each controller.

    Created pod: agent-x2fgh                              most of them
    Created job report-28391040                           a CronJob
    create Pod web-0 in StatefulSet web successful        a StatefulSet
    create Claim www-web-0 Pod web-0 in StatefulSet web success
"""
from __future__ import annotations

from typing import Literal

from ..api.objects import Obj, name_of
from .plan import Tell

Verb = Literal["create", "delete"]
_SPOKEN = {"create": ("Created", "creating"), "delete": ("Deleted", "deleting")}


def done(verb: Verb, about: Obj, kind: str, name: str) -> Tell:
    reason = f"Successful{verb.capitalize()}"
    if about["kind"] == "StatefulSet":
        success = "success" if kind == "PersistentVolumeClaim" else "successful"
        return Tell(about, "Normal", reason, f"{_in_set(verb, about, kind, name)} {success}")
    noun = kind.lower()
    thing = f"{noun} {name}" if noun == "job" else f"{noun}: {name}"
    return Tell(about, "Normal", reason, f"{_SPOKEN[verb][0]} {thing}")


def refused(verb: Verb, about: Obj, kind: str, name: str, error: Exception) -> Tell:
    reason = f"Failed{verb.capitalize()}"
    if about["kind"] == "StatefulSet":
        return Tell(about, "Warning", reason, f"{_in_set(verb, about, kind, name)} failed error: {error}")
    return Tell(about, "Warning", reason, f"Error {_SPOKEN[verb][1]}: {error}")


def _in_set(verb: Verb, about: Obj, kind: str, name: str) -> str:
    if kind == "PersistentVolumeClaim":
        pod = f"{name_of(about)}-{name.rpartition('-')[2]}"
        return f"{verb} Claim {name} Pod {pod} in StatefulSet {name_of(about)}"
    return f"{verb} {kind} {name} in StatefulSet {name_of(about)}"
