"""`muster bench` as a user types it: every bench on a tiny cluster, what its lines say, and what it refuses."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
NODES, SECONDS = 5, 0.2
NEVER_A_SERVER = ("--kubeconfig", "/nowhere/kubeconfig")
DAEMONSETS = ("ds-create", "ds-roll", "ds-delete")
DEPLOYMENTS = ("deploy-create", "deploy-roll")
VERBS = ("api-create", "api-get", "api-put", "api-delete")
ALL = {*DAEMONSETS, "ds-idle", *DEPLOYMENTS, *VERBS, "api-list", "watch-fanout", "cold-start", "rehearse", "rehearse-runs"}


def muster(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HOME": "/nonexistent", "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-m", "muster", *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, env=environment, check=False)


def measured(*arguments):
    """The lines of a bench, by its name."""
    done = muster("bench", *arguments, "-o", "json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["bench"]: line for line in lines}


@pytest.fixture(scope="module")
def lines():
    return measured("all", "--nodes", NODES, "--seconds", SECONDS, "--connections", 4)


def test_all_of_them_are_measured(lines):
    assert set(lines) == ALL


@pytest.mark.parametrize("bench", sorted(ALL))
def test_what_a_line_says(lines, bench):
    line = lines[bench]
    assert (line["nodes"], line["runs"]) == (NODES, 1)
    assert line["wall_s"] > 0 and line["writes"] >= 0 and line["client_cpu_s"] >= 0
    if sys.platform == "linux":
        assert line["server_cpu_s"] >= 0 and 20 < line["peak_rss_mb"] < 2000
    if bench.startswith("rehearse"):
        assert line["plans"] > 0 and line["virtual_s"] > 60 * line["rehearsals"]
    elif bench != "cold-start":
        assert line["plans"] >= 0 and line["examined"] >= 0 and 0 <= line["client_share"] < 2
    if bench not in ("cold-start", "ds-idle", "rehearse", "rehearse-runs"):
        assert 0 < line["p50_ms"] <= line["p90_ms"] <= line["p99_ms"] <= line["max_ms"] < 60_000


@pytest.mark.parametrize(("bench", "writes_of_a_pod"), [
    pytest.param("ds-create", 3, id="made, started, ready"),
    pytest.param("ds-roll", 5, id="ended, then made again"),
    pytest.param("deploy-create", 4, id="bound by the scheduler"),
    pytest.param("deploy-roll", 5, id="of another replica set"),
])
def test_a_workload_is_decided_and_written(lines, bench, writes_of_a_pod):
    line = lines[bench]
    assert line["settled_writes"] >= line["writes"] > 0 and line["probes"] > 0
    assert line["settled_writes"] >= writes_of_a_pod * NODES
    did = line["controllers"]["daemonset-controller" if bench.startswith("ds") else "deployment-controller"]
    assert did["plans"] > 0 and did["errors"] == 0
    assert line["plans"] == sum(counts["plans"] for counts in line["controllers"].values())
    assert line["examined"] == sum(counts["looked_at"] for counts in line["controllers"].values()) >= NODES


@pytest.mark.parametrize(("bench", "writes"), [
    pytest.param("api-create", 1, id="a creation is one write"), pytest.param("api-get", 0, id="a read is none"),
    pytest.param("api-put", 1, id="a change is one"), pytest.param("api-delete", 1, id="a deletion is one"),
    pytest.param("api-list", 0, id="a list is none")])
def test_requests_are_counted_as_the_server_counts_them(lines, bench, writes):
    line = lines[bench]
    leases = 3 * NODES  # what the nodes may write meanwhile
    assert line["requests"] >= 4 or bench == "api-delete"
    assert 0 <= line["writes"] - line["requests"] * writes <= leases
    assert line["per_s"] == pytest.approx(line["requests"] / line["wall_s"], rel=0.3)


def test_every_watcher_hears_of_every_creation(lines):
    line = lines["watch-fanout"]
    assert line["connections"] == 4 and line["events"] == line["requests"] * 4
    assert line["requests"] <= line["writes"] <= line["requests"] + 3 * NODES


def test_what_was_listed_and_resumed(lines):
    assert lines["api-list"]["pods"] == NODES and lines["api-list"]["answer_kb"] > NODES
    cold = lines["cold-start"]
    assert cold["wall_s"] < cold["first_answer_s"] and cold["resumed_wall_s"] < cold["resumed_first_answer_s"]
    assert cold["resumed_writes"] > cold["writes"] and 0 < cold["import_s"] < cold["wall_s"] + 1


def test_a_step_that_needs_others_has_them_made_untold(tmp_path):
    told = measured("ds-delete", "--nodes", 2, "--runs", 2)
    assert list(told) == ["ds-delete"]
    assert told["ds-delete"]["runs"] == 2 and len(told["ds-delete"]["wall_s_of_runs"]) == 2


def test_another_server_is_measured_and_left_as_it_was(tmp_path):
    folder = tmp_path / "other"
    assert muster("up", "-d", "--nodes", 2, "--data-dir", folder, *(
        word for delay in ("--pull", "--start", "--ready", "--stop") for word in (delay, "0s"))).returncode == 0
    there = ("--kubeconfig", folder / "kubeconfig")
    try:
        line = measured("ds-create", *there)["ds-create"]
        assert line["nodes"] == 2 and line["wall_s"] > 0 and line["p50_ms"] > 0 and line["client_cpu_s"] > 0
        assert not {"server_cpu_s", "peak_rss_mb", "writes", "plans", "examined"} & set(line)
        done = muster("bench", "api-get", "--seconds", SECONDS, *there)  # its namespace is gone, so this one starts
        assert done.returncode == 0 and done.stdout.splitlines()[0].startswith("BENCH ")
        refused = muster("bench", "ds-create", "--nodes", 3, *there)
        assert refused.returncode == 1 and "has 2 nodes, and only a server that `muster bench` starts" in refused.stderr
    finally:
        muster("down", "--data-dir", folder)
    assert "is not running (connection refused)" in muster("bench", "api-get", *there).stderr


@pytest.mark.parametrize(("arguments", "sentence"), [
    pytest.param([], "Missing argument", id="nothing named"),
    pytest.param(["ds-dance"], "there is no bench 'ds-dance'; use ds-create, ", id="unknown"),
    pytest.param(["all", "ds-dance"], "there is no bench 'ds-dance'", id="unknown beside all"),
    pytest.param(["all", "-o", "xml"], "-o xml: use json or table", id="unknown output"),
    pytest.param(["all", "--nodes", "0"], "'--nodes'", id="no nodes"),
    pytest.param(["all", "--runs", "0"], "'--runs'", id="no runs"),
    pytest.param(["all", "--connections", "0"], "'--connections'", id="no connections"),
    pytest.param(["all", "--seconds", "0"], "'--seconds'", id="no time"),
    pytest.param(["all", *NEVER_A_SERVER], "/nowhere/kubeconfig: no such file", id="no such kubeconfig"),
    pytest.param(["cold-start", *NEVER_A_SERVER], "cold-start starts servers of its own", id="cold start of another"),
])
def test_what_can_not_be_is_one_sentence(arguments, sentence):
    done = muster("bench", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("muster: ") and done.stderr.count("\n") == 1 and sentence in done.stderr
