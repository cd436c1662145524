"""Where terms leave the question to a person, a data steward of that institution decides, by signature."""

from typing import Any

import pytest

from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import acts
from governance.models import DataUseDecision, Notification, Study
from governance.notices import Notice
from governance.services.data_use import decision
from ledger import selectors as ledger
from tests.governance.conftest import Consortium, Officer

ASKS, ALLOWS, DENIES = ["DUO:0000007"], ["DUO:0000042"], ["DUO:0000011"]
"""One disease only; general research; research on ancestry only: asked of a study that is health research."""


def terms(**of: list[str]) -> dict[str, Any]:
    return {"study": ["DUO:0000006"], "datasets": [{"institution": slug, "terms": codes} for slug, codes in of.items()]}


@pytest.fixture
def steward(consortium: Consortium) -> Officer:
    officer = consortium.officer("zurich", "data-steward")
    consortium.roster("zurich", [(consortium.chairs["zurich"], "irb-chair"), (officer, "data-steward")])
    return officer


def decide(c: Consortium, steward: Officer, of: Study, says: str = "allows", /, **changes: Any) -> DataUseDecision:
    fields = {"study": str(of.uuid), "institution": "zurich", "decision": says, "reason": "It is about it."}
    made: DataUseDecision = c.act(steward, "decide-data-use", **fields | changes)
    return made


def disease(c: Consortium, **of: list[str]) -> Study:
    """A study of one disease; the terms of zurich's data leave it to a person whether it is theirs."""
    use = terms(zurich=ASKS, **of)
    return c.submitted(data_use=use | {"study": ["DUO:0000007"]})


def test_a_steward_decides_and_the_log_keeps_the_signed_decision(consortium: Consortium, steward: Officer) -> None:
    study = disease(consortium)
    base = study.versions.get().base
    assert decision(study, consortium.at["zurich"], base) is None
    made = decide(consortium, steward, study)
    assert decision(study, consortium.at["zurich"], base) is True
    assert made.document == {
        "v": 1,
        "study": study.slug,
        "institution": "zurich",
        "base": base,
        "terms": ASKS,
        "uses": ["DUO:0000007"],
        "allowed": True,
        "reason": "It is about it.",
    }
    assert (made.signature.meaning, made.signature.record_kind, made.signature.verifiable) == (
        "allows",
        "data-use",
        True,
    )
    entry = ledger.entries(event=Event.DATA_USE_DECIDED).get()
    assert (entry.public["allowed"], entry.public["method"]) == (True, "passkey")
    assert entry.documents["decision"] == made.signature.record
    assert steward.user.officer.name not in str(entry.content)


def test_the_last_decision_counts(consortium: Consortium, steward: Officer) -> None:
    study = disease(consortium)
    for says in ("allows", "denies"):
        base = decide(consortium, steward, study, says).base
    assert decision(study, consortium.at["zurich"], base) is False
    assert decision(study, consortium.at["budapest"], base) is None


def test_a_denial_ends_what_runs_under_a_study_in_force_and_only_that(consortium: Consortium, steward: Officer) -> None:
    study = disease(consortium)
    decide(consortium, steward, study, "denies")
    study.refresh_from_db()
    assert study.epoch == 0  # nothing is in force yet
    decide(consortium, steward, study, "allows")
    consortium.local_context(study)
    for chair in consortium.chairs.values():
        consortium.sign(chair, study)
    decide(consortium, steward, study, "denies")
    study.refresh_from_db()
    assert (study.epoch, study.state) == (1, "approved")
    decide(consortium, steward, study, "allows")
    study.refresh_from_db()
    assert study.epoch == 1


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"decision": "shrugs"}, Reason.FIELD_INVALID, "decision"),
        ({"reason": " "}, Reason.FIELD_INVALID, "reason"),
        ({"base": "sha256:" + "0" * 64}, Reason.NOT_FOUND, "base"),
        ({"institution": "budapest"}, Reason.WRONG_INSTITUTION, ""),
        ({"institution": "atlantis"}, Reason.NOT_FOUND, "institution"),
        ({"study": "chest-pain"}, Reason.FIELD_INVALID, "identifier"),
    ],
)
def test_what_is_wrong_is_said_by_field(
    consortium: Consortium, steward: Officer, changes: dict[str, str], reason: Reason, field: str
) -> None:
    study = disease(consortium)
    with pytest.raises(Refused) as caught:
        decide(consortium, steward, study, **changes)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert not DataUseDecision.objects.exists()


@pytest.mark.parametrize("codes", [ALLOWS, DENIES])
def test_where_the_terms_answer_by_themselves_nobody_decides(
    consortium: Consortium, steward: Officer, codes: list[str]
) -> None:
    study = consortium.submitted(data_use=terms(zurich=codes))
    assert not Notification.objects.filter(notice=Notice.DATA_USE_WAITS).exists()
    with pytest.raises(Refused) as caught:
        decide(consortium, steward, study)
    assert caught.value.reason is Reason.WRONG_STATE


def test_an_institution_without_terms_has_nothing_to_decide(consortium: Consortium, steward: Officer) -> None:
    with pytest.raises(Refused) as caught:
        decide(consortium, steward, consortium.submitted())
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_FOUND, "institution")


def test_only_a_data_steward_decides_and_nobody_about_their_own_study(consortium: Consortium, steward: Officer) -> None:
    study = disease(consortium)
    with pytest.raises(Refused) as caught:
        decide(consortium, consortium.chairs["zurich"], study)
    assert caught.value.reason is Reason.ROLE_MISSING
    steward.user.memberships.create(
        institution=consortium.at["cleveland"], role="investigator", since=steward.user.date_joined
    )
    with pytest.raises(Refused) as caught:
        decide(consortium, steward, study)
    assert caught.value.reason is Reason.SELF_REVIEW


def test_nothing_is_decided_about_a_study_that_has_ended(consortium: Consortium, steward: Officer) -> None:
    study = disease(consortium)
    Study.objects.update(state="closed")
    with pytest.raises(Refused) as caught:
        decide(consortium, steward, study)
    assert caught.value.reason is Reason.WRONG_STATE


def test_a_decision_on_what_is_before_no_board_any_more_is_not_signed(consortium: Consortium, steward: Officer) -> None:
    study = disease(consortium)
    fields = {"study": str(study.uuid), "institution": "zurich", "decision": "allows", "reason": "Yes."}
    asked = acts.ask(by=steward.user, act="decide-data-use", fields=fields)
    consortium.sign(consortium.chairs["budapest"], study, "modifications-required")
    with pytest.raises(Refused) as caught:
        acts.sign(by=steward.user, nonce=asked.nonce, assertion={})
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_FOUND, "base")
    assert not DataUseDecision.objects.exists()


def test_stewards_are_told_when_a_submission_waits_for_them(consortium: Consortium, steward: Officer) -> None:
    other = consortium.member("budapest", "data-steward")
    study = disease(consortium, budapest=ALLOWS)
    told = Notification.objects.filter(notice=Notice.DATA_USE_WAITS)
    assert [each.user for each in told] == [steward.user]
    assert other not in [each.user for each in told]
    fields = {"study": str(study.uuid), "institution": "zurich", "decision": "allows", "reason": "Yes."}
    consortium.act(steward, "decide-data-use", **fields)
    assert not told.filter(read=None).exists()
