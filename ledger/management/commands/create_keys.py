"""manage.py create_keys: the coordinator's keys, made once. Nothing else makes one, and nothing overwrites one."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from concordat.keystore import Keystore
from concordat.reasons import Refused
from ledger import signing, vault


class Command(BaseCommand):
    help = "Make the coordinator's identity, chain and master keys where they are not there yet."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        Path(settings.STATE_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            keys = Keystore(settings.KEYS_DIR).create(["identity"])
            signing.create()
            vault.create_master_key()
            self.stdout.write(f"identity {keys.identity.public.b64}\nchain    {signing.signer().address}")
        except Refused as refused:
            raise CommandError(str(refused)) from refused
