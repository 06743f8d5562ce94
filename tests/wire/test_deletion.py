"""What `kubectl delete` leaves behind, and who takes care of it."""
from conftest import daemonset, is_ready

from rows import rows

POOL = {"muster.dev/pool": "default-pool"}  # other tests add nodes of their own


def agent(image="agent:1", **more):
    return daemonset("agent", image, nodeSelector=POOL, **more)


def settled(space, image="agent:1"):
    space.apply(agent(image))
    space.settled("agent", 4)
    return names(space)


def names(space, *arguments):
    return sorted(pod["metadata"]["name"] for pod in space.get("pods", *arguments)["items"])


def gone(space, *what):
    space.kubectl("wait", "--for=delete", *what, "--timeout=30s")


def orphaned(space, *policy):
    """Deletes the set but not its pods, and waits until nobody owns them."""
    said = space.kubectl("delete", "daemonset", "agent", *policy)
    assert said.lines == ['daemonset.apps "agent" deleted']
    space.until("pods", lambda there: len(there) == 4 and all(
        "ownerReferences" not in pod["metadata"] and "deletionTimestamp" not in pod["metadata"]
        for pod in there.values()))
    return said


@rows(7, 89)
def test_deleting_the_set_deletes_its_pods(space):
    pods = settled(space)
    assert space.kubectl("delete", "daemonset", "agent").lines == ['daemonset.apps "agent" deleted']
    gone(space, *(f"pod/{name}" for name in pods))
    assert space.kubectl("get", "all").stderr.strip() == f"No resources found in {space.name} namespace."
    revisions = space.get("controllerrevisions")["items"]
    if revisions:
        gone(space, *(f"controllerrevision/{one['metadata']['name']}" for one in revisions))


