"""Tables as warehouses have them: what is read, what is left out, and what is refused rather than guessed."""

from datetime import date, timedelta

import pytest

from concordat.omop import Index, Person, Reader
from concordat.reading import Item, Reading
from concordat.reading.tally import AGAIN, OLDER, UNCERTAIN
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from tests.support.bundles import DIABETES, LOINC, METFORMIN, NOW, RXNORM, SNOMED, feature, named, only, schema
from tests.support.omop import (
    ADMISSION,
    ATC_METFORMIN,
    C_CREATININE,
    C_DIABETES,
    C_DIABETES_WITH,
    C_GLUCOSE,
    C_KIDNEY,
    C_METFORMIN,
    C_METFORMIN_500,
    C_NEVER,
    C_SMOKER,
    C_SYSTOLIC,
    C_TEMPERATURE,
    CONFIRMED,
    EQUALS,
    FAHRENHEIT,
    ICD_ONE,
    ICD_TWO,
    ICD_VALUE,
    KPA,
    LESS,
    MALE,
    MG_DL,
    MM_HG,
    NO,
    NO_UCUM,
    PERSON,
    PRELIMINARY,
    RESOLVED,
    UMOL_L,
    UNKNOWN,
    YES,
    Warehouse,
)

WHOLE = schema()
TODAY = Index.at(NOW)
ICD10, ATC = "http://hl7.org/fhir/sid/icd-10", "http://www.whocc.no/atc"
ASTHMA = {"resource": "Condition", "reference": False}


def read(warehouse: Warehouse, asked: FeatureSchema = WHOLE, index: Index = TODAY, **source: object) -> Reading:
    with warehouse.open(**source) as database:
        return Reader(database, asked).person(Person(PERSON), index)


def item(
    warehouse: Warehouse, of: str, asked: FeatureSchema | None = None, index: Index = TODAY, **source: object
) -> Item:
    return next(each for each in read(warehouse, asked or only(of), index, **source).items if each.feature == of)


def refusal(warehouse: Warehouse, asked: FeatureSchema = WHOLE, index: Index = TODAY) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        read(warehouse, asked, index)
    return caught.value.reason, caught.value.field


class TestOfSeveralRows:
    def test_the_newest_is_used_wherever_it_stands(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=140, measurement_date="2026-03-01")
        warehouse.measure(amount=120, measurement_date="2026-02-28")
        reading = read(warehouse, only("systolic"))
        assert reading.values["systolic"] == 140
        assert [(each.resource, each.why, each.count) for each in reading.left_out] == [("measurement", OLDER, 1)]

    def test_two_values_of_one_day_are_a_tie(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=140)
        warehouse.measure(amount=120)
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    def test_their_times_decide(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=140, measurement_datetime="2026-03-01 09:00:00")
        warehouse.measure(amount=120, measurement_datetime="2026-03-01 08:00:00")
        assert item(warehouse, "systolic").value == 140

    def test_midnight_is_no_time(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=140, measurement_datetime="2026-03-01 00:00:00")
        warehouse.measure(amount=120, measurement_datetime="2026-03-01 08:00:00")
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    def test_a_time_of_another_day_than_the_date_may_be_either(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=140, measurement_date="2026-03-01", measurement_datetime="2026-02-27 10:00:00")
        assert item(warehouse, "systolic").taken == "2026-02-27/2026-03-01"
        warehouse.measure(amount=120, measurement_date="2026-02-28")
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    def test_the_hour_that_comes_twice_is_either_one(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=1, measurement_date="2025-10-26", measurement_datetime="2025-10-26 02:30:00")
        warehouse.measure(amount=2, measurement_date="2025-10-26", measurement_datetime="2025-10-26 02:45:00")
        assert item(warehouse, "systolic").value == 2
        with pytest.raises(Refused):
            item(warehouse, "systolic", zone="Europe/Zurich")

    def test_the_same_row_twice_is_one(self, warehouse: Warehouse) -> None:
        warehouse.measure()
        warehouse.measure()
        reading = read(warehouse, only("systolic"))
        assert reading.values["systolic"] == 120
        assert [each.why for each in reading.left_out] == [AGAIN]

    def test_the_newest_counts_even_if_it_says_that_there_is_no_value(self, warehouse: Warehouse) -> None:
        warehouse.measure(measurement_date="2026-02-01")
        warehouse.measure(amount=None, value_source_value="haemolysed")
        assert item(warehouse, "systolic").state == "missing"

    def test_a_row_that_says_nothing_is_none(self, warehouse: Warehouse) -> None:
        warehouse.measure(measurement_date="2026-02-01")
        warehouse.measure(amount=None)
        assert item(warehouse, "systolic").value == 120

    def test_a_value_of_the_future_is_refused_now_and_not_read_on_an_index_day(self, warehouse: Warehouse) -> None:
        warehouse.measure(measurement_date="2026-03-09")
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")
        assert item(warehouse, "systolic", index=Index.on(date(2026, 3, 8))).state == "missing"
        assert item(warehouse, "systolic", index=Index.on(date(2026, 3, 9))).value == 120

    def test_another_persons_row_is_not_read(self, warehouse: Warehouse) -> None:
        warehouse.measure(person_id=8)
        assert item(warehouse, "systolic").state == "missing"


