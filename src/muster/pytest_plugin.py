"""The pytest plugin, found by its entry point: `muster_cluster`, a cluster of a test's own.

    def test_rollout(muster_cluster): ...                          as the ini file and the command line say
    @pytest.mark.muster(nodes=5, pools=["gpu=2,cpu=8"])            as this test, class or module wants it
    @pytest.mark.muster(virtual=True)                              time passes only by cluster.advance("1h")

`muster_cluster_session` is one for all tests of a run (of each process under pytest-xdist).  Everyone who has Muster
installed loads this module with every pytest run, so it imports nothing before a cluster is asked for.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import Cluster

WORDS = ("nodes", "pools", "virtual", "start", "seed", "behaviour", "record")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("muster", "Kubernetes clusters for tests")
    group.addoption("--muster-nodes", type=int, metavar="N", help="nodes of a cluster that says nothing else")
    group.addoption("--muster-pool", action="append", metavar="NAME=N[,cpu=8,...]",
                    help="a pool of nodes, as `muster up --pool` takes it")
    group.addoption("--muster-kubectl", metavar="PATH", help="the kubectl that cluster.kubectl() runs")
    group.addoption("--muster-record", metavar="DIR", help=(
        "keep the history of each test's cluster in a file there, for `muster history list|diff|serve FILE`"))
    parser.addini("muster_nodes", "nodes of a cluster that says nothing else")
    parser.addini("muster_pools", "pools of nodes, one a line, as `muster up --pool` takes them", type="linelist")
    parser.addini("muster_kubectl", "the kubectl that cluster.kubectl() runs")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"muster({', '.join(f'{word}=...' for word in WORDS)}): "
                            "what the test's muster_cluster shall be")


@pytest.fixture
def muster_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running Kubernetes cluster of the test's own; see @pytest.mark.muster."""
    said: dict[str, Any] = {}
    for marker in reversed([*request.node.iter_markers("muster")]):  # from the module to the test, which has the say
        if marker.args or (unknown := sorted(set(marker.kwargs) - set(WORDS))):
            what = f"{unknown[0]}=" if not marker.args else repr(marker.args[0])
            raise pytest.UsageError(f"{request.node.nodeid}: @pytest.mark.muster does not know {what}; "
                                    f"it takes {', '.join(f'{word}=' for word in WORDS)}")
        said |= marker.kwargs
    if directory := request.config.getoption("--muster-record"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        said.setdefault("record", Path(directory, re.sub(r"[^\w.-]+", "_", request.node.nodeid)[-200:] + ".rec"))
    with _cluster(request.config, said) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def muster_cluster_session(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """One running Kubernetes cluster for all tests, as the ini file and the command line say."""
    with _cluster(request.config, {}) as cluster:
        yield cluster


def _cluster(config: pytest.Config, said: dict[str, Any]) -> Cluster:
    from .api.errors import ApiError
    from .testing import Cluster
    if not {"nodes", "pools"} & set(said):
        said = {**said, **_fleet(config)}
    try:
        return Cluster(kubectl=config.getoption("--muster-kubectl") or config.getini("muster_kubectl") or None, **said)
    except ApiError as error:
        raise pytest.UsageError(str(error)) from None


def _fleet(config: pytest.Config) -> dict[str, Any]:
    """The nodes of clusters that say nothing about them; the command line goes before the ini file."""
    nodes, pools = config.getoption("--muster-nodes"), config.getoption("--muster-pool")
    if nodes is None and not pools:
        text, pools = config.getini("muster_nodes"), config.getini("muster_pools")
        if text and not text.isdigit():
            raise pytest.UsageError(f"muster_nodes = {text}: a number is expected")
        nodes = int(text) if text else None
    return {"nodes": nodes, "pools": pools or ()}
