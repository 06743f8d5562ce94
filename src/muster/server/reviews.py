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
from .asked import Asked
from .identity import User
from .rights import Rights

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


def answer(row: Kind, body: Any, user: User, rights: Rights, namespace: str = "") -> Obj:
    """The review with its status filled in.  `namespace`: of one that is asked in a namespace."""
    if not isinstance(body, dict) or not isinstance(body.get("spec") or {}, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {row.name})")
    spec: Obj = body.get("spec") or {}
    said = (spec.get("resourceAttributes") or {}).get("namespace") or ""
    if row.namespaced and said != namespace:
        raise BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    status = _ANSWERS[row.name](spec, user, rights)
    return {**body, "kind": row.name, "apiVersion": row.api_version,
            "metadata": body.get("metadata") or {"creationTimestamp": None}, "status": status}


def _access(spec: Obj, user: User, rights: Rights) -> Obj:
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


def _subject_access(spec: Obj, user: User, rights: Rights) -> Obj:
    return _access(spec, User(str(spec.get("user") or ""), tuple(spec.get("groups") or ())), rights)


def _rules(spec: Obj, user: User, rights: Rights) -> Obj:
    rules = rights.rules(user, spec.get("namespace") or "")
    return {"resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
            "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")], "incomplete": False}


def _self(spec: Obj, user: User, rights: Rights) -> Obj:
    about: Obj = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        about["uid"] = user.uid
    if user.extra:
        about["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {"userInfo": about}


_ANSWERS: dict[str, Callable[[Obj, User, Rights], Obj]] = {
    "SelfSubjectReview": _self, "SelfSubjectAccessReview": _access, "SelfSubjectRulesReview": _rules,
    "SubjectAccessReview": _subject_access, "LocalSubjectAccessReview": _subject_access,
}
assert set(_ANSWERS) == {row.name for row in ROWS}, "every review has its answer"


