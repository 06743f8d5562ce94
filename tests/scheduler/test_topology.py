"""What other pods mean for a node: affinity, anti-affinity, spreading."""
import random

import pytest
from node_verdicts import verdicts
from scheduling_world import HOST, NOW, ZONE, World, affinity, bound, node, pod, preferred, spread, term, told

from muster.api.objects import Key
from muster.api.selectors import Selector, from_label_selector
from muster.scheduler.choice import World as Draft
from muster.scheduler.choice import ask, best, score
from muster.scheduler.terms import wishes_of
from muster.scheduler.topology import Surroundings

WEB, DB = {"app": "web"}, {"app": "db"}
ZONES = [node("a1", zone="a"), node("a2", zone="a"), node("b1", zone="b")]
AFFINITY, ANTI = "podAffinity", "podAntiAffinity"
NOT_TOGETHER = "node(s) didn't match pod affinity rules"
NOT_APART = "node(s) didn't match pod anti-affinity rules"
OTHERS = "node(s) didn't satisfy existing pods anti-affinity rules"
SKEWED = "node(s) didn't match pod topology spread constraints"


def allowed(objects, one, namespaces=None):
    """By node: "" where it may go, else the reason."""
    world = World()
    for name, labels in (namespaces or {}).items():
        world.snapshot.tallies.label_namespace(name, labels)
    for obj in objects:
        world.put(obj)
    found = verdicts(one, world.snapshot.rooms, tallies=world.snapshot.tallies)
    return {name: why.reasons[0] if why else "" for name, why in found.items()}


