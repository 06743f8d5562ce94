"""LimitRange, ResourceQuota, Lease, SelfSubjectAccessReview, ServiceAccount; and what holds for every row."""
import pytest

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.kinds.lease import LEASE
from muster.api.kinds.limit_range import LIMIT_RANGE
from muster.api.kinds.resource_quota import RESOURCE_QUOTA
from muster.api.kinds.service_account import SERVICE_ACCOUNT
from muster.api.schema import Schema
from muster.api.tables import table


def told(causes):
    return [str(cause) for cause in causes]


def named(**fields):
    return {"metadata": {"name": "x", "namespace": "default"}, **fields}


def limits(**item):
    return named(spec={"limits": [{"type": "Container", **item}]})


@pytest.mark.parametrize(("item", "limit", "least"), [
    ({"max": {"cpu": "2"}, "min": {"cpu": "1"}}, {"cpu": "2"}, {"cpu": "2"}),
    ({"default": {"cpu": "1"}}, {"cpu": "1"}, {"cpu": "1"}),
    ({"min": {"cpu": "1"}}, None, {"cpu": "1"}),
    ({"default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}, {"cpu": "2"}, {"cpu": "1"}),
    ({"type": "Pod", "max": {"cpu": "2"}}, None, None),
])
def test_a_limit_range_fills_its_defaults(item, limit, least):
    filled = LIMIT_RANGE.defaults(limits(**item))
    assert filled["spec"]["limits"][0].get("default") == limit
    assert filled["spec"]["limits"][0].get("defaultRequest") == least
    assert LIMIT_RANGE.defaults(filled) is filled


@pytest.mark.parametrize(("item", "wrong"), [
    ({"min": {"cpu": "1"}, "max": {"cpu": "2"}}, []),
    ({"min": {"cpu": "2"}, "max": {"cpu": "1"}}, [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1']),
    ({"default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}, [
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": '
        "default request value 2 is greater than default limit value 1"]),
    ({"type": "Pod", "default": {"cpu": "1"}}, [
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]),
    ({"type": "Node"}, ['spec.limits[0].type: Invalid value: "Node": '
                        "must be a standard limit type or fully qualified"]),
])
def test_a_limit_range(item, wrong):
    assert told(LIMIT_RANGE.validate(limits(**item))) == wrong


def quota(hard, used=None, **spec):
    return named(spec={"hard": hard, **spec}, status={"hard": hard, "used": used or {}})


def scoped(scope, operator, values=None):
    rule = {"scopeName": scope, "operator": operator, **({"values": values} if values else {})}
    return {"scopeSelector": {"matchExpressions": [rule]}}


@pytest.mark.parametrize(("obj", "wrong"), [
    (quota({"pods": "4", "requests.cpu": "1", "count/deployments.apps": "2", "requests.nvidia.com/gpu": "1"}), []),
    (quota({"pods": "1500m"}), ['spec.hard[pods]: Invalid value: "1500m": must be an integer']),
    (quota({"cpu": "-1"}), ['spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0']),
    (quota({"gold": "1"}), ['spec.hard[gold]: Invalid value: "gold": must be a standard resource for quota']),
    (quota({}, scopes=["BestEffort", "NotBestEffort"]), [
        'spec.scopes: Invalid value: []core.ResourceQuotaScope{"BestEffort", "NotBestEffort"}: conflicting scopes']),
    (quota({}, scopes=["Best"]), ['spec.scopes: Invalid value: []core.ResourceQuotaScope{"Best"}: unsupported scope']),
    (quota({"cpu": "1", "pods": "1"}, scopes=["BestEffort"]), [
        'spec.scopes: Invalid value: []core.ResourceQuotaScope{"BestEffort"}: unsupported scope applied to resource']),
    (quota({"services": "1"}, scopes=["NotTerminating"]), [
        'spec.scopes: Invalid value: []core.ResourceQuotaScope{"NotTerminating"}: unsupported scope applied to resource']),
    (quota({"pods": "1"}, **scoped("PriorityClass", "In", ["high"])), []),
    (quota({"pods": "1"}, **scoped("PriorityClass", "In")), [
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' "
        "for scope selector"]),
    (quota({"pods": "1"}, **scoped("PriorityClass", "Exists", ["high"])), [
        'spec.scopeSelector.matchExpressions.values: Invalid value: []string{"high"}: must be no value when `operator` is \'Exist\' or '
        "'DoesNotExist' for scope selector"]),
    (quota({"pods": "1"}, **scoped("PriorityClass", "Is")), [
        'spec.scopeSelector.matchExpressions.operator: Invalid value: "Is": not a valid selector operator']),
    (quota({"pods": "1"}, **scoped("Terminating", "DoesNotExist")), [
        'spec.scopeSelector.matchExpressions.operator: Invalid value: "DoesNotExist": must be \'Exists\' when scope is any of '
        "ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
        "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"]),
])
def test_a_quota(obj, wrong):
    assert told(RESOURCE_QUOTA.validate(obj)) == wrong


def test_columns_of_a_quota():
    row = table(RESOURCE_QUOTA, [quota({"pods": "4", "cpu": "1", "limits.cpu": "2"}, {"pods": "1"})], 0)["rows"][0]
    assert row["cells"] == ["x", "cpu: 0/1, pods: 1/4", "limits.cpu: 0/2", "<unknown>"]


def test_a_lease():
    assert told(LEASE.validate(named(spec={"leaseDurationSeconds": 40, "leaseTransitions": 0}))) == []
    assert told(LEASE.validate(named(spec={"leaseDurationSeconds": 0, "leaseTransitions": -1}))) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]
    assert table(LEASE, [named(spec={"holderIdentity": "n1"})], 0)["rows"][0]["cells"] == ["x", "n1", "<unknown>"]


def test_a_service_account_counts_its_secrets():
    assert table(SERVICE_ACCOUNT, [named(secrets=[{"name": "a"}])], 0)["rows"][0]["cells"] == ["x", 1, "<unknown>"]


# ------------------------------------------------------------------ every row


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.resource)
def test_every_row_has_a_shape_and_columns_that_bear_an_empty_object(kind):
    assert Schema.load().definition_of(kind).fields
    shown = table(kind, [{"metadata": {"name": "x"}}], 0)
    assert len(shown["rows"][0]["cells"]) == len(shown["columnDefinitions"])
    assert sum(one["format"] == "name" for one in shown["columnDefinitions"]) == 1
    for read in kind.selectable.values():
        assert isinstance(read({"metadata": {"name": "x"}}), str)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.resource)
def test_what_is_filled_once_is_filled(kind):
    once = kind.defaults({"metadata": {"name": "x"}})
    assert kind.defaults(once) is once


def test_no_two_rows_answer_to_the_same_name():
    seen = {}
    for kind in Kinds(BUILT_IN):
        for word in {kind.plural, kind.singular, *kind.short_names}:
            other = seen.setdefault(word, kind)
            assert other is kind or other.stored_resource == kind.stored_resource, word
