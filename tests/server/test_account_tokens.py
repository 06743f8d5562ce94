"""Tokens of service accounts: what is asked, what they say, whom they name, and when they are no good any more."""
from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from asking import ADMIN, NOBODY, Asking, Said, asked
from small_cluster import namespace, pod

from muster.server.account_tokens import ISSUER, LEEWAY_S
from muster.server.signing_key import SigningKey, unchecked_claims

ROOT = "/api/v1/namespaces/default"
ACCOUNT = f"{ROOT}/serviceaccounts/default"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
GROUPS = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
YEAR_S = 365 * 24 * 3600


def reference(kind: str, name: str, **more: str) -> dict[str, Any]:
    return {"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name, **more}}


def node(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def secret(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, **more}


async def request(ask: Asking, **spec: Any) -> Said:
    return await ask("POST", f"{ACCOUNT}/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})


async def token(ask: Asking, **spec: Any) -> str:
    said = await request(ask, **spec)
    assert said.status == 201, said.json
    return said.json["status"]["token"]


async def comes_in(ask: Asking, given: str) -> int:
    said = await ask("POST", WHO, {}, user=NOBODY, authorization=f"Bearer {given}")
    return said.status


async def why_not(ask: Asking, given: str, *audiences: str) -> str:
    """What a TokenReview says, which agrees with the door."""
    said = (await ask("POST", REVIEWS, {"spec": {"token": given, "audiences": list(audiences)}})).json["status"]
    if not audiences:
        assert (await comes_in(ask, given) == 201) == said.get("authenticated", False), said
    return said.get("error", "").removeprefix("[invalid bearer token, ").removesuffix("]")


class TestWhatIsAsked:
    @pytest.mark.parametrize(("spec", "shown", "lasts_s", "after_s"), [
        pytest.param({}, 3600, 3600, None, id="an hour"),
        pytest.param({"expirationSeconds": 600}, 600, 600, None, id="ten minutes at least"),
        pytest.param({"expirationSeconds": 1 << 32}, 1 << 32, 1 << 32, None, id="a hundred years and more"),
        pytest.param({"expirationSeconds": 3607}, 3607, 3607, None, id="a pod's time without a pod"),
        pytest.param({"expirationSeconds": 3607, **reference("Pod", "web")}, 3607, YEAR_S, 3607, id="what a pod gets lasts longer than it says"),
        pytest.param({"expirationSeconds": 3607, "audiences": [ISSUER, "vault"], **reference("Pod", "web")}, 3607, 3607, None, id="but not for others"),
        pytest.param({"expirationSeconds": 7200, **reference("Pod", "web")}, 7200, 7200, None, id="nor for another time"),
    ])
    def test_how_long_it_lasts(self, spec: dict[str, Any], shown: int, lasts_s: int, after_s: int | None):
        async def test(ask: Asking) -> None:
            await ask.cluster.create(pod())
            now = int(ask.cluster.clock.now())
            said = (await request(ask, **spec)).json
            claims = unchecked_claims(said["status"]["token"])
            assert claims is not None
            assert said["spec"]["expirationSeconds"] == shown
            assert claims["exp"] - claims["iat"] == lasts_s and claims["iat"] == claims["nbf"] == now
            warned = claims["kubernetes.io"].get("warnafter")
            assert warned == (None if after_s is None else now + after_s)
        asked(test)

    def test_what_it_says(self):
        async def test(ask: Asking) -> None:
            await ask.cluster.create(node("n1"))
            await ask.cluster.create(pod(node="n1"))
            uids = {kind: (ask.cluster.get(kind, name) or {})["metadata"]["uid"]
                    for kind, name in (("serviceaccounts", "default"), ("pods", "web"))}
            there = ask.cluster.get("nodes", "n1", "")
            assert there is not None
            said = (await request(ask, audiences=["vault"], **reference("Pod", "web"))).json
            assert said["spec"]["audiences"] == ["vault"]
            claims = unchecked_claims(said["status"]["token"])
            assert claims is not None
            assert claims.pop("jti")
            now = int(ask.cluster.clock.now())
            assert claims == {
                "aud": ["vault"], "iss": "https://kubernetes.default.svc.cluster.local", "iat": now, "nbf": now, "exp": now + 3600,
                "sub": "system:serviceaccount:default:default",
                "kubernetes.io": {"namespace": "default",
                                  "serviceaccount": {"name": "default", "uid": uids["serviceaccounts"]},
                                  "pod": {"name": "web", "uid": uids["pods"]},
                                  "node": {"name": "n1", "uid": there["metadata"]["uid"]}}}
        asked(test)

    def test_nothing_of_it_is_kept(self):
        async def test(ask: Asking) -> None:
            before = ask.cluster.store.history.revision
            await token(ask)
            assert ask.cluster.store.history.revision == before
        asked(test)

    @pytest.mark.parametrize(("body", "code", "message"), [
        pytest.param({"spec": {"expirationSeconds": 599}}, 422, 'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: '
                     "Invalid value: 599: may not specify a duration less than 10 minutes", id="too short"),
        pytest.param({"spec": {"expirationSeconds": (1 << 32) + 1}}, 422, 'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: '
                     "Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds", id="too long"),
        pytest.param({"metadata": {"name": "other"}, "spec": {}}, 422, 'TokenRequest.authentication.k8s.io "default" is invalid: metadata.name: '
                     'Invalid value: "other": must match the service account name if specified', id="another account in the body"),
        pytest.param({"spec": reference("Pod", "nope")}, 404, 'pods "nope" not found', id="no such pod"),
        pytest.param({"spec": reference("Secret", "nope")}, 404, 'secrets "nope" not found', id="no such secret"),
        pytest.param({"spec": reference("Node", "nope")}, 404, 'nodes "nope" not found', id="no such node"),
        pytest.param({"spec": reference("Pod", "web", uid="1")}, 409, 'Operation cannot be fulfilled on Pod "web": the UID in the bound object '
                     "reference (1) does not match the UID in record. The object might have been deleted and then recreated", id="a namesake"),
        pytest.param({"spec": reference("Pod", "builder")}, 400, 'cannot bind token for serviceaccount "default" to pod running with '
                     "different serviceaccount name.", id="the pod of another account"),
        pytest.param({"spec": {"boundObjectRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": "web"}}}, 400,
                     "cannot bind token to object of type apps/v1, Kind=Deployment", id="what nothing can be bound to"),
    ])
    def test_what_is_refused(self, body: dict[str, Any], code: int, message: str):
        async def test(ask: Asking) -> None:
            await ask.cluster.create(pod())
            await ask.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}})
            await ask.cluster.create(pod("builder", serviceAccountName="builder"))
            said = await ask("POST", f"{ACCOUNT}/token", body)
            assert (said.status, said.json["message"]) == (code, message)
        asked(test)

    def test_no_account_and_a_namespace_that_ends(self):
        async def test(ask: Asking) -> None:
            said = await ask("POST", f"{ROOT}/serviceaccounts/nope/token", {"spec": {}})
            assert (said.status, said.json["message"]) == (404, 'serviceaccounts "nope" not found')
            await ask.cluster.create(namespace("going"))
            await ask.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "going"}})
            await ask.cluster.delete("namespaces", "going")
            said = await ask("POST", "/api/v1/namespaces/going/serviceaccounts/default/token", {"spec": {}})
            assert said.status == 403 and "because it is being terminated" in said.json["message"]
        asked(test)

    def test_it_can_only_be_made(self):
        async def test(ask: Asking) -> None:
            assert (await ask("GET", f"{ACCOUNT}/token")).status == 405
            listed = (await ask("GET", "/api/v1")).json["resources"]
            assert next(one for one in listed if one["name"] == "serviceaccounts/token") == {
                "name": "serviceaccounts/token", "singularName": "", "namespaced": True, "group": "authentication.k8s.io",
                "version": "v1", "kind": "TokenRequest", "verbs": ["create"]}
        asked(test)


