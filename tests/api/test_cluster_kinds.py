"""Namespace, Node, NodePool, and the durations a pool is described with."""
import math

import pytest

from muster.api.durations import parse_duration, parse_range
from muster.api.kinds.namespace import NAMESPACE
from muster.api.kinds.node import NODE
from muster.api.kinds.node_pool import NODE_POOL
from muster.api.schema import Schema
from muster.api.tables import table


def told(causes):
    return [str(cause) for cause in causes]


def cells(kind, obj, now=0.0):
    shown = table(kind, [obj], now)
    return dict(zip((one["name"] for one in shown["columnDefinitions"]), shown["rows"][0]["cells"], strict=True))


# ------------------------------------------------------------------ Namespace


def namespace(name="logging", **more):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, **more}


def test_a_namespace_begins_active_and_with_its_finalizer():
    made = NAMESPACE.prepare_create(NAMESPACE.defaults(namespace()))
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "logging"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}
    assert NAMESPACE.defaults(made) is made
    assert NAMESPACE.validate(made) == []
    assert cells(NAMESPACE, made) == {"Name": "logging", "Status": "Active", "Age": "<unknown>"}


def test_the_label_also_comes_with_a_generated_name():
    made = NAMESPACE.prepare_create(NAMESPACE.defaults({"metadata": {"generateName": "n-"}}))
    named = NAMESPACE.prepare_create({**made, "metadata": {"generateName": "n-", "name": "n-x"}})
    assert named["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n-x"}


def test_a_namespace_has_no_dots_in_its_name():
    assert told(NAMESPACE.validate(namespace("a.b"))) == [
        'metadata.name: Invalid value: "a.b": must not contain dots']


def test_an_update_leaves_spec_and_status_alone():
    old = NAMESPACE.prepare_create(namespace())
    new = NAMESPACE.prepare_update(namespace(spec={"finalizers": []}, status={}), old)
    assert (new["spec"], new["status"]) == (old["spec"], old["status"])


@pytest.mark.parametrize(("phase", "deleting", "wrong"), [
    ("Active", False, []),
    ("Terminating", True, []),
    ("Terminating", False, ['status.Phase: Invalid value: "Terminating": '
                            "may only be 'Active' if `deletionTimestamp` is empty"]),
    ("Active", True, ['status.Phase: Invalid value: "Active": '
                      "may only be 'Terminating' if `deletionTimestamp` is not empty"]),
])
def test_the_phase_follows_the_deletion(phase, deleting, wrong):
    metadata = {"name": "a", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {})}
    assert told(NAMESPACE.validate_status_update({"metadata": metadata, "status": {"phase": phase}}, {})) == wrong


# ------------------------------------------------------------------ Node


def node(spec=None, status=None, **metadata):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", **metadata},
            "spec": spec or {}, "status": status or {}}


@pytest.mark.parametrize(("ready", "cordoned", "text"), [
    ("True", False, "Ready"), ("False", False, "NotReady"), ("Unknown", False, "NotReady"), (None, False, "Unknown"),
    ("True", True, "Ready,SchedulingDisabled"),
])
def test_the_status_of_a_node(ready, cordoned, text):
    conditions = [{"type": "MemoryPressure", "status": "False"}]
    if ready:
        conditions.append({"type": "Ready", "status": ready})
    assert cells(NODE, node({"unschedulable": cordoned}, {"conditions": conditions}))["Status"] == text


def test_the_columns_of_a_node():
    shown = cells(NODE, node(
        labels={"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "",
                "kubernetes.io/role": "edge"},
        status={"nodeInfo": {"kubeletVersion": "v1.32.4", "osImage": "Debian"},
                "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.1"}]}))
    assert list(shown) == ["Name", "Status", "Roles", "Age", "Version", "Internal-IP", "External-IP", "OS-Image",
                           "Kernel-Version", "Container-Runtime"]
    assert shown["Roles"] == "control-plane,edge,worker"
    assert (shown["Version"], shown["Internal-IP"], shown["External-IP"]) == ("v1.32.4", "10.0.0.1", "<none>")
    assert (shown["OS-Image"], shown["Kernel-Version"]) == ("Debian", "<unknown>")
    assert cells(NODE, node())["Roles"] == "<none>"


@pytest.mark.parametrize(("taint", "wrong"), [
    ({"key": "a", "effect": "NoExecute"}, []),
    ({"key": "a"}, ["spec.taints[0].effect: Required value"]),
    ({"key": "a", "effect": "Never"}, ['spec.taints[0].effect: Unsupported value: "Never": supported values: '
                                       '"NoSchedule", "PreferNoSchedule", "NoExecute"']),
])
def test_taints(taint, wrong):
    assert told(NODE.validate(node({"taints": [taint]}))) == wrong


