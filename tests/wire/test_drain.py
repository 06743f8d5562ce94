"""Budgets and drains by kubectl: what is asked for is written, what it guards stays, and a drain waits for its turn."""
import json

import pytest
from conftest import daemonset, is_ready

VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."


def workload(space, kind="Deployment", name="web", replicas=3, volumes=(), **spec):
    """It runs on the test's own nodes."""
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, **spec,
                     "template": {"metadata": {"labels": labels}, "spec": {
                         "nodeSelector": {"test": space.name}, "volumes": list(volumes),
                         "containers": [{"name": "main", "image": "web:1"}]}}}}


def budget(name="web", app="web", **spec):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": app}}, **spec}}


def ready(space, count, app="web"):
    """Waits until so many pods are ready; returns them by name."""
    return space.until("pods", lambda there: len(there) == count and all(map(is_ready, there.values())),
                       "-l", f"app={app}")[-1]


def allows(space, count, name="web"):
    space.until("pdb", lambda there: there.get(name, {}).get("status", {}).get("disruptionsAllowed") == count
                and there[name]["status"].get("observedGeneration") == there[name]["metadata"]["generation"], name)


def evict(space, pod, **more):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": space.name}}
    return space.kubectl("create", "--raw", f"/api/v1/namespaces/{space.name}/pods/{pod}/eviction", "-f", "-", given=body,
                         **more)


def test_a_budget(space, pool):
    """create, get, describe and apply, with what kubectl prints."""
    pool(2)
    said = space.kubectl("create", "pdb", "web", "--selector=app=web", "--max-unavailable=1").lines
    assert said == ["poddisruptionbudget.policy/web created"]
    space.apply(workload(space))
    ready(space, 3)
    allows(space, 1)
    row, = space.kubectl("get", "pdb").table
    assert {**row, "AGE": ""} == {"NAME": "web", "MIN AVAILABLE": "N/A", "MAX UNAVAILABLE": "1", "ALLOWED DISRUPTIONS": "1",
                                  "AGE": ""}
    told = space.kubectl("describe", "pdb", "web").lines
    assert told[:9] == ["Name:             web", f"Namespace:        {space.name}", "Max unavailable:  1",
                        "Selector:         app=web", "Status:", "    Allowed disruptions:  1", "    Current:              3",
                        "    Desired:              2", "    Total:                3"]
    space.kubectl("patch", "pdb", "web", "--type=merge", "-p", '{"spec":{"maxUnavailable":null,"minAvailable":"100%"}}')
    allows(space, 0)
    row, = space.kubectl("get", "poddisruptionbudgets").table
    assert (row["MIN AVAILABLE"], row["MAX UNAVAILABLE"], row["ALLOWED DISRUPTIONS"]) == ("100%", "N/A", "0")


@pytest.mark.parametrize(("spec", "said"), [
    ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable and maxUnavailable cannot be both set"),
    ({"minAvailable": "a few"}, 'spec.minAvailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"a few"}: a valid percent string must be a numeric string'),
    ({"maxUnavailable": -1}, "spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0"),
    ({"unhealthyPodEvictionPolicy": "Never"}, 'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: '
     '"AlwaysAllow", "IfHealthyBudget"'),
])
def test_a_budget_that_can_not_be(space, spec, said):
    told = space.kubectl("create", "-f", "-", given=budget(**spec), fails=True).stderr
    assert 'The PodDisruptionBudget "web" is invalid: spec' in told and said in told


def test_an_eviction_that_a_budget_refuses(space, pool):
    pool(1)
    space.apply(workload(space, replicas=2), budget(minAvailable=2))
    pod, other = ready(space, 2)
    allows(space, 0)
    assert evict(space, pod, fails=True).stderr == f"Error from server (TooManyRequests): {VIOLATION}\n"
    space.kubectl("patch", "pdb", "web", "--type=merge", "-p", '{"spec":{"minAvailable":1}}')
    allows(space, 1)
    assert json.loads(evict(space, pod).stdout) == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    ready(space, 2)
    space.apply(budget("all", maxUnavailable=1))
    allows(space, 1, "all")
    assert "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support." in evict(
        space, other, fails=True).stderr


