"""A password opens nothing: what the second step asks, what it refuses, and what a session is worth after it."""

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice
from fido2.webauthn import AuthenticatorData

from concordat import logs, passkeys
from concordat.canonical import unb64
from concordat.events import Event
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused
from governance import acts
from governance.models import Passkey, RecoveryCode, SigningChallenge, Totp
from governance.models.sign_in import carry
from governance.services import challenges, registration, second_factors, sign_in
from governance.services.second_factors import Kind
from ledger import masters, selectors, vault
from ledger.services import rotation
from tests.governance.conftest import Consortium, Officer
from tests.support.officers import signed_in

PASSWORD = "correct horse battery staple"
NOON = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that the test moves; a code is valid for half a minute, a wrong one makes wait."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def newcomer(consortium: Consortium) -> User:
    return with_password(consortium.member("zurich", "irb-chair"))


@pytest.fixture
def officer(consortium: Consortium) -> Officer:
    """With a passkey."""
    chair = consortium.chairs["zurich"]
    with_password(chair.user)
    return chair


def password_given(user: User) -> Client:
    """A browser after the first step."""
    client = Client(enforce_csrf_checks=True)
    answer = post(client, "admin:login", {"username": user.get_username(), "password": PASSWORD})
    assert answer.status_code == 302
    return client


def token(client: Client) -> str:
    if "csrftoken" not in client.cookies:
        client.get(reverse("admin:login"), follow=True)
    return client.cookies["csrftoken"].value


def post(client: Client, name: str, form: dict[str, str]) -> Any:
    return client.post(reverse(name), form | {"csrfmiddlewaretoken": token(client)})


def call(client: Client, name: str, body: object) -> Any:
    headers = {"X-CSRFToken": token(client)}
    return client.post(reverse(name), json.dumps(body), content_type="application/json", headers=headers)


def inside(client: Client) -> bool:
    return bool(client.get(reverse("admin:index")).status_code == 200)


def secret_on(page: str) -> bytes:
    """The secret as an authenticator app reads it off the page."""
    found = re.search(r"<dt>Secret</dt><dd><code>([A-Z2-7]+)</code>", page)
    assert found
    return base64.b32decode(found[1] + "=" * (-len(found[1]) % 8))


def code_of(secret: bytes, at: datetime | None = None) -> str:
    app = TOTP(secret)
    app.time = (at or datetime.now(UTC)).timestamp()
    return f"{app.token():06}"


def with_app(user: User) -> bytes:
    """The secret of an app that is in use, its last code long past."""
    begun = second_factors.begin_totp(by=user)
    earlier = NOON - timedelta(minutes=5)
    with time_machine.travel(earlier, tick=False):
        second_factors.confirm_totp(by=user, code=code_of(begun.bin_key, earlier))
    return begun.bin_key


def answer_with(client: Client, passkey: SoftwarePasskey, **changes: Any) -> Any:
    asked = call(client, "admin:second_factor_challenge", {}).json()
    body = {"nonce": asked["nonce"], "assertion": passkey.assertion(unb64(asked["challenge"]))}
    return call(client, "admin:second_factor_passkey", body | changes)


def factor_events() -> list[tuple[str, str]]:
    found = selectors.entries().filter(event__startswith="sign-in.").order_by("index")
    return [(entry.event, entry.public["kind"]) for entry in found]


# --- between the two steps


