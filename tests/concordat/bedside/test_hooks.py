"""What an EHR is told when a chart is opened (CDS Hooks 2.0), and what it may say back."""

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from concordat import clock
from concordat.bedside import cards
from concordat.bedside import ehr as ehr_module
from concordat.bedside.ehr import Ehrs
from concordat.bedside.links import Links
from concordat.bedside.percent import percent
from concordat.bedside.receipts import Receipts
from concordat.display import OVERRIDES, RETRACTIONS, read_display
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.signatures import keyring
from ledger.models import LogEntry
from ledger.selectors import private_fields
from tests.concordat.bedside.conftest import Hospital
from tests.support.bedside import ISSUER, ORIGIN, PATIENT, SERVICE, Ehr, Running, running


def below(hospital: Hospital) -> Any:
    return hospital.config | {"threshold": "1"}


def said(hospital: Hospital, item: Any) -> list[tuple[str, str, str]]:
    return [(each.decision, each.reason, each.threshold) for each in Receipts(hospital.store).of(item)]


class TestDiscovery:
    def test_it_names_the_one_service_and_what_its_silence_means(self, shown: Running) -> None:
        base = f"{shown.bedside.address}/cds-services"
        answer = shown.get(base, headers={"Authorization": f"Bearer {shown.ehr.token(base)}"})
        (service,) = answer.json()["services"]
        assert (service["hook"], service["id"], service["title"]) == ("patient-view", SERVICE, "Coronary disease")
        assert "No card does not mean a low risk." in service["description"]
        assert "prefetch" not in service

    def test_only_a_known_ehr_may_ask(self, shown: Running) -> None:
        answer = shown.get("/cds-services")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:concordat:reason:sign-in-required"


