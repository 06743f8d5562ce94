"""Which object a user means: "web-0", "pod/web-0", "ds/agent", "node/n1", in the words that kubectl knows.

A name alone is a pod of the namespace, or else a node.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from ..api.errors import BadRequest
from ..api.kinds.built_in import BUILT_IN

ASKED = ("pods", "nodes", "daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps", "jobs.batch",
         "replicationcontrollers")
MOST_NAMED = 5
EXPECTED = "ask about a pod, a node, a ds, deploy, rs, sts, job or rc"


@dataclass(frozen=True, slots=True)
class Target:
    resource: str  # "": a pod, or else a node
    name: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Raises BadRequest for a kind that nothing is told about."""
        word, slash, name = text.partition("/")
        if not slash:
            word, name = "", text
        if not name or "/" in name:
            raise BadRequest(f'"{text}" is no name and no KIND/NAME such as pod/web-0, ds/agent or node/n1')
        return cls(_resource(word) if slash else "", name)


def _resource(word: str) -> str:
    lower = word.lower()
    for row in BUILT_IN:
        known = (row.resource, row.plural, row.singular, row.name.lower(), *row.short_names,
                 f"{row.singular}.{row.group}", f"{row.plural}.{row.version}.{row.group}")
        if lower in known:
            if row.resource in ASKED:
                return row.resource
            raise BadRequest(f"nothing is to be told about {row.plural}: {EXPECTED}")
    raise BadRequest(f'there is no kind "{word}": {EXPECTED}')


def known_as(resource: str) -> str:
    """ "DaemonSet" for "daemonsets.apps"."""
    return next(row.name for row in BUILT_IN if row.resource == resource)


def nothing_named(name: str, what: str, there: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """One sentence: what is not there, and what may have been meant."""
    names = sorted(there)
    near = get_close_matches(name, names, n=3, cutoff=0.6) or [one for one in names if name in one][:3]
    if found := sorted(elsewhere):
        hint = f"there is one in namespace {found[0]}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    elif near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        hint = f"there are {', '.join(names[:MOST_NAMED])}{more}"
    else:
        hint = "there are none"
    return f'there is no {what} "{name}"; {hint}'
