"""A model's owner describes it: its card takes the place of the one before, and every one stays."""

from django.db import transaction

from concordat import clock
from concordat import model_card as statements
from concordat.events import Event
from concordat.owners_word import check_not_future, check_owner
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.models import Institution, ModelCard
from governance.services import institutions
from ledger.services.record import record


@transaction.atomic
def describe(*, institution: Institution, token: str) -> ModelCard | None:
    """Put a model's card in the place of the one before, recalled or not. Answers the card that is in force then.

    A card that was taken before is no harm, and does not come back into force by that. No role is asked for, as none is
    for a recall: who owned the model when it was imported answers for what is said of it.

    Args:
        institution: who hands it in; it must own the model.
        token: the signed card (JWS).

    Raises:
        Refused: what :func:`concordat.model_card.read_card` refuses; WRONG_INSTITUTION for another's card, or about
            another's model; MODEL_UNKNOWN; FIELD_INVALID for a card from the future; CONFLICT for another card whose
            number is not higher than that of the last one, or too much higher.
    """
    card = statements.read_card(token, selectors.keyring())
    if card["institution"] != institution.slug:
        raise Refused(Reason.WRONG_INSTITUTION, detail="The card is another institution's.", field="institution")
    model = card["model"]
    entry = selectors.imported(model)
    check_owner(card, name="card", model=model, owner=str(entry.public["institution"]))
    institutions.lock(institution)  # two cards of one model queue here
    if ModelCard.objects.filter(model=model, statement=token).exists():
        return selectors.card(model)
    last = selectors.last_card(model)
    if not last < card["sequence"] <= last + statements.LONGEST_STEP:
        detail = f"The model has card {last}: the next one has a higher number, by {statements.LONGEST_STEP} at most."
        raise Refused(Reason.CONFLICT, detail=detail, field="card.sequence")
    now = clock.now()
    check_not_future(card["time"], now, field="card.time")
    kept = ModelCard.objects.create(
        model=model, owner=institution, sequence=card["sequence"], statement=token, received=now
    )
    record(
        event=Event.MODEL_DESCRIBED,
        public={"model": model, "institution": institution.slug, "sequence": kept.sequence},
        documents={"card": token},
    )
    return kept
