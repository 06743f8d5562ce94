"""Which objects are meant: label selectors and field selectors.

    parse_labels("app=web,tier!=db,env in (a,b),!old")    what comes in a URL, with -l
    from_label_selector({"matchLabels": ...})             what stands in objects
    parse_fields("spec.nodeName=n1,status.phase!=Running")

A parsed selector is immutable and cached by its text, so a list or a watch may parse at every request.
A requirement that excludes (`!=`, `notin`, `!key`) also holds where the label is missing.
Grammar and wording of errors: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from . import causes, names
from .errors import BadRequest

Labels = Mapping[str, str]

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class Requirement(NamedTuple):
    """`op` is one of = != in notin exists ! gt lt; `values` are sorted and each once."""

    key: str
    op: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        match self.op:
            case "=" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "gt" | "lt":
                return value is not None and _compares(value, self.op, self.values[0])
        raise AssertionError(f"no such operator: {self.op}")

    def __str__(self) -> str:
        match self.op:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "=" | "!=":
                return f"{self.key}{self.op}{self.values[0]}"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.op == 'gt' else '<'}{self.values[0]}"
        # One empty value alone needs a comma, or nothing would be listed.
        return f"{self.key} {self.op} ({','.join(self.values) or ','})"


def _compares(value: str, op: str, bound: str) -> bool:
    if not (_INTEGER.fullmatch(value) and _INTEGER.fullmatch(bound)):
        return False
    return int(value) > int(bound) if op == "gt" else int(value) < int(bound)


class Selector:
    """Requirements that must all hold.  `None` for them: nothing is meant at all."""

    __slots__ = ("requirements", "_equal", "_rest", "_nothing")

    def __init__(self, requirements: Iterable[Requirement] | None):
        self._nothing = requirements is None
        self.requirements = tuple(sorted(requirements or ()))
        self._equal = tuple((one.key, one.values[0]) for one in self.requirements
                            if one.op == "=" or (one.op == "in" and len(one.values) == 1))
        self._rest = tuple(one for one in self.requirements
                           if not (one.op == "=" or (one.op == "in" and len(one.values) == 1)))

    def matches(self, labels: Labels | None) -> bool:
        if self._nothing:
            return False
        labels = labels or {}
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        return all(one.holds(labels) for one in self._rest)

    @property
    def is_empty(self) -> bool:
        """Does it mean everything?"""
        return not self.requirements and not self._nothing

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return f"Selector({'nothing' if self._nothing else str(self) or 'everything'})"

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Selector) and self._nothing == other._nothing
                and self.requirements == other.requirements)

    def __hash__(self) -> int:
        return hash((self._nothing, self.requirements))


EVERYTHING = Selector(())
NOTHING = Selector(None)


# ------------------------------------------------------------------ label selectors as text

_TOKENS = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)?")
_SYMBOLS = frozenset(["==", "!=", "=", "!", "(", ")", ",", "<", ">"])
_END = ""
_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_OPERATORS = {"=": "=", "==": "=", "!=": "!=", ">": "gt", "<": "lt", "in": "in", "notin": "notin"}


@lru_cache(maxsize=4096)
def parse_labels(text: str) -> Selector:
    """Raises BadRequest, worded as the Kubernetes API words it, when malformed."""
    if not text:
        return EVERYTHING
    try:
        return Selector(_Words(text).requirements())
    except ValueError as wrong:
        raise BadRequest(str(wrong)) from None


class _Words:
    """The tokens of one label selector, and how they are read."""

    def __init__(self, text: str):
        self._tokens = [found for found in _TOKENS.findall(text) if found]
        self._next = 0

    def _look(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> str:
        token = self._look()
        self._next += 1
        return token

    def requirements(self) -> list[Requirement]:
        result: list[Requirement] = []
        while (token := self._look()) != _END:
            if token in _SYMBOLS and token != "!":
                raise ValueError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                result.append(self._requirement())
            except ValueError as wrong:
                raise ValueError(f"unable to parse requirement: {wrong}") from None
            end = self._take()
            if end not in (_END, ","):
                raise ValueError(f"found '{end}', expected: ',' or 'end of string'")
            after = self._look()
            if end == "," and (after == _END or (after in _SYMBOLS and after != "!")):
                raise ValueError(f"found '{after}', expected: identifier after ','")
        return result

    def _requirement(self) -> Requirement:
        key = self._take()
        negated = key == "!"
        if negated:
            key = self._take()
        if key == _END or key in _SYMBOLS:
            raise ValueError(f"found '{key}', expected: identifier")
        _check_key(key)
        if negated:
            return _requirement(key, "!", [])
        if self._look() in (_END, ","):
            return _requirement(key, "exists", [])
        operator = self._take()
        op = _OPERATORS.get(operator)
        if op is None:
            raise ValueError(f"found '{operator}', expected: {_BINARY_OPERATORS}")
        return _requirement(key, op, self._listed() if op in ("in", "notin") else [self._single()])

    def _single(self) -> str:
        """What follows `=`, `!=`, `<` or `>`: one value, which may be missing (the empty one)."""
        if self._look() in (_END, ","):
            return ""
        token = self._take()
        if token in _SYMBOLS:
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def _listed(self) -> list[str]:
        """`(a,b)`; a place left free between commas stands for the empty value."""
        if (token := self._take()) != "(":
            raise ValueError(f"found '{token}' expected: '('")
        if (first := self._look()) != ")" and (first == _END or (first in _SYMBOLS and first != ",")):
            raise ValueError(f"found '{first}', expected: ',', ')' or identifier")
        if first == ")":
            self._take()
            return []
        values: list[str] = []
        free = True  # no value yet since the last comma
        while (token := self._take()) != ")":
            if token == ",":
                if free:
                    values.append("")
                free = True
            elif token == _END or token in _SYMBOLS:
                raise ValueError(f"found '{token}', expected: ',', or identifier" if free else
                                 f"found '{token}', expected: ',' or ')'")
            elif not free:
                raise ValueError(f"found '{token}', expected: ',' or ')'")
            else:
                values.append(token)
                free = False
        return [*values, ""] if free else values


def _check_key(key: str) -> None:
    if complaints := names.is_qualified_name(key):
        raise ValueError(str(causes.invalid("key", key, "; ".join(complaints))))


def _requirement(key: str, op: str, values: list[str], at: str = "") -> Requirement:
    field = f"{at}.values" if at else "values"
    wrong: list[causes.Cause] = []
    if op in ("in", "notin") and not values:
        wrong.append(causes.invalid(field, values, "for 'in', 'notin' operators, values set can't be empty"))
    if op in ("gt", "lt") and not _INTEGER.fullmatch(values[0]):
        wrong.append(causes.invalid(f"{field}[0]", values[0],
                                    "for 'Gt', 'Lt' operators, the value must be an integer"))
    for index, value in enumerate(values):
        if complaints := names.is_label_value(value):
            wrong.append(causes.invalid(f"{field}[{index}][{key}]", value, "; ".join(complaints)))
    if wrong:
        text = ", ".join(map(str, wrong))
        raise ValueError(text if len(wrong) == 1 else f"[{text}]")
    return Requirement(key, op, tuple(sorted(set(values))))


# ------------------------------------------------------------------ label selectors in objects

_EXPRESSION_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """`spec.selector` of a workload.  None means nothing, {} means everything.

    Raises BadRequest for an operator that does not exist (validation has told the user before).
    """
    if selector is None:
        return NOTHING
    expressions = selector.get("matchExpressions")
    return _from_parts(
        tuple((selector.get("matchLabels") or {}).items()),
        tuple((one.get("key", ""), one.get("operator", ""), tuple(one.get("values") or ()))
              for one in expressions) if expressions else (),
    )


def from_labels(labels: Labels | None) -> Selector:
    """A plain map as selector, as Services and nodeSelectors have it.  Empty means everything."""
    return _from_parts(tuple(labels.items()), ()) if labels else EVERYTHING


def selector_of(workload: Mapping[str, Any]) -> Selector:
    """By which it finds its pods: a label selector, or the plain map that a ReplicationController has."""
    selector = workload["spec"].get("selector")
    if workload["kind"] == "ReplicationController":
        return from_labels(selector) if selector else NOTHING
    return from_label_selector(selector)


@lru_cache(maxsize=16384)
def _from_parts(labels: tuple[tuple[str, str], ...],
                expressions: tuple[tuple[str, str, tuple[str, ...]], ...]) -> Selector:
    requirements = [Requirement(key, "=", (value,)) for key, value in labels]
    for key, operator, values in expressions:
        if operator not in _EXPRESSION_OPERATORS:
            raise BadRequest(f'"{operator}" is not a valid label selector operator')
        requirements.append(Requirement(key, _EXPRESSION_OPERATORS[operator], tuple(sorted(set(values)))))
    return Selector(requirements)


# ------------------------------------------------------------------ field selectors


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """(field, "=" | "!=", value) that must all hold."""

    requirements: tuple[tuple[str, str, str], ...] = ()

    def matches(self, read: Callable[[str], str]) -> bool:
        """`read("spec.nodeName")` gives the object's value, "" where it has none."""
        return all((read(field) == value) == (op == "=") for field, op, value in self.requirements)

    def exactly(self, field: str) -> str | None:
        """The one value this field must have, if the selector says so."""
        return next((value for name, op, value in self.requirements if name == field and op == "="), None)

    def __str__(self) -> str:
        return ",".join(f"{field}{op}{_escaped(value)}" for field, op, value in self.requirements)


EVERY_FIELD = FieldSelector()
_UNESCAPED_COMMA = re.compile(r"(?:[^,\\]|\\.?)+")
_FIELD_TERM = re.compile(r"([^=!]*?)(!=|==|=)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


@lru_cache(maxsize=4096)
def parse_fields(text: str) -> FieldSelector:
    """Raises BadRequest when malformed.  In values a backslash escapes a comma, an equals sign or itself."""
    requirements = []
    for term in _UNESCAPED_COMMA.findall(text):
        shape = _FIELD_TERM.fullmatch(term)
        if shape is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        requirements.append((shape[1], "!=" if shape[2] == "!=" else "=", _unescaped(shape[3])))
    return FieldSelector(tuple(requirements)) if requirements else EVERY_FIELD


def _unescaped(value: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] == "":
            raise BadRequest(f"invalid field selector: incomplete escape sequence in {causes.shown(value)}")
        if found[1] not in "\\,=":
            raise BadRequest("invalid field selector: invalid escape sequence: "
                             f"{causes.shown(found[0])}: invalid value: {causes.shown(value)}")
        return found[1]

    if "=" in _ESCAPE.sub("", value):
        raise BadRequest("invalid field selector: unescaped character in value: '='")
    return _ESCAPE.sub(one, value)
