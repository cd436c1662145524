"""Second factors beside passkeys: an authenticator app (RFC 6238), and codes for the day it is lost."""

import secrets
from binascii import unhexlify

from django.conf import settings
from django.db import models
from django_otp.plugins.otp_totp.models import TOTPDevice

from ledger import masters, vault

SECRET_BYTES = 20
"""160 bits, as RFC 4226 recommends."""


_MASTER, _RANDOM = masters.ID_BYTES, 16


class Totp(TOTPDevice):  # type: ignore[misc]
    """An authenticator app. Its row holds a random number only: the secret follows from that and the coordinator's
    master key, so that a copy of the database lets nobody make codes.

    Since the master key was changed, the row has that one's id, a random number, and the secret under a pad that
    follows from both: 4, 16 and 20 bytes.
    """

    class Meta:
        proxy = True

    @property
    def bin_key(self) -> bytes:
        """The shared secret."""
        row = unhexlify(self.key)
        if len(row) == SECRET_BYTES:
            return vault.derived("totp", row)[:SECRET_BYTES]
        master, random, covered = row[:_MASTER], row[_MASTER:-SECRET_BYTES], row[-SECRET_BYTES:]
        return _padded(covered, random, masters.named(master))

    def carry(self, master: bytes) -> None:
        """Let the secret follow from another master key; it stays what it is."""
        random = secrets.token_bytes(_RANDOM)
        self.key = (masters.id_of(master) + random + _padded(self.bin_key, random, master)).hex()


def carry(master: bytes) -> None:
    """Let every app's secret follow from another master key, inside the caller's transaction."""
    known = masters.id_of(master).hex()
    rows = [row for row in Totp.objects.select_for_update() if not (len(row.key) == 80 and row.key.startswith(known))]
    for row in rows:
        row.carry(master)
    Totp.objects.bulk_update(rows, ["key"])


def _padded(value: bytes, random: bytes, master: bytes) -> bytes:
    pad = vault.derived("totp-carried", random, master=master)
    return bytes(one ^ other for one, other in zip(value, pad[: len(value)], strict=True))


class RecoveryCode(models.Model):
    """One code that replaces a lost factor, once. Only its hash is kept; 100 random bits need no slow one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    hashed = models.CharField(max_length=64)
    used = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "hashed"), name="governance_recovery_code_once"),)

    def __str__(self) -> str:
        return "a recovery code"
