"""Questions about oneself: "may I?" (`kubectl auth can-i`) and "who am I?" (`kubectl auth whoami`).

They look like objects that are created, but nothing is kept: the answer is the object that comes back.
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..api.causes import Cause, forbidden, required
from ..api.errors import BadRequest, invalid
from ..api.kinds.kind import Kind
from ..api.objects import Obj
from .identity import MASTERS, User
from .node_rights import PodsOn, nobody
from .rights import may

_AUTHORIZATION = "io.k8s.api.authorization.v1"


def _row(group: str, plural: str, name: str, definition: str, *, namespaced: bool = False) -> Kind:
    return Kind(group=group, version="v1", name=name, plural=plural, singular=name.lower(), namespaced=namespaced,
                definition=f"{definition}.{name}", verbs=("create",), generation_fields=())


ROWS: tuple[Kind, ...] = (
    _row("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", "io.k8s.api.authentication.v1"),
    _row("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", _AUTHORIZATION,
         namespaced=True),
    _row("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", _AUTHORIZATION),
    _row("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", _AUTHORIZATION),
    _row("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", _AUTHORIZATION),
)


def is_about_oneself(row: Kind) -> bool:
    """Anyone who is known may ask it (the default role system:basic-user)."""
    return row.name.startswith("Self")


def answer(row: Kind, body: Any, user: User, pods_on: PodsOn = nobody) -> Obj:
    """The review with its status filled in.  `pods_on`: what nodes may do depends on their pods."""
    if not isinstance(body, dict) or not isinstance(body.get("spec") or {}, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {row.name})")
    status = _ANSWERS[row.name](body.get("spec") or {}, user, pods_on)
    return {**body, "kind": row.name, "apiVersion": row.api_version,
            "metadata": body.get("metadata") or {"creationTimestamp": None}, "status": status}


def _access(spec: Obj, user: User, pods_on: PodsOn) -> Obj:
    resource: Obj = spec.get("resourceAttributes") or {}
    path: Obj = spec.get("nonResourceAttributes") or {}
    causes: list[Cause] = []
    if resource and path:
        causes.append(forbidden("spec.nonResourceAttributes",
                                "cannot be specified in combination with resourceAttributes"))
    elif not resource and not path:
        causes.append(required("spec.resourceAttributes",
                               "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
    if causes:
        raise invalid("SelfSubjectAccessReview", "authorization.k8s.io", "", causes)
    if path:
        return _verdict(may(user, str(path.get("verb", "")), path=str(path.get("path", ""))))
    group, plural = resource.get("group") or "", resource.get("resource") or ""
    asked = f"{plural}.{group}" if group else plural
    return _verdict(may(user, str(resource.get("verb", "")), resource=asked or "*", pods_on=pods_on, **{
        field: str(resource.get(field) or "") for field in ("subresource", "namespace", "name")}))


def _verdict(allowed: bool) -> Obj:
    return {"allowed": allowed}


def _subject_access(spec: Obj, user: User, pods_on: PodsOn) -> Obj:
    return _access(spec, User(str(spec.get("user") or ""), tuple(spec.get("groups") or ())), pods_on)


def _rules(spec: Obj, user: User, pods_on: PodsOn) -> Obj:
    everything = MASTERS in user.groups
    resources: list[Obj] = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}] if everything else []
    resources += [{"verbs": ["create"], "apiGroups": [row.group], "resources": [row.plural]}
                  for row in ROWS if is_about_oneself(row)]
    paths: list[Obj] = [{"verbs": ["*"], "nonResourceURLs": ["*"]}] if everything else []
    known = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
             "/version"]
    paths.append({"verbs": ["get"], "nonResourceURLs": known})
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _self(spec: Obj, user: User, pods_on: PodsOn) -> Obj:
    about: Obj = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        about["uid"] = user.uid
    if user.extra:
        about["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {"userInfo": about}


_ANSWERS: dict[str, Callable[[Obj, User, PodsOn], Obj]] = {
    "SelfSubjectReview": _self, "SelfSubjectAccessReview": _access, "SelfSubjectRulesReview": _rules,
    "SubjectAccessReview": _subject_access, "LocalSubjectAccessReview": _subject_access,
}
assert set(_ANSWERS) == {row.name for row in ROWS}, "every review has its answer"


