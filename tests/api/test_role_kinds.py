"""Roles and bindings: what is refused, what is filled in, what may not change."""
import pytest

from muster.api.kinds.role import CLUSTER_ROLE, ROLE
from muster.api.kinds.role_binding import CLUSTER_ROLE_BINDING, ROLE_BINDING

GROUP = "rbac.authorization.k8s.io"
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
PATH = {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}


def said(causes):
    return [str(cause) for cause in causes]


@pytest.mark.parametrize("rule, wrong", [
    pytest.param(RULE, [], id="fine"),
    pytest.param({**RULE, "verbs": []}, ["rules[0].verbs: Required value: verbs must contain at least one value"], id="verbs"),
    pytest.param({**RULE, "apiGroups": []},
                 ["rules[0].apiGroups: Required value: resource rules must supply at least one api group"], id="groups"),
    pytest.param({**RULE, "resources": []},
                 ["rules[0].resources: Required value: resource rules must supply at least one resource"], id="resources"),
    pytest.param({**RULE, **PATH}, [
        'rules[0].nonResourceURLs: Invalid value: []string{"/metrics"}: rules cannot apply to both regular resources and '
        "non-resource URLs"], id="both"),
    pytest.param(PATH, [], id="a path"),
])
def test_rules(rule, wrong):
    assert said(CLUSTER_ROLE.validate({"metadata": {"name": "system:a"}, "rules": [rule]})) == wrong


def test_a_role_of_a_namespace_has_no_paths():
    assert said(ROLE.validate({"metadata": {"name": "a", "namespace": "b"}, "rules": [PATH]})) == [
        'rules[0].nonResourceURLs: Invalid value: []string{"/metrics"}: namespaced rules cannot apply to non-resource URLs']


@pytest.mark.parametrize("aggregation, wrong", [
    pytest.param({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}, [], id="fine"),
    pytest.param({}, ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if "
                      "aggregationRule is non-nil"], id="of nothing"),
    pytest.param({"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "Like"}]}]}, [
        'aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "Like": not a valid selector '
        "operator"], id="a wrong selector"),
])
def test_aggregation(aggregation, wrong):
    assert said(CLUSTER_ROLE.validate({"metadata": {"name": "a"}, "aggregationRule": aggregation})) == wrong


def binding(role=None, subject=None, **metadata):
    return {"metadata": {"name": "b", "namespace": "x", **metadata},
            "roleRef": {"kind": "Role", "name": "a", **(role or {})},
            "subjects": [{"kind": "User", "name": "ann", **(subject or {})}]}


@pytest.mark.parametrize("given, wrong", [
    pytest.param(binding(), [], id="fine"),
    pytest.param(binding({"kind": "Pod"}), ['roleRef.kind: Unsupported value: "Pod": supported values: "Role", "ClusterRole"'],
                 id="no role"),
    pytest.param(binding({"name": ""}), ["roleRef.name: Required value"], id="no name"),
    pytest.param(binding({"apiGroup": "apps"}), [f'roleRef.apiGroup: Unsupported value: "apps": supported values: "{GROUP}"'],
                 id="another group"),
    pytest.param(binding(subject={"kind": "Robot"}), [
        'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"'], id="a subject"),
    pytest.param(binding(subject={"kind": "ServiceAccount"}), ["subjects[0].namespace: Required value"], id="of where"),
    pytest.param(binding(subject={"name": ""}), ["subjects[0].name: Required value"], id="who"),
    pytest.param(binding(subject={"apiGroup": "apps"}), [
        f'subjects[0].apiGroup: Unsupported value: "apps": supported values: "{GROUP}"'], id="a subject's group"),
])
def test_bindings(given, wrong):
    assert said(ROLE_BINDING.validate(ROLE_BINDING.defaults(given))) == wrong


def test_a_cluster_binding_is_to_a_cluster_role():
    given = CLUSTER_ROLE_BINDING.defaults(binding(namespace=""))
    assert said(CLUSTER_ROLE_BINDING.validate(given)) == [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"']


def test_what_is_filled_in_and_what_stays():
    account = {"kind": "ServiceAccount", "name": "app", "namespace": "x"}
    given = {**binding(), "subjects": [{"kind": "User", "name": "ann"}, {"kind": "Group", "name": "ops"}, account]}
    filled = ROLE_BINDING.defaults(given)
    assert filled["roleRef"]["apiGroup"] == GROUP
    assert [one.get("apiGroup") for one in filled["subjects"]] == [GROUP, GROUP, None]
    other = {**filled, "roleRef": {**filled["roleRef"], "name": "other"}}
    assert said(ROLE_BINDING.validate_update(other, filled)) == [
        f'roleRef: Invalid value: rbac.RoleRef{{APIGroup:"{GROUP}", Kind:"Role", Name:"other"}}: cannot change roleRef']
    assert ROLE_BINDING.validate_update({**filled, "subjects": []}, filled) == []
