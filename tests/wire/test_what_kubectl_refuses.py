"""What kubectl v1.32 says of bad input, to the letter: its own words, and those that come from the server."""
import pytest
from conftest import Space, daemonset

NAME, OWN = "wrong", "kubernetes.io/metadata.name"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
LABEL = ("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
         "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
         "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")
NO_SUCH = "the server could not find the requested resource"
REJECTED = "The request is invalid: the server rejected our request due to an error in our request"
PATCH = "The request is invalid: patch: Invalid value: "
INVALID = 'The Deployment "web" is invalid: '


def workload(kind="Deployment", name="web", **spec):
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def a_pod(name="new", labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **({"labels": labels} if labels else {})},
            "spec": {"containers": [{"name": "main", "image": "web:1"}], **spec}}


def claim(**spec):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}}


@pytest.fixture(scope="module")
def wrong(cluster):
    """A namespace with a Deployment of one revision and a pod, a DaemonSet of one revision, and a claim."""
    cluster.kubectl("create", "ns", NAME)
    space = Space(cluster, NAME)
    space.apply(workload(), daemonset("agent", nodeSelector={"muster.dev/pool": "nowhere"}), claim(storageClassName="none"))
    space.kubectl("rollout", "status", "deploy/web")
    yield space
    cluster.kubectl("delete", "ns", NAME, "--wait=false")


