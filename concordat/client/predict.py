"""One explained prediction, from a patient's record to a signed display receipt.

    prepare → submit → wait → open_result → show          and, for a legal reviewer, disclose

The record is read, checked, shared and sealed on this machine; what comes back is verified against pinned keys, against
commitments and against the log before it is added up; and nothing that was opened is sent anywhere, except
sealed to our own records key and escrow (`concordat.client.packages`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn
from uuid import uuid4

import numpy as np

from concordat import canonical, classes, clock, display, plausibility, record_number, what_if
from concordat.canonical import Json
from concordat.classes import Classes, ClassesIf, check_shown
from concordat.client import canaries, consents, packages
from concordat.client.api import Api, Result, Status
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.client.home import ClientHome
from concordat.client.log import Followed, check_entry, follow
from concordat.client.work import Work
from concordat.definition import scale_of
from concordat.events import Event
from concordat.explanation import LANGUAGE, TEMPLATE, Explanation, explain, render_text
from concordat.fields import plain, read
from concordat.legal_basis import Ground, basis_of
from concordat.model import answers_of
from concordat.outputs import Opened, OutputShares, add_up, unseal
from concordat.reasons import REASONS, Reason, Refused
from concordat.receipt import check_receipts
from concordat.request import Urgency, check_kind, peek_request
from concordat.request import prepare as prepare_request
from concordat.schema import Value
from concordat.signatures import keyring
from concordat.states import AVAILABLE, JobState, ended
from concordat.ticket import read_ticket
from concordat.verifier.disclosure import Disclosure
from concordat.what_if import Change, WhatIf
from concordat.witnesses import Witnessed

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_LONGEST_WAIT = 20
"""Seconds for which the coordinator is asked to hold an answer back until there is news."""
_ALARM_ATTEMPTS = 4
_HEAD_PAUSE = 1.0
NOT_LOGGED = "alarm"
"""The field that a refusal names whose alarm the log does not show yet."""


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
        request: its id (UUID), where the caller has written one down beforehand; else a fresh one.

    Raises:
        Refused: KIND_NOT_ALLOWED; what the schema refuses, naming the feature; FIELD_INVALID for more what-ifs than the
            definition allows; CANARIES_MISSING; DESIGN_IMPLAUSIBLE;
            LEGAL_BASIS_MISSING; CONSENT_MISSING; FIELD_INVALID for a consent where none is the ground, or for no
            subject; KEY_UNKNOWN for a party not pinned.
    """
    check_kind(definition.content)
    if len(what_ifs) > definition.content["what_ifs"]:
        detail = f"The definition allows {definition.content['what_ifs']} what-ifs with a record."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="what_ifs")
    record = definition.schema.encode_row(values)
    variants = [definition.schema.encode_row({**record.values, **change}).vector for change in what_ifs]
    allowed = definition.content["impossible"]
    plausibility.check(definition.design, definition.schema, record.vector, most=allowed)
    ground = Ground(basis_of(definition.protocol["bases"], institution=home.institution, purpose=purpose)["ground"])
    statement, subject = _who(home, ground, consent=consent, subject=subject)
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
        party_keys={party: home.pins.sealing(party) for party in definition.content["parties"]},
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
        batch=batch,
        package=packages.of_request(home, request, prepared, batch.place),
    )


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
    pause, known, until = _SHORTEST_PAUSE, "", time.monotonic() + seconds
    status: Status | None = None
    while True:
        left = min(max(int(until - time.monotonic()), 1), _LONGEST_WAIT)
        newer, answer = api.newer_prediction(_job(work), known, seconds=left)
        known = answer.etag
        if newer is not None and (status is None or newer["state"] != status["state"]):
            pause = _SHORTEST_PAUSE
            on_change(newer)
        status = newer or status
        assert status is not None  # the first answer is news
        state = status["state"]
        if state in AVAILABLE:
            return status
        if ended(state):
            raise Refused(status["reason"] or Reason.WRONG_STATE, detail=status["detail"], field="state")
        if time.monotonic() + pause > until:
            raise Refused(Reason.RESULT_NOT_READY, detail=f"The prediction is {state}.")
        if not answer.waited:
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def status(work: Work, api: Api) -> Status:
    """Where the prediction stands. Raises Refused(WRONG_STATE) for one that was not sent yet."""
    return api.prediction(_job(work))


def cancel(work: Work, api: Api) -> Status:
    """Take the request back. Raises Refused(WRONG_STATE) once there is a result."""
    return api.cancel_prediction(_job(work))


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
    job, name = _job(work), work.content["digest"]
    if work.alarm:
        _alarm(home, api, work, sleep)
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
        _alarm(home, api, work, sleep)
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
    told = _tell(definition, opened, content["values"], content["what_ifs"], shown)
    work.opened(result)
    packages.keep_result(home, work, disclose(work, with_record=True))
    for stage in packages.STAGES:
        packages.hand_in(api, work, stage, home.keys.identity)
    return OpenedPrediction(*told, result["record"], log.head.size, log.witnessed)


