"""A decision's page: for whom, what it shows, in which forms it is handed out, and that every look is in the log."""

import dataclasses
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from concordat import canonical, record_number
from concordat.events import Event
from concordat.verifier import Options, bundle, verify
from concordat.verifier.forms import FORMS
from governance.models import Definition, Membership, Study
from governance.permissions import HOLDERS, Verb
from governance.services import dossiers
from governance.states import StudyState
from ledger import selectors
from ledger.models import ChainTransaction, LogEntry, TransactionState
from ledger.services import stamping
from ledger.services.publish import publish
from ledger.services.subjects import destroy
from tests.support.decided import Decided
from tests.support.officers import signed_in as browser
from tests.support.triggers import without_rules
from tests.support.tsa import Authority, serving
from tests.support.witnesses import witness

pytestmark = pytest.mark.django_db

FILES = {"bundle": ".zip", **{name: form.suffix for name, form in FORMS.items()}}
FIELDS = {"subject", "request_statement"}
OPENED = {*FIELDS, "consent", "display", "statement"}


@pytest.fixture
def reviewer(decided: Decided) -> User:
    return decided.reviewer("long-beach")


def look(client: Client, record: str) -> Any:
    return client.get(reverse("admin:decision", args=[record]), follow=True)


def take(client: Client, shown: str, record: str, form: str, **changes: str) -> Any:
    """A file, as the page's own form asks for it."""
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown))
    return client.post(reverse("admin:decision_file", args=[record]), fields | {"form": form} | changes)


def readings() -> list[LogEntry]:
    read = (Event.DOSSIER_READ, Event.MATTER_DOSSIER_READ)
    return list(LogEntry.objects.filter(event__in=read).order_by("index"))


# --- what it shows


def test_it_tells_the_verified_story_with_a_timeline(decided: Decided, reviewer: User) -> None:
    answer = look(browser(reviewer), decided.number)
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert f"Decision {decided.number}" in shown
    assert "<strong>No check failed.</strong>" in shown
    for head in ("Who allowed it", "What was computed", "What came out", "What was shown", "What happened since"):
        assert f"<h2>{head}</h2>" in shown
    assert "The result is known to the requester alone" in shown
    items = re.findall(r"<li class=\"(\w+)\"><p><time datetime", shown.partition('<ol class="timeline">')[2])
    assert {"allowed", "computed", "shown", "since"} == set(items)
    assert "accepted by a cardiologist" in shown


