"""Reads JSON as Go reads it into the types of Kubernetes: the same checks, the same words, the same gaps.

Each definition becomes one closure, made at first use, so that reading an object is one walk with one
dictionary look-up a field.  A walk copies nothing unless it leaves something out.

What is wrong is said as the Go decoder says it, since users search for those words:
    json: cannot unmarshal string into Go struct field DaemonSetSpec.spec.minReadySeconds of type int32
    strict decoding error: unknown field "spec.foo", duplicate field "spec.replicas"
https://kubernetes.io/docs/reference/using-api/api-concepts/#validation-for-unrecognized-or-duplicate-fields
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from .errors import BadRequest
from .objects import Obj
from .quantities import canonical
from .remembered import Proven
from .schema_formats import canonical_bytes, canonical_micro_time, canonical_time

if TYPE_CHECKING:
    from .schema import Definition, Field, Type

Mode = Literal["Strict", "Warn", "Ignore"]
Path = tuple[Any, str | int] | None  # (path of the parent, last step): joined only when it is shown
Unknown = list[tuple[Path, str]]
Reader = Callable[[Any, Path, Unknown], Any]

MOST_COMPLAINTS = 100  # of unknown and duplicate fields in one answer
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_LEAVE_OUT = object()


class WrongType(ValueError):
    """JSON of one type where the field is of another.  Learns where it is as it rises.

    `converted` is what is said of the outcome of a strategic patch, which is not decoded but converted.
    """

    def __init__(self, value: Any, wanted: str, converted: str, found: str = ""):
        super().__init__(value, wanted)
        self.found, self.wanted, self.converted = found or json_type(value), wanted, converted
        self.struct = ""
        self.steps: list[str] = []

    def inside(self, struct: str, step: str) -> None:
        self.struct = self.struct or struct
        self.steps.append(step)

    def __str__(self) -> str:
        # Go names the innermost struct and the fields from the root, without indexes and map keys.
        place = f"struct field {self.struct}.{'.'.join(reversed(self.steps))}" if self.struct else "value"
        return f"json: cannot unmarshal {self.found} into Go {place} of type {self.wanted}"


def check_kind(obj: Any, group: str, version: str, name: str) -> None:
    """Raises BadRequest for a body that is no object, or says it is of another kind."""
    if not isinstance(obj, dict):
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {name}): couldn't get version/kind; "
            f"json parse error: json: cannot unmarshal {json_type(obj)} into Go value of type struct")
    api_version = f"{group}/{version}" if group else version
    said_version, said_name = obj.get("apiVersion") or api_version, obj.get("kind") or name
    if said_name != name:
        said = str(said_version).rpartition("/")[2]
        internal = f"{group.partition('.')[0] or 'core'}.{name}"
        raise BadRequest(f'{said_name} in version "{said}" cannot be handled as a {name}: '
                         f"converting ({said}.{said_name}) to ({internal}): unknown conversion")
    if said_version != api_version:
        raise BadRequest(f"the API version in the data ({said_version}) does not match "
                         f"the expected API version ({api_version})")


def read_with(reader: Reader, obj: Any, mode: Mode, duplicates: Sequence[str]) -> tuple[Obj, list[str]]:
    """Raises ValueError, worded for the user, without the kind in front."""
    unknown: Unknown = []
    result = reader(obj, None, unknown)
    if mode == "Ignore" or not (unknown or duplicates):
        return result, []
    complaints = _complaints(unknown, duplicates)
    if mode == "Strict":
        raise ValueError(f"strict decoding error: {', '.join(complaints)}")
    return result, complaints


def _complaints(unknown: Unknown, duplicates: Sequence[str]) -> list[str]:
    names = [_dotted((path, step)) for path, step in unknown]
    inside = tuple(name + end for name in names for end in (".", "["))  # nobody looks into what is not known
    texts = [f'duplicate field "{name}"' for name in duplicates if not name.startswith(inside)]
    texts += [f'unknown field "{name}"' for name in names]
    return list(dict.fromkeys(texts))[:MOST_COMPLAINTS]


def _dotted(path: Path) -> str:
    text = ""
    while path is not None:
        path, step = path
        text = f"[{step}]{text}" if isinstance(step, int) else f".{step}{text}"
    return text.removeprefix(".")


def json_type(value: Any) -> str:
    """What Go calls it in an error."""
    if isinstance(value, bool):
        return "bool"
    return {str: "string", list: "array", dict: "object", type(None): "null"}.get(type(value), "number")


def _go_kind(value: Any) -> str:
    """What Go calls it once it is read."""
    kinds = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map", list: "slice"}
    return kinds.get(type(value), "invalid")


# ---- plain types -------------------------------------------------------------------------------------------

def _text(wanted: str) -> Reader:
    def read(value: Any, path: Path, unknown: Unknown) -> Any:
        if value.__class__ is str:
            return value
        # Go makes a text of any whole number, as a character, which is then refused.
        raise WrongType(value, wanted, f"cannot convert int64 to {wanted}" if value.__class__ is int else
                        "unrecognized type: string")
    return read


def _integer(wanted: str, bits: int) -> Reader:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def read(value: Any, path: Path, unknown: Unknown) -> Any:
        if value.__class__ is int and low <= value <= high:
            return value
        if json_type(value) != "number":
            raise WrongType(value, wanted, f"unrecognized type: {wanted}")
        raise WrongType(value, wanted, f"cannot convert {_go_kind(value)} to {wanted}", f"number {_number(value)}")
    return read


def _number(value: float) -> str:
    """A number as it was most likely written: whole ones too large for an int come as a float."""
    too_large = isinstance(value, float) and value.is_integer() and abs(value) >= 2**53
    return str(int(value)) if too_large else str(value)


def _boolean(value: Any, path: Path, unknown: Unknown) -> Any:
    if value.__class__ is bool:
        return value
    raise WrongType(value, "bool", "unrecognized type: bool")


def _double(value: Any, path: Path, unknown: Unknown) -> Any:
    if value.__class__ is float or value.__class__ is int:
        return value
    raise WrongType(value, "float64", "unrecognized type: float64")


def _quantity(value: Any, path: Path, unknown: Unknown) -> Any:
    if value.__class__ is str:
        written = canonical(value.strip())
        return value if written == value else written
    if value.__class__ is int or value.__class__ is float:
        return canonical(value)
    return canonical(json_type(value))  # raises, as anything that is no quantity does


def _formatted(canonical_form: Callable[[str], str], wanted: str) -> Reader:
    def read(value: Any, path: Path, unknown: Unknown) -> Any:
        if value.__class__ is not str:
            raise WrongType(value, wanted, f"cannot restore slice from {_go_kind(value)}" if wanted == "[]uint8" else
                            f"json: cannot unmarshal {json_type(value)} into Go value of type {wanted}")
        written = canonical_form(value)
        return value if written == value else written
    return read


def _any(value: Any, path: Path, unknown: Unknown) -> Any:
    return value


def _left_out(value: Any, path: Path, unknown: Unknown) -> Any:
    return _LEAVE_OUT


_STRING = _text("string")
_INT32 = _integer("int32", 32)


def _int_or_string(value: Any, path: Path, unknown: Unknown) -> Any:
    if value.__class__ is str:
        return value
    try:
        return _INT32(value, path, unknown)
    except WrongType as wrong:
        wrong.converted = str(wrong)  # it reads itself, wherever it comes from
        raise


_PLAIN: dict[str, Reader] = {
    "string": _STRING,
    "bytes": _formatted(canonical_bytes, "[]uint8"),
    "boolean": _boolean,
    "int32": _INT32,
    "int64": _integer("int64", 64),
    "double": _double,
    "quantity": _quantity,
    "time": _formatted(canonical_time, "string"),
    "micro-time": _formatted(canonical_micro_time, "string"),
    "int-or-string": _int_or_string,
    "any": _any,
}
# What Go leaves in a list or a map where the JSON says null.
_ZERO: dict[str, Any] = {"string": "", "bytes": "", "boolean": False, "int32": 0, "int64": 0, "double": 0,
                         "quantity": "0", "int-or-string": 0}
_GO_NAMES = {"bytes": "[]uint8", "boolean": "bool", "double": "float64", "quantity": "resource.Quantity",
             "time": "v1.Time", "micro-time": "v1.MicroTime", "int-or-string": "intstr.IntOrString",
             "any": "runtime.RawExtension"}
# Text fields whose Go type has a name of its own, which the error then shows.
_NAMED_TEXT = {
    "Container.imagePullPolicy": "v1.PullPolicy",
    "Container.terminationMessagePolicy": "v1.TerminationMessagePolicy",
    "Container.restartPolicy": "v1.ContainerRestartPolicy",
    "ContainerPort.protocol": "v1.Protocol",
    "DaemonSetUpdateStrategy.type": "v1.DaemonSetUpdateStrategyType",
    "DeploymentStrategy.type": "v1.DeploymentStrategyType",
    "EmptyDirVolumeSource.medium": "v1.StorageMedium",
    "HostPathVolumeSource.type": "v1.HostPathType",
    "JobSpec.completionMode": "v1.CompletionMode",
    "LabelSelectorRequirement.operator": "v1.LabelSelectorOperator",
    "NodeSelectorRequirement.operator": "v1.NodeSelectorOperator",
    "ObjectMeta.uid": "types.UID",
    "OwnerReference.uid": "types.UID",
    "PodSpec.dnsPolicy": "v1.DNSPolicy",
    "PodSpec.preemptionPolicy": "v1.PreemptionPolicy",
    "PodSpec.restartPolicy": "v1.RestartPolicy",
    "PodStatus.phase": "v1.PodPhase",
    "SeccompProfile.type": "v1.SeccompProfileType",
    "ServicePort.protocol": "v1.Protocol",
    "ServiceSpec.clusterIPs": "[]string",
    "ServiceSpec.sessionAffinity": "v1.ServiceAffinity",
    "ServiceSpec.type": "v1.ServiceType",
    "StatefulSetSpec.podManagementPolicy": "v1.PodManagementPolicyType",
    "StatefulSetUpdateStrategy.type": "v1.StatefulSetUpdateStrategyType",
    "Taint.effect": "v1.TaintEffect",
    "Toleration.effect": "v1.TaintEffect",
    "Toleration.operator": "v1.TolerationOperator",
}


# ---- objects, lists, maps ----------------------------------------------------------------------------------

def _object(struct: str, wanted: str, readers: dict[str, Reader], rest: Reader | None) -> Reader:
    reader_of = readers.get

    def read(value: Any, path: Path, unknown: Unknown) -> Any:
        if value.__class__ is not dict:
            raise WrongType(value, wanted, f"cannot restore struct from: {_go_kind(value)}")
        changed: dict[str, Any] | None = None
        key = ""
        try:
            for key, inner in value.items():
                reader = reader_of(key, rest)
                if reader is _STRING and inner.__class__ is str:  # most fields: not worth a call
                    continue
                if reader is None:
                    unknown.append((path, key))
                    after = _LEAVE_OUT
                elif inner is None and reader is not _any:
                    after = _LEAVE_OUT
                else:
                    after = reader(inner, (path, key), unknown)
                if after is not inner:
                    if changed is None:
                        changed = {}
                    changed[key] = after
        except WrongType as wrong:
            wrong.inside(struct, key)
            raise
        return value if changed is None else _with_changes(value, changed)
    return read


def _with_changes(value: Obj, changed: dict[str, Any]) -> Obj:
    result = {}
    for key, inner in value.items():
        after = changed.get(key, inner)
        if after is not _LEAVE_OUT:
            result[key] = after
    return result


def _list(item: Reader, wanted: str, zero: Any) -> Reader:
    clean = Proven()  # the containers of a template come again with each of its pods

    def read(value: Any, path: Path, unknown: Unknown) -> Any:
        if value.__class__ is not list:
            raise WrongType(value, wanted, f"cannot restore slice from {_go_kind(value)}")
        if item is not _STRING and clean.holds(value):
            return value
        result, before = None, len(unknown)
        for index, inner in enumerate(value):
            after = zero if inner is None else item(inner, (path, index), unknown)
            if after is not inner:
                if result is None:
                    result = list(value)
                result[index] = after
        if result is not None:
            return result
        if len(unknown) == before and value and value[0].__class__ is dict:
            clean.add(value)
        return value
    return read


def _map(item: Reader, wanted: str, zero: Any) -> Reader:
    def read(value: Any, path: Path, unknown: Unknown) -> Any:
        if value.__class__ is not dict:
            raise WrongType(value, wanted, f"cannot restore map from {_go_kind(value)}")
        result: Obj | None = None
        for key, inner in value.items():
            if item is _STRING and inner.__class__ is str:
                continue
            after = zero if inner is None else item(inner, (path, key), unknown)
            if after is not inner:
                if result is None:
                    result = dict(value)
                result[key] = after
        return value if result is None else result
    return read


class Readers:
    """One closure a definition, made at first use."""

    def __init__(self, definition: Callable[[str], Definition]):
        self._definition = definition
        self._made: dict[str, Reader] = {}

    def reader(self, name: str) -> Reader:
        made = self._made.get(name)
        return made if made is not None else self._make(self._definition(name))

    def _make(self, definition: Definition) -> Reader:
        if definition.plain:
            return self._made.setdefault(definition.name, _PLAIN[definition.plain])
        struct = definition.name.rpartition(".")[2]
        readers: dict[str, Reader] = {}
        rest = self._of(definition.rest.type) if definition.rest is not None else None
        made = _object(struct, self._go_name_of_object(definition), readers, rest)
        self._made[definition.name] = made  # before its fields: a definition may hold itself
        for field in definition.fields.values():
            readers[field.name] = self._of_field(struct, field)
        if definition.name == OBJECT_META:
            readers["managedFields"] = _left_out  # who set which field is not kept
        return made

    def _of_field(self, struct: str, field: Field) -> Reader:
        named = _NAMED_TEXT.get(f"{struct}.{field.name}")
        return _text(named) if named and field.type.shape == "string" else self._of(field.type)

    def _of(self, type_: Type) -> Reader:
        if type_.shape == "object":
            return self.reader(type_.definition)
        if type_.item is not None:
            make = _list if type_.shape == "list" else _map
            return make(self._of(type_.item), self._go_name(type_), self._zero(type_.item))
        return _PLAIN[type_.shape]

    def _zero(self, type_: Type) -> Any:
        if type_.shape == "object":
            plain = self._definition(type_.definition).plain
            return _ZERO.get(plain) if plain else {}
        if type_.item is not None:
            return [] if type_.shape == "list" else {}
        return _ZERO.get(type_.shape)

    def _go_name(self, type_: Type) -> str:
        """The name that the Go decoder shows: "[]v1.Container", "map[string]string"."""
        if type_.shape == "object":
            return self._go_name_of_object(self._definition(type_.definition))
        if type_.item is None:
            return _GO_NAMES.get(type_.shape, type_.shape)
        inner = self._go_name(type_.item)
        if type_.shape == "list":
            return f"[]{inner}"
        return "v1.ResourceList" if inner == "resource.Quantity" else f"map[string]{inner}"

    @staticmethod
    def _go_name_of_object(definition: Definition) -> str:
        return _GO_NAMES[definition.plain] if definition.plain else ".".join(definition.name.split(".")[-2:])
