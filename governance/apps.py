"""The Django app, and which of its tables only ever grow."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    name = "governance"
    verbose_name = "Governance"

    def ready(self) -> None:
        from governance import models
        from ledger.triggers import append_only

        for model in models.APPEND_ONLY:
            append_only(model)
