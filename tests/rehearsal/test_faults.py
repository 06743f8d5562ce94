"""What goes wrong in a rehearsal: how it is written down, and what it does to a running cluster."""
from __future__ import annotations

import asyncio
import math
from collections import Counter

import pytest

from muster.api.objects import annotations_of, condition, is_true, labels_of, name_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects, node_pool
from muster.clock import run_virtual
from muster.node.machines import FAIL, clock_skew_s
from muster.node.misfortune import Misfortune, luck_of
from muster.rehearsal.faults import (
    Amount,
    ClockSkew,
    NodeLoss,
    SlowPulls,
    StartFailure,
    carry_out,
    parse_fail,
    parse_kill_node,
    parse_skew,
)
from muster.store.memory import MemoryStore


@pytest.mark.parametrize(("text", "loss"), [
    ("2", NodeLoss(Amount(2))),
    ("3%@10m", NodeLoss(Amount(share=.03), 600, 600)),
    ("2@5m..20m,for=10m", NodeLoss(Amount(2), 300, 1200, 600)),
    (" 12.5% @ 1h30m , for=45s", NodeLoss(Amount(share=.125), 5400, 5400, 45)),
])
def test_lost_nodes_as_they_are_written(text, loss):
    assert parse_kill_node(text) == loss


@pytest.mark.parametrize(("text", "failure"), [
    ("2%", StartFailure(.02)),
    ("10%@1h,for=5m,by=pull", StartFailure(.1, ("pull",), 3600, 300)),
    ("0.5%,by=crash|pull", StartFailure(.005, ("crash", "pull"))),
])
def test_failing_starts_as_they_are_written(text, failure):
    assert parse_fail(text) == failure


@pytest.mark.parametrize(("text", "skew"), [
    ("2=90s", ClockSkew(Amount(2), 90, 90)),
    ("3%=-2m..2m", ClockSkew(Amount(share=.03), -120, 120)),
    ("1=+1h@10m", ClockSkew(Amount(1), 3600, 3600, 600, 600)),
    (" 10% = -1m30s..-10s @ 5m..20m , for=10m", ClockSkew(Amount(share=.1), -90, -10, 300, 1200, 600)),
])
def test_wrong_clocks_as_they_are_written(text, skew):
    assert parse_skew(text) == skew


@pytest.mark.parametrize(("read", "text", "wrong"), [
    (parse_skew, "3%", "by how much their clocks are wrong, such as 3%=-2m..2m"),
    (parse_skew, "3%=", "by how much their clocks are wrong"),
    (parse_skew, "=2m", '"" must be a number'),
    (parse_skew, "2=2m..-2m", '"2m..-2m" must not start (2m) above its end (-2m)'),
    (parse_skew, "2=fast", '"fast" must be a duration'),
    (parse_skew, "2=never", '"never" must have an end'),
    (parse_skew, "2=--2m", '"--2m" must be a duration'),
    (parse_skew, "2=1m..400d", "must be less than a year"),
    (parse_skew, "2=2m,by=3", "after the comma for= may be said"),
    (parse_kill_node, "", '"": "" must be a number such as 2, or a share such as 3%'),
    (parse_kill_node, "some@5m", '"some@5m": "some" must be a number'),
    (parse_kill_node, "2@", "after the @ there must be a moment"),
    (parse_kill_node, "2@soon", '"soon" must be a duration such as'),
    (parse_kill_node, "2@20m..5m", "must not start (20m) above its end (5m)"),
    (parse_kill_node, "2@never", '"never" must come some time'),
    (parse_kill_node, "2,for=long", "for=long must be a duration such as 30s or 10m"),
    (parse_kill_node, "2,by=pull", '"by=pull" is unknown; after the comma for= may be said'),
    (parse_kill_node, "2,for=1m,for=2m", "for= is said twice"),
    (parse_kill_node, "101%", "at most 100%"),
    (parse_kill_node, "0", "more than none"),
    (parse_kill_node, "-3", '"-3" must be a number'),
    (parse_fail, "2", '"2" must be a share of the pods, such as 2%'),
    (parse_fail, "2%,by=magic", "by=magic must be pull, crash or pull|crash"),
    (parse_fail, "2%@5m..10m", '"5m..10m" must be one moment'),
    (parse_fail, "2%,while=1m", "for= and by= may be said"),
])
def test_what_can_not_be_read_says_what_is_wrong(read, text, wrong):
    with pytest.raises(ValueError) as error:
        read(text)
    assert wrong in str(error.value)


