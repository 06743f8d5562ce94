"""Words for tests of rehearsals: manifests in files, and an answer to a few options."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from muster.api.objects import Obj
from muster.bootstrap import node_pool
from muster.cli.pools import parse_pool
from muster.rehearsal.options import Options, options
from muster.rehearsal.outcome import Outcome
from muster.rehearsal.runs import rehearse
from muster.rehearsal.stage import Stage, prepare

STEADY = {"pull": "10s", "start": "2s", "ready": "0s", "stop": "4s"}
# What replacing one daemon takes then: its container stops, pull, start. (Its network goes while the next one pulls.)
ONE_S = 4 + 10 + 2


def a_daemonset(image: str = "agent:1", *, name: str = "agent", rolling: Obj | None = None, spec: Obj | None = None,
                **pod_spec: Any) -> Obj:
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels},
                     "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling or {"maxUnavailable": 1}},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "agent", "image": image}], **pod_spec}},
                     **(spec or {})}}


def written(folder: Path, name: str, *objects: Obj) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return path


def asked(folder: Path, applied: list[Obj] = (), before: list[Obj] = (), *, nodes: int = 0, pools: list[str] = (),  # type: ignore[assignment]
          lengths: dict[str, str | None] | None = None, **more: Any) -> Options:
    files = [written(folder, "applied.yaml", *applied)] if applied else []
    on = [written(folder, "before.yaml", *before)] if before else []
    there = [parse_pool(one) for one in pools] + ([node_pool("default-pool", nodes)] if nodes else [])
    given: dict[str, Any] = {"files": files, "on": on, "pools": there, "settings": (), "restart": (), "fail": (), "kill_node": (), "until": "stable",
                             "runs": 1, "seed": "0", "jobs": 1, "output": "text", "out": None,
                             "lengths": STEADY if lengths is None else lengths}
    return options(**given | more)


def seen(folder: Path, *objects: list[Obj], **more: Any) -> Outcome:
    """The first run of the first alternative."""
    stage: Stage = prepare(asked(folder, *objects, **more))
    return rehearse(stage, stage.alternatives[0], 0)
