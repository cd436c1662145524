"""The chapter in which a board meets: a conflict costs the quorum, an alternate sits in, the chair signs the vote."""

from playwright.sync_api import expect

from concordat.determination import Path
from concordat.findings import needed
from concordat.reasons import Reason
from governance.models import Meeting
from governance.states import ItemState, StudyState
from tests.support.browser_people import refused
from tests.support.story import NO_OFFICER, Story

SEATS = {"chair": "scientific", "second": "scientific", "third": "scientific", "lay": "not scientific"}


def zurich_meets(story: Story) -> None:
    office = story.arrives("office", "zurich", "irb-administrator")
    for name in ("second", "lay", "deputy"):
        story.arrives(name, "zurich", "irb-member")
    members = {name: story[name].name for name in ("second", "lay", "deputy")}
    members |= {"chair": story["zurich"].name, "third": story.site.member("zurich", "irb-member").officer.name}
    for name, concerns in SEATS.items():
        give_seat(story, members[name], concerns)
    give_seat(story, members["deputy"], "not scientific", stands_in_for=members["lay"])
    refused(Reason.MEETING_NEEDED, story["zurich"].ask, "determine", review=story.review("zurich"))
    office.see(story.site.url("governance_meeting_add"))
    office.page.get_by_label("Kind").select_option("urgent")
    office.page.get_by_label("Place").fill("Room 1")
    office.press(office.page.get_by_role("main"), "Call meeting")
    office.press(office.page.get_by_role("main"), "Open meeting")
    place(story)


def give_seat(story: Story, name: str, concerns: str, *, stands_in_for: str = "") -> None:
    office = story["office"]
    office.see(story.site.url("governance_board", "zurich"))
    office.page.get_by_label("Give a seat to").select_option(label=name)
    office.page.get_by_label("Primary concerns").select_option(label=concerns)
    if stands_in_for:
        office.page.get_by_label("Stands in for").select_option(label=stands_in_for)
    office.press(office.page.get_by_role("main"), "Give seat")


def place(story: Story) -> None:
    """On the agenda of the meeting that is open; and to the item's page."""
    office, meeting = story["office"], Meeting.objects.filter(board__slug="zurich").latest("pk")
    office.see(story.site.url("governance_meeting_change", meeting.pk))
    office.page.get_by_label("What waits for the convened board").select_option(story.review("zurich"))
    office.press(office.page.get_by_role("main"), "Place on the agenda")


def take_up(story: Story, *present: str, recused: str = "") -> None:
    """The item opens once these are marked as present."""
    office = story["office"]
    main = story.at_item(office)
    expect(main).to_contain_text("The board has no quorum.")
    refused(Reason.BOARD_QUORUM_LOST, office.post, story.at_item_verb("open"))
    for name in present:
        main.get_by_label(story[name].name, exact=True).select_option("present")
    if recused:
        main.get_by_label(story[recused].name, exact=True).select_option("recused")
    office.press(main, "Mark attendance")
    expect(main).to_contain_text("The board has a quorum.")
    office.press(main, "Open item")
    expect(main).to_contain_text("The item is open.")


def vote(story: Story, name: str, **form: str) -> str:
    return story[name].post(story.at_item_verb("vote"), **form)


def a_conflict_costs_the_quorum(story: Story) -> None:
    take_up(story, "zurich", "second", "lay")
    refused(Reason.WRONG_STATE, vote, story, "lay", choice="for")  # there is no motion yet
    lay, main = story["lay"], story.at_item(story["lay"])
    main.get_by_text("Declare a conflict of interest of your own").click()
    main.get_by_label("What ties your hands").fill("A relative works on it.")
    lay.press(main, "Declare conflict")
    assert story.item.state == ItemState.STOPPED
    main = story.at_item(story["office"])
    expect(main).to_contain_text("Nothing is decided.")
    expect(main).to_contain_text("2 of 4 seats present, 3 needed")
    expect(story.at_item(lay)).to_contain_text("You have a stake in this study")
    refused(Reason.MEETING_NEEDED, story["zurich"].ask, "determine", review=story.review("zurich"))


def the_alternate_sits_in_and_the_board_votes(story: Story) -> None:
    office, zurich = story["office"], story["zurich"]
    place(story)
    expect(story.at_item(office)).to_contain_text("has a conflict: absent or recused only")
    take_up(story, "zurich", "second", "deputy", recused="lay")
    main = office.page.get_by_role("main")
    main.get_by_role("radio", name="approved", exact=True).check()
    for code in needed(Path.FULL_BOARD, waiver=False):
        main.locator(f'select[name="finding-{code}"]').select_option("met")
    office.press(main, "Make motion")
    refused(Reason.CONFLICT_OF_INTEREST, vote, story, "lay", choice="against")
    refused(Reason.ROLE_MISSING, vote, story, "office", choice="for")
    refused(Reason.NOT_FOUND, vote, story, "budapest", choice="for")
    refused(Reason.WRONG_STATE, office.post, story.at_item_verb("decide"))
    for name in ("zurich", "second", "deputy"):
        person = story[name]
        person.task("Vote: the board has taken it up.", story.slug)
        person.page.get_by_role("radio", name="For", exact=True).check()
        person.press(person.page.get_by_role("main"), "Cast ballot")
    refused(Reason.CONFLICT, vote, story, "second", choice="against")
    main = story.at_item(office)
    office.press(main, "Close the vote")
    expect(main).to_contain_text("3 for, 0 against, 0 abstaining, 1 recused.")
    refused(Reason.WRONG_STATE, vote, story, "second", choice="against")
    refused(
        Reason.WRONG_STATE,
        zurich.post,
        story.at_verb("route"),
        review=story.review("zurich"),
        route="expedited 5",
        ground="Quick.",
    )


def the_chair_signs_what_was_voted(story: Story) -> None:
    zurich = story["zurich"]
    refused(NO_OFFICER, story["budapest"].ask, "determine", review=story.review("zurich"))
    refused(Reason.ROLE_MISSING, story["second"].ask, "determine", review=story.review("zurich"))
    zurich.sign(zurich.form(story.study, "Sign the determination"), "Sign the determination")
    board = story.board("zurich", zurich)
    expect(board).to_contain_text("Verifiable by anyone")
    with zurich.page.expect_download() as letter:
        board.get_by_role("link", name="Letter (PDF)").click()
    assert letter.value.path().read_bytes().startswith(b"%PDF-")
    zurich.own.complaints.clear()  # Chromium says of each download that its page was not loaded
    assert story.study.state == StudyState.APPROVED
    expect(story.page(zurich)).to_contain_text("Approved definitions may be computed until")
