"""Who allowed it: institutions, approvals, consent, and the verdict that drew them together. `boards` has the rest."""

from concordat import votes
from concordat.consent import read_consent
from concordat.definition import nodes
from concordat.events import Event
from concordat.fields import read
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused
from concordat.request import check_request
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry
from concordat.votes import Domain, Vote, VoteDocument, precedence


def institutions(case: Case) -> str:
    """Every institution's enrolment is signed by its own keys, every roster by its offline key."""
    for institution in (*nodes(case.definition), case.model["owner"]):
        case.enrolled(institution)
    return f"{len(case.enrolments)} institutions are enrolled with their keys; {len(case.rosters)} rosters are signed."


def approvals(case: Case) -> str:
    """A quorum of institutions, the model's owner and each party had approved the definition by EIP-712 votes, when
    the verdict was given and still when the decision was recorded."""
    quorum, owner = case.definition["quorum"], case.model["owner"]
    for moment in (case.verdict, case.decision):
        given = standing_votes(case, moment)
        approving = [institution for institution in quorum["of"] if institution in given and given[institution].approve]
        if len(approving) < quorum["needed"]:
            raise Refused(Reason.QUORUM_MISSING, detail=f"{len(approving)} of {quorum['needed']} approvals are there.")
        for party in case.definition["parties"]:
            if party not in given or not given[party].approve:
                raise Refused(Reason.DEFINITION_NOT_APPROVED, detail=f"{party} computed without its approval.")
        if owner not in given or not given[owner].approve:
            raise Refused(Reason.DEFINITION_NOT_APPROVED, detail=f"The model's owner, {owner}, does not approve.")
    return f"{len(approving)} of {len(quorum['of'])} institutions had approved; {quorum['needed']} were needed."


def standing_votes(case: Case, until: Entry) -> dict[str, Vote]:
    """Each institution's vote that counted when `until` was logged, verified against its chain key at that time.

    A vote counts while its key is the institution's: a change of the chain key ends the votes of the old address."""
    about = case.evidence.about["chain"]
    counted: dict[str, VoteDocument] = {}
    given: dict[str, Vote] = {}
    if about["registry"] is None:
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail="No registry is named, so no vote can be for it.")
    name = case.decision.text("definition")
    for entry in case.evidence.of(Event.DEFINITION_VOTED, definition=name):
        institution = entry.text("institution")
        document = read(case.evidence.json(entry, "vote"), VoteDocument)
        vote = votes.verify(document, domain=Domain(about["id"], about["registry"]))
        history = case.history(institution)
        key = history.placed("chain", entry.index)
        if key is None or vote.institution != key.public or vote.definition != name:
            raise Refused(Reason.VOTE_INVALID, detail=f"The vote in {entry.number} is another's, or on something else.")
        if vote.approve is not entry.leaf["public"].get("approve"):
            raise Refused(Reason.VOTE_INVALID, detail=f"The entry {entry.number} reports the vote wrongly.")
        if history.recorded("chain", entry.index, entry.time) is None or history.placed("chain", until.index) != key:
            continue
        last = counted.get(institution)
        if entry.index < until.index and (last is None or precedence(document) >= precedence(last)):
            counted[institution], given[institution] = document, vote
    return given


def verdict(case: Case) -> str:
    """The authority check passed for this request, every single check of it, before any node was asked."""
    entry, decision = case.verdict, case.decision
    if not entry.index < case.one(Event.JOB_RESERVED, job=case.job).index < decision.index:
        raise Refused(Reason.SEQUENCE_BROKEN, detail="Verdict, reservation and decision are not in this order.")
    for field in ("definition", "study", "institution"):
        if field in entry.leaf["public"] and entry.text(field) != decision.text(field):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The verdict is about something else.", field=field)
    if case.ticket["epoch"] != entry.leaf["public"].get("epoch"):
        raise Refused(Reason.DIGEST_MISMATCH, detail="The ticket was issued under another verdict.", field="epoch")
    checks = case.evidence.json(entry, "checks")
    if not isinstance(checks, list) or not checks:
        raise Refused(Reason.MALFORMED, detail="The verdict names no checks.", field="checks")
    for check in checks:
        if not isinstance(check, dict) or check.get("passed") is not True:
            raise Refused(Reason.DEFINITION_NOT_APPROVED, detail="A check failed, and the verdict passed all the same.")
    return f"{len(checks)} checks passed on {entry.leaf['time']} ({entry.number}), before any node was asked."


