"""A pod's volumes on its real node: what each is made of, and what is mounted where.

    data/nodes/<node>/pods/<uid>/volumes/<name>         emptyDir, configMap, secret, projected, downwardAPI
                                /etc-hosts              the pod's names, mounted into each container
                                /containers/<name>/N    what a container leaves when it ends

ConfigMaps and the like are written as the kubelet writes them: a folder with a stamp, a link `..data` to it that is
exchanged in one step, and a link for each file; so who reads sees the old or the new, never half of each.
https://kubernetes.io/docs/concepts/storage/volumes/
"""
from __future__ import annotations

import base64
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..api import storage
from ..api.objects import Obj, annotations_of, at, name_of, namespace_of
from ..api.pod_claims import Claimed, claim_behind, mismatch
from .cri.configs import Mounted
from .environment import ConfigError, Facts, Lookup, expanded, field_value, resource_value
from .host_command import CommandFailed, run
from .pod_tokens import Tokens, asked_by

log = logging.getLogger(__name__)

DATA = "..data"
REMOVED_WITHIN_S = 600.0
FILE_MODE, TOKEN_MODE = 0o644, 0o600
CLAIM_SOURCES = ("hostPath", "local")
FOLLOWED = ("metadata.labels", "metadata.annotations")


class VolumeError(Exception):
    """The volume is not there (yet)."""


class File(NamedTuple):
    content: bytes
    mode: int
    owner: int | None = None


Files = dict[str, File]  # by path


class Sources(NamedTuple):
    """What volumes made of objects are made of."""

    lookup: Lookup
    facts: Facts
    tokens: Tokens


class HostPaths:
    """Which folder of the machine a hostPath means: some each node has for itself, as if it were a machine."""

    def __init__(self, node_folder: Path):
        self.log, self.storage = node_folder / "log", node_folder / "storage"
        self._own = {"/var/log": self.log, "/var/lib/docker": node_folder / "docker",
                     storage.FOLDER: self.storage}

    def real(self, path: str) -> Path:
        plain = os.path.normpath(path)
        for stem, folder in self._own.items():
            if plain == stem or plain.startswith(f"{stem}/"):
                return folder / plain.removeprefix(stem).lstrip("/")
        return Path(plain)


async def set_up(pod: Obj, folder: Path, sources: Sources, host: HostPaths) -> None:
    """Makes every volume of the pod.  Raises VolumeError for what is missing; may be called again."""
    for volume in pod["spec"].get("volumes") or ():
        if (asked := volume.get("emptyDir")) is not None:
            await _empty(place_of(folder, volume["name"]), asked, pod)
        elif (asked := volume.get("hostPath")) is not None:
            _on_host(volume["name"], asked, host)
        elif is_written(volume):
            refresh(pod, volume, folder, sources)
        elif claim_behind(pod, volume) is not None:
            source_of(pod, volume, folder, sources.lookup, host)
        else:
            kind = next((name for name in volume if name != "name"), "?")
            raise VolumeError(f'volume "{volume["name"]}": this node can not mount a volume of type {kind}')


def is_written(volume: Obj) -> bool:
    return any(volume.get(field) is not None for field in ("configMap", "secret", "downwardAPI", "projected"))


def tells_of_names(pod: Obj) -> bool:
    """Is there a volume that tells of the pod's labels or annotations, which change while it runs?"""
    told = (item for volume in pod["spec"].get("volumes") or ()
            for source in (volume, *(at(volume, "projected.sources") or ()))
            for item in at(source, "downwardAPI.items") or ())
    return any(at(item, "fieldRef.fieldPath", "").startswith(FOLLOWED) for item in told)


def refresh(pod: Obj, volume: Obj, folder: Path, sources: Sources) -> None:
    """Writes a volume made of objects as they are now; does nothing where nothing changed."""
    try:
        files = _files(pod, volume, sources)
    except ConfigError as error:
        raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from None
    write(place_of(folder, volume["name"]), files, at(pod, "spec.securityContext.fsGroup"))


