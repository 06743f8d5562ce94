"""What a waiting pod's claims mean for its place.

    a claim that is not there, is being deleted or has no volume yet    no node will do, until that changes
    a volume with a node affinity (a local disk)                        only the nodes that it can be reached from

Volumes of WaitForFirstConsumer classes are bound once the pod is there, whichever node it gets: simulated
ones are on every node.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity
"""
from __future__ import annotations

from dataclasses import dataclass

from ..api.objects import Key, Obj, at, is_deleting, namespace_of
from ..api.placement import matches_node_selector
from ..client.mirror import Mirror

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"
CONFLICT = "node(s) had volume node affinity conflict"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NOT_FOUND_YET = "waiting for the volume of a claim whose class waits for the first consumer"


@dataclass(frozen=True, slots=True)
class VolumeNeeds:
    why_not: str = ""  # no node will do
    affinities: tuple[Obj, ...] = ()  # node selectors

    def allows(self, node: Obj) -> bool:
        return all(matches_node_selector(one, node) for one in self.affinities)


NONE = VolumeNeeds()


def claim_names(pod: Obj) -> list[str]:
    return [volume["persistentVolumeClaim"].get("claimName", "") for volume in pod["spec"].get("volumes") or ()
            if volume.get("persistentVolumeClaim")]


def volume_needs(pod: Obj, mirror: Mirror) -> VolumeNeeds:
    affinities = []
    for name in claim_names(pod):
        claim = mirror.get(Key(CLAIMS, namespace_of(pod), name))
        if claim is None:
            return VolumeNeeds(f'persistentvolumeclaim "{name}" not found')
        if is_deleting(claim):
            return VolumeNeeds(f'persistentvolumeclaim "{name}" is being deleted')
        if at(claim, "status.phase") == "Lost":
            return VolumeNeeds(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume '
                               f'"{at(claim, "spec.volumeName", "")}"')
        if at(claim, "status.phase") != "Bound":
            return VolumeNeeds(NOT_FOUND_YET if _waits(claim, mirror) else UNBOUND)
        volume = mirror.get(Key(VOLUMES, "", at(claim, "spec.volumeName", "")))
        required = at(volume or {}, "spec.nodeAffinity.required")
        if required:
            affinities.append(required)
    return VolumeNeeds(affinities=tuple(affinities)) if affinities else NONE


def _waits(claim: Obj, mirror: Mirror) -> bool:
    found = mirror.get(Key(CLASSES, "", at(claim, "spec.storageClassName", "")))
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"
