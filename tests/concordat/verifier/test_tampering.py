"""A coordinator that rewrites its log, or hands out a selection, is given away by what others have signed, and by the
right check. `test_alterations` has what is changed without that much trouble."""

from dataclasses import replace
from datetime import timedelta

import pytest

from concordat import canonical, clock, outputs, passkeys, signatures, votes
from concordat.commitments import new_salt
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from concordat.verifier import Options, authority, bundle, computation, integrity, report, verify
from concordat.verifier.case import Case
from concordat.verifier.evidence import Evidence
from concordat.verifier.examine import Status
from tests.support.consortium import Consortium, new_uuid

pytestmark = pytest.mark.django_db

R = Reason


def failures(data, options=None):
    return {check.name: check.reason for check in verify(data, options).checks if check.status is Status.FAILED}


# --- the coordinator rewrites its whole log, and is given away by what others have signed


def test_a_forger_who_changes_nothing_is_believed(forger):
    assert failures(forger.forge()) == {}


def test_an_enrolment_with_another_chain_key(forger):
    token = forger.documents[forger.entry("enrol zurich")["documents"]["enrolment"][7:]].decode()
    _, claim = signatures.peek(token)
    claim["keys"]["chain"] = forger.about["chain"]["registry"]
    forged = signatures.sign(claim, kind="enrolment", key=forger.dossier.key)
    forger.put("enrol zurich", "enrolment", forged)
    assert failures(forger.forge())["institutions"] in (R.KEY_UNKNOWN, R.SIGNATURE_INVALID)


@pytest.mark.parametrize(
    ("entry", "document", "kind", "check"),
    [("roster zurich", "roster", "roster", "institutions"), ("model", "manifest", "model", "model")],
)
def test_a_document_that_the_coordinator_signs_in_anothers_place(forger, entry, document, kind, check):
    _, payload = signatures.peek(forger.documents[forger.entry(entry)["documents"][document][7:]].decode())
    forger.put(entry, document, signatures.sign(payload, kind=kind, key=forger.dossier.key))
    assert failures(forger.forge())[check] is R.KEY_UNKNOWN


def test_an_officers_statement_about_another_protocol(forger):
    signed = forger.document("review zurich", "signature")
    signed["statement"]["record"] = canonical.digest(b"another")
    forger.put("review zurich", "signature", signed)
    assert failures(forger.forge()) == {"officers": R.SIGNATURE_INVALID}


def test_an_officers_statement_with_another_nonce(forger):
    signed = forger.document("review zurich", "signature")
    signed["statement"]["nonce"] = new_uuid()
    forger.put("review zurich", "signature", signed)
    assert failures(forger.forge()) == {"officers": R.PASSKEY_INVALID}


def test_an_officers_signature_with_a_strangers_passkey(forger):
    signed = forger.document("review zurich", "signature")
    stranger = passkeys.SoftwarePasskey.create("localhost", forger.about["site"])
    signed["assertion"] = dict(stranger.assertion(passkeys.challenge(signed["statement"])))
    forger.put("review zurich", "signature", signed)
    assert failures(forger.forge()) == {"officers": R.ROSTER_MISSING}


def test_a_determination_that_nobody_signed(forger):
    said = forger.document("review zurich", "determination")
    forger.put("review zurich", "determination", said | {"category": "", "reasons": "None."})
    assert failures(forger.forge()) == {"officers": R.SIGNATURE_INVALID}


def test_an_approval_reported_as_disapproval(forger):
    forger.entry("review zurich")["public"]["determination"] = "disapproved"
    assert failures(forger.forge()) == {"officers": R.DIGEST_MISMATCH}


def test_a_board_that_was_never_heard(forger):
    forger.erase("review budapest")
    assert failures(forger.forge()) == {"officers": R.STUDY_NOT_APPROVED}


def test_an_approval_that_came_after_the_verdict(forger):
    forger.move("approved", forger.index("displayed"))
    assert failures(forger.forge())["study"] is R.STUDY_NOT_APPROVED