class TestANumber:
    @pytest.mark.parametrize("operator", [None, 0, EQUALS])
    def test_with_no_operator_or_equals_is_one(self, warehouse: Warehouse, operator: int | None) -> None:
        warehouse.measure(operator_concept_id=operator)
        assert item(warehouse, "systolic").value == 120

    def test_with_an_operator_is_refused(self, warehouse: Warehouse) -> None:
        warehouse.measure(operator_concept_id=LESS)
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    @pytest.mark.parametrize("text", ["<5", " > 300", "≥ 12"])
    def test_whose_source_had_a_comparator_is_refused(self, warehouse: Warehouse, text: str) -> None:
        warehouse.measure(value_source_value=text)
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    def test_is_converted_from_the_units_concept(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=16, unit=KPA)
        found = item(warehouse, "systolic")
        assert (found.value, found.unit, found.converted) == (pytest.approx(120.0098), "kPa", True)

    def test_or_else_from_its_text_as_ucum(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=16, unit=0, unit_source_value="kPa")
        assert item(warehouse, "systolic").value == pytest.approx(120.0098)

    def test_of_mass_needs_the_molar_mass(self, warehouse: Warehouse) -> None:
        warehouse.measure(C_GLUCOSE, 90, MG_DL)
        warehouse.measure(C_CREATININE, 1, MG_DL)
        assert item(warehouse, "glucose").value == pytest.approx(4.99567, rel=1e-5)
        assert refusal(warehouse, only("creatinine")) == (Reason.UNIT_WRONG, "creatinine")

    @pytest.mark.parametrize(
        ("unit", "text"), [(None, None), (0, ""), (0, "mmHg"), (NO_UCUM, "mm[Hg]"), (UMOL_L, None), (9999, "mm[Hg]")]
    )
    def test_without_a_unit_of_ucum_is_refused(self, warehouse: Warehouse, unit: int | None, text: str | None) -> None:
        warehouse.measure(unit=unit, unit_source_value=text)
        assert refusal(warehouse, only("systolic")) == (Reason.UNIT_WRONG, "systolic")

    def test_without_a_unit_is_one_where_none_is_asked_for(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=3, unit=0)
        assert item(warehouse, "systolic", asked=only("systolic", unit="1")).value == 3

    def test_beside_an_answer_that_there_is_none_is_refused(self, warehouse: Warehouse) -> None:
        warehouse.measure(value_as_concept_id=UNKNOWN)
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    def test_that_is_said_to_be_unknown_is_missing(self, warehouse: Warehouse) -> None:
        warehouse.measure(amount=None, value_as_concept_id=UNKNOWN)
        assert item(warehouse, "systolic").state == "missing"

    def test_is_found_in_the_table_observation_too(self, warehouse: Warehouse) -> None:
        warehouse.observe(C_SYSTOLIC, None, value_as_number=131, unit_concept_id=MM_HG)
        assert item(warehouse, "systolic").place == "observation/1"

    def test_with_a_qualifier_is_refused(self, warehouse: Warehouse) -> None:
        warehouse.observe(C_SYSTOLIC, None, value_as_number=131, unit_concept_id=MM_HG, qualifier_concept_id=5)
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "systolic")

    def test_from_which_only_the_source_code_is_known_is_found(self, warehouse: Warehouse) -> None:
        warehouse.measure(0, measurement_source_concept_id=C_SYSTOLIC)
        assert item(warehouse, "systolic").value == 120


