"""What became of a record at the FHIR server since it was read; the server here is a conformance double."""

import html
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from concordat import clock
from concordat.bedside import cards, watch
from concordat.bedside.config import Config
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.receipts import Receipts
from concordat.bedside.record import Record, read_ehr
from concordat.bedside.store import Store
from concordat.bedside.watch import Watch
from concordat.client.heard import Heard
from concordat.client.home import ClientHome
from concordat.fhir.statements import VERIFICATION
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.bedside.test_pages import reader
from tests.concordat.client.conftest import FOLDER, PERSON
from tests.concordat.client.test_cli_records import on_a_server
from tests.support.bedside import running
from tests.support.bundles import FEATURES as ALL
from tests.support.bundles import code, condition, medication, observation, patient, schema
from tests.support.fhir_server_double import CLIENT, FhirServerDouble, fhir_server_double

DIGEST = "sha256:" + "0" * 64
CONFIG: Config = {
    "v": 1,
    "address": "http://127.0.0.1:8460",
    "service": "blood-pressure",
    "title": "Blood pressure",
    "definition": DIGEST,
    "purpose": "care",
    "viewer": "clinician",
    "threshold": "0.2",
    "stale_after_hours": 24,
    "late_after_minutes": 30,
    "ehrs": [],
}
WANTED = ("systolic", "diabetes", "metformin")
SCHEMA: FeatureSchema = schema(*(each for each in ALL if each["name"] in WANTED))


def yesterday() -> str:
    return clock.rfc3339(clock.now() - timedelta(hours=20))


def resources() -> list[dict[str, Any]]:
    found = [
        observation(at=yesterday(), id="o1"),
        observation(at="2020-01-01T08:00:00Z", id="o0"),
        condition(id="c1", recordedDate=yesterday()),
        medication(id="m1", effectivePeriod={"start": yesterday()}),
    ]
    return [patient(), patient(id="p2"), *found]


class Ward:
    """A home, its store, and what was asked there; no coordinator."""

    def __init__(self, folder: Path) -> None:
        Keystore(folder / "keys").create()
        self.home = ClientHome.create(folder, {"institution": "long-beach", "coordinator": "http://localhost:9"})
        self.items = Items(Store(folder), DIGEST)
        self.watch = Watch(self.home, self.items.store, CONFIG)
        self.read: Record | None = None

    def at(self, server: FhirServerDouble) -> None:
        config = {"base": server.base, "token": server.token, "client": CLIENT}
        (self.home.directory / "ehr.json").write_text(json.dumps(config))

    def asked(self, name: str = "p1", **changes: Any) -> Item:
        read = self.read = self.read or read_ehr(self.home, "p1", SCHEMA, Heard())
        asked: dict[str, Any] = {
            "values": read.values,
            "taken": read.taken,
            "person": PERSON,
            "consent": "",
            "subject": "",
            "source": read.source,
            "origins": read.origins,
        }
        item = self.items.put(patient=name, **asked | changes)
        self.items.opened(item, {"explanation": {"probability": "0.7310"}})
        return self.items.of(item.id)

    def retraction(self, item: Item) -> str:
        self.watch.round()
        return self.items.of(item.id).retraction

    def due_again(self) -> None:
        """The interval is over."""
        with self.items.store.write() as db:
            db.execute("UPDATE item SET looked = ''")


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path / "home")


@pytest.fixture
def server(ward: Ward) -> Iterator[FhirServerDouble]:
    with fhir_server_double(ward.home.keys.client, resources()) as double:
        ward.at(double)
        yield double


def change(server: FhirServerDouble, identity: str, **changes: Any) -> None:
    """A resource is another one now."""
    server.resources = [{**each, **changes} if each["id"] == identity else each for each in server.resources]


def link(kind: str, to: str) -> list[dict[str, Any]]:
    return [{"type": kind, "other": {"reference": to}}]


