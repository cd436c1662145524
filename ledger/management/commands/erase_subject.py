"""manage.py erase_subject SUBJECT GROUND: destroy a subject's key, so that nothing private about it opens any more."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat.reasons import Refused
from ledger.services import subjects


class Command(BaseCommand):
    help = "Erase a subject (GDPR, article 17). It cannot be undone; destroy the key's copies in backups as well."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", type=UUID, help="the pseudonym that the institution uses for the person")
        parser.add_argument("ground", help="why; it stands in the log in the clear, so it names no person")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            entry = subjects.destroy(subject=options["subject"], ground=options["ground"])
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        self.stdout.write(f"Erased; recorded as {entry.record_number}.")
