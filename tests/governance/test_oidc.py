"""A hospital's own sign-in, against a provider over real HTTP: it says who somebody is, and nothing else."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from joserfc.jwk import RSAKey

from governance.models import Membership
from tests.governance.conftest import Consortium, Officer
from tests.support.oidc import CLIENT, SECRET, Provider, provider

REFUSED = "did not say that you are an officer here"


@pytest.fixture
def officer(consortium: Consortium) -> Officer:
    return consortium.chairs["zurich"]


@pytest.fixture
def hospital(settings: Any, officer: Officer) -> Iterator[Provider]:
    """The provider knows the officer's address, and the coordinator knows the provider."""
    with provider() as made:
        settings.OIDC_ISSUER = made.url
        settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT, SECRET
        settings.OIDC_OP_AUTHORIZATION_ENDPOINT = f"{made.url}/authorize"
        settings.OIDC_OP_TOKEN_ENDPOINT = f"{made.url}/token"
        settings.OIDC_OP_USER_ENDPOINT = f"{made.url}/userinfo"
        settings.OIDC_OP_JWKS_ENDPOINT = f"{made.url}/jwks"
        settings.AUTHENTICATION_BACKENDS = [
            *settings.AUTHENTICATION_BACKENDS,
            "governance.services.oidc.HospitalSignIn",
        ]
        made.userinfo = {"email": officer.user.email, "email_verified": True}
        yield made


def there_and_back(client: Client) -> str:
    """The address to which the provider sends the browser back."""
    away = client.get(reverse("admin:oidc"))
    assert away.status_code == 302
    return httpx.get(away.headers["Location"]).headers["Location"]


def come_back(client: Client, address: str) -> Any:
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}", follow=True)


def sign_in(client: Client) -> Any:
    return come_back(client, there_and_back(client))


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def inside(client: Client) -> bool:
    return bool(client.get(reverse("admin:index")).status_code == 200)


def test_an_officer_comes_back_as_themselves_and_is_asked_for_the_second_factor(
    hospital: Provider, officer: Officer
) -> None:
    client = Client()
    assert "Second step" in sign_in(client).content.decode()
    assert client.session["_auth_user_id"] == str(officer.user.pk)
    assert not inside(client)


def test_the_case_of_the_address_does_not_matter(hospital: Provider, officer: Officer) -> None:
    hospital.userinfo["email"] = officer.user.email.upper()
    client = Client()
    sign_in(client)
    assert signed_in(client)


@pytest.mark.parametrize(
    ("trusted", "asserted", "enters"),
    [
        (["hwk"], ["pwd", "hwk"], True),
        (["hwk"], ["pwd"], False),
        (["hwk"], None, False),
        (["hwk"], "hwk", False),
        (["hwk"], [["hwk"]], False),
        ([], ["pwd", "mfa"], False),
    ],
)
def test_only_a_second_factor_that_is_trusted_and_asserted_counts(
    hospital: Provider, settings: Any, trusted: list[str], asserted: Any, enters: bool
) -> None:
    settings.OIDC_TRUSTED_AMR = trusted
    hospital.claims = {"amr": asserted}
    client = Client()
    sign_in(client)
    assert (signed_in(client), inside(client)) == (True, enters)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"iss": "https://elsewhere.example"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"sub": None},
        {"sub": "somebody-else"},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(hospital: Provider, claims: dict[str, Any]) -> None:
    hospital.claims = claims
    client = Client()
    assert REFUSED in sign_in(client).content.decode()
    assert not signed_in(client)


