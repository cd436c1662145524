"""Keep the sealed canaries of a model, for the requesters that they are sealed to."""

from collections.abc import Mapping

from django.db import transaction

from compute.models import CanarySheet, ModelVersion
from concordat import clock
from concordat.events import Event
from concordat.kinds.kind import SCALES
from concordat.reasons import Reason, Refused
from governance import selectors as governance
from governance.models import Institution
from governance.permissions import check_role
from governance.services import institutions
from ledger.services.record import record


@transaction.atomic
def seal_canaries(
    *, model: ModelVersion, design: str, target: str, sealed: Mapping[str, str], by: Institution
) -> list[CanarySheet]:
    """Keep canaries, by requester. They replace earlier ones for new requests; the same again is no harm.

    Raises:
        Refused: WRONG_INSTITUTION for another's model; FIELD_INVALID for no such target, or for nobody; NOT_FOUND for a
            requester that is not enrolled; ROLE_MISSING for one that asks for no predictions.
    """
    if model.owner != by:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The model is another institution's.", field="model")
    if target not in SCALES:
        raise Refused(Reason.FIELD_INVALID, detail=f"A target is one of: {', '.join(SCALES)}.", field="target")
    if not sealed:
        raise Refused(Reason.FIELD_INVALID, detail="Canaries are sealed to one requester or more.", field="sealed")
    institutions.lock(by)
    requesters = governance.institutions(list(sealed), field="sealed")
    for requester in requesters.values():
        check_role(requester, "requester")
    now = clock.now()
    latest = {slug: current(model.digest, design, target, requester) for slug, requester in requesters.items()}
    if all(sheet is not None and sheet.sealed == sealed[slug] for slug, sheet in latest.items()):
        return [sheet for sheet in latest.values() if sheet is not None]
    sheets = CanarySheet.objects.bulk_create(
        CanarySheet(model=model, design=design, target=target, requester=requester, sealed=sealed[slug], received=now)
        for slug, requester in requesters.items()
    )
    record(
        event=Event.CANARIES_SEALED,
        public={
            "model": model.digest,
            "institution": by.slug,
            "design": design,
            "target": target,
            "requesters": sorted(sealed),
        },
    )
    return sheets


def current(model: str, design: str, target: str, requester: Institution) -> CanarySheet | None:
    """The canaries that a requester's next request is to be mixed with, if the owner has sealed any to it."""
    return CanarySheet.objects.filter(model__digest=model, design=design, target=target, requester=requester).first()
