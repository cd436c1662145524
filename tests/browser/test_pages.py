"""Each page for everyone: WCAG 2.2 AA, narrow and wide, light and dark, on paper as on screen."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from compute.models import Job, ModelVersion
from concordat import canonical, clock
from concordat.reasons import Reason
from concordat.states import JobState
from concordat.verifier import Options, report, verify
from governance.models import Definition
from governance.services import invitations
from ledger import dossier
from ledger.services.publish import publish
from tests.browser.conftest import SCHEMES, Site, Visit, inspect
from tests.support.decision import SETTINGS, Decision

pytestmark = pytest.mark.full

Visitor = Callable[..., Visit]
DISCLOSED = ("request_statement", "display", "consent", "subject", "statement")


def test_sign_in(site: Site, visit: Visitor, tmp_path: Path) -> None:
    assert inspect(visit(), site.url("index"), tmp_path) == []


def test_what_a_newcomer_sees_on_the_way_in(site: Site, visit: Visitor, tmp_path: Path) -> None:
    own, user = visit(), site.member("zurich", "auditor")
    assert inspect(own, invitations.link(user), tmp_path) == []
    own.give_password(user)
    assert inspect(own, site.url("second_factor_set_up"), tmp_path) == []
    own.second_step(user)
    addresses = [site.url(name) for name in ("recovery_codes", "second_factors", "second_factors_app")]
    assert [wrong for address in addresses for wrong in inspect(own, address, tmp_path)] == []
    again = visit().give_password(user)
    assert inspect(again, site.url("second_factor"), tmp_path) == []


def test_what_an_officer_sees(site: Site, visit: Visitor, tmp_path: Path) -> None:
    made, own = site.consortium, visit()
    study, submitted = site.approved(), site.submitted()
    known = made.register(made.content(study, made.import_model()))
    site.vote("zurich", known)
    job = refused(site, known)
    own.sign_in(site.member("zurich", "irb-chair")).register_passkey()
    addresses = [
        site.url("index"),
        site.url("governance_study_changelist"),
        site.study_url(study),
        site.study_url(submitted),
        site.url("governance_passkey_changelist"),
        site.url("governance_definition_change", known.pk),
        site.url("compute_job_changelist"),
    ]
    assert [wrong for address in addresses for wrong in inspect(own, address, tmp_path)] == []
    the_list_of_jobs_is_readable(own, job)
    for scheme in SCHEMES:
        own.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert contrast(own.page, "#site-name a", "#header") >= 4.5


def the_list_of_jobs_is_readable(own: Visit, job: Job) -> None:
    """Wide, the study has room; narrow, every cell is on the screen, behind the heading of its column."""
    own.page.set_viewport_size({"width": 1280, "height": 900})
    row = own.page.get_by_role("row", name=str(job.request_uuid))
    wide = row.locator(".field-study").bounding_box()
    assert wide is not None
    assert wide["width"] >= 170
    own.page.set_viewport_size({"width": 390, "height": 900})
    cells = own.page.locator("#result_list tbody tr", has_text=str(job.request_uuid)).locator("th, td").all()
    boxes = [box for each in cells if (box := each.bounding_box())]
    assert len(boxes) == 7
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    labels = [each.evaluate("cell => getComputedStyle(cell, '::before').content") for each in cells]
    assert labels[:3] == ['"Request: "', '"State: "', '"Why: "']


def refused(site: Site, definition: Definition) -> Job:
    """A job that a node's policy refused."""
    made, now = site.consortium, clock.now()
    model = ModelVersion.objects.create(
        digest=definition.content["model"], name="heart", version="1", owner=made.at["cleveland"], imported=now
    )
    return Job.objects.create(
        requester=made.at["zurich"],
        request_uuid=uuid4(),
        request_digest=definition.digest,
        definition=definition,
        model=model,
        state=JobState.REFUSED,
        reason=Reason.POLICY_REFUSES,
        epoch=1,
        created=now,
        updated=now,
    )


def contrast(page: Page, text: str, ground: str) -> float:
    """Of a text's colour on its ground's (WCAG 2.2)."""
    one, other = sorted(
        _luminance(page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{colour}"))
        for selector, colour in ((text, "color"), (ground, "backgroundColor"))
    )
    return (other + 0.05) / (one + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_what_an_administrator_sees(site: Site, visit: Visitor, tmp_path: Path) -> None:
    own = visit().sign_in(site.member("zurich", "institution-admin"))
    assert inspect(own, site.url("governance_membership_add"), tmp_path) == []


@pytest.fixture
def dossiers(chromium: object, db: None, settings: Any, tmp_path: Path) -> list[str]:
    """Addresses of the readable dossier of one decision: with the result, without it, and of one that was changed."""
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    decision = Decision.make(tmp_path / "consortium")
    publish()
    data = dossier.build(decision.index, disclose=DISCLOSED)
    answers = {
        "disclosed": verify(data, Options(disclosure=canonical.encode(decision.disclosure))),
        "closed": verify(data),
        "changed": verify(data[:-1]),
    }
    assert [answer.holds for answer in answers.values()] == [True, True, False]
    pages = []
    for name, answer in answers.items():
        page = tmp_path / f"{name}.html"
        page.write_text(report.html(answer.to_json()))
        pages.append(page.as_uri())
    return pages


def test_the_readable_dossier(dossiers: list[str], visit: Visitor, tmp_path: Path) -> None:
    own = visit()
    assert [wrong for address in dossiers for wrong in inspect(own, address, tmp_path)] == []


def test_what_breaks_the_content_security_policy_is_noticed(site: Site, visit: Visitor) -> None:
    own = visit()
    own.page.goto(site.url("index"))
    script = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'unsafe()'}))"
    with own.page.expect_console_message(lambda message: message.text.startswith("securitypolicyviolation")):
        own.page.evaluate(script)
    assert own.complaints
    own.complaints.clear()