@pytest.mark.parametrize(("command", "said"), [
    pytest.param("get gizmos", 'error: the server doesn\'t have a resource type "gizmos"', id="no such kind"),
    pytest.param("get pod nobody", 'Error from server (NotFound): pods "nobody" not found', id="get"),
    pytest.param("get deploy web --subresource=nothing", f"Error from server (NotFound): {NO_SUCH}", id="subresource"),
    pytest.param("get --raw /apis/nothing/v1", f"Error from server (NotFound): {NO_SUCH}", id="raw"),
    pytest.param("get pods -l a=b=c",
                 'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "a=b=c", '
                 'field selector "": found \'=\', expected: \',\' or \'end of string\'', id="label selector"),
    pytest.param("get pods --field-selector=foo=bar",
                 'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", field '
                 'selector "foo=bar": field label not supported: foo', id="field selector"),
    pytest.param("delete pod nobody --force --grace-period=0",
                 "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. "
                 "The resource may continue to run on the cluster indefinitely.\n"
                 'Error from server (NotFound): pods "nobody" not found', id="delete at once"),
    pytest.param("delete ns kube-system",
                 "Warning: deleting cluster-scoped resources, not scoped to the provided namespace\n"
                 'Error from server (Forbidden): namespaces "kube-system" is forbidden: this namespace may not be deleted',
                 id="a namespace that stays"),
    pytest.param("scale ds/agent --replicas=2", f"Error from server (NotFound): {NO_SUCH}", id="scale a DaemonSet"),
    pytest.param("scale deploy/web --replicas=2 --current-replicas=5", "error: Expected replicas to be 5, was 1",
                 id="scale from another number"),
    pytest.param("rollout undo deploy/web --to-revision=99", "error: unable to find specified revision 99 in history",
                 id="undo to no revision"),
    pytest.param("rollout undo ds/agent --to-revision=99", "error: unable to find specified revision 99 in history",
                 id="undo a DaemonSet to no revision"),
    pytest.param("rollout undo ds/agent", "error: no last revision to roll back to", id="nothing before"),
    pytest.param("rollout undo deploy/web", 'error: no rollout history found for deployment "web"', id="no history"),
    pytest.param("rollout history ds/agent --revision=99", "error: unable to find the specified revision", id="history"),
    pytest.param("rollout status deploy/web --revision=99",
                 "error: desired revision (99) is different from the running revision (1)", id="status of a revision"),
    pytest.param("rollout pause ds/agent", 'error: daemonsets.apps "agent" pausing is not supported', id="pause"),
    pytest.param("set image deploy/web other=x", 'error: unable to find container named "other"', id="image of another"),
    pytest.param("set image deploy/web main=",
                 'error: failed to patch image update to pod template: Deployment.apps "web" is invalid: '
                 "spec.template.spec.containers[0].image: Required value", id="no image"),
    pytest.param("set resources deploy/web --limits=cpu=1 --requests=cpu=2",
                 'error: failed to patch resources update to pod template Deployment.apps "web" is invalid: '
                 'spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to '
                 "cpu limit of 1", id="requests beyond limits"),
    pytest.param("label deploy/web a=-", f'error: invalid label value: "a=-": {LABEL}', id="label"),
    pytest.param(f"label ns {NAME} {OWN}=x", f"error: '{OWN}' already has a value ({NAME}), and --overwrite is false",
                 id="a label that is there"),
    pytest.param("taint node nobody a=b:NoSchedule", 'Error from server (NotFound): nodes "nobody" not found', id="taint"),
    pytest.param("autoscale ds/agent --max=2",
                 "error: cannot autoscale a DaemonSet: could not find scale subresource for apps/v1, Resource=daemonsets in "
                 "discovery information", id="autoscale a DaemonSet"),
    pytest.param("expose deploy/web --port=80 --type=Wild",
                 'The Service "web" is invalid: spec.type: Unsupported value: "Wild": supported values: "ClusterIP", '
                 '"ExternalName", "LoadBalancer", "NodePort"', id="service type"),
    pytest.param("wait deploy/web --for=condition=Nothing --timeout=1s",
                 "error: timed out waiting for the condition on deployments/web", id="wait"),
    pytest.param("exec deploy/web -c other -- ls",
                 "Error from server (BadRequest): container other is not valid for pod POD", id="exec into another"),
    pytest.param("exec nobody -- ls", 'Error from server (NotFound): pods "nobody" not found', id="exec"),
    pytest.param("logs nobody", f'error: error from server (NotFound): pods "nobody" not found in namespace "{NAME}"',
                 id="logs"),
    pytest.param("logs deploy/web -p",
                 'Error from server (BadRequest): previous terminated container "main" in pod "POD" not found',
                 id="logs of before"),
    pytest.param("port-forward nobody 8080", 'Error from server (NotFound): pods "nobody" not found', id="port-forward"),
    pytest.param("create token nobody", 'error: failed to create token: serviceaccounts "nobody" not found', id="token"),
    pytest.param("create quota q --hard=foo=1",
                 'error: failed to create quota: ResourceQuota "q" is invalid: spec.hard[foo]: Invalid value: "foo": must be '
                 "a standard resource for quota", id="quota"),
    pytest.param("create cronjob c --image=x --schedule=often",
                 'error: failed to create cronjob: CronJob.batch "c" is invalid: spec.schedule: Invalid value: "often": '
                 "expected exactly 5 fields, found 1: [often]", id="schedule"),
    pytest.param("drain nobody", 'Error from server (NotFound): nodes "nobody" not found', id="drain"),
    pytest.param("patch deploy web -p {\"spec\":",
                 "Error from server (BadRequest): unexpected end of JSON input", id="patch: cut short"),
    pytest.param("patch deploy web -p [1]",
                 "Error from server (BadRequest): json: cannot unmarshal array into Go value of type map[string]interface {}",
                 id="patch: a list"),
    pytest.param('patch deploy web -p {"spec":{"replicas":"x"}}',
                 PATCH + '"map[spec:map[replicas:x]]": unrecognized type: int32', id="patch: text for a number"),
    pytest.param('patch deploy web -p {"metadata":{"labels":{"a":1}}}',
                 PATCH + '"map[metadata:map[labels:map[a:1]]]": cannot convert int64 to string', id="patch: a number for text"),
    pytest.param('patch deploy web -p {"spec":{"selector":{"matchLabels":{"a":"b"}}}}',
                 INVALID + '\n* spec.template.metadata.labels: Invalid value: map[string]string{"app":"web"}: `selector` does '
                 "not match template `labels`\n* spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string"
                 '{"a":"b", "app":"web"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable',
                 id="patch: the selector"),
    pytest.param('patch deploy web --type=merge -p {"metadata":{"name":"x"}}',
                 "Error from server (BadRequest): the name of the object (x) does not match the name on the URL (web)",
                 id="patch: the name"),
    pytest.param('patch deploy web --type=merge -p {"metadata":{"resourceVersion":"1"}}',
                 'Error from server (Conflict): Operation cannot be fulfilled on deployments.apps "web": the object has been '
                 "modified; please apply your changes to the latest version and try again", id="patch: an older one"),
    pytest.param("patch deploy web --type=merge -p {\"spec\":",
                 "Error from server (BadRequest): error decoding patch: unexpected end of JSON input", id="merge: cut short"),
    pytest.param('patch deploy web --type=json -p {"op":"remove"}',
                 "Error from server (BadRequest): error decoding patch: json: cannot unmarshal object into Go value of type "
                 "[]handlers.jsonPatchOp", id="json: no list"),
    pytest.param('patch deploy web --type=json -p [{"op":"increase","path":"/spec/replicas"}]', REJECTED, id="json: unknown"),
    pytest.param('patch deploy web --type=json -p [{"op":"test","path":"/spec/replicas","value":7}]', REJECTED,
                 id="json: a test that fails"),
    pytest.param('patch pvc data -p {"spec":{"accessModes":["ReadWriteMany"]}}',
                 'The PersistentVolumeClaim "data" is invalid: spec: Forbidden: spec is immutable after creation except '
                 "resources.requests and volumeAttributesClassName for bound claims\n"
                 '- spec.accessModes[0]: "ReadWriteOnce"\n+ spec.accessModes[0]: "ReadWriteMany"', id="patch: a claim"),
])
def test_commands(wrong, command, said):
    (pod,) = [one["metadata"]["name"] for one in wrong.get("pods", "-l", "app=web")["items"]]
    assert wrong.kubectl(*command.split(), fails=True).stderr.strip() == said.replace("POD", pod)


