"""What a pod may not say, and the words it is refused with."""
import pytest

from muster.api.kinds.pod import POD
from muster.api.kinds.pod_template import POD_TEMPLATE
from muster.api.validation.pod import validate_pod_template


def container(**fields):
    return {"name": "c", "image": "nginx:1", **fields}


def pod(**spec):
    return POD.defaults({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [container()], **spec}})


def refused(spec, *expected):
    """Each expected text is the beginning of one complaint, in order."""
    found = [str(cause) for cause in POD.validate(pod(**spec))]
    assert len(found) == len(expected), found
    for text, beginning in zip(found, expected, strict=True):
        assert text.startswith(f"spec.{beginning}"), text


FULL = {
    "initContainers": [container(name="sidecar", restartPolicy="Always", startupProbe={"exec": {"command": ["true"]}}),
                       container(name="setup")],
    "containers": [container(
        ports=[{"name": "http", "containerPort": 80}, {"containerPort": 53, "hostPort": 53, "protocol": "UDP"},
               {"containerPort": 53, "hostPort": 53}],
        env=[{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
             {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
             {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
             {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        envFrom=[{"configMapRef": {"name": "x"}, "prefix": "X_"}],
        resources={"requests": {"cpu": "100m", "memory": "200Mi", "example.com/gpu": "1"},
                   "limits": {"cpu": 1, "memory": "300Mi", "example.com/gpu": "1"}},
        livenessProbe={"httpGet": {"port": "http"}}, readinessProbe={"tcpSocket": {"port": 80}, "successThreshold": 2},
        lifecycle={"preStop": {"sleep": {"seconds": 5}}},
        volumeMounts=[{"name": "log", "mountPath": "/var/log", "readOnly": True, "subPath": "a/b"},
                      {"name": "keys", "mountPath": "/keys"}],
        securityContext={"runAsUser": 0, "privileged": True, "allowPrivilegeEscalation": True})],
    "volumes": [{"name": "log", "hostPath": {"path": "/var/log"}},
                {"name": "keys", "projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "m"}}]}}],
    "tolerations": [{"operator": "Exists"}, {"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"},
                    {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    "affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}],
             "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["5"]}]}}]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}]}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "nodeSelector": {"disk": "ssd"}, "priorityClassName": "system-node-critical", "schedulingGates": [{"name": "a/b"}],
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a.b"]}], "dnsConfig": {"nameservers": ["1.1.1.1"]},
    "securityContext": {"runAsNonRoot": True, "fsGroup": 5, "sysctls": [{"name": "net.core.somaxconn", "value": "1"}],
                        "seccompProfile": {"type": "RuntimeDefault"}},
    "serviceAccountName": "robot", "activeDeadlineSeconds": 5, "terminationGracePeriodSeconds": 60,
}


def test_a_pod_that_uses_nearly_everything():
    refused(FULL)


@pytest.mark.parametrize("spec, expected", [
    pytest.param({"containers": []}, ["containers: Required value"], id="no containers"),
    pytest.param({"restartPolicy": "Sometimes"}, [
        'restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
        id="restart"),
    pytest.param({"dnsPolicy": "None"}, ["dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is "
                                         "None"],
                 id="no name servers"),
    pytest.param({"dnsConfig": {"nameservers": ["x", "1.1.1.1", "2.2.2.2", "3.3.3.3"], "options": [{}]}}, [
        'dnsConfig.nameservers: Invalid value: []string{"x", "1.1.1.1", "2.2.2.2", "3.3.3.3"}: must not have more than 3 '
        'nameservers',
        'dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address',
        "dnsConfig.options[0]: Required value: must not be empty"], id="DNS"),
    pytest.param({"nodeSelector": {"a b": "c"}}, ['nodeSelector: Invalid value: "a b": name part must'], id="selector"),
    pytest.param({"nodeName": "N1"}, ['nodeName: Invalid value: "N1": a lowercase RFC 1123 subdomain'], id="node"),
    pytest.param({"activeDeadlineSeconds": 0},
                 ["activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
                 id="deadline"),
    pytest.param({"hostname": "a.b"}, ['hostname: Invalid value: "a.b": must not contain dots'], id="hostname"),
    pytest.param({"priorityClassName": "Big"}, ['priorityClassName: Invalid value: "Big": a lowercase'], id="priority"),
    pytest.param({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, ['schedulingGates[1]: Duplicate value: "a"'],
                 id="gates"),
    pytest.param({"hostAliases": [{"ip": "x", "hostnames": ["A"]}]}, [
        'hostAliases[0].ip: Invalid value: "x": must be a valid IP', 'hostAliases[0].hostnames[0]: Invalid value: "A"'],
        id="aliases"),
    pytest.param({"hostNetwork": True, "containers": [container(ports=[{"containerPort": 80, "hostPort": 81}])]}, [
        "containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"],
        id="host network"),
    pytest.param({"os": {"name": "plan9"}}, ['os: Unsupported value: "plan9": supported values: "linux", "windows"'],
                 id="operating system"),
    pytest.param({"preemptionPolicy": "Maybe"}, ['preemptionPolicy: Unsupported value: "Maybe": supported values: '
                                                 '"PreemptLowerPriority", "Never"'], id="preemption"),
    pytest.param({"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}, [
        "volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName "
        "is not set"], id="token of nobody"),
])
def test_the_spec_as_a_whole(spec, expected):
    refused(spec, *expected)


@pytest.mark.parametrize("given, expected", [
    pytest.param({"name": ""}, ["name: Required value"], id="nameless"),
    pytest.param({"name": "C"}, ['name: Invalid value: "C": a lowercase RFC 1123 label'], id="name"),
    pytest.param({"image": ""}, ["image: Required value"], id="no image"),
    pytest.param({"image": " nginx"}, ['image: Invalid value: " nginx": must not have leading or trailing whitespace'],
                 id="blank before the image"),
    pytest.param({"imagePullPolicy": "Never ever"}, ['imagePullPolicy: Unsupported value: "Never ever": supported '
                                                     'values: '
                                                     '"Always", "IfNotPresent", "Never"'], id="pull policy"),
    pytest.param({"ports": [{}, {"containerPort": 70000}, {"containerPort": 1, "protocol": "tcp", "hostPort": -1}]}, [
        "ports[0].containerPort: Required value",
        "ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        "ports[2].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
        'ports[2].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'], id="ports"),
    pytest.param({"ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]},
                 ['ports[1].name: Duplicate value: "a"'], id="port names"),
    pytest.param({"ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]},
                 ['ports[1].hostPort: Duplicate value: "TCP//5"'], id="host ports"),
    pytest.param({"env": [{"name": ""}, {"name": "a=b"}]}, [
        "env[0].name: Required value", 'env[1].name: Invalid value: "a=b": a valid environment variable name'],
        id="env"),
    pytest.param({"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                          {"name": "B", "valueFrom": {}}]}, [
        'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        'env[1].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` '
        'or '
        "`secretKeyRef`"], id="value from"),
    pytest.param({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}},
                          {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nmae"}}},
                          {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}}]}, [
        'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name"',
        'env[1].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.nmae": error converting fieldPath: field label '
        "not supported: metadata.nmae",
        'env[2].valueFrom.resourceFieldRef.resource: Unsupported value: "cpu": supported values: "limits.cpu"'],
        id="field paths"),
    pytest.param({"envFrom": [{}]}, ['envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
                 id="env from nothing"),
    pytest.param({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}, [
        'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'], id="more than the "
                                                                                                    "limit"),
    pytest.param({"resources": {"limits": {"memory": "-1", "gpu": "1", "a.b/c": "500m"}}}, [
        'resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
        'resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
        'resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers',
        'resources.limits[a.b/c]: Invalid value: "500m": must be an integer',
        'resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
        'resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
        'resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers',
        'resources.requests[a.b/c]: Invalid value: "500m": must be an integer'], id="amounts and their names"),
    pytest.param({"resources": {"requests": {"a.b/c": "1"}}},
                 ["resources.limits: Required value: Limit must be set for non overcommitable resources"],
                 id="unlimited"),
    pytest.param({"resources": {"limits": {"hugepages-2Mi": "3Mi"}}}, [
        'resources: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        'resources: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        "resources: Forbidden: HugePages require cpu or memory"], id="huge pages"),
    pytest.param({"resources": {"limits": {"cpu": "much"}}}, [
        'resources.limits[cpu]: Invalid value: "much": ', 'resources.requests[cpu]: Invalid value: "much": '],
        id="no amount"),
    pytest.param({"livenessProbe": {}}, ["livenessProbe: Required value: must specify a handler type"], id="no "
                                                                                                           "handler"),
    pytest.param({"livenessProbe": {"exec": {}, "httpGet": {"port": 0}}}, [
        "livenessProbe.exec.command: Required value",
        "livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"], id="two handlers"),
    pytest.param({"livenessProbe": {"httpGet": {"port": 0, "scheme": "ftp"}, "successThreshold": 2,
                                    "periodSeconds": -1}}, [
        "livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        'livenessProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS"',
        "livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        "livenessProbe.successThreshold: Invalid value: 2: must be 1"], id="probe"),
    pytest.param({"readinessProbe": {"grpc": {"port": 1}, "terminationGracePeriodSeconds": 5}}, [
        "readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes"],
        id="readiness ends nothing"),
    pytest.param({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}, [
        "lifecycle.preStop.sleep: Invalid value: 31: must be greater than 0 and less than "
        "terminationGracePeriodSeconds "
        "(30)"], id="sleeps too long"),
    pytest.param({"volumeMounts": [{"name": "x", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"},
                                   {"name": "v", "mountPath": ""}]}, [
        'volumeMounts[0].name: Not found: "x"', 'volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
        "volumeMounts[2].mountPath: Required value"], id="mounts"),
    pytest.param({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../b", "subPathExpr": "/c"}]}, [
        'volumeMounts.subPath: Invalid value: "../b": must not contain \'..\'',
        'volumeMounts[0].subPathExpr: Invalid value: "/c": subPathExpr and subPath are mutually exclusive',
        'volumeMounts.subPathExpr: Invalid value: "/c": must be a relative path'], id="paths within volumes"),
    pytest.param({"volumeMounts": [{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}]}, [
        "volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged "
        "containers"], id="propagation"),
    pytest.param({"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}, [
        'volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or '
        'Ephemeral '
        "for block mode"], id="devices"),
    pytest.param({"securityContext": {"runAsUser": -1, "privileged": True, "allowPrivilegeEscalation": False}}, [
        "securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        'securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true,"runAsUser":-1}: cannot '
        'set '
        "`allowPrivilegeEscalation` to false and `privileged` to true"], id="security"),
    pytest.param({"securityContext": {"seccompProfile": {"type": "Localhost"}, "appArmorProfile": {"type": "no"}}}, [
        "securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        'securityContext.appArmorProfile.type: Unsupported value: "no": supported values: "Localhost"'], id="profiles"),
    pytest.param({"restartPolicy": "Always"}, ["restartPolicy: Forbidden: may not be set for non-init containers"],
                 id="a main container is no sidecar"),
])
def test_containers(given, expected):
    refused({"containers": [container(**given)], "volumes": [{"name": "v"}]},
            *(f"containers[0].{text}" for text in expected))


def test_names_are_unique_among_all_containers():
    refused({"containers": [container(), container()], "initContainers": [container(), container(name="i")]},
            'containers[1].name: Duplicate value: "c"', 'initContainers[0].name: Duplicate value: "c"')


@pytest.mark.parametrize("given, expected", [
    pytest.param({"livenessProbe": {"exec": {"command": ["x"]}}}, [
        "livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"], id="probe"),
    pytest.param({"restartPolicy": "Never"}, ['restartPolicy: Unsupported value: "Never": supported values: "Always"'],
                 id="restart"),
    pytest.param({"restartPolicy": "Always", "livenessProbe": {}},
                 ["livenessProbe: Required value: must specify a handler type"], id="a sidecar's probe"),
])
def test_init_containers(given, expected):
    refused({"initContainers": [container(name="i", **given)]}, *(f"initContainers[0].{text}" for text in expected))


@pytest.mark.parametrize("given, expected", [
    pytest.param({"targetContainerName": "c"}, [], id="fine"),
    pytest.param({"targetContainerName": "x"}, ['targetContainerName: Not found: "x"'], id="target"),
    pytest.param({"ports": [{"containerPort": 1}]}, ["ports: Forbidden: cannot be set for an Ephemeral Container"],
                 id="ports"),
    pytest.param({"name": "c"}, ['name: Duplicate value: "c"'], id="name"),
])
def test_ephemeral_containers(given, expected):
    refused({"ephemeralContainers": [container(**{"name": "e", **given})]},
            *(f"ephemeralContainers[0].{text}" for text in expected))


@pytest.mark.parametrize("volumes, expected", [
    pytest.param([{"name": "v"}, {"name": "v"}], ['volumes[1].name: Duplicate value: "v"'], id="names"),
    pytest.param([{"emptyDir": {}}], ["volumes[0].name: Required value"], id="nameless"),
    pytest.param([{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}],
                 ["volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"], id="two sources"),
    pytest.param([{"name": "v", "hostPath": {"path": ""}}], ["volumes[0].hostPath.path: Required value"], id="no path"),
    pytest.param([{"name": "v", "hostPath": {"path": "/a/../b", "type": "dir"}}], [
        'volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain \'..\'',
        'volumes[0].hostPath.type: Unsupported value: "dir": supported values: "", "BlockDevice"'], id="host path"),
    pytest.param([{"name": "v", "secret": {"defaultMode": 512}}], [
        "volumes[0].secret.secretName: Required value",
        "volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both "
        "inclusive"],
        id="secret"),
    pytest.param([{"name": "v", "configMap": {"name": "m", "items": [{"key": "", "path": "../a"}]}}], [
        "volumes[0].configMap.items[0].key: Required value",
        'volumes[0].configMap.items[0].path: Invalid value: "../a": must not contain \'..\''], id="items"),
    pytest.param([{"name": "v", "emptyDir": {"sizeLimit": "-1"}}], [
        "volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"], id="size"),
    pytest.param([{"name": "v", "nfs": {"server": "s", "path": "a"}}],
                 ['volumes[0].nfs.path: Invalid value: "a": must be an absolute path'], id="nfs"),
    pytest.param([{"name": "v", "projected": {"sources": [
        {"configMap": {"name": "m", "items": [{"key": "k", "path": "a"}]}, "secret": {"name": ""}},
        {"downwardAPI": {"items": [{"path": "a"}]}}]}}], [
        "volumes[0].projected.sources[0].secret.name: Required value",
        "volumes[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
        "volumes[0].projected.sources[1].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
        'volumes[0].projected: Invalid value: "a": conflicting duplicate paths'], id="projected"),
])
def test_volumes(volumes, expected):
    refused({"volumes": volumes}, *expected)


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize("affinity, expected", [
    pytest.param({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}, [
        f"nodeAffinity.{REQUIRED}.nodeSelectorTerms: Required value: must have at least one node selector term"],
        id="no terms"),
    pytest.param({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "a", "operator": "in", "values": ["b"]}, {"key": "a", "operator": "In"},
        {"key": "a", "operator": "Exists", "values": ["b"]}, {"key": "a", "operator": "Gt"}]}]}}}, [
        f'nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "in": not a valid '
        "selector operator",
        f"nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified "
        f"when "
        "`operator` is 'In' or 'NotIn'",
        f"nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[2].values: Forbidden: may not be specified "
        f"when "
        "`operator` is 'Exists' or 'DoesNotExist'",
        f"nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[3].values: Required value: must be specified "
        "single value when `operator` is 'Lt' or 'Gt'"], id="expressions"),
    pytest.param({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [
        {"key": "key-name", "operator": "In", "values": ["a", "b"]}]}]}}}, [
        f"nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchFields[0].values: Required value: must be only one value "
        f"when "
        "`operator` is 'In' or 'NotIn' for node field selector",
        f'nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "key-name": not a valid '
        f'field '
        "selector key"], id="fields"),
    pytest.param({"nodeAffinity": {PREFERRED: [{"weight": 101, "preference": {}}]}}, [
        f"nodeAffinity.{PREFERRED}[0].weight: Invalid value: 101: must be in the range 1-100"], id="weight"),
    pytest.param({"podAffinity": {PREFERRED: [{"weight": 0, "podAffinityTerm": {"matchLabelKeys": ["a"]}}]}}, [
        f"podAffinity.{PREFERRED}[0].weight: Invalid value: 0: must be in the range 1-100",
        f"podAffinity.{PREFERRED}[0].podAffinityTerm.matchLabelKeys: Forbidden: must not be specified when "
        f"labelSelector "
        "is not set",
        f"podAffinity.{PREFERRED}[0].podAffinityTerm.topologyKey: Required value: can not be empty",
        f'podAffinity.{PREFERRED}[0].podAffinityTerm.topologyKey: Invalid value: "": name part must be non-empty',
        f'podAffinity.{PREFERRED}[0].podAffinityTerm.topologyKey: Invalid value: "": name part must consist'],
        id="pods"),
])
def test_affinity(affinity, expected):
    refused({"affinity": affinity}, *(f"affinity.{text}" for text in expected))


@pytest.mark.parametrize("toleration, expected", [
    pytest.param({"key": "a"}, [], id="no operator is Equal"),
    pytest.param({}, ['operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match '
                      'all '
                      'values and all keys"'], id="no key"),
    pytest.param({"key": "a", "operator": "Exists", "value": "b"},
                 ['operator: Invalid value: "b": value must be empty when `operator` is \'Exists\''], id="Exists"),
    pytest.param({"key": "a", "operator": "In"},
                 ['operator: Unsupported value: "In": supported values: "Equal", "Exists"'], id="operator"),
    pytest.param({"key": "a", "effect": "NoRun"}, ['effect: Unsupported value: "NoRun": supported values: '
                                                   '"NoSchedule", '
                                                   '"PreferNoSchedule", "NoExecute"'], id="effect"),
    pytest.param({"key": "a", "tolerationSeconds": 1}, [
        'effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set'], id="seconds"),
    pytest.param({"key": "a", "value": "b c"}, ['operator: Invalid value: "b c": a valid label must be'], id="value"),
])
def test_tolerations(toleration, expected):
    refused({"tolerations": [toleration]}, *(f"tolerations[0].{text}" for text in expected))


@pytest.mark.parametrize("constraints, expected", [
    pytest.param([{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Panic"}], [
        "[0].maxSkew: Invalid value: 0: must be greater than zero", "[0].topologyKey: Required value: can not be empty",
        '[0].whenUnsatisfiable: Unsupported value: "Panic": supported values: "DoNotSchedule", "ScheduleAnyway"'],
        id="fields"),
    pytest.param([{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}] * 2, [
        '[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, DoNotSchedule}"'], id="twice"),
    pytest.param([{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 1,
                   "matchLabelKeys": ["a"], "labelSelector": {"matchLabels": {"a": "b"}}}], [
        "[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
        "ScheduleAnyway",
        '[0].matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and labelSelector'], id="domains"),
])
def test_topology_spread(constraints, expected):
    refused({"topologySpreadConstraints": constraints}, *(f"topologySpreadConstraints{text}" for text in expected))


@pytest.mark.parametrize("spec, expected", [
    pytest.param({"ephemeralContainers": [container(name="e")]}, "spec.ephemeralContainers: Forbidden: cannot be set "
                                                                 "on "
                 "create", id="ephemeral containers"),
    pytest.param({"nodeName": "n1", "schedulingGates": [{"name": "a"}]}, "spec.nodeName: Forbidden: cannot be set "
                                                                         "until "
                 "all schedulingGates have been cleared", id="bound though gated"),
])
def test_only_at_creation(spec, expected):
    assert [str(cause) for cause in POD.validate_create(pod(**spec))] == [expected]
    assert POD.validate(pod(**spec)) == []


def test_a_template_may_keep_blanks_and_unfilled_host_ports():
    template = POD_TEMPLATE.defaults({"template": {"spec": {"hostNetwork": True, "containers": [
        container(image=" nginx", ports=[{"containerPort": 80}])]}}})["template"]
    wrong = []
    validate_pod_template(template, "template", wrong)
    assert wrong == []
