"""How one object gets into the store: what every creation and every change goes through, whoever asks.

    create    admission -> name, uid -> the kind prepares and validates -> limits and quotas -> commit
    rewrite   what is there -> what the caller makes of it -> the same

A rewrite is decided on what is stored when it is decided; where another write came between that look and the
commit, it is decided again on what is there then (a bounded number of times).  What a write was given for the
time of its landing (addresses, ports, a part of a quota) is let go when it ends: by then it is stored, or it failed.
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import TypeVar

from ..api.causes import Cause
from ..api.errors import AlreadyExists, ApiError, Conflict, already_exists, invalid, not_found
from ..api.kinds.kind import Kind, Subresource
from ..api.objects import Key, Obj, is_deleting, to_time
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
from .certificate_requesters import certificate_requester
from .forms import Forms
from .limit_ranges import limit_defaults, limits_kept
from .listing import between
from .node_restriction import node_restriction
from .quotas import Charge, Quotas
from .requests import WriteOptions, Written
from .runtime_classes import runtime_class
from .service_accounts import account_awaited, service_account
from .service_addresses import RESOURCE as SERVICES
from .service_addresses import Reservation, ServiceAddresses
from .storage_classes import claim_may_grow, default_storage_class
from .subresources import STATUS

ADMISSION: tuple[Admission, ...] = (
    namespace_lifecycle, limit_defaults, service_account, node_taints, priority, default_tolerations,
    default_storage_class, runtime_class, node_restriction, certificate_requester)
VALIDATING: tuple[Admission, ...] = (claim_may_grow, limits_kept)  # asked last, about the object as it would be stored

TRIES = 5  # to write onto an object that others write to at the same time
ACCOUNT_TRIES = 10  # to find the default account of a namespace that is just being made ...
ACCOUNT_WAIT_S = (0.1, 0.2)  # ... after so long each

T = TypeVar("T")
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


class Landing:
    def __init__(self, store: Store, forms: Forms, clock: Clock, resources: Collection[str],
                 admission: Sequence[Admission] = ADMISSION):
        self._store = store
        self._forms = forms
        self._clock = clock
        self._chance = clock.fork("registry")
        self._admission = tuple(admission)
        self._waits_for_account = service_account in self._admission
        self._look = ClusterLook(store.history)
        self._addresses = ServiceAddresses(store.history, clock.fork("service addresses"))
        self._quotas = Quotas(store.history, resources, clock.now)

    def stored(self, kind: Kind, key: Key) -> Snapshot:
        found = self._store.get(key)
        if found is None:
            raise not_found(kind.resource, key.name)
        return found

    def admit(self, attempt: Attempt) -> Obj:
        return admit(attempt, self._look, self._admission)

    # ---- what is new

    async def create(self, kind: Kind, namespace: str, read: Obj, options: WriteOptions,
                     warnings: Sequence[str]) -> Written:
        """`read` is in its namespace and has its defaults."""
        attempt = Attempt("CREATE", kind, namespace, read["metadata"].get("name") or "", read, {}, options.user,
                          options.dry_run, options)
        await self._wait_for_account(attempt)
        self.admit(attempt)
        return await self._create_named(attempt, options, warnings)

    async def _create_named(self, attempt: Attempt, options: WriteOptions, warnings: Sequence[str]) -> Written:
        kind, metadata_given = attempt.kind, attempt.obj["metadata"]
        prefix = metadata_given.get("generateName")
        if metadata_given.get("name") or not prefix:
            return await self._create_one(attempt, metadata_given.get("name") or "", options, warnings)
        for _ in range(metadata.GENERATE_TRIES):
            name = metadata.generated_name(prefix, self._clock.suffix(kind.resource, metadata.SUFFIX_LENGTH))
            try:
                return await self._create_one(attempt, name, options, warnings)
            except AlreadyExists:
                continue
        raise metadata.name_was_taken(kind.resource, name)

    async def _create_one(self, attempt: Attempt, name: str, options: WriteOptions,
                          warnings: Sequence[str]) -> Written:
        kind = attempt.kind
        obj = kind.prepare_create(metadata.of_new(
            attempt.obj, kind, uid=self._clock.uid(kind.resource), created=to_time(self._clock.now()), name=name))
        reservation, charge = Reservation(), None
        try:
            if kind.resource == SERVICES:
                obj = self._addresses.assign(obj, None, reservation)
            raise_if(kind, name, [*kind.validate(obj), *kind.validate_create(obj)])
            warnings = (*warnings, *kind.warnings(obj, None))
            key = kind.key(obj["metadata"].get("namespace", ""), name)
            charge = self._charge(Attempt("CREATE", kind, attempt.namespace, name, obj, {}, options.user,
                                          options.dry_run, options), key)
            there = self._store.get(key)
            if there is not None:
                raise _taken(kind, name, there)
            if options.dry_run:
                return Written(Snapshot(obj, 0), warnings)
            try:
                snapshot = await self._store.commit(key, kind.to_stored(obj), expect=0)
            except Conflict:
                raise _taken(kind, name, self._store.get(key)) from None
        finally:
            self._addresses.release(reservation)
            self._quotas.release(charge)
        assert snapshot is not None, "a value was committed"
        return Written(self._forms.of(kind, snapshot), warnings)

    def _charge(self, attempt: Attempt, key: Key) -> Charge | None:
        """The last that is asked, about the object as it would be stored; what it takes of quotas is held."""
        for admission in VALIDATING:
            admission(attempt, self._look)
        return self._quotas.charge(attempt, key)

    async def _wait_for_account(self, attempt: Attempt) -> None:
        if not self._waits_for_account:
            return
        for _ in range(ACCOUNT_TRIES):
            if not account_awaited(attempt, self._look):
                return
            await asyncio.sleep(self._chance.uniform(*ACCOUNT_WAIT_S))

    # ---- what is there

    async def rewrite(self, kind: Kind, namespace: str, name: str, change: Change, options: WriteOptions,
                      subresource: str = "") -> Written:
        """Writes what `change` makes of the object; where another write came first, of what is there then."""
        key, plain = kind.key(namespace, name), _plain(kind, subresource, name)

        async def write() -> Written:
            stored = self.stored(kind, key)
            current = self._forms.of(kind, stored)
            new, warnings = change(current.value)
            reservation, charge = Reservation(), None
            try:
                new, more = self._next(kind, new, current.value, options, plain, reservation)
                warnings = (*warnings, *more)
                if new == current.value:
                    return Written(current, warnings)
                charge = self._charge(_update(kind, new, current.value, options, plain), key)
                if options.dry_run:
                    return Written(Snapshot(new, current.revision), warnings)
                return Written(await self.replace(kind, key, stored, new), warnings)
            finally:
                self._addresses.release(reservation)
                self._quotas.release(charge)

        return await until_it_lands(write)

    def _next(self, kind: Kind, new: Obj, old: Obj, options: WriteOptions, plain: Subresource | None,
              reservation: Reservation) -> tuple[Obj, Sequence[str]]:
        """The object as it will be stored, and warnings; or what is wrong with it."""
        name = old["metadata"]["name"]
        metadata.check_revision(kind, new, old)
        new = metadata.of_update(new, old)
        if plain is not None:
            new = subresources.narrowed(kind, plain, new, old)
        new = self.admit(_update(kind, new, old, options, plain))
        if plain is not None:
            raise_if(kind, name, _wrong_with(kind, plain, new, old))
            return new, ()
        new = kind.prepare_update(new, old)
        if kind.resource == SERVICES:
            new = self._addresses.assign(new, old, reservation)
        new = metadata.with_generation(kind, new, old)
        if new == old:
            return old, kind.warnings(old, old)
        raise_if(kind, name, [*kind.validate(new), *kind.validate_update(new, old)])
        return new, kind.warnings(new, old)

    async def replace(self, kind: Kind, key: Key, stored: Snapshot, new: Obj) -> Snapshot:
        """Commits; an object that was only kept by what the new one lacks (a finalizer) ends instead."""
        ends = deletion.may_end(new)
        snapshot = await self.commit(key, stored, None if ends else kind.to_stored(new))
        return Snapshot(new, snapshot.revision) if ends else self._forms.of(kind, snapshot)

    async def commit(self, key: Key, stored: Snapshot, value: Obj | None) -> Snapshot:
        """In the place of what was looked at; raises Overtaken where it has changed since."""
        try:
            snapshot = await self._store.commit(key, value, expect=stored.revision)
        except Conflict as other:
            raise Overtaken(other) from None
        assert snapshot is not None, "the commit expected an object and found it"
        return snapshot


class Overtaken(Exception):
    """Another write came between the look and the commit."""

    def __init__(self, other: Conflict):
        super().__init__(other.message)
        self.conflict = other


async def until_it_lands(write: Callable[[], Awaitable[T]]) -> T:
    """`write` looks, decides and commits: all of it again where another write came between."""
    left = TRIES
    while True:
        try:
            return await write()
        except Overtaken as overtaken:
            left -= 1
            if not left:
                raise overtaken.conflict from None


def _update(kind: Kind, new: Obj, old: Obj, options: WriteOptions, plain: Subresource | None) -> Attempt:
    spoken = old["metadata"]
    return Attempt("UPDATE", kind, spoken.get("namespace", ""), spoken["name"], new, old, options.user,
                   options.dry_run, options, plain.name if plain is not None else "")


def _taken(kind: Kind, name: str, there: Snapshot | None) -> ApiError:
    error = already_exists(kind.resource, name)
    if there is None or not is_deleting(there.value):
        return error
    return AlreadyExists(f"object is being deleted: {error.message}", details=error.details)


def raise_if(kind: Kind, name: str, wrong: Sequence[Cause]) -> None:
    if wrong:
        raise invalid(kind.name, kind.group, name, list(dict.fromkeys(wrong)))


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
