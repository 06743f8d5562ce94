import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api import placement
from muster.api.placement import HostPort


def taint(key, effect="NoSchedule", value=""):
    return {"key": key, "effect": effect, "value": value}


@pytest.mark.parametrize(("toleration", "tolerated"), [
    pytest.param({"key": "a", "operator": "Exists"}, True, id="any value, any effect"),
    pytest.param({"operator": "Exists"}, True, id="everything"),
    pytest.param({"key": "a", "value": "1", "effect": "NoSchedule"}, True, id="Equal when no operator"),
    pytest.param({"key": "a", "effect": "NoSchedule"}, False, id="no value is the empty value"),
    pytest.param({"key": "a", "operator": "Equal", "value": "2"}, False, id="other value"),
    pytest.param({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False, id="other effect"),
    pytest.param({"key": "b", "operator": "Exists"}, False, id="other key"),
    pytest.param({"key": "a", "operator": "Gt", "value": "1"}, False, id="no such operator"),
])
def test_tolerations(toleration, tolerated):
    assert placement.tolerates([toleration], taint("a", value="1")) is tolerated


def test_the_first_hard_taint_that_nothing_tolerates():
    taints = [taint("soft", "PreferNoSchedule"), taint("a"), taint("b", "NoExecute")]
    exists_a = {"key": "a", "operator": "Exists"}
    assert placement.untolerated([], taints) == taints[1]
    assert placement.untolerated([exists_a], taints) == taints[2]
    assert placement.untolerated([exists_a], taints, ("NoSchedule",)) is None
    assert placement.untolerated(None, None) is None


def test_daemon_pods_tolerate_what_happens_to_nodes():
    told = [(one["key"].split("/")[1], one["operator"], one["effect"]) for one in placement.daemon_tolerations(True)]
    assert told == [
        ("not-ready", "Exists", "NoExecute"), ("unreachable", "Exists", "NoExecute"),
        ("disk-pressure", "Exists", "NoSchedule"), ("memory-pressure", "Exists", "NoSchedule"),
        ("pid-pressure", "Exists", "NoSchedule"), ("unschedulable", "Exists", "NoSchedule"),
        ("network-unavailable", "Exists", "NoSchedule")]
    assert placement.daemon_tolerations(False) == placement.daemon_tolerations(True)[:-1]


def test_an_equal_toleration_is_replaced_in_its_place():
    own = {"key": placement.NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    other = {"key": "mine", "operator": "Exists"}
    result = placement.add_tolerations([own, other], placement.daemon_tolerations(False))
    assert len(result) == 7
    assert result[0] == {"key": placement.NOT_READY, "operator": "Exists", "effect": "NoExecute"}
    assert result[1] is other
    assert placement.add_tolerations(result, placement.daemon_tolerations(False)) == result


NODE = {"metadata": {"name": "n1", "labels": {"disk": "ssd", "cores": "8", "zone": "a"}}}


def expression(key, operator, *values):
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(("requirement", "matches"), [
    (expression("disk", "In", "ssd", "hdd"), True),
    (expression("disk", "In", "hdd"), False),
    (expression("gone", "In", "x"), False),
    (expression("disk", "NotIn", "ssd"), False),
    (expression("gone", "NotIn", "x"), True),
    (expression("disk", "Exists"), True),
    (expression("gone", "Exists"), False),
    (expression("gone", "DoesNotExist"), True),
    (expression("cores", "Gt", "7"), True),
    (expression("cores", "Gt", "8"), False),
    (expression("cores", "Lt", "9"), True),
    (expression("disk", "Gt", "1"), False),
    (expression("gone", "Lt", "1"), False),
    (expression("disk", "in", "ssd"), False),
])
def test_expressions(requirement, matches):
    assert placement.matches_node_selector_term({"matchExpressions": [requirement]}, NODE) is matches


@pytest.mark.parametrize(("term", "matches"), [
    pytest.param({}, False, id="an empty term matches nothing"),
    pytest.param({"matchFields": [expression("metadata.name", "In", "n1")]}, True, id="name"),
    pytest.param({"matchFields": [expression("metadata.name", "NotIn", "n1")]}, False, id="not that name"),
    pytest.param({"matchFields": [expression("metadata.uid", "In", "n1")]}, False, id="only names are fields"),
    pytest.param({"matchFields": [expression("metadata.name", "In", "n1")],
                  "matchExpressions": [expression("disk", "In", "hdd")]}, False, id="all must hold"),
])
def test_terms(term, matches):
    assert placement.matches_node_selector_term(term, NODE) is matches


def required(*terms):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


SSD = {"matchExpressions": [expression("disk", "In", "ssd")]}
HDD = {"matchExpressions": [expression("disk", "In", "hdd")]}


@pytest.mark.parametrize(("spec", "matches"), [
    pytest.param({}, True, id="no wish"),
    pytest.param({"nodeSelector": {"disk": "ssd", "zone": "a"}}, True, id="all labels"),
    pytest.param({"nodeSelector": {"disk": "ssd", "zone": "b"}}, False, id="one label differs"),
    pytest.param({"affinity": required(HDD, SSD)}, True, id="any term"),
    pytest.param({"affinity": required(HDD)}, False, id="no term"),
    pytest.param({"affinity": required()}, False, id="without terms nothing matches"),
    pytest.param({"nodeSelector": {"disk": "hdd"}, "affinity": required(SSD)}, False, id="both must hold"),
    pytest.param({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": HDD}]}}}, True, id="preferred is no demand"),
])
def test_required_affinity(spec, matches):
    assert placement.matches_required_affinity(spec, NODE) is matches


def test_preferences_add_their_weights():
    spec = {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 5, "preference": SSD}, {"weight": 7, "preference": HDD}, {"weight": 2, "preference": SSD}]}}}
    assert placement.preference_weight(spec, NODE) == 7


