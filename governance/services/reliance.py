"""Relying on another institution's board (45 CFR 46.114): proposed by one, accepted by the other, both by signature;
and the local context that a relying site files."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock
from concordat import reliance as documents
from concordat.canonical import digest
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import Institution, LocalContext, RelianceAgreement, Signature, Study
from governance.notices import Notice
from governance.permissions import HOLDERS, Verb
from governance.services import institutions, notifications
from governance.services.signing import Act, Ask, Prepared
from governance.states import StudyState
from ledger.services.record import record


def _prepare_proposal(ask: Ask) -> Prepared:
    named = {
        side: selectors.institution(str(ask.fields.get(side, "")), field=side) for side in ("relying", "reviewing")
    }
    signing = _own_side(ask, named.values())
    document = {
        "v": 1,
        "agreement": str(ask.identifier),
        "relying": named["relying"].slug,
        "reviewing": named["reviewing"].slug,
        "study": str(ask.fields.get("study", "")),
        "responsibilities": ask.fields.get("responsibilities", ""),
        "starts": ask.fields.get("starts") or clock.rfc3339(ask.moment),
        "ends": ask.fields.get("ends", ""),
    }
    checked = documents.check(document)
    if clock.parse(checked["ends"]) <= ask.moment:
        raise Refused(Reason.FIELD_INVALID, detail="The agreement has ended before it begins.", field="ends")
    return _prepared(dict(plain(checked)), signing)


def _propose(ask: Ask, prepared: Prepared, signature: Signature) -> RelianceAgreement:
    document: Mapping[str, Any] = prepared.document
    agreement = RelianceAgreement.objects.create(
        uuid=ask.identifier,
        relying=selectors.institution(document["relying"]),
        reviewing=selectors.institution(document["reviewing"]),
        study=document["study"],
        starts=clock.parse(document["starts"]),
        ends=clock.parse(document["ends"]),
        document=dict(document),
        digest=signature.record,
    )
    agreement.signatures.add(signature)
    record(
        event=Event.RELIANCE_PROPOSED,
        public={
            "institution": prepared.institution.slug,
            "relying": agreement.relying.slug,
            "agreement": str(agreement.uuid),
        },
        private={"officer": str(signature.officer.uuid)},
        subject=signature.officer.uuid,
    )
    other = agreement.reviewing if prepared.institution == agreement.relying else agreement.relying
    notifications.tell(
        Notice.RELIANCE_WAITS,
        to=notifications.holders(other, *HOLDERS[Verb.RELY]),
        study=None,
        key=f"reliance {agreement.uuid}",
        sentence=f"An agreement was proposed for your signature: {agreement}.",
    )
    return agreement


def _prepare_acceptance(ask: Ask) -> Prepared:
    agreement = _agreement(ask.fields.get("agreement", ""))
    if agreement.agreed is not None or agreement.ended is not None:
        raise Refused(Reason.WRONG_STATE, detail="This agreement waits for nobody's signature.", field="agreement")
    if agreement.ends <= ask.moment:
        raise Refused(Reason.EXPIRED, detail="The time of this agreement is over.", field="agreement")
    signed = agreement.signatures.get().institution
    other = agreement.reviewing if signed == agreement.relying else agreement.relying
    permissions.check_may(ask.by, Verb.RELY, other)
    return _prepared(agreement.document, other)


def _accept(ask: Ask, prepared: Prepared, signature: Signature) -> RelianceAgreement:
    agreement = _agreement(ask.fields["agreement"])
    agreement.signatures.add(signature)
    agreement.agreed = clock.now()
    agreement.save(update_fields=["agreed"])
    notifications.mark_done(f"reliance {agreement.uuid}")
    record(
        event=Event.RELIANCE_AGREED,
        public={
            "institution": agreement.reviewing.slug,
            "relying": agreement.relying.slug,
            "agreement": str(agreement.uuid),
            "study": agreement.study,
        },
        documents={
            "agreement": agreement.document,
            "signatures": [each.evidence for each in agreement.signatures.order_by("pk")],
        },
    )
    return agreement


@transaction.atomic
def end(*, agreement: str, by: User) -> RelianceAgreement:
    """End an agreement; either side may, at any time. Studies that the site's own board has not approved stop for good:
    what runs under them is withheld, until another board has approved.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE for one that is not in force.
    """
    found = _agreement(agreement)
    signing = _own_side(Ask(by, {}, clock.now(), found.uuid), (found.relying, found.reviewing))
    if found.ended is not None:
        raise Refused(Reason.WRONG_STATE, detail="The agreement has ended already.", field="agreement")
    found.ended = clock.now()
    found.save(update_fields=["ended"])
    notifications.mark_done(f"reliance {found.uuid}")
    studies = Study.objects.select_for_update(no_key=True, of=("self",)).filter(
        sites=found.relying, state__in=[StudyState.APPROVED, StudyState.APPROVED_WITH_CONDITIONS]
    )
    relied = [study for study in studies if study.slug == (found.study or study.slug)] if found.agreed else []
    for study in relied:
        study.epoch += 1
        study.save(update_fields=["epoch"])
    record(
        event=Event.RELIANCE_ENDED,
        public={
            "institution": found.reviewing.slug,
            "relying": found.relying.slug,
            "agreement": str(found.uuid),
            "epoch": max((study.epoch for study in relied), default=0),
        },
        private={"officer": str(by.officer.uuid)},
        subject=by.officer.uuid,
    )
    other = found.reviewing if signing == found.relying else found.relying
    notifications.tell(
        Notice.RELIANCE_WAITS,
        to=notifications.holders(other, *HOLDERS[Verb.RELY]),
        study=None,
        key=f"reliance ended {found.uuid}",
        sentence=f"An agreement has ended: {found}.",
    )
    return found


def _prepare_context(ask: Ask) -> Prepared:
    study = selectors.locked_study(ask.by, str(ask.fields.get("study", "")))
    site = selectors.institution(str(ask.fields.get("site", "")), field="site")
    agreement = check_context(ask.by, study, site, ask.moment)
    pending = selectors.open_submission(study)
    version = pending.version if pending else study.in_force or study.versions.first()
    assert version is not None  # a study that is no draft has one
    document = {
        "v": 1,
        "study": study.slug,
        "site": site.slug,
        "board": agreement.reviewing.slug,
        "base": version.base,
        **{field: ask.fields.get(field, "") for field in ("law", "population", "resources", "contact")},
    }
    checked = dict(plain(documents.check_context(document)))
    if study.local_contexts.filter(digest=digest(checked)).exists():
        raise Refused(Reason.CONFLICT, detail="This very local context is filed already.")
    return Prepared("local-context", checked, "states", site, frozenset(HOLDERS[Verb.FILE_LOCAL_CONTEXT]), study)


def check_context(by: User, study: Study, site: Institution, now: datetime) -> RelianceAgreement:
    """Whether this person could file the site's local context now; the agreement under which the site relies.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE; RELIANCE_MISSING.
    """
    permissions.check_may(by, Verb.FILE_LOCAL_CONTEXT, site)
    permissions.check_takes_part(site, study)
    policies.check_state(study, Verb.FILE_LOCAL_CONTEXT, now)
    agreement = selectors.reliance(site, study.slug, now)
    if agreement is None:
        raise Refused(Reason.RELIANCE_MISSING, detail=f"{site} relies on no other board for this study.")
    return agreement


def _file_context(ask: Ask, prepared: Prepared, signature: Signature) -> LocalContext:
    study, document = prepared.study, prepared.document
    assert study is not None  # a local context is about a study
    board = selectors.institution(str(document["board"]))
    filed = LocalContext.objects.create(
        study=study,
        site=prepared.institution,
        board=board,
        base=document["base"],
        document=dict(document),
        digest=signature.record,
        signature=signature,
        filed=clock.now(),
    )
    record(
        event=Event.LOCAL_CONTEXT_FILED,
        public={"study": study.slug, "institution": prepared.institution.slug, "board": board.slug},
        private={"officer": str(signature.officer.uuid)},
        subject=signature.officer.uuid,
        documents={"context": dict(document), "signature": signature.evidence},
    )
    return filed


PROPOSE_RELIANCE = Act("propose-reliance", Verb.RELY, _prepare_proposal, _propose)
ACCEPT_RELIANCE = Act("accept-reliance", Verb.RELY, _prepare_acceptance, _accept)
FILE_LOCAL_CONTEXT = Act("file-local-context", Verb.FILE_LOCAL_CONTEXT, _prepare_context, _file_context)


def _prepared(document: Mapping[str, Any], institution: Institution) -> Prepared:
    return Prepared("reliance", document, "agrees", institution, frozenset(HOLDERS[Verb.RELY]))


def _own_side(ask: Ask, sides: Any) -> Institution:
    """Which of the two institutions this person speaks for. Raises Refused(WRONG_INSTITUTION or ROLE_MISSING)."""
    sides = list(sides)
    own = [side for side in sides if permissions.may(ask.by, Verb.RELY, side)]
    if not own:
        member = [side for side in sides if permissions.roles_at(ask.by, side)]
        permissions.check_may(ask.by, Verb.RELY, (member or sides)[0])
    return own[0]


def _agreement(uuid: object) -> RelianceAgreement:
    found = RelianceAgreement.objects.filter(uuid=selectors.as_uuid(uuid)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="There is no such agreement.", field="agreement")
    institutions.lock(found.relying)  # two copies of one signature queue here
    return RelianceAgreement.objects.select_related("relying", "reviewing").get(pk=found.pk)
