"""`muster why TARGET`: what keeps a pod, a workload or a node from being as it should, and the smallest change that
would help.  Asks the API server for what the answer depends on (it only reads) and hands it to muster.why.
"""
from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..api.errors import ApiError, BadRequest, Forbidden, NotFound
from ..api.objects import Key, Obj, at, name_of, namespace_of
from ..client.client import Client, Listing
from ..client.kubeconfig import Kubeconfig, read_kubeconfig
from ..client.mirror import Mirror
from ..client.remote import RemoteClient
from ..clock import Clock
from ..data_directory import DataDirectory
from ..scheduler.snapshot import FINISHED
from ..scheduler.volumes import CLAIMS, CLASSES, VOLUMES
from ..why.answer import Answer, as_json, text
from ..why.daemonset import daemonset_answer
from ..why.node import node_answer
from ..why.pod import pod_answer
from ..why.scene import BUDGETS, EVENTS, Scene
from ..why.target import Target, known_as, nothing_named
from ..why.workload import workload_answer
from .connection import running_kubeconfig

DAEMONSETS, REVISIONS, REPLICASETS = "daemonsets.apps", "controllerrevisions.apps", "replicasets.apps"
# What the scheduler's answers depend on; without nodes and pods there are none.
NEEDED = ("nodes", "pods")
BOOKS = (*NEEDED, "namespaces", CLAIMS, VOLUMES, CLASSES, BUDGETS)
NOTHING = Listing([], 0)


@dataclass(frozen=True)
class Question:
    target: Target
    namespace: str = ""  # "": the kubeconfig's
    output: str = "text"

    @classmethod
    def of(cls, target: str, namespace: str, output: str) -> Question:
        if output not in ("text", "json"):
            raise BadRequest(f'-o {output} is not known: text or json is expected')
        return cls(Target.parse(target), namespace, output)


def run(question: Question, data: DataDirectory, kubeconfig: Path | None) -> None:
    config = read_kubeconfig(kubeconfig) if kubeconfig is not None else running_kubeconfig(data)
    answer = asyncio.run(_asked(question, config))
    if question.output == "json":
        print(json.dumps(as_json(answer), indent=2))
    else:
        print(text(answer))


async def _asked(question: Question, config: Kubeconfig) -> Answer:
    client = RemoteClient(config)
    try:
        return await answer_of(question.target, question.namespace or config.namespace, client, Clock().now())
    finally:
        await client.close()


async def answer_of(target: Target, namespace: str, client: Client, now: float) -> Answer:
    resource, obj = await _find(target, namespace, client)
    if resource == "pods":
        return pod_answer(obj, await _scene_of_pod(obj, client, now))
    more: tuple[str, ...]
    decide: Callable[[Scene], Answer]
    match resource:
        case "nodes":
            more, decide = (DAEMONSETS,), lambda scene: node_answer(obj, scene)
        case "daemonsets.apps":
            more, decide = (REVISIONS,), lambda scene: daemonset_answer(obj, scene)
        case _:
            more, decide = (REPLICASETS,), lambda scene: workload_answer(resource, obj, scene)
    listings = await _listed(client, (*(one for one in BOOKS if one != "pods"), *more))
    listings["pods"] = await _needed(_pods(resource, obj, client))
    if resource != "nodes":
        listings[EVENTS] = await _warnings(client, namespace_of(obj))
    return decide(Scene(Mirror.of(client, listings), now))


async def _pods(resource: str, obj: Obj, client: Client) -> Listing:
    """Those that it is about; all of the cluster only where one waits for a node, for then all of them count."""
    if resource == "nodes":
        there, waiting = await asyncio.gather(client.list("pods", fields=f"spec.nodeName={name_of(obj)}"),
                                              client.list("pods", fields="spec.nodeName="))
        return await client.list("pods") if waiting.items else there
    here = await client.list("pods", namespace_of(obj))
    waits = any(not pod["spec"].get("nodeName") and at(pod, "status.phase") not in FINISHED for pod in here.items)
    return await client.list("pods") if waits else here


# ------------------------------------------------------------------ what is meant

async def _find(target: Target, namespace: str, client: Client) -> tuple[str, Obj]:
    for resource in (target.resource,) if target.resource else ("pods", "nodes"):
        try:
            return resource, await client.get(Key(resource, "" if resource == "nodes" else namespace, target.name))
        except NotFound:
            continue
    raise NotFound(await _missing(target, namespace, client))


async def _missing(target: Target, namespace: str, client: Client) -> str:
    if target.resource == "nodes":
        return nothing_named(target.name, "node", map(name_of, (await client.list("nodes")).items))
    everywhere = (await client.list(target.resource or "pods")).items
    here = [name_of(one) for one in everywhere if namespace_of(one) == namespace]
    elsewhere = [namespace_of(one) for one in everywhere if name_of(one) == target.name]
    if target.resource:
        return nothing_named(target.name, f"{known_as(target.resource)} in namespace {namespace} that is named", here,
                             elsewhere)
    nodes = [name_of(one) for one in (await client.list("nodes")).items]
    return nothing_named(target.name, f"pod in namespace {namespace} and no node that is named", [*here, *nodes],
                         elsewhere)


# ------------------------------------------------------------------ what is looked at

async def _scene_of_pod(pod: Obj, client: Client, now: float) -> Scene:
    """One that is on a node is asked about without the rest of the cluster."""
    node = pod["spec"].get("nodeName", "")
    if not node and at(pod, "status.phase") not in FINISHED:
        listings = await _listed(client, BOOKS)
    else:
        try:
            nodes: Sequence[Obj] = [await client.get(Key("nodes", "", node))] if node else []
        except NotFound:
            nodes = []
        listings = {"nodes": Listing(nodes, 0), "pods": Listing([pod], 0)}
    listings[EVENTS] = await _warnings(client, namespace_of(pod))
    return Scene(Mirror.of(client, listings), now)


async def _listed(client: Client, resources: Sequence[str]) -> dict[str, Listing]:
    """What may not be listed, or is not served, is taken to be empty."""
    found = await asyncio.gather(*(
        (_needed if one in NEEDED else _or_nothing)(client.list(one)) for one in resources))
    return dict(zip(resources, found, strict=True))


async def _warnings(client: Client, namespace: str) -> Listing:
    return await _or_nothing(client.list(EVENTS, namespace, fields="type=Warning"))


async def _or_nothing(listing: Awaitable[Listing]) -> Listing:
    try:
        return await listing
    except (Forbidden, NotFound):
        return NOTHING


async def _needed(listing: Awaitable[Listing]) -> Listing:
    try:
        return await listing
    except (Forbidden, NotFound) as error:
        raise ApiError(f"what the scheduler sees can not be listed: {error}") from None
