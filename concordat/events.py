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
    MEMBER_REMOVED = "member.removed"
    SEAT_GIVEN = "seat.given"
    SEAT_ENDED = "seat.ended"
    DELEGATION_SIGNED = "delegation.signed"
    DELEGATION_ENDED = "delegation.ended"
    RELIANCE_PROPOSED = "reliance.proposed"
    RELIANCE_AGREED = "reliance.agreed"
    RELIANCE_ENDED = "reliance.ended"
    LOCAL_CONTEXT_FILED = "local-context.filed"
    STUDY_DRAFTED = "study.drafted"
    STUDY_SUBMITTED = "study.submitted"
    SUBMISSION_WITHDRAWN = "submission.withdrawn"
    SUBMISSION_SETTLED = "submission.settled"
    REVIEW_ROUTED = "review.routed"
    OPINION_GIVEN = "opinion.given"
    CONFLICT_DECLARED = "conflict.declared"
    CONFLICT_WITHDRAWN = "conflict.withdrawn"
    MEETING_SCHEDULED = "meeting.scheduled"
    MEETING_OPENED = "meeting.opened"
    MEETING_CLOSED = "meeting.closed"
    MEETING_CANCELLED = "meeting.cancelled"
    ITEM_PLACED = "agenda.placed"
    ITEM_TAKEN_OFF = "agenda.taken-off"
    ITEM_OPENED = "agenda.opened"
    ITEM_STOPPED = "agenda.stopped"
    ITEM_DECIDED = "agenda.decided"
    ATTENDANCE_MARKED = "attendance.marked"
    MOTION_MADE = "motion.made"
    BALLOT_CAST = "ballot.cast"
    REVIEW_SIGNED = "review.signed"
    CONDITIONS_VERIFIED = "conditions.verified"
    STUDY_APPROVED = "study.approved"
    STUDY_SUSPENDED = "study.suspended"
    STUDY_TERMINATED = "study.terminated"
    STUDY_EXPIRED = "study.expired"
    STUDY_CLOSED = "study.closed"
    INCIDENT_REPORTED = "incident.reported"
    INCIDENT_STEP = "incident.step"
    ATTACHMENT_ADDED = "attachment.added"
    DATA_USE_DECIDED = "data-use.decided"
    COMMENT_WRITTEN = "comment.written"
    RECORD_READ = "record.read"
    SUBJECT_EXPORTED = "subject.exported"
    SUBJECT_ACCOUNTED = "subject.accounted"
    ACCOUNTING_SUSPENDED = "accounting.suspended"
    ACCOUNTING_RESUMED = "accounting.resumed"
    MODEL_IMPORTED = "model.imported"
    MODEL_DESCRIBED = "model.described"
    MODEL_RECALLED = "model.recalled"
    DISCLOSURE_SIGNED = "disclosure.signed"
    DEFINITION_REGISTERED = "definition.registered"
    DEFINITION_VOTED = "definition.voted"
    CONSENT_GIVEN = "consent.given"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_LAPSED = "consent.lapsed"
    VERDICT = "verdict"
    JOB_RESERVED = "job.reserved"
    JOB_ENDED = "job.ended"
    PREDICTION_RECORDED = "prediction.recorded"
    EXPLANATION_RECORDED = "explanation.recorded"
    AUDIT_RECORDED = "audit.recorded"
    TRAINING_RECORDED = "training.recorded"
    RESULT_WITHHELD = "result.withheld"
    CANARIES_SEALED = "canaries.sealed"
    CANARY_FAILED = "canary.failed"
    TESTIMONY_MISSING = "testimony.missing"
    DEPARTURE_FOUND = "departure.found"
    RESULT_DISPLAYED = "result.displayed"
    RECORD_SEALED = "record.sealed"
    RECORD_HANDED_OUT = "record.handed-out"
    DOSSIER_READ = "dossier.read"
    MATTER_OPENED = "matter.opened"
    MATTER_NAMED = "matter.decision-named"
    MATTER_CHANGED = "matter.changed"
    MATTER_CLOSED = "matter.closed"
    GRANT_GIVEN = "grant.given"
    GRANT_ENDED = "grant.ended"
    PRIVILEGE_MARKED = "privilege.marked"
    PRIVILEGE_WITHDRAWN = "privilege.withdrawn"
    MATTER_DOSSIER_READ = "matter.dossier-read"
    PRODUCTION_MADE = "production.made"
    PRODUCTION_TAKEN = "production.taken"
    LEGAL_HOLD_SET = "legal-hold.set"
    LEGAL_HOLD_LIFTED = "legal-hold.lifted"
    RETENTION_SET = "retention.set"
    RETENTION_ENDED = "retention.ended"
    KEY_DESTROYED = "key.destroyed"
    HOLDER_TOLD = "holder.told"
    MASTER_KEY_CHANGED = "master-key.changed"
    MASTER_KEY_DESTROYED = "master-key.destroyed"
    ANCHOR_LOG_SUCCEEDED = "anchor-log.succeeded"


