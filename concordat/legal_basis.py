"""On which legal ground an institution uses records for one purpose, and what that ground asks for."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, Slug, Text
from concordat.reasons import Reason, Refused


class Ground(StrEnum):
    """What makes a use lawful; what each of them needs is checked at every request."""

    CONSENT = "consent"
    WAIVER = "waiver"
    EXEMPT = "exempt"
    CARE = "care"
    PUBLIC_HEALTH_EMERGENCY = "public-health-emergency"


@with_config(STRICT)
class Gdpr(TypedDict):
    """The letters of GDPR Article 6(1) and Article 9(2) that a use rests on."""

    article6: Literal["a", "b", "c", "d", "e", "f"]
    article9: Literal["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]


@with_config(STRICT)
class Basis(TypedDict):
    """One institution's ground for one purpose. `gdpr` stands where the institution is under that law, else null."""

    institution: Slug
    purpose: Slug
    ground: Annotated[Ground, Field(strict=False)]
    gdpr: Gdpr | None
    note: Text


def check_bases(
    bases: Sequence[Basis], *, requesters: Sequence[str], sites: Sequence[str], purposes: Sequence[str]
) -> None:
    """Each requester has one ground for each purpose; another site may have one, for rows of its own patients that it
    brings. Raises Refused(FIELD_INVALID), naming the field."""
    stated = [(basis["institution"], basis["purpose"]) for basis in bases]
    needed = [(requester, purpose) for requester in requesters for purpose in purposes]
    allowed = {*needed, *((site, purpose) for site in sites for purpose in purposes)}
    for place, pair in enumerate(stated):
        if pair not in allowed or stated.count(pair) > 1:
            detail = "A basis is for a requester or site and a purpose of the protocol, and there is one for each."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"bases.{place}")
    for institution, purpose in needed:
        if (institution, purpose) not in stated:
            detail = f"On which legal ground {institution} uses records for “{purpose}” is not stated."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="bases")


def basis_of(bases: Sequence[Basis], *, institution: str, purpose: str) -> Basis:
    """The ground of this institution for this purpose. Raises Refused(LEGAL_BASIS_MISSING)."""
    for basis in bases:
        if (basis["institution"], basis["purpose"]) == (institution, purpose):
            return basis
    detail = f"The protocol states no ground on which {institution} uses data for “{purpose}”."
    raise Refused(Reason.LEGAL_BASIS_MISSING, detail=detail, field="purpose")
