"""One explained prediction from request to opened result: real services, REST interface, nodes and engines.

Only the broker is left out: its tasks are handed to the nodes here.
"""

import numpy as np
import pytest

from compute.models import SealedInput
from compute.services import results
from concordat import model, receipt
from concordat.design import read_design
from concordat.outputs import add_up, unseal
from concordat.states import JobState
from tests.support.at_work import step
from tests.support.consortium import REQUESTER


def computed(world, nodes, count=1):
    """Recorded jobs, computed together, whose opened results are what plaintext gives: each, and its receipts."""
    asked = [world.consortium.prepare() for _ in range(count)]
    jobs = [world.ask(prepared) for prepared in asked]
    for state in (JobState.RESERVED, JobState.RECORDED):
        step(world, nodes, jobs[0])
        for job in jobs:
            job.refresh_from_db()
            assert job.job_state is state, job.why
    assert not SealedInput.objects.exists()
    receipts = [opened_as_in_plaintext(world, job, prepared) for job, prepared in zip(jobs, asked, strict=True)]
    return list(zip(jobs, receipts, strict=True))


def opened_as_in_plaintext(world, job, prepared):
    """Its receipts."""
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
    return receipts