class TestWhoBringsIt:
    def test_a_user_with_all_that_is_known(self):
        async def test(ask: Asking) -> None:
            await ask.cluster.create(node("n1"))
            await ask.cluster.create(pod(node="n1"))
            given = await token(ask, **reference("Pod", "web"))
            claims = unchecked_claims(given)
            assert claims is not None
            about = claims["kubernetes.io"]
            said = await ask("POST", WHO, {}, user=NOBODY, authorization=f"Bearer {given}")
            assert said.json["status"]["userInfo"] == {
                "username": "system:serviceaccount:default:default", "uid": about["serviceaccount"]["uid"], "groups": GROUPS,
                "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"],
                          "authentication.kubernetes.io/node-name": ["n1"],
                          "authentication.kubernetes.io/node-uid": [about["node"]["uid"]],
                          "authentication.kubernetes.io/pod-name": ["web"],
                          "authentication.kubernetes.io/pod-uid": [about["pod"]["uid"]]}}
        asked(test)

    def test_a_certificate_counts_before_a_token(self):
        async def test(ask: Asking) -> None:
            said = await ask("POST", WHO, {}, user=ADMIN, authorization=f"Bearer {await token(ask)}")
            assert said.json["status"]["userInfo"]["username"] == "kubernetes-admin"
        asked(test)

    def test_who_is_impersonated_has_the_groups_of_an_account(self):
        async def test(ask: Asking) -> None:
            said = await ask("POST", WHO, {}, **{"impersonate-user": "system:serviceaccount:default:default"})
            assert said.json["status"]["userInfo"]["groups"] == GROUPS
        asked(test)


