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


# --- computed together


def side_by_side(study, count=3, **changes):
    """Tickets of one batch, in the order of their runs."""
    records = len(study.request["commitments"])
    common = {"batch": new_uuid()} | changes
    tokens = [
        study.ticket_token(
            request=study.request | {"request": new_uuid()},
            runs={"first": place * records, "of": count * records},
            **common,
        )
        for place in range(count)
    ]
    return [ticket.read_ticket(token, study.coordinator) for token in tokens], records


def test_tickets_of_one_batch_share_all_runs_among_them(study):
    ticket.check_together(*side_by_side(study))


def test_runs_that_a_request_has_not_are_refused(study):
    records = len(study.request["commitments"])
    token = study.ticket_token(runs={"first": 1, "of": records})
    assert refusal(study, token) == (Reason.FIELD_INVALID, "runs")


@pytest.mark.parametrize("field", ["batch", "ahead", "definition", "model", "design", "dealer"])
def test_what_is_computed_together_has_all_but_the_request_in_common(study, field):
    tickets, records = side_by_side(study)
    tickets[1][field] = [new_uuid()] if field == "ahead" else "another"
    with pytest.raises(Refused) as caught:
        ticket.check_together(tickets, records)
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, field)


@pytest.mark.parametrize("field", ["ticket", "job", "request"])
def test_nothing_is_computed_twice_at_once(study, field):
    tickets, records = side_by_side(study)
    tickets[2][field] = tickets[0][field]
    with pytest.raises(Refused) as caught:
        ticket.check_together(tickets, records)
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, field)


@pytest.mark.parametrize("spoil", ["a gap", "an overlap", "one is missing", "another order"])
def test_every_run_is_one_requests(study, spoil):
    tickets, records = side_by_side(study)
    match spoil:
        case "a gap":
            tickets[2]["runs"]["first"] += 1
        case "an overlap":
            tickets[2]["runs"]["first"] -= 1
        case "one is missing":
            tickets.pop()
        case "another order":
            tickets.reverse()
    with pytest.raises(Refused) as caught:
        ticket.check_together(tickets, records)
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, "runs")
