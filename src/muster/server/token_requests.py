"""What is asked for a token of a service account (`kubectl create token`, and nodes for their pods), and the answer.

A token is bound to its account, and to one object more where that is asked for.  The one that a pod is given without
asking lasts a year, and says when it should have been renewed: programs that read the file once go on working, and
those that do so can be found.  `status.expirationTimestamp` tells the asked time, by which nodes renew it.
https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""
from __future__ import annotations

from collections.abc import Callable

from ..api.causes import Cause
from ..api.causes import invalid as invalid_value
from ..api.errors import BadRequest, conflict, invalid, not_found
from ..api.objects import Key, Obj, at, name_of, namespace_of, to_time, uid_of
from .account_tokens import Bound, Look, claims
from .bearer import AUDIENCES
from .service_accounts import TOKEN_LIFETIME_S

TOKEN, DEFINITION = "token", "io.k8s.api.authentication.v1.TokenRequest"
USUAL_S, SHORTEST_S, LONGEST_S = 3600, 600, 1 << 32
EXTENDED_S = 365 * 24 * 3600

_GROUP, _KIND = "authentication.k8s.io", "TokenRequest"


def completed(request: Obj, account: Obj, now: float) -> Obj:
    """What was asked, with all that was left out.  Raises Invalid."""
    namespace, name = namespace_of(account), name_of(account)
    metadata = request.get("metadata") or {}
    for field, said, is_ in (("name", metadata.get("name"), name), ("namespace", metadata.get("namespace"), namespace)):
        if said and said != is_:
            raise invalid(_KIND, _GROUP, name, [invalid_value(
                f"metadata.{field}", said, f"must match the service account {field} if specified")])
    spec = request.get("spec") or {}
    lifetime_s = spec.get("expirationSeconds")
    lifetime_s = USUAL_S if lifetime_s is None else lifetime_s
    if wrong := _unfit(lifetime_s):
        raise invalid(_KIND, _GROUP, "", wrong)
    return {"kind": _KIND, "apiVersion": f"{_GROUP}/v1",
            "metadata": {**metadata, "name": name, "namespace": namespace, "creationTimestamp": to_time(now)},
            "spec": {"audiences": list(spec.get("audiences") or AUDIENCES), "expirationSeconds": lifetime_s,
                     "boundObjectRef": spec.get("boundObjectRef") or None}}


def _unfit(lifetime_s: int) -> list[Cause]:
    field = "spec.expirationSeconds"
    if lifetime_s < SHORTEST_S:
        return [invalid_value(field, lifetime_s, "may not specify a duration less than 10 minutes")]
    if lifetime_s > LONGEST_S:
        return [invalid_value(field, lifetime_s, "may not specify a duration larger than 2^32 seconds")]
    return []


def bound(request: Obj, account: Obj, look: Look) -> Bound:
    """What the token is to be bound to.  Raises BadRequest, NotFound, and Conflict for a namesake."""
    reference = at(request, "spec.boundObjectRef")
    if not reference:
        return Bound()
    group, _, version = reference.get("apiVersion", "").rpartition("/")
    kind, name = reference.get("kind", ""), reference.get("name", "")
    namespace = namespace_of(account)
    match group, kind:
        case "", "Pod":
            pod = found = _there(look, Key("pods", namespace, name))
            if at(pod, "spec.serviceAccountName") != name_of(account):
                raise BadRequest(f'cannot bind token for serviceaccount "{name_of(account)}" to pod running with '
                                 "different serviceaccount name.")
            made = Bound(pod=pod, node=_node_of(pod, look))
        case "", "Secret":
            found = _there(look, Key("secrets", namespace, name))
            made = Bound(secret=found)
        case "", "Node":
            found = _there(look, Key("nodes", "", name))
            made = Bound(node=found)
        case _:
            raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    uid = reference.get("uid")
    if uid and uid != uid_of(found):
        raise conflict(f"{kind}.{group}" if group else kind, name,
                       f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                       "The object might have been deleted and then recreated")
    return made


def _there(look: Look, key: Key) -> Obj:
    found = look.get(key)
    if found is None:
        raise not_found(key.resource, key.name)
    return found


def _node_of(pod: Obj, look: Look) -> Obj | None:
    """Its name is told even where the node is not there (any more)."""
    name = at(pod, "spec.nodeName")
    return (look.get(Key("nodes", "", name)) or {"metadata": {"name": name}}) if name else None


def granted(request: Obj, account: Obj, to: Bound, now: float, id_: str, sign: Callable[[Obj], str]) -> Obj:
    """The request with its status: the token."""
    spec = request["spec"]
    asked_s: int = spec["expirationSeconds"]
    is_usual = (to.pod is not None and asked_s == TOKEN_LIFETIME_S
                and all(one in AUDIENCES for one in spec["audiences"]))
    lifetime_s, warn_after_s = (EXTENDED_S, asked_s) if is_usual else (asked_s, 0)
    token = sign(claims(account, to, spec["audiences"], lifetime_s, warn_after_s, now, id_))
    return {**request, "status": {"token": token, "expirationTimestamp": to_time(now + asked_s)}}
