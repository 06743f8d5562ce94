"""What `muster rehearse --record` keeps: the first run, from what was there to what came of it."""
from __future__ import annotations

from pathlib import Path

from rehearsed import a_daemonset, asked

from muster.rehearsal.play import play
from muster.rehearsal.stage import prepare
from muster.store.recorded import Begin, End, Entry, RecordingFile, check


def recorded(folder: Path, name: str, seed: str = "3") -> Path:
    path = folder / name
    options = asked(folder, [a_daemonset("agent:2")], [a_daemonset()], nodes=3, runs=2, seed=seed, record=path)
    play(prepare(options))
    return path


def test_a_recording_holds_what_was_there_and_all_that_followed(tmp_path) -> None:
    path = recorded(tmp_path, "a.rec")
    check(RecordingFile(path))
    begin, *entries, end = RecordingFile(path).read()
    assert isinstance(begin, Begin) and begin.about["seed"] == "3/0" and isinstance(end, End)
    pods = [one for one in entries if isinstance(one, Entry) and one.key.resource == "pods"]
    assert sum(one.there for one in pods) == 3, "a daemon on every node, as it was"
    assert len({one.key for one in pods}) == 6 and sum(one.value is None for one in pods) == 3, "and its successor"


def test_two_rehearsals_of_one_seed_are_recorded_alike(tmp_path) -> None:
    first, again, other = (recorded(tmp_path, name, seed) for name, seed in (("a", "3"), ("b", "3"), ("c", "4")))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
