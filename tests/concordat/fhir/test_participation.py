"""Who takes part in the study by the hospital's own ResearchSubjects, and what is refused where that is not certain."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import clock
from concordat.fhir import Participant, read_bundle
from concordat.fhir.names import by_uuid, identified
from concordat.fhir.participation import SAYS
from concordat.fhir.study import research_subject as written
from concordat.reading.tally import NOT_ASKED
from concordat.reasons import Reason, Refused
from tests.support import fhir_out
from tests.support.bundles import BASE, NOW, STUDY, bundle, observation, only, patient, research_study
from tests.support.bundles import research_subject as subject

SCHEMA = only("systolic")
WHO = Participant(STUDY, fhir_out.SUBJECT)
OTHER = Participant("another-study", fhir_out.SUBJECT)
STATUS = "entry.1.resource.status"
TRIAL = "http://clinicaltrials.gov"
REFERRED = {"study": {"reference": "ResearchStudy/r1"}}


def read(*resources, participant=WHO, **changes):
    """With a measurement, behind the resources that are in question."""
    return read_bundle(bundle(*resources, observation(), **changes), SCHEMA, now=NOW, participant=participant)


def refusal(*resources, **changes):
    with pytest.raises(Refused) as caught:
        read(*resources, **changes)
    return caught.value.reason, caught.value.field


def looked_at(*resources, **changes):
    return read(*resources, **changes).participation


def left_out(*resources, **changes):
    return {(each.resource, each.why): each.count for each in read(*resources, **changes).left_out}


class TestAStatus:
    def test_of_r4_always_says_something(self):
        """https://hl7.org/fhir/R4/codesystem-research-subject-status.html"""
        assert set(SAYS) == {
            *("candidate", "eligible", "follow-up", "ineligible", "not-registered", "off-study", "on-study"),
            *("on-study-intervention", "on-study-observation", "pending-on-study", "potential-candidate"),
            *("screening", "withdrawn"),
        }

    @pytest.mark.parametrize("status", [status for status, says in SAYS.items() if says != "none"])
    def test_of_who_takes_part_or_may_do_so_lets_the_record_be_read(self, status):
        reading = read(subject(status))
        assert reading.values == {"systolic": 120}
        assert reading.participation == ("ResearchSubject/r0",)
        assert reading.left_out == ()

    @pytest.mark.parametrize("status", ["withdrawn", "off-study", "ineligible", "not-registered", "follow-up"])
    def test_of_who_does_not_refuses_it(self, status):
        assert refusal(subject(status)) == (Reason.NOT_IN_STUDY, STATUS)

    @pytest.mark.parametrize("status", ["entered-in-error", "retired", ""])
    def test_that_r4_does_not_know_is_refused(self, status):
        reason, field = refusal(subject(status))
        assert reason is Reason.BUNDLE_INVALID
        assert field.startswith(STATUS)

    def test_says_nothing_before_it_began_and_that_it_is_over_afterwards(self):
        assert looked_at(subject(start="2026-03-04"))
        assert refusal(subject(end="2026-02")) == (Reason.NOT_IN_STUDY, STATUS)
        assert looked_at(subject(end="2026-03"))
        assert looked_at(subject(end="2026-03-02"))

    def test_is_not_looked_at_where_nobody_asks_for_the_persons_part(self):
        assert looked_at(subject("withdrawn"), participant=None) == ()
        assert left_out(subject("withdrawn"), participant=None) == {("ResearchSubject", NOT_ASKED): 1}

    def test_that_is_missing_altogether_says_nothing(self):
        assert looked_at() == ()
        assert "participation" not in read().origins
        assert read(subject()).origins["participation"] == ["ResearchSubject/r0"]


class TestTheStudy:
    def test_is_told_by_our_identifier_of_it(self):
        assert left_out(subject("withdrawn"), participant=OTHER) == {("ResearchSubject", NOT_ASKED): 1}

    def test_is_told_by_the_resource_that_is_referred_to(self):
        assert refusal(subject("withdrawn", **REFERRED), research_study()) == (Reason.NOT_IN_STUDY, STATUS)
        assert left_out(subject(**REFERRED), research_study()) == {}
        others = left_out(subject("withdrawn", **REFERRED), research_study("NCT0001", TRIAL))
        assert others == {("ResearchStudy", NOT_ASKED): 1, ("ResearchSubject", NOT_ASKED): 1}

    @pytest.mark.parametrize("reference", [f"{BASE}/ResearchStudy/r1", "ResearchStudy/r1/_history/2"])
    def test_is_found_by_every_kind_of_reference(self, reference):
        told = subject("withdrawn", study={"reference": reference})
        assert refusal(told, research_study()) == (Reason.NOT_IN_STUDY, STATUS)

    def test_may_be_contained(self):
        study = research_study(id="s")
        told = subject("withdrawn", study={"reference": "#s"}, contained=[study])
        assert refusal(told) == (Reason.NOT_IN_STUDY, STATUS)
        assert looked_at({**told, "contained": [research_study("another-study", id="s")]}) == ()

    def test_by_anothers_identifier_alone_is_not_ours(self):
        assert looked_at(subject("withdrawn", study={"identifier": {"system": TRIAL, "value": STUDY}})) == ()

    @pytest.mark.parametrize(
        "study", [{"reference": "ResearchStudy/far"}, {"reference": "#s"}, {"display": "Our study"}, {}]
    )
    def test_that_cannot_be_told_matters_where_somebodys_part_has_ended(self, study):
        assert looked_at(subject("on-study", study=study)) == ()
        for status in ("withdrawn", "unheard-of"):
            assert refusal(subject(status, study=study)) == (Reason.BUNDLE_INVALID, "entry.1.resource.study")

    def test_cannot_be_two(self):
        assert refusal(subject(study={**identified("study", "another"), **REFERRED["study"]}), research_study()) == (
            Reason.BUNDLE_INVALID,
            "entry.1.resource.study",
        )

    def test_with_a_modifier_is_none_that_is_known(self):
        modified = research_study(modifierExtension=[{"url": "urn:x", "valueBoolean": True}])
        assert refusal(subject(**REFERRED), modified) == (Reason.BUNDLE_INVALID, "entry.1.resource.study")


