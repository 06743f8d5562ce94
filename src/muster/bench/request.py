"""What may be measured, and what was asked for.

Benches come in families: those of one family follow each other on one cluster (a DaemonSet is created, rolled,
deleted), so that asking for three costs one cluster.  `Request` is what the command understood; it refuses what
can not work before anything is started.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..api.errors import BadRequest

# family -> its benches, in the order in which they can follow each other on one cluster
FAMILIES: Mapping[str, Sequence[str]] = {
    "daemonsets": ("ds-create", "ds-roll", "ds-idle", "ds-delete"),
    "deployments": ("deploy-create", "deploy-roll"),
    "config_maps": ("api-create", "api-get", "api-put", "api-delete"),
    "pod_lists": ("api-list",),
    "watches": ("watch-fanout",),
    "cold_starts": ("cold-start",),
    "rehearsals": ("rehearse",),
    "rehearsal_runs": ("rehearse-runs",),
}
BENCHES = tuple(bench for benches in FAMILIES.values() for bench in benches)
NODES = {"cold_starts": 3, "rehearsal_runs": 250}  # unless told otherwise: what `muster up` has, and what people have
NODES_OTHERWISE = 1000
CONNECTIONS = {"pod_lists": 1, "watches": 1000}
CONNECTIONS_OTHERWISE = 32
OWN = {"cold-start": "servers", "rehearse": "a cluster", "rehearse-runs": "clusters"}  # what these bring with them


@dataclass(frozen=True, slots=True)
class Request:
    benches: tuple[str, ...]
    nodes: int | None = None
    runs: int = 1
    connections: int | None = None
    seconds: float = 1.0
    kubeconfig: Path | None = None
    output: str = "table"

    def nodes_of(self, family: str) -> int:
        """How many nodes the cluster has; 0: as many as the other server happens to have."""
        if self.nodes is not None:
            return self.nodes
        return 0 if self.kubeconfig is not None else NODES.get(family, NODES_OTHERWISE)

    def connections_of(self, family: str) -> int:
        return self.connections or CONNECTIONS.get(family, CONNECTIONS_OTHERWISE)

    def by_family(self) -> dict[str, list[str]]:
        chosen = {family: [bench for bench in benches if bench in self.benches]
                  for family, benches in FAMILIES.items()}
        return {family: benches for family, benches in chosen.items() if benches}


def request(names: Sequence[str], *, output: str, kubeconfig: Path | None, nodes: int | None, runs: int,
            connections: int | None, seconds: float) -> Request:
    """Raises BadRequest with the one sentence that says what is wrong."""
    for name in names:
        if name != "all" and name not in BENCHES:
            raise BadRequest(f"there is no bench {name!r}; use {', '.join(BENCHES)} or all")
    if output not in ("json", "table"):
        raise BadRequest(f"-o {output}: use json or table")
    chosen = BENCHES if "all" in names else tuple(dict.fromkeys(names))
    if kubeconfig is not None:
        for name in OWN:
            if name in names:
                raise BadRequest(f"{name} starts {OWN[name]} of its own: it can not measure the one of --kubeconfig")
        chosen = tuple(bench for bench in chosen if bench not in OWN)
    return Request(chosen, nodes, runs, connections, seconds, kubeconfig, output)
