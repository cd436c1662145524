"""The board's pages: a meeting from the call to the vote by forms alone, and what nobody else sees."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from concordat import clock
from concordat.reasons import Reason
from governance.models import AgendaItem, BoardSeat, Conflict, Determination, Meeting, Study
from governance.services import boards, reviews
from tests.governance.conftest import Consortium
from tests.support.boardroom import APPROVAL, Boardroom
from tests.support.officers import signed_in as browser


@pytest.fixture
def study(consortium: Consortium) -> Study:
    return consortium.submitted()


@pytest.fixture
def zurich(consortium: Consortium) -> Boardroom:
    return Boardroom(consortium)


def get(client: Client, url: str) -> str:
    return str(client.get(url, follow=True).content.decode())


def post(client: Client, url: str, **form: Any) -> str:
    client.get(reverse("admin:governance_passkey_changelist"))
    token = client.cookies["csrftoken"].value
    return str(client.post(url, form | {"csrfmiddlewaretoken": token}, follow=True).content.decode())


def page(of: Meeting | AgendaItem) -> str:
    name = "meeting" if isinstance(of, Meeting) else "agendaitem"
    return reverse(f"admin:governance_{name}_change", args=[of.pk])


def do(of: Meeting | AgendaItem, verb: str) -> str:
    name = "meeting" if isinstance(of, Meeting) else "agendaitem"
    return reverse(f"admin:governance_{name}_do", args=[of.uuid, verb])


def at_board(verb: str, board: str = "zurich") -> str:
    return reverse("admin:governance_board_do", args=[board, verb])


def marks(zurich: Boardroom, *names: str) -> dict[str, str]:
    return {f"seat-{zurich.seats[name].uuid}": "present" for name in names}


def motion(outcome: str = "approved", **more: str) -> dict[str, str]:
    return {"outcome": outcome, "reasons": "", "conditions": "", **more} | {
        f"finding-{name}": made["answer"] for name, made in APPROVAL.items()
    }


def test_a_meeting_from_the_call_to_the_decision(zurich: Boardroom, study: Study) -> None:
    office = browser(zurich.administrator)
    at = clock.now().strftime("%Y-%m-%dT%H:%M")
    called = {"board": zurich.board.pk, "kind": "urgent", "at": at, "place": "Room 1"}
    assert "Called." in post(office, reverse("admin:governance_meeting_add"), **called)
    meeting = Meeting.objects.get()
    shown = post(office, do(meeting, "open"))
    assert "Place on the agenda" in shown
    post(office, do(meeting, "place"), review=str(zurich.review(study).uuid))
    item = AgendaItem.objects.get()
    assert "0 of 5 seats present, 3 needed; no non-scientist is present." in get(office, page(item))
    shown = post(office, do(item, "attend"), **marks(zurich, "chair", "second", "lawyer"))
    assert "3 of 5 seats present, 3 needed; a non-scientist is present." in shown
    assert "Open item" in shown
    post(office, do(item, "open"))
    assert "Motion: approved" in post(office, do(item, "move"), **motion())
    for name in ("chair", "second"):
        client = browser(zurich.people[name])
        assert "Cast ballot" in get(client, page(item))
        assert "Cast ballot" not in post(client, do(item, "vote"), choice="for", reason="")
    assert "have not voted" in post(office, do(item, "decide"))
    lawyer = browser(zurich.people["lawyer"])
    post(lawyer, do(item, "vote"), choice="against", reason="The form is long.")
    assert "The form is long." not in get(browser(zurich.people["second"]), page(item))
    shown = post(office, do(item, "decide"), controverted="The length of the form.")
    for text in ("2 for, 1 against, 0 abstaining", "The form is long.", "The length of the form.", "approved"):
        assert text in shown
    item.refresh_from_db()
    assert item.minutes_digest in shown
    assert "The meeting is closed." in post(office, do(meeting, "close"))


def test_a_refusal_is_shown_with_its_remedy_and_changes_nothing(zurich: Boardroom, study: Study) -> None:
    office, item = browser(zurich.administrator), zurich.place(study, zurich.meeting())
    shown = post(office, do(item, "open"))
    assert "The board has no quorum for this item" in shown
    assert "seat an alternate" in shown
    assert AgendaItem.objects.get().state == "waiting"
    assert Reason.NOT_FOUND.value not in post(office, do(item, "dance"))


def test_an_incomplete_motion_says_which_finding_is_missing(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    shown = post(browser(zurich.administrator), do(item, "move"), **motion() | {"finding-risks-minimised": ""})
    assert "Risks to participants are minimised." in shown
    assert AgendaItem.objects.get().motion == {}


def test_conditions_are_one_a_line(zurich: Boardroom, study: Study) -> None:
    item = zurich.opened(study)
    form = motion("approved-with-conditions", conditions="Shorter form.\r\n\r\nA second one.")
    post(browser(zurich.administrator), do(item, "move"), **form)
    assert AgendaItem.objects.get().motion["conditions"] == ["Shorter form.", "A second one."]


def test_a_conflict_that_is_declared_in_the_meeting_stops_the_item_on_the_page(zurich: Boardroom, study: Study) -> None:
    item = zurich.moved(study)
    lawyer = browser(zurich.people["lawyer"])
    assert "Declare conflict" in get(lawyer, page(item))
    post(lawyer, at_board("declare"), study=str(study.uuid), ground="A cousin.")
    shown = get(browser(zurich.administrator), page(item))
    assert "The quorum was lost: 2 of 5 seats present" in shown
    assert "can be placed on the agenda again" in shown


def test_who_has_a_stake_reads_nothing_of_what_is_said(zurich: Boardroom, study: Study) -> None:
    reviews.give_opinion(
        by=zurich.people["priest"],
        review=str(zurich.review(study).uuid),
        recommendation="approved",
        findings={},
        comment="A fine study.",
    )
    item = zurich.moved(study, "chair", "second", "third", "lawyer")
    boards.declare_conflict(by=zurich.people["third"], board=zurich.board, study=str(study.uuid), ground="Shares.")
    shown = get(browser(zurich.people["third"]), page(item))
    assert "You have a stake in this study" in shown
    assert "A fine study." not in shown
    assert "Motion:" not in shown
    assert "A fine study." in get(browser(zurich.people["second"]), page(item))


def test_before_the_item_is_open_the_page_says_only_how_many_opinions_there_are(
    zurich: Boardroom, study: Study
) -> None:
    reviews.give_opinion(
        by=zurich.people["second"],
        review=str(zurich.review(study).uuid),
        recommendation="deferred",
        findings={},
        comment="Not yet.",
    )
    shown = get(browser(zurich.chair.user), page(zurich.place(study, zurich.meeting())))
    assert "1 given; the others" in shown
    assert "Not yet." not in shown


@pytest.mark.parametrize("role", ["irb-chair", "irb-administrator", "auditor"])
def test_another_institution_sees_no_meeting_no_item_and_no_board(
    consortium: Consortium, zurich: Boardroom, study: Study, role: str
) -> None:
    item, stranger = zurich.opened(study), browser(consortium.member("budapest", role))
    board = reverse("admin:governance_board", args=["zurich"])
    for url in (page(item), page(item.meeting), board):
        shown = get(stranger, url)
        assert "Room 1" not in shown
        assert zurich.people["lawyer"].officer.name not in shown
    for verb in ("stop", "decide", "attend"):
        post(stranger, do(item, verb), ground="No.")
    assert AgendaItem.objects.get().state == "open"


@pytest.mark.parametrize("role", ["investigator", "data-steward", "legal-reviewer", "institution-admin"])
def test_a_role_that_is_not_the_board_s_sees_no_meeting(
    consortium: Consortium, zurich: Boardroom, study: Study, role: str
) -> None:
    client = browser(consortium.member("zurich", role))
    assert "Room 1" not in get(client, page(zurich.opened(study).meeting))


@pytest.mark.parametrize("role", ["auditor", "regulator"])
def test_auditors_and_regulators_read_and_have_no_buttons(
    consortium: Consortium, zurich: Boardroom, study: Study, role: str
) -> None:
    item, client = zurich.moved(study), browser(consortium.member("zurich", role))
    for url in (page(item), page(item.meeting), reverse("admin:governance_board", args=["zurich"])):
        shown = get(client, url)
        assert "<main" in shown or 'id="content"' in shown
        buttons = set(re.findall(r'<input type="submit"[^>]*value="([^"]+)"', shown))
        assert buttons == set()
    assert "Room 1" in get(client, page(item.meeting))


def test_every_control_has_a_label(zurich: Boardroom, study: Study) -> None:
    item, office = zurich.moved(study), browser(zurich.administrator)
    chair = browser(zurich.chair.user)
    board = reverse("admin:governance_board", args=["zurich"])
    for client, url in ((office, page(item)), (chair, page(item)), (office, page(item.meeting)), (chair, board)):
        shown = get(client, url).partition('id="content"')[2]
        controls = re.findall(r"<(?:select|textarea|input)\b[^>]*>", shown)
        labelled = set(re.findall(r'<label for="([^"]+)"', shown))
        within = set(re.findall(r"<label>[^<]*(<(?:select|textarea|input)\b[^>]*>)", shown))
        for control in controls:
            if (
                control in within
                or 'type="hidden"' in control
                or 'type="submit"' in control
                or 'type="radio"' in control
            ):
                continue
            identifier = re.search(r'\bid="([^"]+)"', control)
            assert identifier, control
            assert identifier.group(1) in labelled, control
        assert "style=" not in shown
        assert "<script>" not in shown
        assert " onclick" not in shown


# --- the board's page


def test_seats_are_given_and_ended_on_the_board_s_page(consortium: Consortium, zurich: Boardroom) -> None:
    office = browser(zurich.administrator)
    newcomer: User = consortium.member("zurich", "irb-member")
    form = {"officer": str(newcomer.officer.uuid), "concerns": "other", "affiliated": "no"}
    shown = post(office, at_board("give-seat"), **form)
    seat = BoardSeat.objects.get(officer=newcomer.officer)
    assert (seat.scientist, seat.affiliated) == (False, False)
    assert "6 seats; 4 of them" in shown
    post(office, at_board("end-seat"), seat=str(seat.uuid))
    seat.refresh_from_db()
    assert seat.until is not None


def test_the_page_says_what_the_roster_lacks(zurich: Boardroom) -> None:
    shown = get(browser(zurich.administrator), reverse("admin:governance_board", args=["zurich"]))
    assert "a member who is not otherwise affiliated (46.107(c))" in shown
    assert "five members" not in shown


def test_a_delegation_is_a_form_that_is_signed(zurich: Boardroom) -> None:
    url = reverse("admin:governance_board", args=["zurich"])
    shown = get(browser(zurich.chair.user), url)
    assert 'data-act="delegate"' in shown
    fields = shown.partition('data-act="delegate"')[2].partition("</form>")[0]
    assert set(re.findall(r'name="(\w+)"', fields)) == {
        "csrfmiddlewaretoken",
        "board",
        "delegate",
        "scope",
        "study",
        "ends",
    }
    assert 'data-act="delegate"' not in get(browser(zurich.administrator), url)


def test_a_declared_conflict_is_ended_by_another_chair(consortium: Consortium, zurich: Boardroom, study: Study) -> None:
    post(browser(zurich.people["second"]), at_board("declare"), study=str(study.uuid), ground="Shares.")
    conflict = Conflict.objects.get()
    shown = post(browser(zurich.chair.user), at_board("withdraw"), conflict=conflict.pk, ground="Sold.")
    conflict.refresh_from_db()
    assert conflict.withdrawn is not None
    assert "The conflict has ended." in shown


# --- letters


def test_the_letter_is_downloaded_by_who_sees_the_study_only(
    consortium: Consortium, zurich: Boardroom, study: Study
) -> None:
    consortium.sign(zurich.chair, study)
    url = reverse("admin:governance_determination_letter", args=[Determination.objects.get().pk])
    answer = browser(consortium.member("cleveland", "investigator")).get(url)
    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert "letter/" in get(browser(zurich.chair.user), reverse("admin:governance_determination_changelist"))
    stranger = browser(consortium.member("notary", "auditor")).get(url, follow=True)
    assert "No letter that you can read" in stranger.content.decode()
