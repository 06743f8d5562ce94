"""One containerd for one node: its configuration, its process, and what is left when it ends.

It runs in its node's network namespace and outlives this process: one that is killed finds its containerd, and every
pod, where they were.  A containerd that dies is started again (its pods do not notice), after ever longer waits.

    <data>/nodes/<node>/containerd      images and snapshots, kept      /run/muster/<tag>/<node>    sockets and state
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

from . import cgroups
from .cri.client import Runtime, answers
from .host_command import CommandFailed, attempt, run, search_path
from .image_archive import PAUSE, pause_archive
from .network_namespace import Unusable

log = logging.getLogger(__name__)

OLDEST = (1, 6)
PLUGINS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
NEEDED_PLUGINS = ("bridge", "host-local", "portmap", "loopback")
NEEDED_PROGRAMS = {"containerd": "containerd", "runc": "runc", "ctr": "containerd", "ip": "iproute2", "nft": "nftables",
                   "nsenter": "util-linux", "iptables": "iptables"}
NEEDED_RIGHTS = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}  # and their bits
READY_WITHIN_S, STOP_WITHIN_S = 20.0, 10.0
FIRST_WAIT_S, LONGEST_WAIT_S, HEALTHY_AFTER_S = 0.1, 30.0, 60.0
CAP_SYS_RESOURCE = 24
_WITHOUT = [f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "zfs", "devmapper")] + [
    "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]


async def check_host(what: str = "--runtime containers", command: str = "muster up --runtime containers",
                     else_: str = "; leave it out for simulated nodes") -> None:
    """Can pods be run here?  Raises Unusable with what to install or change."""
    if not Path("/proc/self/ns").exists():
        raise Unusable(f"{what} runs on Linux alone{else_}")
    if os.geteuid() != 0:
        raise Unusable(f"{what} needs root: try `sudo $(command -v muster) {command.partition(' ')[2]}`")
    if lacking := _lacking(Path("/proc/self/status").read_text()):
        raise Unusable(f"{what} needs {' and '.join(lacking)}, which root does not have in here: run it on the machine "
                       "itself, or in a privileged container")
    missing = sorted({package for program, package in NEEDED_PROGRAMS.items()
                      if shutil.which(program, path=search_path()) is None})
    folder = plugin_folder()
    if folder is None:
        missing.append("containernetworking-plugins")
    if missing:
        raise Unusable(f"{what} needs {', '.join(missing)}: on Debian or Ubuntu, "
                       f"`apt-get install -y {' '.join(missing)}`")
    try:
        said = await run("containerd", "--version")
    except CommandFailed as error:
        raise Unusable(f"the containerd of this machine can not be run; install it anew ({error})") from None
    found = re.search(r"\bv?(\d+)\.(\d+)\.\d+", said)
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        raise Unusable(f"containerd {found[0]} is too old: {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    if os.uname().machine != "x86_64":
        raise Unusable(f"{what} runs on x86-64 alone; this is {os.uname().machine}")


def _lacking(status: str) -> list[str]:
    """What this process may not do and has to: `status` is what the kernel says of it."""
    may = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    return [name for name, bit in NEEDED_RIGHTS.items() if not may >> bit & 1]


def plugin_folder() -> str | None:
    return next((folder for folder in PLUGINS
                 if all(os.path.exists(f"{folder}/{name}") for name in NEEDED_PLUGINS)), None)


class Containerd:
    def __init__(self, node: str, namespace: Path, address: str, pod_cidr: str, data: Path, state: Path,
                 mirrors: Path | None = None, *, adopt: Callable[[int], None] = lambda pid: None):
        """`adopt`: puts the process, by its pid, where the node's own are counted."""
        self.node, self.namespace, self.address, self.pod_cidr = node, namespace, address, pod_cidr
        self.data, self.state, self._mirrors = data, state, mirrors
        self.socket = state / "containerd.sock"
        self.restarts = 0
        self._pid, self._adopt = 0, adopt

    async def start(self) -> Runtime:
        """Takes over the one that runs, or starts one.  Raises Unusable."""
        for folder in (self.data / "containerd", self.data / "cni" / "net.d", self.data / "cni" / "addresses",
                       self.state / "state"):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        changed = self._write_configuration()
        runtime = await self._take_over()
        if runtime is not None and changed:
            log.info("%s: the configuration changed; containerd is started again", self.node)
            await runtime.close()
            await self.end()
            runtime = None
        if runtime is None:
            runtime = await self._launch()
        if not await self._has_pause():
            archive = self.data / "pause.tar"
            archive.write_bytes(pause_archive())
            await self.load(archive)
        return runtime

    async def load(self, archive: Path) -> None:
        """Imports the images of an archive (docker save, or an OCI layout)."""
        try:
            await run("ctr", "--address", str(self.socket), "--namespace", "k8s.io", "images", "import",
                      "--snapshotter", self._snapshotter(), str(archive), within_s=300.0)
        except CommandFailed as error:
            raise Unusable(f"{archive} can not be loaded: {error}") from None

    async def _has_pause(self) -> bool:
        listed = await run("ctr", "--address", str(self.socket), "--namespace", "k8s.io", "images", "list", "--quiet")
        return PAUSE in listed.split()

    async def _take_over(self) -> Runtime | None:
        pid = self._running()
        if not pid:
            return None
        runtime = await answers(str(self.socket), 2.0)
        if runtime is None:
            _signal(pid, signal.SIGKILL)
            return None
        self._pid = pid
        return runtime

    async def _launch(self) -> Runtime:
        await attempt("umount", str(self.state / "state"))
        self.socket.unlink(missing_ok=True)
        with (self.data / "containerd.log").open("ab") as said:
            start = said.tell()
            # Not through asyncio: it kills its processes when it closes, and this one is to outlive it.
            process = subprocess.Popen(
                ["nsenter", f"--net={self.namespace}", "containerd", "--config", str(self.data / "containerd.toml"),
                 "--log-level", "warn"], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                env={**os.environ, "PATH": search_path()})
        self._pid = process.pid
        self._adopt(process.pid)
        self._pid_file.write_text(f"{process.pid}\n")
        runtime = await answers(str(self.socket), READY_WITHIN_S)
        if runtime is None:
            await self.end()
            with (self.data / "containerd.log").open("rb") as log_file:
                log_file.seek(start)
                lines = log_file.read(100_000).decode(errors="replace").strip().splitlines()
            raise Unusable(f"containerd of {self.node} does not start: {lines[-1] if lines else 'it says nothing'}")
        return runtime

    async def supervise(self, came_back: Callable[[], Awaitable[None]]) -> None:
        """Starts it again whenever it ends, for as long as this runs."""
        loop, wait_s = asyncio.get_running_loop(), FIRST_WAIT_S
        while True:
            began = loop.time()
            await self._ended()
            log.warning("%s: containerd (pid %d) has ended; it is started again", self.node, self._pid)
            if loop.time() - began > HEALTHY_AFTER_S:
                wait_s = FIRST_WAIT_S
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
            try:
                runtime = await self._launch()
            except (Unusable, OSError) as error:
                log.warning("%s", error)
                continue
            await runtime.close()
            self.restarts += 1
            await came_back()

    async def _ended(self) -> None:
        """Returns once the process is gone, whether it is a child of ours or not."""
        try:
            watch = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(watch, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(watch)
            os.close(watch)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, os.WNOHANG)

    async def end(self) -> None:
        """Ends the process; the pods go on."""
        pid = self._running()
        if not pid:
            return
        self._pid = pid
        _signal(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._ended()
        except TimeoutError:
            _signal(pid, signal.SIGKILL)
            await self._ended()
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self.state / "containerd.pid"

    def _running(self) -> int:
        """The pid of our containerd; 0 for none.  A later process of the same number is another one."""
        try:
            pid = int(self._pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return pid if str(self.data / "containerd.toml").encode() in words else 0

    def _snapshotter(self) -> str:
        return "native" if _file_system(self.data) == "overlay" else "overlayfs"

    def _write_configuration(self) -> bool:
        """Did it change?"""
        conflist = json.dumps(self._conflist(), indent=1)
        _write(self.data / "cni" / "net.d" / "10-muster.conflist", conflist)
        return _write(self.data / "containerd.toml", self._toml())

    def _conflist(self) -> dict[str, object]:
        """https://www.cni.dev/plugins/current/main/bridge/"""
        return {"cniVersion": "0.4.0", "name": "muster", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipMasq": False,
             "ipam": {"type": "host-local", "dataDir": str(self.data / "cni" / "addresses"),
                      "ranges": [[{"subnet": self.pod_cidr}]], "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}]}

    def _toml(self) -> str:
        """https://github.com/containerd/containerd/blob/main/docs/cri/config.md"""
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        registry = f'config_path = "{self._mirrors}"' if self._mirrors is not None else ""
        return f"""version = 2
root = "{self.data / 'containerd'}"
state = "{self.state / 'state'}"
disabled_plugins = {json.dumps(_WITHOUT)}
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {_toml_bool(not _may(CAP_SYS_RESOURCE))}
  disable_apparmor = {_toml_bool(not _has_apparmor())}
  stream_server_address = "{self.address}"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  [{cri}.containerd]
    snapshotter = "{self._snapshotter()}"
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
  [{cri}.cni]
    bin_dir = "{plugin_folder()}"
    conf_dir = "{self.data / 'cni' / 'net.d'}"
    max_conf_num = 1
  [{cri}.registry]
    {registry}
"""


async def clean_up(tag: str, state: Path, nodes: list[Path]) -> None:
    """What is left of a cluster's pods when its containerds are gone: shims, mounts, cgroups, sockets."""
    for _ in range(3):
        pids = _processes_of([state, *nodes], tag)
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        if not pids:
            break
        await asyncio.sleep(0.1)
    for _ in range(3):  # mounts may lie on one another
        mounted = [path for path in _mounts() if any(path.startswith(f"{folder}/") for folder in (state, *nodes))]
        for path in reversed(mounted):
            await attempt("umount", "--lazy", path)
        if not mounted:
            break
    await cgroups.here().remove(f"muster-{tag}")
    shutil.rmtree(state, ignore_errors=True)


def _processes_of(folders: list[Path], tag: str) -> list[int]:
    """The containerds and shims whose command line names one of our folders, and who is in our cgroups."""
    found = set(cgroups.here().processes(f"muster-{tag}"))
    marks = [f"{folder}/".encode() for folder in folders]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"containerd" in words.split(b"\0", 1)[0] and any(mark in words for mark in marks):
                found.add(int(entry.name))
    return sorted(found)


def _mounts() -> list[str]:
    return [line.split(" ")[4].replace("\\040", " ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _file_system(path: Path) -> str:
    """Of the mount that the path is on."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        place = before.split(" ")[4]
        if (place == "/" or path == Path(place) or str(path).startswith(f"{place}/")) and len(place) >= len(best):
            best, kind = place, after.split(" ")[0]
    return kind


def _may(capability: int) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> capability & 1)


def _has_apparmor() -> bool:
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    except OSError:
        return False


def _toml_bool(value: bool) -> str:
    return "true" if value else "false"


def _write(path: Path, text: str) -> bool:
    """Did that change what is there?"""
    if path.exists() and path.read_text() == text:
        return False
    path.write_text(text)
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
