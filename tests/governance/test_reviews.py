"""Boards decide by officers' signatures on the digest of what they decided."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from concordat import clock, determination, officers, passkeys
from concordat.canonical import decode, digest
from concordat.events import Event
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused
from governance import acts, selectors
from governance.models import Determination, Review, Signature, SigningChallenge, Study
from governance.services import boards, challenges, reviews
from governance.services.second_factors import Kind
from governance.services.sign_in import SecondFactor
from governance.states import StudyState
from ledger.selectors import document, entries
from tests.governance.conftest import FINDINGS, Consortium, Officer


def refusal(act: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(Refused) as caught:
        act(*args, **kwargs)
    return caught.value.reason


def test_a_study_is_approved_when_every_reviewing_board_has_approved(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    states = []
    for chair in consortium.chairs.values():
        consortium.sign(chair, study)
        study.refresh_from_db()
        states.append(study.state)
    assert states == [StudyState.UNDER_REVIEW, StudyState.UNDER_REVIEW, StudyState.APPROVED]
    assert study.in_force == study.versions.get()
    assert entries(event=Event.STUDY_APPROVED, study="chest-pain").count() == 1


@pytest.mark.parametrize("outcome", ["modifications-required", "deferred", "disapproved"])
def test_one_board_that_does_not_approve_is_enough(consortium: Consortium, outcome: str) -> None:
    study = consortium.submitted()
    consortium.sign(consortium.chairs["zurich"], study)
    consortium.decide(consortium.chairs["budapest"], study, outcome)
    study.refresh_from_db()
    assert study.state == outcome
    assert study.in_force is None


def test_a_new_version_is_reviewed_anew_by_all(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.sign(consortium.chairs["zurich"], study)
    consortium.sign(consortium.chairs["budapest"], study, "modifications-required")
    study = consortium.submitted(summary="As the board asked.")
    assert list(study.submissions.first().reviews.values_list("outcome", flat=True)) == [""] * 3


def test_a_deferred_review_is_decided_again(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    consortium.decide(chair, study, "deferred")
    assert refusal(consortium.act, chair, "determine", review=str(consortium.review(study, "zurich").uuid)) is (
        Reason.MEETING_NEEDED
    )
    consortium.decide(chair, study)
    assert [each.outcome for each in Determination.objects.all()] == ["approved", "deferred"]


# --- the signature


def test_anybody_can_verify_the_signature_from_the_log_and_the_roster_alone(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    consortium.sign(chair, study)
    entry = entries(event=Event.REVIEW_SIGNED).get()
    decided = decode(document(entry.documents["determination"]))
    signed = decode(document(entry.documents["signature"]))
    roster = selectors.roster(consortium.at["zurich"])
    assert roster is not None
    statement = officers.verify(
        signed,
        record=digest(decided),
        record_kind="determination",
        institution="zurich",
        rosters=[consortium.verified(roster)],
        origin=challenges.origin(),
    )
    assert (statement["name"], statement["meaning"], statement["state"]) == (
        chair.user.officer.name,
        "approved",
        "submitted",
    )
    assert determination.check(decided)["protocol"] == study.versions.get().digest


def test_relying_institutions_are_named_in_what_is_signed(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    consortium.sign(consortium.chairs["cleveland"], study)
    signed = Determination.objects.get().document
    assert signed["sites"] == ["cleveland", "long-beach"]
    agreement = consortium.at["long-beach"].reliances.get()
    assert signed["reliance"] == {"long-beach": agreement.digest}


def test_a_board_approves_for_a_relying_site_only_with_its_local_context(consortium: Consortium) -> None:
    study = consortium.submitted()
    assert refusal(consortium.sign, consortium.chairs["cleveland"], study) is Reason.LOCAL_CONTEXT_MISSING
    consortium.sign(consortium.chairs["cleveland"], study, "modifications-required")  # which needs none


def test_a_relying_institution_s_own_chair_does_not_decide(consortium: Consortium) -> None:
    chair = consortium.officer("long-beach", "irb-chair")
    study = consortium.submitted()
    review = str(consortium.review(study, "cleveland").uuid)
    assert refusal(consortium.act, chair, "determine", review=review) is Reason.WRONG_INSTITUTION


def test_nobody_reviews_their_own_study(consortium: Consortium) -> None:
    chair = consortium.chairs["cleveland"]
    consortium.at["cleveland"].memberships.create(user=chair.user, role="investigator", since=clock.now())
    for study in (consortium.submitted(by=chair.user), consortium.submitted(study="machine-submitted")):
        assert refusal(consortium.sign, chair, study) is Reason.SELF_REVIEW


def test_who_has_declared_a_conflict_decides_nothing(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    boards.declare_conflict(
        by=chair.user, board=chair.institution, study=str(study.uuid), ground="Shares in the owner."
    )
    assert refusal(consortium.sign, chair, study) is Reason.CONFLICT_OF_INTEREST


# --- paths


def test_an_expedited_reviewer_refers_but_does_not_disapprove(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    assert refusal(consortium.sign, chair, study, "disapproved") is Reason.OUTCOME_NOT_ALLOWED
    review = consortium.sign(chair, study, "referred")
    assert (review.path, review.open) == ("full-board", True)
    assert refusal(consortium.act, chair, "determine", review=str(review.uuid)) is Reason.MEETING_NEEDED


def test_the_full_board_decides_in_a_meeting_and_its_chair_signs_what_was_voted(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    item = consortium.convene(chair, study, "disapproved")
    review = str(consortium.review(study, "zurich").uuid)
    consortium.act(chair, "determine", review=review, outcome="approved", findings=FINDINGS)
    signed = Determination.objects.get()
    assert (signed.outcome, signed.document["minutes"]) == ("disapproved", item.minutes_digest)


@pytest.mark.parametrize(
    ("path", "category", "field"),
    [
        ("paper", "", "path"),
        ("expedited", "", "category"),
        ("expedited", "8", "category"),
        ("exempt", "5x", "category"),
    ],
)
def test_a_path_that_is_not_open_is_refused(consortium: Consortium, path: str, category: str, field: str) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    review = str(consortium.review(study, "zurich").uuid)
    with pytest.raises(Refused) as caught:
        reviews.route(by=chair.user, review=review, path=path, category=category, ground="Minimal risk.")
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)


def test_a_material_amendment_is_for_the_full_board(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    consortium.submitted(opened="More than before.")
    review = str(consortium.review(study, "zurich").uuid)
    given = {"by": chair.user, "review": review, "path": "expedited", "category": "minor-change", "ground": "Small."}
    assert refusal(reviews.route, **given) is Reason.FIELD_INVALID


@pytest.mark.parametrize("missing", ["risks-reasonable", "minimal-risk"])
def test_an_approval_needs_each_finding(consortium: Consortium, missing: str) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    findings = {name: made for name, made in FINDINGS.items() if name != missing}
    with pytest.raises(Refused) as caught:
        consortium.sign(chair, study, findings=findings)
    assert (caught.value.reason, caught.value.field) == (Reason.FINDING_MISSING, f"findings.{missing}")


def test_a_member_reviews_alone_only_what_the_chair_has_delegated(consortium: Consortium) -> None:
    member, chair = consortium.officer("zurich", "irb-member"), consortium.chairs["zurich"]
    consortium.roster("zurich", [(chair, "irb-chair"), (member, "irb-member")])
    study = consortium.submitted()
    reviews.route(
        by=chair.user,
        review=str(consortium.review(study, "zurich").uuid),
        path="expedited",
        category="5",
        ground="Yes.",
    )
    assert refusal(consortium.act, member, "determine", review=str(consortium.review(study, "zurich").uuid)) is (
        Reason.ROLE_MISSING
    )
    delegation = consortium.delegate(chair, member)
    consortium.sign(member, study)
    signed = Determination.objects.get()
    assert (signed.document["delegation"], signed.signature.role) == (delegation.digest, "irb-member")


def test_a_delegation_that_has_ended_lends_nothing(consortium: Consortium) -> None:
    member, chair = consortium.officer("zurich", "irb-member"), consortium.chairs["zurich"]
    consortium.roster("zurich", [(chair, "irb-chair"), (member, "irb-member")])
    study, delegation = consortium.submitted(), consortium.delegate(chair, member)
    review = consortium.review(study, "zurich")
    reviews.route(by=chair.user, review=str(review.uuid), path="expedited", category="5", ground="Yes.")
    boards.end_delegation(by=chair.user, delegation=str(delegation.uuid))
    assert refusal(consortium.act, member, "determine", review=str(review.uuid)) is Reason.ROLE_MISSING


# --- conditions


def test_nothing_runs_until_the_conditions_were_verified(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    for slug, chair in consortium.chairs.items():
        conditional = slug == "zurich"
        conditions = ["Translate the consent form."] if conditional else []
        outcome = "approved-with-conditions" if conditional else "approved"
        consortium.sign(chair, study, outcome, conditions=conditions)
    study.refresh_from_db()
    assert (study.state, study.in_force) == (StudyState.APPROVED_WITH_CONDITIONS, None)
    review = str(consortium.review(study, "zurich").uuid)
    outsider = consortium.chairs["budapest"]
    verify = {"review": review, "note": "The form is here."}
    assert refusal(consortium.act, outsider, "verify-conditions", **verify) is Reason.WRONG_INSTITUTION
    consortium.act(consortium.chairs["zurich"], "verify-conditions", **verify)
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED
    entry = entries(event=Event.CONDITIONS_VERIFIED).get()
    met = decode(document(entry.documents["conditions"]))
    assert met["determination"] == Determination.objects.get(outcome="approved-with-conditions").digest
    assert met["conditions"] == ["Translate the consent form."]


def test_a_board_decides_once_on_a_submission(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.sign(consortium.chairs["zurich"], study)
    assert refusal(consortium.sign, consortium.chairs["zurich"], study) is Reason.WRONG_STATE


# --- challenges


def asked(officer: Officer, study: Study, outcome: str = "modifications-required", **how: Any) -> SigningChallenge:
    review = Review.objects.get(submission__study=study, board=officer.institution)
    if review.path != "expedited":
        reviews.route(by=officer.user, review=str(review.uuid), path="expedited", category="5", ground="Yes.")
    fields = {"review": str(review.uuid), "outcome": outcome, "reasons": "Please change it."}
    return acts.ask(by=officer.user, act="determine", fields=fields, **how)


def answer(officer: Officer, challenge: SigningChallenge) -> dict[str, str]:
    return dict(officer.passkey.assertion(passkeys.challenge(challenge.statement)))


def test_a_passkey_that_no_roster_lists_counts_for_nothing(consortium: Consortium) -> None:
    study = consortium.submitted()
    assert refusal(asked, consortium.officer("zurich", "irb-chair"), study) is Reason.ROSTER_MISSING


def test_a_roster_that_changes_meanwhile_voids_the_challenge(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    consortium.roster("zurich", [])
    given = {"by": chair.user, "nonce": challenge.nonce, "assertion": answer(chair, challenge)}
    assert refusal(acts.sign, **given) is Reason.ROSTER_MISSING


def test_a_state_that_changes_meanwhile_voids_the_challenge(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    consortium.sign(consortium.chairs["budapest"], study)
    given = {"by": chair.user, "nonce": challenge.nonce, "assertion": answer(chair, challenge)}
    assert refusal(acts.sign, **given) is Reason.CONFLICT


def test_the_answer_to_another_statement_is_refused(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    refers, modifies = asked(chair, study, "referred"), asked(chair, study)
    given = {"by": chair.user, "nonce": modifies.nonce, "assertion": answer(chair, refers)}
    assert refusal(acts.sign, **given) is Reason.PASSKEY_INVALID


def test_another_passkey_s_answer_is_refused(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    stranger = SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
    stranger.credential = chair.passkey.credential
    assertion = stranger.assertion(passkeys.challenge(challenge.statement))
    assert refusal(acts.sign, by=chair.user, nonce=challenge.nonce, assertion=assertion) is Reason.PASSKEY_INVALID
    assert not Determination.objects.exists()


def test_a_challenge_serves_one_officer_once_and_not_for_long(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    used, old = asked(chair, study), asked(chair, study)
    given = {"by": chair.user, "nonce": used.nonce, "assertion": answer(chair, used)}
    other = given | {"by": consortium.chairs["budapest"].user}
    assert refusal(acts.sign, **other) is Reason.NOT_FOUND
    acts.sign(**given)
    assert refusal(acts.sign, **given) is Reason.CONFLICT
    SigningChallenge.objects.filter(pk=old.pk).update(expires=clock.now() - timedelta(seconds=1))
    late = given | {"nonce": old.nonce, "assertion": answer(chair, old)}
    assert refusal(acts.sign, **late) is Reason.EXPIRED


def test_password_and_code_make_a_signature_that_is_attested_only(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study, method="totp")
    before = SecondFactor(Kind.TOTP, clock.now() - timedelta(minutes=1))
    for confirmed in (None, before):
        with pytest.raises(Refused) as caught:
            acts.sign(by=chair.user, nonce=challenge.nonce, confirmed=confirmed)
        assert caught.value.reason is Reason.SECOND_FACTOR_MISSING
    acts.sign(by=chair.user, nonce=challenge.nonce, confirmed=SecondFactor(Kind.TOTP, clock.now()))
    signature = Determination.objects.get().signature
    assert (signature.method, signature.assertion, signature.verifiable) == ("totp", {}, False)
    roster = selectors.roster(consortium.at["zurich"])
    assert roster is not None
    signed = {"statement": signature.statement, "assertion": answer(chair, challenge)}
    given = {"record": signature.record, "record_kind": "determination", "institution": "zurich"}
    read = {"rosters": [consortium.verified(roster)], "origin": challenges.origin()}
    assert refusal(officers.verify, signed, **given, **read) is Reason.ATTESTED_ONLY


def test_a_passkey_is_not_replaced_by_a_code_that_nobody_was_asked_for(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    challenge = asked(chair, study)
    confirmed = SecondFactor(Kind.TOTP, clock.now())
    assert refusal(acts.sign, by=chair.user, nonce=challenge.nonce, confirmed=confirmed) is Reason.FIELD_MISSING


@pytest.mark.parametrize("table", [Signature, Determination])
def test_what_was_signed_is_never_changed_or_removed(consortium: Consortium, table: Any) -> None:
    consortium.sign(consortium.chairs["zurich"], consortium.submitted())
    with pytest.raises(DatabaseError, match="append-only"):
        table.objects.update(document={})


def test_a_protocol_version_is_never_changed(consortium: Consortium) -> None:
    study = consortium.submitted()
    with pytest.raises(DatabaseError, match="append-only"):
        study.versions.update(number=7)
