"""Import a model version: its owner's signed manifest, and one sealed share for each party."""

from collections.abc import Mapping

from django.db import transaction

from compute.models import Job, ModelVersion, SealedModelShare
from compute.services.results import release
from concordat import clock
from concordat import model as manifests
from concordat.canonical import decode, digest
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from concordat.receipt import read_receipt
from concordat.states import AVAILABLE
from concordat.training_plan import TrainingPlan
from governance import selectors as governance
from governance.models import Institution, InstitutionKey
from governance.permissions import check_role
from governance.services import institutions
from ledger.selectors import document as stored
from ledger.services.record import record


@transaction.atomic
def import_model(*, manifest: str, sealed: Mapping[str, str], by: Institution) -> ModelVersion:
    """Keep a model version. The same one again is no harm.

    Args:
        manifest: the manifest (JWS) as its owner signed it.
        sealed: for each party of the manifest its share of the weights, sealed to that party.

    Raises:
        Refused: what :func:`concordat.model.check_manifest` refuses; WRONG_INSTITUTION for another's model;
            ROLE_MISSING for an institution that owns no models, or a party that is none; NOT_FOUND for a party that is
            not enrolled; KEY_UNKNOWN for a share sealed to a key that its party does not hold; WRONG_PARTY if shares
            are missing or too many; CONFLICT for a known version with other content; NOT_FOUND or DIGEST_MISMATCH for
            weights that were not made in the training that the manifest names; MODEL_RECALLED where that training
            started from a model that was recalled since.
    """
    document = manifests.check_manifest(manifest, governance.keyring())
    if document["owner"] != by.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The model is another institution's.", field="owner")
    check_role(by, "owner")
    name = digest(plain(document))
    institutions.lock(by)  # two copies of one model queue here
    known = ModelVersion.objects.filter(digest=name).first()
    if known is not None and _shares(known) == dict(sealed):
        return known
    if ModelVersion.objects.filter(owner=by, name=document["model"], version=document["version"]).exists():
        raise Refused(Reason.CONFLICT, detail="This version of the model is here with other content.", field="version")
    parties = governance.institutions(document["parties"], field="parties")
    if set(sealed) != set(parties):
        raise Refused(Reason.WRONG_PARTY, detail="There must be one sealed share for each party.", field="sealed")
    _check_trained(document, sealed, by)
    for party in parties.values():
        check_role(party, "party")
        check_sealing_key(party, document["sealing_keys"][party.slug])
    version = ModelVersion.objects.create(
        digest=name,
        name=document["model"],
        version=document["version"],
        owner=by,
        kind=document["kind"],
        manifest=manifest,
        imported=clock.now(),
    )
    SealedModelShare.objects.bulk_create(
        SealedModelShare(model=version, party=parties[slug], sealed=share) for slug, share in sealed.items()
    )
    record(
        event=Event.MODEL_IMPORTED,
        public={
            "model": name,
            "institution": by.slug,
            "kind": document["kind"],
            "parties": list(document["parties"]),
        },
        documents={"manifest": manifest},
    )
    return version


def _check_trained(document: manifests.Manifest, sealed: Mapping[str, str], by: Institution) -> None:
    """What a manifest says of a training is what the nodes' receipts say, the shares are those that they sealed, and
    authority for it has not ended."""
    if "trained" not in document:
        return
    job = Job.objects.filter(uuid=document["trained"], requester=by, definition__content__kind="train").first()
    if job is None or job.job_state not in AVAILABLE:
        raise Refused(
            Reason.NOT_FOUND, detail="No training of the owner's with this name was recorded.", field="trained"
        )
    governance.check_not_recalled(job.model.digest)
    plan = TrainingPlan.from_json(decode(stored(job.definition.content["design"])))
    if (document["model"], document["version"]) != (plan.result["model"], plan.result["version"]):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The plan gives the trained model another name.", field="version")
    said = plain(document)
    form = plain(manifests.check_manifest(job.model.manifest, governance.lasting_keyring()))
    for field in ("owner", "kind", "classes", "tensors", "parameters", "bits", "schema", "parties"):
        if said[field] != form[field]:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The model that was trained has another.", field=field)
    if not document["clamped"]:
        raise Refused(Reason.FIELD_INVALID, detail="Nobody has proven a bound of trained weights.", field="clamped")
    made = {each.node: each for each in release(job=job, by=by).outputs if each.sealed}
    keys = governance.lasting_keyring(list(made))
    committed = {slug: read_receipt(result.receipt, keys).get("weights", "") for slug, result in made.items()}
    if document["commitments"] != committed:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The nodes committed to other weights.", field="commitments")
    if dict(sealed) != {slug: result.sealed for slug, result in made.items()}:
        raise Refused(Reason.DIGEST_MISMATCH, detail="These are not the shares that the nodes sealed.", field="sealed")


def check_sealing_key(party: Institution, key_id: str) -> None:
    """Raises Refused(KEY_UNKNOWN) unless `key_id` is the party's sealing key in force."""
    live = party.keys.filter(kind=InstitutionKey.Kind.SEALING, revoked=None, key_id=key_id)
    if not live.exists():
        raise Refused(Reason.KEY_UNKNOWN, detail=f"A share is sealed to a key that {party.slug} does not hold.")


def _shares(version: ModelVersion) -> dict[str, str]:
    return dict(version.shares.values_list("party__slug", "sealed"))
