"""A job of a model of several classes on real nodes and engines: its result, the count of what was opened, a cheat."""

import numpy as np
import pytest

from compute.node.opened import OpenedNumbers
from concordat import canaries
from concordat.keystore import Keystore
from concordat.states import JobState
from tests.compute.test_alarms import CANARY, cheating, found, hand_in, opened, raised
from tests.support.at_work import step
from tests.support.consortium import PARTIES, Consortium

__all__ = ["cheating"]

pytestmark = pytest.mark.full  # engines are processes


@pytest.fixture(scope="module")
def consortium_of_services(tmp_path_factory, _state) -> Consortium:
    key = Keystore(_state / "keys").identity
    return Consortium(tmp_path_factory.mktemp("classes"), coordinator=key, kind="mlp-classes")


def compute(world, nodes):
    prepared = world.consortium.prepare()
    job = step(world, nodes, step(world, nodes, world.ask(prepared)))
    assert job.job_state is JobState.RECORDED, job.why
    return job, prepared


def known(world):
    consortium = world.consortium
    record = consortium.records[CANARY][0]
    return canaries.known_result("mlp-classes", consortium.tensors, consortium.plan, record, "log-odds")


def test_the_nodes_compute_every_class_and_count_what_they_open_of_each(world, nodes):
    before = spent(world)
    job, prepared = compute(world, nodes)
    _, *numbers = opened(world, job, prepared)
    for each, prediction, explanation in zip(numbers, *known(world), strict=True):
        assert each.prediction == pytest.approx(prediction, abs=1e-3)
        assert np.append(each.coefficients, each.intercept) == pytest.approx(explanation[:-2], abs=1e-3)
        assert [each.sum_of_squares, each.odd_squares] == pytest.approx(explanation[-2:], rel=2e-3, abs=1e-3)
    scalars = 2 * 3 * (10 + 4)  # two records of three classes, of each ten coefficients and four numbers more
    assert spent(world) == [total + scalars for total in before]
    assert job.definition.scalars == scalars


def spent(world):
    totals = (OpenedNumbers(world.consortium.homes[party].state).totals() for party in PARTIES)
    return [sum(scalars for _, _, scalars in each) for each in totals]


def test_a_node_that_cheats_on_a_canary_is_named_by_the_models_owner(cheating, world, nodes):
    job, prepared = compute(world, nodes)
    shares, *_ = opened(world, job, prepared)
    hand_in(world, job, raised(world, job, prepared, shares))
    nodes.deliver()
    assert found(world, job) == [{"node": "budapest", "act": "wrong result", "round": 0}]
