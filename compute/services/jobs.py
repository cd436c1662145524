"""Ask for a prediction, and take the question back."""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from compute.models import Job, ModelVersion, SealedInput
from compute.services.endings import end
from compute.services.states import lock, transition
from compute.services.waiting import move_on
from concordat import clock
from concordat.canonical import digest
from concordat.definition import Kind
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from concordat.request import OF_MANY, Request, check_kind, named_consent, read_request
from concordat.states import JobState
from governance import selectors as governance
from governance import verdict
from governance.models import Institution
from governance.permissions import check_role
from governance.services import budgets, institutions
from governance.verdict import Verdict
from ledger.services.record import record


def request_of_many(*, kind: Kind, request: str, idempotency_key: str, by: Institution) -> Job:
    """Take in a signed request for an audit or a training, and decide. Raises Refused as `request_prediction` does."""
    return _request(request, {}, idempotency_key, by, kind)


def request_prediction(*, request: str, sealed: Mapping[str, str], idempotency_key: str, by: Institution) -> Job:
    """Take in a signed request with its sealed shares, and decide. The same again, under the same key, is the same job.

    The answer is a job that is authorised or refused; the verdict with all its checks is in the log either way.

    Args:
        request: the request (JWS) as the requester signed it.
        sealed: for each party of the definition its share of the record, sealed to that party.
        idempotency_key: chosen by the requester, one for each request.

    Raises:
        Refused: what :func:`concordat.request.read_request` refuses; WRONG_INSTITUTION for another's request;
            ROLE_MISSING; the refusal of a malformed consent in it; DEFINITION_UNKNOWN; KIND_NOT_ALLOWED for a
            definition of another kind; MODEL_UNKNOWN; WRONG_PARTY if sealed shares are missing or too many; CONFLICT
            for a known key or request with other content.
    """
    return _request(request, sealed, idempotency_key, by, "explain")


@transaction.atomic
def cancel(*, job: Job, by: Institution) -> Job:
    """Take a request back. A running computation is stopped first; a cancelled job again is no harm.

    Raises:
        Refused: WRONG_INSTITUTION for another's job; WRONG_STATE once there is a result.
    """
    locked = lock(job)
    if locked.requester != by:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The job is another institution's.")
    if locked.job_state in (JobState.CANCELLING, JobState.CANCELLED):
        return locked
    if locked.job_state is JobState.COMPUTING:
        return transition(locked, JobState.CANCELLING)
    return end(locked, JobState.CANCELLED)


def _request(request: str, sealed: Mapping[str, str], idempotency_key: str, by: Institution, kind: Kind) -> Job:
    document = read_request(request, governance.keyring())
    if document["requester"] != by.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The request is another institution's.", field="requester")
    check_role(by, "owner" if kind == "train" else "requester")
    check_kind(governance.definition(document["definition"]).content, kind)
    content = digest({"request": request, "sealed": dict(sealed)})
    known = _known(document, content, idempotency_key, by)
    # The verdict may ask the chain, so it is reached before the transaction. If authority ends in between, its epoch is
    # no longer the one noted in the job, and nothing is dispatched. Budgets are spent inside of it.
    return known or _decide(
        document, request, sealed, content, idempotency_key, by, verdict.authorise(request, now=clock.now())
    )


def _known(document: Request, content: str, idempotency_key: str, by: Institution) -> Job | None:
    same_key = Job.objects.filter(requester=by, idempotency_key=idempotency_key).first()
    if same_key is not None and same_key.content == content:
        return same_key
    if same_key is not None:
        raise Refused(Reason.CONFLICT, field="Idempotency-Key")
    if Job.objects.filter(request_uuid=document["request"]).exists():
        raise Refused(Reason.CONFLICT, detail="This request was made under another key.", field="request")
    return None


@transaction.atomic
def _decide(
    document: Request,
    request: str,
    sealed: Mapping[str, str],
    content: str,
    idempotency_key: str,
    by: Institution,
    decision: Verdict,
) -> Job:
    definition = governance.definition(document["definition"])
    model = ModelVersion.objects.filter(digest=document["model"]).first()
    if model is None:
        raise Refused(Reason.MODEL_UNKNOWN, field="model")
    parties = governance.institutions(definition.content["parties"], field="parties")
    if set(sealed) != (set() if definition.content["kind"] in OF_MANY else set(parties)):
        raise Refused(Reason.WRONG_PARTY, detail="There must be one sealed share for each party.", field="sealed")
    institutions.lock(by)  # two copies of one request queue here
    known = _known(document, content, idempotency_key, by)
    if known is not None:
        return known
    now = clock.now()
    private = private_fields(document, request)
    if decision.passed:
        try:
            budgets.spend(definition=definition, requester=by, now=now)
        except Refused as refused:  # others have spent it since the verdict was reached
            decision = decision.but("budget", refused)
    job = Job.objects.create(
        requester=by,
        request_uuid=document["request"],
        request_digest=digest(plain(document)),
        idempotency_key=idempotency_key,
        content=content,
        definition=definition,
        model=model,
        what_ifs=document["what_ifs"],
        epoch=decision.epoch,
        created=now,
        updated=now,
    )
    entry = record(
        event=Event.VERDICT,
        public={
            "study": definition.study.slug,
            "definition": definition.digest,
            "request": document["request"],
            "institution": by.slug,
            "authorised": decision.passed,
            "reasons": [reason.value for reason in decision.reasons],
            "epoch": decision.epoch,
        },
        private=private,
        subject=about(document, definition.content["kind"]),
        documents={"checks": decision.document()},
    )
    job.verdict = entry.index
    job.save(update_fields=["verdict"])
    if not decision.passed:
        failed = decision.failed
        return transition(job, JobState.REFUSED, reason=failed.reason, detail=failed.sentence[:200])
    SealedInput.objects.bulk_create(
        SealedInput(job=job, party=parties[slug], sealed=share) for slug, share in sealed.items()
    )
    authorised = transition(job, JobState.AUTHORISED)
    transaction.on_commit(lambda: move_on(authorised))
    return authorised


def about(document: Request, kind: Kind) -> UUID | None:
    """Whose entries those about a request are: the person's; of a computation about many, nobody's, so that no erasure
    takes away who asked for it."""
    return None if kind in OF_MANY else UUID(document["subject"])


def private_fields(document: Request, request: str) -> dict[str, str]:
    """What entries about a request only commit to. Raises Refused for a consent that is none."""
    consent = named_consent(document)
    return {"subject": document["subject"], "request_statement": request} | ({"consent": consent} if consent else {})
