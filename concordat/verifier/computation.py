"""What was computed, by whom, and what came out of it."""

from concordat.canonical import digest
from concordat.display import Display, read_display, say
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry, NotCheckable


def model(case: Case) -> str:
    """The model is the one that its owner signed and shared out."""
    manifest = case.model
    return f"{manifest['owner']} signed the model “{manifest['model']}” version {manifest['version']}."


def ticket(case: Case) -> str:
    """The coordinator's ticket is for this job, definition, model and design, under this verdict."""
    return f"One ticket, {case.ticket['ticket']}, was issued under the verdict {case.verdict.number}."


def acceptances(case: Case) -> str:
    """Every node accepted the ticket by its own institution's signature before the computation."""
    return f"{len(case.acceptances)} nodes accepted: {', '.join(case.acceptances)}."


def receipts(case: Case) -> str:
    """Every node signed for the same job, request, definition, model and design, and committed to its output."""
    case.explanation  # noqa: B018  (the same receipts must be those of the explanation)
    design = case.explanation.leaf["documents"].get("design", case.definition["design"])
    if design != case.definition["design"]:
        raise Refused(Reason.RECEIPTS_DISAGREE, detail="The explanation names another design.", field="design")
    agree = f"{len(case.receipts)} receipts agree on request, definition, model and design."
    own, of = 1 + case.definition["canaries"], case.ticket["runs"]["of"]
    if own == of:
        return agree
    return f"{agree} Others were computed at the same time: {own} of the {of} runs, whose costs these are, are its own."


def shown(case: Case) -> str:
    """What the requester's client says that it showed or kept back is signed by the requester and about this job."""
    entries = displays(case)
    if not entries:
        raise NotCheckable(Reason.RESULT_NOT_READY, "The log has no display receipt: nobody says that it was shown.")
    said = [check_display(case, entry) for entry in entries]
    return "; ".join(f"{words(each)} at {each['time']}" for each in said) + "."


def words(said: Display) -> str:
    """What a display receipt says."""
    return say(said["decision"], said["viewer"], said["reason"], said["threshold"])


def displays(case: Case) -> list[Entry]:
    """The entries that say what was shown."""
    return case.evidence.of(Event.RESULT_DISPLAYED, job=case.job)


def check_display(case: Case, entry: Entry) -> Display:
    """A display receipt, signed by the requester. Raises NotCheckable while it is not disclosed."""
    institution = case.decision.text("institution")
    case.enrolled(institution)
    display = read_display(str(case.evidence.opened(entry, "display")), case.keyring_at(entry)[institution])
    if (display["job"], display["request"]) != (case.job, case.decision.text("request")):
        raise Refused(Reason.DIGEST_MISMATCH, detail=f"The display receipt of {entry.number} is about another job.")
    return display


def disclosed(case: Case) -> str:
    """The shares that the requester discloses fit every commitment, and add up to the result shown here."""
    parties = len(case.disclosure["outputs"]) if case.result and case.disclosure else 0
    about = "input and result" if case.disclosure and "inputs" in case.disclosure else "result"
    fit = f"The {parties} parties' disclosed shares of the {about} fit every commitment."
    if not case.design.secrets:
        return fit
    if case.record is None:
        return f"{fit} Whether the explanation's operator is the design's, only the record can tell."
    return f"{fit} The explanation's operator is the one that the design gives for the record."


def definition(case: Case) -> str:
    """The definition is the one that the decision names, fits its model, and nobody chose its perturbations by hand."""
    drawn = "their seed" if not case.design.secrets else "their seed and the statistics that their owner states"
    return (
        f"The computation was the one with the digest {digest(plain(case.definition))}; "
        f"its {case.design.n} perturbations follow from {drawn}."
    )