node_names = st.sampled_from(["n1", "n2", "n3"])
specs = st.sampled_from([
    {"containers": []}, {"affinity": None}, {"affinity": {"podAffinity": {}}}, {"affinity": required(SSD, HDD)},
    {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}}])


@given(specs, node_names, node_names)
def test_a_pinned_pod_goes_to_its_one_node(spec, name, other):
    before = repr(spec)
    pinned = placement.pin_to_node(spec, name)
    assert placement.pinned_node(pinned) == name
    assert repr(spec) == before
    for candidate in ("n1", "n2", "n3"):
        node = {"metadata": {"name": candidate, "labels": {}}}
        assert placement.matches_required_affinity(pinned, node) is (candidate == name)
    assert placement.pin_to_node(pinned, other) == placement.pin_to_node(spec, other)


def test_pinning_shares_and_keeps_the_rest():
    spec = {"containers": [{"name": "a"}], "affinity": {
        "podAffinity": {"x": 1}, "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}}
    pinned = placement.pin_to_node(spec, "n1")
    assert pinned["containers"] is spec["containers"]
    assert pinned["affinity"]["podAffinity"] is spec["affinity"]["podAffinity"]
    assert pinned["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == [{"weight": 1}]


@pytest.mark.parametrize("affinity", [
    required(SSD), required({"matchFields": [expression("metadata.name", "In", "a", "b")]}),
    required({"matchFields": [expression("metadata.name", "NotIn", "a")]}),
    required({"matchFields": [expression("metadata.name", "In", "a")]}, SSD)])
def test_what_is_no_pin(affinity):
    assert placement.pinned_node({"affinity": affinity}) is None


def container(cpu=None, memory=None, **more):
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"resources": {"requests": requests}, **more}


@pytest.mark.parametrize(("spec", "amounts"), [
    pytest.param({"containers": [{}]}, {}, id="nothing asked"),
    pytest.param({"containers": [container("100m", "1Ki"), container("0.2", "1k")]},
                 {"cpu": 300, "memory": 2024}, id="containers add up"),
    pytest.param({"containers": [container("100m")], "initContainers": [container("1"), container("2")]},
                 {"cpu": 2000}, id="the largest step, where it is more"),
    pytest.param({"containers": [container("3")], "initContainers": [container("1"), container("2")]},
                 {"cpu": 3000}, id="steps cost nothing under the containers"),
    pytest.param({"containers": [container("1")], "initContainers": [
        container("2"), container("1", restartPolicy="Always"), container("3")]},
        {"cpu": 4000}, id="a step runs beside the sidecars before it"),
    pytest.param({"containers": [container("1")], "initContainers": [container("500m", restartPolicy="Always")]},
                 {"cpu": 1500}, id="sidecars run beside the containers"),
    pytest.param({"containers": [container("1")], "overhead": {"cpu": "250m"}}, {"cpu": 1250}, id="overhead"),
])
def test_requests(spec, amounts):
    assert placement.requests_of(spec) == amounts


def test_host_ports():
    spec = {"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]},
                           {"ports": [{"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"}]}],
            "initContainers": [{"ports": [{"hostPort": 9}]},
                               {"restartPolicy": "Always", "ports": [{"hostPort": 10}]}]}
    assert placement.host_ports_of(spec) == [
        HostPort("TCP", "0.0.0.0", 8080), HostPort("UDP", "10.0.0.1", 53), HostPort("TCP", "0.0.0.0", 10)]


@pytest.mark.parametrize(("wanted", "used", "taken"), [
    (HostPort("TCP", "0.0.0.0", 80), HostPort("TCP", "0.0.0.0", 80), True),
    (HostPort("TCP", "0.0.0.0", 80), HostPort("TCP", "10.0.0.1", 80), True),
    (HostPort("TCP", "10.0.0.1", 80), HostPort("TCP", "0.0.0.0", 80), True),
    (HostPort("TCP", "10.0.0.1", 80), HostPort("TCP", "10.0.0.2", 80), False),
    (HostPort("UDP", "0.0.0.0", 80), HostPort("TCP", "0.0.0.0", 80), False),
    (HostPort("TCP", "0.0.0.0", 81), HostPort("TCP", "0.0.0.0", 80), False),
])
def test_ports_collide_on_the_same_address_or_every_one(wanted, used, taken):
    assert placement.taken_port([wanted], [used]) == (wanted if taken else None)
