"""Keys change by documents that the offline key signs; the log says what a signature by which key counts for."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import canonical, clock, signatures
from concordat.enrolment import build_enrolment, public_key_id, verify_enrolment
from concordat.key_change import PROVEN, KeyHistory, build_change, check_issued
from concordat.keystore import KINDS, Keystore
from concordat.reasons import Reason, Refused

START = clock.parse("2026-01-31T12:00:00Z")


def hour(number):
    return START + timedelta(hours=number)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Key sets to draw successors from: making keys is slow."""
    folder = tmp_path_factory.mktemp("pool")
    return [Keystore(folder / str(number)).create() for number in range(5)]


@pytest.fixture(scope="module")
def keys(pool):
    return pool[0]


@pytest.fixture(scope="module")
def begun(keys):
    return KeyHistory(verify_enrolment(enrol(keys)))


def enrol(keys, institution="zurich"):
    return build_enrolment(
        keys, institution=institution, name="Zürich", jurisdiction="CH", roles=["party"], issued=START
    )


def change(history, kind, successors=None, *, offline, ground="rotation", at=1, effective=None):
    key = successors.public()[kind] if successors else None
    proves = getattr(successors, kind) if successors and kind in PROVEN else None
    return build_change(
        history,
        kind=kind,
        key=key,
        ground=ground,
        issued=hour(at),
        effective=hour(effective) if effective is not None else None,
        offline=offline,
        successor=proves,
    )


def resigned(token, signer, /, **changes):
    """The same change with other content, correctly signed: what only a holder of the offline key could make."""
    payload = signatures.peek(token)[1] | changes
    return signatures.sign(payload, kind="key-change", key=signer)


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_can_be_replaced(begun, keys, pool, kind):
    after = begun.after(change(begun, kind, pool[1], offline=keys.offline))
    assert after.need(kind).public == pool[1].public()[kind]
    assert after.need(kind).key_id == public_key_id(kind, pool[1].public()[kind])
    assert {other for other in KINDS if after.live(other) != begun.live(other)} == {kind}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_revoked_without_a_successor_is_missed_by_name_until_one_comes(begun, keys, pool, kind):
    after = begun.after(change(begun, kind, offline=keys.offline, ground="loss"))
    assert after.live(kind) is None
    assert refusal(lambda: after.need(kind)) == (Reason.KEY_REVOKED, "zurich")
    if kind == "offline":  # nobody is left who could sign a change
        assert refusal(lambda: change(after, "client", pool[1], offline=keys.offline))[0] is Reason.KEY_REVOKED
    else:
        again = after.after(change(after, kind, pool[1], offline=keys.offline, at=2))
        assert again.need(kind).public == pool[1].public()[kind]
        assert refusal(lambda: change(after, kind, offline=keys.offline, at=2))[0] is Reason.KEY_REVOKED


def test_only_the_live_offline_key_signs_changes(begun, keys, pool):
    for key in (keys.identity, pool[1].offline):
        token = change(begun, "client", pool[2], offline=keys.offline)
        assert refusal(lambda key=key, token=token: begun.after(resigned(token, key)))[0] is Reason.KEY_UNKNOWN
    moved = begun.after(change(begun, "offline", pool[1], offline=keys.offline))
    assert refusal(lambda: change(moved, "client", pool[2], offline=keys.offline))[0] is Reason.KEY_UNKNOWN
    assert moved.after(change(moved, "client", pool[2], offline=pool[1].offline)).sequence == 2


@pytest.mark.parametrize("kind", sorted(PROVEN))
def test_a_new_identity_or_offline_key_signs_for_itself(begun, keys, pool, kind):
    token = change(begun, kind, pool[1], offline=keys.offline)
    assert refusal(lambda: begun.after(resigned(token, keys.offline, possession=None))) == (
        Reason.FIELD_INVALID,
        "possession",
    )
    proof = signatures.sign({"key_change": canonical.digest(b"another")}, kind="key-possession", key=pool[1].identity)
    proof = (
        proof
        if kind == "identity"
        else signatures.sign({"key_change": canonical.digest(b"another")}, kind="key-possession", key=pool[1].offline)
    )
    assert refusal(lambda: begun.after(resigned(token, keys.offline, possession=proof)))[0] is Reason.DIGEST_MISMATCH
    stranger = signatures.sign({"key_change": canonical.digest(b"x")}, kind="key-possession", key=pool[2].identity)
    assert refusal(lambda: begun.after(resigned(token, keys.offline, possession=stranger)))[0] is Reason.KEY_UNKNOWN


