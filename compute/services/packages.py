"""Keep what reopens a decision for whoever may ask for it later, and hand it out; the coordinator cannot open it."""

from collections.abc import Sequence

from django.db import transaction

from compute.models import Job, RecordsPackage
from compute.selectors import request_of
from compute.services.states import lock
from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.package import PackageStatement, key_ids, read_keys, read_package, read_statement
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, keyring
from concordat.states import AVAILABLE, JobState
from governance import selectors as governance
from governance.models import Institution
from ledger.services.record import record

LONGEST_GROUND = 200


@transaction.atomic
def keep(*, job: Job, by: Institution, statement: str, package: str) -> RecordsPackage:
    """Keep a package and log its digest and the keys that open it. The same again is no harm.

    Args:
        statement: what the requester signed about the package (JWS).
        package: JSON text.

    Raises:
        Refused: WRONG_INSTITUTION; TOO_LARGE; what `concordat.package` refuses of a statement, a package or its keys,
            which an offline key of the requester must have signed; CONFLICT for another job's, or a second, different
            one of a stage; DIGEST_MISMATCH; WRONG_STATE for a request that was refused, or a result that is not there;
            ERASED.
    """
    locked = lock(job)
    if locked.requester != by:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The job is another institution's.")
    content = package.encode()
    read = read_package(content)
    name = digest(content)
    known = locked.packages.filter(digest=name).first()
    if known is not None and known.content:  # whatever became since of the key that signed for it
        return known
    said = read_statement(statement, governance.lasting_keyring([by.slug]))
    if said["package"] != name:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The statement is about another package.", field="package")
    about = (by.slug, str(locked.request_uuid), said["stage"])
    for each in (said, read):
        if (each["institution"], each["request"], each["stage"]) != about:
            raise Refused(Reason.CONFLICT, detail="This is the package of another request.", field="request")
    request_of(locked)  # nothing is kept of a person who was erased
    if locked.packages.filter(stage=said["stage"]).exists():
        raise Refused(Reason.CONFLICT, detail="Another package of this stage was handed in before.", field="package")
    _check_state(locked, said)
    read_keys(read["keys"], by.slug, _offline(by))
    ids = key_ids(read)
    entry = record(
        event=Event.RECORD_SEALED,
        public={
            "job": str(locked.uuid),
            "request": said["request"],
            "institution": by.slug,
            "stage": said["stage"],
            "package": name,
            "records_key": ids["records"],
            "escrow_key": ids["escrow"],
        },
        documents={"statement": statement},
    )
    return RecordsPackage.objects.create(
        job=locked,
        stage=said["stage"],
        digest=name,
        content=package,
        statement=statement,
        entry=entry.index,
        received=clock.now(),
    )


@transaction.atomic
def hand_out(*, job: Job, role: str, ground: str) -> Sequence[RecordsPackage]:
    """A decision's packages, sealed as they are. That they were handed out is recorded.

    Args:
        role: in which role whoever asks does so; whoever calls this has checked it.
        ground: why, such as an order of a court; it stands in the log in the clear, so it names no person.

    Raises:
        Refused: NOT_FOUND if there are none; ERASED; FIELD_INVALID for a ground that is none, or does not print.
    """
    if not (len(ground.strip()) > 0 and len(ground) <= LONGEST_GROUND and ground.isprintable()):
        detail = f"Say on which ground, on one line of at most {LONGEST_GROUND} characters."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="ground")
    found = list(lock(job).packages.all())
    if not found:
        raise Refused(
            Reason.NOT_FOUND, detail="No records package was handed in for this decision.", field="prediction"
        )
    if not all(each.content for each in found):
        raise Refused(Reason.ERASED, field="prediction")
    public = {"job": str(job.uuid), "request": str(job.request_uuid), "institution": job.requester.slug}
    record(event=Event.RECORD_HANDED_OUT, public={**public, "role": role, "ground": ground})
    return found


def _check_state(job: Job, said: PackageStatement) -> None:
    refused = job.job_state is JobState.REFUSED
    if refused or (said["stage"] == "result" and job.job_state not in AVAILABLE):
        raise Refused(Reason.WRONG_STATE, detail=f"The job is {job.state}.", field="state")


def _offline(institution: Institution) -> dict[str, VerifyKey]:
    """The offline keys whose signatures stay valid."""
    believed = governance.key_history(institution).believed("offline")
    return keyring(*(VerifyKey.from_b64(str(key.public)) for key in believed))
