"""A node's part in a job whose operator is a secret: it opens its share of it, and knows which rows it computes."""

from copy import deepcopy

import pytest

from compute.engine import execution
from concordat import ring
from concordat.canonical import digest, unb64
from concordat.reasons import Reason
from tests.compute.node.test_jobs import accept_all, computed, reason_of
from tests.support.consortium import PARTIES, Case, Consortium
from tests.support.tabular import document


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("tabular"), given_design=document())


def test_the_nodes_engines_get_shares_of_record_and_operator_and_can_compute_with_them(case, consortium, make_node):
    plan, jobs = consortium.plan, []
    for slug in PARTIES:
        _, coordinator, [engine] = computed(case, make_node, slug)
        assert len(coordinator.results) == 1
        jobs += engine.jobs
        assert engine.jobs[0]["what_ifs"] == 0
        assert len(execution.prepare(engine.jobs[0])) == 2  # the record and a canary
    for place, record in enumerate(consortium.records):
        length = len(plan.columns) + plan.secrets
        together = ring.combine([ring.from_bytes(unb64(job["records"][place]), (length,)) for job in jobs])
        assert (together[: len(plan.columns)] == ring.encode(record[0])).all()
        assert (together[len(plan.columns) :] == plan.at(record[0]).secret).all()


def test_the_scalars_that_it_opens_are_as_many_as_of_any_design(case, make_node):
    node, _, _ = computed(case, make_node)
    assert node.opened.totals() == [(case.ticket["model"], "long-beach", 2 * (10 + 3))]


def test_rows_for_which_no_model_is_proven_are_refused_though_the_definition_names_them(consortium, make_node):
    wild = deepcopy(document())
    wild["rows"][4][0] = 30 << 16
    case = Case.make(consortium, definition=consortium.new_definition(design=digest(wild)))
    case.documents["design"] = wild
    case.documents["votes"] = [consortium.vote(slug, about=digest(case.definition)) for slug in consortium.homes]
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    assert reason_of(case, coordinator.answers[0]) == Reason.FIELD_INVALID


def test_a_share_without_the_operator_is_refused(consortium, make_node):
    case = Case.make(consortium, secrets=[])
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    assert reason_of(case, coordinator.answers[0]) == Reason.MALFORMED
    assert engines == []
