from datetime import timedelta

import numpy as np
import pytest

from concordat import canonical, documents, request, ring, sealing, signatures
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from concordat.signatures import peek

PARTIES = ["cleveland", "budapest", "zurich"]


def open_input(study, party, sealed=None, **changes):
    arguments = {
        "party": party,
        "parties": PARTIES,
        "columns": len(study.vector),
        "key": study.sealing.get(party),
    }
    return request.open_input(sealed or study.prepared.sealed[party], study.request, **{**arguments, **changes})


def refusal(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason


def check(study, prepared, **changes):
    arguments = {"now": study.now, "definition": study.definition, "bases": study.bases, **changes}
    return request.check_request(prepared.token, study.keyring, **arguments)


def test_the_shares_of_all_parties_are_the_record(study):
    by_record = zip(*(open_input(study, party) for party in PARTIES), strict=True)
    for shares, record in zip(by_record, study.records, strict=True):
        assert np.abs(ring.decode(ring.combine(shares)) - record).max() <= 2.0**-17


def test_two_parties_learn_nothing(study):
    together = ring.combine([open_input(study, party)[0] for party in PARTIES[1:]])
    assert np.abs(ring.decode(together)).min() > 1e3


def test_a_request_in_order_is_allowed(study):
    assert check(study, study.prepared) == study.request
    assert study.prepared.digest == canonical.digest(study.request)


def test_the_answer_can_be_opened_by_the_requester_alone(study):
    sealed = sealing.seal(study.request["output_key"], b"answer", context={})
    assert sealing.open(study.prepared.output_key, sealed, context={}) == b"answer"


def test_requests_never_share_an_output_key(study):
    assert study.prepare().output_key.public != study.prepare().output_key.public


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"requester": "zurich"}, Reason.KEY_UNKNOWN),
        ({"purpose": "marketing"}, Reason.PURPOSE_NOT_ALLOWED),
        ({"urgency": "emergent"}, Reason.EMERGENT_USE_REFUSED),
        ({"subject": "00000000-0000-4000-8000-000000000000"}, Reason.CONSENT_MISSING),
    ],
)
def test_what_the_definition_or_the_consent_does_not_cover_is_refused(study, changes, reason):
    assert refusal(check, study, study.prepare(**changes)) is reason


def test_an_enrolled_institution_that_the_definition_does_not_name_is_refused(study):
    prepared = study.prepare(requester="zurich", key=study.keys["zurich"])
    assert refusal(check, study, prepared) is Reason.REQUESTER_NOT_ALLOWED


@pytest.mark.parametrize(
    ("offset", "reason"),
    [(timedelta(minutes=15), Reason.EXPIRED), (timedelta(minutes=-10), Reason.FIELD_INVALID)],
)
def test_a_request_lives_for_minutes(study, offset, reason):
    assert refusal(check, study, study.prepared, now=study.now + offset) is reason


def test_a_request_under_another_definition_is_refused(study):
    other = {**study.definition, "purposes": ["decision-support", "marketing"]}
    assert refusal(check, study, study.prepared, definition=other) is Reason.DIGEST_MISMATCH


def test_an_expired_definition_covers_nothing(study):
    later = study.now + timedelta(days=400)
    prepared = study.prepare(now=later)
    assert refusal(check, study, prepared, now=later) is Reason.DEFINITION_EXPIRED


def test_a_commitment_is_needed_for_each_party(study):
    (first,) = study.request["commitments"]
    payload = {**study.request, "commitments": [{"zurich": first["zurich"]}]}
    token = documents.sign(payload, request.Request, kind="request", key=study.keys["long-beach"])
    assert (
        refusal(request.check_request, token, study.keyring, study.now, definition=study.definition, bases=study.bases)
        is Reason.WRONG_PARTY
    )


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
    assert len(request.open_input(prepared.sealed["zurich"], asked, **given)) == 2
    sealed = sealing.open(study.sealing["zurich"], prepared.sealed["zurich"], context=context)
    half = len(sealed) // 2
    swapped = sealing.seal(study.party_keys["zurich"], sealed[half:] + sealed[:half], context=context)
    assert refusal(request.open_input, swapped, asked, **given) is Reason.COMMITMENT_MISMATCH


