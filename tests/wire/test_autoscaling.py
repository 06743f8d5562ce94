"""`kubectl top` and `kubectl autoscale`: what pods use, and a Deployment that grows with its load."""
import pytest


def test_a_deployment_grows_with_its_load(space):
    space.kubectl("create", "deployment", "web", "--image=web:1")
    space.kubectl("set", "resources", "deployment", "web", "--requests=cpu=100m,memory=10Mi")
    space.kubectl("annotate", "deployment", "web", "muster.dev/usage=load=200m, memory=20Mi")
    space.rolled_out("web", "deploy")
    said = space.kubectl("autoscale", "deployment", "web", "--min=1", "--max=4", "--cpu-percent=100")
    assert said.lines == ["horizontalpodautoscaler.autoscaling/web autoscaled"]
    (row,) = space.kubectl("get", "hpa").table
    assert (row["REFERENCE"], row["TARGETS"], row["MINPODS"], row["MAXPODS"]) == ("Deployment/web", "cpu: <unknown>/100%", "1", "4")
    pod = space.kubectl("get", "pods", "-o", "name").lines[0].removeprefix("pod/")
    young = space.kubectl("top", "pod", pod, fails=True).stderr
    assert f'podmetrics.metrics.k8s.io "{space.name}/{pod}" not found' in young

    space.until("deployments", lambda there: there["web"].get("status", {}).get("readyReplicas") == 2, "web")
    told = space.kubectl("describe", "hpa", "web").stdout
    assert "New size: 2; reason: cpu resource utilization (percentage of request) above target" in told
    assert "resource cpu on pods  (as a percentage of request):" in told and "200% (200m) / 100%" in told
    assert "AbleToScale     True    SucceededRescale" in told

    pod = space.kubectl("top", "pods", "--containers").table[0]
    assert (pod["NAME"], pod["MEMORY(bytes)"]) == ("web", "20Mi")
    older = space.kubectl("get", "horizontalpodautoscalers.v1.autoscaling", "web", "-o", "json").json
    assert older["spec"]["targetCPUUtilizationPercentage"] == 100 and older["status"]["desiredReplicas"] == 2
    assert len(space.kubectl("top", "pods", "-A", "-l", "app=none", fails=False).lines) == 0
    nodes = space.kubectl("top", "nodes", "--sort-by=cpu").table
    assert len(nodes) >= 4 and all(row["CPU(%)"].endswith("%") for row in nodes)


@pytest.mark.parametrize(("arguments", "wrong"), [
    pytest.param(["--max=0"], "--max=MAXPODS is required and must be at least 1", id="kubectl's own"),
    pytest.param(["--max=2", "--cpu-percent=0"], "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: "
                 "must be greater than 0", id="no target"),
])
def test_what_is_refused(space, arguments, wrong):
    space.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=0")
    assert wrong in space.kubectl("autoscale", "deployment", "web", *arguments, fails=True).stderr
