"""What the kinds with a pod template print alike: containers, images, selectors, pods ready of those wanted."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BadRequest
from ..objects import Obj, at
from ..selectors import from_label_selector
from ..tables import NONE
from .kind import Column


def containers(path: str) -> Any:
    """The names of the containers in the pod spec at `path`: "app,proxy"."""
    return lambda obj, now: ",".join(one.get("name", "") for one in at(obj, f"{path}.containers", ()))


def images(path: str) -> Any:
    return lambda obj, now: ",".join(one.get("image", "") for one in at(obj, f"{path}.containers", ()))


def labels_text(labels: Mapping[str, str] | None) -> str:
    """`a=true,b=linux`, sorted; `<none>` for no labels."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    try:
        return str(from_label_selector(selector)) or NONE
    except BadRequest:
        return "<error>"


def selector(obj: Obj, now: float) -> str:
    return selector_text(at(obj, "spec.selector"))


def plain_selector(obj: Obj, now: float) -> str:
    """Of a kind whose selector is a plain map."""
    return labels_text(at(obj, "spec.selector"))


def _ready_of_wanted(obj: Obj, now: float) -> str:
    """`2/3`"""
    return f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}"


def of_template(path: str) -> tuple[Column, Column]:
    """CONTAINERS and IMAGES, which `-o wide` adds, of the pod spec at `path`."""
    return (Column("Containers", containers(path), priority=1, description="The names of the template's containers."),
            Column("Images", images(path), priority=1, description="The images of the template's containers."))


REPLICAS = (
    Column("Desired", lambda obj, now: at(obj, "spec.replicas", 0), "integer", description="Pods that are wanted."),
    Column("Current", lambda obj, now: at(obj, "status.replicas", 0), "integer", description="Pods there are."),
    Column("Ready", lambda obj, now: at(obj, "status.readyReplicas", 0), "integer",
           description="Pods of these that are ready."),
)
READY_OF_WANTED = Column("Ready", _ready_of_wanted, description="Pods that are ready, of those that are wanted.")
SELECTOR = Column("Selector", selector, priority=1, description="The pods that belong to it.")
