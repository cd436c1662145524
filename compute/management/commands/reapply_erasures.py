"""manage.py reapply_erasures: after a backup was restored, erase again whoever was erased since it was made."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from compute.services.erasure import erase_again
from concordat.reasons import Refused
from ledger import vault


class Command(BaseCommand):
    help = "Erase again everybody whose destroyed key a restored backup has brought back. Twice is no harm."

    def handle(self, *_: Any, **__: Any) -> None:
        count = 0
        try:
            for row in list(vault.resurrected()):
                entry = erase_again(institution=row.holder, subject=row.subject)
                count += 1
                self.stdout.write(f"Key {row.pk}: erased again; recorded as {entry.record_number}.")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        self.stdout.write(f"{count} erasures were applied again.")
