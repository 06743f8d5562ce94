"""ServiceAccount: who a pod is when it asks the server.

https://kubernetes.io/docs/concepts/security/service-accounts/
"""
from __future__ import annotations

from ..causes import Cause
from ..objects import Obj
from ..tables import AGE, NAME
from ..validation.metadata import validate_metadata, validate_metadata_update
from .kind import Column, Kind, Subresource


def validate(account: Obj) -> list[Cause]:
    return validate_metadata(account, namespaced=True)


SERVICE_ACCOUNT = Kind(
    group="", version="v1", name="ServiceAccount", plural="serviceaccounts", singular="serviceaccount",
    namespaced=True, definition="io.k8s.api.core.v1.ServiceAccount", short_names=("sa",),
    subresources=(Subresource("token", verbs=("create",), kind="TokenRequest", group="authentication.k8s.io",
                              version="v1"),),
    columns=(
        NAME,
        Column("Secrets", lambda account, now: len(account.get("secrets") or ()),
               description="How many secrets its pods may use."),
        AGE,
    ),
    generation_fields=(), validate=validate, validate_update=validate_metadata_update,
)
