"""Is it a request, and one that its definition is for?"""

from collections.abc import Mapping

from concordat.definition import Kind
from concordat.documents import check_period
from concordat.reasons import Reason, Refused
from concordat.request import OF_MANY, check_shares, check_urgency, read_request
from governance import selectors
from governance.case import Case
from governance.models import InstitutionKey


def signature(case: Case) -> str:
    read_request(case.token, case.keyring)
    return f"Signed by {case.request['requester']} with its enrolled key."


def period(case: Case) -> str:
    check_period(case.request["issued"], case.request["expires"], case.now)
    return f"Valid until {case.request['expires']}."


_ASKED_FOR: Mapping[Kind, str] = {
    "explain": "A prediction is asked for, and the definition is one to explain.",
    "audit": "An audit is asked for, and the definition is one to audit.",
    "train": "A training is asked for, and the definition is one to train.",
}


def kind(case: Case) -> str:
    return _ASKED_FOR[case.definition.content["kind"]]


def model(case: Case) -> str:
    if case.request["model"] != case.definition.content["model"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The request names another model than the definition.")
    selectors.imported(case.request["model"])
    if case.recall is not None:
        raise Refused(Reason.MODEL_RECALLED, detail=case.recall.sentence)
    return "The definition's model is imported, and its owner has not recalled it."


def shares(case: Case) -> str:
    check_shares(case.request, case.definition.content)
    if case.definition.content["kind"] in OF_MANY:
        return "Nothing is handed in: the parties' institutions bring their own rows."
    for party in case.definition.content["parties"]:
        if case.request["sealing_keys"][party] != case.key(party, InstitutionKey.Kind.SEALING).key_id:
            raise Refused(Reason.KEY_UNKNOWN, detail=f"The share for {party} is sealed to a key it has not enrolled.")
    canaries = len(case.request["commitments"]) - 1
    return f"One share is committed to and sealed for each party, of the record and of canaries ({canaries})."


def requester(case: Case) -> str:
    if case.request["requester"] not in case.definition.content["requesters"]:
        raise Refused(Reason.REQUESTER_NOT_ALLOWED)
    return f"The definition names {case.request['requester']} as a requester."


def purpose(case: Case) -> str:
    if case.request["purpose"] not in case.definition.content["purposes"]:
        raise Refused(Reason.PURPOSE_NOT_ALLOWED)
    return f"The definition allows the purpose {case.request['purpose']}."


def urgency(case: Case) -> str:
    check_urgency(case.request["urgency"], case.definition.content)
    if case.request["urgency"] == "routine":
        return "The decision can wait for the computation."
    return "The definition allows emergent use."
