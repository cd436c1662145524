"""The Django app `governance`."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    name = "governance"
    verbose_name = "Governance"

    def ready(self) -> None:
        from governance.rules import RULES
        from ledger import triggers

        triggers.register(*RULES)
