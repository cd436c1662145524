"""A cohort's rows: who is used, who is left out and counted, whether the outcome came, and in how many queries."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from concordat.omop.cohort import (
    AGAIN,
    DEAD,
    DIED,
    LOST,
    NOBODY,
    UNCERTAIN,
    UNOBSERVED,
    Cohort,
    CohortRow,
    Group,
    Outcome,
    shown,
)
from concordat.reasons import Reason, Refused
from concordat.schema import Code
from tests.support.bundles import SNOMED, feature, only, schema
from tests.support.omop import (
    C_DIABETES,
    C_KIDNEY,
    C_NEPHRITIS,
    C_SYSTOLIC,
    LESS,
    MM_HG,
    PERSON,
    PRELIMINARY,
    RESOLVED,
    Warehouse,
)

KIDNEY = Outcome((Code(system=SNOMED, code="709044004", display="Chronic kidney disease"),), days=365)
SCHEMA = only("systolic")
INDEX = date(2026, 3, 2)


def rows(warehouse: Warehouse, **options: object) -> tuple[list[CohortRow], dict[str, int]]:
    with warehouse.open() as database:
        cohort = Cohort(database, options.pop("schema", SCHEMA), 1, **{"outcome": KIDNEY, **options})  # type: ignore[arg-type]
        found = list(cohort)
        assert cohort.summary.rows == cohort.summary.used + cohort.summary.left_out.total()
        assert cohort.summary.used == len(found)
        return found, dict(cohort.summary.left_out)


@pytest.fixture
def member(warehouse: Warehouse) -> Warehouse:
    """A person who is in the cohort, and observed all the time."""
    warehouse.add("cohort", subject_id=PERSON)
    warehouse.add("observation_period")
    warehouse.measure()
    return warehouse


class TestTheOutcome:
    @pytest.mark.parametrize(("after", "came"), [(-1, False), (0, False), (1, True), (365, True), (366, False)])
    def test_comes_after_the_index_day_and_within_the_days(self, member: Warehouse, after: int, came: bool) -> None:
        member.diagnose(C_NEPHRITIS, condition_start_date=(INDEX + timedelta(days=after)).isoformat())
        found, _ = rows(member)
        assert [each.outcome for each in found] == [came]

    def test_is_one_of_the_conditions_that_are_asked_for(self, member: Warehouse) -> None:
        member.diagnose(C_DIABETES, condition_start_date="2026-06-01")
        assert [each.outcome for each in rows(member)[0]] == [False]
        member.diagnose(C_KIDNEY, condition_start_date="2026-06-01")
        assert [each.outcome for each in rows(member)[0]] == [True]

    def test_that_is_only_suspected_leaves_the_person_out(self, member: Warehouse) -> None:
        member.diagnose(C_KIDNEY, condition_start_date="2026-06-01", condition_status_concept_id=PRELIMINARY)
        assert rows(member) == ([], {UNCERTAIN: 1})
        member.diagnose(C_KIDNEY, condition_start_date="2026-07-01")
        assert [each.outcome for each in rows(member)[0]] == [True]

    def test_that_is_said_to_be_over_did_not_come(self, member: Warehouse) -> None:
        member.diagnose(C_KIDNEY, condition_start_date="2026-06-01", condition_status_concept_id=RESOLVED)
        assert [each.outcome for each in rows(member)[0]] == [False]

    def test_whose_code_means_two_concepts_is_refused(self, member: Warehouse) -> None:
        two = Code(system="http://hl7.org/fhir/sid/icd-10", code="E11.2", display="With kidney complications")
        with pytest.raises(Refused) as caught:
            rows(member, outcome=Outcome((two,), 365))
        assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "outcome")

    def test_without_a_code_or_a_day_is_refused(self) -> None:
        for codes, days in (((), 1), (KIDNEY.codes, 0)):
            with pytest.raises(Refused):
                Outcome(codes, days)


class TestWhoIsLeftOut:
    @pytest.mark.parametrize(
        ("start", "end", "why"),
        [
            ("2026-03-02", "2027-03-02", None),
            ("2026-03-03", "2027-12-31", UNOBSERVED),
            ("2020-01-01", "2026-03-01", UNOBSERVED),
            ("2020-01-01", "2027-03-01", LOST),
        ],
    )
    def test_was_not_observed_all_the_time(self, member: Warehouse, start: str, end: str, why: str | None) -> None:
        member.execute("DELETE FROM observation_period")
        member.add("observation_period", observation_period_start_date=start, observation_period_end_date=end)
        member.diagnose(C_KIDNEY, condition_start_date="2026-06-01")
        found, left_out = rows(member)
        assert (len(found), left_out) == ((1, {}) if why is None else (0, {why: 1}))

    def test_unless_the_periods_follow_upon_each_other(self, member: Warehouse) -> None:
        member.execute("DELETE FROM observation_period")
        for start, end in (("2026-01-01", "2026-05-31"), ("2026-06-01", "2027-06-01")):
            member.add("observation_period", observation_period_start_date=start, observation_period_end_date=end)
        assert len(rows(member)[0]) == 1

    def test_was_not_observed_for_long_enough_before(self, member: Warehouse) -> None:
        assert len(rows(member, before=365)[0]) == 1
        assert rows(member, before=20000) == ([], {UNOBSERVED: 1})

    @pytest.mark.parametrize(("day", "why"), [("2026-03-02", DEAD), ("2026-03-03", DIED), ("2027-03-03", LOST)])
    def test_died(self, member: Warehouse, day: str, why: str) -> None:
        member.execute(f"UPDATE observation_period SET observation_period_end_date = '{min(day, '2027-03-01')}'")
        member.add("death", death_date=day)
        assert rows(member) == ([], {why: 1})

    @pytest.mark.parametrize(("day", "why"), [("9999-12-31", LOST), ("0001-01-01", UNOBSERVED)])
    def test_has_an_index_day_at_an_end_of_the_calendar(self, member: Warehouse, day: str, why: str) -> None:
        member.execute("UPDATE observation_period SET observation_period_end_date = '9999-12-31'")
        member.execute(f"UPDATE cohort SET cohort_start_date = '{day}'")
        member.diagnose(C_KIDNEY, condition_start_date="0001-01-01", condition_end_date="9999-12-31")
        assert rows(member, before=365) == ([], {why: 1})

    @pytest.mark.parametrize("written", ["nobody knows", 19.61])
    def test_was_born_in_no_year(self, member: Warehouse, written: object) -> None:
        member.execute(f"UPDATE person SET year_of_birth = '{written}'")
        assert rows(member, schema=schema(feature("age", patient="birthDate", unit="a"))) == (
            [],
            {"age: field-invalid": 1},
        )

    def test_is_nobody(self, member: Warehouse) -> None:
        member.add("cohort", subject_id=99)
        found, left_out = rows(member)
        assert (len(found), left_out) == (1, {NOBODY: 1})

    def test_has_a_record_that_is_refused(self, member: Warehouse) -> None:
        member.measure(operator_concept_id=LESS, measurement_date="2026-03-02")
        assert rows(member) == ([], {"systolic: field-invalid": 1})

    def test_has_an_impossible_value_or_none_where_one_is_needed(self, member: Warehouse) -> None:
        member.execute("UPDATE measurement SET value_as_number = 5000")
        assert rows(member) == ([], {"systolic: value-out-of-range": 1})
        member.execute("DELETE FROM measurement")
        assert rows(member, schema=only("systolic", missing="refuse")) == ([], {"systolic: feature-missing": 1})
        assert [each.values for each in rows(member)[0]] == [{"systolic": None}]

    def test_is_counted_and_small_counts_are_not_shown(self, member: Warehouse) -> None:
        assert [shown(count) for count in (0, 1, 4, 5, 60)] == ["0", *["fewer than 5"] * 2, "5", "60"]


class TestARow:
    def test_is_read_as_of_its_index_day(self, member: Warehouse) -> None:
        member.measure(amount=150, measurement_date="2026-05-01")
        member.add("cohort", subject_id=PERSON, cohort_definition_id=2, cohort_start_date="2026-01-01")
        assert [each.values["systolic"] for each in rows(member)[0]] == [120]

    def test_is_the_persons_only_one_and_that_of_the_first_index_day(self, member: Warehouse) -> None:
        member.measure(amount=150, measurement_date="2026-05-01")
        for day in ("2026-06-01", "2026-03-02", "2026-06-02"):
            member.add("cohort", subject_id=PERSON, cohort_start_date=day)
        found, left_out = rows(member)
        assert [each.values["systolic"] for each in found] == [120]
        assert left_out == {AGAIN: 3}

    def test_of_the_first_index_day_that_cannot_be_used_is_not_made_up_for_by_a_later_one(
        self, member: Warehouse
    ) -> None:
        member.add("cohort", subject_id=PERSON, cohort_start_date="2009-06-01")
        assert rows(member) == ([], {UNOBSERVED: 1, AGAIN: 1})

    def test_names_nobody(self, member: Warehouse) -> None:
        (row,), _ = rows(member, groups=[Group("sex", "gender")])
        assert set(vars(row)) == {"values", "outcome", "groups"}
        assert str(PERSON) not in str(row)

    def test_has_its_groups(self, member: Warehouse) -> None:
        asked = schema(
            feature("age", patient="birthDate", unit="a"), feature("systolic", codes=SYSTOLIC_CODES, unit="mm[Hg]")
        )
        groups = [
            *(Group("sex", "gender"), Group("race", "race"), Group("age", "age", (40, 65))),
            *(Group("low", "systolic", (200,)), Group("high", "systolic", (90,))),
        ]
        (row,), _ = rows(member, schema=asked, groups=groups)
        assert row.groups == {
            "sex": "female",
            "race": "unknown",
            "age": "40 to below 65",
            "low": "below 200",
            "high": "90 and more",
        }

    @pytest.mark.parametrize("group", [Group("x", "weight"), Group("x", "systolic", (2, 1))])
    def test_of_no_such_group_is_refused(self, member: Warehouse, group: Group) -> None:
        with pytest.raises(Refused) as caught:
            rows(member, groups=[group])
        assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "x")

    def test_has_no_feature_of_the_outcomes_name(self, member: Warehouse) -> None:
        with pytest.raises(Refused):
            rows(member, schema=schema(feature("cohort-outcome", codes=SYSTOLIC_CODES, unit="mm[Hg]")))

    def test_needs_no_future_without_an_outcome(self, member: Warehouse) -> None:
        member.execute("UPDATE observation_period SET observation_period_end_date = '2026-03-02'")
        assert len(rows(member, outcome=None)[0]) == 1


SYSTOLIC_CODES = [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic"}]


def test_a_batch_needs_as_many_queries_however_many_persons_it_has(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "cdm.sqlite3")
    for person in range(1, 301):
        warehouse.add("person", person_id=person)
        warehouse.add("cohort", subject_id=person)
        warehouse.add("observation_period", person_id=person)
        warehouse.measure(C_SYSTOLIC, 100 + person % 50, MM_HG, person_id=person)
    asked: dict[int, int] = {}
    for batch in (50, 100, 300):
        with warehouse.open() as database:
            cohort = Cohort(database, SCHEMA, 1, outcome=KIDNEY, batch=batch)
            before = database.queries
            assert [each.values["systolic"] for each in cohort] == [100 + person % 50 for person in range(1, 301)]
            asked[300 // batch] = database.queries - before
    assert asked == {6: 6 * 8 + 1, 3: 3 * 8 + 1, 1: 8 + 1}