def test_a_study_that_had_expired(forger):
    forger.entry("approved")["public"]["expires"] = clock.rfc3339(clock.now() - timedelta(days=1))
    assert failures(forger.forge()) == {"study": R.STUDY_EXPIRED}


def end_study(forger, ending):
    """Before the decision, in the place of an entry that is not needed."""
    entry = forger.entry("vote long-beach")
    public = {"study": forger.entry("approved")["public"]["study"], "epoch": 3}
    forger.contents[forger.index("vote long-beach")] = entry | {"event": ending, "public": public, "documents": {}}


def withdraw_consent(forger):
    entry, consent = forger.entry("vote long-beach"), forger.entry("consent")["public"]["consent"]
    token = forger.dossier.decision.consortium.withdrawal()
    withdrawn = {"event": "consent.withdrawn", "public": {"consent": consent, "epoch": 3}, "documents": {}}
    forger.contents[forger.index("vote long-beach")] = entry | withdrawn
    assert signatures.peek(token)[1]["consent"] == consent


def recall_model(forger):
    """Genuine, and before the decision, in the place of an entry that is not needed."""
    entry, token = forger.entry("vote long-beach"), forger.dossier.decision.consortium.recall()
    said = signatures.peek(token)[1]
    public = {name: said[name] for name in ("model", "institution", "reason", "classification")}
    forger.documents[canonical.digest(token.encode())[7:]] = token.encode()
    recalled = {"event": "model.recalled", "public": public, "documents": {"recall": canonical.digest(token.encode())}}
    forger.contents[forger.index("vote long-beach")] = entry | recalled


def describe_model(forger):
    """Genuine, and before the decision, in the place of an entry that is not needed."""
    entry, token = forger.entry("vote long-beach"), forger.dossier.decision.consortium.card()
    said = signatures.peek(token)[1]
    public = {name: said[name] for name in ("model", "institution", "sequence")}
    forger.documents[canonical.digest(token.encode())[7:]] = token.encode()
    described = {"event": "model.described", "public": public, "documents": {"card": canonical.digest(token.encode())}}
    forger.contents[forger.index("vote long-beach")] = entry | described


def consent_lapses(forger):
    withdraw_consent(forger)
    forger.contents[forger.index("vote long-beach")]["event"] = "consent.lapsed"


@pytest.mark.parametrize("ending", ["study.suspended", "study.closed"])
def test_a_study_that_had_ended(forger, ending):
    end_study(forger, ending)
    assert failures(forger.forge()) == {"study": R.STUDY_NOT_APPROVED}


def test_a_consent_that_had_been_withdrawn(forger):
    withdraw_consent(forger)
    checks = {check.name: check for check in verify(forger.forge()).checks}
    assert checks["consent"].reason is R.CONSENT_WITHDRAWN
    assert "before the decision" in checks["consent since"].sentence


def test_a_model_that_had_been_recalled(forger):
    recall_model(forger)
    assert failures(forger.forge()) == {"recall": R.MODEL_RECALLED}


def test_a_model_that_had_been_described(forger):
    """Its card of then is told, and stands on the page in the owner's words, as text."""
    describe_model(forger)
    result = verify(forger.forge())
    assert not [check for check in result.checks if check.status is Status.FAILED]
    assert result.story["card"]["stated"] == [{"title": "Funding", "paragraphs": ["The hospital itself."]}]
    assert "card 1" in {check.name: check for check in result.checks}["model card"].sentence
    assert "The hospital itself." in report.html(result.to_json())


def test_a_consent_that_had_lapsed(forger):
    consent_lapses(forger)
    checks = {check.name: check for check in verify(forger.forge()).checks}
    assert checks["consent"].reason is R.RECONSENT_NEEDED
    assert "before the decision" in checks["consent since"].sentence


def test_a_protocol_with_another_ground_than_the_boards_signed(forger):
    """The definition names the protocol by its digest, so the operator cannot put another ground in."""
    protocol = forger.document("submitted", "protocol")
    other = protocol | {"bases": [protocol["bases"][0] | {"ground": "care"}]}
    for name in ("submitted", "review cleveland", "review budapest", "review zurich", "approved"):
        forger.put(name, "protocol", other)
    found = failures(forger.forge())
    assert found["officers"] is R.DIGEST_MISMATCH
    assert "request" in found


