"""manage.py rotate_master_key [--keep-days N | --only-destroy]: a new master key, and the end of older ones."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat import clock
from concordat.reasons import Refused
from ledger import masters
from ledger.services import rotation

_KEEP_DAYS = 30


class Command(BaseCommand):
    help = (
        "Wrap every subject's key under a new master key, and destroy the replaced ones whose time is over. "
        "Interrupted, run it again: it goes on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--keep-days",
            type=int,
            default=_KEEP_DAYS,
            help=f"how long the replaced key still opens backups of before ({_KEEP_DAYS}); 0 destroys it at once",
        )
        what.add_argument("--only-destroy", action="store_true", help="no new key; destroy those whose time is over")

    def handle(self, *_: Any, **options: Any) -> None:
        if not 0 <= options["keep_days"] <= 3650:
            raise CommandError("Keep it for between 0 and 3650 days.")
        try:
            if not options["only_destroy"]:
                until = clock.now() + timedelta(days=options["keep_days"])
                count = max(rotation.rotate(until=until), default=0)
                self.stdout.write(f"{count} keys are wrapped under a new master key. Make a copy of the key folder.")
            for entry in rotation.destroy_due(now=clock.now()):
                self.stdout.write(f"A replaced master key is destroyed; recorded as {entry.record_number}.")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        for kept in masters.replaced():
            self.stdout.write(f"{kept.path.name} is kept until {clock.rfc3339(kept.until)}: destroy its copies then.")
