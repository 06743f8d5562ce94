"""Query parameters, read as the API reads them and refused in its words.

Every kind of request has its options (metav1.ListOptions, CreateOptions, DeleteOptions, ...).  What is not
known is ignored, as upstream does; a value that can not be is a 400, one that may not be a 422.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl

from ..api.causes import Cause, forbidden, invalid, not_supported, required, shown, too_long
from ..api.errors import BadRequest
from ..api.errors import invalid as invalid_options
from ..api.objects import Obj
from .identity import User
from .requests import DeleteOptions, ListQuery, Mode, WatchQuery, WriteOptions

Params = Mapping[str, Sequence[str]]

LONGEST_MANAGER = 128
META = "meta.k8s.io"
INT64 = range(-(2**63), 2**63)
_PARAMETERS_AT_MOST = 100  # no request of kubectl has more than ten


def read_query(query: bytes) -> dict[str, list[str]]:
    """`b"watch=1&limit=500"` -> {"watch": ["1"], "limit": ["500"]}; a name may come more than once."""
    if not query:
        return {}
    params: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=_PARAMETERS_AT_MOST)
    except ValueError as wrong:
        raise BadRequest(f"the query can not be read: {wrong}") from None
    for name, value in pairs:
        params.setdefault(name, []).append(value)
    return params


def text(params: Params, name: str) -> str:
    values = params.get(name)
    return values[0] if values else ""


def flag(params: Params, name: str) -> bool | None:
    """Whatever is neither "false" nor "0" says yes, as does a name without a value; None: not said."""
    values = params.get(name)
    if not values:
        return None
    return values[0].lower() not in ("false", "0")


def number(params: Params, name: str) -> int | None:
    values = params.get(name)
    if not values or not values[0]:
        return None
    given = values[0]
    digits = given[1:] if given[:1] in ("-", "+") else given
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f'strconv.ParseInt: parsing "{given}": invalid syntax')
    if len(digits) > 20 or int(given) not in INT64:
        raise BadRequest(f'strconv.ParseInt: parsing "{given}": value out of range')
    return int(given)


def wants_watch(params: Params) -> bool:
    return flag(params, "watch") is True


def list_query(params: Params) -> ListQuery:
    if not params:
        return _ALL
    if flag(params, "sendInitialEvents") is not None:
        causes = [forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")]
        raise invalid_options("ListOptions", META, "", causes)
    limit = number(params, "limit") or 0
    return ListQuery(
        labels=text(params, "labelSelector"), fields=text(params, "fieldSelector"), limit=max(limit, 0),
        continue_=text(params, "continue"), resource_version=text(params, "resourceVersion"),
        resource_version_match=text(params, "resourceVersionMatch"),
    )


_ALL = ListQuery()


def watch_query(params: Params, name: str = "") -> WatchQuery:
    """`name`: watch that one object only (`/api/v1/namespaces/x/pods/y?watch=1`)."""
    fields = text(params, "fieldSelector")
    if name:
        fields = ",".join(filter(None, (fields, f"metadata.name={name}")))
    timeout = number(params, "timeoutSeconds")
    return WatchQuery(
        labels=text(params, "labelSelector"), fields=fields, resource_version=text(params, "resourceVersion"),
        resource_version_match=text(params, "resourceVersionMatch"),
        send_initial_events=flag(params, "sendInitialEvents"),
        allow_bookmarks=flag(params, "allowWatchBookmarks") is True,
        timeout_s=float(timeout) if timeout else None,
    )


def write_options(params: Params, user: User, called: str, duplicates: Sequence[str] = (), *,
                  apply: bool = False) -> WriteOptions:
    """`called`: "CreateOptions", "UpdateOptions" or "PatchOptions"."""
    if not params and not apply:
        return WriteOptions(user, duplicates=tuple(duplicates))
    dry_run = params.get("dryRun", ())
    validation, manager = text(params, "fieldValidation"), text(params, "fieldManager")
    causes = [*_check_dry_run(dry_run), *_check_manager(manager)]
    if called == "PatchOptions":
        if apply and not manager:
            causes.append(required("fieldManager", "is required for apply patch"))
        elif not apply and flag(params, "force") is not None:
            causes.append(forbidden("force", "may not be specified for non-apply patch"))
    if validation not in ("", "Ignore", "Warn", "Strict"):
        causes.append(not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if causes:
        raise invalid_options(called, META, "", causes)
    return WriteOptions(user, dry_run=bool(dry_run), field_validation=cast(Mode, validation or "Warn"),
                        duplicates=tuple(duplicates))


def _check_dry_run(given: Sequence[str]) -> list[Cause]:
    if all(value == "All" for value in given):
        return []
    listed = ", ".join(map(shown, given))  # upstream shows the whole list, as Go writes it
    return [Cause("FieldValueNotSupported", "dryRun",
                  f'Unsupported value: []string{{{listed}}}: supported values: "All"')]


def _check_manager(manager: str) -> list[Cause]:
    causes = []
    if len(manager.encode()) > LONGEST_MANAGER:
        causes.append(too_long("fieldManager", LONGEST_MANAGER))
    if not manager.isprintable():
        causes.append(invalid("fieldManager", manager, "should only contain printable characters"))
    return causes


def delete_options(params: Params, body: Any) -> DeleteOptions:
    """From the body where there is one, else from the query (upstream reads one or the other)."""
    if body is None:
        given: Obj = {}
        if (grace := number(params, "gracePeriodSeconds")) is not None:
            given["gracePeriodSeconds"] = grace
        if policy := text(params, "propagationPolicy"):
            given["propagationPolicy"] = policy
        if (orphan := flag(params, "orphanDependents")) is not None:
            given["orphanDependents"] = orphan
        if "dryRun" in params:
            given["dryRun"] = list(params["dryRun"])
    else:
        given = _checked_delete_body(body)
    if causes := _check_dry_run(given.get("dryRun") or ()):
        raise invalid_options("DeleteOptions", META, "", causes)
    return DeleteOptions.of(given)


def _checked_delete_body(body: Any) -> Obj:
    if not isinstance(body, dict):
        raise _wrong("an object")
    said = body.get("kind") or "DeleteOptions"
    if said != "DeleteOptions":
        raise BadRequest(f"decoded object cannot be converted to DeleteOptions: {said}")
    preconditions = body.get("preconditions")
    for field, kinds in _DELETE_FIELDS:
        if not isinstance(value := body.get(field), kinds) or (kinds[0] is int and isinstance(value, bool)):
            raise _wrong(field)
    for field in ("uid", "resourceVersion"):
        if preconditions and not isinstance(preconditions.get(field), (str, type(None))):
            raise _wrong(f"preconditions.{field}")
    return body


_NONE = type(None)
_DELETE_FIELDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("gracePeriodSeconds", (int, _NONE)), ("propagationPolicy", (str, _NONE)), ("orphanDependents", (bool, _NONE)),
    ("dryRun", (list, _NONE)), ("preconditions", (dict, _NONE)),
)


def _wrong(field: str) -> BadRequest:
    return BadRequest(f"DeleteOptions can not be read: {field} is of another type")
