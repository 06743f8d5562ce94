"""A story: what people and machines do to a cluster, drawn from one seed, as a list of steps with their moments.

    story(7)  ->  [Step(0.0, Make(node n0)), Step(5.0, Make(Deployment web)), Step(12.4, Fail(node loss)), ...]

Steps are values that do not depend on each other (story_steps.py): one that finds nothing to do is in vain.  So any
part of a story is a story too, and a broken one can be made small (story_shrink.py).

Beside what people do to workloads run other strands, each drawn from the seed by itself and put behind: wrong clocks
(story_clocks.py) and autoscalers (story_scaling.py).  So a strand that is added leaves the others' steps, and their
numbers, as they were; steps come in the order of their moments only within a strand.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from random import Random

from ..api.objects import Key, Obj
from ..node.crashes import ANNOTATION as CRASH
from . import story_steps as steps
from .faults import CRASH as CRASHES
from .faults import PULL, Amount, NodeLoss, SlowPulls, StartFailure
from .faults_line import HOWS, Trouble
from .story_clocks import clocks
from .story_scaling import scaling
from .story_steps import Step, What

NODES, FIRST_NODES = 6, (3, 5)
STEPS = (10, 24)
NAMESPACES = ("default", "default", "team")
GOOD_IMAGES, BAD_IMAGE = ("x:1", "x:2", "x:3"), "x:404"
PLURALS = {"DaemonSet": "daemonsets.apps", "Deployment": "deployments.apps", "ReplicaSet": "replicasets.apps",
           "StatefulSet": "statefulsets.apps", "Job": "jobs.batch"}
NAMES = {"DaemonSet": ("red", "green"), "Deployment": ("web", "api"), "ReplicaSet": ("solo",),
         "StatefulSet": ("db", "log"), "Job": ("task", "sum")}
KINDS = ("DaemonSet", "DaemonSet", "Deployment", "Deployment", "Deployment", "StatefulSet", "StatefulSet", "Job",
         "ReplicaSet")
RESTARTED = ("daemonset-controller", "deployment-controller", "replicaset-controller", "statefulset-controller",
             "job-controller", "default-scheduler", "garbage-collector", "node-controller", "endpoint-slice-controller",
             "taint-eviction-controller", "pod-garbage-collector")


@lru_cache(maxsize=16)
def story(seed: int) -> tuple[Step, ...]:
    first = tuple(_steps(Random(f"story {seed}")))
    lasts_s = max(step.at_s for step in first)
    return (*first, *clocks(seed, lasts_s), *scaling(seed, lasts_s))


def _steps(rng: Random) -> Iterator[Step]:
    for number in range(rng.randint(*FIRST_NODES)):
        yield Step(0.0, _node(rng, number))
    at_s = rng.choice((0.0, 5.0))
    cast = Cast(rng.sample(KINDS, 3))
    weights = [rng.choice((1, weight, weight, 3 * weight)) if weight else 0 for weight, _ in _DRAWS]
    for _ in range(rng.randint(1, 3)):
        yield Step(at_s, _workload(rng, cast))
    for _ in range(rng.randint(*STEPS)):
        at_s += rng.choice((0, 0, .01, .5, 2, 5, 10, 30, 70)) * rng.uniform(.5, 1.5)
        yield Step(round(at_s, 3), rng.choices(_DRAWS, weights)[0][1](rng, cast))


class Cast:
    """Whom a story is about: workloads of few kinds, so that much happens to each."""

    def __init__(self, kinds: list[str]):
        self._kinds = kinds
        self._made: dict[tuple[str, Key], None] = {}

    def another(self, rng: Random) -> tuple[str, Key]:
        kind = rng.choice(self._kinds)
        self._made[one := (kind, Key(PLURALS[kind], rng.choice(NAMESPACES), rng.choice(NAMES[kind])))] = None
        return one

    def one(self, rng: Random, *but: str) -> tuple[str, Key]:
        """One that came before, of any kind but these."""
        found = [one for one in self._made if one[0] not in but]
        return rng.choice(found) if found else ("Deployment", Key(PLURALS["Deployment"], "default", "web"))


def _node(rng: Random, number: int) -> What:
    return steps.Make(a_node(f"n{number}", rng.choice(("ssd", "ssd", "hdd"))))


def a_node(name: str, disk: str) -> Obj:
    behaviour = {"missingImages": ["*:404"]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": name, "labels": {"disk": disk},
        "annotations": {"muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(behaviour)}}}


def _template(rng: Random, kind: str, name: str) -> Obj:
    container: Obj = {"name": "app", "image": rng.choice((*GOOD_IMAGES, *GOOD_IMAGES, BAD_IMAGE))}
    if rng.random() < .3:
        container["resources"] = {"requests": {"cpu": rng.choice(("100m", "600m"))}}
    if rng.random() < .25:
        container["readinessProbe"] = {"tcpSocket": {"port": 80}, "initialDelaySeconds": rng.choice((0, 2))}
    spec: Obj = {"containers": [container]}
    metadata: Obj = {"labels": {"app": f"{kind.lower()}-{name}"}}
    if kind == "Job":
        lasts_s, code = rng.choice((1, 5, 20)), rng.choice((0, 0, 0, 1))
        container |= {"image": "busybox", "command": ["sh", "-c", f"sleep {lasts_s}; exit {code}"]}
        spec["restartPolicy"] = rng.choice(("Never", "Never", "OnFailure"))
    elif rng.random() < .1:
        metadata["annotations"] = {CRASH: "app,after=3s"}
    if rng.random() < .2 and kind != "Job":
        spec["nodeSelector"] = {"disk": "ssd"}
    if rng.random() < .15:
        spec["tolerations"] = [{"key": "mine", "effect": rng.choice(("NoSchedule", "NoExecute")), "operator": "Exists"}]
    if rng.random() < .1:
        spec["terminationGracePeriodSeconds"] = rng.choice((0, 5))
    return {"metadata": metadata, "spec": spec}


def _strategy(rng: Random, kind: str) -> Obj:
    match kind:
        case "DaemonSet":
            rolling = rng.choice((
                {"maxUnavailable": rng.choice((1, 1, 2, 3, "25%", "50%", "100%")), "maxSurge": 0},
                {"maxUnavailable": rng.choice((1, 2, "30%")), "maxSurge": 0},
                {"maxUnavailable": 0, "maxSurge": rng.choice((1, 2, "30%", "100%"))}))
            return {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None} if rng.random() < .15 else {
                "type": "RollingUpdate", "rollingUpdate": rolling}}
        case "Deployment":
            if rng.random() < .15:
                return {"strategy": {"type": "Recreate", "rollingUpdate": None}}
            return {"strategy": {"type": "RollingUpdate", "rollingUpdate": rng.choice((
                {"maxUnavailable": "25%", "maxSurge": "25%"}, {"maxUnavailable": 0, "maxSurge": 1},
                {"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": 2, "maxSurge": 1},
                {"maxUnavailable": "50%", "maxSurge": 2}, {"maxUnavailable": "100%", "maxSurge": "100%"}))}}
        case "StatefulSet":
            if rng.random() < .15:
                return {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
            return {"updateStrategy": {"type": "RollingUpdate",
                                       "rollingUpdate": {"partition": rng.choice((0, 0, 0, 1, 2))}}}
    return {}


def _workload(rng: Random, cast: Cast) -> What:
    kind, key = cast.another(rng)
    template = _template(rng, kind, key.name)
    spec: Obj = {"template": template}
    if kind != "Job":
        spec |= {"selector": {"matchLabels": template["metadata"]["labels"]}, **_strategy(rng, kind),
                 "minReadySeconds": rng.choice((0, 0, 0, 3, 12))}
    if kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        spec["replicas"] = rng.choice((1, 2, 3, 4, 6))
    if kind == "StatefulSet":
        spec |= {"serviceName": "db", "podManagementPolicy": rng.choice(("OrderedReady", "OrderedReady", "Parallel"))}
        if rng.random() < .15:
            spec["ordinals"] = {"start": 2}
    if kind == "Job":
        spec |= {"parallelism": rng.choice((1, 2, 3)), "completions": rng.choice((1, 3, 5)),
                 "backoffLimit": rng.choice((0, 2, 4)), "completionMode": rng.choice(("NonIndexed", "Indexed"))}
    group = "batch/v1" if kind == "Job" else "apps/v1"
    return steps.Make({"apiVersion": group, "kind": kind, "metadata": {"name": key.name, "namespace": key.namespace},
                       "spec": spec})


def _service(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng)
    return steps.Make({"apiVersion": "v1", "kind": "Service",
                       "metadata": {"name": f"to-{key.name}", "namespace": key.namespace},
                       "spec": {"selector": {"app": f"{kind.lower()}-{key.name}"}, "ports": [{"port": 80}],
                                "publishNotReadyAddresses": rng.random() < .1}})


def _budget(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng)
    return steps.Make({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                       "metadata": {"name": key.name, "namespace": key.namespace},
                       "spec": {"selector": {"matchLabels": {"app": f"{kind.lower()}-{key.name}"}},
                                **rng.choice(({"minAvailable": 1}, {"maxUnavailable": 1}, {"minAvailable": "50%"}))}})


def _new_template(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng, "Job")
    if rng.random() < .15:
        crash = rng.choice(("app,after=3s", None, None))
        return steps.Edit(key, {"spec": {"template": {"metadata": {"annotations": {CRASH: crash}}}}})
    image = rng.choice((*GOOD_IMAGES, *GOOD_IMAGES, BAD_IMAGE))
    template = {"spec": {"containers": [{"name": "app", "image": image}]}}
    return steps.Edit(key, {"spec": {"template": template}}, "strategic")


def _new_strategy(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng, "Job", "ReplicaSet")
    return steps.Edit(key, {"spec": _strategy(rng, kind)})


def _scale(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng, "DaemonSet")
    if kind == "Job":
        return steps.Edit(key, {"spec": rng.choice(({"parallelism": rng.choice((0, 1, 2, 4))},
                                                    {"suspend": rng.choice((True, False))}))})
    return steps.Edit(key, {"spec": {"replicas": rng.choice((0, 1, 2, 3, 5))}})


def _change_workload(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng, "Job")
    changes: list[Obj] = [{"minReadySeconds": rng.choice((0, 5, 20))}]
    if kind in ("DaemonSet", "StatefulSet", "Deployment"):
        changes.append({"revisionHistoryLimit": rng.choice((0, 1, 10))})
    if kind == "DaemonSet":
        changes.append({"template": {"spec": {"nodeSelector": {"disk": rng.choice(("ssd", "hdd", None))}}}})
    if kind == "Deployment":
        changes.append({"paused": rng.choice((True, False))})
    return steps.Edit(key, {"spec": rng.choice(changes)})


def _remove_workload(rng: Random, cast: Cast) -> What:
    return steps.Remove(cast.one(rng)[1], rng.choice(("Background", "Background", "Foreground", "Orphan")))


def _undo(rng: Random, cast: Cast) -> What:
    kind, key = cast.one(rng, "Job", "ReplicaSet", "Deployment")
    return steps.Undo(key, rng.random())


def _node_key(rng: Random) -> Key:
    return Key("nodes", "", f"n{rng.randrange(FIRST_NODES[1])}")


def _taint(rng: Random, cast: Cast) -> What:
    effect = rng.choice(("NoSchedule", "NoExecute", "", ""))
    return steps.Edit(_node_key(rng), {"spec": {"taints": [{"key": "mine", "effect": effect}] if effect else None}})


def _label(rng: Random, cast: Cast) -> What:
    return steps.Edit(_node_key(rng), {"metadata": {"labels": {"disk": rng.choice(("ssd", "hdd"))}}})


def _cordon(rng: Random, cast: Cast) -> What:
    return steps.Edit(_node_key(rng), {"spec": {"unschedulable": rng.choice((True, None))}})


def _namespace(rng: Random, cast: Cast) -> What:
    return steps.Remove(Key("namespaces", "", "team"))


def _pod(rng: Random, cast: Cast) -> What:
    spec: Obj = {"containers": [{"name": "app", "image": "x:1",
                                 "resources": {"requests": {"cpu": rng.choice(("1", "3500m"))}}}]}
    if rng.random() < .15:
        spec["nodeName"] = rng.choice(("n0", "nowhere"))
    return steps.Make({"apiVersion": "v1", "kind": "Pod", "spec": spec,
                       "metadata": {"name": f"loose-{rng.randrange(1000)}", "namespace": "default"}})


def _hit(rng: Random, cast: Cast) -> What:
    return steps.Hit(rng.choice(("delete", "delete", "kill", "evict", "evict", "relabel")), rng.random())


def _lose_node(rng: Random, cast: Cast) -> What:
    return steps.Fail(NodeLoss(Amount(count=rng.choice((1, 1, 2))), for_s=float(rng.choice((3, 20, 45, 100, 400)))))


def _fail_starts(rng: Random, cast: Cast) -> What:
    by = rng.choice(((PULL,), (CRASHES,), (PULL, CRASHES)))
    return steps.Fail(StartFailure(rng.choice((.2, .5, 1.0)), by, for_s=float(rng.choice((5, 30, 120)))))


def _slow_pulls(rng: Random, cast: Cast) -> What:
    return steps.Fail(SlowPulls(float(rng.choice((5, 20))), for_s=60.0))


def _bad_line(rng: Random, cast: Cast) -> What:
    trouble = Trouble(rng.choice(HOWS), rng.choice((.1, .3, .7)), rng.choice((.1, 1.0, 5.0)))
    return steps.BadLine(trouble, rng.choice((1.0, 10.0, 40.0)))


def _stop_watches(rng: Random, cast: Cast) -> What:
    return steps.StopWatches(rng.choice((.05, 1.0, 10.0, 45.0)), rng.random() < .6)


_DRAWS = (
    (2, lambda rng, cast: _node(rng, rng.randrange(NODES))),
    (1, lambda rng, cast: steps.Remove(_node_key(rng))),
    (1, _taint), (1, _label), (1, _cordon), (1, _namespace),
    (3, _workload), (1, _service), (1, _budget), (6, _new_template), (2, _new_strategy), (3, _scale),
    (2, _change_workload), (1, _undo), (1, _remove_workload), (1, _pod), (4, _hit),
    (2, _lose_node), (1, _fail_starts), (1, _slow_pulls), (2, _bad_line), (2, _stop_watches),
    (1, lambda rng, cast: steps.RepeatWatches(30.0)),
    (2, lambda rng, cast: steps.Restart(rng.choice(RESTARTED))),
    (1, lambda rng, cast: steps.RestartProcess(rng.choice((0.0, 5.0, 90.0)))),
)
