"""Which batch of correlated randomness a job uses, and which are dealt in it for later ones.

What the nodes hold, they say themselves in their acceptances: a batch that one of them lacks is dealt in the job.
"""

from uuid import UUID, uuid4

from django.conf import settings

from compute.models import Batch, Job
from concordat import clock
from concordat.request import OF_MANY
from concordat.ticket import AHEAD_FOR, MOST_AHEAD, Ticket


def choose(job: Job, runs: int) -> tuple[str, list[str]]:
    """The batch for tickets of a job and of what is computed together with it, which no others will name, and new names
    for what is to be dealt meanwhile. Part of the caller's transaction.

    Args:
        runs: how many records these are.
    """
    if job.definition.content["kind"] in OF_MANY:  # too large to be kept, and nobody waits for it
        return str(uuid4()), []
    Batch.objects.filter(dealt__lte=clock.now() - AHEAD_FOR).delete()
    same = Batch.objects.filter(definition=job.definition, what_ifs=job.what_ifs, runs=runs)
    waiting = list(same.select_for_update().order_by("pk"))
    chosen = str(uuid4())
    if waiting:
        oldest = waiting.pop(0)
        chosen = str(oldest.uuid)
        oldest.delete()
    return chosen, [str(uuid4()) for _ in range(min(settings.BATCHES_AHEAD, MOST_AHEAD) - len(waiting))]


def note_dealt(job: Job, ticket: Ticket) -> None:
    """The job was recorded, so that its nodes hold what was dealt in it for later ones, unless it was too large.
    Of those that were computed together the first one to be recorded notes it."""
    now, runs = clock.now(), ticket["runs"]["of"]
    Batch.objects.bulk_create(
        (
            Batch(uuid=UUID(batch), definition=job.definition, what_ifs=job.what_ifs, runs=runs, dealt=now)
            for batch in ticket["ahead"]
        ),
        ignore_conflicts=True,
    )
