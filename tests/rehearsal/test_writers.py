"""Who is writing, told apart where several write at the same time, and since when."""
import asyncio

import pytest

from muster.api.objects import Key
from muster.app import Cluster, running
from muster.clock import run_virtual
from muster.rehearsal.faults_line import Line
from muster.rehearsal.writers import Writers
from muster.store.memory import MemoryStore


def told(story):
    async def main(clock):
        began = clock.now()
        return await story(Writers(lambda: clock.now() - began))
    return run_virtual(main)


async def write(writers, name, takes_s, seen=None):
    with writers.writing(name):
        await asyncio.sleep(takes_s)
        if seen is not None:
            seen.append((writers.who, writers.began()))


def test_each_task_has_its_own_account():
    async def story(writers):
        seen = []
        await asyncio.gather(write(writers, "jobs", 3, seen), write(writers, "daemons", 1, seen))
        assert seen == [("daemons", 0), ("jobs", 0)]
        assert (writers.who, writers.began()) == ("", 3)

    told(story)


def test_batches_that_follow_each_other_are_of_one_plan():
    async def story(writers):
        seen = []
        await write(writers, "jobs", 2)
        await asyncio.gather(write(writers, "jobs", 0, seen), write(writers, "jobs", 1, seen))
        assert seen == [("jobs", 0), ("jobs", 0)]

    told(story)


def test_after_a_pause_it_is_another_plan():
    async def story(writers):
        seen = []
        await write(writers, "jobs", 2)
        await asyncio.sleep(.01)
        await write(writers, "jobs", 1, seen)
        assert seen == [("jobs", pytest.approx(2.01))]

    told(story)


def test_what_the_server_keeps_waiting_was_decided_before():
    """A pod of a new namespace is made once that has its default account."""
    async def main(clock):
        line = Line(clock)
        cluster = Cluster(MemoryStore(), clock, clients=line.client)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "new"},
               "spec": {"containers": [{"name": "app", "image": "x:1"}]}}
        heard = []
        cluster.store.history.on_append(lambda changes: heard.extend(
            (change.key, line.writers.who, line.seen_until(), clock.now()) for change in changes))
        async with running(cluster):
            await cluster.client("kubernetes-admin").create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}})
            sent_at = clock.now()
            await cluster.client("system:serviceaccount:kube-system:job-controller").create(pod)
        (_, who, decided_at, made_at), = (one for one in heard if one[0] == Key("pods", "new", "one"))
        assert who == "job-controller" and decided_at == sent_at < made_at

    run_virtual(main)
