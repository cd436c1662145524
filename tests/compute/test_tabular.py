"""A job with LIME's own sampler on real nodes and engines: its result, a node that cheats, a requester that does."""

from dataclasses import replace

import numpy as np
import pytest

from compute.models import PartyResult
from concordat import canaries, outputs, signatures
from concordat.keystore import Keystore
from concordat.states import JobState
from tests.compute.test_alarms import CANARY, cheating, found, hand_in, opened, raised
from tests.support.at_work import step
from tests.support.consortium import REQUESTER, Consortium
from tests.support.tabular import document

__all__ = ["cheating"]

pytestmark = pytest.mark.full  # engines are processes


@pytest.fixture(scope="module")
def consortium_of_services(tmp_path_factory, _state) -> Consortium:
    key = Keystore(_state / "keys").identity
    return Consortium(tmp_path_factory.mktemp("tabular"), coordinator=key, given_design=document(samples=100))


def compute(world, nodes, **changes):
    prepared = world.consortium.prepare(**changes)
    job = step(world, nodes, step(world, nodes, world.ask(prepared)))
    assert job.job_state is JobState.RECORDED, job.why
    return job, prepared


def test_what_the_nodes_compute_is_what_the_owner_knows_and_who_shares_a_false_operator_is_named(world, nodes):
    """The requester shares an operator that is not the first record's, and says that it was a canary that came back
    wrong. Else the owner would sign that its own canary was."""
    own, canary = (world.consortium.plan.at(rows[0]).secret for rows in world.consortium.records)
    job, prepared = compute(world, nodes, secrets=[np.roll(own, 1), canary])
    _, numbers = opened(world, job, prepared)
    (prediction,), (explanation,) = canaries.known_result(
        "mlp", world.consortium.tensors, world.consortium.plan, world.consortium.records[CANARY][0], "log-odds"
    )
    assert numbers.prediction == pytest.approx(prediction, abs=1e-3)
    assert np.append(numbers.coefficients, numbers.intercept) == pytest.approx(explanation[:-1], abs=1e-3)
    assert numbers.sum_of_squares == pytest.approx(explanation[-1], rel=2e-3)

    key, name = prepared.output_key, str(job.uuid)
    shares = {
        each.node.slug: outputs.unseal(each.sealed, job=name, node=each.node.slug, key=key)[0]
        for each in PartyResult.objects.exclude(sealed="")
    }
    _, asked = signatures.peek(prepared.token)
    first = replace(prepared, openings=prepared.openings[::-1])
    hand_in(world, job, raised(world, job, first, shares, place=0, commitments=asked["commitments"][0]))
    nodes.deliver()
    assert found(world, job) == [{"node": REQUESTER, "act": "false operator", "round": 0}]


def test_a_node_that_cheats_on_a_canary_is_named_by_the_models_owner(cheating, world, nodes):
    job, prepared = compute(world, nodes)
    shares, _ = opened(world, job, prepared)
    hand_in(world, job, raised(world, job, prepared, shares))
    nodes.deliver()
    assert found(world, job) == [{"node": "budapest", "act": "wrong result", "round": 0}]
