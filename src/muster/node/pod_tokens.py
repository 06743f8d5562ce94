"""The tokens that the volumes of real pods hold: asked for when a pod starts, and anew before they end.

Each is bound to its pod, so that it is worth nothing once the pod is gone.  It is renewed when four fifths of its time
have passed, or a day; programs find the new one in the file (client libraries read it again every minute), and no
container is started anew.  While the server can not be asked, the old one stays for as long as it is good.
https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from ..api.errors import ApiError
from ..api.objects import Obj, at, from_time, name_of, namespace_of, uid_of
from ..client.client import Client

log = logging.getLogger(__name__)

LONGEST_S, SPENT, JITTER_S = 24 * 3600.0, 0.8, 10.0
USUAL_S = 3600


class Asked(NamedTuple):
    """What a volume wants of a token."""

    audience: str  # "": the API server
    lifetime_s: int


class Held(NamedTuple):
    token: str
    issued: float
    ends: float
    renew_at: float


Tokens = Mapping[Asked, str]


class NoToken(Exception):
    """The server gives none, and there is none that is still good."""


def asked_by(source: Obj) -> Asked:
    """Of a volume's serviceAccountToken."""
    return Asked(source.get("audience") or "", source.get("expirationSeconds") or USUAL_S)


def asked_of(pod: Obj) -> dict[Asked, str]:
    """With the volume that wants it."""
    return {asked_by(token): volume["name"] for volume in pod["spec"].get("volumes") or ()
            for source in at(volume, "projected.sources") or ()
            if (token := source.get("serviceAccountToken")) is not None}


def request(pod: Obj, asked: Asked) -> Obj:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "metadata": {"name": pod["spec"].get("serviceAccountName") or "", "namespace": namespace_of(pod)},
            "spec": {"audiences": [asked.audience] if asked.audience else [], "expirationSeconds": asked.lifetime_s,
                     "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)}}}


def held(answer: Obj, jitter_s: float) -> Held:
    """By what the server says: it may give less time than was asked for."""
    ends, lifetime_s = from_time(answer["status"]["expirationTimestamp"]), answer["spec"]["expirationSeconds"]
    issued = ends - lifetime_s
    return Held(answer["status"]["token"], issued, ends, issued + min(LONGEST_S, SPENT * lifetime_s) - jitter_s)


def is_due(one: Held, now: float) -> bool:
    """Also where the clock was set back to before it was issued: who knows how long it is good."""
    return now >= one.renew_at or now < one.issued


class PodTokens:
    """Of one node."""

    def __init__(self, client: Client, now: Callable[[], float], chance: Random):
        self._client, self._now, self._chance = client, now, chance
        self._held: dict[str, dict[Asked, Held]] = {}  # by the pod's uid

    def wants(self, pod: Obj) -> bool:
        """Is there one to be had, or to be renewed?"""
        there, now = self._held.get(uid_of(pod), {}), self._now()
        return any(asked not in there or is_due(there[asked], now) for asked in asked_of(pod))

    async def of(self, pod: Obj) -> Tokens:
        """All that its volumes want.  Raises NoToken."""
        there = self._held.get(uid_of(pod), {})
        found: dict[Asked, Held] = {}
        for asked, volume in asked_of(pod).items():
            one = there.get(asked)
            if one is None or is_due(one, self._now()):
                one = await self._got(pod, asked, one, volume)
            found[asked] = one
        if found:
            self._held[uid_of(pod)] = found
        return {asked: one.token for asked, one in found.items()}

    async def _got(self, pod: Obj, asked: Asked, before: Held | None, volume: str) -> Held:
        try:
            answer = await self._client.create(request(pod, asked), subresource="token")
        except ApiError as error:
            if before is None or before.ends <= self._now():
                why = f'MountVolume.SetUp failed for volume "{volume}" : failed to fetch token: {error}'
                raise NoToken(why) from None
            log.info("a token of %s/%s is not renewed yet: %s", namespace_of(pod), name_of(pod), error)
            return before
        return held(answer, self._chance.uniform(0.0, JITTER_S))

    def forget(self, pod: Obj) -> None:
        self._held.pop(uid_of(pod), None)
