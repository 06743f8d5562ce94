"""Who may do what: rules, bindings, roles that are put together, and what nobody may grant."""
from __future__ import annotations

import asyncio

import pytest

from certificate_requests import CLIENT, KUBELET, csr
from muster.api.errors import Forbidden
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import Clock, run_virtual
from muster.first_roles import first_roles
from muster.server.asked import Asked
from muster.server.grants import GROUP, Grants
from muster.server.identity import ANONYMOUS, User, component
from muster.server.policy_rules import allows, merged, not_covered, parts, shown
from muster.server.requests import WriteOptions
from muster.server.rights import Rights, refusal
from muster.store.history import Change, History, Snapshot
from muster.store.memory import MemoryStore

KINDS = Kinds(BUILT_IN)
KNOWN = "system:authenticated"
BOB = User("bob", (KNOWN,))
DEV = User("eve", ("dev", KNOWN))
APP = User("system:serviceaccount:shop:app", ("system:serviceaccounts", "system:serviceaccounts:shop", KNOWN))


def rule(resources="pods", verbs="get", groups="", **more):
    return {"apiGroups": groups.split(",") if groups else [""], "resources": resources.split(","),
            "verbs": verbs.split(","), **more}


def role(name, *rules, namespace=""):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Role" if namespace else "ClusterRole", "metadata": metadata,
            "rules": list(rules)}


def binding(name, to, *subjects, namespace="", kind="ClusterRole"):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": metadata, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": to}, "subjects": list(subjects)}


def user(name):
    return {"apiGroup": GROUP, "kind": "User", "name": name}


def group(name):
    return {"apiGroup": GROUP, "kind": "Group", "name": name}


def account(namespace, name):
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def history(*objects):
    kept = History()
    for revision, obj in enumerate(objects, 1):
        kept.append([Change(revision, KINDS.key_of(obj), Snapshot(obj, revision), None)])
    return kept


def rights(*objects):
    return Rights(Grants(history(*objects)), lambda node: ())