@pytest.mark.parametrize("there, one, says", [
    pytest.param([pod("db", bound="a1", labels=DB)], pod("p", affinity=affinity(AFFINITY, term(DB))),
                 {"a1": "", "a2": "", "b1": NOT_TOGETHER}, id="in the zone of another"),
    pytest.param([pod("db", bound="a1", labels=DB)], pod("p", affinity=affinity(AFFINITY, term(DB, HOST))),
                 {"a1": "", "a2": NOT_TOGETHER, "b1": NOT_TOGETHER}, id="on the host of another"),
    pytest.param([], pod("p", affinity=affinity(AFFINITY, term(DB))), dict.fromkeys(("a1", "a2", "b1"), NOT_TOGETHER),
                 id="there is no other"),
    pytest.param([], pod("p", labels=WEB, affinity=affinity(AFFINITY, term(WEB))), {"a1": "", "a2": "", "b1": ""},
                 id="the first of its kind"),
    pytest.param([node("bare")], pod("p", labels=WEB, affinity=affinity(AFFINITY, term(WEB))),
                 {"a1": "", "a2": "", "b1": "", "bare": NOT_TOGETHER}, id="the first, but not where the key is missing"),
    pytest.param([pod("w", bound="b1", labels=WEB)], pod("p", labels=WEB, affinity=affinity(AFFINITY, term(WEB))),
                 {"a1": NOT_TOGETHER, "a2": NOT_TOGETHER, "b1": ""}, id="the second of its kind"),
    pytest.param([pod("both", bound="a1", labels={**WEB, **{"tier": "x"}}), pod("one", bound="b1", labels=WEB)],
                 pod("p", affinity=affinity(AFFINITY, term(WEB), term({"tier": "x"}))),
                 {"a1": "", "a2": "", "b1": NOT_TOGETHER}, id="all terms mean one pod"),
    pytest.param([pod("db", bound="a1", labels=DB)], pod("p", affinity=affinity(ANTI, term(DB))),
                 {"a1": NOT_APART, "a2": NOT_APART, "b1": ""}, id="apart from another"),
    pytest.param([pod("w", bound="a1", labels=WEB)], pod("p", labels=WEB, affinity=affinity(ANTI, term(WEB, HOST))),
                 {"a1": NOT_APART, "a2": "", "b1": ""}, id="apart from its own kind"),
    pytest.param([pod("w", bound="a1", affinity=affinity(ANTI, term(WEB)))], pod("p", labels=WEB),
                 {"a1": OTHERS, "a2": OTHERS, "b1": ""}, id="the other wants to be apart"),
    pytest.param([pod("w", bound="a1", phase="Succeeded", affinity=affinity(ANTI, term(WEB)))], pod("p", labels=WEB),
                 {"a1": "", "a2": "", "b1": ""}, id="the other has ended"),
    pytest.param([pod("db", bound="a1", labels=DB, namespace="y")], pod("p", affinity=affinity(ANTI, term(DB))),
                 {"a1": "", "a2": "", "b1": ""}, id="another namespace"),
    pytest.param([pod("db", bound="a1", labels=DB, namespace="y")],
                 pod("p", affinity=affinity(ANTI, term(DB, namespaces=["y"]))),
                 {"a1": NOT_APART, "a2": NOT_APART, "b1": ""}, id="a namespace that is named"),
    pytest.param([pod("db", bound="a1", labels=DB, namespace="y")],
                 pod("p", affinity=affinity(ANTI, term(DB, namespaceSelector={"matchLabels": {"team": "y"}}))),
                 {"a1": NOT_APART, "a2": NOT_APART, "b1": ""}, id="a namespace that is labelled so"),
    pytest.param([pod("db", bound="a1", labels=DB, namespace="z")],
                 pod("p", affinity=affinity(ANTI, term(DB, namespaceSelector={}))),
                 {"a1": NOT_APART, "a2": NOT_APART, "b1": ""}, id="all namespaces"),
    pytest.param([pod("w", bound="a1", labels=WEB)], pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]),
                 {"a1": SKEWED, "a2": SKEWED, "b1": ""}, id="spread over zones"),
    pytest.param([pod("w", bound="a1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, skew=2)]),
                 {"a1": "", "a2": "", "b1": ""}, id="so much skew is allowed"),
    pytest.param([pod("w", bound="a1", labels=WEB)], pod("p", topologySpreadConstraints=[spread(WEB)]),
                 {"a1": "", "a2": "", "b1": ""}, id="the pod itself does not count"),
    pytest.param([node("bare")], pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]),
                 {"a1": "", "a2": "", "b1": "", "bare": SKEWED + " (missing required label)"}, id="a node without the key"),
    pytest.param([pod("w", bound="a1", labels=WEB), pod("v", bound="b1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, minDomains=3)]),
                 {"a1": SKEWED, "a2": SKEWED, "b1": SKEWED}, id="too few domains: the lowest is none"),
    pytest.param([node("c1", zone="c", labels={"disk": "hdd"}), pod("w", bound="a1", labels=WEB), pod("v", bound="b1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]),
                 {"a1": SKEWED, "a2": SKEWED, "b1": SKEWED, "c1": ""}, id="an empty zone comes first"),
    pytest.param([node("c1", zone="c"), node("a3", zone="a", labels={"disk": "ssd"}), node("b3", zone="b", labels={"disk": "ssd"}),
                  pod("w", bound="a3", labels=WEB), pod("v", bound="b3", labels=WEB)],
                 pod("p", labels=WEB, nodeSelector={"disk": "ssd"}, topologySpreadConstraints=[spread(WEB)]),
                 {"a3": "", "b3": ""}, id="zones that it may not go to do not count"),
    pytest.param([node("c1", zone="c"), node("a3", zone="a", labels={"disk": "ssd"}), node("b3", zone="b", labels={"disk": "ssd"}),
                  pod("w", bound="a3", labels=WEB), pod("v", bound="b3", labels=WEB)],
                 pod("p", labels=WEB, nodeSelector={"disk": "ssd"},
                     topologySpreadConstraints=[spread(WEB, nodeAffinityPolicy="Ignore")]),
                 {"a3": SKEWED, "b3": SKEWED}, id="nodeAffinityPolicy: Ignore"),
    pytest.param([node("c1", zone="c", taints=[{"key": "k", "effect": "NoSchedule"}]),
                  pod("w", bound="a1", labels=WEB), pod("v", bound="b1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, nodeTaintsPolicy="Honor")]),
                 {"a1": "", "a2": "", "b1": ""}, id="nodeTaintsPolicy: Honor"),
    pytest.param([pod("old", bound="a1", labels={**WEB, "hash": "1"})],
                 pod("p", labels={**WEB, "hash": "2"}, topologySpreadConstraints=[spread(WEB, matchLabelKeys=["hash"])]),
                 {"a1": "", "a2": "", "b1": ""}, id="matchLabelKeys: another version does not count"),
])
def test_allows(there, one, says):
    found = allowed([*ZONES, *there], one, {"y": {"team": "y"}})
    assert {name: found[name] for name in says} == says


def test_a_pod_on_its_way_out_does_not_count_for_spreading():
    going = pod("w", bound="a1", labels=WEB)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = allowed([*ZONES, going], pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]))
    assert set(found.values()) == {""}


def test_each_pod_of_a_look_counts_for_the_next():
    pods = [pod(f"p{number}", labels=WEB, affinity=affinity(ANTI, term(WEB, HOST))) for number in range(4)]
    decided = World(*ZONES, *pods).decide()
    assert sorted(bound(decided).values()) == ["a1", "a2", "b1"]
    assert told(decided) == ["0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes "
                             "are available: 3 No preemption victims found for incoming pod."]


def test_a_term_that_nobody_asked_for_before_counts_the_pods_of_this_look():
    first, second = pod("p", labels=WEB), pod("q", affinity=affinity(ANTI, term(WEB)))
    goes = bound(World(*ZONES, first, second).decide())
    assert goes["p"][0] != goes["q"][0], "the letter is the zone"


def test_even_spreading_of_many():
    nodes = [node(f"{zone}{number}", zone=zone) for zone in "abc" for number in range(3)]
    pods = [pod(f"p{number}", labels=WEB, topologySpreadConstraints=[spread(WEB), spread(WEB, HOST)]) for number in range(18)]
    goes = bound(World(*nodes, *pods).decide())
    assert sorted(goes.values()) == sorted(2 * [one["metadata"]["name"] for one in nodes])


def scores(objects, one, wishes=None):
    world = World(*objects)
    found = world.snapshot
    world.put(one)
    (waiting,) = world.line.take(NOW, 1)
    draft = Draft.of(found.rooms, found.node_order(), tallies=found.tallies, images=found.images)
    around = Surroundings(waiting.needs.wishes, draft.draft)
    fitting = ask(waiting, draft, around, None).fitting
    names = [answer.room.name for answer in fitting]
    return dict(zip(names, score(waiting, fitting, draft, around), strict=True)), best(waiting, fitting, draft, around)


@pytest.mark.parametrize("there, one, differs", [
    pytest.param([pod("db", bound="a1", labels=DB)], pod("p", affinity=preferred(AFFINITY, (10, term(DB)))),
                 {"a1": 200, "a2": 200, "b1": 0}, id="rather together"),
    pytest.param([pod("db", bound="a1", labels=DB)], pod("p", affinity=preferred(ANTI, (10, term(DB)))),
                 {"a1": 0, "a2": 0, "b1": 200}, id="rather apart"),
    pytest.param([pod("db", bound="a1", affinity=preferred(ANTI, (10, term(WEB))))], pod("p", labels=WEB),
                 {"a1": 0, "a2": 0, "b1": 200}, id="the other had rather be apart"),
    pytest.param([pod("web", bound="a2", labels=WEB),
                  pod("db", bound="a2", affinity=affinity(AFFINITY, term(WEB, HOST)))], pod("p", labels=WEB),
                 {"a1": 0, "a2": 200, "b1": 0}, id="the other must be near such pods"),
    pytest.param([pod("d1", bound="a1", labels=DB), pod("d2", bound="b1", labels=DB), pod("d3", bound="b1", labels=DB)],
                 pod("p", affinity=preferred(AFFINITY, (10, term(DB, HOST)))), {"a1": 100, "a2": 0, "b1": 200},
                 id="in proportion"),
    pytest.param([pod("w1", bound="a1", labels=WEB), pod("w2", bound="a2", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, hard=False)]),
                 {"a1": 0, "a2": 0, "b1": 200}, id="rather evenly"),
    pytest.param([node("bare"), pod("w1", bound="a1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, hard=False)]),
                 {"a1": 0, "a2": 0, "b1": 200, "bare": 0}, id="a node without the key is the worst"),
])
def test_scores(there, one, differs):
    """What is added to the scores of nodes that are otherwise alike."""
    found, chosen = scores([*ZONES, *there], one)
    plain, _ = scores([*ZONES, *there], pod("q"))
    assert {name: found[name] - plain[name] for name in found} == differs
    assert differs[chosen] == max(differs.values())


def test_images_that_are_there_draw_a_pod():
    """500 MB on one of two nodes: half of it counts, of 23 to 1000 MB."""
    megabytes = 1024 * 1024
    found, chosen = scores([node("n1"), node("n2", images=[("a:1", 500 * megabytes)])], pod("p"))
    assert found["n2"] - found["n1"] == 100 * (250 - 23) // (1000 - 23) == 23 and chosen == "n2"


@pytest.mark.parametrize("taints, better", [(1, "n1"), (2, "n1"), (0, None)])
def test_taints_that_say_rather_not(taints, better):
    tainted = [{"key": f"k{number}", "effect": "PreferNoSchedule"} for number in range(taints)]
    found, _ = scores([node("n1"), node("n2", taints=tainted)], pod("p"))
    assert found["n1"] - found["n2"] == (300 if better else 0)


def test_node_affinity_weights():
    wanted = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}
        for key, weight in (("ssd", 10), ("gpu", 40))]}}
    nodes = [node("n1"), node("n2", labels={"ssd": ""}), node("n3", labels={"ssd": "", "gpu": ""})]
    found, _ = scores(nodes, pod("p", affinity=wanted))
    assert [found[name] - found["n1"] for name in ("n1", "n2", "n3")] == [0, 2 * 20, 2 * 100]


