"""`kubectl describe` and `kubectl explain` of a DaemonSet, its pods and its nodes."""
import re

import pytest
from conftest import daemonset, needs_kubectl

from rows import rows

POOL = {"muster.dev/pool": "default-pool"}  # other tests add nodes of their own
HEAD = """\
Name:           filebeat-ds
Selector:       name=filebeat
Node-Selector:  muster.dev/pool=default-pool
Labels:         app=filebeat-logging
Annotations:    deprecated.daemonset.template.generation: 1
Desired Number of Nodes Scheduled: 4
Current Number of Nodes Scheduled: 4
Number of Nodes Scheduled with Up-to-date Pods: 4
Number of Nodes Scheduled with Available Pods: 4
Number of Nodes Misscheduled: 0
Pods Status:  4 Running / 0 Waiting / 0 Succeeded / 0 Failed
Pod Template:
  Labels:  name=filebeat
  Containers:
   filebeat:
    Image:      docker.elastic.co/beats/filebeat:7.9.1
    Port:       <none>
    Host Port:  <none>
    Limits:
      memory:  300Mi
    Requests:
      cpu:        50m
      memory:     300Mi
    Environment:  <none>
    Mounts:
      /var/log from varlog (ro)
  Volumes:
   varlog:
    Type:          HostPath (bare host directory volume)
    Path:          /var/log
"""


def filebeat(name="filebeat-ds"):
    resources = {"limits": {"memory": "300Mi"}, "requests": {"cpu": "50m", "memory": "300Mi"}}
    made = daemonset(name, "docker.elastic.co/beats/filebeat:7.9.1", {"name": "filebeat"},
                     container={"name": "filebeat", "resources": resources, "volumeMounts": [
                         {"name": "varlog", "mountPath": "/var/log", "readOnly": True}]},
                     volumes=[{"name": "varlog", "hostPath": {"path": "/var/log"}}],
                     metadata={"labels": {"app": "filebeat-logging"}}, nodeSelector=POOL)
    return made


@pytest.fixture
def running(space):
    # Created, not applied: no last-applied annotation, as in the tutorial's output.
    assert space.kubectl("create", "-f", "-", given=filebeat()).lines == ["daemonset.apps/filebeat-ds created"]
    space.settled("filebeat-ds", 4)
    return space


@rows(30, 94, "95-96", "174-175", 177)
def test_a_daemonset(running):
    space = running
    said = space.kubectl("describe", "ds", "filebeat-ds").stdout
    told = said.replace(f"Namespace:      {space.name}\n", "")  # kubectl 1.33 tells that too
    assert re.sub(" +", " ", told).startswith(re.sub(" +", " ", HEAD))
    events = said[said.index("Events:"):].splitlines()
    assert events[1].split() == ["Type", "Reason", "Age", "From", "Message"]
    assert set(events[2].split()) <= {"----", "------", "-------"}
    assert len(events) == 7
    for line in events[3:]:
        assert re.fullmatch(r"  Normal  SuccessfulCreate  \d+s +daemonset-controller  Created pod: filebeat-ds-\w{5}", line)
    # The flag may come before the resource.
    other = space.cluster.kubectl("describe", "-n", space.name, "daemonsets", "filebeat-ds").stdout
    assert other.startswith(said[:said.index("Events:")])


@rows(176)
def test_every_daemonset_of_a_namespace(running):
    space = running
    space.kubectl("create", "-f", "-", given=daemonset("zz-other", nodeSelector=POOL))
    said = space.kubectl("describe", "daemonset").lines
    assert [line.split()[1] for line in said if line.startswith("Name:")] == ["filebeat-ds", "zz-other"]


def test_a_pod(running):
    space = running
    pod = space.get("pods")["items"][0]
    said = space.kubectl("describe", "pod", pod["metadata"]["name"]).stdout
    for line in (f"Node:             {pod['spec']['nodeName']}/{pod['status']['hostIP']}", "Status:           Running",
                 "Controlled By:  DaemonSet/filebeat-ds", "QoS Class:                   Burstable",
                 "Node-Selectors:              muster.dev/pool=default-pool",
                 "    State:          Running", "    Ready:          True", "    Restart Count:  0"):
        assert line in said, line
    tolerations = said[said.index("Tolerations:"):said.index("Events:")].replace("Tolerations:", "").split("\n")
    assert [line.strip() for line in tolerations if line.strip()] == [
        "node.kubernetes.io/disk-pressure:NoSchedule op=Exists", "node.kubernetes.io/memory-pressure:NoSchedule op=Exists",
        "node.kubernetes.io/not-ready:NoExecute op=Exists", "node.kubernetes.io/pid-pressure:NoSchedule op=Exists",
        "node.kubernetes.io/unreachable:NoExecute op=Exists", "node.kubernetes.io/unschedulable:NoSchedule op=Exists"]
    events = [line.split() for line in said[said.index("Events:"):].splitlines()[3:]]
    # A node pulls an image only when it has it not yet.
    assert [(one[1], one[3]) for one in events if one[1] != "Pulling"] == [
        ("Scheduled", "default-scheduler"), ("Pulled", "kubelet"), ("Created", "kubelet"), ("Started", "kubelet")]


@rows(195, 206)
def test_a_node(running):
    space = running
    pod = space.get("pods")["items"][0]
    said = space.cluster.kubectl("describe", "node", pod["spec"]["nodeName"]).stdout
    for line in ("Roles:              <none>", "Unschedulable:      false", "Capacity:", "Allocatable:", "System Info:",
                 "Non-terminated Pods:", "Allocated resources:", "PodCIDR:"):
        assert line in said, line
    for condition in ("MemoryPressure   False", "DiskPressure     False", "PIDPressure      False", "Ready            True"):
        assert condition in said
    row = next(line for line in said.splitlines() if pod["metadata"]["name"] in line)
    assert row.split()[:2] == [space.name, pod["metadata"]["name"]] and "50m (1%)" in row and "300Mi" in row


@rows(191)
def test_explain_tells_the_fields(cluster):
    needs_kubectl(1, 27)  # older ones read the second version of OpenAPI
    said = cluster.kubectl("explain", "daemonSet.spec.updateStrategy").lines
    assert said[:3] == ["GROUP:      apps", "KIND:       DaemonSet", "VERSION:    v1"]
    assert "FIELD: updateStrategy <DaemonSetUpdateStrategy>" in said
    fields = said[said.index("FIELDS:"):]
    assert [line.split()[0] for line in fields if "\t<" in line] == ["rollingUpdate", "type"]
    every = cluster.kubectl("explain", "ds", "--recursive").stdout
    assert all(word in every for word in ("maxUnavailable", "nodeSelector", "revisionHistoryLimit", "numberMisscheduled"))
    said = cluster.kubectl("explain", "ds.spec.colour", fails=True)
    assert said.stderr.strip() == 'error: field "colour" does not exist'


def test_what_is_not_there(space):
    said = space.kubectl("describe", "ds", "nobody", fails=True)
    assert said.stderr.strip() == 'Error from server (NotFound): daemonsets.apps "nobody" not found'
    assert space.kubectl("describe", "ds").stderr.strip() == f"No resources found in {space.name} namespace."
