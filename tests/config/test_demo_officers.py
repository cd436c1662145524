"""The demonstration's officers sign in as everybody does: with a password, and a passkey that they make first."""

import io
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from concordat import clock
from concordat.enrolment import build_enrolment
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from config.demo.officers import Officer
from governance.models import Passkey
from governance.services import institutions


@pytest.fixture
def officer(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Officer:
    """With an account, and this process as the server."""
    token = build_enrolment(
        Keystore(tmp_path / "zurich").create(),
        institution="zurich",
        name="Hospital of Zurich",
        jurisdiction="CH",
        roles=["party"],
        issued=clock.now(),
    )
    institutions.enrol(token=token)
    made = Officer(email="irb-chair@zurich.example", name="Dr Chair", institution="zurich", role="irb-chair")
    monkeypatch.setattr("sys.stdin", io.StringIO(made.password + "\n"))
    arguments = [made.email, made.name, "zurich", "irb-chair", "--password-stdin"]
    call_command("create_officer", *arguments, stdout=io.StringIO())
    monkeypatch.setattr(made, "_http", httpx.Client(transport=httpx.WSGITransport(app=get_wsgi_application())))
    return made


def test_the_passkey_of_the_first_sign_in_is_the_one_for_the_roster_and_for_the_next(officer: Officer) -> None:
    officer.sign_in(settings.BASE_URL)
    line = officer.register_passkey()
    assert (line["credential"], line["key"]) == Passkey.objects.values_list("credential", "key").get()
    assert (line["officer"], line["role"], len(officer.recovery_codes)) == ("irb-chair", "irb-chair", 10)
    officer.sign_in(settings.BASE_URL)
    with pytest.raises(Refused) as caught:  # signed in again: who is not, is sent away before anything is looked up
        officer.sign("determine", review=str(uuid4()), outcome="approved", findings={})
    assert caught.value.reason is Reason.NOT_FOUND
    assert Passkey.objects.count() == 1


def test_with_a_wrong_password_nobody_gets_to_the_passkey(officer: Officer) -> None:
    officer.password = "a guess"
    with pytest.raises(Refused) as caught:
        officer.sign_in(settings.BASE_URL)
    assert caught.value.reason is Reason.SIGN_IN_REFUSED
