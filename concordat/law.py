"""Which law an institution is under, as far as a protocol has to say so."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from concordat.legal_basis import Basis, Ground
from concordat.reasons import Reason, Refused

EUROPEAN_UNION = frozenset(
    {
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    }
)

UNDER_GDPR = EUROPEAN_UNION | {"IS", "LI", "NO", "GB"}
"""The European Economic Area (Decision of the EEA Joint Committee 154/2018), and the United Kingdom, whose UK GDPR has
the same letters. Institutions elsewhere may be under it too (Article 3(2)), and may then say so."""


class Exemption(StrEnum):
    """Why records are kept although a person asks for erasure: the letters of GDPR Article 17(3). An institution under
    another law names the one that is nearest, and its own law beside it."""

    LEGAL_OBLIGATION = "legal-obligation"
    PUBLIC_HEALTH = "public-health"
    RESEARCH = "research"
    LEGAL_CLAIMS = "legal-claims"

    @property
    def article(self) -> str:
        """The provision, in words."""
        return f"GDPR Article 17(3)({_LETTERS[self]})"


_LETTERS = {
    Exemption.LEGAL_OBLIGATION: "b",
    Exemption.PUBLIC_HEALTH: "c",
    Exemption.RESEARCH: "d",
    Exemption.LEGAL_CLAIMS: "e",
}


def regime(jurisdiction: str) -> str:
    """The law on research and health data that an institution of this country is under, in words; it says where to look
    and is no legal advice."""
    if jurisdiction in _REGIMES:
        return _REGIMES[jurisdiction]
    return "GDPR, and national law" if jurisdiction in UNDER_GDPR else f"the law of {jurisdiction}"


_REGIMES = {
    "US": "45 CFR 46 (Common Rule), HIPAA Privacy Rule (45 CFR 164), 21 CFR 11",
    "CH": "Federal Act on Data Protection, Human Research Act",
    "GB": "UK GDPR, Data Protection Act 2018",
}


def check_gdpr(bases: Sequence[Basis], jurisdictions: Mapping[str, str]) -> None:
    """Each basis of an institution under the GDPR names the letters that it rests on; consent in the sense of that law
    is asked of the person, so that its letter needs the ground consent. The converse does not hold: consent to
    research is often a safeguard beside another letter (EDPB Opinion 3/2019).

    Args:
        jurisdictions: the institutions' countries by their names.

    Raises:
        Refused: FIELD_INVALID, naming the field.
    """
    for place, basis in enumerate(bases):
        law, named = jurisdictions.get(basis["institution"], ""), basis["gdpr"]
        if named is None and law in UNDER_GDPR:
            detail = f"{basis['institution']} is under the law of {law}: name the letters of GDPR Articles 6 and 9."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"bases.{place}.gdpr")
        if named is not None and basis["ground"] != Ground.CONSENT:
            for article in ("article6", "article9"):
                if named[article] == "a":
                    detail = "Letter (a) is the person's consent; the stated ground is another."
                    raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"bases.{place}.gdpr.{article}")
