"""Runs in processes of their own: the same answers, however a process came to be, and whatever ends it.

What a stage is at work on is shared by all runs; their luck is not (`test_luck_that...`).
"""
from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rehearsed import a_daemonset, asked

from muster.api.errors import ApiError
from muster.rehearsal import forked, runs
from muster.rehearsal.answer import Answer
from muster.rehearsal.outcome import INTERRUPTED
from muster.rehearsal.play import play
from muster.rehearsal.report_json import document
from muster.rehearsal.runs import beginning, rehearse
from muster.rehearsal.stage import Stage, prepare

HERE = Path(__file__).parent
BUDGET = "ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable"
LUCKY = {"lengths": {"pull": "2s..90s"}, "skew": ["20%=-2m..2m"], "kill_node": ["1@20s..2m,for=5m"], "fail": ["10%"]}
linux = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="processes are forked on Linux alone")


def a_stage(folder: Path, *, nodes: int = 6, **more) -> Stage:
    return prepare(asked(folder, [a_daemonset("agent:2")], [a_daemonset()], nodes=nodes, **LUCKY | more))


def told(answer: Answer) -> list[dict]:
    """All that is said of the runs but what they cost this machine."""
    found = document(answer)["alternatives"]
    for one in found:
        del one["cpuSeconds"]
        for outcome in one["outcomes"]:
            del outcome["cost"]["cpuSeconds"]
    return found


@linux
def test_a_run_is_the_same_however_its_process_came_to_be(tmp_path) -> None:
    def played(jobs: int, forks: bool) -> list[dict]:
        return told(play(a_stage(tmp_path, runs=3, jobs=jobs, settings=[f"{BUDGET}=1,2"]), forks=forks))

    here = played(1, forks=False)
    assert played(1, forks=True) == here
    assert played(3, forks=True) == here
    assert played(2, forks=False) == here
    stage = a_stage(tmp_path, settings=[f"{BUDGET}=1,2"])
    assert [rehearse(stage, stage.alternatives[1], run).history for run in (2, 0)] == [
        here[1]["outcomes"][run]["history"] for run in (2, 0)]
    assert len({outcome["history"] for one in here for outcome in one["outcomes"]}) == 6, "each run has its own luck"


SCRIPT = """
import sys
from pathlib import Path
from test_processes import a_stage, play
if __name__ == "__main__":
    stage = a_stage(Path(sys.argv[1]), runs=2, jobs=2)
    print([each.history for forks in (True, False) for each in play(stage, forks=forks).alternatives[0].outcomes])
"""


