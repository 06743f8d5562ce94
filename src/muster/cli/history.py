"""`muster history`: what was, from a recording or a data directory: listed, compared, served, checked."""
from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import yaml

from ..api.differences import differences, shown, summary
from ..api.errors import BadRequest
from ..api.kinds.built_in import BUILT_IN
from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, to_micro_time, to_time
from ..data_directory import DataDirectory
from ..store.instants import Instant, Past, outside, pasts, spans_of
from ..store.recorded import DataDirectoryLog, Entry, Recorded, RecordingFile, check
from ..store.recording import RecordingUnusable

_ROW = "{:<9}  {:<20}  {:<8}  {:<16}  {:<44}  {}"
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Which:
    """The objects that are asked for; "" is any."""

    resource: str = ""
    name: str = ""  # may have * and ?
    namespace: str = ""

    @classmethod
    def of(cls, kind: str, name: str, namespace: str) -> Which:
        """`kind` as kubectl takes it: "pods", "po", "Pod", "daemonsets.apps"."""
        row = Kinds(BUILT_IN).spoken_of(kind) if kind else None
        return cls(row.stored_resource if row is not None else kind.lower(), name, namespace)  # else one of a CRD's

    def __contains__(self, key: Key) -> bool:
        return ((not self.resource or key.resource == self.resource)
                and (not self.namespace or key.namespace == self.namespace)
                and (not self.name or fnmatchcase(key.name, self.name)))


def source(file: Path | None, data: DataDirectory) -> Recorded:
    return RecordingFile(file) if file is not None else DataDirectoryLog(str(data.path), data.database)


# ------------------------------------------------------------------ list

def list_changes(recorded: Recorded, which: Which, since: str, until: str, output: str) -> None:
    _check_output(output, "table", "json")
    start, end = (Instant.parse(text) if text else None for text in (since, until))
    begun_at = _check_within(recorded, start, end) if start or end else 0.0
    changes = _changes(recorded)
    first = next(changes, None)  # before the header: what can not be read is told instead of it
    if output == "table":
        print(_ROW.format("REVISION", "TIME", "VERB", "NAMESPACE", "OBJECT", "CHANGES"))
    for entry, before in chain((first,), changes) if first is not None else ():
        if end is not None and end.is_before(entry.revision, entry.at, begun_at):
            break
        if entry.key not in which or (
                start is not None and not start.is_reached(entry.revision, entry.at, begun_at)):
            continue
        print(_row(entry, before) if output == "table" else _line(entry, before))
    _tell_if_torn(recorded)


def _changes(recorded: Recorded) -> Iterator[tuple[Entry, bytes | None]]:
    """Every change, with what was there before it."""
    there: dict[Key, bytes] = {}
    for item in recorded.read():
        if not isinstance(item, Entry):
            continue
        before = there.pop(item.key, None)
        if item.value is not None:
            there[item.key] = item.value
        if not item.there:
            yield item, before


def _verb(before: bytes | None, after: bytes | None) -> str:
    return "created" if before is None else "deleted" if after is None else "changed"


def _row(entry: Entry, before: bytes | None) -> str:
    said = ""
    if before is not None and entry.value is not None:
        said = summary(differences(orjson.loads(before), orjson.loads(entry.value)))
    return _ROW.format(entry.revision, to_time(entry.at), _verb(before, entry.value), entry.key.namespace or "-",
                       f"{entry.key.resource}/{entry.key.name}", said).rstrip()


def _line(entry: Entry, before: bytes | None) -> str:
    said: Obj = {"revision": entry.revision, "time": to_micro_time(entry.at), "verb": _verb(before, entry.value),
                 **_named(entry.key)}
    if before is not None and entry.value is not None:
        said["changes"] = _changed_fields(before, entry.value)
    elif entry.value is not None:
        said["object"] = orjson.loads(entry.value)
    return orjson.dumps(said).decode()


# ------------------------------------------------------------------ diff

