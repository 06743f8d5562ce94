"""What stands between a pod and a node, and what would help: the words, and that the change named does help."""
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from node_verdicts import verdicts
from scheduling_world import HOST, ZONE, World, affinity, node, pod, spread, term

from muster.api.objects import Key
from muster.control.plan import Tell
from muster.scheduler.barrier import MOST, barrier, likeness, placement_barrier, remembering
from muster.scheduler.choice import World as Drafted
from muster.scheduler.obstacle import Case
from muster.scheduler.remedies import CONDITIONS, asking
from muster.scheduler.snapshot import waiting_of
from muster.scheduler.topology import Surroundings
from muster.scheduler.volumes import Unbound, VolumeNeeds

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
TOLERATION = '{"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}'
WEB, DB = {"app": "web"}, {"app": "db"}


def asked(there, one, name="n1", volumes=None):
    world = World(*there)
    waiting = waiting_of(Key("pods", one["metadata"]["namespace"], one["metadata"]["name"]), one)
    drafted = Drafted.of(world.snapshot.rooms, tallies=world.snapshot.tallies)
    return barrier(Case(one, waiting.needs, world.snapshot.rooms[name]),
                   remembering(lambda wishes: Surroundings(wishes, drafted.draft)), volumes)


def required(*terms):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def expression(key, operator, *values):
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def expressions(*found):
    return {"matchExpressions": list(found)}


def ready(status, message):
    return {"type": "Ready", "status": status, "message": message}


SILENT = node("n1", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}])
SILENT["status"]["conditions"] = [ready("Unknown", "Kubelet stopped posting node status.")]
TWO_ZONES = [node("n1", zone="a"), node("n2", zone="b")]
LOCAL = {"nodeSelectorTerms": [expressions(expression(HOST, "In", "n2"))]}


