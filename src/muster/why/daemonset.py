"""What a DaemonSet makes of each node: should one of its pods run there, may one stay, and how does the one there do?

    refused_by(template, node)    in upstream's words, "" where a pod is made   (`muster rehearse` tells these)
    daemonset_answer(...)         node by node, with what would change it, and whose turn it is in the rollout

Decided by the controller's own functions: daemonset_nodes (which nodes), _places and _rollout (whose turn).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..api.objects import Obj, at, is_deleting, is_true, name_of, namespace_of, with_
from ..api.placement import NOT_READY, UNREACHABLE
from ..api.selectors import from_label_selector
from ..control import owners, revisions
from ..controllers.daemonset import selects_everything
from ..controllers.daemonset_nodes import Fit, eligibility, tolerations_of
from ..controllers.daemonset_places import Place, by_age, tend
from ..controllers.daemonset_pods import Daemon, Want, daemons_of, template_generation, template_of
from ..controllers.daemonset_rollout import (
    PAUSED_ANNOTATION,
    Limits,
    allows_surge,
    is_paused,
    is_rolling,
    limits_of,
    strategy_of,
    turn_of,
)
from ..scheduler.barrier import Barrier, placement_barrier
from ..scheduler.obstacle import NODE
from .answer import Answer, counted, largest_first, names
from .pod import NODE_IS_DOWN, pending_why, pod_answer
from .scene import Scene

RESOURCE = "daemonsets.apps"

# ------------------------------------------------------------------ which nodes


def keeps_away(template: Obj, node: Obj) -> tuple[str, Barrier | None]:
    """In upstream's words why no pod is made for the node, and what would change that; ("", None): one is made."""
    wanted = template["spec"].get("nodeName")
    if wanted and wanted != name_of(node):
        return "node(s) didn't match the requested node name", None
    found = placement_barrier({**template["spec"], "tolerations": tolerations_of(template)}, node)
    return (found.obstacles[0].refusal.reasons[0], found) if found is not None else ("", None)


def refused_by(template: Obj, node: Obj) -> str:
    return keeps_away(template, node)[0]


def without_daemon(daemonset: Obj, nodes: Mapping[str, Obj],
                   pods_on: Mapping[str, Sequence[Obj]]) -> list[tuple[bool, str, list[str]]]:
    """The nodes that have no daemon that is ready, those alike in why together: is one wanted, why, where."""
    found: dict[tuple[bool, str], list[str]] = {}
    for node_name in sorted(nodes):
        node, pods = nodes[node_name], pods_on.get(node_name) or ()
        if any(is_true(pod, "Ready") and not is_deleting(pod) for pod in pods):
            continue
        why = refused_by(daemonset["spec"]["template"], node)
        if is_down := not is_true(node, "Ready"):
            why = refused_by(daemonset["spec"]["template"], with_(node, "spec.taints", _own_taints(node)))
        wanted = not why
        if is_down:
            why = why or NODE_IS_DOWN
        elif wanted:
            why = next((pending_why(pod) for pod in pods), "no pod was made for it")
        found.setdefault((wanted, why), []).append(node_name)
    return [(wanted, why, there) for (wanted, why), there in found.items()]


def _own_taints(node: Obj) -> list[Obj]:
    """Without those that say that it is down."""
    return [one for one in at(node, "spec.taints", []) if one["key"] not in (NOT_READY, UNREACHABLE)]


def fit_answer(daemonset: Obj, node: Obj) -> Answer:
    """What the set makes of the node, whatever is there."""
    name = f"ds {namespace_of(daemonset)}/{name_of(daemonset)}"
    fit = eligibility(template_of(daemonset))(node)
    if fit is Fit.RUN:
        return Answer(name, "a pod should run here", state="run")
    why = _why_away(daemonset, node).replace(NODE, name_of(node))
    return Answer(name, f"{_AWAY[fit]}: {why}", state=fit.name.lower())


_AWAY = {Fit.KEEP: "none is started, one that is there may stay", Fit.LEAVE: "none may run here"}


def _why_away(daemonset: Obj, node: Obj) -> str:
    words, found = keeps_away(template_of(daemonset), node)
    wanted = template_of(daemonset)["spec"].get("nodeName")
    return found.says if found is not None else f"spec.nodeName of its template is {wanted}" if wanted else words


# ------------------------------------------------------------------ node by node

def daemonset_answer(daemonset: Obj, scene: Scene) -> Answer:
    about = f"ds {namespace_of(daemonset)}/{name_of(daemonset)}"
    if selects_everything(daemonset):
        return Answer(about, "its selector is empty, so it does nothing", "give it one", state="invalid")
    nodes = {name: node for (_, name), node in sorted(scene.objects("nodes").items())}
    daemons = _daemons(daemonset, scene)
    fits = eligibility(template_of(daemonset))
    places = {}
    for name in sorted({*nodes, *daemons}):
        fit = fits(nodes[name]) if name in nodes else None
        places[name] = Place(name, fit, sorted(daemons.get(name, ()), key=by_age))
    tend(places.values(), daemonset, allows_surge(daemonset), {}, scene.now)
    desired = sum(place.fit is Fit.RUN for place in places.values())
    limits = limits_of(daemonset, desired)
    down = [place.node for place in places.values() if place.fit is not None and (place.pods or place.fit is Fit.RUN)
            and turn_of(place, limits.max_surge > 0).down]
    parts = [_told(daemonset, place, nodes.get(name), scene, limits, down) for name, place in places.items()]
    ready = sum(one.state == "ready" for one in parts)
    notes = list(_rollout(daemonset, places, limits, down))
    if is_deleting(daemonset):
        notes.insert(0, "it is being deleted")
    last = scene.last_warning(daemonset)
    if last and ready < desired:
        notes.append(f"last warning: {last}")
    return Answer(about, f"{ready} of the {desired} nodes that should run it do", parts=largest_first(parts),
                  notes=notes, state="ready" if ready >= desired else "not ready")


