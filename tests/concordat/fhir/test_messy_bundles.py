"""Bundles as hospitals have them: what is read, what is left out, and what is refused rather than guessed."""

import copy
import time
from datetime import timedelta

import pytest

from concordat.fhir import read_bundle
from concordat.reading.tally import AGAIN, FOCUS, NOT_ASKED, NOT_FINAL, OLDER, UNCERTAIN
from concordat.reasons import Reason, Refused
from tests.support.bundles import (
    BASE,
    CREATININE,
    GLUCOSE,
    LOINC,
    METFORMIN,
    NOW,
    PANEL,
    RXNORM,
    SMOKER,
    SNOMED,
    SYSTOLIC,
    TEMPERATURE,
    bundle,
    code,
    condition,
    feature,
    medication,
    named,
    observation,
    only,
    patient,
    quantity,
    schema,
)

WHOLE = schema()


def read(*resources, asked=WHOLE, now=NOW, **changes):
    return read_bundle(bundle(*resources, **changes), asked, now=now)


def value(*resources, of, asked=None, **changes):
    return read(*resources, asked=asked or only(of), **changes).values.get(of)


def item(*resources, of, asked=None, **changes):
    return next(each for each in read(*resources, asked=asked or only(of), **changes).items if each.feature == of)


def refusal(*resources, asked=WHOLE, **changes):
    with pytest.raises(Refused) as caught:
        read(*resources, asked=asked, **changes)
    return caught.value.reason, caught.value.field


class TestOfSeveralObservations:
    def test_the_newest_is_used_wherever_it_stands(self):
        older, newer = observation(at="2026-02-28"), observation(at="2026-03-01", valueQuantity=quantity(140))
        for order in ((older, newer), (newer, older)):
            reading = read(*order, asked=only("systolic"))
            assert reading.values["systolic"] == 140
            assert [(each.resource, each.why, each.count) for each in reading.left_out] == [("Observation", OLDER, 1)]

    def test_time_zones_are_reckoned_with(self):
        earlier = observation(at="2026-03-01T10:00:00+05:00", valueQuantity=quantity(1))
        later = observation(at="2026-03-01T06:00:00Z", valueQuantity=quantity(2))
        assert value(earlier, later, of="systolic") == 2

    def test_a_tie_is_refused(self):
        assert refusal(observation(), observation(valueQuantity=quantity(121))) == (Reason.FIELD_INVALID, "systolic")

    def test_a_day_and_a_moment_that_may_be_on_it_are_a_tie(self):
        day, moment = observation(at="2026-03-01"), observation(at="2026-03-01T23:00:00Z", valueQuantity=quantity(1))
        assert refusal(day, moment) == (Reason.FIELD_INVALID, "systolic")

    def test_a_moment_after_the_whole_day_in_every_zone_is_newer(self):
        day, moment = observation(at="2026-02-26"), observation(at="2026-02-28T13:00:00Z", valueQuantity=quantity(1))
        assert value(day, moment, of="systolic") == 1

    def test_one_of_several_without_a_time_is_refused(self):
        assert refusal(observation(), observation(at=None)) == (Reason.FIELD_INVALID, "systolic")

    def test_the_only_one_needs_no_time(self):
        assert item(observation(at=None), of="systolic").age is None

    def test_the_same_resource_twice_is_one(self):
        reading = read(observation(), observation(), asked=only("systolic"))
        assert reading.values["systolic"] == 120
        assert [each.why for each in reading.left_out] == [AGAIN]

    @pytest.mark.parametrize("status", ["preliminary", "cancelled", "entered-in-error", "registered", "unknown"])
    def test_what_is_not_final_is_left_out_however_new(self, status):
        reading = read(observation(), observation(at="2026-03-02", status=status), asked=only("systolic"))
        assert reading.values["systolic"] == 120
        assert [each.why for each in reading.left_out] == [NOT_FINAL]

    @pytest.mark.parametrize("status", ["final", "amended", "corrected"])
    def test_what_was_amended_is_final(self, status):
        assert value(observation(status=status), of="systolic") == 120

    def test_the_newest_counts_even_if_it_says_that_there_is_no_value(self):
        absent = observation(at="2026-03-02", valueQuantity=None, dataAbsentReason={"text": "not done"})
        assert item(observation(), absent, of="systolic").state == "missing"

    def test_a_period_is_over_before_another_begins_or_it_is_a_tie(self):
        day = {"effectivePeriod": {"start": "2026-02-27T00:00:00Z", "end": "2026-02-28T00:00:00Z"}}
        assert value(observation(at=None, valueQuantity=quantity(1), **day), observation(), of="systolic") == 120
        goes_on = {"effectivePeriod": {"start": "2026-02-27T00:00:00Z"}}
        assert refusal(observation(at=None, **goes_on), observation()) == (Reason.FIELD_INVALID, "systolic")

    def test_a_value_of_the_future_is_refused(self):
        assert refusal(observation(at="2026-03-02T09:11:00Z")) == (Reason.FIELD_INVALID, "systolic")
        assert value(observation(at="2026-03-02T09:09:00Z"), of="systolic") == 120
        assert value(observation(at="2026-03-02"), of="systolic") == 120