def test_taints_are_told_apart_by_key_and_effect():
    wrong = told(NODE.validate(node({"taints": [{"key": "a", "effect": "NoExecute", "value": "1"},
                                                {"key": "a", "effect": "NoSchedule"},
                                                {"key": "a", "effect": "NoExecute"}]})))
    assert len(wrong) == 1
    assert wrong[0].startswith("spec.taints[2]: Duplicate value: ")
    assert wrong[0].endswith(": taints must be unique by key and effect pair")


@pytest.mark.parametrize(("before", "after", "wrong"), [
    ({}, {"providerID": "gce://1"}, []),
    ({"providerID": "gce://1"}, {"providerID": "gce://2"}, [
        'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid']),
    ({"podCIDRs": ["10.0.0.0/24"]}, {"podCIDRs": ["10.0.1.0/24"]}, [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']),
])
def test_a_node_keeps_its_identity(before, after, wrong):
    assert told(NODE.validate_update(node(after), node(before))) == wrong


def test_the_two_forms_of_the_range_agree():
    assert NODE.defaults(node({"podCIDR": "10.0.0.0/24"}))["spec"]["podCIDRs"] == ["10.0.0.0/24"]
    assert NODE.defaults(node({"podCIDRs": ["10.0.0.0/24"]}))["spec"]["podCIDR"] == "10.0.0.0/24"
    filled = NODE.defaults(node(status={"capacity": {"cpu": "4"}}))
    assert filled["status"]["allocatable"] == {"cpu": "4"}
    assert NODE.defaults(filled) is filled


# ------------------------------------------------------------------ NodePool


def pool(**spec):
    return {"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": "gpu"}, "spec": spec}


def test_a_pool_needs_no_more_than_a_name():
    read, warnings = Schema.load().read(NODE_POOL, {k: v for k, v in pool().items() if k != "spec"}, "Strict")
    made = NODE_POOL.prepare_create(NODE_POOL.defaults(read))
    assert warnings == []
    assert NODE_POOL.validate(made) == []
    assert NODE_POOL.defaults(made) is made
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["template"]["capacity"]["cpu"] == "4"
    assert made["spec"]["behaviour"]["missingImages"] == ["*non-existent*", "*:404"]
    assert made["status"] == {"replicas": 0, "readyReplicas": 0, "nodesMade": 0, "selector": "muster.dev/pool=gpu"}
    assert cells(NODE_POOL, made) == {
        "Name": "gpu", "Machine_Type": "e2-standard-4", "Disk_Size_GB": 100, "Node_Version": "v1.32.4", "Nodes": 1,
        "Ready": 0, "Age": "<unknown>"}


def test_what_a_pool_says_stays():
    made = NODE_POOL.defaults(pool(replicas=0, template={"capacity": {"cpu": "64", "nvidia.com/gpu": "8"}},
                                   behaviour={"missingImages": []}))
    assert made["spec"]["replicas"] == 0
    assert made["spec"]["template"]["capacity"] == {
        "cpu": "64", "nvidia.com/gpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    assert made["spec"]["behaviour"]["missingImages"] == []


@pytest.mark.parametrize(("spec", "wrong"), [
    ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ({"replicas": 20001}, "spec.replicas: Invalid value: 20001: must be less than or equal to 20000"),
    ({"behaviour": {"pull": "soon"}}, 'spec.behaviour.pull: Invalid value: "soon": must be a duration such as '
                                      '"500ms", "2s" or "1h30m", or a range such as "1s..3s"'),
    ({"behaviour": {"stop": "3s..1s"}}, 'spec.behaviour.stop: Invalid value: "3s..1s": '
                                        "must not start (3s) above its end (1s)"),
    ({"template": {"version": "1.32"}}, 'spec.template.version: Invalid value: "1.32": '
                                        'must be a Kubernetes version such as "v1.32.4"'),
    ({"template": {"capacity": {"cpu": "-1"}}}, 'spec.template.capacity[cpu]: Invalid value: "-1": '
                                                "must be greater than or equal to 0"),
    ({"template": {"taints": [{"key": "a"}]}}, "spec.template.taints[0].effect: Required value"),
    ({"template": {"diskSizeGb": 0}}, "spec.template.diskSizeGb: Invalid value: 0: must be greater than 0"),
])
def test_what_a_pool_may_not_say(spec, wrong):
    assert told(NODE_POOL.validate(pool(**spec))) == [wrong]


@pytest.mark.parametrize(("text", "seconds"), [
    ("500ms", 0.5), ("2s", 2), ("1h30m", 5400), ("1.5s", 1.5), ("2", 2), ("1d", 86400), ("never", math.inf)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


def test_ranges():
    assert parse_range("1s..3s") == (1, 3)
    assert parse_range("2m") == (120, 120)
    for wrong in ("", "..", "1s..", "-1s", "1s..never", "1 s", "1x"):
        with pytest.raises(ValueError, match="must"):
            parse_range(wrong)
