"""An IRB officer's way, in a real browser: from signing in to a signed determination, and every no on it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from concordat.reasons import REASONS, Reason
from governance.models import Passkey
from governance.states import StudyState
from ledger.models import ChainTransaction, TransactionState
from ledger.services.publish import publish
from tests.browser.conftest import PASSWORD, PROTOCOL, Site, Visit
from tests.governance.conftest import PARTIES

pytestmark = pytest.mark.full

Visitor = Callable[..., Visit]


def sign(page: Page, determination: str = "Approved") -> None:
    page.get_by_role("radio", name=determination, exact=True).check()
    page.get_by_role("button", name="Sign with passkey").click()


def signed(page: Page, determination: str) -> None:
    with page.expect_navigation():
        sign(page, determination)


def ready_officer(site: Site, visit: Visit, role: str = "irb-chair", slug: str = "zurich") -> str:
    """Signed in, with a passkey made in the browser and listed on the roster; answers the printed name."""
    user = site.member(slug, role)
    visit.sign_in(user).register_passkey()
    site.put_on_roster(user, slug, role)
    return user.officer.name


def no(reason: Reason) -> tuple[str, str]:
    return REASONS[reason].sentence, REASONS[reason].remedy


# --- passkeys


def test_the_passkey_made_at_the_first_sign_in_is_the_second_factor_of_the_next(site: Site, visit: Visitor) -> None:
    user, own = site.member("zurich", "auditor"), visit()
    own.sign_in(user)
    own.page.get_by_role("button", name="Log out").click()
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
    for url in (site.url("governance_passkey_changelist"), site.study_url(site.submitted())):
        page.goto(url)
        expect(page.locator("#problem")).to_be_hidden()


# --- reading


def test_the_page_tells_all_that_a_board_decides_on(site: Site, visit: Visitor) -> None:
    study = site.submitted()
    site.consortium.sign(site.consortium.chairs["budapest"], study)
    publish()
    page = visit().sign_in(site.member("zurich", "irb-member")).page
    page.goto(site.url("governance_study_changelist"))
    page.get_by_role("link", name=study.title).click()
    main = page.get_by_role("main")
    texts = [PROTOCOL["summary"], PROTOCOL["computed"], PROTOCOL["opened"], *PROTOCOL["requesters"]]
    texts += [section["text"].splitlines()[0] for section in PROTOCOL["sections"]]
    for text in [*texts, study.versions.get().digest, "relies on the board of Hospital of cleveland", "under-review"]:
        expect(main).to_contain_text(text)
    for section in PROTOCOL["sections"]:
        expect(page.get_by_role("heading", name=section["heading"], exact=True)).to_be_visible()
    reviews = page.locator("table", has=page.get_by_role("columnheader", name="Board"))
    expect(reviews.get_by_role("row", name="Hospital of budapest")).to_contain_text("Approved")
    expect(reviews.get_by_role("row", name="Hospital of zurich")).to_contain_text("nobody yet")
    expect(page.get_by_role("row", name="review.signed")).to_contain_text("published")


def test_the_page_says_who_agreed_to_compute_what_and_where_each_vote_is(site: Site, visit: Visitor) -> None:
    made = site.consortium
    study = site.approved()
    known = made.register(made.content(study, made.import_model(), purposes=PROTOCOL["purposes"]))
    for slug in PARTIES:
        site.vote(slug, known)
    mined = known.votes.get(institution__slug="budapest").transaction
    ChainTransaction.objects.filter(pk=mined.pk).update(state=TransactionState.MINED, block=41)
    page = visit().sign_in(site.member("zurich", "irb-chair")).page
    page.goto(site.study_url(study))
    shown = page.get_by_role("region", name="Definition")
    for text in (
        known.digest,
        "not disclosed as a whole",
        "total_sum_of_squares",
        "US → HU: GDPR Art. 46(2)(c)",
        "3 of 4 needed",
    ):
        expect(shown).to_contain_text(text)
    expect(shown.get_by_role("row", name="Hospital of budapest")).to_contain_text("mined, block 41")
    expect(shown.get_by_role("row", name="Hospital of zurich")).to_contain_text("queued")


# --- signing


def test_an_officer_signs_and_the_page_shows_the_signature(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    name = ready_officer(site, own)
    own.page.goto(site.study_url(study))
    signed(own.page, "Approved")
    row = own.page.get_by_role("row", name="Hospital of zurich")
    for text in (name, "irb-chair: approved"):
        expect(row).to_contain_text(text)
    expect(row).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"))
    expect(own.page.get_by_role("row", name="review.signed")).to_be_visible()
    study.refresh_from_db()
    assert study.state == StudyState.UNDER_REVIEW


def test_the_last_board_s_signature_approves_the_study(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    for slug in ("cleveland", "budapest"):
        site.consortium.sign(site.consortium.chairs[slug], study)
    ready_officer(site, own)
    own.page.goto(site.study_url(study))
    signed(own.page, "Approved")
    expect(own.page.locator(".state").first).to_have_text("approved")
    expect(own.page.get_by_role("button", name="Sign with passkey")).to_have_count(0)


def test_the_officer_reads_what_is_signed_before_the_passkey_answers(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    name = ready_officer(site, own)
    own.page.goto(site.study_url(study))
    own.page.route("**/determination/", lambda route: route.abort())
    sign(own.page, "Modifications required")
    statement = own.page.get_by_role("status")
    for text in (study.versions.get().digest, "modifications-required", name, "irb-chair", "zurich"):
        expect(statement).to_contain_text(text)
    expect(own.page.get_by_role("alert")).to_contain_text("The server cannot be reached. Check the connection")
    own.complaints.clear()  # the request that the test itself cut off


def test_the_form_is_operated_by_keyboard_alone(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    page = own.page
    ready_officer(site, own)
    page.goto(site.study_url(study))
    page.get_by_role("link", name="Sign", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="Approved", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Modifications required")).to_be_checked()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="your passkeys")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign with passkey")).to_be_focused()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Hospital of zurich")).to_contain_text("Approved")


# --- what the page says when the answer is no


def test_without_a_passkey_on_the_roster_nothing_is_signed(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    own.sign_in(site.member("zurich", "irb-chair")).register_passkey()
    own.page.goto(site.study_url(study))
    sign(own.page)
    refusal = own.refusal()
    for part in no(Reason.ROSTER_MISSING):
        assert part in refusal
    expect(own.page.get_by_role("button", name="Sign with passkey")).to_be_enabled()


def test_at_a_machine_without_the_passkey_nothing_is_signed(site: Site, visit: Visitor) -> None:
    study, elsewhere = site.submitted(), visit()
    user = site.member("zurich", "irb-chair")
    visit().sign_in(user).register_passkey()
    site.put_on_roster(user, "zurich", "irb-chair")
    elsewhere.sign_in(user).give_passkey()
    elsewhere.page.goto(site.study_url(study))
    sign(elsewhere.page)
    expect(elsewhere.page.get_by_role("alert")).to_contain_text("The passkey did not confirm. Try again")


def test_a_member_does_not_disapprove(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    ready_officer(site, own, role="irb-member")
    own.page.goto(site.study_url(study))
    sign(own.page, "Disapproved")
    refusal = own.refusal()
    for part in (*no(Reason.ROLE_MISSING), "its chair signs"):
        assert part in refusal


def test_who_holds_no_role_on_a_board_is_told_so_and_has_nothing_to_press(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    own.sign_in(site.member("zurich", "auditor")).page.goto(site.study_url(study))
    expect(own.page.get_by_role("main")).to_contain_text("Nothing here waits for you")
    expect(own.page.get_by_role("main").get_by_role("button")).to_have_count(0)


def test_a_study_that_another_board_ended_meanwhile_is_not_signed(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    ready_officer(site, own)
    own.page.goto(site.study_url(study))
    site.consortium.sign(site.consortium.chairs["budapest"], study, "disapproved")
    sign(own.page)
    refusal = own.refusal()
    for part in (*no(Reason.WRONG_STATE), "The study is disapproved"):
        assert part in refusal


def test_a_statement_that_is_no_longer_true_is_not_signed(site: Site, visit: Visitor) -> None:
    """Another board acts after the passkey has answered and before the server hears of it."""
    study, own = site.submitted(), visit()
    ready_officer(site, own)
    own.page.goto(site.study_url(study))
    held: list[Route] = []
    own.page.route("**/determination/", lambda route: held.append(route))
    with own.page.expect_request("**/determination/"):
        sign(own.page)
    expect(own.page.get_by_role("status")).to_contain_text("submitted")
    site.consortium.sign(site.consortium.chairs["budapest"], study)
    held[0].continue_()
    refusal = own.refusal()
    assert "The record has changed since you read it" in refusal
    assert not study.versions.get().reviews.get(board__slug="zurich").signatures.exists()


# --- stopping a study


def test_a_chair_suspends_with_a_ground(site: Site, visit: Visitor) -> None:
    study, own = site.approved(), visit()
    own.sign_in(site.member("zurich", "irb-chair"))
    own.page.goto(site.study_url(study))
    suspend = own.page.get_by_role("button", name="Suspend study")
    own.page.get_by_label("Your password, once more").first.fill(PASSWORD)
    suspend.click()
    assert own.page.get_by_label("Ground").evaluate("field => field.validity.valueMissing")
    own.page.get_by_label("Ground").fill("   ")
    suspend.click()
    for part in (*no(Reason.FIELD_MISSING), "Say why."):
        expect(own.page.get_by_role("main")).to_contain_text(part)
    own.page.get_by_label("Your password, once more").first.fill(PASSWORD)
    own.page.get_by_label("Ground").fill("An incident at the cardiology ward.")
    suspend.click()
    expect(own.page.get_by_role("main")).to_contain_text("Nothing starts under it any more.")
    expect(own.page.locator(".state").first).to_have_text("suspended")
    expect(own.page.get_by_role("row", name="study.suspended")).to_be_visible()
