"""Lists of metav1.Condition as statuses hold them: each type once, with a status, a reason and a time.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/condition/
"""
from __future__ import annotations

import re
from collections.abc import Sequence

from ..causes import Cause, duplicate, invalid, not_supported, required, too_long
from ..objects import Obj
from .metadata import validate_label_name

STATUSES = ("False", "True", "Unknown")
LONGEST_REASON, LONGEST_MESSAGE = 1024, 32768
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_is_reason = re.compile(_REASON).fullmatch
_BAD_REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    f"'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON}')")


def validate_conditions(conditions: Sequence[Obj], path: str) -> list[Cause]:
    wrong: list[Cause] = []
    seen: set[str] = set()
    for index, one in enumerate(conditions):
        type_ = one.get("type") or ""
        if type_ in seen:
            wrong.append(duplicate(f"{path}[{index}].type", type_))
        seen.add(type_)
        _condition(one, f"{path}[{index}]", wrong)
    return wrong


def _condition(one: Obj, path: str, wrong: list[Cause]) -> None:
    validate_label_name(one.get("type") or "", f"{path}.type", wrong)
    if one.get("status") not in STATUSES:
        wrong.append(not_supported(f"{path}.status", one.get("status") or "", STATUSES))
    if (one.get("observedGeneration") or 0) < 0:
        wrong.append(invalid(f"{path}.observedGeneration", one["observedGeneration"],
                             "must be greater than or equal to zero"))
    if not one.get("lastTransitionTime"):
        wrong.append(required(f"{path}.lastTransitionTime", "must be set"))
    reason = one.get("reason") or ""
    if not reason:
        wrong.append(required(f"{path}.reason", "must be set"))
    else:
        if not _is_reason(reason):
            wrong.append(invalid(f"{path}.reason", reason, _BAD_REASON))
        if len(reason.encode()) > LONGEST_REASON:
            wrong.append(too_long(f"{path}.reason", LONGEST_REASON))
    if len((one.get("message") or "").encode()) > LONGEST_MESSAGE:
        wrong.append(too_long(f"{path}.message", LONGEST_MESSAGE))
