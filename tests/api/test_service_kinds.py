"""Service, Endpoints, EndpointSlice."""
import pytest

from muster.api.kinds.endpoint_slice import ENDPOINT_SLICE
from muster.api.kinds.endpoints import ENDPOINTS
from muster.api.kinds.service import SERVICE
from muster.api.tables import table


def told(causes):
    return [str(cause) for cause in causes]


def service(name="web", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"ports": [{"port": 80}], **spec}}


def made(obj):
    return SERVICE.prepare_create(SERVICE.defaults(obj))


def given(obj, address="10.96.0.9", node_port=None):
    """As the server stores it."""
    spec = dict(obj["spec"])
    if spec["type"] != "ExternalName":
        spec.setdefault("clusterIP", address)
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if node_port:
        spec["ports"] = [{**port, "nodePort": node_port + i} for i, port in enumerate(spec["ports"])]
    return {**obj, "spec": spec}


def test_what_a_service_is_filled_with():
    spec = made(service())["spec"]
    assert spec == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "sessionAffinity": "None", "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    filled = SERVICE.defaults(service())
    assert SERVICE.defaults(filled) is filled


@pytest.mark.parametrize(("spec", "field", "value"), [
    pytest.param({"type": "NodePort"}, "externalTrafficPolicy", "Cluster", id="reached from outside"),
    pytest.param({"externalIPs": ["1.2.3.4"]}, "externalTrafficPolicy", "Cluster", id="by an outside address"),
    pytest.param({"type": "LoadBalancer"}, "allocateLoadBalancerNodePorts", True, id="load balancer"),
    pytest.param({"sessionAffinity": "ClientIP"}, "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}},
                 id="affinity lasts three hours"),
    pytest.param({"sessionAffinityConfig": {"clientIP": {}}}, "sessionAffinityConfig", None, id="no affinity"),
    pytest.param({"clusterIP": "None", "selector": {"a": "b"}}, "clusterIPs", ["None"], id="headless"),
    pytest.param({"clusterIP": "None"}, "ipFamilies", ["IPv4", "IPv6"], id="headless without selector"),
    pytest.param({"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack"}, "ipFamilies", ["IPv4", "IPv6"],
                 id="headless without selector that prefers two"),
    pytest.param({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, "ipFamilies", ["IPv4"], id="headless, one"),
    pytest.param({"ipFamilyPolicy": "PreferDualStack"}, "ipFamilies", ["IPv4"], id="prefers two, gets one"),
    pytest.param({"clusterIP": "fd00::1"}, "ipFamilies", ["IPv6"], id="the family of its address"),
    pytest.param({"type": "ExternalName", "externalName": "a.b"}, "ipFamilies", None, id="an alias has no family"),
    pytest.param({"type": "ExternalName", "externalName": "a.b"}, "internalTrafficPolicy", None, id="nor a policy"),
])
def test_defaults_by_type(spec, field, value):
    assert made(service(**spec))["spec"].get(field) == value


@pytest.mark.parametrize(("spec", "wrong"), [
    pytest.param({}, [], id="plain"),
    pytest.param({"type": "NodePort"}, [], id="node port"),
    pytest.param({"type": "LoadBalancer"}, [], id="load balancer"),
    pytest.param({"clusterIP": "None", "ports": []}, [], id="headless needs no port"),
    pytest.param({"type": "ExternalName", "externalName": "db.example.com.", "ports": []}, [], id="alias"),
    pytest.param({"ports": []}, ["spec.ports: Required value"], id="no port"),
    pytest.param({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}, ["spec.ports[0].name: Required value"],
                 id="several ports have names"),
    pytest.param({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]},
                 ['spec.ports[1].name: Duplicate value: "a"'], id="names differ"),
    pytest.param({"ports": [{"port": 0}]}, [
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"], id="port range"),
    pytest.param({"ports": [{"port": 80, "protocol": "ICMP"}]}, [
        'spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'], id="protocol"),
    pytest.param({"ports": [{"port": 80, "targetPort": "a--b"}]}, [
        'spec.ports[0].targetPort: Invalid value: "a--b": must not contain consecutive hyphens'], id="target name"),
    pytest.param({"type": "Special"}, ['spec.type: Unsupported value: "Special": supported values: "ClusterIP", '
                                       '"ExternalName", "LoadBalancer", "NodePort"'], id="type"),
    pytest.param({"type": "ExternalName", "ports": []}, ["spec.externalName: Required value"], id="alias of what"),
    pytest.param({"type": "NodePort", "clusterIP": "None"}, [
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        id="headless is for ClusterIP"),
    pytest.param({"ports": [{"port": 80, "nodePort": 30000}]}, [
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"], id="node port without type"),
    pytest.param({"externalTrafficPolicy": "Local"}, [
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        id="traffic from outside"),
    pytest.param({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}}, [
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: "
        "must be greater than 0 and less than 86400"], id="affinity"),
    pytest.param({"externalIPs": ["127.0.0.1"]}, [
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
        id="loopback"),
    pytest.param({"clusterIP": "x"}, [
        'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
        id="address"),
    pytest.param({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}, [
        'spec.ports[1]: Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil), Port:80, '
        'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'], id="the same port twice"),
    pytest.param({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.8"]}, [
        'spec.clusterIPs: Invalid value: []string{"10.96.0.8"}: first value must match `clusterIP`'], id="two first ones"),
    pytest.param({"clusterIPs": ["None", "10.96.0.8"], "clusterIP": "None"}, [
        """spec.clusterIPs: Invalid value: []string{"None", "10.96.0.8"}: 'None' must be the first and only value"""],
        id="none and one"),
    pytest.param({"clusterIPs": ["10.96.0.8", "10.96.0.9"], "clusterIP": "10.96.0.8"}, [
        'spec.clusterIPs: Invalid value: []string{"10.96.0.8", "10.96.0.9"}: '
        "may specify no more than one IP for each IP family"], id="two of one family"),
    pytest.param({"clusterIP": "10.96.0.8", "ipFamilies": ["IPv6"]}, [
        'spec.clusterIPs[0]: Invalid value: "10.96.0.8": expected an IPv6 value as indicated by `ipFamilies[0]`'],
        id="of another family"),
    pytest.param({"ipFamilies": ["IPv5"]}, [
        'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'], id="no family"),
    pytest.param({"ipFamilies": ["IPv4", "IPv4"]}, ['spec.ipFamilies[1]: Duplicate value: "IPv4"'], id="family twice"),
    pytest.param({"ipFamilyPolicy": "Dual"}, [
        'spec.ipFamilyPolicy: Unsupported value: "Dual": supported values: "PreferDualStack", "RequireDualStack", '
        '"SingleStack"'], id="no policy"),
    pytest.param({"type": "ExternalName", "externalName": "a.b", "ports": [], "ipFamilyPolicy": "SingleStack"}, [
        "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services"], id="an alias has no addresses"),
    pytest.param({"sessionAffinity": "Cookie"}, [
        'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'], id="affinity to what"),
    pytest.param({"selector": {"a": "b c"}}, None, id="selector"),
    pytest.param({"loadBalancerClass": "a/b"}, [
        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"], id="class"),
])
def test_what_a_service_may_say(spec, wrong):
    found = told(SERVICE.validate(made(service(**spec))))
    if wrong is None:
        assert len(found) == 1 and found[0].startswith("spec.selector: Invalid value: ")
    else:
        assert found == wrong


def test_the_name_of_a_service_begins_with_a_letter():
    assert told(SERVICE.validate(made(service("1a"))))[0].startswith(
        'metadata.name: Invalid value: "1a": a DNS-1035 label must consist of')


def test_an_apply_that_does_not_mention_them_keeps_the_address_and_ports():
    old = given(made(service(type="NodePort")), node_port=30080)
    new = SERVICE.prepare_update(SERVICE.defaults(service(type="NodePort", selector={"a": "b"})), old)
    assert new["spec"]["clusterIP"] == "10.96.0.9"
    assert new["spec"]["clusterIPs"] == ["10.96.0.9"]
    assert new["spec"]["ports"][0]["nodePort"] == 30080
    assert told(SERVICE.validate(new) + SERVICE.validate_update(new, old)) == []


@pytest.mark.parametrize("others", [{}, {"clusterIPs": ["10.96.0.9"]}, {"clusterIPs": ["10.96.0.10"]}],
                         ids=["alone", "patched", "both"])
def test_the_address_may_not_change(others):
    old = given(made(service()))
    new = SERVICE.prepare_update(SERVICE.defaults(service(clusterIP="10.96.0.10", **others)), old)
    assert told(SERVICE.validate_update(new, old)) == [
        'spec.clusterIPs[0]: Invalid value: []string{"10.96.0.10"}: may not change once set']


@pytest.mark.parametrize(("before", "change", "lost"), [
    ({"type": "NodePort"}, {"type": "ClusterIP"}, ["externalTrafficPolicy"]),
    ({"type": "LoadBalancer"}, {"type": "ClusterIP"}, ["externalTrafficPolicy", "allocateLoadBalancerNodePorts"]),
    ({"type": "ClusterIP"}, {"type": "ExternalName", "externalName": "a.b"}, ["clusterIP", "clusterIPs", "ipFamilies"]),
    ({"type": "ExternalName", "externalName": "a.b"}, {"type": "ClusterIP"}, ["externalName"]),
])
def test_a_change_of_type_drops_what_only_the_former_had(before, change, lost):
    old = given(made(service(**before)), node_port=30080 if before["type"] in ("NodePort", "LoadBalancer") else None)
    new = SERVICE.prepare_update(SERVICE.defaults({**old, "spec": {**old["spec"], **change}}), old)
    assert [field for field in lost if field in new["spec"]] == []
    assert not any("nodePort" in port for port in new["spec"]["ports"])
    assert told(SERVICE.validate(new) + SERVICE.validate_update(new, old)) == []


@pytest.mark.parametrize(("obj", "cells"), [
    (given(made(service())), ["ClusterIP", "10.96.0.9", "<none>", "80/TCP"]),
    (given(made(service(type="NodePort")), node_port=30080), ["NodePort", "10.96.0.9", "<none>", "80:30080/TCP"]),
    (given(made(service(type="LoadBalancer"))), ["LoadBalancer", "10.96.0.9", "<pending>", "80/TCP"]),
    (made(service(clusterIP="None", ports=[])), ["ClusterIP", "None", "<none>", "<none>"]),
    (made(service(type="ExternalName", externalName="a.b", ports=[])), ["ExternalName", "<none>", "a.b", "<none>"]),
    (given(made(service(ports=[{"port": 80, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}],
                        externalIPs=["1.2.3.4"]))), ["ClusterIP", "10.96.0.9", "1.2.3.4", "80/TCP,53/UDP"]),
])
def test_columns_of_a_service(obj, cells):
    shown = table(SERVICE, [obj], 0)
    assert [one["name"] for one in shown["columnDefinitions"]] == [
        "Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]
    assert shown["rows"][0]["cells"] == ["web", *cells, "<unknown>", "<none>"]


# ------------------------------------------------------------------ Endpoints and EndpointSlice


def endpoints(*subsets):
    return {"metadata": {"name": "web", "namespace": "default"}, "subsets": list(subsets)}


def subset(ips, ports=()):
    return {"addresses": [{"ip": ip} for ip in ips], "ports": [{"port": port, "name": f"p{port}"} for port in ports]}


@pytest.mark.parametrize(("subsets", "cell"), [
    ([], "<none>"),
    ([subset(["10.0.0.1"], [80])], "10.0.0.1:80"),
    ([subset(["10.0.0.1", "10.0.0.2"])], "10.0.0.1,10.0.0.2"),
    ([subset(["10.0.0.1", "10.0.0.2"], [80, 81])], "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more..."),
    ([subset(["fd00::1"], [80])], "[fd00::1]:80"),
])
def test_the_column_of_endpoints(subsets, cell):
    assert table(ENDPOINTS, [endpoints(*subsets)], 0)["rows"][0]["cells"][1] == cell


@pytest.mark.parametrize(("given_subset", "wrong"), [
    (subset(["10.0.0.1"], [80]), []),
    ({"ports": [{"port": 80}]}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
    (subset(["169.254.1.1"]), ['subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": '
                               "may not be in the link-local range (169.254.0.0/16, fe80::/10)"]),
    ({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}, {"port": 2}]}, [
        "subsets[0].ports[0].name: Required value", "subsets[0].ports[1].name: Required value"]),
])
def test_endpoints_are_addresses(given_subset, wrong):
    assert told(ENDPOINTS.validate(ENDPOINTS.defaults(endpoints(given_subset)))) == wrong


def slice_(*endpoints, ports=(), type_="IPv4"):
    return {"metadata": {"name": "web-x", "namespace": "default"}, "addressType": type_,
            "endpoints": [{"addresses": list(one)} for one in endpoints], "ports": list(ports)}


@pytest.mark.parametrize(("obj", "cells"), [
    (slice_(), ["IPv4", "<unset>", "<unset>"]),
    (slice_(["10.0.0.1"], ["10.0.0.2"], ports=[{"port": 80}, {"port": None}]), ["IPv4", "80,*", "10.0.0.1,10.0.0.2"]),
    (slice_(*([f"10.0.0.{i}"] for i in range(5))), ["IPv4", "<unset>", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more..."]),
])
def test_columns_of_a_slice(obj, cells):
    assert table(ENDPOINT_SLICE, [obj], 0)["rows"][0]["cells"] == ["web-x", *cells, "<unknown>"]


@pytest.mark.parametrize(("obj", "wrong"), [
    (slice_(["10.0.0.1"], ports=[{"port": 80}]), []),
    (slice_(["a.b"], type_="FQDN"), []),
    (slice_(["fd00::1"]), ['endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address']),
    (slice_([]), ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
    (slice_(type_=""), ["addressType: Required value"]),
    (slice_(type_="MAC"), ['addressType: Unsupported value: "MAC": supported values: "FQDN", "IPv4", "IPv6"']),
    (slice_(ports=[{"port": 1}, {"port": 2}]), ['ports[1].name: Duplicate value: ""']),
    (slice_(*([f"10.0.{i // 250}.{i % 250}"] for i in range(1001))), [
        "endpoints: Too many: 1001: must have at most 1000 items"]),
])
def test_a_slice(obj, wrong):
    assert told(ENDPOINT_SLICE.validate(ENDPOINT_SLICE.defaults(obj))) == wrong


def test_the_address_type_stays():
    assert told(ENDPOINT_SLICE.validate_update(slice_(type_="IPv6"), slice_())) == [
        'addressType: Invalid value: "IPv6": field is immutable']
