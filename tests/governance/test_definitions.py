"""Definitions stay within what the boards approved, and institutions vote with their own keys."""

from typing import Any

import pytest

from concordat import definition as documents
from concordat import design, plausibility
from concordat.audit_plan import AuditPlan
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from governance import selectors
from governance.models import Definition, DefinitionVote, Institution
from governance.models.definition import DefinitionState
from governance.services import definitions, institutions
from ledger.models import ChainTransaction, LogEntry, TransactionState
from ledger.selectors import entries
from tests.governance.conftest import DESIGN, PARTIES, SCHEMA, Consortium
from tests.support.audited import new_plan


def test_a_definition_is_kept_with_its_schema_and_design(consortium: Consortium) -> None:
    known = consortium.registered()
    entry = entries(event=Event.DEFINITION_REGISTERED, definition=known.digest).get()
    assert set(entry.documents) == {"definition", "schema", "design"}
    assert entry.documents["definition"] == known.digest
    assert selectors.definition_state(known) is DefinitionState.REGISTERED


def test_registering_twice_is_once(consortium: Consortium) -> None:
    known = consortium.registered()
    before = LogEntry.objects.count()
    assert consortium.register(known.content) == known
    assert LogEntry.objects.count() == before


PLAN = new_plan()
AUDIT = {"kind": "audit", "target": "none", "design": digest(PLAN), "impossible": "", "opened": ["counts"]}


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"protocol": "sha256:" + "0" * 64}, Reason.DIGEST_MISMATCH, "protocol"),
        ({"design": "sha256:" + "0" * 64}, Reason.DIGEST_MISMATCH, "design"),
        ({"model": "sha256:" + "0" * 64}, Reason.MODEL_UNKNOWN, "model"),
        ({"purposes": ["marketing"]}, Reason.FIELD_INVALID, "purposes"),
        ({"requesters": ["zurich"], "recipients": ["zurich"]}, Reason.FIELD_INVALID, "requesters"),
        ({"data_use": ["DUO:0000042"]}, Reason.FIELD_INVALID, "data_use"),
        ({"result_jurisdictions": ["CH"]}, Reason.TRANSFER_BASIS_MISSING, "result_jurisdictions"),
        (AUDIT | {"recipients": ["atlantis"]}, Reason.FIELD_INVALID, "recipients"),
        ({"dealer": "atlantis"}, Reason.NOT_FOUND, "dealer"),
        ({"quorum": {"of": ["atlantis"], "needed": 1}}, Reason.NOT_FOUND, "quorum.of"),
        ({"jurisdictions": ["US"], "transfers": []}, Reason.TRANSFER_BASIS_MISSING, "jurisdictions"),
        ({"study": "unheard-of"}, Reason.NOT_FOUND, "study"),
    ],
)
def test_a_definition_that_goes_beyond_the_protocol_is_refused(
    consortium: Consortium, changes: dict[str, Any], reason: Reason, field: str
) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model(), **changes)
    with pytest.raises(Refused) as caught:
        consortium.register(content)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_a_forest_is_registered_in_probability_alone(consortium: Consortium) -> None:
    study, model = consortium.approved(), consortium.import_model("forest")
    with pytest.raises(Refused) as caught:
        consortium.register(consortium.content(study, model))
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "target")
    known = consortium.register(consortium.content(study, model, target="probability"))
    assert selectors.definition_state(known) is DefinitionState.REGISTERED


def test_how_many_numbers_a_job_opens_is_noted(consortium: Consortium) -> None:
    groups = {feature["group"] for feature in SCHEMA["features"]}
    assert consortium.registered().scalars == len(groups) + 4


def test_canaries_and_what_ifs_count_as_what_they_could_be(consortium: Consortium) -> None:
    groups = {feature["group"] for feature in SCHEMA["features"]}
    more = {"canaries": 2, "what_ifs": 4, "opened": [*documents.OPENED["explain"], "what_ifs"]}
    known = consortium.register(consortium.content(consortium.approved(), consortium.import_model(), **more))
    assert known.scalars == 3 * (len(groups) + 4 + 4)


def test_slopes_are_of_the_numbers_alone(consortium: Consortium) -> None:
    plan = design.build_slopes(FeatureSchema.from_json(SCHEMA), seed="governance")
    content = consortium.content(consortium.approved(), consortium.import_model(), design=digest(plan))
    content["extraction"] = documents.extraction_of(content, selectors.manifest(content["model"]), groups=5)
    known = definitions.register(institution=consortium.at["cleveland"], content=content, schema=SCHEMA, design=plan)
    assert known.scalars == 5 + 4


def test_a_design_that_nobody_runs_is_refused(consortium: Consortium) -> None:
    plan = DESIGN() | {"method": "private-lime"}
    content = consortium.content(consortium.approved(), consortium.import_model(), design=digest(plan))
    with pytest.raises(Refused, match="This version computes designs by the methods") as caught:
        definitions.register(institution=consortium.at["cleveland"], content=content, schema=SCHEMA, design=plan)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "method")


