"""The outbox: every message once by mail, one letter a person, whatever fails and whoever dies in between."""

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection

from concordat import clock, logs
from governance import tasks
from governance.models import Notification
from governance.notices import Notice
from governance.services import notifications, outbox
from tests.governance.conftest import Consortium

Mail = Notification.Mail


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def person(consortium: Consortium) -> User:
    return consortium.member("zurich", "irb-chair")


@pytest.fixture
def other(consortium: Consortium) -> User:
    return consortium.member("zurich", "irb-member")


@pytest.fixture(autouse=True)
def _empty(consortium: Consortium) -> None:
    """What the consortium's people were told while it came together is not what these tests are about."""
    Notification.objects.all().delete()


def tell(*people: User, key: str = "one", sentence: str = "A meeting is called.") -> None:
    notifications.tell(Notice.MEETING_CALLED, to=people, study=None, key=key, sentence=sentence)


def states(user: User) -> list[str]:
    return list(Notification.objects.filter(user=user).order_by("pk").values_list("mail", flat=True))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[EmailBackend, Any], int]], None]:
    """Puts another mail server in place of the one that takes everything."""

    def put(send: Callable[[EmailBackend, Any], int]) -> None:
        monkeypatch.setattr(EmailBackend, "send_messages", send)

    return put


TAKES = EmailBackend.send_messages


def unreachable(backend: EmailBackend, messages: Any) -> int:
    raise ConnectionRefusedError


# --- what is sent


def test_a_message_goes_out_once(person: User) -> None:
    tell(person)
    assert [outbox.send_due(clock.now()) for _ in range(3)] == [1, 0, 0]
    [letter] = mail.outbox
    assert letter.to == [person.email]
    assert states(person) == [Mail.SENT]


def test_several_messages_to_one_person_are_one_letter_in_their_order(person: User, other: User) -> None:
    for number in range(3):
        tell(person, other, key=str(number), sentence=f"Meeting {number}.")
    assert outbox.send_due(clock.now()) == 2
    letter = next(each for each in mail.outbox if each.to == [person.email])
    places = [letter.body.index(f"Meeting {number}.") for number in range(3)]
    assert places == sorted(places)


def test_a_letter_says_what_the_site_says_links_there_and_names_nobody(
    consortium: Consortium, person: User, settings: Any
) -> None:
    settings.BASE_URL = "https://concordat.example.org"
    study = consortium.submitted(title="Chest pain\r\nBcc: everybody@example.org")
    Notification.objects.exclude(study=study).delete()
    assert outbox.send_due(clock.now()) > 0
    told = {each.user.email: each for each in Notification.objects.select_related("user")}
    for letter in mail.outbox:
        [recipient] = letter.recipients()
        assert told[recipient].sentence in letter.body
        assert f"https://concordat.example.org{told[recipient].path}" in letter.body
        text = letter.subject + letter.body
        for user in User.objects.select_related("officer"):
            assert user.email not in text
            assert user.officer.name not in text


def test_the_message_id_is_that_of_the_notification(person: User) -> None:
    tell(person)
    outbox.send_due(clock.now())
    assert mail.outbox[0].extra_headers["Message-ID"] == f"<{Notification.objects.get(user=person).uuid}@localhost>"


def test_the_task_sends(person: User) -> None:
    tell(person)
    tasks.mail()
    assert len(mail.outbox) == 1


# --- what people want


def test_who_wants_none_gets_none_and_reads_it_on_the_site(person: User) -> None:
    notifications.prefer(by=person, how="none")
    tell(person)
    assert outbox.send_due(clock.now()) == 0
    assert states(person) == [Mail.UNWANTED]
    assert Notification.objects.filter(user=person, read=None).count() == 1
    notifications.prefer(by=person, how="immediate")
    assert outbox.send_due(clock.now()) == 0  # what was not wanted then does not come later


def test_who_wants_one_letter_a_day_gets_it_in_the_morning(person: User) -> None:
    notifications.prefer(by=person, how="daily")
    noon = clock.now().replace(hour=12, minute=0, second=0)
    for number in range(2):
        tell(person, key=str(number))
    Notification.objects.filter(user=person).update(created=noon, next_attempt=noon)
    morning = (noon + timedelta(days=1)).replace(hour=6)
    assert outbox.send_due(noon) == 0
    assert outbox.send_due(morning - timedelta(seconds=1)) == 0
    assert outbox.send_due(morning) == 1
    assert states(person) == [Mail.SENT] * 2


def test_who_is_no_longer_there_gets_nothing(person: User) -> None:
    tell(person)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert outbox.send_due(clock.now()) == 0
    assert states(person) == [Mail.UNWANTED]


# --- what fails


