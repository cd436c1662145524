"""Signing in a real browser: read first, then answered by a passkey or by password and code; every no is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from concordat.reasons import REASONS, Reason
from governance.models import Passkey, RelianceAgreement, Signature, Study
from governance.services import reviews
from governance.states import StudyState
from tests.browser.conftest import PASSWORD, SCHEMES, Site, Visit, look
from tests.governance.conftest import FINDINGS

pytestmark = pytest.mark.full

Visitor = Callable[..., Visit]


def ready(site: Site, own: Visit, role: str = "irb-chair", slug: str = "zurich") -> str:
    """Signed in, with a passkey made in the browser and listed on the roster; answers the printed name."""
    user = site.member(slug, role)
    own.sign_in(user)
    site.put_on_roster(user, slug, role)
    return user.officer.name


def routed(site: Site, slug: str = "zurich") -> Study:
    """On the expedited path at one board, which its chair decides."""
    study = site.submitted()
    review = site.consortium.review(study, slug)
    chair = site.consortium.chairs[slug].user
    reviews.route(by=chair, review=str(review.uuid), path="expedited", category="5", ground="Minimal risk.")
    return study


def opened(page: Page, address: str, verb: str) -> Locator:
    """The form behind a button."""
    page.goto(address)
    page.get_by_role("link", name=verb).click()
    return page.get_by_role("form", name=verb)


def determine(form: Locator, outcome: str = "Approve") -> None:
    form.get_by_role("radio", name=outcome, exact=True).check()
    if outcome == "Approve":
        for code in FINDINGS:
            form.locator(f'input[name="findings.{code}"][value="met"]').check()
    else:
        form.get_by_label("Reasons").fill("Please change the consent form.")
    form.get_by_role("button", name="Sign the determination").click()


def no(reason: Reason) -> tuple[str, str]:
    return REASONS[reason].sentence, REASONS[reason].remedy


def test_an_officer_reads_what_is_signed_and_answers_with_a_passkey(site: Site, visit: Visitor, tmp_path: Path) -> None:
    study, own = routed(site), visit()
    name = ready(site, own)
    form = opened(own.page, site.study_url(study), "Sign the determination")
    determine(form)
    statement = form.get_by_role("group", name="What you sign")
    expect(statement).to_be_focused()
    for text in ("approved", "determination", study.slug, name, "irb-chair", "zurich", "passkey"):
        expect(statement).to_contain_text(text)
    expect(statement.get_by_text("Attested, not verified")).to_be_hidden()
    assert not Signature.objects.filter(study=study, printed_name=name).exists()
    assert look(own, tmp_path) == []
    with own.page.expect_navigation():
        form.get_by_role("button", name="Sign with passkey").click()
    board = own.page.get_by_role("article", name="Board of Hospital of zurich")
    for text in (name, "irb-chair at zurich: approved", "Verifiable by anyone"):
        expect(board).to_contain_text(text)
    assert Signature.objects.get(study=study, printed_name=name).verifiable


def test_password_and_code_sign_too_and_the_page_says_that_this_is_attested(site: Site, visit: Visitor) -> None:
    study, own = routed(site), visit()
    user = site.member("zurich", "irb-chair")
    own.sign_in_with_app(user)
    form = opened(own.page, site.study_url(study), "Sign the determination")
    form.get_by_role("radio", name="With password and code").check()
    determine(form, "Require modifications")
    expect(form.get_by_text("nodes will not accept it as proof")).to_be_visible()
    form.get_by_label("Your password").fill(PASSWORD)
    form.get_by_label("Code from your authenticator app").fill(own.next_code())
    with own.page.expect_navigation():
        form.get_by_role("button", name="Sign with password and code").click()
    board = own.page.get_by_role("article", name="Board of Hospital of zurich")
    expect(board).to_contain_text("Attested, not verified")
    assert Signature.objects.get(study=study, printed_name=user.officer.name).method == "totp"


def test_a_refusal_loses_nothing_that_was_typed_and_takes_the_focus(site: Site, visit: Visitor) -> None:
    study, own = routed(site), visit()
    own.sign_in(site.member("zurich", "irb-chair"))  # with a passkey that no roster lists
    form = opened(own.page, site.study_url(study), "Sign the determination")
    determine(form, "Require modifications")
    refusal = own.refusal()
    for part in no(Reason.ROSTER_MISSING):
        assert part in refusal
    expect(own.page.get_by_role("alert")).to_be_focused()
    expect(form.get_by_label("Reasons")).to_have_value("Please change the consent form.")
    expect(form.get_by_role("radio", name="Require modifications")).to_be_checked()
    for scheme in SCHEMES:
        own.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert own.violations() == []


def test_a_missing_finding_is_named(site: Site, visit: Visitor) -> None:
    study, own = routed(site), visit()
    ready(site, own)
    form = opened(own.page, site.study_url(study), "Sign the determination")
    form.get_by_role("radio", name="Approve", exact=True).check()
    form.get_by_role("button", name="Sign the determination").click()
    assert "Risks to participants are minimised." in own.refusal()


def test_who_reviews_alone_is_not_offered_to_disapprove(site: Site, visit: Visitor) -> None:
    own = visit()
    own.sign_in(site.member("zurich", "irb-chair"))
    form = opened(own.page, site.study_url(routed(site)), "Sign the determination")
    expect(form.get_by_role("radio", name="Refer to the full board")).to_be_visible()
    expect(form.get_by_role("radio", name="Disapprove")).to_have_count(0)


def test_what_is_changed_after_reading_is_read_again(site: Site, visit: Visitor) -> None:
    study, own = routed(site), visit()
    ready(site, own)
    form = opened(own.page, site.study_url(study), "Sign the determination")
    determine(form, "Require modifications")
    statement = form.get_by_role("group", name="What you sign")
    expect(statement).to_contain_text("modifications-required")
    form.get_by_label("Reasons").fill("On second thoughts, another reason.")
    expect(statement).to_be_hidden()
    form.get_by_role("button", name="Sign the determination").click()
    form.get_by_role("button", name="Do not sign").click()
    expect(statement).to_be_hidden()
    expect(form.get_by_role("button", name="Sign the determination")).to_be_focused()


def test_a_statement_that_is_no_longer_true_is_not_signed(site: Site, visit: Visitor) -> None:
    """Another board acts after the passkey has answered and before the server hears of it."""
    study, own = routed(site), visit()
    ready(site, own)
    form = opened(own.page, site.study_url(study), "Sign the determination")
    determine(form)
    held: list[Route] = []
    own.page.route("**/acts/sign/", lambda route: held.append(route))
    with own.page.expect_request("**/acts/sign/"):
        form.get_by_role("button", name="Sign with passkey").click()
    while not held:
        own.page.wait_for_timeout(20)
    site.consortium.sign(site.consortium.chairs["budapest"], study, "modifications-required")
    held[0].continue_()
    assert "The study is modifications-required" in own.refusal()
    assert site.consortium.review(study, "zurich").open


def test_at_a_machine_without_the_passkey_nothing_is_signed(site: Site, visit: Visitor) -> None:
    study, elsewhere = routed(site), visit()
    user = site.member("zurich", "irb-chair")
    visit().sign_in(user)
    site.put_on_roster(user, "zurich", "irb-chair")
    elsewhere.sign_in(user).give_passkey()
    form = opened(elsewhere.page, site.study_url(study), "Sign the determination")
    determine(form, "Require modifications")
    form.get_by_role("button", name="Sign with passkey").click()
    expect(elsewhere.page.get_by_role("alert")).to_contain_text("The passkey did not confirm. Try again")


def test_a_chair_suspends_at_night_from_a_telephone_with_a_passkey_on_no_roster(site: Site, visit: Visitor) -> None:
    study, own = site.approved(), visit(width=390, scheme="dark")
    user = site.member("zurich", "irb-chair")
    own.sign_in(user)
    form = opened(own.page, site.study_url(study), "Suspend the study")
    form.get_by_label("Ground").fill("An incident at the cardiology ward.")
    suspend = form.get_by_role("button", name="Suspend the study")
    size = suspend.bounding_box()
    assert size is not None
    assert (size["height"] >= 44, size["width"] >= 280) == (True, True)
    suspend.click()
    expect(form.get_by_text("Attested, not verified")).to_be_visible()
    with own.page.expect_navigation():
        form.get_by_role("button", name="Sign with passkey").click()
    expect(own.page.locator(".state").first).to_have_text("suspended")
    study.refresh_from_db()
    assert study.state == StudyState.SUSPENDED
    assert Signature.objects.get(study=study, meaning="suspended").method == "unlisted-passkey"
    assert Passkey.objects.filter(officer__user=user).exists()


def test_conditions_are_verified_by_signature(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    made = site.consortium
    made.local_context(study)
    for slug in ("cleveland", "budapest"):
        made.sign(made.chairs[slug], study)
    conditions = ["Name a contact at each ward."]
    made.sign(made.chairs["zurich"], study, "approved-with-conditions", findings=FINDINGS, conditions=conditions)
    ready(site, own)
    form = opened(own.page, site.study_url(study), "Verify conditions")
    expect(form).to_contain_text("Name a contact at each ward.")
    form.get_by_label("How you verified it").fill("The list of contacts is attached.")
    form.get_by_role("button", name="Verify conditions").click()
    with own.page.expect_navigation():
        form.get_by_role("button", name="Sign with passkey").click()
    expect(own.page.get_by_role("article", name="Board of Hospital of zurich")).to_contain_text("Verified.")
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


def test_a_reliance_agreement_is_proposed_and_accepted(site: Site, visit: Visitor) -> None:
    proposes, accepts = visit(), visit()
    ready(site, proposes, "institution-admin", "long-beach")
    proposes.page.goto(site.url("governance_relianceagreement_changelist"))
    proposes.page.get_by_text("Propose an agreement", exact=True).click()
    form = proposes.page.get_by_role("form", name="Propose an agreement")
    form.get_by_label("Who relies").select_option("long-beach")
    form.get_by_label("On whose board").select_option("zurich")
    form.get_by_label("Short name of the one study").fill("some-study")
    form.get_by_label("Who is responsible for what").fill("The reviewing board decides.")
    form.get_by_label("Until").fill("2099-01-01")
    form.get_by_role("button", name="Propose the agreement").click()
    with proposes.page.expect_navigation():
        form.get_by_role("button", name="Sign with passkey").click()
    expect(proposes.page.get_by_role("main")).to_contain_text("Waits for the signature of Hospital of zurich.")
    ready(site, accepts)
    accepts.page.goto(site.url("governance_relianceagreement_changelist"))
    agreement = RelianceAgreement.objects.get(study="some-study")
    card = accepts.page.locator(f"#agreement-{agreement.uuid}")
    form = card.get_by_role("form", name="Accept")
    form.get_by_role("button", name="Accept the agreement").click()
    with accepts.page.expect_navigation():
        form.get_by_role("button", name="Sign with passkey").click()
    expect(card).to_contain_text("in force")
