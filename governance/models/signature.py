"""Electronic signatures (21 CFR Part 11) and the single-use challenges that they answer."""

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from concordat.officers import METHODS
from governance.models.institution import Institution
from governance.models.people import OfficerProfile
from governance.models.study import Study
from ledger.triggers import append_only


def new_nonce() -> str:
    """256 random bits, base64url."""
    return secrets.token_urlsafe(32)


class SigningChallenge(models.Model):
    """What an officer was asked to sign. It serves one officer, once, for a few minutes.

    `act` and `fields` say what the signature does; they are empty where it signs no record, as when signing in.
    """

    nonce = models.CharField(max_length=64, unique=True, default=new_nonce)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    act = models.CharField(max_length=32, blank=True)
    fields = models.JSONField(default=dict)
    identifier = models.UUIDField(default=uuid.uuid4, help_text="What the act may name what it makes.")
    statement = models.JSONField()
    credential = models.CharField(max_length=1400, blank=True, help_text="The passkey that is asked; empty: a new one.")
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"challenge until {self.expires:%Y-%m-%d %H:%M:%SZ}"


@append_only
class Signature(models.Model):
    """An officer's signature on a record: who, when, and what it means (21 CFR 11.50), bound to the record's digest
    (11.70) so that it cannot be carried over to another: a changed record has no signature."""

    officer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="signatures")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="signatures")
    study = models.ForeignKey(Study, null=True, on_delete=models.PROTECT, related_name="signatures")
    printed_name = models.CharField(max_length=200)
    role = models.CharField(max_length=24)
    meaning = models.CharField(max_length=32)
    record_kind = models.CharField(max_length=32)
    record = models.CharField(max_length=71, db_index=True, help_text="Digest of the signed record.")
    document = models.JSONField(help_text="The signed record.")
    signed = models.DateTimeField()
    method = models.CharField(max_length=24, choices=[(method, method) for method in METHODS])
    statement = models.JSONField(help_text="What the passkey's challenge is the digest of.")
    assertion = models.JSONField(help_text="The passkey's answer; empty without one.")

    class Meta:
        ordering = ("-signed", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(method="totp", assertion={}) | (~Q(method="totp") & ~Q(assertion={})),
                name="governance_a_passkey_signature_has_its_assertion",
            ),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}, {self.signed:%Y-%m-%d %H:%M:%SZ}: {self.meaning}"

    @property
    def verifiable(self) -> bool:
        """Whether anybody can verify it off line; if not, it is attested by the coordinator."""
        return self.method == "passkey"

    @property
    def evidence(self) -> dict[str, object]:
        """Statement and answer, as the log keeps them."""
        return {"statement": self.statement, "assertion": self.assertion}
