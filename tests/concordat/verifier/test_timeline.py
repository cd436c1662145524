"""The dossier in the order of the log: every entry in a sentence, and what has ended since."""

from typing import Any

import pytest

from concordat.events import EVENTS, Event
from concordat.reasons import Reason
from concordat.verifier import bundle, report, timeline, verify
from concordat.verifier.claims import claims
from concordat.verifier.completeness import BY_REFERENCE
from concordat.verifier.examine import examine, summary
from ledger import dossier
from ledger.dossier import collect
from ledger.services.publish import publish
from ledger.services.record import record
from tests.support.decision import SETTINGS, Decision

pytestmark = pytest.mark.django_db


@pytest.fixture
def decision(tmp_path: Any, settings: Any) -> Decision:
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    return Decision.make(tmp_path)


def told(decision: Decision, *disclose: str) -> Any:
    publish()
    result = verify(dossier.build(decision.index, disclose=disclose))
    assert result.story is not None, result.checks
    return result.story


def test_every_entry_of_the_dossier_is_in_it_once_in_order(made: Any) -> None:
    story: Any = verify(made.data).story
    numbers = [row["entry"] for row in story["timeline"]]
    assert numbers == [entry.record_number for entry in sorted(made.decision.entries.values(), key=lambda e: e.index)]
    assert {row["part"] for row in story["timeline"]} == {"allowed", "computed", "shown"}
    assert all(row["sentence"].startswith(EVENTS[Event(row["event"])].description) for row in story["timeline"])


def test_sentences_say_what_was_decided_by_whom(made: Any) -> None:
    rows: Any = verify(made.data).story["timeline"]  # type: ignore[index]
    votes = [row for row in rows if row["event"] == Event.DEFINITION_VOTED]
    assert {row["who"] for row in votes} == {"cleveland", "budapest", "zurich", "long-beach"}
    assert all("approve: yes" in row["sentence"] for row in votes)
    review = next(row for row in rows if row["event"] == Event.REVIEW_SIGNED)
    assert "determination: approved; method: passkey" in review["sentence"]
    shown = next(row for row in rows if row["event"] == Event.RESULT_DISPLAYED)
    assert shown["sentence"].endswith("(accepted by a cardiologist)")


def test_what_a_reader_may_not_see_of_a_display_is_called_so(decision: Decision) -> None:
    row = next(row for row in told(decision)["timeline"] if row["event"] == Event.RESULT_DISPLAYED)
    assert row["sentence"].endswith("(not disclosed to the reader of this dossier)")


def test_a_withdrawal_a_suspension_and_a_false_canary_are_what_has_ended(decision: Decision) -> None:
    assert told(decision)["ended"] == []
    decision.withdraw()
    decision.end(Event.STUDY_SUSPENDED, institution="zurich")
    about = {name: decision.entries["prediction"].public[name] for name in ("job", "request", "definition", "model")}
    record(event=Event.CANARY_FAILED, public=about | {"institution": "long-beach"}, documents={"alarm": "e30.e30.e30"})
    story = told(decision)
    assert [each["sentence"] for each in story["ended"]] == [
        timeline.ENDS[event] for event in (Event.CONSENT_WITHDRAWN, Event.STUDY_SUSPENDED, Event.CANARY_FAILED)
    ]
    assert [row["part"] for row in story["timeline"]][-3:] == ["since"] * 3
    page = report.html({"v": 1, "bundle": None, "holds": True, "story": story, "checks": []})
    assert "nothing should rest on it" in page.split("<h2>")[0]


def test_a_dossier_says_what_the_owner_had_stated_of_the_model_then(decision: Decision) -> None:
    entry = decision.describe()
    story = told(decision)
    assert "card" not in story  # it was said later
    checks = {check.name: check for check in verify(dossier.build(decision.index)).checks}
    assert "after the decision alone" in checks["model card"].sentence
    row = story["timeline"][-1]
    assert (row["entry"], row["part"], row["who"]) == (entry.record_number, "since", "cleveland")
    assert row["sentence"].endswith("(sequence: 1)")


@pytest.mark.parametrize(
    ("signer", "number", "changes", "reason"),
    [
        ("long-beach", 1, {"institution": "cleveland"}, Reason.WRONG_INSTITUTION),
        ("cleveland", 1, {"sequence": 2}, Reason.DIGEST_MISMATCH),
        ("cleveland", 1, {}, Reason.CONFLICT),  # after a second one
    ],
)
def test_a_card_that_the_owner_did_not_sign_so_or_an_older_one_is_found(
    decision: Decision, signer: str, number: int, changes: dict[str, Any], reason: Reason
) -> None:
    if reason is Reason.CONFLICT:
        decision.describe(decision.consortium.card(sequence=2))
    decision.describe(decision.consortium.card(signer, sequence=number), **changes)
    publish()
    checks = {check.name: check for check in verify(dossier.build(decision.index)).checks}
    assert checks["model card"].reason is reason


def test_a_later_recall_is_told_with_reason_class_and_advice_and_the_decision_stands(decision: Decision) -> None:
    entry = decision.recall()
    story = told(decision)
    (ended,) = story["ended"]
    assert ended["entry"] == entry.record_number
    assert ended["sentence"] == (
        "The model was recalled by its owner: it gives wrong results (class I: use could reasonably be expected to "
        "cause serious harm or death). The owner's advice: “Assess the risk without the model.”"
    )
    row = story["timeline"][-1]
    assert (row["event"], row["part"], row["who"]) == (Event.MODEL_RECALLED, "since", "cleveland")
    assert "reason: wrong-results; classification: I" in row["sentence"]
    checks = {check.name: check for check in verify(dossier.build(decision.index)).checks}
    assert f"after the decision, on {entry.time:%Y-%m-%d}" in checks["recall"].sentence
    page = report.html({"v": 1, "bundle": None, "holds": True, "story": story, "checks": []})
    assert "Assess the risk without the model." in page.split("<h2>")[0]


