"""manage.py ledger_fsck: compare entries, tiles, checkpoints and chain; exit status 1 at the first divergence."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat.reasons import REASONS, Refused
from ledger.fsck import fsck
from ledger.services.anchoring import chain_client


class Command(BaseCommand):
    help = "Re-derive the log from its entries and compare it with tiles, checkpoints and the chain."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--offline", action="store_true", help="do not ask the chain")

    def handle(self, *_: Any, **options: Any) -> None:
        asked = bool(settings.ANCHOR_ADDRESS) and not options["offline"]
        try:
            report = fsck(chain_client() if asked else None)
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        found = report.divergence
        if found is not None:
            raise CommandError(f"{found.reason}: {found.place}. {REASONS[found.reason].sentence}")
        chain = f"{report.anchors} anchors" if asked else "the chain was not asked"
        self.stdout.write(f"{report.entries} entries and {report.checkpoints} checkpoints agree; {chain}.")
