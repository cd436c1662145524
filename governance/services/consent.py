"""Consent is given and withdrawn by statements that the institution signs for the person."""

from uuid import UUID

from django.db import transaction
from django.db.models import F

from concordat import clock
from concordat import consent as statements
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import policies, selectors
from governance.models import Consent, Institution
from governance.permissions import Verb
from governance.services import institutions
from ledger.services.record import record


@transaction.atomic
def give(*, institution: Institution, token: str) -> Consent:
    """Keep a consent. The same one again is no harm.

    Args:
        institution: who hands it in; the statement must be its own.
        token: the signed consent (JWS).

    Raises:
        Refused: what :func:`concordat.consent.read_consent` refuses; WRONG_INSTITUTION for another's statement;
            NOT_FOUND for a study in which the institution takes no part; WRONG_STATE; CONSENT_EXPIRED; ERASED;
            PURPOSE_NOT_ALLOWED for a purpose beyond the protocol; CONFLICT for a known identifier with other content.
    """
    statement = statements.read_consent(token, selectors.keyring())
    _check_own(institution, statement["institution"])
    institutions.lock(institution)  # two copies of one consent queue here
    known = Consent.objects.filter(uuid=statement["consent"]).first()
    if known is not None:
        if known.subject is None:
            raise Refused(Reason.ERASED, field="consent")
        if known.statement == token:
            return known
        raise Refused(Reason.CONFLICT, field="consent")
    now = clock.now()
    study = selectors.study_of(institution, statement["study"])
    policies.check_state(study, Verb.CONSENT, now)
    if clock.parse(statement["until"]) <= now:
        raise Refused(Reason.CONSENT_EXPIRED, field="until")
    version = study.in_force
    if version is None or not set(statement["purposes"]) <= set(version.content["purposes"]):
        raise Refused(Reason.PURPOSE_NOT_ALLOWED, detail="The protocol has no such purpose.", field="purposes")
    consent = Consent.objects.create(
        uuid=statement["consent"],
        subject=statement["subject"],
        study=study,
        institution=institution,
        purposes=list(statement["purposes"]),
        given=clock.parse(statement["given"]),
        until=clock.parse(statement["until"]),
        digest=digest(token.encode()),
        statement=token,
    )
    record(
        event=Event.CONSENT_GIVEN,
        public={"study": study.slug, "institution": institution.slug, "consent": statement["consent"]},
        private={"subject": statement["subject"], "statement": token},
        subject=UUID(statement["subject"]),
    )
    return consent


@transaction.atomic
def withdraw(*, institution: Institution, token: str) -> Consent:
    """End a consent at once, whatever the study's state and whatever is running. Twice is no harm.

    Raises:
        Refused: what :func:`concordat.consent.read_withdrawal` refuses; WRONG_INSTITUTION for another's statement;
            NOT_FOUND for a consent that the institution has not handed in.
    """
    statement = statements.read_withdrawal(token, selectors.keyring())
    _check_own(institution, statement["institution"])
    consent = (
        Consent.objects.select_for_update(of=("self",))
        .select_related("study")
        .filter(uuid=statement["consent"], institution=institution)
        .first()
    )
    if consent is None:
        raise Refused(Reason.NOT_FOUND, field="consent")
    if consent.withdrawn is not None:
        return consent
    if consent.subject is None:
        raise Refused(Reason.ERASED, field="consent")
    consent.withdrawn = clock.now()
    consent.withdrawal = token
    consent.epoch += 1
    consent.save(update_fields=["withdrawn", "withdrawal", "epoch"])
    record(
        event=Event.CONSENT_WITHDRAWN,
        public={
            "study": consent.study.slug,
            "institution": institution.slug,
            "consent": str(consent.uuid),
            "epoch": consent.epoch,
        },
        private={"subject": str(consent.subject), "statement": token},
        subject=consent.subject,
    )
    return consent


def forget(*, institution: str, subject: UUID) -> None:
    """Blank the person's consents: their identifiers, digests and times stay, which tell of nobody."""
    consents = Consent.objects.filter(institution__slug=institution, subject=subject)
    consents.update(subject=None, statement="", withdrawal="", epoch=F("epoch") + 1)


def _check_own(institution: Institution, named: str) -> None:
    if named != institution.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The statement is another institution's.", field="institution")
