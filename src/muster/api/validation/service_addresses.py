"""The addresses of a Service, and the families they are of: what they may be, and what this cluster can give.

The cluster has IPv4 only.  A service may prefer two families and gets one; one that requires two is refused.
A headless service without a selector names both, since whoever writes its endpoints may list any address.

https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""
from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..go_text import Syntax, syntax_of_texts
from ..objects import Obj

HEADLESS = "None"
FAMILIES = ("IPv4", "IPv6")
SERVED = "IPv4"
POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
SET_ONCE = "may not change once set"
_POLICY = "spec.ipFamilyPolicy"


def family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def with_families(spec: Obj) -> Obj:
    """The spec of a service with addresses, with the policy and the families it leaves open."""
    anything_goes = spec.get("clusterIP") == HEADLESS and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or ("RequireDualStack" if anything_goes else "SingleStack")
    given = dict.fromkeys(family_of(one) for one in spec.get("clusterIPs") or () if one and one != HEADLESS)
    families = spec.get("ipFamilies") or list(given) or [SERVED]
    if anything_goes and policy != "SingleStack" and len(families) == 1:
        families = [*families, "IPv6" if families[0] == "IPv4" else "IPv4"]
    if policy == spec.get("ipFamilyPolicy") and families == spec.get("ipFamilies"):
        return spec
    return {**spec, "ipFamilyPolicy": policy, "ipFamilies": families}


def validate_none(spec: Obj) -> list[Cause]:
    """Of an ExternalName service."""
    return [forbidden(f"spec.{field}", "may not be set for ExternalName services")
            for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if spec.get(field)]


def validate_addresses(spec: Obj) -> list[Cause]:
    """That `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` agree."""
    addresses: list[str] = spec.get("clusterIPs") or []
    families: list[str] = spec.get("ipFamilies") or []
    first, path, wrong = spec.get("clusterIP") or "", "spec.clusterIPs", list[Cause]()
    if first and not addresses:
        wrong.append(required(path))
    elif first and addresses[0] != first:
        wrong.append(invalid(path, addresses, "first value must match `clusterIP`"))
    elif addresses and not first:
        wrong.append(invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    for index, family in enumerate(families):
        if family not in FAMILIES:
            wrong.append(not_supported(f"spec.ipFamilies[{index}]", family, FAMILIES))
        if family in families[:index]:
            wrong.append(duplicate(f"spec.ipFamilies[{index}]", family))
    if (policy := spec.get("ipFamilyPolicy")) is not None and policy not in POLICIES:
        wrong.append(not_supported(_POLICY, policy, POLICIES))
    malformed = _malformed(addresses)
    wrong += malformed
    if len(addresses) > 2:
        wrong.append(invalid(path, addresses, "may only hold up to 2 values"))
    if malformed or addresses[:1] == [HEADLESS]:
        return wrong
    if len(addresses) > 1 and len({family_of(one) for one in addresses}) < 2:
        wrong.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    return wrong or _of_other_family(addresses, families)


def _malformed(addresses: Sequence[str]) -> list[Cause]:
    wrong: list[Cause] = []
    for index, address in enumerate(addresses):
        if index == 0 and address == HEADLESS:
            if len(addresses) > 1:
                wrong.append(invalid("spec.clusterIPs", list(addresses), "'None' must be the first and only value"))
        elif address:  # an empty one is still to be given
            wrong += [invalid(f"spec.clusterIPs[{index}]", address, why) for why in names.is_ip(address)]
    return wrong


def _of_other_family(addresses: Sequence[str], families: Sequence[str]) -> list[Cause]:
    return [invalid(f"spec.clusterIPs[{index}]", address,
                    f"expected an {family} value as indicated by `ipFamilies[{index}]`")
            for index, (address, family) in enumerate(zip(addresses, families, strict=False))
            if address and ipaddress.ip_address(address).version != int(family[-1])]


def validate_served(spec: Obj) -> list[Cause]:
    """That the cluster can give what is asked for; the spec agrees with itself and has its families."""
    addresses, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    policy, wrong = spec.get("ipFamilyPolicy"), list[Cause]()
    if policy == "SingleStack":
        wrong += [invalid(_POLICY, policy, "must be 'RequireDualStack' or 'PreferDualStack' when multiple "
                                           f"{what} are specified")
                  for what, given in (("cluster IPs", addresses), ("IP families", families)) if len(given) == 2]
    if wrong or (spec.get("clusterIP") == HEADLESS and not spec.get("selector")):
        return wrong
    if policy == "RequireDualStack":
        wrong.append(invalid(_POLICY, policy, "this cluster is not configured for dual-stack services"))
    return wrong + [invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
                    for index, family in enumerate(families) if family != SERVED]


def validate_address_update(after: Obj, before: Obj) -> list[Cause]:
    """Neither is an ExternalName service."""
    was, now = before.get("clusterIPs") or [], after.get("clusterIPs") or []
    wrong: list[Cause] = []
    if was and not now:
        wrong.append(invalid("spec.clusterIPs[0]", now, "primary clusterIP can not be unset"))
    elif was and was[0] and was[0] != now[0]:
        wrong.append(invalid("spec.clusterIPs[0]", now, SET_ONCE))
    if HEADLESS not in (before.get("clusterIP"), after.get("clusterIP")):
        old, new = before.get("ipFamilies") or [], after.get("ipFamilies") or []
        if old and new and old[0] != new[0]:
            wrong.append(invalid("spec.ipFamilies[0]", Syntax(syntax_of_texts(new, "core.IPFamily")), SET_ONCE))
    return wrong
