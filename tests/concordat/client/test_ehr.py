"""A patient's resources come from a FHIR server, and a result goes back; the server here is a conformance double."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from concordat.client.ehr import READ, READ_RECORD, RETRACT, WRITE, Ehr
from concordat.client.home import ClientHome
from concordat.fhir import Participant, read_bundle
from concordat.fhir.capability import SEARCHED, SENT, TAKEN_BACK
from concordat.fhir.result import result_bundle
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from tests.support import fhir_out
from tests.support.bundles import (
    METFORMIN,
    PANEL,
    RXNORM,
    STUDY,
    SYSTOLIC,
    code,
    condition,
    feature,
    medication,
    observation,
    patient,
    quantity,
    research_study,
    research_subject,
    schema,
)
from tests.support.certificates import make_certificates
from tests.support.fhir_server_double import CLIENT, FhirServerDouble, fhir_server_double

KEY = ECKey.generate_key("P-384", auto_kid=True)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SCHEMA = schema()
OTHER = {"reference": "Patient/p2"}
PARTICIPANT = Participant(STUDY, fhir_out.SUBJECT)


def resources() -> list[dict[str, Any]]:
    panel = [{"code": code("http://loinc.org", SYSTOLIC), "valueQuantity": quantity(118)}]
    found = [observation(at=f"2026-02-{day:02}", valueQuantity=quantity(100 + day)) for day in range(1, 8)]
    found += [observation(PANEL, component=panel, valueQuantity=None, at="2026-02-20"), observation("1-1")]
    found += [observation(subject=OTHER), condition(), medication(medicationReference={"reference": "Medication/m"})]
    drug = {"resourceType": "Medication", "id": "m", "code": code(RXNORM, METFORMIN)}
    numbered = [{"id": f"r{number}", **each} for number, each in enumerate(found)]
    return [patient(), patient(id="p2"), drug, *numbered]


@pytest.fixture
def server() -> Iterator[FhirServerDouble]:
    with fhir_server_double(KEY, resources()) as double:
        yield double


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def ehr(server: FhirServerDouble, pauses: list[float]) -> Iterator[Ehr]:
    with signed_in(server, scopes=f"{READ} {WRITE}", sleep=pauses.append) as found:
        yield found


def signed_in(server: FhirServerDouble, *, key: ECKey = KEY, scopes: str = READ, **options: Any) -> Ehr:
    more: dict[str, Any] = {name: options.pop(name) for name in ("authorities",) if name in options}
    config: Any = {"base": server.base, "token": server.token, "client": CLIENT, **more}
    return Ehr(config, key, scopes=scopes, **{"sleep": lambda seconds: None} | options)


def refusal(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


class TestReading:
    def test_what_the_schema_asks_for_is_collected_from_every_page(self, ehr: Ehr) -> None:
        bundle = ehr.patient("p1", SCHEMA)
        reading = read_bundle(bundle, SCHEMA, now=NOW)
        assert reading.values["systolic"] == 118
        assert (reading.values["diabetes"], reading.values["metformin"]) == (True, True)
        assert reading.patient == "Patient/p1"

    def test_nothing_else_is_asked_for(self, ehr: Ehr) -> None:
        codes = [each["resource"].get("code", {}).get("coding", [{}])[0] for each in ehr.patient("p1", SCHEMA)["entry"]]
        assert "1-1" not in [each.get("code") for each in codes]
        only = schema(feature("age", patient="birthDate", unit="a"))
        assert [each["resource"]["resourceType"] for each in ehr.patient("p1", only)["entry"]] == ["Patient"]

    def test_no_address_names_the_patient(self, server: FhirServerDouble, ehr: Ehr) -> None:
        ehr.patient("p1", SCHEMA)
        assert not [path for _, path, _ in server.seen if "p1" in path]
        assert {form.get("patient", "Patient/p1") for _, _, form in server.seen} == {"Patient/p1"}

    def test_of_a_patient_who_is_not_there_is_refused_by_the_reader(self, ehr: Ehr) -> None:
        bundle = ehr.patient("p3", SCHEMA)
        assert refusal(lambda: read_bundle(bundle, SCHEMA, now=NOW)).field == "Patient"

    @pytest.mark.parametrize("identity", ["", "p1,p2", "../p1", "p1&x=1", "ä", "x" * 65])
    def test_what_is_no_id_is_not_sent(self, server: FhirServerDouble, ehr: Ehr, identity: str) -> None:
        assert refusal(lambda: ehr.patient(identity, SCHEMA)).reason is Reason.FIELD_INVALID
        assert server.seen == []

    def test_a_next_page_at_another_server_is_not_followed(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.next_at = "https://elsewhere.example.org/fhir?_page=1"
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    @pytest.mark.parametrize("address", ["https://[bad", "?_page=\0", "?_page=\ud800", "?" + "a" * 70_000, "//\uff0f"])
    def test_nor_is_one_that_has_no_address(self, server: FhirServerDouble, ehr: Ehr, address: str) -> None:
        server.next_at = address
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED


class TestWhatMayBeWithheld:
    """That there is none of something is believed of a server that does not say otherwise."""

    def test_fewer_matches_than_the_server_counts_are_refused(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.withheld = 1
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    @pytest.mark.parametrize("severity", ["warning", "error", "fatal", None])
    def test_a_server_that_says_so_is_refused_and_not_quoted(
        self, server: FhirServerDouble, ehr: Ehr, severity: str | None
    ) -> None:
        issue = {"severity": severity, "code": "suppressed", "diagnostics": "Ada Lovelace is confidential"}
        server.outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        refused = refusal(lambda: ehr.patient("p1", SCHEMA))
        assert refused.reason is Reason.EHR_REFUSED
        assert "Ada" not in refused.detail

    def test_mere_information_is_passed_over(self, server: FhirServerDouble, ehr: Ehr) -> None:
        issue = {"severity": "information", "code": "informational"}
        server.outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        assert read_bundle(ehr.patient("p1", SCHEMA), SCHEMA, now=NOW).values["systolic"] == 118

    def test_another_patient_than_was_asked_for_is_refused(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server._matches = lambda resource, form: "_id" in form and resource["id"] == "p2"  # type: ignore[method-assign]
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    def test_what_changes_while_it_is_read_is_read_again_another_time(self, server: FhirServerDouble, ehr: Ehr) -> None:
        search = server.search

        def twice(kind: str, form: dict[str, str]) -> dict[str, Any]:
            page = search(kind, form)
            later = [{**each, "resource": {**each["resource"], "language": "de"}} for each in page["entry"]]
            return {**page, "entry": [*page["entry"], *later]}

        server.search = twice  # type: ignore[method-assign]
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE


class TestResearchSubjects:
    """What the server says of who takes part in the study; the double answers with theirs alone."""

    def config(self, server: FhirServerDouble, **changes: Any) -> Any:
        return {"base": server.base, "token": server.token, "client": CLIENT, **changes}

    def left(self, **changes: Any) -> list[dict[str, Any]]:
        study = {"study": {"reference": "ResearchStudy/s"}}
        return [research_study(id="s"), research_subject("withdrawn", id="left", **study, **changes)]

    def refused(self, bundle: dict[str, Any]) -> Refused:
        return refusal(lambda: read_bundle(bundle, SCHEMA, now=NOW, participant=PARTICIPANT))

    def test_come_with_the_studies_that_they_refer_to(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.resources += self.left()
        bundle = ehr.patient("p1", SCHEMA)
        assert self.refused(bundle).reason is Reason.NOT_IN_STUDY
        method, path, form = server.seen[-1]
        assert (method, path) == ("POST", "/fhir/ResearchSubject/_search")
        assert form["individual"] == "Patient/p1"

    def test_of_another_patient_are_not_fetched(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.resources += self.left(individual=OTHER)
        reading = read_bundle(ehr.patient("p1", SCHEMA), SCHEMA, now=NOW, participant=PARTICIPANT)
        assert reading.participation == ()

    def test_without_the_study_refuse_where_that_matters(self, server: FhirServerDouble, ehr: Ehr) -> None:
        """A server that includes nothing, or must not show the study, says nothing of that."""
        server.resources += self.left()[1:]
        assert self.refused(ehr.patient("p1", SCHEMA)).reason is Reason.BUNDLE_INVALID

    def test_are_none_where_the_server_does_not_know_the_type(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.unknown = {"ResearchSubject"}
        assert read_bundle(ehr.patient("p1", SCHEMA), SCHEMA, now=NOW).values["systolic"] == 118
        server.unknown = {"Condition"}
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).detail == "The server answered 404."

    def test_that_must_not_be_read_refuse_the_record_and_say_what_to_do(self, server: FhirServerDouble) -> None:
        with signed_in(server, scopes=READ_RECORD) as found:
            refused = refusal(lambda: found.patient("p1", SCHEMA))
        assert (refused.reason, refused.field) == (Reason.EHR_REFUSED, "ResearchSubject")
        assert "403" in refused.detail
        assert '"subjects": false' in refused.detail

    def test_that_may_be_withheld_refuse_it_too(self, server: FhirServerDouble, ehr: Ehr) -> None:
        search = server.search

        def fewer(kind: str, form: dict[str, str]) -> dict[str, Any]:
            return {**search(kind, form), **({"total": 1} if kind == "ResearchSubject" else {})}

        server.search = fewer  # type: ignore[method-assign]
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).field == "ResearchSubject"

    def test_are_not_asked_for_where_the_hospital_says_that_there_are_none(
        self, server: FhirServerDouble, tmp_path: Path
    ) -> None:
        Keystore(tmp_path / "keys").create()
        home = ClientHome.create(tmp_path, {"institution": "long-beach", "coordinator": "http://localhost:9"})
        server.key = home.keys.client
        for changes, asked in (({}, True), ({"subjects": False}, False)):
            (tmp_path / "ehr.json").write_text(json.dumps(self.config(server, **changes)))
            server.seen.clear()
            with Ehr.of(home) as found:
                found.patient("p1", SCHEMA)
            assert ("ResearchSubject" in json.dumps(server.seen)) is asked
            assert ("system/ResearchSubject.read" in server.given[-1]) is asked


class TestTrouble:
    def test_is_waited_out_as_the_server_says(self, server: FhirServerDouble, ehr: Ehr, pauses: list[float]) -> None:
        server.troubles = [(429, {"Retry-After": "7"}), (503, {})]
        assert ehr.patient("p1", SCHEMA)["entry"]
        assert pauses == [7.0, 1.0]

    @pytest.mark.parametrize("told", ["\xb2", "soon"])
    def test_is_waited_out_without_a_number_of_seconds(
        self, server: FhirServerDouble, ehr: Ehr, pauses: list[float], told: str
    ) -> None:
        server.troubles = [(503, {"Retry-After": told})]
        assert ehr.patient("p1", SCHEMA)["entry"]
        assert pauses == [0.5]

    def test_that_does_not_end_is_said_and_quotes_nothing(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.troubles = [(503, {})] * 4
        refused = refusal(lambda: ehr.patient("p1", SCHEMA))
        assert refused.reason is Reason.EHR_UNAVAILABLE
        assert "p1" not in refused.detail

    def test_of_no_connection_is_said(self, server: FhirServerDouble, ehr: Ehr) -> None:
        gone = Ehr(
            {"base": "http://127.0.0.1:9/fhir", "token": server.token, "client": CLIENT},
            KEY,
            scopes=READ,
            sleep=lambda seconds: None,
        )
        assert refusal(lambda: gone.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE

    def test_an_ended_token_is_asked_for_anew(self, server: FhirServerDouble, ehr: Ehr) -> None:
        ehr.patient("p1", SCHEMA)
        server.forget_tokens()
        assert ehr.patient("p1", SCHEMA)["entry"]

    def test_a_scope_that_was_not_given_is_said(self, server: FhirServerDouble) -> None:
        with signed_in(server, scopes="system/Patient.read") as found:
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED


class TestBounds:
    MIB = 1 << 20

    def test_an_answer_has_a_size_at_most(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.padding = 63 * self.MIB
        with signed_in(server) as found:
            assert len(list(found.named("Patient", ["p1"]))) == 1
        server.padding = 65 * self.MIB
        refused = refusal(lambda: list(ehr.named("Patient", ["p1"])))
        assert refused.reason is Reason.EHR_REFUSED
        assert "64 MiB" in refused.detail

    def test_and_so_have_the_pages_of_one_search_together(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.padding = 40 * self.MIB
        for _ in range(2):
            assert list(ehr.named("Patient", ["p1"])), "each question has the whole size"
        server.page = 1
        assert refusal(lambda: list(ehr.named("Patient", ["p1", "p2"]))).reason is Reason.EHR_REFUSED

    def test_an_answer_that_is_packed_is_not_unpacked(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.troubles = [(200, {"Content-Encoding": "gzip"})]
        assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    @pytest.mark.parametrize("first", [10, 200], ids=["its head", "its body"])
    def test_a_server_that_drips_is_cut_off_when_the_time_is_over(self, server: FhirServerDouble, first: int) -> None:
        """It is never silent for long, so that no timeout of a read would end it."""
        server.drip = (first, 0.05)
        with signed_in(server, seconds=0.6) as found:
            begun = time.monotonic()
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE, "nor asked again"
            assert 0.5 < time.monotonic() - begun < 2

    def test_a_server_that_is_silent_is_waited_for_no_longer_than_the_time_is(self, server: FhirServerDouble) -> None:
        server.delay = 3
        with signed_in(server, seconds=0.5) as found:
            begun = time.monotonic()
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE
            assert time.monotonic() - begun < 2

    def test_no_pause_is_begun_that_would_outlast_it(self, server: FhirServerDouble, pauses: list[float]) -> None:
        server.troubles = [(503, {"Retry-After": "7"})]
        with signed_in(server, seconds=5, sleep=pauses.append) as found:
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE
        assert pauses == []


class TestSigningIn:
    def test_another_key_is_refused(self, server: FhirServerDouble) -> None:
        with signed_in(server, key=ECKey.generate_key("P-384", auto_kid=True)) as found:
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    def test_another_name_is_refused(self, server: FhirServerDouble) -> None:
        config: Any = {"base": server.base, "token": server.token, "client": "somebody"}
        with Ehr(config, KEY, scopes=READ) as found:
            assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    def test_in_the_clear_is_only_done_on_this_machine(self) -> None:
        config: Any = {"base": "http://ehr.example.org/fhir", "token": "https://ehr.example.org/token", "client": "c"}
        assert refusal(lambda: Ehr(config, KEY, scopes=READ)).field == "ehr.json"

    def test_authorities_that_are_none_are_refused(self, server: FhirServerDouble, tmp_path: Path) -> None:
        (tmp_path / "empty.pem").write_text("none")
        for name in ("missing.pem", "empty.pem"):
            assert refusal(lambda name=name: signed_in(server, authorities=str(tmp_path / name))).field == "ehr.json"

    def test_by_tls_only_authorities_that_are_trusted_count(self, tmp_path: Path) -> None:
        certificates = tmp_path / "certificates"
        make_certificates(certificates)
        with fhir_server_double(KEY, resources(), certificates=certificates) as server:
            with signed_in(server, authorities=str(certificates / "ca.pem")) as found:
                assert found.patient("p1", SCHEMA)["entry"]
            with signed_in(server) as found:
                assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE


def test_the_scopes_are_those_of_what_the_capability_statement_says() -> None:
    assert READ.split() == [f"system/{kind}.read" for kind in (*SEARCHED, "ResearchStudy")]
    assert WRITE.split() == [f"system/{kind}.write" for kind in SENT]
    assert RETRACT.split() == [*(f"system/{kind}.read" for kind in TAKEN_BACK), *WRITE.split()]


class TestWritingAResult:
    BUNDLE = result_bundle(fhir_out.explanation(), fhir_out.about())

    def written(self, server: FhirServerDouble) -> list[str]:
        kinds = ("RiskAssessment", "Provenance")
        ours = [each["resourceType"] for each in server.resources if each["resourceType"] in kinds]
        factors = [each for each in server.resources if "urn:concordat:document-kind" in json.dumps(each.get("code"))]
        return ours + [each["resourceType"] for each in factors]

    def test_twice_it_is_there_once(self, server: FhirServerDouble, ehr: Ehr) -> None:
        first, again = ehr.write(self.BUNDLE), ehr.write(self.BUNDLE)
        assert first == again
        assert self.written(server) == ["RiskAssessment", "Provenance", "Observation"]

    def test_through_trouble_it_is_there_once(self, server: FhirServerDouble, ehr: Ehr) -> None:
        server.troubles = [(503, {"Retry-After": "1"}), (502, {})]
        assert len(ehr.write(self.BUNDLE)) == 3
        assert len(self.written(server)) == 3

    def test_without_the_scope_nothing_is_written(self, server: FhirServerDouble) -> None:
        with signed_in(server, scopes=READ) as found:
            assert refusal(lambda: found.write(self.BUNDLE)).reason is Reason.EHR_REFUSED
        assert self.written(server) == []

    def test_an_answer_that_does_not_name_every_resource_is_refused(
        self, server: FhirServerDouble, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        short = {"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "201"}}]}
        monkeypatch.setattr(server, "transaction", lambda bundle: short)
        assert refusal(lambda: ehr.write(self.BUNDLE)).reason is Reason.EHR_REFUSED
