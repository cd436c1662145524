"""The pages of legal matters: who is shown what, forms with errors beside their fields, and files of what was made."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from concordat import canonical, clock
from concordat.events import Event
from governance.models import Grant, Matter, PrivilegeMark, Production
from ledger.models import LogEntry
from tests.support.decided import Decided
from tests.support.matters import SAID, SECRETS, let_in, open_matter
from tests.support.officers import signed_in as browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(decided: Decided) -> User:
    return decided.member("long-beach", "institution-admin")


@pytest.fixture
def reviewer(decided: Decided) -> User:
    return decided.member("long-beach", "legal-reviewer")


@pytest.fixture
def matter(decided: Decided, administrator: User) -> Matter:
    return open_matter(administrator, decided.at["long-beach"], decided.number)


def post(client: Client, name: str, *given: Any, **fields: Any) -> Any:
    """As a form of ours sends it; the answer is the page that follows."""
    client.get(reverse("admin:matters"))
    token = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    return client.post(reverse(f"admin:{name}", args=given), fields | token, follow=True)


def opening(decided: Decided, **changes: Any) -> dict[str, Any]:
    return {
        **SAID,
        "institution": decided.at["long-beach"].pk,
        "ends": "2999-01-01T00:00",
        "records": f"{decided.number.lower()}\n",
    } | changes


def at(matter: Matter) -> str:
    return reverse("admin:matter", args=[matter.uuid])


def test_an_administrator_opens_a_matter_and_lets_a_reviewer_in(
    decided: Decided, administrator: User, reviewer: User
) -> None:
    client = browser(administrator)
    assert reverse("admin:matters") in client.get(reverse("admin:index")).content.decode()
    shown = post(client, "matter_open", **opening(decided)).content.decode()
    matter = Matter.objects.get()
    assert "Nobody reads in it until you give a grant." in shown
    for said in (*SECRETS, decided.number, str(matter.uuid)):
        assert said in shown
    given = {"grant-reviewer": str(reviewer.officer.uuid), "grant-until": "2998-01-01T00:00"}
    assert reviewer.officer.name in post(client, "matter_do", matter.uuid, "grant", **given).content.decode()
    page = browser(reviewer).get(at(matter)).content.decode()
    assert reverse("admin:decision", args=[decided.number]) + f"?matter={matter.uuid}" in page
    read = browser(reviewer).get(reverse("admin:decision", args=[decided.number]), {"matter": str(matter.uuid)})
    assert "Under which authority this was read" in read.content.decode()


WRONG = [
    ({"prefix": "lb 1"}, "prefix"),
    ({"kind": "subpoena"}, "assurance"),
    ({"records": "C-0000042-4"}, "records"),
    ({"records": "C-0000000-1"}, "records"),
    ({"dated": "2999-01-01"}, "dated"),
    ({"paper": "sha256:1"}, "paper"),
    ({"ends": "2001-01-01T00:00"}, "ends"),
    ({"title": ""}, "title"),
]


def test_an_error_stands_beside_its_field(decided: Decided, administrator: User) -> None:
    for changes, field in WRONG:
        shown = post(browser(administrator), "matter_open", **opening(decided, **changes)).content.decode()
        before = shown.partition(f'id="id_{field}"')[0]
        assert re.search(rf'errorlist" id="id_{field}_error"', before), field
    assert not Matter.objects.exists()


def test_an_error_in_a_form_of_the_page_stands_there_too(
    decided: Decided, administrator: User, reviewer: User, matter: Matter
) -> None:
    client = browser(administrator)
    given = {"grant-reviewer": str(reviewer.officer.uuid), "grant-until": "2999-01-01T00:00"}
    shown = post(client, "matter_do", matter.uuid, "grant", **given).content.decode()
    assert 'id="id_grant-until_error"' in shown
    shown = post(client, "matter_do", matter.uuid, "name", **{"name-number": "C-0000042-4"}).content.decode()
    assert 'id="id_name-number_error"' in shown
    assert not Grant.objects.exists()


def test_nobody_else_sees_the_page_or_does_anything_there(decided: Decided, matter: Matter, reviewer: User) -> None:
    for by in (
        reviewer,
        decided.member("long-beach", "irb-chair"),
        decided.member("zurich", "institution-admin"),
        decided.member("zurich", "regulator"),
    ):
        client = browser(by)
        assert matter.title not in client.get(reverse("admin:matters")).content.decode()
        shown = client.get(at(matter), follow=True).content.decode()
        assert "No matter that you can see" in shown
        for verb in ("name", "prolong", "close", "grant", "end-grant", "mark", "withdraw", "anything"):
            shown = post(client, "matter_do", matter.uuid, verb).content.decode()
            assert not any(secret in shown for secret in SECRETS)
        assert not any(
            secret in client.get(reverse("admin:matter_produce", args=[matter.uuid]), follow=True).content.decode()
            for secret in SECRETS
        )
        assert "No matter" in post(client, "matter_production", matter.uuid, 1).content.decode()
    assert (
        "Your role does not include this"
        in browser(reviewer).get(reverse("admin:matter_open"), follow=True).content.decode()
    )


def test_a_reviewer_marks_produces_and_takes_the_file_along(
    decided: Decided, administrator: User, reviewer: User, matter: Matter
) -> None:
    let_in(administrator, matter, reviewer)
    client = browser(reviewer)
    given = {
        "mark-number": decided.number,
        "mark-part": "display",
        "mark-ground": "work-product",
        "mark-basis": "Notes.",
    }
    assert "Marked." in post(client, "matter_do", matter.uuid, "mark", **given).content.decode()
    form = client.get(reverse("admin:matter_produce", args=[matter.uuid])).content.decode()
    names = re.findall(r'<select name="(d\d+-\w+)"', form)
    assert names
    assert not any(name.endswith("-display") for name in names)
    shown = post(
        client, "matter_produce", matter.uuid, **{names[0].partition("-")[0] + "-include": "on"}
    ).content.decode()
    assert shown.count("Say whether it is opened or redacted.") == len(names)
    assert not Production.objects.exists()
    request = next(name for name in names if name.endswith("-request_statement"))
    careless = dict.fromkeys(names, "minimum-necessary") | {
        names[0].partition("-")[0] + "-include": "on",
        request: "open",
    }
    shown = post(client, "matter_produce", matter.uuid, **careless).content.decode()
    assert "which you redact: redact this, too." in shown
    assert not Production.objects.exists()
    chosen = dict.fromkeys(names, "minimum-necessary") | {names[0].partition("-")[0] + "-include": "on"}
    shown = post(client, "matter_produce", matter.uuid, **chosen).content.decode()
    made = Production.objects.get()
    assert made.digest in shown
    answer = post(client, "matter_production", matter.uuid, 1)
    assert canonical.digest(answer.content) == made.digest
    assert answer["Content-Disposition"].startswith('attachment; filename="LBDOE-0000001_LBDOE-')
    page = client.get(at(matter)).content.decode()
    assert "production 1 taken" in page
    assert "production 1 made" in page
    mark = PrivilegeMark.objects.get()

    assert (
        "The mark was withdrawn."
        in post(client, "matter_do", matter.uuid, "withdraw", mark=str(mark.uuid)).content.decode()
    )


def test_an_administrator_reads_no_dossier_and_takes_no_production(
    decided: Decided, administrator: User, reviewer: User, matter: Matter
) -> None:
    let_in(administrator, matter, reviewer)
    client = browser(administrator)
    page = client.get(at(matter)).content.decode()
    assert reverse("admin:decision", args=[decided.number]) not in page
    assert reverse("admin:matter_produce", args=[matter.uuid]) not in page
    client.get(reverse("admin:decision", args=[decided.number]))
    assert not LogEntry.objects.filter(event=Event.MATTER_DOSSIER_READ).exists()


def test_ending_prolonging_and_closing(decided: Decided, administrator: User, reviewer: User, matter: Matter) -> None:
    grant = let_in(administrator, matter, reviewer)
    client = browser(administrator)
    assert (
        "The grant has ended."
        in post(client, "matter_do", matter.uuid, "end-grant", grant=str(grant.uuid)).content.decode()
    )
    moved = post(client, "matter_do", matter.uuid, "prolong", **{"prolong-ends": "2998-01-01T00:00"})
    assert "2998-01-01" in moved.content.decode()
    closed = post(client, "matter_do", matter.uuid, "close").content.decode()
    assert "Closed " in closed
    assert 'value="Close the matter"' not in closed


def test_pages_obey_the_content_security_policy_and_are_kept_by_nobody(
    decided: Decided, administrator: User, matter: Matter, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    for by, address in (
        (administrator, reverse("admin:matters")),
        (administrator, reverse("admin:matter_open")),
        (administrator, at(matter)),
        (reviewer, at(matter)),
        (reviewer, reverse("admin:matter_produce", args=[matter.uuid])),
    ):
        answer = browser(by).get(address)
        assert answer.status_code == 200
        shown = answer.content.decode()
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", shown)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shown)
        assert "no-store" in answer.headers["Cache-Control"]


def test_what_changes_something_is_asked_for_by_a_form_of_our_own(decided: Decided, matter: Matter) -> None:
    client = browser(decided.member("long-beach", "institution-admin"))
    assert client.get(reverse("admin:matter_do", args=[matter.uuid, "close"])).status_code == 405
    assert client.post(reverse("admin:matter_do", args=[matter.uuid, "close"])).status_code == 403
    assert matter.state_at(clock.now()) == Matter.objects.get().state
