"""On which ground a record is used, by which terms of the data, and how often: what the verdict says to each."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from concordat import clock
from concordat.canonical import digest
from concordat.findings import WAIVER
from concordat.reasons import Reason, Refused
from governance import selectors, verdict
from governance.models import BudgetUse, Consent, Definition, Study
from governance.selectors import studies
from governance.services import consent as consents
from governance.verdict import Check, Verdict, authorise
from tests.governance.conftest import FINDINGS, Consortium
from tests.support.audited import new_plan

GRANTED = {name: {"answer": "met", "note": ""} for name in WAIVER}
HMB, DS, NMDS, METHODS = "DUO:0000006", "DUO:0000007", "DUO:0000015", "DUO:0000031"


def agreed(consortium: Consortium, *, content: dict[str, Any] | None = None, **protocol: Any) -> Definition:
    """A definition that everyone has approved, under a protocol with these changes."""
    study, model = consortium.approved(**protocol), consortium.import_model()
    return consortium.voted(consortium.register(consortium.content(study, model, **content or {})))


def decide(consortium: Consortium, request: str, *, later: timedelta = timedelta()) -> Verdict:
    return authorise(request, now=clock.now() + later, chain=consortium.chain)


def failed(found: Verdict) -> dict[str, Reason | None]:
    return {check.name: check.reason for check in found.checks if not check.passed}


def answer(found: Verdict, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)


# --- consent that another signed


def by_another(consortium: Consortium, known: Definition, capacity: str, **changes: Any) -> str:
    """A request on the strength of a consent that a parent or a representative signed; it is handed in."""
    subject = "5b0e1d52-52d7-4b44-a04f-9a40d6b44a1c"
    token = consortium.consent(
        subject=subject,
        signer={"capacity": capacity, "assent": digest("assent") if capacity == "parent" else ""},
        **changes,
    )
    consents.give(institution=consortium.at["long-beach"], token=token)
    return consortium.request(known, subject=subject, consent=token)


def in_days(days: int, why: str) -> dict[str, str]:
    return {"on": clock.rfc3339(clock.now() + timedelta(days=days)), "why": why}


@pytest.mark.parametrize(("capacity", "why"), [("parent", "majority"), ("representative", "capacity")])
def test_what_another_signed_counts_until_the_person_can_decide(
    consortium: Consortium, capacity: str, why: str
) -> None:
    known = agreed(consortium)
    request = by_another(consortium, known, capacity, reconsent=in_days(10, why))
    assert decide(consortium, request).passed
    later = decide(consortium, request, later=timedelta(days=10))
    assert failed(later) == {"period": Reason.EXPIRED, "legal-basis": Reason.RECONSENT_NEEDED}
    assert later.epoch == verdict.epoch(request) + 1, "a running job is stale by the clock alone"


def test_a_person_who_decides_for_themself_again_is_asked_themself(consortium: Consortium) -> None:
    known = agreed(consortium)
    request = by_another(consortium, known, "representative")
    before = verdict.epoch(request)
    token = consortium.capacity(str(Consent.objects.get().uuid))
    consents.lapse(institution=consortium.at["long-beach"], token=token)
    assert failed(decide(consortium, request)) == {"legal-basis": Reason.RECONSENT_NEEDED}
    assert verdict.epoch(request) == before + 1


def test_a_consent_whose_time_is_over_ends_what_runs(consortium: Consortium) -> None:
    request = consortium.request(agreed(consortium))
    before = verdict.epoch(request)
    Consent.objects.update(until=clock.now())
    assert verdict.epoch(request) == before + 1


# --- other grounds


@pytest.fixture
def waived(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any] | None], None]:
    """The board's determination in force, as the verdict reads it: with findings for a waiver, or with none."""

    def set_to(document: dict[str, Any] | None) -> None:
        for reads in (selectors, studies):
            monkeypatch.setattr(reads, "determination_for", lambda study, institution: document)

    return set_to


def resting_on(consortium: Consortium, ground: str) -> Definition:
    """A definition under a protocol with this ground, whose boards made the findings for a waiver too."""
    study, model = consortium.submitted(bases=[consortium.basis(ground)]), consortium.import_model()
    consortium.local_context(study)
    findings = FINDINGS | GRANTED if ground == "waiver" else FINDINGS
    for chair in consortium.chairs.values():
        consortium.sign(chair, study, findings=findings)
    study.refresh_from_db()
    return consortium.voted(consortium.register(consortium.content(study, model)))


