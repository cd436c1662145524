"""Is the use lawful: on which ground, and within the terms of the data?"""

from collections.abc import Callable, Mapping

from concordat.consent import check_consent
from concordat.data_use import Answer, match
from concordat.determination import Path
from concordat.findings import check_waiver
from concordat.legal_basis import Ground, basis_of
from concordat.reasons import Reason, Refused
from concordat.request import check_contributors, check_ground
from governance import selectors
from governance.case import Case
from governance.models import Institution
from governance.services import attachments
from governance.services.data_use import decision


def legal_basis(case: Case) -> str:
    """The ground is the one that the protocol states for this requester and purpose, and what it asks for is there. Who
    brings rows of its own patients has a ground of its own, and what that asks for is there too."""
    bases, purpose = case.protocol["bases"], case.request["purpose"]
    for slug in check_contributors(case.definition.content, bases, purpose):
        ground = basis_of(bases, institution=slug, purpose=purpose)["ground"]
        _GROUNDS[ground](case, case.institutions[slug])
    return _GROUNDS[check_ground(case.request, bases)](case, case.requester)


def _consent(case: Case, _: Institution) -> str:
    row = case.consent
    if row is None or row.statement != case.request["basis"]["consent"]:
        raise Refused(Reason.CONSENT_MISSING)
    if row.withdrawn is not None:
        raise Refused(Reason.CONSENT_WITHDRAWN)
    if row.lapsed is not None:
        raise Refused(Reason.RECONSENT_NEEDED)
    statement = check_consent(
        row.statement,
        case.lasting_keyring,
        subject=case.request["subject"],
        study=case.definition.study.slug,
        purpose=case.request["purpose"],
        institution=case.request["requester"],
        now=case.now,
    )
    who = {"self": "The person", "parent": "A parent, with the child's assent,", "representative": "A representative"}
    return f"{who[statement['signer']['capacity']]} has consented to this study and purpose, and nobody has withdrawn."


def _waiver(case: Case, of: Institution) -> str:
    """45 CFR 46.116(f), 45 CFR 164.512(i): the board that reviews for the site made each finding for a waiver."""
    board = selectors.board_of(of, case.definition.study.slug, case.now)
    try:
        check_waiver(selectors.findings_for(case.definition.study, of))
    except Refused as refused:
        detail = f"The board of {board.slug} has not waived consent. {refused.detail}"
        raise Refused(refused.reason, detail=detail, field=refused.field) from None
    return f"The board of {board.slug} waived consent, with every finding that a waiver needs."


def _exempt(case: Case, of: Institution) -> str:
    board = selectors.board_of(of, case.definition.study.slug, case.now)
    document = selectors.determination_for(case.definition.study, of)
    if document is None or document["path"] != Path.EXEMPT:
        detail = f"The board of {board.slug} has not found the study exempt."
        raise Refused(Reason.LEGAL_BASIS_MISSING, detail=detail)
    return f"The board of {board.slug} found the study exempt (45 CFR 46.104)."


def _care(case: Case, _: Institution) -> str:
    return "Used for treatment or operations, which is no research, as the protocol states."


def _emergency(case: Case, _: Institution) -> str:
    return "Used in a public-health emergency, as the protocol states; its declaration is an attachment."


_GROUNDS: Mapping[Ground, Callable[[Case, Institution], str]] = {
    Ground.CONSENT: _consent,
    Ground.WAIVER: _waiver,
    Ground.EXEMPT: _exempt,
    Ground.CARE: _care,
    Ground.PUBLIC_HEALTH_EMERGENCY: _emergency,
}


def attached(case: Case) -> str:
    """Every document that the protocol asks for is there and in force."""
    return attachments.check(case.definition.study, case.protocol, case.now)


def data_use(case: Case) -> str:
    """The terms of whoever contributes data, to the record, the model or the computation, allow this use."""
    definition = case.definition
    contributing = {case.request["requester"], definition.owner.slug, *definition.content["parties"]}
    terms = {each["institution"]: each["terms"] for each in case.protocol["data_use"]["datasets"]}
    asked = [slug for slug in terms if slug in contributing]
    for slug in asked:
        found = match(definition.content["data_use"], terms[slug])
        reason = _refusal(case, slug, found.answer)
        if reason is not None:
            why = " ".join(f"{sentence} ({code})" if code else sentence for code, sentence in found.reasons.items())
            raise Refused(reason, detail=f"The data of {slug}: {why}", field=f"data_use.{slug}")
    return f"The terms of the data of {', '.join(asked)} allow the use." if asked else "No data here has terms of use."


def _refusal(case: Case, slug: str, answer: Answer) -> Reason | None:
    """Why an institution's data are not used; where a person has to decide, what was decided."""
    if answer is not Answer.NEEDS_HUMAN:
        return Reason.DATA_USE_DENIED if answer is Answer.DENIED else None
    decided = decision(case.definition.study, case.institutions[slug], case.version.base)
    if decided is None:
        return Reason.DATA_USE_UNDECIDED
    return None if decided else Reason.DATA_USE_DENIED
