"""Which volume a claim gets, and what becomes of both."""
import random

import pytest

from muster.api.objects import Key, at, name_of, to_time, uid_of, with_
from muster.control.plan import Create, Delete, Patch, Replace, SetStatus, Tell
from muster.controllers.volume_binding import SeenClaim, SeenVolume, plan

IN_USE = {"persistentvolumeclaims": "kubernetes.io/pvc-protection", "persistentvolumes": "kubernetes.io/pv-protection"}


def a_claim(name="www", size="1Gi", class_="fast", modes=("ReadWriteOnce",), volume=None, going=False, phase=None,
            annotations=None, **spec):
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "annotations": annotations or {},
                "finalizers": [IN_USE["persistentvolumeclaims"]]}
    if going:
        metadata["deletionTimestamp"] = to_time(0)
    body = {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, "volumeMode": "Filesystem", **spec}
    if class_ is not None:
        body["storageClassName"] = class_
    if volume:
        body["volumeName"] = volume
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": body,
            "status": {"phase": phase or "Pending"}}


def a_volume(name, size="1Gi", class_="fast", modes=("ReadWriteOnce",), of=None, reserved=None, going=False,
             policy="Retain", labels=None, phase="Pending"):
    metadata = {"name": name, "uid": f"uid-{name}", "labels": labels or {}, "finalizers": [IN_USE["persistentvolumes"]]}
    if going:
        metadata["deletionTimestamp"] = to_time(0)
    spec = {"accessModes": list(modes), "capacity": {"storage": size}, "storageClassName": class_,
            "volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": policy}
    if of or reserved:
        spec["claimRef"] = {"namespace": "shop", "name": of or reserved, **({"uid": f"uid-{of}"} if of else {})}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def a_class(name="fast", provisioner="muster.dev/simulated", mode="Immediate", default=False):
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": provisioner, "reclaimPolicy": "Delete",
            "volumeBindingMode": mode, "metadata": {"name": name, "annotations": {
                "storageclass.kubernetes.io/is-default-class": str(default).lower()}}}


SELECTED, NODE_LOCAL = "volume.kubernetes.io/selected-node", "muster.dev/node-local"
USER = {"metadata": {"name": "user", "namespace": "shop"}, "spec": {}}
RUNNING = {**USER, "spec": {"nodeName": "n1"}}


def summary(planned):
    said = []
    for action in planned.actions:
        match action:
            case Create(obj):
                said.append(f"make {name_of(obj)}")
            case Replace(obj):
                said.append(f"reserve {name_of(obj)} for {at(obj, 'spec.claimRef.uid')}")
            case Patch(_, _, patch) if "spec" in patch:
                said.append(" ".join(f"{field}={value}" for field, value in patch["spec"].items()))
            case Patch(_, _, patch):
                said.append(f"finalizers {patch['metadata']['finalizers']}")
            case SetStatus(_, _, status):
                said.append(status["phase"])
            case Delete():
                said.append("delete")
            case Tell():
                said.append(f"!{action.reason}")
    return ", ".join(said)


