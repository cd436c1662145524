"""Machine sign-in: an enrolled key buys a token for five minutes, once, and nothing else does."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from joserfc.jwk import ECKey, RSAKey

from api.models import AccessToken, UsedAssertion
from concordat.keystore import Keystore
from governance.models import Institution, InstitutionKey


def test_an_enrolled_key_buys_a_token_for_five_minutes(
    ask_token: Callable[..., Any], assertion: Callable[..., str]
) -> None:
    answer = ask_token(assertion("zurich"), scope="ledger.read node")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 300, "ledger.read node")
    row = AccessToken.objects.get()
    assert row.institution.slug == "zurich"
    assert 290 < (row.expires - timezone.now()).total_seconds() <= 300


def test_the_token_opens_what_its_scope_names(
    ask_token: Callable[..., Any], assertion: Callable[..., str], client: Any
) -> None:
    token = ask_token(assertion("zurich"), scope="institutions.read").json()["access_token"]
    answer = client.get("/api/v1/institutions/zurich", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["institution"] == "zurich"


def test_tokens_are_stored_as_hashes_only(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    token = ask_token(assertion("zurich")).json()["access_token"]
    row = AccessToken.objects.values().get()
    assert token not in str(row)
    assert token.encode() not in bytes(row["hash"])


@pytest.mark.parametrize(("alg", "status"), [("RS384", 200), ("RS256", 401), ("PS384", 401)])
def test_an_rsa_key_signs_in_with_rs384_alone(
    ask_token: Callable[..., Any],
    assertion: Callable[..., str],
    members: dict[str, Institution],
    alg: str,
    status: int,
) -> None:
    key = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
    InstitutionKey.objects.filter(institution=members["zurich"], kind="client").update(
        public=key.as_dict(private=False) | {"alg": "RS384"}, key_id="rsa"
    )
    assert ask_token(assertion("zurich", key=key, alg=alg)).status_code == status


def test_scopes_are_narrowed_to_the_institutions_roles(
    ask_token: Callable[..., Any], assertion: Callable[..., str]
) -> None:
    assert ask_token(assertion("long-beach"), scope="node predictions.write").json()["scope"] == "predictions.write"


@pytest.mark.parametrize("scope", ["node", "everything", ""])
def test_a_scope_that_no_role_includes_is_refused(
    ask_token: Callable[..., Any], assertion: Callable[..., str], scope: str
) -> None:
    answer = ask_token(assertion("long-beach"), scope=scope)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_scope"
    assert not AccessToken.objects.exists()


REFUSED = {
    "another audience": {"aud": "https://elsewhere.example/token"},
    "no audience": {"aud": None},
    "already over": {"exp": int(time.time()) - 120},
    "good for too long": {"exp": int(time.time()) + 24 * 3600},
    "good for ever": {"exp": None},
    "an end that is no time": {"exp": "tomorrow"},
    "issued by somebody else": {"iss": "budapest"},
    "no subject": {"sub": None},
    "a subject that is no name": {"sub": ["zurich"]},
    "an institution nobody enrolled": {"sub": "atlantis", "iss": "atlantis"},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "an endless jti": {"jti": "x" * 300},
    "a jti that is no text": {"jti": 7},
    "more than any assertion needs": {"padding": "x" * 10_000},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED)
def test_an_assertion_is_refused(
    ask_token: Callable[..., Any], assertion: Callable[..., str], claims: dict[str, Any]
) -> None:
    answer = ask_token(assertion("zurich", **claims))
    check_refused(answer)


def test_an_assertion_serves_once(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    once = assertion("zurich")
    assert ask_token(once).status_code == 200
    check_refused(ask_token(once), tokens=1)


def test_two_institutions_may_choose_the_same_jti(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    assert ask_token(assertion("zurich", jti="1")).status_code == 200
    assert ask_token(assertion("budapest", jti="1")).status_code == 200


def test_a_key_that_was_not_enrolled_is_refused(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    check_refused(ask_token(assertion("zurich", key=ECKey.generate_key("P-384", {"kid": "new"}))))


def test_another_institutions_key_is_refused(
    ask_token: Callable[..., Any], assertion: Callable[..., str], keystores: dict[str, Keystore]
) -> None:
    check_refused(ask_token(assertion("zurich", key=keystores["budapest"].client)))


def test_a_revoked_key_is_refused(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    InstitutionKey.objects.filter(institution__slug="zurich", kind="client").update(revoked=timezone.now())
    check_refused(ask_token(assertion("zurich")))


def test_es256_is_refused_though_a_key_may_fit(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    check_refused(ask_token(assertion("zurich", key=ECKey.generate_key("P-256", {"kid": "small"}), alg="ES256")))


@pytest.mark.parametrize("text", ["", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_assertion_is_refused(ask_token: Callable[..., Any], text: str) -> None:
    check_refused(ask_token(text))


def test_a_client_secret_is_no_way_in(ask_token: Callable[..., Any]) -> None:
    check_refused(ask_token("", client_assertion_type="", client_id="zurich", client_secret="zurich"))


def test_other_grants_are_refused(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> None:
    answer = ask_token(assertion("zurich"), grant_type="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_the_token_endpoint_takes_posts_alone(client: Any, db: None) -> None:
    answer = client.get("/api/v1/token")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_nobody_signs_in_over_a_network_without_tls(
    ask_token: Callable[..., Any], assertion: Callable[..., str], client: Any
) -> None:
    client.defaults["SERVER_NAME"] = "testserver"
    answer = ask_token(assertion("zurich"))
    assert (answer.status_code, answer.json()["error"]) == (400, "insecure_transport")


def test_what_has_expired_is_forgotten_at_the_next_sign_in(
    ask_token: Callable[..., Any], assertion: Callable[..., str]
) -> None:
    ask_token(assertion("zurich"))
    AccessToken.objects.update(expires=timezone.now())
    UsedAssertion.objects.update(expires=timezone.now())
    ask_token(assertion("zurich"))
    assert (AccessToken.objects.count(), UsedAssertion.objects.count()) == (1, 1)


def check_refused(answer: Any, tokens: int = 0) -> None:
    assert answer.status_code == 401
    body = answer.json()
    assert body["error"] == "invalid_client"
    assert body["type"] == "urn:concordat:reason:sign-in-refused"
    assert AccessToken.objects.count() == tokens
