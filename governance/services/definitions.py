"""Computation definitions: registered by a site, voted on by institutions, each with its own key."""

from collections.abc import Mapping
from typing import Any, cast

from django.db import transaction

from concordat import clock, plausibility, votes
from concordat import definition as definitions
from concordat.canonical import Json, digest
from concordat.design import Plan, check_design
from concordat.events import Event
from concordat.fields import plain, read
from concordat.model import answers_of
from concordat.plans import CohortPlan, check_plan, opened_counts
from concordat.protocol import kinds
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from concordat.signatures import peek
from concordat.training_plan import TrainingPlan
from governance import policies, selectors
from governance.models import Definition, DefinitionVote, DisclosureStatement, Institution, Study
from governance.permissions import Verb
from governance.services import institutions
from ledger.services.anchoring import queue_vote, registry_domain
from ledger.services.record import record


@transaction.atomic
def disclose(*, token: str) -> DisclosureStatement:
    """Keep a model owner's statement that explanations may disclose the model's weights in one study.

    Raises:
        Refused: MODEL_UNKNOWN; what :func:`concordat.definition.check_disclosure` refuses; NOT_FOUND for a study in
            which the owner takes no part.
    """
    claimed = read(peek(token)[1], definitions.WeightDisclosure)
    manifest = selectors.manifest(claimed["model"])
    owner = selectors.institution(manifest["owner"], field="model")
    statement = definitions.check_disclosure(token, owner=owner.slug, keyring=selectors.keyring([owner.slug]))
    study = _locked_study(owner, statement["study"])
    known = DisclosureStatement.objects.filter(model=statement["model"], study=study).first()
    if known is not None:
        return known
    kept = DisclosureStatement.objects.create(
        study=study, owner=owner, model=statement["model"], statement=token, received=clock.now()
    )
    record(
        event=Event.DISCLOSURE_SIGNED,
        public={"model": kept.model, "institution": owner.slug, "study": study.slug},
        documents={"disclosure": token},
    )
    return kept


