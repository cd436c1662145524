"""One audit or training of ours: asked for and followed here; the rows are brought by the nodes' own institutions.

prepare → submit → wait → check, and what `audits` and `trainings` do with what was verified.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from concordat import canonical, clock, record_number
from concordat.asking import prepare_of_many
from concordat.client.answers import ManyResult, ManyStatus
from concordat.client.api import Api
from concordat.client.follow import follow_job
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.client.home import ClientHome, Many
from concordat.client.log import Followed, check_entry, follow
from concordat.client.work import CohortWork
from concordat.definition import Kind
from concordat.events import Event
from concordat.legal_basis import Ground, basis_of
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt, check_receipts
from concordat.request import check_kind
from concordat.signatures import keyring
from concordat.ticket import read_ticket

KINDS: Mapping[Many, Kind] = {"audits": "audit", "trainings": "train"}
RECORDED: Mapping[Many, Event] = {"audits": Event.AUDIT_RECORDED, "trainings": Event.TRAINING_RECORDED}


@dataclass(frozen=True)
class Verified:
    """What the nodes returned, the definition under which it was computed, the receipts by node, and the log's head."""

    result: ManyResult
    definition: CheckedDefinition
    receipts: Mapping[str, Receipt]
    log: Followed

    @property
    def sealed(self) -> dict[str, str]:
        """By party; the dealer has none."""
        return {each["node"]: each["sealed"] for each in self.result["results"] if each["sealed"]}


def prepare(home: ClientHome, definition: CheckedDefinition, many: Many, *, purpose: str, person: str) -> CohortWork:
    """Sign a request; everything needed later is on disk before this returns.

    The legal ground is the one that the protocol states for this institution and purpose.

    Args:
        person: the handle (UUID) of who asks on the institution's behalf.

    Raises:
        Refused: MODEL_RECALLED; KIND_NOT_ALLOWED; LEGAL_BASIS_MISSING, also where the ground is one person's consent.
    """
    definition.check_not_recalled()
    check_kind(definition.content, KINDS[many])
    basis = basis_of(definition.protocol["bases"], institution=home.institution, purpose=purpose)
    request = str(uuid4())
    prepared = prepare_of_many(
        request=request,
        requester=home.institution,
        definition=definition.content,
        purpose=purpose,
        person=person,
        ground=Ground(basis["ground"]),
        key=home.keys.identity,
        now=clock.now(),
    )
    return CohortWork.begin(
        home.many(many), many=many, request=request, prepared=prepared, definition=definition.digest
    )


def submit(work: CohortWork, api: Api) -> ManyStatus:
    """Send the request, or send it again: the coordinator answers the same request with the same job."""
    status = api.request_many(work.many, work.content["token"], idempotency_key=work.request)
    work.submitted(status["job"])
    return status


def wait(
    work: CohortWork,
    api: Api,
    *,
    seconds: float,
    on_change: Callable[[ManyStatus], None] = lambda status: None,
    sleep: Callable[[float], None] = time.sleep,
) -> ManyStatus:
    """Follow it until its result is there. Raises Refused as `follow_job` does."""
    newer = partial(api.newer_many, work.many, work.sent)
    return follow_job(newer, seconds=seconds, on_change=on_change, sleep=sleep)


def cancel(work: CohortWork, api: Api) -> ManyStatus:
    """Take the request back. Raises Refused(WRONG_STATE) once there is a result."""
    return api.cancel_many(work.many, work.sent)


def check(home: ClientHome, api: Api, work: CohortWork) -> Verified:
    """Fetch what the nodes returned, and verify receipts, ticket and log.

    Raises:
        Refused: the first check that fails, by its own reason; RESULT_NOT_READY while the log has not published the
            entry.
    """
    job = work.sent
    definition = fetch_definition(home, api, work.content["definition"])
    result = api.result_of_many(work.many, job)
    ticket = read_ticket(result["ticket"], keyring(home.pins.coordinator))
    tokens = [each["receipt"] for each in result["results"]]
    known = home.pins.lasting_keyring
    receipts = check_receipts(tokens, known, request=work.content["digest"], definition=definition.content)
    for node, receipt in receipts.items():
        if (receipt["job"], receipt["ticket"], receipt["runs"]) != (job, ticket["ticket"], ticket["runs"]):
            raise Refused(Reason.RECEIPTS_DISAGREE, detail="A receipt is for another job.", field=node)
    if result["record"] != record_number.format(result["entry"]):
        raise Refused(Reason.RECORD_NUMBER_INVALID, detail="The record's number is another entry's.", field="record")
    log = follow(home, api)
    documents = {"receipts": canonical.digest(tokens)}
    check_entry(api, log.head, result["entry"], event=RECORDED[work.many], job=job, documents=documents)
    return Verified(result, definition, receipts, log)
