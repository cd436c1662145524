"""Every member reads the log and its anchors, which name nobody; a legal reviewer finds the way to a decision."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from concordat.clock import rfc3339
from concordat.events import Event
from governance.models import Definition, Membership
from governance.permissions import HOLDERS, Verb
from ledger import selectors
from ledger.models import Anchor, LogEntry, StampAttempt, TimeStamp
from ledger.services.publish import publish
from ledger.services.record import record
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in as browser

SUBJECT = str(uuid4())
LISTS = ["ledger_logentry", "ledger_anchor"]


@pytest.fixture
def decided(consortium: Consortium, settings: Any) -> LogEntry:
    """A recorded prediction of long-beach, in a published and anchored log."""
    known = consortium.registered()
    with transaction.atomic():
        private = {"subject": SUBJECT, "request_statement": consortium.request(known, subject=SUBJECT)}
        entry = record(event=Event.PREDICTION_RECORDED, public=public(known), private=private)
    settings.ANCHOR_ADDRESS = settings.REGISTRY_ADDRESS
    publish()
    return entry


def public(of: Definition) -> dict[str, Any]:
    return {
        "job": str(uuid4()),
        "request": str(uuid4()),
        "definition": of.digest,
        "model": of.content["model"],
        "study": of.study.slug,
        "institution": "long-beach",
    }


def page(client: Client, entry: LogEntry) -> Any:
    return client.get(reverse("admin:ledger_logentry_change", args=[entry.pk]))


# --- lists and pages


@pytest.mark.parametrize("role", Membership.Role.values)
def test_members_of_every_role_read_log_and_anchors_and_change_nothing(
    consortium: Consortium, decided: LogEntry, role: str
) -> None:
    client = browser(consortium.member("notary", role))
    for name, row in zip(LISTS, (decided, Anchor.objects.get()), strict=True):
        listed = client.get(reverse(f"admin:{name}_changelist"))
        shown = client.get(reverse(f"admin:{name}_change", args=[row.pk]))
        assert (listed.status_code, shown.status_code) == (200, 200)
        for text in (listed.content.decode(), shown.content.decode()):
            assert 'name="_save"' not in text
            assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
        assert client.get(reverse(f"admin:{name}_add")).status_code == 403
        assert client.get(reverse(f"admin:{name}_delete", args=[row.pk])).status_code == 403


def test_the_entries_that_a_study_s_page_shows_can_be_opened(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    entry = selectors.entries(study=study.slug).get()
    assert entry.record_number in page(browser(chair.user), entry).content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_who_is_no_member_reads_neither(consortium: Consortium, decided: LogEntry, name: str) -> None:
    outsider = User.objects.create_user("staff@example.org", is_staff=True)
    former = consortium.member("zurich", "auditor")
    User.objects.filter(pk=former.pk).update(is_active=False)
    assert browser(outsider).get(reverse(f"admin:{name}_changelist")).status_code == 403
    assert browser(former).get(reverse(f"admin:{name}_changelist")).status_code == 302


def test_whose_word_the_time_is_and_why_a_stamp_is_missing_stand_in_the_lists(
    consortium: Consortium, decided: LogEntry, settings: Any
) -> None:
    client, head = browser(consortium.member("zurich", "auditor")), Anchor.objects.get().checkpoint

    def shown() -> tuple[str, str]:
        anchors = client.get(reverse("admin:ledger_anchor_changelist"))
        return page(client, decided).content.decode(), anchors.content.decode()

    assert all("asserted by the operator" in text for text in shown())
    settings.TSA_URL = "https://tsa.example"
    StampAttempt.objects.create(asked=head.time, failures=1, reason="timestamp-authority-unavailable")
    assert all("asserted by the operator (timestamp-authority-unavailable)" in text for text in shown())
    TimeStamp.objects.create(checkpoint=head, answer=b"x", authority="Notary", time=head.time, received=head.time)
    assert all(f"not later than {rfc3339(head.time)} (UTC), by Notary" in text for text in shown())


def test_times_say_that_they_are_utc(consortium: Consortium, decided: LogEntry) -> None:
    client = browser(consortium.member("zurich", "auditor"))
    listed = client.get(reverse("admin:ledger_logentry_changelist")).content.decode()
    anchors = client.get(reverse("admin:ledger_anchor_changelist")).content.decode()
    for text in (listed, page(client, decided).content.decode()):
        assert f"{decided.time:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "Recorded (UTC)" in listed
    assert "Time stamp (UTC)" in anchors


def test_a_self_hosted_chain_is_called_so(consortium: Consortium, decided: LogEntry, settings: Any) -> None:
    client, address = browser(consortium.member("zurich", "auditor")), reverse("admin:ledger_anchor_changelist")
    settings.CHAIN_SELF_HOSTED = True
    assert "self-hosted anchor" in client.get(address).content.decode()
    settings.CHAIN_SELF_HOSTED = False
    assert "chain 31338" in client.get(address).content.decode()


# --- decisions


def test_a_decision_s_entry_leads_a_legal_reviewer_to_its_page(consortium: Consortium, decided: LogEntry) -> None:
    address = reverse("admin:decision", args=[decided.record_number])
    reviewer = browser(consortium.member("long-beach", "legal-reviewer"))
    assert address in page(reviewer, decided).content.decode()
    assert "Reconstruct" not in page(reviewer, LogEntry.objects.get(index=0)).content.decode()


@pytest.mark.parametrize("role", sorted(set(Membership.Role.values) - HOLDERS[Verb.READ_DOSSIER]))
def test_another_role_is_not_led_there(consortium: Consortium, decided: LogEntry, role: str) -> None:
    client = browser(consortium.member("long-beach", role))
    assert "Reconstruct" not in page(client, decided).content.decode()
    assert "Reconstruct" not in client.get(reverse("admin:index")).content.decode()