@pytest.mark.parametrize("claim, volumes, classes, pods, does", [
    pytest.param(a_claim(), [], [a_class()], [], "make pvc-uid-www, !ProvisioningSucceeded", id="a new one"),
    pytest.param(a_claim(class_=None), [], [a_class(), a_class("std", default=True)], [], "storageClassName=std", id="default"),
    pytest.param(a_claim(class_=None), [], [], [], "!FailedBinding", id="no default"),
    pytest.param(a_claim(class_=""), [], [a_class("std", default=True)], [], "!FailedBinding", id="no class is meant"),
    pytest.param(a_claim(), [], [], [], "!ProvisioningFailed", id="no such class"),
    pytest.param(a_claim(), [], [a_class(provisioner="example.com/x")], [], "!ExternalProvisioning", id="another's"),
    pytest.param(a_claim(), [], [a_class(provisioner="kubernetes.io/no-provisioner")], [], "", id="nobody's"),
    pytest.param(a_claim(), [], [a_class(mode="WaitForFirstConsumer")], [], "!WaitForFirstConsumer", id="waits"),
    pytest.param(a_claim(), [], [a_class(mode="WaitForFirstConsumer")], [USER], "!WaitForPodScheduled", id="its first consumer"),
    pytest.param(a_claim(annotations={SELECTED: "n1"}), [], [a_class(mode="WaitForFirstConsumer")], [USER],
                 "make pvc-uid-www, !ProvisioningSucceeded", id="its first consumer has a node"),
    pytest.param(a_claim(), [], [a_class(provisioner=NODE_LOCAL)], [], "!ProvisioningFailed", id="on a node, but on which"),
    pytest.param(a_claim(), [a_volume("a", "5Gi"), a_volume("b", "2Gi")], [a_class()], [], "reserve b for uid-www", id="smallest"),
    pytest.param(a_claim(size="3Gi"), [a_volume("a", "5Gi"), a_volume("b", "2Gi")], [], [], "reserve a for uid-www", id="size"),
    pytest.param(a_claim(), [a_volume("a", reserved="www", class_="slow")], [], [], "reserve a for uid-www", id="reserved"),
    pytest.param(a_claim(), [a_volume("a", reserved="www", size="1Mi"), a_volume("b")], [], [], "reserve b for uid-www",
                 id="reserved, but too small"),
    pytest.param(a_claim(), [a_volume("a", reserved="other")], [], [], "!ProvisioningFailed", id="reserved for another"),
    pytest.param(a_claim(), [a_volume("a", class_="slow")], [], [], "!ProvisioningFailed", id="another class"),
    pytest.param(a_claim(), [a_volume("a", going=True)], [], [], "!ProvisioningFailed", id="a volume that goes"),
    pytest.param(a_claim(modes=["ReadWriteMany"]), [a_volume("a")], [], [], "!ProvisioningFailed", id="access modes"),
    pytest.param(a_claim(selector={"matchLabels": {"x": "y"}}), [a_volume("a"), a_volume("b", labels={"x": "y"})], [], [],
                 "reserve b for uid-www", id="selector"),
    pytest.param(a_claim(), [a_volume("a", of="www")], [], [], "volumeName=a", id="names what is its own"),
    pytest.param(a_claim(volume="a"), [a_volume("a", of="www")], [], [], "Bound", id="then is bound"),
    pytest.param(a_claim(volume="a"), [a_volume("a")], [], [], "reserve a for uid-www", id="named by the user"),
    pytest.param(a_claim(volume="a"), [a_volume("a", reserved="www", size="1Mi")], [], [], "reserve a for uid-www",
                 id="named and reserved"),
    pytest.param(a_claim(volume="a"), [a_volume("a", of="other")], [], [], "", id="named, but another's"),
    pytest.param(a_claim(volume="a"), [], [], [], "", id="named, not there yet"),
    pytest.param(a_claim(volume="a", annotations={"pv.kubernetes.io/bind-completed": "yes"}), [], [], [],
                 "Lost, !ClaimLost", id="lost"),
    pytest.param(a_claim(going=True), [], [], [RUNNING], "", id="in use"),
    pytest.param(a_claim(going=True), [], [], [USER], "finalizers []", id="a pod without a node does not count"),
])
def test_claims(claim, volumes, classes, pods, does):
    seen = SeenClaim(claim, {name_of(one): one for one in volumes}, {name_of(one): one for one in classes}, pods)
    assert summary(plan(seen, 0)) == does


@pytest.mark.parametrize("volume, why", [
    pytest.param(a_volume("a", "1Mi"), "requested PV is too small", id="size"),
    pytest.param(a_volume("a", class_="slow"), "storageClassName does not match", id="class"),
    pytest.param(with_(a_volume("a"), "spec.volumeMode", "Block"), "incompatible volumeMode", id="mode"),
    pytest.param(a_volume("a", modes=["ReadWriteMany"]), "incompatible accessMode", id="access modes"),
    pytest.param(a_volume("a", going=True), 'the volume is marked for deletion "a"', id="going"),
])
def test_a_claim_that_names_what_it_can_not_have(volume, why):
    (told,) = plan(SeenClaim(a_claim(volume="a"), {"a": volume}), 0).actions
    assert (told.type, told.reason) == ("Warning", "VolumeMismatch")
    assert told.message == f'Cannot bind to requested volume "a": {why}'


