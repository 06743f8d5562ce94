"""The volumes of a pod: unique names, exactly one source each, and the fields that each source needs.

`_SOURCES` is in the order that decides which of two sources in one volume counts as the surplus one.

https://kubernetes.io/docs/concepts/storage/volumes/
"""
from __future__ import annotations

from collections.abc import Callable

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..objects import Obj
from ..pod_claims import own_claim
from ..quantities import parse
from .metadata import complain, validate_label_selector
from .pod_fields import (
    VOLUME_FIELD_PATHS,
    validate_field_reference,
    validate_local_path,
    validate_no_backsteps,
    validate_relative_path,
    validate_resource_field_reference,
)

HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
                   "Socket")
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_MORE_THAN_ONE = "may not specify more than 1 volume type"
_CONFLICT = "conflicting duplicate paths"


def validate_volumes(volumes: list[Obj], path: str, pod_name: str, wrong: list[Cause]) -> dict[str, Obj]:
    """The volumes that are right, by name: what mounts may refer to."""
    found: dict[str, Obj] = {}
    claims_made = {own_claim(pod_name, one.get("name", "")) for one in volumes if pod_name and one.get("ephemeral")}
    for index, volume in enumerate(volumes):
        at, before = f"{path}[{index}]", len(wrong)
        name = volume.get("name") or ""
        _source(volume, at, pod_name, wrong)
        if not name:
            wrong.append(required(f"{at}.name"))
        elif complaints := names.is_dns_label(name):
            wrong += complain(f"{at}.name", name, complaints)
        if name in found:
            wrong.append(duplicate(f"{at}.name", name))
        if len(wrong) == before:
            found[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim and claim in claims_made:
            wrong.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim,
                                 "must not reference a PVC that gets created for an ephemeral volume"))
    return found


def _source(volume: Obj, at: str, pod_name: str, wrong: list[Cause]) -> None:
    given = [field for field in _SOURCES if volume.get(field) is not None]
    if not given:
        wrong.append(required(at, "must specify a volume type"))
        return
    first = given[0]
    _SOURCES[first](volume[first], f"{at}.{first}", wrong)
    if first == "ephemeral" and pod_name and volume.get("name"):
        claim = own_claim(pod_name, volume["name"])
        for complaint in names.is_dns_subdomain(claim):
            wrong.append(invalid(f"{at}.name", volume["name"], f'PVC name "{claim}": {complaint}'))
    wrong += [forbidden(f"{at}.{field}", _MORE_THAN_ONE) for field in given[1:]]


def _needs(*fields: str) -> Callable[[Obj, str, list[Cause]], None]:
    def check(source: Obj, at: str, wrong: list[Cause]) -> None:
        wrong += [required(f"{at}.{field}") for field in fields if not source.get(field)]

    return check


def _mode(source: Obj, field: str, at: str, wrong: list[Cause]) -> None:
    mode = source.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        wrong.append(invalid(f"{at}.{field}", mode, _MODE))