@pytest.mark.parametrize(
    ("signer", "changes", "reason"),
    [
        ("long-beach", {"institution": "cleveland"}, Reason.WRONG_INSTITUTION),
        ("cleveland", {"classification": "III"}, Reason.DIGEST_MISMATCH),
    ],
)
def test_a_recall_that_the_owner_did_not_sign_so_is_found(
    decision: Decision, signer: str, changes: dict[str, str], reason: Reason
) -> None:
    decision.recall(decision.consortium.recall(signer), **changes)
    publish()
    checks = {check.name: check for check in verify(dossier.build(decision.index)).checks}
    assert checks["recall"].reason is reason


def test_an_override_has_ended_it_too(decision: Decision) -> None:
    overridden = decision.override()
    (ended,) = told(decision, "display")["ended"]
    assert ended["entry"] == overridden.record_number
    assert ended["sentence"] == "Somebody to whom it was shown overrode it (overridden by a cardiologist)."
    assert told(decision)["ended"] == []  # closed to this reader


def test_what_was_kept_back_and_why_it_was_overridden_or_taken_back_is_told(decision: Decision) -> None:
    decision.say("suppressed", threshold="0.2")
    decision.say("overridden", reason="findings-contradict")
    decision.say("retracted", reason="merged")
    story = told(decision, "display")
    sentences = [row["sentence"] for row in story["timeline"] if row["event"] == Event.RESULT_DISPLAYED]
    assert "kept back from a cardiologist, because it is below the threshold of 0.2" in sentences[1]
    assert [each["sentence"] for each in story["ended"]] == [
        "Somebody to whom it was shown overrode it (overridden by a cardiologist (other findings contradict it)).",
        "The requester took it back: retracted for every cardiologist (the patient's record was merged into another "
        "one).",
    ]
    page = report.html({"v": 1, "bundle": None, "holds": True, "story": story, "checks": []})
    shown = page.split("<h2>What was shown</h2>")[1].split("<h2>")[0]
    for words in ("accepted by a cardiologist", "below the threshold of 0.2", "other findings contradict it", "merged"):
        assert words in shown


def test_who_read_the_dossier_is_part_of_what_happened_since(decision: Decision) -> None:
    request = decision.entries["prediction"].public["request"]
    public = {"request": request, "role": "legal-reviewer", "form": "pdf"}
    record(event=Event.DOSSIER_READ, public=public, private={"reader": "officer-7"})
    since = told(decision)["since"]
    assert since[-1]["event"] == Event.DOSSIER_READ
    assert "role: legal-reviewer; form: pdf" in since[-1]["sentence"]


def test_a_reading_that_the_operator_leaves_out_is_noticed(decision: Decision, monkeypatch: pytest.MonkeyPatch) -> None:
    public = {"request": decision.entries["prediction"].public["request"], "role": "operator", "form": "bundle"}
    record(event=Event.DOSSIER_READ, public=public, private={"reader": "officer-7"})
    publish()
    with monkeypatch.context() as patch:
        patch.setattr(collect, "BY_REFERENCE", BY_REFERENCE | {"request": (Event.VERDICT,)})
        files = bundle.unpack(dossier.build(decision.index))
    found = {check.name: check.reason for check in examine(files).checks}
    assert found["completeness"] is Reason.INCOMPLETE


# --- exact words


def terms(answer: Any) -> dict[str, str]:
    return dict(claims(answer))


def answered(made: Any, **chain: Any) -> Any:
    answer: Any = verify(made.data).to_json()
    answer["story"]["trust"]["chain"] |= chain
    return answer


def test_a_self_hosted_anchor_is_called_so_and_another_chain_is_not(made: Any) -> None:
    anchors = [{"sequence": 1, "size": 30, "root": "", "block": 4, "transaction": None, "state": "final"}]
    alone, shared = answered(made, self_hosted=True), answered(made, self_hosted=False)
    assert {"Self-hosted anchor", "No anchor"} <= set(terms(alone))
    for answer in (alone, shared):
        answer["story"]["trust"]["anchors"] = anchors
    assert "to nobody but its owner" in terms(alone)["Self-hosted anchor"]
    assert "Self-hosted anchor" not in terms(shared)
    assert "No anchor" not in terms(shared)


def test_whose_word_time_attestations_and_open_questions_are(made: Any) -> None:
    answer = answered(made)
    assert "Attested, not verified" not in terms(answer)
    answer["checks"][3] |= {"status": "attested, not verified"}
    told = terms(answer)
    assert answer["checks"][3]["name"] in told["Attested, not verified"]
    assert "keys" in told["Not checkable"]
    assert "No time-stamping authority" in told["Time asserted by the operator"]


@pytest.mark.parametrize(("canaries", "words"), [(0, "was not noticed"), (1, "1 time in 2"), (3, "3 times in 4")])
def test_how_surely_a_cheater_is_noticed(made: Any, canaries: int, words: str) -> None:
    answer = answered(made)
    answer["story"]["computed"]["canaries"] = canaries
    assert words in terms(answer)["Computed by several"]


def test_the_readable_dossier_in_the_bundle_says_all_this(made: Any) -> None:
    page = summary(made.evidence)["dossier.html"].decode()
    for text in ("What is proven, and what is not", "Time asserted by the operator", '<ol class="timeline">'):
        assert text in page