@pytest.mark.parametrize(("amount", "total", "of"), [
    (Amount(2), 10, 2), (Amount(2), 1, 1), (Amount(share=.03), 5000, 150), (Amount(share=.03), 10, 1),
    (Amount(share=.25), 10, 3), (Amount(share=1), 7, 7), (Amount(share=.5), 0, 0),
])
def test_so_many_of_all(amount, total, of):
    assert amount.of(total) == of


def test_a_misfortune_strikes_its_share_and_always_the_same_pods():
    bad = (Misfortune("pull", 0, .1, since=100, until=200), Misfortune("crash", .1, .2, since=100, until=200))
    uids = [f"pod-{number}" for number in range(4000)]
    struck = [luck_of(uid, bad, 150) for uid in uids]
    assert sum(one.pull_fails for one in struck) == pytest.approx(400, abs=60)
    assert sum(one.crashes for one in struck) == pytest.approx(400, abs=60)
    assert not any(one.pull_fails and one.crashes for one in struck)
    assert struck == [luck_of(uid, bad, 199) for uid in uids]
    assert not any(luck_of(uid, bad, when).pull_fails for uid in uids for when in (99, 200))


def test_of_several_slow_pulls_the_slowest_is_felt():
    slow = [Misfortune("slow", times=times, until=200) for times in (5, 20, 20)]
    assert luck_of("pod", slow, 150).pull_times == 20
    assert luck_of("pod", slow, 200).pull_times == 1


# ------------------------------------------------------------------ on a running cluster

def with_faults(faults, look, nodes=10, daemonset=True):
    """A pool of nodes with a daemon on each; the faults come once they run.  `look(cluster, story)` awaits and asserts."""
    async def main(clock):
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            await cluster.apply(node_pool("pool", nodes))
            await asyncio.sleep(10)
            if daemonset:
                await cluster.apply(DAEMONSET)
                await asyncio.sleep(20)
            story: list[tuple[float, str]] = []
            began = clock.now()
            work = asyncio.ensure_future(carry_out(
                faults, cluster, lambda text: story.append((round(clock.now() - began, 3), text))))
            await look(cluster, story)
            work.cancel()
            return story
    return run_virtual(main)


