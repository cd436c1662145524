"""What `bedside.json` may say."""

from typing import Any

import pytest

from concordat.bedside.config import load, port
from concordat.bedside.ehr import Ehrs
from concordat.bedside.store import Store
from concordat.client.home import ClientHome
from concordat.reasons import Reason, Refused
from tests.support.bedside import ISSUER, Ehr, configured

DEFINITION = "sha256:" + "0" * 64


@pytest.fixture
def home(tmp_path: Any) -> ClientHome:
    return ClientHome.create(tmp_path / "home", {"institution": "long-beach", "coordinator": "https://c.example.org"})


def test_what_a_hospital_writes(home: ClientHome) -> None:
    ehr = {"issuer": ISSUER, "jwks": Ehr().jwks, "origins": []}
    config = configured(home, DEFINITION, "care", ehrs=[ehr], address="https://bedside.example.org")
    assert config["threshold"] == "0.2"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("http://127.0.0.1:8470", 8470), ("http://localhost", 80), ("https://bedside.example.org:8443", 8460)],
)
def test_it_listens_where_its_address_leads_or_its_proxy_expects_it(
    home: ClientHome, address: str, expected: int
) -> None:
    assert port(configured(home, DEFINITION, "care", address=address)) == expected


def test_without_one_the_bedside_says_where_to_read_about_it(home: ClientHome) -> None:
    with pytest.raises(Refused, match=f"^{Reason.HOME_INCOMPLETE}:.*show-results-at-the-bedside"):
        load(home)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("address", {"address": "http://bedside.example.org"}),
        ("address", {"address": "https://bedside.example.org/path"}),
        ("threshold", {"threshold": "1.5"}),
        ("threshold", {"threshold": "-0.1"}),
        ("threshold", {"threshold": "high"}),
        ("title", {"title": "x" * 61}),
        ("title", {"title": ""}),
        ("stale_after_hours", {"stale_after_hours": 0}),
        ("ehrs.0", {"ehrs": [{"issuer": ISSUER, "origins": []}]}),
        ("ehrs.0", {"ehrs": [{"issuer": ISSUER, "origins": [], "jwks": {}, "jwks_url": "https://a.example"}]}),
        ("ehrs.0.jwks_url", {"ehrs": [{"issuer": ISSUER, "origins": [], "jwks_url": "http://a.example"}]}),
        ("ehrs", {"ehrs": [{"issuer": ISSUER, "origins": [], "jwks": {}}] * 2}),
        ("viewer", {"viewer": "Dr. Needle"}),
        ("surprise", {"surprise": 1}),
    ],
)
def test_a_mistake_is_named(home: ClientHome, field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        configured(home, DEFINITION, "care", **changes)
    assert refused.value.field == field


def test_keys_that_are_none_are_refused_before_anything_is_served(home: ClientHome) -> None:
    ehr = {"issuer": ISSUER, "origins": [], "jwks": {"keys": [{"kty": "none"}]}}
    config = configured(home, DEFINITION, "care", ehrs=[ehr])
    with pytest.raises(Refused, match=f"^{Reason.FIELD_INVALID}:.*no JWK Set"):
        Ehrs(config, Store(home.directory))