class TestAMerge:
    @pytest.mark.parametrize("active", [True, False])
    def test_takes_both_patients_results_back(self, ward: Ward, server: FhirServerDouble, active: bool) -> None:
        item, other = ward.asked(), ward.asked("p2")
        assert ward.retraction(item) == ""
        change(server, "p1", active=active, link=link("replaced-by", "Patient/p2"))
        ward.due_again()
        assert ward.retraction(item) == ward.items.of(other.id).retraction == "merged"
        with pytest.raises(Refused, match=f"^{Reason.WRONG_STATE}:"):
            ward.asked(values={"systolic": 99.0})
        assert ward.asked("p2").id != other.id, "of the one who stays, it is asked anew"

    def test_that_names_a_patient_elsewhere_is_one(self, ward: Ward, server: FhirServerDouble) -> None:
        item, other = ward.asked(), ward.asked("p2")
        change(server, "p1", link=link("replaced-by", "https://other.example.org/fhir/Patient/p2"))
        assert ward.retraction(item) == "merged"
        assert ward.items.of(other.id).retraction == ""

    def test_is_told_by_the_one_who_stays_where_the_server_answers_with_that(
        self, ward: Ward, server: FhirServerDouble
    ) -> None:
        item = ward.asked()
        server._matches = lambda resource, form: resource["id"] == "p2"  # type: ignore[method-assign]
        assert ward.retraction(item) == "", "another patient is nobody's successor for that"
        change(server, "p2", link=link("replaces", f"{server.base}/Patient/p1"))
        ward.due_again()
        assert ward.retraction(item) == "merged"

    @pytest.mark.parametrize("kind", ["seealso", "refer", "replaces"])
    def test_is_none_for_another_link_and_neither_is_an_inactive_patient(
        self, ward: Ward, server: FhirServerDouble, kind: str
    ) -> None:
        item = ward.asked()
        change(server, "p1", active=False, link=link(kind, "Patient/p2"))
        assert ward.retraction(item) == ""


