"""The calendar: what ends or happens, for one's own institutions, in order."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from concordat import clock
from concordat.canonical import digest
from governance.calendar import upcoming
from governance.models import Attachment, Incident, Meeting, OfficerProfile, RelianceAgreement, Study
from governance.states import MeetingState, StudyState
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in
from tests.support.triggers import without_rules


def dates(user: User, days: int = 400) -> list[str]:
    return [date.what for date in upcoming(user, clock.now(), days)]


def attach(consortium: Consortium, study: Study, slug: str, days: int) -> Attachment:
    return Attachment.objects.create(
        study=study,
        institution=consortium.at[slug],
        kind="staff-training",
        name="certificates.pdf",
        media_type="application/pdf",
        digest=digest(str(days).encode()),
        content=b"%PDF",
        expires=clock.now() + timedelta(days=days),
        added=clock.now(),
    )


def agreements_end(ends: datetime) -> None:
    """They were signed for years; so that one ends soon, its row is changed."""
    with without_rules(RelianceAgreement):
        RelianceAgreement.objects.update(ends=ends)


def everything(consortium: Consortium) -> Study:
    """One date of each kind that needs no definition."""
    study, now = consortium.approved(), clock.now()
    attach(consortium, study, "zurich", 50)
    chair, member = consortium.chairs["zurich"], consortium.officer("zurich", "irb-member")
    consortium.roster("zurich", [(chair, "irb-chair"), (member, "irb-member")])
    fields = {"board": "zurich", "scope": "preside", "delegate": str(member.user.officer.uuid)}
    consortium.act(chair, "delegate", ends=clock.rfc3339(now + timedelta(days=40)), **fields)
    agreements_end(now + timedelta(days=30))
    Meeting.objects.create(board=consortium.at["zurich"], kind="urgent", at=now + timedelta(days=20), place="Room 1")
    Incident.objects.create(
        study=study,
        institution=consortium.at["zurich"],
        kind="breach",
        discovered=now,
        reported=now,
        due=now + timedelta(days=3),
        summary="A laptop was lost.",
        reported_by=OfficerProfile.objects.get(user=chair.user),
    )
    return study


def test_the_dates_of_an_institution_come_in_order(consortium: Consortium) -> None:
    study = everything(consortium)
    zurich = consortium.chairs["zurich"].user
    found = upcoming(zurich, clock.now(), 400)
    assert [date.what.partition(" ")[0] for date in found] == ["Breach", "Urgent", "A", "The", "The"]
    assert [date.what for date in found if date.at == study.expires] == ["The approval ends."]
    assert "staff training of Hospital of zurich" in found[3].what
    assert "laptop" not in str(found)
    assert all(date.path for date in found)


def test_agreements_stand_in_the_calendars_of_both_their_sides_only(consortium: Consortium) -> None:
    agreements_end(clock.now() + timedelta(days=30))
    sentence = "An agreement ends: long-beach relies on cleveland."
    assert dates(consortium.signatory.user) == dates(consortium.chairs["cleveland"].user) == [sentence]
    assert dates(consortium.chairs["zurich"].user) == []


def test_meetings_and_delegations_are_their_board_s_alone_and_a_study_s_dates_its_sites(
    consortium: Consortium,
) -> None:
    everything(consortium)
    found = dates(consortium.chairs["budapest"].user)
    assert len(found) == 2  # the approval, and the attachment without which nothing runs
    assert dates(consortium.member("notary", "auditor")) == []


def test_what_has_ended_or_lies_beyond_is_left_out(consortium: Consortium) -> None:
    study, zurich = everything(consortium), consortium.chairs["zurich"].user
    assert [date.what for date in upcoming(zurich, clock.now(), 10)] == dates(zurich)[:1]
    with without_rules(Incident):
        Incident.objects.update(state="closed")
    Meeting.objects.update(state=MeetingState.CANCELLED)
    attach(consortium, study, "zurich", 500)  # takes the other one's place
    Study.objects.update(state=StudyState.CLOSED)
    assert [sentence.partition(":")[0] for sentence in dates(zurich)] == ["A delegation at Hospital of zurich ends"]


def test_a_draft_of_another_institution_has_no_dates(consortium: Consortium) -> None:
    study = consortium.submitted()
    Study.objects.update(state=StudyState.DRAFT, expires=clock.now() + timedelta(days=5))
    assert dates(consortium.chairs["zurich"].user) == []
    assert study.sites.filter(slug="zurich").exists()


def test_the_page_lists_them_by_month_as_tables_with_captions(
    consortium: Consortium, django_assert_max_num_queries: Any
) -> None:
    study = everything(consortium)
    user = consortium.chairs["zurich"].user
    with django_assert_max_num_queries(7):  # one a kind of date
        assert len(upcoming(user, clock.now(), 400)) == 5
    shown = signed_in(user).get(reverse("admin:calendar")).content.decode()
    assert study.expires is not None
    assert f"<caption>{study.expires:%B %Y}</caption>" in shown
    assert f'id="meeting-{Meeting.objects.get().uuid}"' in shown
    assert f"{reverse('admin:governance_study_change', args=[study.pk])}#attachments" in shown
