"""Electronic signatures of officers (21 CFR Part 11): a challenge that states what is signed, and the passkey's answer.

The statement is rebuilt when the answer comes. A roster, role, protocol or state that has changed since the officer
read it makes another statement, and the old one can no longer be signed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock, passkeys
from concordat.canonical import Json
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import OfficerProfile, Passkey, Review, Signature, SigningChallenge, Study
from governance.models.signature import new_nonce
from governance.permissions import Verb
from governance.services import challenges

Determination = Review.Determination
DETERMINATIONS = (Determination.APPROVED, Determination.MODIFICATIONS_REQUIRED, Determination.DISAPPROVED)


@transaction.atomic
def challenge(*, by: User, study: Study, determination: str) -> SigningChallenge:
    """The statement that this officer is about to sign on the study's current protocol version.

    Raises:
        Refused: what stands in the way of a determination, as :func:`accept` does; FIELD_INVALID for an unknown one.
    """
    now, nonce = clock.now(), new_nonce()
    study = Study.objects.get(pk=study.pk)
    _, key, statement = _statement(by, study, determination, nonce, now)
    return challenges.give(by=by, study=study, nonce=nonce, statement=statement, credential=key["credential"])


@transaction.atomic
def accept(*, by: User, study: Study, nonce: str, assertion: Mapping[str, Any]) -> Signature:
    """Verify the passkey's answer to a challenge, use the challenge up, and keep the signature.

    Raises:
        Refused: NOT_FOUND for another's challenge, CONFLICT if it was used or the record has changed since, EXPIRED;
            WRONG_INSTITUTION, ROLE_MISSING, SELF_REVIEW, WRONG_STATE; ROSTER_MISSING; PASSKEY_INVALID.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    asked = challenges.take(by=by, study=study, nonce=nonce)
    signed = clock.parse(asked.statement["time"])
    review, key, statement = _statement(by, study, asked.statement["meaning"], nonce, signed)
    if statement != asked.statement:
        raise Refused(Reason.CONFLICT, detail="The record has changed since you read it; read it again and sign anew.")
    passkeys.verify_assertion(
        assertion,
        credential=key["credential"],
        key=key["key"],
        challenge=passkeys.challenge(statement),
        rp_id=challenges.rp_id(),
        origin=challenges.origin(),
    )
    return Signature.objects.create(
        review=review,
        officer=OfficerProfile.objects.get(user=by),
        institution=review.board,
        printed_name=key["name"],
        role=key["role"],
        meaning=asked.statement["meaning"],
        record=review.version.digest,
        signed=signed,
        statement=statement,
        assertion=dict(assertion),
    )


def _statement(
    by: User, study: Study, meaning: str, nonce: str, time: datetime
) -> tuple[Review, Mapping[str, str], dict[str, Json]]:
    """The review, the officer's line in the roster in force, and the statement; or Refused, if anything forbids it."""
    if meaning not in DETERMINATIONS:
        raise Refused(
            Reason.FIELD_INVALID,
            detail=f"A determination is one of: {', '.join(DETERMINATIONS)}.",
            field="determination",
        )
    review = _review(by, study)
    permissions.check_determination(by, review.board, meaning)
    permissions.check_independent(by, study)
    policies.check_state(study, Verb.DETERMINE, clock.now())
    if review.determination != Determination.PENDING:
        raise Refused(Reason.WRONG_STATE, detail=f"{review.board} has decided on this version already.")
    officer = _roster_line(by, review, meaning)
    statement: dict[str, Json] = {
        "record": review.version.digest,
        "record_kind": "protocol",
        "meaning": meaning,
        "signer": officer["officer"],
        "name": officer["name"],
        "role": officer["role"],
        "institution": review.board.slug,
        "study": study.slug,
        "state": study.state,
        "nonce": nonce,
        "time": clock.rfc3339(time),
    }
    return review, officer, statement


def _review(by: User, study: Study) -> Review:
    """The review of the officer's own board; of several boards, one that has not decided."""
    version = study.versions.first()
    reviews = list(version.reviews.select_related("board", "version")) if version else []
    mine = [review for review in reviews if permissions.roles_at(by, review.board)]
    if not mine:
        raise Refused(Reason.WRONG_INSTITUTION, detail="No board of yours reviews this study.")
    allowed = [review for review in mine if permissions.may(by, Verb.DETERMINE, review.board)] or mine
    pending = [review for review in allowed if review.determination == Determination.PENDING]
    return (pending or allowed)[0]


def _roster_line(by: User, review: Review, meaning: str) -> Mapping[str, str]:
    """The officer's line in the roster in force: a passkey of theirs, listed with a role that may sign this."""
    roster = selectors.roster(review.board)
    registered = dict(Passkey.objects.filter(officer__user=by).values_list("credential", "key"))
    roles = permissions.signers(meaning) & permissions.roles_at(by, review.board)
    for line in roster.officers if roster else ():
        if registered.get(line["credential"]) == line["key"] and line["role"] in roles:
            return dict(line)
    raise Refused(Reason.ROSTER_MISSING, detail=f"{review.board}'s signed roster lists no passkey of yours for this.")