@transaction.atomic
def register(
    *,
    institution: Institution,
    content: Mapping[str, Json],
    schema: Mapping[str, Json],
    design: Mapping[str, Json] | None,
) -> Definition:
    """Register a definition under an approved study, so that institutions can vote on it. Twice is no harm.

    Args:
        institution: the site that registers it.
        content: the definition document; its digest is its name.
        schema: the feature schema and
        design: the design of perturbations that it names by digest, or the plan of an audit or a training.

    Raises:
        Refused: MODEL_UNKNOWN; what :func:`concordat.definition.check` and :func:`concordat.design.check_design`
            refuse; DESIGN_IMPLAUSIBLE; NOT_FOUND for a study in which the institution takes no part; WRONG_STATE;
            MODEL_RECALLED; DIGEST_MISMATCH for another protocol, schema or design; FIELD_INVALID for what goes beyond
            the protocol; TRANSFER_BASIS_MISSING.
    """
    named = read(content, definitions.Definition)
    study = _locked_study(institution, named["study"])
    known = Definition.objects.filter(digest=digest(content)).first()
    if known is not None:
        return known
    now = clock.now()
    policies.check_state(study, Verb.DEFINE, now)
    selectors.check_not_recalled(named["model"])
    manifest = selectors.manifest(named["model"])
    disclosure = DisclosureStatement.objects.filter(model=named["model"], study=study).first()
    if digest(schema) != named["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, field="schema")
    plan = _check_design(named, FeatureSchema.from_json(schema), design)
    explained = None if isinstance(plan, CohortPlan) else plan
    groups = opened_counts(plan) if isinstance(plan, CohortPlan) else len(plan.groups)
    document = definitions.check(
        content,
        manifest=manifest,
        groups=groups,
        mirrored=explained is not None and explained.mirrored,
        secret_operator=explained is not None and explained.secrets > 0,
        disclosure=disclosure.statement if disclosure else None,
        keyring=selectors.lasting_keyring([manifest["owner"]]),
        now=now,
    )
    _check_within_protocol(document, study, owner=manifest["owner"])
    definition = Definition.objects.create(
        digest=digest(content),
        study=study,
        content=dict(content),
        owner=selectors.institution(manifest["owner"], field="model"),
        scalars=definitions.opened_scalars(document, groups, answers_of(manifest)),
        valid_until=clock.parse(document["valid_until"]),
        registered=now,
    )
    record(
        event=Event.DEFINITION_REGISTERED,
        public={"study": study.slug, "definition": definition.digest, "model": document["model"]},
        documents={"definition": content, "schema": schema}
        | ({"design": design} if design is not None else {})
        | ({"disclosure": disclosure.statement} if disclosure else {}),
    )
    return definition


@transaction.atomic
def relay_vote(*, vote: Mapping[str, Any]) -> DefinitionVote:
    """Verify an institution's signed vote and queue it for the chain. The same vote again is no harm.

    A revocation takes effect here at once: it does not wait for the chain, and ends what runs on that approval.

    Raises:
        Refused: what :func:`concordat.votes.verify` refuses; VOTE_INVALID for another's key, a past deadline or a
            nonce that is not higher; DEFINITION_UNKNOWN; WRONG_INSTITUTION for who has no say; WRONG_STATE for an
            approval while the study is not approved; MODEL_RECALLED for an approval.
    """
    verified = votes.verify(vote, domain=registry_domain())
    document = cast(votes.VoteDocument, dict(vote))
    institution = selectors.institution(document["institution"])
    if selectors.chain_addresses([institution.slug]).get(institution.slug) != verified.institution:
        raise Refused(Reason.VOTE_INVALID, detail="The address is not the one that the institution enrolled.")
    institutions.lock(institution)  # its votes have an order
    definition = _locked_definition(verified.definition)
    same = DefinitionVote.objects.filter(signature=document["signature"]).first()
    if same is not None:
        return same
    if verified.nonce < selectors.next_nonce(verified.institution):
        raise Refused(Reason.VOTE_INVALID, detail="A vote with this nonce or a later one is here.", field="nonce")
    now = clock.now()
    if now.timestamp() >= verified.deadline:
        raise Refused(Reason.VOTE_INVALID, detail="The vote's deadline has passed.", field="deadline")
    if institution.slug not in selectors.voters(definition):
        raise Refused(Reason.WRONG_INSTITUTION, detail=f"{institution} has no say in this definition.")
    if verified.approve:
        policies.check_state(definition.study, Verb.DEFINE, now)
        selectors.check_not_recalled(definition.content["model"])
    elif _ends_authority(definition, institution.slug):
        definition.epoch += 1
        definition.save(update_fields=["epoch"])
    kept = DefinitionVote.objects.create(
        definition=definition,
        institution=institution,
        approve=verified.approve,
        address=verified.institution,
        nonce=verified.nonce,
        deadline=verified.deadline,
        signature=document["signature"],
        transaction=queue_vote(document),
        received=now,
    )
    record(
        event=Event.DEFINITION_VOTED,
        public={"definition": definition.digest, "institution": institution.slug, "approve": kept.approve},
        documents={"vote": plain(document)},
    )
    return kept


def _locked_study(institution: Institution, slug: str) -> Study:
    """Two copies of what is handed in under one study queue here."""
    study = selectors.study_of(institution, slug)
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    return study


def _locked_definition(digest: str) -> Definition:
    """The definition, read when nobody else can change it any more, so that no revocation is counted away."""
    Definition.objects.select_for_update(no_key=True).filter(digest=digest).first()
    return selectors.definition(digest)


def _ends_authority(definition: Definition, revoking: str) -> bool:
    """Whether everything under the definition rests on this institution's approval: it is a needed one, or without it
    the quorum is missing. A requester's own requests also rest on its own, which :mod:`governance.case` counts."""
    if revoking in selectors.needed_approvals(definition):
        return True
    quorum = definition.content["quorum"]
    left = selectors.approving(definition).intersection(quorum["of"]) - {revoking}
    return revoking in quorum["of"] and len(left) < quorum["needed"]


def _check_design(
    document: definitions.Definition, schema: FeatureSchema, design: Mapping[str, Json] | None
) -> Plan | CohortPlan:
    """The design that the definition names, or the plan of an audit or a training, checked."""
    if design is None or digest(design) != document["design"]:
        raise Refused(Reason.DIGEST_MISMATCH, field="design")
    plan = check_plan(document["kind"], design, schema)
    if isinstance(plan, TrainingPlan):
        plan.factors(len(document["parties"]))
    if plan is not None:
        return plan
    checked = check_design(design, schema)
    plausibility.check_reference(checked, schema, most=document["impossible"])
    return checked


def _check_within_protocol(document: definitions.Definition, study: Study, *, owner: str) -> None:
    """A definition does no more than the protocol that the boards approved."""
    version = study.in_force
    if version is None or document["protocol"] != version.base:
        detail = "It names another protocol than the one that is in force, by the digest of its last material version."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field="protocol")
    protocol = version.content
    limits = {
        "kind": ([document["kind"]], kinds(protocol)),
        "parties": (document["parties"], protocol["sites"]),
        "model": ([owner], protocol["sites"]),
        "requesters": (document["requesters"], protocol["requesters"]),
        "recipients": (document["recipients"], protocol["sites"]),
        "purposes": (document["purposes"], protocol["purposes"]),
        "data_use": (document["data_use"], protocol["data_use"]["study"]),
    }
    for field, (named, allowed) in limits.items():
        for beyond in sorted(set(named) - set(allowed)):
            raise Refused(Reason.FIELD_INVALID, detail=f"The protocol does not name “{beyond}”.", field=field)
    selectors.institutions([document["dealer"]], field="dealer")
    selectors.institutions(document["quorum"]["of"], field="quorum.of")
    touched = {
        "jurisdictions": [*document["parties"], *document["requesters"]],
        "result_jurisdictions": document["recipients"],
    }
    for field, slugs in touched.items():
        for each in selectors.institutions(slugs, field=field).values():
            if each.jurisdiction not in document[field]:  # type: ignore[literal-required]
                raise Refused(
                    Reason.TRANSFER_BASIS_MISSING,
                    detail=f"{each} is under the law of {each.jurisdiction}, which is not named.",
                    field=field,
                )
