import uuid
from datetime import timedelta

import numpy as np
import pytest

from concordat import canonical, documents, request, signatures
from concordat.asking import prepare_of_many
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused
from concordat.signatures import peek

PARTIES = ["cleveland", "budapest", "zurich"]


def refusal(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason


def check(study, prepared, **changes):
    arguments = {"now": study.now, "definition": study.definition, "bases": study.bases, **changes}
    return request.check_request(prepared.token, study.keyring, **arguments)


def test_a_request_in_order_is_allowed(study):
    assert check(study, study.prepared) == study.request
    assert study.prepared.digest == canonical.digest(study.request)


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


# --- on which ground, how urgently, and who decides


def on(study, ground):
    return [study.bases[0] | {"ground": ground}]


def test_emergent_use_is_allowed_where_the_definition_says_so(study):
    agreed = {**study.definition, "emergent": True}
    prepared = study.prepare(definition=agreed, urgency="emergent")
    assert check(study, prepared, definition=agreed)["urgency"] == "emergent"


class TestOfMany:
    """A request for an audit or a training hands nothing in, and rests on no person's consent."""

    @pytest.fixture(params=["audit", "train"])
    def agreed(self, request, study):
        return {**study.definition, "kind": request.param, "canaries": 0, "what_ifs": 0}

    @pytest.fixture
    def ask(self, study, agreed):
        def asking(**changes):
            fields = {
                "request": str(uuid.uuid4()),
                "requester": study.request["requester"],
                "definition": agreed,
                "purpose": study.request["purpose"],
                "person": str(uuid.uuid4()),
                "ground": Ground.CARE,
                "key": study.keys[study.request["requester"]],
                "now": study.now,
            }
            return prepare_of_many(**fields | changes)

        return asking

    def everybody_on(self, study, ground):
        return [basis | {"institution": each} for basis in on(study, ground) for each in (*PARTIES, "long-beach")]

    def test_it_holds_no_share_and_names_nobody(self, study, agreed, ask):
        bases = self.everybody_on(study, "care")
        found = check(study, ask(), definition=agreed, bases=bases)
        assert (found["commitments"], found["sealing_keys"], found["what_ifs"]) == ([], {}, 0)
        assert found["subject"] != check(study, ask(), definition=agreed, bases=bases)["subject"]

    def test_every_institution_that_brings_rows_needs_a_ground_of_its_own(self, study, agreed, ask):
        assert refusal(check, study, ask(), definition=agreed, bases=on(study, "care")) is Reason.LEGAL_BASIS_MISSING
        bases = self.everybody_on(study, "care")
        bases[1] = bases[1] | {"ground": "consent"}
        assert refusal(check, study, ask(), definition=agreed, bases=bases) is Reason.LEGAL_BASIS_MISSING

    def test_one_person_s_consent_is_no_ground_for_it(self, study, agreed, ask):
        assert refusal(ask, ground=Ground.CONSENT) is Reason.LEGAL_BASIS_MISSING
        prepared = study.prepare(definition=agreed)
        assert refusal(check, study, prepared, definition=agreed) is Reason.WRONG_PARTY

    def test_it_is_asked_for_under_no_definition_to_explain(self, study, ask):
        prepared = ask(definition=study.definition)
        assert refusal(check, study, prepared, bases=on(study, "care")) is Reason.WRONG_PARTY


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
