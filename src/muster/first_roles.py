"""The roles and bindings that every cluster begins with, as far as they speak of what Muster serves.

    cluster-admin, admin, edit, view      for people and programs, to be bound
    system:...                            what everybody, everybody who is known, monitoring and joining machines may

`admin`, `edit` and `view` are put together from the roles with a label (controllers/cluster_role_aggregation.py), so a
role of your own with that label adds to them.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""
from __future__ import annotations

from collections.abc import Sequence

from .api.objects import Obj
from .server.grants import GROUP

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_NOTES = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
AGGREGATE = f"{GROUP}/aggregate-to-"
READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")

_WORKLOADS = (
    ("apps", ("daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets",
              "statefulsets/scale")),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("batch", ("cronjobs", "jobs")),
    ("policy", ("poddisruptionbudgets",)),
)
_CORE = ("configmaps", "endpoints", "events", "persistentvolumeclaims", "pods", "replicationcontrollers",
         "replicationcontrollers/scale", "serviceaccounts", "services")
_READABLE = (*_CORE, "limitranges", "namespaces", "namespaces/status", "persistentvolumeclaims/status", "pods/log",
             "pods/status", "replicationcontrollers/status", "resourcequotas", "resourcequotas/status",
             "services/status")
_STATUSES = (
    ("apps", ("controllerrevisions", "daemonsets/status", "deployments/status", "replicasets/status",
              "statefulsets/status")),
    ("autoscaling", ("horizontalpodautoscalers/status",)),
    ("batch", ("cronjobs/status", "jobs/status")),
    ("discovery.k8s.io", ("endpointslices",)),
    ("events.k8s.io", ("events",)),
    ("metrics.k8s.io", ("nodes", "pods")),
    ("policy", ("poddisruptionbudgets/status",)),
)
_REACH = ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy")


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> Obj:
    rule: Obj = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def _paths(*urls: str) -> Obj:
    return {"nonResourceURLs": list(urls), "verbs": ["get"]}


VIEW = [_rule("", _READABLE, READ), *(_rule(group, resources, READ) for group, resources in _WORKLOADS + _STATUSES)]
EDIT = [
    _rule("", (*_REACH, "secrets"), READ),
    _rule("", ("serviceaccounts",), ("impersonate",)),
    _rule("", (*_REACH, *_CORE, "secrets"), WRITE),
    _rule("", ("pods/eviction", "serviceaccounts/token"), ("create",)),
    *(_rule(group, resources, WRITE) for group, resources in _WORKLOADS),
]
ADMIN = [_rule("authorization.k8s.io", ("localsubjectaccessreviews",), ("create",)),
         _rule(GROUP, ("rolebindings", "roles"), READ + WRITE)]
DISCOVERY = _paths("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                   "/version", "/version/")
HEALTH = _paths("/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*", "/version", "/version/")

KNOWN, STRANGERS = "system:authenticated", "system:unauthenticated"
CLUSTER_INFO = "cluster-info"  # the ConfigMap that says where the cluster is, and by which CA it is known

# Each with its rules, and the groups that it is bound to from the beginning.
_ROLES: tuple[tuple[str, list[Obj], tuple[str, ...]], ...] = (
    ("cluster-admin", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                       {"nonResourceURLs": ["*"], "verbs": ["*"]}], ("system:masters",)),
    ("system:basic-user", [
        _rule("authorization.k8s.io", ("selfsubjectaccessreviews", "selfsubjectrulesreviews"), ("create",)),
        _rule("authentication.k8s.io", ("selfsubjectreviews",), ("create",))], (KNOWN,)),
    ("system:discovery", [DISCOVERY], (KNOWN,)),
    ("system:public-info-viewer", [HEALTH], (KNOWN, STRANGERS)),
    ("system:service-account-issuer-discovery", [
        _paths("/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks",
               "/openid/v1/jwks/")], ("system:serviceaccounts",)),
    ("system:monitoring", [_paths("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz", "/readyz/*")],
     ("system:monitoring",)),
    ("system:node-bootstrapper", [
        _rule("certificates.k8s.io", ("certificatesigningrequests",), ("create", *READ))], ("system:bootstrappers",)),
    ("system:auth-delegator", [_rule("authentication.k8s.io", ("tokenreviews",), ("create",)),
                               _rule("authorization.k8s.io", ("subjectaccessreviews",), ("create",))], ()),
)
_PARTS = (("view", VIEW, ("edit",)), ("edit", EDIT, ("admin",)), ("admin", ADMIN, ()))  # and what each is a part of


def first_roles() -> list[Obj]:
    return [
        *(_role(name, rules) for name, rules, _ in _ROLES),
        *(_binding(name, groups) for name, _, groups in _ROLES if groups),
        *(_role(f"system:aggregate-to-{name}", rules, {AGGREGATE + name: "true"}) for name, rules, _ in _PARTS),
        *(_aggregated(name, above) for name, _, above in _PARTS),
        *_cluster_info(),
    ]


def _role(name: str, rules: list[Obj], labels: Obj | None = None) -> Obj:
    return {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "rules": rules,
            "metadata": {"name": name, "labels": {**_LABELS, **(labels or {})}, "annotations": _NOTES}}


def _aggregated(name: str, above: Sequence[str]) -> Obj:
    role = _role(name, [], {AGGREGATE + one: "true" for one in above})
    return {**role, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE + name: "true"}}]}}


def _binding(role: str, groups: Sequence[str]) -> Obj:
    return {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": role, "labels": _LABELS, "annotations": _NOTES},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups]}


def _cluster_info() -> list[Obj]:
    """Anybody may read where the cluster is: a machine that is about to join it is nobody yet."""
    about = {"name": "system:cluster-info", "namespace": "kube-public", "labels": _LABELS, "annotations": _NOTES}
    return [
        {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": about,
         "rules": [_rule("", ("configmaps",), ("get",), (CLUSTER_INFO,))]},
        {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding", "metadata": about,
         "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "system:cluster-info"},
         "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "system:anonymous"},
                      {"apiGroup": GROUP, "kind": "Group", "name": KNOWN}]},
    ]
