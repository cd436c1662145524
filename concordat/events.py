"""Every kind of entry in the log: what it says in the open and what it only commits to.

`public` fields hold nothing about a person. `private` fields are salted commitments, openable one at a time; destroying
the key they are derived from makes them meaningless for ever. `docs/reference/events.md` is generated from this file.
"""

from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """Names are stable: a verifier reads them in twenty years."""

    INSTITUTION_ENROLLED = "institution.enrolled"
    KEY_CHANGED = "key.changed"
    ROSTER_PUBLISHED = "roster.published"
    MEMBER_ADDED = "member.added"
    FACTOR_REGISTERED = "sign-in.factor-registered"
    FACTOR_REMOVED = "sign-in.factor-removed"
    STUDY_SUBMITTED = "study.submitted"
    REVIEW_SIGNED = "review.signed"
    STUDY_APPROVED = "study.approved"
    STUDY_SUSPENDED = "study.suspended"
    STUDY_CLOSED = "study.closed"
    MODEL_IMPORTED = "model.imported"
    DISCLOSURE_SIGNED = "disclosure.signed"
    DEFINITION_REGISTERED = "definition.registered"
    DEFINITION_VOTED = "definition.voted"
    CONSENT_GIVEN = "consent.given"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    VERDICT = "verdict"
    JOB_RESERVED = "job.reserved"
    JOB_ENDED = "job.ended"
    PREDICTION_RECORDED = "prediction.recorded"
    EXPLANATION_RECORDED = "explanation.recorded"
    RESULT_WITHHELD = "result.withheld"
    RESULT_DISPLAYED = "result.displayed"
    DOSSIER_READ = "dossier.read"
    LEGAL_HOLD_SET = "legal-hold.set"
    LEGAL_HOLD_LIFTED = "legal-hold.lifted"
    KEY_DESTROYED = "key.destroyed"


@dataclass(frozen=True)
class EventInfo:
    """`public` and `private` name the allowed fields; `documents` the content-addressed documents it may carry."""

    description: str
    public: tuple[str, ...]
    private: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


EVENTS: dict[Event, EventInfo] = {
    Event.INSTITUTION_ENROLLED: EventInfo(
        "An institution's public keys were enrolled, and on whose board it relies.",
        ("institution", "jurisdiction", "reviewing_board"),
        (),
        ("enrolment",),
    ),
    Event.KEY_CHANGED: EventInfo(
        "An institution replaced or revoked one of its keys, signed by its offline key.",
        ("institution", "kind", "ground", "sequence"),
        (),
        ("change",),
    ),
    Event.ROSTER_PUBLISHED: EventInfo(
        "An institution published which officers' passkeys count, signed by its offline key.",
        ("institution", "version"),
        (),
        ("roster",),
    ),
    Event.MEMBER_ADDED: EventInfo(
        "A person was given a role at an institution.", ("institution", "role"), ("officer",)
    ),
    Event.FACTOR_REGISTERED: EventInfo(
        "An officer registered a second factor for signing in: a passkey, an authenticator app, recovery codes.",
        ("kind",),
        ("officer",),
    ),
    Event.FACTOR_REMOVED: EventInfo(
        "A second factor for signing in was taken away, by its officer or by an operator.", ("kind",), ("officer",)
    ),
    Event.STUDY_SUBMITTED: EventInfo(
        "A protocol version was submitted to the reviewing boards.",
        ("study", "institution", "boards"),
        ("submitter",),
        ("protocol",),
    ),
    Event.REVIEW_SIGNED: EventInfo(
        "A reviewing board's officer signed a determination.",
        ("study", "institution", "determination", "relied_on_by"),
        ("officer",),
        ("protocol", "signature"),
    ),
    Event.STUDY_APPROVED: EventInfo("Every reviewing board has approved.", ("study", "expires"), (), ("protocol",)),
    Event.STUDY_SUSPENDED: EventInfo(
        "An officer suspended the study.", ("study", "institution", "epoch"), ("officer", "ground")
    ),
    Event.STUDY_CLOSED: EventInfo(
        "The leading institution ended the study.", ("study", "institution", "epoch"), ("officer", "ground")
    ),
    Event.MODEL_IMPORTED: EventInfo(
        "A model version was imported as sealed secret shares.",
        ("model", "institution", "kind", "parties"),
        (),
        ("manifest",),
    ),
    Event.DISCLOSURE_SIGNED: EventInfo(
        "A model's owner accepted that explanations disclose its weights.",
        ("model", "institution", "study"),
        (),
        ("disclosure",),
    ),
    Event.DEFINITION_REGISTERED: EventInfo(
        "A computation definition was registered.",
        ("study", "definition", "model"),
        (),
        ("definition", "schema", "design", "disclosure"),
    ),
    Event.DEFINITION_VOTED: EventInfo(
        "An institution approved or revoked a definition; the vote was relayed to the chain.",
        ("definition", "institution", "approve"),
        (),
        ("vote",),
    ),
    Event.CONSENT_GIVEN: EventInfo(
        "A person consented, by a statement that the institution signed.",
        ("study", "institution", "consent"),
        ("subject", "statement"),
    ),
    Event.CONSENT_WITHDRAWN: EventInfo(
        "A person withdrew consent.", ("study", "institution", "consent", "epoch"), ("subject", "statement")
    ),
    Event.VERDICT: EventInfo(
        "The one authority check answered a request, with every check by name.",
        ("study", "definition", "request", "institution", "authorised", "reasons", "epoch"),
        ("subject", "request_statement", "consent"),
        ("checks",),
    ),
    Event.JOB_RESERVED: EventInfo(
        "Every node accepted the ticket.", ("job", "request", "definition"), (), ("ticket", "acceptances")
    ),
    Event.JOB_ENDED: EventInfo(
        "A job ended without a result.", ("job", "request", "definition", "state", "reason"), (), ("answers",)
    ),
    Event.PREDICTION_RECORDED: EventInfo(
        "A prediction was computed; each party committed to its output share.",
        ("job", "request", "definition", "model", "study", "institution", "rounds", "bytes"),
        ("subject", "request_statement", "consent"),
        ("receipts", "ticket"),
    ),
    Event.EXPLANATION_RECORDED: EventInfo(
        "An explanation was computed in the same job.",
        ("job", "request", "definition", "model", "study", "institution", "prediction"),
        ("subject",),
        ("receipts", "design"),
    ),
    Event.RESULT_WITHHELD: EventInfo(
        "A result was computed and never released: authority had ended, or receipts disagreed.",
        ("job", "request", "definition", "reason", "epoch"),
        (),
        ("receipts",),
    ),
    Event.RESULT_DISPLAYED: EventInfo(
        "The requester's client says what it showed, to which role, and whether it was accepted.",
        ("job", "request", "institution"),
        ("display",),
    ),
    Event.DOSSIER_READ: EventInfo("Someone opened a decision's dossier.", ("request", "role"), ("reader",)),
    Event.LEGAL_HOLD_SET: EventInfo(
        "Destroying one subject's key was forbidden, for as long as a duty to keep its records lasts.",
        (),
        ("subject", "ground"),
    ),
    Event.LEGAL_HOLD_LIFTED: EventInfo("A legal hold ended.", (), ("subject", "ground")),
    Event.KEY_DESTROYED: EventInfo(
        "A subject's governance key was destroyed; its commitments are meaningless from now on.",
        ("ground",),
    ),
}
