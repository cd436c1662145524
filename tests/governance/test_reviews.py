"""Boards decide by officers' passkey signatures on the protocol's digest."""

from datetime import timedelta

import pytest
from django.db import DatabaseError

from concordat import clock, passkeys
from concordat.canonical import decode
from concordat.events import Event
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused
from governance.models import Review, Signature, SigningChallenge, Study
from governance.services import challenges, reviews, signing, studies
from governance.states import StudyState
from ledger.selectors import document, entries
from tests.governance.conftest import Consortium, Officer


def refusal(act: object, *args: object, **kwargs: object) -> Reason:
    with pytest.raises(Refused) as caught:
        act(*args, **kwargs)  # type: ignore[operator]
    return caught.value.reason


def test_a_study_is_approved_when_every_reviewing_board_has_approved(consortium: Consortium) -> None:
    study = consortium.submitted()
    states = []
    for chair in consortium.chairs.values():
        consortium.sign(chair, study)
        study.refresh_from_db()
        states.append(study.state)
    assert states == [StudyState.UNDER_REVIEW, StudyState.UNDER_REVIEW, StudyState.APPROVED]
    assert study.expires == clock.parse(study.versions.get().content["valid_until"])
    assert entries(event=Event.STUDY_APPROVED, study="chest-pain").count() == 1


@pytest.mark.parametrize(
    ("determination", "state"),
    [
        ("modifications-required", StudyState.MODIFICATIONS_REQUIRED),
        ("disapproved", StudyState.DISAPPROVED),
    ],
)
def test_one_board_that_does_not_approve_is_enough(
    consortium: Consortium, determination: str, state: StudyState
) -> None:
    study = consortium.submitted()
    consortium.sign(consortium.chairs["zurich"], study)
    consortium.sign(consortium.chairs["budapest"], study, determination)
    study.refresh_from_db()
    assert study.state == state


