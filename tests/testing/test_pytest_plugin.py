"""The plugin in other people's projects: whole pytest runs, each in a folder of its own."""
from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points

import pytest

import muster.testing  # noqa: F401  # before pytester: it forgets what a run imports, and not all can be imported twice
from muster.store.recorded import RecordingFile, check

pytest_plugins = ["pytester"]

# Where Muster runs from its source it has no entry points.
INSTALLED = any(one.value == "muster.pytest_plugin" for one in entry_points(group="pytest11"))
OURS = () if INSTALLED else ("-p", "muster.pytest_plugin")


@pytest.fixture
def run(pytester):
    def run(*arguments, **files):
        for name, text in files.items():
            pytester.makepyfile(**{name: text})
        return pytester.runpytest(*OURS, "-p", "no:cacheprovider", *arguments)
    return run


def test_a_test_gets_a_cluster_as_its_markers_say(run):
    done = run(test_it="""
        import pytest
        pytestmark = pytest.mark.muster(nodes=1, seed=3, virtual=True)

        def test_module(muster_cluster):
            assert len(muster_cluster.list("nodes")) == 1
            assert muster_cluster.advance("1h").hour == 1

        @pytest.mark.muster(nodes=2, virtual=False, seed=None)
        class TestClass:
            def test_class(self, muster_cluster):
                assert len(muster_cluster.list("nodes")) == 2

            @pytest.mark.muster(pools=["gpu=1,zone=a"])
            def test_own(self, muster_cluster):
                pools = [node["metadata"]["labels"]["muster.dev/pool"] for node in muster_cluster.list("nodes")]
                assert sorted(pools) == ["default-pool", "default-pool", "gpu"]
    """)
    done.assert_outcomes(passed=3)


def test_each_test_has_its_own_and_the_session_s_is_one(run):
    done = run(test_it="""
        import threading

        def test_one(muster_cluster, muster_cluster_session):
            for cluster in (muster_cluster, muster_cluster_session):
                cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}})

        def test_other(muster_cluster, muster_cluster_session):
            assert muster_cluster.get("cm/mine") is None
            assert muster_cluster_session.get("cm/mine") is not None

        def test_without():
            assert [one.name for one in threading.enumerate()].count("muster") == 1
    """)
    done.assert_outcomes(passed=3)


@pytest.mark.parametrize("ini, arguments, pools", [
    pytest.param("", [], ["default-pool"] * 3, id="nothing said"),
    pytest.param("muster_nodes = 2\nmuster_pools =\n  gpu=1\n  cpu=1\n", [],
                 ["cpu", "default-pool", "default-pool", "gpu"], id="ini file"),
    pytest.param("muster_nodes = 2", ["--muster-pool", "gpu=1"], ["gpu"], id="the command line goes first"),
    pytest.param("", ["--muster-nodes", "1"], ["default-pool"], id="command line"),
])
def test_options_say_what_tests_do_not(run, pytester, ini, arguments, pools):
    pytester.makeini(f"[pytest]\n{ini}\n")
    done = run(*arguments, test_it=f"""
        def test_it(muster_cluster_session):
            nodes = muster_cluster_session.list("nodes")
            assert sorted(node["metadata"]["labels"]["muster.dev/pool"] for node in nodes) == {pools}
    """)
    done.assert_outcomes(passed=1)


@pytest.mark.parametrize("marker, says", [
    pytest.param("node=5", "test_it.py::test_it: @pytest.mark.muster does not know node=; it takes nodes=, pools=", id="word"),
    pytest.param("5", "@pytest.mark.muster does not know 5; it takes", id="without a word"),
    pytest.param("pools=['gpu']", "--pool gpu: begin with NAME=N", id="pool"),
    pytest.param("start='2026-01-01'", "start and seed are for virtual time: say virtual=True too", id="start"),
])
def test_a_marker_that_makes_no_sense_is_refused(run, marker, says):
    done = run(test_it=f"""
        import pytest

        @pytest.mark.muster({marker})
        def test_it(muster_cluster):
            pass
    """)
    done.assert_outcomes(errors=1)
    assert says in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_the_marker_is_known_to_strict_projects(run):
    done = run("--markers", "--strict-markers")
    assert "@pytest.mark.muster(nodes=..., pools=..., virtual=..." in done.stdout.str()


def test_who_asks_for_no_cluster_loads_nothing(run, pytester):
    pytester.makepyfile(test_it="""
        import sys

        def test_it():
            assert not {"muster.app", "uvicorn", "uvloop", "yaml"} & set(sys.modules)
    """)
    pytester.runpytest_subprocess(*OURS, "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_histories_are_kept_where_that_is_asked_for(run, pytester):
    done = run("--muster-record", "histories", test_it="""
        import pytest

        @pytest.mark.parametrize("name", ["a/b", "c"])
        def test_it(muster_cluster, name):
            muster_cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name[0]}})
    """)
    done.assert_outcomes(passed=2)
    files = sorted((pytester.path / "histories").iterdir())
    assert [file.name for file in files] == ["test_it.py_test_it_a_b_.rec", "test_it.py_test_it_c_.rec"]
    assert check(RecordingFile(files[0])).changes > 10


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_it_runs_in_several_processes(pytester):
    pytester.makepyfile(test_it="""
        import pytest

        @pytest.mark.muster(nodes=1)
        @pytest.mark.parametrize("number", range(6))
        def test_it(muster_cluster, muster_cluster_session, number):
            assert len(muster_cluster.list("nodes")) == 1
            assert muster_cluster.url != muster_cluster_session.url
    """)
    pytester.runpytest_subprocess(*OURS, "-n", "2").assert_outcomes(passed=6)
