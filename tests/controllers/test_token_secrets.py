"""Secrets that hold a token of a service account: filled, kept right, and gone with it."""
from __future__ import annotations

import base64
from typing import Any

import pytest

from muster.api.objects import Key, Obj
from muster.control.plan import Delete, Replace
from muster.controllers.token_secrets import Observed, plan

NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
KEY, ACCOUNT = Key("secrets", "shop", "kept"), Key("serviceaccounts", "shop", "web")
WEB = {"metadata": {"name": "web", "namespace": "shop", "uid": "u1"}}


def secret(uid: str = "", **data: str) -> Obj:
    annotations = {NAME: "web", **({UID: uid} if uid else {})}
    return {"metadata": {"name": "kept", "namespace": "shop", "uid": "s1", "annotations": annotations},
            "type": "kubernetes.io/service-account-token", **({"data": data} if data else {})}


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


FULL = {"token": text("token of web in kept"), "ca.crt": text("CA"), "namespace": text("shop")}


def planned(given: Obj, account: Obj | None) -> Any:
    seen = Observed(given, account, "CA", lambda account, secret: f"token of {account['metadata']['name']} in {secret['metadata']['name']}")
    (action,) = plan(seen, 0.0).actions or (None,)
    return action


@pytest.mark.parametrize(("given", "data"), [
    pytest.param(secret(), FULL, id="a new one is filled"),
    pytest.param(secret("u1"), FULL, id="one that names the uid too"),
    pytest.param(secret("u1", **{**FULL, "ca.crt": text("old")}), FULL, id="another CA"),
    pytest.param(secret("u1", token=text("mine"), more=text("more")), {**FULL, "token": text("mine"), "more": text("more")}, id="what is there stays"),
    pytest.param(secret("u1", **{**FULL, "namespace": text("other")}), None, id="also a namespace"),
    pytest.param(secret("u1", **FULL), None, id="a full one is left alone"),
])
def test_what_it_holds(given: Obj, data: dict[str, str] | None):
    action = planned(given, WEB)
    if data is None:
        assert action is None
        return
    assert isinstance(action, Replace)
    assert action.obj["data"] == data and action.obj["metadata"]["annotations"] == {NAME: "web", UID: "u1"}


@pytest.mark.parametrize(("given", "account", "unless"), [
    pytest.param(secret(), None, (ACCOUNT, ""), id="nobody of that name"),
    pytest.param(secret("u1", **FULL), None, (ACCOUNT, "u1"), id="the account is gone"),
    pytest.param(secret("u0", **FULL), WEB, (ACCOUNT, "u0"), id="it was a namesake's"),
])
def test_when_it_goes(given: Obj, account: Obj | None, unless: tuple[Key, str]):
    assert planned(given, account) == Delete(KEY, "s1", unless=(unless,))