def test_a_waiver_needs_every_finding_of_the_board(consortium: Consortium, waived: Any) -> None:
    request = consortium.request(resting_on(consortium, "waiver"), ground="waiver")
    found = decide(consortium, request)
    assert found.passed
    assert "cleveland" in answer(found, "legal-basis").sentence, "long-beach relies on this board"
    for name, criterion in WAIVER.items():
        for spoiled in ("not-met", None):
            findings = {n: {"answer": spoiled, "note": ""} if n == name else f for n, f in GRANTED.items()}
            waived({"path": "full-board", "findings": {n: f for n, f in findings.items() if f["answer"]}})
            said = answer(decide(consortium, request), "legal-basis")
            assert (said.reason, criterion.question in said.sentence) == (Reason.FINDING_MISSING, True)


def test_without_a_determination_nothing_is_waived_or_exempt(consortium: Consortium, waived: Any) -> None:
    known = resting_on(consortium, "waiver")
    waived(None)
    assert failed(decide(consortium, consortium.request(known, ground="waiver"))) == {
        "legal-basis": Reason.FINDING_MISSING
    }


@pytest.mark.parametrize(
    ("document", "passes"), [({"path": "exempt"}, True), ({"path": "full-board"}, False), (None, False)]
)
def test_exempt_is_what_the_board_found_exempt(
    consortium: Consortium, waived: Any, document: dict[str, Any] | None, passes: bool
) -> None:
    waived(document)
    known = agreed(consortium, bases=[consortium.basis("exempt")])
    found = decide(consortium, consortium.request(known, ground="exempt"))
    assert failed(found) == ({} if passes else {"legal-basis": Reason.LEGAL_BASIS_MISSING})


@pytest.mark.parametrize("ground", ["care", "public-health-emergency"])
def test_a_ground_without_consent_is_allowed_where_the_protocol_states_it(consortium: Consortium, ground: str) -> None:
    known = agreed(consortium, bases=[consortium.basis(ground)])
    request = consortium.request(known, ground=ground)
    assert decide(consortium, request).passed
    assert verdict.epoch(request) == 0
    assert failed(decide(consortium, consortium.request(known))) == {"legal-basis": Reason.LEGAL_BASIS_MISSING}


# --- terms of the data


def terms(*codes: str, of: str = "long-beach", study: tuple[str, ...] = (HMB,)) -> dict[str, Any]:
    return {"study": list(study), "datasets": [{"institution": of, "terms": list(codes)}]}


@pytest.mark.parametrize("of", ["long-beach", "cleveland", "zurich"])
def test_terms_that_do_not_allow_the_use_are_named_with_their_owner(consortium: Consortium, of: str) -> None:
    content = {"data_use": [HMB, METHODS]}
    known = agreed(consortium, content=content, data_use=terms(HMB, NMDS, of=of, study=(HMB, METHODS)))
    found = decide(consortium, consortium.request(known))
    assert failed(found) == {"data-use": Reason.DATA_USE_DENIED}
    assert f"The data of {of}: " in answer(found, "data-use").sentence
    assert NMDS in answer(found, "data-use").sentence


def steward_decides(consortium: Consortium, study: Study, decision: str) -> None:
    """The data steward of Long Beach signs what its terms leave to a person."""
    steward = consortium.officer("long-beach", "data-steward")
    consortium.roster("long-beach", [(steward, "data-steward")])
    about = {"study": str(study.uuid), "institution": "long-beach", "decision": decision, "reason": "As agreed."}
    consortium.act(steward, "decide-data-use", **about)


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        (None, {"data-use": Reason.DATA_USE_UNDECIDED}),
        (False, {"data-use": Reason.DATA_USE_DENIED}),
        (True, {}),
    ],
)
def test_where_a_person_has_to_decide_their_decision_counts(
    consortium: Consortium, decided: bool | None, expected: dict[str, Reason]
) -> None:
    known = agreed(consortium, content={"data_use": [DS]}, data_use=terms(DS, study=(HMB, DS)))
    if decided is not None:
        steward_decides(consortium, known.study, "allows" if decided else "denies")
    assert failed(decide(consortium, consortium.request(known))) == expected


