"""Questions: "may I?" (`kubectl auth can-i`), "who am I?" (`kubectl auth whoami`), "whose token is that?".

They look like objects that are created, but nothing is kept: the answer is the object that comes back.
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..api.causes import Cause, forbidden, required
from ..api.errors import BadRequest, invalid
from ..api.kinds.kind import Kind
from ..api.objects import Obj
from .asked import Asked
from .bearer import AUDIENCES, Authenticator, Untrusted, known
from .identity import User
from .rights import Rights

_AUTHENTICATION, _AUTHORIZATION = "io.k8s.api.authentication.v1", "io.k8s.api.authorization.v1"


class Asking(NamedTuple):
    """Who asks, and what answers depend on."""

    user: User
    rights: Rights
    authenticators: Iterable[Authenticator] = ()


def _row(group: str, plural: str, name: str, definition: str, *, namespaced: bool = False) -> Kind:
    return Kind(group=group, version="v1", name=name, plural=plural, singular=name.lower(), namespaced=namespaced,
                definition=f"{definition}.{name}", verbs=("create",), generation_fields=())


ROWS: tuple[Kind, ...] = (
    _row("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", _AUTHENTICATION),
    _row("authentication.k8s.io", "tokenreviews", "TokenReview", _AUTHENTICATION),
    _row("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", _AUTHORIZATION,
         namespaced=True),
    _row("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", _AUTHORIZATION),
    _row("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", _AUTHORIZATION),
    _row("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", _AUTHORIZATION),
)


def answer(row: Kind, body: Any, asking: Asking, namespace: str = "") -> Obj:
    """The review with its status filled in.  `namespace`: of one that is asked in a namespace."""
    if not isinstance(body, dict) or not isinstance(body.get("spec") or {}, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {row.name})")
    spec: Obj = body.get("spec") or {}
    said = (spec.get("resourceAttributes") or {}).get("namespace") or ""
    if row.namespaced and said != namespace:
        raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    status = _ANSWERS[row.name](spec, asking)
    return {**body, "kind": row.name, "apiVersion": row.api_version,
            "metadata": body.get("metadata") or {"creationTimestamp": None}, "status": status}


def _access(spec: Obj, asking: Asking) -> Obj:
    user, rights = asking.user, asking.rights
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
        return rights.verdict(user, Asked(str(path.get("verb", "")), path=str(path.get("path", ""))))
    group, plural = resource.get("group") or "", resource.get("resource") or ""
    asked = f"{plural}.{group}" if group else plural
    return rights.verdict(user, Asked(str(resource.get("verb", "")), asked or "*", **{
        field: str(resource.get(field) or "") for field in ("subresource", "namespace", "name")}))


def _subject_access(spec: Obj, asking: Asking) -> Obj:
    about = User(str(spec.get("user") or ""), tuple(spec.get("groups") or ()))
    return _access(spec, asking._replace(user=about))


def _rules(spec: Obj, asking: Asking) -> Obj:
    rules = asking.rights.rules(asking.user, spec.get("namespace") or "")
    return {"resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
            "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")], "incomplete": False}


def _self(spec: Obj, asking: Asking) -> Obj:
    return {"userInfo": _told(asking.user)}


def _told(user: User) -> Obj:
    about: Obj = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        about["uid"] = user.uid
    if user.extra:
        about["extra"] = {key: list(values) for key, values in user.extra.items()}
    return about


def _token(spec: Obj, asking: Asking) -> Obj:
    token = spec.get("token")
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    try:
        found = known(str(token), spec.get("audiences") or AUDIENCES, asking.authenticators)
    except Untrusted as error:
        return {"user": {}, "error": str(error)}
    return {"authenticated": True, "user": _told(found.user), "audiences": list(found.audiences)}


_ANSWERS: dict[str, Callable[[Obj, Asking], Obj]] = {
    "SelfSubjectReview": _self, "TokenReview": _token, "SelfSubjectAccessReview": _access,
    "SelfSubjectRulesReview": _rules, "SubjectAccessReview": _subject_access,
    "LocalSubjectAccessReview": _subject_access,
}
assert set(_ANSWERS) == {row.name for row in ROWS}, "every review has its answer"
