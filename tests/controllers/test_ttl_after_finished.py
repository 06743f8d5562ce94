"""When a finished Job goes by itself."""
from __future__ import annotations

import random

import pytest

from muster.api.objects import Key, is_deleting, to_time
from muster.control.plan import Delete
from muster.controllers.ttl_after_finished import plan, wakes
from muster.store.history import Change, Snapshot

NOW = 10_000.0


def a_job(ttl=60, ended="Complete", since=NOW - 100, going=False, status="True"):
    metadata = {"name": "sums", "namespace": "shop", "uid": "job-1", "resourceVersion": "7", **({"deletionTimestamp": to_time(NOW)} if going else {})}
    conditions = [{"type": ended, "status": status, "lastTransitionTime": to_time(since)}] if ended else []
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "status": {"conditions": conditions},
            "spec": {} if ttl is None else {"ttlSecondsAfterFinished": ttl}}


@pytest.mark.parametrize("job, goes, wake_at", [
    pytest.param(a_job(), True, None, id="its time is over"),
    pytest.param(a_job(ended="Failed"), True, None, id="failed ones alike"),
    pytest.param(a_job(ttl=100), True, None, id="this very second"),
    pytest.param(a_job(ttl=150), False, NOW + 50, id="not yet"),
    pytest.param(a_job(ttl=0, since=NOW), True, None, id="at once"),
    pytest.param(a_job(ttl=None), False, None, id="it stays"),
    pytest.param(a_job(ended=""), False, None, id="it runs"),
    pytest.param(a_job(ended="Suspended"), False, None, id="it is suspended"),
    pytest.param(a_job(ended="FailureTarget"), False, None, id="it is about to fail: its pods still end"),
    pytest.param(a_job(status="False"), False, None, id="a condition that is not true"),
    pytest.param(a_job(going=True), False, None, id="it goes already"),
])
def test_a_job(job, goes, wake_at):
    decided = plan(job, NOW)
    deletion = Delete(Key("jobs.batch", "shop", "sums"), "job-1", propagation="Foreground", revision=7)
    assert decided.actions == ([deletion] if goes else []), "as it was seen: it may be given more time meanwhile"
    assert decided.wake_at == wake_at


@pytest.mark.parametrize("seed", range(40))
def test_it_goes_once_its_time_is_over_and_never_before(seed):
    """Looked at only when it changes, and when it asked to be looked at; the time to live may change meanwhile."""
    rng = random.Random(seed)
    now, wake_at, end = NOW, None, None
    job, key = a_job(rng.choice([None, 0, 30, 300]), ended=""), Key("jobs.batch", "shop", "sums")
    for _ in range(30):
        before = job
        match rng.choice(["end", "ttl", "wait", "wait"]):
            case "end" if end is None:
                end = now
                job = {**job, "status": a_job(ended=rng.choice(["Complete", "Failed"]), since=now)["status"]}
            case "ttl":
                job = {**job, "spec": a_job(rng.choice([None, 0, 30, 300]))["spec"]}
            case "wait":
                now += rng.choice([1, 20, 200])
        woken = job is not before and list(wakes(Change(2, key, Snapshot(job, 2), Snapshot(before, 1)), None))
        if woken or (wake_at is not None and now >= wake_at):
            decided = plan(job, now)
            wake_at = decided.wake_at
            if decided.actions:
                job = {**job, "metadata": a_job(going=True)["metadata"]}
        lasts = job["spec"].get("ttlSecondsAfterFinished")
        if is_deleting(job):
            assert end is not None and lasts is not None and now >= end + lasts
            return
        assert end is None or lasts is None or now < end + lasts, "nobody saw to it"
