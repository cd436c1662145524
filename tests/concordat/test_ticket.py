from datetime import timedelta

import pytest

from concordat import ticket
from concordat.reasons import Reason, Refused
from tests.support.consortium import new_uuid


def check(study, token, **changes):
    arguments = {"now": study.now, "request": study.request, "definition": study.definition, **changes}
    return ticket.check_ticket(token, study.coordinator, **arguments)


def refusal(study, token, **changes):
    with pytest.raises(Refused) as caught:
        check(study, token, **changes)
    return caught.value.reason, caught.value.field


def test_a_ticket_repeats_what_request_and_definition_say(study):
    checked = check(study, study.ticket_token())
    assert checked["request"] == study.prepared.digest
    assert checked["parties"] == study.definition["parties"]


@pytest.mark.parametrize("minutes", [5, 60])
def test_a_ticket_lives_for_minutes(study, minutes):
    moment = study.now + timedelta(minutes=minutes)
    assert refusal(study, study.ticket_token(), now=moment)[0] is Reason.TICKET_EXPIRED


@pytest.mark.parametrize("ahead", [["one", "one"], ["batch"]])
def test_a_name_stands_for_one_batch(study, ahead):
    names = {"one": new_uuid(), "batch": new_uuid()}
    token = study.ticket_token(batch=names["batch"], ahead=[names[each] for each in ahead])
    assert refusal(study, token) == (Reason.FIELD_INVALID, "ahead")


def test_only_the_coordinator_issues_tickets(study):
    assert refusal(study, study.ticket_token(key=study.keys["zurich"]))[0] is Reason.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("field", "value"), [("dealer", "regulator"), ("parties", ["cleveland", "zurich", "budapest"])]
)
def test_the_coordinator_cannot_choose_other_nodes(study, field, value):
    token = study.ticket_token(definition={**study.definition, field: value})
    assert refusal(study, token) == (Reason.DIGEST_MISMATCH, field)


def test_the_coordinator_cannot_swap_the_design(study):
    token = study.ticket_token(definition={**study.definition, "design": "sha256:" + "0" * 64})
    assert refusal(study, token) == (Reason.DIGEST_MISMATCH, "design")


def test_the_coordinator_cannot_swap_the_request(study):
    token = study.ticket_token(request={**study.request, "purpose": "marketing"})
    assert refusal(study, token) == (Reason.DIGEST_MISMATCH, "request")


@pytest.mark.parametrize("epoch", [-1, True])
def test_an_epoch_is_a_count(study, epoch):
    with pytest.raises(Refused):
        study.ticket_token(epoch=epoch)
