"""What a container is told of itself and its cluster: expansions, values from elsewhere, names of servers."""
import pytest

from muster.node.dns_config import DnsConfig, dns_config, in_reach, parse
from muster.node.environment import ConfigError, Facts, command_of, environment, expanded, field_value

HERE = Facts("n1", "10.0.0.1", "10.1.0.2", {"cpu": "4", "memory": "8Gi"})
POD = {"metadata": {"name": "web", "namespace": "shop", "uid": "u1", "labels": {"app": "web", "a.b/c": 'x"y'}},
       "spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}}],
                "serviceAccountName": "robot"}}
OBJECTS = {("configmaps", "shop", "settings"): {"data": {"A": "1", "bad=name": "2"}},
           ("secrets", "shop", "key"): {"data": {"K": "aGlkZGVu"}}}


def told(*env, services=(), **container):
    return dict(environment(POD, {"name": "app", "env": list(env), **container}, lambda *place: OBJECTS.get(place), HERE, services))


@pytest.mark.parametrize("text, said", [
    ("$(A)/$(B)", "1/2"), ("$$(A)", "$(A)"), ("$(NONE)", "$(NONE)"), ("$A $", "$A $"), ("$$$(A)", "$1"), ("$(A", "$(A"),
])
def test_expansion(text, said):
    assert expanded(text, {"A": "1", "B": "2"}) == said


@pytest.mark.parametrize("source, value", [
    pytest.param({"fieldRef": {"fieldPath": "metadata.labels['a.b/c']"}}, 'x"y', id="label"),
    pytest.param({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "robot", id="account"),
    pytest.param({"fieldRef": {"fieldPath": "status.hostIP"}}, "10.0.0.1", id="node"),
    pytest.param({"resourceFieldRef": {"resource": "limits.cpu"}}, "2", id="rounded up"),
    pytest.param({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}, "1500", id="in thousandths"),
    pytest.param({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}, "8", id="the node's"),
    pytest.param({"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}, "64", id="request"),
    pytest.param({"configMapKeyRef": {"name": "settings", "key": "A"}}, "1", id="config map"),
    pytest.param({"secretKeyRef": {"name": "key", "key": "K"}}, "hidden", id="secret"),
    pytest.param({"configMapKeyRef": {"name": "none", "key": "A", "optional": True}}, None, id="optional"),
])
def test_values_from_elsewhere(source, value):
    assert told({"name": "V", "valueFrom": source}).get("V") == value


@pytest.mark.parametrize("source, why", [
    ({"configMapKeyRef": {"name": "none", "key": "A"}}, 'configmap "none" not found'),
    ({"secretKeyRef": {"name": "none", "key": "A"}}, 'secret "none" not found'),
    ({"configMapKeyRef": {"name": "settings", "key": "Z"}}, "couldn't find key Z in ConfigMap shop/settings"),
])
def test_what_is_missing(source, why):
    with pytest.raises(ConfigError) as raised:
        told({"name": "V", "valueFrom": source})
    assert str(raised.value) == why


def test_whole_objects_and_order():
    env = told({"name": "A", "value": "own"}, {"name": "B", "value": "$(A)+$(P_A)"},
               envFrom=[{"prefix": "P_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "key"}}])
    assert env == {"P_A": "1", "K": "hidden", "A": "own", "B": "own+1"}


def test_services():
    service = {"metadata": {"name": "my-db", "namespace": "shop"},
               "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "sql", "port": 5432}]}}
    env = told({"name": "URL", "value": "$(MY_DB_SERVICE_HOST)"}, services=[service])
    assert env["MY_DB_SERVICE_PORT_SQL"] == env["MY_DB_SERVICE_PORT"] == "5432"
    assert (env["MY_DB_PORT_5432_TCP"], env["URL"]) == ("tcp://10.96.0.9:5432", "10.96.0.9")


def test_commands_and_files():
    container = {"name": "app", "command": ["run", "$(A)"], "args": ["--to=$(A)"]}
    assert command_of(container, [("A", "1")]) == (["run", "1"], ["--to=1"])
    assert field_value(POD, "metadata.labels", HERE) == 'a.b/c="x\\"y"\napp="web"'


HOST = parse("nameserver 9.9.9.9\nsearch home.example\noptions timeout:2\n")


@pytest.mark.parametrize("spec, cluster, said", [
    pytest.param({}, "10.96.0.10", DnsConfig(
        ["10.96.0.10"], ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "home.example"], ["ndots:5"]), id="cluster first"),
    pytest.param({}, "", HOST, id="no cluster server"),
    pytest.param({"dnsPolicy": "Default"}, "10.96.0.10", HOST, id="default"),
    pytest.param({"hostNetwork": True}, "10.96.0.10", HOST, id="on the host's network"),
    pytest.param({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [
        {"name": "ndots", "value": "2"}, {"name": "edns0"}]}}, "10.96.0.10", DnsConfig(["1.1.1.1"], ["a.b"], ["ndots:2", "edns0"]), id="none"),
])
def test_resolv_conf(spec, cluster, said):
    assert dns_config({**POD, "spec": spec}, cluster, "cluster.local", HOST) == said


@pytest.mark.parametrize("servers, cluster, expected", [
    pytest.param(["9.9.9.9"], "10.96.0.10", ["9.9.9.9"], id="anywhere"),
    pytest.param(["127.0.0.53"], "10.96.0.10", ["10.96.0.10"], id="on the machine's loopback"),
    pytest.param(["127.0.0.1", "::1", "9.9.9.9"], "10.96.0.10", ["10.96.0.10", "9.9.9.9"], id="each once"),
    pytest.param(["127.0.0.53", "9.9.9.9"], "", ["9.9.9.9"], id="nobody to ask it"),
])
def test_name_servers_that_a_pod_reaches(servers, cluster, expected):
    assert in_reach(HOST._replace(servers=servers), cluster) == HOST._replace(servers=expected)
