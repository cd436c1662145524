"""A study from its submission to its end."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.admin.base import institutions_of
from governance.models import Notification, Review, Signature, Study
from governance.services import studies
from governance.states import StudyState
from ledger.selectors import document, entries
from tests.governance.conftest import Consortium


def test_each_board_that_reviews_for_a_site_gets_one_review(consortium: Consortium) -> None:
    study = consortium.submitted()
    reviews = Review.objects.filter(submission__study=study)
    sites = {each.board.slug: sorted(site.slug for site in each.sites.all()) for each in reviews}
    assert sites == {"budapest": ["budapest"], "cleveland": ["cleveland", "long-beach"], "zurich": ["zurich"]}
    entry = entries(event=Event.STUDY_SUBMITTED, study="chest-pain").get()
    assert entry.public["boards"] == ["budapest", "cleveland", "zurich"]
    assert entry.documents["protocol"] == study.versions.get().digest


def test_the_same_submission_again_is_no_harm(consortium: Consortium) -> None:
    protocol = consortium.protocol()
    submissions = {studies.submit(institution=consortium.at["cleveland"], content=protocol) for _ in range(2)}
    assert len(submissions) == 1


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"sites": ["cleveland", "atlantis", "long-beach"]}, Reason.NOT_FOUND, "sites"),
        ({"sites": ["cleveland", "cleveland", "long-beach"]}, Reason.FIELD_INVALID, "sites"),
        ({"sites": ["budapest", "long-beach"]}, Reason.FIELD_INVALID, "institution"),
        ({"sites": ["cleveland"]}, Reason.FIELD_INVALID, "requesters"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, Reason.EXPIRED, "valid_until"),
        ({"surprise": 1}, Reason.FIELD_UNKNOWN, "surprise"),
        ({"sections": [{"heading": "Risks", "text": "A."}] * 2}, Reason.FIELD_INVALID, "sections"),
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


# --- in force


def test_an_approval_lasts_a_year_of_review_and_no_longer_than_the_protocol(consortium: Consortium) -> None:
    short = consortium.approved(study="short", review_months=3)
    assert short.expires is not None
    assert timedelta(days=88) < short.expires - clock.now() < timedelta(days=93)
    study = consortium.approved()
    assert study.in_force is not None
    assert study.expires == clock.parse(study.in_force.content["valid_until"])


def test_an_approval_lapses_by_the_clock_and_review_can_continue(consortium: Consortium) -> None:
    study = consortium.approved()
    assert study.expires is not None
    assert study.state_at(study.expires - timedelta(seconds=1)) is StudyState.APPROVED
    assert study.state_at(study.expires) is StudyState.EXPIRED
    lapsed(study)
    studies.continue_review(study=study, report="Twelve patients, no incident.")
    for chair in consortium.chairs.values():
        consortium.sign(chair, study, category="8")
    study.refresh_from_db()
    assert study.state_at(clock.now()) is StudyState.APPROVED
    assert [entry.public["epoch"] for entry in entries(event=Event.STUDY_EXPIRED, study="chest-pain")] == [1]


def test_a_continuing_review_needs_a_report_and_an_approved_study(consortium: Consortium) -> None:
    study = consortium.approved()
    assert refusal(lambda: studies.continue_review(study=study, report=" ")).field == "report"
    consortium.stop("suspend", consortium.chairs["zurich"], study)
    again = lambda: studies.continue_review(study=study, report="Nothing happened.")  # noqa: E731
    assert refusal(again).reason is Reason.WRONG_STATE


def test_a_minor_amendment_keeps_the_base_and_takes_the_expedited_path(consortium: Consortium) -> None:
    study = consortium.approved()
    before = study.in_force
    consortium.submitted(summary="In clearer words.")
    assert study.submissions.first().reviews.values_list("path", "category").distinct().get() == (
        "expedited",
        "minor-change",
    )
    assert Study.objects.get().state == StudyState.APPROVED  # the study goes on meanwhile
    for chair in consortium.chairs.values():
        consortium.sign(chair, study)
    study.refresh_from_db()
    assert study.in_force is not None
    assert before is not None
    assert (study.in_force.number, study.in_force.base, study.epoch) == (2, before.base, 0)


def test_a_material_amendment_has_another_base_and_ends_what_rested_on_the_old_one(consortium: Consortium) -> None:
    study = consortium.approved()
    ends = study.expires
    consortium.submitted(opened="The prediction alone.")
    assert set(study.submissions.first().reviews.values_list("path", flat=True)) == {"full-board"}
    consortium.local_context(study)
    for chair in consortium.chairs.values():
        consortium.decide(chair, study)
    study.refresh_from_db()
    assert study.in_force is not None
    assert (study.in_force.base, study.epoch) == (study.in_force.digest, 1)
    assert study.expires == ends  # an amendment prolongs nothing


def test_an_amendment_may_end_the_approval_sooner_and_never_later(consortium: Consortium) -> None:
    approved = consortium.approved()
    assert approved.expires is not None
    sooner, later = (clock.rfc3339(approved.expires + timedelta(days=days)) for days in (-100, 100))
    assert consortium.amended(valid_until=sooner).expires == clock.parse(sooner)
    assert consortium.amended(valid_until=later).expires == clock.parse(sooner)


def test_an_amendment_that_is_not_approved_changes_nothing(consortium: Consortium) -> None:
    study = consortium.approved()
    sites = set(study.sites.all())
    consortium.submitted(sites=["cleveland", "long-beach"], summary="Without two sites.")
    consortium.decide(consortium.chairs["cleveland"], study, "disapproved")
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED
    assert study.in_force == study.versions.last()
    assert set(study.sites.all()) == sites


def test_one_thing_at_a_time_is_before_the_boards(consortium: Consortium) -> None:
    study = consortium.approved()
    consortium.submitted(summary="First.")
    assert refusal(lambda: consortium.submitted(summary="Second.")).reason is Reason.CONFLICT
    consortium.withdrawn(study)
    assert consortium.submitted(summary="Second.").submissions.count() == 3


def test_what_was_taken_back_can_be_submitted_again(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.withdrawn(study)
    study.refresh_from_db()
    assert study.state == StudyState.DRAFT
    assert study.draft.content == consortium.protocol()
    assert studies.submit(institution=consortium.at["cleveland"], content=study.draft.content).version.number == 1


# --- drafts


def test_a_draft_may_be_incomplete_and_nobody_elsewhere_sees_it(consortium: Consortium) -> None:
    author = consortium.member("cleveland", "investigator")
    studies.save_draft(
        institution=consortium.at["cleveland"], content={"study": "later", "title": "An idea"}, by=author
    )
    for slug, sees in (("cleveland", True), ("long-beach", False), ("zurich", False)):
        member = consortium.member(slug, "irb-chair")
        assert selectors.visible_studies(institutions_of(member)).exists() is sees
    assert "later" not in str([entry.leaf for entry in entries(event=Event.STUDY_DRAFTED)])


def test_a_study_that_was_taken_back_is_its_own_institution_s_draft_again(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.withdrawn(study)
    member = consortium.member("zurich", "irb-chair")
    assert not selectors.visible_studies(institutions_of(member)).exists()


def test_another_institution_does_not_draft_under_the_same_name(consortium: Consortium) -> None:
    consortium.submitted()
    author = consortium.member("zurich", "investigator")
    content = {"study": "chest-pain", "title": "Mine"}
    took = lambda: studies.save_draft(institution=consortium.at["zurich"], content=content, by=author)  # noqa: E731
    assert refusal(took).reason is Reason.WRONG_INSTITUTION


# --- stopping


@pytest.mark.parametrize("slug", ["cleveland", "zurich"])
def test_any_site_s_administrator_suspends_alone_and_the_epoch_moves_on(consortium: Consortium, slug: str) -> None:
    study = consortium.approved()
    admin = consortium.officer(slug, "institution-admin")  # the roster does not list this passkey: at night it does
    stopped = consortium.stop("suspend", admin, study)
    assert (stopped.state, stopped.epoch) == (StudyState.SUSPENDED, 1)
    entry = entries(event=Event.STUDY_SUSPENDED, study="chest-pain").get()
    assert (entry.public["epoch"], entry.public["method"]) == (1, "unlisted-passkey")
    assert not Signature.objects.get(record_kind="suspension").verifiable


@pytest.mark.parametrize(("act", "role"), [("terminate", "irb-chair"), ("close", "institution-admin")])
def test_what_cannot_be_undone_is_not_done_with_a_passkey_that_no_roster_lists(
    consortium: Consortium, act: str, role: str
) -> None:
    study, officer = consortium.approved(), consortium.officer("cleveland", role)
    assert refusal(lambda: consortium.stop(act, officer, study)).reason is Reason.ROSTER_MISSING
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


def test_the_ground_of_a_suspension_is_not_public(consortium: Consortium) -> None:
    consortium.stop("suspend", consortium.chairs["zurich"], consortium.approved())
    entry = entries(event=Event.STUDY_SUSPENDED, study="chest-pain").get()
    assert b"An incident" not in bytes(entry.leaf)
    assert b"An incident" not in document(entry.documents["suspension"])


def test_a_bystander_stops_nothing(consortium: Consortium) -> None:
    study, admin = consortium.approved(), consortium.officer("notary", "institution-admin")
    assert refusal(lambda: consortium.stop("suspend", admin, study)).reason is Reason.NOT_FOUND
    zurich = consortium.officer("zurich", "institution-admin")
    assert refusal(lambda: consortium.stop("close", zurich, study)).reason is Reason.WRONG_INSTITUTION


def test_stopping_needs_a_ground(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    fields = {"study": str(study.uuid), "institution": "zurich", "ground": " "}
    assert refusal(lambda: consortium.act(chair, "suspend", **fields)).reason is Reason.FIELD_MISSING


def test_a_reviewing_board_terminates_and_what_was_pending_is_withdrawn(consortium: Consortium) -> None:
    study = consortium.approved()
    consortium.submitted(summary="Too late.")
    assert consortium.stop("terminate", consortium.chairs["budapest"], study).state == StudyState.TERMINATED
    assert study.submissions.first().state == "withdrawn"


def test_everybody_who_answers_for_a_site_is_told_of_a_suspension(consortium: Consortium) -> None:
    study = consortium.approved()
    consortium.stop("suspend", consortium.chairs["zurich"], study)
    told = Notification.objects.filter(notice="study-stopped").values_list("user", flat=True)
    assert {chair.user.pk for chair in consortium.chairs.values()} <= set(told)
    assert consortium.signatory.user.pk in told


def test_lifting_a_suspension_needs_every_board_that_had_reviewed_and_who_suspended(consortium: Consortium) -> None:
    study = consortium.approved()
    consortium.stop("suspend", consortium.chairs["zurich"], study)
    consortium.submitted(sites=["cleveland", "long-beach"])
    assert study.submissions.first().kind == "reinstatement"
    consortium.local_context(study)
    for slug in ("cleveland", "budapest"):
        consortium.decide(consortium.chairs[slug], study)
    study.refresh_from_db()
    assert study.state == StudyState.SUSPENDED
    consortium.decide(consortium.chairs["zurich"], study)
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


def test_a_suspension_is_not_forgotten_by_submitting_twice(consortium: Consortium) -> None:
    study = consortium.approved()
    consortium.stop("suspend", consortium.chairs["zurich"], study)
    consortium.submitted(sites=["cleveland", "long-beach"])
    consortium.decide(consortium.chairs["zurich"], study, "modifications-required")
    again = consortium.submitted(sites=["cleveland", "long-beach"], summary="Once more.")
    assert again.submissions.first().reviews.filter(board__slug="zurich").exists()


def test_a_suspended_study_comes_back_as_it_was_where_its_boards_say_so(consortium: Consortium) -> None:
    study = consortium.approved()
    consortium.stop("suspend", consortium.chairs["zurich"], study)
    assert study.in_force is not None
    studies.submit(
        institution=consortium.at["cleveland"], content=study.in_force.content, report="It was a false alarm."
    )
    for chair in consortium.chairs.values():
        consortium.decide(chair, study)
    study.refresh_from_db()
    assert (study.state, study.in_force.number) == (StudyState.APPROVED, 1)


@pytest.mark.parametrize(("slug", "sees"), [("cleveland", True), ("long-beach", True), ("notary", False)])
def test_a_study_is_seen_where_it_concerns_somebody(consortium: Consortium, slug: str, sees: bool) -> None:
    study, member = consortium.submitted(), consortium.member(slug, "auditor")
    assert list(selectors.visible_studies(institutions_of(member))) == ([study] if sees else [])


def lapsed(study: Study) -> None:
    """Its approval ended a second ago."""
    Study.objects.filter(pk=study.pk).update(expires=clock.now() - timedelta(seconds=1))
    study.refresh_from_db()


def refusal(act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value
