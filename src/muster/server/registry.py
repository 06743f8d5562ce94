"""The only way in: every write of every client becomes one commit here, and every read is answered here.

    create    read by the schema -> defaults -> admission -> name, uid -> the kind prepares and validates -> commit
    update    the same, onto what is there, if it is still at the revision the writer saw
    patch     read, change, update; on a conflict again, on what is there then
    delete    deletion.decide says: wait, mark, or remove

Each verb is a straight line through pure functions (metadata, admission, deletion, subresources, the Kind
row); what is asynchronous is the commit alone.  Reads come from the store's history without waiting.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ..api import patches
from ..api.causes import Cause
from ..api.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    UnsupportedMediaType,
    already_exists,
    conflict,
    invalid,
    not_found,
)
from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind, Subresource
from ..api.objects import Key, Obj, is_deleting, to_time
from ..api.schema import Schema, Unreadable
from ..api.validation.metadata import validate_metadata_update
from ..clock import Clock
from ..store.history import History, Snapshot
from ..store.store import Store
from . import deletion, metadata, subresources
from .admission import (
    Admission,
    Attempt,
    admit,
    default_tolerations,
    namespace_lifecycle,
    node_taints,
    priority,
)
from .forms import Forms
from .listing import between, page
from .requests import (
    Deleted,
    DeleteOptions,
    Ear,
    ListQuery,
    Page,
    PatchBody,
    WatchEvent,
    WatchQuery,
    WriteOptions,
    Written,
)
from .runtime_classes import runtime_class
from .selection import selection
from .service_accounts import account_awaited, service_account
from .service_addresses import RESOURCE as SERVICES
from .service_addresses import Reservation, ServiceAddresses
from .subresources import BINDING, EVICTION, SCALE, STATUS
from .watch_cache import WatchCache

ADMISSION: tuple[Admission, ...] = (
    namespace_lifecycle, service_account, node_taints, priority, default_tolerations, runtime_class)

TRIES = 5  # to write onto an object that others write to at the same time
ACCOUNT_TRIES = 10  # to find the default account of a namespace that is just being made ...
ACCOUNT_WAIT_S = (0.1, 0.2)  # ... after so long each
DELETIONS_TOGETHER = 64  # of a collection; they share the store's flush

T = TypeVar("T")
Snapshots = list[Snapshot]  # a name that stays what it is where `list` is a method
Change = Callable[[Obj], tuple[Obj, Sequence[str]]]  # what is there -> what shall be, and warnings


class ClusterLook:
    """What admission may read: the objects as they are now."""

    def __init__(self, history: History):
        self._history = history

    def get(self, key: Key) -> Obj | None:
        found = self._history.get(key)
        return found.value if found is not None else None

    def list(self, resource: str, namespace: str = "") -> Iterator[Obj]:
        lane = self._history.lane(resource)
        return (lane.objects[place].value for place in between(lane, namespace))


class Registry:
    def __init__(self, store: Store, kinds: Kinds, schema: Schema, clock: Clock,
                 admission: Sequence[Admission] = ADMISSION):
        self.store = store
        self.kinds = kinds
        self.schema = schema
        self._clock = clock
        self._chance = clock.fork("registry")
        self._admission = tuple(admission)
        self._waits_for_account = service_account in self._admission
        self._look = ClusterLook(store.history)
        self._forms = Forms()
        self._watches = WatchCache(store.history, self._forms)
        self._addresses = ServiceAddresses(store.history, clock.fork("service addresses"))

    # ---- reading

    def get(self, kind: Kind, namespace: str, name: str, subresource: str = "") -> Snapshot:
        snapshot = self._forms.of(kind, self._stored(kind, namespace, name))
        if subresource == SCALE:
            return Snapshot(subresources.scale_of(kind, snapshot.value), snapshot.revision)
        return snapshot

    def list(self, kind: Kind, namespace: str, query: ListQuery) -> Page:
        selected = selection(kind, namespace, query.labels, query.fields)
        return page(self.store.history, self._forms, self._watches.pods_on, selected, query)

    def watch(self, kind: Kind, namespace: str, query: WatchQuery,
              ear: Ear | None = None) -> AsyncIterator[Sequence[WatchEvent]]:
        return self._watches.watch(selection(kind, namespace, query.labels, query.fields), query, ear)

    # ---- creating

    async def create(self, kind: Kind, namespace: str, obj: Obj, options: WriteOptions, subresource: str = "",
                     name: str = "") -> Written:
        """With a subresource ("binding", "eviction") `name` is the object it belongs to, which is returned."""
        if subresource == BINDING:
            return await self._bind(kind, namespace, name, obj, options)
        if subresource == EVICTION:
            return await self._evict(kind, namespace, name, obj, options)
        if subresource:
            raise not_found(f"{kind.resource}/{subresource}", name)
        read, warnings = self.schema.read(kind, obj, options.field_validation, options.duplicates)
        read = metadata.in_namespace(metadata.of_kind(read, kind), kind, namespace if kind.namespaced else "")
        metadata.refuse_revision(read)
        read = kind.defaults(read)
        attempt = Attempt("CREATE", kind, namespace, read["metadata"].get("name") or "", read, {}, options.user,
                          options.dry_run, options)
        await self._wait_for_account(attempt)
        admitted = admit(attempt, self._look, self._admission)
        return await self._create_named(kind, admitted, options, warnings)

    async def _create_named(self, kind: Kind, obj: Obj, options: WriteOptions, warnings: Sequence[str]) -> Written:
        prefix = obj["metadata"].get("generateName")
        if obj["metadata"].get("name") or not prefix:
            return await self._create_one(kind, obj, obj["metadata"].get("name") or "", options, warnings)
        for _ in range(metadata.GENERATE_TRIES):
            name = metadata.generated_name(prefix, self._clock.suffix(kind.resource, metadata.SUFFIX_LENGTH))
            try:
                return await self._create_one(kind, obj, name, options, warnings)
            except AlreadyExists:
                continue
        raise metadata.name_was_taken(kind.resource, name)

    async def _create_one(self, kind: Kind, obj: Obj, name: str, options: WriteOptions,
                          warnings: Sequence[str]) -> Written:
        obj = kind.prepare_create(metadata.of_new(
            obj, kind, uid=self._clock.uid(kind.resource), created=to_time(self._clock.now()), name=name))
        reservation = Reservation()
        try:
            if kind.resource == SERVICES:
                obj = self._addresses.assign(obj, None, reservation)
            _raise_if(kind, name, [*kind.validate(obj), *kind.validate_create(obj)])
            warnings = (*warnings, *kind.warnings(obj, None))
            key = kind.key(obj["metadata"].get("namespace", ""), name)
            there = self.store.get(key)
            if there is not None:
                raise _taken(kind, name, there)
            if options.dry_run:
                return Written(Snapshot(obj, 0), warnings)
            try:
                snapshot = await self.store.commit(key, kind.to_stored(obj), expect=0)
            except Conflict:
                raise _taken(kind, name, self.store.get(key)) from None
        finally:
            self._addresses.release(reservation)
        assert snapshot is not None, "a value was committed"
        return Written(self._forms.of(kind, snapshot), warnings)

    async def _wait_for_account(self, attempt: Attempt) -> None:
        if not self._waits_for_account:
            return
        for _ in range(ACCOUNT_TRIES):
            if not account_awaited(attempt, self._look):
                return
            await asyncio.sleep(self._chance.uniform(*ACCOUNT_WAIT_S))

    # ---- changing

    async def update(self, kind: Kind, namespace: str, name: str, obj: Obj, options: WriteOptions,
                     subresource: str = "") -> Written:
        if subresource == SCALE:
            return await self._update_scale(kind, namespace, name, obj, options)
        read, warnings = self.schema.read(kind, obj, options.field_validation, options.duplicates)
        metadata.check_address(read, namespace if kind.namespaced else "", name)
        read = kind.defaults(metadata.in_namespace(metadata.of_kind(read, kind), kind,
                                                   namespace if kind.namespaced else ""))
        uid = read["metadata"].get("uid")

        def change(old: Obj) -> tuple[Obj, Sequence[str]]:
            metadata.check_uid(kind, uid, old)
            return read, warnings

        return await self._rewrite(kind, namespace, name, change, options, subresource)

    async def patch(self, kind: Kind, namespace: str, name: str, body: PatchBody, options: WriteOptions,
                    subresource: str = "") -> Written:
        if subresource == SCALE:
            return await self._patch_scale(kind, namespace, name, body, options)
        definition = kind.definition
        if body.how == "strategic" and kind.own_schema:
            raise _unknown_patch()

        def change(old: Obj) -> tuple[Obj, Sequence[str]]:
            patched = self._patched(old, body, definition)
            if patched is old:
                return old, ()
            try:
                read, warnings = self.schema.read(kind, patched, options.field_validation, options.duplicates)
            except Unreadable as error:
                raise patches.unfit(body.how, body.body, error.wrong) from None
            metadata.check_address(read, namespace if kind.namespaced else "", name)
            read = metadata.in_namespace(metadata.of_kind(read, kind), kind, old["metadata"].get("namespace", ""))
            return kind.defaults(read), warnings

        return await self._rewrite(kind, namespace, name, change, options, subresource)

    def _patched(self, obj: Obj, body: PatchBody, definition: str) -> Obj:
        if body.how == "json":
            return patches.json_patch(obj, body.body)
        if body.how == "merge":
            return patches.merge_patch(obj, body.body)
        if body.how == "strategic":
            return patches.strategic_merge(obj, body.body, self.schema.definition(definition), self.schema)
        raise _unknown_patch()

    async def set_status(self, kind: Kind, namespace: str, name: str, uid: str, status: Obj) -> Snapshot:
        """For the cluster's own parts, whose statuses need no reading: replaces the whole status."""
        async def write() -> Snapshot:
            stored = self._stored(kind, namespace, name)
            old = stored.value
            if uid != old["metadata"]["uid"]:
                metadata.check_uid(kind, uid or "none", old)
            new = subresources.with_qos_class(kind, {**old, "status": status}, old)
            if new == old:
                return stored
            _raise_if(kind, name, kind.validate_status_update(new, old))
            return await self._commit(kind, stored, new)

        return await _until_it_lands(write)

    async def _rewrite(self, kind: Kind, namespace: str, name: str, change: Change, options: WriteOptions,
                       subresource: str = "") -> Written:
        """Writes what `change` makes of the object; where another write came first, of what is there then."""
        plain = _plain(kind, subresource, name)

        async def write() -> Written:
            stored = self._stored(kind, namespace, name)
            current = self._forms.of(kind, stored)
            new, warnings = change(current.value)
            reservation = Reservation()
            try:
                new, more = self._next(kind, new, current.value, options, plain, reservation)
                warnings = (*warnings, *more)
                if new == current.value:
                    return Written(current, warnings)
                if options.dry_run:
                    return Written(Snapshot(new, current.revision), warnings)
                return Written(await self._replace(kind, stored, new), warnings)
            finally:
                self._addresses.release(reservation)

        return await _until_it_lands(write)

    def _next(self, kind: Kind, new: Obj, old: Obj, options: WriteOptions, plain: Subresource | None,
              reservation: Reservation) -> tuple[Obj, Sequence[str]]:
        """The object as it will be stored, and warnings; or what is wrong with it."""
        name = old["metadata"]["name"]
        metadata.check_revision(kind, new, old)
        new = metadata.of_update(new, old)
        if plain is not None:
            new = subresources.narrowed(kind, plain, new, old)
        attempt = Attempt("UPDATE", kind, old["metadata"].get("namespace", ""), name, new, old, options.user,
                          options.dry_run, options, plain.name if plain is not None else "")
        new = admit(attempt, self._look, self._admission)
        if plain is not None:
            _raise_if(kind, name, _wrong_with(kind, plain, new, old))
            return new, ()
        new = kind.prepare_update(new, old)
        if kind.resource == SERVICES:
            new = self._addresses.assign(new, old, reservation)
        new = metadata.with_generation(kind, new, old)
        if new == old:
            return old, kind.warnings(old, old)
        _raise_if(kind, name, [*kind.validate(new), *kind.validate_update(new, old)])
        return new, kind.warnings(new, old)

    async def _replace(self, kind: Kind, stored: Snapshot, new: Obj) -> Snapshot:
        """Commits; an object that was only kept by what the new one lacks (a finalizer) ends instead."""
        ends = deletion.may_end(new)
        snapshot = await self._commit(kind, stored, None if ends else kind.to_stored(new))
        return Snapshot(new, snapshot.revision) if ends else self._forms.of(kind, snapshot)

    async def _commit(self, kind: Kind, stored: Snapshot, value: Obj | None) -> Snapshot:
        """In the place of what was looked at; raises _Overtaken where it has changed since."""
        spoken = stored.value["metadata"]
        try:
            snapshot = await self.store.commit(kind.key(spoken.get("namespace", ""), spoken["name"]), value,
                                               expect=stored.revision)
        except Conflict as other:
            raise _Overtaken(other) from None
        assert snapshot is not None, "the commit expected an object and found it"
        return snapshot

    # ---- subresources with a body of their own

    async def _update_scale(self, kind: Kind, namespace: str, name: str, scale: Obj, options: WriteOptions) -> Written:
        read, warnings = self._read_body(subresources.SCALE_DEFINITION, scale, options)
        metadata.check_address(read, namespace, name)
        uid = (read.get("metadata") or {}).get("uid")

        def change(old: Obj) -> tuple[Obj, Sequence[str]]:
            metadata.check_uid(kind, uid, old)
            return subresources.scaled(kind, old, read), warnings

        return self._as_scale(kind, await self._rewrite(kind, namespace, name, change, options))

    async def _patch_scale(self, kind: Kind, namespace: str, name: str, body: PatchBody,
                           options: WriteOptions) -> Written:
        def change(old: Obj) -> tuple[Obj, Sequence[str]]:
            patched = self._patched(subresources.scale_of(kind, old), body, subresources.SCALE_DEFINITION)
            read, warnings = self._read_body(subresources.SCALE_DEFINITION, patched, options)
            metadata.check_address(read, namespace, name)
            return subresources.scaled(kind, old, read), warnings

        return self._as_scale(kind, await self._rewrite(kind, namespace, name, change, options))

    @staticmethod
    def _as_scale(kind: Kind, written: Written) -> Written:
        snapshot = written.snapshot
        return Written(Snapshot(subresources.scale_of(kind, snapshot.value), snapshot.revision), written.warnings)

    def _read_body(self, definition: str, body: Any, options: WriteOptions) -> tuple[Obj, Sequence[str]]:
        return self.schema.read_as(definition, body, options.field_validation, options.duplicates)

    async def _bind(self, kind: Kind, namespace: str, name: str, binding: Obj, options: WriteOptions) -> Written:
        read, warnings = self._read_body(subresources.BINDING_DEFINITION, binding, options)
        subresources.check_binding(name, read)
        said = read["metadata"]
        now = to_time(self._clock.now())

        async def write() -> Written:
            stored = self._stored(kind, namespace, name)
            metadata.check_uid(kind, said.get("uid"), stored.value)
            if said.get("resourceVersion") not in (None, "", str(stored.revision)):
                raise conflict(kind.resource, name)
            pod = subresources.bound(stored.value, read, now)
            if options.dry_run:
                return Written(Snapshot(pod, stored.revision), warnings)
            return Written(await self._replace(kind, stored, pod), warnings)

        return await _until_it_lands(write)

    async def _evict(self, kind: Kind, namespace: str, name: str, eviction: Obj, options: WriteOptions) -> Written:
        read, warnings = self._read_body(subresources.EVICTION_DEFINITION, eviction, options)
        asked = DeleteOptions.of(subresources.check_eviction(name, read), dry_run=options.dry_run)
        deleted = await self.delete(kind, namespace, name, asked, options.user)
        return Written(deleted.snapshot, warnings)

    # ---- deleting

    async def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions, user: Any) -> Deleted:
        deletion.check_options(options)

        async def write() -> Deleted:
            stored = self._stored(kind, namespace, name)
            obj = stored.value
            deletion.check_preconditions(kind, obj, options)
            admit(Attempt("DELETE", kind, namespace, name, obj, obj, user, options.dry_run, options),
                  self._look, self._admission)
            step = deletion.decide(kind, obj, options, self._clock.now())
            return await self._carry_out(kind, stored, step, options.dry_run)

        return await _until_it_lands(write)

    async def _carry_out(self, kind: Kind, stored: Snapshot, step: deletion.Step, dry_run: bool) -> Deleted:
        if isinstance(step, deletion.Wait):
            return Deleted(self._forms.of(kind, stored), gone=False)
        if isinstance(step, deletion.Mark):
            if dry_run:
                return Deleted(Snapshot(step.obj, stored.revision), gone=step.ends)
            if step.obj != stored.value:
                stored = await self._commit(kind, stored, step.obj)
            if not step.ends:
                return Deleted(self._forms.of(kind, stored), gone=False)
        if not dry_run:
            stored = await self._commit(kind, stored, None)
        return Deleted(self._forms.of(kind, stored), gone=True)

    async def delete_collection(self, kind: Kind, namespace: str, query: ListQuery, options: DeleteOptions,
                                user: Any) -> Sequence[Snapshot]:
        """Deletes what a list with that query holds; returns how they were left, or last were."""
        deletion.check_options(options)
        items = self.list(kind, namespace, query).items
        left: Snapshots = []
        for start in range(0, len(items), DELETIONS_TOGETHER):
            left += await asyncio.gather(*(self._delete_listed(kind, item, options, user)
                                           for item in items[start:start + DELETIONS_TOGETHER]))
        return left

    async def _delete_listed(self, kind: Kind, item: Snapshot, options: DeleteOptions, user: Any) -> Snapshot:
        spoken = item.value["metadata"]
        try:
            return (await self.delete(kind, spoken.get("namespace", ""), spoken["name"], options, user)).snapshot
        except NotFound:
            return item  # gone meanwhile, as was asked

    # ---- parts

    def _stored(self, kind: Kind, namespace: str, name: str) -> Snapshot:
        found = self.store.get(kind.key(namespace, name))
        if found is None:
            raise not_found(kind.resource, name)
        return found


