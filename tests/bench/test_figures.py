"""What is told of runs: percentiles, medians, a line of JSON, a table."""
from __future__ import annotations

import json

import pytest

from muster.bench.figures import json_line, medians, percentiles, summary, table
from muster.bench.request import BENCHES, request


@pytest.mark.parametrize(("taken_s", "figures"), [
    pytest.param([], {}, id="no requests"),
    pytest.param([0.002], {"p50_ms": 2, "p90_ms": 2, "p99_ms": 2, "max_ms": 2}, id="one"),
    pytest.param([n / 1000 for n in range(100, 0, -1)], {"p50_ms": 51, "p90_ms": 91, "p99_ms": 100, "max_ms": 100},
                 id="a hundred, in any order"),
])
def test_percentiles(taken_s, figures):
    assert percentiles(taken_s) == pytest.approx(figures)


def test_medians_are_of_each_figure_and_of_what_lies_inside():
    runs = [{"bench": "b", "wall_s": wall_s, "writes": writes, "controllers": controllers}
            for wall_s, writes, controllers in [(3.0, 7, {"a": {"plans": 1}}), (1.0, 9, {"a": {"plans": 5}}),
                                                (2.0, 8, {"a": {"plans": 3}, "late": {"plans": 1}})]]
    assert medians(runs) == {"bench": "b", "wall_s": 2.0, "writes": 8,
                             "controllers": {"a": {"plans": 3}, "late": {"plans": 1}}}
    assert summary(runs)["wall_s_of_runs"] == [3.0, 1.0, 2.0] and summary(runs)["runs"] == 3
    assert summary(runs[:1]) == {**runs[0], "runs": 1}


def test_lines_are_json_with_short_numbers():
    assert json.loads(json_line({"wall_s": 1.23456, "of": [0.99999], "in": {"it": 2.00049}, "n": 7})) \
        == {"wall_s": 1.235, "of": [1.0], "in": {"it": 2.0}, "n": 7}


def test_a_table_has_the_columns_that_anything_has():
    assert table([{"bench": "api-get", "nodes": 1000, "per_s": 16851.2, "odd": 1},
                  {"bench": "ds-roll", "nodes": 5, "wall_s": 2.0412}]) == (
        "BENCH     NODES   WALL_S    PER_S\n"
        "api-get   1,000        -   16,851\n"
        "ds-roll       5     2.04        -")


def asked(*names, **more):
    return request(names, **{"output": "json", "kubeconfig": None, "nodes": None, "runs": 1, "connections": None,
                             "seconds": 1.0, **more})


def test_what_is_asked_for_comes_by_family_in_the_order_of_a_clusters_life():
    assert asked("api-get", "ds-delete", "ds-create", "ds-create").by_family() \
        == {"daemonsets": ["ds-create", "ds-delete"], "config_maps": ["api-get"]}
    assert set(asked("all").benches) == set(BENCHES)
    assert set(asked("all", kubeconfig="there").benches) == set(BENCHES) - {"cold-start", "rehearse", "rehearse-runs"}


def test_sizes_are_what_each_family_needs_unless_told():
    quiet, told = asked("all"), asked("all", nodes=7, connections=9)
    assert [quiet.nodes_of(family) for family in ("daemonsets", "cold_starts")] == [1000, 3]
    assert [quiet.connections_of(family) for family in ("config_maps", "pod_lists", "watches")] == [32, 1, 1000]
    assert (told.nodes_of("cold_starts"), told.connections_of("watches")) == (7, 9)
    assert asked("all", kubeconfig="there").nodes_of("daemonsets") == 0, "as many as it has"