class TestAComponent:
    def panel(self, *values, **changes):
        found = [{"code": code(LOINC, SYSTOLIC), "valueQuantity": quantity(each)} for each in values]
        other = {"code": code(LOINC, "8462-4"), "valueQuantity": quantity(80)}
        return observation(PANEL, component=[other, *found], valueQuantity=None, **changes)

    def test_is_found_in_a_panel(self):
        assert value(self.panel(131), of="systolic") == 131

    def test_is_as_old_as_its_panel(self):
        assert value(self.panel(131, at="2026-02-01"), observation(), of="systolic") == 120

    def test_twice_in_one_panel_is_refused(self):
        assert refusal(self.panel(131, 132)) == (Reason.FIELD_INVALID, "systolic")

    def test_may_say_that_it_is_absent(self):
        panel = self.panel(131)
        del panel["component"][1]["valueQuantity"]
        panel["component"][1]["dataAbsentReason"] = {"text": "cuff too small"}
        assert item(panel, of="systolic").state == "missing"


class TestAge:
    @pytest.mark.parametrize(
        ("born", "at", "age"),
        [
            ("1961-10-14", "2026-10-13T23:00:00Z", 64),
            ("1961", "2026-12-31T12:00:00Z", 65),
            ("1961-04", "2026-05-01T00:00:00Z", 65),
            ("1961-04", "2026-03-31T00:00:00Z", 64),
        ],
    )
    def test_is_told_by_a_partial_date_of_birth_if_every_day_gives_the_same(self, born, at, age):
        assert value(of="age", who=patient(birthDate=born), timestamp=at) == age

    @pytest.mark.parametrize(("born", "at"), [("1961", "2026-06-01T00:00:00Z"), ("1961-04", "2026-04-15T00:00:00Z")])
    def test_is_refused_where_two_would_fit(self, born, at):
        refused = refusal(asked=only("age"), who=patient(birthDate=born), timestamp=at)
        assert refused == (Reason.FIELD_INVALID, "age")

    def test_is_missing_without_a_date_of_birth(self):
        who = patient(_birthDate={"extension": [{"url": "http://hl7.org/fhir/x", "valueCode": "masked"}]})
        del who["birthDate"]
        assert item(of="age", who=who).state == "missing"


class TestTheAgeOfAValue:
    def warm(self, at):
        return observation(TEMPERATURE, at=at, valueQuantity=quantity(98.6, "[degF]"))

    def test_is_told(self):
        found = item(observation(), of="systolic")
        assert (found.taken, found.age) == ("2026-03-01T08:00:00Z", timedelta(hours=25))

    def test_beyond_the_schemas_limit_makes_it_missing(self):
        found = item(self.warm("2026-02-27T00:00:00Z"), of="temperature")
        assert (found.state, found.value) == ("too old", None)

    def test_beyond_the_limit_is_refused_where_it_may_not_be_imputed(self):
        asked = only("temperature", missing="refuse")
        assert refusal(self.warm("2026-02-27T00:00:00Z"), asked=asked) == (Reason.VALUE_TOO_OLD, "temperature")

    def test_within_the_limit_does_not_matter(self):
        assert value(self.warm("2026-03-01T00:00:00Z"), of="temperature") == pytest.approx(37)

    def test_is_the_greatest_that_a_partial_date_allows(self):
        assert item(self.warm("2026-02"), of="temperature").state == "too old"
        assert item(self.warm("2026-03-01"), of="temperature").state == "read"

    def test_that_nobody_knows_is_no_age_within_a_limit(self):
        assert item(self.warm(None), of="temperature").state == "too old"


