"""What a waiting pod's claims mean for its place.

    a claim that is not there (yet), is being deleted, or should have had its volume at once    no node will do
    a volume with a node affinity (a local disk)    only the nodes that it can be reached from
    a claim that waits for its first consumer       a node with a volume that suits, or where one can be made

For the last, the node comes first: the claim is told of it (`volume.kubernetes.io/selected-node`), or the
volume of that node is reserved for the claim; once all claims have their volumes the pod is bound.
https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, annotations_of, at, is_deleting, name_of, namespace_of, uid_of, with_
from ..api.placement import matches_node_selector
from ..api.pod_claims import claims_of, mismatch
from ..api.quantities import parse
from ..api.storage import SELECTED_NODE, suits
from ..client.mirror import Mirror
from ..control.plan import Action, Patch, Replace
from .fit import Refusal

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"
PLUGIN = "VolumeBinding"
CONFLICT = "node(s) had volume node affinity conflict"
NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
GONE_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


@dataclass(frozen=True, slots=True)
class Unbound:
    """A claim that waits for the pod's node."""

    claim: Obj
    volumes: tuple[Obj, ...]  # that suit it, the smallest first
    can_be_made: bool  # a new one, by its class
    topologies: tuple[Obj, ...] = ()  # where the class allows them; none: anywhere

    def may_be_made_on(self, node: Obj) -> bool:
        labels = node["metadata"].get("labels") or {}
        return self.can_be_made and (not self.topologies or any(
            all(labels.get(one.get("key")) in (one.get("values") or ())
                for one in term.get("matchLabelExpressions") or ()) for term in self.topologies))


@dataclass(frozen=True, slots=True)
class VolumeNeeds:
    why_not: str = ""  # no node will do
    affinities: tuple[Obj, ...] = ()  # node selectors
    unbound: tuple[Unbound, ...] = ()
    lost: bool = False  # a volume that should be there is not
    selected: str = ""  # the node that its claims were told of

    def refusal(self, node: Obj) -> Refusal | None:
        if self.lost:
            return Refusal(PLUGIN, (GONE_VOLUME,))
        for one in self.affinities:
            if not matches_node_selector(one, node):
                return Refusal(PLUGIN, (CONFLICT,))
        if self.unbound and self._found(node) is None:
            return Refusal(PLUGIN, (NO_VOLUME,), name_of(self.unbound[0].claim))
        return None

    def _found(self, node: Obj) -> list[Obj | None] | None:
        """For each claim its volume there, or None for one that is to be made; None if a claim would get neither."""
        taken: set[str] = set()
        found: list[Obj | None] = []
        for one in self.unbound:
            volume = next((volume for volume in one.volumes
                           if name_of(volume) not in taken and _is_reachable(volume, node)), None)
            if volume is not None:
                taken.add(name_of(volume))
            elif not one.may_be_made_on(node):
                return None
            found.append(volume)
        return found

    def bind_on(self, node: Obj) -> list[Action]:
        """What makes the claims get their volumes on that node; nothing where they were told already."""
        actions: list[Action] = []
        for one, volume in zip(self.unbound, self._found(node) or (), strict=True):
            claim = one.claim
            if volume is not None:
                if not at(volume, "spec.claimRef.uid"):
                    actions.append(Replace(with_(volume, "spec.claimRef", {
                        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace_of(claim),
                        "name": name_of(claim), "uid": uid_of(claim)})))
            elif annotations_of(claim).get(SELECTED_NODE) != name_of(node):
                actions.append(Patch(Key(CLAIMS, namespace_of(claim), name_of(claim)), uid_of(claim),
                                     {"metadata": {"annotations": {SELECTED_NODE: name_of(node)}}}))
        return actions


NONE = VolumeNeeds()


def volume_needs(pod: Obj, mirror: Mirror) -> VolumeNeeds:
    affinities: list[Obj] = []
    unbound: list[Unbound] = []
    selected, lost = "", False
    for name, is_own in claims_of(pod):
        claim = mirror.get(Key(CLAIMS, namespace_of(pod), name))
        if claim is None:
            return VolumeNeeds(f'persistentvolumeclaim "{name}" not found' if not is_own else
                               f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"')
        if is_deleting(claim):
            return VolumeNeeds(f'persistentvolumeclaim "{name}" is being deleted')
        if at(claim, "status.phase") == "Lost":
            return VolumeNeeds(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume '
                               f'"{at(claim, "spec.volumeName", "")}"')
        if is_own and (why := mismatch(pod, claim)):
            return VolumeNeeds(why)
        selected = selected or annotations_of(claim).get(SELECTED_NODE, "")
        if at(claim, "status.phase") != "Bound":
            waits = _unbound(claim, mirror)
            if waits is None:
                return VolumeNeeds(UNBOUND)
            unbound.append(waits)
            continue
        volume = mirror.get(Key(VOLUMES, "", at(claim, "spec.volumeName", "")))
        lost = lost or volume is None
        if required := at(volume or {}, "spec.nodeAffinity.required"):
            affinities.append(required)
    if not affinities and not unbound and not selected and not lost:
        return NONE
    return VolumeNeeds("", tuple(affinities), tuple(unbound), lost, selected)


def _unbound(claim: Obj, mirror: Mirror) -> Unbound | None:
    """None: it does not wait for a node, but for its volume."""
    class_ = mirror.get(Key(CLASSES, "", at(claim, "spec.storageClassName", "")))
    if class_ is None or class_.get("volumeBindingMode") != "WaitForFirstConsumer":
        return None
    named = at(claim, "spec.volumeName", "")
    mine = [one for one in _volumes(mirror) if at(one, "spec.claimRef.uid") == uid_of(claim) or name_of(one) == named]
    suiting = mine or sorted((one for one in _volumes(mirror) if suits(one, claim)),
                             key=lambda one: (parse(one["spec"]["capacity"].get("storage", "0")), name_of(one)))
    return Unbound(claim, tuple(suiting), not mine and class_["provisioner"] != NO_PROVISIONER,
                   tuple(class_.get("allowedTopologies") or ()))


def _volumes(mirror: Mirror) -> Iterable[Obj]:
    return mirror.objects(VOLUMES).values()


def _is_reachable(volume: Obj, node: Obj) -> bool:
    required = at(volume, "spec.nodeAffinity.required")
    return not required or matches_node_selector(required, node)