class TestTheAgeOfAValue:
    def test_is_the_greatest_that_its_date_allows(self, warehouse: Warehouse) -> None:
        warehouse.measure(measurement_date="2026-03-01")
        assert item(warehouse, "systolic").age == timedelta(days=1, hours=23)
        assert item(warehouse, "systolic", index=Index.on(date(2026, 3, 1))).age == timedelta(days=1, microseconds=-1)

    def test_of_a_time_is_exact_where_the_zone_is_known(self, warehouse: Warehouse) -> None:
        warehouse.measure(measurement_datetime="2026-03-01 09:00:00")
        assert item(warehouse, "systolic", zone="Europe/Zurich").age == timedelta(hours=25)
        assert item(warehouse, "systolic").age == timedelta(hours=38)

    def test_beyond_the_schemas_limit_makes_it_missing(self, warehouse: Warehouse) -> None:
        warehouse.measure(C_TEMPERATURE, 98.6, FAHRENHEIT, measurement_date="2026-02-26")
        assert item(warehouse, "temperature").state == "too old"
        asked = only("temperature", missing="refuse")
        assert refusal(warehouse, asked) == (Reason.VALUE_TOO_OLD, "temperature")
        assert item(warehouse, "temperature", index=Index.on(date(2026, 2, 27))).value == pytest.approx(37)
        assert item(warehouse, "temperature", index=Index.on(date(2026, 2, 28))).state == "too old"


class TestAnAnswer:
    TOLD = feature("told", "boolean", codes=named((LOINC, "72166-2")), reference=False)

    def test_names_a_level(self, warehouse: Warehouse) -> None:
        warehouse.observe()
        assert item(warehouse, "smoker").value == "daily"

    def test_of_no_level_is_refused(self, warehouse: Warehouse) -> None:
        warehouse.observe(answer=YES)
        assert refusal(warehouse) == (Reason.CODE_UNKNOWN, "smoker")

    def test_in_words_is_refused(self, warehouse: Warehouse) -> None:
        warehouse.observe(answer=0, value_as_string="daily")
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "smoker")

    @pytest.mark.parametrize(("answer", "value"), [(YES, True), (NO, False)])
    def test_says_yes_or_no(self, warehouse: Warehouse, answer: int, value: bool) -> None:
        warehouse.observe(answer=answer)
        assert item(warehouse, "told", asked=schema(self.TOLD)).value is value

    def test_that_is_neither_is_refused(self, warehouse: Warehouse) -> None:
        warehouse.observe(answer=C_NEVER)
        assert refusal(warehouse, schema(self.TOLD)) == (Reason.FIELD_INVALID, "told")


class TestThePerson:
    @pytest.mark.parametrize(
        ("year", "month", "day", "at", "age"),
        [
            (1961, 10, 14, "2026-10-13", 64),
            (1961, 10, 14, "2026-10-14", 65),
            (1961, None, None, "2026-12-31", 65),
            (1961, 4, None, "2026-05-01", 65),
            (1961, 4, None, "2026-03-31", 64),
            (1961, None, 14, "2026-12-31", 65),
        ],
    )
    def test_has_an_age_if_every_day_gives_the_same(
        self, warehouse: Warehouse, year: int, month: int | None, day: int | None, at: str, age: int
    ) -> None:
        warehouse.execute("DELETE FROM person")
        warehouse.add("person", year_of_birth=year, month_of_birth=month, day_of_birth=day)
        assert item(warehouse, "age", index=Index.on(date.fromisoformat(at))).value == age

    @pytest.mark.parametrize(("month", "day"), [(None, None), (3, None), (2, 30)])
    def test_whose_date_of_birth_fits_two_or_is_none_is_refused(
        self, warehouse: Warehouse, month: int | None, day: int | None
    ) -> None:
        warehouse.execute("DELETE FROM person")
        warehouse.add("person", month_of_birth=month, day_of_birth=day)
        assert refusal(warehouse) == (Reason.FIELD_INVALID, "age")

    @pytest.mark.parametrize(("concept", "value"), [(MALE, "male"), (8532, "female"), (8521, "other")])
    def test_has_a_sex(self, warehouse: Warehouse, concept: int, value: str) -> None:
        levels = [{"value": each, "label": each} for each in ("male", "female")]
        asked = schema(feature("sex", "category", patient="gender", levels=levels, reference="male"))
        warehouse.execute(f"UPDATE person SET gender_concept_id = {concept}")
        assert item(warehouse, "sex", asked=asked).value == value
        warehouse.execute("UPDATE person SET gender_concept_id = 0")
        assert item(warehouse, "sex", asked=asked).state == "missing"

    def test_is_found_by_what_the_hospital_calls_them(self, warehouse: Warehouse) -> None:
        warehouse.execute("UPDATE person SET person_source_value = 'MRN-1'")
        warehouse.measure()
        with warehouse.open() as database:
            reader = Reader(database, only("systolic"))
            assert reader.person(Person.parse("person_source_value=MRN-1\n"), TODAY).values["systolic"] == 120
            for person in ("person_source_value=MRN-2", "person_id=8"):
                with pytest.raises(Refused) as caught:
                    reader.person(Person.parse(person), TODAY)
                assert caught.value.reason is Reason.NOT_FOUND
        warehouse.add("person", person_id=8, person_source_value="MRN-1")
        with warehouse.open() as database, pytest.raises(Refused) as caught:
            Reader(database, only("systolic")).person(Person.parse("person_source_value=MRN-1"), TODAY)
        assert caught.value.reason is Reason.CONFLICT

    @pytest.mark.parametrize("text", ["", "7", "MRN-1", "person_id=x", "person_id=", "person_id=1\nperson_id=2"])
    def test_that_is_not_named_is_refused_without_being_quoted(self, text: str) -> None:
        with pytest.raises(Refused) as caught:
            Person.parse(text)
        assert "MRN" not in str(caught.value.detail)
        assert "7" not in repr(Person(7, "MRN-1"))