def test_another_institution_s_change_is_refused(begun, keys, pool):
    token = change(begun, "client", pool[1], offline=keys.offline)
    altered = resigned(token, keys.offline, institution="budapest")
    assert refusal(lambda: begun.after(altered)) == (Reason.WRONG_INSTITUTION, "institution")


def test_a_repetition_a_gap_and_a_fork_are_refused(begun, keys, pool):
    first = change(begun, "client", pool[1], offline=keys.offline)
    once = begun.after(first)
    second = change(once, "sealing", pool[1], offline=keys.offline, at=2)
    fork = change(begun, "chain", pool[2], offline=keys.offline)
    other = begun.after(fork)
    assert refusal(lambda: once.after(first)) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "sequence")
    assert refusal(lambda: begun.after(second)) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "sequence")
    assert refusal(lambda: once.after(fork)) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "sequence")
    assert refusal(lambda: other.after(second)) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "previous")


def test_a_change_names_the_key_that_it_ends(begun, keys, pool):
    token = change(begun, "client", pool[1], offline=keys.offline)
    never = resigned(token, keys.offline, replaces={"kind": "client", "key_id": pool[3].client.kid})
    assert refusal(lambda: begun.after(never)) == (Reason.KEY_UNKNOWN, "replaces.key_id")
    once = begun.after(token)
    late = change(once, "client", pool[2], offline=keys.offline, at=2)
    stale = resigned(late, keys.offline, replaces={"kind": "client", "key_id": keys.client.kid})
    assert refusal(lambda: once.after(stale)) == (Reason.KEY_REVOKED, "replaces.key_id")


def test_a_key_does_not_come_back_and_does_not_serve_two_ends(begun, keys, pool):
    once = begun.after(change(begun, "identity", pool[1], offline=keys.offline))
    assert refusal(lambda: change(once, "identity", keys, offline=keys.offline, at=2)) == (Reason.FIELD_INVALID, "key")
    token = change(begun, "identity", pool[1], offline=keys.offline)
    same = resigned(token, keys.offline, key=keys.offline.public.b64)
    assert refusal(lambda: begun.after(same)) == (Reason.FIELD_INVALID, "key")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_has_the_form_of_its_kind(begun, keys, pool, kind):
    token = change(begun, kind, pool[1], offline=keys.offline)
    wrong = pool[1].public()["chain" if kind != "chain" else "identity"]
    assert refusal(lambda: begun.after(resigned(token, keys.offline, key=wrong))) == (Reason.FIELD_INVALID, "key")


def test_times_run_forward_and_only_a_compromise_reaches_back(begun, keys, pool):
    def refused(**times):
        return refusal(lambda: change(begun, "client", pool[1], offline=keys.offline, **times))

    assert refused(at=2, effective=1) == (Reason.FIELD_INVALID, "effective")
    assert refused(at=2, effective=1, ground="loss") == (Reason.FIELD_INVALID, "effective")
    assert refused(at=2, effective=3, ground="compromise") == (Reason.FIELD_INVALID, "effective")
    assert refused(at=-1) == (Reason.FIELD_INVALID, "issued")
    token = change(begun, "client", pool[1], offline=keys.offline, at=2, effective=-5, ground="compromise")
    assert begun.after(token).sequence == 1


def test_a_change_from_the_future_would_lock_out_every_later_one(begun, keys, pool):
    token = change(begun, "client", pool[1], offline=keys.offline, at=1)
    check_issued(token, hour(1))
    assert refusal(lambda: check_issued(token, hour(0))) == (Reason.FIELD_INVALID, "issued")


def test_what_a_rotated_key_signed_before_stays_valid(begun, keys, pool):
    token = change(begun, "identity", pool[1], offline=keys.offline, at=10)
    history = KeyHistory(begun.enrolment, place=5).after(token, place=20)
    old, new = history.keys[0].key_id, pool[1].identity.kid
    assert history.recorded("identity", 19, hour(30)).key_id == old
    assert history.recorded("identity", 21, hour(30)).key_id == new
    assert history.recorded("identity", 5, hour(30)) is None
    assert history.at("identity", hour(9)).key_id == old
    assert history.at("identity", hour(10)).key_id == new
    assert [key.key_id for key in history.believed("identity")] == [old, new]


