"""Second factors beside passkeys: an authenticator app (RFC 6238), and codes for the day it is lost."""

from binascii import unhexlify

from django.conf import settings
from django.db import models
from django_otp.plugins.otp_totp.models import TOTPDevice

from ledger import vault

SECRET_BYTES = 20
"""160 bits, as RFC 4226 recommends."""


class Totp(TOTPDevice):  # type: ignore[misc]
    """An authenticator app. Its row holds a random number only: the secret follows from that and the coordinator's
    master key, so that a copy of the database lets nobody make codes."""

    class Meta:
        proxy = True

    @property
    def bin_key(self) -> bytes:
        """The shared secret."""
        return vault.derived("totp", unhexlify(self.key))[:SECRET_BYTES]


class RecoveryCode(models.Model):
    """One code that replaces a lost factor, once. Only its hash is kept; 100 random bits need no slow one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    hashed = models.CharField(max_length=64)
    used = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "hashed"), name="governance_recovery_code_once"),)

    def __str__(self) -> str:
        return "a recovery code"
