"""Watches: the changes of a kind, as one watcher sees them through its selectors.

A watcher holds a position in the history; its channel wakes it, or tells it, when there is more (see channels).
Most channels are a lane of the history.  Watchers of one object, or of the pods of one node (every kubelet is
one), read a narrow channel of their own instead, so a change of one pod wakes one kubelet and not all of them.

What a watcher sees depends on what it saw before: an object that comes to match is ADDED, one that no longer
does is DELETED.  Objects are handed on as snapshots, whose bytes are made once for all watchers.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from ..api.causes import forbidden as forbidden_value
from ..api.errors import invalid
from ..api.kinds.kind import Kind
from ..api.objects import Obj
from ..store.history import Change, History, Lane, Snapshot, at_revision
from .channels import LARGEST_BATCH, Channel, Listener, wait
from .forms import Forms
from .listing import between, revision_of_text
from .requests import Ear, WatchEvent, WatchQuery
from .selection import Selection

BOOKMARK_S = 60.0  # how often a watcher of a quiet kind learns how far it has come
NARROW_KEEP = 1024  # changes a narrow channel keeps for a slow watcher
LEFT_KEPT = 1024  # snapshots of objects that left a selector, shared by the watchers they left
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Place = tuple[str, str]


class _Narrow(NamedTuple):
    resource: str
    by: Literal["name", "node"]
    value: str


class WatchCache:
    def __init__(self, history: History, forms: Forms):
        self._history = history
        self._forms = forms
        self._wide: dict[str, Channel] = {}
        self._narrow: dict[_Narrow, Channel] = {}
        self._left: OrderedDict[int, Snapshot] = OrderedDict()
        self._on_node: dict[str, dict[Place, None]] = {}  # most hold a few: sorted when asked
        for place, snapshot in history.lane("pods").objects.items():
            self._place_pod(place, None, _node_of(snapshot.value))
        history.on_append(self._advance)

    def pods_on(self, node: str) -> Iterable[Place]:
        return sorted(self._on_node.get(node, ()))

    def watch(self, selection: Selection, query: WatchQuery,
              ear: Ear | None = None) -> AsyncIterator[Sequence[WatchEvent]]:
        """Events in batches, until the time is up; what an ear is told does not come as a batch.

        A query that makes no sense is refused at once; Gone is raised by the iterator, at its start or later,
        when the changes it needs are no longer kept.
        """
        check_query(query)
        return self._watch(selection, query, revision_of_text(query.resource_version), ear)

    async def _watch(self, selection: Selection, query: WatchQuery, asked: int,
                     ear: Ear | None) -> AsyncIterator[Sequence[WatchEvent]]:
        history, kind, now = self._history, selection.kind, asyncio.get_running_loop().time
        ends = now() + query.timeout_s if query.timeout_s is not None else None
        question = (kind.resource, kind.version, selection.namespace, query.labels, query.fields)
        initial = query.send_initial_events if query.send_initial_events is not None else asked == 0
        # From here to the first wait nothing else runs: the state and the position are of one moment.
        narrow, channel = self._open(selection, kind.stored_resource)
        try:
            if initial or asked == 0:
                after = history.revision
                first = self._state(selection) if initial else []
            else:
                after = max(asked, history.revision)
                first = self._events(selection, history.lane(kind.stored_resource).since(asked), asked)
            if first:
                yield first
            if initial and query.send_initial_events and query.allow_bookmarks:
                yield [_bookmark(kind, after, {INITIAL_EVENTS_END: "true"})]
            told = now()
            while True:
                bell = channel.rung  # taken before looking: no change is missed
                changes = channel.lane.since(after, LARGEST_BATCH)
                if changes:
                    after = changes[-1].revision
                    if events := self._events(selection, changes, asked):
                        yield events
                        continue
                else:
                    after = max(after, history.revision)
                if ends is not None and now() >= ends:
                    break
                if now() >= told + BOOKMARK_S:
                    told = now()
                    if query.allow_bookmarks:
                        yield [_bookmark(kind, after)]
                        continue
                if not changes:
                    until = told + BOOKMARK_S if ends is None else min(told + BOOKMARK_S, ends)
                    if ear is None:
                        await wait(bell, until - now())
                    else:
                        listener = Listener(after, question, partial(self._events, selection, after=asked), ear)
                        await channel.listen(listener, until - now())
                        after = listener.after
            if query.allow_bookmarks:
                yield [_bookmark(kind, after)]
        finally:
            self._close(narrow, channel)

    # ---- what a watcher sees

    def _state(self, selection: Selection) -> list[WatchEvent]:
        lane = self._history.lane(selection.kind.stored_resource)
        if selection.name is not None and (selection.namespace or not selection.kind.namespaced):
            places: Iterable[Place] = [(selection.namespace, selection.name)]
        elif selection.node is not None:
            places = [one for one in self.pods_on(selection.node) if selection.namespace in ("", one[0])]
        else:
            places = between(lane, selection.namespace)
        asks = selection.question()
        found = (self._forms.of(selection.kind, lane.objects[place]) for place in places if place in lane.objects)
        return [WatchEvent("ADDED", one) for one in found if asks is None or asks(one.value)]

    def _events(self, selection: Selection, changes: Iterable[Change], after: int) -> list[WatchEvent]:
        asks, namespace, kind = selection.question(), selection.namespace, selection.kind
        events = []
        for change in changes:
            if change.revision <= after or (namespace and change.key.namespace != namespace):
                continue
            if kind.stored_as is not None:
                event = self._converted_event(kind, change, asks)
            else:
                event = self._event(change, asks)
            if event is not None:
                events.append(event)
        return events

    def _event(self, change: Change, asks: Callable[[Obj], bool] | None) -> WatchEvent | None:
        before, after = change.before, change.after
        was = before is not None and (asks is None or asks(before.value))
        if after is not None and (asks is None or asks(after.value)):
            return WatchEvent("MODIFIED" if was else "ADDED", after)
        if not was:
            return None
        assert before is not None, "it was selected, so it was there"
        return WatchEvent("DELETED", change.last if after is None else self._as_it_left(before, change.revision))

    def _converted_event(self, kind: Kind, change: Change, asks: Callable[[Obj], bool] | None) -> WatchEvent | None:
        before = self._forms.of(kind, change.before) if change.before is not None else None
        last = self._forms.of(kind, change.last)
        was = before is not None and (asks is None or asks(before.value))
        is_ = change.after is not None and (asks is None or asks(last.value))
        if is_:
            return WatchEvent("MODIFIED" if was else "ADDED", last)
        if not was:
            return None
        assert before is not None, "it was selected, so it was there"
        return WatchEvent("DELETED", last if change.after is None else at_revision(before.value, change.revision))

    def _as_it_left(self, before: Snapshot, revision: int) -> Snapshot:
        """The object as it last matched, at the revision by which it no longer does."""
        found = self._left.get(revision)
        if found is None:
            found = self._left[revision] = at_revision(before.value, revision)
            if len(self._left) > LEFT_KEPT:
                self._left.popitem(last=False)
        return found

    # ---- channels

    def _open(self, selection: Selection, resource: str) -> tuple[_Narrow | None, Channel]:
        narrow = None
        if selection.node is not None:
            narrow = _Narrow(resource, "node", selection.node)
        elif selection.name is not None:
            narrow = _Narrow(resource, "name", selection.name)
        if narrow is None:
            channel = self._wide.get(resource)
            if channel is None:
                channel = self._wide[resource] = Channel(self._history.lane(resource))
        else:
            channel = self._narrow.get(narrow)
            if channel is None:
                channel = self._narrow[narrow] = Channel(Lane(resource, self._history.revision, NARROW_KEEP))
        channel.readers += 1
        return narrow, channel

    def _close(self, narrow: _Narrow | None, channel: Channel) -> None:
        channel.readers -= 1
        if narrow is not None and not channel.readers:
            del self._narrow[narrow]

    def _advance(self, changes: Sequence[Change]) -> None:
        rung: dict[int, Channel] = {}
        for change in changes:
            resource = change.key.resource
            if resource == "pods":
                self._follow_pod(change, rung)
            if self._narrow:
                self._pass_on(_Narrow(resource, "name", change.key.name), change, rung)
            wide = self._wide.get(resource)
            if wide is not None:
                rung[id(wide)] = wide
        for channel in rung.values():
            channel.ring()

    def _follow_pod(self, change: Change, rung: dict[int, Channel]) -> None:
        old, new = change.previous, change.value
        if not self._narrow and old is not None and new is not None and old.get("spec") is new.get("spec"):
            return  # most changes of pods are of their status
        before = _node_of(old) if old is not None else None
        after = _node_of(new) if new is not None else None
        if before != after:
            self._place_pod(change.key[1:], before, after)
        if self._narrow:
            for node in dict.fromkeys((before, after)):
                if node is not None:
                    self._pass_on(_Narrow("pods", "node", node), change, rung)

    def _pass_on(self, narrow: _Narrow, change: Change, rung: dict[int, Channel]) -> None:
        channel = self._narrow.get(narrow)
        if channel is not None:
            channel.lane.append(change)
            rung[id(channel)] = channel

    def _place_pod(self, place: Place, before: str | None, after: str | None) -> None:
        """None: not there at all; "": on no node yet."""
        if before is not None and (there := self._on_node.get(before)) is not None:
            there.pop(place, None)
            if not there:
                del self._on_node[before]
        if after is not None:
            self._on_node.setdefault(after, {})[place] = None


def _node_of(pod: Obj) -> str:
    return (pod.get("spec") or {}).get("nodeName") or ""


def _bookmark(kind: Kind, revision: int, annotations: Obj | None = None) -> WatchEvent:
    metadata: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    value = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
    return WatchEvent("BOOKMARK", Snapshot(value, revision))


def check_query(query: WatchQuery) -> None:
    match, field, causes = query.resource_version_match, "resourceVersionMatch", []
    if query.send_initial_events is not None:
        if match != "NotOlderThan":
            causes.append(forbidden_value(
                field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'))
    elif match:
        causes.append(forbidden_value(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents "
                                             "is provided"))
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)