def test_a_folder_on_a_node():
    """The volume is where its claim's first pod will run, and nowhere else."""
    class_ = a_class(provisioner=NODE_LOCAL, mode="WaitForFirstConsumer")
    made, _ = plan(SeenClaim(a_claim(annotations={SELECTED: "n1"}), {}, {"fast": class_}), 0).actions
    spec = made.obj["spec"]
    assert spec["local"] == {"path": "/var/lib/muster/volumes/pvc-uid-www"}
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}


@pytest.mark.parametrize("volume, claim, does", [
    pytest.param(a_volume("a"), None, "Available", id="nobody's"),
    pytest.param(a_volume("a", reserved="www"), None, "Available", id="reserved"),
    pytest.param(a_volume("a", of="www"), a_claim(), "", id="not named yet"),
    pytest.param(a_volume("a", of="www"), a_claim(volume="a"), "Bound", id="bound"),
    pytest.param(a_volume("a", of="www", phase="Bound"), a_claim(volume="a"), "", id="still bound"),
    pytest.param(a_volume("a", of="www"), None, "Released", id="its claim is gone"),
    pytest.param(a_volume("a", of="old"), a_claim("www"), "Released", id="a namesake is another claim"),
    pytest.param(a_volume("a", of="www", policy="Delete"), None, "Released, delete", id="goes with its claim"),
    pytest.param(a_volume("a", of="www", going=True), a_claim(volume="a"), "", id="in use"),
    pytest.param(a_volume("a", of="www", going=True), None, "finalizers []", id="free to go"),
])
def test_volumes(volume, claim, does):
    assert summary(plan(SeenVolume(volume, claim), 0)) == does


def test_a_volume_goes_only_as_it_was_seen_and_if_the_api_says_too_that_its_claim_is_gone():
    """Its data goes with it: not where somebody keeps it at the last moment, nor where word of its claim comes late."""
    volume = with_(a_volume("a", of="www", policy="Delete"), "metadata.resourceVersion", "7")
    *_, deletion = plan(SeenVolume(volume, None), 0).actions
    assert deletion == Delete(Key("persistentvolumes", "", "a"), "uid-a", revision=7,
                              unless=((Key("persistentvolumeclaims", "shop", "www"), "uid-www"),))


@pytest.mark.parametrize("seed", range(30))
def test_no_volume_gets_two_claims(seed):
    """Whatever the order of looks: each claim ends with a volume of its own that suits it."""
    rng = random.Random(seed)
    claims = {f"c{n}": a_claim(f"c{n}", f"{rng.randrange(1, 5)}Gi") for n in range(6)}
    volumes = {f"v{n}": a_volume(f"v{n}", f"{rng.randrange(1, 6)}Gi") for n in range(rng.randrange(5))}
    for _ in range(300):
        claim = claims[rng.choice(sorted(claims))]
        for action in plan(SeenClaim(claim, dict(volumes), {"fast": a_class()}), 0).actions:
            match action:
                case Create(obj) | Replace(obj):
                    assert name_of(obj) not in volumes or at(volumes[name_of(obj)], "spec.claimRef") is None
                    volumes[name_of(obj)] = obj
                case Patch(key, _, patch):
                    claims[key.name] = {**claim, "spec": {**claim["spec"], **patch["spec"]}}
                case SetStatus(key, _, status):
                    claims[key.name] = {**claims[key.name], "status": status}
    named = [at(claim, "spec.volumeName") for claim in claims.values()]
    assert len(set(named)) == len(claims) and all(claim["status"]["phase"] == "Bound" for claim in claims.values())
    assert all(at(volumes[at(claim, "spec.volumeName")], "spec.claimRef.uid") == uid_of(claim) for claim in claims.values())


def test_a_claim_keeps_the_size_that_it_was_given():
    """What its volume has grown to is for those to say who made it larger: a file system may not have followed yet."""
    claim = a_claim(size="2Gi", volume="v", phase="Bound")
    claim["status"].update(accessModes=["ReadWriteOnce"], capacity={"storage": "1Gi"})
    assert plan(SeenClaim(claim, {"v": a_volume("v", size="2Gi", of="www")}), 0).actions == []
