"""ResourceQuotas and LimitRanges as kubectl makes, shows and meets them."""
import re


def pod(name, requests=None, limits=None):
    resources = {field: given for field, given in (("requests", requests), ("limits", limits)) if given}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "containers": [{"name": "app", "image": "web:1", "resources": resources}]}}


def used(space, name, resource, amount):
    space.until("quota", lambda there: there[name].get("status", {}).get("used", {}).get(resource) == amount, name)


def test_a_quota_is_made_shown_and_kept(space):
    said = space.kubectl("create", "quota", "q", "--hard=pods=2,requests.cpu=1,count/deployments.apps=3")
    assert said.lines == ["resourcequota/q created"]
    space.apply(pod("one", {"cpu": "300m"}), pod("two", {"cpu": "300m"}))
    used(space, "q", "pods", "2")
    failed = space.kubectl("create", "-f", "-", given=pod("three", {"cpu": "300m"}), fails=True)
    assert failed.stderr.strip() == (
        'Error from server (Forbidden): error when creating "STDIN": pods "three" is forbidden: exceeded quota: q, '
        "requested: pods=1, used: pods=2, limited: pods=2")
    failed = space.kubectl("create", "-f", "-", given=pod("three"), fails=True)
    assert 'pods "three" is forbidden: failed quota: q: must specify requests.cpu for: app' in failed.stderr
    (row,) = space.kubectl("get", "quota").table
    assert row["REQUEST"] == "count/deployments.apps: 0/3, pods: 2/2, requests.cpu: 600m/1"
    lines = [re.sub(r" +", " ", line) for line in space.kubectl("describe", "quota", "q").lines]
    assert lines == ["Name: q", f"Namespace: {space.name}", "Resource Used Hard", "-------- ---- ----",
                     "count/deployments.apps 0 3", "pods 2 2", "requests.cpu 600m 1"]
    space.kubectl("delete", "pod", "one")
    used(space, "q", "pods", "1")


def test_a_deployment_shows_why_it_lacks_a_pod(space):
    space.kubectl("create", "quota", "small", "--hard=pods=1")
    space.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    past = space.until("deploy", lambda there: any(
        one["type"] == "ReplicaFailure" for one in there["web"].get("status", {}).get("conditions", ())), "web")
    (failure,) = [one for one in past[-1]["web"]["status"]["conditions"] if one["type"] == "ReplicaFailure"]
    assert re.fullmatch(r'pods "web-[a-z0-9]+-[a-z0-9]{5}" is forbidden: exceeded quota: small, requested: pods=1, '
                        r"used: pods=1, limited: pods=1", failure["message"])
    assert "ReplicaFailure   True    FailedCreate" in space.kubectl("describe", "deploy", "web").stdout
    described = space.kubectl("describe", "rs", "-l", "app=web").stdout
    assert re.search(r"Warning +FailedCreate .* Error creating: pods \"web-.* is forbidden: exceeded quota: small", described)


def test_limits_are_given_and_kept(space):
    space.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "250m"}, "min": {"cpu": "100m"},
         "max": {"cpu": "1"}}]}})
    space.apply(pod("plain"))
    made = space.get("pod", "plain")
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "250m"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container app; cpu limit for container app")
    failed = space.kubectl("create", "-f", "-", given=pod("greedy", limits={"cpu": "2"}), fails=True)
    assert 'pods "greedy" is forbidden: maximum cpu usage per Container is 1, but limit is 2' in failed.stderr
    lines = [re.sub(r" +", " ", line).strip() for line in space.kubectl("describe", "limits", "limits").lines]
    assert lines[-1] == "Container cpu 100m 1 250m 500m -"
    space.kubectl("create", "quota", "q", "--hard=pods=9")
    used(space, "q", "pods", "1")
    described = space.kubectl("describe", "ns", space.name).stdout
    assert "Resource Quotas" in described and "Resource Limits" in described
    assert re.search(r"pods +1 +9", described)