class TestWhenItEnds:
    def test_by_itself(self):
        async def test(ask: Asking) -> None:
            given = await token(ask, expirationSeconds=600)
            await asyncio.sleep(600 + LEEWAY_S - 1)
            assert await why_not(ask, given) == ""
            await asyncio.sleep(2)
            assert await why_not(ask, given) == "service account token has expired"
        asked(test)

    @pytest.mark.parametrize(("kind", "resource", "made", "why"), [
        pytest.param("Pod", "pods", pod("it"), "pod UID ({}) does not match service account pod ref claim ({})", id="pod"),
        pytest.param("Secret", "secrets", secret("it"), "secret UID ({}) does not match service account secret ref claim ({})", id="secret"),
        pytest.param("Node", "nodes", node("it"), "node UID ({}) does not match service account node ref claim ({})", id="node"),
    ])
    def test_with_what_it_is_bound_to(self, kind: str, resource: str, made: dict[str, Any], why: str):
        async def test(ask: Asking) -> None:
            was = await ask.cluster.create(made)
            given = await token(ask, **reference(kind, "it"))
            assert await why_not(ask, given) == ""
            await ask.cluster.delete(resource, "it", grace_period_s=0)
            assert await why_not(ask, given) == "service account token has been invalidated"
            again = await ask.cluster.create(made)
            assert await why_not(ask, given) == why.format(again["metadata"]["uid"], was["metadata"]["uid"])
        asked(test)

    def test_not_while_its_pod_still_has_time(self):
        async def test(ask: Asking) -> None:
            await ask.cluster.create(pod(node="n1"))
            given = await token(ask, **reference("Pod", "web"))
            await ask.cluster.delete("pods", "web", grace_period_s=30)
            await asyncio.sleep(30 + LEEWAY_S)
            assert await why_not(ask, given) == ""
            await asyncio.sleep(2)
            assert await why_not(ask, given) == "service account token has been invalidated"
        asked(test)

    def test_not_with_the_node_of_its_pod(self):
        async def test(ask: Asking) -> None:
            await ask.cluster.create(node("n1"))
            await ask.cluster.create(pod(node="n1"))
            given = await token(ask, **reference("Pod", "web"))
            await ask.cluster.delete("nodes", "n1")
            assert await why_not(ask, given) == ""
        asked(test)

    def test_with_its_account(self):
        async def test(ask: Asking) -> None:
            given = await token(ask)
            await ask.cluster.delete("serviceaccounts", "default")
            assert await why_not(ask, given) == 'serviceaccounts "default" not found'
            await ask.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
            assert "does not match claim" in await why_not(ask, given)
        asked(test)


