"""kill -9 at any moment: what was answered is there afterwards, whole and in order.

A process commits from many tasks and writes every answer into a pipe; it is killed, the store is opened
again, every answer is looked up, and the next process goes on with the same file.  `MUSTER_KILLS=500`
does it more often.
"""
import asyncio
import os
import random
import subprocess
import sys
import threading

from store.disk import changes_after, open_store, state

GONE = -1  # the answer to a deletion
KILLS = int(os.environ.get("MUSTER_KILLS", "16"))

WRITER = """
import asyncio, os, random, sys
from pathlib import Path
from store.conformance import pod, at
from store.disk import open_store
from muster.store.compaction import Keeping

async def main(path, seed):
    store = open_store(path, keeping=Keeping(at_least=100, at_most=600))
    chance = random.Random(seed)

    async def writer(number):
        while True:
            name = f"n{number}-{chance.randrange(4)}"
            value = {**pod(name, chance.randrange(10**9)), "filler": "x" * chance.choice([10, 3000])}
            deleting = chance.random() < 0.2
            written = await store.commit(at(name), None if deleting else value, expect=-1)
            if written is not None:
                number = -1 if deleting else value["spec"]["number"]
                os.write(1, f"{written.revision} {name} {number}\\n".encode())

    await asyncio.gather(*(writer(number) for number in range(24)))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_every_answered_write_survives(tmp_path):
    path, chance, last = tmp_path / "muster.db", random.Random(1), 0
    for turn in range(KILLS):
        answers = killed_writer(path, seed=turn, after_answers=chance.randrange(1, 900))
        store = open_store(path)
        kept = {change[0]: change for change in changes_after(store, store.history.floor)}
        assert sorted(kept) == list(range(store.history.floor + 1, store.history.revision + 1)), "no gap, no double"
        assert answers and store.history.revision >= max(answers) > last
        now = {key[2]: value for key, value in state(store).items()}
        newest = {}  # of each name: the last answer, or what is kept of a later write that was not answered
        for revision in sorted({*answers, *kept}):
            found = [answers[revision]] if revision in answers else []
            if revision in kept:
                _, key, value, _ = kept[revision]
                found.append((key.name, value["spec"]["number"] if value else GONE))
            (name, number), = set(found)  # both say the same
            newest[name] = (revision, number)
        for name, (revision, number) in newest.items():
            if number == GONE:
                assert name not in now
            else:
                assert now[name]["spec"]["number"] == number
                assert now[name]["metadata"]["resourceVersion"] == str(revision)
        last = store.history.revision
        asyncio.run(store.close())


def killed_writer(path, *, seed: int, after_answers: int) -> dict[int, tuple[str, int]]:
    """The answers a writer gave before it was killed, which is in the middle of its work."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seed)], stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    late = threading.Timer(60, process.kill)
    late.start()
    lines = []
    try:
        while len(lines) < after_answers:
            line = process.stdout.readline()
            assert line, "the writer ended by itself"
            lines.append(line)
    finally:
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        late.cancel()
        process.stdout.close()
    answers = {}
    for line in lines:
        if line.endswith(b"\n"):
            revision, name, number = line.split()
            answers[int(revision)] = (name.decode(), int(number))
    return answers