def _empty_dir(source: Obj, at: str, wrong: list[Cause]) -> None:
    if source.get("sizeLimit") is not None:
        try:
            if parse(source["sizeLimit"]) >= 0:
                return
        except ValueError:
            pass
        wrong.append(forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def _host_path(source: Obj, at: str, wrong: list[Cause]) -> None:
    if not source.get("path"):
        wrong.append(required(f"{at}.path"))
        return
    validate_no_backsteps(source["path"], f"{at}.path", wrong)
    if source.get("type") is not None and source["type"] not in HOST_PATH_TYPES:
        wrong.append(not_supported(f"{at}.type", source["type"], HOST_PATH_TYPES))


def _git_repo(source: Obj, at: str, wrong: list[Cause]) -> None:
    _needs("repository")(source, at, wrong)
    validate_relative_path(source.get("directory") or "", f"{at}.directory", wrong)


def _nfs(source: Obj, at: str, wrong: list[Cause]) -> None:
    _needs("server", "path")(source, at, wrong)
    if not (source.get("path") or "").startswith("/"):
        wrong.append(invalid(f"{at}.path", source.get("path") or "", "must be an absolute path"))


def _items(source: Obj, at: str, wrong: list[Cause]) -> None:
    for index, item in enumerate(source.get("items") or ()):
        here = f"{at}.items[{index}]"
        _needs("key", "path")(item, here, wrong)
        validate_local_path(item.get("path") or "", f"{here}.path", wrong)
        _mode(item, "mode", here, wrong)


def _secret(source: Obj, at: str, wrong: list[Cause]) -> None:
    _needs("secretName")(source, at, wrong)
    _mode(source, "defaultMode", at, wrong)
    _items(source, at, wrong)


def _config_map(source: Obj, at: str, wrong: list[Cause]) -> None:
    _needs("name")(source, at, wrong)
    _mode(source, "defaultMode", at, wrong)
    _items(source, at, wrong)


def _downward_file(file: Obj, at: str, wrong: list[Cause]) -> None:
    if not file.get("path"):
        wrong.append(required(f"{at}.path"))
    validate_local_path(file.get("path") or "", f"{at}.path", wrong)
    if file.get("fieldRef") is not None:
        validate_field_reference(file["fieldRef"], f"{at}.fieldRef", VOLUME_FIELD_PATHS, wrong)
        if file.get("resourceFieldRef") is not None:
            wrong.append(invalid(at, "resource",
                                 "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif file.get("resourceFieldRef") is not None:
        validate_resource_field_reference(file["resourceFieldRef"], f"{at}.resourceFieldRef", True, wrong)
    else:
        wrong.append(required(at, "one of fieldRef and resourceFieldRef is required"))
    _mode(file, "mode", at, wrong)


def _downward(source: Obj, at: str, wrong: list[Cause]) -> None:
    _mode(source, "defaultMode", at, wrong)
    for file in source.get("items") or ():
        _downward_file(file, at, wrong)


def _projected(source: Obj, at: str, wrong: list[Cause]) -> None:
    _mode(source, "defaultMode", at, wrong)
    taken: set[str] = set()
    for index, one in enumerate(source.get("sources") or ()):
        here = f"{at}.sources[{index}]"
        given = [field for field in _PROJECTIONS if one.get(field) is not None]
        for field in given:
            for about, file in _PROJECTIONS[field](one[field], at, f"{here}.{field}", wrong):
                if file in taken:
                    wrong.append(invalid(at, about, _CONFLICT))
                taken.add(file)
        if len(given) > 1:
            wrong.append(forbidden(here, "may not specify more than 1 volume type per source"))


# Each answers with the files it makes, and the word an error about one of them shows.
_Files = list[tuple[str, str]]


def _keys_projection(source: Obj, volume: str, at: str, wrong: list[Cause]) -> _Files:
    _needs("name")(source, at, wrong)
    _items(source, at, wrong)
    return [(source.get("name") or "", item["path"]) for item in source.get("items") or () if item.get("path")]


def _downward_projection(source: Obj, volume: str, at: str, wrong: list[Cause]) -> _Files:
    for file in source.get("items") or ():
        _downward_file(file, at, wrong)
    return [(file["path"], file["path"]) for file in source.get("items") or () if file.get("path")]


def _token_projection(source: Obj, volume: str, at: str, wrong: list[Cause]) -> _Files:
    seconds = source.get("expirationSeconds") or 0
    if seconds < 600:
        wrong.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 2**32:
        wrong.append(invalid(f"{at}.expirationSeconds", seconds,
                             "may not specify a duration larger than 2^32 seconds"))
    if not source.get("path"):
        wrong.append(required(f"{volume}.path"))
    else:
        validate_local_path(source["path"], f"{volume}.path", wrong)
    return []


def _trust_projection(source: Obj, volume: str, at: str, wrong: list[Cause]) -> _Files:
    name, signer = source.get("name"), source.get("signerName")
    if name is not None and signer is not None:
        wrong.append(invalid(at, source, "only one of name and signerName may be used"))
    elif name is None and signer is None:
        wrong.append(required(at, "either name or signerName must be specified"))
    elif name is not None and source.get("labelSelector") is not None:
        wrong.append(invalid(f"{at}.labelSelector", source["labelSelector"],
                             "labelSelector must be unset if name is specified"))
    validate_label_selector(source.get("labelSelector"), f"{at}.labelSelector", wrong)
    file = source.get("path") or ""
    if not file:
        wrong.append(required(f"{at}.path"))
    validate_local_path(file, f"{at}.path", wrong)
    return [(file, file)]


_PROJECTIONS: dict[str, Callable[[Obj, str, str, list[Cause]], _Files]] = {
    "secret": _keys_projection,
    "configMap": _keys_projection,
    "downwardAPI": _downward_projection,
    "serviceAccountToken": _token_projection,
    "clusterTrustBundle": _trust_projection,
}


def _csi(source: Obj, at: str, wrong: list[Cause]) -> None:
    driver = source.get("driver") or ""
    if not driver:
        wrong.append(required(f"{at}.driver"))
    elif len(driver) > names.LABEL_LENGTH:
        wrong.append(Cause("FieldValueTooLong", f"{at}.driver",
                           f"Too long: may not be more than {names.LABEL_LENGTH} bytes"))
    else:
        wrong += complain(f"{at}.driver", driver, names.is_dns_subdomain(driver.lower()))
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        wrong.append(required(f"{at}.nodePublishSecretRef.name"))


def _ephemeral(source: Obj, at: str, wrong: list[Cause]) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        wrong.append(required(f"{at}.volumeClaimTemplate"))
        return
    spec, here = template.get("spec") or {}, f"{at}.volumeClaimTemplate.spec"
    if not spec.get("accessModes"):
        wrong.append(required(f"{here}.accessModes", "at least 1 access mode is required"))
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        wrong.append(required(f"{here}.resources[storage]"))


_SOURCES: dict[str, Callable[[Obj, str, list[Cause]], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": _needs("pdName"),
    "awsElasticBlockStore": _needs("volumeID"),
    "secret": _secret,
    "nfs": _nfs,
    "iscsi": _needs("targetPortal", "iqn"),
    "glusterfs": _needs("endpoints", "path"),
    "flocker": _needs(),
    "persistentVolumeClaim": _needs("claimName"),
    "rbd": _needs("monitors", "image"),
    "cinder": _needs("volumeID"),
    "cephfs": _needs("monitors"),
    "quobyte": _needs("registry", "volume"),
    "downwardAPI": _downward,
    "fc": _needs(),
    "flexVolume": _needs("driver"),
    "configMap": _config_map,
    "azureFile": _needs("secretName", "shareName"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureDisk": _needs("diskName", "diskURI"),
    "storageos": _needs(),
    "projected": _projected,
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _needs("reference"),
}


def validate_volume_source(kind: str, source: Obj, path: str, wrong: list[Cause]) -> None:
    """One source by itself, as a PersistentVolume has it."""
    if (check := _SOURCES.get(kind)) is not None:
        check(source, path, wrong)
