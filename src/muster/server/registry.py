"""The only way in: every write of every client becomes one commit here, and every read is answered here.

    create    read by the schema -> defaults -> landing
    update    the same, onto what is there, if it is still at the revision the writer saw
    patch     read, change, update; on a conflict again, on what is there then
    delete    deletion.decide says: wait, mark, or remove

A verb understands what was asked; landing.py carries its object through admission and validation into the
store.  Both are straight lines through pure functions (metadata, admission, deletion, subresources, the Kind
row); what is asynchronous is the commit alone.  Reads come from the store's history without waiting.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..api import patches
from ..api.errors import ApiError, NotFound, UnsupportedMediaType, conflict, not_found
from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, to_time
from ..api.schema import Schema, Unreadable
from ..clock import Clock
from ..store.history import Snapshot
from ..store.store import Store
from . import deletion, metadata, subresources, token_requests
from .admission import Admission, Attempt
from .escalation import no_escalation
from .evictions import Evictions
from .forms import Forms
from .grants import Grants
from .landing import ADMISSION, ClusterLook, Landing, raise_if, until_it_lands
from .listing import page
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
from .rights import Rights
from .selection import selection
from .subresources import BINDING, EVICTION, SCALE
from .token_requests import TOKEN
from .watch_cache import WatchCache

if TYPE_CHECKING:
    from .account_issuer import AccountIssuer
    from .signing_key import SigningKey

DELETIONS_TOGETHER = 64  # of a collection; they share the store's flush

Snapshots = list[Snapshot]  # a name that stays what it is where `list` is a method


class Registry:
    def __init__(self, store: Store, kinds: Kinds, schema: Schema, clock: Clock,
                 admission: Sequence[Admission] = ADMISSION, signing_key: SigningKey | None = None):
        """Without a `signing_key` tokens are good for as long as this registry is there."""
        self.store = store
        self.kinds = kinds
        self.schema = schema
        self._clock = clock
        self._forms = Forms()
        self._watches = WatchCache(store.history, self._forms)
        self.rights = Rights(Grants(store.history), self.pods_on)
        self._landing = Landing(store, self._forms, clock, [kind.resource for kind in kinds.stored()],
                                (*admission, no_escalation(self.rights)))
        self._evictions = Evictions(store, self._landing, kinds, clock, self.delete)
        self._signing_key = signing_key

    @cached_property
    def tokens(self) -> AccountIssuer:
        """Those of service accounts.  Made when it is first asked for: a rehearsal needs no cryptography."""
        from .account_issuer import AccountIssuer
        from .signing_key import SigningKey
        return AccountIssuer(self._signing_key or SigningKey.made(), ClusterLook(self.store.history), self._clock)

    # ---- reading

    def get(self, kind: Kind, namespace: str, name: str, subresource: str = "") -> Snapshot:
        snapshot = self._forms.of(kind, self._landing.stored(kind, kind.key(namespace, name)))
        if subresource == SCALE:
            return Snapshot(subresources.scale_of(snapshot.value), snapshot.revision)
        return snapshot

    def list(self, kind: Kind, namespace: str, query: ListQuery) -> Page:
        selected = selection(kind, namespace, query.labels, query.fields)
        return page(self.store.history, self._forms, self._watches.pods_on, selected, query)

    def watch(self, kind: Kind, namespace: str, query: WatchQuery,
              ear: Ear | None = None) -> AsyncIterator[Sequence[WatchEvent]]:
        return self._watches.watch(selection(kind, namespace, query.labels, query.fields), query, ear)

    def pods_on(self, node: str) -> Iterator[Obj]:
        """The pods that are bound to a node."""
        there = self.store.history.lane("pods").objects
        return (there[place].value for place in self._watches.pods_on(node))

    # ---- creating

    async def create(self, kind: Kind, namespace: str, obj: Obj, options: WriteOptions, subresource: str = "",
                     name: str = "") -> Written:
        """With a subresource `name` is the object it belongs to.  That is returned, or for "token" the answer."""
        if subresource == BINDING:
            return await self._bind(kind, namespace, name, obj, options)
        if subresource == EVICTION:
            return await self._evict(kind, namespace, name, obj, options)
        if subresource == TOKEN:
            return self._grant_token(kind, namespace, name, obj, options)
        if subresource:
            raise not_found(f"{kind.resource}/{subresource}", name)
        read, warnings = self.schema.read(kind, obj, options.field_validation, options.duplicates)
        read = metadata.in_namespace(metadata.of_kind(read, kind), kind, namespace if kind.namespaced else "")
        metadata.refuse_revision(read)
        read = kind.defaults(read)
        return await self._landing.create(kind, namespace, read, options, warnings)

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

        return await self._landing.rewrite(kind, namespace, name, change, options, subresource)

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
                raise patches.unfit(body.how, body.body, patched, error.wrong) from None
            metadata.check_address(read, namespace if kind.namespaced else "", name)
            read = metadata.in_namespace(metadata.of_kind(read, kind), kind, old["metadata"].get("namespace", ""))
            return kind.defaults(read), warnings

        return await self._landing.rewrite(kind, namespace, name, change, options, subresource)

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
        key = kind.key(namespace, name)

        async def write() -> Snapshot:
            stored = self._landing.stored(kind, key)
            old = stored.value
            if uid != old["metadata"]["uid"]:
                metadata.check_uid(kind, uid or "none", old)
            new = subresources.with_qos_class(kind, {**old, "status": status}, old)
            if new == old:
                return stored
            raise_if(kind, name, kind.validate_status_update(new, old))
            return await self._landing.commit(key, stored, new)

        return await until_it_lands(write)

    # ---- subresources with a body of their own

    async def _update_scale(self, kind: Kind, namespace: str, name: str, scale: Obj, options: WriteOptions) -> Written:
        read, warnings = self._read_body(subresources.SCALE_DEFINITION, scale, options)
        metadata.check_address(read, namespace, name)
        uid = (read.get("metadata") or {}).get("uid")

        def change(old: Obj) -> tuple[Obj, Sequence[str]]:
            metadata.check_uid(kind, uid, old)
            return subresources.scaled(old, read), warnings

        return self._as_scale(kind, await self._landing.rewrite(kind, namespace, name, change, options))

    async def _patch_scale(self, kind: Kind, namespace: str, name: str, body: PatchBody,
                           options: WriteOptions) -> Written:
        def change(old: Obj) -> tuple[Obj, Sequence[str]]:
            patched = self._patched(subresources.scale_of(old), body, subresources.SCALE_DEFINITION)
            try:
                read, warnings = self._read_body(subresources.SCALE_DEFINITION, patched, options)
            except Unreadable as error:
                raise patches.unfit(body.how, body.body, patched, error.wrong) from None
            metadata.check_address(read, namespace, name)
            return subresources.scaled(old, read), warnings

        return self._as_scale(kind, await self._landing.rewrite(kind, namespace, name, change, options))

    @staticmethod
    def _as_scale(kind: Kind, written: Written) -> Written:
        snapshot = written.snapshot
        return Written(Snapshot(subresources.scale_of(snapshot.value), snapshot.revision), written.warnings)

    def _read_body(self, definition: str, body: Any, options: WriteOptions) -> tuple[Obj, Sequence[str]]:
        return self.schema.read_as(definition, body, options.field_validation, options.duplicates)

    async def _bind(self, kind: Kind, namespace: str, name: str, binding: Obj, options: WriteOptions) -> Written:
        read, warnings = self._read_body(subresources.BINDING_DEFINITION, binding, options)
        subresources.check_binding(name, read)
        key, said = kind.key(namespace, name), read["metadata"]
        now = to_time(self._clock.now())

        async def write() -> Written:
            stored = self._landing.stored(kind, key)
            metadata.check_uid(kind, said.get("uid"), stored.value)
            if said.get("resourceVersion") not in (None, "", str(stored.revision)):
                raise conflict(kind.resource, name)
            pod = subresources.bound(stored.value, read, now)
            if options.dry_run:
                return Written(Snapshot(pod, stored.revision), warnings)
            return Written(await self._landing.replace(kind, key, stored, pod), warnings)

        return await until_it_lands(write)

    async def _evict(self, kind: Kind, namespace: str, name: str, eviction: Obj, options: WriteOptions) -> Written:
        read, warnings = self._read_body(subresources.EVICTION_DEFINITION, eviction, options)
        asked = DeleteOptions.of(subresources.check_eviction(name, read), dry_run=options.dry_run)
        deleted = await self._evictions.evict(kind, namespace, name, asked, options.user)
        return Written(deleted.snapshot, warnings)

    def _grant_token(self, kind: Kind, namespace: str, name: str, request: Obj, options: WriteOptions) -> Written:
        """Nothing of it is stored."""
        read, warnings = self._read_body(token_requests.DEFINITION, request, options)
        account = self._landing.stored(kind, kind.key(namespace, name)).value
        asked = self.tokens.completed(read, account)
        asked = self._landing.admit(Attempt("CREATE", kind, namespace, name, asked, {}, options.user, options.dry_run,
                                            options, TOKEN))
        return Written(Snapshot(self.tokens.granted(asked, account), 0), warnings)

    # ---- deleting

    async def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions, user: Any) -> Deleted:
        deletion.check_options(options)
        key = kind.key(namespace, name)

        async def write() -> Deleted:
            stored = self._landing.stored(kind, key)
            obj = stored.value
            deletion.check_preconditions(kind, obj, options)
            self._landing.admit(Attempt("DELETE", kind, namespace, name, obj, obj, user, options.dry_run, options))
            step = deletion.decide(kind, obj, options, self._clock.now())
            return await self._carry_out(kind, key, stored, step, options.dry_run)

        return await until_it_lands(write)

    async def _carry_out(self, kind: Kind, key: Key, stored: Snapshot, step: deletion.Step, dry_run: bool) -> Deleted:
        if isinstance(step, deletion.Wait):
            return Deleted(self._forms.of(kind, stored), gone=False)
        if isinstance(step, deletion.Mark):
            if dry_run:
                return Deleted(Snapshot(step.obj, stored.revision), gone=step.ends)
            if step.obj != stored.value:
                stored = await self._landing.commit(key, stored, step.obj)
            if not step.ends:
                return Deleted(self._forms.of(kind, stored), gone=False)
        if not dry_run:
            stored = await self._landing.commit(key, stored, None)
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


def _unknown_patch() -> ApiError:
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json")


__all__ = [
    "ADMISSION", "Deleted", "DeleteOptions", "ListQuery", "Page", "PatchBody", "Registry", "WatchEvent",
    "WatchQuery", "WriteOptions", "Written",
]