class TestAUnit:
    def test_is_converted_and_told(self):
        found = item(observation(valueQuantity=quantity(16, "kPa")), of="systolic")
        assert (found.value, found.unit, found.converted) == (pytest.approx(120.0098), "kPa", True)

    def test_of_mass_needs_the_molar_mass_to_become_one_of_amount(self):
        assert value(observation(GLUCOSE, valueQuantity=quantity(90, "mg/dL")), of="glucose") == pytest.approx(
            4.99567, rel=1e-5
        )
        creatinine = observation(CREATININE, valueQuantity=quantity(1, "mg/dL"))
        assert refusal(creatinine) == (Reason.UNIT_WRONG, "creatinine")

    @pytest.mark.parametrize("changes", [{"system": None}, {"code": None}, {"system": "urn:other"}, {"code": "mmHg"}])
    def test_that_is_not_ucums_is_refused(self, changes):
        given = {name: said for name, said in quantity(120, **changes).items() if said is not None}
        assert refusal(observation(valueQuantity=given)) == (Reason.UNIT_WRONG, "systolic")

    def test_is_not_assumed_of_a_bare_number(self):
        assert refusal(observation(valueInteger=120)) == (Reason.UNIT_WRONG, "systolic")


class TestAValue:
    @pytest.mark.parametrize("comparator", ["<", "<=", ">", ">="])
    def test_with_a_comparator_is_refused(self, comparator):
        given = quantity(5, comparator=comparator)
        assert refusal(observation(valueQuantity=given)) == (Reason.FIELD_INVALID, "systolic")

    def test_by_text_alone_is_refused(self):
        assert refusal(observation(valueString="about 120")) == (Reason.FIELD_INVALID, "systolic")

    def test_of_a_category_comes_by_any_of_its_codings(self):
        said = code(SNOMED, "449868002")
        said["coding"].insert(0, {"system": "urn:local", "code": "7"})
        assert value(observation(SMOKER, valueCodeableConcept=said), of="smoker") == "daily"

    def test_of_two_levels_at_once_is_refused(self):
        said = {"coding": [*code(SNOMED, "449868002")["coding"], *code(SNOMED, "266919005")["coding"]]}
        assert refusal(observation(SMOKER, valueCodeableConcept=said)) == (Reason.FIELD_INVALID, "smoker")

    def test_of_a_truth_comes_as_a_code_too(self):
        asked = schema(feature("angina", "boolean", codes=named((SNOMED, "194828000")), reference=False))
        yes = observation(code=code(SNOMED, "194828000"), valueCodeableConcept=code(SNOMED, "373066001"))
        assert value(yes, of="angina", asked=asked) is True

    def test_about_something_else_than_the_patient_is_left_out(self):
        reading = read(observation(focus=[{"reference": "Device/1"}]), asked=only("systolic"))
        assert ("systolic" in reading.values, [each.why for each in reading.left_out]) == (False, [FOCUS])

    def test_that_a_modifier_changes_is_refused(self):
        modifier = [{"url": "urn:negated", "valueBoolean": True}]
        assert refusal(observation(modifierExtension=modifier)) == (Reason.BUNDLE_INVALID, "entry.1")


class TestACondition:
    @pytest.mark.parametrize("clinical", ["active", "recurrence", "relapse"])
    def test_that_is_active_and_confirmed_is_a_yes(self, clinical):
        assert value(condition(clinical), of="diabetes") is True

    @pytest.mark.parametrize("clinical", ["resolved", "remission", "inactive"])
    def test_that_is_over_is_a_no(self, clinical):
        assert value(condition(clinical, abatementDateTime="2020"), of="diabetes") is False

    def test_that_is_refuted_is_a_no(self):
        assert value(condition(None, "refuted"), of="diabetes") is False

    def test_in_error_says_nothing(self):
        found = item(condition(None, "entered-in-error"), of="diabetes", asked=only("diabetes", none_means_no=True))
        assert (found.value, found.why) == (False, "no Condition in the Bundle")

    @pytest.mark.parametrize("verified", ["unconfirmed", "provisional", "differential", None])
    def test_that_is_only_suspected_is_missing_even_where_none_means_no(self, verified):
        found = item(condition("active", verified), of="diabetes", asked=only("diabetes", none_means_no=True))
        assert (found.state, found.why) == ("missing", UNCERTAIN)

    def test_that_is_active_and_abated_is_uncertain(self):
        assert value(condition(abatementDateTime="2020-01-01"), of="diabetes") is None

    def test_that_came_back_is_a_yes(self):
        assert value(condition("resolved"), condition("active"), of="diabetes") is True

    def test_that_is_active_here_and_refuted_there_is_refused(self):
        assert refusal(condition(), condition(None, "refuted")) == (Reason.FIELD_INVALID, "diabetes")

    def test_of_which_there_is_none_is_missing_unless_none_means_no(self):
        assert value(of="diabetes") is None
        assert value(of="diabetes", asked=only("diabetes", none_means_no=True)) is False


