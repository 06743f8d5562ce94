"""What holds for a CronJob through any history: times pass or jump, jobs end or run on, users change their minds.

When a schedule is due is counted once more here, minute by minute; the controller is never asked.
"""
from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from muster.api.kinds.cron_job import CRON_JOB
from muster.api.objects import annotations_of, from_time, is_deleting, is_true, name_of, to_time, uid_of, with_
from muster.control.plan import Create, Delete, SetStatus, Tell
from muster.controllers.cron_job import SCHEDULED_AT, Observed, plan

START = 1_767_268_800.0  # 2026-01-01T12:00:00Z
SCHEDULES = {"* * * * *": lambda at: True, "*/5 * * * *": lambda at: at.minute % 5 == 0, "0 * * * *": lambda at: at.minute == 0,
             "15,45 13-14 * * *": lambda at: at.minute in (15, 45) and at.hour in (13, 14),
             "30 */6 * * *": lambda at: at.minute == 30 and at.hour % 6 == 0}


class World:
    def __init__(self, seed: int):
        self.rng = rng = random.Random(seed)
        self.now = START + rng.randrange(3600)
        self.jobs: dict[str, dict] = {}
        self.made: list[tuple[float, float]] = []  # when, for which time
        spec = {"schedule": rng.choice(sorted(SCHEDULES)), "concurrencyPolicy": rng.choice(["Allow", "Forbid", "Replace"]),
                "successfulJobsHistoryLimit": rng.randrange(4), "failedJobsHistoryLimit": rng.randrange(3),
                "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "m", "image": "x"}]}}}}}
        if rng.random() < .5:
            spec["startingDeadlineSeconds"] = rng.choice([20, 90, 1000])
        self.cron_job = CRON_JOB.defaults({
            "apiVersion": "batch/v1", "kind": "CronJob", "spec": spec, "status": {}, "metadata": {
                "name": "tick", "namespace": "n", "uid": "cron", "creationTimestamp": to_time(self.now)}})

    def look(self):
        """What was decided, and done; sometimes the status is not written any more (a crash)."""
        jobs = sorted(self.jobs.values(), key=lambda job: (job["status"].get("startTime", "9999"), name_of(job)))
        decided = plan(Observed(self.cron_job, jobs), self.now)
        crashed = self.rng.random() < .1
        for action in decided.actions:
            match action:
                case Create(obj):
                    name = name_of(obj)
                    assert name not in self.jobs, "never two jobs for one time"
                    self.made.append((self.now, from_time(annotations_of(obj)[SCHEDULED_AT])))
                    self.jobs[name] = {**obj, "metadata": {**obj["metadata"], "uid": f"{name}-{len(self.made)}"},
                                       "status": {"startTime": to_time(self.now)}}
                case Delete(key, uid):
                    assert uid_of(self.jobs[key.name]) == uid
                    self.jobs[key.name] = with_(self.jobs[key.name], "metadata.deletionTimestamp", to_time(self.now))
                case SetStatus(_, _, status) if not crashed:
                    self.cron_job = {**self.cron_job, "status": status}
        return decided

    def live(self):
        """Some jobs end, what is being deleted goes."""
        for name, job in list(self.jobs.items()):
            if is_deleting(job):
                del self.jobs[name]
            elif not ended(job) and self.rng.random() < .4:
                condition = {"type": self.rng.choice(["Complete", "Complete", "Failed"]), "status": "True"}
                self.jobs[name] = {**job, "status": {**job["status"], "conditions": [condition],
                                                     "completionTime": to_time(self.now)}}

    def pass_time(self, decided):
        wake_at = decided.wake_at
        if wake_at is not None and self.rng.random() < .7:
            self.now = max(self.now, wake_at)
        else:
            self.now += self.rng.choice([1, 30, 300, 4000, 40_000])

    def user(self):
        field, value = self.rng.choice([("suspend", True), ("suspend", False), ("schedule", self.rng.choice(sorted(SCHEDULES)))])
        self.cron_job = with_(self.cron_job, f"spec.{field}", value)

    def running(self):
        return [job for job in self.jobs.values() if not ended(job)]

    def latest_due(self, since):
        """The last time of the schedule that has come, but not before `since`."""
        fits = SCHEDULES[self.cron_job["spec"]["schedule"]]
        minute = self.now // 60 * 60
        while minute > since:
            if fits(datetime.fromtimestamp(minute, UTC)):
                return minute
            minute -= 60
        return None


def ended(job):
    return is_true(job, "Complete") or is_true(job, "Failed")


@pytest.mark.parametrize("seed", range(80))
def test_any_history(seed):
    world = World(seed)
    for _ in range(40):
        before, running, spec = dict(world.jobs), world.running(), world.cron_job["spec"]
        last = from_time(world.cron_job["status"].get("lastScheduleTime", world.cron_job["metadata"]["creationTimestamp"]))
        last = max([last, *(time for _, time in world.made if any(_is_for(job, time) for job in before.values()))])
        decided = world.look()
        starts = [action.obj for action in decided.actions if isinstance(action, Create)]
        ends = {action.key.name for action in decided.actions if isinstance(action, Delete)}

        due = world.latest_due(last)
        deadline = spec.get("startingDeadlineSeconds")
        served = due is not None and not spec["suspend"] and (deadline is None or due >= world.now - deadline)
        if spec["concurrencyPolicy"] == "Forbid" and running:
            assert not starts, "Forbid: one after the other"
        else:
            assert [from_time(annotations_of(one)[SCHEDULED_AT]) for one in starts] == ([due] if served else []), "the latest"
        if spec["concurrencyPolicy"] == "Replace" and starts:
            assert all(name_of(job) in ends or is_deleting(job) for job in running), "Replace: in the place of all others"
        elif spec["concurrencyPolicy"] != "Replace":
            assert all(ended(before[name]) for name in ends), "nobody is ended that runs"
        for type_, field in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            kept = [job for job in world.jobs.values() if is_true(job, type_) and not is_deleting(job)]
            assert len(kept) <= spec[field], "no more history than asked for"
            gone = [before[name] for name in ends if is_true(before[name], type_)]
            assert not gone or len(kept) == spec[field], "no less either"
            assert max((_began(job) for job in gone), default="") <= min((_began(job) for job in kept), default="9")

        world.live()
        world.pass_time(decided)
        if world.rng.random() < .1:
            world.user()
    for_times = [time for _, time in world.made]
    assert len(set(for_times)) == len(for_times), "never two jobs for one time"


def _is_for(job, time):
    return from_time(annotations_of(job)[SCHEDULED_AT]) == time


def _began(job):
    return job["status"]["startTime"]


@pytest.mark.parametrize("seed", range(40))
def test_who_is_active_is_who_runs(seed):
    world = World(seed)
    for _ in range(40):
        world.live()
        world.pass_time(world.look())
    calm = plan(Observed(world.cron_job, sorted(world.jobs.values(), key=_began)), world.now)
    while any(isinstance(action, Create | SetStatus) for action in calm.actions):
        world.look()
        calm = plan(Observed(world.cron_job, sorted(world.jobs.values(), key=_began)), world.now)
    listed = {one["uid"] for one in world.cron_job["status"].get("active", ())}
    going = {uid_of(job) for job in world.jobs.values() if is_deleting(job)}  # replaced; whether they are listed is the past's
    assert listed - going == {uid_of(job) for job in world.running()} - going
    assert not [action for action in calm.actions if isinstance(action, Tell) and action.reason == "UnexpectedJob"]
