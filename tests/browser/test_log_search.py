"""A supervisor searches the log on a telephone: no wider than its screen, and readable with every aid."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site, Visit, inspect, look

pytestmark = pytest.mark.full

Visitor = Callable[..., Visit]


def test_a_regulator_finds_a_study_s_entries_on_a_telephone(site: Site, visit: Visitor, tmp_path: Path) -> None:
    study = site.approved()
    own = visit(width=390).sign_in(site.member("zurich", "regulator"))
    own.page.get_by_role("link", name="Search the log").click()
    own.page.get_by_label("Study", exact=True).fill(study.slug)
    own.page.get_by_label("Event", exact=True).select_option("study.approved")
    own.page.get_by_role("button", name="Search").click()
    hits = own.page.get_by_role("list", name="What was found").get_by_role("listitem")
    expect(hits).to_have_count(1)
    expect(hits).to_contain_text("UTC")
    expect(hits).to_contain_text(study.title)
    assert not own.scrolls_sideways()
    assert look(own, tmp_path) == []
    assert inspect(own, site.url("log_search"), tmp_path) == []
    assert inspect(own, f"{site.url('log_search')}?since=2100-01-01", tmp_path) == []


def test_a_typing_error_is_said_beside_its_field(site: Site, visit: Visitor, tmp_path: Path) -> None:
    own = visit(width=390).sign_in(site.member("zurich", "auditor"))
    own.page.goto(site.url("log_search"))
    own.page.get_by_label("Record number").fill("C-0000042-1")
    own.page.get_by_role("button", name="Search").click()
    assert own.refusal().startswith("Record number:")
    field = own.page.get_by_label("Record number")
    expect(field).to_have_value("C-0000042-1")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert look(own, tmp_path) == []
