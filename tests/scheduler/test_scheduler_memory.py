"""The scheduler from look to look: what it hears, when it looks, what it has learned by then."""
from scheduling_world import NOW, bound, node, pod, told

from muster.api.objects import Key, name_of, namespace_of
from muster.scheduler.controller import scheduler
from muster.store.history import Change, Snapshot

RESOURCES = {"Node": "nodes", "Pod": "pods", "ReplicaSet": "replicasets.apps", "Service": "services"}


class Cluster:
    """A mirror of few words, and the scheduler that hears of its changes."""

    def __init__(self, *objects):
        self.scheduler, self._objects, self.revision = scheduler(), {}, 0
        for obj in objects:
            self.put(obj)

    def get(self, key):
        return self._objects.get(key)

    def in_namespace(self, resource, namespace):
        return {key.name: obj for key, obj in self._objects.items() if (key.resource, key.namespace) == (resource, namespace)}

    def put(self, obj, gone=False):
        """True when it is a reason to look."""
        key = Key(RESOURCES[obj["kind"]], namespace_of(obj), name_of(obj))
        old, self.revision = self._objects.get(key), self.revision + 1
        if gone:
            del self._objects[key]
        else:
            self._objects[key] = obj
        if key.resource not in self.scheduler.resources:
            return False
        return bool(list(self.scheduler.wakes(Change(
            self.revision, key, None if gone else Snapshot(obj, self.revision), Snapshot(old, 0) if old else None), self)))

    def look(self, now=NOW):
        return self.scheduler.plan(self, now)

    def carry_out(self, plan):
        for name, where in bound(plan).items():
            one = self.get(Key("pods", "x", name))
            self.put({**one, "spec": {**one["spec"], "nodeName": where}})


def replica(name, number):
    one = pod(f"{name}-{number}", labels={"app": name})
    one["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": name, "uid": f"uid-{name}", "controller": True}]
    return one


def test_nothing_to_look_at():
    assert Cluster(node("n1")).scheduler.observe(None, "") is None


def test_a_pod_is_bound_and_is_not_looked_at_again():
    cluster = Cluster(node("n1"))
    assert cluster.put(pod("p"))
    found = cluster.look()
    assert bound(found) == {"p": "n1"}
    cluster.carry_out(found)
    assert cluster.scheduler.observe(None, "") is None


def test_a_refused_pod_is_looked_at_when_its_rest_is_over():
    cluster = Cluster(node("n1", cpu="1"), pod("p", cpu="2"))
    found = cluster.look()
    assert told(found) and found.wake_at == NOW + 300
    assert cluster.put(node("n1", cpu="4"))
    found = cluster.look(NOW + 0.1)
    assert found.actions == [] and found.wake_at == NOW + 1
    assert bound(cluster.look(NOW + 1)) == {"p": "n1"}


def test_many_pods_take_several_looks_one_after_another():
    cluster = Cluster(*(node(f"n{number}") for number in range(2)), *(pod(f"p{number}") for number in range(1200)))
    first = cluster.look()
    assert first.wake_at == NOW and 0 < len(bound(first)) < 1200


def test_pods_of_a_replica_set_are_spread_over_hosts():
    """By upstream's default constraints: it says nothing itself."""
    owner = {"kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "x"},
             "spec": {"selector": {"matchLabels": {"app": "web"}}}}
    nodes = [node(f"n{number}", cpu=str(4 + 8 * number)) for number in range(3)]
    cluster = Cluster(owner, *nodes, *(replica("web", number) for number in range(3)))
    assert sorted(bound(cluster.look()).values()) == ["n0", "n1", "n2"]


def test_pods_behind_a_service_are_spread_too():
    service = {"kind": "Service", "metadata": {"name": "web", "namespace": "x"}, "spec": {"selector": {"app": "web"}}}
    pods = [pod(f"p{number}", labels={"app": "web"}) for number in range(3)]
    assert sorted(bound(Cluster(service, *(node(f"n{n}") for n in range(3)), *pods).look()).values()) == ["n0", "n1", "n2"]


def test_room_that_is_kept_no_more_is_told_to_those_who_could_use_it():
    keeper = pod("keeper", cpu="4", priority=5)
    keeper["status"]["nominatedNodeName"] = "n1"
    victim = pod("victim", cpu="1", bound="n1")
    victim["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster = Cluster(node("n1"), victim, keeper, pod("p", cpu="3"))
    assert len(told(cluster.look())) == 2
    assert cluster.put(keeper, gone=True)
    assert bound(cluster.look(NOW + 5)) == {"p": "n1"}