# --- the operator selects


@pytest.mark.parametrize(
    ("record", "also"),
    [
        (lambda forger: end_study(forger, "study.suspended"), {}),
        (lambda forger: end_study(forger, "study.closed"), {}),
        (withdraw_consent, {"consent": R.CONSENT_WITHDRAWN}),
        (consent_lapses, {"consent": R.RECONSENT_NEEDED}),
        (recall_model, {}),
        (describe_model, {}),
        (lambda forger: None, {}),  # a vote
    ],
)
def test_an_entry_that_the_operator_leaves_out(forger, record, also):
    record(forger)
    forger.hide("vote long-beach")
    assert failures(forger.forge()) == {"completeness": R.INCOMPLETE} | also


def test_an_entry_that_concerns_others_may_be_left_out(forger):
    forger.erase("vote long-beach")
    assert failures(forger.forge()) == {}


def test_a_log_that_is_left_out_or_is_another_one(made, forger):
    files = {path: content for path, content in made.evidence.items() if path != "log.jsonl"}
    assert failures(made.sealed(files)) == {"completeness": R.INCOMPLETE}
    log = made.evidence["log.jsonl"]
    for other in (b"", log[:-1], log + b"{}\n", log.partition(b"\n")[2]):
        assert failures(made.sealed(files | {"log.jsonl": other})) == {"completeness": R.INCOMPLETE}


def test_of_a_large_log_nothing_shows_that_nothing_was_left_out(made, monkeypatch):
    monkeypatch.setattr("concordat.verifier.completeness.LARGEST_LOG", 10)
    files = {path: content for path, content in made.evidence.items() if path != "log.jsonl"}
    result = verify(made.sealed(files))
    check = next(check for check in result.checks if check.name == "completeness")
    assert (check.status, check.reason) == (Status.NOT_CHECKABLE, R.INCOMPLETE)
    assert result.holds


def test_a_second_enrolment_of_an_institution(forger):
    """Genuine in itself: the operator makes new keys in the institution's name, and they would speak for it."""
    stranger = Consortium(forger.dossier.decision.consortium.root / new_uuid()).homes["zurich"].enrolment
    data = stranger.encode()
    forger.documents[canonical.digest(data)[7:]] = data
    entry = forger.entry("enrol zurich")
    second = entry | {"documents": {"enrolment": canonical.digest(data)}}
    forger.contents[forger.index("vote long-beach")] = second
    assert failures(forger.forge())["institutions"] is R.CONFLICT


def test_a_board_that_the_operator_does_not_name(forger):
    forger.entry("submitted")["public"]["boards"] = ["cleveland", "zurich"]
    forger.erase("review budapest")
    assert failures(forger.forge()) == {"officers": R.STUDY_NOT_APPROVED}


def test_an_enrolment_cannot_name_another_board_in_place_of_an_agreement(forger):
    forger.entry("enrol budapest")["public"]["reviewing_board"] = "zurich"
    forger.erase("review budapest")
    assert failures(forger.forge()) == {"entries": R.FIELD_UNKNOWN}


def test_a_model_whose_owner_had_not_approved(forger):
    """The owner of this model is a party, which has to approve anyway; so let it be another's."""
    case = Case(Evidence.load(forger.dossier.evidence))
    assert authority.approvals(case)
    case.model = {**case.model, "owner": "notary"}
    with pytest.raises(Refused, match="owner"):
        authority.approvals(case)


def test_a_vote_turned_round(forger):
    vote = forger.document("vote budapest", "vote")
    forger.put("vote budapest", "vote", vote | {"approve": False})
    assert failures(forger.forge()) == {"approvals": R.VOTE_INVALID}


def test_a_vote_that_the_entry_reports_wrongly(forger):
    forger.entry("vote budapest")["public"]["approve"] = False
    assert failures(forger.forge()) == {"approvals": R.VOTE_INVALID}


