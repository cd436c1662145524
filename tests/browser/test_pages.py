"""Each page for everyone: WCAG 2.2 AA, narrow and wide, light and dark, on paper as on screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from concordat import canonical
from concordat.verifier import Options, report, verify
from governance.services import invitations
from ledger import dossier
from ledger.services.publish import publish
from tests.browser.conftest import Site, Visit, inspect
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
    own.sign_in(site.member("zurich", "irb-chair")).register_passkey()
    addresses = [
        site.url("index"),
        site.url("governance_study_changelist"),
        site.study_url(study),
        site.study_url(submitted),
        site.url("governance_passkey_changelist"),
        site.url("governance_definition_change", known.pk),
    ]
    assert [wrong for address in addresses for wrong in inspect(own, address, tmp_path)] == []


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
