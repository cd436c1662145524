"""Sign-in with keys that an institution publishes itself, at an address that its offline key signed."""

import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from time_machine import TimeMachineFixture

from api import key_sets
from api.key_sets import GIVEN_UP, LONGEST, PAUSE, SHORTEST
from api.models import AccessToken, FetchedKeySet
from api.oauth import ClientCredentials, token_url
from concordat import clock
from concordat.canonical import b64
from concordat.key_change import Ground, build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.models import Institution, InstitutionKey
from tests.support.certificates import make_certificates
from tests.support.https import HttpsServer, Said, https_server


@pytest.fixture(scope="module")
def ours() -> tuple[ECKey, RSAKey]:
    """Two keys of the institution's own."""
    return (
        ECKey.generate_key("P-384", {"kid": "2026-a", "alg": "ES384", "use": "sig"}),
        RSAKey.generate_key(2048, {"kid": "2026-b", "alg": "RS384", "use": "sig"}),
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    make_certificates(folder := tmp_path_factory.mktemp("tls") / "here")
    return folder


@pytest.fixture
def published(certificates: Path, settings: Any, ours: tuple[ECKey, RSAKey]) -> Iterator[HttpsServer]:
    settings.OUTBOUND_PRIVATE, settings.OUTBOUND_CA = True, str(certificates / "ca.pem")
    with https_server(certificates) as server:
        publish(server, *ours)
        yield server


def publish(server: HttpsServer, *keys: Any, **headers: str) -> None:
    content = json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()
    server.says = lambda _: Said(content=content, headers={"Content-Type": "application/json", **headers})


@pytest.fixture
def change(client: Client, members: dict[str, Institution], keystores: dict[str, Keystore]) -> Callable[..., None]:
    """Hand in a change of zurich's client key."""

    def hand_in(key: dict[str, Any] | None, ground: Ground = "rotation") -> None:
        token = build_change(
            selectors.key_history(members["zurich"]),
            kind="client",
            key=key,
            ground=ground,
            issued=clock.now(),
            offline=keystores["zurich"].offline,
        )
        assert client.post("/api/v1/key-changes", {"change": token}, content_type="application/json").status_code == 201

    return hand_in


@pytest.fixture
def named(published: HttpsServer, change: Callable[[dict[str, Any] | None], None]) -> HttpsServer:
    change({"jwks_url": f"{published.url}/jwks.json"})
    return published


@pytest.fixture
def sign_in(ask_token: Callable[..., Any], assertion: Callable[..., str]) -> Callable[..., int]:
    def with_key(key: Any, **how: Any) -> int:
        return int(ask_token(assertion("zurich", key=key, alg=key.alg, **how)).status_code)

    return with_key


def test_every_published_key_signs_in_with_its_own_algorithm(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int]
) -> None:
    assert [sign_in(key) for key in ours] == [200, 200]
    assert [each.path for each in named.received] == ["/jwks.json"]


def test_every_key_of_a_set_that_was_handed_in_signs_in_until_the_set_is_replaced(
    ours: tuple[ECKey, RSAKey], change: Any, sign_in: Callable[..., int], keystores: dict[str, Keystore]
) -> None:
    """Nothing is fetched for it: SMART's other way of registering a key set."""
    public = [key.as_dict(private=False) for key in ours]
    change({"keys": [*public, keystores["zurich"].public()["client"]]})
    assert [sign_in(key) for key in ours] == [200, 200]
    assert sign_in(ECKey.generate_key("P-384", {"kid": "2026-a", "alg": "ES384"})) == 401
    change({"keys": public[1:]})
    assert AccessToken.objects.count() == 0
    assert [sign_in(key) for key in ours] == [401, 200]
    assert not FetchedKeySet.objects.exists()


def test_the_key_before_the_address_signs_in_no_more(named: HttpsServer, ask_token: Any, assertion: Any) -> None:
    assert ask_token(assertion("zurich")).status_code == 401


def test_an_address_counts_only_once_the_offline_key_has_signed_it(
    published: HttpsServer, ours: tuple[ECKey, RSAKey], ask_token: Any
) -> None:
    """`jku` in the assertion's header is its maker's word."""
    forged = signed(ours[0], {"alg": "ES384", "kid": "2026-a", "jku": f"{published.url}/jwks.json"})
    assert ask_token(forged).status_code == 401
    assert published.received == []


