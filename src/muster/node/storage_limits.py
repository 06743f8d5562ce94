"""Pods that hold more of the disk than they or their emptyDirs may: each is ended for it, pressure or not.  Pure.

https://kubernetes.io/docs/concepts/storage/ephemeral-storage/#how-pods-with-ephemeral-storage-limits-run
"""
from __future__ import annotations

from ..api import amounts, quantities
from ..api.objects import Obj
from .disk_use import DiskUse, added
from .life import Verdict
from .pod_status import EVICTED

RESOURCE = "ephemeral-storage"


def has_any(pod: Obj) -> bool:
    return bool(_sized(pod)) or RESOURCE in amounts.pod_limits(pod["spec"])


def broken(pod: Obj, use: DiskUse) -> Verdict | None:
    """The first that does not hold: of an emptyDir, of the pod as a whole, of a container."""
    for name, limit in _sized(pod).items():
        if name in use.volumes and use.volumes[name].storage > quantities.whole(limit):
            return Verdict(EVICTED, f'Usage of EmptyDir volume "{name}" exceeds the limit '
                                    f'"{quantities.canonical(limit)}". ')
    together = amounts.pod_limits(pod["spec"]).get(RESOURCE)
    held = added([*use.containers.values(), *use.volumes.values()]).storage
    if together is not None and held > together.value:
        return Verdict(EVICTED, f"Pod ephemeral local storage usage exceeds the total limit of containers {together}. ")
    for container in pod["spec"]["containers"]:
        own = ((container.get("resources") or {}).get("limits") or {}).get(RESOURCE)
        if own is not None and quantities.parse(own) and container["name"] in use.containers \
                and use.containers[container["name"]].storage > quantities.whole(own):
            return Verdict(EVICTED, f'Container {container["name"]} exceeded its local ephemeral storage limit '
                                    f'"{quantities.canonical(own)}". ')
    return None


def _sized(pod: Obj) -> dict[str, str]:
    """The emptyDirs on disk that have a limit."""
    found = {}
    for volume in pod["spec"].get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and quantities.parse(limit) > 0 and volume["emptyDir"].get("medium") != "Memory":
            found[volume["name"]] = str(limit)
    return found
