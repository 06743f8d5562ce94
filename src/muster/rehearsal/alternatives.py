"""The alternatives that are compared: one for each combination of the values that `--set` names.

    ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable=1,5%,10%,25%
    deploy/web.spec.template.spec.containers[app].image=web:2
    ds/logging/agent.spec.minReadySeconds=0,30

A value is YAML: 5 is a number, "5" a text; a comma within brackets or quotes belongs to it.  Items of a list are
named by number or by their name.
"""
from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..api.errors import BadRequest
from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, name_of, namespace_of

Step = str | int
_TARGET = re.compile(r"(?P<kind>[a-z0-9.-]+)/(?:(?P<namespace>[a-z0-9-]+)/)?(?P<rest>[a-z0-9][a-zA-Z0-9.\-\[\]/_]*)")
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)((?:\[[^\]]+\])*)")
_INDEX = re.compile(r"\[([^\]]+)\]")
FIELDS = ("spec", "metadata", "data")


@dataclass(frozen=True, slots=True)
class Setting:
    text: str  # as it was given, for messages
    kind: str  # "ds"
    namespace: str  # "": wherever the one of that name is
    name: str
    path: str  # "spec.updateStrategy.rollingUpdate.maxUnavailable"
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    setting: Setting
    value: Any

    def __str__(self) -> str:
        return f"{self.setting.path.rpartition('.')[2]}={_shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Alternative:
    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        return ", ".join(str(choice) for choice in self.choices if len(choice.setting.values) > 1) or "as given"


def parse_setting(text: str) -> Setting:
    target, equals, said = text.partition("=")
    found = _TARGET.fullmatch(target.strip())
    if not equals or found is None:
        raise BadRequest(f"--set {text}: must be KIND/NAME.FIELD...=VALUE[,VALUE...], for instance "
                         "ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable=1,10%")
    rest = found["rest"]
    cut = min((place for field in FIELDS if (place := rest.find(f".{field}.")) >= 0), default=-1)
    if cut <= 0:
        raise BadRequest(f"--set {text}: the field must begin with {', '.join(FIELDS[:-1])} or {FIELDS[-1]}, after the "
                         "object's name and a dot")
    name, path = rest[:cut], rest[cut + 1:]
    if name.count("/") or not all(_STEP.fullmatch(step) for step in _split_path(path)):
        raise BadRequest(f"--set {text}: {path!r} is no path of fields")
    values = tuple(_value(one, text) for one in _split_values(said))
    if len({repr(value) for value in values}) < len(values):
        raise BadRequest(f"--set {text}: a value is given twice")
    return Setting(text, found["kind"], found["namespace"] or "", name, path, values)


def alternatives(settings: Sequence[Setting]) -> list[Alternative]:
    """All combinations, the last setting changing fastest."""
    return [Alternative(tuple(Choice(one, value) for one, value in zip(settings, values, strict=True)))
            for values in itertools.product(*(one.values for one in settings))]


def kind_named(kinds: Kinds, said: str, option: str) -> Kind:
    """The kind that kubectl would understand: by its short name, singular or plural, with its group or without."""
    word = said.lower()
    for kind in kinds:
        if word in (kind.plural, kind.singular, kind.resource, *kind.short_names, kind.name.lower()):
            return kind
    raise BadRequest(f'{option}: the server doesn\'t have a resource type "{said}"')


def find(keys: Sequence[Key], kind: Kind, namespace: str, name: str, option: str) -> Key:
    """The one object that is meant."""
    found = [key for key in keys if key.resource == kind.resource and key.name == name
             and (not namespace or key.namespace == namespace)]
    if not found:
        known = sorted({key.name for key in keys if key.resource == kind.resource})
        there = f"; there is {', '.join(known[:5])}" if known else ""
        where = f" in the namespace {namespace}" if namespace else ""
        raise BadRequest(f"{option}: there is no {kind.singular} {name}{where}, neither in the files nor on the cluster"
                         f"{there}")
    if len(found) > 1:
        raise BadRequest(f"{option}: there are {len(found)} of that name, in the namespaces "
                         f"{', '.join(sorted(key.namespace for key in found))}; write {kind.singular}/NAMESPACE/{name}")
    return found[0]


def with_choice(obj: Obj, choice: Choice) -> Obj:
    """The object with the value in its place.  Raises BadRequest where the path leads through no object or list."""
    try:
        found: Obj = _with(obj, list(_steps(choice.setting.path)), choice.value)
    except (KeyError, IndexError, TypeError) as error:
        raise BadRequest(f"--set {choice.setting.text}: {name_of(obj)} has no {error}") from None
    return found


def _with(value: Any, steps: list[Step | tuple[str]], new: Any) -> Any:
    if not steps:
        return new
    step, *rest = steps
    if isinstance(step, str):
        there = value if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            raise TypeError(f"field {step} there")
        return {**there, step: _with(there.get(step), rest, new)}
    items = value if isinstance(value, list) else []
    if isinstance(step, tuple):
        place = next((place for place, one in enumerate(items)
                      if isinstance(one, dict) and one.get("name") == step[0]), -1)
        if place < 0:
            raise KeyError(f"item named {step[0]}")
    else:
        place = step
        if place >= len(items):
            raise IndexError(f"item {place}")
    return [*items[:place], _with(items[place], rest, new), *items[place + 1:]]


def _steps(path: str) -> Iterator[Any]:
    for part in _split_path(path):
        found = _STEP.fullmatch(part)
        assert found is not None, "read before"
        yield found[1]
        for index in _INDEX.findall(found[2]):
            yield int(index) if index.isdigit() else (index,)


def _split_path(path: str) -> list[str]:
    return re.split(r"\.(?![^\[]*\])", path)


def _split_values(text: str) -> list[str]:
    parts, depth, quote, begin = [], 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]


def _value(text: str, whole: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise BadRequest(f"--set {whole}: {text!r} is no value that YAML has") from None


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    written: str = yaml.safe_dump(value, default_flow_style=True)
    return written.strip().removesuffix("\n...")


def merge_patch_of(old: Obj, new: Obj) -> Obj:
    """The JSON merge patch that makes `new` of `old`."""
    patch: Obj = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if before is value or before == value:
            continue
        patch[name] = merge_patch_of(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return patch


def key_of(kinds: Kinds, manifest: Obj) -> Key:
    """Where the manifest's object will be: in the namespace default unless it says otherwise."""
    kind = kinds.named(manifest["apiVersion"], manifest["kind"])
    assert kind is not None, "checked when it was read"
    return kind.key(namespace_of(manifest) or ("default" if kind.namespaced else ""), name_of(manifest))
