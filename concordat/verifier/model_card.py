"""The model's cards: what its owner had stated of it when the decision was recorded, and whether it said so since."""

from concordat.canonical import Json
from concordat.events import Event
from concordat.model_card import ModelCard, check_card, stated
from concordat.reasons import Reason, Refused
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry


def entries(case: Case) -> list[Entry]:
    """Those by which the decision's model was described."""
    return case.evidence.of(Event.MODEL_DESCRIBED, model=case.decision.text("model"))


def signed(case: Case) -> str:
    """The model's owner signed each card, and each has a higher number than those before it."""
    highest = 0
    for entry in entries(case):
        number = _read(case, entry)["sequence"]
        if number <= highest:
            detail = f"The entry {entry.number} puts card {number} in the place of card {highest}."
            raise Refused(Reason.CONFLICT, detail=detail, field="card.sequence")
        highest = number
    before = _then(case)
    if before is None:
        return "The model's owner described it after the decision alone."
    number = _read(case, before)["sequence"]
    return f"When the decision was recorded, the owner's card {number} ({before.number}) was the newest of the model."


def tell(case: Case) -> dict[str, Json] | None:
    """What the card stated that was the newest at the decision; None if there was none yet."""
    entry = _then(case)
    if entry is None:
        return None
    card = _read(case, entry)
    said: list[Json] = [
        {"title": each.title, "paragraphs": list(paragraphs)} for each, paragraphs in stated(card["attributes"]).items()
    ]
    return {"entry": entry.number, "sequence": card["sequence"], "time": card["time"], "stated": said}


def _then(case: Case) -> Entry | None:
    return next((each for each in reversed(entries(case)) if each.index < case.decision.index), None)


def _read(case: Case, entry: Entry) -> ModelCard:
    card = check_card(
        case.evidence.token(entry, "card"),
        case.keyring_at(entry),
        model=case.decision.text("model"),
        owner=case.model["owner"],
    )
    reported = {"institution": card["institution"], "sequence": card["sequence"]}
    for field, value in reported.items():
        if entry.leaf["public"].get(field) != value:
            detail = f"The entry {entry.number} reports the card wrongly."
            raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field=field)
    return card