def test_nobody_overrules_a_denial(consortium: Consortium) -> None:
    known = agreed(consortium, data_use=terms(DS))
    with pytest.raises(Refused):
        steward_decides(consortium, known.study, "allows")
    assert failed(decide(consortium, consortium.request(known))) == {"data-use": Reason.DATA_USE_DENIED}


# --- urgency, kind, where results go, how often


def test_emergent_use_is_no_emergency_service_and_the_verdict_says_so(consortium: Consortium) -> None:
    refused = decide(consortium, consortium.request(agreed(consortium), urgency="emergent"))
    assert "not an emergency service" in answer(refused, "urgency").sentence


def test_emergent_use_is_allowed_where_the_definition_says_so(consortium: Consortium) -> None:
    known = agreed(consortium, content={"emergent": True})
    assert decide(consortium, consortium.request(known, urgency="emergent")).passed


def test_no_prediction_is_asked_for_under_a_definition_to_audit(consortium: Consortium) -> None:
    """Its shares are for nobody there, and the consent that it rests on is one person's."""
    study, model = consortium.approved(kinds=["explain", "audit"]), consortium.import_model()
    plan = digest(new_plan())
    content = {"kind": "audit", "target": "none", "design": plan, "impossible": "", "opened": ["counts"]}
    known = consortium.voted(consortium.register(consortium.content(study, model, **content)))
    found = failed(decide(consortium, consortium.request(known)))
    assert found == {"shares": Reason.WRONG_PARTY, "legal-basis": Reason.LEGAL_BASIS_MISSING}


def test_a_requester_that_has_moved_gets_no_result_where_none_may_go(consortium: Consortium) -> None:
    known = agreed(consortium)
    consortium.at["long-beach"].jurisdiction = "HU"
    consortium.at["long-beach"].save()
    found = decide(consortium, consortium.request(known))
    assert failed(found) == {"transfers": Reason.TRANSFER_BASIS_MISSING}
    assert "No result may go to HU" in answer(found, "transfers").sentence


@pytest.mark.parametrize(
    ("budgets", "day", "sentence"),
    [
        ({"jobs_a_day": 2}, 0, "2 jobs a day"),
        ({"jobs": 2}, -3, "2 jobs in all"),
        ({"scalars": 39}, -3, "39 numbers opened"),
    ],
)
def test_a_budget_that_is_used_up_is_named(
    consortium: Consortium, budgets: dict[str, int], day: int, sentence: str
) -> None:
    known = agreed(consortium, content={"budgets": {"jobs_a_day": 10, "jobs": 100, "scalars": 1000} | budgets})
    request = consortium.request(known)
    assert decide(consortium, request).passed
    BudgetUse.objects.create(
        definition=known,
        requester=consortium.at["long-beach"],
        day=(clock.now() + timedelta(days=day)).date(),
        jobs=2,
        scalars=26,
    )
    found = decide(consortium, request)
    assert failed(found) == {"budget": Reason.BUDGET_SPENT}
    assert sentence in answer(found, "budget").sentence
    assert (found.failed.name, found.failed.reason) == ("budget", Reason.BUDGET_SPENT)


def test_yesterday_s_jobs_are_not_today_s(consortium: Consortium) -> None:
    known = agreed(consortium, content={"budgets": {"jobs_a_day": 1, "jobs": 100, "scalars": 1000}})
    yesterday = (clock.now() - timedelta(days=1)).date()
    BudgetUse.objects.create(definition=known, requester=consortium.at["long-beach"], day=yesterday, jobs=1, scalars=13)
    assert decide(consortium, consortium.request(known)).passed


def test_jobs_are_each_requester_s_own_and_numbers_are_everybody_s(consortium: Consortium) -> None:
    known = agreed(consortium, content={"budgets": {"jobs_a_day": 1, "jobs": 1, "scalars": 27}})
    other = BudgetUse.objects.create(
        definition=known, requester=consortium.at["zurich"], day=clock.now().date(), jobs=1, scalars=13
    )
    request = consortium.request(known)
    assert decide(consortium, request).passed
    BudgetUse.objects.filter(pk=other.pk).update(scalars=14)
    assert failed(decide(consortium, request)) == {"budget": Reason.BUDGET_SPENT}
