"""manage.py dossier C-0000042-3 FILE: write a decision's bundle. That it was read is recorded in the log."""

import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat.files import write_private
from concordat.reasons import Refused
from ledger.services import dossiers


class Command(BaseCommand):
    help = "Write the bundle from which a decision can be reconstructed and verified off line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("record", help="the decision's number, such as C-0000042-3")
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--disclose", action="append", default=[], metavar="FIELD", help="a private field to open; may be repeated"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            bundle = dossiers.hand_out(
                number=options["record"], role="operator", reader=getpass.getuser(), disclose=options["disclose"]
            )
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        write_private(options["file"], bundle, replace=True)
        self.stdout.write(f"{options['file']}: verify it with `python -m ledger.verify {options['file']}`.")
