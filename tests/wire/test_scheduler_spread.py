"""Where pods go because of other pods, and what they are told that can not: with the real kubectl."""
WEB = {"matchLabels": {"app": "web"}}
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def deployment(space, name, replicas, **spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"nodeSelector": {"test": space.name}, "terminationGracePeriodSeconds": 0, **spec,
                                           "containers": [{"name": "a", "image": "a:1"}]}}}}


def nodes_with(space, selector, count):
    def holds(there):
        return sum(bool(one["spec"].get("nodeName")) for one in there.values()) == count
    return [one["spec"].get("nodeName") for one in space.until("pods", holds, "-l", selector)[-1].values()]


def apart(key):
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": WEB, "topologyKey": key}]}}


def test_pods_apart_fill_the_hosts_and_one_waits_until_a_node_comes(cluster, space, pool):
    nodes = pool(3)
    space.apply(deployment(space, "web", 4, affinity=apart(HOST)))
    assert sorted(filter(None, nodes_with(space, "app=web", 3))) == nodes
    space.until("events", lambda there: any(one["reason"] == "FailedScheduling" for one in there.values()))
    total = len(cluster.kubectl("get", "nodes", "-o", "name").lines)
    message = space.events("FailedScheduling", "web-")[0]
    assert message == (
        f"0/{total} nodes are available: 3 node(s) didn't match pod anti-affinity rules, {total - 3} node(s) didn't match Pod's "
        f"node affinity/selector. preemption: 0/{total} nodes are available: 3 No preemption victims found for incoming pod, "
        f"{total - 3} Preemption is not helpful for scheduling.")
    other, = pool(1)
    assert sorted(nodes_with(space, "app=web", 4)) == sorted([*nodes, other])


def test_pods_that_others_keep_away(cluster, space, pool):
    """The pod that is there says that it wants to be alone; the one that comes says nothing."""
    node, = pool(1)
    space.apply(deployment(space, "guard", 1, affinity=apart(HOST)))
    space.on_nodes("app=guard", node)
    space.apply(deployment(space, "web", 1))
    space.until("events", lambda there: any(
        "1 node(s) didn't satisfy existing pods anti-affinity rules" in one["message"] for one in there.values()))
    space.kubectl("delete", "deploy", "guard")
    space.on_nodes("app=web", node)


def test_pods_are_spread_over_zones(space, pool):
    nodes = pool(4, zones=["east", "west"])
    space.apply(deployment(space, "web", 6, topologySpreadConstraints=[
        {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": WEB}]))
    zone_of = {one["metadata"]["name"]: one["metadata"]["labels"][ZONE]
               for one in space.get("nodes", "-l", f"test={space.name}")["items"]}
    zones = [zone_of[name] for name in nodes_with(space, "app=web", 6)]
    assert len(nodes) == 4 and (zones.count("east"), zones.count("west")) == (3, 3)


def test_pods_that_want_to_be_together(space, pool):
    pool(3)
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": WEB, "topologyKey": HOST}]}}
    space.apply(deployment(space, "web", 3, affinity=near))
    assert len(set(nodes_with(space, "app=web", 3))) == 1
