"""The rows of every kind that comes with Muster, in the order discovery lists them.

Adding a kind is one file in this folder and one line here.
"""
from __future__ import annotations

from .certificate_signing_request import CERTIFICATE_SIGNING_REQUEST
from .config_map import CONFIG_MAP
from .controller_revision import CONTROLLER_REVISION
from .cron_job import CRON_JOB
from .daemonset import DAEMONSET
from .deployment import DEPLOYMENT
from .endpoint_slice import ENDPOINT_SLICE
from .endpoints import ENDPOINTS
from .event import EVENT, NEWER_EVENT
from .horizontal_pod_autoscaler import HORIZONTAL_POD_AUTOSCALER, OLDER_HORIZONTAL_POD_AUTOSCALER
from .job import JOB
from .kind import Kind
from .lease import LEASE
from .limit_range import LIMIT_RANGE
from .namespace import NAMESPACE
from .node import NODE
from .node_pool import NODE_POOL
from .persistent_volume import PERSISTENT_VOLUME
from .persistent_volume_claim import PERSISTENT_VOLUME_CLAIM
from .pod import POD
from .pod_disruption_budget import POD_DISRUPTION_BUDGET
from .pod_template import POD_TEMPLATE
from .priority_class import PRIORITY_CLASS
from .replica_set import REPLICA_SET
from .replication_controller import REPLICATION_CONTROLLER
from .resource_quota import RESOURCE_QUOTA
from .role import CLUSTER_ROLE, ROLE
from .role_binding import CLUSTER_ROLE_BINDING, ROLE_BINDING
from .runtime_class import RUNTIME_CLASS
from .secret import SECRET
from .service import SERVICE
from .service_account import SERVICE_ACCOUNT
from .stateful_set import STATEFUL_SET
from .storage_class import STORAGE_CLASS

BUILT_IN: tuple[Kind, ...] = (
    JOB, CRON_JOB,
    POD, POD_TEMPLATE, DAEMONSET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET, CONTROLLER_REVISION,
    REPLICATION_CONTROLLER,
    POD_DISRUPTION_BUDGET, PRIORITY_CLASS, RUNTIME_CLASS, STORAGE_CLASS, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM,
    NAMESPACE, NODE, CONFIG_MAP, SECRET, SERVICE, ENDPOINTS, SERVICE_ACCOUNT, EVENT, LIMIT_RANGE, RESOURCE_QUOTA,
    ENDPOINT_SLICE, NEWER_EVENT, LEASE, NODE_POOL,
    OLDER_HORIZONTAL_POD_AUTOSCALER, HORIZONTAL_POD_AUTOSCALER, CERTIFICATE_SIGNING_REQUEST,
    ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING,
)
