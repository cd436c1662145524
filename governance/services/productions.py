"""Productions: numbered copies of a matter's decisions, made once, kept as they were handed out.

The files are built before anything is written: building verifies them, which takes seconds, and nobody else could
record meanwhile. One transaction then takes the number, keeps the file and records its digest, or none of these;
whoever made another production meanwhile comes first, and this one is made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from concordat import canonical, clock, record_number
from concordat.events import Event
from concordat.matters import AUTHORITIES, CHOSEN, FIELDS, FILES, WHOLE, closing
from concordat.reasons import Reason, Refused
from concordat.verifier.paper import numbered
from governance import matters
from governance.matters import Right
from governance.models import Matter, MatterDecision, ProducedFile, Production, ProductionItem, Redaction
from governance.productions import contents
from governance.productions.contents import Contents
from governance.productions.plan import Closed, Head, Planned, Withheld
from governance.services import challenges
from governance.services.dossiers import seen_by
from governance.services.matters import lock, log
from ledger import dossier, vault
from ledger.dossier import collect
from ledger.models import LogEntry
from ledger.services.publish import publish
from ledger.services.record import record

MOST_AT_ONCE = 10
"""Decisions in one production: each takes a second or two, and whoever asked for it waits."""

Choices = Mapping[str, Mapping[str, str]]
"""By record number, the fields to redact and the ground for each."""


@dataclass(frozen=True)
class _Plan:
    """All that decides what is in a production; made once before it is built, and again before it is kept."""

    head: Head
    planned: tuple[Planned, ...]
    right: Right


def make(*, by: User, matter: Matter, choices: Choices) -> Production:
    """Make the next production of the decisions that are chosen. What is marked as privileged is redacted or withheld,
    and so is whatever is another institution's to disclose.

    Args:
        choices: the decisions, and which of their fields to redact besides, on which ground.

    Raises:
        Refused: NOT_FOUND, ROLE_MISSING, WRONG_STATE, GRANT_MISSING; FIELD_MISSING for no decision; FIELD_INVALID for
            an unknown field or ground, too many decisions, or if nothing is left to hand out; CONFLICT if the matter
            was changed, or another production made, while this one was built.
    """
    matter, now = matters.seen(by, matter.uuid, clock.now()), clock.now()
    plan = _plan(by, matter, choices, now)
    publish()  # what opened the matter stands under the log's head
    made = contents.assemble(plan.head, plan.planned, lambda each: _bundle(each, plan.right))
    return _keep(by=by, matter=matter, choices=choices, plan=plan, made=made, now=now)


@transaction.atomic
def hand_out(*, by: User, matter: Matter, number: int) -> tuple[Production, bytes]:
    """The file of a production, as it was made, to a reviewer who works in the matter now. That it was taken is
    recorded.

    Raises:
        Refused: NOT_FOUND, ROLE_MISSING, WRONG_STATE, GRANT_MISSING; ERASED once the matter's key is destroyed.
    """
    matter = lock(by, matter)
    matters.check_works_in(by, matter, clock.now())
    found = matter.productions.select_related("file").filter(number=number).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="The matter has no production of this number.", field="production")
    content = vault.unseal_file(_key(matter, found.uuid), found.uuid, bytes(found.file.sealed))
    if canonical.digest(content) != found.digest:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The file that was kept is not the one that was produced.")
    record(
        event=Event.PRODUCTION_TAKEN,
        public={"matter": str(matter.uuid)},
        private={"production": number, "digest": found.digest, "reader": str(challenges.officer_of(by).uuid)},
        subject=matter.uuid,
        holder=matter.institution.slug,
    )
    return found, content


@transaction.atomic
def _keep(*, by: User, matter: Matter, choices: Choices, plan: _Plan, made: Contents, now: datetime) -> Production:
    matter = lock(by, matter)
    matters.check_works_in(by, matter, clock.now())
    if _plan(by, matter, choices, now) != plan:
        detail = "The matter was changed, or another production was made, meanwhile. Make this one again."
        raise Refused(Reason.CONFLICT, detail=detail, field="matter")
    production = Production.objects.create(
        uuid=uuid4(),
        matter=matter,
        number=plan.head.number,
        first=plan.head.first,
        last=made.items[-1].last,
        digest=made.digest,
        made_by=challenges.officer_of(by),
        made=now,
    )
    of = {each.index: each for each in matter.decisions.all()}
    sealed = vault.seal_file(_key(matter, production.uuid), production.uuid, made.data)
    ProducedFile.objects.create(production=production, sealed=sealed)
    ProductionItem.objects.bulk_create(
        ProductionItem(
            production=production,
            decision=of[item.index],
            form=item.form,
            name=item.name,
            first=item.first,
            last=item.last,
            digest=item.digest,
        )
        for item in made.items
    )
    Redaction.objects.bulk_create(
        Redaction(
            production=production,
            number=line.number,
            decision=of[line.index],
            field=line.field,
            ground=line.ground,
            mark_id=line.mark,
        )
        for line in made.lines
    )
    log(
        Event.PRODUCTION_MADE,
        matter,
        by,
        {
            "production": production.number,
            "numbers": [numbered(matter.prefix, production.first), numbered(matter.prefix, production.last)],
            "digest": production.digest,
            "records": sorted({item.record for item in made.items}),
            "opened": {each.record: sorted(each.opened) for each in plan.planned if each.files},
        },
    )
    return production


def redactable(matter: Matter, decision: MatterDecision) -> tuple[str, ...]:
    """The fields of a decision that a production could open, and so can redact by choice."""
    decided = collect.decision(decision.index)
    if decided.public["institution"] != matter.institution.slug:
        return ()
    marked = closing(matters.marks(matter).filter(decision=decision).values_list("part", flat=True))
    return tuple(each for each in _held(matter, decided) if each not in marked)


def _held(matter: Matter, decided: LogEntry) -> tuple[str, ...]:
    """The institution's private fields of a decision that its dossier has, in the order of `FIELDS`."""
    there = {field for entry in collect.entries(decided) for field in entry.commitments}
    given = set(seen_by(matter.institution, decided))
    return tuple(each for each in FIELDS if each in given & there)