def another_vote_of_zurich(forger, *, approve, nonce):
    """In the place of an entry that is not needed."""
    consortium = forger.dossier.decision.consortium
    cast = forger.document("vote zurich", "vote")
    key = consortium.homes["zurich"].keys.chain
    vote = votes.Vote(cast["definition"], approve, key.address, nonce, cast["deadline"])
    domain = votes.Domain(forger.about["chain"]["id"], forger.about["chain"]["registry"])
    entry = forger.entry("vote zurich")
    forger.contents[forger.index("vote long-beach")] = entry | {
        "public": entry["public"] | {"approve": approve},
        "documents": dict(entry["documents"]),
    }
    forger.put("vote long-beach", "vote", votes.write(vote, "zurich", key, domain=domain))


def test_a_revocation_counts_up_to_the_decision_and_not_after_it(forger, monkeypatch):
    another_vote_of_zurich(forger, approve=False, nonce=1)
    forger.move("vote long-beach", forger.index("displayed"))
    made = forger.forge()
    assert failures(made) == {}
    case = Case(Evidence.load(bundle.unpack(made)))
    revoked = forger.index("displayed")
    assert authority.standing_votes(case, replace(case.decision, index=revoked))["zurich"].approve
    assert not authority.standing_votes(case, replace(case.decision, index=revoked + 1))["zurich"].approve
    later = replace(case.decision, index=revoked + 1)  # as if it had been logged only then
    monkeypatch.setattr(Case, "decision", property(lambda case: later))
    with pytest.raises(Refused, match="2 of 3"):
        authority.approvals(case)


def test_a_vote_that_is_cast_again_because_the_contract_refused_it_is_no_fault(forger):
    another_vote_of_zurich(forger, approve=True, nonce=0)
    assert failures(forger.forge()) == {}


@pytest.mark.parametrize("revoked_first", [False, True])
def test_of_two_votes_with_one_nonce_the_revocation_counts(forger, revoked_first):
    """As at the nodes, whichever was logged first."""
    another_vote_of_zurich(forger, approve=False, nonce=0)
    if revoked_first:
        forger.move("vote long-beach", forger.index("vote zurich"))
    assert failures(forger.forge()) == {"approvals": R.QUORUM_MISSING}


def test_votes_that_do_not_reach_the_quorum(forger):
    forger.erase("vote budapest")
    forger.erase("vote long-beach")
    assert failures(forger.forge()) == {"approvals": R.QUORUM_MISSING}


def test_a_party_that_computed_without_its_own_approval(forger):
    forger.erase("vote zurich")
    assert failures(forger.forge()) == {"approvals": R.DEFINITION_NOT_APPROVED}


def test_a_definition_with_another_quorum(forger):
    changed = forger.document("definition", "definition")
    changed["quorum"]["needed"] = 1
    forger.put("definition", "definition", changed)
    assert failures(forger.forge())["definition"] is R.DIGEST_MISMATCH


def test_another_design_under_the_same_definition(forger):
    design = forger.document("definition", "design")
    forger.put("definition", "design", design | {"seed": "another"})
    assert failures(forger.forge())["definition"] is R.DIGEST_MISMATCH


def test_a_verdict_with_a_failed_check(forger):
    checks = forger.document("verdict", "checks")
    checks[0]["passed"] = False
    forger.put("verdict", "checks", checks)
    assert failures(forger.forge()) == {"verdict": R.DEFINITION_NOT_APPROVED}


def test_a_verdict_under_another_epoch(forger):
    forger.entry("verdict")["public"]["epoch"] = 2
    assert failures(forger.forge()) == {"verdict": R.DIGEST_MISMATCH}


def test_a_verdict_that_refused(forger):
    forger.entry("verdict")["public"]["authorised"] = False
    assert failures(forger.forge())["verdict"] is R.NOT_FOUND


def test_a_request_that_the_requester_did_not_sign(forger):
    _, payload = signatures.peek(forger.dossier.decision.prepared.token)
    forged = signatures.sign(payload | {"purpose": "marketing"}, kind="request", key=forger.dossier.key)
    forger.reveal("prediction", "request_statement", forged)
    assert failures(forger.forge())["request"] is R.KEY_UNKNOWN


