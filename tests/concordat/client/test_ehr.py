"""A patient's resources come from a FHIR server, and a result goes back; the server here is a conformance double."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from concordat.client.ehr import READ, WRITE, Ehr
from concordat.fhir import read_bundle
from concordat.fhir.capability import SEARCHED, SENT
from concordat.fhir.result import result_bundle
from concordat.reasons import Reason, Refused
from tests.support import fhir_out
from tests.support.bundles import (
    METFORMIN,
    PANEL,
    RXNORM,
    SYSTOLIC,
    code,
    condition,
    feature,
    medication,
    observation,
    patient,
    quantity,
    schema,
)
from tests.support.certificates import make_certificates
from tests.support.fhir_server_double import CLIENT, FhirServerDouble, fhir_server_double

KEY = ECKey.generate_key("P-384", auto_kid=True)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SCHEMA = schema()
OTHER = {"reference": "Patient/p2"}


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


class TestTrouble:
    def test_is_waited_out_as_the_server_says(self, server: FhirServerDouble, ehr: Ehr, pauses: list[float]) -> None:
        server.troubles = [(429, {"Retry-After": "7"}), (503, {})]
        assert ehr.patient("p1", SCHEMA)["entry"]
        assert pauses == [7.0, 1.0]

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

    def test_by_tls_only_authorities_that_are_trusted_count(self, tmp_path: Path) -> None:
        certificates = tmp_path / "certificates"
        make_certificates(certificates)
        with fhir_server_double(KEY, resources(), certificates=certificates) as server:
            with signed_in(server, authorities=str(certificates / "ca.pem")) as found:
                assert found.patient("p1", SCHEMA)["entry"]
            with signed_in(server) as found:
                assert refusal(lambda: found.patient("p1", SCHEMA)).reason is Reason.EHR_UNAVAILABLE


def test_the_scopes_are_those_of_what_the_capability_statement_says() -> None:
    assert READ.split() == [f"system/{kind}.read" for kind in SEARCHED]
    assert WRITE.split() == [f"system/{kind}.write" for kind in SENT]


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