def test_a_drain_waits_for_its_turn(space, pool):
    """Deployments and sets with budgets leave two nodes one by one, and no daemon goes."""
    cluster, nodes = space.cluster, pool(4)
    space.apply(workload(space, replicas=4), budget(maxUnavailable=1),
                workload(space, "StatefulSet", "db", 3, serviceName="db"), budget("db", "db", minAvailable=2),
                daemonset("agent", nodeSelector={"test": space.name}))
    space.settled("agent", 4)
    ready(space, 4), ready(space, 3, "db")
    allows(space, 1), allows(space, 1, "db")
    before = space.pods("app=agent")
    with space.watching("pdb", "-o", "custom-columns=HAS:.status.currentHealthy,NEEDS:.status.desiredHealthy",
                        "--no-headers") as lines:
        drained = cluster.kubectl("drain", *nodes[:2], "--ignore-daemonsets", "--timeout=50s")
        assert [line for line in drained.lines if line.endswith(" drained")] == [f"node/{node} drained" for node in nodes[:2]]
        ready(space, 4), ready(space, 3, "db")
        space.kubectl("create", "pdb", "last", "--selector=app=none", "--min-available=0")
        seen = []
        for line in lines:
            if line.split()[1:] == ["0"]:
                break
            seen.append(tuple(map(int, line.split())))
    assert seen and all(has >= needs for has, needs in seen), seen
    assert f"evicting pod {space.name}/" in drained.stdout and "ignoring DaemonSet-managed Pods" in drained.stderr
    where = {pod["spec"]["nodeName"] for app in ("web", "db") for pod in ready(space, 4 if app == "web" else 3, app).values()}
    assert where <= set(nodes[2:])
    assert {node: pod["metadata"]["uid"] for node, pod in space.pods("app=agent").items()} == {
        node: pod["metadata"]["uid"] for node, pod in before.items()}
    assert cluster.kubectl("uncordon", nodes[0]).lines == [f"node/{nodes[0]} uncordoned"]
    assert cluster.kubectl("get", "node", nodes[0]).table[0]["STATUS"] == "Ready"


def test_what_a_drain_has_to_be_told(space, pool):
    cluster, (node,) = space.cluster, pool(1)
    alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"},
             "spec": {"nodeName": node, "containers": [{"name": "main", "image": "web:1"}]}}
    space.apply(workload(space, replicas=1, volumes=[{"name": "scratch", "emptyDir": {}}]), budget(maxUnavailable=0),
                workload(space, "StatefulSet", "db", 1, serviceName="db"), alone)
    web, = ready(space, 1)
    ready(space, 1, "db")
    space.kubectl("wait", "--for=condition=Ready", "pod/alone", "--timeout=30s")
    allows(space, 0)
    told = cluster.kubectl("drain", node, fails=True).stderr
    assert f"cannot delete Pods with local storage (use --delete-emptydir-data to override): {space.name}/{web}" in told
    assert f"cannot delete Pods that declare no controller (use --force to override): {space.name}/alone" in told
    done = cluster.kubectl("drain", node, "--pod-selector=app=db", "--grace-period=1", "--timeout=30s")
    assert "pod/db-0 evicted" in done.lines and done.lines[-1] == f"node/{node} drained"
    told = cluster.kubectl("drain", node, "--force", "--delete-emptydir-data", "--timeout=1s", fails=True)
    assert f'error when evicting pods/"{web}" -n "{space.name}" (will retry after 5s): {VIOLATION}' in told.stderr
    assert f"evicting pod {space.name}/alone" in told.lines
    assert f'pods/"{web}" -n "{space.name}": global timeout reached: 1s' in told.stderr
    done = cluster.kubectl("drain", node, "--delete-emptydir-data", "--disable-eviction", "--timeout=30s")
    assert f"pod/{web} deleted" in done.lines and done.lines[-1] == f"node/{node} drained"


def test_a_pod_says_why_it_goes(space, pool):
    pool(1, {"stop": "1s"})
    space.apply(workload(space, replicas=1))
    pod, = ready(space, 1)
    with space.watching("pods", "--field-selector", f"metadata.name={pod}", "-o", 'jsonpath={.metadata.deletionTimestamp}{" "}{.status.conditions[?(@.type=="DisruptionTarget")]'
                        '.reason}{"\\n"}') as lines:
        next(lines)  # from here on nothing is missed
        evict(space, pod)
        said = []
        for line in lines:
            said.append(line.rstrip("\n"))
            if line.split() and "T" in line.split()[0] and line.split()[0][0].isdigit():
                break
    assert " EvictionByEvictionAPI" in said[:-1] and said[-1].endswith(" EvictionByEvictionAPI")
