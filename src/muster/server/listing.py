"""Lists: in key order, a page at a time, each page of the same moment as the first.

A page that is not the last ends with a token that says where the next starts and which revision the first
was of.  A past moment is rebuilt by taking back the changes since then, so it can be had as long as the
history keeps them; after that the token has expired (410), and carries another that goes on from what is now.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
"""
from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import orjson

from ..api.causes import Cause, not_supported
from ..api.causes import forbidden as forbidden_value
from ..api.errors import BadRequest, Gone, Timeout, invalid
from ..store.history import History, Lane, Snapshot
from .forms import Forms
from .requests import ListQuery, Page
from .selection import Selection

Place = tuple[str, str]  # (namespace, name)
_VERSION = "meta.k8s.io/v1"
LONGEST_REVISION = 20  # digits of an unsigned 64-bit number
_NOW = -1  # the revision of a token that goes on from what is now

EXPIRED = ("The provided continue parameter is too old to display a consistent list result. You can start a new "
           "list without the continue parameter, or use the continue token in this response to retrieve the "
           "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
           "that were created, modified, or deleted between the time the first chunk was returned and now may show "
           "up in the list.")


class ExpiredPage(Gone):
    """Says how to go on, if need be inconsistently."""

    def __init__(self, token: str):
        super().__init__(EXPIRED)
        self.token = token

    def to_status(self) -> dict[str, Any]:
        return {**super().to_status(), "metadata": {"continue": self.token}}


def page(history: History, forms: Forms, index: Callable[[str], Iterable[Place]], selection: Selection,
         query: ListQuery) -> Page:
    """`index(node)` gives the places of the pods of a node, in order."""
    check_query(query)
    lane = history.lane(selection.kind.stored_resource)
    start, revision = _start(history, query)
    past = _past(lane, revision, start) if revision != history.revision else {}
    places = _places(lane, index, selection, past, start)
    found = _found(lane, forms, selection, places, past)
    if not query.limit or (query.resource_version == "0" and not query.continue_):
        return Page(list(found), revision)
    items = list(islice(found, query.limit))
    if next(found, None) is None:
        return Page(items, revision)
    metadata = items[-1].value["metadata"]
    last = (metadata.get("namespace", ""), metadata["name"])
    remaining = None
    if selection.is_empty:
        remaining = count_after(lane, selection.namespace, last) + _more_then(lane, selection.namespace, last, past)
    return Page(items, revision, to_token(revision, last), remaining)


def count_after(lane: Lane, namespace: str, place: Place) -> int:
    end = lane.objects.bisect_left((namespace + "\0", "")) if namespace else len(lane.objects)
    return end - lane.objects.bisect_right(place)


def _more_then(lane: Lane, namespace: str, last: Place, past: dict[Place, Snapshot | None]) -> int:
    """How many more there were after `last`, in that past, than there are now."""
    return sum((then is not None) - (place in lane.objects) for place, then in past.items()
               if place > last and namespace in ("", place[0]))


def _found(lane: Lane, forms: Forms, selection: Selection, places: Iterable[Place],
           past: dict[Place, Snapshot | None]) -> Iterator[Snapshot]:
    asks = selection.question()
    now = lane.objects
    for place in places:
        stored = past[place] if place in past else now.get(place)
        if stored is None:
            continue
        snapshot = forms.of(selection.kind, stored)
        if asks is None or asks(snapshot.value):
            yield snapshot


def _places(lane: Lane, index: Callable[[str], Iterable[Place]], selection: Selection,
            past: dict[Place, Snapshot | None], start: Place | None) -> Iterable[Place]:
    """The places to look at, in order, after `start`; those that are only in the past among them."""
    namespace, name = selection.namespace, selection.name
    if name is not None and (namespace or not selection.kind.namespaced):
        places: Iterable[Place] = [(namespace, name)]
    elif selection.node is not None and not past:
        places = index(selection.node)
        if namespace:
            places = [place for place in places if place[0] == namespace]
    else:
        gone = [place for place in past if place not in lane.objects and namespace in ("", place[0])]
        places = between(lane, namespace, start)
        if not gone:
            return places
        places = sorted({*places, *gone})
    return [place for place in places if place > start] if start is not None else places


def between(lane: Lane, namespace: str, start: Place | None = None) -> Iterable[Place]:
    """The places of one namespace (or of all) after `start`, without a look at the others."""
    if not namespace and start is None:
        return list(lane.objects)
    first = start if start is not None else (namespace, "")
    last = (namespace + "\0", "") if namespace else None
    return lane.objects.irange(first, last, inclusive=(False, False))


def _past(lane: Lane, revision: int, start: Place | None) -> dict[Place, Snapshot | None]:
    """What differs between that revision and now: how it was then (None: not there)."""
    try:
        changes = lane.since(revision)
    except Gone:
        if start is not None:
            raise ExpiredPage(to_token(_NOW, start)) from None
        raise Gone("The resourceVersion for the provided list is too old.") from None
    past: dict[Place, Snapshot | None] = {}
    for change in changes:
        past.setdefault(change.key[1:], change.before)
    return past


def _start(history: History, query: ListQuery) -> tuple[Place | None, int]:
    """Where the page starts, and the revision it is of."""
    if query.continue_:
        if query.resource_version not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        revision, place = from_token(query.continue_)
        if revision > history.revision:
            raise too_large(revision, history.revision)
        return place, history.revision if revision == _NOW else revision
    asked = revision_of_text(query.resource_version)
    if asked > history.revision:
        raise too_large(asked, history.revision)
    if query.resource_version_match == "Exact" or (
            query.limit and asked and not query.resource_version_match):  # a page says which moment it is of
        return None, asked
    return None, history.revision


def too_large(asked: int, current: int) -> Timeout:
    return Timeout(f"Timeout: Too large resource version: {asked}, current: {current}", retry_after_s=1, details={
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]})


def revision_of_text(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f'invalid resource version: resourceVersion: Invalid value: "{text}": '
                         f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if len(text) > LONGEST_REVISION or int(text) >= 2**64:
        raise BadRequest(f'invalid resource version: resourceVersion: Invalid value: "{text[:64]}": '
                         f'strconv.ParseUint: parsing "{text[:64]}": value out of range')
    return int(text)


def check_not_older(history: History, asked: str) -> None:
    """A read "not older than" a revision that is still to come can not be answered yet."""
    if revision_of_text(asked) > history.revision:
        raise too_large(int(asked), history.revision)


def to_token(revision: int, place: Place) -> str:
    raw = orjson.dumps({"v": _VERSION, "rv": revision, "start": "/".join(place) + "\0"})
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_token(token: str) -> tuple[int, Place]:
    """(revision, the place the last page ended with)."""
    try:
        said = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if said["v"] != _VERSION or not isinstance(said["rv"], int) or not said["start"].endswith("\0"):
            raise ValueError("not one of ours")
        namespace, _, name = said["start"][:-1].rpartition("/")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadRequest("continue key is not valid: illegal base64 data or unknown version") from None
    return (said["rv"] if said["rv"] > 0 else _NOW), (namespace, name)


def check_query(query: ListQuery) -> None:
    match, field = query.resource_version_match, "resourceVersionMatch"
    causes: list[Cause] = []
    if match and not query.resource_version:
        causes.append(forbidden_value(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if match and query.continue_:
        causes.append(forbidden_value(field, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in ("", "Exact", "NotOlderThan"):
        causes.append(not_supported(field, match, ("Exact", "NotOlderThan", "")))
    if match == "Exact" and query.resource_version == "0":
        causes.append(forbidden_value(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)


