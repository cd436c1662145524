"""A study from its submission to its end."""

from datetime import timedelta

import pytest

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.admin.base import institutions_of
from governance.models import Review, Study
from governance.services import studies
from governance.states import StudyState
from ledger.selectors import entries
from tests.governance.conftest import Consortium


def test_each_board_that_reviews_for_a_site_gets_one_review(consortium: Consortium) -> None:
    study = consortium.submitted()
    boards = Review.objects.filter(version__study=study).values_list("board__slug", flat=True)
    assert sorted(boards) == ["budapest", "cleveland", "zurich"]
    entry = entries(event=Event.STUDY_SUBMITTED, study="chest-pain").get()
    assert entry.public["boards"] == ["budapest", "cleveland", "zurich"]
    assert entry.documents["protocol"] == study.versions.get().digest


def test_the_same_submission_again_is_no_harm(consortium: Consortium) -> None:
    protocol = consortium.protocol()
    versions = {studies.submit(institution=consortium.at["cleveland"], content=protocol) for _ in range(2)}
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"sites": ["cleveland", "atlantis", "long-beach"]}, Reason.NOT_FOUND, "sites"),
        ({"sites": ["cleveland", "cleveland", "long-beach"]}, Reason.FIELD_INVALID, "sites"),
        ({"sites": ["budapest", "long-beach"]}, Reason.FIELD_INVALID, "institution"),
        ({"sites": ["cleveland"]}, Reason.FIELD_INVALID, "requesters"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, Reason.EXPIRED, "valid_until"),
        ({"surprise": 1}, Reason.FIELD_UNKNOWN, "surprise"),
    ],
)
def test_a_protocol_that_does_not_hold_together_is_refused(
    consortium: Consortium, changes: dict[str, object], reason: Reason, field: str
) -> None:
    with pytest.raises(Refused) as caught:
        consortium.submitted(**changes)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_only_the_leading_institution_submits(consortium: Consortium) -> None:
    consortium.submitted()
    for institution, content in (
        ("budapest", consortium.protocol()),
        ("budapest", consortium.protocol(institution="budapest")),
    ):
        with pytest.raises(Refused) as caught:
            studies.submit(institution=consortium.at[institution], content=content)
        assert caught.value.reason is Reason.WRONG_INSTITUTION


def test_an_approval_lapses_by_the_clock_and_review_can_continue(consortium: Consortium) -> None:
    study = consortium.approved()
    assert study.expires is not None
    assert study.state_at(study.expires - timedelta(seconds=1)) is StudyState.APPROVED
    assert study.state_at(study.expires) is StudyState.EXPIRED
    study.expires = clock.now() - timedelta(seconds=1)
    study.save()
    assert consortium.submitted(summary="The second year.").state == StudyState.SUBMITTED


@pytest.mark.parametrize("slug", ["cleveland", "zurich", "long-beach"])
def test_any_site_may_suspend_and_the_epoch_moves_on(consortium: Consortium, slug: str) -> None:
    study = consortium.approved()
    admin = consortium.member(slug, "institution-admin")
    stopped = studies.suspend(study=study, institution=consortium.at[slug], by=admin, ground="An incident.")
    assert (stopped.state, stopped.epoch) == (StudyState.SUSPENDED, 1)
    assert entries(event=Event.STUDY_SUSPENDED, study="chest-pain").get().public["epoch"] == 1


def test_a_bystander_may_not_suspend(consortium: Consortium) -> None:
    study = consortium.approved()
    admin = consortium.member("notary", "institution-admin")
    with pytest.raises(Refused) as caught:
        studies.suspend(study=study, institution=consortium.at["notary"], by=admin, ground="Why not.")
    assert caught.value.reason is Reason.WRONG_INSTITUTION


def test_suspending_needs_a_ground(consortium: Consortium) -> None:
    study, admin = consortium.approved(), consortium.member("zurich", "institution-admin")
    with pytest.raises(Refused) as caught:
        studies.suspend(study=study, institution=consortium.at["zurich"], by=admin, ground=" ")
    assert caught.value.reason is Reason.FIELD_MISSING


def test_another_site_does_not_close_the_study(consortium: Consortium) -> None:
    study, admin = consortium.approved(), consortium.member("zurich", "institution-admin")
    with pytest.raises(Refused) as caught:
        studies.close(study=study, institution=consortium.at["zurich"], by=admin, ground="Enough.")
    assert caught.value.reason is Reason.WRONG_INSTITUTION


@pytest.mark.parametrize(("slug", "sees"), [("cleveland", True), ("long-beach", True), ("notary", False)])
def test_a_study_is_seen_where_it_concerns_somebody(consortium: Consortium, slug: str, sees: bool) -> None:
    study, member = consortium.submitted(), consortium.member(slug, "auditor")
    assert list(selectors.visible_studies(institutions_of(member))) == ([study] if sees else [])


def suspended_by(consortium: Consortium, study: Study, slug: str) -> None:
    chair = consortium.chairs[slug]
    studies.suspend(study=study, institution=chair.institution, by=chair.user, ground="An incident.")


def test_leaving_out_the_site_that_suspended_a_study_does_not_leave_out_its_board(consortium: Consortium) -> None:
    study = consortium.approved()
    suspended_by(consortium, study, "zurich")
    consortium.submitted(sites=["cleveland", "long-beach"])
    for slug in ("cleveland", "budapest"):
        consortium.sign(consortium.chairs[slug], study)
    study.refresh_from_db()
    assert study.state == StudyState.UNDER_REVIEW
    consortium.sign(consortium.chairs["zurich"], study)
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


def test_a_suspension_is_not_forgotten_by_submitting_twice(consortium: Consortium) -> None:
    study = consortium.approved()
    suspended_by(consortium, study, "zurich")
    consortium.submitted(sites=["cleveland", "long-beach"])
    consortium.sign(consortium.chairs["zurich"], study, "modifications-required")
    again = consortium.submitted(sites=["cleveland", "long-beach"], summary="Once more.")
    assert again.versions.first().reviews.filter(board__slug="zurich").exists()


def test_once_they_have_approved_a_later_version_needs_its_own_boards_only(consortium: Consortium) -> None:
    study = consortium.approved()
    suspended_by(consortium, study, "zurich")
    consortium.submitted(sites=["cleveland", "long-beach"])
    for chair in consortium.chairs.values():
        consortium.sign(chair, study)
    Study.objects.update(expires=clock.now())
    later = consortium.submitted(sites=["cleveland", "long-beach"], summary="The second year.")
    assert [review.board.slug for review in later.versions.first().reviews.all()] == ["cleveland"]
