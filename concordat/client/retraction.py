"""A result that was written to a FHIR server is taken back, and what was taken back is not used from here again.

What was written is found by the identifiers that it has, so it does not matter who wrote it, or whether that was cut
off; neither the coordinator nor the log is asked.
"""

from typing import Any, TypedDict

from concordat import clock
from concordat.bedside import items
from concordat.client import fhir as spoken
from concordat.client.ehr import Ehr
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.display import TAKEN_BACK
from concordat.fhir.retraction import (
    Retraction,
    assessment_identifier,
    is_assessment,
    is_factors,
    rests_on,
    retraction_bundle,
)
from concordat.reasons import Reason, Refused


def take_back(home: ClientHome, ehr: Ehr, work: Work, *, person: str, why: str) -> list[str]:
    """Give what the server has of a result the status `entered-in-error`; answers where, or nothing where all of it had
    that status before.

    Args:
        person: the handle (UUID) of who takes it back.
        why: a code of `concordat.fhir.retraction.REASONS`.

    Raises:
        Refused: NOT_FOUND if the server has no RiskAssessment of the request; what `Ehr` raises, also if something was
            changed there while it was read.
    """
    found = written(ehr, work.request)
    if not found:
        raise Refused(Reason.NOT_FOUND, detail="The server has no RiskAssessment of this request.", field="request")
    about = Retraction(work.request, home.institution, person, clock.now(), why)
    bundle, places = retraction_bundle(found, about), []
    if bundle["entry"]:
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        spoken.audit_updated(home, work, person=person, kinds=kinds, server=ehr.base)
        places = ehr.write(bundle)
    work.take_back(why)
    return places


def check_not_taken_back(home: ClientHome, work: Work) -> None:
    """Raises Refused(WRONG_STATE) if a request's result was taken back, at the FHIR server or by the bedside in this
    home; or that of the earlier request whose record it asks about."""
    items.check_not_taken_back(home.directory, work.requests)
    for request in work.requests:
        if why := Work(home.work / request).taken_back:
            detail = f"It was taken back in the health record. {TAKEN_BACK[why]}."
            raise Refused(Reason.WRONG_STATE, detail=detail, field="request")


class Written(TypedDict):
    """A result that was sent to a FHIR server from here: `since` when it may have it (RFC 3339), why a bedside in this
    home has taken it back, if it has, and why what the server had of it was taken back, if it was. Both are codes of
    `display.TAKEN_BACK`."""

    request: str
    definition: str
    since: str
    bedside: str
    taken_back: str


def listed(home: ClientHome) -> list[Written]:
    """What was sent to a FHIR server from here, the oldest first."""
    works = [Work(folder) for folder in home.work.iterdir()] if home.work.exists() else []
    sent = sorted((work for work in works if work.written), key=lambda work: (work.written, work.request))
    known = items.retractions(home.directory, [work.request for work in sent])
    return [
        {
            "request": work.request,
            "definition": work.content["definition"],
            "since": work.written,
            "bedside": known.get(work.request, ""),
            "taken_back": work.taken_back,
        }
        for work in sent
    ]


def written(ehr: Ehr, request: str) -> list[dict[str, Any]]:
    """A request's RiskAssessment and the Observations of its factors, as the server has them now."""
    answered = ehr.identified("RiskAssessment", assessment_identifier(request))
    assessments = [each for each in answered if is_assessment(each, request)]
    identities = dict.fromkeys(each for some in assessments for each in rests_on(some, base=ehr.base))
    observations = ehr.named("Observation", list(identities))
    factors = {each["id"]: each for each in observations if each.get("id") in identities and is_factors(each, request)}
    return [*assessments, *factors.values()]
