"""Whom an institution believes: everything pinned holds before it is relied on."""

import stat

import pytest

from concordat import canonical, clock
from concordat.enrolment import build_enrolment
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
    assert refused(parse(document).enrolment, "budapest") == (Reason.KEY_UNKNOWN, "budapest")


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
