"""What an alternative applies at t = 0: the manifests with the values that it chose, and what is there already.

    Applying(...)       which values go where; refuses what names nothing
    .check()            refuses values that an object can not have, before anything runs
    .carry_out(world)   applies it; what the cluster refuses is told with the manifest, or the option, that is to blame
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

from ..api.causes import Cause
from ..api.errors import ApiError, BadRequest, invalid
from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, name_of, to_time
from ..api.schema import Schema
from ..manifests import Manifest, located
from .alternatives import Alternative, Choice, find, key_of, kind_named, merge_patch_of, with_choice
from .world import State, World

RESTARTED_AT = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
RESTARTABLE = ("DaemonSet", "Deployment", "StatefulSet")


class Applying:
    def __init__(self, alternative: Alternative, manifests: Sequence[Manifest], restart: Sequence[str], state: State,
                 kinds: Kinds):
        self._manifests, self._state, self._kinds = manifests, state, kinds
        applied = dict.fromkeys(key_of(kinds, one.value) for one in manifests)
        keys = list(dict.fromkeys([*applied, *(Key(resource, *place) for resource, objects in state.objects.items()
                                               for place in objects)])) if alternative.choices or restart else []
        self._restart = [_restarted(text, keys, kinds) for text in restart]
        self._chosen: dict[Key, list[Choice]] = {}
        for choice in alternative.choices:
            setting, option = choice.setting, f"--set {choice.setting.text}"
            key = find(keys, kind_named(kinds, setting.kind, option), setting.namespace, setting.name, option)
            self._chosen.setdefault(key, []).append(choice)
        self._elsewhere = [key for key in self._chosen if key not in applied]  # what is only on the cluster

    def check(self, schema: Schema) -> None:
        for manifest, value, choices in self._values():
            if choices:
                self._check(schema, manifest.value, value, manifest.where, choices)
        for key in self._elsewhere:
            old = self._state.objects[key.resource][key[1:]].value
            self._check(schema, old, _with(old, self._chosen[key]), "", self._chosen[key])

    async def carry_out(self, world: World) -> None:
        for manifest, value, choices in self._values():
            try:
                await world.apply(value)
            except ApiError as error:
                raise located(error, manifest._replace(where=_blamed(manifest.where, choices))) from None
        for key in self._elsewhere:
            old = await world.admin.get(key)
            try:
                await world.admin.patch(key, merge_patch_of(old, _with(old, self._chosen[key])))
            except ApiError as error:
                raise located(error, Manifest(_blamed("", self._chosen[key]), old)) from None
        for key in self._restart:
            await _restart(world, key)

    def _values(self) -> list[tuple[Manifest, Obj, list[Choice]]]:
        """A manifest that comes twice has the values once: the first time."""
        left = dict(self._chosen)
        found = []
        for manifest in self._manifests:
            choices = left.pop(key_of(self._kinds, manifest.value), [])
            found.append((manifest, _with(manifest.value, choices), choices))
        return found

    def _check(self, schema: Schema, old: Obj, new: Obj, where: str, choices: list[Choice]) -> None:
        """What is wrong with the old one too, the values are not to blame for: a server may fill it in."""
        kind = self._kinds.named(new["apiVersion"], new["kind"])
        assert kind is not None, "checked when it was read"
        try:
            schema.read(kind, new, "Strict")
            known = _causes(kind.validate, kind.defaults(old))
            if wrong := [one for one in _causes(kind.validate, kind.defaults(new)) if one not in known]:
                raise invalid(kind.name, kind.group, name_of(new), wrong)
        except ApiError as error:
            raise located(error, Manifest(_blamed(where, choices), new)) from None


def _causes(validate: Callable[[Obj], list[Cause]], obj: Obj) -> list[Cause]:
    return list(dict.fromkeys(validate(obj)))


def _with(obj: Obj, choices: Sequence[Choice]) -> Obj:
    for choice in choices:
        obj = with_choice(obj, choice)
    return obj


def _blamed(where: str, choices: Sequence[Choice]) -> str:
    """ "agent.yaml, line 1, with maxUnavailable=a%"."""
    chosen = "with " + ", ".join(map(str, choices)) if choices else ""
    return ", ".join(filter(None, (where, chosen)))


def _restarted(text: str, keys: Sequence[Key], kinds: Kinds) -> Key:
    """What `--restart ds/agent` means."""
    option = f"--restart {text}"
    kind, slash, rest = text.partition("/")
    namespace, _, name = rest.rpartition("/")
    if not slash or not name:
        raise BadRequest(f"{option}: must be KIND/NAME or KIND/NAMESPACE/NAME, for instance ds/agent")
    found = kind_named(kinds, kind, option)
    if found.name not in RESTARTABLE:
        raise BadRequest(f"{option}: {found.plural} can not be restarted, only daemonsets, deployments, statefulsets")
    return find(keys, found, namespace, name, option)


async def _restart(world: World, key: Key) -> None:
    """As `kubectl rollout restart` does."""
    patch: Obj = {}
    inner = patch
    for step in RESTARTED_AT[:-1]:
        inner[step] = {}
        inner = inner[step]
    inner[RESTARTED_AT[-1]] = to_time(world.clock.now())
    await world.admin.patch(key, patch)
