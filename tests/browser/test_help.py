"""Help says what the tables say, and can be read by everybody."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from governance.permissions import HOLDERS, Verb
from tests.browser.conftest import Site, Visit, inspect

pytestmark = pytest.mark.full


def test_help_lists_every_verb_and_every_state(site: Site, visit: Callable[..., Visit]) -> None:
    page = visit().sign_in(site.member("zurich", "auditor")).page
    page.goto(site.url("help"))
    matrix = page.get_by_role("region", name="Role by role")
    for verb in Verb:
        row = matrix.get_by_role("row").filter(has=page.get_by_role("rowheader", name=verb, exact=True))
        expect(row.get_by_text("yes", exact=True)).to_have_count(len(HOLDERS[verb]))
    for name in ("a study", "a submission", "a meeting", "an item on the agenda", "an incident"):
        expect(page.get_by_role("heading", name=f"States of {name}")).to_be_visible()


def test_help_in_every_look(site: Site, visit: Callable[..., Visit], tmp_path: Path) -> None:
    own = visit().sign_in(site.member("zurich", "auditor"))
    assert inspect(own, site.url("help"), tmp_path) == []
