"""manage.py log_export FOLDER: the log's entries as files, for a reader of dossiers who has no institution's token."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat import checkpoint, mirror
from concordat.keystore import Keystore
from concordat.reasons import Refused
from ledger import selectors, witnesses


class Command(BaseCommand):
    help = "Copy the log's entries into a folder, for `python -m ledger.verify --log`. Run again, it goes on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--size", type=int, help="only the first so many entries, as a dossier's head counts")

    def handle(self, *_: Any, **options: Any) -> None:
        folder, size = options["folder"], options["size"]
        try:
            published = selectors.published_head()
            wanted = published.size if size is None else size
            if not 0 <= wanted <= published.size:
                raise CommandError(f"The log has published {published.size} entries.")
            head = checkpoint.verify(published.note, {settings.LOG_ORIGIN: Keystore(settings.KEYS_DIR).identity.public})
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            note = witnesses.note(published)
            mirror.copy(folder, selectors.tile, head, note, size=wanted, progress=lambda done: None)
        except (Refused, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{wanted} of the log's {head.size} entries are in {folder}.")