class TestThePerson:
    def test_is_named_by_pseudonym_in_what_was_written_here(self):
        statement = {**fhir_out.statement(), "study": STUDY}
        assert looked_at(written(statement))
        assert refusal(written(statement, withdrawn=NOW)) == (Reason.NOT_IN_STUDY, STATUS)

    @pytest.mark.parametrize(
        "individual",
        [
            {"reference": "Patient/p2"},
            by_uuid(fhir_out.REQUEST),
            {"reference": "Patient/p2", **by_uuid(fhir_out.SUBJECT)},
            {},
        ],
    )
    def test_has_to_be_the_patient(self, individual):
        for status in ("on-study", "withdrawn"):
            told = subject(status, individual=individual)
            assert refusal(told) == (Reason.BUNDLE_INVALID, "entry.1.resource.individual")
        assert looked_at(subject("withdrawn", individual=individual), participant=OTHER) == ()

    def test_may_be_named_by_an_identifier_of_the_patient(self):
        number = {"system": "urn:mrn", "value": "4711"}
        told = subject("withdrawn", individual={"identifier": number})
        assert refusal(told, who=patient(identifier=[number])) == (Reason.NOT_IN_STUDY, STATUS)


class TestWhatIsNoPlainResearchSubject:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"modifierExtension": [{"url": "urn:entered-in-error", "valueBoolean": True}]}, "entry.1"),
            ({"implicitRules": "urn:x"}, "entry.1"),
            ({"period": {"start": "yesterday"}}, "entry.1.resource.period.start"),
            ({"period": {"start": "2026-02", "end": "2026-01"}}, "entry.1.resource.period"),
            ({"unknown": 1}, "entry.1.resource.unknown"),
        ],
    )
    def test_is_refused(self, changes, field):
        assert refusal(subject(**changes)) == (Reason.BUNDLE_INVALID, field)


class TestOfSeveral:
    def test_a_part_that_began_after_the_others_had_ended_counts(self):
        assert len(looked_at(subject("withdrawn", "2024", "2025-01"), subject("on-study", "2025-02"))) == 2

    def test_an_end_after_they_began_counts(self):
        told = refusal(subject("on-study", "2024"), subject("withdrawn", "2025", "2025"))
        assert told == (Reason.NOT_IN_STUDY, "entry.2.resource.status")

    def test_what_may_yet_come_ends_no_end(self):
        assert refusal(subject("withdrawn", "2024", "2024"), subject("candidate", "2025")) == (
            Reason.NOT_IN_STUDY,
            STATUS,
        )

    @pytest.mark.parametrize(
        ("ended", "going_on"),
        [
            ((), ()),
            (("2024",), ("2025",)),  # when it ended is not said
            (("2024", "2025"), ("2025",)),  # that may be before the end
            (("2024", "2025-06-01"), ("2025-06-01",)),
            (("", "2025"), ()),
        ],
    )
    def test_none_of_which_is_certainly_newer_contradict_each_other(self, ended, going_on):
        told = refusal(subject("off-study", *ended), subject("on-study", *going_on))
        assert told == (Reason.BUNDLE_INVALID, STATUS)

    @settings(deadline=None)
    @given(st.data())
    def test_a_record_is_read_exactly_if_nothing_has_ended_or_a_part_began_after_every_end(self, data):
        days = st.dates(date(2020, 1, 1), date(2026, 2, 1))
        drawn = data.draw(st.lists(st.tuples(st.sampled_from([*SAYS]), days, st.integers(0, 400)), max_size=5))
        told = []
        for status, start, length in drawn:
            end = min(start + timedelta(length), date(2026, 2, 1)) if SAYS[status] == "none" else date(2027, 1, 1)
            told.append(subject(status, start.isoformat(), end.isoformat()))
        ends = [each["period"]["end"] for each in told if SAYS[each["status"]] == "none"]
        begun = [each["period"]["start"] for each in told if SAYS[each["status"]] == "part"]
        read_it = not ends or any(start > max(ends) for start in begun)
        try:
            assert len(looked_at(*told)) == len(told)
        except Refused as refused:
            assert not read_it
            assert refused.reason in (Reason.NOT_IN_STUDY, Reason.BUNDLE_INVALID)  # noqa: PT017
        else:
            assert read_it


def test_a_refusal_names_nobody():
    with pytest.raises(Refused) as caught:
        read(subject("withdrawn", individual={"reference": "Patient/p1", "display": "Ada Lovelace"}))
    assert "Ada" not in str(caught.value)
    assert "p1" not in str(caught.value)


def test_what_our_own_consent_says_is_on_study_until_its_end():
    statement = {**fhir_out.statement(), "study": STUDY}
    after = clock.parse(statement["until"]) + timedelta(days=1)
    content = bundle(written(statement), observation())
    with pytest.raises(Refused, match=f"^{Reason.NOT_IN_STUDY}:"):
        read_bundle(content, SCHEMA, now=after, participant=WHO)
