"""An officer's passkeys in a real browser, and what the page says of the votes on a definition."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from governance.models import Passkey
from ledger.models import ChainTransaction, TransactionState
from tests.browser.conftest import Site, Visit
from tests.governance.conftest import PARTIES

pytestmark = pytest.mark.full

Visitor = Callable[..., Visit]


# --- passkeys


def test_the_passkey_made_at_the_first_sign_in_is_the_second_factor_of_the_next(site: Site, visit: Visitor) -> None:
    user, own = site.member("zurich", "auditor"), visit()
    own.sign_in(user)
    own.page.get_by_role("button", name="Log out").click()
    expect(own.page.get_by_role("heading", name="Logged out")).to_be_visible()
    own.give_password(user)
    own.page.get_by_role("button", name="Use passkey").click()
    expect(own.page.get_by_role("button", name="Log out")).to_be_visible()
    expect(own.page.get_by_role("heading", name="Governance")).to_be_visible()


def test_a_passkey_made_in_the_browser_counts_once_the_roster_lists_it(site: Site, visit: Visitor) -> None:
    user, own = site.member("zurich", "irb-chair"), visit()
    page = own.sign_in(user).page
    own.register_passkey()
    made = Passkey.objects.get(officer__user=user)
    line = page.get_by_role("region", name="Roster line of")
    for shown in (user.officer.name, made.credential, made.key):
        expect(line).to_contain_text(shown)
    expect(page.get_by_role("img", name="False")).to_be_visible()
    site.put_on_roster(user, "zurich", "irb-chair")
    page.reload()
    expect(page.get_by_role("img", name="True")).to_be_visible()


def test_nothing_is_reported_before_anything_went_wrong(site: Site, visit: Visitor) -> None:
    page = visit().sign_in(site.member("zurich", "irb-chair")).page
    page.goto(site.url("governance_passkey_changelist"))
    expect(page.locator("#problem")).to_be_hidden()
    page.goto(site.study_url(site.submitted()))
    expect(page.get_by_role("alert")).to_have_count(0)


# --- definitions


def test_the_page_says_who_agreed_to_compute_what_and_where_each_vote_is(site: Site, visit: Visitor) -> None:
    made = site.consortium
    study = site.approved()
    known = made.register(made.content(study, made.import_model()))
    for slug in PARTIES:
        site.vote(slug, known)
    mined = known.votes.get(institution__slug="budapest").transaction
    ChainTransaction.objects.filter(pk=mined.pk).update(state=TransactionState.MINED, block=41)
    page = visit().sign_in(site.member("zurich", "irb-chair")).page
    page.goto(site.study_url(study))
    shown = page.get_by_role("region", name="Definitions", exact=True)
    for text in (
        known.digest,
        "not disclosed as a whole",
        "sum_of_squares",
        "US → HU: GDPR Art. 46(2)(c)",
        "3 of 4 needed",
    ):
        expect(shown).to_contain_text(text)
    expect(shown.get_by_role("row", name="Hospital of budapest")).to_contain_text("mined, block 41")
    expect(shown.get_by_role("row", name="Hospital of zurich")).to_contain_text("queued")
