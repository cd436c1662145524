"""Officers: a Django user each, with a printed name, memberships and passkeys."""

import uuid

from django.conf import settings
from django.db import models

from governance.models.institution import Institution


class OfficerProfile(models.Model):
    """What an officer signs as. The UUID is what rosters and the log's commitments name."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="officer")
    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, help_text="The printed name of a signature (21 CFR 11.50).")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One role of one person at one institution."""

    class Role(models.TextChoices):
        INVESTIGATOR = "investigator", "Investigator"
        IRB_MEMBER = "irb-member", "IRB member"
        IRB_CHAIR = "irb-chair", "IRB chair"
        IRB_ADMINISTRATOR = "irb-administrator", "IRB administrator"
        DATA_STEWARD = "data-steward", "Data steward"
        INSTITUTION_ADMIN = "institution-admin", "Institution administrator"
        CLINICAL_OVERSIGHT = "clinical-oversight", "Clinical-oversight officer"
        CLINICIAN = "clinician", "Clinician"
        AUDITOR = "auditor", "Auditor"
        LEGAL_REVIEWER = "legal-reviewer", "Legal reviewer"
        REGULATOR = "regulator", "Regulator (reads)"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=24, choices=Role)
    since = models.DateTimeField()

    class Meta:
        ordering = ("institution", "user", "role")
        constraints = (
            models.UniqueConstraint(fields=("user", "institution", "role"), name="governance_membership_once"),
        )

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()} · {self.institution}"


class Passkey(models.Model):
    """A WebAuthn credential that an officer registered. It counts only once the institution's roster lists it."""

    officer = models.ForeignKey(OfficerProfile, on_delete=models.PROTECT, related_name="passkeys")
    credential = models.CharField(max_length=1400, unique=True, help_text="Credential id, base64url.")
    key = models.TextField(help_text="COSE public key, base64url.")
    registered = models.DateTimeField()

    class Meta:
        ordering = ("officer", "-registered")

    def __str__(self) -> str:
        return f"{self.officer} {self.credential[:12]}…"
