"""Roles and bindings, driven by the real kubectl."""


def as_(space, user, *arguments, **options):
    return space.kubectl(*arguments, "--as", user, **options)


def test_a_role_opens_what_it_says(space):
    bob = f"bob-{space.name}"
    space.kubectl("create", "configmap", "settings", "--from-literal=a=1")
    refused = as_(space, bob, "get", "configmaps", fails=True)
    assert refused.stderr.strip() == (f'Error from server (Forbidden): configmaps is forbidden: User "{bob}" cannot list resource '
                             f'"configmaps" in API group "" in the namespace "{space.name}"')
    assert space.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps").lines == [
        "role.rbac.authorization.k8s.io/reader created"]
    assert space.kubectl("create", "rolebinding", "bob-reads", "--role=reader", f"--user={bob}").lines == [
        "rolebinding.rbac.authorization.k8s.io/bob-reads created"]
    assert "settings" in [row["NAME"] for row in as_(space, bob, "get", "configmaps").table]
    as_(space, bob, "delete", "configmap", "settings", fails=True)
    assert as_(space, bob, "auth", "can-i", "list", "configmaps").lines == ["yes"]
    assert as_(space, bob, "auth", "can-i", "delete", "configmaps", fails=True).lines == ["no"]
    listed = as_(space, bob, "auth", "can-i", "--list").table
    assert any(row["Resources"] == "configmaps" and row["Verbs"] == "[get list]" for row in listed)


def test_how_they_are_printed(space):
    space.kubectl("create", "role", "reader", "--verb=get", "--resource=pods")
    space.kubectl("create", "rolebinding", "b", "--role=reader", "--user=ann", "--group=ops",
                  f"--serviceaccount={space.name}:app")
    (role,) = space.kubectl("get", "roles").table
    assert list(role) == ["NAME", "CREATED AT"] and role["CREATED AT"].endswith("Z")
    (bound,) = space.kubectl("get", "rolebindings", "-o", "wide").table
    assert (bound["ROLE"], bound["USERS"], bound["GROUPS"], bound["SERVICEACCOUNTS"]) == (
        "Role/reader", "ann", "ops", f"{space.name}/app")
    told = space.kubectl("describe", "role", "reader").stdout
    assert "pods       []                 []              [get]" in told


def test_service_accounts_and_cluster_roles(space):
    account = f"system:serviceaccount:{space.name}:app"
    space.kubectl("create", "serviceaccount", "app")
    space.kubectl("create", "rolebinding", "app-edits", "--clusterrole=edit", f"--serviceaccount={space.name}:app")
    assert as_(space, account, "create", "deployment", "web", "--image=nginx").lines == ["deployment.apps/web created"]
    as_(space, account, "create", "role", "more", "--verb=get", "--resource=nodes", fails=True)
    assert as_(space, account, "auth", "can-i", "get", "pods", "-n", "default", fails=True).lines == ["no"]


def test_nobody_grants_more_than_they_hold(space):
    ann = f"ann-{space.name}"
    space.kubectl("create", "rolebinding", "ann-administers", "--clusterrole=admin", f"--user={ann}")
    as_(space, ann, "create", "role", "reader", "--verb=get", "--resource=pods")
    refused = as_(space, ann, "create", "role", "all", "--verb=*", "--resource=nodes", fails=True)
    assert "is attempting to grant RBAC permissions not currently held:" in refused.stderr
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["*"]}' in refused.stderr
    refused = as_(space, ann, "create", "rolebinding", "me", "--clusterrole=cluster-admin", f"--user={ann}", fails=True)
    assert "is attempting to grant RBAC permissions not currently held:" in refused.stderr


def test_refused(space):
    space.kubectl("create", "role", "reader", "--verb=get", "--resource=pods")
    space.kubectl("create", "rolebinding", "b", "--role=reader", "--user=ann")
    refused = space.kubectl("patch", "rolebinding", "b", "-p", '{"roleRef": {"name": "other"}}', fails=True)
    assert refused.stderr.strip() == (
        'The RoleBinding "b" is invalid: roleRef: Invalid value: rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", '
        'Kind:"Role", Name:"other"}: cannot change roleRef')
    refused = space.kubectl("create", "-f", "-", fails=True, given={
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": []}]})
    assert "rules[0].verbs: Required value" in refused.stderr
    refused = space.kubectl("create", "rolebinding", "c", "--role=reader", "--serviceaccount=app", fails=True)
    assert "serviceaccount must be <namespace>:<name>" in refused.stderr


def test_the_first_ones(cluster):
    names = [row["NAME"] for row in cluster.kubectl("get", "clusterroles").table]
    assert {"admin", "cluster-admin", "edit", "view", "system:discovery"} <= set(names)
    assert cluster.kubectl("auth", "can-i", "*", "*").lines == ["yes"]
    assert cluster.kubectl("auth", "reconcile", "-f", "-", given="""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reconciled}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
""").lines[0] == "clusterrole.rbac.authorization.k8s.io/reconciled reconciled"
