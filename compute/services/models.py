"""Import a model version: its owner's signed manifest, and one sealed share for each party."""

from collections.abc import Mapping

from django.db import transaction

from compute.models import ModelVersion, SealedModelShare
from concordat import clock
from concordat import model as manifests
from concordat.canonical import digest
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from governance import selectors as governance
from governance.models import Institution, InstitutionKey
from governance.permissions import check_role
from governance.services import institutions
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
            are missing or too many; CONFLICT for a known version with other content.
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


def check_sealing_key(party: Institution, key_id: str) -> None:
    """Raises Refused(KEY_UNKNOWN) unless `key_id` is the party's sealing key in force."""
    live = party.keys.filter(kind=InstitutionKey.Kind.SEALING, revoked=None, key_id=key_id)
    if not live.exists():
        raise Refused(Reason.KEY_UNKNOWN, detail=f"A share is sealed to a key that {party.slug} does not hold.")


def _shares(version: ModelVersion) -> dict[str, str]:
    return dict(version.shares.values_list("party__slug", "sealed"))