def test_room_left_and_balance():
    """LeastAllocated: (3.9/4 + 7.8/8) of 100 each, whole numbers; Balanced by what is really asked for."""
    found, _ = scores([node("n1", cpu="4", memory="8Gi"), node("n2", cpu="1", memory="8Gi")], pod("p", cpu={}))
    assert found == {"n1": (97 + 97) // 2 + 100, "n2": (90 + 97) // 2 + 100}
    found, _ = scores([node("n1", cpu="4", memory="8Gi"), node("n2", cpu="2", memory="8Gi")],
                      pod("p", cpu={"cpu": "1", "memory": "2Gi"}))
    assert found == {"n1": 75 + 100, "n2": (50 + 75) // 2 + 87}


# ------------------------------------------------------------------ laws

def recount(world, count):
    """The plain second opinion: all pods, one by one."""
    counted = {}
    nodes = {key.name: obj for key, obj in world.there.items() if key.resource == "nodes" and obj}
    for key, one in world.there.items():
        if key.resource != "pods" or not one or one["spec"].get("nodeName") not in nodes:
            continue
        if count.staying and one["metadata"].get("deletionTimestamp"):
            continue
        labels = one["metadata"]["labels"]
        if all(key.namespace in who.namespaces and who.selector.matches(labels) for who in count.whos):
            value = nodes[one["spec"]["nodeName"]]["metadata"]["labels"].get(count.key)
            if value is not None and (count.eligible is None or count.eligible(nodes[one["spec"]["nodeName"]])):
                counted[value] = counted.get(value, 0) + 1
    return counted


def a_pod(rng, name, on=None):
    labels = {"app": rng.choice("ab"), "tier": rng.choice("xy")}
    other = {rng.choice(("app", "tier")): rng.choice("abxy")}
    kinds = [None, affinity(ANTI, term(other, rng.choice((ZONE, HOST)))), affinity(AFFINITY, term(other)),
             preferred(ANTI, (5, term(other)))]
    constraints = [spread({"app": labels["app"]}, rng.choice((ZONE, HOST)), rng.randint(1, 2))] if rng.random() < 0.4 else []
    more = {"affinity": wanted} if (wanted := rng.choice(kinds)) else {}
    return pod(name, cpu=f"{rng.randint(0, 2)}", bound=on, labels=labels, topologySpreadConstraints=constraints, **more)


@pytest.mark.parametrize("seed", range(40))
def test_tallies_agree_with_a_recount_and_every_choice_is_allowed(seed):
    rng, world = random.Random(seed), World()
    kept = []
    for step in range(60):
        match rng.randrange(6):
            case 0:
                world.put(node(f"n{rng.randrange(5)}", cpu="6", zone=rng.choice(["a", "b", None])))
            case 1 if any(key.resource == "nodes" and obj for key, obj in world.there.items()) and step % 3 == 0:
                key = rng.choice([key for key, obj in world.there.items() if key.resource == "nodes" and obj])
                world.put(world.there[key], gone=True)
            case 2:
                placed = [obj for key, obj in world.there.items() if key.resource == "pods" and obj]
                if placed:
                    world.put(rng.choice(placed), gone=True)
            case _:
                one = a_pod(rng, f"p{step}")
                world.put(one)
                kept += [constraint.counted for constraint in world.line.get(key_of(one)).needs.wishes.hard]
                kept += world.line.get(key_of(one)).needs.wishes.not_with
        decided = world.decide(NOW + step)
        for name, where in bound(decided).items():
            obj = next(obj for key, obj in world.there.items() if obj and key.name == name)
            assert plainly_allowed(world, obj, where), (seed, step, name, where)
            world.put({**obj, "spec": {**obj["spec"], "nodeName": where}})
        for key in decided.refused:
            world.line.refused(key, decided.refused[key], NOW - 100)
        for count in kept:
            assert dict(world.snapshot.tallies.tally(count).counts) == recount(world, count), (seed, step, count)
            tally = world.snapshot.tallies.tally(count)
            if count.evenly:
                assert tally.lowest == min((tally.counts.get(value, 0) for value in tally.nodes), default=0)


def key_of(obj):
    return Key("pods", obj["metadata"]["namespace"], obj["metadata"]["name"])


def plainly_allowed(world, one, where):
    """The rules again, in the plainest way: each node and pod is asked."""
    nodes = {key.name: obj for key, obj in world.there.items() if key.resource == "nodes" and obj}
    pods = [obj for key, obj in world.there.items() if key.resource == "pods" and obj
            and obj["spec"].get("nodeName") in nodes]
    place = nodes[where]["metadata"]["labels"]

    def value(obj, key):
        return nodes[obj["spec"]["nodeName"]]["metadata"]["labels"].get(key)

    def meant(rule, obj):
        return from_label_selector(rule["labelSelector"]).matches(obj["metadata"]["labels"])

    def rules(obj, kind):
        return (obj["spec"].get("affinity") or {}).get(kind, {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])

    cpu = sum(int(obj["spec"]["containers"][0]["resources"]["requests"]["cpu"]) for obj in [*pods, one]
              if obj is one or obj["spec"]["nodeName"] == where)
    if cpu > 6:
        return False
    for rule in rules(one, ANTI):
        if any(meant(rule, other) and value(other, rule["topologyKey"]) == place.get(rule["topologyKey"]) is not None
               for other in pods):
            return False
    for other in pods:
        for rule in rules(other, ANTI):
            if meant(rule, one) and value(other, rule["topologyKey"]) == place.get(rule["topologyKey"]) is not None:
                return False
    for rule in rules(one, AFFINITY):
        near = [other for other in pods if meant(rule, other) and value(other, rule["topologyKey"]) is not None]
        if rule["topologyKey"] not in place or not (
                any(value(other, rule["topologyKey"]) == place[rule["topologyKey"]] for other in near)
                or not near and meant(rule, one)):
            return False
    for rule in one["spec"].get("topologySpreadConstraints") or ():
        key = rule["topologyKey"]
        if key not in place:
            return False
        number = {obj["metadata"]["labels"][key]: 0 for obj in nodes.values() if key in obj["metadata"]["labels"]}
        for other in pods:
            if meant(rule, other) and value(other, key) is not None:
                number[value(other, key)] += 1
        if number[place[key]] + meant(rule, one) - min(number.values()) > rule["maxSkew"]:
            return False
    return True


def test_labels_of_a_template_are_matched_once(monkeypatch):
    """However many pods there are: a new term is counted from groups of pods, not from pods."""
    world = World(*ZONES, *(pod(f"p{number}", bound="a1", labels=WEB) for number in range(1000)))
    matches, matched = Selector.matches, []
    monkeypatch.setattr(Selector, "matches", lambda self, labels: (matched.append(1), matches(self, labels))[1])
    apart = wishes_of(pod("q", labels=WEB, affinity=affinity(ANTI, term(WEB)))).not_with
    assert world.snapshot.tallies.tally(apart[0]).counts == {"a": 1000}
    assert len(matched) <= 2
