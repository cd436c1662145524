"""The discovery document says what the token endpoint does, no more and no less."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from joserfc.jwk import ECKey, RSAKey

from api.scopes import BY_ROLE
from governance.models import Institution, InstitutionKey
from tests.api.conftest import ASSERTION_TYPE, FORM, ROLES

KEYS = {
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "one"}),
    "ES384": lambda: ECKey.generate_key("P-384", {"kid": "one"}),
    "ES512": lambda: ECKey.generate_key("P-521", {"kid": "one"}),
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "one"}),
    "RS384": lambda: RSAKey.generate_key(2048, {"kid": "one"}),
    "PS384": lambda: RSAKey.generate_key(2048, {"kid": "one"}),
}


@pytest.fixture
def said(client: Client, db: None) -> dict[str, Any]:
    answer = client.get("/api/v1/.well-known/smart-configuration")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    return dict(answer.json())


@pytest.mark.parametrize("alg", KEYS)
def test_an_algorithm_signs_in_if_it_is_named(
    said: dict[str, Any],
    members: dict[str, Institution],
    ask_token: Callable[..., Any],
    assertion: Callable[..., str],
    alg: str,
) -> None:
    key = KEYS[alg]()
    public = key.as_dict(private=False) | {"alg": alg, "use": "sig"}
    InstitutionKey.objects.filter(institution=members["zurich"], kind="client").update(public=public, key_id="one")
    took = ask_token(assertion("zurich", key=key, alg=alg)).status_code == 200
    assert took is (alg in said["token_endpoint_auth_signing_alg_values_supported"])


def test_the_endpoint_it_names_takes_the_grant_and_the_method_it_names(
    said: dict[str, Any], client: Client, members: dict[str, Institution], assertion: Callable[..., str]
) -> None:
    assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    (grant,) = said["grant_types_supported"]
    form = {
        "grant_type": grant,
        "scope": "ledger.read",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion("zurich", aud=said["token_endpoint"]),
    }
    answer = client.post(
        said["token_endpoint"].removeprefix("http://localhost:8000"), data=urlencode(form), content_type=FORM
    )
    assert answer.status_code == 200


def test_every_scope_it_names_is_given_to_somebody_and_no_other(
    said: dict[str, Any], ask_token: Callable[..., Any], assertion: Callable[..., str]
) -> None:
    for scope in said["scopes_supported"]:
        slug = next(slug for slug, roles in ROLES.items() if any(scope in BY_ROLE[role] for role in roles))
        assert ask_token(assertion(slug), scope=scope).json()["scope"] == scope
    assert set(said["scopes_supported"]) == set().union(*BY_ROLE.values())
