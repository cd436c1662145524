"""Every setting is documented, and production refuses the embedded defaults one by one."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from concordat.keystore import Keystore
from tests.support.tsa import Authority

ROOT = Path(__file__).resolve().parent.parent.parent
VARIABLE = re.compile(r"CONCORDAT_[A-Z_]+")


def test_every_variable_that_is_read_is_documented_and_the_other_way_round() -> None:
    read = set(VARIABLE.findall((ROOT / "config" / "settings.py").read_text()))
    read |= set(VARIABLE.findall((ROOT / "docker" / "entrypoint.sh").read_text()))
    documented = set(VARIABLE.findall((ROOT / "docs" / "reference" / "settings.md").read_text()))
    assert read <= documented
    assert documented - read == {"CONCORDAT_REQUIRE"}


SAFE: dict[str, Any] = {
    "PRODUCTION": True,
    "DEBUG": False,
    "SECRET_KEY": "k" * 60,
    "BASE_URL": "https://concordat.example",
    "REDIS_URL": "rediss://coordinator@broker.example:6379/0?ssl_cert_reqs=required",
    "CHAIN_RPC": "https://chain.example",
    "CHAIN_SELF_HOSTED": False,
    "ANCHOR_ADDRESS": "0x" + "1" * 40,
    "REGISTRY_ADDRESS": "0x" + "2" * 40,
    "CHAIN_PASSPHRASE_FILE": "/run/secrets/chain_passphrase",
    "KEYS_DIR": Path("/var/lib/concordat/keys"),
    "EMAIL_USE_TLS": True,
}
HOSPITAL: dict[str, Any] = {
    "OIDC_ISSUER": "https://idp.example",
    "OIDC_RP_CLIENT_ID": "concordat",
    "OIDC_RP_CLIENT_SECRET": "secret",
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "https://idp.example/authorize",
    "OIDC_OP_TOKEN_ENDPOINT": "https://idp.example/token",
    "OIDC_OP_USER_ENDPOINT": "https://idp.example/userinfo",
    "OIDC_OP_JWKS_ENDPOINT": "https://idp.example/jwks",
}


def found(settings: Settings, *, engine: str = "postgresql", **changes: Any) -> set[str]:
    for name, value in {**SAFE, **changes}.items():
        setattr(settings, name, value)
    database = settings.DATABASES["default"]
    with patch.dict(database, {"ENGINE": f"django.db.backends.{engine}"}):
        return {str(message.id) for message in run_checks(tags=["concordat"])}


def test_a_safe_production_passes(settings: Settings) -> None:
    assert found(settings) == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DEBUG", True, "concordat.E001"),
        ("SECRET_KEY", "embedded-default-not-for-production", "concordat.E002"),
        ("BASE_URL", "http://concordat.example", "concordat.E003"),
        ("engine", "sqlite3", "concordat.E004"),
        ("REDIS_URL", "redis://broker.example:6379/0", "concordat.E005"),
        ("REDIS_URL", "rediss://broker.example:6379/0", "concordat.E005"),
        ("CHAIN_SELF_HOSTED", True, "concordat.E006"),
        ("ANCHOR_ADDRESS", "", "concordat.E007"),
        ("REGISTRY_ADDRESS", "", "concordat.E007"),
        ("EMAIL_USE_TLS", False, "concordat.E008"),
        ("CHAIN_PASSPHRASE_FILE", "", "concordat.E014"),
        ("CHAIN_SIGNER_URL", "http://signer.example", "concordat.E015"),
        ("CHAIN_SIGNER_URL", "https://signer.example", "concordat.E015"),  # whose account is not named
    ],
)
def test_each_unsafe_setting_is_named(settings: Settings, name: str, value: object, expected: str) -> None:
    changes: dict[str, Any] = {name: value}
    if name == "CHAIN_SELF_HOSTED":
        changes["CHAIN_RPC"] = "http://127.0.0.1:8545"
    assert found(settings, **changes) == {expected}


def test_a_chain_key_that_was_not_moved_into_its_keystore_is_named(settings: Settings, tmp_path: Path) -> None:
    Keystore(tmp_path).create(["chain"])
    assert found(settings, KEYS_DIR=tmp_path) == {"concordat.E014"}


def test_the_chain_key_may_be_kept_by_a_service(settings: Settings) -> None:
    kept = {"CHAIN_SIGNER_URL": "https://signer.example", "CHAIN_SIGNER_ADDRESS": "0x" + "3" * 40}
    assert found(settings, CHAIN_PASSPHRASE_FILE="", **kept) == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OIDC_ISSUER", "https://idp.example", None),
        ("OIDC_ISSUER", "http://idp.example", "concordat.E009"),
        ("OIDC_OP_JWKS_ENDPOINT", "", "concordat.E009"),
        ("OIDC_OP_TOKEN_ENDPOINT", "http://idp.example/token", "concordat.E009"),
        ("OIDC_RP_CLIENT_SECRET", "", "concordat.E010"),
        ("OIDC_RP_SIGN_ALGO", "HS256", "concordat.E011"),
    ],
)
def test_a_hospital_s_sign_in_is_configured_whole_or_not_at_all(
    settings: Settings, name: str, value: object, expected: str | None
) -> None:
    assert found(settings, **HOSPITAL | {name: value}) == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"TSA_URL": "http://tsa.example"}, {"concordat.E012"}),
        ({"TSA_ROOT": ""}, {"concordat.E013"}),
        ({"TSA_ROOT": __file__}, {"concordat.E013"}),
        ({"TSA_POLICY": "the usual"}, {"concordat.E013"}),
        ({"OUTBOUND_PRIVATE": True}, {"concordat.E016"}),
    ],
)
def test_a_time_stamping_authority_is_configured_whole_or_not_at_all(
    settings: Settings, tmp_path: Path, changes: dict[str, Any], expected: set[str]
) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(Authority(tmp_path / "tsa").root)
    named = {"TSA_URL": "https://tsa.example", "TSA_ROOT": str(root), "TSA_POLICY": "1.2.3.4.1"}
    assert found(settings, **named | changes) == expected


def test_the_embedded_defaults_are_all_refused_in_production(settings: Settings) -> None:
    settings.PRODUCTION = True
    ids = {str(message.id) for message in run_checks(tags=["concordat"])}
    assert ids >= {f"concordat.E00{number}" for number in (2, 3, 4, 5, 6, 7, 8)}
