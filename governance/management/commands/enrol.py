"""manage.py enrol FILE…: take in institutions by the signed enrolments that their nodes printed."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from concordat.enrolment import verify_enrolment
from concordat.reasons import Refused
from governance.services import institutions


class Command(BaseCommand):
    help = "Enrol institutions, all of them or none. Compare the printed key ids with the institutions by other means."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an enrolment (JWS)")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for file in options["files"]:
                enrolment = verify_enrolment(file.read_text().strip())
                institution = institutions.enrol(token=enrolment.token)
                self.stdout.write(f"{institution.slug}\tidentity {enrolment.identity.kid}\tchain {enrolment.chain}")
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
