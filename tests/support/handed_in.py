"""What is handed in about a job once it has a result, signed by whoever it is, with as little in it as may be."""

from compute.models import Job
from compute.selectors import request_of
from compute.services import alarms
from concordat import alarm, clock, display, escrow, package, signatures
from concordat.asking import Prepared
from concordat.canonical import digest
from concordat.sealing import SealingKey
from tests.support.consortium import OWNER, REQUESTER
from tests.support.coordinator import World


def alarmed(world: World) -> tuple[Job, str]:
    """A job that was recorded and then withheld for an alarm (JWS)."""
    prepared = world.consortium.prepare()
    job = world.recorded(world.ask(prepared))
    raised = false_canary(world, job, prepared)
    return alarms.raise_alarm(job=job, alarm=raised, request=request_of(job), by=world.bodies[REQUESTER]), raised


def false_canary(world: World, job: Job, prepared: Prepared) -> str:
    """The requester's alarm, which only its owner could look into."""
    asked = signatures.peek(prepared.token)[1]
    return alarm.raise_alarm(
        job=str(job.uuid),
        request=prepared.digest,
        name=asked["request"],
        requester=REQUESTER,
        owner=OWNER,
        place=1,
        commitments=asked["commitments"][1],
        shares={"sheet": "", "inputs": {}, "outputs": {}},
        owner_key=world.consortium.homes[OWNER].keys.sealing.public,
        time=clock.now(),
        key=world.consortium.identity(REQUESTER),
    )


def package_of(world: World, job: Job, stage: package.Stage) -> package.Signed:
    """A records package with next to nothing in it, sealed and signed by the requester."""
    keys = world.consortium.homes[REQUESTER].keys
    terms, _ = escrow.create(["anna", "ben", "chris"], 2)
    records = SealingKey.generate().public
    named = package.sign_keys(
        institution=REQUESTER, records=records, terms=terms, issued=clock.now(), offline=keys.offline
    )
    return package.seal(
        {"v": 1}, request=str(job.request_uuid), stage=stage, keys=named, now=clock.now(), key=keys.identity
    )


def heard(world: World, job: Job, raised: str, node: str, key: str = "") -> str:
    """A node's testimony on the alarm, with nothing in it but that key."""
    return alarm.testify(
        job=str(job.uuid),
        node=node,
        alarm=digest(raised.encode()),
        commitments=alarm.peek_alarm(raised)["commitments"],
        tape={"key": key, "drawn": [], "conversations": [], "weights": None},
        owner_key=world.consortium.homes[OWNER].keys.sealing.public,
        time=clock.now(),
        key=world.consortium.identity(node),
    )


def nothing_found(world: World, job: Job, raised: str) -> str:
    """The owner's finding on the alarm: nobody departed from the protocol."""
    return alarm.find(
        job=str(job.uuid),
        owner=OWNER,
        alarm=digest(raised.encode()),
        departures=[],
        time=clock.now(),
        key=world.consortium.identity(OWNER),
    )


def shown(world: World, job: Job) -> str:
    """The requester's receipt for having shown the result."""
    return display.show(
        request=str(job.request_uuid),
        job=str(job.uuid),
        template="explanation",
        language="en",
        rendered=digest(b"text"),
        viewer="clinician",
        decision="shown",
        time=clock.now(),
        key=world.consortium.identity(REQUESTER),
    )
