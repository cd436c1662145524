"""The model's recall: a decision of before stays what it was, and its dossier says that it was recalled later."""

from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.recall import Recall, check_recall, sentence
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry


def entries(case: Case) -> list[Entry]:
    """Those by which the decision's model was recalled."""
    return case.evidence.of(Event.MODEL_RECALLED, model=case.decision.text("model"))


def since(case: Case) -> str:
    """The model's owner signed each recall, and none had been recorded when the decision was."""
    for entry in entries(case):
        words(case, entry)
        if entry.index < case.decision.index:
            detail = f"It was recalled before, on {entry.leaf['time']} ({entry.number})."
            raise Refused(Reason.MODEL_RECALLED, detail=detail)
    first = entries(case)[0]
    return f"The model's owner recalled it after the decision, on {first.leaf['time']} ({first.number})."


def words(case: Case, entry: Entry) -> str:
    """What an entry's recall says, for people. Raises Refused for one that its owner did not sign so."""
    said = _read(case, entry)
    return f"{sentence(said)} The owner's advice: “{said['advice']}”"


def _read(case: Case, entry: Entry) -> Recall:
    said = check_recall(
        case.evidence.token(entry, "recall"),
        case.keyring_at(entry),
        model=case.decision.text("model"),
        owner=case.model["owner"],
    )
    reported = {name: said[name] for name in ("institution", "reason", "classification")}
    for field, value in reported.items():
        if entry.leaf["public"].get(field) != value:
            detail = f"The entry {entry.number} reports the recall wrongly."
            raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field=field)
    return said
