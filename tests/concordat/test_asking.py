import numpy as np
import pytest

from concordat import asking, canonical, request, ring, sealing
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey

PARTIES = ["cleveland", "budapest", "zurich"]


def refusal(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason


def open_input(study, party, sealed=None, **changes):
    arguments = {
        "party": party,
        "parties": PARTIES,
        "columns": len(study.vector),
        "key": study.sealing.get(party),
    }
    return asking.open_input(sealed or study.prepared.sealed[party], study.request, **{**arguments, **changes})


def test_the_shares_of_all_parties_are_the_record(study):
    by_record = zip(*(open_input(study, party) for party in PARTIES), strict=True)
    for shares, record in zip(by_record, study.records, strict=True):
        assert np.abs(ring.decode(ring.combine(shares)) - record).max() <= 2.0**-17


def test_two_parties_learn_nothing(study):
    together = ring.combine([open_input(study, party)[0] for party in PARTIES[1:]])
    assert np.abs(ring.decode(together)).min() > 1e3


def test_the_answer_can_be_opened_by_the_requester_alone(study):
    sealed = sealing.seal(study.request["output_key"], b"answer", context={})
    assert sealing.open(study.prepared.output_key, sealed, context={}) == b"answer"


def test_requests_never_share_an_output_key(study):
    assert study.prepare().output_key.public != study.prepare().output_key.public


def test_a_share_opens_for_its_party_and_its_request_only(study):
    assert refusal(open_input, study, "zurich", study.prepared.sealed["budapest"]) is Reason.SEAL_BROKEN
    assert refusal(open_input, study, "zurich", study.prepare().sealed["zurich"]) is Reason.SEAL_BROKEN
    assert refusal(open_input, study, "notary", study.prepared.sealed["zurich"]) is Reason.WRONG_PARTY
    assert refusal(open_input, study, "zurich", key=SealingKey.generate()) is Reason.WRONG_PARTY


def test_a_share_that_was_not_committed_to_is_refused(study):
    context = {"label": "input", "party": "zurich", "request": study.prepared.digest}
    forged = sealing.seal(study.party_keys["zurich"], bytes(32 + 8 * len(study.vector)), context=context)
    assert refusal(open_input, study, "zurich", forged) is Reason.COMMITMENT_MISMATCH


def test_a_record_opens_at_its_own_place_only(study):
    records = [study.vector[None], 2 * study.vector[None]]
    prepared = study.prepare(records=records)
    asked = request.read_request(prepared.token, study.keyring)
    context = {"label": "input", "party": "zurich", "request": prepared.digest}
    given = {"party": "zurich", "parties": PARTIES, "columns": len(study.vector), "key": study.sealing["zurich"]}
    assert len(asking.open_input(prepared.sealed["zurich"], asked, **given)) == 2
    sealed = sealing.open(study.sealing["zurich"], prepared.sealed["zurich"], context=context)
    half = len(sealed) // 2
    swapped = sealing.seal(study.party_keys["zurich"], sealed[half:] + sealed[:half], context=context)
    assert refusal(asking.open_input, swapped, asked, **given) is Reason.COMMITMENT_MISMATCH


def test_a_share_counts_at_its_place_only(study):
    order = ["zurich", "budapest", "cleveland"]
    assert refusal(open_input, study, "zurich", parties=order) is Reason.COMMITMENT_MISMATCH


def test_a_share_of_another_length_is_refused(study):
    assert refusal(open_input, study, "zurich", columns=3) is Reason.MALFORMED


def test_every_party_needs_a_key(study):
    keys = {party: study.party_keys[party] for party in PARTIES[:2]}
    assert refusal(study.prepare, party_keys=keys) is Reason.WRONG_PARTY


def test_the_record_appears_nowhere_in_what_is_sent(study):
    sent = study.prepared.token + str(study.prepared.sealed) + str(study.request)
    assert canonical.b64(ring.to_bytes(ring.encode(study.vector))) not in sent
    assert "output_key=" not in repr(study.prepared)
