"""The clinician's page: who gets to it, what it says, and what becomes of what is clicked there."""

import re
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest

from concordat import ring
from concordat.bedside import articles, cards, documents, links, pages
from concordat.bedside.bedside import Bedside
from concordat.bedside.item import VALUES, Item
from concordat.bedside.receipts import Receipts
from concordat.display import OVERRIDES
from concordat.events import Event
from concordat.explanation import sigmoid
from concordat.reasons import Reason
from ledger.models import LogEntry
from tests.concordat.bedside.conftest import Hospital, probability
from tests.support.bedside import PATIENT, Running, running


class Reader:
    """A clinician's browser on one result."""

    def __init__(self, there: Running, address: str) -> None:
        self.http = httpx.Client(base_url=there.bedside.address)
        opened = self.http.get(address)
        assert opened.status_code == 303, opened.text
        self.path, self.cookie = opened.headers["location"], opened.headers["set-cookie"]

    def page(self, more: str = "") -> str:
        answer = self.http.get(self.path + more)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, what: str, *, csrf: str | None = None, origin: str = "", **fields: str) -> httpx.Response:
        token = re.search(r'name="csrf" value="([^"]+)"', self.page())
        given = csrf if csrf is not None else token[1] if token else ""
        headers = {"Origin": origin} if origin else {}
        return self.http.post(f"{self.path}/{what}", data={"csrf": given, **fields}, headers=headers)

    def confirm(self, asked: httpx.Response) -> httpx.Response:
        """Agree with how a question was understood."""
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
        return self.http.post(f"{self.path}/ask", data={name: unescape(value) for name, value in fields.items()})


def reader(there: Running, patient: str = PATIENT) -> Reader:
    item = there.bedside.items.latest(patient)
    assert item is not None
    return Reader(there, there.bedside.link(item))


def test_that_the_times_of_plain_values_were_stated_is_said_wherever_they_stand(hospital: Hospital) -> None:
    bedside, item = Bedside(hospital.config, hospital.store, hospital.home.name), hospital.opened()
    parts = articles.Articles(bedside)
    for source, said in (("urn:concordat:file", False), (VALUES, True)):
        with hospital.store.write() as db:
            db.execute("UPDATE item SET source = ?", (source,))
        found = bedside.items.of(item.id)
        card = cards.card(found, "ready", hospital.config).detail
        assert ("the record itself has no times" in card) is said
        assert ("the record itself has no times" in parts.result(found)) is said
        assert ("as the hospital stated" in parts.for_patient(found)) is said


def test_institutions_and_reasons_are_named_as_people_name_them(hospital: Hospital, shown: Running) -> None:
    hospital.opened()
    own = reader(shown)
    assert "Long-Beach. Test results from" in own.page("/patient")
    own.post("decision", decision="overridden", reason="findings-contradict")
    page = unescape(own.page())
    assert "overridden: Other findings contradict it (clinician, page)" in page
    assert "Cleveland; model heart, version 1" in page
    assert not re.search(r">[^<]*(long-beach|cleveland)", page)
    assert {each["source"]["label"] for each in shown.cards()} == {"Concordat at Long-Beach"}


def test_what_an_earlier_version_kept_is_shown_by_short_names(hospital: Hospital) -> None:
    hospital.opened()
    with hospital.store.write() as db:
        db.execute("UPDATE document SET content = json_remove(content, '$.owner') WHERE name = 'documents'")
    found = documents.kept(hospital.store, hospital.definition.digest)
    assert found is not None
    assert found.owner == "cleveland"