def test_a_new_key_is_fetched_when_it_is_first_used_and_an_old_one_stops(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(start := clock.now())
    assert sign_in(ours[0]) == 200
    new = ECKey.generate_key("P-384", {"kid": "2027-a", "alg": "ES384"})
    publish(named, new)
    time_machine.move_to(start + PAUSE)
    assert AccessToken.objects.count() == 1
    assert sign_in(new) == 200
    assert sign_in(ours[0]) == 401
    assert AccessToken.objects.count() == 1, "the token that the old key had bought has ended"


def test_unknown_keys_do_not_have_it_fetched_again_and_again(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(start := clock.now())
    strangers = [ECKey.generate_key("P-384", {"kid": f"x{number}", "alg": "ES384"}) for number in range(5)]
    assert [sign_in(key) for key in strangers] == [401] * 5
    assert len(named.received) == 1
    time_machine.move_to(start + PAUSE)
    assert [sign_in(key) for key in strangers] == [401] * 5
    assert len(named.received) == 2
    assert sign_in(ours[0]) == 200


@pytest.mark.parametrize(
    ("header", "good_for"),
    [
        ("max-age=600", timedelta(seconds=600)),
        ("public, max-age=120, must-revalidate", timedelta(seconds=120)),
        ("max-age=1", SHORTEST),
        ("no-store", SHORTEST),
        ("max-age=99999999", LONGEST),
        ("", key_sets.USUAL),
    ],
)
def test_a_set_is_good_for_as_long_as_it_says_within_bounds(
    named: HttpsServer,
    ours: tuple[ECKey, RSAKey],
    sign_in: Callable[..., int],
    time_machine: TimeMachineFixture,
    header: str,
    good_for: timedelta,
) -> None:
    publish(named, *ours, **({"Cache-Control": header} if header else {}))
    time_machine.move_to(start := clock.now())
    for after, fetched in ((timedelta(0), 1), (good_for - timedelta(seconds=1), 1), (good_for, 2)):
        time_machine.move_to(start + after)
        assert sign_in(ours[0]) == 200
        assert len(named.received) == fetched


@pytest.mark.parametrize(
    "trouble",
    [
        Said(status=503),
        Said(status=302, headers={"Location": "https://elsewhere.example/"}),
        Said(content=b"<html>"),
        Said(content=b'{"keys": "none"}'),
        Said(content=b" " * 70_000),
    ],
    ids=["unavailable", "moved", "a page", "no set", "too large"],
)
def test_while_the_address_gives_no_set_the_last_one_counts_for_a_time(
    named: HttpsServer,
    ours: tuple[ECKey, RSAKey],
    sign_in: Callable[..., int],
    time_machine: TimeMachineFixture,
    trouble: Said,
) -> None:
    time_machine.move_to(start := clock.now())
    assert sign_in(ours[0]) == 200
    named.says = lambda _: trouble
    time_machine.move_to(start + GIVEN_UP - timedelta(seconds=1))
    assert sign_in(ours[0]) == 200
    assert len(named.received) == 2
    time_machine.move_to(start + GIVEN_UP)
    assert sign_in(ours[0]) == 401
    publish(named, *ours)
    time_machine.move_to(start + GIVEN_UP + PAUSE)
    assert sign_in(ours[0]) == 200


def test_a_private_address_is_not_called(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], settings: Any
) -> None:
    settings.OUTBOUND_PRIVATE = False
    assert sign_in(ours[0]) == 401
    assert named.received == []


def test_a_new_address_forgets_the_old_ones_keys(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], change: Any
) -> None:
    assert sign_in(ours[0]) == 200
    publish(named, ours[1])
    change({"jwks_url": f"{named.url}/other.json"})
    assert (sign_in(ours[0]), sign_in(ours[1])) == (401, 200)
    change(None)
    assert sign_in(ours[1]) == 401


def test_a_compromised_key_signs_in_nowhere_again_unless_the_offline_key_names_it(
    published: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], change: Any
) -> None:
    """`ours` are published at every address of it."""
    lost, other = (key.as_dict(private=False) for key in ours)
    change({"keys": [lost, other]})
    change({"keys": [other]}, "compromise")
    change({"jwks_url": f"{published.url}/jwks.json"})
    assert [sign_in(key) for key in ours] == [401, 200]