class TestWhoAsks:
    def test_es384_and_rs384_are_taken(self, hospital: Hospital) -> None:
        for ehr in (Ehr(), Ehr(RSAKey.generate_key(2048, {"kid": "r1"}, private=True), "RS384")):
            with running(hospital.config, hospital.home, ehr) as there:
                assert there.hook().status_code == 200

    @pytest.mark.parametrize(
        ("field", "claims"),
        [
            ("iss", {"iss": "https://other.example.org"}),
            ("aud", {"aud": "https://bedside.example.org/cds-services/coronary-disease"}),
            ("aud", {"aud": ["https://elsewhere.example.org"]}),
            ("exp", {"exp": int(time.time()) - 3600, "iat": int(time.time()) - 3700}),
            ("exp", {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3700}),
            ("exp", {"exp": int(time.time()) + 3600}),
            ("exp", {"exp": None}),
            ("iat", {"iat": None}),
            ("jti", {"jti": None}),
            ("kid", {"header": {"kid": "k2"}}),
            ("typ", {"header": {"typ": "at+jwt"}}),
        ],
    )
    def test_a_token_that_is_not_for_us_now_is_refused(
        self, shown: Running, field: str, claims: dict[str, Any]
    ) -> None:
        answer = shown.hook(**claims)
        assert (answer.status_code, answer.json()["field"]) == (401, field)

    def test_a_token_is_taken_once(self, shown: Running) -> None:
        assert shown.hook(jti="once").status_code == 200
        assert shown.hook(jti="once").json()["field"] == "jti"

    def test_another_key_of_the_same_id_is_refused(self, shown: Running) -> None:
        shown.ehr.key = ECKey.generate_key("P-384", {"kid": "k1"}, private=True)
        assert shown.hook().status_code == 401

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [
            (OctKey.generate_key(256, {"kid": "k1"}), "HS256"),
            (RSAKey.generate_key(2048, {"kid": "k1"}, private=True), "RS256"),
        ],
    )
    def test_no_other_algorithm(self, shown: Running, key: Any, algorithm: str) -> None:
        shown.ehr.key, shown.ehr.algorithm = key, algorithm
        assert shown.hook().json()["field"] == "alg"

    @pytest.mark.parametrize("header", ["Bearer x.y.z", "Bearer e30.e30.", "Basic eDp5", "Bearer", "Bearer a.b.c.d"])
    def test_what_is_no_token(self, shown: Running, header: str) -> None:
        assert shown.http.post(shown.service, json={}, headers={"Authorization": header}).status_code == 401

    def test_keys_behind_an_address_are_fetched_when_one_is_missing_and_not_for_every_stranger(
        self, hospital: Hospital
    ) -> None:
        ehr, fetched = Ehr(), []

        def fetch(url: str) -> bytes:
            fetched.append(url)
            return json.dumps(ehr.jwks).encode()

        ehrs = self.fetching(hospital, fetch)
        for _ in range(3):
            assert ehrs.check(f"Bearer {ehr.token('here')}", audiences={"here"}) == ISSUER
        for _ in range(3):
            with pytest.raises(Refused, match=f"^{Reason.SIGN_IN_REFUSED}:"):
                ehrs.check(f"Bearer {ehr.token('here', header={'kid': 'none'})}", audiences={"here"})
        assert fetched == ["https://ehr.example.org/jwks"]

    @staticmethod
    def fetching(hospital: Hospital, fetch: Callable[[str], bytes]) -> Ehrs:
        known = {"issuer": ISSUER, "jwks_url": "https://ehr.example.org/jwks", "origins": []}
        return Ehrs(hospital.config | {"ehrs": [known]}, hospital.store, fetch)  # type: ignore[operator]

    def test_nobody_waits_while_keys_are_fetched(self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
        ehr, slow, calls = Ehr(), threading.Event(), []

        def fetch(url: str) -> bytes:
            calls.append(url)
            if len(calls) > 1:
                slow.wait(30)
            return json.dumps(ehr.jwks).encode()

        monkeypatch.setattr(ehr_module, "_FETCH_AGAIN", 0.0)
        ehrs = self.fetching(hospital, fetch)
        begun = threading.active_count()
        with pytest.raises(Refused, match="no such key"):
            ehrs.check(f"Bearer {ehr.token('here', header={'kid': 'none'})}", audiences={"here"})
        assert threading.active_count() == begun + 1  # it is being fetched still
        assert ehrs.check(f"Bearer {ehr.token('here')}", audiences={"here"}) == ISSUER
        slow.set()

    def test_keys_that_cannot_be_fetched_anew_are_believed_no_more(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ehr, away = Ehr(), False

        def fetch(url: str) -> bytes:
            if away:
                raise httpx.ConnectError("away")
            return json.dumps(ehr.jwks).encode()

        ehrs = self.fetching(hospital, fetch)
        away, now = True, time.monotonic()
        monkeypatch.setattr(ehr_module.time, "monotonic", lambda: now + 3599)
        assert ehrs.check(f"Bearer {ehr.token('here')}", audiences={"here"}) == ISSUER
        monkeypatch.setattr(ehr_module.time, "monotonic", lambda: now + 3601)
        with pytest.raises(Refused, match="no such key"):
            ehrs.check(f"Bearer {ehr.token('here')}", audiences={"here"})

    def test_browsers_let_only_the_ehrs_pages_call(self, shown: Running) -> None:
        def preflight(origin: str) -> Any:
            headers = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            return shown.http.options(shown.service, headers=headers)

        assert preflight(ORIGIN).headers["access-control-allow-origin"] == ORIGIN
        other = preflight("https://evil.example.org")
        assert other.status_code == 400
        assert "access-control-allow-origin" not in other.headers
        page = shown.get("/r/x", headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in page.headers

    def test_another_name_for_this_machine_is_refused(self, shown: Running) -> None:
        assert shown.get("/cds-services", headers={"Host": "rebound.example.org"}).status_code == 400


class TestAResult:
    def test_one_card_with_the_three_strongest_factors(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        (card,) = shown.cards()
        told = item.result["explanation"]  # type: ignore[index]
        assert len(card["summary"]) < 140
        assert percent(told["probability"], hospital.config["threshold"]) in card["summary"]
        assert str(UUID(card["uuid"])) == card["uuid"]
        assert told["reliable"]
        for factor in told["factors"][:3]:
            assert cards.plain(factor["sentence"]) in card["detail"]
        assert cards.plain(told["factors"][3]["sentence"]) not in card["detail"]
        assert "95% interval" in card["detail"]
        assert "(reliable)" in card["detail"]
        assert item.result["record"] in card["detail"]  # type: ignore[index]
        assert {each["code"] for each in card["overrideReasons"]} == set(OVERRIDES)
        assert card["links"][0]["type"] == "absolute"
        assert PATIENT not in card["links"][0]["url"]
        assert said(hospital, item) == [("shown", "", "")]

    def test_an_unreliable_explanation_is_called_so_and_its_factors_are_left_out(self, hospital: Hospital) -> None:
        item = hospital.opened()
        item.result["explanation"] |= {"reliable": False, "adjusted_r_squared": "0.3100"}  # type: ignore[index]
        card = cards.card(item, "ready", hospital.config)
        assert "UNRELIABLE" in card.summary
        assert "0.31 (unreliable)" in card.detail
        assert not any(factor["sentence"] in card.detail for factor in item.result["explanation"]["factors"])  # type: ignore[index]

    def test_below_the_threshold_there_is_no_card_and_a_receipt_that_says_so(self, hospital: Hospital) -> None:
        item = hospital.opened()
        with running(below(hospital), hospital.home) as there:
            assert there.cards() == there.cards() == []
        assert said(hospital, item) == [("suppressed", "", "1")]
        hospital.worker().round()
        (entry,) = LogEntry.objects.filter(event=Event.RESULT_DISPLAYED)
        known = keyring(hospital.home.keys.identity.public)
        receipt = read_display(private_fields(entry)["display"], known)
        assert (receipt["decision"], receipt["threshold"], receipt["viewer"]) == ("suppressed", "1", "clinician")

    def test_shown_again_and_again_it_is_one_receipt(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        first, second = shown.cards(), shown.cards()
        assert first[0]["detail"] == second[0]["detail"]
        assert first[0]["uuid"] != second[0]["uuid"]
        assert said(hospital, item) == [("shown", "", "")]

    def test_a_patient_about_whom_nothing_was_asked_has_no_card(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened()
        assert shown.cards("somebody-else") == []

    def test_it_is_answered_within_half_a_second_among_many_patients(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        with hospital.store.write() as db:
            (row,) = db.execute("SELECT * FROM item WHERE id = ?", (item.id,))
            names = row.keys()
            copies = (
                [f"{place}" if name == "id" else f"p{place}" if name == "patient" else row[name] for name in names]
                for place in range(10_000)
            )
            db.executemany(f"INSERT INTO item VALUES ({','.join('?' * len(names))})", copies)
        for _ in range(10):
            start = time.perf_counter()
            assert shown.cards()
            assert time.perf_counter() - start < 0.5

    def test_another_hook_is_refused(self, shown: Running) -> None:
        call = {"hook": "order-sign", "hookInstance": str(uuid4()), "context": {"patientId": PATIENT}}
        answer = shown.post(shown.service, call)
        assert (answer.status_code, answer.json()["field"]) == (422, "hook")
        assert shown.post(shown.service, {"hook": "patient-view"}).json()["field"] == "hookInstance"


class TestWhatIsNoResultNeverLooksLikeALowRisk:
    """Each has a card of its own, whatever the threshold, that says that nothing is known."""

    def card(self, hospital: Hospital) -> dict[str, Any]:
        with running(below(hospital), hospital.home) as there:
            (card,) = there.cards()
        assert cards.NOT_A_RISK in card["detail"]
        assert len(card["summary"]) < 140
        assert "%" not in card["summary"] + card["detail"]
        assert "suggestions" not in card
        return card

    def test_pending(self, hospital: Hospital) -> None:
        hospital.enqueue()
        hospital.worker().round()
        assert "being computed" in self.card(hospital)["summary"]

    def test_late(self, hospital: Hospital) -> None:
        item = hospital.enqueue()
        hospital.worker().round()
        asked = clock.rfc3339(clock.now() - timedelta(minutes=31))
        with hospital.store.write() as db:
            db.execute("UPDATE item SET asked = ? WHERE id = ?", (asked, item.id))
        assert "LATE" in self.card(hospital)["summary"]

    def test_down(self, hospital: Hospital) -> None:
        hospital.enqueue()
        assert "the service is down" in self.card(hospital)["summary"]

    def test_failed(self, hospital: Hospital) -> None:
        item = hospital.enqueue()
        hospital.items.failed(item, Reason.NODE_SILENT)
        assert "failed" in self.card(hospital)["summary"]

    def test_stale(self, hospital: Hospital) -> None:
        item = hospital.opened(hours=25)
        assert "OUT OF DATE" in self.card(hospital)["summary"]
        assert said(hospital, item) == []

    @pytest.mark.parametrize("why", RETRACTIONS)
    def test_retracted(self, hospital: Hospital, why: str) -> None:
        hospital.opened()
        hospital.items.retract(patient=PATIENT, why=why)
        card = self.card(hospital)
        assert "retracted" in card["summary"]
        assert RETRACTIONS[why] in card["detail"]

    def test_of_another_definition(self, hospital: Hospital) -> None:
        """Whoever changes bedside.json does not have an earlier model's number shown under another title."""
        item = hospital.opened()
        changed = below(hospital) | {"definition": "sha256:" + "0" * 64, "title": "Sepsis"}
        with running(changed, hospital.home) as there:  # type: ignore[arg-type]
            (card,) = there.cards()
        assert card["summary"] == "Sepsis: of an earlier model, ask again"
        assert cards.NOT_A_RISK in card["detail"]
        assert said(hospital, item) == []

    def test_of_values_from_the_future(self, hospital: Hospital) -> None:
        hospital.opened(hours=-24 * 365)
        assert "OUT OF DATE" in self.card(hospital)["summary"]

    def test_a_store_that_somebody_else_writes_to(self, hospital: Hospital) -> None:
        """It answers in good time, and neither with an error nor with silence."""
        hospital.opened()
        with running(below(hospital), hospital.home) as there, hospital.store.write():
            (card,) = there.cards()
        assert "NOT AVAILABLE" in card["summary"]

    def test_a_card_that_could_not_be_handed_out_leaves_no_receipt(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        item = hospital.opened()

        def fail(*_: object) -> str:
            raise OSError

        monkeypatch.setattr(Links, "make", fail)
        with running(hospital.config | {"threshold": "0"}, hospital.home) as there:  # type: ignore[arg-type]
            (card,) = there.cards()
        assert "NOT AVAILABLE" in card["summary"]
        assert said(hospital, item) == []

    def test_a_store_that_cannot_be_read(
        self, hospital: Hospital, shown: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        item = hospital.enqueue()
        with hospital.store.write() as db:
            db.execute("UPDATE item SET given = 'no JSON' WHERE id = ?", (item.id,))
        with caplog.at_level(logging.ERROR):
            (card,) = shown.cards()
        assert "NOT AVAILABLE" in card["summary"]
        assert PATIENT not in caplog.text


class TestFeedback:
    def test_accepted(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        (card,) = shown.cards()
        accepted = [{"id": card["suggestions"][0]["uuid"]}]
        for _ in range(2):
            assert shown.feedback(card["uuid"], "accepted", acceptedSuggestions=accepted).status_code == 200
        assert said(hospital, item) == [("shown", "", ""), ("accepted", "", "")]
        assert shown.feedback(card["uuid"], "accepted").status_code == 422

    def test_overridden_for_a_coded_reason_and_no_word_of_a_comment_is_kept(
        self, hospital: Hospital, shown: Running
    ) -> None:
        item = hospital.opened()
        (card,) = shown.cards()
        coding = {"code": "findings-contradict", "system": cards.REASON_SYSTEM}
        why = {"reason": coding, "userComment": "Mrs Needleworth had a normal angiogram"}
        assert shown.feedback(card["uuid"], "overridden", overrideReason=why).status_code == 200
        assert shown.feedback(card["uuid"], "overridden").status_code == 200
        assert said(hospital, item)[1:] == [("overridden", "findings-contradict", ""), ("overridden", "", "")]
        hospital.worker().round()
        assert LogEntry.objects.filter(event=Event.RESULT_DISPLAYED).count() == 3
        for file in hospital.home.directory.rglob("*"):
            assert not file.is_file() or b"Needleworth" not in file.read_bytes()

    @pytest.mark.parametrize(
        "coding",
        [{"code": "because", "system": cards.REASON_SYSTEM}, {"code": "other", "system": "urn:elsewhere"}],
    )
    def test_no_other_reason(self, hospital: Hospital, shown: Running, coding: dict[str, str]) -> None:
        hospital.opened()
        (card,) = shown.cards()
        answer = shown.feedback(card["uuid"], "overridden", overrideReason={"reason": coding})
        assert (answer.status_code, answer.json()["field"]) == (422, "feedback.overrideReason.reason")

    def test_a_card_that_was_never_handed_out(self, shown: Running) -> None:
        assert shown.feedback(str(uuid4()), "overridden").status_code == 404

    def test_of_a_card_without_a_result_nothing_is_logged(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.enqueue()
        (card,) = shown.cards()
        assert shown.feedback(card["uuid"], "overridden").status_code == 200
        assert said(hospital, item) == []
