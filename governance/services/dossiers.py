"""Who reads the dossier of a decision, in which form, and how much of what is private in it is theirs to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User

from concordat import canonical, record_number
from concordat.reasons import Reason, Refused
from concordat.verifier import bundle, verify
from concordat.verifier.forms import FORMS
from governance import permissions, selectors
from governance.models import Institution, Membership
from governance.permissions import Verb
from ledger.dossier import collect
from ledger.models import LogEntry
from ledger.services import dossiers

SEEN_BY_NODES = ("subject", "request_statement", "consent", "statement")
"""Private fields that stand in the request, which every node of the job was given."""

SEEN_BY_REQUESTER = (*SEEN_BY_NODES, "display")

PAGE, BUNDLE = "page", "bundle"
"""Forms besides those of `concordat.verifier.forms`."""


@dataclass(frozen=True)
class Dossier:
    """A bundle as it was handed out, and what the verifier concludes from it off line, without a disclosure."""

    number: str
    data: bytes

    @cached_property
    def answer(self) -> Mapping[str, Any]:
        return verify(self.data).to_json()

    @property
    def size(self) -> int:
        """Of the head of the log under which it stands."""
        return int(canonical.decode(bundle.unpack(self.data)["proofs.json"])["size"])

    @property
    def digest(self) -> str:
        return canonical.digest(self.data)


def hand_out(*, by: User, number: str, form: str = PAGE, size: int | None = None, digest: str = "") -> Dossier:
    """The dossier of the decision with this record number, for whoever may read it at an institution that takes part
    in its study. It opens what that institution was given when the decision was made. That it was read is recorded.

    Args:
        form: what the reader gets of it: the page, the bundle, or one of `concordat.verifier.forms`.
        size, digest: of the bundle that the reader has before them, so that a file is of just that one.

    Raises:
        Refused: RECORD_NUMBER_INVALID; NOT_FOUND for what is no decision, or one of a study without an institution of
            theirs; ROLE_MISSING; FIELD_INVALID for another form; CONFLICT if there is more to say by now than stood in
            the bundle of that digest; what :func:`ledger.services.dossiers.hand_out` refuses.
    """
    if form not in (PAGE, BUNDLE, *FORMS):
        raise Refused(Reason.FIELD_INVALID, detail="A dossier has no such form.", field="form")
    decided = collect.decision(record_number.parse(number))
    taking_part = selectors.institutions_in(str(decided.public["study"])).filter(memberships__user=by).distinct()
    if not taking_part:
        raise Refused(Reason.NOT_FOUND, field="record")
    allowed = [each for each in taking_part if permissions.may(by, Verb.READ_DOSSIER, each)]
    if not allowed:
        permissions.check_may(by, Verb.READ_DOSSIER, taking_part[0])
    data = dossiers.hand_out(
        number=decided.record_number,
        role=sorted(permissions.roles_at(by, allowed[0]) & permissions.HOLDERS[Verb.READ_DOSSIER])[0],
        reader=str(by.officer.uuid),
        disclose={field for each in allowed for field in _seen_by(each, decided)},
        form=form,
        size=size,
    )
    found = Dossier(decided.record_number, data)
    if digest and found.digest != digest:
        detail = "The dossier has changed since you opened it: an anchor was mined, say, or a person was erased."
        raise Refused(Reason.CONFLICT, detail=f"{detail} Open it again, and download from there.", field="digest")
    return found


def may_read_some(user: User) -> bool:
    """Whether this person reads dossiers at any institution of theirs; which, `hand_out` decides."""
    return Membership.objects.filter(user=user, role__in=permissions.HOLDERS[Verb.READ_DOSSIER]).exists()


def _seen_by(institution: Institution, decided: LogEntry) -> tuple[str, ...]:
    if decided.public["institution"] == institution.slug:
        return SEEN_BY_REQUESTER
    content = selectors.definition(str(decided.public["definition"])).content
    return SEEN_BY_NODES if institution.slug in (*content["parties"], content["dealer"]) else ()
