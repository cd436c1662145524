"""What a node lays open about a canary, to whom, and what it keeps to itself."""

import pytest

from compute.node import testimony
from compute.node.tapes import Tapes
from concordat import alarm, canonical, clock, model, signatures
from concordat.canonical import b64, digest
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from tests.support.consortium import OWNER, PARTIES, REQUESTER, SCHEMA

OWN, CANARY = "budapest", 1


@pytest.fixture
def tape(case):
    _, asked = signatures.peek(case.prepared.token)
    return {
        "model": case.ticket["model"],
        "request": case.prepared.digest,
        "name": asked["request"],
        "requester": REQUESTER,
        "commitments": asked["commitments"],
        "seeds": [{"key": b64(bytes([place]) * 32), "drawn": []} for place in range(2)],
        "conversations": [],
    }


@pytest.fixture
def documents(consortium, case, tape):
    def make(owner=OWNER, place=CANARY, **changes):
        token = alarm.raise_alarm(
            job=case.job,
            request=tape["request"],
            name=tape["name"],
            requester=REQUESTER,
            owner=owner,
            place=place,
            commitments=tape["commitments"][place],
            shares={"sheet": "", "receipts": [], "inputs": {}, "outputs": {}},
            owner_key=consortium.homes[OWN].pins.sealing(owner),
            time=clock.now(),
            key=consortium.identity(REQUESTER),
        )
        manifest, sealed = consortium.published
        return {"job": case.job, "alarm": token, "manifest": manifest, "model_share": sealed[OWN]} | changes

    return make


def said(consortium, documents, tape):
    return testimony.testify(documents, tape, home=consortium.homes[OWN], now=clock.now())


def refusal(consortium, documents, tape):
    with pytest.raises(Refused) as caught:
        said(consortium, documents, tape)
    return caught.value.reason


def test_the_owner_gets_the_seeds_of_the_canary_and_of_nothing_else(consortium, documents, tape):
    token = said(consortium, documents(), tape)
    signed = alarm.read_testimony(token, consortium.homes[OWNER].pins.keyring)
    opened = alarm.open_tape(signed, consortium.homes[OWNER].keys.sealing)
    assert opened["key"] == tape["seeds"][CANARY]["key"]
    assert tape["seeds"][0]["key"] not in canonical.encode(plain(opened)).decode()
    assert model.read_share(
        model.check_manifest(consortium.published[0], consortium.homes[OWN].pins.keyring), OWN, opened["weights"]
    )


def test_whoever_signs_another_manifest_is_not_the_owner(consortium, documents, tape):
    """A party, with the requester's and the coordinator's help, would get everybody's seeds, and with its own the
    model."""
    manifest, sealed = model.publish(
        model="heart",
        version="another",
        owner="zurich",
        kind="mlp",
        schema=digest(SCHEMA),
        columns=len(consortium.schema.columns),
        tensors=consortium.tensors,
        party_keys={party: consortium.homes[OWN].pins.sealing(party) for party in PARTIES},
        key=consortium.identity("zurich"),
    )
    forged = documents(owner="zurich", manifest=manifest, model_share=sealed[OWN])
    assert refusal(consortium, forged, tape) is Reason.DIGEST_MISMATCH
    assert refusal(consortium, documents(owner="zurich"), tape) is Reason.WRONG_INSTITUTION


def test_a_party_does_not_testify_without_its_own_share(consortium, documents, tape):
    """A coordinator that hands out none, or another's, could have it named for that."""
    assert refusal(consortium, documents(model_share=None), tape) is Reason.WRONG_PARTY
    assert refusal(consortium, documents(model_share=consortium.published[1]["zurich"]), tape) is Reason.SEAL_BROKEN


def test_an_alarm_about_another_input_or_request_is_refused(consortium, documents, tape):
    assert refusal(consortium, documents(), tape | {"request": digest("another")}) is Reason.CONFLICT
    swapped = tape | {"commitments": tape["commitments"][::-1]}
    assert refusal(consortium, documents(), swapped) is Reason.COMMITMENT_MISMATCH
    assert refusal(consortium, documents(), tape | {"requester": "zurich"}) is Reason.WRONG_INSTITUTION


def test_the_testimony_takes_the_tapes_place_and_is_given_again_as_it_is(tmp_path, tape):
    tapes, now = Tapes(tmp_path / "state.sqlite3"), clock.now()
    tapes.keep("job", tape, now=now)
    assert tapes.testified("job", "alarm") is None
    tapes.testify("job", "alarm", "token")
    assert tapes.testified("job", "alarm") == "token"
    with pytest.raises(Refused) as caught:
        tapes.of("job", now=now)
    assert caught.value.reason is Reason.TAPE_MISSING
    for again in (lambda: tapes.testified("job", "another"), lambda: tapes.testify("job", "another", "other")):
        with pytest.raises(Refused) as caught:
            again()
        assert caught.value.reason is Reason.CONFLICT
