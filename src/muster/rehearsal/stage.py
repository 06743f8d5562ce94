"""What stands before anything is rehearsed: the nodes and whatever is there, brought to rest.

    described nodes, objects of snapshots  ->  a State, as they are
    manifests given with --on              ->  applied to it
    all of it settles, on nodes without delays, and the State it comes to is what every run begins on
"""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..api.errors import ApiError, BadRequest
from ..api.kinds.built_in import BUILT_IN
from ..api.kinds.catalogue import Kinds
from ..api.objects import Obj, name_of, namespace_of
from ..api.schema import Schema
from ..bootstrap import NAMESPACES, first_objects
from ..clock import Clock
from ..manifests import Manifest, check, located, read_manifests
from ..node.behaviour import INSTANT, USUAL, Behaviour
from ..node.durations import read_spread
from ..node.machines import is_failing
from ..store.history import Snapshot as Stored
from ..store.history import at_revision
from .alternatives import Alternative, alternatives
from .applying import Applying
from .measure import Measure
from .measured import measured
from .missing import completed
from .nodes import described, identified, lease_of
from .options import MEASURED, Options
from .snapshot import Snapshot, read
from .used import with_usage
from .world import State, World, at_work, played

USUAL_START = 1_767_225_600.0  # 2026-01-01T00:00:00Z, unless a snapshot is younger
LONGEST_SETTLING_S = 3600.0
AGE_S = 3600.0  # what was applied before has stood for so long: its pods have been ready for a while


@dataclass(frozen=True)
class Stage:
    options: Options
    state: State
    manifests: Sequence[Manifest]  # what is applied, in order
    alternatives: Sequence[Alternative]
    behaviour: Behaviour
    notes: Sequence[str] = ()  # what is missing in the snapshot, and what is assumed

    def applying(self, alternative: Alternative) -> Applying:
        return Applying(alternative, self.manifests, self.options.restart, self.state, Kinds(BUILT_IN))


def prepare(options: Options) -> Stage:
    """Raises BadRequest (or what the API says of an object) before anything is rehearsed."""
    kinds, schema = Kinds(BUILT_IN), Schema.load()
    manifests = _checked([one for file in options.files for one in read_manifests(file)], kinds, schema)
    snapshot = read(options.on, kinds, schema)
    behaviour = _behaviour(options, snapshot)
    recorded, assumed = completed(snapshot)
    recorded = with_usage(recorded, [one.value for one in (*snapshot.manifests, *manifests)], snapshot.metrics, kinds,
                          assumed)
    if not options.pools and not any(one["kind"] == "Node" for one in (
            *recorded, *(manifest.value for manifest in snapshot.manifests))):
        raise BadRequest(f"--on {', '.join(map(str, options.on))}: there are no nodes in it; add `kubectl get nodes` "
                         "to it, or say how many with --nodes N")
    start = max(USUAL_START, snapshot.taken_at() // 1 + 1)
    namespaces = _missing_namespaces([*snapshot.manifests, *manifests], recorded)
    recorded += namespaces
    state = played(lambda clock: _settled(options, recorded, snapshot.manifests, clock), start=start,
                   seed=f"{options.seed}/before")
    assumed += [f"the namespace {name_of(one)} is not there: it is assumed to have been created" for one in namespaces]
    stage = Stage(options, state, manifests, alternatives(options.settings), behaviour, (*snapshot.notes, *assumed))
    for one in stage.alternatives:
        stage.applying(one).check(schema)
    return stage


def _checked(manifests: list[Manifest], kinds: Kinds, schema: Schema) -> list[Manifest]:
    for one in manifests:
        check(one, kinds, schema)
    return manifests


def _missing_namespaces(manifests: Sequence[Manifest], recorded: Sequence[Obj]) -> list[Obj]:
    """Those that manifests name, and neither a manifest nor the cluster has."""
    there = {name_of(one) for one in (*recorded, *(manifest.value for manifest in manifests))
             if one["kind"] == "Namespace"} | set(NAMESPACES)
    named = {namespace_of(manifest.value) for manifest in manifests} - {""}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": name, "labels": {"kubernetes.io/metadata.name": name}}, "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"}} for name in sorted(named - there)]


def _behaviour(options: Options, snapshot: Snapshot) -> Behaviour:
    lengths: dict[str, Any] = {name: measured(name, snapshot) if text == MEASURED else read_spread(text)
                               for name, text in options.lengths}
    return replace(USUAL, **lengths)


# ------------------------------------------------------------------ settling


async def _settled(options: Options, recorded: Sequence[Obj], before: Sequence[Manifest], clock: Clock) -> State:
    now = clock.now()
    there = [*described(options.pools, clock), *recorded]
    leased = {name_of(one) for one in there if one["kind"] == "Lease"}
    there += [lease_of(one, now) for one in there
              if one["kind"] == "Node" and name_of(one) not in leased and not is_failing(one)]
    store = _state(there, Kinds(BUILT_IN), clock).store()
    world = World(store, clock, INSTANT)
    async with at_work(world):
        await world.create_missing(first_objects("127.0.0.1", 6443))
        measure = Measure(world)
        for manifest in before:
            try:
                await world.apply(manifest.value)
            except ApiError as error:
                raise located(error, manifest) from None
        await asyncio.sleep(1)
        try:
            async with asyncio.timeout(LONGEST_SETTLING_S):
                await measure.progress.rest()
                await asyncio.sleep(2)
        except TimeoutError:
            pass  # what is stuck before stays so, and is told with the rest
        await asyncio.sleep(AGE_S if before else 0)
        return State.of(store, clock.now())


def _state(objects: Sequence[Obj], kinds: Kinds, clock: Clock) -> State:
    """The objects as if each had just been written, in this order."""
    found: dict[str, dict[tuple[str, str], Stored]] = {}
    for revision, obj in enumerate(objects, 1):
        kind = kinds.named(obj["apiVersion"], obj["kind"])
        assert kind is not None, f"{name_of(obj)} is of a kind that is built in"
        key = kind.key(obj["metadata"].get("namespace", ""), name_of(obj))
        obj = identified(kind.defaults(obj), clock, key.resource)
        found.setdefault(key.resource, {})[key[1:]] = at_revision(kind.to_stored(obj), revision)
    return State(clock.now(), len(objects), found)
