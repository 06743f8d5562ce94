"""Lease: a heartbeat, or the seat of a leader.  Every node's agent renews one in `kube-node-lease`.

https://kubernetes.io/docs/concepts/architecture/leases/
"""
from __future__ import annotations

from ..causes import Cause, invalid
from ..objects import Obj, at
from ..tables import AGE, NAME, path_cell
from ..validation.metadata import not_negative, validate_metadata, validate_metadata_update
from .kind import Column, Kind

# On a lease that was renewed late: how long ago it should have been (node/leases.py).
RENEWED_AGO = "muster.dev/renewed-seconds-ago"


def validate(lease: Obj) -> list[Cause]:
    wrong = validate_metadata(lease, namespaced=True)
    duration = at(lease, "spec.leaseDurationSeconds")
    if duration is not None and duration <= 0:
        wrong.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    return wrong + not_negative(at(lease, "spec.leaseTransitions"), "spec.leaseTransitions")


LEASE = Kind(
    group="coordination.k8s.io", version="v1", name="Lease", plural="leases", singular="lease", namespaced=True,
    definition="io.k8s.api.coordination.v1.Lease",
    columns=(NAME, Column("Holder", path_cell("spec.holderIdentity"), description="Who holds it."), AGE),
    generation_fields=(), validate=validate, validate_update=validate_metadata_update,
)
