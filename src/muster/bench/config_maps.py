"""The API's verbs on ConfigMaps of about 1 KB: create, get, put, delete; each as fast as it is answered.

Requests are made of parts that are ready beforehand, so that asking costs the client next to nothing.  What is
deleted is what was created before; where that is all gone, the bench is over early.
"""
from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence

import orjson

from .arena import NAMESPACE, Arena
from .figures import Figures
from .line import Place
from .rates import rate

SPACE = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
NAME, TURN = "map-0000000", "turn-0000000"  # each is replaced by one of the same length
DATA = {f"setting-{number}": f"value number {number} of this map" for number in range(24)}


def config_map(name: str = NAME, turn: str = TURN) -> bytes:
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE},
                         "data": {**DATA, "turn": turn}})


def creations(place: Place) -> Iterator[bytes]:
    before, after = place.request("POST", SPACE, config_map()).split(NAME.encode())
    for number in itertools.count():
        yield before + b"map-%07d" % number + after


def reads(place: Place, count: int) -> Iterator[bytes]:
    return itertools.cycle([place.request("GET", f"{SPACE}/map-{number:07d}") for number in range(count)])


def changes(place: Place, count: int) -> Iterator[bytes]:
    """Each map in turn, each time to other contents: what changes nothing would not be written."""
    parts = []
    for number in range(count):
        name = f"map-{number:07d}"
        parts.append(place.request("PUT", f"{SPACE}/{name}", config_map(name)).split(TURN.encode()))
    for turn, (before, after) in enumerate(itertools.cycle(parts), start=1):
        yield before + b"turn-%07d" % turn + after


def deletions(place: Place, count: int) -> Iterator[bytes]:
    return (place.request("DELETE", f"{SPACE}/map-{number:07d}") for number in range(count))


async def run(arena: Arena, benches: Sequence[str]) -> AsyncGenerator[Figures, None]:
    place = arena.place
    created = await rate(arena, "api-create", creations(place))
    there: int = created["requests"]
    if "api-create" in benches:
        yield created
    if "api-get" in benches:
        yield await rate(arena, "api-get", reads(place, min(there, arena.connections)))
    if "api-put" in benches:
        yield await rate(arena, "api-put", changes(place, min(there, arena.connections)))
    if "api-delete" in benches:
        yield await rate(arena, "api-delete", deletions(place, there))
