"""How far a computation is, as its first party's node says. It is shown, and nothing else: it moves no job on."""

from django.db.models import Q

from compute.models import Job
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from governance.models import Institution


def take_progress(*, job: Job, node: Institution, done: int, rounds: int) -> Job:
    """Keep how many rounds are done, of all that are computed together with the job. It never goes back.

    Raises:
        Refused: WRONG_INSTITUTION from another node than the first party's; FIELD_INVALID for more rounds than there
            are; WRONG_STATE while nothing is computed.
    """
    if node.slug != job.nodes[0]:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The first party's node says how far it is.", field="node")
    if not 1 <= done <= rounds:
        raise Refused(Reason.FIELD_INVALID, detail="Of so many rounds not so many can be done.", field="done")
    if job.job_state is not JobState.COMPUTING:
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {job.state}.", field="state")
    together = Job.objects.filter(batch=job.batch, state=JobState.COMPUTING)
    together.filter(Q(rounds_done=None) | Q(rounds_done__lt=done)).update(rounds_done=done, rounds=rounds)
    return job
