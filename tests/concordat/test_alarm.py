"""The documents that follow on a false canary: who signs them, and whom they open for."""

import pytest

from concordat import alarm, clock
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from tests.support.consortium import new_uuid

TAPE = {"key": "", "drawn": [], "conversations": [], "weights": None}


def refusal(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason, caught.value.field


def found(study, act="wrong message", signer="cleveland"):
    departures = [{"node": "budapest", "act": act, "round": 3}]
    return alarm.find(
        job=new_uuid(),
        owner="cleveland",
        alarm=digest("alarm"),
        departures=departures,
        time=clock.now(),
        key=study.keys[signer],
    )


def test_a_finding_says_who_did_what(study):
    assert alarm.read_finding(found(study), study.keyring)["departures"] == [
        {"node": "budapest", "act": "wrong message", "round": 3}
    ]


def test_a_finding_has_no_words_of_its_own(study):
    """It stands in the log in the clear: a name written into it could not be taken out again."""
    assert refusal(found, study, act="Jane Doe forgot to follow the protocol") == (
        Reason.FIELD_INVALID,
        "departures.0.act",
    )


def test_nobody_finds_in_anothers_name(study):
    assert refusal(alarm.read_finding, found(study, signer="zurich"), study.keyring)[0] is Reason.KEY_UNKNOWN


def test_a_tape_opens_for_the_owner_and_as_that_nodes_tape_only(study):
    owner = SealingKey.generate()
    given = {
        "job": new_uuid(),
        "node": "zurich",
        "alarm": digest("alarm"),
        "commitments": {},
        "tape": TAPE,
        "owner_key": owner.public,
        "time": clock.now(),
        "key": study.keys["zurich"],
    }
    testimony = alarm.read_testimony(alarm.testify(**given), study.keyring)
    assert alarm.open_tape(testimony, owner) == TAPE
    assert refusal(alarm.open_tape, testimony, SealingKey.generate())[0] is Reason.SEAL_BROKEN
    assert refusal(alarm.open_tape, testimony | {"node": "budapest"}, owner)[0] is Reason.SEAL_BROKEN
    assert refusal(alarm.open_tape, testimony | {"job": new_uuid()}, owner)[0] is Reason.SEAL_BROKEN