def open_when_ready(
    home: ClientHome,
    api: Api,
    work: Work,
    *,
    seconds: float,
    shown: Sequence[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> OpenedPrediction:
    """As `open_result`, for as often as it takes within so many seconds until the log shows the result, cosigned by as
    many as the home asks for: a result is there some moments before the log's next head is.

    Raises Refused as `open_result` does.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return open_result(home, api, work, shown=shown, sleep=sleep)
        except Refused as refused:
            waits = refused.reason in (Reason.RESULT_NOT_READY, Reason.WITNESSES_TOO_FEW)
            if not waits or time.monotonic() + _HEAD_PAUSE > until:
                raise
        sleep(_HEAD_PAUSE)


def _alarm(home: ClientHome, api: Api, work: Work, sleep: Callable[[float], None]) -> NoReturn:
    """Hand the alarm in, for as often as it takes until it stands in the log: the same again is no harm.

    Whoever runs the log could keep an alarm back that it has taken, and nobody else would hear of it.
    """
    job, sentence = _job(work), REASONS[Reason.CANARY_FAILED].sentence
    for attempt in range(_ALARM_ATTEMPTS):
        entry = api.raise_alarm(job, work.alarm)["entry"]
        try:
            documents = {"alarm": canonical.digest(work.alarm.encode())}
            check_entry(api, follow(home, api).head, entry, event=Event.CANARY_FAILED, job=job, documents=documents)
        except Refused as refused:
            if refused.reason not in (Reason.RESULT_NOT_READY, Reason.WITNESSES_TOO_FEW):
                raise
        else:
            raise Refused(Reason.CANARY_FAILED, detail=f"{sentence} The alarm is entry {entry} of the log.")
        if attempt + 1 < _ALARM_ATTEMPTS:
            sleep(_LONGEST_PAUSE)
    detail = f"{sentence} The alarm was taken, and the log does not show it: open the result again until it does."
    raise Refused(Reason.CANARY_FAILED, detail=detail, field=NOT_LOGGED)


def show(
    home: ClientHome, api: Api, work: Work, opened: OpenedPrediction, *, viewer: str, decision: display.Decision
) -> None:
    """Sign for what was shown to whom (`viewer` is a role) and what they made of it, and hand the receipt in."""
    token = display.show(
        request=work.request,
        job=_job(work),
        template=opened.template,
        language=LANGUAGE,
        rendered=opened.text,
        viewer=viewer,
        decision=decision,
        time=clock.now(),
        key=home.keys.identity,
    )
    api.display(_job(work), token)


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
        "job": _job(work),
        "request": content["token"],
        "place": place,
        "outputs": _own(work, _unseal(work, result)),
    }
    if with_record:
        document["inputs"] = content["openings"][place]
    return dict(plain(read(document, Disclosure)))


def _tell(
    definition: CheckedDefinition,
    opened: Sequence[Opened],
    values: Mapping[str, Value],
    changes: Sequence[Change],
    shown: Sequence[str],
) -> tuple[Explanation | Classes, tuple[WhatIf, ...] | tuple[ClassesIf, ...], str, str]:
    """Explanation, answers to what-ifs, and the text with its template."""
    design, schema, names = definition.design, definition.schema, definition.manifest["classes"]
    record = schema.encode_row(values)
    if names:
        found = classes.explain(opened, names, design=design, schema=schema, record=record)
        asked = classes.answer(changes, opened, names, schema=schema, values=record.values)
        text = classes.render_text(found, shown) + classes.render_what_ifs(asked, found)
        return found, asked, text, classes.TEMPLATE
    (only,) = opened
    explanation = explain(only, design=design, schema=schema, record=record)
    answers = what_if.answer(
        changes, list(only.what_ifs), schema=schema, values=record.values, target=scale_of(definition.content)
    )
    return (
        explanation,
        answers,
        render_text(explanation) + what_if.render_text(answers, explanation.probability),
        TEMPLATE,
    )


def _who(home: ClientHome, ground: Ground, *, consent: str, subject: str) -> tuple[str, str]:
    """The consent statement and the pseudonym that a request on this ground carries."""
    if ground is not Ground.CONSENT:
        if consent:
            detail = f"The legal ground is “{ground}”: name the subject, and no consent."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="consent")
        return "", subject
    if not consent:
        raise Refused(Reason.CONSENT_MISSING, detail="The legal ground is consent: name one.", field="consent")
    if subject:
        raise Refused(Reason.FIELD_INVALID, detail="The consent names the subject.", field="subject")
    given = consents.kept(home, consent)
    return given.token, given.statement["subject"]


def _own(work: Work, outputs: Mapping[str, Sequence[OutputShares]]) -> dict[str, OutputShares]:
    """Every party's shares of the person's own record."""
    place = work.content["place"]
    return {party: shares[place] for party, shares in outputs.items() if place < len(shares)}


def _unseal(work: Work, result: Result) -> dict[str, list[OutputShares]]:
    """Every party's output shares, by record."""
    job, key = _job(work), work.output_key
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


def _job(work: Work) -> str:
    if not work.job:
        raise Refused(Reason.WRONG_STATE, detail="The request was not sent yet; submit it first.")
    return work.job
