"""The page on which an officer decides: all that matters is on it, and for each person what they can do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from governance.models import Draft, Study
from governance.states import StudyState
from tests.browser.conftest import PROTOCOL, Site, Visit, inspect, look
from tests.governance.conftest import FINDINGS

pytestmark = pytest.mark.full

Visitor = Callable[..., Visit]


def reviewed(site: Site) -> Study:
    """Before its boards: one has approved with conditions, one by reliance has filed its local context."""
    study = site.submitted()
    site.consortium.local_context(study)
    site.consortium.sign(
        site.consortium.chairs["budapest"],
        study,
        "approved-with-conditions",
        findings=FINDINGS,
        conditions=["Name a contact at each ward.", "Show the consent form in Hungarian."],
    )
    return study


def test_an_officer_decides_without_opening_anything_else(site: Site, visit: Visitor) -> None:
    study = reviewed(site)
    page = visit().sign_in(site.member("zurich", "irb-member")).page
    page.goto(site.url("governance_study_changelist"))
    page.get_by_role("link", name=study.title).click()
    main = page.get_by_role("main")
    for text in (
        PROTOCOL["computed"],
        PROTOCOL["opened"],
        "Hospital of long-beach",
        "consent of each person",
        "health or medical or biomedical research (DUO:0000006)",
        "none yet: the log holds no audit under this study",
        study.versions.get().digest,
        "The first submission waits for the boards of Hospital of cleveland and Hospital of zurich.",
    ):
        expect(main).to_contain_text(text)
    for section in PROTOCOL["sections"]:
        expect(page.get_by_role("heading", name=section["heading"], exact=True)).to_be_visible()
    budapest = page.get_by_role("article", name="Board of Hospital of budapest")
    for text in (site.consortium.chairs["budapest"].user.officer.name, "Verifiable by anyone", "Not verified yet"):
        expect(budapest).to_contain_text(text)
    expect(page.get_by_role("article", name="Board of Hospital of zurich")).to_contain_text("Nobody has signed yet.")
    expect(page.get_by_role("article", name="Board of Hospital of cleveland")).to_contain_text("local context filed")


def test_what_an_amendment_changes_stands_before_and_after(site: Site, visit: Visitor) -> None:
    study = site.approved()
    site.amended(study, opened="The prediction alone.", summary="Shorter.")
    page = visit().sign_in(site.member("zurich", "irb-member")).page
    page.goto(site.study_url(study))
    opened = page.get_by_role("article", name="What is opened")
    expect(opened).to_contain_text("material")
    expect(opened.locator("del")).to_contain_text(PROTOCOL["opened"])
    expect(opened.locator("ins")).to_contain_text("The prediction alone.")
    expect(page.get_by_role("article", name="Summary")).to_contain_text("minor")
    expect(page.get_by_role("main")).to_contain_text("Approved definitions may be computed until")


def test_whose_role_reads_has_nothing_to_press(site: Site, visit: Visitor) -> None:
    own = visit().sign_in(site.member("zurich", "auditor"))
    own.page.goto(site.study_url(site.submitted()))
    expect(own.page.get_by_role("main")).to_contain_text("Nothing here waits for you")
    expect(own.page.get_by_role("main").get_by_role("button")).to_have_count(0)


def test_a_button_that_cannot_be_pressed_says_why(site: Site, visit: Visitor) -> None:
    own = visit().sign_in(site.member("zurich", "irb-chair"))
    own.page.goto(site.study_url(site.submitted()))
    side = own.page.get_by_role("navigation", name="What you can do")
    expect(side.get_by_role("listitem").filter(has_text="Sign the determination")).to_contain_text(
        "This is for the convened board to decide."
    )
    expect(side.get_by_role("link", name="Suspend the study")).to_have_count(0)


def test_a_chair_routes_and_declares_a_conflict_by_keyboard(site: Site, visit: Visitor) -> None:
    study, own = site.submitted(), visit()
    page = own.sign_in(site.member("zurich", "irb-chair")).page
    page.goto(site.study_url(study))
    page.get_by_role("link", name="Choose the path of review").focus()
    page.keyboard.press("Enter")
    route = page.get_by_role("form", name="Choose the path of review")
    expect(route).to_be_visible()
    route.get_by_role("radio", name="Expedited review").first.check()
    route.get_by_label("Ground").fill("Minimal risk, records of care.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("The path is chosen.")
    expect(page.get_by_role("article", name="Board of Hospital of zurich")).to_contain_text("expedited review")
    page.get_by_role("link", name="Declare a conflict of interest").click()
    page.get_by_label("What ties your hands").fill("A relative works on it.")
    page.get_by_role("button", name="Declare the conflict").click()
    expect(page.get_by_role("region", name="Conflicts of interest")).to_contain_text("of the board of")
    side = page.get_by_role("navigation", name="What you can do")
    expect(side.get_by_role("listitem").filter(has_text="Choose the path of review")).to_contain_text(
        "conflict of interest"
    )
    expect(side.get_by_role("link", name="Choose the path of review")).to_have_count(0)


def test_an_investigator_writes_checks_and_submits_a_protocol(site: Site, visit: Visitor) -> None:
    own, protocol = visit(), site.protocol()
    page = own.sign_in(site.member("cleveland", "investigator")).page
    page.goto(site.url("governance_study_changelist"))
    page.get_by_role("link", name="New protocol").click()
    page.get_by_label("Short name", exact=False).first.fill(protocol["study"])
    page.get_by_label("Title").fill(protocol["title"])
    page.get_by_role("button", name="Save and check").click()
    expect(page.get_by_role("main")).to_contain_text("Not submitted: see what is said below.")
    assert Draft.objects.get(study__slug=protocol["study"]).content["title"] == protocol["title"]
    Draft.objects.filter(study__slug=protocol["study"]).update(content=protocol)
    page.goto(site.url("governance_draft", Study.objects.get(slug=protocol["study"]).uuid))
    page.get_by_label("What you report to the boards with it").fill("The first submission.")
    page.get_by_role("button", name="Submit to the boards").click()
    expect(page.get_by_role("main")).to_contain_text("Submitted. The boards of all sites have been told.")
    study = Study.objects.get(slug=protocol["study"])
    assert study.state == StudyState.SUBMITTED
    assert study.versions.get().content == protocol


def test_the_pages_of_the_desk_in_every_look(site: Site, visit: Visitor, tmp_path: Path) -> None:
    made, chair = site.consortium, visit()
    amended = site.approved()
    site.amended(amended, opened="The prediction alone.", summary="Shorter.")
    conditional = reviewed(site)
    for slug in ("cleveland", "zurich"):
        made.sign(made.chairs[slug], conditional)
    returned = site.submitted()
    made.sign(made.chairs["budapest"], returned, "modifications-required")
    pending = site.submitted()
    for slug in ("zurich", "budapest"):
        made.local_context(pending) if slug == "zurich" else made.sign(made.chairs[slug], pending)
    pages = [site.study_url(each) for each in (amended, conditional, returned, pending, site.approved())]
    pages += [site.url("governance_study_changelist"), site.url("governance_relianceagreement_changelist")]
    chair.sign_in(site.member("zurich", "irb-chair"))
    wrong = [each for page in pages for each in inspect(chair, page, tmp_path)]
    chair.page.goto(site.study_url(pending))
    chair.page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
    wrong += look(chair, tmp_path)
    lead = visit().sign_in(site.member("cleveland", "investigator"))
    for address in (
        site.url("governance_draft_new"),
        site.url("governance_draft", amended.uuid),
        site.study_url(amended),
    ):
        wrong += inspect(lead, address, tmp_path)
    assert wrong == []
