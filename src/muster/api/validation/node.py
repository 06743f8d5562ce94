"""What a Node may say: taints that are well formed and told apart, addresses of its own, fixed identity.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..go_text import syntax_of_node_address, syntax_of_taint
from ..objects import Obj, at
from ..placement import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE
from ..quantities import parse
from .metadata import complain, validate_label_name, validate_metadata, validate_metadata_update

EFFECTS = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)


def validate(node: Obj) -> list[Cause]:
    wrong = validate_metadata(node, namespaced=False)
    spec = node.get("spec") or {}
    wrong += validate_taints(spec.get("taints") or (), "spec.taints")
    cidrs = spec.get("podCIDRs") or ()
    for index, cidr in enumerate(cidrs):
        wrong += complain(f"spec.podCIDRs[{index}]", cidr, names.is_cidr(cidr))
    if len(cidrs) > 2:
        wrong.append(invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family"))
    return wrong + _amounts(node)


def validate_taints(taints: Any, path: str) -> list[Cause]:
    wrong: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        here, key = f"{path}[{index}]", taint.get("key") or ""
        value, effect = taint.get("value") or "", taint.get("effect") or ""
        validate_label_name(key, f"{here}.key", wrong)
        if complaints := names.is_label_value(value):
            wrong.append(invalid(f"{here}.value", value, ";".join(complaints)))
        if not effect:
            wrong.append(required(f"{here}.effect"))
        elif effect not in EFFECTS:
            wrong.append(not_supported(f"{here}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            cause = duplicate(here, syntax_of_taint(taint))
            wrong.append(replace(cause, message=f"{cause.message}: taints must be unique by key and effect pair"))
        seen.add((key, effect))
    return wrong


def _amounts(node: Obj) -> list[Cause]:
    wrong: list[Cause] = []
    for field in ("capacity", "allocatable"):
        for resource, amount in at(node, f"status.{field}", {}).items():
            here = f"status.{field}.{resource}"
            wrong += complain(here, resource, names.is_qualified_name(resource))
            try:
                if parse(amount) < 0:
                    wrong.append(invalid(here, amount, "must be greater than or equal to 0"))
            except ValueError as error:
                wrong.append(invalid(here, amount, str(error)))
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old) + _addresses(new)
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if (fixed := before.get("podCIDRs")) and fixed != (after.get("podCIDRs") or []):
        wrong.append(forbidden("spec.podCIDRs",
                               'node updates may not change podCIDR except from "" to valid'))
    if (identity := before.get("providerID")) and identity != after.get("providerID"):
        wrong.append(forbidden("spec.providerID",
                               'node updates may not change providerID except from "" to valid'))
    return wrong


def validate_status_update(new: Obj, old: Obj) -> list[Cause]:
    return _addresses(new) + _amounts(new)


def _addresses(node: Obj) -> list[Cause]:
    wrong: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(at(node, "status.addresses", ())):
        told_apart = (address.get("type", ""), address.get("address", ""))
        if told_apart in seen:
            wrong.append(duplicate(f"status.addresses[{index}]", syntax_of_node_address(address)))
        seen.add(told_apart)
    return wrong
