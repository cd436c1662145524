"""A link with which a person sets their own password: once, for three days, sent to their own address alone."""

import io
import re
from datetime import UTC, datetime, timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Passkey
from governance.services import invitations, people, second_factors
from ledger import selectors
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in

PASSWORD, NEW = "correct horse battery staple", "another long passphrase"
INVALID = "This link was used, has expired, or is not complete."


@pytest.fixture
def invited(consortium: Consortium) -> User:
    return people.add_member(
        email="new@example.org", name="Dr New", institution=consortium.at["zurich"], role="irb-member"
    ).user


def path_of(link: str) -> str:
    assert link.startswith("http://localhost:8000/")
    return link.removeprefix("http://localhost:8000")


def follow(link: str, password: str = NEW, again: str | None = None, client: Client | None = None) -> Any:
    client = client or Client(enforce_csrf_checks=True)
    client.get(path_of(link))
    form = {"new_password1": password, "new_password2": password if again is None else again}
    token = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""
    return client.post(path_of(link), form | {"csrfmiddlewaretoken": token})


def can_sign_in(user: User, password: str = NEW) -> bool:
    user.refresh_from_db()
    return user.check_password(password)


# --- being invited


def test_an_administrator_s_invitation_reaches_the_person_who_then_needs_a_second_factor(
    consortium: Consortium,
) -> None:
    admin = signed_in(consortium.member("zurich", "institution-admin"))
    form = {"email": "new@example.org", "name": "Dr New", "role": "irb-member"}
    admin.get(reverse("admin:governance_membership_add"))
    form |= {"institution": str(consortium.at["zurich"].pk), "csrfmiddlewaretoken": admin.cookies["csrftoken"].value}
    answer = admin.post(reverse("admin:governance_membership_add"), form, follow=True)
    assert "A link to set a password is on its way" in answer.content.decode()
    assert "/invitation/" not in answer.content.decode()  # whoever invites does not see it
    [message] = mail.outbox
    link = re.search(r"^http\S+$", message.body, re.MULTILINE)
    assert link
    client = Client(enforce_csrf_checks=True)
    answer = follow(link[0], client=client)
    assert answer.headers["Location"] == reverse("admin:login")
    token = client.cookies["csrftoken"].value
    form = {"username": "new@example.org", "password": NEW, "csrfmiddlewaretoken": token}
    client.post(reverse("admin:login"), form)
    assert "Set up a second factor" in client.get(reverse("admin:index"), follow=True).content.decode()


def test_the_message_holds_nothing_about_anybody_but_the_address_it_goes_to(invited: User) -> None:
    invitations.send(invited)
    [message] = mail.outbox
    assert message.to == ["new@example.org"]
    for told in ("new@example.org", "Dr New", "zurich", "Zurich", "irb"):
        assert told not in message.subject + message.body


def test_whoever_has_a_password_already_is_sent_no_link(consortium: Consortium, invited: User) -> None:
    invited.set_password(PASSWORD)
    invited.save()
    admin = signed_in(consortium.member("zurich", "institution-admin"))
    admin.get(reverse("admin:governance_membership_add"))
    form = {"email": "new@example.org", "name": "Dr New", "role": "auditor"}
    form |= {"institution": str(consortium.at["zurich"].pk), "csrfmiddlewaretoken": admin.cookies["csrftoken"].value}
    admin.post(reverse("admin:governance_membership_add"), form)
    assert mail.outbox == []