def _plan(by: User, matter: Matter, choices: Choices, now: datetime) -> _Plan:
    matters.check_works_in(by, matter, now)
    if not choices:
        raise Refused(Reason.FIELD_MISSING, detail="Choose at least one decision.", field="records")
    if len(choices) > MOST_AT_ONCE:
        detail = f"At most {MOST_AT_ONCE} decisions at once; the next production's numbers go on from this one's."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="records")
    planned = []
    right = Right(matters.BY_GRANT, (matter.institution,), matter)
    for index, chosen in sorted({record_number.parse(number): each for number, each in choices.items()}.items()):
        decision = matters.decision_of(matter, index)
        decided = collect.decision(decision.index)
        right = matters.check_may_read(by, decided, now, matter=str(matter.uuid))
        planned.append(_one(matter, decision, decided, chosen))
    if not any(each.files for each in planned):
        detail = "All of it is withheld: there is nothing to hand out."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="records")
    return _Plan(_head(matter, now), tuple(planned), right)


def _one(matter: Matter, decision: MatterDecision, decided: LogEntry, chosen: Mapping[str, str]) -> Planned:
    for field, ground in chosen.items():
        if field not in FIELDS or ground not in CHOSEN:
            detail = "A redaction is of a private field, on one of the grounds that are offered."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=field if field in FIELDS else "field")
    held = _held(matter, decided)
    own = decided.public["institution"] == matter.institution.slug
    marked = {each.part: each for each in matters.marks(matter).filter(decision=decision).order_by("pk")}
    why = {field: Closed(field, mark.ground, mark.pk) for field, mark in marked.items() if field in FIELDS}
    why |= {field: Closed(field, chosen.get(field, "other-holder")) for field in held if field not in why and not own}
    why |= {field: Closed(field, ground) for field, ground in chosen.items() if field not in why}
    # What holds a closed field is closed with it, on the same ground.
    holders = {holder: replace(closed, field=holder) for field, closed in why.items() for holder in closing([field])}
    closed = [(holders | why)[field] for field in held if field in holders]
    return Planned(
        record=decision.record,
        index=decision.index,
        time=clock.rfc3339(decided.time),
        requester=str(decided.public["institution"]),
        opened=frozenset(held) - {each.field for each in closed},
        closed=tuple(closed),
        withheld=tuple(
            Withheld(part, mark.ground, mark.pk) for part, mark in marked.items() if part in (WHOLE, *FILES)
        ),
    )


def _head(matter: Matter, now: datetime) -> Head:
    last = matter.productions.order_by("number").last()
    institution = matter.institution
    return Head(
        matter=str(matter.uuid),
        institution=institution.slug,
        institution_name=institution.name,
        jurisdiction=institution.jurisdiction,
        title=matter.title,
        docket=matter.docket,
        party=matter.party,
        authority=AUTHORITIES[matter.kind],
        dated=matter.dated.isoformat(),
        protective_order=matter.protective_order,
        prefix=matter.prefix,
        number=last.number + 1 if last else 1,
        first=last.last + 1 if last else 1,
        made=clock.rfc3339(now),
        log=settings.LOG_ORIGIN,
        bases={each.pk: (each.basis, f"{each.marked:%Y-%m-%d}") for each in matters.marks(matter)},
    )


def _bundle(each: Planned, right: Right) -> bytes:
    return dossier.build(each.index, disclose=each.opened, under=right.under)


def _key(matter: Matter, of: UUID) -> bytes:
    return vault.entry_key(matter.institution.slug, matter.uuid, of)
