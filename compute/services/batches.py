"""Which batch of correlated randomness a job uses, and which are dealt in it for later ones.

What the nodes hold, they say themselves in their acceptances: a batch that one of them lacks is dealt in the job.
"""

from uuid import UUID, uuid4

from django.conf import settings

from compute.models import Batch, Job
from concordat import clock
from concordat.request import Request
from concordat.ticket import AHEAD_FOR, MOST_AHEAD, Ticket


def choose(job: Job, request: Request) -> tuple[str, list[str]]:
    """The batch for a job's ticket, which no other ticket will name, and new names for what is to be dealt in it. Part
    of the caller's transaction."""
    Batch.objects.filter(dealt__lte=clock.now() - AHEAD_FOR).delete()
    waiting = list(
        Batch.objects.select_for_update().filter(definition=job.definition, what_ifs=request["what_ifs"]).order_by("pk")
    )
    chosen = str(uuid4())
    if waiting:
        oldest = waiting.pop(0)
        chosen = str(oldest.uuid)
        oldest.delete()
    return chosen, [str(uuid4()) for _ in range(min(settings.BATCHES_AHEAD, MOST_AHEAD) - len(waiting))]


def note_dealt(job: Job, ticket: Ticket, request: Request) -> None:
    """The job was recorded, so that its nodes hold what was dealt in it for later ones, unless it was too large."""
    now = clock.now()
    Batch.objects.bulk_create(
        Batch(uuid=UUID(batch), definition=job.definition, what_ifs=request["what_ifs"], dealt=now)
        for batch in ticket["ahead"]
    )
