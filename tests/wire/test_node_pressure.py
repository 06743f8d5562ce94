"""A node that runs out of memory, as kubectl shows it: who was evicted and why, the condition, the taint."""


def test_a_greedy_pod_is_evicted(space, pool):
    (node,) = pool(1, capacity={"memory": "1Gi"})
    greedy = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy", "annotations": {
        "muster.dev/usage": "memory=950Mi"}}, "spec": {"nodeName": node, "containers": [{"name": "app", "image": "web:1"}]}}
    modest = {**greedy, "metadata": {"name": "modest", "annotations": {"muster.dev/usage": "memory=10Mi"}}}
    space.apply(greedy, modest)
    space.until("pods", lambda there: there["greedy"].get("status", {}).get("phase") == "Failed", "--field-selector",
                "metadata.name=greedy")
    told = space.kubectl("describe", "pod", "greedy").stdout
    assert "Status:           Failed\nReason:           Evicted\n" in told
    assert "The node was low on resource: memory. Threshold quantity: 100Mi, available: " in told
    assert "Container app was using 950Mi, request is 0, has larger consumption of memory." in told
    assert "DisruptionTarget            True" in told
    assert len(space.events("Evicted", "greedy")) == 1
    assert space.get("pod", "modest")["status"]["phase"] == "Running"

    def is_kept_away(there):
        return "node.kubernetes.io/memory-pressure" in [one["key"] for one in there[node]["spec"].get("taints", ())]

    space.until("nodes", is_kept_away, "--field-selector", f"metadata.name={node}")
    described = space.kubectl("describe", "node", node).stdout
    assert "KubeletHasInsufficientMemory   kubelet has insufficient memory available" in described
    assert "node.kubernetes.io/memory-pressure:NoSchedule" in described

    late = {**modest, "metadata": {"name": "late"}}
    space.apply(late)
    space.until("pods", lambda there: there["late"].get("status", {}).get("reason") == "Evicted", "--field-selector",
                "metadata.name=late")
    assert space.get("pod", "late")["status"]["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
