"""The front door of a cluster that was: it may be read, and nothing in it can be changed.

What asks for a change is refused (405) before anything else is looked at, with the moment that is shown; questions
of the authorization API (`kubectl auth can-i`) change nothing and are answered.
"""
from __future__ import annotations

from ..api.errors import MethodNotAllowed
from ..clock import Clock
from .exchange import Receive, Scope, Send, answer_error, send_answer
from .http import Api

_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_REVIEWS = ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")


class PastApi:
    def __init__(self, api: Api, clock: Clock, shown: str):
        """`shown`: the moment, as people are told: "revision 812 (2026-01-01T00:10:00Z)"."""
        self._api = api
        self._ids = clock.fork("audit ids of refusals")
        self._refusal = f"this is the past, read-only: the cluster at {shown}; nothing in it can be changed"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in _READING or scope["path"].startswith(_REVIEWS):
            await self._api(scope, receive, send)
            return
        answer = answer_error(MethodNotAllowed(self._refusal))
        await send_answer(answer, b"%032x" % self._ids.getrandbits(128), send, scope, close=True)

    def stop(self) -> None:
        self._api.stop()