class TestACondition:
    def test_that_was_recorded_says_yes(self, warehouse: Warehouse) -> None:
        warehouse.diagnose()
        found = item(warehouse, "diabetes")
        assert (found.value, found.taken, found.place) == (True, "2020-05-01", "condition_occurrence/1")

    def test_below_the_one_that_is_asked_for_says_yes(self, warehouse: Warehouse) -> None:
        warehouse.diagnose(C_DIABETES_WITH)
        assert item(warehouse, "diabetes").value is True

    def test_above_it_says_nothing(self, warehouse: Warehouse) -> None:
        warehouse.diagnose(C_DIABETES)
        asked = only("diabetes", codes=named((SNOMED, "422014003")))
        assert item(warehouse, "diabetes", asked=asked).state == "missing"

    @pytest.mark.parametrize(
        ("status", "value", "why"),
        [
            (0, True, ""),
            (CONFIRMED, True, ""),
            (PRELIMINARY, None, UNCERTAIN),
            (ADMISSION, None, UNCERTAIN),
            (RESOLVED, False, ""),
            (9999, None, UNCERTAIN),
        ],
    )
    def test_is_as_certain_as_its_status(self, warehouse: Warehouse, status: int, value: bool | None, why: str) -> None:
        warehouse.diagnose(condition_status_concept_id=status)
        found = item(warehouse, "diabetes", asked=only("diabetes", none_means_no=True))
        assert (found.value, found.why) == (value, why)

    def test_that_is_certain_counts_more_than_one_that_is_not(self, warehouse: Warehouse) -> None:
        warehouse.diagnose(condition_status_concept_id=PRELIMINARY)
        warehouse.diagnose(condition_status_concept_id=RESOLVED)
        assert item(warehouse, "diabetes").value is None
        warehouse.diagnose()
        assert item(warehouse, "diabetes").value is True

    @pytest.mark.parametrize(("ends", "value"), [("unknown", None), ("resolved", False), ("visit", True)])
    def test_whose_end_is_past_is_what_the_source_says(
        self, warehouse: Warehouse, ends: str, value: bool | None
    ) -> None:
        warehouse.diagnose(condition_end_date="2020-06-01")
        assert item(warehouse, "diabetes", condition_ends=ends).value is value
        assert item(warehouse, "diabetes").value is None

    def test_that_is_not_there_is_missing_or_says_no(self, warehouse: Warehouse) -> None:
        assert item(warehouse, "diabetes").state == "missing"
        assert item(warehouse, "diabetes", asked=only("diabetes", none_means_no=True)).value is False

    def test_that_begins_after_the_index_day_is_not_read(self, warehouse: Warehouse) -> None:
        warehouse.diagnose(condition_start_date="2026-03-02")
        assert item(warehouse, "diabetes", index=Index.on(date(2026, 3, 1))).state == "missing"
        assert item(warehouse, "diabetes", index=Index.on(date(2026, 3, 2))).value is True

    @pytest.mark.parametrize(("code", "source"), [("E11.2", ICD_TWO), ("Z83.3", ICD_VALUE)])
    def test_whose_code_means_two_concepts_is_found_by_that_code_alone(
        self, warehouse: Warehouse, code: str, source: int
    ) -> None:
        asked = only("diabetes", codes=named((ICD10, code)))
        warehouse.diagnose(C_DIABETES)
        warehouse.diagnose(C_KIDNEY)
        assert item(warehouse, "diabetes", asked=asked).state == "missing"
        told = only("diabetes", codes=named((ICD10, code)), none_means_no=True)
        assert item(warehouse, "diabetes", asked=told).value is None, "many databases have no source concepts"
        warehouse.diagnose(C_KIDNEY, condition_source_concept_id=source)
        assert item(warehouse, "diabetes", asked=asked).value is True

    def test_whose_code_maps_to_one_is_found_by_it(self, warehouse: Warehouse) -> None:
        warehouse.diagnose(C_DIABETES_WITH)
        assert item(warehouse, "diabetes", asked=only("diabetes", codes=named((ICD10, "E11.9")))).value is True
        assert ICD_ONE


