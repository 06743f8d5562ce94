"""What a cluster held at one moment: `kubectl get ... -o yaml`, read from a file or asked of the cluster itself.

    kubectl get nodes,pods,ds,deploy,sts,rs,controllerrevisions,hpa,pdb,priorityclasses,events -A -o yaml > now.yaml
    kubectl get podmetrics -A -o yaml > used.yaml      what autoscalers go by (used.py)

Objects with a uid were recorded and are taken up as they were: status, uid, node and all.  Objects without one are
manifests, which are applied.  What is not there, and what is assumed instead, is in `missing.py`.
"""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import yaml

from ..api.errors import ApiError, BadRequest
from ..api.kinds.catalogue import Kinds
from ..api.objects import Obj, at, from_time, name_of, uid_of
from ..api.schema import Schema
from ..client.kubeconfig import Kubeconfig, read_kubeconfig
from ..manifests import Manifest, check, read_manifests
from .used import is_metrics

if TYPE_CHECKING:
    from ..client.remote import RemoteClient

# What is asked of a live cluster.  Nothing else is, and nothing is written.
ASKED = ("namespaces", "nodes", "pods", "daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps",
         "controllerrevisions.apps", "jobs.batch", "horizontalpodautoscalers.autoscaling",
         "priorityclasses.scheduling.k8s.io", "poddisruptionbudgets.policy", "serviceaccounts",
         "storageclasses.storage.k8s.io", "persistentvolumes", "persistentvolumeclaims", "runtimeclasses.node.k8s.io",
         "events")
POD_METRICS = "/apis/metrics.k8s.io/v1beta1/pods"
# Objects that would be at work by themselves, or say what a rehearsal works out.
LEFT_OUT = {"Lease", "Endpoints", "EndpointSlice", "NodePool"}


@dataclass(frozen=True)
class Snapshot:
    recorded: Sequence[Obj]  # with uid and status
    manifests: Sequence[Manifest] = ()  # to be applied
    events: Sequence[Obj] = ()
    metrics: Sequence[Obj] = ()  # PodMetrics
    notes: Sequence[str] = ()

    def of_kind(self, kind: str) -> list[Obj]:
        return [one for one in self.recorded if one["kind"] == kind]

    def taken_at(self) -> float:
        """The youngest moment that anything in it speaks of; 0.0 where nothing does."""
        return max((_youngest(one) for one in (*self.recorded, *self.events)), default=0.0)


def read(paths: Sequence[Path], kinds: Kinds, schema: Schema) -> Snapshot:
    """Raises BadRequest with the file, and what is wrong with it."""
    recorded: list[Obj] = []
    events: list[Obj] = []
    manifests: list[Manifest] = []
    metrics: list[Obj] = []
    notes: list[str] = []
    unknown: dict[str, int] = {}
    for path in paths:
        if _is_kubeconfig(path):
            found = asyncio.run(_asked(read_kubeconfig(path), path, notes))
            documents = [Manifest(str(path), one) for one in found]
        else:
            documents = read_manifests(path)
        for one in documents:
            obj = one.value
            kind = kinds.named(obj["apiVersion"], obj["kind"])
            if is_metrics(obj):
                metrics.append(obj)
            elif not uid_of(obj):
                check(one, kinds, schema)
                manifests.append(one)
            elif kind is None:
                word = f"{obj['kind']} ({obj['apiVersion']})"
                unknown[word] = unknown.get(word, 0) + 1
            elif obj["kind"] == "Event":
                events.append(obj)
            elif obj["kind"] not in LEFT_OUT:
                try:
                    read_as, _ = schema.read(kind, obj, "Ignore")
                except ApiError as error:
                    raise BadRequest(f"{one.where}: {obj['kind']} {name_of(obj)}: {error}") from None
                recorded.append(read_as)
    for word, count in sorted(unknown.items()):
        notes.append(f"{count} objects of kind {word} are left out: it is not simulated here")
    return Snapshot(_without_twins(recorded, notes), manifests, events, metrics, notes)


def _without_twins(recorded: Sequence[Obj], notes: list[str]) -> list[Obj]:
    """Objects that are in it twice (two dumps of different moments): the later one counts."""
    found: dict[tuple[str, str, str], Obj] = {}
    for one in recorded:
        place = one["kind"], one["metadata"].get("namespace", ""), name_of(one)
        found[place] = one
    if (twins := len(recorded) - len(found)) > 0:
        notes.append(f"{twins} objects are there more than once: the last of each counts")
    return list(found.values())


def _youngest(obj: Obj) -> float:
    metadata = obj["metadata"]
    told = [metadata.get("creationTimestamp"), at(obj, "status.startTime"), obj.get("lastTimestamp"),
            obj.get("eventTime"), *(one.get(field) for one in at(obj, "status.conditions", ())
                                    for field in ("lastTransitionTime", "lastHeartbeatTime"))]
    try:
        return max((from_time(one) for one in told if one), default=0.0)
    except ValueError as error:
        raise BadRequest(f"{obj['kind']} {name_of(obj)}: {error}") from None


# ------------------------------------------------------------------ a live cluster


def _is_kubeconfig(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(64 * 1024)
    if b"clusters:" not in head and b'"clusters"' not in head:
        return False
    try:
        found = yaml.safe_load(path.read_bytes()) if path.stat().st_size < len(head) + 1 else None
    except yaml.YAMLError:
        return False
    return isinstance(found, dict) and found.get("kind") == "Config"


async def _asked(config: Kubeconfig, path: Path, notes: list[str]) -> list[Obj]:
    """Lists, and nothing else.  What it may not list is told and left out."""
    from ..client.remote import RemoteClient
    client = RemoteClient(config)
    found: list[Obj] = []
    try:
        for resource in ASKED:
            try:
                found += (await client.list(resource)).items
            except ApiError as error:
                if resource in ("nodes", "pods"):
                    raise BadRequest(f"--on {path}: {resource} can not be listed: {error}") from None
                notes.append(f"{resource} of the cluster are left out: {error}")
        if any(one["kind"] == "HorizontalPodAutoscaler" for one in found):
            found += await _measured(client)
    finally:
        await client.close()
    return found


async def _measured(client: RemoteClient) -> list[Obj]:
    """What its pods use, where it serves that."""
    status, _, body = await client.request("GET", POD_METRICS)
    if status != 200:
        return []
    items: list[Obj] = orjson.loads(body).get("items") or []
    return [{"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", **one} for one in items]
