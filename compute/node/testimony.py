"""A node's answer to an alarm: what it used for the canary, sealed to the model's owner, and for nothing else."""

from datetime import datetime

from compute.node.coordinator import AlarmDocuments
from compute.node.home import NodeHome
from compute.node.tapes import JobTape
from concordat import alarm, canonical, model
from concordat.alarm import Tape
from concordat.fields import plain
from concordat.reasons import Reason, Refused


def testify(documents: AlarmDocuments, tape: JobTape, *, home: NodeHome, now: datetime) -> str:
    """The signed testimony (JWS).

    Raises:
        Refused: CONFLICT for an alarm about another request than the one that was computed; DIGEST_MISMATCH for the
            manifest of another model than was computed with: it is its owner who gets the seeds; WRONG_INSTITUTION
            unless the alarm is the request's own requester's, and addressed to that owner; COMMITMENT_MISMATCH if it
            names other input than that, or the share of the model is not ours; WRONG_PARTY for a share that is missing;
            and what is wrong with a signature.
    """
    known = home.pins.lasting_keyring
    said = alarm.read_alarm(documents["alarm"], known)
    manifest = model.check_manifest(documents["manifest"], known)
    if canonical.digest(plain(manifest)) != tape["model"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="This is not the model that was computed with.", field="manifest")
    if (said["job"], said["request"], said["name"]) != (documents["job"], tape["request"], tape["name"]):
        raise Refused(Reason.CONFLICT, detail="The alarm is about another request.", field="request")
    if said["requester"] != tape["requester"] or said["owner"] != manifest["owner"]:
        raise Refused(Reason.WRONG_INSTITUTION, detail="An alarm goes from the requester to the model's owner.")
    place = said["place"]
    if place >= len(tape["commitments"]) or said["commitments"] != tape["commitments"][place]:
        raise Refused(Reason.COMMITMENT_MISMATCH, detail="The alarm names another input than the request.")
    dealer = not tape["seeds"]
    content: Tape = {
        "key": "" if dealer else tape["seeds"][place]["key"],
        "drawn": [] if dealer else tape["seeds"][place]["drawn"],
        "conversations": tape["conversations"],
        "weights": None,
    }
    if not dealer:
        if documents["model_share"] is None:
            raise Refused(Reason.WRONG_PARTY, detail="A share of this party is missing.", field="model_share")
        key = home.keys.sealing_key(manifest["sealing_keys"][home.institution])
        weights = model.unseal_share(documents["model_share"], manifest, home.institution, key)
        model.read_share(manifest, home.institution, weights)
        content["weights"] = weights
    return alarm.testify(
        job=said["job"],
        node=home.institution,
        alarm=canonical.digest(documents["alarm"].encode()),
        commitments=tape["commitments"][place],
        tape=content,
        owner_key=home.pins.sealing(manifest["owner"], "owner"),
        time=now,
        key=home.keys.identity,
    )
