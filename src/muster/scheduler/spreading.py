"""How pods are spread that do not say so themselves: upstream's default constraints.

The pods of a ReplicaSet or StatefulSet, and those behind a Service, are rather on different nodes (maxSkew 3) and
in different zones (maxSkew 5); it never keeps one waiting.
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/#internal-default-constraints
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..api.objects import Key, Obj, at, controller_of, labels_of, namespace_of
from ..api.selectors import EVERYTHING, Selector, from_label_selector, from_labels
from ..client.mirror import Mirror
from .snapshot import Waiting
from .terms import Group, Wishes, default_spreading

SERVICES = "services"
OWNERS = {"ReplicaSet": "replicasets.apps", "StatefulSet": "statefulsets.apps",
          "ReplicationController": "replicationcontrollers"}
MOST_REMEMBERED = 10_000


class Spreading:
    """Remembers, for pods that are alike, by what they are spread."""

    def __init__(self) -> None:
        self._known: dict[tuple[Group, str, bytes], Wishes] = {}

    def forget(self) -> None:
        """A Service has changed."""
        self._known.clear()

    def of(self, one: Waiting, mirror: Mirror) -> Waiting:
        """The pod with its constraints; itself where they are what they were."""
        wishes = one.needs.wishes
        if one.only_on is not None or one.pod["spec"].get("topologySpreadConstraints"):
            return one
        if wishes.held:
            return _spread(one, mirror)
        known = wishes.group, (controller_of(one.pod) or {}).get("uid", ""), one.shape
        found = self._known.get(known)
        if found is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            found = self._known[known] = _spread(one, mirror).needs.wishes
        return one if found is wishes else _with(one, found)


def _spread(one: Waiting, mirror: Mirror) -> Waiting:
    selector = _selector(one.pod, mirror)
    if selector.is_empty:
        return one
    return _with(one, replace(one.needs.wishes, soft=default_spreading(one.pod, selector), all_keys=False))


def _with(one: Waiting, wishes: Wishes) -> Waiting:
    return replace(one, needs=replace(one.needs, wishes=wishes))


def _selector(pod: Obj, mirror: Mirror) -> Selector:
    """What the Services in front of the pod and its owner select; everything: there are none."""
    labels, merged = labels_of(pod), dict[str, str]()
    for _, service in sorted(_services(mirror, namespace_of(pod)).items()):
        selector = at(service, "spec.selector")
        if selector and from_labels(selector).matches(labels):
            merged.update(selector)
    found = from_labels(merged) if merged else EVERYTHING
    reference = controller_of(pod)
    resource = OWNERS.get(reference["kind"]) if reference is not None else None
    owner = mirror.get(Key(resource, namespace_of(pod), reference["name"])) if reference and resource else None
    if owner is None:
        return found
    selected = at(owner, "spec.selector")
    means = from_labels(selected) if owner["kind"] == "ReplicationController" else from_label_selector(selected)
    return Selector((*found.requirements, *means.requirements))


def _services(mirror: Mirror, namespace: str) -> Mapping[str, Obj]:
    return mirror.in_namespace(SERVICES, namespace)
