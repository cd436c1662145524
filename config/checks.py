"""System checks that refuse to run a production on the embedded defaults (`manage.py check`, and every start)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


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
    ]
    return [Error(text, hint=hint, id=f"concordat.{code}") for found, code, text, hint in unsafe if found]
