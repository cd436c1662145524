"""A consent statement as a FHIR R4 Consent, out and in.

Written: scope and category research; the patient, organisation and study by identifier only; the form as the policy
rule; period and purposes as the provision, which the extension `consent-ResearchStudyContext` ties to the study; who
signed as the performer, a contained RelatedPerson where that was not the patient. What FHIR has no element for (the
child's assent, the day of majority) stands in two extensions of our own. A withdrawn consent is the same resource with
the status `inactive`. Checked with the R4B classes of `fhir.resources`, which agree with R4 on every element used here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import uuid4

from fhir.resources.R4B.consent import Consent as Resource
from pydantic import ValidationError

from concordat import clock
from concordat.consent import Capacity, Consent, Form, Reconsent, Signer
from concordat.fhir.names import UUID, extension, system
from concordat.reasons import Reason, Refused

PSEUDONYM = UUID
INSTITUTION, STUDY, PURPOSE, FORM = map(system, ("institution", "study", "purpose", "consent-form"))
STUDY_CONTEXT = "http://hl7.org/fhir/StructureDefinition/consent-ResearchStudyContext"
ASSENT, RECONSENT = extension("consent-assent"), extension("consent-reconsent")
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
CATEGORY = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"

_ROLES: Mapping[Capacity, tuple[str, ...]] = {
    "parent": ("PRN", "MTH", "FTH"),
    "representative": ("RESPRSN", "GUARD", "POWATT", "HPOWATT"),
}
"""The codes of v3-RoleCode by which a signer is known; the first of them is written."""


class Given(TypedDict):
    """The arguments of `concordat.consent.give`, but for the key."""

    consent: str
    subject: str
    study: str
    purposes: list[str]
    institution: str
    form: Form
    signer: Signer
    reconsent: Reconsent | None
    given: datetime
    until: datetime


def to_fhir(statement: Consent, *, withdrawn: datetime | None = None) -> dict[str, Any]:
    """The statement as a FHIR R4 Consent in JSON, active, or inactive since it was withdrawn."""
    subject = {"identifier": {"system": PSEUDONYM, "value": f"urn:uuid:{statement['subject']}"}}
    form, signer = statement["form"], statement["signer"]
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "meta": {"lastUpdated": clock.rfc3339(withdrawn) if withdrawn else statement["given"]},
        "language": form["language"],
        "extension": _own_extensions(statement),
        "identifier": [{"system": PSEUDONYM, "value": f"urn:uuid:{statement['consent']}"}],
        "status": "inactive" if withdrawn else "active",
        "scope": {"coding": [{"system": SCOPE, "code": "research"}]},
        "category": [{"coding": [{"system": CATEGORY, "code": "research"}]}],
        "patient": subject,
        "dateTime": statement["given"],
        "performer": [subject],
        "organization": [{"identifier": {"system": INSTITUTION, "value": statement["institution"]}}],
        "policyRule": {"coding": [{"system": FORM, "version": form["version"], "code": form["digest"]}]},
        "verification": [{"verified": True, "verificationDate": statement["given"]}],
        "provision": {
            "extension": [
                {
                    "url": STUDY_CONTEXT,
                    "valueReference": {"identifier": {"system": STUDY, "value": statement["study"]}},
                }
            ],
            "type": "permit",
            "period": {"start": statement["given"], "end": statement["until"]},
            "purpose": [{"system": PURPOSE, "code": purpose} for purpose in statement["purposes"]],
        },
    }
    if signer["capacity"] != "self":
        role = {"coding": [{"system": ROLE, "code": _ROLES[signer["capacity"]][0]}]}
        person = {"resourceType": "RelatedPerson", "id": "signer", "patient": subject, "relationship": [role]}
        resource |= {"contained": [person], "performer": [{"reference": "#signer"}]}
    if not resource["extension"]:
        del resource["extension"]
    Resource.model_validate(resource)
    return resource


def from_fhir(resource: Mapping[str, Any]) -> Given:
    """What a FHIR R4 Consent says, as arguments for `concordat.consent.give`, which checks how they fit together.

    A Consent without an identifier of ours gets a new one. Purposes of other code systems are passed over: they add
    nothing to what is permitted here.

    Raises:
        Refused: FIELD_MISSING or FIELD_INVALID, naming the element; CONSENT_WITHDRAWN for an inactive Consent. No value
            is ever named.
    """
    try:
        consent = Resource.model_validate(dict(resource))
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise _invalid(place, "This is not a FHIR R4 Consent.") from None
    _check_kind(consent)
    provision = _needed(consent.provision, "provision")
    period = _needed(provision.period, "provision.period")
    if provision.type != "permit" or provision.provision:
        raise _invalid("provision", "One provision that permits is expected, without exceptions.")
    coding = _one(getattr(consent.policyRule, "coding", None), FORM, "policyRule")
    identifiers = [str(each.value) for each in consent.identifier or [] if each.system == PSEUDONYM]
    signer = _signer(consent)
    return {
        "consent": _uuid(identifiers[0], "identifier") if identifiers else str(uuid4()),
        "subject": _uuid(_identifier(consent.patient, PSEUDONYM, "patient"), "patient.identifier.value"),
        "study": _study(provision),
        "purposes": _purposes(provision),
        "institution": _identifier(_first(consent.organization, "organization"), INSTITUTION, "organization"),
        "form": {
            "version": _needed(coding.version, "policyRule.coding.version"),
            "digest": _needed(coding.code, "policyRule.coding.code"),
            "language": _needed(consent.language, "language"),
        },
        "signer": signer,
        "reconsent": _reconsent(consent),
        "given": _time(consent.dateTime, "dateTime"),
        "until": _time(period.end, "provision.period.end"),
    }


def _own_extensions(statement: Consent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if statement["signer"]["assent"]:
        found.append({"url": ASSENT, "valueString": statement["signer"]["assent"]})
    due = statement["reconsent"]
    if due is not None:
        parts = [{"url": "on", "valueDateTime": due["on"]}, {"url": "why", "valueCode": due["why"]}]
        found.append({"url": RECONSENT, "extension": parts})
    return found


def _check_kind(consent: Any) -> None:
    if consent.modifierExtension or consent.implicitRules:
        raise _invalid("modifierExtension", "It changes what the Consent means, in a way that is not known here.")
    if consent.status == "inactive":
        raise Refused(Reason.CONSENT_WITHDRAWN, detail="The Consent is inactive.", field="status")
    if consent.status != "active":
        raise _invalid("status", "An active Consent is expected.")
    if not _has(consent.scope, SCOPE, ("research",)):
        raise _invalid("scope", "The scope is consent to research.")
    if not any(_has(each, CATEGORY, ("research",)) for each in consent.category):
        raise _invalid("category", "The category is consent to research.")
    if not any(each.verified for each in consent.verification or []):
        raise _invalid("verification", "Somebody has to have verified the consent with the person or the signer.")


def _signer(consent: Any) -> Signer:
    performer = _first(consent.performer, "performer")
    assent = next((each.valueString for each in consent.extension or [] if each.url == ASSENT), None) or ""
    if performer.reference is None:
        if _identifier(performer, PSEUDONYM, "performer") != _identifier(consent.patient, PSEUDONYM, "patient"):
            raise _invalid("performer", "Who is not the patient signs as a contained RelatedPerson.")
        return {"capacity": "self", "assent": assent}
    contained = {f"#{each.id}": each for each in consent.contained or []}
    person = contained.get(performer.reference)
    for each in getattr(person, "relationship", None) or []:
        for capacity, codes in _ROLES.items():
            if _has(each, ROLE, codes):
                return {"capacity": capacity, "assent": assent}
    known = ", ".join(code for codes in _ROLES.values() for code in codes)
    raise _invalid("performer", f"Who signed is a contained RelatedPerson with a relationship of v3-RoleCode: {known}.")


def _reconsent(consent: Any) -> Reconsent | None:
    found = next((each for each in consent.extension or [] if each.url == RECONSENT), None)
    if found is None:
        return None
    parts = {each.url: each for each in found.extension or []}
    on, why = getattr(parts.get("on"), "valueDateTime", None), getattr(parts.get("why"), "valueCode", None)
    field = f"extension({RECONSENT})"
    return {"on": clock.rfc3339(_time(on, f"{field}.on")), "why": _needed(why, f"{field}.why")}


def _study(provision: Any) -> str:
    for each in provision.extension or []:
        if each.url == STUDY_CONTEXT:
            return _identifier(each.valueReference, STUDY, "provision.extension.valueReference")
    raise Refused(
        Reason.FIELD_MISSING, detail=f"The study stands in the extension {STUDY_CONTEXT}.", field="provision.extension"
    )


def _purposes(provision: Any) -> list[str]:
    found = [each.code for each in provision.purpose or [] if each.system == PURPOSE]
    if not found:
        raise Refused(
            Reason.FIELD_MISSING, detail=f"A purpose is a code of the system {PURPOSE}.", field="provision.purpose"
        )
    return found


def _identifier(reference: Any, system: str, field: str) -> str:
    identifier = getattr(reference, "identifier", None)
    if identifier is None or identifier.system != system or identifier.value is None:
        raise _invalid(f"{field}.identifier", f"An identifier of the system {system} is expected.")
    return str(identifier.value)


def _uuid(value: str, field: str) -> str:
    if not value.startswith("urn:uuid:"):
        raise _invalid(field, "A pseudonym and a consent's identifier read urn:uuid: and a UUID.")
    return value.removeprefix("urn:uuid:")


def _time(value: datetime | None, field: str) -> datetime:
    if not isinstance(_needed(value, field), datetime) or value is None or value.tzinfo is None:
        raise _invalid(field, "A time with its zone is expected.")
    return value.astimezone(UTC)


def _one(codings: Iterable[Any] | None, system: str, field: str) -> Any:
    found = [each for each in codings or [] if each.system == system]
    if len(found) != 1:
        raise _invalid(f"{field}.coding", f"One coding of the system {system} is expected.")
    return found[0]


def _first(values: list[Any] | None, field: str) -> Any:
    if values is None or len(values) != 1:
        raise _invalid(field, "Exactly one is expected.")
    return values[0]


def _needed(value: Any, field: str) -> Any:
    if value is None:
        raise Refused(Reason.FIELD_MISSING, field=field)
    return value


def _has(concept: Any, system: str, codes: tuple[str, ...]) -> bool:
    return any(each.system == system and each.code in codes for each in concept.coding or [])


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
