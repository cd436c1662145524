"""Any k of n officers make the key, fewer learn nothing of it, and a share that is not the dealt one is named."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import escrow
from concordat.canonical import b64, unb64
from concordat.commitments import ESCROW_SHARE, commit
from concordat.escrow import Escrow, OfficerShare
from concordat.fields import read
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey, sealing_key_id

NAMES = [f"officer-{number}" for number in range(escrow.MOST_OFFICERS)]


def refusal(reason: Reason) -> object:
    return pytest.raises(Refused, match=f"^{reason}:")


@pytest.fixture(scope="module")
def dealt() -> tuple[Escrow, list[OfficerShare]]:
    return escrow.create(NAMES[:4], 3)


@settings(max_examples=15)
@given(st.data())
def test_any_k_shares_make_the_key_in_any_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 6))
    threshold = data.draw(st.integers(2, count))
    terms, shares = escrow.create(NAMES[:count], threshold)
    chosen = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, count))]
    key = escrow.recombine(terms, chosen)
    assert (key.public, key.kid) == (terms["key"], shares[0]["escrow"])


def test_every_pair_of_three_opens_and_none_alone() -> None:
    terms, shares = escrow.create(NAMES[:3], 2)
    for pair in combinations(shares, 2):
        assert escrow.recombine(terms, pair).public == terms["key"]
    for share in shares:
        with refusal(Reason.SHARES_TOO_FEW):
            escrow.recombine(terms, [share])
        with refusal(Reason.SHARES_TOO_FEW):  # the same officer twice is one officer
            escrow.recombine(terms, [share, share])


def test_fewer_shares_fit_every_key_so_that_they_say_nothing(dealt: tuple[Escrow, list[OfficerShare]]) -> None:
    """With k - 1 shares in hand, each guess at the missing one makes another, perfectly good key."""
    terms, shares = dealt
    held = {place: unb64(shares[place]["share"]) for place in range(2)}
    made = {escrow.interpolate(held | {2: bytes([guess]) * 96}).public for guess in range(8)}
    assert len(made) == 8
    assert terms["key"] not in made | {escrow.interpolate(held).public}


def test_a_share_that_was_altered_is_named(dealt: tuple[Escrow, list[OfficerShare]]) -> None:
    terms, shares = dealt
    for flipped in (0, 40, 95):
        raw = bytearray(unb64(shares[1]["share"]))
        raw[flipped] ^= 1
        altered: OfficerShare = {**shares[1], "share": b64(bytes(raw))}
        with refusal(Reason.COMMITMENT_MISMATCH) as caught:
            escrow.recombine(terms, [shares[0], altered, shares[2]])
        assert caught.value.field == shares[1]["officer"]


def test_another_escrows_or_another_officers_share_is_refused(dealt: tuple[Escrow, list[OfficerShare]]) -> None:
    terms, shares = dealt
    _, others = escrow.create(NAMES[:4], 3)
    for stranger in (others[0], {**shares[0], "officer": "stranger"}):
        with refusal(Reason.KEY_UNKNOWN):
            escrow.recombine(terms, [stranger, *shares[1:]])  # type: ignore[list-item]
    with refusal(Reason.COMMITMENT_MISMATCH):
        escrow.recombine(terms, [{**shares[0], "officer": shares[3]["officer"]}, *shares[1:3]])


def test_shares_that_were_dealt_falsely_make_no_key(dealt: tuple[Escrow, list[OfficerShare]]) -> None:
    """Commitments hold whoever deals to the shares, not to sense: that they make the key a drill shows."""
    genuine, shares = dealt
    false = read({**genuine, "key": SealingKey.generate().public}, Escrow)
    dealt_so: list[OfficerShare] = [{**share, "escrow": sealing_key_id(false["key"])} for share in shares]
    for place, share in enumerate(dealt_so):
        about = share["escrow"], share["officer"], place, unb64(share["share"])
        false["officers"][place]["commitment"] = commit(ESCROW_SHARE, unb64(share["salt"]), *about)
    with refusal(Reason.SEAL_BROKEN):
        escrow.recombine(false, dealt_so)


@pytest.mark.parametrize(
    ("officers", "threshold", "field"),
    [
        (NAMES[:1], 1, "officers"),
        ([*NAMES, "one-more"], 2, "officers"),
        (["anna", "anna"], 2, "officers"),
        (NAMES[:3], 1, "threshold"),
        (NAMES[:3], 4, "threshold"),
    ],
)
def test_terms_that_protect_nothing_are_refused(officers: list[str], threshold: int, field: str) -> None:
    with refusal(Reason.FIELD_INVALID) as caught:
        escrow.create(officers, threshold)
    assert caught.value.field == field


def test_a_share_is_locked_by_its_officers_passphrase(dealt: tuple[Escrow, list[OfficerShare]]) -> None:
    share = dealt[1][0]
    content = escrow.lock(share, "correct horse battery")
    file = escrow.read_share(content)
    assert share["share"].encode() not in content
    assert escrow.unlock(file, "correct horse battery") == share
    with refusal(Reason.SEAL_BROKEN) as caught:
        escrow.unlock(file, "correct horse batterx")
    assert caught.value.field == share["officer"]
    with refusal(Reason.FIELD_INVALID):
        escrow.lock(share, "too short")
