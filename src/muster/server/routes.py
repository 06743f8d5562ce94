"""Which object, or which kind of objects, a path names.

    /api/v1/namespaces/default/pods/x/log     /apis/apps/v1/daemonsets     /apis/apps/v1/namespaces/y/daemonsets

The shape is the same for every kind, so there is no table of routes: the path is taken apart and the kind
looked up.  A kind that comes or goes at run time is (or is not) reachable at once.
"""
from __future__ import annotations

from typing import NamedTuple

from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind

_METHODS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_ON_ALL = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


class Route(NamedTuple):
    kind: Kind
    namespace: str = ""
    name: str = ""  # "": all of them
    subresource: str = ""
    rest: str = ""  # what follows a subresource: /api/v1/namespaces/x/pods/y/proxy/THIS
    watch: bool = False  # the old way to ask for one: /api/v1/watch/pods

    @property
    def scope(self) -> str:
        """As metrics name it."""
        return "resource" if self.name else "namespace" if self.namespace else "cluster"


def resolve(kinds: Kinds, path: str) -> Route | None:
    """None for a path that names no kind."""
    parts = path.split("/")
    if parts[-1] == "":
        parts.pop()
    if len(parts) < 4 or parts[0]:
        return None
    if parts[1] == "api":
        group, version, rest = "", parts[2], parts[3:]
    elif parts[1] == "apis":
        group, version, rest = parts[2], parts[3], parts[4:]
    else:
        return None
    watch = len(rest) > 1 and rest[0] == "watch"
    if watch:
        del rest[0]
    if not rest or "" in rest[:3]:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not _is_about_the_namespace(group, rest):
        namespace = rest[1]
        del rest[:2]
    kind = kinds.at_route(group, version, rest[0])
    if kind is None:
        return None
    name = rest[1] if len(rest) > 1 else ""
    if bool(namespace) != kind.namespaced and (namespace or name):
        return None  # a cluster's object inside a namespace, or a namespace's object outside
    return Route(kind, namespace, name, rest[2] if len(rest) > 2 else "", "/".join(rest[3:]), watch)


def _is_about_the_namespace(group: str, rest: list[str]) -> bool:
    return group == "" and len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES


def verb_of(route: Route, method: str, *, watch: bool) -> str:
    """What the request does, in the words of authorization; "" where the route has no such method."""
    verb = (_METHODS if route.name else _ON_ALL).get(method, "")
    if method == "GET" and (watch or route.watch) and not route.subresource:
        return "watch"
    if verb == "create" and route.name and not route.subresource:
        return ""
    return verb


def serves(route: Route, verb: str) -> bool:
    if not route.subresource:
        return verb in route.kind.verbs
    found = route.kind.subresource(route.subresource)
    return found is not None and verb in found.verbs
