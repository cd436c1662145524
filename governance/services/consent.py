"""Consent is given and withdrawn, and lapses, by statements that the institution signs for the person."""

from collections.abc import Mapping
from typing import Any
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
            RECONSENT_NEEDED where another signed for a person who decides for themself; FIELD_INVALID where another
            signed and the protocol takes no such people; PURPOSE_NOT_ALLOWED for a purpose beyond the protocol;
            CONFLICT for a known identifier with other content.
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
    statements.check_reconsent(statement, now)
    version = study.in_force
    if version is None or not set(statement["purposes"]) <= set(version.content["purposes"]):
        raise Refused(Reason.PURPOSE_NOT_ALLOWED, detail="The protocol has no such purpose.", field="purposes")
    _check_signer(institution, statement, version.content)
    consent = Consent.objects.create(
        uuid=statement["consent"],
        subject=statement["subject"],
        study=study,
        institution=institution,
        purposes=list(statement["purposes"]),
        signer=statement["signer"]["capacity"],
        reconsent=clock.parse(statement["reconsent"]["on"]) if statement["reconsent"] else None,
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
    consent = _locked(institution, statement["institution"], statement["consent"])
    if consent.withdrawn is not None:
        return consent
    consent.withdrawn, consent.withdrawal = clock.now(), token
    return _end(consent, Event.CONSENT_WITHDRAWN, token)


@transaction.atomic
def lapse(*, institution: Institution, token: str) -> Consent:
    """End a consent that another signed, because the person has come of age or decides for themself again. From now on
    only the person's own consent is taken. Twice is no harm.

    Raises:
        Refused: what :func:`concordat.consent.read_capacity` refuses; WRONG_INSTITUTION for another's statement;
            NOT_FOUND for a consent that the institution has not handed in; ERASED; CONFLICT for a consent that the
            person signed.
    """
    statement = statements.read_capacity(token, selectors.keyring())
    institutions.lock(institution)  # no consent by another slips in beside
    consent = _locked(institution, statement["institution"], statement["consent"])
    if consent.lapsed is not None:
        return consent
    if consent.signer == "self":
        raise Refused(Reason.CONFLICT, detail="The person signed this consent; it does not lapse.", field="consent")
    consent.lapsed, consent.lapse = clock.now(), token
    return _end(consent, Event.CONSENT_LAPSED, token)


def forget(*, institution: str, subject: UUID) -> None:
    """Blank the person's consents: their identifiers, digests and times stay, which tell of nobody."""
    consents = Consent.objects.filter(institution__slug=institution, subject=subject)
    consents.update(
        subject=None, statement="", withdrawal="", lapse="", signer="", reconsent=None, epoch=F("epoch") + 1
    )


def _locked(institution: Institution, named: str, uuid: str) -> Consent:
    """The institution's own consent, locked, that a statement is about."""
    _check_own(institution, named)
    consent = (
        Consent.objects.select_for_update(of=("self",))
        .select_related("study", "institution")
        .filter(uuid=uuid, institution=institution)
        .first()
    )
    if consent is None:
        raise Refused(Reason.NOT_FOUND, field="consent")
    return consent


def _end(consent: Consent, event: Event, token: str) -> Consent:
    """Nothing is computed or released on the strength of the consent any more; what runs is withheld."""
    if consent.subject is None:
        raise Refused(Reason.ERASED, field="consent")
    consent.epoch += 1
    consent.save()
    record(
        event=event,
        public={
            "study": consent.study.slug,
            "institution": consent.institution.slug,
            "consent": str(consent.uuid),
            "epoch": consent.epoch,
        },
        private={"subject": str(consent.subject), "statement": token},
        subject=consent.subject,
    )
    return consent


_TAKEN = {"parent": "minors", "representative": "adults-without-capacity"}
"""For whom others sign, in the words of the protocol's population."""


def _check_signer(institution: Institution, statement: statements.Consent, protocol: Mapping[str, Any]) -> None:
    capacity = statement["signer"]["capacity"]
    if capacity == "self":
        return
    if _TAKEN[capacity] not in protocol["population"]:
        detail = f"The protocol does not take {_TAKEN[capacity]}, for whom a {capacity} would sign."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="signer.capacity")
    known = Consent.objects.filter(institution=institution, subject=statement["subject"])
    if known.exclude(lapsed=None).exists():
        raise Refused(Reason.RECONSENT_NEEDED, field="signer.capacity")


def _check_own(institution: Institution, named: str) -> None:
    if named != institution.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The statement is another institution's.", field="institution")