class TestWhoseItIsNot:
    def test_of_others(self):
        async def test(ask: Asking) -> None:
            good = unchecked_claims(await token(ask))
            assert good is not None
            foreign = SigningKey.made()
            sign = ask.cluster.registry.tokens.key.sign
            assert await why_not(ask, sign(good)) == ""
            assert await why_not(ask, foreign.sign(good)) == "invalid signature, no keys found"
            assert await why_not(ask, sign({**good, "iss": "https://elsewhere"})) == "invalid bearer token"
            assert await why_not(ask, sign({key: value for key, value in good.items() if key != "exp"})) == "service account token has expired"
            assert await why_not(ask, sign({**good, "nbf": good["nbf"] + 61})) == "service account token is not valid yet"
            assert await why_not(ask, "nonsense") == "invalid bearer token"
        asked(test)

    def test_for_others(self):
        async def test(ask: Asking) -> None:
            given = await token(ask, audiences=["vault", "other"])
            assert await why_not(ask, given) == f'token audiences ["vault" "other"] is invalid for the target audiences ["{ISSUER}"]'
            said = (await ask("POST", REVIEWS, {"spec": {"token": given, "audiences": ["vault", "third"]}})).json["status"]
            assert said["authenticated"] and said["audiences"] == ["vault"]
        asked(test)

    def test_a_review_without_a_token(self):
        async def test(ask: Asking) -> None:
            said = await ask("POST", REVIEWS, {"spec": {}})
            assert (said.status, said.json["message"]) == (400, "token is required for TokenReview in authentication")
        asked(test)


class TestKeptInASecret:
    def test_it_is_good_while_the_secret_holds_it(self):
        async def test(ask: Asking) -> None:
            account = ask.cluster.get("serviceaccounts", "default")
            assert account is not None
            made = await ask.cluster.create(secret("kept"))
            given = ask.cluster.registry.tokens.legacy(account, made)
            assert await why_not(ask, given) == "Token does not match server's copy"
            await ask.cluster.patch("secrets", "kept", {"stringData": {"token": given}})
            assert await why_not(ask, given) == ""
            other = {**(unchecked_claims(given) or {}), "sub": "system:serviceaccount:kube-system:default"}
            assert await why_not(ask, ask.cluster.registry.tokens.key.sign(other)) == "sub claim is invalid"
            said = await ask("POST", WHO, {}, user=NOBODY, authorization=f"Bearer {given}")
            assert said.json["status"]["userInfo"]["groups"] == GROUPS
            await asyncio.sleep(10 * YEAR_S)
            assert await why_not(ask, given) == ""
            await ask.cluster.patch("secrets", "kept", {"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}}})
            assert "has been marked invalid" in await why_not(ask, given)
            await ask.cluster.delete("secrets", "kept")
            assert await why_not(ask, given) == "Token has been invalidated"
        asked(test)


def test_who_needs_no_tokens_loads_no_cryptography():
    """It takes a third of the time in which a rehearsal starts."""
    code = "import muster.app, sys; sys.exit(bool({'jwt', 'cryptography'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestDocuments:
    def test_who_issues_tokens_is_told_to_accounts(self):
        async def test(ask: Asking) -> None:
            given = await token(ask)
            for path, media in (("/.well-known/openid-configuration", "application/json"), ("/openid/v1/jwks", "application/jwk-set+json")):
                said = await ask("GET", path, user=NOBODY, authorization=f"Bearer {given}")
                assert (said.status, said.headers["content-type"], said.headers["cache-control"]) == (200, media, "public, max-age=3600")
                assert (await ask("GET", path, user=NOBODY)).status == 401
            assert said.json == {"keys": [ask.cluster.registry.tokens.key.published()]}
        asked(test)