def _daemons(daemonset: Obj, scene: Scene) -> dict[str, list[Daemon]]:
    selector = from_label_selector(daemonset["spec"]["selector"])
    pods = owners.claim(daemonset, selector, owners.candidates(scene.mirror, daemonset, "pods"), "pods").mine
    recorded = owners.claim(daemonset, selector, owners.candidates(scene.mirror, daemonset, revisions.RESOURCE),
                            revisions.RESOURCE).mine
    past = revisions.keep(daemonset, template_of(daemonset), recorded, pods,
                          scene.mirror.in_namespace(revisions.RESOURCE, namespace_of(daemonset)))
    want = Want(past.hash, template_generation(daemonset), daemonset["spec"].get("minReadySeconds") or 0)
    found: dict[str, list[Daemon]] = {}
    for one in daemons_of(pods, want, scene.now):
        found.setdefault(one.node, []).append(one)
    return found


def _told(daemonset: Obj, place: Place, node: Obj | None, scene: Scene, limits: Limits, down: Sequence[str]) -> Answer:
    name = place.node
    newest = place.pods[-1] if place.pods else None
    if node is None:
        return Answer(name, "there is no such node (any more); its pods are taken away", state="gone")
    if place.fit is not Fit.RUN:
        assert place.fit is not None, "there is a node"
        stays = f"; {newest.name} is there" + ("" if place.fit is Fit.KEEP else " and is ended") if newest else ""
        return Answer(name, f"{_AWAY[place.fit]}{stays}: {_why_away(daemonset, node)}", state=place.fit.name.lower(),
                      roughly=f"{_AWAY[place.fit]}: {refused_by(template_of(daemonset), node)}")
    if newest is None:
        if not is_true(node, "Ready"):
            return Answer(name, f"should run one, {NODE_IS_DOWN}", state="missing")
        return Answer(name, "should run one, and none is there yet", state="missing")
    live = [one for one in place.pods if not one.is_going]
    if not live:
        return Answer(name, f"its pod {newest.name} is ending; the next one comes after it", state="ending")
    return _standing(daemonset, live, scene, limits, down)


def _standing(daemonset: Obj, live: Sequence[Daemon], scene: Scene, limits: Limits, down: Sequence[str]) -> Answer:
    one = next((each for each in reversed(live) if each.is_current), live[-1])
    inner = pod_answer(one.pod, scene)
    if inner.state != "ready":
        if inner.parts:  # what its node says
            refusals = [said for part in inner.parts for said in (part.says, *part.notes)]
            return Answer(one.node, f"its pod is {inner.state}: {refusals[0]}", notes=(*refusals[1:], *inner.notes),
                          roughly=f"its pod is {inner.state}", state="not ready", pod=one.name,
                          found=inner.parts[0].found)
        brief = inner.verdict.replace(f"it is on {one.node}, but ", "")
        return Answer(one.node, f"its pod is {inner.state}: {brief}", inner.change, notes=inner.notes,
                      roughly=pending_why(one.pod), state="not ready", pod=one.name)
    if one.is_current:
        settles_s = daemonset["spec"].get("minReadySeconds")
        settling = "" if one.is_available else f", available once it was ready for {settles_s} s"
        return Answer(one.node, f"ready{settling}", state="ready", pod=one.name)
    return Answer(one.node, f"ready, of an older template: {_turn(daemonset, limits, down)}", state="ready",
                  pod=one.name)


def _turn(daemonset: Obj, limits: Limits, down: Sequence[str]) -> str:
    if strategy_of(daemonset) != "RollingUpdate":
        return "its updateStrategy is OnDelete, so it stays until somebody deletes it"
    if is_paused(daemonset):
        return "the rollout is paused"
    if limits.max_surge:
        return f"waits for its turn (maxSurge allows {limits.max_surge} at a time)"
    if len(down) >= limits.max_unavailable:
        return f"waits for its turn: maxUnavailable {limits.max_unavailable} is used up by {names(list(down))}"
    return "its turn is next"


def _rollout(daemonset: Obj, places: Mapping[str, Place], limits: Limits, down: Sequence[str]) -> Sequence[str]:
    old = sum(any(not one.is_current for one in place.live) for place in places.values() if place.fit is Fit.RUN)
    if not old:
        return ()
    if is_rolling(daemonset):
        if limits.max_surge or len(down) < limits.max_unavailable:
            return (f"rollout: {counted(old, 'node')} still to be updated",)
        allowed = at(daemonset, "spec.updateStrategy.rollingUpdate", {}).get("maxUnavailable", 1)
        return (f"rollout: {counted(old, 'node')} still to be updated; maxUnavailable {allowed} is used up by "
                f"{names(list(down))}: mend those, or allow more",)
    if is_paused(daemonset):
        return (f"rollout: paused; `kubectl annotate ds -n {namespace_of(daemonset)} {name_of(daemonset)} "
                f"{PAUSED_ANNOTATION}-` lets it go on",)
    return (f"rollout: its updateStrategy is OnDelete, so the old pods of {counted(old, 'node')} stay until they are "
            "deleted",)
