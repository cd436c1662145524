"""What a person is told of everything that is held on them."""

import json
from io import StringIO
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command

from compute.services import export
from compute.services.erasure import erase_subject
from compute.services.export import export_subject
from concordat import canonical
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger import selectors as ledger
from ledger.models import LogEntry
from ledger.services import dossiers
from tests.support.consortium import REQUESTER


def exported(world):
    document = export_subject(institution=REQUESTER, subject=UUID(world.consortium.subject))
    return json.loads(canonical.encode(document))


def test_a_decision_leaves_nothing_out(world):
    job = world.recorded()
    dossiers.hand_out(number=job.record, role="legal-reviewer", reader="somebody")
    document = exported(world)
    events = [entry["event"] for entry in document["entries"]]
    assert {Event.CONSENT_GIVEN, Event.VERDICT, Event.PREDICTION_RECORDED, Event.EXPLANATION_RECORDED} <= set(events)
    assert job.record in [entry["record"] for entry in document["entries"]]
    related = [entry["event"] for entry in document["related"]]
    assert {Event.JOB_RESERVED, Event.DOSSIER_READ} <= set(related)
    assert "somebody" not in str(document)  # who reads is another person
    (consent,) = document["consents"]
    assert consent["statement"] == world.consortium.consent
    (told,) = document["jobs"]
    assert (told["job"], told["state"], told["record"]) == (str(job.uuid), "recorded", job.record)
    assert told["sealed_results"] == 3


def test_what_is_private_comes_opened_and_of_this_person_alone(world):
    world.ask()
    document = exported(world)
    named = [entry["private"]["subject"] for entry in document["entries"] if "subject" in entry["private"]]
    assert set(named) == {world.consortium.subject}
    verdict = next(entry for entry in document["entries"] if entry["event"] == Event.VERDICT)
    assert verdict["private"]["request_statement"]


def test_that_it_was_exported_is_recorded_and_stands_in_the_next_export(world):
    world.ask()
    exported(world)
    entry = ledger.entries(event=Event.SUBJECT_EXPORTED).get()
    assert world.consortium.subject not in str(entry.content)
    assert entry.record_number in [each["record"] for each in exported(world)["entries"]]


def test_nobody_is_exported_who_is_unknown_elsewhere_or_erased(world):
    world.ask()
    own = UUID(world.consortium.subject)
    for institution, subject, reason in [
        (REQUESTER, uuid4(), Reason.NOT_FOUND),
        ("zurich", own, Reason.NOT_FOUND),
    ]:
        before = LogEntry.objects.count()
        with pytest.raises(Refused) as caught:
            export_subject(institution=institution, subject=subject)
        assert (caught.value.reason, caught.value.field) == (reason, "subject")
        assert LogEntry.objects.count() == before
    erase_subject(institution=REQUESTER, subject=own, ground="the person's wish")
    with pytest.raises(Refused) as caught:
        export_subject(institution=REQUESTER, subject=own)
    assert caught.value.reason is Reason.ERASED


def test_what_cannot_be_recorded_is_not_exported(world, monkeypatch):
    world.ask()

    def broken(**_):
        raise RuntimeError

    monkeypatch.setattr(export, "record", broken)
    with pytest.raises(RuntimeError):
        exported(world)


def test_the_command_prints_the_document(world):
    world.ask()
    out = StringIO()
    call_command("export_subject", REQUESTER, world.consortium.subject, stdout=out)
    assert json.loads(out.getvalue())["subject"] == world.consortium.subject
    with pytest.raises(CommandError):
        call_command("export_subject", "zurich", world.consortium.subject)