def test_a_failure_is_tried_again_later_and_later_and_then_no_more(person: User, server: Any) -> None:
    tell(person)
    server(unreachable)
    now, waits = clock.now(), []
    while states(person) == [Mail.QUEUED]:
        assert outbox.send_due(now) == 0
        due = Notification.objects.get(user=person).next_attempt
        if states(person) == [Mail.QUEUED]:
            assert outbox.send_due(due - timedelta(seconds=1)) == 0
            assert Notification.objects.get(user=person).next_attempt == due  # nobody tried
            waits.append(due - now)
        now = due
    assert states(person) == [Mail.FAILED]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(minutes=1), timedelta(hours=12))
    server(TAKES)
    assert outbox.send_due(now + timedelta(days=30)) == 0


def test_a_mailbox_that_is_refused_keeps_no_other_from_its_mail(person: User, other: User, server: Any) -> None:
    def refuses(backend: EmailBackend, messages: Any) -> int:
        if messages[0].to == [person.email]:
            raise SMTPRecipientsRefused({person.email: (550, b"no such user")})
        return TAKES(backend, messages)

    tell(person)
    tell(other)
    server(refuses)
    assert outbox.send_due(clock.now()) == 1
    assert (states(person), states(other)) == ([Mail.QUEUED], [Mail.SENT])


def test_a_server_that_is_not_there_is_asked_once_a_round(person: User, other: User, server: Any) -> None:
    asked = []

    def gone(backend: EmailBackend, messages: Any) -> int:
        asked.append(messages)
        raise SMTPServerDisconnected("gone")

    tell(person)
    tell(other)
    server(gone)
    assert outbox.send_due(clock.now()) == 0
    assert len(asked) == 1


def test_a_failed_letter_comes_again_as_it_was_and_what_is_new_in_another(person: User, server: Any) -> None:
    now = clock.now()
    tell(person, key="first", sentence="First.")
    server(unreachable)
    outbox.send_due(now)
    tell(person, key="second", sentence="Second.")
    server(TAKES)
    assert outbox.send_due(now + timedelta(minutes=1)) == 2
    assert [("First." in each.body, "Second." in each.body) for each in mail.outbox] in (
        [(True, False), (False, True)],
        [(False, True), (True, False)],
    )
    assert len({each.extra_headers["Message-ID"] for each in mail.outbox}) == 2


def test_the_log_of_a_failure_names_no_address(person: User, server: Any) -> None:
    def refuses(backend: EmailBackend, messages: Any) -> int:
        raise SMTPRecipientsRefused({person.email: (550, b"no such user")})

    tell(person)
    server(refuses)
    stream = io.StringIO()
    logs.configure(stream=stream)
    try:
        outbox.send_due(clock.now())
    finally:
        logs.configure()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["error"], line["attempts"]) == ("outbox.not_sent", "SMTPRecipientsRefused", 1)
    assert person.email not in stream.getvalue()


# --- who dies, and who comes at the same time


def test_who_dies_after_the_mail_went_out_leaves_a_double_that_can_be_recognised(person: User, server: Any) -> None:
    def takes_and_dies(backend: EmailBackend, messages: Any) -> int:
        TAKES(backend, messages)
        raise Killed

    now = clock.now()
    tell(person)
    tell(person, key="two")
    server(takes_and_dies)
    with pytest.raises(Killed):
        outbox.send_due(now)
    server(TAKES)
    assert outbox.send_due(now + outbox.TAKEN - timedelta(seconds=1)) == 0
    assert outbox.send_due(now + outbox.TAKEN) == 1
    first, second = mail.outbox
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
    assert first.body == second.body
    assert outbox.send_due(now + timedelta(days=30)) == 0


def test_who_dies_before_the_mail_went_out_loses_nothing(person: User, server: Any) -> None:
    def dies(backend: EmailBackend, messages: Any) -> int:
        raise Killed

    now = clock.now()
    tell(person)
    server(dies)
    with pytest.raises(Killed):
        outbox.send_due(now)
    server(TAKES)
    assert outbox.send_due(now + outbox.TAKEN) == 1
    assert len(mail.outbox) == 1


def test_another_sender_that_comes_while_one_is_sending_does_not_send_the_same(
    person: User, other: User, server: Any
) -> None:
    now = clock.now()
    nested: list[int] = []

    def meanwhile(backend: EmailBackend, messages: Any) -> int:
        if not nested:
            nested.append(-1)
            nested[0] = outbox.send_due(now)
        return TAKES(backend, messages)

    tell(person)
    tell(other)
    server(meanwhile)
    assert outbox.send_due(now) + nested[0] == 2
    assert sorted(each.to[0] for each in mail.outbox) == sorted([person.email, other.email])


def test_no_transaction_is_open_while_mail_is_sent(committed: None, person: User, server: Any) -> None:
    open_: list[bool] = []

    def looks(backend: EmailBackend, messages: Any) -> int:
        open_.append(connection.in_atomic_block)
        return TAKES(backend, messages)

    tell(person)
    server(looks)
    assert outbox.send_due(clock.now()) == 1
    assert open_ == [False]


def test_a_round_has_an_end_and_the_next_one_goes_on(
    person: User, other: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LETTERS", 1)
    tell(person)
    tell(other)
    now: datetime = clock.now()
    assert [outbox.send_due(now) for _ in range(3)] == [1, 1, 0]