def test_another_genuine_request(forger):
    other = forger.dossier.decision.consortium.prepare(request=new_uuid())
    forger.reveal("prediction", "request_statement", other.token)
    assert failures(forger.forge())["request"] is R.DIGEST_MISMATCH


def test_consent_that_was_never_recorded(forger):
    forger.erase("consent")
    assert failures(forger.forge()) == {"consent": R.CONSENT_MISSING}


def test_a_salt_that_opens_something_else(forger):
    forger.openings["opened"][str(forger.index("prediction"))]["subject"]["salt"] = canonical.b64(new_salt())
    assert failures(forger.forge())["openings"] is R.OPENING_MISMATCH


def test_a_private_field_passed_over_in_silence(forger):
    del forger.openings["opened"][str(forger.index("prediction"))]["subject"]
    assert failures(forger.forge())["openings"] is R.OPENING_MISMATCH


def test_an_acceptance_left_out(forger):
    forger.put("reserved", "acceptances", forger.document("reserved", "acceptances")[:-1])
    assert failures(forger.forge()) == {"acceptances": R.NODE_SILENT}


def test_receipts_left_out(forger):
    for name in ("prediction", "explanation"):
        forger.put(name, "receipts", forger.document(name, "receipts")[1:])
    assert failures(forger.forge())["receipts"] is R.NODE_SILENT


def test_a_receipt_for_another_model(forger):
    tokens = forger.document("prediction", "receipts")
    _, payload = signatures.peek(tokens[0])
    key = forger.dossier.decision.consortium.identity("cleveland")
    tokens[0] = signatures.sign(payload | {"model": canonical.digest(b"another")}, kind="receipt", key=key)
    for name in ("prediction", "explanation"):
        forger.put(name, "receipts", tokens)
    assert failures(forger.forge())["receipts"] is R.RECEIPTS_DISAGREE


@pytest.mark.parametrize("runs", [{"first": 0, "of": 4}, {"first": 2, "of": 4}, {"first": 1, "of": 2}])
def test_receipts_for_other_runs_than_the_tickets(forger, runs):
    """All nodes agree, and all sign for runs that were another request's."""
    again = []
    for token in forger.document("prediction", "receipts"):
        _, payload = signatures.peek(token)
        key = forger.dossier.decision.consortium.identity(payload["node"])
        again.append(signatures.sign(payload | {"runs": runs}, kind="receipt", key=key))
    for name in ("prediction", "explanation"):
        forger.put(name, "receipts", again)
    assert failures(forger.forge())["receipts"] is R.RECEIPTS_DISAGREE


def test_an_explanation_on_other_receipts(forger):
    forger.put("explanation", "receipts", list(reversed(forger.document("explanation", "receipts"))))
    assert failures(forger.forge())["receipts"] is R.RECEIPTS_DISAGREE


def test_a_ticket_for_another_job(forger):
    token = forger.documents[forger.entry("prediction")["documents"]["ticket"][7:]].decode()
    _, payload = signatures.peek(token)
    forged = signatures.sign(payload | {"job": new_uuid()}, kind="ticket", key=forger.dossier.key)
    for name in ("prediction", "reserved"):
        forger.put(name, "ticket", forged)
    assert failures(forger.forge())["ticket"] is R.DIGEST_MISMATCH


def test_a_display_receipt_that_the_requester_did_not_sign(forger):
    said = forger.openings["opened"][str(forger.index("displayed"))]["display"]["value"]
    _, payload = signatures.peek(said)
    forged = signatures.sign(payload | {"decision": "overridden"}, kind="display", key=forger.dossier.key)
    forger.reveal("displayed", "display", forged)
    assert failures(forger.forge()) == {"shown": R.KEY_UNKNOWN}


def test_an_anchor_of_another_log(made):
    anchor = {
        "sequence": 1,
        "size": made.decision.index + 1,
        "root": canonical.digest(b"another"),
        "transaction": None,
        "block": 1,
        "block_hash": None,
        "state": "final",
        "consistency": [],
    }
    files = made.evidence | {"anchors.json": canonical.encode([anchor])}
    assert failures(made.sealed(files))["anchors"] is R.CONSISTENCY_INVALID