class TestAnInput:
    @pytest.mark.parametrize("identity", ["o1", "m1"])
    def test_that_was_entered_in_error_takes_the_result_back(
        self, ward: Ward, server: FhirServerDouble, identity: str
    ) -> None:
        item = ward.asked()
        question = ward.items.ask(item, {"systolic": 110.0}, once="0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a29")
        change(server, identity, status="entered-in-error")
        assert ward.retraction(item) == ward.items.of(question.id).retraction == "entered-in-error"

    def test_may_be_a_condition(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        change(server, "c1", verificationStatus=code(VERIFICATION, "entered-in-error"))
        assert ward.retraction(item) == "entered-in-error"

    def test_that_was_not_used_is_of_no_matter(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        change(server, "o0", status="entered-in-error")
        assert ward.retraction(item) == ""

    def test_that_was_corrected_or_is_gone_takes_nothing_back(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        change(server, "o1", status="corrected")
        server.resources = [each for each in server.resources if each["id"] != "c1"]
        assert ward.retraction(item) == ""

    def test_is_asked_for_in_no_address(self, ward: Ward, server: FhirServerDouble) -> None:
        ward.asked()
        ward.watch.round()
        assert not [path for _, path, _ in server.seen if "p1" in path or "o1" in path]


class TestWhatIsLookedAt:
    def test_is_looked_at_once_in_an_interval(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        ward.watch.round()
        seen = len(server.seen)
        change(server, "o1", status="entered-in-error")
        Watch(ward.home, ward.items.store, CONFIG).round()  # started again, it knows
        assert len(server.seen) == seen
        sooner: Config = {**CONFIG, "ehr_minutes": 1}
        with ward.items.store.write() as db:
            db.execute("UPDATE item SET looked = ?", (clock.rfc3339(clock.now() - timedelta(seconds=90)),))
        assert ward.retraction(item) == ""
        Watch(ward.home, ward.items.store, sooner).round()
        assert ward.items.of(item.id).retraction == "entered-in-error"

    @pytest.mark.parametrize(
        "source", ["urn:concordat:file", "urn:concordat:omop:warehouse", "https://other.example.org"]
    )
    def test_is_nothing_that_came_from_elsewhere(self, ward: Ward, server: FhirServerDouble, source: str) -> None:
        """A file's `Patient/p1` is nobody at this server."""
        item = ward.asked(source=source)
        change(server, "p1", link=link("replaced-by", "Patient/p2"))
        server.seen.clear()
        assert ward.retraction(item) == ""
        assert server.seen == []

    def test_is_nothing_that_is_not_shown_any_more(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        with ward.items.store.write() as db:
            db.execute("UPDATE item SET asked = ?", (clock.rfc3339(clock.now() - timedelta(hours=25)),))
        server.seen.clear()
        assert ward.retraction(item) == ""
        assert server.seen == []


class TestTrouble:
    def test_is_left_alone_for_longer_each_time_and_concludes_nothing(
        self, ward: Ward, server: FhirServerDouble
    ) -> None:
        first, second = ward.asked(), ward.asked("p2")
        change(server, "p2", link=link("replaced-by", "Patient/p1"))
        server.troubles = [(503, {})] * 2
        server.seen.clear()
        assert ward.retraction(first) == ""
        for _ in range(3):
            ward.watch.round()
        assert len(server.seen) == 1, "it is asked once, and then not for a minute"
        ward.watch._after = clock.now()
        ward.watch.round()
        assert ward.watch._after - clock.now() > watch.FIRST_PAUSE, "twice as long"
        ward.due_again()
        ward.watch._after = clock.now()
        assert ward.retraction(second) == "merged"

    def test_that_drips_does_not_hold_the_worker(
        self, ward: Ward, server: FhirServerDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "SECONDS", 0.6)
        ward.asked()
        server.drip = (300, 0.05)
        begun = time.monotonic()
        ward.watch.round()
        assert 0.5 < time.monotonic() - begun < 2
        assert ward.watch._after > clock.now(), "it is left alone"

    def test_is_not_that_there_is_more_than_its_time_allows(
        self, ward: Ward, server: FhirServerDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is left is looked at in the next round, and the server is not taken for one that is away."""
        monkeypatch.setattr(watch, "SECONDS", 2.0)
        items = [ward.asked(f"p{number}") for number in range(1, 13)]
        server.delay = 0.05
        change(server, "o1", status="entered-in-error")
        ward.watch.round()
        done = [item for item in items if ward.items.of(item.id).retraction]
        assert 0 < len(done) < len(items)
        assert ward.watch._after <= clock.now()
        for _ in range(5):
            ward.watch.round()
        assert all(ward.items.of(item.id).retraction for item in items)

    def test_about_one_does_not_stand_in_the_way_of_the_next(self, ward: Ward, server: FhirServerDouble) -> None:
        first, second = ward.asked(), ward.asked("p2")
        change(server, "o1", status="entered-in-error")
        server.troubles = [(403, {})]
        ward.watch.round()
        assert (ward.items.of(first.id).retraction, ward.items.of(second.id).retraction) == ("", "entered-in-error")

    @pytest.mark.parametrize("headers", [{"Retry-After": "\xb2"}, {"Location": "mailto:x"}])
    def test_of_an_answer_that_cannot_be_made_out_ends_nothing(
        self, ward: Ward, server: FhirServerDouble, headers: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        item, other = ward.asked(), ward.asked("p2")
        server.troubles = [(302 if "Location" in headers else 503, headers)]
        assert ward.retraction(item) == ward.retraction(other) == ""
        assert Reason.EHR_UNAVAILABLE in caplog.text

    def test_of_a_kind_that_nobody_foresaw_is_left_alone_too(
        self,
        ward: Ward,
        server: FhirServerDouble,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The worker goes on to recalls and withdrawals."""

        def unforeseen(*_: object, **__: object) -> None:
            raise ZeroDivisionError("about patient p1")

        item = ward.asked()
        monkeypatch.setattr(watch, "found_wrong", unforeseen)
        assert ward.retraction(item) == ""
        assert ward.watch._after > clock.now()
        assert "ZeroDivisionError" in caplog.text
        assert "p1" not in caplog.text

    def test_of_a_home_without_a_server_stops_nobody(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        (ward.home.directory / "ehr.json").unlink()
        assert ward.retraction(item) == ""


class TestWhenTheServerTold:
    """Card and page say so of a result whose second look is overdue."""

    def said(self, ward: Ward, item: Item, *, hours: float) -> str:
        return cards.unseen(ward.items.of(item.id), CONFIG, clock.now() + timedelta(hours=hours))

    def test_is_when_the_record_was_read_until_it_told_again(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked()
        with ward.items.store.write() as db:
            db.execute("UPDATE item SET asked = ?", (clock.rfc3339(clock.now() - timedelta(hours=3)),))
        since = f"{clock.now() - timedelta(hours=3):%Y-%m-%d %H:%M} UTC"
        server.troubles = [(503, {})]
        ward.watch.round()
        assert since in self.said(ward, item, hours=0), "a server that does not answer has told nothing"
        ward.watch._after = clock.now()
        ward.due_again()
        server.troubles = [(403, {})]
        ward.watch.round()
        assert since in self.said(ward, item, hours=0), "nor has one that refuses"
        ward.due_again()
        ward.watch.round()
        assert self.said(ward, item, hours=1.9) == ""
        assert self.said(ward, item, hours=2.1) == self.said(ward, item, hours=9) != ""

    def test_is_no_matter_for_what_came_from_elsewhere(self, ward: Ward, server: FhirServerDouble) -> None:
        assert self.said(ward, ward.asked(source="urn:concordat:file"), hours=20) == ""

    def test_never_comes_at_a_server_that_is_not_asked_any_more(self, ward: Ward, server: FhirServerDouble) -> None:
        item = ward.asked(source="https://other.example.org")
        ward.watch.round()
        assert "may have been merged" in self.said(ward, item, hours=3)


def test_card_and_page_say_since_when_the_server_has_not_told(hospital: Hospital) -> None:
    hospital.opened()
    told = clock.now() - timedelta(hours=3)
    with hospital.store.write() as db:
        db.execute("UPDATE item SET source = 'https://ehr.example.org/fhir', told = ?", (clock.rfc3339(told),))
    expected = f"The health record's server has not said since {cards.moment(told)}"
    config: Any = hospital.config | {"threshold": "0"}
    with running(config, hospital.home) as there:
        assert f"**NOT CHECKED.** {expected}" in there.cards()[0]["detail"]
        assert expected in html.unescape(reader(there).page())


def test_the_worker_leaves_a_receipt_of_what_was_taken_back(hospital: Hospital) -> None:
    content = json.loads((FOLDER / "bundle.json").read_text())
    with fhir_server_double(hospital.home.keys.client, on_a_server(content)) as server:
        config = {"base": server.base, "token": server.token, "client": CLIENT}
        (hospital.home.directory / "ehr.json").write_text(json.dumps(config))
        read = read_ehr(hospital.home, "p1", hospital.definition.schema, Heard())
        item = hospital.items.put(
            patient="p1",
            values=read.values,
            taken=read.taken,
            person=PERSON,
            consent="",
            subject="",
            source=read.source,
            origins=read.origins,
        )
        hospital.items.opened(item, {"explanation": {"probability": "0.7310"}})
        change(server, "r1", status="entered-in-error")
        hospital.worker().round()
    (said,) = Receipts(hospital.store).of(item)
    assert (said.decision, said.reason) == ("retracted", "entered-in-error")
