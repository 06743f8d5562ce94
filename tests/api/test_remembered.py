"""What is remembered of parts that come again is what they would be told anew."""
from __future__ import annotations

from muster.api.kinds.pod_defaults import pod_spec_defaults
from muster.api.remembered import Proven, Remembered
from muster.api.validation.pod import validate_pod

VOLUMES = [{"name": "data", "emptyDir": {}}]


def a_pod(containers, volumes=VOLUMES, name="p", **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n"},
            "spec": pod_spec_defaults({"containers": containers, "volumes": volumes, **spec})}


def container(**more):
    return [{"name": "c", "image": "x:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}], **more}]


def complaints(pod):
    return [cause.field for cause in validate_pod(pod)]


def test_a_part_holds_alone_with_the_others_that_it_was_proven_with():
    proven, one, other, reason = Proven(keep=2), [1], [1], "a"
    proven.add(one, other, reason)
    assert proven.holds(one, other, reason)
    assert not proven.holds(one, one, reason) and not proven.holds(other, one, reason)
    assert not proven.holds(one, other, "b"), "another reason"
    assert not proven.holds(one), "never alone"
    proven.add(one)
    proven.add(other)
    assert proven.holds(one) and proven.holds(other)
    assert not proven.holds(one, other, reason), "the oldest is forgotten"


def test_what_was_worked_out_for_an_object_is_not_taken_for_an_equal_one():
    made = Remembered(lambda obj: [*obj], keep=1)
    one, other = [1], [1]
    assert made(one) is made(one)
    assert made(other) is not made(one)


def test_containers_that_were_right_are_wrong_beside_other_volumes():
    containers = container()
    assert complaints(a_pod(containers)) == []
    assert complaints(a_pod(containers)) == []
    assert complaints(a_pod(containers, [{"name": "other", "emptyDir": {}}])) == ["spec.containers[0].volumeMounts[0].name"]


def test_what_was_wrong_once_is_wrong_again():
    containers = container(name="C")
    assert complaints(a_pod(containers)) == complaints(a_pod(containers)) == ["spec.containers[0].name"]


def test_a_claim_that_takes_its_name_from_the_pod_is_looked_at_for_each():
    volumes = [{"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}]
    containers = container()
    assert complaints(a_pod(containers, volumes, name="short")) == []
    assert complaints(a_pod(containers, volumes, name="n" * 250)) != []


def test_lists_that_were_right_are_not_read_again_for_the_next_pod_of_a_template():
    containers = container()
    assert complaints(a_pod(containers)) == []
    pod = a_pod(containers, name="q")
    for spec in (pod["spec"], {**pod["spec"], "initContainers": None}):
        spec["containers"][0]["name"] = "C"  # nobody does that to an object: here it shows who reads it
        assert complaints({**pod, "spec": spec}) == []
        spec["containers"][0]["name"] = "c"


def test_parts_are_remembered_together():
    made = Remembered(lambda *parts: [*parts])
    one, other = [1], [2]
    assert made(one, other) is made(one, other)
    assert made(other, one) == [[2], [1]]
    assert made(one, None) == [[1], None]