LEAF_VERSION = 1
"""Of what an entry looks like; `concordat.event_schema` says it field by field."""


@dataclass(frozen=True)
class EventInfo:
    """`public` and `private` name the allowed fields; `documents` the content-addressed documents it may carry."""

    description: str
    public: tuple[str, ...]
    private: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


MATTER_TOLD = ("title", "docket", "authority", "party", "purpose", "protective_order")
"""What a dossier that is read in a matter opens of it."""

EVENTS: dict[Event, EventInfo] = {
    Event.INSTITUTION_ENROLLED: EventInfo(
        "An institution's public keys were enrolled.",
        ("institution", "jurisdiction"),
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
    Event.MEMBER_REMOVED: EventInfo("A person's role at an institution ended.", ("institution", "role"), ("officer",)),
    Event.SEAT_GIVEN: EventInfo(
        "A person was given a seat on a board.", ("institution", "seat", "scientist", "alternate_for"), ("officer",)
    ),
    Event.SEAT_ENDED: EventInfo("A seat on a board ended.", ("institution", "seat"), ("officer",)),
    Event.DELEGATION_SIGNED: EventInfo(
        "A board's chair delegated a power to a member, with a scope and an end.",
        ("institution", "delegation", "scope", "study", "until"),
        ("officer",),
        ("delegation", "signature"),
    ),
    Event.DELEGATION_ENDED: EventInfo("A delegation ended early.", ("institution", "delegation"), ("officer",)),
    Event.RELIANCE_PROPOSED: EventInfo(
        "An officer of one institution signed that one should rely on the other's board.",
        ("institution", "relying", "agreement"),
        ("officer",),
    ),
    Event.RELIANCE_AGREED: EventInfo(
        "Officers of both institutions signed that one relies on the other's board (45 CFR 46.114).",
        ("institution", "relying", "agreement", "study"),
        (),
        ("agreement", "signatures"),
    ),
    Event.RELIANCE_ENDED: EventInfo(
        "A reliance agreement ended.", ("institution", "relying", "agreement", "epoch"), ("officer",)
    ),
    Event.LOCAL_CONTEXT_FILED: EventInfo(
        "A relying site said what is particular about it.",
        ("study", "institution", "board"),
        ("officer",),
        ("context", "signature"),
    ),
    Event.STUDY_DRAFTED: EventInfo(
        "An investigator began or changed a draft, which only the own institution sees.",
        ("institution",),
        ("officer", "study", "draft"),
    ),
    Event.STUDY_SUBMITTED: EventInfo(
        "A protocol version was submitted to the reviewing boards.",
        ("study", "institution", "boards", "submission", "kind"),
        ("submitter", "report"),
        ("protocol",),
    ),
    Event.SUBMISSION_WITHDRAWN: EventInfo(
        "The investigator took a submission back.", ("study", "institution", "submission"), ("officer",)
    ),
    Event.SUBMISSION_SETTLED: EventInfo(
        "What the boards decided together on a submission.", ("study", "submission", "kind", "state", "epoch")
    ),
    Event.REVIEW_ROUTED: EventInfo(
        "A board chose the path of a review.",
        ("study", "institution", "submission", "path", "category"),
        ("officer", "ground"),
    ),
    Event.OPINION_GIVEN: EventInfo(
        "A reviewer gave an opinion before the meeting.", ("study", "institution", "submission"), ("officer", "opinion")
    ),
    Event.CONFLICT_DECLARED: EventInfo(
        "A board's member declared a conflict of interest.", ("study", "institution"), ("officer", "ground")
    ),
    Event.CONFLICT_WITHDRAWN: EventInfo(
        "The chair found that a declared conflict had ended.", ("study", "institution"), ("officer", "ground")
    ),
    Event.MEETING_SCHEDULED: EventInfo(
        "A meeting of a board was called.", ("institution", "meeting", "kind", "at"), ("officer",)
    ),
    Event.MEETING_OPENED: EventInfo("A meeting began.", ("institution", "meeting"), ("officer",)),
    Event.MEETING_CLOSED: EventInfo("A meeting ended.", ("institution", "meeting"), ("officer",)),
    Event.MEETING_CANCELLED: EventInfo("A meeting was cancelled.", ("institution", "meeting"), ("officer", "ground")),
    Event.ITEM_PLACED: EventInfo(
        "A submission was put on a meeting's agenda.", ("study", "institution", "meeting", "submission"), ("officer",)
    ),
    Event.ITEM_TAKEN_OFF: EventInfo(
        "A submission that had not been taken up was taken off a meeting's agenda.",
        ("study", "institution", "meeting", "submission"),
        ("officer",),
    ),
    Event.ITEM_OPENED: EventInfo(
        "A meeting took up an item; a quorum was present.",
        ("study", "institution", "meeting", "submission", "present", "needed"),
        ("officer",),
    ),
    Event.ITEM_STOPPED: EventInfo(
        "An item was stopped: the quorum was lost, or the board adjourned it.",
        ("study", "institution", "meeting", "submission", "present", "needed", "minutes"),
        ("officer", "ground", "minutes_text"),
    ),
    Event.ITEM_DECIDED: EventInfo(
        "A meeting voted on an item; a motion without a majority has the outcome “motion-lost”.",
        ("study", "institution", "meeting", "submission", "outcome", "for", "against", "abstain", "recused", "minutes"),
        ("officer", "minutes_text"),
    ),
    Event.ATTENDANCE_MARKED: EventInfo(
        "Who was present for an item.",
        ("study", "institution", "meeting", "submission", "seat", "status"),
        ("officer",),
    ),
    Event.MOTION_MADE: EventInfo(
        "What a meeting votes on was put into words.",
        ("study", "institution", "meeting", "submission"),
        ("officer", "motion"),
    ),
    Event.BALLOT_CAST: EventInfo(
        "A member voted on an item.",
        ("study", "institution", "meeting", "submission", "seat"),
        ("officer", "choice", "reason"),
    ),
    Event.REVIEW_SIGNED: EventInfo(
        "A reviewing board's officer signed a determination.",
        ("study", "institution", "submission", "kind", "path", "determination", "method"),
        ("officer",),
        ("protocol", "determination", "signature"),
    ),
    Event.CONDITIONS_VERIFIED: EventInfo(
        "An officer of the board verified the conditions of its approval.",
        ("study", "institution", "submission", "method"),
        ("officer",),
        ("conditions", "signature"),
    ),
    Event.STUDY_APPROVED: EventInfo(
        "Every reviewing board has approved, and no condition is open.",
        ("study", "submission", "kind", "expires", "base"),
        (),
        ("protocol",),
    ),
    Event.STUDY_SUSPENDED: EventInfo(
        "An officer suspended the study.",
        ("study", "institution", "epoch", "method"),
        ("officer", "ground"),
        ("suspension", "signature"),
    ),
    Event.STUDY_TERMINATED: EventInfo(
        "A reviewing board ended its approval for good (45 CFR 46.113).",
        ("study", "institution", "epoch", "method"),
        ("officer", "ground"),
        ("termination", "signature"),
    ),
    Event.STUDY_EXPIRED: EventInfo("The approval lapsed.", ("study", "epoch", "expired")),
    Event.STUDY_CLOSED: EventInfo(
        "The leading institution ended the study.",
        ("study", "institution", "epoch", "method"),
        ("officer", "ground"),
        ("closure", "signature"),
    ),
    Event.INCIDENT_REPORTED: EventInfo(
        "An incident, unanticipated problem or breach was reported; its clock runs.",
        ("study", "institution", "incident", "kind", "discovered", "due"),
        ("officer", "text"),
    ),
    Event.INCIDENT_STEP: EventInfo(
        "What was done about an incident.",
        ("study", "institution", "incident", "step", "late"),
        ("officer", "text"),
    ),
    Event.ATTACHMENT_ADDED: EventInfo(
        "A document was attached, by its digest.",
        ("study", "institution", "kind", "attachment", "expires"),
        ("officer",),
    ),
    Event.DATA_USE_DECIDED: EventInfo(
        "A data steward decided whether terms of use allow a study.",
        ("study", "institution", "allowed", "base", "method"),
        ("officer",),
        ("decision", "signature"),
    ),
    Event.COMMENT_WRITTEN: EventInfo("Somebody commented on a study.", ("study", "institution"), ("officer", "text")),
    Event.RECORD_READ: EventInfo("Somebody opened a sensitive page.", ("page", "study", "institution"), ("reader",)),
    Event.SUBJECT_EXPORTED: EventInfo(
        "Everything held on a person was exported for them (GDPR Article 15).", ("institution",), ("subject",)
    ),
    Event.SUBJECT_ACCOUNTED: EventInfo(
        "An institution was given the account of what was disclosed of a person (45 CFR 164.528).",
        ("institution",),
        ("subject", "since", "until", "document"),
    ),
    Event.ACCOUNTING_SUSPENDED: EventInfo(
        "A person's right to the account of disclosures to an agency was suspended for some time, at its request "
        "(45 CFR 164.528(a)(2)).",
        ("institution",),
        ("recipient", "ground", "until", "oral"),
    ),
    Event.ACCOUNTING_RESUMED: EventInfo(
        "A suspension of the account of disclosures ended early.",
        ("institution",),
        ("recipient", "ground", "until", "oral"),
    ),
    Event.MODEL_IMPORTED: EventInfo(
        "A model version was imported as sealed secret shares.",
        ("model", "institution", "kind", "parties"),
        (),
        ("manifest",),
    ),
    Event.MODEL_DESCRIBED: EventInfo(
        "A model's owner signed a model card, which takes the place of the one before it.",
        ("model", "institution", "sequence"),
        (),
        ("card",),
    ),
    Event.MODEL_RECALLED: EventInfo(
        "A model's owner recalled it, as a maker does a device (21 CFR 7, EU MDR Article 89): nothing is computed with "
        "it any more.",
        ("model", "institution", "reason", "classification"),
        (),
        ("recall",),
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
    Event.CONSENT_LAPSED: EventInfo(
        "A person for whom another had consented decides for themself from now on.",
        ("study", "institution", "consent", "epoch"),
        ("subject", "statement"),
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
    Event.AUDIT_RECORDED: EventInfo(
        "An audit was computed: counts of a model's answers, to which each party's output share is a commitment.",
        ("job", "request", "definition", "model", "study", "institution", "design", "rounds", "bytes"),
        ("subject", "request_statement"),
        ("receipts", "ticket", "design"),
    ),
    Event.TRAINING_RECORDED: EventInfo(
        "A model was trained; each party committed to its share of the weights, which nobody knows.",
        ("job", "request", "definition", "model", "study", "institution", "design", "rounds", "bytes"),
        ("subject", "request_statement"),
        ("receipts", "ticket", "design"),
    ),
    Event.RESULT_WITHHELD: EventInfo(
        "A result was computed and never released: authority had ended, or receipts disagreed.",
        ("job", "request", "definition", "reason", "epoch"),
        (),
        ("receipts",),
    ),
    Event.CANARIES_SEALED: EventInfo(
        "A model's owner sealed canaries to requesters: records with known results, to catch a node that cheats.",
        ("model", "institution", "design", "target", "requesters"),
    ),
    Event.CANARY_FAILED: EventInfo(
        "A record with a known result came back with another one; the job's result is withheld from then on. "
        "`examination` says whether the nodes were asked for what names who cheated, or it was too late for that.",
        ("job", "request", "definition", "model", "institution", "examination"),
        (),
        ("alarm",),
    ),
    Event.TESTIMONY_MISSING: EventInfo(
        "A node that was asked about a false canary did not testify in time.",
        ("job", "request", "definition", "institution"),
        (),
        ("alarm",),
    ),
    Event.DEPARTURE_FOUND: EventInfo(
        "The model's owner examined the false canary, and says which nodes departed from the protocol, or that the "
        "requester's alarm was false or of no use.",
        ("job", "request", "definition", "institution", "departures"),
        (),
        ("alarm", "testimonies", "finding"),
    ),
    Event.RESULT_DISPLAYED: EventInfo(
        "The requester's client says what it showed to which role, or kept or took back, and what was made of it.",
        ("job", "request", "institution"),
        ("display",),
    ),
    Event.RECORD_SEALED: EventInfo(
        "The requester handed in what reopens the decision, sealed to its records key and its escrow.",
        ("job", "request", "institution", "stage", "package", "records_key", "escrow_key"),
        (),
        ("statement",),
    ),
    Event.RECORD_HANDED_OUT: EventInfo(
        "What reopens the decision was handed out, sealed as it is.",
        ("job", "request", "institution", "role", "ground"),
    ),
    Event.DOSSIER_READ: EventInfo(
        "Someone opened a decision's dossier, as a page or as a file. `opened` names the private fields that they saw.",
        ("request", "role", "form"),
        ("reader", "institution", "opened"),
    ),
    Event.MATTER_OPENED: EventInfo(
        "A legal matter was opened: under whose authority dossiers may be read and produced, and for what.",
        ("matter",),
        (*MATTER_TOLD, "ends", "officer"),
    ),
    Event.MATTER_NAMED: EventInfo("A decision was named in a matter.", ("matter",), ("record", "officer")),
    Event.MATTER_CHANGED: EventInfo("A matter's end was moved.", ("matter",), ("ends", "officer")),
    Event.MATTER_CLOSED: EventInfo("A matter was closed; nobody reads in it any more.", ("matter",), ("officer",)),
    Event.GRANT_GIVEN: EventInfo(
        "A legal reviewer was let into a matter, for some time and for its purpose.",
        ("matter",),
        ("grant", "reviewer", "starts", "until", "officer"),
    ),
    Event.GRANT_ENDED: EventInfo("A grant in a matter ended early.", ("matter",), ("grant", "reviewer", "officer")),
    Event.PRIVILEGE_MARKED: EventInfo(
        "Something was marked as privileged in a matter: it is withheld from then on.",
        ("matter",),
        ("mark", "record", "part", "ground", "basis", "officer"),
    ),
    Event.PRIVILEGE_WITHDRAWN: EventInfo("A mark of privilege was withdrawn.", ("matter",), ("mark", "officer")),
    Event.MATTER_DOSSIER_READ: EventInfo(
        "A dossier was opened in a matter, as a page or as a file; whose, only that matter knows.",
        ("matter",),
        ("reader", "request", "record", "form", "opened"),
    ),
    Event.PRODUCTION_MADE: EventInfo(
        "Numbered copies were made in a matter, to be handed to whoever asked for them.",
        ("matter",),
        ("production", "numbers", "digest", "records", "opened", "officer"),
    ),
    Event.PRODUCTION_TAKEN: EventInfo(
        "The file of a production was taken from the service.", ("matter",), ("production", "digest", "reader")
    ),
    Event.LEGAL_HOLD_SET: EventInfo(
        "Destroying one subject's key was forbidden, for as long as a duty to keep its records lasts.",
        (),
        ("subject", "ground", "exemption", "until"),
    ),
    Event.LEGAL_HOLD_LIFTED: EventInfo("A legal hold ended.", (), ("subject", "ground", "exemption", "until")),
    Event.RETENTION_SET: EventInfo(
        "An institution has to keep records for some time: until then they are not erased (GDPR Article 17(3)).",
        ("institution", "study", "rule", "days", "exemption", "law"),
    ),
    Event.RETENTION_ENDED: EventInfo("A retention rule ended.", ("institution", "study", "rule")),
    Event.KEY_DESTROYED: EventInfo(
        "A subject's governance key was destroyed; its commitments are meaningless from now on.",
        ("ground",),
    ),
    Event.MASTER_KEY_CHANGED: EventInfo(
        "All subjects' keys were wrapped under a new master key; the earlier one is kept until then, for backups.",
        ("key", "until"),
    ),
    Event.MASTER_KEY_DESTROYED: EventInfo(
        "A master key that had been replaced was destroyed: what backups of before hold of subjects' keys does not "
        "open any more.",
        ("key",),
    ),
    Event.ANCHOR_LOG_SUCCEEDED: EventInfo(
        "Heads go to another contract from now on: its predecessor was sealed to it by a quorum, at the anchor of that "
        "number.",
        ("chain", "log", "predecessor", "sequence", "registry"),
    ),
    Event.HOLDER_TOLD: EventInfo(
        "An institution that holds what was disclosed of a person was told of the erasure (GDPR Article 19).",
        ("institution", "destroyed"),
        ("records",),
    ),
}
