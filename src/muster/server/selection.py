"""Which objects of a kind a list or a watch means: one question that is asked of each object.

Labels and fields are parsed once a request.  What can be looked up instead of asked of every object (a
name, a pod's node) is told apart, so that lists and watches may use it.

https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..api.errors import BadRequest
from ..api.kinds.kind import Kind
from ..api.objects import Obj, labels_of
from ..api.selectors import FieldSelector, Selector, parse_fields, parse_labels

NAME, NAMESPACE, NODE = "metadata.name", "metadata.namespace", "spec.nodeName"


@dataclass(frozen=True, slots=True)
class Selection:
    kind: Kind
    namespace: str  # "": all
    labels: Selector
    fields: FieldSelector
    name: str | None  # where only one name is meant
    node: str | None  # where only the pods of one node are meant

    @property
    def is_empty(self) -> bool:
        """Is everything of the kind (and namespace) meant?"""
        return self.labels.is_empty and not self.fields.requirements

    def means(self, obj: Obj) -> bool:
        if not self.labels.is_empty and not self.labels.matches(labels_of(obj)):
            return False
        return not self.fields.requirements or self.fields.matches(partial(_read, self.kind, obj))

    def question(self) -> Callable[[Obj], bool] | None:
        """`means`, or None where it would always say yes."""
        return None if self.is_empty else self.means


def selection(kind: Kind, namespace: str, labels: str, fields: str) -> Selection:
    """Raises BadRequest for a selector that is malformed, or names a field the kind can not be selected by."""
    chosen = parse_fields(fields)
    for field, _, _ in chosen.requirements:
        if field not in kind.selectable and field != NAME and not (field == NAMESPACE and kind.namespaced):
            raise BadRequest(_unsupported(kind, field))
    only = chosen.exactly(NAMESPACE)
    if only is not None and not namespace:
        namespace = only
    return Selection(kind, namespace if kind.namespaced else "", parse_labels(labels), chosen, chosen.exactly(NAME),
                     chosen.exactly(NODE) if kind.resource == "pods" else None)


def _unsupported(kind: Kind, field: str) -> str:
    if kind.selectable:
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "{NAME}", "{NAMESPACE}"'


def _read(kind: Kind, obj: Obj, field: str) -> str:
    reader = kind.selectable.get(field)
    if reader is not None:
        return reader(obj)
    return obj["metadata"].get(field.removeprefix("metadata."), "")