def test_a_mail_server_that_is_away_is_said_so(invited: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> int:
        raise SMTPServerDisconnected

    monkeypatch.setattr(EmailBackend, "send_messages", away)
    with pytest.raises(Refused) as caught:
        invitations.send(invited)
    assert caught.value.reason is Reason.MAIL_UNAVAILABLE


# --- the link


def test_a_link_serves_once(invited: User) -> None:
    link = invitations.link(invited)
    assert follow(link).status_code == 302
    assert can_sign_in(invited)
    second = follow(link, "yet another passphrase")
    assert (second.status_code, INVALID in Client().get(path_of(link)).content.decode()) == (403, True)
    assert can_sign_in(invited)


def test_reading_a_link_does_not_use_it_up(invited: User) -> None:
    link = invitations.link(invited)
    for _ in range(3):
        assert Client().get(path_of(link)).status_code == 200
    assert follow(link).status_code == 302


def test_using_one_link_makes_all_others_worthless(invited: User) -> None:
    first, second = invitations.link(invited), invitations.link(invited)
    follow(first)
    with pytest.raises(Refused):
        invitations.accept(uid=first.split("/")[-3], token=second.split("/")[-2], password=PASSWORD)
    assert can_sign_in(invited)


def test_a_link_expires(invited: User) -> None:
    made = datetime(2026, 3, 2, tzinfo=UTC)
    with time_machine.travel(made, tick=False):
        link = invitations.link(invited)
    with time_machine.travel(made + timedelta(hours=73), tick=False):
        assert INVALID in Client().get(path_of(link)).content.decode()
        follow(link)
    assert not can_sign_in(invited)
    with time_machine.travel(made + timedelta(hours=71), tick=False):
        follow(link)
    assert can_sign_in(invited)


def test_a_link_is_one_person_s(consortium: Consortium, invited: User) -> None:
    other = consortium.member("zurich", "irb-chair")
    uid = urlsafe_base64_encode(force_bytes(other.pk))
    token = invitations.link(invited).split("/")[-2]
    with pytest.raises(Refused) as caught:
        invitations.accept(uid=uid, token=token, password=NEW)
    assert caught.value.reason is Reason.EXPIRED
    assert not other.has_usable_password()


@pytest.mark.parametrize("uid", ["", "x", "////", "MQ", urlsafe_base64_encode(b"-1"), urlsafe_base64_encode(b"\xff")])
def test_a_mutilated_link_is_refused(consortium: Consortium, uid: str) -> None:
    with pytest.raises(Refused) as caught:
        invitations.invited(uid, "c0ffee-0123456789")
    assert caught.value.reason is Reason.EXPIRED


def test_a_token_that_was_made_for_something_else_is_refused(invited: User) -> None:
    uid = urlsafe_base64_encode(force_bytes(invited.pk))
    with pytest.raises(Refused):
        invitations.invited(uid, default_token_generator.make_token(invited))


def test_a_closed_account_accepts_no_invitation(invited: User) -> None:
    link = invitations.link(invited)
    invited.is_active = False
    invited.save()
    assert follow(link).status_code == 403


@pytest.mark.parametrize(("password", "again"), [("short", "short"), (NEW, "something else"), ("password1234", None)])
def test_a_weak_or_mistyped_password_is_not_set_and_the_link_stays_good(
    invited: User, password: str, again: str | None
) -> None:
    link = invitations.link(invited)
    answer = follow(link, password, again)
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.content.decode()
    invited.refresh_from_db()
    assert not invited.has_usable_password()
    with pytest.raises(Refused):
        invitations.accept(uid=link.split("/")[-3], token=link.split("/")[-2], password="short")
    assert follow(link).status_code == 302


def test_setting_the_password_ends_the_sessions_before(invited: User) -> None:
    client = signed_in(invited)
    assert client.get(reverse("admin:index")).status_code == 200
    follow(invitations.link(invited))
    assert client.get(reverse("admin:index")).status_code == 302


def test_the_page_obeys_the_content_security_policy_and_names_its_fields(invited: User) -> None:
    page = Client().get(path_of(invitations.link(invited)))
    text = page.content.decode()
    assert text.count('autocomplete="new-password"') == 2
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\bsrc=)", text)
    assert "'unsafe" not in page.headers["Content-Security-Policy"]


# --- starting over


def test_an_operator_lets_an_officer_start_over_who_has_lost_everything(consortium: Consortium) -> None:
    user = consortium.chairs["zurich"].user
    user.set_password(PASSWORD)
    user.save()
    second_factors.make_recovery_codes(by=user)
    client, out = signed_in(user), io.StringIO()
    call_command("reset_officer", user.username, stdout=out)
    user.refresh_from_db()
    assert not user.has_usable_password()
    assert not Passkey.objects.filter(officer__user=user).exists()
    assert second_factors.recovery_codes_left(user) == 0
    assert client.get(reverse("admin:index")).status_code == 302
    assert selectors.entries(event=Event.FACTOR_REMOVED).get().public == {"kind": "passkey"}
    assert follow(out.getvalue().splitlines()[-1]).status_code == 302
    assert can_sign_in(user)


def test_a_forgotten_password_alone_leaves_the_factors(consortium: Consortium) -> None:
    user = consortium.chairs["zurich"].user
    call_command("reset_officer", user.username, "--keep-factors", stdout=io.StringIO())
    assert second_factors.kinds(user) == {second_factors.Kind.PASSKEY}


def test_nobody_unknown_starts_over(consortium: Consortium) -> None:
    with pytest.raises(CommandError, match="No officer"):
        call_command("reset_officer", "nobody@example.org")