@pytest.mark.parametrize(("given", "said"), [
    pytest.param({"apiVersion": "v1", "metadata": {"name": "x"}},
                 'error: error validating "STDIN": error validating data: kind not set; if you choose to ignore these errors, '
                 "turn validation off with --validate=false", id="no kind"),
    pytest.param(a_pod(colour="blue"),
                 'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a '
                 'Pod: strict decoding error: unknown field "spec.colour"', id="unknown field"),
    pytest.param(workload(name="new", replicas="three"),
                 'Error from server (BadRequest): error when creating "STDIN": Deployment in version "v1" cannot be handled '
                 "as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type "
                 "int32", id="text for a number"),
    pytest.param(workload(name="new", replicas=-1),
                 'The Deployment "new" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
                 id="negative"),
    pytest.param(workload(name="new", selector=None),
                 'The Deployment "new" is invalid: \n* spec.selector: Required value\n* spec.template.metadata.labels: Invalid '
                 'value: map[string]string{"app":"web"}: `selector` does not match template `labels`', id="no selector"),
    pytest.param(a_pod("n" * 254),
                 f'The Pod "{"n" * 254}" is invalid: metadata.name: Invalid value: "{"n" * 254}": must be no more than 253 '
                 "bytes", id="a long name"),
    pytest.param(a_pod(labels={"a": "b c"}),
                 f'The Pod "new" is invalid: metadata.labels: Invalid value: "b c": {LABEL}', id="label"),
    pytest.param(a_pod(restartPolicy="Sometimes"),
                 'The Pod "new" is invalid: spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", '
                 '"OnFailure", "Never"', id="restart policy"),
    pytest.param(a_pod(containers=[]), 'The Pod "new" is invalid: spec.containers: Required value', id="no containers"),
    pytest.param(a_pod(serviceAccountName="nobody"),
                 f'Error from server (Forbidden): error when creating "STDIN": pods "new" is forbidden: error looking up '
                 f'service account {NAME}/nobody: serviceaccount "nobody" not found', id="no account"),
    pytest.param(a_pod(priorityClassName="none"),
                 'Error from server (Forbidden): error when creating "STDIN": pods "new" is forbidden: no PriorityClass with '
                 "name none was found", id="no priority class"),
    pytest.param(workload("DaemonSet", "new", template={**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}),
                 'The DaemonSet "new" is invalid: spec.template.spec.restartPolicy: Unsupported value: "Never": supported '
                 'values: "Always"', id="a daemon that ends"),
])
def test_objects(wrong, given, said):
    assert wrong.kubectl("apply", "-f", "-", given=given, fails=True).stderr.strip() == said


def test_a_scale_in_columns(wrong):
    assert wrong.kubectl("get", "deploy", "web", "--subresource=scale").lines[0].split() == [
        "NAME", "DESIRED", "AVAILABLE", "AGE"]
    (row,) = wrong.kubectl("get", "deploy", "web", "--subresource=scale").table
    assert (row["NAME"], row["DESIRED"], row["AVAILABLE"]) == ("web", "1", "1")
    (row,) = wrong.kubectl("get", "deploy", "web", "--subresource=status").table
    assert row["READY"] == "1/1"
