"""Who witnesses a head, and how many make it impossible that two histories both have enough."""

from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import clock, witnesses
from concordat.enrolment import build_enrolment, verify_enrolment
from concordat.key_change import KeyHistory, build_change
from concordat.keystore import Keystore
from concordat.reasons import Refused
from concordat.signatures import VerifyKey
from concordat.witnesses import Witnesses

START = clock.parse("2026-01-31T12:00:00Z")


@given(st.integers(1, 200))
def test_two_quorums_share_more_than_the_faulty_and_the_honest_reach_one(n):
    k, f = witnesses.needed(n), witnesses.faults(n)
    assert 2 * k > n + f  # k > (n + f) / 2
    assert 2 * (k - 1) <= n + f  # and no greater than that asks for
    assert k <= n - f


@pytest.mark.parametrize(("n", "f", "k"), [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (7, 2, 5), (10, 3, 7)])
def test_how_many_are_needed(n, f, k):
    assert (witnesses.faults(n), witnesses.needed(n)) == (f, k)


@pytest.mark.parametrize("n", range(1, 8))
def test_no_two_histories_get_enough_whichever_witnesses_lie(n):
    """By trying: whoever is honest signs one history, the faulty sign both."""
    everyone, k = set(range(n)), witnesses.needed(n)
    for faulty in combinations(range(n), witnesses.faults(n)):
        honest = sorted(everyone - set(faulty))
        for split in range(2 ** len(honest)):
            first = {each for place, each in enumerate(honest) if split >> place & 1}
            second = set(honest) - first
            assert min(len(first | set(faulty)), len(second | set(faulty))) < k


def test_nobody_is_never_enough():
    assert witnesses.needed(0) == 1
    assert not witnesses.Witnessed((), ()).enough


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    return [Keystore(folder / str(number)).create() for number in range(5)]


def begun(keys, place=0, roles=("party",)):
    token = build_enrolment(
        keys, institution="zurich", name="Zürich", jurisdiction="CH", roles=list(roles), issued=START
    )
    return KeyHistory(verify_enrolment(token), place=place)


def rotated(history, pool, place, ground="rotation"):
    change = build_change(
        history,
        kind="identity",
        key=pool[1].identity.public.b64,
        ground=ground,
        issued=START + timedelta(hours=1),
        offline=pool[0].offline,
        successor=pool[1].identity,
    )
    return history.after(change, place=place)


def revoked(history, pool, place):
    change = build_change(
        history,
        kind="identity",
        key=None,
        ground="loss",
        issued=START + timedelta(hours=1),
        offline=pool[0].offline,
    )
    return history.after(change, place=place)


@pytest.mark.parametrize(
    ("roles", "is_one"), [(["party"], True), (["dealer"], True), (["owner", "party"], True), (["requester"], False)]
)
def test_those_with_a_node_are_witnesses(pool, roles, is_one):
    history = begun(pool[0], roles=roles)
    assert (set(witnesses.at({"zurich": history}, 1).of) == {"zurich"}) is is_one
    assert (set(witnesses.live({"zurich": history}).of) == {"zurich"}) is is_one


def keys_at(history, size):
    return witnesses.at({"zurich": history}, size).keys.get("zurich")


def test_an_institution_witnesses_heads_that_hold_its_enrolment(pool):
    history = begun(pool[0], place=7)
    assert keys_at(history, 7) is None
    assert keys_at(history, 8) == pool[0].identity.public


def test_a_rotated_key_counts_for_the_heads_before_the_change_and_the_new_one_from_it_on(pool):
    history = rotated(begun(pool[0]), pool, place=5)
    assert [keys_at(history, size) for size in (4, 5)] == [pool[0].identity.public] * 2
    assert [keys_at(history, size) for size in (6, 9)] == [pool[1].identity.public] * 2
    assert witnesses.live({"zurich": history}).keys == {"zurich": VerifyKey(pool[1].identity.public.raw)}


def test_a_key_known_to_be_compromised_counts_for_no_head(pool):
    history = rotated(begun(pool[0]), pool, place=5, ground="compromise")
    assert [keys_at(history, size) for size in (3, 5)] == [None, None]
    assert keys_at(history, 6) == pool[1].identity.public


def test_a_compromised_key_does_not_make_fewer_cosignatures_enough(pool):
    """Whoever stole it would otherwise lower k of every old head: its institution stays one of the n."""
    history = rotated(begun(pool[0]), pool, place=5, ground="compromise")
    others = {str(number): begun(keys) for number, keys in enumerate(pool[2:])}
    found = witnesses.at({"zurich": history} | others, 5)
    assert (found.of, set(found.keys)) == (("0", "1", "2", "zurich"), {"0", "1", "2"})
    assert witnesses.needed(len(found.of)) == 3


def test_one_key_is_not_two_witnesses(pool):
    histories = {"zurich": begun(pool[0]), "basel": begun(pool[0])}
    for find in (witnesses.live, lambda each: witnesses.at(each, 1)):
        with pytest.raises(Refused, match="same identity key"):
            find(histories)


def test_a_reader_s_witnesses_are_those_named_with_those_keys_wherever_the_log_places_them(pool):
    history = rotated(begun(pool[0], place=70), pool, place=80)
    histories = {"zurich": history, "geneva": begun(pool[2], place=3), "basel": begun(pool[3], roles=["requester"])}
    for keys in pool[:2]:
        kids = {"zurich": keys.identity.public.kid, "basel": pool[3].identity.public.kid, "log": "x"}
        assert witnesses.trusted(histories, kids) == Witnesses(("zurich",), {"zurich": keys.identity.public})
    assert witnesses.trusted(histories, {"zurich": "another"}) == Witnesses(("zurich",), {})
    stolen = rotated(begun(pool[0]), pool, place=80, ground="compromise")
    kids = {"zurich": pool[0].identity.public.kid}
    assert witnesses.trusted({"zurich": stolen}, kids) == Witnesses(("zurich",), {})


def test_who_has_revoked_its_key_is_no_witness_any_more(pool):
    history = revoked(begun(pool[0]), pool, place=5)
    assert keys_at(history, 5) == pool[0].identity.public
    assert keys_at(history, 6) is None
    assert witnesses.live({"zurich": history}) == Witnesses((), {})
