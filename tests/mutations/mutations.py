"""Breaches made by hand in what decides, each of which a law or a table must catch.

One is a file, the text that stands there, what is put in its place, and the command that must then fail.
"""
from __future__ import annotations

from typing import NamedTuple

STORIES = ("-m", "muster.rehearsal.story_seeds", "--count", "150", "--processes", "2", "--until-broken")


class Mutation(NamedTuple):
    what: str
    file: str  # below src/muster
    old: str
    new: str
    caught_by: tuple[str, ...] = STORIES  # arguments of python


def table(*files: str) -> tuple[str, ...]:
    return "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files


MUTATIONS = (
    Mutation("a DaemonSet's rollout forgets the nodes that are down already", "controllers/daemonset_board.py",
             "islice(ends, limits.max_unavailable - self._down)", "islice(ends, limits.max_unavailable)"),
    Mutation("a DaemonSet puts a daemon beside one that is still ending", "controllers/daemonset_places.py",
             "        elif place.pods:\n            _tidy(", "        elif place.live:\n            _tidy("),
    Mutation("a surging DaemonSet ends the old daemon before the new one is available", "controllers/daemonset_rollout.py",
             "Turn(up=up, end=old) if new.is_available else", "Turn(up=up, end=old) if True else"),
    Mutation("a Deployment's surge is counted one too high", "controllers/deployment_rollout.py",
             "    room = limits.most - total\n", "    room = limits.most + 1 - total\n"),
    Mutation("a Deployment takes down one pod more than it may", "controllers/deployment_rollout.py",
             "    spare = sum(map(available_of, [*draft.old, new])) - limits.least_available\n",
             "    spare = sum(map(available_of, [*draft.old, new])) - limits.least_available + 1\n"),
    Mutation("a Deployment counts on the end of just that pod which is not available yet", "controllers/deployment_rollout.py",
             "max(0, size - _ready_of(replica_set)) if", "size - available_of(replica_set) if",
             table("tests/controllers/test_deployment_decides.py")),
    Mutation("a ReplicaSet makes one pod too many", "controllers/replica_set.py",
             "changes += [new] * min(wanted - len(pods), BURST)", "changes += [new] * min(wanted - len(pods) + 1, BURST)"),
    Mutation("a StatefulSet's start waits for nobody", "controllers/stateful_set_order.py",
             "        if rules.is_ordered:\n            return True\n    return False\n",
             "    return bool(steps.start or steps.end)\n"),
    Mutation("a StatefulSet's rollout does not wait for the pod above", "controllers/stateful_set_order.py",
             "        if not is_healthy(pod):\n            return\n", ""),
    Mutation("a StatefulSet's rollout forgets the partition", "controllers/stateful_set_order.py",
             "reversed(places[rules.partition:])", "reversed(places)"),
    Mutation("a Job counts a pod again while its finalizer is on the way out", "controllers/job_counting.py",
             "        if run.uid in known:\n            continue\n", ""),
    Mutation("the collector leaves the pods of an owner that is gone", "controllers/garbage_collector.py",
             "    if not seen.owners:\n        return NOTHING\n",
             "    if not seen.owners or seen.obj['kind'] == 'Pod':\n        return NOTHING\n"),
    Mutation("an object that is written is changed in place", "controllers/replica_set.py",
             "    pods, wanted = claimed.mine, spec.get(\"replicas\", 1)\n",
             "    pods, wanted = claimed.mine, spec.get(\"replicas\", 1)\n"
             "    if pods:\n        pods[0][\"metadata\"][\"seen\"] = True\n"),
    Mutation("a controller does not wait until it has seen what it wrote", "control/runtime.py",
             "        await self._mirror.caught_up(written)\n        if plan.wake_at",
             "        if plan.wake_at", table("tests/cluster/test_bad_line.py")),
    Mutation("a mirror that lists anew forgets what went meanwhile", "client/mirror.py",
             "            if new is None or new[\"metadata\"][\"uid\"] != old[\"metadata\"][\"uid\"]:\n",
             "            if new is not None and new[\"metadata\"][\"uid\"] != old[\"metadata\"][\"uid\"]:\n"),
    Mutation("a node does not try again what it could not write", "node/fleet.py",
             "            self._try_again(resident, error)\n", ""),
    Mutation("a ReplicaSet's status counts pods that are not ready", "controllers/replica_set.py",
             "sum(when < NEVER for when in times)", "len(times)", table("tests/controllers/test_replica_set_decides.py")),
    Mutation("a share of nodes is rounded down", "controllers/daemonset_rollout.py",
             "-(-total * int(value.removesuffix(\"%\")) // 100)", "total * int(value.removesuffix(\"%\")) // 100",
             table("tests/controllers/test_daemonset_decides.py")),
    Mutation("who is deleted in the foreground does not wait for its dependents", "controllers/garbage_collector.py",
             "    return Plan([] if blocked else [_without_finalizer(seen, FOREGROUND)], size=size)\n",
             "    return Plan([_without_finalizer(seen, FOREGROUND)], size=size)\n", table("tests/cluster/test_garbage_laws.py")),
    Mutation("a claim gets the volume that it names, whatever it is", "controllers/volume_binding.py",
             "            if why else _reserve(volume, claim)", "            if False else _reserve(volume, claim)",
             table("tests/cluster/test_volume_laws.py")),
    Mutation("a CronJob that forbids it runs two jobs at once", "controllers/cron_job.py",
             "spec[\"concurrencyPolicy\"] == \"Forbid\" and children.active", "False",
             table("tests/controllers/test_cron_job_laws.py")),
    Mutation("a ReplicaSet's pods that are ready go before those that are not", "controllers/replica_set_surplus.py",
             "is_true(pod, \"Ready\"), deletion_cost(pod)", "not is_true(pod, \"Ready\"), deletion_cost(pod)",
             table("tests/controllers/test_replica_set_laws.py")),
    Mutation("a node is lost by its own clock", "controllers/node_lifecycle.py",
             "self._heard[name] = self._now() - float(annotations_of(new).get(RENEWED_AGO, 0.0))",
             "self._heard[name] = from_time(_renewed(new) or \"\")"),
    Mutation("a node that falls silent is not looked for", "controllers/node_lifecycle.py",
             "    wake_at = silent_from if silent_from > now else None\n", "    wake_at = None\n"),
    Mutation("an autoscaler asks for more than its maximum", "controllers/scaling_pace.py",
             "    most, why = (fastest, _UP_LIMIT) if bounds.most > fastest else (bounds.most, _TOO_MANY)\n"
             "    if wanted < bounds.least:\n",
             "    most, why = fastest, _UP_LIMIT\n    if wanted < bounds.least:\n"),
    Mutation("an autoscaler rounds down", "controllers/scaling_metrics.py",
             "    return math.ceil(value)\n", "    return math.floor(value)\n"),
    Mutation("an autoscaler does not scale down", "controllers/horizontal_pod_autoscaler.py",
             "        if limited.replicas == current:\n", "        if limited.replicas <= current:\n"),
    Mutation("an autoscaler takes what is near enough for too little", "controllers/scaling_metrics.py",
             "    return abs(1.0 - ratio) <= TOLERANCE\n", "    return False\n",
             table("tests/controllers/test_horizontal_pod_autoscaler.py")),
)
