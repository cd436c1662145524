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
        parser.add_argument(
            "--relies-on",
            action="append",
            default=[],
            type=_pair,
            metavar="SITE=BOARD",
            help="SITE relies on the review of BOARD's IRB (45 CFR 46.114); may be repeated",
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        boards = dict(options["relies_on"])
        try:
            enrolments = [verify_enrolment(file.read_text().strip()) for file in options["files"]]
            # Boards come first: whoever relies on one names an institution that is there already.
            for enrolment in sorted(enrolments, key=lambda each: each.institution in boards):
                board = boards.get(enrolment.institution)
                institution = institutions.enrol(token=enrolment.token, reviewing_board=board)
                self.stdout.write(f"{institution.slug}\tidentity {enrolment.identity.kid}\tchain {enrolment.chain}")
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused


def _pair(text: str) -> tuple[str, str]:
    site, separator, board = text.partition("=")
    if not separator:
        raise ValueError(text)
    return site, board
