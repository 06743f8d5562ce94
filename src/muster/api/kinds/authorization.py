"""SelfSubjectAccessReview: "may I?", as `kubectl auth can-i` asks.  Answered, never stored.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""
from __future__ import annotations

from ..causes import Cause, invalid
from ..objects import Obj, at
from .kind import Kind


def validate(review: Obj) -> list[Cause]:
    about_objects = at(review, "spec.resourceAttributes") is not None
    about_paths = at(review, "spec.nonResourceAttributes") is not None
    if about_objects and about_paths:
        return [invalid("spec.nonResourceAttributes", at(review, "spec.nonResourceAttributes"),
                        "cannot be specified in combination with resourceAttributes")]
    if not about_objects and not about_paths:
        return [invalid("spec.resourceAttributes", None,
                        "exactly one of nonResourceAttributes or resourceAttributes must be specified")]
    return []


SELF_SUBJECT_ACCESS_REVIEW = Kind(
    group="authorization.k8s.io", version="v1", name="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews", singular="selfsubjectaccessreview", namespaced=False,
    definition="io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    verbs=("create",), generation_fields=(), validate=validate,
)