def test_a_forged_id_token_is_refused(hospital: Provider) -> None:
    hospital.key = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})
    client = Client()
    assert REFUSED in sign_in(client).content.decode()
    assert not signed_in(client)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_id_token_of_another_algorithm_is_refused(
    hospital: Provider, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """Unsigned, or signed with the public key as if it were a shared secret."""
    import jwt

    real = hospital.token

    def forged(form: dict[str, str]) -> Any:
        answer = real(form)
        assert answer
        claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
        key = "" if algorithm == "none" else SECRET * 2
        answer["id_token"] = jwt.encode(claims, key, algorithm, headers={"kid": "k1"})
        return answer

    monkeypatch.setattr(hospital, "token", forged)
    client = Client()
    assert REFUSED in sign_in(client).content.decode()
    assert not signed_in(client)


@pytest.mark.parametrize(
    "changes",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": ""},
        {"email": "unknown@example.org"},
        {"sub": "somebody-else"},
    ],
    ids=str,
)
def test_an_address_that_is_unverified_or_nobodys_signs_nobody_in_and_makes_no_account(
    hospital: Provider, changes: dict[str, Any]
) -> None:
    before = (User.objects.count(), Membership.objects.count())
    hospital.userinfo |= changes
    client = Client()
    assert REFUSED in sign_in(client).content.decode()
    assert not signed_in(client)
    assert (User.objects.count(), Membership.objects.count()) == before


def test_an_address_of_two_accounts_is_nobodys(hospital: Provider, consortium: Consortium, officer: Officer) -> None:
    other = consortium.member("zurich", "auditor")
    other.email = officer.user.email.upper()
    other.save()
    client = Client()
    sign_in(client)
    assert not signed_in(client)


@pytest.mark.parametrize("field", ["is_active", "is_staff"])
def test_a_closed_account_is_not_opened(hospital: Provider, officer: Officer, field: str) -> None:
    setattr(officer.user, field, False)
    officer.user.save()
    client = Client()
    sign_in(client)
    assert not signed_in(client)


def test_an_account_without_an_officer_is_none(hospital: Provider) -> None:
    User.objects.create_user("root", email="root@example.org", is_staff=True, is_superuser=True)
    hospital.userinfo["email"] = "root@example.org"
    client = Client()
    sign_in(client)
    assert not signed_in(client)


def test_a_code_serves_once_and_only_in_the_browser_that_asked_for_it(hospital: Provider) -> None:
    mine, thief = Client(), Client()
    address = there_and_back(mine)
    assert REFUSED in come_back(thief, address).content.decode()
    thief.get(reverse("admin:oidc"))
    assert REFUSED in come_back(thief, address).content.decode()
    assert not signed_in(thief)
    come_back(mine, address)
    assert signed_in(mine)
    mine.post(reverse("admin:logout"))
    come_back(mine, address)
    assert not signed_in(mine)


def test_a_code_without_the_verifier_of_this_browser_is_worth_nothing(hospital: Provider) -> None:
    """Somebody's code, put in place of one's own (PKCE)."""
    mine, victim = Client(), Client()
    stolen = parse_qs(urlsplit(there_and_back(victim)).query)["code"][0]
    own = parse_qs(urlsplit(there_and_back(mine)).query)["state"][0]
    answer = mine.get(reverse("admin:oidc_callback"), {"code": stolen, "state": own}, follow=True)
    assert REFUSED in answer.content.decode()
    assert not signed_in(mine)


def test_a_provider_that_is_away_or_says_no_signs_nobody_in(hospital: Provider, settings: Any) -> None:
    client = Client()
    address = there_and_back(client)
    settings.OIDC_OP_TOKEN_ENDPOINT = "http://127.0.0.1:1/token"
    assert REFUSED in come_back(client, address).content.decode()
    denied = client.get(reverse("admin:oidc_callback"), {"error": "access_denied"}, follow=True)
    assert REFUSED in denied.content.decode()
    assert not signed_in(client)


def test_the_way_is_offered_only_where_it_is_configured(hospital: Provider, settings: Any) -> None:
    assert "Sign in with your hospital" in Client().get(reverse("admin:login")).content.decode()
    settings.OIDC_ISSUER = ""
    assert "Sign in with your hospital" not in Client().get(reverse("admin:login")).content.decode()
    for name in ("oidc", "oidc_callback"):
        assert Client().get(reverse(f"admin:{name}")).status_code == 404
