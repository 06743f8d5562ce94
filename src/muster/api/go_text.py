"""Values as Go prints them, where users meet that and search for it.

    syntax_of_...   Go's `%#v`, in what v1.32 says of a field that is wrong
    text_of_...     what a value's own String() gives, in events and conditions

https://pkg.go.dev/fmt#hdr-Printing
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def syntax_of_map(value: Mapping[str, str] | None) -> str:
    if value is None:
        return "map[string]string(nil)"
    return "map[string]string{" + ", ".join(f"{quoted(key)}:{quoted(value[key])}" for key in sorted(value)) + "}"


def syntax_of_texts(value: Iterable[str] | None) -> str:
    return "[]string(nil)" if value is None else "[]string{" + ", ".join(map(quoted, value)) + "}"


def syntax_of_selector(value: Mapping[str, Any]) -> str:
    """Of a metav1.LabelSelector."""
    rules = value.get("matchExpressions")
    shown_rules = "(nil)" if rules is None else "{" + ", ".join(map(_syntax_of_rule, rules)) + "}"
    return (f"v1.LabelSelector{{MatchLabels:{syntax_of_map(value.get('matchLabels'))}, "
            f"MatchExpressions:[]v1.LabelSelectorRequirement{shown_rules}}}")


def _syntax_of_rule(rule: Mapping[str, Any]) -> str:
    return (f"v1.LabelSelectorRequirement{{Key:{quoted(rule.get('key', ''))}, "
            f"Operator:{quoted(rule.get('operator', ''))}, Values:{syntax_of_texts(rule.get('values'))}}}")


def text_of_selector(value: Mapping[str, Any] | None) -> str:
    """Of a *metav1.LabelSelector."""
    if value is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((value.get("matchLabels") or {}).items()))
    rules = "".join(f"LabelSelectorRequirement{{Key:{rule['key']},Operator:{rule['operator']},"
                    f"Values:[{' '.join(rule.get('values') or ())}],}},"
                    for rule in value.get("matchExpressions") or ())
    return (f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
            f"MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}")
