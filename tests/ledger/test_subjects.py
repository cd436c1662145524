"""Erasure: the key goes, the content with it, and every proof stays."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from concordat import checkpoint, clock, merkle
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.law import Exemption
from concordat.reasons import Reason, Refused
from ledger import selectors
from ledger.models import LegalHold, LogEntry, SubjectKey
from ledger.services.publish import publish
from ledger.services.record import record
from ledger.services.subjects import destroy, hold, lift

pytestmark = pytest.mark.django_db


def give_consent(subject):
    public = {"study": "chest-pain", "institution": "long-beach", "consent": str(uuid4())}
    return record(event=Event.CONSENT_GIVEN, public=public, private={"statement": "signed"}, subject=subject)


def refusal(call, **arguments):
    with pytest.raises(Refused) as refused:
        call(**arguments)
    return refused.value


def test_after_erasure_the_payload_is_gone_and_every_proof_still_verifies(settings):
    erased, kept = uuid4(), uuid4()
    mine, other = give_consent(erased), give_consent(kept)
    before = publish()
    destroy(institution="long-beach", subject=erased, ground="request of the person")
    after = publish()
    assert refusal(selectors.private_fields, entry=mine).reason is Reason.ERASED
    assert selectors.private_fields(other) == {"statement": "signed"}
    keys = {settings.LOG_ORIGIN: Keystore(settings.KEYS_DIR).identity.public}
    head = checkpoint.verify(after.note, keys)
    for entry in selectors.entries():
        proof = selectors.inclusion(entry.index, head.size)
        assert merkle.verify_inclusion(bytes(entry.leaf_hash), entry.index, head.size, proof, head.root)
    proof = selectors.consistency(before.size, after.size)
    assert merkle.verify_consistency(before.size, after.size, before.root, after.root, proof)


def test_the_row_remains_and_says_when_and_why():
    subject = uuid4()
    give_consent(subject)
    entry = destroy(institution="long-beach", subject=subject, ground="request of the person")
    row = SubjectKey.objects.get(subject=subject)
    assert (row.wrapped, row.ground) == (None, "request of the person")
    assert row.destroyed is not None
    assert entry.public == {"ground": "request of the person"}
    assert str(subject).encode() not in bytes(entry.leaf)


def test_a_legal_hold_forbids_it_and_names_its_ground():
    subject = uuid4()
    give_consent(subject)
    held = hold(institution="long-beach", subject=subject, ground="claim 4 O 12/26, retention until judgment")
    refused = refusal(destroy, institution="long-beach", subject=subject, ground="request")
    assert refused.reason is Reason.LEGAL_HOLD
    assert "claim 4 O 12/26" in refused.detail
    lift(hold=held.pk)
    destroy(institution="long-beach", subject=subject, ground="request")
    assert LegalHold.objects.get().ground == ""  # it may have told of a claim or a disease


def test_a_hold_is_set_and_lifted_once_and_the_log_says_so_without_its_ground():
    subject = uuid4()
    assert refusal(hold, institution="long-beach", subject=subject, ground="claim").reason is Reason.NOT_FOUND
    give_consent(subject)
    held = hold(institution="long-beach", subject=subject, ground="claim")
    lift(hold=held.pk)
    assert refusal(lift, hold=held.pk).reason is Reason.WRONG_STATE
    assert refusal(lift, hold=held.pk + 1).reason is Reason.NOT_FOUND
    for entry in LogEntry.objects.filter(event__in=(Event.LEGAL_HOLD_SET, Event.LEGAL_HOLD_LIFTED)):
        assert entry.public == {}
        assert selectors.private_fields(entry) == {
            "subject": str(subject),
            "ground": "claim",
            "exemption": "legal-claims",
            "until": "",
        }
    assert LogEntry.objects.filter(event=Event.LEGAL_HOLD_LIFTED).count() == 1


def test_a_hold_that_says_its_end_ends_by_itself(monkeypatch):
    subject, now = uuid4(), clock.now()
    give_consent(subject)
    until = now + timedelta(days=30)
    refused = refusal(hold, institution="long-beach", subject=subject, ground="claim", until=now)
    assert (refused.reason, refused.field) == (Reason.FIELD_INVALID, "until")
    hold(institution="long-beach", subject=subject, ground="claim", exemption=Exemption.PUBLIC_HEALTH, until=until)
    refused = refusal(destroy, institution="long-beach", subject=subject, ground="request")
    assert refused.reason is Reason.LEGAL_HOLD
    assert f"until {clock.rfc3339(until)}" in refused.detail
    assert "GDPR Article 17(3)(c)" in refused.detail
    monkeypatch.setattr(clock, "now", lambda: until)
    destroy(institution="long-beach", subject=subject, ground="request")


def test_the_operator_holds_lifts_and_erases_by_command(capsys):
    subject = uuid4()
    entry = give_consent(subject)
    call_command("legal_hold", "set", "long-beach", str(subject), "claim 4 O 12/26")
    number = LegalHold.objects.get().pk
    with pytest.raises(CommandError, match="claim 4 O 12/26"):
        call_command("erase_subject", "long-beach", str(subject), "request of the person")
    call_command("legal_hold", "lift", str(number))
    with pytest.raises(CommandError):
        call_command("legal_hold", "lift", str(number))
    call_command("erase_subject", "long-beach", str(subject), "request of the person")
    assert str(LogEntry.objects.last().record_number) in capsys.readouterr().out
    with pytest.raises(Refused, match=Reason.ERASED):
        selectors.private_fields(entry)


def test_a_key_is_destroyed_once():
    subject = uuid4()
    assert refusal(destroy, institution="long-beach", subject=subject, ground="request").reason is Reason.NOT_FOUND
    give_consent(subject)
    destroy(institution="long-beach", subject=subject, ground="request")
    assert refusal(destroy, institution="long-beach", subject=subject, ground="request").reason is Reason.ERASED