class TestAMedicationStatement:
    def test_that_is_active_is_a_yes(self):
        assert value(medication(), of="metformin") is True

    @pytest.mark.parametrize("status", ["completed", "stopped", "not-taken"])
    def test_that_is_over_is_a_no(self, status):
        assert value(medication(status), of="metformin") is False

    @pytest.mark.parametrize("status", ["on-hold", "intended", "unknown"])
    def test_that_may_not_be_taken_now_is_missing(self, status):
        assert value(medication(status), of="metformin") is None

    def test_that_is_active_and_ended_is_missing(self):
        ended = medication(effectivePeriod={"start": "2020-01-01", "end": "2021-01-01"})
        assert value(ended, of="metformin") is None

    def test_of_a_contained_medication_is_resolved(self):
        inside = {"resourceType": "Medication", "id": "m", "code": code(RXNORM, METFORMIN)}
        found = medication(contained=[inside], medicationReference={"reference": "#m"})
        assert value(found, of="metformin") is True

    @pytest.mark.parametrize("reference", ["Medication/r1", f"{BASE}/Medication/r1", "Medication/r1/_history/2"])
    def test_of_a_medication_in_the_bundle_is_resolved(self, reference):
        resource = {"resourceType": "Medication", "code": code(RXNORM, METFORMIN)}
        assert value(medication(medicationReference={"reference": reference}), resource, of="metformin") is True


class TestThePatient:
    @pytest.mark.parametrize("reference", ["Patient/p1", f"{BASE}/Patient/p1", "Patient/p1/_history/3"])
    def test_is_meant_by_any_reference_that_resolves(self, reference):
        assert value(observation(subject={"reference": reference}), of="systolic") == 120

    @pytest.mark.parametrize(
        "reference", ["Patient/p2", "https://other.example.org/fhir/Patient/p1", "urn:uuid:1", "Group/p1", "p1", "#p1"]
    )
    def test_is_not_meant_by_any_other(self, reference):
        assert refusal(observation(subject={"reference": reference})) == (Reason.FIELD_INVALID, "systolic")

    def test_by_uuid(self):
        url = "urn:uuid:6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5a10"
        assert value(observation(subject={"reference": url}), of="systolic", url=url) == 120

    def test_is_meant_by_an_identifier_alone(self):
        number = {"system": "urn:hospital", "value": "77"}
        who = patient(identifier=[number])
        assert value(observation(subject={"identifier": number}), of="systolic", who=who) == 120
        other = observation(subject={"identifier": {**number, "value": "78"}})
        assert refusal(other, who=who) == (Reason.FIELD_INVALID, "systolic")

    def test_that_is_contained_has_to_have_the_same_identifier(self):
        number = {"system": "urn:hospital", "value": "77"}
        inside = {"resourceType": "Patient", "id": "x", "identifier": [number]}
        found = observation(subject={"reference": "#x"}, contained=[inside])
        assert value(found, of="systolic", who=patient(identifier=[number])) == 120
        assert refusal(found) == (Reason.FIELD_INVALID, "systolic")

    def test_of_another_refuses_the_bundle_even_for_what_is_not_asked(self):
        other = observation("1-1", subject={"reference": "Patient/p2"})
        assert refusal(other) == (Reason.BUNDLE_INVALID, "entry.1.resource.subject")

    def test_has_to_be_named(self):
        assert refusal(observation(subject=None)) == (Reason.FIELD_INVALID, "systolic")

    def test_that_was_merged_into_another_is_refused(self):
        link = [{"other": {"reference": "Patient/p2"}, "type": "replaced-by"}]
        assert refusal(who=patient(link=link)) == (Reason.BUNDLE_INVALID, "entry.0")


