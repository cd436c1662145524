"""Every way in which Concordat says no: a stable code, a sentence, what to do about it, and the HTTP status.

A code never changes its meaning and is never reused. `docs/reference/reasons.md` is generated from this file.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Stable codes, grouped by who runs into them first."""

    # any document
    MALFORMED = "malformed"
    FIELD_MISSING = "field-missing"
    FIELD_UNKNOWN = "field-unknown"
    FIELD_INVALID = "field-invalid"
    DIGEST_MISMATCH = "digest-mismatch"
    EXPIRED = "expired"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    FILE_UNREADABLE = "file-unreadable"
    # an institution's own folder
    HOME_INCOMPLETE = "home-incomplete"
    HOME_TAKEN = "home-taken"
    HOME_UNUSABLE = "home-unusable"
    WORKER_RUNNING = "worker-running"
    # keys, signatures, seals
    SIGNATURE_INVALID = "signature-invalid"
    KEY_UNKNOWN = "key-unknown"
    KEY_REVOKED = "key-revoked"
    KEY_CHANGE_OUT_OF_ORDER = "key-change-out-of-order"
    KEYRING_UNAVAILABLE = "keyring-unavailable"
    KEYSTORE_UNSAFE = "keystore-unsafe"
    SEAL_BROKEN = "seal-broken"
    COMMITMENT_MISMATCH = "commitment-mismatch"
    PASSKEY_INVALID = "passkey-invalid"
    # clinical input
    CODE_UNKNOWN = "code-unknown"
    UNIT_WRONG = "unit-wrong"
    VALUE_OUT_OF_RANGE = "value-out-of-range"
    VALUE_TOO_OLD = "value-too-old"
    FEATURE_MISSING = "feature-missing"
    BUNDLE_INVALID = "bundle-invalid"
    DESIGN_IMPLAUSIBLE = "design-implausible"
    # authority
    SIGN_IN_REQUIRED = "sign-in-required"
    SIGN_IN_REFUSED = "sign-in-refused"
    LINK_EXPIRED = "link-expired"
    FORM_FOREIGN = "form-foreign"
    PASSWORD_WRONG = "password-wrong"  # noqa: S105  (a code, no password)
    SECOND_FACTOR_WRONG = "second-factor-wrong"
    SECOND_FACTOR_MISSING = "second-factor-missing"
    SCOPE_MISSING = "scope-missing"
    ROLE_MISSING = "role-missing"
    WRONG_INSTITUTION = "wrong-institution"
    WRONG_STATE = "wrong-state"
    GRANT_MISSING = "grant-missing"
    SELF_GRANT = "self-grant"
    STUDY_NOT_APPROVED = "study-not-approved"
    STUDY_EXPIRED = "study-expired"
    ATTESTED_ONLY = "attested-only"
    FINDING_MISSING = "finding-missing"
    OUTCOME_NOT_ALLOWED = "outcome-not-allowed"
    CONDITIONS_OPEN = "conditions-open"
    RELIANCE_MISSING = "reliance-missing"
    LOCAL_CONTEXT_MISSING = "local-context-missing"
    CONFLICT_OF_INTEREST = "conflict-of-interest"
    BOARD_QUORUM_LOST = "board-quorum-lost"
    MEETING_NEEDED = "meeting-needed"
    ATTACHMENT_MISSING = "attachment-missing"
    ATTACHMENT_EXPIRED = "attachment-expired"
    LEGAL_BASIS_MISSING = "legal-basis-missing"
    DATA_USE_DENIED = "data-use-denied"
    DATA_USE_UNDECIDED = "data-use-undecided"
    EMERGENT_USE_REFUSED = "emergent-use-refused"
    BUDGET_SPENT = "budget-spent"
    KIND_NOT_ALLOWED = "kind-not-allowed"
    RECONSENT_NEEDED = "reconsent-needed"
    DEFINITION_UNKNOWN = "definition-unknown"
    DEFINITION_EXPIRED = "definition-expired"
    DEFINITION_NOT_APPROVED = "definition-not-approved"
    QUORUM_MISSING = "quorum-missing"
    DISCLOSURE_REQUIRED = "disclosure-required"
    MODEL_UNKNOWN = "model-unknown"
    MODEL_RECALLED = "model-recalled"
    PURPOSE_NOT_ALLOWED = "purpose-not-allowed"
    REQUESTER_NOT_ALLOWED = "requester-not-allowed"
    TRANSFER_BASIS_MISSING = "transfer-basis-missing"
    CONSENT_MISSING = "consent-missing"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CONSENT_EXPIRED = "consent-expired"
    NOT_IN_STUDY = "not-in-study"
    SELF_REVIEW = "self-review"
    ROSTER_MISSING = "roster-missing"
    VOTE_INVALID = "vote-invalid"
    VOTE_PENDING = "vote-pending"
    # nodes
    POLICY_MISSING = "policy-missing"
    POLICY_REFUSES = "policy-refuses"
    TICKET_EXPIRED = "ticket-expired"
    TICKET_REPLAYED = "ticket-replayed"
    WRONG_PARTY = "wrong-party"
    NODE_BUSY = "node-busy"
    NODE_SILENT = "node-silent"
    COMPANION_REFUSED = "companion-refused"
    # the engine
    PEER_UNVERIFIED = "peer-unverified"
    PROVIDER_UNSAFE = "provider-unsafe"
    RANDOMNESS_USED = "randomness-used"
    INPUT_OUT_OF_RANGE = "input-out-of-range"
    MODEL_OUT_OF_RANGE = "model-out-of-range"
    PEER_LOST = "peer-lost"
    PEER_ABSENT = "peer-absent"
    ENGINE_FAILED = "engine-failed"
    RESULT_OUT_OF_RANGE = "result-out-of-range"
    RECEIPTS_DISAGREE = "receipts-disagree"
    CANARIES_MISSING = "canaries-missing"
    CANARY_FAILED = "canary-failed"
    TAPE_MISSING = "tape-missing"
    ALARM_TOO_LATE = "alarm-too-late"
    RESULT_NOT_READY = "result-not-ready"
    RESULT_WITHHELD = "result-withheld"
    AUTHORITY_ENDED = "authority-ended"
    # services behind
    MAIL_UNAVAILABLE = "mail-unavailable"
    BROKER_UNAVAILABLE = "broker-unavailable"
    CHAIN_UNAVAILABLE = "chain-unavailable"
    CHAIN_WRONG = "chain-wrong"
    CHAIN_REVERTED = "chain-reverted"
    CHAIN_AHEAD = "chain-ahead"
    ANCHOR_LOG_CLOSED = "anchor-log-closed"
    CHAIN_TOO_DEAR = "chain-too-dear"
    SIGNER_UNAVAILABLE = "signer-unavailable"
    SIGNER_REFUSED = "signer-refused"
    TIMESTAMP_AUTHORITY_UNAVAILABLE = "timestamp-authority-unavailable"
    COORDINATOR_UNAVAILABLE = "coordinator-unavailable"
    EHR_UNAVAILABLE = "ehr-unavailable"
    EHR_REFUSED = "ehr-refused"
    OMOP_UNAVAILABLE = "omop-unavailable"
    OMOP_INVALID = "omop-invalid"
    DATA_UNSTATED = "data-unstated"
    # the ledger
    RECORD_NUMBER_INVALID = "record-number-invalid"
    LEGAL_HOLD = "legal-hold"
    RETENTION_DUTY = "retention-duty"
    SHARES_TOO_FEW = "shares-too-few"
    ERASED = "erased"
    ENTRY_ALTERED = "entry-altered"
    INCLUSION_INVALID = "inclusion-invalid"
    CONSISTENCY_INVALID = "consistency-invalid"
    CHECKPOINT_OLDER = "checkpoint-older"
    CHECKPOINT_INVALID = "checkpoint-invalid"
    COSIGNATURE_INVALID = "cosignature-invalid"
    WITNESS_ELSEWHERE = "witness-elsewhere"
    WITNESSES_MISSING = "witnesses-missing"
    WITNESSES_TOO_FEW = "witnesses-too-few"
    TIMESTAMP_MALFORMED = "timestamp-malformed"
    TIMESTAMP_REFUSED = "timestamp-refused"
    TIMESTAMP_MISMATCH = "timestamp-mismatch"
    TIMESTAMP_REPLAYED = "timestamp-replayed"
    TIMESTAMP_POLICY_WRONG = "timestamp-policy-wrong"
    TIMESTAMP_SIGNATURE_INVALID = "timestamp-signature-invalid"
    TIMESTAMP_AUTHORITY_UNFIT = "timestamp-authority-unfit"
    TIMESTAMP_AUTHORITY_UNTRUSTED = "timestamp-authority-untrusted"
    TIMESTAMP_AUTHORITY_NOT_GIVEN = "timestamp-authority-not-given"
    TIME_ASSERTED = "time-asserted"
    TIME_CONTRADICTED = "time-contradicted"
    ANCHOR_MISMATCH = "anchor-mismatch"
    ANCHOR_LOG_OTHER = "anchor-log-other"
    ANCHOR_MISSING = "anchor-missing"
    INCOMPLETE = "incomplete"
    MATTER_MISMATCH = "matter-mismatch"
    LOG_MISSING = "log-missing"
    LOG_SHORT = "log-short"
    LOG_DIVERGES = "log-diverges"
    OPENING_MISMATCH = "opening-mismatch"
    OPERATOR_FALSE = "operator-false"
    DOCUMENT_ALTERED = "document-altered"
    NO_DOSSIER = "no-dossier"
    BUNDLE_ALTERED = "bundle-altered"
    SEQUENCE_BROKEN = "sequence-broken"
    KEY_RESURRECTED = "key-resurrected"
    NOT_DISCLOSED = "not-disclosed"
    REPLAY_MODEL_OTHER = "replay-model-other"
    REPLAY_DIFFERS = "replay-differs"
    # requests
    RATE_LIMITED = "rate-limited"
    TOO_LARGE = "too-large"
    PRECONDITION_MISSING = "precondition-missing"
    PRECONDITION_FAILED = "precondition-failed"
    MESSAGE_REPLAYED = "message-replayed"
    MESSAGE_IN_HAND = "message-in-hand"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    MEDIA_TYPE_WRONG = "media-type-wrong"
    INTERNAL = "internal"


