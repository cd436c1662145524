"""People get roles at institutions; none of them is a superuser."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from concordat.reasons import Reason, Refused
from governance import permissions
from governance.models import Membership
from governance.services import people
from tests.governance.conftest import Consortium


def test_an_administrator_invites_to_their_own_institution(consortium: Consortium) -> None:
    admin = consortium.member("zurich", "institution-admin")
    zurich = consortium.at["zurich"]
    member = people.invite(by=admin, email="a@example.org", name="A", institution=zurich, role="auditor")
    assert (member.user.is_staff, member.user.is_superuser, member.user.has_usable_password()) == (True, False, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, Reason.CONFLICT),
        ({"role": "irb-chair", "name": "Somebody else"}, Reason.CONFLICT),
        ({"role": "king"}, Reason.FIELD_INVALID),
    ],
)
def test_the_same_role_another_name_and_an_unknown_role_are_refused(
    consortium: Consortium, changes: dict[str, str], reason: Reason
) -> None:
    given = {"email": "a@example.org", "name": "A", "role": "auditor"}
    people.add_member(institution=consortium.at["zurich"], **given)
    with pytest.raises(Refused) as caught:
        people.add_member(institution=consortium.at["zurich"], **given | changes)
    assert caught.value.reason is reason


def test_who_leads_a_study_ties_no_reviewer_s_hands_by_an_invitation(consortium: Consortium) -> None:
    admin, chair = consortium.member("cleveland", "institution-admin"), consortium.chairs["zurich"].user
    given = {"email": chair.username.upper(), "name": chair.officer.name, "institution": consortium.at["cleveland"]}
    with pytest.raises(Refused) as caught:
        people.invite(by=admin, role="investigator", **given)
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, "role")
    study = consortium.submitted()
    assert permissions.independent(chair, study)
    people.invite(by=admin, role="auditor", **given)
    assert permissions.independent(chair, study)


def test_an_address_in_other_letters_is_the_same_person(consortium: Consortium) -> None:
    given = {"name": "A", "institution": consortium.at["zurich"]}
    first = people.add_member(email="a@example.org", role="auditor", **given).user
    assert people.add_member(email="A@example.org", role="irb-chair", **given).user == first


def test_the_command_prints_a_link_with_which_the_person_sets_their_own_password(consortium: Consortium) -> None:
    out = io.StringIO()
    call_command("create_officer", "a@example.org", "A", "zurich", "irb-chair", stdout=out)
    user = User.objects.get(username="a@example.org")
    assert not user.has_usable_password()
    link = out.getvalue().splitlines()[-1]
    assert link.startswith("http://localhost:8000/admin/invitation/")
    assert Client().get(link.removeprefix("http://localhost:8000")).status_code == 200


def test_another_role_for_somebody_with_a_password_prints_no_link(consortium: Consortium) -> None:
    user = people.add_member(email="a@example.org", name="A", institution=consortium.at["zurich"], role="auditor").user
    user.set_password("correct horse battery staple")
    user.save()
    out = io.StringIO()
    call_command("create_officer", "a@example.org", "A", "zurich", "irb-chair", stdout=out)
    assert "http" not in out.getvalue()


def test_the_command_reads_a_password(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery staple\n"))
    out = io.StringIO()
    call_command("create_officer", "a@example.org", "A", "zurich", "irb-chair", "--password-stdin", stdout=out)
    assert User.objects.get(username="a@example.org").check_password("correct horse battery staple")
    assert "correct horse" not in out.getvalue()


def test_the_command_refuses_a_weak_password_and_leaves_nothing(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    with pytest.raises(CommandError):
        call_command("create_officer", "a@example.org", "A", "zurich", "irb-chair", "--password-stdin")
    assert not Membership.objects.filter(user__username="a@example.org").exists()


def test_the_command_says_why_an_unknown_institution_is_refused(consortium: Consortium) -> None:
    with pytest.raises(CommandError, match="atlantis"):
        call_command("create_officer", "a@example.org", "A", "atlantis", "irb-chair")
