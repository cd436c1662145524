"""A recall says which model, why, how grave and what to do, by its owner's key, in one line."""

from typing import Any

import pytest

from concordat import clock, recall, signatures
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

OWNER, OTHER = SigningKey.generate(), SigningKey.generate()
KEYRING = {"cleveland": signatures.keyring(OWNER.public), "zurich": signatures.keyring(OTHER.public)}
MODEL = digest(b"a model")


def signed(key: SigningKey = OWNER, **changes: Any) -> str:
    statement: dict[str, Any] = {
        "model": MODEL,
        "institution": "cleveland",
        "reason": "bias-found",
        "classification": "II",
        "advice": "Do not use it for people over 75.",
        "time": clock.now(),
    }
    return recall.recall(**statement | changes, key=key)


def refused(call: Any) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason, caught.value.field


def test_it_reads_back_and_is_told_in_a_sentence() -> None:
    said = recall.check_recall(signed(), KEYRING, model=MODEL, owner="cleveland")
    assert said["advice"] == "Do not use it for people over 75."
    assert recall.sentence(said) == (
        "The model was recalled by its owner: it was found to disadvantage a group of people "
        "(class II: use may cause temporary or reversible harm, or serious harm with a remote probability)."
    )


@pytest.mark.parametrize("reason", recall.WHY)
@pytest.mark.parametrize("classification", recall.CLASSES)
def test_every_reason_goes_with_every_class(reason: Any, classification: Any) -> None:
    token = signed(reason=reason, classification=classification)
    assert recall.read_recall(token, KEYRING)["reason"] == reason


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": "bored"}, "reason"),
        ({"classification": "IV"}, "classification"),
        ({"model": "heart"}, "model"),
        ({"advice": ""}, "advice"),
        ({"advice": " padded "}, "advice"),
        ({"advice": "one line\nand another"}, "advice"),
        ({"advice": "turned \u202e round"}, "advice"),
        ({"advice": "x" * (recall.LONGEST_ADVICE + 1)}, "advice"),
    ],
)
def test_what_is_none_is_not_signed(changes: dict[str, Any], field: str) -> None:
    assert refused(lambda: signed(**changes)) == (Reason.FIELD_INVALID, field)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed(OTHER), Reason.KEY_UNKNOWN),
        (signed(OTHER, institution="zurich"), Reason.WRONG_INSTITUTION),
        (signed(model=digest(b"another")), Reason.DIGEST_MISMATCH),
        (signed(institution="basel"), Reason.KEY_UNKNOWN),
        (signatures.sign(signatures.peek(signed())[1], kind="withdrawal", key=OWNER), Reason.SIGNATURE_INVALID),
    ],
)
def test_only_the_owner_recalls_its_model(token: str, reason: Reason) -> None:
    assert refused(lambda: recall.check_recall(token, KEYRING, model=MODEL, owner="cleveland"))[0] is reason
