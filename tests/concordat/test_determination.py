"""A determination whose parts do not fit one another is none, whoever signs it."""

from typing import Any

import pytest

from concordat import delegation, determination, reliance
from concordat.canonical import digest
from concordat.determination import ALONE, DELEGATED, OUTCOMES, Path
from concordat.findings import CATEGORIES, needed
from concordat.reasons import Reason, Refused
from tests.support.boards import Boards, new_protocol

R = Reason


@pytest.fixture(scope="module")
def boards() -> Boards:
    protocol = new_protocol(
        study="chest-pain",
        institution="cleveland",
        sites=["cleveland", "long-beach"],
        requesters=["long-beach"],
        purposes=["decision-support"],
    )
    return Boards({}, protocol, {"long-beach": "cleveland"})


@pytest.mark.parametrize("path", Path)
def test_every_path_has_its_outcomes_and_its_signers(boards: Boards, path: Path) -> None:
    assert OUTCOMES[path]
    assert ALONE[path]
    assert determination.check(boards.determination("cleveland", path=path))["path"] is path


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"sites": ["cleveland", "cleveland"], "reliance": {}}, R.FIELD_INVALID, "sites"),
        ({"reliance": {}}, R.FIELD_INVALID, "reliance"),
        ({"sites": ["cleveland"], "reliance": {"zurich": digest(b"x")}}, R.FIELD_INVALID, "reliance"),
        ({"reliance": {"cleveland": digest(b"x"), "long-beach": digest(b"x")}}, R.FIELD_INVALID, "reliance"),
        ({"outcome": "referred", "reasons": "Ask the board."}, R.OUTCOME_NOT_ALLOWED, ""),
        ({"path": "expedited", "outcome": "disapproved"}, R.OUTCOME_NOT_ALLOWED, ""),
        ({"path": "expedited", "outcome": "deferred"}, R.OUTCOME_NOT_ALLOWED, ""),
        ({"path": "exempt", "outcome": "approved-with-conditions"}, R.OUTCOME_NOT_ALLOWED, ""),
        ({"conditions": ["One."]}, R.FIELD_INVALID, "conditions"),
        ({"outcome": "approved-with-conditions", "conditions": []}, R.FIELD_INVALID, "conditions"),
        ({"outcome": "disapproved", "reasons": " "}, R.FIELD_MISSING, "reasons"),
        ({"expires": ""}, R.FIELD_INVALID, "expires"),
        ({"expires": "soon"}, R.FIELD_INVALID, "expires"),
        ({"outcome": "deferred", "expires": "2030-01-01T00:00:00Z"}, R.FIELD_INVALID, "expires"),
        ({"minutes": ""}, R.FIELD_INVALID, "minutes"),
        ({"minutes": "in the cupboard"}, R.FIELD_INVALID, "minutes"),
        ({"path": "expedited", "minutes": digest(b"x")}, R.FIELD_INVALID, "minutes"),
        ({"path": "paper", "scan": ""}, R.FIELD_INVALID, "scan"),
        ({"scan": digest(b"x")}, R.FIELD_INVALID, "scan"),
        ({"path": "exempt", "delegation": digest(b"x")}, R.FIELD_INVALID, "delegation"),
        ({"path": "paper", "delegation": digest(b"x")}, R.FIELD_INVALID, "delegation"),
        ({"protocol": digest(b"x")}, R.FIELD_INVALID, "base"),
        ({"path": "expedited", "category": ""}, R.FIELD_INVALID, "category"),
        ({"path": "exempt", "category": "1"}, R.FIELD_INVALID, "category"),
        ({"category": "5"}, R.FIELD_INVALID, "category"),
        ({"findings": {}}, R.FINDING_MISSING, "findings.risks-minimised"),
        ({"more": 1}, R.FIELD_UNKNOWN, "more"),
    ],
)
def test_parts_that_do_not_fit_are_named(boards: Boards, changes: dict[str, Any], reason: Reason, field: str) -> None:
    with pytest.raises(Refused) as caught:
        determination.check(boards.determination("cleveland", **changes))
    assert (caught.value.reason, caught.value.field) == (reason, field)


@pytest.mark.parametrize("path", ["full-board", "expedited", "exempt"])
def test_a_waiver_adds_its_findings_on_every_path(path: str) -> None:
    added = set(needed(path, waiver=True)) - set(needed(path, waiver=False))
    assert {"waiver-minimal-risk", "hipaa-minimal-risk"} <= added


def test_only_who_may_review_alone_has_categories_and_only_members_reviews_are_delegated() -> None:
    assert set(CATEGORIES) == {Path.EXPEDITED, Path.EXEMPT}
    assert DELEGATED == {Path.EXPEDITED: "expedited-review", Path.FULL_BOARD: "preside"}
    assert set(DELEGATED.values()) < set(delegation.SCOPES)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scope": "everything"}, "scope"),
        ({"study": "Not A Slug"}, "study"),
        ({"ends": "2020-01-01T00:00:00Z"}, "ends"),
        ({"ends": "2100-01-01T00:00:00Z"}, "ends"),
    ],
)
def test_a_delegation_is_scoped_and_lasts_a_year_at_most(boards: Boards, changes: dict[str, Any], field: str) -> None:
    delegation.check(boards.delegation("cleveland"))
    with pytest.raises(Refused) as caught:
        delegation.check(boards.delegation("cleveland", **changes))
    assert (caught.value.reason, caught.value.field) == (R.FIELD_INVALID, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reviewing": "long-beach"}, "reviewing"),
        ({"ends": "2020-01-01T00:00:00Z"}, "ends"),
        ({"study": "No Slug"}, "study"),
    ],
)
def test_an_agreement_is_between_two_and_has_its_time(boards: Boards, changes: dict[str, Any], field: str) -> None:
    reliance.check(boards.agreement("long-beach"))
    with pytest.raises(Refused) as caught:
        reliance.check(boards.agreement("long-beach", **changes))
    assert (caught.value.reason, caught.value.field) == (R.FIELD_INVALID, field)
