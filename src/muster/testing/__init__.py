"""Clusters for tests of other projects: a real server inside the test's own process.

    from muster.testing import Cluster        without pytest
    def test_it(muster_cluster): ...          with pytest, through pytest_plugin.py (found by its entry point)
"""
from .cluster import Cluster, KubectlFailed, KubectlNotFound, NotYet

__all__ = ["Cluster", "KubectlFailed", "KubectlNotFound", "NotYet"]
