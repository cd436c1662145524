"""An administrator ends a person's role: sessions, seat and delegations go with it; what was signed stays."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.admin.people import Invitation
from governance.models import Membership
from governance.services import boards, people
from ledger import selectors as ledger
from ledger.models import LogEntry
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in


def membership(of: User, role: str) -> Membership:
    return Membership.objects.get(user=of, role=role)


@pytest.fixture
def admin(consortium: Consortium) -> User:
    return consortium.member("zurich", "institution-admin")


def test_the_role_ends_and_the_record_names_nobody(consortium: Consortium, admin: User) -> None:
    steward = consortium.member("zurich", "data-steward")
    people.remove_member(by=admin, membership=membership(steward, "data-steward"))
    assert not Membership.objects.filter(user=steward).exists()
    entry = ledger.entries(event=Event.MEMBER_REMOVED).get()
    assert dict(entry.public) == {"institution": "zurich", "role": "data-steward"}
    assert ledger.private_fields(entry) == {"officer": str(steward.officer.uuid)}


@pytest.mark.parametrize(
    ("slug", "role", "reason"),
    [("budapest", "institution-admin", Reason.WRONG_INSTITUTION), ("zurich", "irb-chair", Reason.ROLE_MISSING)],
)
def test_who_may_not(consortium: Consortium, slug: str, role: str, reason: Reason) -> None:
    steward, by = consortium.member("zurich", "data-steward"), consortium.member(slug, role)
    before = LogEntry.objects.count()
    with pytest.raises(Refused) as caught:
        people.remove_member(by=by, membership=membership(steward, "data-steward"))
    assert caught.value.reason is reason
    assert Membership.objects.filter(user=steward).exists()
    assert LogEntry.objects.count() == before


def test_the_last_administrator_stays_until_there_is_another(consortium: Consortium, admin: User) -> None:
    own = membership(admin, "institution-admin")
    with pytest.raises(Refused) as caught:
        people.remove_member(by=admin, membership=own)
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, "membership")
    consortium.member("zurich", "institution-admin")
    people.remove_member(by=admin, membership=own)
    with pytest.raises(Refused) as caught:  # and is nobody there any more
        people.remove_member(by=admin, membership=own)
    assert caught.value.reason is Reason.WRONG_INSTITUTION


def test_a_role_that_has_ended_does_not_end_again(consortium: Consortium, admin: User) -> None:
    gone = membership(consortium.member("zurich", "auditor"), "auditor")
    people.remove_member(by=admin, membership=gone)
    with pytest.raises(Refused) as caught:
        people.remove_member(by=admin, membership=Membership(pk=99999, **_fields(gone)))
    assert caught.value.reason is Reason.NOT_FOUND


def _fields(of: Membership) -> dict[str, Any]:
    return {"user": of.user, "institution": of.institution, "role": of.role, "since": of.since}


def test_sessions_of_that_person_end_and_of_nobody_else(consortium: Consortium, admin: User) -> None:
    steward = consortium.member("zurich", "data-steward")
    own, others = signed_in(steward), signed_in(consortium.chairs["zurich"].user)
    people.remove_member(by=admin, membership=membership(steward, "data-steward"))
    assert own.get(reverse("admin:index")).status_code == 302
    assert others.get(reverse("admin:index")).status_code == 200
    assert Session.objects.count() == 1


def test_seat_and_delegations_end_with_the_last_role_on_the_board(consortium: Consortium, admin: User) -> None:
    zurich, chair = consortium.at["zurich"], consortium.chairs["zurich"]
    member = consortium.officer("zurich", "irb-member")
    consortium.roster("zurich", [(chair, "irb-chair"), (member, "irb-member")])
    alternate = consortium.member("zurich", "irb-member")
    people.add_member(email=member.user.username, name=member.user.officer.name, institution=zurich, role="auditor")
    office = consortium.member("zurich", "irb-administrator")
    seat = boards.give_seat(
        by=office, board=zurich, officer=str(member.user.officer.uuid), scientist=True, affiliated=True
    )
    for_them = boards.give_seat(
        by=office,
        board=zurich,
        officer=str(alternate.officer.uuid),
        scientist=True,
        affiliated=True,
        alternate_for=str(seat.uuid),
    )
    delegation = consortium.act(
        chair,
        "delegate",
        board="zurich",
        delegate=str(member.user.officer.uuid),
        scope="expedited-review",
        ends=clock.rfc3339(clock.now() + timedelta(days=30)),
    )
    people.remove_member(by=admin, membership=membership(member.user, "auditor"))
    seat.refresh_from_db()
    assert seat.until is None  # the other role gave no seat
    people.remove_member(by=admin, membership=membership(member.user, "irb-member"))
    for each in (seat, for_them, delegation):
        each.refresh_from_db()
    assert None not in (seat.until, for_them.until, delegation.ended)
    assert ledger.entries(event=Event.SEAT_ENDED).count() == 2
    assert ledger.entries(event=Event.DELEGATION_ENDED).count() == 1


# --- on the officers' site


def test_an_administrator_confirms_what_ends(consortium: Consortium, admin: User) -> None:
    steward = consortium.member("zurich", "data-steward")
    client, listed = signed_in(admin), reverse("admin:governance_membership_changelist")
    address = reverse("admin:governance_membership_remove", args=[membership(steward, "data-steward").pk])
    assert address in client.get(listed).content.decode()
    assert "nodes believe nothing else" in client.get(address).content.decode()
    assert Membership.objects.filter(user=steward).exists()
    answer = client.post(address, {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}, follow=True)
    assert "Removed." in answer.content.decode()
    assert not Membership.objects.filter(user=steward).exists()


def test_others_are_shown_no_way_and_have_none(consortium: Consortium, admin: User) -> None:
    steward = membership(consortium.member("zurich", "data-steward"), "data-steward")
    address = reverse("admin:governance_membership_remove", args=[steward.pk])
    for slug in ("zurich", "budapest"):
        client = signed_in(consortium.member(slug, "auditor"))
        assert address not in client.get(reverse("admin:governance_membership_changelist")).content.decode()
        client.post(address, {"csrfmiddlewaretoken": client.cookies["csrftoken"].value})
    assert Membership.objects.filter(pk=steward.pk).exists()


def test_every_role_can_be_invited_to(admin: User) -> None:
    choices = dict(Invitation(by=admin).fields["role"].choices)
    assert set(choices) == set(Membership.Role.values)
    assert {"data-steward", "clinical-oversight", "regulator", "irb-administrator"} <= set(choices)
