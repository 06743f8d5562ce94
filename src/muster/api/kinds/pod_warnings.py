"""What is accepted but probably not meant: labels that have been renamed, annotations nothing reads any more,
variables and ports that are given twice.  kubectl prints each as "Warning: ...".

https://kubernetes.io/docs/reference/labels-annotations-taints/
"""
from __future__ import annotations

from collections.abc import Iterator

from ..objects import Obj, at
from ..remembered import Remembered

RENAMED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region":
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type":
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_UNREAD_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod":
        'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "seccomp.security.alpha.kubernetes.io/pod":
        'non-functional in v1.27+; use the "seccompProfile" field instead',
}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod_warnings(new: Obj, old: Obj | None) -> list[str]:
    """Only for what is new: a pod that was warned about once is not warned about at every update."""
    if old is not None:
        return []
    return list(_about(new.get("spec") or {}, new["metadata"].get("annotations") or {}, "spec",
                       "metadata.annotations"))


def template_warnings(new: Obj, old: Obj | None) -> list[str]:
    """For kinds that keep a pod template at `spec.template`."""
    template = at(new, "spec.template", {})
    if old is not None and template == at(old, "spec.template", {}):
        return []
    return list(_about(template.get("spec") or {}, at(template, "metadata.annotations", {}), "spec.template.spec",
                       "spec.template.metadata.annotations"))


def _about(spec: Obj, annotations: Obj, path: str, annotations_path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in RENAMED_LABELS:
            yield f"{path}.nodeSelector[{key}]: {RENAMED_LABELS[key]}"
    if affinity := at(spec, "affinity.nodeAffinity"):
        yield from _about_affinity(affinity, f"{path}.affinity.nodeAffinity")
    for index, one in enumerate(spec.get("topologySpreadConstraints") or ()):
        if (key := one.get("topologyKey")) in RENAMED_LABELS:
            yield f"{path}.topologySpreadConstraints[{index}].topologyKey: {key} is {RENAMED_LABELS[key]}"
    for key, complaint in _UNREAD_ANNOTATIONS.items():
        if key in annotations:
            yield f"{annotations_path}[{key}]: {complaint}"
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    for index, volume in enumerate(spec.get("volumes") or ()):
        if volume.get("gitRepo") is not None:
            yield f"{path}.volumes[{index}].gitRepo: deprecated in v1.11"
    for field in ("initContainers", "containers"):
        if containers := spec.get(field):
            yield from (f"{path}.{field}{said}" for said in _about_containers(containers))
    yield from _about_ports(spec, path)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield (f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
               "treated as 1")


def _about_affinity(affinity: Obj, path: str) -> Iterator[str]:
    terms = [(f"{_REQUIRED}.nodeSelectorTerms[{index}]", term)
             for index, term in enumerate(at(affinity, f"{_REQUIRED}.nodeSelectorTerms", ()))]
    terms += [(f"{_PREFERRED}[{index}].preference", one.get("preference") or {})
              for index, one in enumerate(affinity.get(_PREFERRED) or ())]
    for where, term in terms:
        for index, one in enumerate(term.get("matchExpressions") or ()):
            if (key := one.get("key")) in RENAMED_LABELS:
                yield f"{path}.{where}.matchExpressions[{index}].key: {key} is {RENAMED_LABELS[key]}"


# The containers of a template come again with each of its pods.
_about_containers: Remembered[list[str]] = Remembered(lambda containers: [
    said for index, container in enumerate(containers) for said in _about_container(container, f"[{index}]")])


def _about_container(container: Obj, path: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for index, one in enumerate(container.get("env") or ()):
        name, value = one.get("name") or "", one.get("value") or ""
        # A later one that builds on the earlier (`PATH: /opt:$(PATH)`) is meant.
        if name in seen and f"$({name})" not in value:
            yield f'{path}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen[name] = value
    for section in ("limits", "requests"):
        for resource, amount in ((container.get("resources") or {}).get(section) or {}).items():
            if resource in ("memory", "ephemeral-storage") and str(amount).endswith("m"):
                yield (f'{path}.resources.{section}[{resource}]: fractional byte value "{amount}" is invalid, '
                       "must be an integer")


def _about_ports(spec: Obj, path: str) -> Iterator[str]:
    """A port given twice: kept apart by apply only through number and protocol."""
    for index, container in enumerate(spec.get("containers") or ()):
        seen: dict[tuple[int, str], int] = {}
        for place, port in enumerate(container.get("ports") or ()):
            key = (port.get("containerPort") or 0, port.get("protocol") or "TCP")
            if key in seen:
                at_ = f"{path}.containers[{index}]"
                yield f"{at_}.ports[{place}]: duplicate port definition with {at_}.ports[{seen[key]}]"
            seen.setdefault(key, place)