class _Overtaken(Exception):
    """Another write came between the look and the commit."""

    def __init__(self, other: Conflict):
        super().__init__(other.message)
        self.conflict = other


async def _until_it_lands(write: Callable[[], Awaitable[T]]) -> T:
    """`write` looks, decides and commits: all of it again where another write came between."""
    for left in reversed(range(TRIES)):
        try:
            return await write()
        except _Overtaken as overtaken:
            if not left:
                raise overtaken.conflict from None
    raise AssertionError("unreachable: the last try returns or raises")


def _taken(kind: Kind, name: str, there: Snapshot | None) -> ApiError:
    error = already_exists(kind.resource, name)
    if there is None or not is_deleting(there.value):
        return error
    return AlreadyExists(f"object is being deleted: {error.message}", details=error.details)


def _raise_if(kind: Kind, name: str, causes: Iterable[Cause]) -> None:
    if wrong := list(dict.fromkeys(causes)):
        raise invalid(kind.name, kind.group, name, wrong)


def _wrong_with(kind: Kind, plain: Subresource, new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    if plain.name == STATUS:
        return wrong + kind.validate_status_update(new, old)
    return wrong + kind.validate(new) + (plain.validate(new, old) if plain.validate is not None else [])


def _plain(kind: Kind, subresource: str, name: str) -> Subresource | None:
    if not subresource:
        return None
    found = kind.subresource(subresource)
    if found is None or not subresources.fields_of(found):
        raise not_found(f"{kind.resource}/{subresource}", name)
    return found


def _unknown_patch() -> ApiError:
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json")


__all__ = [
    "ADMISSION", "Deleted", "DeleteOptions", "ListQuery", "Page", "PatchBody", "Registry", "WatchEvent",
    "WatchQuery", "WriteOptions", "Written",
]
