"""Whom an institution believes: everything pinned holds before it is relied on."""

import stat
from datetime import timedelta

import pytest

from concordat import canonical, clock
from concordat.enrolment import build_enrolment
from concordat.key_change import PROVEN, build_change
from concordat.keystore import Keystore
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

REGISTRY = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keystore(tmp_path_factory.mktemp("zurich") / "keys").create()


@pytest.fixture(scope="module")
def enrolment(keys):
    return build_enrolment(
        keys, institution="zurich", name="Zürich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )


@pytest.fixture
def document(enrolment):
    return {
        "coordinator_key": SigningKey.generate().public.b64,
        "log_origin": "localhost/concordat",
        "enrolments": {"zurich": enrolment},
        "chain_id": 31338,
        "registry": REGISTRY,
    }


def parse(document):
    return Pins.parse(canonical.encode(document))


def refused(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return caught.value.reason, caught.value.field


def test_what_was_pinned_can_be_relied_on(document, keys, enrolment):
    pins = parse(document)
    assert pins.enrolment("zurich").token == enrolment
    assert pins.keyring == {"zurich": {keys.identity.kid: keys.identity.public}}
    assert pins.addresses == {"zurich": keys.chain.address}
    assert pins.coordinator.b64 == document["coordinator_key"]
    assert (pins.domain.chain_id, pins.domain.registry) == (31338, REGISTRY)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("coordinator_key", "AAAA", Reason.FIELD_INVALID),
        ("registry", "", Reason.FIELD_INVALID),
        ("registry", REGISTRY.lower(), Reason.FIELD_INVALID),
        ("chain_id", -1, Reason.FIELD_INVALID),
        ("colour", "blue", Reason.FIELD_UNKNOWN),
    ],
)
def test_a_malformed_pin_is_refused(document, field, value, reason):
    assert refused(parse, document | {field: value}) == (reason, field)


def test_a_pinned_enrolment_must_hold(document, enrolment):
    assert refused(parse, document | {"enrolments": {"zurich": enrolment[:-8] + "AAAAAAAA"}})[0] is (
        Reason.SIGNATURE_INVALID
    )


def test_an_enrolment_pinned_under_anothers_name_is_refused(document, enrolment):
    changed = document | {"enrolments": {"budapest": enrolment}}
    assert refused(parse, changed) == (Reason.WRONG_INSTITUTION, "budapest")


def test_nobody_is_trusted_who_is_not_pinned(document):
    assert refused(parse(document).enrolment, "budapest") == (Reason.KEY_UNKNOWN, "institution")


def test_a_folder_without_pins_says_so(tmp_path):
    assert refused(Pins.load, tmp_path)[0] is Reason.HOME_INCOMPLETE


def test_pins_are_installed_for_the_owner_alone(tmp_path, document, keys):
    Pins.install(tmp_path, canonical.encode(document), institution="zurich", identity=keys.identity.public)
    assert stat.S_IMODE((tmp_path / "pins.json").stat().st_mode) == 0o600
    assert Pins.load(tmp_path).document == document


def test_pins_that_are_not_ours_replace_nothing(tmp_path, document, keys):
    own, stranger = keys.identity.public, SigningKey.generate().public
    content = canonical.encode(document)
    for institution, identity, expected in (
        ("zurich", stranger, Reason.KEY_UNKNOWN),
        ("budapest", own, Reason.FIELD_MISSING),
    ):
        assert refused(Pins.install, tmp_path, content, institution=institution, identity=identity)[0] is expected
    assert not list(tmp_path.iterdir())


# --- key changes


@pytest.fixture(scope="module")
def successors(tmp_path_factory):
    return Keystore(tmp_path_factory.mktemp("successors") / "keys").create()


def rotated(pins, keys, successors, kind, *, ground="rotation", offline=None):
    return build_change(
        pins.history("zurich"),
        kind=kind,
        key=successors.public()[kind],
        ground=ground,
        issued=clock.now(),
        offline=offline or keys.offline,
        successor=getattr(successors, kind) if kind in PROVEN else None,
    )


def test_a_file_from_before_key_changes_still_counts_and_a_strange_field_in_it_does_not(document):
    assert "changes" not in document
    assert parse(document).history("zurich").sequence == 0
    assert refused(parse, document | {"change": {}}) == (Reason.FIELD_UNKNOWN, "change")


