"""What somebody asks to be allowed to do: one value, for whoever decides about rights.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#review-your-request-attributes
"""
from __future__ import annotations

from typing import NamedTuple


class Asked(NamedTuple):
    verb: str
    resource: str = ""  # as kubectl spells it: "daemonsets.apps"; "" for a request about no resource
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""  # of a request about no resource: "/healthz/ping"
    fields: str = ""  # the field selector of a list or watch

    @property
    def plural(self) -> str:
        return self.resource.partition(".")[0]

    @property
    def group(self) -> str:
        return self.resource.partition(".")[2]
