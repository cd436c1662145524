"""manage.py export_subject INSTITUTION SUBJECT: everything held on a subject, as JSON on standard output."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compute.services.export import export_subject
from concordat.canonical import encode
from concordat.reasons import Refused


class Command(BaseCommand):
    help = "Export everything held on a subject (GDPR, article 15). Hand it to the person through the institution only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("institution", help="whose pseudonym it is")
        parser.add_argument("subject", type=UUID, help="the pseudonym that the institution uses for the person")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            document = export_subject(institution=options["institution"], subject=options["subject"])
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        self.stdout.write(encode(document).decode())
