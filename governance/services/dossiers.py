"""Who reads the dossier of a decision, in which form, and how much of what is private in it is theirs to see."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.core import signing

from concordat import canonical, record_number
from concordat.reasons import Reason, Refused
from concordat.verifier import verify
from concordat.verifier.forms import FORMS
from governance import permissions, selectors
from governance.models import Institution, Membership
from governance.permissions import Verb
from ledger.dossier import Moment, collect
from ledger.models import LogEntry
from ledger.services import dossiers

SEEN_BY_NODES = ("subject", "request_statement", "consent", "statement")
"""Private fields that stand in the request, which every node of the job was given."""

SEEN_BY_REQUESTER = (*SEEN_BY_NODES, "display")

PAGE, BUNDLE = "page", "bundle"
"""Forms besides those of `concordat.verifier.forms`."""

SEEN_FOR = timedelta(days=1)
"""How long files of a page that was opened can be had."""

_SEEN = "governance.dossiers.seen"


@dataclass(frozen=True)
class Dossier:
    """A bundle as it was handed out, and what the verifier concludes from it off line, without a disclosure."""

    number: str
    data: bytes

    @cached_property
    def answer(self) -> Mapping[str, Any]:
        return verify(self.data).to_json()

    @cached_property
    def moment(self) -> Moment:
        return Moment.of(self.data)

    @property
    def seen(self) -> str:
        """What its reader hands back for files of just this one; signed, since the moment's content is believed."""
        said = {"number": self.number, "digest": canonical.digest(self.data), "moment": asdict(self.moment)}
        return signing.dumps(said, salt=_SEEN, compress=True)


def hand_out(*, by: User, number: str, form: str = PAGE, seen: str = "") -> Dossier:
    """The dossier of the decision with this record number, for whoever may read it at an institution that takes part
    in its study. It opens what that institution was given when the decision was made. That it was read is recorded,
    in the role that this person holds there.

    Args:
        form: what the reader gets of it: the page, the bundle, or one of `concordat.verifier.forms`.
        seen: of the dossier that the reader has before them, so that a file is of just that one; else one of now.

    Raises:
        Refused: RECORD_NUMBER_INVALID; NOT_FOUND for what is no decision, or one of a study without an institution of
            theirs; ROLE_MISSING; FIELD_INVALID for another form, or for what was never handed out; CONFLICT if what was
            opened in the one that was seen is erased by now; what :func:`ledger.services.dossiers.hand_out` refuses.
    """
    if form not in (PAGE, BUNDLE, *FORMS):
        raise Refused(Reason.FIELD_INVALID, detail="A dossier has no such form.", field="form")
    decided = collect.decision(record_number.parse(number))
    before = _before(seen, decided.record_number) if seen else None
    taking_part = selectors.institutions_in(str(decided.public["study"])).filter(memberships__user=by).distinct()
    if not taking_part:
        raise Refused(Reason.NOT_FOUND, field="record")
    allowed = [each for each in taking_part if permissions.may(by, Verb.READ_DOSSIER, each)]
    if not allowed:
        permissions.check_may(by, Verb.READ_DOSSIER, taking_part[0])
    # They read for one institution, the one that was given most: what it was given, the others were given no more of.
    acting = max(sorted(allowed, key=lambda each: each.slug), key=lambda each: len(_seen_by(each, decided)))
    data = dossiers.hand_out(
        number=decided.record_number,
        role=sorted(permissions.roles_at(by, acting) & permissions.HOLDERS[Verb.READ_DOSSIER])[0],
        reader=str(by.officer.uuid),
        institution=acting.slug,
        disclose=_seen_by(acting, decided),
        form=form,
        moment=Moment(**before["moment"]) if before else None,
    )
    found = Dossier(decided.record_number, data)
    if before and canonical.digest(found.data) != before["digest"]:
        detail = "It is not the one that you opened any more: something in it was erased, or your role is another."
        raise Refused(Reason.CONFLICT, detail=f"{detail} Open it again, and download from there.", field="seen")
    return found


def _before(seen: str, number: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = signing.loads(seen, salt=_SEEN, max_age=SEEN_FOR)
    except signing.BadSignature:
        said = {}
    if said.get("number") != number:
        detail = "It is too long ago that you opened it. Open it again, and download from there."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="seen")
    return said


def may_read_some(user: User) -> bool:
    """Whether this person reads dossiers at any institution of theirs; which, `hand_out` decides."""
    return Membership.objects.filter(user=user, role__in=permissions.HOLDERS[Verb.READ_DOSSIER]).exists()


def _seen_by(institution: Institution, decided: LogEntry) -> tuple[str, ...]:
    if decided.public["institution"] == institution.slug:
        return SEEN_BY_REQUESTER
    content = selectors.definition(str(decided.public["definition"])).content
    return SEEN_BY_NODES if institution.slug in (*content["parties"], content["dealer"]) else ()