def test_a_new_version_is_reviewed_anew_by_all(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.sign(consortium.chairs["zurich"], study)
    consortium.sign(consortium.chairs["budapest"], study, "modifications-required")
    study = consortium.submitted(summary="As the board asked.")
    pending = study.versions.get(number=2).reviews.values_list("determination", flat=True)
    assert list(pending) == ["pending"] * 3


def test_the_signature_states_name_time_meaning_and_record(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    consortium.sign(chair, study)
    kept = Signature.objects.get()
    assert (kept.printed_name, kept.meaning, kept.record) == (
        chair.user.officer.name,
        "approved",
        study.versions.get().digest,
    )
    logged = decode(document(entries(event=Event.REVIEW_SIGNED).get().documents["signature"]))
    assert logged == {"statement": kept.statement, "assertion": kept.assertion}
    passkeys.verify_assertion(  # as a reader does years later, from the log and the roster alone
        logged["assertion"],
        credential=chair.passkey.credential,
        key=chair.passkey.key,
        challenge=passkeys.challenge(logged["statement"]),
        rp_id="localhost",
        origin="http://localhost:8000",
    )


def test_relying_institutions_are_named_in_the_log(consortium: Consortium) -> None:
    consortium.sign(consortium.chairs["cleveland"], consortium.submitted())
    assert entries(event=Event.REVIEW_SIGNED).get().public["relied_on_by"] == ["long-beach"]


def test_a_relying_institution_s_own_chair_does_not_decide(consortium: Consortium) -> None:
    chair = consortium.officer("long-beach", "irb-chair")
    consortium.roster("long-beach", [(chair, "irb-chair")])
    study = consortium.submitted()
    assert refusal(consortium.sign, chair, study) is Reason.WRONG_INSTITUTION


def test_nobody_reviews_their_own_study(consortium: Consortium) -> None:
    chair = consortium.chairs["cleveland"]
    consortium.at["cleveland"].memberships.create(user=chair.user, role="investigator", since=clock.now())
    for study in (consortium.submitted(by=chair.user), consortium.submitted(study="machine-submitted")):
        assert refusal(consortium.sign, chair, study) is Reason.SELF_REVIEW


def test_an_expedited_reviewer_approves_but_does_not_disapprove(consortium: Consortium) -> None:
    member = consortium.officer("zurich", "irb-member")
    consortium.roster("zurich", [(member, "irb-member")])
    study = consortium.submitted()
    assert refusal(consortium.sign, member, study, "disapproved") is Reason.ROLE_MISSING
    assert consortium.sign(member, study).determination == Review.Determination.APPROVED


def test_a_board_decides_once_on_a_version(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.sign(consortium.chairs["zurich"], study)
    assert refusal(consortium.sign, consortium.chairs["zurich"], study, "disapproved") is Reason.WRONG_STATE


def test_pending_is_no_determination(consortium: Consortium) -> None:
    study = consortium.submitted()
    assert refusal(consortium.sign, consortium.chairs["zurich"], study, "pending") is Reason.FIELD_INVALID


def asked(officer: Officer, study: Study, determination: str = "approved") -> SigningChallenge:
    return signing.challenge(by=officer.user, study=study, determination=determination)


def answer(officer: Officer, challenge: SigningChallenge) -> dict[str, str]:
    return dict(officer.passkey.assertion(passkeys.challenge(challenge.statement)))


def test_a_passkey_that_no_roster_lists_counts_for_nothing(consortium: Consortium) -> None:
    study = consortium.submitted()
    unlisted = consortium.officer("zurich", "irb-chair")
    assert refusal(asked, unlisted, study) is Reason.ROSTER_MISSING


def test_a_roster_that_changes_meanwhile_voids_the_challenge(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    consortium.roster("zurich", [])
    given = {"by": chair.user, "study": study, "nonce": challenge.nonce, "assertion": answer(chair, challenge)}
    assert refusal(reviews.determine, **given) is Reason.ROSTER_MISSING


def test_a_state_that_changes_meanwhile_voids_the_challenge(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    consortium.sign(consortium.chairs["budapest"], study)
    given = {"by": chair.user, "study": study, "nonce": challenge.nonce, "assertion": answer(chair, challenge)}
    assert refusal(reviews.determine, **given) is Reason.CONFLICT


def test_the_answer_to_another_determination_is_refused(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    no, yes = asked(chair, study, "disapproved"), asked(chair, study)
    given = {"by": chair.user, "study": study, "nonce": yes.nonce, "assertion": answer(chair, no)}
    assert refusal(reviews.determine, **given) is Reason.PASSKEY_INVALID


def test_another_passkey_s_answer_is_refused(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    stranger = SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    stranger.credential = chair.passkey.credential
    assertion = stranger.assertion(passkeys.challenge(challenge.statement))
    given = {"by": chair.user, "study": study, "nonce": challenge.nonce, "assertion": assertion}
    assert refusal(reviews.determine, **given) is Reason.PASSKEY_INVALID
    assert not Signature.objects.exists()


def test_a_challenge_serves_one_officer_once_and_not_for_long(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    used, old = asked(chair, study), asked(chair, study)
    given = {"by": chair.user, "study": study, "nonce": used.nonce, "assertion": answer(chair, used)}
    other = given | {"by": consortium.chairs["budapest"].user}
    assert refusal(reviews.determine, **other) is Reason.NOT_FOUND
    reviews.determine(**given)
    assert refusal(reviews.determine, **given) is Reason.CONFLICT
    SigningChallenge.objects.filter(pk=old.pk).update(expires=clock.now() - timedelta(seconds=1))
    late = given | {"nonce": old.nonce, "assertion": answer(chair, old)}
    assert refusal(reviews.determine, **late) is Reason.EXPIRED


def test_a_signature_is_never_changed_or_removed(consortium: Consortium) -> None:
    consortium.sign(consortium.chairs["zurich"], consortium.submitted())
    with pytest.raises(DatabaseError, match="append-only"):
        Signature.objects.update(meaning="disapproved")


def test_a_protocol_version_is_never_changed(consortium: Consortium) -> None:
    study = consortium.submitted()
    with pytest.raises(DatabaseError, match="append-only"):
        study.versions.update(number=7)


def test_a_suspended_study_is_reviewed_anew(consortium: Consortium) -> None:
    study = consortium.approved()
    chair = consortium.chairs["zurich"]
    studies.suspend(study=study, institution=chair.institution, by=chair.user, ground="An incident.")
    assert consortium.approved(summary="With a safeguard.").state == StudyState.APPROVED