@pytest.mark.parametrize("there, one, says", [
    pytest.param([node("n1", unschedulable=True)], pod("p"),
                 "it is cordoned (spec.unschedulable: true); `kubectl uncordon n1`", id="cordoned"),
    pytest.param([node("n1", taints=[TAINT])], pod("p"),
                 f"taint dedicated=gpu:NoSchedule is not tolerated; add this toleration: {TOLERATION}, or "
                 "`kubectl taint node n1 dedicated:NoSchedule-`", id="taint"),
    pytest.param([node("n1", taints=[{"key": "old", "effect": "NoExecute"}])], pod("p"),
                 'taint old:NoExecute is not tolerated; add this toleration: {"key": "old", "operator": "Exists", '
                 '"effect": "NoExecute"}, or `kubectl taint node n1 old:NoExecute-`', id="taint without a value"),
    pytest.param([SILENT], pod("p"),
                 'taint node.kubernetes.io/unreachable:NoSchedule is not tolerated; add this toleration: {"key": '
                 '"node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoSchedule"}, or wait until the '
                 "node is heard of again (Kubelet stopped posting node status.)", id="a node that is silent"),
    pytest.param([node("n1")], pod("p", nodeSelector={"disk": "ssd"}),
                 "nodeSelector asks for disk=ssd, the node has no label disk; `kubectl label node n1 disk=ssd`", id="label"),
    pytest.param([node("n1", labels={"disk": "hdd"})], pod("p", nodeSelector={"disk": "ssd"}),
                 "nodeSelector asks for disk=ssd, the node has disk=hdd; `kubectl label node n1 disk=ssd --overwrite`",
                 id="another label"),
    pytest.param([node("n1", labels={"kubernetes.io/arch": "arm64"})], pod("p", nodeSelector={"kubernetes.io/arch": "amd64"}),
                 "nodeSelector asks for kubernetes.io/arch=amd64, the node has kubernetes.io/arch=arm64; "
                 "ask for kubernetes.io/arch=arm64", id="what a node is, it is not labelled to be"),
    pytest.param([node("n1", labels={"a": "1"})],
                 pod("p", affinity=required(expressions(expression("a", "In", "2"), expression("b", "Exists")),
                                            expressions(expression("a", "Gt", "5")))),
                 "node affinity asks for a Gt (5), the node has a=1 (term 2 of 2 misses least); "
                 "`kubectl label node n1 a=6 --overwrite`", id="the term that misses least"),
    pytest.param([node("n1", labels={"a": "1"})], pod("p", affinity=required(expressions(expression("a", "DoesNotExist")))),
                 "node affinity asks for a DoesNotExist, the node has a=1; `kubectl label node n1 a-`", id="a label too many"),
    pytest.param([node("n1")], pod("p", affinity=required({})),
                 "its required node affinity has no term that says anything, so no node matches; leave it out",
                 id="a term that says nothing"),
    pytest.param([node("n1")], pod("p", on="n2"), "the pod is for node n2 alone", id="a daemon of another node"),
    pytest.param([node("n1"), pod("q", bound="n1", port=80), pod("r", bound="n1", port=81)], pod("p", port=80),
                 "host port 80/TCP is taken by pod x/q; take another host port (82 is free there) or none, or end that pod",
                 id="host port"),
    pytest.param([node("n1"), pod("q", cpu="3700m", bound="n1")], pod("p", cpu="2"),
                 "asks for cpu 2, free 300m of 4; ask for 300m at most, or free 1700m", id="cpu"),
    pytest.param([node("n1")], pod("p", cpu="8"), "asks for cpu 8, free 4 of 4 that it has in all; ask for 4 at most",
                 id="more than there is"),
    pytest.param([node("n1"), pod("q", cpu="4", bound="n1")], pod("p", cpu="1"),
                 "asks for cpu 1, free 0 of 4; ask for none of it, or free 1", id="nothing left"),
    pytest.param([node("n1"), pod("q", cpu={"memory": "5000000000"}, bound="n1")], pod("p", cpu={"memory": "6Gi"}),
                 "asks for memory 6Gi, free 3423Mi of 8Gi; ask for 3423Mi at most, or free 2721Mi", id="memory, in whole MiB"),
    pytest.param([node("n1")], pod("p", cpu={"nvidia.com/gpu": "1"}),
                 "asks for nvidia.com/gpu 1, the node has none; do not ask for nvidia.com/gpu", id="a device it does not have"),
    pytest.param([node("n1", pods="1"), pod("q", bound="n1")], pod("p"), "1 pods are there, of 1 at most; end one of them",
                 id="too many pods"),
    pytest.param([*TWO_ZONES, pod("q", bound="n1", labels=WEB), pod("r", bound="n1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]),
                 f"{ZONE}=a has 2 of the pods that it is spread with, 0 in b: one more makes a skew of 3, maxSkew is 1; "
                 "a maxSkew of 3, or make room for it in b", id="spread"),
    pytest.param([*TWO_ZONES, pod("q", bound="n1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, minDomains=3)]),
                 f"{ZONE}=a has 1 of the pods that it is spread with, only 2 of at least 3 places are there: one more makes "
                 f"a skew of 2, maxSkew is 1; a maxSkew of 2, or add a node with another {ZONE}", id="too few domains"),
    pytest.param([node("n1"), node("n2", zone="b")], pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]),
                 f"it is to be spread by {ZONE}, which the node has no label for; `kubectl label node n1 {ZONE}=b` "
                 "(or what it is: b are known)", id="a node in no domain"),
    pytest.param([*TWO_ZONES, pod("q", bound="n2", labels=DB)], pod("p", affinity=affinity("podAffinity", term(DB))),
                 f"its affinity asks for pods with app=db in {ZONE}=a, there is none (but in b); "
                 "a pod there with the labels app=db in namespace x", id="affinity"),
    pytest.param([*TWO_ZONES, pod("q", bound="n1", labels=DB)], pod("p", affinity=affinity("podAntiAffinity", term(DB))),
                 f"its anti-affinity keeps it from pods with app=db: 1 pod is in {ZONE}=a; make that rule "
                 f"preferredDuringScheduling..., or by {HOST} instead of {ZONE}, or end those pods", id="anti-affinity"),
    pytest.param([node("n1"), pod("q", bound="n1", labels=WEB, affinity=affinity("podAntiAffinity", term(WEB, HOST)))],
                 pod("p", labels=WEB, affinity=affinity("podAntiAffinity", term(WEB, HOST))),
                 f"its anti-affinity keeps it from pods with app=web: 1 pod is in {HOST}=n1; make that rule "
                 "preferredDuringScheduling... in their template, or add a node", id="its siblings"),
    pytest.param([*TWO_ZONES, pod("q", bound="n1", affinity=affinity("podAntiAffinity", term(WEB)))], pod("p", labels=WEB),
                 f"1 pod is in {ZONE}=a with anti-affinity to app=web, as this pod is labelled; end those pods, or "
                 "label this pod otherwise", id="another's anti-affinity"),
    pytest.param([node("n1", taints=[TAINT], unschedulable=True), pod("q", cpu="4", bound="n1")],
                 pod("p", cpu="1", nodeSelector={"disk": "ssd"}),
                 "it is cordoned (spec.unschedulable: true); `kubectl uncordon n1`; and taint dedicated=gpu:NoSchedule is "
                 f"not tolerated; add this toleration: {TOLERATION}, or `kubectl taint node n1 dedicated:NoSchedule-`; and "
                 "nodeSelector asks for disk=ssd, the node has no label disk; `kubectl label node n1 disk=ssd`; and "
                 "asks for cpu 1, free 0 of 4; ask for none of it, or free 1", id="all that is in the way"),
])
def test_says(there, one, says):
    assert asked(there, one).on("n1") == says


@pytest.mark.parametrize("volumes, says", [
    pytest.param(VolumeNeeds(affinities=(LOCAL,)),
                 f"a volume of it can only be reached from nodes with {HOST} In (n2)", id="a local volume of another node"),
    pytest.param(VolumeNeeds(lost=True), "a volume that its claims are bound to is gone", id="a volume that is lost"),
    pytest.param(VolumeNeeds(unbound=(Unbound({"metadata": {"name": "data"}}, (), False),)),
                 "claim data finds no volume that suits it and can be reached from there; "
                 "make a PersistentVolume for data that the node can reach", id="no volume that suits"),
])
def test_says_of_volumes(volumes, says):
    assert asked([node("n1")], pod("p"), volumes=volumes).on("n1") == says


def test_says_nothing_of_a_node_that_takes_it():
    assert asked([node("n1")], pod("p", cpu="1")) is None


def test_a_pod_that_contradicts_itself_is_given_up_on():
    both = required(expressions(expression("a", "Exists"), expression("a", "DoesNotExist")))
    found = asked([node("n1")], pod("p", affinity=both))
    assert len(found.obstacles) == MOST and not found.can_be_lifted


def test_the_toleration_that_is_named_is_one():
    said = asked([node("n1", taints=[TAINT])], pod("p")).obstacles[0]
    toleration = json.loads(said.change.partition(": ")[2])
    assert asked([node("n1", taints=[TAINT])], pod("p", tolerations=[toleration])) is None


def test_of_a_pod_that_is_not_made_yet_only_the_place_counts():
    spec = {"containers": [{"name": "a", "resources": {"requests": {"cpu": "99"}}}], "nodeSelector": {"a": "b"}}
    assert placement_barrier(spec, node("n1", labels={"a": "b"})) is None
    assert placement_barrier(spec, node("n1")).on("n1").endswith("`kubectl label node n1 a=b`")


# ------------------------------------------------------------------ the law

KEYS, VALUES = st.sampled_from(["a", "b", "kubernetes.io/arch", "n/d"]), st.sampled_from(["1", "2", "x"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=3)
EFFECTS = st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])
TAINTS = st.lists(st.builds(lambda key, value, effect: {"key": key, "value": value, "effect": effect}, KEYS,
                            st.sampled_from(["", "x"]), EFFECTS), max_size=3)
EXPRESSIONS = st.one_of(
    st.builds(lambda key, operator, values: expression(key, operator, *values), KEYS, st.sampled_from(["In", "NotIn"]),
              st.lists(VALUES, min_size=1, max_size=2, unique=True)),
    st.builds(expression, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
    st.builds(lambda key, operator, value: expression(key, operator, value), KEYS, st.sampled_from(["Gt", "Lt"]),
              st.sampled_from(["0", "1", "7"])))
TERMS = st.lists(st.lists(EXPRESSIONS, max_size=2).map(lambda found: {"matchExpressions": found}), min_size=1, max_size=3)
AMOUNTS = st.fixed_dictionaries({}, optional={
    "cpu": st.sampled_from(["0", "1", "300m", "5"]), "memory": st.sampled_from(["1Gi", "100M", "9Gi"]),
    "x.y/z": st.sampled_from(["1", "3"])})


@st.composite
def nodes(draw, name):
    return node(name, cpu=draw(st.sampled_from(["1", "4"])), memory=draw(st.sampled_from(["1Gi", "8Gi"])),
                pods=draw(st.sampled_from(["1", "3", "110"])), taints=draw(TAINTS), labels=draw(LABELS),
                zone=draw(st.sampled_from(["a", "b", None])), more=draw(st.sampled_from([None, {"x.y/z": "1"}])),
                **draw(st.sampled_from([{}, {}, {"unschedulable": True}])))


@st.composite
def pods(draw, name, bound=None):
    more = {}
    if draw(st.booleans()):
        more["nodeSelector"] = draw(LABELS)
    if not bound and draw(st.booleans()):
        more["affinity"] = required(*draw(TERMS))
    made = pod(name, cpu=draw(AMOUNTS), bound=bound, port=draw(st.sampled_from([None, 80, 81])),
               labels=draw(st.sampled_from([WEB, DB])), **more)
    if draw(st.booleans()):
        second = {"name": "b", "image": "b:1", "resources": {"requests": draw(AMOUNTS)}}
        made["spec"]["containers"].append(second)
    if draw(st.booleans()):
        step = {"name": "i", "image": "i:1", "resources": {"requests": draw(AMOUNTS)}}
        made["spec"]["initContainers"] = [{**step, **draw(st.sampled_from([{}, {"restartPolicy": "Always"}]))}]
    return made


def helped(there, found):
    """The world with the changes that were named, and the pod as it is then."""
    after = found.obstacles[-1].after
    stays = [one for one in there if one["kind"] != "Pod" or one["spec"]["nodeName"] != after.room.name
             or Key("pods", "x", one["metadata"]["name"]) in after.room.pods]
    return [after.room.node if one["metadata"]["name"] == after.room.name else one for one in stays], after.pod


@settings(max_examples=400, deadline=None)
@given(nodes("n1"), nodes("n2"), pods("q", bound="n1"), pods("r", bound="n1"), pods("p"))
def test_what_is_named_helps(first, second, q, r, one):
    """Law: with all changes made that were named for a node, the node takes the pod."""
    there = [first, second, q, r]
    found = asked(there, one)
    if found is None:
        assert verdicts(one, World(*there).snapshot.rooms)["n1"] is None
        return
    assume(found.can_be_lifted)
    changed, one = helped(there, found)
    assert verdicts(one, World(*changed).snapshot.rooms)["n1"] is None


@settings(max_examples=200, deadline=None)
@given(st.lists(nodes("n"), min_size=2, max_size=6), st.lists(pods("q"), max_size=3), pods("p"), st.booleans())
def test_nodes_that_are_alike_have_one_barrier(some, others, one, spreads):
    """Law: of nodes whose likeness is equal the same is told, so one of them is asked for all."""
    there = [{**each, "metadata": {**each["metadata"], "name": f"n{number}"}} for number, each in enumerate(some)]
    for number, other in enumerate(others):
        there.append({**other, "metadata": {**other["metadata"], "name": f"q{number}"},
                      "spec": {**other["spec"], "nodeName": f"n{number % len(some)}"}})
    if spreads:
        one["spec"]["topologySpreadConstraints"] = [spread(WEB)]
    told = {}
    for name, kind in likenesses(there, one).items():
        found = asked(there, one, name)
        if kind is not None:
            says = "" if found is None else found.says
            assert told.setdefault(kind, says) == says


def likenesses(there, one):
    world = World(*there)
    waiting = waiting_of(Key("pods", "x", "p"), one)
    around = Surroundings(waiting.needs.wishes, Drafted.of(world.snapshot.rooms, tallies=world.snapshot.tallies).draft)
    like = likeness(waiting, around)
    return {name: like(room) for name, room in world.snapshot.rooms.items()}


@pytest.mark.parametrize("key", sorted(CONDITIONS))
def test_a_node_whose_condition_is_told_is_asked_by_itself(key):
    """The taint is the same on both; what its condition says is not."""
    there = [node(name, taints=[{"key": key, "effect": "NoSchedule"}]) for name in ("n1", "n2")]
    for each, why in zip(there, ("it swaps", "it is old"), strict=True):
        each["status"]["conditions"] = [{"type": CONDITIONS[key][0], "status": "True", "message": why}]
    says = {name: asked(there, pod("p"), name).says for name in ("n1", "n2")}
    assert "it swaps" in says["n1"] and "it is old" in says["n2"]
    assert likenesses(there, pod("p")) == {"n1": None, "n2": None}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["n1", "n2", "n3"]), st.sampled_from([WEB, DB]),
                          st.sampled_from([{}, affinity("podAntiAffinity", term(WEB)), affinity("podAntiAffinity", term(DB, HOST))])),
                max_size=5),
       st.sampled_from([[], [spread(WEB)], [spread(WEB), spread(DB, HOST)], [spread(WEB, minDomains=3), spread(WEB, HOST)]]),
       st.sampled_from([{}, affinity("podAffinity", term(DB)), affinity("podAffinity", term(DB), term({"tier": "1"}, HOST)),
                        affinity("podAntiAffinity", term(WEB)), affinity("podAntiAffinity", term(DB), term(WEB, HOST))]),
       st.sampled_from([WEB, DB]))
