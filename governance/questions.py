"""The checks of a verdict: each answers with a sentence, or raises `Refused`."""

from collections.abc import Callable, Mapping
from itertools import permutations

from concordat import clock
from concordat.canonical import digest
from concordat.consent import check_consent
from concordat.documents import check_period
from concordat.reasons import Reason, Refused
from concordat.request import read_request
from governance import selectors
from governance.case import Case
from governance.models import InstitutionKey
from governance.states import StudyState
from ledger.chain.types import Authorisation


def _signature(case: Case) -> str:
    read_request(case.token, case.keyring)
    return f"Signed by {case.request['requester']} with its enrolled key."


def _period(case: Case) -> str:
    check_period(case.request["issued"], case.request["expires"], case.now)
    return f"Valid until {case.request['expires']}."


def _study(case: Case) -> str:
    study = case.definition.study
    state = study.state_at(case.now)
    if state is StudyState.EXPIRED:
        raise Refused(Reason.STUDY_EXPIRED)
    if state is not StudyState.APPROVED or study.expires is None:
        raise Refused(Reason.STUDY_NOT_APPROVED, detail=f"The study is {state}.")
    return f"Approved by every reviewing board until {clock.rfc3339(study.expires)}."


def _definition(case: Case) -> str:
    definition = case.definition
    if digest(definition.content) != definition.digest:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The definition on file differs from its digest.")
    version = definition.study.in_force
    if version is None or definition.content["protocol"] != version.digest:
        detail = "The definition rests on an earlier version of the protocol than the one in force."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail)
    if case.now >= definition.valid_until:
        raise Refused(Reason.DEFINITION_EXPIRED)
    return f"Registered under study {definition.study.slug}, valid until {definition.content['valid_until']}."


def _model(case: Case) -> str:
    if case.request["model"] != case.definition.content["model"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The request names another model than the definition.")
    if not selectors.model_imported(case.request["model"]):
        raise Refused(Reason.MODEL_UNKNOWN)
    return "The definition's model is imported."


def _shares(case: Case) -> str:
    parties = case.definition.content["parties"]
    for field in ("commitments", "sealing_keys"):
        if set(case.request[field]) != set(parties):
            raise Refused(Reason.WRONG_PARTY, detail="There must be one share for each party of the definition.")
    for party in parties:
        if case.request["sealing_keys"][party] != case.key(party, InstitutionKey.Kind.SEALING).key_id:
            raise Refused(Reason.KEY_UNKNOWN, detail=f"The share for {party} is sealed to a key it has not enrolled.")
    return "One share is committed to and sealed for each party."


def _approvals(case: Case) -> str:
    needed = dict.fromkeys([*selectors.needed_approvals(case.definition), case.request["requester"]])
    missing = sorted(set(needed) - case.approving)
    if missing:
        detail = f"Without its own approval: {', '.join(missing)}. {case.standing}"
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail=detail)
    return f"Approved by {', '.join(needed)}, each with its own key. {case.standing}"


def _quorum(case: Case) -> str:
    quorum = case.definition.content["quorum"]
    present = [slug for slug in quorum["of"] if slug in case.approving]
    if len(present) < quorum["needed"]:
        detail = f"{len(present)} of {quorum['needed']} approvals that the definition needs. {case.standing}"
        raise Refused(Reason.QUORUM_MISSING, detail=detail)
    if isinstance(case.on_chain, Authorisation) and not case.on_chain.authorised:
        raise Refused(Reason.QUORUM_MISSING, detail="The registry on chain does not authorise the definition.")
    return f"{len(present)} approvals, {quorum['needed']} needed. {case.standing}"


def _requester(case: Case) -> str:
    if case.request["requester"] not in case.definition.content["requesters"]:
        raise Refused(Reason.REQUESTER_NOT_ALLOWED)
    return f"The definition names {case.request['requester']} as a requester."


def _purpose(case: Case) -> str:
    if case.request["purpose"] not in case.definition.content["purposes"]:
        raise Refused(Reason.PURPOSE_NOT_ALLOWED)
    return f"The definition allows the purpose {case.request['purpose']}."


def _consent(case: Case) -> str:
    row = case.consent
    if row is None or row.statement != case.request["consent"]:
        raise Refused(Reason.CONSENT_MISSING)
    if row.withdrawn is not None:
        raise Refused(Reason.CONSENT_WITHDRAWN)
    check_consent(
        row.statement,
        case.lasting_keyring,
        subject=case.request["subject"],
        study=case.definition.study.slug,
        purpose=case.request["purpose"],
        institution=case.request["requester"],
        now=case.now,
    )
    return "The person has consented to this study and purpose, and has not withdrawn."


def _transfers(case: Case) -> str:
    content = case.definition.content
    stated = {(transfer["from"], transfer["to"]) for transfer in content["transfers"]}
    taking_part = [case.request["requester"], *content["parties"]]
    laws = dict.fromkeys(case.institutions[slug].jurisdiction for slug in taking_part if slug in case.institutions)
    for sender, receiver in permutations(laws, 2):
        if (sender, receiver) not in stated:
            detail = f"No legal basis is stated for shares that go from {sender} to {receiver}."
            raise Refused(Reason.TRANSFER_BASIS_MISSING, detail=detail)
    return f"Each border between {', '.join(laws)} has its stated basis." if len(laws) > 1 else "No border is crossed."


Question = Callable[[Case], str]

QUESTIONS: Mapping[str, Question] = {
    "signature": _signature,
    "period": _period,
    "study": _study,
    "definition": _definition,
    "model": _model,
    "shares": _shares,
    "quorum": _quorum,
    "approvals": _approvals,
    "requester": _requester,
    "purpose": _purpose,
    "consent": _consent,
    "transfers": _transfers,
}
"""Every check, in the order in which it is shown."""
