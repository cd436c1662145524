"""Every member reads the log and its anchors, which name nobody; a legal reviewer takes a decision's dossier along."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from concordat import canonical
from concordat.events import Event
from concordat.verifier import bundle
from governance.models import Definition, Membership
from governance.permissions import HOLDERS, Verb
from ledger import selectors
from ledger.models import Anchor, LogEntry
from ledger.services.publish import publish
from ledger.services.record import record
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in as browser

SUBJECT, FIELDS = str(uuid4()), {"subject", "request_statement"}
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


def take(client: Client, entry: LogEntry) -> Any:
    client.get(reverse("admin:governance_passkey_changelist"))
    form = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    return client.post(reverse("admin:ledger_logentry_dossier", args=[entry.pk]), form)


def readings() -> int:
    return LogEntry.objects.filter(event=Event.DOSSIER_READ).count()


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


def test_a_self_hosted_chain_is_called_so(consortium: Consortium, decided: LogEntry, settings: Any) -> None:
    client, address = browser(consortium.member("zurich", "auditor")), reverse("admin:ledger_anchor_changelist")
    settings.CHAIN_SELF_HOSTED = True
    assert "self-hosted anchor" in client.get(address).content.decode()
    settings.CHAIN_SELF_HOSTED = False
    assert "chain 31338" in client.get(address).content.decode()


# --- dossiers


def test_a_legal_reviewer_downloads_the_dossier_and_the_log_says_so(consortium: Consortium, decided: LogEntry) -> None:
    reviewer = consortium.member("long-beach", "legal-reviewer")
    client = browser(reviewer)
    assert "Dossier</button>" in page(client, decided).content.decode()
    answer = take(client, decided)
    assert answer["Content-Disposition"] == f'attachment; filename="{decided.record_number}.zip"'
    assert f"entries/{decided.index:07d}.json" in bundle.unpack(answer.content)
    entry = LogEntry.objects.get(event=Event.DOSSIER_READ)
    assert entry.public == {"request": decided.public["request"], "role": "legal-reviewer"}
    assert selectors.private_fields(entry) == {"reader": str(reviewer.officer.uuid)}


@pytest.mark.parametrize(
    ("slug", "opened"),
    [
        ("long-beach", FIELDS),  # it asked
        ("zurich", FIELDS),  # its node was given the request
    ],
)
def test_it_opens_what_the_reviewer_s_institution_was_given(
    consortium: Consortium, decided: LogEntry, slug: str, opened: set[str]
) -> None:
    content = take(browser(consortium.member(slug, "legal-reviewer")), decided).content
    openings = canonical.decode(bundle.unpack(content)["openings.json"])
    assert set(openings["opened"][str(decided.index)]) == opened


def test_a_site_that_computed_nothing_sees_the_proofs_alone(consortium: Consortium, decided: LogEntry) -> None:
    Definition.objects.update(content=Definition.objects.get().content | {"parties": ["cleveland", "budapest"]})
    content = take(browser(consortium.member("zurich", "legal-reviewer")), decided).content
    openings = canonical.decode(bundle.unpack(content)["openings.json"])
    assert openings["opened"] == {}


@pytest.mark.parametrize("role", sorted(set(Membership.Role.values) - HOLDERS[Verb.READ_DOSSIER]))
def test_another_role_is_offered_no_dossier_and_gets_none(consortium: Consortium, decided: LogEntry, role: str) -> None:
    client = browser(consortium.member("long-beach", role))
    assert "Dossier</button>" not in page(client, decided).content.decode()
    assert take(client, decided).status_code == 302
    assert "Your role does not include this." in page(client, decided).content.decode()
    assert readings() == 0


def test_a_reviewer_of_an_institution_outside_the_study_gets_none(consortium: Consortium, decided: LogEntry) -> None:
    client = browser(consortium.member("notary", "legal-reviewer"))
    assert take(client, decided).status_code == 302
    assert "not yours to see" in page(client, decided).content.decode()
    assert readings() == 0


def test_only_decisions_have_dossiers(consortium: Consortium, decided: LogEntry) -> None:
    client = browser(consortium.member("long-beach", "legal-reviewer"))
    entry = LogEntry.objects.get(index=0)
    assert "Dossier</button>" not in page(client, entry).content.decode()
    assert take(client, entry).status_code == 302
    assert readings() == 0


def test_looking_at_the_address_hands_nothing_out(consortium: Consortium, decided: LogEntry) -> None:
    client = browser(consortium.member("long-beach", "legal-reviewer"))
    assert client.get(reverse("admin:ledger_logentry_dossier", args=[decided.pk])).status_code == 405
    assert client.post(reverse("admin:ledger_logentry_dossier", args=[decided.pk])).status_code == 403
    assert readings() == 0
