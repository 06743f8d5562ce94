"""Values in Go's syntax, and as Go's own texts."""
from __future__ import annotations

import pytest

from muster.api import go_text
from muster.api.causes import duplicate, invalid, not_supported

TERM = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}, {"key": "gpu", "operator": "Exists"}]}
SHOWN_TERM = ('core.NodeSelectorTerm{MatchExpressions:[]core.NodeSelectorRequirement{core.NodeSelectorRequirement{Key:"disk", '
              'Operator:"In", Values:[]string{"ssd"}}, core.NodeSelectorRequirement{Key:"gpu", Operator:"Exists", '
              'Values:[]string(nil)}}, MatchFields:[]core.NodeSelectorRequirement(nil)}')


@pytest.mark.parametrize("shown, text", [
    (go_text.syntax_of_number_or_share(3), 'intstr.IntOrString{Type:0, IntVal:3, StrVal:""}'),
    (go_text.syntax_of_number_or_share("30%"), 'intstr.IntOrString{Type:1, IntVal:0, StrVal:"30%"}'),
    (go_text.syntax_of_term(TERM), SHOWN_TERM),
    (go_text.syntax_of_terms([TERM]), f"[]core.NodeSelectorTerm{{{SHOWN_TERM}}}"),
    (go_text.syntax_of_terms(None), "[]core.NodeSelectorTerm(nil)"),
    (go_text.syntax_of_taint({"key": "a", "effect": "NoExecute"}),
     'core.Taint{Key:"a", Value:"", Effect:"NoExecute", TimeAdded:(*v1.Time)(nil)}'),
    (go_text.syntax_of_node_address({"type": "Hostname", "address": "n1"}),
     'core.NodeAddress{Type:"Hostname", Address:"n1"}'),
    (go_text.syntax_of_addresses("core.HostIP", [{"ip": "10.0.0.1"}]), '[]core.HostIP{core.HostIP{IP:"10.0.0.1"}}'),
    (go_text.syntax_of_owner({"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "1", "controller": True}),
     'v1.OwnerReference{APIVersion:"v1", Kind:"Event", Name:"x", UID:"1", Controller:true, BlockOwnerDeletion:(*bool)(nil)}'),
    (go_text.syntax_of_scope_selector({"matchExpressions": [{"scopeName": "Terminating", "operator": "Exists"}]}),
     'core.ScopeSelector{MatchExpressions:[]core.ScopedResourceSelectorRequirement{core.ScopedResourceSelectorRequirement{'
     'ScopeName:"Terminating", Operator:"Exists", Values:[]string(nil)}}}'),
    (go_text.syntax_of_role({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"}),
     'rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", Kind:"Role", Name:"x"}'),
    (go_text.syntax_of_port("TCP", 80), 'core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil), Port:80, '
     'TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'),
])
def test_syntax(shown, text):
    assert shown.text == text
    assert invalid("a", shown, "no").message == f"Invalid value: {text}: no"
    assert duplicate("a", shown).message == f"Duplicate value: {text}"
    assert not_supported("a", shown, ("b",)).message == f'Unsupported value: {text}: supported values: "b"'


@pytest.mark.parametrize("field, value, text", [
    ("spec.selector", {"matchLabels": {"b": "2", "a": "1"}}, 'v1.LabelSelector{MatchLabels:map[string]string{"a":"1", "b":"2"}, '
     "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}"),
    ("spec.selector", {"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "v1.LabelSelector{MatchLabels:map[string]string("
     'nil), MatchExpressions:[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:"a", Operator:"Exists", '
     "Values:[]string(nil)}}}"),
    ("spec.template.metadata.labels", None, "map[string]string(nil)"),
    ("spec.selector", None, '"null"'),
    ("spec.x", ["a", "b"], '[]string{"a", "b"}'),
    ("spec.x", 3, "3"), ("spec.x", True, "true"), ("spec.x", "3", '"3"'),
])
def test_fields_that_are_shown_so(field, value, text):
    assert invalid(field, value, "no").message == f"Invalid value: {text}: no"


@pytest.mark.parametrize("selector, text", [
    (None, "nil"),
    ({}, "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}"),
    ({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["x", "y"]}]},
     "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
     "LabelSelectorRequirement{Key:c,Operator:In,Values:[x y],},},}"),
])
def test_a_selector_in_events(selector, text):
    assert go_text.text_of_selector(selector) == text