DAEMONSET = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {
    "selector": {"matchLabels": {"app": "agent"}}, "template": {
        "metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "agent", "image": "agent:1"}]}}}}


def silent(cluster) -> list[str]:
    return [name_of(node) for node in cluster.mirror.objects("nodes").values() if annotations_of(node).get(FAIL) == "true"]


def states(cluster) -> list[str]:
    return [next(iter(((pod["status"].get("containerStatuses") or [{}])[0].get("state") or {"": {}}).items()))[1].get(
        "reason", "running") for pod in cluster.mirror.objects("pods").values() if "status" in pod]


def test_nodes_are_lost_for_good():
    async def look(cluster, story):
        await asyncio.sleep(30)
        assert silent(cluster) == []
        await asyncio.sleep(120)
        assert len(silent(cluster)) == 3
        for name in silent(cluster):
            assert condition(cluster.mirror.objects("nodes")["", name], "Ready")["status"] == "Unknown"

    story = with_faults([parse_kill_node("30%@1m")], look)
    assert [when for when, _ in story] == [60, 60, 60] and len({text for _, text in story}) == 3


def test_lost_nodes_come_back():
    async def look(cluster, story):
        await asyncio.sleep(500)
        assert silent(cluster) == []

    story = with_faults([parse_kill_node("2@1m..3m,for=100s")], look)
    gone = {text.split()[1]: when for when, text in story if "falls silent" in text}
    back = {text.split()[1]: when for when, text in story if "is back" in text}
    assert len(gone) == 2 and gone.keys() == back.keys()
    assert all(60 <= gone[name] <= 180 and back[name] == pytest.approx(gone[name] + 100) for name in gone)
    assert len(set(gone.values())) == 2, "each at a moment of its own"


def test_the_same_seed_loses_the_same_nodes():
    async def look(cluster, story):
        await asyncio.sleep(400)

    faults = [parse_kill_node("3@1m..5m")]
    assert with_faults(faults, look) == with_faults(faults, look)


def test_clocks_go_wrong_and_right_again():
    async def look(cluster, story):
        await asyncio.sleep(100)
        wrong = {name_of(node): clock_skew_s(node) for node in cluster.mirror.objects("nodes").values() if clock_skew_s(node)}
        assert len(wrong) == 3 and all(-120 <= one <= -10 for one in wrong.values()) and len(set(wrong.values())) == 3
        await asyncio.sleep(200)
        assert not any(map(clock_skew_s, cluster.mirror.objects("nodes").values()))

    story = with_faults([parse_skew("30%=-2m..-10s@1m,for=100s")], look)
    assert [when for when, _ in story] == [60] * 3 + [160] * 3
    assert all("behind" in text for _, text in story[:3]) and all("is right again" in text for _, text in story[3:])


@pytest.mark.parametrize("skew", ["100%=1h", "100%=-1h", "100%=-1h..1h"])
def test_nodes_with_wrong_clocks_are_lost_when_they_fall_silent_and_no_sooner(skew):
    async def look(cluster, story):
        def ready():
            return Counter(condition(node, "Ready")["status"] for node in cluster.mirror.objects("nodes").values())

        for _ in range(30):
            await asyncio.sleep(10)
            assert ready() == {"True": 10}
        await asyncio.sleep(139)
        assert ready() == {"True": 10}, "39 s after they fell silent"
        await asyncio.sleep(13)
        assert ready() == {"True": 7, "Unknown": 3}
        await asyncio.sleep(300)
        assert ready() == {"True": 10}, "back again"

    with_faults([parse_skew(skew), parse_kill_node("3@400s,for=100s")], look)


def test_a_pull_fails_and_is_made_up_for_later():
    async def look(cluster, story):
        await cluster.apply({**DAEMONSET, "metadata": {"name": "other"}})
        await asyncio.sleep(50)
        there = Counter(states(cluster))
        assert there["ImagePullBackOff"] + there["ErrImagePull"] == 10 and there["running"] == 10
        await asyncio.sleep(200)
        assert Counter(states(cluster)) == {"running": 20}

    with_faults([parse_fail("100%,for=60s,by=pull")], look)


def test_some_pods_crash_and_some_have_no_image():
    async def look(cluster, story):
        await cluster.apply({**DAEMONSET, "metadata": {"name": "other"}})
        await asyncio.sleep(1000)
        others = [pod for pod in cluster.mirror.objects("pods").values()
                  if pod["metadata"]["ownerReferences"][0]["name"] == "other"]
        broken = [pod for pod in others if not is_true(pod, "Ready")]
        assert len(others) == 60 and 5 <= len(broken) <= 20, "a fifth"
        why = Counter(one["state"].get("waiting", {}).get("reason") for pod in broken
                      for one in pod["status"]["containerStatuses"])
        assert why["CrashLoopBackOff"] and why["ImagePullBackOff"] and labels_of(broken[0])

    with_faults([parse_fail("20%")], look, nodes=60)


def test_pulls_take_ten_times_as_long():
    async def look(cluster, story):
        await cluster.apply(DAEMONSET)
        await asyncio.sleep(8)
        assert not any(is_true(pod, "Ready") for pod in cluster.mirror.objects("pods").values())
        await asyncio.sleep(32)
        assert all(is_true(pod, "Ready") for pod in cluster.mirror.objects("pods").values())

    with_faults([SlowPulls(10)], look, daemonset=False)



def test_faults_tell_what_they_are():
    assert str(parse_kill_node("3%@10m")) == "3% of the nodes fall silent at 600 s"
    assert str(parse_kill_node("2@5m..20m,for=10m")) == "2 of the nodes fall silent between 300 and 1200 s, back after 600 s"
    assert str(parse_fail("2%,for=1m")) == "2% of the pods do not start (pull or crash) from 0 s on for 60 s"
    assert str(parse_skew("2=1h")) == "2 of the nodes' clocks are wrong by +3600 s at 0 s"
    assert str(parse_skew("3%=-2m..2m@10m,for=1h")) == \
        "3% of the nodes' clocks are wrong by -120 to +120 s at 600 s, right again after 3600 s"
    assert str(SlowPulls(10)) == "pulls take 10 times as long from 0 s on"
    assert parse_kill_node("2").for_s == math.inf
