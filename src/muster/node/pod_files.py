"""Where a real pod's files are on its node: its volumes and last words, its logs, and the links that collectors follow.

    pods/<uid>/volumes, etc-hosts, containers/<name>/<attempt>.message     its own folder (volumes.py)
    var/log/pods/<namespace>_<name>_<uid>/<container>/<attempt>.log        written by the runtime
    var/log/containers/<name>_<namespace>_<container>-<id>.log             a link to the one before
"""
from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ..api.objects import Obj, name_of, namespace_of, uid_of
from . import host_command, volumes
from .cri import configs


class PodFiles:
    def __init__(self, node_folder: Path, host_paths: volumes.HostPaths, place: configs.Place, pod: Obj):
        self.folder = node_folder / "pods" / uid_of(pod)
        self.logs = configs.log_folder(place, pod)
        self._links = host_paths.log / "containers"
        self._stem = f"{name_of(pod)}_{namespace_of(pod)}"

    @property
    def hosts(self) -> Path:
        return self.folder / "etc-hosts"

    def write_hosts(self, pod: Obj, address: str, domain: str) -> None:
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.hosts.write_text(volumes.hosts_file(pod, address, configs.hostname_of(pod), domain))

    def volume(self, name: str) -> Path:
        return volumes.place_of(self.folder, name)

    def log(self, container: str, attempt: int) -> Path:
        return self.logs / configs.log_path(container, attempt)

    def logs_of(self, container: str, attempt: int) -> list[Path]:
        """Also what was put aside of it (log_rotation.py)."""
        newest = self.log(container, attempt)
        return [newest, *newest.parent.glob(f"{newest.name}.*")]

    def message(self, container: str, attempt: int) -> Path:
        """Where a run may leave its last words."""
        return self.folder / "containers" / container / f"{attempt}.message"

    def make_message(self, container: str, attempt: int) -> Path:
        file = self.message(container, attempt)
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.touch(mode=0o666)
        file.chmod(0o666)
        return file

    def link_log(self, container: str, attempt: int, id_: str) -> None:
        """Log collectors look in /var/log/containers, where each file is a link into /var/log/pods."""
        link = self._link(container, id_)
        link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        link.unlink(True)
        link.symlink_to(f"/var/log/pods/{self.logs.name}/{configs.log_path(container, attempt)}")

    def forget(self, container: str, attempt: int, id_: str) -> None:
        """What one run left."""
        for file in self.logs_of(container, attempt):
            file.unlink(True)
        self.message(container, attempt).unlink(True)
        self._link(container, id_).unlink(True)

    async def remove(self) -> None:
        """All that a pod leaves on its node beside the runtime's own."""
        await unmount(self.folder)
        shutil.rmtree(self.logs, ignore_errors=True)
        for link in self._links.glob(f"{self._stem}_*.log"):
            link.unlink(True)

    def _link(self, container: str, id_: str) -> Path:
        return self._links / f"{self._stem}_{container}-{id_}.log"


async def remove_strangers(node_folder: Path, host_paths: volumes.HostPaths, place: configs.Place,
                           is_here: Callable[[str], bool]) -> None:
    """What pods left that went while nobody looked.  `is_here` is asked of a uid after its files were seen: a pod that
    comes meanwhile is known before it has any."""
    for folder in sorted((node_folder / "pods").glob("*")):
        if not is_here(folder.name):
            await unmount(folder)
    for folder in sorted(place.logs.glob("*")):
        if not is_here(folder.name.rpartition("_")[2]):
            shutil.rmtree(folder, ignore_errors=True)
    for link in sorted((host_paths.log / "containers").glob("*.log")):
        if link.is_symlink() and not (place.logs / Path(*link.readlink().parts[4:])).exists():
            link.unlink(True)


async def unmount(pod_folder: Path) -> None:
    mounted = volumes.tear_down(pod_folder)
    for path in mounted:
        await host_command.attempt("umount", "--lazy", path)
    if mounted:
        volumes.tear_down(pod_folder)
