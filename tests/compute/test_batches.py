"""Which batch a ticket names: one that was dealt in a recorded job of the same definition, and none twice."""

import pytest

from compute.models import Batch
from compute.services.batches import choose
from concordat import clock
from concordat.reasons import Reason
from concordat.states import JobState
from concordat.ticket import AHEAD_FOR, MOST_AHEAD

RUNS = 2
"""A person's record and a canary."""


def test_a_job_names_what_an_earlier_one_has_dealt_and_has_the_next_dealt(world):
    first = world.ticket(world.recorded())
    assert len(first["ahead"]) == 1
    second = world.ticket(world.recorded())
    assert second["batch"] == first["ahead"][0]
    assert len(second["ahead"]) == 1
    assert len({first["batch"], *first["ahead"], *second["ahead"]}) == 3
    assert [str(each.uuid) for each in Batch.objects.all()] == second["ahead"]


def test_a_batch_is_named_once_even_if_nothing_comes_of_the_job(world):
    [dealt] = world.ticket(world.recorded())["ahead"]
    job = world.dispatched()
    assert world.ticket(job)["batch"] == dealt
    world.answer(job, "zurich", world.refusal(job, "zurich", Reason.POLICY_REFUSES))
    assert world.ticket(world.dispatched())["batch"] != dealt


def test_what_was_dealt_in_a_job_without_a_result_is_never_named(world):
    assert world.computing().job_state is JobState.COMPUTING
    assert not Batch.objects.exists()


def test_a_job_with_other_what_ifs_or_records_leaves_it_for_one_with_the_same(world):
    job = world.recorded()
    [dealt] = world.ticket(job)["ahead"]
    job.what_ifs = 1
    assert choose(job, RUNS)[0] != dealt
    job.what_ifs = 0
    assert choose(job, 2 * RUNS)[0] != dealt
    assert choose(job, RUNS)[0] == dealt


def test_a_batch_that_nodes_have_forgotten_is_not_named(world, time_machine):
    [dealt] = world.ticket(world.recorded())["ahead"]
    time_machine.move_to(clock.now() + AHEAD_FOR)
    assert choose(world.ask(), RUNS)[0] != dealt
    assert not Batch.objects.exists()


@pytest.mark.parametrize(("wanted", "dealt"), [(0, 0), (3, 3), (100, MOST_AHEAD)])
def test_as_many_are_dealt_as_are_to_be_held(world, settings, wanted, dealt):
    settings.BATCHES_AHEAD = wanted
    assert len(world.ticket(world.recorded())["ahead"]) == dealt
    assert len(world.ticket(world.dispatched())["ahead"]) == min(dealt, 1)