def test_foreground_the_set_goes_last(space):
    pods = settled(space)
    space.kubectl("patch", "pod", pods[0], "-p", '{"metadata":{"finalizers":["example.com/hold"]}}')
    space.kubectl("delete", "ds", "agent", "--cascade=foreground", "--wait=false")
    gone(space, *(f"pod/{name}" for name in pods[1:]))
    marked = space.get("ds", "agent")["metadata"]
    assert marked["finalizers"] == ["foregroundDeletion"] and marked["deletionTimestamp"]
    space.kubectl("patch", "pod", pods[0], "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    gone(space, "ds/agent", f"pod/{pods[0]}")


def test_background_is_told_at_once(space):
    pods = settled(space)
    space.kubectl("delete", "ds", "agent", "--cascade=background", "--wait=false")
    assert space.kubectl("get", "ds").stderr.strip() == f"No resources found in {space.name} namespace."
    gone(space, *(f"pod/{name}" for name in pods))


@rows("90-91", 194)
def test_cascade_false_leaves_the_pods_and_the_next_set_adopts_them(space):
    pods = settled(space)
    said = orphaned(space, "--cascade=false")
    assert "warning: --cascade=false is deprecated" in said.stderr
    assert names(space) == pods
    assert {row["STATUS"] for row in space.kubectl("get", "pods").table} == {"Running"}
    space.apply(agent())
    space.settled("agent", 4)
    assert names(space) == pods, "the same pods: adopted, not made anew"
    uid = space.get("ds", "agent")["metadata"]["uid"]
    owners = [pod["metadata"]["ownerReferences"] for pod in space.get("pods")["items"]]
    assert owners == 4 * [[{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": uid,
                            "controller": True, "blockOwnerDeletion": True}]]
    space.kubectl("delete", "ds", "agent")
    gone(space, *(f"pod/{name}" for name in pods))


@rows(90, 92)
def test_adopted_pods_of_another_template_are_rolled(space):
    pods = settled(space)
    orphaned(space, "--cascade=orphan")
    space.apply(agent("agent:2"))
    space.rolled_out("agent")
    space.settled("agent", 4)
    shown = space.get("pods")["items"]
    assert {pod["spec"]["containers"][0]["image"] for pod in shown} == {"agent:2"}
    assert not {pod["metadata"]["name"] for pod in shown} & set(pods)
    events = space.get("events", "--field-selector", "reason=SuccessfulDelete,involvedObject.kind=DaemonSet")["items"]
    assert sorted(one["message"] for one in events) == [f"Deleted pod: {name}" for name in pods]


@rows(8, 204)
def test_a_pod_deleted_by_hand_comes_back_on_its_node(space):
    pods = settled(space)
    victim = space.get("pod", pods[0])
    assert space.kubectl("delete", "po", pods[0]).lines == [f'pod "{pods[0]}" deleted']
    space.settled("agent", 4)
    (fresh,) = set(names(space)) - set(pods)
    assert space.get("pod", fresh)["spec"]["nodeName"] == victim["spec"]["nodeName"]


def test_grace_force_and_several_at_once(space):
    slow = {"muster.dev/stop": "1h"}
    manifest = agent()
    manifest["spec"]["template"]["metadata"]["annotations"] = slow
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 3600
    space.apply(manifest)
    space.settled("agent", 4)
    first, second, *others = names(space)
    space.kubectl("delete", "pod", first, "--wait=false")
    shown = space.get("pod", first)
    assert shown["metadata"]["deletionGracePeriodSeconds"] == 3600 and is_ready(shown)
    assert {row["STATUS"] for row in space.kubectl("get", "pod", first).table} == {"Terminating"}
    space.kubectl("delete", "pod", second, "--grace-period=600", "--wait=false")
    assert space.get("pod", second)["metadata"]["deletionGracePeriodSeconds"] == 600
    # It may be hurried, and then it goes at once.
    said = space.kubectl("delete", "pod", first, "--force", "--grace-period=0")
    assert "Immediate deletion does not wait for confirmation" in said.stderr
    assert said.lines == [f'pod "{first}" force deleted']
    gone(space, f"pod/{first}")
    space.kubectl("delete", "pod", second, "--now", "--wait=false")
    space.kubectl("delete", "ds", "agent", "--wait=false")
    said = space.kubectl("delete", "pods", "-l", "app=agent", "--force", "--grace-period=0")
    assert {line.split()[1] for line in said.lines} >= {f'"{name}"' for name in others}
    assert names(space) == []


def test_what_can_not_be_deleted(space):
    said = space.kubectl("delete", "ds", "nobody", fails=True)
    assert said.stderr.strip() == 'Error from server (NotFound): daemonsets.apps "nobody" not found'
    assert space.kubectl("delete", "ds", "nobody", "--ignore-not-found").stdout == ""
    assert space.kubectl("delete", "ds", "--all").lines == ["No resources found"]
    settled(space)
    said = space.kubectl("delete", "ds", "agent", "--dry-run=server")
    assert said.lines == ['daemonset.apps "agent" deleted (server dry run)']
    assert space.kubectl("delete", "ds", "agent", "--dry-run=client").lines \
        == ['daemonset.apps "agent" deleted (dry run)']
    assert "deletionTimestamp" not in space.get("ds", "agent")["metadata"]
    said = space.kubectl("delete", "ns", "kube-system", fails=True)
    assert 'namespaces "kube-system" is forbidden: this namespace may not be deleted' in said.stderr


def test_a_finalizer_holds_the_set(space):
    space.apply(agent(metadata={"finalizers": ["example.com/hold"]}))
    space.settled("agent", 4)
    space.kubectl("delete", "ds", "agent", "--wait=false")
    held = space.get("ds", "agent")["metadata"]
    assert held["deletionTimestamp"] and held["finalizers"] == ["example.com/hold"]
    space.kubectl("patch", "ds", "agent", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    gone(space, "ds/agent")


def test_deleting_a_namespace_deletes_what_is_in_it(cluster, space):
    name = f"{space.name}-whole"
    cluster.kubectl("create", "ns", name)
    cluster.kubectl("-n", name, "apply", "-f", "-", given=agent())
    cluster.kubectl("-n", name, "rollout", "status", "ds", "agent", "--timeout=50s")
    assert cluster.kubectl("delete", "ns", name).lines == [f'namespace "{name}" deleted']
    assert cluster.kubectl("get", "ns", name, fails=True).stderr.strip() \
        == f'Error from server (NotFound): namespaces "{name}" not found'
    assert cluster.kubectl("-n", name, "get", "ds,pods,events", "-o", "name").stdout == ""
