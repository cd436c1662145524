"""One explained prediction from request to opened result: real services, REST interface, nodes and engines.

Only the broker is left out: its tasks are handed to the nodes here.
"""

import os
import signal

import numpy as np
import pytest
from django.apps import apps

from compute.models import SealedInput
from compute.node.state import transaction
from compute.services import results
from compute.services.jobs import cancel
from concordat import canonical, model, receipt, signatures
from concordat.canonical import unb64
from concordat.design import read_design
from concordat.outputs import add_up, unseal
from concordat.reasons import Reason
from concordat.states import JobState
from tests.support.at_work import step
from tests.support.consortium import DEALER, PARTIES, REQUESTER
from tests.support.needles import spellings


def computed(world, nodes):
    """A recorded job, whose opened result is what plaintext gives."""
    prepared = world.consortium.prepare()
    job = world.ask(prepared)
    job = step(world, nodes, job)
    assert job.job_state is JobState.RESERVED, job.why
    job = step(world, nodes, job)
    assert job.job_state is JobState.RECORDED, job.why
    assert not SealedInput.objects.exists()

    released = results.release(job=job, by=world.bodies[REQUESTER])
    keyring = world.consortium.homes["cleveland"].pins.keyring
    receipts = receipt.check_receipts(
        [output.receipt for output in released.outputs],
        keyring,
        request=prepared.digest,
        definition=world.consortium.definition,
    )
    shares = {
        output.node: unseal(output.sealed, job=str(job.uuid), node=output.node, key=prepared.output_key)[0]
        for output in released.outputs
        if output.sealed
    }
    (opened,) = add_up(shares, receipts, groups=len(world.consortium.schema.groups), mirrored=True, target="log-odds")

    record, tensors = world.consortium.vector, world.consortium.tensors
    design = read_design(world.consortium.design)
    assert opened.prediction == pytest.approx(model.forward("mlp", tensors, record[None])[0], abs=1e-2)
    # In plaintext: keep some groups of the record, replace the others by the reference, and fit the same surrogate.
    perturbed = model.forward("mlp", tensors, design.column_masks * record)
    expected = design.operator / 2.0**20 @ perturbed
    np.testing.assert_allclose([*opened.coefficients, opened.intercept], expected, atol=1e-2)
    return job, receipts


def dealt_ahead(node):
    """Name and content of the one batch that a node holds."""
    with transaction(node.home.state) as database:
        [(name, content)] = database.execute("SELECT batch, content FROM batches").fetchall()
    return name, canonical.decode(content)


def test_explained_predictions_the_second_with_what_the_first_one_had_dealt(world, nodes, caplog):
    first, dealing = computed(world, nodes)
    [batch] = world.ticket(first)["ahead"]
    held = {slug: dealt_ahead(node) for slug, node in nodes.nodes.items()}
    assert {name for name, _ in held.values()} == {batch}
    assert {slug for slug, (_, part) in held.items() if "keys" in part} == set(PARTIES)

    second, used = computed(world, nodes)
    assert world.ticket(second)["batch"] == batch
    assert [signatures.peek(answer.document)[1]["dealt"] for answer in second.answers.all()] == [True] * 4
    assert used[DEALER]["rounds"] == dealing[DEALER]["rounds"] / 2 > 0  # correlations: then for two jobs, now for one
    assert all(dealt_ahead(node)[0] == world.ticket(second)["ahead"][0] for node in nodes.nodes.values())

    # Nobody but the nodes has seen a key of the batch, or party 0's corrections.
    keys = [unb64(key) for slug in PARTIES for key in held[slug][1]["keys"]]
    secrets = [*keys, unb64(held[PARTIES[0]][1]["corrections"])[:48]]
    tables = "\n".join(str(list(table.objects.values_list())) for table in apps.get_models())
    for name, text in (("broker", repr(world.sent)), ("logs", caplog.text), ("database", tables)):
        seen = text.encode()
        assert not any(spelling in seen for secret in secrets for spelling in spellings(secret)), name


def test_an_engine_that_is_killed_in_the_middle_fails_the_job(world, nodes):
    job = step(world, nodes, world.ask())
    os.kill(nodes.nodes["zurich"]._slot.engine.pid, signal.SIGKILL)
    job = step(world, nodes, job)
    assert job.job_state is JobState.FAILED
    assert job.reason in (Reason.ENGINE_FAILED, Reason.PEER_LOST, Reason.PEER_ABSENT)
    assert not SealedInput.objects.exists()
    assert all(node._slot.engine is None for node in nodes.nodes.values())


def test_a_node_that_refuses_frees_the_others(world, nodes):
    world.consortium.write_policy("zurich", studies=[])
    try:
        job = step(world, nodes, world.ask())
    finally:
        world.consortium.write_policy("zurich")
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.POLICY_REFUSES)
    assert all(node._slot.engine is None for node in nodes.nodes.values())


def test_a_cancelled_computation_stops_at_every_node(world, nodes):
    job = step(world, nodes, world.ask())
    with world.commit():
        cancel(job=job, by=world.bodies[REQUESTER])
    nodes.deliver()
    assert all(node._slot.engine is None for node in nodes.nodes.values())
