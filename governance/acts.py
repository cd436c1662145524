"""Everything that an officer does by signing: one table, and the two steps that all of it takes."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from concordat.reasons import Reason, Refused
from governance.models import SigningChallenge
from governance.services import boards, challenges, data_use, determinations, reliance, signing, stops
from governance.services.sign_in import SecondFactor
from governance.services.signing import Act

ACTS: Mapping[str, Act] = {
    act.name: act
    for act in (
        determinations.DETERMINE,
        determinations.ATTEST_PAPER,
        determinations.VERIFY_CONDITIONS,
        boards.DELEGATE,
        reliance.PROPOSE_RELIANCE,
        reliance.ACCEPT_RELIANCE,
        reliance.FILE_LOCAL_CONTEXT,
        data_use.DECIDE_DATA_USE,
        stops.SUSPEND,
        stops.TERMINATE,
        stops.CLOSE,
    )
}


def find(name: str) -> Act:
    """Raises Refused(NOT_FOUND)."""
    if name not in ACTS:
        raise Refused(Reason.NOT_FOUND, detail="There is no such act.", field="act")
    return ACTS[name]


@transaction.atomic
def ask(*, by: User, act: str, fields: Mapping[str, Any], method: str = "passkey") -> SigningChallenge:
    """What this officer is about to sign. Raises Refused as the act and :func:`governance.services.signing.challenge`
    do."""
    return signing.challenge(find(act), by=by, fields=fields, method=method)


@transaction.atomic
def sign(
    *, by: User, nonce: str, assertion: Mapping[str, Any] | None = None, confirmed: SecondFactor | None = None
) -> object:
    """Keep the signature and do what it says, both or neither.

    Args:
        assertion: the passkey's answer, or
        confirmed: what `sign_in.confirm` answered, which must not be inside this transaction.

    Raises:
        Refused: NOT_FOUND for another's challenge, CONFLICT if it was used or the record has changed since, EXPIRED;
            PASSKEY_INVALID; and what stands in the way of the act.
    """
    asked = challenges.take(by=by, nonce=nonce)
    act = find(asked.act)
    ask, prepared, signature = signing.accept(act, asked, by=by, assertion=assertion, confirmed=confirmed)
    return act.perform(ask, prepared, signature)