def tear_down(folder: Path) -> list[str]:
    """Removes what was made for the pod; returns what has to be unmounted first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    within = [path for line in lines if (path := line.split(" ")[4].replace("\\040", " ")).startswith(f"{folder}/")]
    if not within:
        shutil.rmtree(folder, ignore_errors=True)
    return within


def mounts_of(pod: Obj, container: Obj, folder: Path, env: Mapping[str, str], lookup: Lookup,
              host: HostPaths) -> list[Mounted]:
    """Raises VolumeError."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    result = []
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"])
        if volume is None:
            raise VolumeError(f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"')
        source, read_only = source_of(pod, volume, folder, lookup, host)
        below = mount.get("subPath") or ""
        if mount.get("subPathExpr"):
            below = expanded(mount["subPathExpr"], env)
        if below:
            source = _below(source, below, mount["name"], container["name"])
        result.append(Mounted(mount["mountPath"], str(source),
                              bool(mount.get("readOnly")) or read_only or is_written(volume),
                              mount.get("mountPropagation") or ""))
    return result


def source_of(pod: Obj, volume: Obj, folder: Path, lookup: Lookup, host: HostPaths) -> tuple[Path, bool]:
    """The folder on the machine, and whether it may only be read."""
    if (asked := volume.get("hostPath")) is not None:
        return host.real(asked["path"]), False
    if (claimed := claim_behind(pod, volume)) is not None:
        return _claimed(pod, claimed, lookup, host), bool(at(volume, "persistentVolumeClaim.readOnly"))
    return place_of(folder, volume["name"]), False


def _claimed(pod: Obj, claimed: Claimed, lookup: Lookup, host: HostPaths) -> Path:
    name = claimed.claim
    claim = lookup("persistentvolumeclaims", namespace_of(pod), name)
    if claim is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found')
    if claimed.is_own and (why := mismatch(pod, claim)):
        raise VolumeError(why)
    bound = lookup("persistentvolumes", "", at(claim, "spec.volumeName", ""))
    if bound is None or at(claim, "status.phase") != "Bound":
        raise VolumeError(f'PVC {namespace_of(pod)}/{name} is not bound')
    for field in CLAIM_SOURCES:
        if (path := at(bound, f"spec.{field}.path")) is not None:
            place = host.real(path)
            if place.exists():
                return place
            if is_made_here(bound):
                place.mkdir(parents=True)
                place.chmod(0o777)
            elif field == "hostPath":
                place.mkdir(mode=0o755, parents=True)
            else:
                raise VolumeError(f'MountVolume.NewMounter initialization failed for volume "{name_of(bound)}" : '
                                  f'path "{path}" does not exist')
            return place
    raise VolumeError(f'volume "{name_of(bound)}": this node can mount volumes of hostPath and local alone')


def is_made_here(volume: Obj) -> bool:
    """A folder of this node that came with the claim, and goes with it."""
    return annotations_of(volume).get(storage.PROVISIONED_BY) in storage.MADE_HERE


async def discard(volume: Obj, node: str, host: HostPaths) -> None:
    """What a volume that is gone held on this node, where it was made for its claim alone."""
    path = next((path for field in CLAIM_SOURCES if (path := at(volume, f"spec.{field}.path"))), None)
    if path is None or not is_made_here(volume) or at(volume, "spec.persistentVolumeReclaimPolicy") != "Delete":
        return
    place = host.real(path)
    if place.parent == host.storage and place.is_dir():
        log.info("%s: the data of %s goes with it", node, name_of(volume))
        await run("rm", "-rf", "--", str(place), within_s=REMOVED_WITHIN_S)


def place_of(folder: Path, name: str) -> Path:
    return folder / "volumes" / name


def _below(source: Path, below: str, volume: str, container: str) -> Path:
    """A folder or file inside a volume: never outside, wherever links lead."""
    if below.startswith("/") or ".." in below.split("/"):
        raise VolumeError(f'failed to prepare subPath for volumeMount "{volume}" of container "{container}"')
    place = source / below
    if not place.resolve().is_relative_to(source.resolve()):
        raise VolumeError(f'failed to prepare subPath for volumeMount "{volume}" of container "{container}"')
    if not place.exists():
        place.mkdir(mode=0o750, parents=True)
        place.chmod(stat.S_IMODE(source.stat().st_mode))
    return place.resolve()


async def _empty(place: Path, asked: Obj, pod: Obj) -> None:
    if place.exists():
        return
    place.mkdir(mode=0o777, parents=True)
    if asked.get("medium") == "Memory":
        from ..api import quantities
        size = f",size={quantities.whole(asked['sizeLimit'])}" if asked.get("sizeLimit") else ""
        try:
            await run("mount", "-t", "tmpfs", "-o", f"mode=0777{size}", "tmpfs", str(place))
        except CommandFailed as error:
            raise VolumeError(str(error)) from None
    _give(place, 0o777, at(pod, "spec.securityContext.fsGroup"))


def _give(place: Path, mode: int, group: int | None) -> None:
    if group is not None:
        os.chown(place, -1, group)
        mode |= stat.S_ISGID if place.is_dir() else 0
    place.chmod(mode)


def _on_host(name: str, asked: Obj, host: HostPaths) -> None:
    """https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types"""
    place, type_ = host.real(asked["path"]), asked.get("type") or ""
    if type_ == "DirectoryOrCreate":
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif type_ == "FileOrCreate" and not place.exists():
        place.touch(mode=0o644)
    elif not type_:
        if not place.exists():
            place.mkdir(mode=0o755, parents=True)  # as the runtime would
        return
    checks = {"DirectoryOrCreate": (Path.is_dir, "directory"), "Directory": (Path.is_dir, "directory"),
              "FileOrCreate": (Path.is_file, "file"), "File": (Path.is_file, "file"),
              "Socket": (Path.is_socket, "socket"), "CharDevice": (Path.is_char_device, "character device"),
              "BlockDevice": (Path.is_block_device, "block device")}
    test, word = checks[type_]
    if not test(place):
        raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : hostPath type check failed: '
                          f'{asked["path"]} is not a {word}')


# ------------------------------------------------------------------ volumes made of objects