def test_what_is_named_helps_among_other_pods(others, constraints, rules, labels):
    """Law: likewise for rules about other pods, where the change may be another pod, or that others go."""
    there = [node("n1", zone="a"), node("n2", zone="a"), node("n3", zone="b"), node("bare")]
    there += [pod(f"q{number}", bound=name, labels=of, affinity=held) for number, (name, of, held) in enumerate(others)]
    for name in ("n1", "n2", "n3", "bare"):
        one, world, tries = pod("p", labels=labels, topologySpreadConstraints=constraints, affinity=rules), list(there), 0
        while (found := asked(world, one, name)) is not None:
            tries += 1
            assert tries < 8 and found.can_be_lifted, found.on(name)
            last = found.obstacles[-1]
            if last.after is not None:
                world, one = helped(world, found)
                assert asked(world, one, name) is None
                break
            if len(found.obstacles) > 1:
                world, one = helped(world, type(found)(found.obstacles[:-1]))
            if last.needs_pod is not None:
                namespace, wanted = last.needs_pod
                world.append(pod(f"new{tries}", bound=name, labels=dict(wanted), namespace=namespace))
            elif "in their template" in last.change:
                group = one["metadata"]["labels"]
                one, *world = ({**each, "spec": {**each["spec"], "affinity": {}}}
                               if each["kind"] == "Pod" and each["metadata"]["labels"] == group else each
                               for each in (one, *world))
            else:
                assert "end those pods" in last.change
                key = last.found.partition(" in ")[2].partition("=")[0]
                places = {each["metadata"]["name"]: each["metadata"]["labels"].get(key) for each in world
                          if each["kind"] == "Node"}
                world = [each for each in world if each["kind"] == "Node"
                         or not each["spec"].get("affinity") or places[each["spec"]["nodeName"]] != places[name]]


