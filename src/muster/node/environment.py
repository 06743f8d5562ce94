"""A container's environment and command as the pod says them: values from elsewhere, and $(NAME) written out.

    environment(pod, container, sources, facts) -> [("LOG_LEVEL", "debug"), ...]
    expanded("$(HOST):$(PORT) $$(HOST)", {...}) -> "10.0.0.1:80 $(HOST)"

Pure: what ConfigMaps and Secrets hold is handed in.  What is missing and not optional is a ConfigError, worded as the
kubelet words a CreateContainerConfigError.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""
from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..api import quantities
from ..api.names import is_env_name
from ..api.objects import Obj, at, name_of, namespace_of, uid_of

Lookup = Callable[[str, str, str], Obj | None]  # (resource, namespace, name)

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\)|)")
_QUOTED_KEY = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")


class ConfigError(Exception):
    """The container can not be made as long as this is so."""


class Facts(NamedTuple):
    """What a pod can be told of where it is."""

    node: str
    node_address: str
    pod_address: str
    allocatable: Mapping[str, str]


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Writes out $(NAME); $$ is a dollar; a name that is not known stays as it is."""
    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found[1] is None:
            return "$"
        return known.get(found[1], found[0])
    return _REFERENCE.sub(replacement, text)


def environment(pod: Obj, container: Obj, lookup: Lookup, facts: Facts,
                services: Iterable[Obj]) -> list[tuple[str, str]]:
    """In the order in which the container sees them.  Raises ConfigError."""
    of_services = service_variables(pod, services)
    known = dict(of_services)
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        result.update(_from_source(pod, source, lookup))
    for variable in container.get("env") or ():
        name = variable["name"]
        if "valueFrom" in variable and variable["valueFrom"]:
            value = _value_from(pod, container, variable["valueFrom"], lookup, facts)
            if value is None:
                continue
        else:
            value = expanded(variable.get("value") or "", {**known, **result})
        result[name] = value
    for name, value in of_services.items():
        result.setdefault(name, value)
    return list(result.items())


def command_of(container: Obj, env: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    known = dict(env)
    return ([expanded(word, known) for word in container.get("command") or ()],
            [expanded(word, known) for word in container.get("args") or ()])


def service_variables(pod: Obj, services: Iterable[Obj]) -> dict[str, str]:
    """https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables"""
    linked = at(pod, "spec.enableServiceLinks", True)
    result: dict[str, str] = {}
    for service in sorted(services, key=lambda one: (namespace_of(one), name_of(one))):
        is_api = namespace_of(service) == "default" and name_of(service) == "kubernetes"
        address = at(service, "spec.clusterIP", "")
        ports = at(service, "spec.ports") or []
        if address in ("", "None") or not ports or not (is_api or (linked and namespace_of(service)
                                                                  == namespace_of(pod))):
            continue
        stem = name_of(service).upper().replace("-", "_")
        result[f"{stem}_SERVICE_HOST"] = address
        result[f"{stem}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                result[f"{stem}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for place, port in enumerate(ports):
            protocol = port.get("protocol") or "TCP"
            url = f"{protocol.lower()}://{address}:{port['port']}"
            if place == 0:
                result[f"{stem}_PORT"] = url
            prefix = f"{stem}_PORT_{port['port']}_{protocol}"
            result |= {prefix: url, f"{prefix}_PROTO": protocol.lower(), f"{prefix}_PORT": str(port["port"]),
                       f"{prefix}_ADDR": address}
    return result


def _from_source(pod: Obj, source: Obj, lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for field, resource, kind in (("configMapRef", "configmaps", "configmap"), ("secretRef", "secrets", "secret")):
        if (reference := source.get(field)) is not None:
            found = lookup(resource, namespace_of(pod), reference.get("name", ""))
            if found is None:
                if reference.get("optional"):
                    return {}
                raise ConfigError(f'{kind} "{reference.get("name", "")}" not found')
            return {f"{prefix}{key}": _text(resource, value) for key, value in sorted((found.get("data") or {}).items())
                    if not is_env_name(f"{prefix}{key}")}
    return {}


def _text(resource: str, value: str) -> str:
    return base64.b64decode(value).decode(errors="replace") if resource == "secrets" else value


def _value_from(pod: Obj, container: Obj, source: Obj, lookup: Lookup, facts: Facts) -> str | None:
    if (field := source.get("fieldRef")) is not None:
        return field_value(pod, field["fieldPath"], facts)
    if (asked := source.get("resourceFieldRef")) is not None:
        return resource_value(pod, asked, container["name"], facts)
    for field_name, resource, kind in (("configMapKeyRef", "configmaps", "configmap"),
                                       ("secretKeyRef", "secrets", "secret")):
        if (reference := source.get(field_name)) is not None:
            return _key_value(pod, reference, resource, kind, lookup)
    return None


def _key_value(pod: Obj, reference: Obj, resource: str, kind: str, lookup: Lookup) -> str | None:
    name, key = reference.get("name", ""), reference["key"]
    found = lookup(resource, namespace_of(pod), name)
    if found is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{kind} "{name}" not found')
    value = (found.get("data") or {}).get(key)
    if value is None:
        if reference.get("optional"):
            return None
        shown = {"configmap": "ConfigMap", "secret": "Secret"}[kind]
        raise ConfigError(f"couldn't find key {key} in {shown} {namespace_of(pod)}/{name}")
    return _text(resource, value)


def field_value(pod: Obj, path: str, facts: Facts) -> str:
    """https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields"""
    if (quoted := _QUOTED_KEY.fullmatch(path)) is not None:
        values: Mapping[str, str] = at(pod, quoted[1]) or {}
        return values.get(quoted[2], "")
    match path:
        case "metadata.name":
            return name_of(pod)
        case "metadata.namespace":
            return namespace_of(pod)
        case "metadata.uid":
            return uid_of(pod)
        case "metadata.labels" | "metadata.annotations":
            return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted((at(pod, path) or {}).items()))
        case "spec.nodeName":
            return facts.node
        case "spec.serviceAccountName":
            return str(at(pod, "spec.serviceAccountName", ""))
        case "status.hostIP" | "status.hostIPs":
            return facts.node_address
        case "status.podIP" | "status.podIPs":
            return facts.pod_address
    raise ConfigError(f"unsupported fieldPath: {path}")


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def resource_value(pod: Obj, asked: Obj, usual_container: str, facts: Facts) -> str:
    """A limit that is not set is what the node has; amounts are rounded up to the divisor."""
    name = asked.get("containerName") or usual_container
    everyone = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    container = next((one for one in everyone if one["name"] == name), None)
    if container is None:
        raise ConfigError(f"container {name} not found")
    sort, _, resource = asked["resource"].partition(".")
    amounts = at(container, f"resources.{sort}") or {}
    text = amounts.get(resource)
    if text is None and sort == "limits":
        text = facts.allocatable.get(resource)
    divisor = asked.get("divisor") or "1"
    if divisor == "0":
        divisor = "1"
    amount = quantities.parse(str(text)) if text is not None else quantities.parse("0")
    return str(math.ceil(amount / quantities.parse(str(divisor))))
