"""What must hold at every moment of every history, told from the changes alone.

`Laws` hears each change as it is appended and keeps its own copy of nodes, pods and sets.  It shares no code with
the controllers: which node a pod belongs on, what is available and what a status should say is worked out here a
second time, in the plainest way.  A law that is broken is noted (an exception would end up in the task that wrote);
`check` raises it, with what happened last.

Decisions are made on what was seen a moment before, and in virtual time that moment is the same instant.  So what
went down by itself, or what changed in a set or a node, at this very instant is not held against the decision.
"""
from __future__ import annotations

import hashlib
import logging
from collections import Counter, deque
from typing import Any

import orjson
from small_world import World

from muster.api.objects import Key, Obj, condition, controller_of, from_time, is_deleting, is_true, revision_of, uid_of
from muster.api.quantities import milli

CONTROLLER = "daemonset-controller"
GONE_WITHIN_S = 90.0  # the pods of a deleted set, on nodes that are well
SEEN_WITHIN_S = 2.0  # what a status says of things that have come to rest
DAEMON_TOLERATES = {("node.kubernetes.io/not-ready", "NoExecute"), ("node.kubernetes.io/unreachable", "NoExecute"),
                    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
                    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
                    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
                    ("node.kubernetes.io/unschedulable", "NoSchedule")}
HASH_LABEL = "controller-revision-hash"
ENDED = ("Succeeded", "Failed")


# ------------------------------------------------------------------ a second opinion

def fit(daemonset: Obj, node: Obj) -> str:
    """ "run", "keep" or "leave": by the node selector and the taints (scenarios use nothing else)."""
    spec = daemonset["spec"]["template"]["spec"]
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return "leave"
    own = {(one.get("key"), one.get("effect")) for one in spec.get("tolerations") or ()}
    minded = {taint["effect"] for taint in node["spec"].get("taints") or ()
              if (taint["key"], taint["effect"]) not in DAEMON_TOLERATES and (taint["key"], taint["effect"]) not in own
              and (None, None) not in own}
    return "leave" if "NoExecute" in minded else "keep" if "NoSchedule" in minded else "run"


