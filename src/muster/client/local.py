"""The client of those that live in the server's own process: the registry, called directly.

What it is handed and hands out are the stored objects themselves, which nobody changes; nothing is encoded.
Everything that HTTP would check of a user is checked here too, but for what a component of the cluster can
not get wrong: statuses are written without being read by the schema first.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from ..api.errors import BadRequest, NotFound
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, name_of, namespace_of
from ..server.identity import component
from ..server.registry import DeleteOptions, ListQuery, PatchBody, Registry, WriteOptions
from ..store.history import Change
from .client import How, Listing, Propagation


class LocalClient:
    def __init__(self, registry: Registry, user_name: str):
        self._registry = registry
        self._store = registry.store
        self._kinds = registry.kinds
        self._user = component(user_name)
        self._options = WriteOptions(self._user, field_validation="Ignore")

    async def get(self, key: Key) -> Obj:
        return self._registry.get(self._kind(key.resource), key.namespace, key.name).value

    async def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> Listing:
        kind = self._kind(resource)
        found = self._registry.list(kind, namespace, ListQuery(labels=labels, fields=fields))
        return Listing([one.value for one in found.items], found.revision)

    def follow(self, resource: str, after: int) -> AsyncIterator[Sequence[Change]]:
        return self._store.follow(resource, after)

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        """With a subresource `obj` is its body; what it was done to is returned, or the answer (a TokenRequest)."""
        kind = self._owner_of(obj, subresource) if subresource else self._kind_of(obj)
        metadata = obj.get("metadata") or {}
        written = await self._registry.create(kind, metadata.get("namespace") or "", obj, self._options, subresource,
                                              metadata.get("name") or "")
        return written.snapshot.value

    async def replace(self, obj: Obj, *, subresource: str = "") -> Obj:
        written = await self._registry.update(self._kind_of(obj), namespace_of(obj), name_of(obj), obj, self._options,
                                              subresource)
        return written.snapshot.value

    async def patch(self, key: Key, patch: Any, *, how: How = "merge", subresource: str = "") -> Obj:
        written = await self._registry.patch(self._kind(key.resource), key.namespace, key.name, PatchBody(how, patch),
                                             self._options, subresource)
        return written.snapshot.value

    async def set_status(self, key: Key, uid: str, status: Obj) -> Obj:
        kind = self._kind(key.resource)
        return (await self._registry.set_status(kind, key.namespace, key.name, uid, status)).value

    async def delete(self, key: Key, *, uid: str | None = None, revision: int = 0, grace_period_s: int | None = None,
                     propagation: Propagation | None = None) -> int:
        options = DeleteOptions(grace_period_s=grace_period_s, propagation=propagation, uid=uid,
                                resource_version=str(revision) if revision else None)
        deleted = await self._registry.delete(self._kind(key.resource), key.namespace, key.name, options, self._user)
        return deleted.snapshot.revision

    def _kind(self, resource: str) -> Kind:
        kind = self._kinds.get(resource)
        if kind is None:
            raise NotFound("the server could not find the requested resource")
        return kind

    def _kind_of(self, obj: Obj) -> Kind:
        said = obj.get("apiVersion", ""), obj.get("kind", "")
        kind = self._kinds.named(*said)
        if kind is None:
            raise BadRequest(f'no matches for kind "{said[1]}" in version "{said[0]}"')
        return kind

    def _owner_of(self, body: Obj, subresource: str) -> Kind:
        """The kind whose subresource takes such a body: pods for a Binding, service accounts for a TokenRequest."""
        for kind in self._kinds:
            found = kind.subresource(subresource)
            if found is not None and found.kind in (body.get("kind"), ""):
                return kind
        raise BadRequest(f"no kind takes {body.get('kind')} as {subresource}")