def diff(recorded: Recorded, first: str, second: str, which: Which, output: str) -> None:
    _check_output(output, "text", "json")
    before, after = pasts(recorded, [Instant.parse(first), Instant.parse(second)])
    found = [(key, before.objects.get(key), after.objects.get(key))
             for key in sorted({**before.objects, **after.objects}) if key in which]
    found = [(key, old, new) for key, old, new in found if _value(old) != _value(new)]
    if output == "json":
        print(orjson.dumps([_difference(key, _value(old), _value(new)) for key, old, new in found],
                           option=orjson.OPT_INDENT_2).decode())
    elif not found:
        print(f"nothing that was asked for is different between revisions {before.revision} and {after.revision}")
    for key, old, new in found if output == "text" else ():
        sys.stdout.writelines(_unified(key, (old, before), (new, after)))
    _tell_if_torn(recorded)


def _value(entry: Entry | None) -> bytes | None:
    return entry.value if entry is not None else None


def _difference(key: Key, before: bytes | None, after: bytes | None) -> Obj:
    said: Obj = {"verb": _verb(before, after), **_named(key)}
    if before is not None and after is not None:
        return {**said, "changes": _changed_fields(before, after)}
    return {**said, "object": orjson.loads(after if after is not None else before or b"null")}


def _changed_fields(before: bytes, after: bytes) -> list[Obj]:
    return [{"path": path, "before": old, "after": new}
            for path, old, new in differences(orjson.loads(before), orjson.loads(after))]


def _unified(key: Key, old: tuple[Entry | None, Past], new: tuple[Entry | None, Past]) -> Iterator[str]:
    name = "/".join(filter(None, (key.namespace, key.resource, key.name)))
    sides = [(_lines(entry), f"{name} at {past.revision} ({to_time(past.at)})" if entry is not None else "/dev/null")
             for entry, past in (old, new)]
    (lines_before, told_before), (lines_after, told_after) = sides
    return difflib.unified_diff(lines_before, lines_after, told_before, told_after)


def _lines(entry: Entry | None) -> list[str]:
    if entry is None or entry.value is None:
        return []
    text: str = yaml.dump(shown(orjson.loads(entry.value)), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    return text.splitlines(keepends=True)


# ------------------------------------------------------------------ serve, sha, verify

def serve(recorded: Recorded, at: str, host: str, port: int) -> None:
    past, = pasts(recorded, [Instant.parse(at)])
    _tell_if_torn(recorded)

    def ready(url: str, kubeconfig: str) -> None:
        print(f"the cluster at revision {past.revision} ({to_time(past.at)}), {len(past.objects)} objects, read-only "
              f"at {url}: export KUBECONFIG={kubeconfig}", flush=True)

    from ..past import serve_past
    from ..process import stop_on_signal

    async def main() -> None:
        await serve_past(past, host, port, stop_on_signal(), ready)

    import uvloop
    uvloop.run(main())


def sha(recorded: Recorded) -> None:
    print(f"{check(recorded)}  {recorded.name}")
    _tell_if_torn(recorded)


def verify(recorded: Recorded) -> None:
    """Raises RecordingUnusable for what is not whole."""
    digest = check(recorded)
    spans = " and ".join(map(str, spans_of(recorded)))
    if recorded.torn:
        raise RecordingUnusable(f"{recorded.name} was cut off: what can be read are {spans}, {digest.changes} objects "
                                f"written, sha256 {digest}")
    print(f"{recorded.name} is whole: {spans}, {digest.changes} objects written, sha256 {digest}")


# ------------------------------------------------------------------ words

def _named(key: Key) -> Obj:
    return {"resource": key.resource, **({"namespace": key.namespace} if key.namespace else {}), "name": key.name}


def _check_within(recorded: Recorded, *instants: Instant | None) -> float:
    """Refuses instants that the history does not have; returns when it begins."""
    spans = spans_of(recorded)
    begun_at = spans[0].first_at
    for instant in instants:
        if instant is not None and not any(instant.is_in(span, begun_at) for span in spans):
            raise outside(recorded, instant)
    return begun_at


def _check_output(output: str, *known: str) -> None:
    if output not in known:
        raise BadRequest(f"-o {output}: use {' or '.join(known)}")


def _tell_if_torn(recorded: Recorded) -> None:
    if recorded.torn:
        sys.stderr.write(f"muster: {recorded.name} was cut off: what came last is missing\n")