@pytest.mark.parametrize("records", [1, 3])
def test_a_request_has_as_many_canaries_as_the_definition_says(study, records):
    agreed = study.new_definition(canaries=1)
    prepared = study.prepare(definition=agreed, records=[study.vector[None]] * records)
    with pytest.raises(Refused, match="2 records") as caught:
        check(study, prepared, definition=agreed)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "commitments")


def test_a_request_has_no_more_what_ifs_than_the_definition_allows(study):
    prepared = study.prepare(records=[np.stack([study.vector] * 2)])
    with pytest.raises(Refused) as caught:
        check(study, prepared)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "what_ifs")


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


# --- on which ground, how urgently, and who decides


def on(study, ground):
    return [study.bases[0] | {"ground": ground}]


def test_emergent_use_is_allowed_where_the_definition_says_so(study):
    agreed = {**study.definition, "emergent": True}
    prepared = study.prepare(definition=agreed, urgency="emergent")
    assert check(study, prepared, definition=agreed)["urgency"] == "emergent"


@pytest.mark.parametrize("kind", ["train", "audit"])
def test_a_prediction_is_asked_for_under_no_other_kind(study, kind):
    other = {**study.definition, "kind": kind}
    assert refusal(check, study, study.prepare(definition=other), definition=other) is Reason.KIND_NOT_ALLOWED


@pytest.mark.parametrize("ground", ["waiver", "exempt", "care", "public-health-emergency"])
def test_another_ground_carries_no_consent(study, ground):
    prepared = study.prepare(ground=ground, consent="")
    assert check(study, prepared, bases=on(study, ground))["basis"]["consent"] == ""


def test_the_ground_is_the_one_that_the_protocol_states(study):
    for prepared, bases in (
        (study.prepare(ground="care", consent=""), study.bases),
        (study.prepare(), on(study, "waiver")),
        (study.prepare(), []),
        (study.prepare(), [study.bases[0] | {"institution": "zurich"}]),
    ):
        assert refusal(check, study, prepared, bases=bases) is Reason.LEGAL_BASIS_MISSING


@pytest.mark.parametrize(("ground", "consent"), [("consent", ""), ("waiver", "a.signed.consent")])
def test_a_consent_stands_where_it_is_the_ground_and_nowhere_else(study, ground, consent):
    for act in (
        lambda: study.prepare(ground=ground, consent=consent),
        lambda: request.read_request(rewritten(study, basis={"ground": ground, "consent": consent}), study.keyring),
    ):
        with pytest.raises(Refused) as caught:
            act()
        assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "basis.consent")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"person": "Dr Jane Doe"}, "person"),
        ({"urgency": "now"}, "urgency"),
        ({"basis": {"ground": "because", "consent": ""}}, "basis.ground"),
        ({"v": 1}, "v"),
    ],
)
def test_a_wrong_value_is_refused_by_name(study, changes, field):
    with pytest.raises(Refused) as caught:
        request.read_request(rewritten(study, **changes), study.keyring)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)


def test_a_named_human_decides_with_every_result(study):
    payload = {name: value for name, value in study.request.items() if name != "person"}
    with pytest.raises(Refused) as caught:
        documents.sign(payload, request.Request, kind="request", key=study.keys["long-beach"])
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_MISSING, "person")


def test_the_consent_of_a_request_is_named_without_believing_it(study):
    assert request.named_consent(study.request) == peek(study.request["basis"]["consent"])[1]["consent"]
    assert request.named_consent(request.peek_request(study.prepare(ground="care", consent="").token)) == ""


def rewritten(study, **changes):
    """The request with other content, signed by the requester all the same."""
    payload = {**study.request, **changes}
    return signatures.sign(payload, kind="request", key=study.keys["long-beach"])
