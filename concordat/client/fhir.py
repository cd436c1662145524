"""What the client says in FHIR: an opened result, a job, and the audit events of what it read and disclosed.

Nothing here is sent anywhere. `audit.ndjson` in the home folder (mode 0600) has an AuditEvent a line, is only appended
to, and is the institution's own: what reads it, and when it is put away, is theirs to say.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from concordat import clock
from concordat.client.answers import Status
from concordat.client.governance import CheckedDefinition
from concordat.client.heard import FILE, Heard
from concordat.client.home import ClientHome
from concordat.client.predict import OpenedPrediction
from concordat.client.work import Work
from concordat.fhir import audit
from concordat.fhir.result import About, result_bundle
from concordat.fhir.task import task
from concordat.files import append_private
from concordat.reading.record import Origins
from concordat.reasons import Reason
from concordat.receipt import check_receipts
from concordat.request import peek_request
from concordat.states import JobState

_ABOUT_CONSENT = frozenset(
    {Reason.CONSENT_WITHDRAWN, Reason.CONSENT_EXPIRED, Reason.CONSENT_MISSING, Reason.RECONSENT_NEEDED}
)


def result(home: ClientHome, definition: CheckedDefinition, work: Work, opened: OpenedPrediction) -> dict[str, Any]:
    """An opened prediction as a FHIR transaction (`concordat.fhir.result`).

    Raises:
        Refused: NOT_FOUND before the result was opened; what `check_receipts` refuses.
    """
    asked, origins = peek_request(work.content["token"]), work.origins
    tokens = {each["node"]: each["receipt"] for each in work.result["results"]}
    receipts = check_receipts(
        list(tokens.values()), home.pins.lasting_keyring, request=work.content["digest"], definition=definition.content
    )
    codes = {
        group: [code.model_dump() for feature in features for code in feature.codes]
        for group, features in zip(definition.design.groups, definition.design.features(definition.schema), strict=True)
    }
    about = About(
        request=work.request,
        signed=work.content["token"],
        requester=home.institution,
        receipts=tokens,
        made=max(clock.parse(receipt["finished"]) for receipt in receipts.values()),
        person=asked["person"],
        subject=asked["subject"],
        patient=origins["patient"],
        definition=definition.digest,
        computed=definition.protocol["computed"],
        record=opened.record,
        log_origin=home.pins.log_origin,
        log_size=opened.log_size,
        origins=origins["items"],
        codes=codes,
    )
    return result_bundle(opened.explanation, about)


def job(work: Work, status: Status) -> dict[str, Any]:
    """A prediction's job as a FHIR Task."""
    asked = peek_request(work.content["token"])
    return task(
        request=work.request,
        requester=asked["requester"],
        subject=asked["subject"],
        definition=asked["definition"],
        authored=clock.parse(asked["issued"]),
        now=clock.now(),
        state=status["state"],
        reason=status["reason"],
        record=status["record"],
    )


@contextmanager
def hearing(home: ClientHome, *, person: str, subject: str) -> Iterator[Heard]:
    """Whoever reads of a person notes what came; if no request comes of it, for whatever reason, what was read is
    written down here: else `audit_read` does so, with the request."""
    heard = Heard()
    try:
        yield heard
    except BaseException:
        if heard.kinds:
            _audit_read(home, heard.kinds, request="", person=person, subject=subject, source=heard.source)
        raise


def audit_read(home: ClientHome, origins: Origins, *, request: str, person: str, subject: str, source: str) -> None:
    """Write down that the resources which a request is made of were read, at the `source`."""
    kinds = {origin["resource"] for origin in origins["items"] if origin["place"]}
    kinds |= {"ResearchSubject"} if "participation" in origins else set()
    _audit_read(home, kinds, request=request, person=person, subject=subject, source=source)


def _audit_read(
    home: ClientHome, kinds: Iterable[str], *, request: str, person: str, subject: str, source: str
) -> None:
    event = audit.patient_read(
        institution=home.institution,
        person=person,
        subject=subject,
        request=request,
        kinds=sorted(kinds),
        source=source,
        now=clock.now(),
    )
    _append(home, event)


def audit_consent(home: ClientHome, work: Work, consent: str, status: Status) -> None:
    """Write down that a consent was checked: the coordinator took the request, or refused it for the consent's sake."""
    refused = status["state"] is JobState.REFUSED
    if refused and status["reason"] not in _ABOUT_CONSENT:
        return
    asked = peek_request(work.content["token"])
    event = audit.consent_checked(
        institution=home.institution,
        person=asked["person"],
        subject=asked["subject"],
        consent=consent,
        permitted=not refused,
        now=clock.now(),
    )
    _append(home, event)


def audit_disclosed(home: ClientHome, work: Work, *, kinds: Iterable[str], recipient: str = FILE) -> None:
    """Write down that resources of these types about a person left the client, for a server or a file."""
    asked = peek_request(work.content["token"])
    event = audit.disclosed(
        institution=home.institution,
        person=asked["person"],
        subject=asked["subject"],
        request=work.request,
        recipient=recipient,
        kinds=sorted(set(kinds)),
        now=clock.now(),
    )
    _append(home, event)


def audit_looked(home: ClientHome, work: Work, *, person: str, kinds: Iterable[str], server: str) -> None:
    """Write down that a person has resources of these types, made of a request, read at a server."""
    subject = peek_request(work.content["token"])["subject"]
    _audit_read(home, set(kinds), request=work.request, person=person, subject=subject, source=server)


def audit_updated(home: ClientHome, work: Work, *, person: str, kinds: Iterable[str], server: str) -> None:
    """Write down that a person has had resources of these types, made of a request, changed at a server."""
    event = audit.patient_updated(
        institution=home.institution,
        person=person,
        subject=peek_request(work.content["token"])["subject"],
        request=work.request,
        server=server,
        kinds=sorted(set(kinds)),
        now=clock.now(),
    )
    _append(home, event)


def _append(home: ClientHome, event: Mapping[str, Any]) -> None:
    append_private(home.audit, json.dumps(event, ensure_ascii=False, sort_keys=True).encode() + b"\n")