class TestWhoGetsToIt:
    def test_by_the_links_of_a_card(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened()
        (card,) = shown.cards()
        assert "Coronary disease" in Reader(shown, card["links"][0]["url"]).page()

    def test_no_address_names_the_patient_and_the_cookie_is_the_sessions_alone(
        self, hospital: Hospital, shown: Running
    ) -> None:
        item = hospital.opened()
        own = reader(shown)
        assert PATIENT not in own.path
        assert item.id not in own.path
        assert f"Path={own.path}" in own.cookie
        assert "HttpOnly" in own.cookie
        assert "SameSite=lax" in own.cookie
        addresses = re.findall(r'(?:href|action|src)="([^"]+)"', own.page())
        assert addresses
        assert not any(PATIENT in each or item.id in each for each in addresses)

    def test_a_session_shows_one_patient_and_no_other_has_its_page(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened()
        hospital.opened("other-patient", age=70)
        first, second = reader(shown), reader(shown, "other-patient")
        assert PATIENT in first.page()
        assert "other-patient" in second.page()
        assert first.http.get(second.path).status_code == 403

    def test_without_a_cookie_there_is_nothing(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened()
        path = reader(shown).path
        for part in ("", "/questions", "/patient"):
            answer = shown.get(path + part)
            assert answer.status_code == 403
            assert PATIENT not in answer.text

    def test_a_link_and_a_session_end(
        self, hospital: Hospital, shown: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        item = hospital.opened()
        own, link = reader(shown), shown.bedside.link(item)
        now = links._now()
        monkeypatch.setattr(links, "_now", lambda: now + links.LINK_SECONDS + 1)
        assert shown.get(link).status_code == 403
        own.page()
        monkeypatch.setattr(links, "_now", lambda: now + links.SESSION_SECONDS + 1)
        assert own.http.get(own.path).status_code == 403

    def test_of_tokens_and_cookies_only_digests_are_kept(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        link = shown.bedside.link(item)
        own = Reader(shown, link)
        secret = own.cookie.partition("=")[2].partition(";")[0]
        assert len(secret) > 40
        for file in hospital.home.directory.glob("bedside.sqlite3*"):
            content = file.read_bytes()
            assert link.rsplit("/", 1)[1].encode() not in content
            assert secret.encode() not in content

    def test_every_answer_is_kept_nowhere_and_loads_nothing_from_elsewhere(
        self, hospital: Hospital, shown: Running
    ) -> None:
        hospital.opened()
        own = reader(shown)
        elsewhere = [shown.get(path) for path in ("/r/none", "/nothing", "/static/bedside.js")]
        for answer in (own.http.get(own.path), *elsewhere):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "same-origin"
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
        page = own.page()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page)
        assert not re.search(r'(?:href|src)="(?:https?:)?//', page)

    def test_another_host_name_is_refused(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened()
        own = reader(shown)
        assert own.http.get(own.path, headers={"Host": "rebound.example.org"}).status_code == 400

    def test_of_an_unexpected_error_neither_page_nor_log_tells_more_than_its_kind(
        self, hospital: Hospital, shown: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        hospital.opened()
        own = reader(shown)

        def fail(*_: Any) -> str:
            raise RuntimeError("needle of a patient")

        monkeypatch.setattr(pages.Pages, "_result", fail)
        answer = own.http.get(own.path)
        assert answer.status_code == 500
        assert answer.headers["cache-control"] == "no-store"
        assert "RuntimeError" in caplog.text
        assert "needle" not in answer.text + caplog.text


class TestWhatItSays:
    def test_prediction_factors_fit_and_proof(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        page, told = unescape(reader(shown).page()), item.result["explanation"]  # type: ignore[index]
        assert f"{100 * probability(item):.1f} %" in page
        assert "The model states no interval for the probability itself." in page
        assert "Explanation reliable" in page
        assert item.result["record"] in page  # type: ignore[index]
        sentences = [factor["sentence"] for factor in told["factors"]]
        assert [each for each in sentences if f"<li>{each}</li>" in page] == sentences[:5]
        assert f"And {len(sentences) - 5} weaker factors" in page
        assert "<svg" in page
        assert "Not stated." in page

    def test_what_was_not_measured_is_marked(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened(trestbps=None)
        assert "not measured" in reader(shown).page()

    def test_an_unreliable_explanation_is_called_so(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        result: Any = item.result
        result["explanation"] |= {"reliable": False, "adjusted_r_squared": "0.3100"}
        hospital.items.opened(item, result)
        page = reader(shown).page()
        assert "Explanation unreliable" in page
        assert "Explanation reliable" not in page

    @pytest.mark.parametrize("way", ["pending", "failed", "retracted"])
    def test_what_is_no_result_shows_no_number(self, hospital: Hospital, shown: Running, way: str) -> None:
        if way == "retracted":
            item = hospital.opened()
            hospital.items.retract(patient=PATIENT, why="wrong-patient")
        else:
            item = hospital.enqueue()
            hospital.worker().round()
        if way == "failed":
            hospital.items.failed(item, Reason.NODE_SILENT)
        own = reader(shown)
        page = own.page()
        assert "This says nothing about the patient's risk" in page
        assert " %" not in page
        assert own.http.get(f"{own.path}/patient").status_code == 409
        assert Receipts(hospital.store).of(item) == []

    def test_a_stale_result_is_called_so_and_cannot_be_accepted(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened(hours=25)
        own = reader(shown)
        page = own.page()
        assert "OUT OF DATE" in page
        assert "This says nothing about the patient's risk" in page
        assert " %" not in page
        assert "<button" not in page
        assert Receipts(hospital.store).of(item) == []

    def test_something_newer_is_pointed_to(self, hospital: Hospital, shown: Running) -> None:
        hospital.opened()
        own = reader(shown)
        assert "Something newer" not in own.page()
        hospital.enqueue(age=64)
        assert "Something newer" in own.page()

    def test_for_the_patient_it_says_how_many_of_a_hundred(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        page = reader(shown).page("/patient")
        assert f"{round(100 * probability(item))} out of 100" in page
        for word in ("log-odds", "R²", "perturbed", "coefficient"):
            assert word not in page
        assert [(each.decision, each.viewer) for each in Receipts(hospital.store).of(item)] == [("shown", "clinician")]


class TestReceipts:
    def test_a_receipt_commits_to_exactly_the_part_that_was_shown(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        page = reader(shown).page()
        assert page.count("<article>") == 1
        reader(shown).page()
        with hospital.store.read() as db:
            (row,) = db.execute("SELECT * FROM receipt WHERE item = ?", (item.id,))
        assert row["rendered"] in page
        assert row["template"] == articles.TEMPLATE

    def test_accept_and_override_with_a_coded_reason(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        own = reader(shown)
        for _ in range(2):
            assert own.post("decision", decision="accepted").status_code == 303
        for code in OVERRIDES:
            assert own.post("decision", decision="overridden", reason=code).status_code == 303
        said = [(each.decision, each.reason) for each in Receipts(hospital.store).of(item)]
        assert said == [("shown", ""), ("accepted", ""), *(("overridden", code) for code in OVERRIDES)]
        for wrong in ({"decision": "overridden", "reason": "because"}, {"decision": "overridden"}, {}):
            assert own.post("decision", **wrong).status_code == 422

    def test_who_changes_their_mind_back_is_heard(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        own, code = reader(shown), next(iter(OVERRIDES))
        for fields in ({"decision": "accepted"}, {"decision": "overridden", "reason": code}, {"decision": "accepted"}):
            assert own.post("decision", **fields).status_code == 303
        said = [each.decision for each in Receipts(hospital.store).of(item)]
        assert said == ["shown", "accepted", "overridden", "accepted"]

    def test_a_form_of_another_page_or_site_is_refused(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        own = reader(shown)
        assert own.post("decision", csrf="", decision="accepted").status_code == 403
        assert own.post("decision", csrf="x" * 43, decision="accepted").status_code == 403
        assert own.post("decision", origin="https://evil.example.org", decision="accepted").status_code == 403
        plain = own.http.post(f"{own.path}/decision", json={"decision": "accepted"})
        assert plain.status_code == 415
        large = own.http.post(f"{own.path}/decision", data={"question": "x" * (pages.LARGEST + 1)})
        assert large.status_code == 413
        assert [each.decision for each in Receipts(hospital.store).of(item)] == ["shown"]


class TestQuestions:
    def test_a_form_in_which_nothing_was_changed_asks_nothing(self, curious: Hospital) -> None:
        """Whatever a number looks like after a conversion of units, it reads back as itself."""
        curious.opened(chol=199.92389999999997)
        with running(curious.config, curious.home) as there:
            own = reader(there)
            fields = dict(re.findall(r'id="f-[^"]+" name="([^"]+)" type="number"[^>]* value="([^"]+)"', own.page()))
            assert fields["chol"] == "199.92389999999997"
            for select in own.page().split("<select")[1:]:
                name, chosen = re.search(r'name="([^"]+)"', select), re.search(r'value="([^"]+)" selected', select)
                if name and chosen and name[1] != "reason":
                    fields[name[1]] = chosen[1]
            answer = own.post("question", **fields)
        assert "Change at least one value first." in unescape(answer.text)

    def test_why_is_answered_from_the_explanation(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        answer = unescape(reader(shown).post("question", question="Why not low?").text)
        raising = [each for each in item.result["explanation"]["factors"] if each["direction"] == "raises"]  # type: ignore[index]
        assert raising
        assert all(each["sentence"] in answer for each in raising)
        assert not hospital.items.questions(item)

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("Is <this> her fault?", "none of the forms"),
            ("What if pigs were 7?", "The names are: Age"),
            ("What if cholesterol were 99999?", "Cholesterol lies between"),
        ],
    )
    def test_what_is_not_understood_stays_in_its_box_on_the_results_page(
        self, curious: Hospital, typed: str, said: str
    ) -> None:
        item = curious.opened()
        with running(curious.config, curious.home) as there:
            answer = reader(there).post("question", question=typed)
        assert answer.status_code == 422
        assert f"{100 * probability(item):.1f} %" in answer.text
        (box,) = re.findall(r'<input id="question".*?autocomplete[^>]*>', answer.text)
        assert f'value="{typed}"' in unescape(box)
        for attribute in ("autofocus", 'aria-invalid="true"', 'aria-describedby="mistake question-help"'):
            assert attribute in box
        (told,) = re.findall(r'<p [^>]*id="mistake">(.*?)</p>', answer.text, re.DOTALL)
        for words in (said, "“what if NAME were VALUE?”", "“why not low?”", "Nothing was sent."):
            assert words in told
        assert "<this>" not in answer.text
        assert not curious.items.questions(item)

    def test_where_what_ifs_are_not_allowed_only_what_is_understood_is_named(
        self, hospital: Hospital, shown: Running
    ) -> None:
        hospital.opened()
        page = reader(shown).post("question", question="Tell me a story.").text
        assert "This question was not understood." in page
        assert "“why not low?”" in page
        assert "“what if" not in page

    def test_a_page_that_says_no_leads_back_to_the_result_while_it_may_be_seen(
        self, hospital: Hospital, shown: Running
    ) -> None:
        hospital.opened()
        own = reader(shown)
        back = f'<a href="{own.path}">Back to the result</a>'
        assert back in own.post("decision", decision="overridden", reason="because").text
        own.http.cookies.clear()
        refused = own.http.get(own.path)
        assert refused.status_code == 403
        assert back not in refused.text

    def test_what_the_definition_does_not_allow_is_said_and_not_sent(self, hospital: Hospital, shown: Running) -> None:
        item = hospital.opened()
        own = reader(shown)
        assert "not allowed by the definition" in own.page()
        for answer in (
            own.post("question", question="what if resting blood pressure were 120?"),
            own.post("ask", change='{"trestbps": 120}', once=str(uuid4())),
        ):
            assert answer.is_client_error
            assert "allows no what-ifs" in answer.text
        assert not hospital.items.questions(item)

    def test_a_question_is_confirmed_computed_as_a_request_of_its_own_and_answered(self, curious: Hospital) -> None:
        item = curious.opened()
        with running(curious.config, curious.home) as there:
            own = reader(there)
            understood = own.post("question", question="What if resting blood pressure were 120?")
            assert "Resting blood pressure 130 mmHg → 120 mmHg" in understood.text
            assert "10 a day and 100 in all" in understood.text
            assert not curious.items.questions(item)
            for _ in range(2):  # clicked twice
                assert own.confirm(understood).status_code == 303
            (question,) = curious.items.questions(item)
            assert "NOT AVAILABLE" in own.page() or "being computed" in own.page()
            curious.worker().round()
            curious.world.compute(curious.definition, of=question.id)
            curious.worker().round()
            (question,) = curious.items.questions(item)
            assert question.result is not None
            predicted = float(question.result["what_ifs"][0]["probability"])
            expected = _predicted(curious, item, {"trestbps": 120.0})
            assert predicted == pytest.approx(expected, abs=1e-3)
            assert f"{100 * predicted:.1f} %" in own.page()
            assert there.cards()[0]["summary"].startswith("Coronary disease: ")
            own.page()
            assert [(each.decision, each.viewer) for each in Receipts(curious.store).of(question)] == [
                ("shown", "clinician")
            ]
            with curious.store.read() as db:
                (row,) = db.execute("SELECT * FROM receipt WHERE item = ?", (question.id,))
            assert row["template"] == articles.ANSWER_TEMPLATE
            assert row["rendered"] in own.page()
            for words in ("Resting blood pressure 130 mmHg → 120 mmHg", f"{100 * predicted:.1f} %"):
                assert words in row["rendered"]
        curious.worker().round()
        (said,) = Receipts(curious.store).of(question)
        assert said.state == "logged"
        displayed = [each.public["request"] for each in LogEntry.objects.filter(event=Event.RESULT_DISPLAYED)]
        assert displayed.count(question.id) == 1

    def test_an_answer_that_is_not_shown_leaves_no_receipt(self, curious: Hospital) -> None:
        item = curious.opened()
        question = curious.items.ask(item, {"trestbps": 120.0}, once=str(uuid4()))
        with running(curious.config, curious.home) as there:
            assert "being computed" in reader(there).page()
            curious.items.opened(question, {"what_ifs": [{"probability": "0.5000"}]})
            curious.items.retract(patient=PATIENT, why="wrong-patient")
            assert "50.0 %" not in reader(there).page()
        assert Receipts(curious.store).of(question) == []

    def test_a_value_that_nobody_measured_is_called_so_in_the_question_and_in_its_answer(
        self, curious: Hospital
    ) -> None:
        item = curious.opened(trestbps=None)
        with running(curious.config, curious.home) as there:
            own = reader(there)
            understood = own.post("question", question="What if resting blood pressure were lower by 10?")
            said = "Resting blood pressure 130 mmHg (not measured: reference value) → 120 mmHg"
            assert said in understood.text
            own.confirm(understood)
            (question,) = curious.items.questions(item)
            curious.worker().round()
            curious.world.compute(curious.definition, of=question.id)
            curious.worker().round()
            assert said in own.page()
        with curious.store.read() as db:
            (row,) = db.execute("SELECT rendered FROM receipt WHERE item = ?", (question.id,))
        assert said in row["rendered"]
        answered = curious.items.of(question.id).result
        assert answered is not None
        assert answered["what_ifs"][0]["what_if"] == said

    def test_values_changed_in_the_form_are_a_question_too(self, curious: Hospital) -> None:
        item = curious.opened()
        with running(curious.config, curious.home) as there:
            own = reader(there)
            names = {each.name: each for each in curious.definition.schema.features}
            fields = {name: _cell(each, item.values[name]) for name, each in names.items()}
            assert own.post("question", **fields).status_code == 422
            understood = own.post("question", **fields | {"chol": "180"})
            assert "Cholesterol 240 mg/dL → 180 mg/dL" in understood.text
            outside = own.post("question", **fields | {"chol": "18000"})
            assert outside.status_code == 422
            assert "Cholesterol lies between" in outside.text
            (again,) = re.findall(r'<input id="f-chol"[^>]*>', outside.text)
            for attribute in ('value="18000"', "autofocus", 'aria-invalid="true"', 'aria-describedby="mistake"'):
                assert attribute in again
            assert outside.text.count('aria-invalid="true"') == 1
            assert "<details open>" in outside.text

    def test_a_change_that_the_page_did_not_make_is_refused(self, curious: Hospital, subtests: pytest.Subtests) -> None:
        item = curious.opened()
        with running(curious.config, curious.home) as there:
            for change in ("", "[]", '{"nothing": 1}', '{"chol": 99999}', '{"chol": "much"}'):
                with subtests.test(change):
                    assert reader(there).post("ask", change=change, once=str(uuid4())).status_code == 422
        assert not curious.items.questions(item)


def _predicted(hospital: Hospital, item: Item, change: Any) -> float:
    vector = hospital.definition.schema.encode_row({**item.values, **change}).vector
    prediction, _ = hospital.world.in_the_clear(hospital.definition, [vector])
    return sigmoid(float(ring.decode(prediction, ring.RESULT_BITS)[0]))


def _cell(feature: Any, value: Any) -> str:
    return str(value).lower() if feature.kind == "boolean" else str(value)