def test_what_an_address_published_when_it_was_declared_compromised_signs_in_at_no_other(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], change: Any
) -> None:
    publish(named, ours[0])
    assert sign_in(ours[0]) == 200
    publish(named, *ours)
    change({"jwks_url": f"{named.url}/other.json"}, "compromise")
    assert [sign_in(key) for key in ours] == [401, 200]


def test_what_an_address_published_when_it_was_replaced_signs_in_at_the_next(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], change: Any
) -> None:
    assert sign_in(ours[0]) == 200
    change({"jwks_url": f"{named.url}/other.json"})
    assert [sign_in(key) for key in ours] == [200, 200]


def test_a_token_does_not_outlive_a_key_that_its_set_loses_meanwhile(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], sign_in: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sign_in(ours[0]) == 200
    look = ClientCredentials.validate_requested_scope

    def then_lost(grant: ClientCredentials) -> None:
        look(grant)
        kept = FetchedKeySet.objects.get()
        publish(named, ours[1])
        key_sets._fetch(kept.key, kept.pk, clock.now())

    monkeypatch.setattr(ClientCredentials, "validate_requested_scope", then_lost)
    assert (sign_in(ours[0]), AccessToken.objects.count()) == (401, 0)
    assert sign_in(ours[1]) == 200


def test_an_assertion_that_names_no_key_is_tried_with_each(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], ask_token: Any, members: Any
) -> None:
    assert ask_token(signed(ours[1], {"alg": "RS384", "typ": "JWT"})).status_code == 200
    stranger = ECKey.generate_key("P-384")
    assert ask_token(signed(stranger, {"alg": "ES384", "typ": "JWT"})).status_code == 401


CONFUSED = {
    "the other key's name": {"alg": "RS384", "kid": "2026-a"},
    "another kind of token": {"alg": "RS384", "kid": "2026-b", "typ": "dpop+jwt"},
    "another address": {"alg": "RS384", "kid": "2026-b", "jku": "https://elsewhere.example/jwks.json"},
    "an algorithm that the key is not for": {"alg": "RS256", "kid": "2026-b"},
    "padding of another kind": {"alg": "PS384", "kid": "2026-b"},
}


@pytest.mark.parametrize("header", CONFUSED.values(), ids=CONFUSED)
def test_a_header_that_says_something_else_is_refused(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], ask_token: Any, members: Any, header: dict[str, str]
) -> None:
    assert ask_token(signed(ours[1], header)).status_code == 401
    right = {"alg": "RS384", "kid": "2026-b", "typ": "JWT", "jku": f"{named.url}/jwks.json"}
    assert ask_token(signed(ours[1], right)).status_code == 200


def test_a_public_key_is_no_secret_for_a_mac(
    named: HttpsServer, ours: tuple[ECKey, RSAKey], ask_token: Any, members: Any
) -> None:
    """The classic confusion: HS384 keyed with what everybody can read. joserfc would not even sign it."""
    head, body, _ = signed(ours[1], {"alg": "RS384", "kid": "2026-b"}).split(".")
    head = b64(json.dumps({"alg": "HS384", "kid": "2026-b"}).encode())
    for secret in (ours[1].as_pem(private=False), json.dumps(ours[1].as_dict(private=False)).encode()):
        mac = b64(hmac.digest(secret, f"{head}.{body}".encode(), "sha384"))
        assert ask_token(f"{head}.{body}.{mac}").status_code == 401


def test_two_processes_fetch_a_set_once(
    named: HttpsServer, members: dict[str, Institution], time_machine: TimeMachineFixture
) -> None:
    key = InstitutionKey.objects.get(institution=members["zurich"], kind="client", revoked=None)
    kept = FetchedKeySet.objects.create(key=key)
    now = clock.now()
    assert [key_sets._claim(kept, now), key_sets._claim(kept, now)] == [True, False]


def signed(key: Any, header: dict[str, str]) -> str:
    now = int(time.time())
    claims = {"iss": "zurich", "sub": "zurich", "aud": token_url(), "iat": now, "exp": now + 240, "jti": str(uuid4())}
    nameless = type(key).import_key({k: v for k, v in key.as_dict(private=True).items() if k not in {"kid", "alg"}})
    return jwt.encode(header, claims, nameless, algorithms=[header["alg"]])
