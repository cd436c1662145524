"""Persons' consents as this institution attests them, and how they end. Each statement is signed and kept here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from concordat import canonical, clock, consent
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.consent import Capacity, Consent, Reconsent, Regained
from concordat.fhir.consent import Given, from_fhir, to_fhir
from concordat.files import write_private
from concordat.reasons import Reason, Refused


@dataclass(frozen=True)
class Kept:
    """A consent that was given from here: the signed statement, what it says, and when the person withdrew."""

    token: str
    statement: Consent
    withdrawn: datetime | None

    def to_fhir(self) -> dict[str, Any]:
        """As a FHIR R4 Consent."""
        return to_fhir(self.statement, withdrawn=self.withdrawn)


def give(
    home: ClientHome,
    api: Api,
    *,
    subject: str,
    study: str,
    purposes: Sequence[str],
    form: bytes,
    version: str,
    language: str,
    until: datetime,
    capacity: Capacity = "self",
    assent: bytes | None = None,
    reconsent: Reconsent | None = None,
) -> str:
    """Attest a person's consent. Answers its id; the statement is kept, since every request carries it.

    Args:
        subject: the person's pseudonym, a UUID that only this institution can resolve.
        form: the signed form, of this version and in this language; its digest goes into the statement, the form
            itself stays here.
        capacity: in which capacity it was signed.
        assent: the child's own form, beside a parent's signature.
        reconsent: from when on the person decides for themself.

    Raises:
        Refused: what `consent.give` refuses, and what the coordinator does.
    """
    given: Given = {
        "consent": str(uuid4()),
        "subject": subject,
        "study": study,
        "purposes": list(purposes),
        "institution": home.institution,
        "form": {"version": version, "digest": canonical.digest(form), "language": language},
        "signer": {"capacity": capacity, "assent": canonical.digest(assent) if assent is not None else ""},
        "reconsent": reconsent,
        "given": clock.now(),
        "until": until,
    }
    return _give(home, api, given)


def give_fhir(home: ClientHome, api: Api, resource: Mapping[str, Any]) -> str:
    """Attest the consent that a FHIR R4 Consent of our own holds. Answers its id.

    Raises:
        Refused: what `from_fhir` refuses; WRONG_INSTITUTION for another's; as :func:`give` does.
    """
    given = from_fhir(resource)
    if given["institution"] != home.institution:
        raise Refused(Reason.WRONG_INSTITUTION, field="organization")
    return _give(home, api, given)


def withdraw(home: ClientHome, api: Api, identifier: str) -> None:
    """Say for the person that the consent is withdrawn; the coordinator withholds what is running."""
    token = consent.withdraw(consent=identifier, institution=home.institution, time=clock.now(), key=home.keys.identity)
    api.withdraw_consent(identifier, token)
    if _file(home, identifier).exists():
        _keep(_file(home, identifier, "withdrawn"), token, replace=True)


def regained_capacity(home: ClientHome, api: Api, identifier: str, *, why: Regained) -> None:
    """Say that the person for whom another consented has come of age, or decides for themself again."""
    token = consent.regained_capacity(
        consent=identifier, institution=home.institution, why=why, time=clock.now(), key=home.keys.identity
    )
    api.regained_capacity(identifier, token)


def kept(home: ClientHome, identifier: str) -> Kept:
    """The consent that was given from here under this id. Raises Refused(CONSENT_MISSING)."""
    known = home.pins.lasting_keyring
    try:
        token = _file(home, identifier).read_text()
    except FileNotFoundError:
        raise Refused(Reason.CONSENT_MISSING, detail="No such consent was given from here.", field="consent") from None
    ended = _file(home, identifier, "withdrawn")
    withdrawn = clock.parse(consent.read_withdrawal(ended.read_text(), known)["time"]) if ended.exists() else None
    return Kept(token, consent.read_consent(token, known), withdrawn)


def withdrawn_here(home: ClientHome, identifier: str) -> bool:
    """Whether this consent was withdrawn from here."""
    return _file(home, identifier, "withdrawn").exists()


def _give(home: ClientHome, api: Api, given: Given) -> str:
    token = consent.give(**given, key=home.keys.identity)
    _keep(_file(home, given["consent"]), token, replace=False)
    api.give_consent(token)
    return given["consent"]


def _file(home: ClientHome, identifier: str, kind: str = "jws") -> Path:
    """`<id>.jws` is the consent, `<id>.withdrawn` the withdrawal (JWS)."""
    try:
        return home.consents / f"{UUID(identifier)}.{kind}"
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="A consent's id is a UUID.", field="consent") from None


def _keep(file: Path, token: str, *, replace: bool) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(file, token.encode(), replace=replace)
