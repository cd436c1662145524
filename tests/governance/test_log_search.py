"""The page that searches the log: for every member, in words, and with a way to a decision for whoever may read it."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from concordat.events import EVENTS, Event
from governance.models import Membership
from ledger import search
from ledger.models import LogEntry
from ledger.services.publish import publish
from ledger.services.record import Draft, record, record_all
from tests.governance.conftest import Consortium
from tests.governance.test_log_pages import public
from tests.support.matters import let_in, open_matter
from tests.support.officers import signed_in as browser

SUBJECT = str(uuid4())


@pytest.fixture
def decided(consortium: Consortium, settings: Any) -> LogEntry:
    """A recorded prediction of long-beach, in a published and anchored log; and one who has read its dossier."""
    known = consortium.registered()
    with transaction.atomic():
        private = {"subject": SUBJECT, "request_statement": consortium.request(known, subject=SUBJECT)}
        entry = record(event=Event.PREDICTION_RECORDED, public=public(known), private=private)
        record(event=Event.DOSSIER_READ, public={"request": entry.public["request"], "role": "regulator"})
    settings.ANCHOR_ADDRESS = settings.REGISTRY_ADDRESS
    publish()
    return entry


def look(client: Client, **given: str) -> Any:
    return client.get(reverse("admin:log_search"), given)


def numbers(answer: Any) -> list[str]:
    return re.findall(r'<li>\s*<h3><a href="[^"]+">(C-[^<]+)</a>', answer.content.decode())


@pytest.mark.parametrize("role", Membership.Role.values)
def test_a_member_of_any_role_finds_an_entry_in_words(consortium: Consortium, decided: LogEntry, role: str) -> None:
    answer = look(
        browser(consortium.member("notary", role)),
        study=str(decided.public["study"]),
        institution="long-beach",
        event="prediction.recorded",
        since=f"{decided.time:%Y-%m-%d}",
        until=f"{decided.time:%Y-%m-%d}",
    )
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert numbers(answer) == [decided.record_number]
    assert f"{decided.time:%Y-%m-%d %H:%M:%S} UTC" in shown
    assert EVENTS[Event.PREDICTION_RECORDED].description in shown
    assert "(long-beach)" in shown
    assert "its anchor waits to be sent" in shown
    assert SUBJECT not in shown
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", shown)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shown)


def test_each_entry_of_a_request_leads_a_reader_of_dossiers_to_the_decision(
    consortium: Consortium, decided: LogEntry
) -> None:
    address = reverse("admin:decision", args=[decided.record_number])
    reviewer = consortium.member("long-beach", "legal-reviewer")
    administrator = consortium.member("long-beach", "institution-admin")
    matter = open_matter(administrator, consortium.at["long-beach"], decided.record_number)
    let_in(administrator, matter, reviewer)
    for user in (reviewer, consortium.member("long-beach", "regulator")):
        assert f'href="{address}"' in look(browser(user), event="dossier.read").content.decode()
    others = ("long-beach", "auditor"), ("zurich", "legal-reviewer"), ("notary", "regulator")
    for slug, role in others:
        shown = look(browser(consortium.member(slug, role)), event="dossier.read").content.decode()
        assert decided.record_number in shown
        assert address not in shown


def test_a_study_has_its_title_for_those_who_see_it(consortium: Consortium, decided: LogEntry) -> None:
    study = str(decided.public["study"])
    shown = look(browser(consortium.member("long-beach", "auditor")), study=study).content.decode()
    hidden = look(browser(consortium.member("notary", "auditor")), study=study).content.decode()
    assert f"({study})</dd>" in shown
    assert f"<dd>{study}</dd>" in hidden


def test_who_is_no_member_searches_nothing(consortium: Consortium, decided: LogEntry) -> None:
    outsider = User.objects.create_user("staff@example.org", is_staff=True)
    assert look(browser(outsider)).status_code == 403
    assert look(Client()).status_code == 302


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"record": "C-0000000-0"}, "Record number"),
        ({"study": "atlantis"}, "Study"),
        ({"institution": "atlantis"}, "Institution"),
        ({"event": "x"}, "Event"),
        ({"since": "yesterday"}, "From"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "Until"),
        ({"before": "x"}, "Where the search goes on"),
    ],
)
def test_bad_input_is_answered_with_the_field_s_name(consortium: Consortium, given: Any, label: str) -> None:
    answer = look(browser(consortium.member("zurich", "auditor")), **given)
    assert answer.status_code == 400
    assert f"<strong>{label}:</strong>" in answer.content.decode()
    assert numbers(answer) == []


def test_an_empty_answer_says_what_to_try(consortium: Consortium, decided: LogEntry) -> None:
    shown = look(browser(consortium.member("zurich", "auditor")), since="2035-01-01").content.decode()
    assert "No entry was found." in shown
    assert "widen the period" in shown


def test_the_search_goes_on_behind_the_last_entry(
    consortium: Consortium, decided: LogEntry, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    with transaction.atomic():
        record_all([Draft(event=Event.STUDY_CLOSED, public={"study": "heart", "epoch": n}) for n in range(120)])
    client, seen = browser(consortium.member("zurich", "auditor")), []
    with CaptureQueriesContext(connection) as alone:
        look(client, record=decided.record_number)
    address = f"{reverse('admin:log_search')}?event=study.closed"
    for _ in range(3):
        with django_assert_max_num_queries(len(alone) + 3):  # of fifty entries, as of one
            answer = client.get(address)
        seen += numbers(answer)
        link = re.search(r'<p><a href="([^"]+)">Go on with earlier entries', answer.content.decode())
        address = link[1].replace("&amp;", "&") if link else ""
    assert address == ""
    closed = LogEntry.objects.filter(event=Event.STUDY_CLOSED).order_by("-index")
    assert seen == [entry.record_number for entry in closed]
    monkeypatch.setattr(search, "REACH", 50)
    with transaction.atomic():
        record_all([Draft(event=Event.STUDY_CLOSED, public={"study": "lung", "epoch": n}) for n in range(60)])
        record_all([Draft(event=Event.STUDY_EXPIRED, public={"study": "heart", "epoch": n}) for n in range(160)])
    shown = look(client, study="heart", event="study.closed").content.decode()
    assert "No entry was found among the latest 50" in shown
    assert "Go on with earlier entries" in shown