def test_a_whole_dossier_under_another_key(made, forger):
    forger.dossier = type(made)(made.decision, made.data, made.leaves, SigningKey.generate())
    forger.about["key"] = forger.dossier.key.public.b64
    data = forger.forge()
    assert failures(data, Options(keys={"log": made.key.kid}))["keys"] is R.KEY_UNKNOWN
    assert failures(data)["ticket"] is R.KEY_UNKNOWN


@pytest.mark.parametrize("part", ["prediction", "explanation"])
@pytest.mark.parametrize("party", ["cleveland", "budapest", "zurich"])
def test_a_disclosed_share_that_nobody_signed_for(made, party, part):
    disclosed = canonical.decode(canonical.encode(made.decision.disclosure))
    share = bytearray(canonical.unb64(disclosed["outputs"][party][part]["share"]))
    share[2] ^= 1
    disclosed["outputs"][party][part]["share"] = canonical.b64(bytes(share))
    found = failures(made.data, Options(disclosure=canonical.encode(disclosed)))
    assert found == {"disclosure": R.OPENING_MISMATCH}


def test_perturbations_chosen_by_hand(forger):
    """A design that its own digest names, under a definition whose digest fits, is still rebuilt from its seed."""
    design = forger.document("definition", "design")
    design["masks"][0] = [1 - bit for bit in design["masks"][0]]
    case = Case(Evidence.load(forger.dossier.evidence))
    documents = {**case.evidence.documents, case.definition["design"]: canonical.encode(design)}
    case.evidence = replace(case.evidence, documents=documents)
    with pytest.raises(Refused, match="seed"):
        computation.definition(case)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_a_decision_at_the_end_of_time_is_a_failed_check(forger, time):
    for content in forger.contents.values():
        content["time"] = time
    assert failures(forger.forge())


@pytest.mark.parametrize("change", [{"kernel_width": "0.000001"}, {"masks": [[1] * 10] * 11}, {"ridge": "-1"}])
def test_a_design_without_a_fit_is_a_failed_check(made, change, monkeypatch):
    """Whatever Python says of the numbers in a dossier, the verifier says that the dossier does not hold."""
    path = f"documents/{made.decision.consortium.definition['design'][7:]}"
    spoilt = canonical.encode(canonical.decode(made.evidence[path]) | change)
    monkeypatch.setattr(integrity, "documents", lambda evidence: "not looked at")
    assert failures(made.sealed(made.evidence | {path: spoilt}))["definition"] is R.FIELD_INVALID


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, KeyError, IndexError, RecursionError, TypeError])
def test_what_python_raises_over_a_dossier_is_a_failed_check(made, error, monkeypatch):
    def fail(evidence):
        raise error

    monkeypatch.setattr(integrity, "inclusion", fail)
    assert failures(made.data)["inclusion"] is R.MALFORMED


@pytest.mark.parametrize("party", ["cleveland", "budapest", "zurich"])
def test_a_disclosed_record_that_nobody_was_sent(made, party):
    inputs = dict(made.decision.prepared.openings[0])
    share = bytearray(canonical.unb64(inputs[party]["share"]))
    share[2] ^= 1
    inputs[party] = inputs[party] | {"share": canonical.b64(bytes(share))}
    disclosed = made.decision.disclosure | {"inputs": inputs}
    assert failures(made.data, Options(disclosure=canonical.encode(disclosed))) == {"disclosure": R.OPENING_MISMATCH}


def test_disclosed_shares_that_add_up_to_what_no_model_produces(made, monkeypatch):
    monkeypatch.setitem(outputs.LARGEST, "log-odds", 0.01)
    found = failures(made.data, Options(disclosure=canonical.encode(made.decision.disclosure)))
    assert found == {"disclosure": R.RESULT_OUT_OF_RANGE}


def test_a_disclosure_of_another_decision(made):
    disclosed = made.decision.disclosure | {"job": new_uuid()}
    found = failures(made.data, Options(disclosure=canonical.encode(disclosed)))
    assert found == {"disclosure": R.OPENING_MISMATCH}