def _files(pod: Obj, volume: Obj, sources: Sources) -> Files:
    if (projected := volume.get("projected")) is not None:
        usual = projected.get("defaultMode") or FILE_MODE
        files: Files = {}
        for source in projected.get("sources") or ():
            for field, body in source.items():
                files.update(_of_source(pod, field, body, usual, sources))
        return files
    for field in ("configMap", "secret", "downwardAPI"):
        if (body := volume.get(field)) is not None:
            return dict(_of_source(pod, field, body, body.get("defaultMode") or FILE_MODE, sources))
    return {}


def _of_source(pod: Obj, field: str, body: Obj, mode: int, sources: Sources) -> Files:
    lookup = sources.lookup
    match field:
        case "configMap":
            return _of_object(pod, "configmaps", "configmap", body.get("name", ""), body, mode, lookup)
        case "secret":
            return _of_object(pod, "secrets", "secret", body.get("name") or body.get("secretName", ""), body, mode,
                              lookup)
        case "downwardAPI":
            return dict(_of_fields(pod, body, mode, sources.facts))
        case "serviceAccountToken":
            return {body["path"]: _token(pod, body, mode, sources.tokens)}
    return {}


def _token(pod: Obj, body: Obj, mode: int, tokens: Tokens) -> File:
    """Where it is known who reads it, it is theirs alone."""
    owner, group = user_of(pod), at(pod, "spec.securityContext.fsGroup")
    return File(tokens[asked_by(body)].encode(), mode if owner is None and group is None else TOKEN_MODE, owner)


def user_of(pod: Obj) -> int | None:
    """The user that all its containers are said to run as, if it is one."""
    spec = pod["spec"]
    usual = at(spec, "securityContext.runAsUser")
    users = {at(one, "securityContext.runAsUser", usual) for field in ("initContainers", "containers")
             for one in spec.get(field) or ()}
    return users.pop() if len(users) == 1 else None


def _of_object(pod: Obj, resource: str, kind: str, name: str, body: Obj, mode: int, lookup: Lookup) -> Files:
    found = lookup(resource, namespace_of(pod), name)
    if found is None:
        if body.get("optional"):
            return {}
        raise ConfigError(f'{kind} "{name}" not found')
    data = {key: base64.b64decode(value) if resource == "secrets" else value.encode()
            for key, value in (found.get("data") or {}).items()}
    data |= {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    if not body.get("items"):
        return {key: File(content, mode) for key, content in sorted(data.items())}
    files: Files = {}
    for item in body["items"]:
        if item["key"] in data:
            files[item["path"]] = File(data[item["key"]], item.get("mode") or mode)
        elif not body.get("optional"):
            raise ConfigError(f"{kind} references non-existent {kind.removesuffix('map')} key: {item['key']}")
    return files


def _of_fields(pod: Obj, body: Obj, mode: int, facts: Facts) -> Iterator[tuple[str, File]]:
    for item in body.get("items") or ():
        if (field := item.get("fieldRef")) is not None:
            value = field_value(pod, field["fieldPath"], facts)
        else:
            value = resource_value(pod, item["resourceFieldRef"], "", facts)
        yield item["path"], File(value.encode(), item.get("mode") or mode)


def write(place: Path, files: Files, group: int | None) -> None:
    """In one step, and only where something changed."""
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    link = place / DATA
    current = place / os.readlink(link) if link.is_symlink() else None
    if current is not None and _reads(current) == {path: one.content for path, one in files.items()}:
        return
    number = int(current.name.rpartition("_")[2]) + 1 if current is not None else 1
    fresh = place / f"..version_{number}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o755)
    _give(fresh, 0o755, group)
    for path, (content, mode, owner) in files.items():
        file = fresh / path
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(content)
        if owner is not None:
            os.chown(file, owner, -1)
        _give(file, mode | (0o040 if group is not None else 0), group)
    (place / "..data_tmp").unlink(missing_ok=True)
    (place / "..data_tmp").symlink_to(fresh.name)
    (place / "..data_tmp").replace(link)
    tops = {path.split("/")[0] for path in files}
    for top in sorted(tops):
        if not (place / top).is_symlink():
            (place / top).symlink_to(f"{DATA}/{top}")
    for entry in place.iterdir():
        if entry.is_symlink() and entry.name not in (*tops, DATA):
            entry.unlink()
    if current is not None:
        shutil.rmtree(current, ignore_errors=True)


def _reads(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hosts_file(pod: Obj, address: str, hostname: str, domain: str) -> str:
    """https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/"""
    lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback",
             "fe00::0\tip6-localnet", "fe00::0\tip6-mcastprefix", "fe00::1\tip6-allnodes", "fe00::2\tip6-allrouters"]
    subdomain = at(pod, "spec.subdomain")
    full = f"{hostname}.{subdomain}.{namespace_of(pod)}.svc.{domain}\t" if subdomain else ""
    if address:
        lines.append(f"{address}\t{full}{hostname}")
    aliases = at(pod, "spec.hostAliases") or []
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += [f"{one['ip']}\t" + "\t".join(one.get("hostnames") or ()) for one in aliases]
    return "\n".join(lines) + "\n"
