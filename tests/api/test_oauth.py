"""Machine sign-in: an enrolled key buys a token for five minutes, once, and nothing else does."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from api.models import AccessToken, UsedAssertion
from api.oauth import ClientCredentials
from concordat import clock
from concordat.canonical import b64
from concordat.key_change import build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.models import Institution, InstitutionKey
from tests.api.conftest import ASSERTION_TYPE, FORM


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


@pytest.mark.parametrize(
    ("scope", "reason", "field", "words"),
    [
        ("models.write node", "role-missing", "models.write", "role owner; long-beach is enrolled as requester"),
        ("node", "role-missing", "node", "role party or dealer; long-beach is enrolled as requester"),
        ("everything", "field-invalid", "scope", "The scopes are: institutions.read"),
        ("", "field-invalid", "scope", "The scopes are: institutions.read"),
    ],
)
def test_a_scope_that_no_role_includes_is_refused_and_the_role_named(
    ask_token: Callable[..., Any], assertion: Callable[..., str], scope: str, reason: str, field: str, words: str
) -> None:
    answer = ask_token(assertion("long-beach"), scope=scope)
    assert answer.status_code == 400
    said = answer.json()
    assert (said["error"], said["status"]) == ("invalid_scope", 400)
    assert (said["type"], said["field"]) == (f"urn:concordat:reason:{reason}", field)
    assert words in said["detail"]
    assert said["error_description"] == said["detail"]
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
    "a name that is none": {"sub": "zurich\0"},
    "a jti that PostgreSQL cannot keep": {"jti": "\0"},
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


def unsigned(header: bytes = b'{"alg":"ES384"}', claims: bytes = b'{"iss":"zurich","sub":"zurich"}') -> str:
    return f"{b64(header)}.{b64(claims)}.{b64(bytes(96))}"


DEEP = b"[" * 2500 + b"]" * 2500
NO_ASSERTION = {
    "a subject that PostgreSQL cannot look for": unsigned(claims=b'{"sub":"\\u0000"}'),
    "half a character": unsigned(claims=b'{"sub":"\\ud800"}'),
    "nothing": "",
    "a word": "nonsense",
    "three letters": "a.b.c",
    "no algorithm": "eyJhbGciOiJub25lIn0.e30.",
    "no signature": unsigned().rpartition(".")[0] + ".",
    "deep claims": unsigned(claims=DEEP),
    "a deep header": unsigned(b'{"alg":"ES384","kid":' + DEEP + b"}"),
    "a header that is a list": unsigned(b"[]"),
    "claims that are none": unsigned(claims=b"null"),
    "bytes that are no text": unsigned(b"\xff", b"\xff"),
    "a number of 5,000 digits": unsigned(claims=b'{"sub":"zurich","exp":' + b"9" * 5000 + b"}"),
    **{
        f"{name} {value}": unsigned(json.dumps({"alg": "ES384", name: value}).encode())
        for name in ("alg", "kid", "typ", "jku", "crit", "b64")
        for value in (None, 3, [], {})
    },
}


@pytest.mark.parametrize("text", NO_ASSERTION.values(), ids=NO_ASSERTION)
def test_what_is_no_assertion_is_refused(ask_token: Callable[..., Any], text: str) -> None:
    check_refused(ask_token(text))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], []])
def test_an_assertion_with_extensions_is_refused(
    ask_token: Callable[..., Any], keystores: dict[str, Keystore], assertion: Callable[..., str], crit: list[str]
) -> None:
    """Signed by the right key: whoever signs `crit` wants it understood (RFC 7515, section 4.1.11)."""
    key = keystores["zurich"].client
    head = {"alg": "ES384", "kid": key.kid, "b64": True, "crit": crit}
    signed = f"{b64(json.dumps(head).encode())}.{assertion('zurich').split('.')[1]}"
    signature = JWSRegistry.algorithms["ES384"].sign(signed.encode(), key)
    check_refused(ask_token(f"{signed}.{b64(signature)}"))


NO_FORM = {
    "nothing": (b"", FORM, 415),
    "a null": (b"grant_type=%00&scope=%00", FORM, 400),
    "no text": (b"grant_type=\xff&=%ff&&&=%zz", FORM, 400),
    "half a character": (b"grant_type=%ED%A0%80", FORM, 400),
    "one parameter twice": (b"grant_type=client_credentials&grant_type=client_credentials", FORM, 400),
    "a character set that is none": (b"grant_type=x", f"{FORM}; charset=nonsense", 400),
    "a character set that is no such thing": (b"grant_type=x", f"{FORM}; charset=hex", 400),
    "another character set": (b"grant_type=x", f"{FORM}; charset=utf-16", 400),
    "JSON": (b'{"grant_type":"client_credentials"}', "application/json", 415),
    "files": (b"--x\r\n", "multipart/form-data; boundary=x", 415),
    "files without an end": (b"--x", "multipart/form-data", 415),
    "no type": (b"grant_type=x", "", 415),
    "more than is read": (b"a=" + b"x" * 2**25, FORM, 413),
}


@pytest.mark.parametrize(("body", "media_type", "status"), NO_FORM.values(), ids=NO_FORM)
def test_what_is_no_form_is_refused(client: Any, db: None, body: bytes, media_type: str, status: int) -> None:
    answer = client.generic("POST", "/api/v1/token", body, content_type=media_type)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_a_token_does_not_outlive_a_key_that_is_taken_away_meanwhile(
    ask_token: Callable[..., Any],
    assertion: Callable[..., str],
    members: dict[str, Institution],
    keystores: dict[str, Keystore],
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`tests/api/postgresql.py` has it in two transactions."""
    change = build_change(
        selectors.key_history(members["zurich"]),
        kind="client",
        key=None,
        ground="compromise",
        issued=clock.now(),
        offline=keystores["zurich"].offline,
    )
    look = ClientCredentials.validate_requested_scope

    def then_revoked(grant: ClientCredentials) -> None:
        look(grant)
        assert (
            client.post("/api/v1/key-changes", {"change": change}, content_type="application/json").status_code == 201
        )

    monkeypatch.setattr(ClientCredentials, "validate_requested_scope", then_revoked)
    check_refused(ask_token(assertion("zurich")))


@pytest.mark.parametrize("query", ["scope=node", "grant_type=client_credentials&scope=ledger.read", "unknown"])
def test_the_address_holds_no_parameters(
    assertion: Callable[..., str], members: dict[str, Institution], client: Any, query: str
) -> None:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion("zurich")}
    form |= {"grant_type": "client_credentials", "scope": "ledger.read"}
    body = {name: value for name, value in form.items() if f"{name}=" not in query}
    answer = client.post(f"/api/v1/token?{query}", urlencode(body), content_type=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert not AccessToken.objects.exists()


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