def test_it_obeys_the_content_security_policy_and_is_kept_by_nobody(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    for answer in (look(client, decided.number), client.get(reverse("admin:decisions"))):
        shown = answer.content.decode()
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", shown)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shown)
        assert "no-store" in answer.headers["Cache-Control"]


# --- files


def test_every_form_is_of_the_dossier_that_was_shown_and_is_recorded_with_role_and_form(decided: Decided) -> None:
    reviewer = decided.member("long-beach", "regulator")
    client = browser(reviewer)
    shown = look(client, decided.number).content.decode()
    (digest,) = re.findall(r"Digest of the bundle: <code>([^<]+)</code>", shown)
    files = {}
    for form, suffix in FILES.items():
        answer = take(client, shown, decided.number, form)
        assert answer.status_code == 200
        assert answer["Content-Disposition"] == f'attachment; filename="{decided.number}{suffix}"'
        assert "sandbox" in answer["Content-Security-Policy"]
        files[form] = answer.content
    assert canonical.digest(files["bundle"]) == digest
    answer = verify(files["bundle"]).to_json()
    assert {name: files[name] for name in FORMS} == {name: form.write(answer) for name, form in FORMS.items()}
    assert answer["story"]["timeline"][-1]["sentence"].endswith("(role: regulator; form: page)")
    for check in answer["checks"]:
        assert f'<th scope="row">{check["name"]}</th>' in shown
        assert check["reason"] is None or f"<code>{check['reason']}</code>" in shown
    found = readings()
    assert [entry.public["form"] for entry in found] == ["page", *FILES]
    assert {entry.public["role"] for entry in found} == {"regulator"}
    assert {entry.public["request"] for entry in found} == {str(decided.job.request_uuid)}
    said = {"reader": str(reviewer.officer.uuid), "institution": "long-beach", "opened": sorted(OPENED)}
    assert all(selectors.private_fields(entry) == said for entry in found)
    assert all(str(reviewer.officer.uuid).encode() not in bytes(entry.leaf) for entry in found)


def test_the_bundle_and_the_requesters_disclosure_show_the_result(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    data = take(client, look(client, decided.number).content.decode(), decided.number, "bundle").content
    result = verify(data, Options(disclosure=canonical.encode(decided.disclosure)))
    assert result.holds
    assert result.story is not None
    assert result.story["result"] is not None


def test_chain_and_witnesses_go_on_and_the_files_stay_those_of_the_page(decided: Decided, reviewer: User) -> None:
    """Each look makes a new head, which is anchored and cosigned while the reader reads."""
    client = browser(reviewer)
    shown = look(client, decided.number).content.decode()
    (digest,) = re.findall(r"Digest of the bundle: <code>([^<]+)</code>", shown)
    ChainTransaction.objects.update(state=TransactionState.MINED, block=7, hash="0x" + "ab" * 32)
    for slug in ("cleveland", "budapest", "zurich", "notary"):
        witness(decided.consortium.homes[slug]).cosign()
    assert canonical.digest(take(client, shown, decided.number, "bundle").content) == digest
    again = look(client, decided.number).content.decode()
    assert digest not in again
    assert "4 of 4 witnesses" in again
    assert verify(take(client, again, decided.number, "bundle").content).holds


@pytest.mark.parametrize("before", [False, True])
def test_a_time_stamp_that_comes_meanwhile_is_in_the_next_dossier(
    decided: Decided, reviewer: User, settings: Any, tmp_path: Path, before: bool
) -> None:
    authority = Authority(tmp_path / "tsa")
    settings.TSA_SECONDS, settings.TSA_ROOT, settings.TSA_POLICY = 0, str(authority.folder / "root.pem"), ""
    with serving(authority) as server:
        settings.TSA_URL = server.url
        if before:
            publish()
            assert stamping.stamp()
        client = browser(reviewer)
        shown = look(client, decided.number).content.decode()
        (digest,) = re.findall(r"Digest of the bundle: <code>([^<]+)</code>", shown)
        publish()
        assert stamping.stamp()
    taken = take(client, shown, decided.number, "bundle").content
    assert canonical.digest(taken) == digest
    assert ("timestamp.tsr" in bundle.unpack(taken)) == before
    assert "timestamp.tsr" in bundle.unpack(dossiers.hand_out(by=reviewer, number=decided.number).data)


def test_what_has_changed_since_the_page_was_made_is_not_passed_off_as_it(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    shown = look(client, decided.number).content.decode()
    destroy(institution="long-beach", subject=UUID(decided.consortium.subject), ground="request of the person")
    answer = take(client, shown, decided.number, "bundle")
    assert answer.status_code == 302
    assert "Open it again" in client.get(answer.url).content.decode()


def test_what_no_page_asks_for_is_refused_in_words(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    client.get(reverse("admin:decisions"))
    token = client.cookies["csrftoken"].value
    other = dataclasses.replace(dossiers.hand_out(by=reviewer, number=decided.number), number="C-0000000-1").seen
    for changes in ({"form": "docx"}, {"seen": "x"}, {"seen": other}):
        answer = take(client, "", decided.number, **{"form": "pdf", "csrfmiddlewaretoken": token} | changes)
        assert answer.status_code == 302, changes
        assert 'class="error"' in client.get(answer.url).content.decode(), changes


# --- every look is in the log


def test_the_next_reader_sees_who_read_it_before_by_a_role_and_nobody_who_did_in_a_matter(
    decided: Decided, reviewer: User
) -> None:
    look(browser(reviewer), decided.number)
    look(browser(decided.member("budapest", "regulator")), decided.number)
    shown = look(browser(decided.member("zurich", "regulator")), decided.number).content.decode()
    assert shown.count("(role: regulator; form: page)</p></li>") == 2
    assert "matter" not in shown.partition('<ol class="timeline">')[2].partition("</ol>")[0]
    assert len(readings()) == 3


def test_who_may_read_for_two_institutions_reads_in_the_role_at_the_one_that_opens_more(decided: Decided) -> None:
    reader = decided.member("zurich", "regulator")
    role, since = Membership.Role.REGULATOR, reader.memberships.get().since
    Membership.objects.create(user=reader, institution=decided.at["long-beach"], role=role, since=since)
    Definition.objects.update(content=Definition.objects.get().content | {"parties": ["cleveland", "budapest"]})
    content = dossiers.hand_out(by=reader, number=decided.number).data
    (entry,) = readings()
    said = selectors.private_fields(entry)
    assert (entry.public["role"], said["institution"]) == ("regulator", "long-beach")
    opened = canonical.decode(bundle.unpack(content)["openings.json"])["opened"]
    assert said["opened"] == sorted({field for fields in opened.values() for field in fields})


# --- for whom


def test_it_opens_what_the_reviewers_institution_was_given(decided: Decided) -> None:
    """The hospital that asked, a node that was given the request, and a site that computed nothing."""
    for slug, seen in (("long-beach", FIELDS), ("zurich", FIELDS), ("zurich", set())):
        if not seen:
            Definition.objects.update(content=Definition.objects.get().content | {"parties": ["cleveland", "budapest"]})
        client = browser(decided.reviewer(slug))
        content = take(client, look(client, decided.number).content.decode(), decided.number, "bundle").content
        opened = canonical.decode(bundle.unpack(content)["openings.json"])["opened"]
        assert set(opened.get(str(decided.entry.index), ())) - {"consent"} == seen


def refused(client: Client, record: str, words: str) -> None:
    """Neither the page nor a file, in words, and nothing is recorded."""
    assert words in look(client, record).content.decode()
    for form in FILES:
        answer = take(client, "", record, form, csrfmiddlewaretoken=client.cookies["csrftoken"].value)
        assert answer.status_code == 302
    assert words in client.get(reverse("admin:decisions")).content.decode()
    assert readings() == []


def test_no_other_role_reads_it(decided: Decided) -> None:
    for role in sorted(set(Membership.Role.values) - HOLDERS[Verb.READ_DOSSIER]):
        refused(browser(decided.member("long-beach", role)), decided.number, "Your role does not include this.")


def test_nobody_outside_the_study_reads_it(decided: Decided) -> None:
    decided.world.study.sites.remove(decided.at["notary"])
    Definition.objects.update(content=Definition.objects.get().content | {"dealer": "somebody-else"})
    refused(browser(decided.member("notary", "legal-reviewer")), decided.number, "not yours to see")


def test_whoever_has_lost_the_role_reads_it_no_more(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    client.get(reverse("admin:index"))
    Membership.objects.filter(user=reviewer).update(role=Membership.Role.AUDITOR)
    refused(client, decided.number, "Your role does not include this.")


def test_who_is_not_signed_in_is_asked_to(decided: Decided) -> None:
    for address in (reverse("admin:decisions"), reverse("admin:decision", args=[decided.number])):
        assert "/login/" in Client().get(address).url
    assert readings() == []


def test_it_is_read_in_every_state_of_the_study(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    for state in (StudyState.SUSPENDED, StudyState.TERMINATED, StudyState.CLOSED, StudyState.EXPIRED):
        with without_rules(Study):
            Study.objects.update(state=state)
        assert "<strong>No check failed.</strong>" in look(client, decided.number).content.decode()


def test_after_erasure_it_says_so_and_still_proves_the_rest(decided: Decided, reviewer: User) -> None:
    destroy(institution="long-beach", subject=UUID(decided.consortium.subject), ground="request of the person")
    shown = look(browser(reviewer), decided.number).content.decode()
    assert "<strong>No check failed.</strong>" in shown
    assert "<code>erased</code>" in shown


def test_what_is_no_decision_has_no_page(decided: Decided, reviewer: User) -> None:
    refused(browser(reviewer), record_number.format(0), "This record is not a decision.")


def test_only_a_form_of_our_own_takes_a_file(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    assert client.get(reverse("admin:decision_file", args=[decided.number])).status_code == 405
    assert client.post(reverse("admin:decision_file", args=[decided.number])).status_code == 403
    assert readings() == []


# --- found by its number


def test_a_number_leads_to_its_decision_however_it_is_typed(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    answer = client.get(reverse("admin:decisions"), {"record": f" {decided.number.lower()} "})
    assert answer.url == reverse("admin:decision", args=[decided.number])
    assert readings() == []


def test_a_typing_error_is_named_and_leads_nowhere(decided: Decided, reviewer: User) -> None:
    client = browser(reviewer)
    for typed in ("42", "C-0000042-4", '"><script>', "C-0000042-3 " * 9):
        answer = client.get(reverse("admin:decisions"), {"record": typed})
        assert answer.status_code == 200
        assert "record number" in answer.content.decode().partition('class="error"')[2]
        assert "<script>" not in answer.content.decode().partition("<main")[2]


def test_the_first_page_leads_there(decided: Decided, reviewer: User) -> None:
    assert reverse("admin:decisions") in browser(reviewer).get(reverse("admin:index")).content.decode()
