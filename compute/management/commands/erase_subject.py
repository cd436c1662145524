"""manage.py erase_subject INSTITUTION SUBJECT GROUND: leave nothing of a subject but proofs that say nothing of it."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compute.services.erasure import erase_subject
from concordat.reasons import Refused


class Command(BaseCommand):
    help = "Erase a subject (GDPR, article 17). It cannot be undone; destroy the key's copies in backups as well."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("institution", help="whose pseudonym it is")
        parser.add_argument("subject", type=UUID, help="the pseudonym that the institution uses for the person")
        parser.add_argument("ground", help="why; it stands in the log in the clear, so it names no person")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            entry = erase_subject(**{name: options[name] for name in ("institution", "subject", "ground")})
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        self.stdout.write(f"Erased; recorded as {entry.record_number}.")
