"""Security contexts of pods and containers: numbers in range, profiles spelled right, no contradictions.

https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/
"""
from __future__ import annotations

import re

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..objects import Obj
from .metadata import complain
from .pod_fields import validate_relative_path

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_SEGMENT}[\./])*{_SEGMENT}$"
_SYSCTL_LENGTH = 253
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_IPC_SYSCTL_NAMES = frozenset(["kernel.sem"])
_PROFILE_PATH_LENGTH = 4095


def validate_pod_security(spec: Obj, path: str, wrong: list[Cause]) -> None:
    context = spec.get("securityContext")
    if context:
        at = f"{path}.securityContext"
        _ids(context, ("fsGroup", "runAsUser", "runAsGroup"), at, wrong)
        for index, group in enumerate(context.get("supplementalGroups") or ()):
            wrong += complain(f"{at}.supplementalGroups[{index}]", group, names.is_id(group))
        if context.get("sysctls"):
            _sysctls(context["sysctls"], spec, f"{at}.sysctls", wrong)
        _one_of(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), at, wrong)
        _one_of(context, "supplementalGroupsPolicy", ("Merge", "Strict"), at, wrong)
        _profiles(context, at, wrong)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        wrong.append(invalid(f"{path}.securityContext.shareProcessNamespace", True,
                             "ShareProcessNamespace and HostPID cannot both be enabled"))
    if spec.get("hostUsers") is False:
        for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(field):
                wrong.append(forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false"))


def validate_container_security(context: Obj, path: str, host_users: bool, wrong: list[Cause]) -> None:
    _ids(context, ("runAsUser", "runAsGroup"), path, wrong)
    mount = context.get("procMount")
    if mount is not None:
        _one_of(context, "procMount", ("Default", "Unmasked"), path, wrong)
        if host_users and mount == "Unmasked":
            wrong.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            wrong.append(invalid(path, context,
                                 "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            wrong.append(invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and "
                                 "`capabilities.Add` CAP_SYS_ADMIN"))
    _profiles(context, path, wrong)


def _ids(context: Obj, fields: tuple[str, ...], path: str, wrong: list[Cause]) -> None:
    for field in fields:
        value = context.get(field)
        if value is not None and (complaints := names.is_id(value)):
            wrong += complain(f"{path}.{field}", value, complaints)


def _one_of(context: Obj, field: str, allowed: tuple[str, ...], path: str, wrong: list[Cause]) -> None:
    value = context.get(field)
    if value is not None and value not in allowed:
        wrong.append(not_supported(f"{path}.{field}", value, allowed))


def _profiles(context: Obj, path: str, wrong: list[Cause]) -> None:
    if (profile := context.get("seccompProfile")) is not None:
        _profile(profile, "seccomp", f"{path}.seccompProfile", wrong)
    if (profile := context.get("appArmorProfile")) is not None:
        _profile(profile, "AppArmor", f"{path}.appArmorProfile", wrong)


def _profile(profile: Obj, spoken: str, path: str, wrong: list[Cause]) -> None:
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        field = path.rpartition(".")[2]
        wrong.append(required(f"{path}.type", f"type is required when {field} is set"))
    elif kind not in _PROFILES:
        wrong.append(not_supported(f"{path}.type", kind, _PROFILES))
    if kind != "Localhost":
        if local is not None:
            wrong.append(invalid(f"{path}.localhostProfile", local,
                                 f"can only be set when {spoken} type is Localhost"))
    elif not local:
        wrong.append(required(f"{path}.localhostProfile", f"must be set when {spoken} type is Localhost"))
    elif spoken == "seccomp":
        validate_relative_path(local, f"{path}.localhostProfile", wrong)
    elif local != local.strip():
        wrong.append(invalid(f"{path}.localhostProfile", local, "must not be padded with whitespace"))
    elif len(local) > _PROFILE_PATH_LENGTH:
        wrong.append(Cause("FieldValueTooLong", f"{path}.localhostProfile",
                           f"Too long: may not be more than {_PROFILE_PATH_LENGTH} bytes"))


def _sysctls(sysctls: list[Obj], spec: Obj, path: str, wrong: list[Cause]) -> None:
    seen: set[str] = set()
    for index, one in enumerate(sysctls):
        at, name = f"{path}[{index}].name", one.get("name") or ""
        if not name:
            wrong.append(required(at))
        elif len(name) > _SYSCTL_LENGTH or not re.match(_SYSCTL, name):
            wrong.append(invalid(at, name, f"must have at most {_SYSCTL_LENGTH} characters and match regex "
                                 f"{_SYSCTL}"))
        elif name in seen:
            wrong.append(duplicate(at, name))
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            wrong.append(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and (dotted in _IPC_SYSCTL_NAMES or dotted.startswith(_IPC_SYSCTLS)):
            wrong.append(invalid(at, name, "may not be specified when 'hostIPC' is true"))
