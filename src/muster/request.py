"""What `muster up` was asked for."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .api.objects import Obj
from .data_directory import DataDirectory


@dataclass(frozen=True)
class Request:
    data: DataDirectory
    store: str = "sqlite"  # or "memory"
    host: str = "127.0.0.1"
    port: int = 0  # 0: the last one used here, or any free one
    runtime: str = "simulated"
    pools: tuple[Obj, ...] = ()  # NodePool objects to create or change
    behaviour: Obj | None = None  # for every pool, where it was said
    files: tuple[Path, ...] = ()
    seed: int | None = None
    node_count: int | None = None  # of real nodes
    cluster_cidr: str = ""  # of real nodes and their pods; "": any that is free
    images: tuple[Path, ...] = ()  # archives to load into real nodes
    image_map: tuple[tuple[str, str], ...] = ()  # (pattern, image that takes its place)
    kubelet_config: Path | None = None  # how real nodes are kept
    dns_port: int | None = None  # answer DNS there; 0: on any free one; None: not at all
    record: Path | None = None  # keep the whole history in this file
