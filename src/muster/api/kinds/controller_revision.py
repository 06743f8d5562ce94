"""ControllerRevisions: what a template once looked like, so that it can be rolled back to.

https://kubernetes.io/docs/tasks/manage-daemon/rollback-daemon-set/
"""
from __future__ import annotations

from ..causes import Cause, invalid, required
from ..objects import Obj, controller_of
from ..tables import AGE, NAME, NONE
from ..validation.metadata import immutable, not_negative, validate_metadata, validate_metadata_update
from .kind import Column, Kind


def validate(revision: Obj) -> list[Cause]:
    wrong = validate_metadata(revision, namespaced=True)
    if revision.get("data") is None:
        wrong.append(required("data", "data is mandatory"))
    elif not isinstance(revision["data"], dict):
        wrong.append(invalid("data", revision["data"], "must be a valid JSON object"))
    return wrong + not_negative(revision.get("revision"), "revision")


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + immutable(new.get("data"), old.get("data"), "data")


def _controller(revision: Obj, now: float) -> str:
    owner = controller_of(revision)
    if owner is None:
        return NONE
    group, slash, _ = owner.get("apiVersion", "").partition("/")
    kind = owner.get("kind", "").lower()
    return f"{kind}.{group}/{owner['name']}" if slash else f"{kind}/{owner['name']}"


CONTROLLER_REVISION = Kind(
    group="apps", version="v1", name="ControllerRevision", plural="controllerrevisions",
    singular="controllerrevision", namespaced=True,
    definition="io.k8s.api.apps.v1.ControllerRevision",
    columns=(
        NAME,
        Column("Controller", _controller, description="What it is a revision of."),
        Column("Revision", lambda revision, now: revision.get("revision") or 0, "integer",
               description="Later ones have higher numbers."),
        AGE,
    ),
    generation_fields=(),
    validate=validate,
    validate_update=validate_update,
)