def test_a_design_with_too_many_impossible_records_is_refused(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model())
    monkeypatch.setattr(plausibility, "impossible_share", lambda design, schema, records: 0.051)
    with pytest.raises(Refused) as caught:
        consortium.register(content)
    assert caught.value.reason is Reason.DESIGN_IMPLAUSIBLE
    monkeypatch.setattr(plausibility, "impossible_share", lambda design, schema, records: 0.05)
    assert consortium.register(content)


def test_an_estimate_that_leaves_something_out_is_refused(consortium: Consortium) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model())
    content["extraction"] = {**content["extraction"], "explanations": 1}
    with pytest.raises(Refused) as caught:
        consortium.register(content)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "extraction")


def test_an_audit_is_registered_with_its_plan_and_opens_as_many_numbers_as_that_has_counts(
    consortium: Consortium,
) -> None:
    study = consortium.approved(kinds=["explain", "audit"])
    content = consortium.content(study, consortium.import_model(), **AUDIT)
    with pytest.raises(Refused) as caught:
        definitions.register(institution=consortium.at["cleveland"], content=content, schema=SCHEMA, design=DESIGN())
    assert (caught.value.reason, caught.value.field) == (Reason.DIGEST_MISMATCH, "design")
    known = consortium.register(content)
    assert known.scalars == AuditPlan.from_json(PLAN).cells
    assert set(entries(event=Event.DEFINITION_REGISTERED).get().documents) == {"definition", "schema", "design"}


def test_a_protocol_that_says_nothing_of_audits_has_none(consortium: Consortium) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model(), **AUDIT)
    with pytest.raises(Refused) as caught:
        consortium.register(content)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "kind")


def test_a_study_that_is_not_approved_has_no_definitions(consortium: Consortium) -> None:
    content = consortium.content(consortium.submitted(), consortium.import_model())
    with pytest.raises(Refused) as caught:
        consortium.register(content)
    assert caught.value.reason is Reason.WRONG_STATE


def test_a_bystander_registers_nothing(consortium: Consortium) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model())
    with pytest.raises(Refused) as caught:
        consortium.register(content, by="notary")
    assert caught.value.reason is Reason.NOT_FOUND


def test_a_bystander_cannot_tell_a_study_that_exists_from_one_that_does_not(consortium: Consortium) -> None:
    study, model = consortium.approved(), consortium.import_model()
    said = []
    for slug in (study.slug, "unheard-of"):
        with pytest.raises(Refused) as caught:
            consortium.register(consortium.content(study, model, study=slug), by="notary")
        said.append(str(caught.value).replace(slug, "…"))
    assert said[0] == said[1]


def test_even_a_definition_that_is_here_is_not_there_for_a_bystander(consortium: Consortium) -> None:
    known = consortium.registered()
    with pytest.raises(Refused) as caught:
        consortium.register(known.content, by="notary")
    assert caught.value.reason is Reason.NOT_FOUND


def test_a_linear_model_needs_its_owner_s_word_on_disclosure(consortium: Consortium) -> None:
    study, model = consortium.approved(), consortium.import_model("linear")
    content = consortium.content(study, model, disclosure="full")
    with pytest.raises(Refused) as caught:
        consortium.register(content)
    assert caught.value.reason is Reason.DISCLOSURE_REQUIRED
    key = consortium.keys["cleveland"].identity
    definitions.disclose(token=documents.sign_disclosure(model=model, study=study.slug, key=key))
    known = consortium.register(content)
    assert "disclosure" in entries(event=Event.DEFINITION_REGISTERED, definition=known.digest).get().documents


def test_nobody_but_the_owner_discloses(consortium: Consortium) -> None:
    study, model = consortium.approved(), consortium.import_model("linear")
    token = documents.sign_disclosure(model=model, study=study.slug, key=consortium.keys["zurich"].identity)
    with pytest.raises(Refused) as caught:
        definitions.disclose(token=token)
    assert caught.value.reason is Reason.KEY_UNKNOWN


# --- votes


def test_a_vote_is_verified_queued_for_the_chain_and_logged(consortium: Consortium) -> None:
    known = consortium.registered()
    kept = definitions.relay_vote(vote=consortium.vote("zurich", known))
    assert kept.transaction.content["signature"] == kept.signature
    assert entries(event=Event.DEFINITION_VOTED, definition=known.digest).get().public["approve"] is True


def test_the_same_vote_again_is_one_vote(consortium: Consortium) -> None:
    known = consortium.registered()
    vote = consortium.vote("zurich", known)
    assert definitions.relay_vote(vote=vote) == definitions.relay_vote(vote=vote)
    assert (DefinitionVote.objects.count(), ChainTransaction.objects.count()) == (1, 1)


@pytest.mark.parametrize("changes", [{"key": "budapest"}, {"deadline": 1_600_000_000}])
def test_a_vote_by_another_s_key_or_past_its_deadline_is_refused(
    consortium: Consortium, changes: dict[str, Any]
) -> None:
    known = consortium.registered()
    with pytest.raises(Refused) as caught:
        definitions.relay_vote(vote=consortium.vote("zurich", known, **changes))
    assert caught.value.reason is Reason.VOTE_INVALID


