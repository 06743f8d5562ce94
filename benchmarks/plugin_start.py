"""How long a test waits for its cluster.  Prints one JSON line a measurement.

    python benchmarks/plugin_start.py [--starts 100] [--nodes 3]

From the call to a cluster that answers over TLS and whose nodes are ready for pods, in real and in virtual time,
imports done; what a test then waits for at its end (`stop`); and once, what the imports take.
"""
from __future__ import annotations

import argparse
import json
import time
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=3)
    asked = parser.parse_args()
    began = time.perf_counter()
    from muster.testing import Cluster
    print(json.dumps({"measured": "imports", "s": round(time.perf_counter() - began, 3)}))
    for virtual in (False, True):
        starts, stops = [], []
        for _ in range(asked.starts):
            cluster = Cluster(nodes=asked.nodes, virtual=virtual)
            began = time.perf_counter()
            cluster.start()
            started = time.perf_counter()
            cluster.stop()
            starts.append(started - began)
            stops.append(time.perf_counter() - started)
        print(json.dumps({"measured": "virtual" if virtual else "real", "nodes": asked.nodes, "starts": asked.starts,
                          "first_ms": round(1000 * starts[0], 1), "start": figures(starts), "stop": figures(stops)}))


def figures(seconds: list[float]) -> dict[str, Any]:
    ordered = sorted(seconds)
    return {f"p{share}_ms": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 1)
            for share in (50, 95, 100)}


if __name__ == "__main__":
    main()