class TestADrug:
    @pytest.mark.parametrize(
        ("start", "end", "value"),
        [
            ("2026-01-01", "2026-06-30", True),
            ("2026-03-02", "2026-03-02", True),
            ("2025-01-01", "2025-06-30", False),
            ("2026-03-09", "2026-06-30", None),
            ("2026-01-01", "9999-12-31", True),
        ],
    )
    def test_is_taken_from_its_start_to_its_end(
        self, warehouse: Warehouse, start: str, end: str, value: bool | None
    ) -> None:
        warehouse.give(drug_exposure_start_date=start, drug_exposure_end_date=end)
        assert item(warehouse, "metformin").value is value

    @pytest.mark.parametrize("source", [{}, {"zone": "America/New_York"}, {"zone": "Asia/Tokyo"}])
    @pytest.mark.parametrize(
        ("start", "end", "value"),
        [
            ("2026-01-01 08:00:00", "9999-12-31 23:59:59", True),
            ("0001-01-01 00:00:01", "9999-12-30 23:59:59.999999", True),
            ("0001-01-01 00:00:01", "0001-01-02 12:00:00", False),
            ("9999-12-31 23:59:59", "9999-12-31 23:59:59", None),
            ("9999-12-29 23:59:59", "9999-12-31 23:59:59", None),
            ("0001-01-03 00:00:01", "9999-12-29 23:59:59", True),
        ],
    )
    def test_may_be_taken_always(
        self, warehouse: Warehouse, start: str, end: str, value: bool | None, source: dict[str, str]
    ) -> None:
        warehouse.give(
            drug_exposure_start_date=start[:10],
            drug_exposure_start_datetime=start,
            drug_exposure_end_date=end[:10],
            drug_exposure_end_datetime=end,
        )
        assert item(warehouse, "metformin", **source).value is value

    def test_is_found_by_its_class(self, warehouse: Warehouse) -> None:
        warehouse.give(C_METFORMIN_500)
        asked = only("metformin", codes=named((ATC, "A10BA02")))
        assert item(warehouse, "metformin", asked=asked).value is True
        assert ATC_METFORMIN

    def test_may_be_read_from_eras(self, warehouse: Warehouse) -> None:
        warehouse.add("drug_era", drug_concept_id=C_METFORMIN)
        assert item(warehouse, "metformin", drugs="drug_era").place == "drug_era/1"
        assert item(warehouse, "metformin").value is False


class TestAFeature:
    def test_that_only_a_path_finds_is_refused_by_name(self, warehouse: Warehouse) -> None:
        asked = schema(feature("wide", path="Observation.component.where(code.text = 'w').value"))
        assert refusal(warehouse, asked) == (Reason.FIELD_INVALID, "wide")

    def test_that_has_codes_beside_its_path_is_read_by_them(self, warehouse: Warehouse) -> None:
        warehouse.measure()
        asked = only("systolic", path="Observation.value")
        assert item(warehouse, "systolic", asked=asked).value == 120

    def test_whose_codes_the_vocabulary_lacks_is_refused(self, warehouse: Warehouse) -> None:
        for codes in (named((LOINC, "1-1")), named(("urn:local", "x"))):
            assert refusal(warehouse, only("systolic", codes=codes)) == (Reason.CODE_UNKNOWN, "systolic")

    def test_of_a_local_vocabulary_is_found_where_the_source_names_it(self, warehouse: Warehouse) -> None:
        warehouse.measure()
        asked = only("systolic", codes=named(("urn:local", "8480-6")))
        assert item(warehouse, "systolic", asked=asked, vocabularies={"urn:local": "LOINC"}).value == 120

    @pytest.mark.parametrize("codes", [named((LOINC, "8480-6")), named((SNOMED, DIABETES), (RXNORM, METFORMIN))])
    def test_whose_code_is_of_another_table_is_refused(self, warehouse: Warehouse, codes: list[dict[str, str]]) -> None:
        """Or else that nothing is found in its own table would say no."""
        asked = only("diabetes", codes=codes, none_means_no=True)
        assert refusal(warehouse, asked) == (Reason.FIELD_INVALID, "diabetes")

    def test_and_every_other_one_has_an_item(self, warehouse: Warehouse) -> None:
        assert [each.feature for each in read(warehouse).items] == [each.name for each in WHOLE.features]
        assert C_SMOKER
        assert C_SYSTOLIC