def test_a_change_that_the_pinned_offline_key_signed_replaces_the_key(document, keys, successors):
    pins = parse(document)
    changed = pins.apply(rotated(pins, keys, successors, "identity"), now=clock.now())
    assert changed.keyring == {"zurich": {successors.identity.kid: successors.identity.public}}
    assert set(changed.lasting_keyring["zurich"]) == {keys.identity.kid, successors.identity.kid}
    assert parse(dict(changed.document)).keyring == changed.keyring
    assert pins.keyring == {"zurich": {keys.identity.kid: keys.identity.public}}


def test_a_compromised_identity_key_vouches_for_nothing_any_more(document, keys, successors):
    pins = parse(document)
    changed = pins.apply(rotated(pins, keys, successors, "identity", ground="compromise"), now=clock.now())
    assert set(changed.lasting_keyring["zurich"]) == {successors.identity.kid}


@pytest.mark.parametrize("kind", ["sealing", "chain"])
def test_what_is_sealed_and_who_votes_follow_the_change(document, keys, successors, kind):
    pins = parse(document)
    changed = pins.apply(rotated(pins, keys, successors, kind), now=clock.now())
    assert getattr(changed, kind)("zurich") == successors.public()[kind]
    assert changed.addresses == {"zurich": changed.chain("zurich")}


def test_an_institution_without_a_chain_key_has_no_address(document, keys):
    pins = parse(document)
    token = build_change(
        pins.history("zurich"), kind="chain", key=None, ground="loss", issued=clock.now(), offline=keys.offline
    )
    changed = pins.apply(token, now=clock.now())
    assert changed.addresses == {}
    assert refused(changed.chain, "zurich") == (Reason.KEY_REVOKED, "zurich")


def test_nobody_but_the_pinned_offline_key_changes_a_pin(document, keys, successors):
    pins = parse(document)
    stranger = Pins.parse(canonical.encode(document | {"enrolments": {"zurich": enrol_by(successors)}}))
    forged = rotated(stranger, successors, keys, "client", offline=successors.offline)
    assert refused(pins.apply, forged, now=clock.now())[0] is Reason.KEY_UNKNOWN


def enrol_by(keys):
    return build_enrolment(
        keys, institution="zurich", name="Zürich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )


def test_a_change_of_an_institution_that_is_not_pinned_is_not_taken(document, keys, successors):
    pins = parse(document)
    token = rotated(pins, keys, successors, "client")
    without = parse(document | {"enrolments": {}})
    assert refused(without.apply, token, now=clock.now())[0] is Reason.KEY_UNKNOWN
    assert without.update([token], now=clock.now()) == without
    assert refused(parse, document | {"enrolments": {}, "changes": {"zurich": [token]}})[0] is Reason.KEY_UNKNOWN


def test_changes_are_applied_in_their_order_whatever_the_order_of_their_coming(document, keys, successors):
    pins = parse(document)
    first = rotated(pins, keys, successors, "client")
    second = rotated(pins.apply(first, now=clock.now()), keys, successors, "chain")
    changed = pins.update([second, first], now=clock.now())
    assert changed.history("zurich").tokens == (first, second)
    assert changed.update([second, first], now=clock.now()) == changed
    assert refused(pins.update, [second], now=clock.now()) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "sequence")


def test_a_change_from_the_future_is_not_pinned(document, keys, successors):
    pins = parse(document)
    token = rotated(pins, keys, successors, "client")
    assert refused(pins.apply, token, now=clock.now() - timedelta(hours=1)) == (Reason.FIELD_INVALID, "issued")


def test_pins_are_ours_by_the_live_identity_key(tmp_path, document, keys, successors):
    pins = parse(document)
    changed = pins.apply(rotated(pins, keys, successors, "identity"), now=clock.now())
    content = canonical.encode(dict(changed.document))
    own, former = successors.identity.public, keys.identity.public
    assert refused(Pins.install, tmp_path, content, institution="zurich", identity=former)[0] is Reason.KEY_UNKNOWN
    assert Pins.install(tmp_path, content, institution="zurich", identity=own).keyring == changed.keyring