@dataclass(frozen=True)
class ReasonInfo:
    """What a person is told: one sentence, what to do, and the status of an HTTP answer that carries it."""

    sentence: str
    remedy: str
    status: int


REASONS: dict[Reason, ReasonInfo] = {
    Reason.MALFORMED: ReasonInfo(
        "The document cannot be read in exactly one way.",
        "Send canonical JSON: no duplicate keys, no floats, decimals as strings.",
        400,
    ),
    Reason.FIELD_MISSING: ReasonInfo("A required field is missing.", "Add the named field.", 422),
    Reason.FIELD_UNKNOWN: ReasonInfo("A field is not known here.", "Remove the named field, or correct its name.", 422),
    Reason.FIELD_INVALID: ReasonInfo("A field's value is not allowed.", "Correct the named field.", 422),
    Reason.DIGEST_MISMATCH: ReasonInfo(
        "A digest differs from the document it names.",
        "Fetch the document again and name the digest of exactly those bytes.",
        409,
    ),
    Reason.EXPIRED: ReasonInfo("The document's time has passed.", "Issue a new one.", 403),
    Reason.NOT_FOUND: ReasonInfo("There is no such thing, or it is not yours to see.", "Check the identifier.", 404),
    Reason.CONFLICT: ReasonInfo(
        "The same identifier was used before with other content.",
        "Repeat the first content unchanged, or choose a new identifier.",
        409,
    ),
    Reason.FILE_UNREADABLE: ReasonInfo(
        "A file does not hold what it should.", "Check that it is the file you meant, and whole.", 422
    ),
    Reason.HOME_INCOMPLETE: ReasonInfo(
        "The institution's folder is not set up.",
        "Name the right folder with --home, or set it up: `init` makes keys and settings, `pin` installs pins.json.",
        409,
    ),
    Reason.HOME_TAKEN: ReasonInfo(
        "An institution lives in this folder already.",
        "Choose another folder with --home; what is here stays as it is.",
        409,
    ),
    Reason.HOME_UNUSABLE: ReasonInfo(
        "The institution's folder cannot be written.", "Choose a folder of your own with --home.", 500
    ),
    Reason.WORKER_RUNNING: ReasonInfo(
        "Another worker is at work on this bedside's store.",
        "One is enough: let it go on, or stop it before you start another.",
        409,
    ),
    Reason.SIGNATURE_INVALID: ReasonInfo(
        "A signature does not belong to this document.", "Sign exactly the bytes that you send.", 403
    ),
    Reason.KEY_UNKNOWN: ReasonInfo(
        "The key is not one that was enrolled or pinned here.",
        "Check the institution's name; have its key enrolled or pinned, or sign with one that is.",
        403,
    ),
    Reason.KEY_REVOKED: ReasonInfo(
        "The institution has revoked this key.",
        "Use the key that replaced it: `pin --update` fetches the institutions' signed key changes.",
        403,
    ),
    Reason.KEY_CHANGE_OUT_OF_ORDER: ReasonInfo(
        "A key change does not follow the last one of its institution.",
        "Apply an institution's changes in the order of their numbers; two different ones with the same number are "
        "for the institution to explain.",
        409,
    ),
    Reason.KEYRING_UNAVAILABLE: ReasonInfo(
        "The operating system's keyring does not give what opens the keys.",
        "Unlock it and try again; without a desktop session, or on another machine, give the passphrase by "
        "--passphrase-file.",
        409,
    ),
    Reason.KEYSTORE_UNSAFE: ReasonInfo(
        "The key folder can be read by other users of the machine, or lacks a key.",
        "Restrict the folder to its owner (chmod 700, files 600) and check that every key is there.",
        500,
    ),
    Reason.SEAL_BROKEN: ReasonInfo(
        "A sealed value does not open with this key in this context.",
        "Seal again, to the recipient's current key and for this very request.",
        422,
    ),
    Reason.COMMITMENT_MISMATCH: ReasonInfo(
        "A share is not the one that was committed to.", "Build the request again from the original record.", 422
    ),
    Reason.PASSKEY_INVALID: ReasonInfo(
        "The passkey's answer does not prove that this officer signed this record.",
        "Sign again with the enrolled passkey, on the page that shows the record.",
        403,
    ),
    Reason.CODE_UNKNOWN: ReasonInfo(
        "A code is not one that the feature schema knows.", "Map the code to one of the schema's.", 422
    ),
    Reason.UNIT_WRONG: ReasonInfo(
        "A value comes in another unit than the feature schema asks for.", "Convert the value to the named unit.", 422
    ),
    Reason.VALUE_OUT_OF_RANGE: ReasonInfo(
        "A value lies outside the range that is possible for this feature.", "Check the record at its source.", 422
    ),
    Reason.VALUE_TOO_OLD: ReasonInfo(
        "A value was taken longer ago than the feature schema allows, or does not say when.",
        "Take it again, or do not ask for this prediction.",
        422,
    ),
    Reason.FEATURE_MISSING: ReasonInfo(
        "A feature that may not be imputed is missing.", "Supply the value, or do not ask for this prediction.", 422
    ),
    Reason.DESIGN_IMPLAUSIBLE: ReasonInfo(
        "An explanation would rest on more clinically impossible records than the definition allows.",
        "Check the record at its source; near the edge of a range, ask under a definition whose design moves it less.",
        422,
    ),
    Reason.BUNDLE_INVALID: ReasonInfo(
        "This is not a FHIR R4 Bundle of one patient that can be read.",
        "Give a whole Bundle with one Patient and that patient's resources.",
        422,
    ),
    Reason.SIGN_IN_REQUIRED: ReasonInfo("No valid access token came with the request.", "Ask for a token first.", 401),
    Reason.SIGN_IN_REFUSED: ReasonInfo(
        "The client assertion was refused.", "Sign a fresh assertion with an enrolled client key.", 401
    ),
    Reason.LINK_EXPIRED: ReasonInfo(
        "The link or the page has expired, or it is another browser's.",
        "Open the patient's chart again, and follow the new link.",
        403,
    ),
    Reason.FORM_FOREIGN: ReasonInfo(
        "The form was not made by the page for which it was sent.", "Open the page again and use its own form.", 403
    ),
    Reason.PASSWORD_WRONG: ReasonInfo("The password is not yours.", "Enter your own password once more.", 403),
    Reason.SECOND_FACTOR_WRONG: ReasonInfo(
        "The code is not right, or was used before.",
        "Enter the code that the app shows now, or wait for the next.",
        403,
    ),
    Reason.SECOND_FACTOR_MISSING: ReasonInfo(
        "There is no authenticator app on this account.", "Set one up under “Second factors” first.", 403
    ),
    Reason.SCOPE_MISSING: ReasonInfo(
        "The access token does not cover this.", "Ask for a token with the named scope.", 403
    ),
    Reason.ROLE_MISSING: ReasonInfo("Your role does not include this.", "Ask someone who holds the named role.", 403),
    Reason.WRONG_INSTITUTION: ReasonInfo(
        "This belongs to another institution.", "Act for your own institution only.", 403
    ),
    Reason.WRONG_STATE: ReasonInfo(
        "This is not possible in the present state.", "See where it stands now, and what can follow from there.", 409
    ),
    Reason.SELF_GRANT: ReasonInfo(
        "Nobody lets themself into a matter.", "Ask another administrator of your institution to give the grant.", 403
    ),
    Reason.GRANT_MISSING: ReasonInfo(
        "A legal reviewer reads a decision in a matter that names it, while a grant lasts.",
        "Ask your institution's administrator to name the decision in a matter, and to give you a grant in it.",
        403,
    ),
    Reason.STUDY_NOT_APPROVED: ReasonInfo(
        "The study is not approved by every reviewing board.", "Wait for the boards that have not decided.", 403
    ),
    Reason.STUDY_EXPIRED: ReasonInfo("The study's approval has lapsed.", "Ask for continuing review.", 403),
    Reason.ATTESTED_ONLY: ReasonInfo(
        "This signature was made without a passkey: it can be attested, but nobody else can verify it.",
        "Have an officer sign with a passkey that the institution's signed roster lists.",
        403,
    ),
    Reason.FINDING_MISSING: ReasonInfo(
        "A finding that the regulation asks for is not made.",
        "Make the finding, or choose another outcome.",
        422,
    ),
    Reason.OUTCOME_NOT_ALLOWED: ReasonInfo(
        "This review cannot end like that.",
        "Refer the submission to the full board, or choose another outcome.",
        409,
    ),
    Reason.CONDITIONS_OPEN: ReasonInfo(
        "The approval has conditions that nobody has verified yet.",
        "Have the board's chair or its delegate verify the conditions and sign.",
        403,
    ),
    Reason.RELIANCE_MISSING: ReasonInfo(
        "No agreement in force says that this site relies on this board.",
        "Have officers of both institutions sign a reliance agreement.",
        403,
    ),
    Reason.LOCAL_CONTEXT_MISSING: ReasonInfo(
        "A site that relies on this board has not said what is particular about it.",
        "Have the relying site file and sign its local context.",
        409,
    ),
    Reason.CONFLICT_OF_INTEREST: ReasonInfo(
        "Who has declared a conflict of interest takes no part in this.",
        "Leave it to a member without a conflict.",
        403,
    ),
    Reason.BOARD_QUORUM_LOST: ReasonInfo(
        "The board has no quorum for this item: a majority of its roster, with a non-scientist present.",
        "Wait until enough members are present, seat an alternate, or stop the item.",
        409,
    ),
    Reason.MEETING_NEEDED: ReasonInfo(
        "This is for the convened board to decide.",
        "Put the submission on the agenda of a meeting.",
        409,
    ),
    Reason.ATTACHMENT_MISSING: ReasonInfo(
        "A document that the protocol asks for has not been attached.",
        "Attach the document that is named.",
        403,
    ),
    Reason.ATTACHMENT_EXPIRED: ReasonInfo(
        "A document that the protocol asks for has expired.",
        "Attach a document that is in force.",
        403,
    ),
    Reason.LEGAL_BASIS_MISSING: ReasonInfo(
        "The protocol states no legal ground for this use, or the stated one does not hold.",
        "Amend the protocol, or supply what the ground asks for.",
        403,
    ),
    Reason.DATA_USE_DENIED: ReasonInfo(
        "The terms of an institution's data do not allow this use.",
        "Change the use, or agree on other terms with the data's owner.",
        403,
    ),
    Reason.DATA_USE_UNDECIDED: ReasonInfo(
        "Whether the terms of an institution's data allow this use needs a person's decision.",
        "Have a data steward of that institution decide and sign.",
        403,
    ),
    Reason.EMERGENT_USE_REFUSED: ReasonInfo(
        "The definition does not allow emergent use. A secure job is not an emergency service.",
        "Treat the patient by local guidelines; ask with the urgency “routine” if time allows.",
        403,
    ),
    Reason.BUDGET_SPENT: ReasonInfo(
        "The number of computations that the definition allows is used up.",
        "Wait for the next day where the budget is a daily one, or agree on another definition.",
        403,
    ),
    Reason.KIND_NOT_ALLOWED: ReasonInfo(
        "The definition is for another kind of computation.",
        "Use a definition of the kind that is asked for.",
        403,
    ),
    Reason.RECONSENT_NEEDED: ReasonInfo(
        "The person can decide for themself by now; what another signed for them no longer counts.",
        "Ask the person, and hand in their own consent.",
        403,
    ),
    Reason.DEFINITION_UNKNOWN: ReasonInfo(
        "No such computation definition is registered.", "Register the definition, or correct its digest.", 404
    ),
    Reason.DEFINITION_EXPIRED: ReasonInfo(
        "The computation definition is no longer valid.", "Register and approve a new definition.", 403
    ),
    Reason.DEFINITION_NOT_APPROVED: ReasonInfo(
        "An institution whose data, shares or node are used has not approved the definition.",
        "Ask the named institution for its approval; a quorum does not replace it.",
        403,
    ),
    Reason.QUORUM_MISSING: ReasonInfo(
        "Too few institutions have approved the definition on chain.", "Wait for the missing approvals.", 403
    ),
    Reason.DISCLOSURE_REQUIRED: ReasonInfo(
        "One explanation of a linear model gives its weights away.",
        "Have the model's owner sign `disclosure: full`, or choose another model.",
        403,
    ),
    Reason.MODEL_UNKNOWN: ReasonInfo("No such model version was imported.", "Import the model first.", 404),
    Reason.MODEL_RECALLED: ReasonInfo(
        "The model was recalled by its owner.",
        "Do as the owner's advice says, which `concordat model show` prints; a corrected model is another version.",
        403,
    ),
    Reason.PURPOSE_NOT_ALLOWED: ReasonInfo(
        "The purpose is not one that the definition allows.", "Use a purpose that the definition names.", 403
    ),
    Reason.REQUESTER_NOT_ALLOWED: ReasonInfo(
        "The definition does not let this institution ask.", "Amend the definition to name the institution.", 403
    ),
    Reason.TRANSFER_BASIS_MISSING: ReasonInfo(
        "Shares would cross a border without a stated legal basis.", "State the basis in the definition.", 403
    ),
    Reason.CONSENT_MISSING: ReasonInfo(
        "There is no consent of this person for this study and purpose.", "Ask for consent first.", 403
    ),
    Reason.CONSENT_WITHDRAWN: ReasonInfo("The person has withdrawn consent.", "Respect it: nothing is computed.", 403),
    Reason.CONSENT_EXPIRED: ReasonInfo("The consent's period is over.", "Ask for consent again.", 403),
    Reason.NOT_IN_STUDY: ReasonInfo(
        "By the health record, the person does not take part in the study, or not any more.",
        "Respect it: nothing is computed. Where the record is wrong, have the ResearchSubject corrected at its source.",
        403,
    ),
    Reason.SELF_REVIEW: ReasonInfo("Nobody reviews a study of their own.", "Let another member decide.", 403),
    Reason.ROSTER_MISSING: ReasonInfo(
        "The institution's signed roster does not list this passkey.",
        "Have the institution sign a roster that lists it, with its offline key.",
        403,
    ),
    Reason.VOTE_INVALID: ReasonInfo(
        "The vote was not signed by the institution it names, or is stale.",
        "Sign a new vote with the institution's chain key and the next nonce.",
        403,
    ),
    Reason.VOTE_PENDING: ReasonInfo(
        "The vote was handed in, and no block of the chain that the coordinator has seen holds it.",
        "It counts once one does: look at the definition again. It is not lost, and to approve again is no harm.",
        409,
    ),
    Reason.POLICY_MISSING: ReasonInfo(
        "The node has no policy file, so it refuses everything.", "Write the node's policy file.", 403
    ),
    Reason.POLICY_REFUSES: ReasonInfo(
        "The node's own policy does not allow this.", "Ask the institution that runs the node.", 403
    ),
    Reason.TICKET_EXPIRED: ReasonInfo("The ticket's time has passed.", "Submit the request again.", 403),
    Reason.TICKET_REPLAYED: ReasonInfo("The ticket was used before.", "A ticket serves once; ask for a new one.", 409),
    Reason.WRONG_PARTY: ReasonInfo(
        "This share or ticket is for another party.", "Check which party each share was sealed to.", 403
    ),
    Reason.NODE_BUSY: ReasonInfo("The node's engine is taken.", "Try again shortly.", 503),
    Reason.NODE_SILENT: ReasonInfo(
        "A node did not answer in time.", "Check the node; the request can be repeated.", 504
    ),
    Reason.COMPANION_REFUSED: ReasonInfo(
        "A request that was to be computed together with this one was refused or fell out.",
        "Before the computation it is asked again by itself; after that, make a new request.",
        503,
    ),
    Reason.PEER_UNVERIFIED: ReasonInfo(
        "Whoever connected does not hold the certificate that its node named for this job.",
        "Nothing was sent; look for somebody between the nodes before the request is repeated.",
        502,
    ),
    Reason.PROVIDER_UNSAFE: ReasonInfo(
        "The source of correlated randomness would let one party see everything.",
        "Run the trusted third party at a body that is no compute party.",
        500,
    ),
    Reason.RANDOMNESS_USED: ReasonInfo(
        "This correlated randomness has served already, or was dealt for something else.",
        "Nothing was opened; the request can be repeated, and is then dealt for afresh.",
        500,
    ),
    Reason.INPUT_OUT_OF_RANGE: ReasonInfo(
        "The secret record has values outside the ranges that the feature schema declares.",
        "Prepare the request with the client, which checks each value by name.",
        422,
    ),
    Reason.MODEL_OUT_OF_RANGE: ReasonInfo(
        "For some record in the schema's ranges the model's numbers would not fit the secure arithmetic.",
        "Rescale the model's weights, or narrow the schema's ranges.",
        422,
    ),
    Reason.PEER_LOST: ReasonInfo(
        "Another party left during the computation.", "Nothing was opened; the request can be repeated.", 502
    ),
    Reason.PEER_ABSENT: ReasonInfo(
        "Another party did not arrive in time.", "Nothing was opened; the request can be repeated.", 504
    ),
    Reason.ENGINE_FAILED: ReasonInfo(
        "The computation stopped without a result.", "Nothing was opened; the request can be repeated.", 502
    ),
    Reason.RESULT_OUT_OF_RANGE: ReasonInfo(
        "The opened result lies outside what this model can produce.",
        "Discard it and repeat the request; report it if it happens again.",
        502,
    ),
    Reason.RECEIPTS_DISAGREE: ReasonInfo(
        "The parties' receipts name different computations.", "The result is withheld; ask the institutions.", 502
    ),
    Reason.CANARIES_MISSING: ReasonInfo(
        "There are no canaries for this definition here.",
        "Ask the model's owner to seal some to your institution: without them a node that cheats goes unnoticed.",
        409,
    ),
    Reason.CANARY_FAILED: ReasonInfo(
        "A record with a known result came back with another one: a node did not follow the protocol.",
        "Do not use anything of this job. The model's owner can find out from the nodes' testimonies who it was.",
        502,
    ),
    Reason.TAPE_MISSING: ReasonInfo(
        "This node no longer has, or never had, the seeds of that computation.",
        "Seeds are kept for a day, and destroyed once they were given; without them nobody can be named.",
        410,
    ),
    Reason.ALARM_TOO_LATE: ReasonInfo(
        "A record with a known result was said to have come back wrong, too late to be examined.",
        "The result is withheld, and no node can be named: open results within a day.",
        409,
    ),
    Reason.RESULT_NOT_READY: ReasonInfo("The result is not there yet.", "Ask again shortly.", 409),
    Reason.RESULT_WITHHELD: ReasonInfo(
        "The authority for this result ended before it was recorded.", "It is recorded as withheld and not shown.", 403
    ),
    Reason.AUTHORITY_ENDED: ReasonInfo(
        "What this recorded result rests on has ended: it is not given out any more.",
        "What was opened before stays what it was, and its dossier can be made; nothing is opened now.",
        403,
    ),
    Reason.MAIL_UNAVAILABLE: ReasonInfo(
        "The mail server did not take the message.",
        "Try again later, or have an operator print the link with `manage.py create_officer`.",
        503,
    ),
    Reason.BROKER_UNAVAILABLE: ReasonInfo(
        "The message broker cannot be reached.", "The work is kept and goes on when the broker is back.", 503
    ),
    Reason.CHAIN_UNAVAILABLE: ReasonInfo(
        "The chain cannot be reached.", "The work is kept and goes on when the chain is back.", 503
    ),
    Reason.CHAIN_WRONG: ReasonInfo(
        "This is another chain, or another contract, than the one configured.",
        "Check the chain's id and the contracts' addresses.",
        500,
    ),
    Reason.CHAIN_REVERTED: ReasonInfo("The contract refused the transaction.", "Read the contract's reason.", 409),
    Reason.CHAIN_AHEAD: ReasonInfo(
        "The chain knows more of the log than the database does.",
        "Stop. The database was probably restored from a backup; reconcile it before going on.",
        500,
    ),
    Reason.ANCHOR_LOG_CLOSED: ReasonInfo(
        "The anchor log that is configured takes no heads.", "Configure the one that is in use.", 500
    ),
    Reason.CHAIN_TOO_DEAR: ReasonInfo(
        "The chain asks for a higher fee than is allowed.",
        "Wait, or raise CONCORDAT_CHAIN_MAX_FEE. What was sent may still be mined.",
        503,
    ),
    Reason.SIGNER_UNAVAILABLE: ReasonInfo(
        "The service that keeps the chain key cannot be reached.",
        "The work is kept and goes on when the service is back.",
        503,
    ),
    Reason.SIGNER_REFUSED: ReasonInfo(
        "The service that keeps the chain key did not sign this transaction.",
        "Check its account, its rules and its log.",
        500,
    ),
    Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE: ReasonInfo(
        "The time-stamping authority gives no answer.", "Nothing is lost; a later head is stamped.", 503
    ),
    Reason.COORDINATOR_UNAVAILABLE: ReasonInfo(
        "The coordinator cannot be reached.", "Nothing is lost; the call is repeated.", 503
    ),
    Reason.EHR_UNAVAILABLE: ReasonInfo(
        "The FHIR server does not answer as one.", "Nothing is lost; the same command may succeed later.", 503
    ),
    Reason.EHR_REFUSED: ReasonInfo(
        "The FHIR server refused.", "Check ehr.json, and what this client may do at the server.", 403
    ),
    Reason.OMOP_UNAVAILABLE: ReasonInfo(
        "The database of OMOP tables cannot be reached.",
        "Check its URL and password, and that it is up; the same command may succeed later.",
        503,
    ),
    Reason.OMOP_INVALID: ReasonInfo(
        "A table of the database is not as the OMOP Common Data Model 5.4 has it.",
        "Check the schema's name, and what the reading user may see; docs/reference/omop.md lists the columns.",
        422,
    ),
    Reason.DATA_UNSTATED: ReasonInfo(
        "The node has no data.json, so it uses no data.",
        "Write data.json: the source, and the cohorts that each definition may use.",
        403,
    ),
    Reason.RECORD_NUMBER_INVALID: ReasonInfo(
        "The record number has a typing error.", "Compare it with the document that it came from.", 400
    ),
    Reason.LEGAL_HOLD: ReasonInfo("A legal hold forbids destroying this key.", "Lift the hold first.", 409),
    Reason.RETENTION_DUTY: ReasonInfo(
        "A duty to keep these records forbids destroying this key.", "Ask again when the duty is over.", 409
    ),
    Reason.SHARES_TOO_FEW: ReasonInfo(
        "Fewer officers' shares are here than the escrow needs.", "Have another officer bring a share.", 409
    ),
    Reason.ERASED: ReasonInfo(
        "The content was erased; its commitment remains.", "Nobody can open it any more. This is intended.", 410
    ),
    Reason.ENTRY_ALTERED: ReasonInfo(
        "A log entry's bytes differ from what was hashed into the log.", "Do not rely on this record.", 409
    ),
    Reason.INCLUSION_INVALID: ReasonInfo(
        "The entry is not in the log at the place it claims.", "Do not rely on this record.", 409
    ),
    Reason.CONSISTENCY_INVALID: ReasonInfo(
        "The log was rewritten between two checkpoints.", "Do not rely on this log.", 409
    ),
    Reason.CHECKPOINT_OLDER: ReasonInfo(
        "The log's head is shorter than one that was seen before.",
        "Ask again shortly. If it stays shorter, the log may have been restored from a backup: ask its operator.",
        409,
    ),
    Reason.CHECKPOINT_INVALID: ReasonInfo(
        "The checkpoint is not signed by the log's key, or was changed.", "Do not rely on this log.", 409
    ),
    Reason.COSIGNATURE_INVALID: ReasonInfo(
        "A witness's cosignature does not belong to the checkpoint.", "Do not rely on this log.", 409
    ),
    Reason.WITNESS_ELSEWHERE: ReasonInfo(
        "The witness stands at another size of the log than the proof starts from.",
        "Prove consistency from the size that the witness names.",
        409,
    ),
    Reason.WITNESSES_MISSING: ReasonInfo(
        "No witness has cosigned a head of the log that covers this.",
        "Wait for the witnesses, or ask the institutions why their nodes do not cosign.",
        409,
    ),
    Reason.WITNESSES_TOO_FEW: ReasonInfo(
        "Too few witnesses have cosigned a head of the log that covers this.",
        "Wait for the witnesses, or ask the institutions why their nodes do not cosign.",
        409,
    ),
    Reason.TIMESTAMP_MALFORMED: ReasonInfo(
        "The authority's answer is no time stamp.", "Compare the authority's address; ask its operator.", 409
    ),
    Reason.TIMESTAMP_REFUSED: ReasonInfo(
        "The time-stamping authority granted no stamp.", "Ask the authority's operator why.", 409
    ),
    Reason.TIMESTAMP_MISMATCH: ReasonInfo(
        "The time stamp is over something else than this head of the log.", "Do not rely on this time.", 409
    ),
    Reason.TIMESTAMP_REPLAYED: ReasonInfo(
        "The time stamp answers another question.", "Look who answers in the authority's place.", 409
    ),
    Reason.TIMESTAMP_POLICY_WRONG: ReasonInfo(
        "The time stamp is under another policy than the one that will do.", "Compare the policy's identifier.", 409
    ),
    Reason.TIMESTAMP_SIGNATURE_INVALID: ReasonInfo(
        "The time stamp is not signed with the certificate that it names, or was changed.",
        "Do not rely on this time.",
        409,
    ),
    Reason.TIMESTAMP_AUTHORITY_UNFIT: ReasonInfo(
        "The certificate that signed may not sign this time stamp.", "Do not rely on this time.", 409
    ),
    Reason.TIMESTAMP_AUTHORITY_UNTRUSTED: ReasonInfo(
        "The time stamp is not of the authority whose root was given.",
        "Do not rely on this time, or give the root of another authority that you trust.",
        409,
    ),
    Reason.TIMESTAMP_AUTHORITY_NOT_GIVEN: ReasonInfo(
        "The time stamp was not checked against its authority.", "Name the authority's root certificate.", 409
    ),
    Reason.TIME_ASSERTED: ReasonInfo(
        "Time asserted by the operator.", "Nobody else stands for it. Wait for a time stamp, if there is one.", 409
    ),
    Reason.TIME_CONTRADICTED: ReasonInfo(
        "The log names a later time than the one at which an authority had its head already.",
        "Do not rely on the times in this log.",
        409,
    ),
    Reason.ANCHOR_MISMATCH: ReasonInfo(
        "The root on chain is not the log's root at that size.", "Do not rely on this log.", 409
    ),
    Reason.ANCHOR_LOG_OTHER: ReasonInfo(
        "The dossier names an anchor log that is not the one that you know, and is not in one line with it.",
        "Compare the address with one that you had from a member of the consortium; if it is right, do not rely on the "
        "dossier's anchors.",
        409,
    ),
    Reason.ANCHOR_MISSING: ReasonInfo("The entry is not anchored on chain yet.", "Wait for the next anchor.", 409),
    Reason.INCOMPLETE: ReasonInfo(
        "The dossier does not show everything in the log that concerns the decision.",
        "Ask for the whole dossier, and do not rely on this one alone.",
        409,
    ),
    Reason.MATTER_MISMATCH: ReasonInfo(
        "The matter in which the dossier was read does not name this decision.",
        "Ask whoever handed it out under which authority they did.",
        409,
    ),
    Reason.LOG_MISSING: ReasonInfo(
        "The folder holds no copy of a log's entries.",
        "Name the folder that `concordat log fetch` or `manage.py log_export` wrote.",
        404,
    ),
    Reason.LOG_SHORT: ReasonInfo(
        "The copy of the log lacks entries.",
        "Run the command that wrote it once more: it goes on where it stopped.",
        409,
    ),
    Reason.LOG_DIVERGES: ReasonInfo(
        "The entries are not those that the log's signed head commits to.",
        "Check that they are of this log. If they are, do not rely on it, and show its institutions what you have.",
        409,
    ),
    Reason.OPENING_MISMATCH: ReasonInfo(
        "A disclosed value is not the one that was committed to.", "Do not rely on the disclosed value.", 409
    ),
    Reason.OPERATOR_FALSE: ReasonInfo(
        "The requester computed with an operator that its design does not give for the record.",
        "Do not rely on the explanation: the requester chose what it says. The prediction is not concerned.",
        409,
    ),
    Reason.DOCUMENT_ALTERED: ReasonInfo(
        "A document differs from the digest in the log.", "Do not rely on the document.", 409
    ),
    Reason.NO_DOSSIER: ReasonInfo(
        "This is no dossier: that is a zip file with manifest.json, the log's entries and their proofs in it.",
        "Name the file that `concordat dossier` wrote, or that was handed out as a dossier.",
        422,
    ),
    Reason.BUNDLE_ALTERED: ReasonInfo(
        "The bundle's files are not those of its manifest.", "Ask for the bundle again.", 409
    ),
    Reason.SEQUENCE_BROKEN: ReasonInfo("The log's entries have a gap or a double.", "Do not rely on this log.", 409),
    Reason.KEY_RESURRECTED: ReasonInfo(
        "A subject's key that was destroyed is in the database again; it does not open.",
        "A backup was restored: run `manage.py reapply_erasures`, which erases again whom it brought back.",
        500,
    ),
    Reason.NOT_DISCLOSED: ReasonInfo(
        "Its holder has not disclosed the value, so it cannot be checked.", "Ask the requesting institution.", 403
    ),
    Reason.REPLAY_MODEL_OTHER: ReasonInfo(
        "The file does not hold the model that the decision names.",
        "Ask the model's owner for the file of exactly this model and version.",
        409,
    ),
    Reason.REPLAY_DIFFERS: ReasonInfo(
        "The model computes another result from the disclosed record than the one that was recorded.",
        "Ask the model's owner and the nodes that signed receipts to explain it; do not rely on the result.",
        409,
    ),
    Reason.RATE_LIMITED: ReasonInfo("Too many requests.", "Wait as long as Retry-After says.", 429),
    Reason.TOO_LARGE: ReasonInfo("The request is larger than is accepted here.", "Send less at once.", 413),
    Reason.PRECONDITION_MISSING: ReasonInfo(
        "A change here says which state it changes.", "Read it first, and send its ETag back as If-Match.", 428
    ),
    Reason.PRECONDITION_FAILED: ReasonInfo(
        "It has been changed since it was read.", "Read it again, and decide anew what to change.", 412
    ),
    Reason.MESSAGE_REPLAYED: ReasonInfo(
        "This message was received and dealt with before.", "Answer with success and do nothing.", 409
    ),
    Reason.MESSAGE_IN_HAND: ReasonInfo(
        "This message is being dealt with at this moment.", "Answer with an error: it comes again if that fails.", 409
    ),
    Reason.METHOD_NOT_ALLOWED: ReasonInfo(
        "This address does not answer to this HTTP method.", "Use a method that the Allow header names.", 405
    ),
    Reason.MEDIA_TYPE_WRONG: ReasonInfo(
        "This is not a media type that is read or written here.", "Send and accept application/json.", 415
    ),
    Reason.INTERNAL: ReasonInfo(
        "Something failed here that should not have.", "Report the reference; nothing was lost.", 500
    ),
}


class Refused(Exception):
    """A named no. Its text may reach any user, so it never holds personal data or a secret."""

    def __init__(self, reason: Reason, *, detail: str = "", field: str = "") -> None:
        self.reason = reason
        self.detail = detail or REASONS[reason].sentence
        self.field = field
        super().__init__(f"{reason}: {self.detail}" + (f" ({field})" if field else ""))

    @property
    def info(self) -> ReasonInfo:
        return REASONS[self.reason]
