"""Carries out what controllers decide: the one loop that they all share.

A controller is woken by keys, then takes one look at the whole state (`observe`) and decides (`plan`).
The loop acts, waits until the mirror has seen what was written (so no decision is made on a state that
lacks our own writes), and rests in proportion to the size of the look.

Creations go out in slow-start batches of 1, 2, 4, ... as upstream's do: a template that the server refuses
fails once and not a thousand times.  Writes of one batch are issued together, so that the store's group
commit pays the disk once for all of them.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..api.errors import ApiError, Conflict, Forbidden, NotFound
from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, name_of, revision_of, uid_of
from ..client.client import Client
from ..client.listeners import Changes, resource_of
from ..client.mirror import Mirror
from ..clock import Clock
from ..store.history import Change, Snapshot
from . import telling
from .plan import Action, Bind, Create, Delete, Patch, Plan, Replace, SetStatus, Tell
from .queue import Queue

log = logging.getLogger(__name__)

BATCH = 64  # writes in flight for one plan: others, and callers from outside, get their turn in between
REST_S, REST_PER_OBJECT_S, LONGEST_REST_S = 0.01, 20e-6, 0.5
RETRY_S, LONGEST_RETRY_S = 0.1, 60.0


@dataclass(frozen=True)
class Controller:
    """`wakes` turns a change into keys (any hashable), `observe` gathers what `plan` needs."""

    name: str  # as events name their source: "daemonset-controller"
    resources: tuple[str | Changes, ...]  # what `wakes` and `observe` read in the mirror
    wakes: Callable[[Change, Mirror], Iterable[Any]]
    observe: Callable[[Mirror, Any], Any]
    plan: Callable[[Any, float], Plan]
    workers: int = 4  # keys looked at at the same time
    account: str = ""  # the service account it acts as; default: its name


@dataclass
class Tally:
    """What a controller has cost so far (served by /metrics and printed by `muster bench`)."""

    plans: int = 0
    looked_at: int = 0
    writes: int = 0
    errors: int = 0
    written: dict[str, int] = field(default_factory=dict)  # kind of action -> how many

    def counts(self) -> dict[str, int]:
        return {"plans": self.plans, "looked_at": self.looked_at, "writes": self.writes, "errors": self.errors}


Recorder = Callable[[Tell], None]


class Runtime:
    """One controller at work."""

    def __init__(self, controller: Controller, mirror: Mirror, client: Client, clock: Clock, kinds: Kinds,
                 tell: Recorder):
        self.controller = controller
        self.tally = Tally()
        self._mirror = mirror
        self._client = client
        self._clock = clock
        self._kinds = kinds
        self._tell = tell
        self._queue: Queue[Any] = Queue()
        self._failures: dict[Any, int] = {}
        mirror.on_change(self._wake, controller.resources)

    def _wake(self, change: Change) -> None:
        for key in self.controller.wakes(change, self._mirror):
            self._queue.add(key)

    def replaced_by(self, controller: Controller) -> Runtime:
        """Hears nothing any more.  The one that takes its place finds all that is there, as if it came just now."""
        self._mirror.off_change(self._wake, self.controller.resources)
        anew = Runtime(controller, self._mirror, self._client, self._clock, self._kinds, self._tell)
        for resource in map(resource_of, controller.resources):
            for place, obj in list(self._mirror.objects(resource).items()):
                revision = revision_of(obj)
                anew._wake(Change(revision, Key(resource, *place), Snapshot(obj, revision), None))
        return anew

    async def run(self) -> None:
        await self._mirror.synced()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.controller.workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            rest_s = REST_S
            try:
                rest_s = await self._look(key)
                self._failures.pop(key, None)
            except ApiError as error:
                self._try_again(key, error)
            except Exception:
                # A decision that raises is our own mistake: say so loudly, keep the other keys served.
                log.exception("%s: %s: the plan failed", self.controller.name, key)
                self._try_again(key, None)
            finally:
                self._queue.done(key, rest_s)

    async def _look(self, key: Any) -> float:
        """Observe, plan, act; returns how long to leave the key alone."""
        seen = self.controller.observe(self._mirror, key)
        if seen is None:
            return REST_S
        now = self._clock.now()
        plan = self.controller.plan(seen, now)
        self.tally.plans += 1
        self.tally.looked_at += plan.size
        written: dict[str, int] = {}
        try:
            await self.carry_out(plan, written)
        except Exception:  # not when it is cancelled: then the mirror ends too, and would be waited for in vain
            await self._mirror.caught_up(written)
            raise
        await self._mirror.caught_up(written)
        if plan.wake_at is not None:
            self._queue.add_in(key, max(0.0, plan.wake_at - self._clock.now()))
        return min(LONGEST_REST_S, REST_S + plan.size * REST_PER_OBJECT_S)

    def _try_again(self, key: Any, error: ApiError | None) -> None:
        self.tally.errors += 1
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        wait_s = min(LONGEST_RETRY_S, RETRY_S * 2 ** min(failures, 12))
        if error is not None:
            log.info("%s: %s: %s; again in %.1f s", self.controller.name, key, error, wait_s)
        self._queue.add_in(key, wait_s)

    async def carry_out(self, plan: Plan, written: dict[str, int]) -> None:
        """Acts; notes in `written` the last revision written of each resource.  Raises the first error."""
        creations, deletions, scales, rest = list[Action](), list[Action](), list[Action](), list[Action]()
        for action in plan.actions:
            if isinstance(action, Create):
                creations.append(action)
            elif isinstance(action, Delete):
                deletions.append(action)
            else:
                (scales if _is_scale(action) else rest).append(action)
        errors: list[ApiError] = []
        while deletions:  # first, and come what may: what can not be made must not keep others from going
            batch, deletions = deletions[:BATCH], deletions[BATCH:]
            errors += await self._together(batch, written)
        size, refused = 1, list[ApiError]()
        while creations and not refused:
            batch, creations = creations[:size], creations[size:]
            refused = await self._together(batch, written)
            size = min(2 * size, BATCH)
        errors += refused
        if scales:
            errors += await self._together(scales, written)
        if errors and plan.otherwise is not None:
            rest = plan.otherwise(str(errors[0]))
        while rest:
            batch, rest = rest[:BATCH], rest[BATCH:]
            errors += await self._together(batch, written)
        if errors:
            raise errors[0]

    async def _together(self, actions: Sequence[Action], written: dict[str, int]) -> list[ApiError]:
        if len(actions) == 1:
            results = [await self._attempt(actions[0], written)]
        else:
            results = await asyncio.gather(*(self._attempt(action, written) for action in actions))
        return [error for error in results if error is not None]

    async def _attempt(self, action: Action, written: dict[str, int]) -> ApiError | None:
        """The error an action ended with.  A write that came too late to matter is no error."""
        try:
            await self._act(action, written)
        except NotFound as error:
            log.debug("too late: %s", error)
        except Forbidden as error:
            return None if _namespace_is_ending(error) else error
        except ApiError as error:
            return error
        return None

    async def _act(self, action: Action, written: dict[str, int]) -> None:
        client = self._client
        match action:
            case Tell():
                self._tell(action)
                return
            case Create():
                await self._create(action, written)
            case Delete():
                await self._delete(action, written)
            case Bind():
                await self._bind(action, written)
            case SetStatus():
                await self._set_status(action, written)
            case Patch():
                await self._patch(action, written)
            case Replace(obj, subresource):
                done = await client.replace(obj, subresource=subresource)
                self._note(written, done)
        self.tally.writes += 1
        name = type(action).__name__
        self.tally.written[name] = self.tally.written.get(name, 0) + 1

    def _note(self, written: dict[str, int], obj: Obj, resource: str = "") -> None:
        """Remembers at which revision the mirror will hold what was just written."""
        kind = self._kinds.get(resource) if resource else self._kinds.named(obj["apiVersion"], obj["kind"])
        if kind is not None:
            resource = kind.stored_resource
            written[resource] = max(written.get(resource, 0), revision_of(obj))

    async def _create(self, action: Create, written: dict[str, int]) -> None:
        obj, about = action.obj, action.tell
        try:
            await self._create_first(action.first, written)
            done = await self._client.create(obj)
        except ApiError as error:
            if not _namespace_is_ending(error):
                self._tell_refused("create", about, obj["kind"], name_of(obj), error)
            raise
        self._note(written, done)
        if about is not None:
            self._tell(telling.done("create", about, done["kind"], name_of(done)))

    async def _create_first(self, needed: Iterable[Create], written: dict[str, int]) -> None:
        failed: list[tuple[str, ApiError]] = []
        for one in needed:
            try:
                await self._act(one, written)
            except ApiError as error:
                failed.append((name_of(one.obj), error))
        if failed:
            _, first = failed[0]
            raise type(first)(telling.lacking(failed), details=first.details)

    async def _patch(self, action: Patch, written: dict[str, int]) -> None:
        key, about = action.key, action.tell
        bound = _only(action.uid, action.patch, action.how)
        try:
            done = await self._client.patch(key, bound, how=action.how, subresource=action.subresource)
        except ApiError as error:
            self._tell_refused("update", about, self._kinds.resource(key.resource).name, key.name, error)
            raise
        self._note(written, done, key.resource)  # a Scale that comes back is at its owner's revision
        if about is not None:
            self._tell(telling.done("update", about, done["kind"], key.name))

    async def _set_status(self, action: SetStatus, written: dict[str, int]) -> None:
        try:
            self._note(written, await self._client.set_status(action.key, action.uid, action.status))
        except NotFound:
            raise
        except ApiError as error:
            if action.tell is not None:
                self._tell(Tell(action.tell, "Warning", "FailedUpdateStatus", str(error)))
            raise

    def _tell_refused(self, verb: telling.Verb, about: Obj | None, kind: str, name: str, error: ApiError) -> None:
        if about is not None and (said := telling.refused(verb, about, kind, name, error)) is not None:
            self._tell(said)

    async def _bind(self, action: Bind, written: dict[str, int]) -> None:
        key, about = action.key, action.tell
        body = {"apiVersion": "v1", "kind": "Binding",
                "metadata": {"name": key.name, "namespace": key.namespace, "uid": action.uid},
                "target": {"apiVersion": "v1", "kind": "Node", "name": action.node}}
        try:
            self._note(written, await self._client.create(body, subresource="binding"))
        except (NotFound, Conflict):
            return  # gone, or bound already: either way there is nothing left to bind
        if about is not None:
            where = f"{key.namespace}/{key.name} to {action.node}"
            self._tell(Tell(about, "Normal", "Scheduled", f"Successfully assigned {where}"))

    async def _delete(self, action: Delete, written: dict[str, int]) -> None:
        key, about = action.key, action.tell
        for other, uid in action.unless:
            if await self._is_there(other, uid):
                raise Conflict(f"{other} is there after all")
        if action.first is not None:
            try:
                await self._act(action.first, written)
            except ApiError:
                if await self._is_there(key, action.uid):
                    raise
                return  # gone already, or a namesake stands there
        try:
            revision = await self._client.delete(key, uid=action.uid, revision=action.revision,
                                                 grace_period_s=action.grace_period_s, propagation=action.propagation)
        except NotFound:
            return
        except Conflict:
            if action.revision and await self._is_there(key, action.uid):
                raise  # it is no longer what was decided about
            return  # a namesake stands there: the one we meant is gone
        except ApiError as error:
            self._tell_refused("delete", about, self._kinds.resource(key.resource).name, key.name, error)
            raise
        written[key.resource] = max(written.get(key.resource, 0), revision)
        if about is not None:
            self._tell(telling.done("delete", about, self._kinds.resource(key.resource).name, key.name))

    async def _is_there(self, key: Key, uid: str) -> bool:
        """Asks the API, not the mirror, which may not have heard of it yet."""
        try:
            found = await self._client.get(key)
        except NotFound:
            return False
        return not uid or uid_of(found) == uid


def _is_scale(action: Action) -> bool:
    return isinstance(action, Patch) and action.subresource == "scale"


def _namespace_is_ending(error: ApiError) -> bool:
    return any(cause.get("reason") == "NamespaceTerminating" for cause in error.details.get("causes", ()))


def _only(uid: str, patch: Any, how: str) -> Any:
    """The patch, bound to the object with this uid and to no namesake."""
    if how == "json":
        return [{"op": "test", "path": "/metadata/uid", "value": uid}, *patch]
    return {**patch, "metadata": {**patch.get("metadata", {}), "uid": uid}}
