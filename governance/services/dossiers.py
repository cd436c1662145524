"""Who reads the dossier of a decision, in which form, and how much of what is private in it is theirs to see."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.core import signing

from concordat import canonical, clock, record_number
from concordat.matters import closing
from concordat.reasons import Reason, Refused
from concordat.verifier import verify
from concordat.verifier.forms import FORMS
from governance import matters, selectors
from governance.models import Institution, Matter
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
    matter: str = ""

    @cached_property
    def answer(self) -> Mapping[str, Any]:
        return verify(self.data).to_json()

    @cached_property
    def moment(self) -> Moment:
        return Moment.of(self.data)

    @property
    def seen(self) -> str:
        """What its reader hands back for files of just this one; signed, since the moment's content is believed."""
        said = {
            "number": self.number,
            "digest": canonical.digest(self.data),
            "moment": asdict(self.moment),
            "matter": self.matter,
        }
        return signing.dumps(said, salt=_SEEN, compress=True)


def hand_out(*, by: User, number: str, form: str = PAGE, seen: str = "", matter: str = "") -> Dossier:
    """The dossier of the decision with this record number, for whoever may read it now (`governance.matters`). It opens
    what the reader's institution was given when the decision was made; in a matter, not what is marked there as
    privileged, and it says under which authority it is read. That it was read is recorded, and for which institution.

    Args:
        form: what the reader gets of it: the page, the bundle, or one of `concordat.verifier.forms`.
        seen: of the dossier that the reader has before them, so that a file is of just that one, in the same matter;
            else one of now.
        matter: the one in which it is read (its UUID), where several let the reader.

    Raises:
        Refused: RECORD_NUMBER_INVALID; NOT_FOUND for what is no decision; what :func:`matters.check_may_read` refuses;
            FIELD_INVALID for another form, or for what was never handed out; CONFLICT if what was opened in the one
            that was seen is erased or privileged by now; what :func:`ledger.services.dossiers.hand_out` refuses.
    """
    if form not in (PAGE, BUNDLE, *FORMS):
        raise Refused(Reason.FIELD_INVALID, detail="A dossier has no such form.", field="form")
    decided = collect.decision(record_number.parse(number))
    before = _before(seen, decided.record_number) if seen else None
    right = matters.check_may_read(by, decided, clock.now(), matter=before.get("matter", "") if before else matter)
    # They read for one institution, the one that was given most: what it was given, the others were given no more of.
    acting = max(right.institutions, key=lambda each: (len(seen_by(each, decided)), each.slug))
    data = dossiers.hand_out(
        number=decided.record_number,
        role=right.role,
        reader=str(by.officer.uuid),
        institution=acting.slug,
        disclose=opened_to(acting, right.matter, decided),
        form=form,
        moment=Moment(**before["moment"]) if before else None,
        under=right.under,
    )
    found = Dossier(decided.record_number, data, matter=str(right.matter.uuid) if right.matter else "")
    if before and canonical.digest(found.data) != before["digest"]:
        detail = (
            "It is not the one that you opened any more: something in it was erased or is privileged, or your right "
        )
        detail += "is another."
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


def opened_to(institution: Institution, matter: Matter | None, decided: LogEntry) -> set[str]:
    """The private fields of the decision's entries that are opened to a reader: what their institution was given, but
    for what is marked as privileged in the matter."""
    given = set(seen_by(institution, decided))
    if matter is None:
        return given
    marked = matters.marks(matter).filter(decision__index=decided.index).values_list("part", flat=True)
    return given - closing(marked)


def seen_by(institution: Institution, decided: LogEntry) -> tuple[str, ...]:
    """The private fields that an institution was given when the decision was made."""
    if decided.public["institution"] == institution.slug:
        return SEEN_BY_REQUESTER
    content = selectors.definition(str(decided.public["definition"])).content
    return SEEN_BY_NODES if institution.slug in (*content["parties"], content["dealer"]) else ()