@given(pods("p"), st.integers(0, 6000))
def test_asking_for_less_is_asking_for_less(one, at_most):
    needs = waiting_of(Key("pods", "x", "p"), asking(one, "cpu", at_most)).needs.amounts
    before = waiting_of(Key("pods", "x", "p"), one).needs.amounts
    assert needs.get("cpu", 0) <= max(at_most, 0) or at_most >= before.get("cpu", 0)
    assert {name: amount for name, amount in needs.items() if name != "cpu"} == \
        {name: amount for name, amount in before.items() if name != "cpu"}


# ------------------------------------------------------------------ the event

def helps(decided):
    return [one.message for one in decided.actions if isinstance(one, Tell) and one.reason == "WouldHelp"]


def test_the_least_change_is_told_once():
    there = [node("n1", taints=[TAINT]), node("n2"), node("n3", cpu="1")]
    world = World(*there, pod("p", cpu="5"))
    decided = world.decide()
    assert helps(decided) == ["n2: asks for cpu 5, free 4 of 4 that it has in all; ask for 4 at most"]
    message = next(one.message for one in decided.actions if isinstance(one, Tell) and one.reason == "FailedScheduling")
    world.put(pod("p", cpu="5", conditions=[{"type": "PodScheduled", "status": "False", "message": message}]))
    assert helps(world.decide(1_767_225_700.0)) == []


@pytest.mark.parametrize("there, one", [
    pytest.param([node("n1")], pod("p", cpu="1"), id="it has a place"),
    pytest.param([node("n1")], pod("p", on="n2"), id="nothing would"),
    pytest.param([node("n1"), pod("a", cpu="4", bound="n1")], pod("p", cpu="2", priority=10), id="it helps itself"),
])
def test_nothing_is_told(there, one):
    assert helps(World(*there, one).decide()) == []


def test_nothing_is_told_where_the_pod_says_so():
    one = pod("p", cpu="5")
    one["metadata"]["annotations"] = {"muster.dev/would-help": "false"}
    assert helps(World(node("n1"), one).decide()) == []