def addresses(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Every address under a resolver, with something in place of each argument."""
    for pattern in resolver.url_patterns:
        route = re.sub(r"\(\?P<app_label>([a-z]+)[^)]*\)", r"\1", str(pattern.pattern)).strip("^$")
        route = re.sub(r"\(\?P<url>\.\*\)", "anything", route)
        route = re.sub(
            r"<(?:path:)?object_id>", "1", re.sub(r"<uuid:\w+>", "00000000-0000-4000-8000-000000000000", route)
        )
        route = re.sub(r"<[^>]+>", "1", route)
        if isinstance(pattern, URLPattern):
            yield prefix + route
        else:
            yield from addresses(pattern, prefix + route)


ADMIN = sorted({each for each in addresses(get_resolver()) if each.startswith("/admin/")})
SIGNING_IN = (
    "/admin/login/",
    "/admin/logout/",
    "/admin/second-factor/",
    "/admin/hospital-sign-in/",
    "/admin/invitation/",
)


def test_the_walk_below_meets_every_page() -> None:
    assert len(ADMIN) > 60
    for known in (
        "/admin/",
        "/admin/governance/study/1/change/",
        "/admin/governance/passkey/register/",
        "/admin/auth/",
    ):
        assert known in ADMIN


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("has", ["a factor", "no factor"])
def test_a_password_alone_reaches_no_page_but_those_of_signing_in(
    officer: Officer, newcomer: User, method: str, has: str
) -> None:
    client = password_given(officer.user if has == "a factor" else newcomer)
    headers = {"X-CSRFToken": token(client)}
    for address in ADMIN:
        if not address.startswith(SIGNING_IN):
            answer = getattr(client, method)(address, headers=headers)
            assert answer.status_code == 302, address
            assert answer.headers["Location"].startswith("/admin/login/?next="), address


def test_the_login_page_leads_on_to_the_second_step_and_remembers_the_way(officer: Officer) -> None:
    client, wanted = password_given(officer.user), reverse("admin:governance_study_changelist")
    first = client.get(wanted)
    second = client.get(first.headers["Location"])
    assert second.headers["Location"].startswith(reverse("admin:second_factor"))
    assert answer_with(client, officer.passkey).status_code == 200
    assert client.get(second.headers["Location"]).headers["Location"] == wanted


def test_nobody_is_led_to_another_site(officer: Officer) -> None:
    client = password_given(officer.user)
    answer_with(client, officer.passkey)
    answer = client.get(reverse("admin:second_factor"), {"next": "https://example.org/"})
    assert answer.headers["Location"] == reverse("admin:index")


def test_a_stranger_reaches_none_of_the_second_steps_pages() -> None:
    for name in ("second_factor", "second_factor_set_up"):
        assert Client().get(reverse(f"admin:{name}")).headers["Location"].startswith(reverse("admin:login"))
    client = Client(enforce_csrf_checks=True)
    for name in ("second_factor_challenge", "second_factor_passkey", "set_up_challenge", "set_up_passkey"):
        assert call(client, f"admin:{name}", {}).status_code == 302


def test_whoever_stands_between_the_steps_can_sign_out(officer: Officer) -> None:
    client = password_given(officer.user)
    post(client, "admin:logout", {})
    assert "_auth_user_id" not in client.session


# --- the first factor


def test_who_has_no_factor_sets_one_up_before_anything_else(newcomer: User) -> None:
    client = password_given(newcomer)
    assert client.get(reverse("admin:second_factor")).headers["Location"] == reverse("admin:second_factor_set_up")
    shown = client.get(reverse("admin:second_factor_set_up"))
    page = shown.content.decode()
    assert "otpauth://totp/Concordat" in page
    assert "<svg" in page
    assert 'autocomplete="one-time-code"' in page
    assert "'unsafe" not in shown.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\bsrc=)", page)
    answer = post(client, "admin:second_factor_set_up", {"code": code_of(secret_on(page))})
    assert answer.headers["Location"] == reverse("admin:recovery_codes")
    assert inside(client)
    assert factor_events() == [(Event.FACTOR_REGISTERED, "totp")]


def test_a_passkey_can_be_the_first_factor(newcomer: User) -> None:
    client, passkey = password_given(newcomer), SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    asked = call(client, "admin:set_up_challenge", {}).json()
    given = {"nonce": asked["nonce"], "registration": passkey.registration(unb64(asked["challenge"]))}
    assert call(client, "admin:set_up_passkey", given).json()["credential"] == passkey.credential
    assert inside(client)
    reloaded = client.get(reverse("admin:second_factor_set_up"))
    assert reloaded.headers["Location"] == reverse("admin:recovery_codes")
    again = password_given(newcomer)
    assert not inside(again)
    assert answer_with(again, passkey).json() == {"kind": "passkey"}
    assert inside(again)


def test_a_wrong_code_takes_no_app_into_use_and_the_secret_on_the_page_stays(
    newcomer: User, clock: time_machine.Traveller
) -> None:
    client = password_given(newcomer)
    secret = secret_on(client.get(reverse("admin:second_factor_set_up")).content.decode())
    refused = post(client, "admin:second_factor_set_up", {"code": "000000"}).content.decode()
    assert "The code is not right" in refused
    assert 'id="id_code_error"' in refused
    assert 'aria-describedby="id_code_error"' in refused
    assert secret_on(refused) == secret
    assert not inside(client)
    clock.shift(2)
    post(client, "admin:second_factor_set_up", {"code": code_of(secret)})
    assert inside(client)


@pytest.mark.parametrize("name", ["second_factor_set_up", "set_up_challenge", "set_up_passkey"])
def test_who_has_a_factor_adds_none_before_answering_with_it(officer: Officer, name: str) -> None:
    """Otherwise a stolen password would be enough."""
    client = password_given(officer.user)
    nonce = registration.challenge(by=officer.user)
    thief = SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    given = {"nonce": nonce.nonce, "registration": thief.registration(passkeys.challenge(nonce.statement))}
    answer = call(client, f"admin:{name}", given)
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("admin:second_factor"))
    assert not Passkey.objects.filter(credential=thief.credential).exists()


# --- passkeys


def test_a_challenge_serves_once(officer: Officer) -> None:
    client = password_given(officer.user)
    asked = call(client, "admin:second_factor_challenge", {}).json()
    assert asked["credentials"] == [officer.passkey.credential]
    body = {"nonce": asked["nonce"], "assertion": officer.passkey.assertion(unb64(asked["challenge"]))}
    assert call(client, "admin:second_factor_passkey", body).status_code == 200
    again = password_given(officer.user)
    replayed = call(again, "admin:second_factor_passkey", body)
    assert (replayed.status_code, replayed.json()["reason"]) == (409, "conflict")
    assert not inside(again)


def test_a_challenge_expires(officer: Officer, clock: time_machine.Traveller) -> None:
    client = password_given(officer.user)
    asked = call(client, "admin:second_factor_challenge", {}).json()
    clock.shift(challenges.WINDOW)
    body = {"nonce": asked["nonce"], "assertion": officer.passkey.assertion(unb64(asked["challenge"]))}
    assert call(client, "admin:second_factor_passkey", body).json()["reason"] == "expired"


def test_another_officers_passkey_is_refused(consortium: Consortium, officer: Officer) -> None:
    client = password_given(officer.user)
    answer = answer_with(client, consortium.chairs["budapest"].passkey)
    assert answer.json()["reason"] == "passkey-invalid"
    assert not inside(client)


def test_another_officers_challenge_is_refused(consortium: Consortium, officer: Officer) -> None:
    other = second_factors.challenge(by=consortium.chairs["budapest"].user)
    client = password_given(officer.user)
    assert answer_with(client, officer.passkey, nonce=other.nonce).json()["reason"] == "not-found"


def test_a_challenge_of_a_registration_or_a_study_signs_nobody_in(consortium: Consortium, officer: Officer) -> None:
    study, client = consortium.approved(), password_given(officer.user)
    fields = {"study": str(study.uuid), "institution": officer.institution.slug, "ground": "An incident."}
    for asked in (
        registration.challenge(by=officer.user),
        acts.ask(by=officer.user, act="suspend", fields=fields),
    ):
        assertion = officer.passkey.assertion(passkeys.challenge(asked.statement))
        answer = call(client, "admin:second_factor_passkey", {"nonce": asked.nonce, "assertion": assertion})
        assert answer.json()["reason"] == "not-found"
        assert SigningChallenge.objects.get(pk=asked.pk).used is None
    assert not inside(client)


@pytest.mark.parametrize("given", [None, [], {}, {"credential": 7}, "text"])
def test_nonsense_is_no_assertion(officer: Officer, given: object) -> None:
    client = password_given(officer.user)
    assert answer_with(client, officer.passkey, assertion=given).json()["reason"] == "passkey-invalid"
    assert not inside(client)


def test_a_passkey_that_did_not_verify_its_holder_is_refused(officer: Officer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = AuthenticatorData.create
    unverified = staticmethod(lambda rp, flags, *rest: real(rp, flags & ~AuthenticatorData.FLAG.UV, *rest))
    client = password_given(officer.user)
    with monkeypatch.context() as patch:
        patch.setattr(AuthenticatorData, "create", unverified)
        answer = answer_with(client, officer.passkey)
    assert answer.json()["reason"] == "passkey-invalid"


# --- codes


def test_a_code_of_the_app_signs_in_once(newcomer: User) -> None:
    secret = with_app(newcomer)
    client = password_given(newcomer)
    assert (
        post(client, "admin:second_factor", {"code": f"{code_of(secret)[:3]} {code_of(secret)[3:]}"}).status_code == 302
    )
    assert inside(client)
    replayed = password_given(newcomer)
    shown = post(replayed, "admin:second_factor", {"code": code_of(secret)}).content.decode()
    assert "The code is not right, or was used before." in shown
    assert not inside(replayed)


@pytest.mark.parametrize("given", ["000000", "", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "0x1234"])
def test_what_is_no_code_of_the_app_is_refused(newcomer: User, given: str) -> None:
    with_app(newcomer)
    client = password_given(newcomer)
    assert post(client, "admin:second_factor", {"code": given}).status_code == 200
    assert not inside(client)


def test_another_officers_code_is_refused(consortium: Consortium, newcomer: User) -> None:
    with_app(newcomer)
    others = with_app(consortium.member("zurich", "auditor"))
    client = password_given(newcomer)
    post(client, "admin:second_factor", {"code": code_of(others)})
    assert not inside(client)


def test_an_app_that_was_never_confirmed_signs_nobody_in(officer: Officer) -> None:
    begun = second_factors.begin_totp(by=officer.user)
    client = password_given(officer.user)
    post(client, "admin:second_factor", {"code": code_of(begun.bin_key)})
    assert not inside(client)


def test_after_a_wrong_code_the_next_one_has_to_wait(newcomer: User, clock: time_machine.Traveller) -> None:
    secret = with_app(newcomer)
    client = password_given(newcomer)
    post(client, "admin:second_factor", {"code": "000000"})
    assert "Wait 1 s" in post(client, "admin:second_factor", {"code": code_of(secret)}).content.decode().replace(
        "2 s", "1 s"
    )
    assert not inside(client)
    clock.shift(2)
    post(client, "admin:second_factor", {"code": code_of(secret)})
    assert inside(client)


def test_wrong_codes_lock_out_and_the_right_password_does_not_reset_the_count(
    newcomer: User, clock: time_machine.Traveller
) -> None:
    secret = with_app(newcomer)
    statuses = []
    for _ in range(5):
        statuses.append(post(password_given(newcomer), "admin:second_factor", {"code": "000000"}).status_code)
        clock.shift(60)
    assert statuses == [200, 200, 200, 200, 429]
    client = password_given(newcomer)
    answer = post(client, "admin:second_factor", {"code": code_of(secret)})
    assert (answer.status_code, inside(client)) == (429, False)
    assert "Too many wrong passwords or codes" in answer.content.decode()
    clock.shift(timedelta(minutes=16))
    post(client, "admin:second_factor", {"code": code_of(secret)})
    assert inside(client)


def test_wrong_passkeys_count_as_well(consortium: Consortium, officer: Officer) -> None:
    client, wrong = password_given(officer.user), consortium.chairs["budapest"].passkey
    assert [answer_with(client, wrong).status_code for _ in range(5)] == [403, 403, 403, 403, 429]
    assert answer_with(client, officer.passkey).status_code == 429
    assert not inside(client)


def test_the_database_alone_makes_no_code(newcomer: User) -> None:
    secret = with_app(newcomer)
    row = TOTPDevice.objects.get(user=newcomer)
    assert bytes.fromhex(row.key) != secret
    assert vault.derived("totp", bytes.fromhex(row.key))[:20] == secret
    client = password_given(newcomer)
    post(client, "admin:second_factor", {"code": code_of(row.bin_key)})
    assert not inside(client)


def test_an_app_s_secret_stays_the_same_under_a_new_master_key(newcomer: User, settings: Any, tmp_path: Path) -> None:
    settings.KEYS_DIR = shutil.copytree(settings.KEYS_DIR, tmp_path / "keys")
    secret = with_app(newcomer)
    kept = {TOTPDevice.objects.get(user=newcomer).key}
    for _ in range(2):
        for _ in rotation.rotate(until=datetime.now(UTC)):
            pass
        for _ in rotation.destroy_due(now=datetime.now(UTC) + timedelta(seconds=2)):
            pass
        row = Totp.objects.get(user=newcomer)
        assert row.bin_key == secret
        kept.add(row.key)
    assert len(kept) == 3
    assert not any(secret.hex() in key for key in kept)
    before = row.key
    carry(masters.current())
    assert Totp.objects.get(user=newcomer).key == before
    client = password_given(newcomer)
    post(client, "admin:second_factor", {"code": code_of(secret)})
    assert inside(client)


# --- recovery codes


def test_recovery_codes_are_shown_once_and_kept_as_hashes(newcomer: User) -> None:
    client = signed_in(newcomer)
    assert RecoveryCode.objects.filter(user=newcomer).count() == 0
    shown = post(client, "admin:recovery_codes", {})
    codes = re.findall(r"<li><code>([a-z2-7-]+)</code>", shown.content.decode())
    assert len(set(codes)) == 10
    assert "no-store" in shown.headers["Cache-Control"]
    kept = " ".join(RecoveryCode.objects.filter(user=newcomer).values_list("hashed", flat=True))
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)
    assert not any(code in client.get(reverse("admin:recovery_codes")).content.decode() for code in codes)
    assert factor_events() == [(Event.FACTOR_REGISTERED, "recovery-code")]


def test_each_recovery_code_serves_once(officer: Officer) -> None:
    codes = second_factors.make_recovery_codes(by=officer.user)
    client = password_given(officer.user)
    answer = post(client, "admin:second_factor", {"recovery_code": codes[0].upper().replace("-", " ")})
    assert answer.headers["Location"] == reverse("admin:second_factors")
    assert "Recovery codes left: 9" in client.get(answer.headers["Location"]).content.decode()
    again = password_given(officer.user)
    assert "or it was used" in post(again, "admin:second_factor", {"recovery_code": codes[0]}).content.decode()
    assert not inside(again)


def test_another_officers_recovery_code_and_an_earlier_one_are_refused(
    consortium: Consortium, officer: Officer
) -> None:
    others = second_factors.make_recovery_codes(by=consortium.chairs["budapest"].user)
    earlier = second_factors.make_recovery_codes(by=officer.user)
    second_factors.make_recovery_codes(by=officer.user)
    client = password_given(officer.user)
    for code in (others[0], earlier[0]):
        post(client, "admin:second_factor", {"recovery_code": code})
    assert not inside(client)


def test_new_recovery_codes_take_the_password_once_there_are_some(officer: Officer) -> None:
    client = signed_in(officer.user)
    second_factors.make_recovery_codes(by=officer.user)
    before = set(RecoveryCode.objects.values_list("hashed", flat=True))
    assert "The password is not yours" in post(client, "admin:recovery_codes", {"password": "a guess"}).content.decode()
    assert set(RecoveryCode.objects.values_list("hashed", flat=True)) == before
    post(client, "admin:recovery_codes", {"password": PASSWORD})
    assert not before & set(RecoveryCode.objects.values_list("hashed", flat=True))


# --- what a session is worth


def test_the_session_remembers_which_factor_and_when_under_a_new_key(newcomer: User) -> None:
    secret = with_app(newcomer)
    client = password_given(newcomer)
    before = client.session.session_key
    post(client, "admin:second_factor", {"code": code_of(secret)})
    assert client.session.session_key != before
    assert not SessionStore(before).exists(before)
    factor = sign_in.second_factor(request_of(newcomer, client))
    assert factor is not None
    assert (factor.kind, factor.at) == (Kind.TOTP, NOON)


def test_giving_the_password_again_starts_over(officer: Officer) -> None:
    client = signed_in(officer.user)
    assert inside(client)
    post(client, "admin:login", {"username": officer.user.get_username(), "password": PASSWORD})
    assert not inside(client)


def request_of(user: User, client: Client) -> HttpRequest:
    request = HttpRequest()
    request.user, request.session, request.META["REMOTE_ADDR"] = user, client.session, "192.0.2.1"
    return request


def test_a_new_factor_ends_the_other_sessions(newcomer: User) -> None:
    secret = with_app(newcomer)
    here, there, between = signed_in(newcomer), signed_in(newcomer), password_given(newcomer)
    passkey = SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    asked = call(here, "admin:governance_passkey_challenge", {"password": PASSWORD}).json()
    given = {"nonce": asked["nonce"], "registration": passkey.registration(unb64(asked["challenge"]))}
    assert call(here, "admin:governance_passkey_register", given).status_code == 200
    assert (inside(here), inside(there)) == (True, False)
    assert "_auth_user_id" not in there.session
    post(between, "admin:second_factor", {"code": code_of(secret)})
    assert not inside(between)


def test_a_removed_factor_ends_the_other_sessions_and_signs_nobody_in(officer: Officer) -> None:
    secret = with_app(officer.user)
    here, there = signed_in(officer.user), signed_in(officer.user)
    form = {"credential": officer.passkey.credential}
    assert post(here, "admin:second_factors_remove", form | {"password": "a guess"}).status_code == 302
    assert Passkey.objects.filter(officer__user=officer.user).exists()
    post(here, "admin:second_factors_remove", form | {"password": PASSWORD})
    assert (inside(here), inside(there)) == (True, False)
    client = password_given(officer.user)
    assert answer_with(client, officer.passkey).json()["reason"] == "passkey-invalid"
    post(client, "admin:second_factor", {"code": code_of(secret)})
    assert inside(client)
    assert factor_events()[-1] == (Event.FACTOR_REMOVED, "passkey")


def test_a_changed_password_ends_the_other_sessions(officer: Officer) -> None:
    here, there = signed_in(officer.user), signed_in(officer.user)
    new = "another long passphrase"
    post(here, "admin:password_change", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert (inside(here), inside(there)) == (True, False)


def test_an_open_browser_does_not_guess_the_password_where_it_is_changed(officer: Officer) -> None:
    client, new = signed_in(officer.user), "another long passphrase"
    form = {"new_password1": new, "new_password2": new}
    given = ["a guess"] * 5 + [PASSWORD]
    statuses = [post(client, "admin:password_change", form | {"old_password": each}).status_code for each in given]
    assert statuses == [200, 200, 200, 200, 429, 429]
    officer.user.refresh_from_db()
    assert officer.user.check_password(PASSWORD)


def test_what_was_typed_in_is_not_kept_with_the_attempt(newcomer: User) -> None:
    with_app(newcomer)
    client = password_given(newcomer)
    post(client, "admin:second_factor", {"code": "918273"})
    post(client, "admin:second_factor", {"recovery_code": "aaaaa-bbbbb-ccccc-ddddd"})
    post(client, "admin:login", {"username": newcomer.get_username(), "password": "a guess too many"})
    post(signed_in(newcomer), "admin:password_change", {"old_password": "old guess", "new_password1": "new choice"})
    kept = " ".join(str(row) for row in AccessAttempt.objects.values())
    assert kept
    for typed in ("918273", "aaaaa", "too many", "too+many", "old guess", "old+guess", "new choice", "new+choice"):
        assert typed not in kept


@pytest.mark.parametrize("which", ["passkey", "app"])
def test_the_last_factor_stays(officer: Officer, newcomer: User, which: str) -> None:
    user = officer.user if which == "passkey" else newcomer
    form = {"credential": officer.passkey.credential} if which == "passkey" else {}
    if which == "app":
        with_app(user)
    client = signed_in(user)
    post(client, "admin:second_factors_remove", form | {"password": PASSWORD})
    assert "This is your last second factor" in client.get(reverse("admin:second_factors")).content.decode()
    assert len(second_factors.kinds(user)) == 1


def test_another_officers_passkey_is_not_removed(consortium: Consortium, officer: Officer) -> None:
    other = consortium.chairs["budapest"].passkey.credential
    client = signed_in(officer.user)
    post(client, "admin:second_factors_remove", {"credential": other, "password": PASSWORD})
    assert Passkey.objects.filter(credential=other).exists()


def test_the_app_is_replaced_with_the_password_and_one_code_of_the_new_one(officer: Officer) -> None:
    old = with_app(officer.user)
    client = signed_in(officer.user)
    new = secret_on(client.get(reverse("admin:second_factors_app")).content.decode())
    post(client, "admin:second_factors_app", {"code": code_of(new), "password": "a guess"})
    assert Totp.objects.get(user=officer.user, confirmed=True).bin_key == old
    post(client, "admin:second_factors_app", {"code": code_of(new), "password": PASSWORD})
    assert Totp.objects.get(user=officer.user).bin_key == new
    assert inside(client)
    assert factor_events()[-2:] == [(Event.FACTOR_REMOVED, "totp"), (Event.FACTOR_REGISTERED, "totp")]


# --- both factors once more


def test_both_factors_once_more_confirm(newcomer: User) -> None:
    secret = with_app(newcomer)
    request = request_of(newcomer, signed_in(newcomer))
    confirmed = sign_in.confirm(request, password=PASSWORD, code=code_of(secret))
    assert (confirmed.kind, confirmed.at) == (Kind.TOTP, NOON)
    with pytest.raises(Refused) as caught:
        sign_in.confirm(request, password=PASSWORD, code=code_of(secret))
    assert caught.value.reason is Reason.SECOND_FACTOR_WRONG


@pytest.mark.parametrize(
    ("has_app", "password", "code", "reason"),
    [
        (True, "a guess", None, Reason.PASSWORD_WRONG),
        (True, PASSWORD, "000000", Reason.SECOND_FACTOR_WRONG),
        (True, PASSWORD, "", Reason.SECOND_FACTOR_WRONG),
        (False, PASSWORD, "000000", Reason.SECOND_FACTOR_MISSING),
    ],
)
def test_one_of_two_factors_confirms_nothing(
    newcomer: User, has_app: bool, password: str, code: str | None, reason: Reason
) -> None:
    secret = with_app(newcomer) if has_app else b""
    client = signed_in(newcomer)
    with pytest.raises(Refused) as caught:
        sign_in.confirm(request_of(newcomer, client), password=password, code=code_of(secret) if code is None else code)
    assert caught.value.reason is reason


def test_a_recovery_code_confirms_nothing(newcomer: User) -> None:
    with_app(newcomer)
    code = second_factors.make_recovery_codes(by=newcomer)[0]
    with pytest.raises(Refused):
        sign_in.confirm(request_of(newcomer, signed_in(newcomer)), password=PASSWORD, code=code)
    assert second_factors.recovery_codes_left(newcomer) == 10


def test_what_a_wrong_code_leaves_behind_is_never_rolled_back(newcomer: User) -> None:
    with_app(newcomer)
    assert connection.in_atomic_block
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        second_factors.check_totp(by=newcomer, code="000000")


def test_events_name_the_kind_and_commit_to_the_officer(newcomer: User) -> None:
    with_app(newcomer)
    entry = selectors.entries(event=Event.FACTOR_REGISTERED).get()
    assert entry.public == {"kind": "totp"}
    assert vault.unseal(entry)[1] == {"officer": str(newcomer.officer.uuid)}
    assert newcomer.username.encode() not in bytes(entry.leaf)


@pytest.mark.parametrize("deed", ["register", "confirm", "recovery codes", "remove", "remove all"])
def test_where_the_log_cannot_be_written_no_factor_comes_or_goes(
    officer: Officer, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    user = officer.user
    asked, passkey = registration.challenge(by=user), SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    given = passkey.registration(passkeys.challenge(asked.statement))
    with_app(user)
    begun = second_factors.begin_totp(by=user)
    deeds: dict[str, Callable[[], object]] = {
        "register": lambda: registration.register(by=user, nonce=asked.nonce, registration=given),
        "confirm": lambda: second_factors.confirm_totp(by=user, code=code_of(begun.bin_key)),
        "recovery codes": lambda: second_factors.make_recovery_codes(by=user),
        "remove": lambda: second_factors.remove_passkey(by=user, credential=officer.passkey.credential),
        "remove all": lambda: second_factors.remove_all(of=user),
    }

    def broken(**_: Any) -> None:
        raise ConnectionError

    before = second_factors.fingerprint(user)
    with monkeypatch.context() as patch:
        patch.setattr(second_factors, "record", broken)
        with pytest.raises(ConnectionError):
            deeds[deed]()
    assert second_factors.fingerprint(user) == before
    assert second_factors.recovery_codes_left(user) == 0
    deeds[deed]()
    assert (second_factors.fingerprint(user), second_factors.recovery_codes_left(user)) != (before, 0)


def test_neither_address_nor_account_reaches_the_process_s_log(newcomer: User) -> None:
    secret, stream = with_app(newcomer), io.StringIO()
    logs.configure(stream=stream)
    try:
        client = password_given(newcomer)
        for code in ("000000", code_of(secret)):
            post(client, "admin:second_factor", {"code": code})
        post(client, "admin:login", {"username": newcomer.get_username(), "password": "a guess"})
    finally:
        logs.configure()
    assert "axes" in stream.getvalue()
    person = newcomer.officer
    for said in (newcomer.get_username(), person.name, str(person.uuid), "127.0.0.1", "second factor of"):
        assert said not in stream.getvalue()


def test_the_librarys_own_page_of_apps_is_not_on_the_site() -> None:
    assert TOTPDevice not in site._registry
