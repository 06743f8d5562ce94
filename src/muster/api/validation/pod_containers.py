"""Containers of all three sorts: main ones, init ones (which may keep running, as sidecars), ephemeral ones.

What a container may refer to outside itself is handed down in `Surroundings`.

https://kubernetes.io/docs/concepts/workloads/pods/init-containers/
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_found, not_supported, required
from ..objects import Obj
from .metadata import complain
from .pod_fields import (
    ENV_FIELD_PATHS,
    validate_choice,
    validate_field_reference,
    validate_relative_path,
    validate_resource_field_reference,
)
from .pod_probes import validate_lifecycle, validate_probes
from .pod_resources import validate_resources
from .pod_security import validate_container_security

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"
_NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"
_EPHEMERAL_FIELDS = frozenset([
    "name", "image", "command", "args", "workingDir", "env", "envFrom", "volumeMounts", "volumeDevices",
    "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin",
    "stdinOnce", "tty", "targetContainerName"])


class Surroundings(NamedTuple):
    volumes: dict[str, Obj]
    claims: frozenset[str]  # spec.resourceClaims
    grace_period_s: int | None
    restart_policy: str
    host_users: bool
    in_pod: bool  # not in a template


def validate_containers(containers: list[Obj], around: Surroundings, path: str, wrong: list[Cause]) -> None:
    if not containers:
        wrong.append(required(path))
        return
    taken: set[str] = set()
    for index, container in enumerate(containers):
        at, name = f"{path}[{index}]", container.get("name") or ""
        _common(container, around, at, wrong)
        if name in taken:
            wrong.append(duplicate(f"{at}.name", name))
        taken.add(name)
        if container.get("lifecycle"):
            validate_lifecycle(container["lifecycle"], around.grace_period_s, f"{at}.lifecycle", wrong)
        validate_probes(container, at, wrong)
        if container.get("restartPolicy") is not None:
            wrong.append(forbidden(f"{at}.restartPolicy", "may not be set for non-init containers"))
    _host_port_conflicts(enumerate(containers), path, wrong)


def validate_init_containers(containers: list[Obj], main: list[Obj], around: Surroundings, path: str,
                             wrong: list[Cause]) -> None:
    taken = {one.get("name") for one in main}
    for index, container in enumerate(containers):
        at, name = f"{path}[{index}]", container.get("name") or ""
        _common(container, around, at, wrong)
        restart = container.get("restartPolicy")
        if restart is not None and restart != "Always":
            wrong.append(not_supported(f"{at}.restartPolicy", restart, ("Always",)))
        if name in taken:
            wrong.append(duplicate(f"{at}.name", name))
        elif name:
            taken.add(name)
        # They run one after the other: each may use the host ports of the last.
        _host_port_conflicts([(0, container)], path, wrong)
        if restart == "Always":
            if container.get("lifecycle"):
                validate_lifecycle(container["lifecycle"], around.grace_period_s, f"{at}.lifecycle", wrong)
            validate_probes(container, at, wrong)
        else:
            wrong += [forbidden(f"{at}.{field}", _NOT_FOR_INIT)
                      for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
                      if container.get(field) is not None]
        if container.get("resizePolicy"):
            wrong.append(invalid(f"{at}.resizePolicy", container["resizePolicy"],
                                 "must not be set for init containers"))


def validate_ephemeral_containers(containers: list[Obj], others: list[Obj], around: Surroundings, path: str,
                                  wrong: list[Cause]) -> None:
    targets = {one.get("name") for one in others}
    taken = set(targets)
    for index, container in enumerate(containers):
        at, name, target = f"{path}[{index}]", container.get("name") or "", container.get("targetContainerName")
        _common(container, around._replace(in_pod=True), at, wrong)
        if name in taken:
            wrong.append(duplicate(f"{at}.name", name))
        taken.add(name)
        if target and target not in targets:
            wrong.append(not_found(f"{at}.targetContainerName", target))
        wrong += [forbidden(f"{at}.{field}", _NOT_FOR_EPHEMERAL)
                  for field, value in container.items() if value and field not in _EPHEMERAL_FIELDS]
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            wrong += [forbidden(f"{at}.volumeMounts[{place}].{field}", _NOT_FOR_EPHEMERAL)
                      for field in ("subPath", "subPathExpr") if mount.get(field)]


def _common(container: Obj, around: Surroundings, path: str, wrong: list[Cause]) -> None:
    get = container.get
    name, image = get("name") or "", get("image") or ""
    if not name:
        wrong.append(required(f"{path}.name"))
    elif complaints := names.is_dns_label(name):
        wrong += complain(f"{path}.name", name, complaints)
    if not image:
        wrong.append(required(f"{path}.image"))
    elif around.in_pod and image != image.strip():
        wrong.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    validate_choice(get("terminationMessagePolicy"), MESSAGE_POLICIES, f"{path}.terminationMessagePolicy", wrong)
    if ports := get("ports"):
        _ports(ports, f"{path}.ports", wrong)
    if env := get("env"):
        _env(env, f"{path}.env", wrong)
    if env := get("envFrom"):
        _env_from(env, f"{path}.envFrom", wrong)
    mounts, devices = get("volumeMounts") or (), get("volumeDevices") or ()
    if mounts:
        _mounts(mounts, devices, container, around, f"{path}.volumeMounts", wrong)
    if devices:
        _devices(devices, mounts, around, f"{path}.volumeDevices", wrong)
    validate_choice(get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy", wrong)
    if resources := get("resources"):
        validate_resources(resources, f"{path}.resources", around.claims, wrong)
    if policies := get("resizePolicy"):
        _resize(policies, around.restart_policy, f"{path}.resizePolicy", wrong)
    if context := get("securityContext"):
        validate_container_security(context, f"{path}.securityContext", around.host_users, wrong)


def _ports(ports: list[Obj], path: str, wrong: list[Cause]) -> None:
    taken: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"{path}[{index}]", port.get("name")
        if name:
            if complaints := names.is_port_name(name):
                wrong += complain(f"{at}.name", name, complaints)
            elif name in taken:
                wrong.append(duplicate(f"{at}.name", name))
            taken.add(name)
        number, host = port.get("containerPort") or 0, port.get("hostPort") or 0
        if not number:
            wrong.append(required(f"{at}.containerPort"))
        elif complaints := names.is_port_number(number):
            wrong += complain(f"{at}.containerPort", number, complaints)
        if host and (complaints := names.is_port_number(host)):
            wrong += complain(f"{at}.hostPort", host, complaints)
        validate_choice(port.get("protocol"), PROTOCOLS, f"{at}.protocol", wrong)


def _host_port_conflicts(containers: Iterable[tuple[int, Obj]], path: str, wrong: list[Cause]) -> None:
    taken: set[str] = set()
    for index, container in containers:
        for place, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in taken:
                wrong.append(duplicate(f"{path}[{index}].ports[{place}].hostPort", key))
            taken.add(key)


def _env(variables: list[Obj], path: str, wrong: list[Cause]) -> None:
    for index, one in enumerate(variables):
        name = one.get("name") or ""
        if not name:
            wrong.append(required(f"{path}[{index}].name"))
        elif complaints := names.is_env_name(name):
            wrong += complain(f"{path}[{index}].name", name, complaints)
        if one.get("valueFrom") is not None:
            _value_from(one["valueFrom"], bool(one.get("value")), f"{path}[{index}].valueFrom", wrong)


def _value_from(source: Obj, has_value: bool, path: str, wrong: list[Cause]) -> None:
    given = 0
    if (reference := source.get("fieldRef")) is not None:
        given += 1
        validate_field_reference(reference, f"{path}.fieldRef", ENV_FIELD_PATHS, wrong)
    if (reference := source.get("resourceFieldRef")) is not None:
        given += 1
        validate_resource_field_reference(reference, f"{path}.resourceFieldRef", False, wrong)
    for field in ("configMapKeyRef", "secretKeyRef"):
        if (reference := source.get(field)) is None:
            continue
        given += 1
        name, key = reference.get("name") or "", reference.get("key") or ""
        wrong += complain(f"{path}.{field}.name", name, names.is_dns_subdomain(name))
        if not key:
            wrong.append(required(f"{path}.{field}.key"))
        else:
            wrong += complain(f"{path}.{field}.key", key, names.is_config_key(key))
    if not given:
        wrong.append(invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` "
                             "or `secretKeyRef`"))
    elif has_value:
        wrong.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif given > 1:
        wrong.append(invalid(path, "", "may not have more than one field specified at a time"))


def _env_from(sources: list[Obj], path: str, wrong: list[Cause]) -> None:
    for index, one in enumerate(sources):
        at, given = f"{path}[{index}]", 0
        if prefix := one.get("prefix"):
            wrong += complain(f"{at}.prefix", prefix, names.is_env_name(prefix))
        for field in ("configMapRef", "secretRef"):
            if (reference := one.get(field)) is None:
                continue
            given += 1
            name = reference.get("name") or ""
            wrong += (complain(f"{at}.{field}.name", name, names.as_prefix(names.is_dns_subdomain)(name))
                      if name else [required(f"{at}.{field}.name")])
        if not given:
            wrong.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif given > 1:
            wrong.append(invalid(path, "", "may not have more than one field specified at a time"))


def _mounts(mounts: list[Obj], devices: Iterable[Obj], container: Obj, around: Surroundings, path: str,
            wrong: list[Cause]) -> None:
    places: set[str] = set()
    device_names = {one.get("name") for one in devices}
    device_paths = {one.get("devicePath") for one in devices}
    for index, mount in enumerate(mounts):
        at, name, place = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            wrong.append(required(f"{at}.name"))
        if name not in around.volumes:
            wrong.append(not_found(f"{at}.name", name))
        if not place:
            wrong.append(required(f"{at}.mountPath"))
        if place in places:
            wrong.append(invalid(f"{at}.mountPath", place, "must be unique"))
        places.add(place)
        if name in device_names:
            wrong.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if place in device_paths:
            wrong.append(invalid(f"{at}.mountPath", place, "must not already exist as a path in volumeDevices"))
        _sub_paths(mount, around.volumes.get(name) or {}, path, at, wrong)
        _propagation(mount, container, path, wrong)


def _sub_paths(mount: Obj, volume: Obj, path: str, at: str, wrong: list[Cause]) -> None:
    plain, expression = mount.get("subPath"), mount.get("subPathExpr")
    if volume.get("image") is not None:
        wrong += [invalid(f"{at}.{field}", mount[field], "not allowed in image volume sources")
                  for field in ("subPath", "subPathExpr") if mount.get(field)]
    if plain:
        validate_relative_path(plain, f"{path}.subPath", wrong)
    if expression:
        if plain:
            wrong.append(invalid(f"{at}.subPathExpr", expression,
                                 "subPathExpr and subPath are mutually exclusive"))
        validate_relative_path(expression, f"{path}.subPathExpr", wrong)


def _propagation(mount: Obj, container: Obj, path: str, wrong: list[Cause]) -> None:
    mode, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if mode is not None:
        if mode not in ("Bidirectional", "HostToContainer", "None"):
            wrong.append(not_supported(f"{path}.mountPropagation", mode,
                                       ("Bidirectional", "HostToContainer", "None")))
        if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            wrong.append(forbidden(f"{path}.mountPropagation",
                                   "Bidirectional mount propagation is available only to privileged containers"))
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            wrong.append(forbidden(f"{path}.recursiveReadOnly", "may only be specified when readOnly is true"))
        if mode not in (None, "None"):
            wrong.append(forbidden(f"{path}.recursiveReadOnly",
                                   "may only be specified when mountPropagation is None or not specified"))
    elif recursive not in (None, "Disabled"):
        wrong.append(not_supported(f"{path}.recursiveReadOnly", recursive, ("Disabled", "Enabled", "IfPossible")))


def _devices(devices: list[Obj], mounts: Iterable[Obj], around: Surroundings, path: str,
             wrong: list[Cause]) -> None:
    mount_names = {one.get("name") for one in mounts}
    mount_paths = {one.get("mountPath") for one in mounts}
    taken_names: set[str] = set()
    taken_paths: set[str] = set()
    for index, device in enumerate(devices):
        at, name, place = f"{path}[{index}]", device.get("name") or "", device.get("devicePath") or ""
        volume = around.volumes.get(name)
        if not name:
            wrong.append(required(f"{at}.name"))
        if name and name in taken_names:
            wrong.append(invalid(f"{at}.name", name, "must be unique"))
        if volume is None:
            wrong.append(not_found(f"{at}.name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            wrong.append(invalid(f"{at}.name", name, "can only use volume source type of PersistentVolumeClaim "
                                 "or Ephemeral for block mode"))
        if not place:
            wrong.append(required(f"{at}.devicePath"))
        if place in taken_paths:
            wrong.append(invalid(f"{at}.devicePath", place, "must be unique"))
        if ".." in place.split("/"):
            wrong.append(invalid(f"{at}.devicePath", place, "can not contain backsteps ('..')"))
        if name in mount_names:
            wrong.append(invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if place in mount_paths:
            wrong.append(invalid(f"{at}.devicePath", place, "must not already exist as a path in volumeMounts"))
        taken_names.add(name)
        taken_paths.add(place)


def _resize(policies: list[Obj], restart_policy: str, path: str, wrong: list[Cause]) -> None:
    seen: set[str] = set()
    for index, one in enumerate(policies):
        resource, restart = one.get("resourceName") or "", one.get("restartPolicy") or ""
        if resource in seen:
            wrong.append(duplicate(f"{path}[{index}]", resource))
        seen.add(resource)
        validate_choice(resource, ("cpu", "memory"), path, wrong)
        validate_choice(restart, ("NotRequired", "RestartContainer"), path, wrong)
        if restart_policy == "Never" and restart != "NotRequired":
            wrong.append(invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
