"""One explained prediction, from a patient's record to a signed display receipt.

    prepare → submit → wait → open_result → show          and, for a legal reviewer, disclose

The record is read, checked, shared and sealed on this machine; what comes back is verified against pinned keys, against
commitments and against the log before it is added up; and nothing that was opened is sent anywhere, except
sealed to our own records key and escrow (`concordat.client.packages`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import numpy as np

from concordat import canonical, clock, display, plausibility, record_number
from concordat.asking import prepare as prepare_request
from concordat.canonical import Json
from concordat.classes import Classes, ClassesIf, check_shown
from concordat.client import alarms, canaries, consents, packages, telling
from concordat.client.answers import Result, Status
from concordat.client.api import Api
from concordat.client.follow import follow_job
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.client.home import ClientHome
from concordat.client.log import Followed, check_entry, follow
from concordat.client.work import Work
from concordat.definition import scale_of
from concordat.events import Event
from concordat.explanation import LANGUAGE, Explanation
from concordat.fields import plain, read
from concordat.legal_basis import Ground, basis_of
from concordat.model import answers_of
from concordat.outputs import OutputShares, add_up, unseal
from concordat.protocol import Protocol
from concordat.reasons import Reason, Refused
from concordat.receipt import check_receipts
from concordat.request import Urgency, check_kind, peek_request
from concordat.schema import Value
from concordat.signatures import keyring
from concordat.states import JobState
from concordat.ticket import read_ticket
from concordat.verifier.disclosure import Disclosure
from concordat.what_if import Change, WhatIf
from concordat.witnesses import Witnessed


@dataclass(frozen=True)
class OpenedPrediction:
    """A verified result: its explanation, the answers to what-ifs, its record number, how many log entries the proof
    covers, and how many witnesses had cosigned that head by then. `text` is what is shown, as the `template` has it."""

    explanation: Explanation | Classes
    what_ifs: tuple[WhatIf, ...] | tuple[ClassesIf, ...]
    text: str
    template: str
    record: str
    log_size: int
    witnessed: Witnessed


def prepare(
    home: ClientHome,
    definition: CheckedDefinition,
    values: Mapping[str, Value],
    *,
    purpose: str,
    person: str,
    consent: str = "",
    subject: str = "",
    urgency: Urgency = "routine",
    what_ifs: Sequence[Change] = (),
    about: str = "",
    request: str = "",
) -> Work:
    """Check, encode, share, seal and sign one record; everything needed later is on disk before this returns.

    Canaries go with it, in random order.

    The legal ground is the one that the protocol states for this institution and purpose.

    Args:
        person: the handle (UUID) of the clinician who decides with the result.
        consent: where the ground is consent, the id of one that was given from here; it names the person's pseudonym.
        subject: on another ground, the person's pseudonym.
        what_ifs: changes of named values; of each record so changed the prediction is asked for, too.
        about: the id of an earlier request, where these are its values and the question is about its record.
        request: its id (UUID), where the caller has written one down beforehand; else a fresh one.

    Raises:
        Refused: MODEL_RECALLED; KIND_NOT_ALLOWED; what the schema refuses, naming the feature; FIELD_INVALID for more
            what-ifs than the definition allows; CANARIES_MISSING; DESIGN_IMPLAUSIBLE; LEGAL_BASIS_MISSING;
            CONSENT_MISSING; FIELD_INVALID for a consent where none is the ground, or for no subject; KEY_UNKNOWN for a
            party not pinned.
    """
    definition.check_not_recalled()
    check_kind(definition.content, "explain")
    if len(what_ifs) > definition.content["what_ifs"]:
        detail = f"The definition allows {definition.content['what_ifs']} what-ifs with a record."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="what_ifs")
    record = definition.schema.encode_row(values)
    variants = [definition.schema.encode_row({**record.values, **change}).vector for change in what_ifs]
    allowed = definition.content["impossible"]
    plausibility.check(definition.design, definition.schema, record.vector, most=allowed)
    ground, statement, subject = who(home, definition.protocol, purpose=purpose, consent=consent, subject=subject)
    request = request or str(uuid4())
    batch = canaries.mix(home, definition, np.stack([record.vector, *variants]))
    prepared = prepare_request(
        batch.records,
        secrets=batch.secrets,
        request=request,
        requester=home.institution,
        definition=definition.content,
        purpose=purpose,
        person=person,
        subject=subject,
        ground=ground,
        consent=statement,
        party_keys={party: home.pins.sealing(party, "parties") for party in definition.content["parties"]},
        key=home.keys.identity,
        now=clock.now(),
        urgency=urgency,
    )
    return Work.begin(
        home.work,
        request=request,
        prepared=prepared,
        definition=definition.digest,
        values=values,
        what_ifs=what_ifs,
        about=about,
        batch=batch,
        package=packages.of_request(home, request, prepared, batch.place),
    )


def who(home: ClientHome, protocol: Protocol, *, purpose: str, consent: str, subject: str) -> tuple[Ground, str, str]:
    """The ground that the protocol states for us and this purpose, and the consent statement and the pseudonym that a
    request on it carries.

    Raises:
        Refused: LEGAL_BASIS_MISSING; CONSENT_MISSING, also for a consent that was not given from here; FIELD_INVALID
            for a consent where none is the ground, for a subject beside one, or for neither.
    """
    ground = Ground(basis_of(protocol["bases"], institution=home.institution, purpose=purpose)["ground"])
    if ground is not Ground.CONSENT:
        if consent:
            detail = f"The legal ground is “{ground}”: name the subject, and no consent."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="consent")
        if not subject:
            detail = f"The legal ground is “{ground}”: name the person's pseudonym."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="subject")
        return ground, "", subject
    if not consent:
        raise Refused(Reason.CONSENT_MISSING, detail="The legal ground is consent: name one.", field="consent")
    if subject:
        raise Refused(Reason.FIELD_INVALID, detail="The consent names the subject.", field="subject")
    given = consents.kept(home, consent)
    return ground, given.token, given.statement["subject"]


def submit(work: Work, api: Api) -> Status:
    """Send the request, or send it again: the coordinator answers the same request with the same job. What reopens it
    goes with it, unless it was refused."""
    content = work.content
    status = api.request_prediction(content["token"], content["sealed"], idempotency_key=work.request)
    work.submitted(status["prediction"])
    if status["state"] is not JobState.REFUSED:
        packages.hand_in(api, work, "request")
    return status


def wait(
    work: Work,
    api: Api,
    *,
    seconds: float,
    on_change: Callable[[Status], None] = lambda status: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Status:
    """Follow a prediction until its result is there.

    Raises:
        Refused: the reason for which it ended early; RESULT_NOT_READY after `seconds`.
    """
    return follow_job(partial(api.newer_prediction, work.sent), seconds=seconds, on_change=on_change, sleep=sleep)


def status(work: Work, api: Api) -> Status:
    """Where the prediction stands. Raises Refused(WRONG_STATE) for one that was not sent yet."""
    return api.prediction(work.sent)


def cancel(work: Work, api: Api) -> Status:
    """Take the request back. Raises Refused(WRONG_STATE) once there is a result."""
    return api.cancel_prediction(work.sent)


def open_result(
    home: ClientHome,
    api: Api,
    work: Work,
    *,
    shown: Sequence[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> OpenedPrediction:
    """Verify what came back, add the shares up, and explain.

    Checked, in this order: the coordinator's ticket, every node's receipt against pinned keys, that all receipts
    name this request, both log entries against a signed checkpoint that extends the one that was last seen from here,
    each canary against its known result, each output share against its commitment. A false canary raises the alarm,
    and nothing else is opened; that the alarm stands in the log is checked in the same way.

    Before anybody sees it, what reopens the decision is sealed to our records keys, if we have any, and handed in.

    Args:
        shown: of which of several classes the text shows the factors; of the most probable ones unless it says so.

    Raises:
        Refused: the first check that fails, by its own reason; CANARY_FAILED, which says whether the log has the alarm:
            until it has, call this again; RESULT_NOT_READY while the log has not
            published the entries. The chain is not waited for. FIELD_INVALID for a class that the model does not know.
    """
    job, name = work.sent, work.content["digest"]
    if work.alarm:
        alarms.hand_in(home, api, work, sleep=sleep)
    definition = fetch_definition(home, api, work.content["definition"])
    check_shown(shown, definition.manifest["classes"])
    result = api.result(job)
    ticket = read_ticket(result["ticket"], keyring(home.pins.coordinator))
    tokens = [each["receipt"] for each in result["results"]]
    receipts = check_receipts(tokens, home.pins.lasting_keyring, request=name, definition=definition.content)
    for node, receipt in receipts.items():
        if (receipt["job"], receipt["ticket"], receipt["runs"]) != (job, ticket["ticket"], ticket["runs"]):
            raise Refused(Reason.RECEIPTS_DISAGREE, detail="A receipt is for another job.", field=node)
    log = _check_logged(home, api, result, job=job)
    outputs, content, asked = _unseal(work, result), work.content, peek_request(work.content["token"])
    alarm = canaries.check(
        home,
        definition,
        job=job,
        request=asked,
        request_digest=name,
        known=content["canaries"],
        sheet=content["sheet"],
        inputs=content["openings"],
        outputs=outputs,
        receipts=receipts,
        signed=tokens,
    )
    if alarm is not None:
        work.alarmed(alarm)
        alarms.hand_in(home, api, work, sleep=sleep)
    opened = add_up(
        _own(work, outputs),
        receipts,
        groups=len(definition.design.groups),
        mirrored=definition.design.mirrored,
        target=scale_of(definition.content),
        what_ifs=asked["what_ifs"],
        place=content["place"],
        answers=answers_of(definition.manifest),
    )
    told = telling.tell(definition, opened, content["values"], content["what_ifs"], shown)
    work.opened(result)
    packages.keep_result(home, work, disclose(work, with_record=True))
    for stage in packages.STAGES:
        packages.hand_in(api, work, stage, home.keys.identity)
    return OpenedPrediction(*told, result["record"], log.head.size, log.witnessed)


def show(
    home: ClientHome, api: Api, work: Work, opened: OpenedPrediction, *, viewer: str, decision: display.Decision
) -> None:
    """Sign for what was shown to whom (`viewer` is a role) and what they made of it, and hand the receipt in."""
    token = display.show(
        request=work.request,
        job=work.sent,
        template=opened.template,
        language=LANGUAGE,
        rendered=opened.text,
        viewer=viewer,
        decision=decision,
        time=clock.now(),
        key=home.keys.identity,
    )
    api.display(work.sent, token)


def disclose(work: Work, *, with_record: bool = False) -> dict[str, Json]:
    """What a legal reviewer rebuilds this one result with: the opening of every output share.

    Whoever holds this document knows the prediction, and nothing about the record unless `with_record` opens the input
    shares too. It is written to disk here and sent to nobody.

    Raises:
        Refused: NOT_FOUND before the result was opened.
    """
    result, content = work.result, work.content
    place = content["place"]
    document: Disclosure = {
        "v": 2,
        "record": result["record"],
        "job": work.sent,
        "request": content["token"],
        "place": place,
        "outputs": _own(work, _unseal(work, result)),
    }
    if with_record:
        document["inputs"] = content["openings"][place]
    return dict(plain(read(document, Disclosure)))


def _own(work: Work, outputs: Mapping[str, Sequence[OutputShares]]) -> dict[str, OutputShares]:
    """Every party's shares of the person's own record."""
    place = work.content["place"]
    return {party: shares[place] for party, shares in outputs.items() if place < len(shares)}


def _unseal(work: Work, result: Result) -> dict[str, list[OutputShares]]:
    """Every party's output shares, by record."""
    job, key = work.sent, work.output_key
    return {
        each["node"]: unseal(each["sealed"], job=job, node=each["node"], key=key)
        for each in result["results"]
        if each["sealed"]
    }


def _check_logged(home: ClientHome, api: Api, result: Result, *, job: str) -> Followed:
    """Both entries are in the log under a checkpoint that the coordinator signed, and name these very receipts."""
    if result["record"] != record_number.format(result["prediction_entry"]):
        raise Refused(Reason.RECORD_NUMBER_INVALID, detail="The record's number is another entry's.", field="record")
    log = follow(home, api)
    receipts = canonical.digest([each["receipt"] for each in result["results"]])
    for event, index in (
        (Event.PREDICTION_RECORDED, result["prediction_entry"]),
        (Event.EXPLANATION_RECORDED, result["explanation_entry"]),
    ):
        check_entry(api, log.head, index, event=event, job=job, documents={"receipts": receipts})
    return log
