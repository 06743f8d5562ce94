"""Which nodes have a pod's images already: pulling nothing is quicker.

Nodes say in their status which images they hold.  An image counts by its size, less where few nodes have it
(so that one node does not draw every pod of an image that it alone has); 23 MB and less are nothing, 1000 MB
a container are all.  https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins (ImageLocality)
"""
from __future__ import annotations

from collections.abc import Sequence

from ..api.objects import Obj, at, name_of

MEGABYTE = 1024 * 1024
LEAST, MOST_OF_CONTAINER = 23 * MEGABYTE, 1000 * MEGABYTE
FULL = 100


class Images:
    """Of each image, the nodes that have it and its size there."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, int]] = {}

    def change(self, old: Obj | None, new: Obj | None) -> None:
        before, after = at(old or {}, "status.images"), at(new or {}, "status.images")
        if before is after or before == after:
            return
        for name, _ in _named(before):
            nodes = self._nodes.get(name)
            if nodes is not None and nodes.pop(name_of(old or {}), None) is not None and not nodes:
                del self._nodes[name]
        for name, size in _named(after):
            self._nodes.setdefault(name, {})[name_of(new or {})] = size

    def scores(self, pod: Obj, nodes: Sequence[str], total: int) -> list[int] | None:
        """0 to 100 for each; None: no node has any of them."""
        if not self._nodes:
            return None
        containers = (*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ()))
        found = [there for one in containers if (there := self._nodes.get(_full(one.get("image") or "")))]
        if not found:
            return None
        shares = [(there, len(there) / total) for there in found]
        most = MOST_OF_CONTAINER * len(containers)
        return [FULL * (min(max(sum(int(there.get(name, 0) * share) for there, share in shares), LEAST), most) - LEAST)
                // (most - LEAST) for name in nodes]


def _named(images: Sequence[Obj] | None) -> list[tuple[str, int]]:
    return [(name, one.get("sizeBytes") or 0) for one in images or () for name in one.get("names") or ()]


def _full(image: str) -> str:
    """With the tag "latest" where it has none: names are compared as they are written, as upstream does."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"