def request(case: Case) -> str:
    """The requester signed this very request; the definition allowed it, and its legal ground is the protocol's for
    this requester and purpose; a consent in it covered it."""
    asked, bases = case.request, case.protocol["bases"]
    check_request(case.request_token, case.consent_keyring, case.verdict.time, definition=case.definition, bases=bases)
    opened = case.evidence.openings["opened"].get(str(case.verdict.index), {})
    if "request_statement" in opened and opened["request_statement"]["value"] != case.request_token:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The verdict was about another request.", field="request")
    if asked["requester"] != case.decision.text("institution"):
        raise Refused(Reason.WRONG_INSTITUTION, detail="The decision names another requester.", field="institution")
    ground = asked["basis"]["ground"]
    return (
        f"{asked['requester']} asked for it, for the purpose “{asked['purpose']}” and on the legal ground “{ground}”, "
        f"at {asked['issued']}."
    )


def consent(case: Case) -> str:
    """The person's consent was in the log and had not ended when the decision was recorded, if it was the ground."""
    ground = case.request["basis"]["ground"]
    if ground is not Ground.CONSENT:
        return f"The record was used on the legal ground “{ground}”, which asks for no consent of the person."
    given, ended = consent_entries(case)
    if not [entry for entry in given if entry.index < case.verdict.index]:
        raise Refused(Reason.CONSENT_MISSING, detail="The log had no consent when the verdict was given.")
    for entry in case.before(ended):
        reason, what = _ENDS[entry.event]
        raise Refused(reason, detail=f"{what} before ({entry.number}).")
    return f"Consent had been given ({given[0].number}) and stood at the decision."


def consent_since(case: Case) -> str:
    """Whether the consent has ended since, as far as this dossier goes."""
    if case.request["basis"]["ground"] is not Ground.CONSENT:
        return "No consent was asked for."
    _, ended = consent_entries(case)
    for entry in ended:
        when = "before the decision" if entry.index < case.decision.index else "later"
        return f"{_ENDS[entry.event][1]} {when}, on {entry.leaf['time']} ({entry.number})."
    # True of the head that the dossier stands under, and of nothing later.
    whole, size = case.whole, case.evidence.head.size
    if whole.entries is not None:
        return f"Consent had not been withdrawn by {whole.last}, when the log had {size} entries."
    last = case.evidence.entries[-1].leaf["time"]
    return f"No entry here, the last of which is of {last}, under a log of {size}, says that consent was withdrawn."


def consent_name(case: Case) -> str:
    """The consent that the request rests on. Raises NotCheckable without the request."""
    return read_consent(case.request["basis"]["consent"], case.consent_keyring)["consent"]


def consent_entries(case: Case) -> tuple[list[Entry], list[Entry]]:
    """Where this consent was given, and where it ended. Raises NotCheckable without the request."""
    name = consent_name(case)
    # Once the person is erased, the coordinator no longer knows which consent to select; the requester still does.
    entries = case.whole.entries or case.evidence.entries
    about = [entry for entry in entries if entry.leaf["public"].get("consent") == name]
    return (
        [entry for entry in about if entry.event is Event.CONSENT_GIVEN],
        [entry for entry in about if entry.event in _ENDS],
    )


_ENDS = {
    Event.CONSENT_WITHDRAWN: (Reason.CONSENT_WITHDRAWN, "Consent was withdrawn"),
    Event.CONSENT_LAPSED: (Reason.RECONSENT_NEEDED, "The person came to decide for themself, and consent lapsed,"),
}
