"""How many numbers were opened of a secret model, as a node counts them for itself."""

import pytest

from compute.node.opened import OpenedNumbers
from concordat.reasons import Reason, Refused


def spend(opened, ticket, *, definition="d", model="m", requester="zurich", scalars=13):
    opened.spend(ticket, definition=definition, model=model, requester=requester, scalars=scalars, budget=30)


def test_a_definitions_budget_ends_where_it_says_and_survives_a_restart(tmp_path):
    path = tmp_path / "state.sqlite3"
    spend(OpenedNumbers(path), "t1")
    spend(OpenedNumbers(path), "t2", requester="cleveland")
    with pytest.raises(Refused) as caught:
        spend(OpenedNumbers(path), "t3")
    assert (caught.value.reason, caught.value.field) == (Reason.BUDGET_SPENT, "budgets.scalars")
    spend(OpenedNumbers(path), "t4", scalars=4)


def test_what_was_given_back_can_be_spent_and_nothing_else_comes_back(tmp_path):
    opened = OpenedNumbers(tmp_path / "state.sqlite3")
    spend(opened, "t1")
    spend(opened, "t2")
    opened.give_back("t2")
    opened.give_back("t2")
    spend(opened, "t3")
    with pytest.raises(Refused):
        spend(opened, "t4")


def test_totals_are_by_model_and_requester_over_all_definitions(tmp_path):
    opened = OpenedNumbers(tmp_path / "state.sqlite3")
    spend(opened, "t1", definition="d1")
    spend(opened, "t2", definition="d2")
    spend(opened, "t3", definition="d2", requester="cleveland")
    spend(opened, "t4", definition="d3", model="n", scalars=1)
    assert opened.totals() == [("m", "zurich", 26), ("m", "cleveland", 13), ("n", "zurich", 1)]