def node_of(pod: Obj) -> str:
    if pod["spec"].get("nodeName"):
        return pod["spec"]["nodeName"]
    terms = (((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {})
             .get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    return next((field["values"][0] for term in terms for field in term.get("matchFields") or ()), "")


def phase_of(pod: Obj) -> str:
    return (pod.get("status") or {}).get("phase", "")


def settles_at(pod: Obj, daemonset: Obj) -> float:
    """When the pod is (or was) available: ready for minReadySeconds; never for one that is not ready."""
    if not is_true(pod, "Ready"):
        return float("inf")
    return from_time(condition(pod, "Ready")["lastTransitionTime"]) + (daemonset["spec"].get("minReadySeconds") or 0)


def share(value: int | str, total: int) -> int:
    return -(-int(value[:-1]) * total // 100) if isinstance(value, str) else value


# ------------------------------------------------------------------ the laws

class Laws:
    def __init__(self, store, clock, seed: object):
        self.world: World | None = None
        self.seed = seed
        self.nodes: dict[str, Obj] = {}
        self.pods: dict[Key, Obj] = {}
        self.sets: dict[str, Obj] = {}  # by uid
        self.broken: list[str] = []
        self.story: deque[str] = deque(maxlen=25)
        self.writes: Counter[str] = Counter()
        self._store, self._clock = store, clock
        self._by_place: dict[tuple[str, str], dict[Key, Obj]] = {}  # (uid of the set, node)
        self._stored: list[tuple[Any, bytes]] = []  # every snapshot, and what its value was when it was stored
        self._revision = 0
        self._went_down: dict[tuple[str, str], tuple[float, bool]] = {}  # when, and was it the controller's doing?
        self._set_changed: dict[str, float] = {}
        self._node_changed: dict[str, float] = {}
        self._allowed: dict[str, tuple[float, int]] = {}  # the most that was allowed at that instant
        self._gone_sets: dict[str, float] = {}
        self._newest: dict[str, tuple[int, str]] = {}  # the last revision of each set, and its hash
        self._silent_until: dict[str, float] = {}
        self._moved = clock.now()  # when something last changed that a status tells of
        self._log = _Complaints(self)
        logging.getLogger("muster").addHandler(self._log)
        store.history.on_append(self._hear)

    def close(self) -> None:
        logging.getLogger("muster").removeHandler(self._log)

    def say(self, text: str) -> None:
        self.story.append(f"{self._clock.now() % 1e6:10.2f}  {text}")

    def wrong(self, law: str) -> None:
        self.broken.append(f"{self._clock.now() % 1e6:.2f}: {law}")

    def check(self) -> None:
        self._pods_of_deleted_sets()
        self._statuses()
        if self.broken:
            told = "\n".join(self.story)
            raise AssertionError(f"seed {self.seed}: {self.broken[0]} ({len(self.broken)} in all)\n{told}")

    # ---- what is heard

    def _hear(self, changes) -> None:
        for change in changes:
            if change.revision <= self._revision:
                self.wrong(f"revision {change.revision} after {self._revision}")
            self._revision = change.revision
            self.writes[change.key.resource] += 1
            if change.after is not None:
                if revision_of(change.value) != change.revision:
                    self.wrong(f"{change.key} says it is at {revision_of(change.value)}, not {change.revision}")
                self._stored.append((change.after, _digest(change.value)))
            if change.previous is not None and change.value is not None:
                self._same_object(change)
            match change.key.resource:
                case "nodes":
                    self._hear_node(change)
                case "pods":
                    self._hear_pod(change)
                case "daemonsets.apps":
                    self._hear_set(change)
                case "controllerrevisions.apps":
                    self._hear_revision(change.value)

    def _same_object(self, change) -> None:
        old, new = change.previous, change.value
        if uid_of(old) != uid_of(new):
            self.wrong(f"{change.key} became another object without being deleted")
        if is_deleting(old) and not is_deleting(new):
            self.wrong(f"{change.key} is no longer being deleted")
        for field in ("creationTimestamp", "name", "namespace"):
            if old["metadata"].get(field) != new["metadata"].get(field):
                self.wrong(f"{change.key}: {field} changed")

    def _hear_node(self, change) -> None:
        old, new, name = change.previous, change.value, change.key.name
        now = self._clock.now()
        if old is None or new is None or old["spec"] != new["spec"] \
                or old["metadata"].get("labels") != new["metadata"].get("labels"):
            self._note_limits(self.sets)
            self._node_changed[name] = self._moved = now
        if new is None:
            self.nodes.pop(name, None)
            return
        self.nodes[name] = new
        if (new["metadata"].get("annotations") or {}).get("muster.dev/fail") == "true":
            self._silent_until[name] = float("inf")
        elif self._silent_until.get(name) == float("inf"):
            self._silent_until[name] = now

    def _hear_set(self, change) -> None:
        old, new, now = change.previous, change.value, self._clock.now()
        uid = uid_of(new or old)
        if old is None or new is None or old["spec"] != new["spec"] or old["metadata"] != {
                **new["metadata"], "resourceVersion": revision_of(old) and old["metadata"]["resourceVersion"]}:
            self._note_limits([uid])
            self._set_changed[uid] = self._moved = now
        if new is None:
            self.sets.pop(uid, None)
            self._gone_sets[uid] = now
            return
        if old is not None:
            self._generations(change)
        self.sets[uid] = new

    def _hear_revision(self, revision: Obj | None) -> None:
        owner = controller_of(revision) if revision is not None else None
        if owner is not None and revision["revision"] >= self._newest.get(owner["uid"], (0, ""))[0]:
            self._newest[owner["uid"]] = revision["revision"], revision["metadata"]["labels"][HASH_LABEL]

    def _is_current(self, pod: Obj, uid: str) -> bool:
        return pod["metadata"]["labels"].get(HASH_LABEL) == self._newest.get(uid, (0, ""))[1]

    def _generations(self, change) -> None:
        old, new = change.previous, change.value
        before, after = old["metadata"]["generation"], new["metadata"]["generation"]
        asked = old["spec"] != new["spec"] or is_deleting(old) != is_deleting(new)
        if after != before + asked:
            self.wrong(f"{change.key}: generation {before} -> {after}, {'' if asked else 'not '}asked for")
        seen_before = (old.get("status") or {}).get("observedGeneration", 0)
        seen = (new.get("status") or {}).get("observedGeneration", 0)
        if not seen_before <= seen <= after:
            self.wrong(f"{change.key}: observedGeneration {seen_before} -> {seen} of {after}")

    def _hear_pod(self, change) -> None:
        key, old, new, now = change.key, change.previous, change.value, self._clock.now()
        place = self._place_of(old or new)
        up = place is not None and self._is_up(*place)
        if old is None and place is not None:
            self._created(key, new, *place)
        if old is not None and new is not None:
            self._lives_on(key, old, new)
            if place is not None and is_deleting(new) and not is_deleting(old) and self._account() == CONTROLLER:
                self._ended_by_controller(key, old, *place)
        self._remember(key, old, new)
        if old is None or new is None or _visible(old) != _visible(new):
            self._moved = now
        if up and not self._is_up(*place):
            self._went_down[place] = now, self._account() == CONTROLLER

    def _remember(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        before, after = (self._place_of(old) if old else None), (self._place_of(new) if new else None)
        if before is not None and before != after:
            self._by_place[before].pop(key, None)
        if after is not None:
            self._by_place.setdefault(after, {})[key] = new
        if new is None:
            self.pods.pop(key, None)
        else:
            self.pods[key] = new

    def _account(self) -> str:
        return self.world.who if self.world is not None else ""

    # ---- places: a set and a node

    def _place_of(self, pod: Obj) -> tuple[str, str] | None:
        owner = controller_of(pod)
        if owner is None or owner["kind"] != "DaemonSet":
            return None
        return owner["uid"], node_of(pod)

    def _is_up(self, uid: str, node: str) -> bool:
        daemonset, now = self.sets.get(uid), self._clock.now()
        return daemonset is not None and any(
            not is_deleting(pod) and settles_at(pod, daemonset) <= now
            for pod in self._by_place.get((uid, node), {}).values())

    def _wanted(self, daemonset: Obj) -> list[str]:
        return [name for name, node in self.nodes.items() if fit(daemonset, node) == "run"]

    def _may_be_down(self, daemonset: Obj) -> int:
        strategy = daemonset["spec"]["updateStrategy"]
        paused = (daemonset["metadata"].get("annotations") or {}).get("muster.dev/paused") == "true"
        if strategy["type"] != "RollingUpdate" or paused:
            return 0
        return share(strategy["rollingUpdate"]["maxUnavailable"], len(self._wanted(daemonset)))

    def _note_limits(self, uids) -> None:
        """What is allowed now stays allowed for the rest of this instant."""
        now = self._clock.now()
        for uid in uids:
            if uid in self.sets:
                when, most = self._allowed.get(uid, (0.0, 0))
                self._allowed[uid] = now, max(self._may_be_down(self.sets[uid]), most if when == now else 0)

    def _surges(self, daemonset: Obj) -> bool:
        strategy = daemonset["spec"]["updateStrategy"]
        return strategy["type"] == "RollingUpdate" and bool(share(strategy["rollingUpdate"].get("maxSurge") or 0, 100))

    def _created(self, key: Key, pod: Obj, uid: str, node: str) -> None:
        daemonset, now = self.sets.get(uid), self._clock.now()
        if daemonset is None:
            return  # deleted at this instant: the collector sees to it
        others = [other for other in self._by_place.get((uid, node), {}).values()
                  if not (is_deleting(other) and phase_of(other) in ENDED)]
        standing = [other for other in others if not is_deleting(other)]
        if self._set_changed.get(uid) == now:
            return
        if len(standing) > 1 or (others and not self._surges(daemonset)):
            self.wrong(f"{key} comes to {node}, where {len(others)} of its set are already")

    def _ended_by_controller(self, key: Key, pod: Obj, uid: str, node: str) -> None:
        daemonset, now = self.sets.get(uid), self._clock.now()
        if daemonset is None or node not in self.nodes or fit(daemonset, self.nodes[node]) != "run":
            return
        standing = [other for other in self._by_place[uid, node].values()
                    if not is_deleting(other) and phase_of(other) not in ENDED]
        alike = [other for other in standing if self._is_current(other, uid) == self._is_current(pod, uid)]
        if len(alike if self._surges(daemonset) else standing) > 1:
            return  # one too many
        if settles_at(pod, daemonset) > now or phase_of(pod) in ENDED or any(
                other is not pod and settles_at(other, daemonset) <= now for other in standing):
            return  # it was down itself, or another one stands there
        if now in (self._set_changed.get(uid), self._node_changed.get(node)):
            return
        down = {node}
        for name in self._wanted(daemonset):
            when, by_controller = self._went_down.get((uid, name), (0.0, False))
            just_now = now in (self._node_changed.get(name), None if by_controller else when)
            if not just_now and not self._is_up(uid, name):
                down.add(name)
        when, most = self._allowed.get(uid, (0.0, 0))
        allowed = max(self._may_be_down(daemonset), most if when == now else 0)
        if len(down) > allowed:
            self.wrong(f"{key.name} on {node} is taken down: {len(down)} down ({sorted(down)}), {allowed} allowed")

    def _lives_on(self, key: Key, old: Obj, new: Obj) -> None:
        before, after = old["spec"].get("nodeName"), new["spec"].get("nodeName")
        if before and before != after:
            self.wrong(f"{key} moved from {before} to {after}")
        if phase_of(old) in ENDED and phase_of(new) != phase_of(old):
            self.wrong(f"{key} was {phase_of(old)} and is {phase_of(new)}")
        for was, is_ in zip(*((one.get("status") or {}).get("containerStatuses") or () for one in (old, new)),
                            strict=False):
            if is_["restartCount"] < was["restartCount"]:
                self.wrong(f"{key} has fewer restarts: {was['restartCount']} -> {is_['restartCount']}")
        if after and not before and after in self.nodes:
            self._has_room(key, new, self.nodes[after])

    def _has_room(self, key: Key, pod: Obj, node: Obj) -> None:
        room = (node.get("status") or {}).get("allocatable")
        if not room:
            return
        there = [other for place, other in self.pods.items() if place != key and phase_of(other) not in ENDED
                 and other["spec"].get("nodeName") == node["metadata"]["name"]]
        too_much = _cpu(pod) and sum(map(_cpu, there)) + _cpu(pod) > milli(room["cpu"])  # who asks for nothing fits
        if too_much or len(there) + 1 > int(room["pods"]):
            self.wrong(f"{key} is bound to {node['metadata']['name']}, where there is no room")

    # ---- what is checked now and then

    def _pods_of_deleted_sets(self) -> None:
        now = self._clock.now()
        for key, pod in self.pods.items():
            place = self._place_of(pod)
            if place is None or place[0] in self.sets or (pod["metadata"].get("finalizers")):
                continue
            since = max(self._gone_sets.get(place[0], 0.0), self._silent_until.get(place[1], 0.0))
            if since + GONE_WITHIN_S < now:
                self.wrong(f"{key} outlives its set on {place[1]}")

    def _statuses(self) -> None:
        if self._moved + SEEN_WITHIN_S > self._clock.now():
            return
        for daemonset in self.sets.values():
            if not is_deleting(daemonset):
                self._status_is_true(daemonset)

    def _status_is_true(self, daemonset: Obj) -> None:
        uid, now = uid_of(daemonset), self._clock.now()
        status = daemonset.get("status") or {}
        counted = Counter()
        for name, node in self.nodes.items():
            there = [pod for pod in self._by_place.get((uid, name), {}).values()
                     if not (is_deleting(pod) and phase_of(pod) in ENDED)]
            there.sort(key=lambda pod: (not pod["spec"].get("nodeName"), pod["metadata"]["creationTimestamp"],
                                        pod["metadata"]["name"]))
            if fit(daemonset, node) != "run":
                counted["numberMisscheduled"] += bool(there)
                continue
            counted["desiredNumberScheduled"] += 1
            counted["currentNumberScheduled"] += bool(there)
            if there:
                settled = settles_at(there[0], daemonset)
                if now - SEEN_WITHIN_S < settled < now + SEEN_WITHIN_S:
                    return
                counted["numberReady"] += is_true(there[0], "Ready")
                counted["numberAvailable"] += settled <= now
        counted["numberUnavailable"] = counted["desiredNumberScheduled"] - counted["numberAvailable"]
        counted["observedGeneration"] = daemonset["metadata"]["generation"]
        for name, number in counted.items():
            if status.get(name, 0) != number:
                self.wrong(f"{daemonset['metadata']['name']}: status.{name} is {status.get(name, 0)}, not {number}")

    def nothing_was_changed_in_place(self) -> None:
        for snapshot, digest in self._stored:
            if _digest(snapshot.value) != digest:
                self.wrong(f"{snapshot!r} was changed after it was stored")
            elif snapshot.encoded() != orjson.dumps(snapshot.value):
                self.wrong(f"{snapshot!r}: its JSON is not its value")

    def every_node_has_its_daemon(self) -> None:
        for uid, daemonset in self.sets.items():
            for name, node in self.nodes.items():
                pods = list(self._by_place.get((uid, name), {}).values())
                where = f"{daemonset['metadata']['namespace']}/{daemonset['metadata']['name']} on {name}"
                match fit(daemonset, node):
                    case "run":
                        if len(pods) != 1 or not self._is_up(uid, name):
                            self.wrong(f"{where}: {[(p['metadata']['name'], p.get('status')) for p in pods]}, not one that is available")
                        elif daemonset["spec"]["updateStrategy"]["type"] == "RollingUpdate" \
                                and not self._is_current(pods[0], uid):
                            self.wrong(f"{where}: not of today's template")
                    case "keep":
                        if len(pods) > 1:
                            self.wrong(f"{where}: more than one")
                    case "leave":
                        if pods:
                            self.wrong(f"{where}: a pod that should have left")


class _Complaints(logging.Handler):
    """A plan that raises is logged and the others go on: here it breaks a law."""

    def __init__(self, laws: Laws):
        super().__init__(logging.WARNING)
        self._laws = laws

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else ""
        self._laws.wrong(f"log: {record.getMessage()} {error!r}")


def _digest(value: Obj) -> bytes:
    return hashlib.blake2b(orjson.dumps(value), digest_size=12).digest()


def _visible(pod: Obj) -> tuple[object, ...]:
    return (is_deleting(pod), phase_of(pod), is_true(pod, "Ready"), pod["spec"].get("nodeName"), controller_of(pod))


def _cpu(pod: Obj) -> int:
    return sum(milli((one.get("resources") or {}).get("requests", {}).get("cpu", "0"))
               for one in pod["spec"]["containers"])