def test_what_a_compromised_key_signed_counts_only_if_it_was_recorded_before_the_compromise(begun, keys, pool):
    token = change(begun, "identity", pool[1], offline=keys.offline, at=10, effective=7, ground="compromise")
    history = KeyHistory(begun.enrolment, place=5).after(token, place=20)
    assert history.recorded("identity", 10, hour(6)).key_id == keys.identity.kid
    assert history.recorded("identity", 11, hour(7)) is None
    assert history.recorded("identity", 19, hour(9)) is None
    assert history.placed("identity", 19).key_id == keys.identity.kid
    assert history.at("identity", hour(8)) is None
    assert history.at("identity", hour(10)).key_id == pool[1].identity.kid
    assert [key.key_id for key in history.believed("identity")] == [pool[1].identity.kid]


class Walk:
    """A random life of an institution's keys, beside a plain list of what each kind's keys ought to be."""

    def __init__(self, keys):
        self.history = KeyHistory(verify_enrolment(enrol(keys)))
        self.offline = keys.offline
        public = keys.public()
        self.lives = {kind: [[public_key_id(kind, public[kind]), 0, None, None]] for kind in KINDS}

    def step(self, kind, successors, ground, back):
        number = self.history.sequence + 1
        last = self.lives[kind][-1]
        if last[2] is not None:
            ground = "rotation"
        effective = number * 10 - back if ground == "compromise" else None
        token = change(
            self.history, kind, successors, offline=self.offline, ground=ground, at=number * 10, effective=effective
        )
        self.history = self.history.after(token)
        if last[2] is None:
            last[2:] = [number, (ground, effective)]
        if successors:
            self.lives[kind].append([public_key_id(kind, successors.public()[kind]), number, None, None])
        if kind == "offline":
            self.offline = successors.offline


STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.booleans(),
        st.sampled_from(["rotation", "loss", "compromise"]),
        st.integers(min_value=0, max_value=40),
    ),
    max_size=7,
)


@settings(max_examples=60)
@given(steps=STEPS)
def test_any_life_of_keys_answers_as_a_plain_list_would(pool, steps):
    walk = Walk(pool[0])
    used = dict.fromkeys(KINDS, 0)
    for kind, replaced, ground, back in steps:
        live = walk.history.live(kind) is not None
        successor = replaced or not live or kind == "offline"
        if successor and used[kind] + 1 == len(pool):
            continue
        used[kind] += successor
        walk.step(kind, pool[used[kind]] if successor else None, ground, back)
    history = walk.history
    assert KeyHistory.read(history.enrolment, history.tokens).keys == history.keys
    for kind in KINDS:
        lives = walk.lives[kind]
        assert [key.key_id for key in history.keys if key.kind == kind] == [life[0] for life in lives]
        assert (history.live(kind) is None) is (lives[-1][2] is not None)
        for place in range(1, history.sequence + 2):
            for time in range(-40, 10 * history.sequence + 10, 5):
                expected = [
                    key_id
                    for key_id, begun, ended, how in lives
                    if begun < place
                    and (ended is None or place < ended)
                    and not (how is not None and how[0] == "compromise" and time >= how[1])
                ]
                found = history.recorded(kind, place, hour(time))
                assert ([found.key_id] if found else []) == expected


@settings(max_examples=60)
@given(cut=st.integers(0, 3), swap=st.permutations(range(4)))
def test_changes_hold_in_their_own_order_and_in_no_other(pool, cut, swap):
    walk = Walk(pool[0])
    for number, kind in enumerate(("identity", "chain", "client", "sealing"), 1):
        walk.step(kind, pool[1], "rotation", number)
    tokens = walk.history.tokens
    enrolment = walk.history.enrolment
    assert KeyHistory.read(enrolment, tokens[:cut]).sequence == cut
    if list(swap) != sorted(swap):
        with pytest.raises(Refused) as caught:
            KeyHistory.read(enrolment, [tokens[number] for number in swap])
        assert caught.value.reason is Reason.KEY_CHANGE_OUT_OF_ORDER


@settings(max_examples=60)
@given(field=st.sampled_from(["sequence", "previous", "issued", "effective", "ground", "replaces", "key"]))
def test_nothing_in_a_change_can_be_altered_without_the_offline_key(pool, field):
    begun = KeyHistory(verify_enrolment(enrol(pool[0])))
    token = change(begun, "client", pool[1], offline=pool[0].offline)
    header, _, signature = token.split(".")
    payload = signatures.peek(token)[1]
    altered = canonical.b64(canonical.encode(payload | {field: signatures.peek(token)[0]["kid"]}))
    with pytest.raises(Refused) as caught:
        begun.after(f"{header}.{altered}.{signature}")
    assert caught.value.reason is Reason.SIGNATURE_INVALID
