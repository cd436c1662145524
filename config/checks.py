"""System checks that refuse to run a production on the embedded defaults (`manage.py check`, and every start)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from concordat.reasons import Refused
from ledger.services.stamping import pinned

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OIDC_ALGORITHMS = {"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}


@register("concordat")
def production_is_safe(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Empty outside production; there, one error for each unsafe setting, with what to set instead."""
    if not settings.PRODUCTION:
        return []
    unsafe = [
        (settings.DEBUG, "E001", "CONCORDAT_DEBUG is on.", "Unset it: debug pages show data."),
        (
            len(settings.SECRET_KEY) < 50 or "embedded-default" in settings.SECRET_KEY,
            "E002",
            "CONCORDAT_SECRET_KEY is the default, or short.",
            "Set it to 50 random characters or more.",
        ),
        (
            not settings.BASE_URL.startswith("https://"),
            "E003",
            "CONCORDAT_BASE_URL is not https.",
            "Put a TLS-ending proxy in front and name its address.",
        ),
        (
            settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3",
            "E004",
            "The database is SQLite.",
            "Point CONCORDAT_DATABASE_URL at PostgreSQL 15 or later.",
        ),
        (
            not (settings.REDIS_URL.startswith("rediss://") and "ssl_cert_reqs=required" in settings.REDIS_URL),
            "E005",
            "The broker is reached without TLS, or its certificate is not verified.",
            "Use rediss://USER:PASSWORD@HOST:PORT/0?ssl_cert_reqs=required in CONCORDAT_REDIS_URL.",
        ),
        (
            urlsplit(settings.CHAIN_RPC).hostname in _LOOPBACK and settings.CHAIN_SELF_HOSTED,
            "E006",
            "The chain is the embedded one.",
            "Point CONCORDAT_CHAIN_RPC at a chain that the institutions run; CONCORDAT_CHAIN_SELF_HOSTED=false.",
        ),
        (
            not (settings.ANCHOR_ADDRESS and settings.REGISTRY_ADDRESS),
            "E007",
            "The contracts' addresses are missing.",
            "Set CONCORDAT_ANCHOR_ADDRESS and CONCORDAT_REGISTRY_ADDRESS.",
        ),
        (
            not (settings.CHAIN_PASSPHRASE_FILE or settings.CHAIN_SIGNER_URL)
            or (Path(settings.KEYS_DIR) / "chain.pem").exists(),
            "E014",
            "The chain key lies in the clear.",
            "Name a file with a passphrase in CONCORDAT_CHAIN_PASSPHRASE_FILE and run manage.py create_keys, or name a "
            "signing service in CONCORDAT_CHAIN_SIGNER_URL.",
        ),
        (
            bool(settings.CHAIN_SIGNER_URL)
            and not (settings.CHAIN_SIGNER_URL.startswith("https://") and settings.CHAIN_SIGNER_ADDRESS),
            "E015",
            "The service that keeps the chain key is reached without TLS, or its account is not named.",
            "Name its https address in CONCORDAT_CHAIN_SIGNER_URL and the account in CONCORDAT_CHAIN_SIGNER_ADDRESS.",
        ),
        (
            not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL),
            "E008",
            "Invitations are not mailed, or without TLS.",
            "Set CONCORDAT_EMAIL_URL to smtp+tls://USER:PASSWORD@HOST:587 (or smtp+ssl, port 465).",
        ),
        (
            bool(settings.OIDC_ISSUER)
            and not all(url.startswith("https://") for url in (settings.OIDC_ISSUER, *_oidc_endpoints())),
            "E009",
            "The hospital's sign-in is half configured, or is reached without TLS.",
            "Set all of CONCORDAT_OIDC_*_ENDPOINT, and the issuer, to https addresses.",
        ),
        (
            bool(settings.OIDC_ISSUER) and not (settings.OIDC_RP_CLIENT_ID and settings.OIDC_RP_CLIENT_SECRET),
            "E010",
            "The hospital's sign-in does not know who we are.",
            "Set CONCORDAT_OIDC_CLIENT_ID and CONCORDAT_OIDC_CLIENT_SECRET.",
        ),
        (
            bool(settings.OIDC_ISSUER) and settings.OIDC_RP_SIGN_ALGO not in _OIDC_ALGORITHMS,
            "E011",
            "The hospital's sign-in signs with a secret that both sides know, or not at all.",
            f"Set CONCORDAT_OIDC_SIGN_ALGORITHM to one of {', '.join(sorted(_OIDC_ALGORITHMS))}.",
        ),
        (
            bool(settings.TSA_URL) and not settings.TSA_URL.startswith("https://"),
            "E012",
            "The time-stamping authority is reached without TLS.",
            "Name its https address in CONCORDAT_TSA_URL.",
        ),
        (
            bool(settings.TSA_URL) and not _tsa_is_whole(),
            "E013",
            "The time-stamping authority is half configured: what it answers could not be verified.",
            "Name a PEM file with its root certificate in CONCORDAT_TSA_ROOT; CONCORDAT_TSA_POLICY is empty or an OID.",
        ),
        (
            settings.OUTBOUND_PRIVATE,
            "E016",
            "Institutions may have the coordinator call machines inside of its own network.",
            "Unset CONCORDAT_OUTBOUND_PRIVATE: it is for development.",
        ),
    ]
    return [Error(text, hint=hint, id=f"concordat.{code}") for found, code, text, hint in unsafe if found]


def _tsa_is_whole() -> bool:
    try:
        pinned()
    except Refused:
        return False
    return True


def _oidc_endpoints() -> tuple[str, ...]:
    return (
        settings.OIDC_OP_AUTHORIZATION_ENDPOINT,
        settings.OIDC_OP_TOKEN_ENDPOINT,
        settings.OIDC_OP_USER_ENDPOINT,
        settings.OIDC_OP_JWKS_ENDPOINT,
    )
