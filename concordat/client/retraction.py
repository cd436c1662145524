"""A result that was written to a FHIR server is taken back, and what was taken back is not used from here again.

What was written is found by the identifiers that it has, so it does not matter who wrote it, or whether that was cut
off; neither the coordinator nor the log is asked.
"""

from typing import Any

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


def written(ehr: Ehr, request: str) -> list[dict[str, Any]]:
    """A request's RiskAssessment and the Observations of its factors, as the server has them now."""
    answered = ehr.identified("RiskAssessment", assessment_identifier(request))
    assessments = [each for each in answered if is_assessment(each, request)]
    identities = dict.fromkeys(each for some in assessments for each in rests_on(some, base=ehr.base))
    observations = ehr.named("Observation", list(identities))
    factors = {each["id"]: each for each in observations if each.get("id") in identities and is_factors(each, request)}
    return [*assessments, *factors.values()]
