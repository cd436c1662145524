"""Who signs in to the officers' site, and what a page tells to whoever asks it sideways."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from governance.models import Consent
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in

PASSWORD = "correct horse battery staple"


@pytest.fixture
def officer(consortium: Consortium) -> User:
    user = consortium.member("long-beach", "investigator")
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(user: User, password: str, address: str = "192.0.2.1") -> int:
    form = {"username": user.get_username(), "password": password}
    return Client(REMOTE_ADDR=address).post("/admin/login/?next=/admin/", form).status_code


def test_after_five_wrong_passwords_the_right_one_is_refused_too(officer: User) -> None:
    assert sign_in(officer, PASSWORD) == 302
    assert [sign_in(officer, f"guess {number}") for number in range(5)] == [200, 200, 200, 200, 429]
    assert sign_in(officer, PASSWORD) == 429
    assert sign_in(officer, PASSWORD, address="192.0.2.2") == 302


def test_the_page_says_so_plainly(officer: User) -> None:
    client, form = Client(), {"username": officer.get_username(), "password": "a guess"}
    answers = [client.post("/admin/login/", form) for _ in range(5)]
    assert "Too many wrong passwords" in answers[-1].content.decode()
    assert officer.get_username() not in answers[-1].content.decode()


def test_behind_the_proxy_the_address_is_the_one_that_the_proxy_saw(
    officer: User, settings: pytest.FixtureRequest
) -> None:
    settings.PRODUCTION, settings.SECURE_SSL_REDIRECT = True, False  # type: ignore[attr-defined]
    form = {"username": officer.get_username(), "password": "a guess"}
    seen = [
        Client().post("/admin/login/", form, headers={"X-Forwarded-For": f"198.51.100.{number}, 192.0.2.1"}).status_code
        for number in range(5)
    ]
    assert seen[-1] == 429


@pytest.mark.parametrize(
    "question", ["subject={}", "subject__startswith={:.3}", "statement__contains=ey", "study__institution__slug=zurich"]
)
def test_no_filter_tells_what_the_page_does_not_show(consortium: Consortium, officer: User, question: str) -> None:
    consortium.request(consortium.voted())
    client = signed_in(officer)
    assert client.get("/admin/governance/consent/").status_code == 200
    subject = str(Consent.objects.get().subject)
    assert client.get("/admin/governance/consent/?" + question.format(subject)).status_code == 400
    assert client.get("/admin/compute/job/?state__exact=recorded").status_code == 200
