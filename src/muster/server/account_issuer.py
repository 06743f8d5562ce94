"""Signs the tokens of service accounts, and says whose one is: the key, the objects as they are now, and the time."""
from __future__ import annotations

from collections.abc import Sequence

from ..api.objects import Obj
from ..clock import Clock
from .account_tokens import Look, audiences_of, is_ours, legacy_claims, user_of
from .bearer import Known, Untrusted
from .signing_key import NotSigned, SigningKey, unchecked_claims
from .token_requests import bound, completed, granted


class AccountIssuer:
    def __init__(self, key: SigningKey, look: Look, clock: Clock):
        self.key, self._look, self._clock = key, look, clock

    def completed(self, request: Obj, account: Obj) -> Obj:
        return completed(request, account, self._clock.now())

    def granted(self, request: Obj, account: Obj) -> Obj:
        """The completed request with a token.  Raises what `bound` does."""
        to = bound(request, account, self._look)
        return granted(request, account, to, self._clock.now(), self._clock.uid("tokens"), self.key.sign)

    def legacy(self, account: Obj, secret: Obj) -> str:
        """For a Secret to keep."""
        return self.key.sign(legacy_claims(account, secret))

    def known(self, token: str, audiences: Sequence[str]) -> Known | None:
        """None for what does not even claim to be one of these.  Raises Untrusted."""
        said = unchecked_claims(token)
        if said is None or not is_ours(said):
            return None
        try:
            said = self.key.claims(token)
            both = audiences_of(said, audiences)
            return Known(user_of(said, token, self._look, self._clock.now()), both)
        except (NotSigned, Untrusted) as error:
            raise Untrusted(f"[invalid bearer token, {error}]") from None