@linux
def test_nor_do_hash_seeds_matter(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def histories(hash_seed: str) -> list[str]:
        done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=300, check=True,
                              env={**os.environ, "PYTHONHASHSEED": hash_seed,
                                   "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])})
        return eval(done.stdout)

    first = histories("1")
    assert first[:2] == first[2:] == histories("4242")[:2]
    assert first[0] != first[1]


# ------------------------------------------------------------------ luck


def test_luck_that_belongs_to_a_run_begins_with_it(tmp_path) -> None:
    """Nothing was drawn by the time that runs part, so that each draws all of it: lengths, faults, skew, names."""
    stage = a_stage(tmp_path, nodes=10, runs=4, until="30m")
    with beginning(stage) as begun:
        assert begun.is_of(0) and begun.is_of(3)
    outcomes = play(stage).alternatives[0].outcomes
    assert len({each.workloads[0].unavailable_s for each in outcomes}) == 4, "pulls take as long as they do"
    for kind in ("clock", "falls silent"):
        assert len({tuple(one for one in each.strikes if kind in one[1]) for each in outcomes}) == 4, kind
    names = [name for each in outcomes for name, _ in each.pending]
    assert len(set(names)) == len(names) > 2, "pods are named by lot"


@linux
def test_where_the_world_draws_at_once_each_run_has_a_world_of_its_own(tmp_path) -> None:
    """A pull that is under way before goes on from the first second on, for as long as each run has it."""
    pulled = {"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": "single", "namespace": "default", "annotations": {"muster.dev/pull": "20h..40h"}},
        "spec": {"containers": [{"name": "app", "image": "large:1"}]}}
    stage = prepare(asked(tmp_path, before=[pulled], nodes=1, runs=3, jobs=2, until="50h"))
    with beginning(stage) as begun:
        assert begun.is_of(0) and not begun.is_of(1), "its luck has begun"
    found = play(stage)
    assert len({each.history for each in found.alternatives[0].outcomes}) == 3
    assert told(play(stage, forks=False)) == told(found)


# ------------------------------------------------------------------ what ends it


def my_children() -> list[int]:
    return [int(one) for task in Path("/proc/self/task").iterdir() for one in (task / "children").read_text().split()]


@pytest.fixture
def _nothing_is_left():
    children, files = my_children(), len(os.listdir("/proc/self/fd"))
    yield
    assert my_children() == children, "no process goes on, nor waits to be asked how it ended"
    assert len(os.listdir("/proc/self/fd")) == files, "no pipe stays open"
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def during_run(monkeypatch, number: int, what) -> None:
    """Something happens in the process of this run, five seconds (of virtual time) in."""
    play_one = runs._Run._show_progress

    async def disturbed(self, measure) -> None:
        if self.seed.endswith(f"/{number}"):
            await runs.asyncio.sleep(5)
            what()
        await play_one(self, measure)

    monkeypatch.setattr(runs._Run, "_show_progress", disturbed)


@linux
@pytest.mark.usefixtures("_nothing_is_left")
class TestForked:
    def test_all_is_well(self, tmp_path) -> None:
        shown: list[float] = []
        answer = play(a_stage(tmp_path, runs=3, jobs=2), lambda what, share: shown.append(share))
        assert answer.complete and answer.runs == 3
        assert shown[-1] == 1.0 and len(shown) > 10, "also how far each run is"

    def test_a_refused_manifest_is_told_as_ever(self, tmp_path) -> None:
        assert refusal(tmp_path, jobs=2, forks=True) == refusal(tmp_path, jobs=1, forks=False)

    def test_a_fault_of_ours_says_where_it_was(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(runs, "carry_out", lambda *_: 1 / 0)
        with pytest.raises(BaseException) as failure:
            play(a_stage(tmp_path, runs=2, jobs=2))
        assert "1 / 0" in "".join(failure.value.__notes__)

    def test_a_killed_process_is_one_error(self, tmp_path, monkeypatch) -> None:
        during_run(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGKILL))
        with pytest.raises(ChildProcessError, match="run 1 of 'as given' was ended by SIGKILL before it could answer; if "
                                                    "memory ran out, use fewer processes"):
            play(a_stage(tmp_path, runs=6, jobs=3))

    def test_ctrl_c_tells_what_is_known(self, tmp_path, monkeypatch) -> None:
        me = os.getpid()
        during_run(monkeypatch, 2, lambda: os.kill(me, signal.SIGINT))
        answer = play(a_stage(tmp_path, runs=200, jobs=1))
        assert not answer.complete
        assert [each.seed for each in answer.alternatives[0].outcomes] == ["0/0", "0/1"]

    def test_ctrl_c_in_the_first_runs_tells_as_far_as_they_were(self, tmp_path, monkeypatch) -> None:
        """Half a run is told where there is no whole one."""
        me, heard = os.getpid(), []
        during_run(monkeypatch, 0, lambda: heard or os.kill(me, heard.append(1) or signal.SIGINT))
        answer = play(a_stage(tmp_path, runs=1, jobs=2, settings=[f"{BUDGET}=1,2"]))
        assert not answer.complete
        assert INTERRUPTED in {each.verdict for one in answer.alternatives for each in one.outcomes}

    def test_whoever_does_not_say_farewell_is_not_waited_for(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(forked, "FAREWELL_S", 0.01)
        me = os.getpid()

        def deaf() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.kill(me, signal.SIGINT)
            signal.pause()

        during_run(monkeypatch, 0, deaf)
        answer = play(a_stage(tmp_path, runs=2, jobs=1))
        assert not answer.complete and not answer.known()


ORPHANED = """
import os, signal, sys
from pathlib import Path
from test_processes import BUDGET, a_stage, play
from muster.rehearsal import runs

going_on = runs._Run._show_progress

async def orphaned(self, measure):
    os.write(1, b"%d\\n" % os.getpid())
    if self.seed.endswith("/1"):
        os.kill(os.getppid(), signal.SIGKILL)
    await going_on(self, measure)

runs._Run._show_progress = orphaned
play(a_stage(Path(sys.argv[1]), runs=2, jobs=2, nodes=600, until="3m", settings=[f"{BUDGET}=50%"]))
"""


@linux
def test_nobody_stays_behind_where_the_parent_is_killed(tmp_path) -> None:
    """A run whose answer nobody reads ends all the same: the pipe it is written to stays open as long as they live."""
    process = subprocess.Popen([sys.executable, "-c", ORPHANED, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={
        **os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])})
    said, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert len(said.split()) == 2, "both were under way, and both have let go of what they wrote to"


def refusal(folder: Path, *, jobs: int, forks: bool) -> tuple[type, str]:
    """What is said of a manifest with which only the cluster that is there finds fault."""
    changed = a_daemonset("agent:2", spec={"selector": {"matchLabels": {"app": "other"}}})
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(ApiError, match=r"applied\.yaml.*field is immutable") as failure:
        play(prepare(asked(folder, [changed], [a_daemonset()], nodes=2, runs=2, jobs=jobs)), forks=forks)
    return type(failure.value), str(failure.value)


def test_a_refused_manifest_is_told_as_ever_where_processes_are_spawned(tmp_path) -> None:
    assert refusal(tmp_path, jobs=2, forks=False) == refusal(tmp_path, jobs=1, forks=False)
    assert not multiprocessing.active_children()


def test_a_killed_process_is_one_error_where_processes_are_spawned(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])})
    assert done.stdout == "a process was ended before it could answer for its run; if memory ran out, use fewer processes (--jobs)\n"


KILLED = """
import sys, os, signal
from pathlib import Path
from test_processes import a_stage, play
import multiprocessing

def show(what, share):
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)

if __name__ == "__main__":
    try:
        play(a_stage(Path(sys.argv[1]), runs=40, jobs=2), show, forks=False)
    except ChildProcessError as error:
        print(error)
"""
