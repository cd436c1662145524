"""Messages on the site: one's own only, counted in the header of every page, read one by one or all at once."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from concordat.reasons import Reason, Refused
from governance import selectors
from governance.models import MailPreference, Notification
from governance.notices import Notice
from governance.services import notifications
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in


@pytest.fixture
def person(consortium: Consortium) -> User:
    return consortium.member("zurich", "irb-member")


@pytest.fixture
def other(consortium: Consortium) -> User:
    return consortium.member("zurich", "irb-member")


def tell(*people: User, count: int = 1) -> None:
    for number in range(count):
        notifications.tell(
            Notice.MEETING_CALLED,
            to=people,
            study=None,
            key=f"meeting {number}",
            sentence=f"Meeting {number} is called.",
        )


def post(client: Client, name: str, **form: str) -> Any:
    client.get(reverse("admin:notifications"))
    return client.post(reverse(f"admin:{name}"), form | {"csrfmiddlewaretoken": client.cookies["csrftoken"].value})


def test_the_same_thing_is_told_once(person: User) -> None:
    tell(person)
    tell(person)
    assert selectors.unread(person) == 1


def test_a_submission_is_news_until_the_board_has_decided(consortium: Consortium) -> None:
    """And so to the site that relies on it; the message itself stays, and stays true."""
    study, chairs = consortium.submitted(), consortium.chairs
    told = selectors.notifications(chairs["zurich"].user).get(notice=Notice.REVIEW_WAITS)
    assert told.sentence == f"“{study.title}” (initial) was submitted for your board's review."

    def waiting() -> set[User]:
        asked = (Notice.REVIEW_WAITS, Notice.LOCAL_CONTEXT_WANTED)
        return {each.user for each in Notification.objects.filter(notice__in=asked, read=None)}

    concerned = waiting()
    assert {chair.user for chair in chairs.values()} < concerned  # and the site that relies on a board
    consortium.local_context(study)
    consortium.sign(chairs["zurich"], study)
    assert waiting() == concerned - {chairs["zurich"].user}
    for board in ("budapest", "cleveland"):
        consortium.sign(chairs[board], study)
    assert waiting() == set()
    assert selectors.notifications(chairs["zurich"].user).filter(notice=Notice.REVIEW_WAITS).exists()


def test_an_agreement_is_news_until_it_is_signed(consortium: Consortium) -> None:
    agreement = consortium.relies("budapest", "zurich")
    told = Notification.objects.filter(key=f"reliance {agreement.uuid}")
    assert told.exists()
    assert not told.filter(read=None).exists()


def test_a_title_adds_no_line_to_a_letter(person: User) -> None:
    sentence = "“Chest pain\nhttps://elsewhere.example/\r\n” waits."
    notifications.tell(Notice.REVIEW_WAITS, to=[person], study=None, key="title", sentence=sentence)
    [told] = selectors.notifications(person)
    assert told.sentence == "“Chest pain https://elsewhere.example/ ” waits."


def test_everybody_reads_their_own_only(person: User, other: User) -> None:
    tell(person)
    [mine] = selectors.notifications(person)
    assert list(selectors.notifications(other)) == []
    with pytest.raises(Refused) as refused:
        notifications.mark_read(by=other, notification=str(mine.uuid))
    assert refused.value.reason is Reason.NOT_FOUND
    notifications.mark_all_read(by=other)
    assert selectors.unread(person) == 1


def test_what_was_read_stays_read_since_then(person: User) -> None:
    tell(person, count=2)
    first = selectors.notifications(person)[0]
    read = notifications.mark_read(by=person, notification=str(first.uuid)).read
    assert notifications.mark_read(by=person, notification=str(first.uuid)).read == read
    assert selectors.unread(person) == 1
    assert notifications.mark_all_read(by=person) == 1
    assert selectors.unread(person) == 0


def test_what_is_no_identifier_is_refused(person: User) -> None:
    with pytest.raises(Refused) as refused:
        notifications.mark_read(by=person, notification="1 or 1=1")
    assert refused.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize("how", ["weekly", "", "None"])
def test_mail_comes_as_people_want_it_and_in_no_other_way(person: User, how: str) -> None:
    assert notifications.prefer(by=person, how="daily") == notifications.prefer(by=person, how="none")
    with pytest.raises(Refused) as refused:
        notifications.prefer(by=person, how=how)
    assert refused.value.reason is Reason.FIELD_INVALID
    assert MailPreference.objects.get(user=person).how == "none"


# --- the pages


@pytest.mark.parametrize("page", ["index", "governance_study_changelist", "calendar", "notifications"])
def test_every_page_says_how_much_is_unread(person: User, page: str) -> None:
    client = signed_in(person)
    assert "unread message" not in client.get(reverse(f"admin:{page}")).content.decode()
    tell(person, count=2)
    shown = client.get(reverse(f"admin:{page}")).content.decode()
    assert "2 unread messages" in shown
    assert reverse("admin:notifications") in shown


def test_opening_a_message_reads_it_and_leads_to_where_it_is_about(consortium: Consortium) -> None:
    chair = consortium.chairs["zurich"].user
    study = consortium.submitted()
    [told] = selectors.notifications(chair).filter(study=study)
    answer = post(signed_in(chair), "notifications_read", notification=str(told.uuid), open="yes")
    assert answer.headers["Location"] == reverse("admin:governance_study_change", args=[study.pk])
    told.refresh_from_db()
    assert told.read is not None


def test_marking_one_or_all_as_read_stays_on_the_page(person: User) -> None:
    tell(person, count=3)
    client = signed_in(person)
    one = post(client, "notifications_read", notification=str(selectors.notifications(person)[0].uuid))
    assert one.headers["Location"] == reverse("admin:notifications")
    assert selectors.unread(person) == 2
    post(client, "notifications_read_all")
    assert selectors.unread(person) == 0


def test_a_message_of_somebody_else_is_not_found(person: User, other: User) -> None:
    tell(other)
    client = signed_in(person)
    answer = post(client, "notifications_read", notification=str(Notification.objects.get(user=other).uuid), open="y")
    assert answer.headers["Location"] == reverse("admin:notifications")
    assert "You have no such message" in client.get(reverse("admin:notifications")).content.decode()


def test_the_preference_is_kept_and_shown(person: User) -> None:
    client = signed_in(person)
    post(client, "mail_preference", how="daily")
    shown = client.get(reverse("admin:notifications")).content.decode()
    assert 'value="daily" checked' in shown


def test_the_page_shows_a_part_at_a_time_in_a_fixed_number_of_queries(person: User) -> None:
    client = signed_in(person)
    counts = []
    for count in (2, 60):
        tell(person, count=count)
        with CaptureQueriesContext(connection) as queries:
            shown = client.get(reverse("admin:notifications")).content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert "Page 1 of 3" in shown
    assert "Page 3 of 3" in client.get(reverse("admin:notifications") + "?page=3").content.decode()


@pytest.mark.parametrize("name", ["notifications_read", "notifications_read_all", "mail_preference"])
def test_nothing_changes_by_a_link(person: User, name: str) -> None:
    assert signed_in(person).get(reverse(f"admin:{name}")).status_code == 405


def test_without_two_factors_there_are_no_messages(person: User) -> None:
    client = Client()
    client.force_login(person)
    assert client.get(reverse("admin:notifications")).status_code == 302
