"""The Django app `governance`."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    name = "governance"
    verbose_name = "Governance"

    def ready(self) -> None:
        from governance.models import sign_in
        from governance.rules import RULES
        from ledger import triggers
        from ledger.services import rotation

        triggers.register(*RULES)
        rotation.carries.append(sign_in.carry)
