"""CertificateSigningRequest: somebody with a key asks to be certified; an approval and a signature make it so.

Who asks is written down by the server (server/certificate_requesters.py); what is asked never changes.
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
"""
from __future__ import annotations

import re

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..certificate_requests import APPROVED, DENIED, FAILED, wanted
from ..objects import Obj, at, with_
from ..tables import AGE, NAME, NONE, age, path_cell
from ..validation.metadata import validate_metadata, validate_metadata_update
from .kind import Column, Kind, Subresource

SHORTEST_S = 600
LEGACY = "kubernetes.io/legacy-unknown"
USAGES = ("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
          "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
          "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
          "server auth", "signing", "timestamping")
_LASTING = (APPROVED, DENIED, FAILED)
_HIDDEN = "<certificate request>"


def prepare_create(csr: Obj) -> Obj:
    return {**csr, "status": {}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return {**new, "spec": old["spec"], "status": old.get("status") or {}}


def conditions_of(csr: Obj) -> list[str]:
    return [one.get("type", "") for one in at(csr, "status.conditions") or ()]


def validate(csr: Obj) -> list[Cause]:
    wrong = validate_metadata(csr, namespaced=False, name=names.is_path_segment)
    spec = csr.get("spec") or {}
    try:
        wanted(csr)
    except ValueError as error:
        wrong.append(invalid("spec.request", _HIDDEN, str(error)))
    usages = spec.get("usages") or []
    if not usages:
        wrong.append(required("spec.usages", "usages must be specified"))
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            wrong.append(not_supported(f"spec.usages[{index}]", usage, USAGES))
        elif usage in usages[:index]:
            wrong.append(duplicate(f"spec.usages[{index}]", usage))
    wrong += _signer(spec.get("signerName") or "")
    lasts = spec.get("expirationSeconds")
    if lasts is not None and lasts < SHORTEST_S:
        wrong.append(invalid("spec.expirationSeconds", lasts,
                             "may not specify a duration less than 600 seconds (10 minutes)"))
    return wrong + _conditions(csr)


def _signer(name: str) -> list[Cause]:
    field = "spec.signerName"
    if not name:
        return [required(field)]
    if name == LEGACY:
        return [invalid(field, name, "the legacy signerName is not allowed via this API version")]
    domain, slash, path = name.partition("/")
    if not (slash and path and "." in domain and "/" not in path) or names.is_dns_subdomain(domain) \
            or not all(map(_is_label, path.split("."))):
        return [invalid(field, name, 'must be a fully qualified domain and path of the form "example.com/signer-name"')]
    return []


def _is_label(part: str) -> bool:
    return re.fullmatch(r"[a-z0-9A-Z]([-a-z0-9A-Z]*[a-z0-9A-Z])?", part) is not None


def _conditions(csr: Obj) -> list[Cause]:
    wrong: list[Cause] = []
    seen: list[str] = []
    for index, condition in enumerate(at(csr, "status.conditions") or ()):
        field, type_ = f"status.conditions[{index}]", condition.get("type", "")
        if not type_:
            wrong.append(required(f"{field}.type"))
        if type_ in _LASTING and condition.get("status") not in (None, "True"):
            wrong.append(not_supported(f"{field}.status", condition["status"], ("True",)))
        if type_ in seen:
            wrong.append(duplicate(f"{field}.type", type_))
        if {type_, *seen} >= {APPROVED, DENIED} and type_ in (APPROVED, DENIED):
            wrong.append(invalid(f"{field}.type", type_, "Approved and Denied conditions are mutually exclusive"))
        seen.append(type_)
    return wrong


def validate_approval(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + _kept(new, old)


def validate_status_update(new: Obj, old: Obj) -> list[Cause]:
    """Who signs does not approve, and a certificate that was issued stays."""
    wrong = _conditions(new) + _kept(new, old)
    for type_ in sorted({APPROVED, DENIED} & set(conditions_of(new)) - set(conditions_of(old))):
        wrong.append(forbidden("status.conditions", f'updates may not add a condition of type "{type_}"'))
    before, after = at(old, "status.certificate"), at(new, "status.certificate")
    if before and after != before:
        wrong.append(forbidden("status.certificate", "updates may not set certificate content to a different value"))
    return wrong


def _kept(new: Obj, old: Obj) -> list[Cause]:
    gone = [type_ for type_ in conditions_of(old) if type_ in _LASTING and type_ not in conditions_of(new)]
    return [forbidden("status.conditions", f'updates may not remove a condition of type "{type_}"') for type_ in gone]


def stamped(csr: Obj) -> Obj:
    """A condition that says True or nothing is true, and it began when it was last updated, where it does not say."""
    told = at(csr, "status.conditions")
    if not told:
        return csr
    return with_(csr, "status.conditions", [
        {**one, "status": one.get("status") or "True",
         **({"lastTransitionTime": one["lastUpdateTime"]} if one.get("lastUpdateTime")
            and not one.get("lastTransitionTime") else {})} for one in told])


def condition_text(csr: Obj, now: float) -> str:
    types = conditions_of(csr)
    said = [DENIED if DENIED in types else APPROVED if APPROVED in types else "Pending"]
    if FAILED in types:
        said.append(FAILED)
    if at(csr, "status.certificate"):
        said.append("Issued")
    return ",".join(said)


def _duration(csr: Obj, now: float) -> str:
    lasts = at(csr, "spec.expirationSeconds")
    return NONE if lasts is None else age(lasts)


CERTIFICATE_SIGNING_REQUEST = Kind(
    group="certificates.k8s.io", version="v1", name="CertificateSigningRequest", plural="certificatesigningrequests",
    singular="certificatesigningrequest", namespaced=False,
    definition="io.k8s.api.certificates.v1.CertificateSigningRequest", short_names=("csr",),
    subresources=(Subresource("approval", fields=("status.conditions",), validate=validate_approval),
                  Subresource("status", fields=("status.certificate", "status.conditions"))),
    columns=(
        NAME, AGE,
        Column("SignerName", path_cell("spec.signerName"), description="Who is asked to sign."),
        Column("Requestor", path_cell("spec.username"), description="Who asked."),
        Column("RequestedDuration", _duration, description="For how long it asks."),
        Column("Condition", condition_text, description="What became of it."),
    ),
    selectable={"spec.signerName": lambda csr: at(csr, "spec.signerName", "")},
    generation_fields=(), prepare_create=prepare_create, prepare_update=prepare_update, validate=validate,
    validate_update=validate_metadata_update, validate_status_update=validate_status_update,
)
