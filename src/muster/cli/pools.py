"""Reads `--pool NAME=N[,cpu=8,memory=32Gi,LABEL=VALUE...]` and the behaviour options into NodePool objects."""
from __future__ import annotations

import re
from collections.abc import Sequence

from ..api.errors import BadRequest
from ..api.objects import Obj
from ..bootstrap import node_pool

DEFAULT_POOL = "default-pool"
CAPACITY = ("cpu", "memory", "pods", "ephemeral-storage")
_TAINT = re.compile(r"^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$")


def parse_pool(text: str, behaviour: Obj | None = None) -> Obj:
    """`gpu=20,cpu=8,type=platform-tools` -> a NodePool.  Raises BadRequest that names the part it can not read.

    Known words: cpu, memory, pods, ephemeral-storage and anything with a slash and a number that is an
    extended resource (`nvidia.com/gpu=4`); machine-type, disk, zone (several with +), version, role (several
    with +), taint (KEY[=VALUE]:EFFECT, several times).  Every other NAME=VALUE is a label.
    """
    head, *rest = text.split(",")
    name, separator, count = head.partition("=")
    if not separator or not name or not count.isdigit():
        raise BadRequest(f"--pool {text}: begin with NAME=N, for instance --pool gpu=20,cpu=8")
    template: Obj = {}
    for part in rest:
        word, separator, value = part.partition("=")
        if not separator or not word:
            raise BadRequest(f"--pool {text}: {part!r} is not NAME=VALUE")
        _set(template, word, value, text)
    return node_pool(name, int(count), template, behaviour)


def _set(template: Obj, word: str, value: str, text: str) -> None:
    if word in CAPACITY or ("/" in word and value.isdigit()):
        template.setdefault("capacity", {})[word] = value
    elif word == "machine-type":
        template["machineType"] = value
    elif word == "disk":
        if not value.isdigit():
            raise BadRequest(f"--pool {text}: disk={value} must be a number of GB")
        template["diskSizeGb"] = int(value)
    elif word == "zone":
        template["zones"] = value.split("+")
    elif word == "version":
        template["version"] = value
    elif word == "role":
        template["roles"] = value.split("+")
    elif word == "taint":
        found = _TAINT.match(value)
        if found is None:
            raise BadRequest(f"--pool {text}: taint={value} must be KEY[=VALUE]:EFFECT with the effect "
                             "NoSchedule, PreferNoSchedule or NoExecute")
        taint = {"key": found[1], "effect": found[3], **({"value": found[2]} if found[2] else {})}
        template.setdefault("taints", []).append(taint)
    else:
        template.setdefault("labels", {})[word] = value


def behaviour_from(pull: str | None, start: str | None, ready: str | None,
                   task: str | None, stop: str | None,
                   missing_images: Sequence[str]) -> Obj | None:
    """The part of a pool that says how its simulated nodes behave; None where nothing was said."""
    said = {"pull": pull, "start": start, "ready": ready, "task": task, "stop": stop,
            "missingImages": list(missing_images) or None}
    return {word: value for word, value in said.items() if value is not None} or None
