"""The officers' site: what a board reads, how it signs, and what everybody else does not see."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from concordat.canonical import unb64
from concordat.passkeys import SoftwarePasskey
from governance.models import Definition, Membership, Passkey, Study
from governance.services import challenges, definitions, registration, reviews
from governance.services import consent as consents
from governance.states import StudyState
from tests.governance.conftest import Consortium, Officer
from tests.support.officers import signed_in as browser

PASSWORD = "correct horse battery staple"


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save()
    return user


def page(client: Client, study: Study) -> Any:
    return client.get(reverse("admin:governance_study_change", args=[study.pk]))


def post(client: Client, url: str, body: object) -> Any:
    client.get(reverse("admin:governance_passkey_changelist"))
    token = client.cookies["csrftoken"].value
    return client.post(url, json.dumps(body), content_type="application/json", headers={"X-CSRFToken": token})


def submit(client: Client, url: str, form: dict[str, str]) -> Any:
    client.get(reverse("admin:governance_passkey_changelist"))
    return client.post(url, form | {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}, follow=True)


def ask(client: Client, act: str, method: str = "passkey", **fields: Any) -> Any:
    return post(client, reverse("admin:acts_ask"), {"act": act, "fields": fields, "method": method})


def sign(client: Client, officer: Officer, act: str, **fields: Any) -> Any:
    asked = ask(client, act, **fields).json()
    assertion = officer.passkey.assertion(unb64(asked["challenge"]))
    return post(client, reverse("admin:acts_sign"), {"nonce": asked["nonce"], "assertion": assertion})


def stop(study: Study, ground: str = "An incident.", institution: str = "zurich") -> dict[str, str]:
    return {"study": str(study.uuid), "institution": institution, "ground": ground}


def test_the_page_says_what_is_computed_what_is_opened_to_whom_and_who_has_signed(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    consortium.sign(consortium.chairs["budapest"], study)
    review = str(consortium.review(study, "zurich").uuid)
    reviews.route(by=chair.user, review=review, path="expedited", category="5", ground="Minimal risk.")
    shown = page(browser(chair.user), study).content.decode()
    protocol = study.versions.get().content
    for text in (
        protocol["summary"],
        protocol["computed"],
        protocol["opened"],
        "Hospital of long-beach",
        study.versions.get().digest,
    ):
        assert text in shown
    assert consortium.chairs["budapest"].user.officer.name in shown
    assert shown.count("Nobody has signed yet") == 2
    assert "Sign with passkey" in shown


def test_an_officer_signs_in_two_steps_and_the_act_is_done(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    assert sign(browser(chair.user), chair, "suspend", **stop(study)).json() == {"signed": True}
    study.refresh_from_db()
    assert (study.state, study.epoch) == (StudyState.SUSPENDED, 1)


def test_the_first_step_names_the_passkey_and_the_statement(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    asked = ask(browser(chair.user), "suspend", **stop(study)).json()
    assert (asked["credential"], asked["rp_id"]) == (chair.passkey.credential, "localhost")
    assert (asked["statement"]["meaning"], asked["statement"]["method"]) == ("suspended", "passkey")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"act": "suspend", "fields": {}, "method": "a nod"}, 422, "field-invalid"),
        ({"act": "suspend", "method": "passkey"}, 422, "field-missing"),
        ({"act": "abdicate", "fields": {}, "method": "passkey"}, 404, "not-found"),
        ([], 400, "malformed"),
    ],
)
def test_every_refusal_carries_its_sentence_and_remedy(
    consortium: Consortium, body: object, status: int, reason: str
) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    if isinstance(body, dict) and body.get("method") == "a nod":
        body = body | {"fields": stop(study)}
    answer = post(browser(chair.user), reverse("admin:acts_ask"), body)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.json()["sentence"].endswith(".")
    assert answer.json()["remedy"].endswith(".")


def test_a_wrong_answer_signs_nothing(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    client = browser(chair.user)
    asked = ask(client, "suspend", **stop(study)).json()
    wrong = {"nonce": asked["nonce"], "assertion": chair.passkey.assertion(b"x" * 32)}
    answer = post(client, reverse("admin:acts_sign"), wrong)
    assert (answer.status_code, answer.json()["reason"]) == (403, "passkey-invalid")
    missing = post(client, reverse("admin:acts_sign"), {"nonce": asked["nonce"], "assertion": None})
    assert missing.json()["reason"] == "field-missing"
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


@pytest.mark.parametrize("given", [{"password": ""}, {"password": "somebody else's"}])
def test_a_signed_in_browser_alone_ends_no_study(consortium: Consortium, given: dict[str, str]) -> None:
    study, admin = consortium.approved(), with_password(consortium.member("cleveland", "institution-admin"))
    client = browser(admin)
    asked = ask(client, "close", method="totp", **stop(study, institution="cleveland")).json()
    answer = post(client, reverse("admin:acts_sign"), {"nonce": asked["nonce"], "code": "000000"} | given)
    assert answer.json()["reason"] == "password-wrong"
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


def test_without_a_csrf_token_nothing_is_accepted(consortium: Consortium) -> None:
    client = browser(consortium.chairs["zurich"].user)
    for name in ("admin:acts_ask", "admin:acts_sign"):
        assert client.post(reverse(name), "{}", content_type="application/json").status_code == 403


def test_a_stranger_is_sent_to_sign_in(consortium: Consortium) -> None:
    study = consortium.submitted()
    assert page(Client(), study).status_code == 302


def test_a_study_of_others_is_not_there(consortium: Consortium) -> None:
    study, client = consortium.submitted(), browser(consortium.member("notary", "irb-chair"))
    assert study.title not in page(client, study).content.decode()
    answer = ask(client, "suspend", **stop(study, institution="notary"))
    assert (answer.status_code, answer.json()["reason"]) == (404, "not-found")


def test_suspending_asks_for_a_ground_and_says_so(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    refused = ask(browser(chair.user), "suspend", **stop(study, ground="")).json()
    assert (refused["field"], refused["remedy"]) == ("ground", "Add the named field.")


def test_only_the_leading_institution_is_offered_to_close(consortium: Consortium) -> None:
    study = consortium.approved()
    admins = [consortium.member(slug, "institution-admin") for slug in ("cleveland", "zurich")]
    leading, other = (page(browser(admin), study).content.decode() for admin in admins)
    assert 'data-act="close"' in leading
    assert 'data-act="close"' not in other


# --- passkeys


def test_a_passkey_is_registered_and_counts_once_the_roster_lists_it(consortium: Consortium) -> None:
    user = with_password(consortium.member("zurich", "irb-chair"))
    client, passkey = browser(user), SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    asked = post(client, reverse("admin:governance_passkey_challenge"), {"password": PASSWORD}).json()
    given = {"nonce": asked["nonce"], "registration": passkey.registration(unb64(asked["challenge"]))}
    answer = post(client, reverse("admin:governance_passkey_register"), given).json()
    assert (answer["credential"], answer["key"]) == (passkey.credential, passkey.key)
    assert "icon-no" in client.get(reverse("admin:governance_passkey_changelist")).content.decode()
    officer = Officer(user, consortium.at["zurich"], passkey)
    consortium.roster("zurich", [(officer, "irb-chair")])
    assert "icon-yes" in client.get(reverse("admin:governance_passkey_changelist")).content.decode()
    assert consortium.sign(officer, consortium.submitted()).outcome == "approved"


def test_whoever_finds_a_browser_signed_in_registers_no_passkey_of_theirs(consortium: Consortium) -> None:
    client = browser(with_password(consortium.member("zurich", "irb-chair")))
    for given, reason in (({}, "field-missing"), ({"password": "a guess"}, "password-wrong")):
        answer = post(client, reverse("admin:governance_passkey_challenge"), given).json()
        assert (answer["reason"], "challenge" in answer) == (reason, False)


@pytest.mark.parametrize("wrong", ["site", "origin", "challenge"])
def test_a_passkey_made_elsewhere_is_refused(consortium: Consortium, wrong: str) -> None:
    user = with_password(consortium.member("zurich", "irb-chair"))
    passkey = SoftwarePasskey.create(
        "example.org" if wrong == "site" else challenges.rp_id(),
        "https://example.org" if wrong == "origin" else challenges.origin(),
    )
    client = browser(user)
    asked = post(client, reverse("admin:governance_passkey_challenge"), {"password": PASSWORD}).json()
    challenge = b"x" * 32 if wrong == "challenge" else unb64(asked["challenge"])
    given = {"nonce": asked["nonce"], "registration": passkey.registration(challenge)}
    assert post(client, reverse("admin:governance_passkey_register"), given).json()["reason"] == "passkey-invalid"
    assert not Passkey.objects.filter(officer__user=user).exists()


def test_nonsense_is_no_registration(consortium: Consortium) -> None:
    user = consortium.member("zurich", "irb-chair")
    client = browser(user)
    for garbage in ({}, {"client_data": "AA", "attestation_object": "AA"}):
        nonce = registration.challenge(by=user).nonce
        answer = post(
            client, reverse("admin:governance_passkey_register"), {"nonce": nonce, "registration": garbage}
        ).json()
        assert answer["reason"] in {"field-missing", "passkey-invalid"}


def test_a_registered_passkey_is_not_taken_over(consortium: Consortium) -> None:
    thief = with_password(consortium.member("zurich", "irb-chair"))
    asked = post(browser(thief), reverse("admin:governance_passkey_challenge"), {"password": PASSWORD}).json()
    stolen = consortium.chairs["zurich"].passkey
    given = {"nonce": asked["nonce"], "registration": stolen.registration(unb64(asked["challenge"]))}
    assert post(browser(thief), reverse("admin:governance_passkey_register"), given).json()["reason"] == "conflict"


# --- people


def test_an_administrator_invites_where_they_administer(consortium: Consortium) -> None:
    client, url = browser(consortium.member("zurich", "institution-admin")), reverse("admin:governance_membership_add")
    form = {"email": "new@example.org", "name": "New", "role": "auditor"}
    elsewhere = submit(client, url, form | {"institution": str(consortium.at["cleveland"].pk)})
    assert "Select a valid choice" in elsewhere.content.decode()
    submit(client, url, form | {"institution": str(consortium.at["zurich"].pk)})
    assert Membership.objects.filter(user__username="new@example.org", institution__slug="zurich").exists()


def test_others_are_not_offered_to_invite(consortium: Consortium) -> None:
    listed = browser(consortium.member("zurich", "auditor")).get(reverse("admin:governance_membership_changelist"))
    assert reverse("admin:governance_membership_add") not in listed.content.decode()


# --- everywhere


@pytest.fixture
def everything(consortium: Consortium) -> Definition:
    """One row at least of everything that the site shows."""
    known = consortium.registered()
    definitions.relay_vote(vote=consortium.vote("zurich", known))
    consents.give(institution=consortium.at["long-beach"], token=consortium.consent())
    consortium.decide(consortium.chairs["zurich"], consortium.submitted(opened="The prediction alone."))
    consortium.relies("zurich", "cleveland")
    return known


GOVERNED = [model for model in site._registry if model._meta.app_label == "governance"]


def test_pages_are_read_only_and_obey_a_strict_content_security_policy(
    consortium: Consortium, everything: Definition, subtests: pytest.Subtests
) -> None:
    for model in GOVERNED:
        with subtests.test(model.__name__):
            check_pages_of(model, consortium)


def check_pages_of(model: Any, consortium: Consortium) -> None:
    name = f"admin:governance_{model._meta.model_name}"
    user = consortium.chairs["zurich"].user
    if model.__name__ == "Consent":
        user = consortium.member("long-beach", "irb-chair")
    client = browser(user)
    urls = [reverse("admin:index"), reverse(f"{name}_changelist")]
    seen = site._registry[model].get_queryset(client.get(urls[0]).wsgi_request)
    assert seen.exists()
    urls.append(reverse(f"{name}_change", args=[seen.first().pk]))
    for url in urls:
        answer = client.get(url, follow=True)  # seats are listed on their board's page
        shown = answer.content.decode()
        assert answer.status_code == 200
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", shown)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", shown)
        assert 'name="_save"' not in shown
        assert "historylink" not in shown
        assert not re.search(r"\d [ap]\.m\.", shown)
        for link in re.findall(r'href="([^"]+)">Its entries in the log', shown):
            assert "C-0" in client.get(unescape(link)).content.decode(), link
    assert client.get(reverse(f"{name}_history", args=[seen.first().pk])).status_code == 404
    assert client.get(reverse(f"{name}_delete", args=[seen.first().pk])).status_code == 403


def test_what_is_another_institution_s_is_not_listed(
    consortium: Consortium, everything: Definition, subtests: pytest.Subtests
) -> None:
    others = {"definition": "notary", "signature": "notary", "consent": "zurich", "roster": "notary"}
    for model, slug in others.items():
        with subtests.test(model):
            shown = browser(consortium.member(slug, "auditor")).get(reverse(f"admin:governance_{model}_changelist"))
            assert "0 " in shown.content.decode().split("paginator")[1]


def test_nobody_sees_django_s_own_tables(consortium: Consortium) -> None:
    shown = browser(consortium.member("zurich", "institution-admin")).get(reverse("admin:index")).content.decode()
    assert "Governance" in shown
    assert reverse("admin:auth_user_changelist") not in shown
