"""How far a computation is: shown to who asked for it, and moved by nobody but the first party's node."""

import pytest

from api.views.jobs import shown
from compute.models import Job
from compute.services import dispatch
from compute.services.progress import take_progress
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from tests.support.consortium import NODES, PARTIES

FIRST = PARTIES[0]


def progress(job):
    return shown(Job.objects.get(pk=job.pk))["progress"]


def tell(world, job, done, rounds=8, slug=FIRST):
    return take_progress(job=job, node=world.bodies[slug], done=done, rounds=rounds)


def test_it_is_shown_while_it_is_computed_and_no_longer(world):
    job = world.computing()
    assert progress(job) is None
    tell(world, job, 3)
    assert progress(job) == {"done": 3, "rounds": 8}
    for slug in NODES:
        world.result(job, slug)
    assert progress(job) is None


def test_it_never_goes_back(world):
    job = world.computing()
    tell(world, job, 5)
    tell(world, job, 4)
    assert progress(job) == {"done": 5, "rounds": 8}


def test_what_is_computed_together_goes_on_together(world):
    one, other = world.ask(), world.ask()
    world.dispatched(one)
    for job in (one, other):
        for slug in NODES:
            job.refresh_from_db()
            world.answer(job, slug, world.acceptance(job, slug))
    dispatch.push(job=Job.objects.get(pk=one.pk))
    tell(world, Job.objects.get(pk=one.pk), 3)
    assert progress(other) == progress(one) == {"done": 3, "rounds": 8}


@pytest.mark.parametrize("slug", NODES[1:])
def test_no_other_node_says_it(world, slug):
    with pytest.raises(Refused) as refused:
        tell(world, world.computing(), 3, slug=slug)
    assert refused.value.reason is Reason.WRONG_INSTITUTION


@pytest.mark.parametrize("done", [0, 9])
def test_more_or_less_than_there_are_cannot_be_done(world, done):
    with pytest.raises(Refused) as refused:
        tell(world, world.computing(), done)
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_INVALID, "done")


@pytest.mark.parametrize("state", [each for each in JobState if each is not JobState.COMPUTING])
def test_in_no_other_state(world, state):
    job = world.computing()
    Job.objects.update(state=state)
    job.refresh_from_db()
    with pytest.raises(Refused) as refused:
        tell(world, job, 3)
    assert refused.value.reason is Reason.WRONG_STATE