def test_an_altered_vote_is_refused(consortium: Consortium) -> None:
    known = consortium.registered()
    vote = consortium.vote("zurich", known, approve=False) | {"approve": True}
    with pytest.raises(Refused) as caught:
        definitions.relay_vote(vote=vote)
    assert caught.value.reason is Reason.VOTE_INVALID


def test_a_nonce_is_not_used_twice_unless_the_contract_refused_it(consortium: Consortium) -> None:
    known = consortium.registered()
    first = definitions.relay_vote(vote=consortium.vote("zurich", known))
    again = consortium.vote("zurich", known, approve=False)
    with pytest.raises(Refused) as caught:
        definitions.relay_vote(vote=again)
    assert caught.value.reason is Reason.VOTE_INVALID
    ChainTransaction.objects.filter(pk=first.transaction.pk).update(state=TransactionState.FAILED)
    assert selectors.next_nonce(first.address) == 0
    assert definitions.relay_vote(vote=again).approve is False
    assert selectors.next_nonce(first.address) == 1


def test_a_revocation_counts_from_the_epoch_in_the_database(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = consortium.registered()
    revocation = consortium.vote("zurich", known, approve=False)
    real = institutions.lock

    def while_we_wait(institution: Institution) -> None:
        Definition.objects.filter(pk=known.pk).update(epoch=41)
        real(institution)

    monkeypatch.setattr(institutions, "lock", while_we_wait)
    definitions.relay_vote(vote=revocation)
    known.refresh_from_db()
    assert known.epoch == 42


def test_the_public_log_names_no_row_of_our_database(consortium: Consortium) -> None:
    known = consortium.registered()
    definitions.relay_vote(vote=consortium.vote("zurich", known))
    voted = entries(event=Event.DEFINITION_VOTED, definition=known.digest).get()
    assert voted.public == {"definition": known.digest, "institution": "zurich", "approve": True}


@pytest.mark.parametrize("address", ["", "0x1234", "somewhere"])
def test_without_a_registry_no_vote_is_taken_and_the_reason_says_so(
    consortium: Consortium, settings: Any, address: str
) -> None:
    vote = consortium.vote("zurich", consortium.registered())
    settings.REGISTRY_ADDRESS = address
    with pytest.raises(Refused) as caught:
        definitions.relay_vote(vote=vote)
    assert caught.value.reason is Reason.CHAIN_WRONG


def test_a_vote_counts_as_an_approval_once_a_block_holds_it(consortium: Consortium) -> None:
    known = consortium.registered()
    for slug in PARTIES:
        definitions.relay_vote(vote=consortium.vote(slug, known))
    assert selectors.definition_state(selectors.definition(known.digest)) is DefinitionState.REGISTERED
    ChainTransaction.objects.update(state=TransactionState.MINED)
    assert selectors.definition_state(selectors.definition(known.digest)) is DefinitionState.APPROVED


def test_who_approves_again_approves_meanwhile_and_who_revoked_does_not(consortium: Consortium) -> None:
    known = consortium.registered()
    for slug in PARTIES:
        definitions.relay_vote(vote=consortium.vote(slug, known))
    ChainTransaction.objects.update(state=TransactionState.MINED)
    definitions.relay_vote(vote=consortium.vote("zurich", known, nonce=1))
    assert "zurich" in selectors.approving(selectors.definition(known.digest))
    definitions.relay_vote(vote=consortium.vote("zurich", known, approve=False, nonce=2))
    assert "zurich" not in selectors.approving(selectors.definition(known.digest))
    definitions.relay_vote(vote=consortium.vote("zurich", known, nonce=3))
    assert "zurich" not in selectors.approving(selectors.definition(known.digest)), "no block holds the new one"


def test_a_definition_is_approved_by_all_it_needs_and_revoked_by_one(consortium: Consortium) -> None:
    known = consortium.registered()
    states = []
    for slug in PARTIES:
        definitions.relay_vote(vote=consortium.vote(slug, known))
        ChainTransaction.objects.update(state=TransactionState.FINAL)
        states.append(selectors.definition_state(selectors.definition(known.digest)))
    assert states == [DefinitionState.REGISTERED, DefinitionState.REGISTERED, DefinitionState.APPROVED]
    definitions.relay_vote(vote=consortium.vote("zurich", known, approve=False, nonce=1))
    known = selectors.definition(known.digest)
    assert (selectors.definition_state(known), known.epoch) == (DefinitionState.REVOKED, 1)


def test_a_definition_with_another_schema_than_its_design_is_refused(consortium: Consortium) -> None:
    content = consortium.content(consortium.approved(), consortium.import_model())
    with pytest.raises(Refused) as caught:
        definitions.register(
            institution=consortium.at["cleveland"], content=content, schema=SCHEMA | {"version": "2"}, design=DESIGN()
        )
    assert (caught.value.reason, caught.value.field) == (Reason.DIGEST_MISMATCH, "schema")
