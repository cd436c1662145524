"""The Django app `ledger`: what was decided, and the proof of it."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        from ledger import checks, triggers  # noqa: F401  (registers the system check)

        pre_migrate.connect(triggers.make_way)
        post_migrate.connect(triggers.install)