@pytest.mark.parametrize(("given", "asked", "allowed"), [
    pytest.param(rule(), Asked("get", "pods"), True, id="as it says"),
    pytest.param(rule(), Asked("list", "pods"), False, id="another verb"),
    pytest.param(rule(), Asked("get", "pods.metrics.k8s.io"), False, id="another group"),
    pytest.param(rule(), Asked("get", "pods", "log"), False, id="a subresource is not its resource"),
    pytest.param(rule("pods/log"), Asked("get", "pods", "log"), True, id="a subresource"),
    pytest.param(rule("pods/log"), Asked("get", "pods"), False, id="nor the other way round"),
    pytest.param(rule("*/scale", groups="apps"), Asked("get", "deployments.apps", "scale"), True, id="of any resource"),
    pytest.param(rule("*"), Asked("get", "pods", "log"), True, id="everything of a group"),
    pytest.param(rule("*", "*", "*"), Asked("delete", "nodepools.muster.dev", name="x"), True, id="everything"),
    pytest.param(rule(resourceNames=["a"]), Asked("get", "pods", name="a"), True, id="by name"),
    pytest.param(rule(resourceNames=["a"]), Asked("get", "pods", name="b"), False, id="another name"),
    pytest.param(rule(verbs="list", resourceNames=["a"]), Asked("list", "pods"), False, id="a list has no name"),
    pytest.param(rule("*", "*", "*"), Asked("get", path="/metrics"), False, id="a path is no resource"),
    pytest.param({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, Asked("get", path="/metrics"), True, id="a path"),
    pytest.param({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, Asked("get", path="/metrics/x"), False, id="below it"),
    pytest.param({"nonResourceURLs": ["/api/*"], "verbs": ["get"]}, Asked("get", path="/api/v1"), True, id="all below"),
    pytest.param({"nonResourceURLs": ["/api/*"], "verbs": ["get"]}, Asked("get", "pods"), False, id="no resource"),
])
def test_what_a_rule_allows(given, asked, allowed):
    assert allows(given, asked) is allowed


READER, WRITER = role("reader", rule()), role("writer", rule(verbs="create"), namespace="shop")


@pytest.mark.parametrize(("given", "who", "asked", "why"), [
    pytest.param([], BOB, Asked("get", "pods"), "", id="without bindings nothing"),
    pytest.param([READER, binding("b", "reader", user("bob"))], BOB, Asked("get", "pods", namespace="x"),
                 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to User "bob"', id="everywhere"),
    pytest.param([READER, binding("b", "reader", user("bob"))], DEV, Asked("get", "pods"), "", id="somebody else"),
    pytest.param([READER, binding("b", "reader", group("dev"))], DEV, Asked("get", "pods"),
                 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to Group "dev"', id="a group"),
    pytest.param([READER, binding("b", "reader", account("shop", "app"))], APP, Asked("get", "pods"),
                 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to ServiceAccount "app/shop"',
                 id="a service account"),
    pytest.param([READER, binding("b", "reader", account("shop", "app"), namespace="x")], APP,
                 Asked("get", "pods", namespace="x"),
                 'RBAC: allowed by RoleBinding "b/x" of ClusterRole "reader" to ServiceAccount "app/shop"',
                 id="a cluster role in one namespace"),
    pytest.param([READER, binding("b", "reader", user("bob"), namespace="x")], BOB, Asked("get", "pods", namespace="y"),
                 "", id="and not in another"),
    pytest.param([READER, binding("b", "reader", user("bob"), namespace="x")], BOB, Asked("get", "pods"), "",
                 id="nor in all at once"),
    pytest.param([WRITER, binding("b", "writer", user("bob"), namespace="shop", kind="Role")], BOB,
                 Asked("create", "pods", namespace="shop"),
                 'RBAC: allowed by RoleBinding "b/shop" of Role "writer" to User "bob"', id="a role of the namespace"),
    pytest.param([WRITER, binding("b", "writer", user("bob"), namespace="x", kind="Role")], BOB,
                 Asked("create", "pods", namespace="x"), "", id="not of another one"),
])
def test_what_bindings_grant(given, who, asked, why):
    assert Grants(history(*given)).why(who, asked) == why
    assert rights(*given).may(who, asked) is bool(why)


def test_bindings_are_sorted_anew_when_one_changed():
    kept = history(READER)
    grants = Grants(kept)
    assert not grants.why(BOB, Asked("get", "pods"))
    bound = binding("b", "reader", user("bob"))
    kept.append([Change(2, KINDS.key_of(bound), Snapshot(bound, 2), None)])
    assert grants.why(BOB, Asked("get", "pods"))
    kept.append([Change(3, KINDS.key_of(bound), None, Snapshot(bound, 2))])
    assert not grants.why(BOB, Asked("get", "pods"))


@pytest.mark.parametrize(("who", "asked", "allowed"), [
    pytest.param(component("admin"), Asked("delete", "nodes"), True, id="masters may all"),
    pytest.param(component("admin"), Asked("post", path="/anything"), True, id="everywhere"),
    pytest.param(BOB, Asked("get", "pods"), False, id="others nothing yet"),
    pytest.param(BOB, Asked("create", "selfsubjectaccessreviews.authorization.k8s.io"), True, id="but ask what"),
    pytest.param(BOB, Asked("get", path="/apis/apps/v1"), True, id="and discovery"),
    pytest.param(ANONYMOUS, Asked("get", path="/apis"), False, id="which is not for strangers"),
    pytest.param(ANONYMOUS, Asked("get", path="/healthz"), True, id="health is"),
    pytest.param(ANONYMOUS, Asked("get", path="/livez/ping"), True, id="and its parts"),
    pytest.param(ANONYMOUS, Asked("get", path="/healthzzz"), False, id="but not what starts alike"),
    pytest.param(ANONYMOUS, Asked("post", path="/healthz"), False, id="nor another verb"),
    pytest.param(ANONYMOUS, Asked("get", "configmaps", namespace="kube-public", name="cluster-info"), True,
                 id="where the cluster is"),
    pytest.param(User("system:bootstrap:abcdef", ("system:bootstrappers", KNOWN)),
                 Asked("create", "certificatesigningrequests.certificates.k8s.io"), True, id="a machine that joins"),
    pytest.param(User("p", ("system:monitoring",)), Asked("get", path="/metrics"), True, id="monitoring"),
])
def test_what_every_cluster_begins_with(who, asked, allowed):
    assert rights(*first_roles()).may(who, asked) is allowed


@pytest.mark.parametrize(("about", "message"), [
    pytest.param(Asked("list", "pods", namespace="default"), 'pods is forbidden: User "bob" cannot list resource '
                 '"pods" in API group "" in the namespace "default"', id="a list"),
    pytest.param(Asked("list", "daemonsets.apps", "status", "x", "a"),
                 'daemonsets.apps "a" is forbidden: User "bob" cannot list resource "daemonsets/status" in API group '
                 '"apps" in the namespace "x"', id="a subresource"),
    pytest.param(Asked("list", "nodes"), 'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" '
                 "at the cluster scope", id="the whole cluster"),
    pytest.param(Asked("list", path="/metrics"), 'forbidden: User "bob" cannot list path "/metrics"', id="a path"),
])
def test_how_it_is_refused(about, message):
    assert refusal(BOB, about).message == message


def test_a_binding_to_a_role_that_is_not_there_is_named():
    missing = f'clusterrole.{GROUP} "gone" not found'
    found = rights(binding("b", "gone", user("bob")))
    with pytest.raises(Forbidden, match=f"at the cluster scope: RBAC: {missing}"):
        found.check(BOB, Asked("list", "nodes"))
    assert found.verdict(BOB, Asked("list", "nodes")) == {
        "allowed": False, "reason": f"RBAC: {missing}", "evaluationError": missing}


# ------------------------------------------------------------------ what nobody may grant


@pytest.mark.parametrize(("wanted", "held", "missing"), [
    pytest.param([rule("pods", "get,list")], [rule("pods", "get,list,watch")], [], id="held"),
    pytest.param([rule("pods", "get,list")], [rule("pods", "get"), rule("*", "list")], [], id="by two rules together"),
    pytest.param([rule("pods,secrets", "get")], [rule("pods", "get")],
                 ['{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'], id="a part is not"),
    pytest.param([rule("*", "*", "*")], [rule("pods", "*")],
                 ['{APIGroups:["*"], Resources:["*"], Verbs:["*"]}'], id="everything is more than much"),
    pytest.param([rule("pods/log")], [rule("*/log")], [], id="any log"),
    pytest.param([rule(resourceNames=["a", "b"])], [rule(resourceNames=["a"])],
                 ['{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}'], id="by name"),
    pytest.param([rule()], [rule(resourceNames=["a"])], ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
                 id="one is not all"),
    pytest.param([{"nonResourceURLs": ["/a/b"], "verbs": ["get"]}], [{"nonResourceURLs": ["/a/*"], "verbs": ["get"]}], [],
                 id="a path"),
    pytest.param([rule("pods", "get,list")], [], ['{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}'],
                 id="verbs are told together"),
])
def test_rules_over_rules(wanted, held, missing):
    assert [shown(one) for one in merged(not_covered(wanted, held))] == missing


def test_a_rule_is_all_its_parts():
    whole = rule("pods,pods/log", "get,list", resourceNames=["a", "b"])
    assert len(list(parts(whole))) == 8 and not_covered([whole], [whole]) == []


def in_a_cluster(story):
    async def main(clock: Clock):
        cluster = Cluster(MemoryStore(), clock)
        await cluster.create_missing(first_objects("127.0.0.1", 6443))
        await cluster.create_roles()
        async with running(cluster):
            await story(cluster)
            await asyncio.sleep(5)
            return {name_: one.value for (_, name_), one
                    in cluster.store.history.lane(f"clusterroles.{GROUP}").objects.items()}

    return run_virtual(main)


EDITOR_RULE = rule("gadgets", "get,patch", "example.com")


def test_roles_are_put_together():
    async def story(cluster):
        mine = role("gadgets", EDITOR_RULE)
        mine["metadata"]["labels"] = {f"{GROUP}/aggregate-to-edit": "true"}
        await cluster.client("admin").create(mine)

    roles = in_a_cluster(story)
    assert EDITOR_RULE in roles["edit"]["rules"] and EDITOR_RULE in roles["admin"]["rules"]
    assert EDITOR_RULE not in roles["view"]["rules"]
    for smaller, larger in (("view", "edit"), ("edit", "admin"), ("admin", "cluster-admin")):
        assert not_covered(roles[smaller]["rules"], roles[larger]["rules"]) == [], smaller


def test_what_left_is_taken_out_again():
    async def story(cluster):
        client = cluster.client("admin")
        mine = role("gadgets", EDITOR_RULE)
        mine["metadata"]["labels"] = {f"{GROUP}/aggregate-to-edit": "true"}
        await client.create(mine)
        await asyncio.sleep(5)
        await client.delete(Key(f"clusterroles.{GROUP}", "", "gadgets"))

    roles = in_a_cluster(story)
    assert EDITOR_RULE not in roles["edit"]["rules"] and EDITOR_RULE not in roles["admin"]["rules"]


@pytest.mark.parametrize(("given", "grants", "obj", "refused"), [
    pytest.param([], [], role("r", rule()), 'user "bob" (groups=["system:authenticated"]) is attempting to grant RBAC '
                 'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}', id="a role"),
    pytest.param([READER], ["reader"], role("r", rule()), "", id="that says what one holds"),
    pytest.param([READER], [], binding("b", "reader", user("bob")), "is attempting to grant RBAC permissions",
                 id="a binding"),
    pytest.param([READER], ["reader"], binding("b", "reader", user("eve")), "", id="of what one holds"),
    pytest.param([READER, role("binder", rule("clusterroles", "bind", GROUP))], ["binder"],
                 binding("b", "reader", user("eve")), "", id="or may bind"),
    pytest.param([role("writer-of-roles", rule("clusterroles", "escalate", GROUP))], ["writer-of-roles"],
                 role("r", rule()), "", id="or may escalate"),
    pytest.param([], [], binding("b", "gone", user("eve")), f'clusterroles.{GROUP} "gone" not found',
                 id="of nobody knows what"),
    pytest.param([READER], ["reader"], {**role("r"), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {}}]}},
                 "must have cluster-admin privileges to use an aggregationRule", id="one that grows by itself"),
])
def test_nobody_grants_what_they_do_not_hold(given, grants, obj, refused):
    async def main(clock: Clock):
        cluster = Cluster(MemoryStore(), clock)
        admin = cluster.client("admin")
        for one in [*given, *(binding(f"has-{name}", name, user("bob")) for name in grants)]:
            await admin.create(one)
        kind = KINDS.named(obj["apiVersion"], obj["kind"])
        await cluster.registry.create(kind, "", obj, WriteOptions(BOB))

    if refused:
        with pytest.raises(Forbidden) as caught:
            run_virtual(main)
        assert refused in caught.value.message
    else:
        run_virtual(main)


def test_all_of_the_first_roles_are_valid():
    for obj in first_roles():
        kind = KINDS.named(obj["apiVersion"], obj["kind"])
        assert kind.validate(kind.defaults(obj)) == [], obj["metadata"]["name"]
        served = {one.resource for one in KINDS}
        for said in obj.get("rules") or ():
            for api_group in said.get("apiGroups") or ():
                for plural in said["resources"]:
                    plain = plural.partition("/")[0]
                    assert plain == "*" or api_group in ("authorization.k8s.io", "authentication.k8s.io", "metrics.k8s.io",
                                                         "certificates.k8s.io") or (
                        f"{plain}.{api_group}" if api_group else plain) in served, plural


@pytest.mark.parametrize(("signers", "refused"), [
    pytest.param([], True, id="of no signer"),
    pytest.param([KUBELET], False, id="of this one"),
    pytest.param([CLIENT], True, id="of another"),
    pytest.param(["kubernetes.io/*"], False, id="of all of its domain"),
    pytest.param(["example.com/*"], True, id="of another domain"),
])
def test_who_approves_a_certificate(signers, refused):
    approver = role("approver", rule("certificatesigningrequests/approval", "update", "certificates.k8s.io"),
                    *([rule("signers", "approve", "certificates.k8s.io", resourceNames=signers)] if signers else []))

    async def main(clock: Clock):
        cluster = Cluster(MemoryStore(), clock)
        admin = cluster.client("admin")
        for one in (approver, binding("b", "approver", user("bob")), csr()):
            await admin.create(one)
        kind = KINDS.resource("certificatesigningrequests.certificates.k8s.io")
        approved = {"type": "Approved", "status": "True", "reason": "Fine"}
        there = cluster.store.get(kind.key("", "csr")).value
        await cluster.registry.update(kind, "", "csr", {**there, "status": {"conditions": [approved]}}, WriteOptions(BOB),
                                      "approval")

    if refused:
        with pytest.raises(Forbidden, match=f'user not permitted to approve requests with signerName "{KUBELET}"'):
            run_virtual(main)
    else:
        run_virtual(main)
