"""Institutions come in with their keys, change them, and say whose passkeys speak for them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from concordat import clock, enrolment
from concordat.canonical import digest
from concordat.client_keys import thumbprints
from concordat.events import Event
from concordat.fields import plain
from concordat.key_change import check_issued
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, peek
from governance import selectors
from governance.models import Institution, InstitutionKey, KeyChange, Roster
from ledger.services.record import record

Kind = InstitutionKey.Kind


@transaction.atomic
def enrol(*, token: str) -> Institution:
    """Take in an institution by its signed enrolment, which proves that it holds its keys. Saying it twice is no harm.

    Args:
        token: the enrolment (JWS); signed by its own identity key and endorsed by its offline key.

    Raises:
        Refused: what :func:`concordat.enrolment.verify_enrolment` refuses; CONFLICT if the name or one of the keys is
            taken.
    """
    verified = enrolment.verify_enrolment(token)
    document = verified.document
    known = Institution.objects.filter(slug=document["institution"]).first()
    if known is not None:
        if known.enrolment == token:
            return known
        raise Refused(Reason.CONFLICT, detail="An institution of this name is enrolled.", field="institution")
    keys = document["keys"]
    public: dict[str, Any] = dict(plain(keys))
    ids = {kind: enrolment.public_key_id(kind.value, public[kind]) for kind in Kind}
    _check_free(public, field="keys")
    now = clock.now()
    institution = Institution.objects.create(
        slug=document["institution"],
        name=document["name"],
        jurisdiction=document["jurisdiction"],
        roles=list(document["roles"]),
        enrolment=token,
        enrolled=now,
    )
    InstitutionKey.objects.bulk_create(
        InstitutionKey(institution=institution, kind=kind, public=public[kind], key_id=ids[kind], enrolled=now)
        for kind in ids
    )
    record(
        event=Event.INSTITUTION_ENROLLED,
        public={"institution": institution.slug, "jurisdiction": institution.jurisdiction},
        documents={"enrolment": token},
    )
    return institution


def lock(institution: Institution) -> None:
    """Whoever else locks this institution waits until the caller's transaction has ended."""
    # Not its key: rows that merely refer to it may still be written, or two transactions could wait for each other.
    Institution.objects.select_for_update(no_key=True).get(pk=institution.pk)


@transaction.atomic
def change_key(*, token: str) -> KeyChange:
    """Replace or revoke one of an institution's keys, as its offline key signed it. Saying it twice is no harm.

    Who hands the document in does not matter: whoever must revoke a stolen client key cannot sign in with it.

    Raises:
        Refused: NOT_FOUND for an institution that is not enrolled; what :meth:`concordat.key_change.KeyHistory.after`
            refuses; FIELD_INVALID for a change from the future; CONFLICT for a key of another institution.
    """
    _, payload = peek(token)
    institution = selectors.institution(str(payload.get("institution", "")))
    known = KeyChange.objects.filter(institution=institution, statement=token)
    if (done := known.first()) is not None:
        return done
    selectors.key_history(institution).after(token)  # before the lock, so that rubbish holds nobody up
    lock(institution)
    if (done := known.first()) is not None:
        return done
    change = selectors.key_history(institution).after(token).changes[-1]
    document, kind = change.document, Kind(change.kind)
    check_issued(token, clock.now())
    successor = document["key"]
    if successor is not None:
        _check_free({kind.value: successor}, field="key", but=institution)
    entry = record(
        event=Event.KEY_CHANGED,
        public={
            "institution": institution.slug,
            "kind": kind.value,
            "ground": document["ground"],
            "sequence": document["sequence"],
        },
        documents={"change": token},
    )
    institution.keys.filter(kind=kind, revoked=None).update(revoked=entry.time, ground=document["ground"])
    if successor is not None:
        InstitutionKey.objects.create(
            institution=institution,
            kind=kind,
            public=successor,
            key_id=enrolment.public_key_id(kind.value, successor),
            enrolled=entry.time,
        )
    return KeyChange.objects.create(
        institution=institution,
        sequence=document["sequence"],
        kind=kind,
        ground=document["ground"],
        statement=token,
        digest=digest(token.encode()),
        entry=entry.index,
    )


@transaction.atomic
def publish_roster(*, token: str) -> Roster:
    """Put a roster in force, as the institution's offline key signed it. Saying it twice is no harm.

    Raises:
        Refused: NOT_FOUND for an institution that is not enrolled; what :func:`concordat.enrolment.verify_roster`
            refuses; CONFLICT for a version that is not higher than the one in force.
    """
    _, payload = peek(token)
    institution = selectors.institution(str(payload.get("institution", "")))
    lock(institution)
    offline = VerifyKey.from_b64(str(selectors.key_history(institution).need("offline").public))
    document = enrolment.verify_roster(token, institution=institution.slug, offline=offline).document
    highest = institution.rosters.order_by("-version").first()
    if highest is not None and document["version"] <= highest.version:
        if highest.statement == token:
            return highest
        raise Refused(
            Reason.CONFLICT, detail=f"There is a version {highest.version}; a new one is higher.", field="version"
        )
    roster = Roster.objects.create(
        institution=institution,
        version=document["version"],
        officers=[dict(officer) for officer in document["officers"]],
        statement=token,
        digest=digest(token.encode()),
        issued=clock.parse(document["issued"]),
    )
    record(
        event=Event.ROSTER_PUBLISHED,
        public={"institution": institution.slug, "version": roster.version},
        documents={"roster": token},
    )
    return roster


def _check_free(public: Mapping[str, Any], *, field: str, but: Institution | None = None) -> None:
    """Raises Refused(CONFLICT) if a key is there already, or one that signs in is another institution's than `but`.

    Args:
        public: the public halves, by kind.
    """
    ids = [enrolment.public_key_id(kind, key) for kind, key in public.items()]
    taken = InstitutionKey.objects.filter(key_id__in=ids).exists()
    if not taken and (client := public.get(Kind.CLIENT)) is not None:
        others = InstitutionKey.objects.filter(kind=Kind.CLIENT).exclude(institution=but)
        taken = any(thumbprints(client) & thumbprints(key.public) for key in others)
    if taken:
        raise Refused(Reason.CONFLICT, detail="One of the keys belongs to another institution.", field=field)
