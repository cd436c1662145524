"""Where the terms of an institution's data leave it to a person, a data steward decides, by signature."""

from collections.abc import Mapping
from typing import Any

from concordat import clock, data_use, data_use_decision
from concordat.data_use import DatasetTerms
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import DataUseDecision, Institution, ProtocolVersion, Signature, Study, Submission
from governance.notices import Notice
from governance.permissions import HOLDERS, Verb
from governance.services import notifications
from governance.services.signing import Act, Ask, Prepared
from ledger.services.record import record


def decision(study: Study, institution: Institution, base: str) -> bool | None:
    """Whether a data steward allowed the use on this base; the last decision counts, None while there is none."""
    made = DataUseDecision.objects.filter(study=study, institution=institution, base=base)
    return made.values_list("allowed", flat=True).first()


def left_to_people(content: Mapping[str, Any]) -> dict[str, DatasetTerms]:
    """The terms in a protocol that neither allow nor deny its use by themselves, by institution."""
    uses, datasets = content["data_use"]["study"], content["data_use"]["datasets"]
    return {
        each["institution"]: each
        for each in datasets
        if data_use.match(uses, each["terms"]).answer == data_use.Answer.NEEDS_HUMAN
    }


def ask_stewards(submission: Submission) -> None:
    """Tell the data stewards who have to decide about what is put before the boards; the caller's transaction."""
    study, version = submission.study, submission.version
    for slug in left_to_people(version.content):
        institution = selectors.institution(slug, field="data_use")
        if decision(study, institution, version.base) is None:
            notifications.tell(
                Notice.DATA_USE_WAITS,
                to=notifications.holders(institution, *HOLDERS[Verb.DECIDE_DATA_USE]),
                study=study,
                key=_key(study, institution, version.base),
                sentence=f"“{study.title}” asks to use your institution's data: decide whether it may.",
            )


def _prepare(ask: Ask) -> Prepared:
    study = selectors.locked_study(ask.by, str(ask.fields.get("study", "")))
    institution = selectors.institution(str(ask.fields.get("institution", "")))
    permissions.check_may(ask.by, Verb.DECIDE_DATA_USE, institution)
    permissions.check_takes_part(institution, study)
    permissions.check_independent(ask.by, study)
    policies.check_state(study, Verb.DECIDE_DATA_USE, ask.moment)
    version = _version(study, str(ask.fields.get("base", "")))
    meaning = ask.fields.get("decision")
    if meaning not in ("allows", "denies"):
        raise Refused(Reason.FIELD_INVALID, detail="A decision allows or denies.", field="decision")
    document = {
        "v": 1,
        "study": study.slug,
        "institution": institution.slug,
        "base": version.base,
        "terms": list(_terms(version, institution)["terms"]),
        "uses": list(version.content["data_use"]["study"]),
        "allowed": meaning == "allows",
        "reason": ask.fields.get("reason", ""),
    }
    checked = dict(plain(data_use_decision.check(document)))
    return Prepared("data-use", checked, meaning, institution, frozenset(HOLDERS[Verb.DECIDE_DATA_USE]), study)


def _perform(ask: Ask, prepared: Prepared, signature: Signature) -> DataUseDecision:
    study, document = prepared.study, prepared.document
    assert study is not None  # a decision is about a study
    made = DataUseDecision.objects.create(
        study=study,
        institution=prepared.institution,
        base=document["base"],
        allowed=document["allowed"],
        document=dict(document),
        signature=signature,
        decided=clock.now(),
    )
    if not made.allowed and study.in_force is not None and study.in_force.base == made.base:
        study.epoch += 1
        study.save(update_fields=["epoch"])
    notifications.mark_done(_key(study, prepared.institution, made.base))
    record(
        event=Event.DATA_USE_DECIDED,
        public={
            "study": study.slug,
            "institution": prepared.institution.slug,
            "allowed": made.allowed,
            "base": made.base,
            "method": signature.method,
        },
        private={"officer": str(signature.officer.uuid)},
        subject=signature.officer.uuid,
        documents={"decision": dict(document), "signature": signature.evidence},
    )
    return made


DECIDE_DATA_USE = Act(Verb.DECIDE_DATA_USE.value, Verb.DECIDE_DATA_USE, _prepare, _perform)


def _key(study: Study, institution: Institution, base: str) -> str:
    return f"data use {study.uuid} {institution.slug} {base}"


def _version(study: Study, base: str) -> ProtocolVersion:
    """What is decided about: what is before the boards, or else in force; or either of them by its base."""
    pending = selectors.open_submission(study)
    for version in (pending.version if pending else None, study.in_force):
        if version is not None and base in ("", version.base):
            return version
    detail = "No protocol that is before the boards or in force has this base."
    raise Refused(Reason.NOT_FOUND, detail=detail, field="base")


def _terms(version: ProtocolVersion, institution: Institution) -> DatasetTerms:
    """The institution's terms, if they leave the question to a person."""
    datasets = {each["institution"]: each for each in version.content["data_use"]["datasets"]}
    if institution.slug not in datasets:
        raise Refused(Reason.NOT_FOUND, detail=f"The protocol names no data of {institution}.", field="institution")
    if institution.slug not in left_to_people(version.content):
        detail = f"The terms of {institution} answer by themselves; nobody has to decide."
        raise Refused(Reason.WRONG_STATE, detail=detail, field="institution")
    return datasets[institution.slug]