class TestTheBundle:
    def test_of_everything_is_read_and_the_rest_is_counted(self):
        extra = [{"resourceType": kind} for kind in ("Encounter", "Encounter", "Practitioner")]
        reading = read(observation(), observation("1-1"), condition(), medication(), *extra)
        assert dict(reading.values) == {"age": 64, "systolic": 120, "diabetes": True, "metformin": True}
        assert [(each.resource, each.why, each.count) for each in reading.left_out] == [
            ("Encounter", NOT_ASKED, 2),
            ("Observation", NOT_ASKED, 1),
            ("Practitioner", NOT_ASKED, 1),
        ]
        assert [each.reference for each in reading.items if each.reference] == [
            "Patient/p1",
            "Observation/r0",
            "Condition/r2",
            "MedicationStatement/r3",
        ]

    def test_is_not_changed(self):
        given = bundle(observation(), condition())
        before = copy.deepcopy(given)
        read_bundle(given, WHOLE, now=NOW)
        assert given == before

    def test_of_one_page_of_a_search_is_refused(self):
        link = [{"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}]
        assert refusal(type="searchset", link=link) == (Reason.BUNDLE_INVALID, "link")

    @pytest.mark.parametrize("kind", ["history", "message", "batch-response", None])
    def test_of_another_type_is_refused(self, kind):
        assert refusal(type=kind) == (Reason.BUNDLE_INVALID, "type")

    def test_that_deletes_is_refused(self):
        given = bundle(observation(), type="transaction")
        given["entry"][1]["request"] = {"method": "DELETE", "url": "Observation/1"}
        with pytest.raises(Refused) as caught:
            read_bundle(given, WHOLE, now=NOW)
        assert caught.value.field == "entry.1.request"

    @pytest.mark.parametrize("entry", [None, 3, {}, {"resource": 1}, {"resource": {}}, {"resource": {"id": "x"}}])
    def test_with_an_entry_without_a_resource_is_refused(self, entry):
        given = bundle()
        given["entry"].append(entry)
        with pytest.raises(Refused) as caught:
            read_bundle(given, WHOLE, now=NOW)
        assert caught.value.reason is Reason.BUNDLE_INVALID

    def test_that_is_wrong_where_it_is_read_is_refused_by_place(self):
        wrong = observation(issued="yesterday")
        assert refusal(wrong) == (Reason.BUNDLE_INVALID, "entry.1.resource.issued")

    def test_that_is_wrong_elsewhere_is_none_of_our_business(self):
        assert value(observation(), {"resourceType": "Encounter", "status": 7}, of="systolic") == 120

    def test_of_many_thousands_takes_linear_time(self):
        def seconds(number):
            many = [
                observation(at=f"{1900 + index // 336}-{index // 28 % 12 + 1:02}-{index % 28 + 1:02}")
                for index in range(number)
            ]
            many += [observation("1-1") for _ in range(number)]
            given = bundle(*many)
            begun = time.process_time()
            read_bundle(given, only("systolic"), now=NOW)
            return time.process_time() - begun

        seconds(10)
        # Ten times as many take ten times as long, give or take a busy machine; by pairs it would be a hundred times.
        assert seconds(20_000) < 40 * seconds(2_000)


def test_no_value_is_in_any_refusal():
    secret = 4713.0
    resources = [
        observation(valueQuantity=quantity(secret, "foo")),
        observation(valueQuantity=quantity(secret, comparator="<")),
        observation(valueString=str(secret)),
        observation(SMOKER, valueCodeableConcept=code(SNOMED, str(secret))),
        observation(valueQuantity=quantity(secret), at="2027-01-01"),
        observation(valueQuantity={"value": [secret]}),
        observation(valueQuantity={**quantity(secret), "value": str(secret)}),
        observation(note=str(secret)),
        observation(valueQuantity=quantity(secret), subject={"reference": "Patient/4713.0"}),
        observation(SMOKER, valueQuantity=quantity(secret)),
    ]
    for resource in resources:
        with pytest.raises(Refused) as caught:
            read(resource)
        assert "4713" not in f"{caught.value.detail} {caught.value.field} {caught.value}"
        assert caught.value.__context__ is None or caught.value.__suppress_context__


class TestWhatCannotBeTold:
    """Nothing that may be there is read as if it were not."""

    def test_a_medication_that_no_reference_finds_may_be_any(self):
        unknown = medication(medicationReference={"reference": "Medication/elsewhere"})
        found = item(unknown, of="metformin")
        assert (found.value, found.why) == (None, UNCERTAIN)

    @pytest.mark.parametrize("status", ["stopped", "not-taken", "entered-in-error"])
    def test_unless_it_is_not_taken(self, status):
        unknown = medication(medicationReference={"reference": "Medication/elsewhere"}, status=status)
        assert value(unknown, of="metformin") is False

    def test_two_versions_of_one_resource_are_refused(self):
        one = observation(valueQuantity=quantity(100))
        whole = bundle(one)
        later = {**whole["entry"][1], "resource": {**one, "status": "entered-in-error"}}
        with pytest.raises(Refused) as caught:
            read_bundle({**whole, "entry": [*whole["entry"], later]}, only("systolic"), now=NOW)
        assert (caught.value.reason, caught.value.field) == (Reason.BUNDLE_INVALID, "entry.2")

    def test_the_same_twice_is_one(self):
        whole = bundle(observation(valueQuantity=quantity(100)))
        twice = {**whole, "entry": [*whole["entry"], whole["entry"][1]]}
        assert read_bundle(twice, only("systolic"), now=NOW).values["systolic"] == 100
