"""What has ended after a result was opened takes it off card and page, with the true reason and a receipt in the log;
a coordinator that is away leaves what is known, and card and page say since when nobody has looked."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from compute.models import Job
from compute.services import dispatch
from concordat import clock, votes
from concordat.bedside import authority, cards
from concordat.bedside.item import Item
from concordat.bedside.receipts import Receipts
from concordat.client import consents, governance, recalls
from concordat.client.ballots import revocation
from concordat.display import ENDINGS, read_display
from concordat.events import Event
from concordat.reasons import Reason
from concordat.signatures import keyring
from governance.models import Study
from ledger.models import LogEntry
from ledger.selectors import private_fields
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.bedside.test_pages import reader
from tests.concordat.client.conftest import PERSON, PURPOSE, STUDY
from tests.support.bedside import PATIENT, running
from tests.support.triggers import without_rules


class Away(httpx.BaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")


def suspended(state: str = "suspended", **changes: Any) -> None:
    with without_rules(Study):
        Study.objects.filter(slug=STUDY).update(state=state, **changes)


def check_taken_back(hospital: Hospital, item: Item, why: str) -> str:
    """Card, page and log all say so, and for which reason; no number is left. Answers the page."""
    with running(hospital.config, hospital.home) as there:
        (card,) = there.cards()
        own = reader(there)
        page = own.page()
        assert own.http.get(f"{own.path}/patient").status_code == 409
    assert card["summary"] == "Coronary disease: no longer to be used"
    assert cards.NOT_A_RISK in card["detail"]
    assert "suggestions" not in card
    assert "No longer to be used." in page
    for text in (card["summary"] + card["detail"], page):
        assert "%" not in text.replace("100%", "")
    assert ENDINGS[why] in card["detail"]
    assert ENDINGS[why] in page
    said = [(each.decision, each.reason, each.state) for each in Receipts(hospital.store).of(item)]
    assert said[-1] == ("retracted", why, "logged")
    entry = LogEntry.objects.filter(event=Event.RESULT_DISPLAYED).last()
    assert entry is not None
    receipt = read_display(private_fields(entry)["display"], keyring(hospital.home.keys.identity.public))
    assert (receipt["decision"], receipt["reason"]) == ("retracted", why)
    return page


class TestAConsent:
    def test_that_is_withdrawn_from_here(self, hospital: Hospital) -> None:
        consent = hospital.world.consent()
        item = hospital.opened(consent=consent)
        consents.withdraw(hospital.home, hospital.world.api("long-beach"), consent)
        hospital.worker().round()
        check_taken_back(hospital, item, "consent-withdrawn")

    def test_that_is_withdrawn_from_another_machine_of_ours(self, hospital: Hospital) -> None:
        """Only the log tells this home of it."""
        consent = hospital.world.consent()
        item = hospital.opened(consent=consent)
        other = hospital.opened("pat-5678", age=70)
        consents.withdraw(hospital.home, hospital.world.api("long-beach"), consent)
        (hospital.home.consents / f"{consent}.withdrawn").unlink()
        for _ in range(2):  # nothing is found twice
            hospital.worker().round()
        check_taken_back(hospital, item, "consent-withdrawn")
        assert hospital.items.of(other.id).retraction == ""

    def test_that_is_withdrawn_while_the_result_is_on_its_way_shows_none(self, hospital: Hospital) -> None:
        consent = hospital.world.consent()
        item = hospital.enqueue(consent=consent)
        hospital.worker().round()
        hospital.world.compute(hospital.definition)
        consents.withdraw(hospital.home, hospital.world.api("long-beach"), consent)
        hospital.worker().round()
        hospital.worker().round()
        found = hospital.items.of(item.id)
        assert (found.state, found.reason, found.retraction) == ("failed", Reason.AUTHORITY_ENDED, "")

    def test_of_a_parent_whose_child_has_come_of_age(self, hospital: Hospital) -> None:
        """The home that says so keeps no note of it: the log tells."""
        api = hospital.world.api("long-beach")
        consent = consents.give(
            hospital.home,
            api,
            subject=str(uuid4()),
            study=STUDY,
            purposes=[PURPOSE],
            form=b"the form",
            version="1",
            language="en",
            until=clock.now() + timedelta(days=30),
            capacity="parent",
            assent=b"the child's form",
            reconsent={"on": clock.rfc3339(clock.now() + timedelta(days=20)), "why": "majority"},
        )
        item = hospital.opened(consent=consent)
        assert hospital.items.of(item.id).retraction == ""
        consents.regained_capacity(hospital.home, api, consent, why="majority")
        hospital.worker().round()
        check_taken_back(hospital, item, "consent-lapsed")

    def test_whose_period_is_over(self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
        item = hospital.opened()
        later = clock.now() + timedelta(days=31)
        monkeypatch.setattr(authority.clock, "now", lambda: later)
        hospital.worker().round()
        monkeypatch.undo()
        assert hospital.items.of(item.id).retraction == "consent-expired"

    def test_withdrawn_with_the_coordinator_away_takes_it_off_all_the_same(self, hospital: Hospital) -> None:
        consent = hospital.world.consent()
        item = hospital.opened(consent=consent)
        consents.withdraw(hospital.home, hospital.world.api("long-beach"), consent)
        hospital.world.transport = Away()
        hospital.worker().round()
        assert hospital.items.of(item.id).retraction == "consent-withdrawn"
        assert [each.state for each in Receipts(hospital.store).of(item)] == ["queued"]


class TestAStudy:
    @pytest.mark.parametrize(
        ("state", "why"),
        [("suspended", "study-suspended"), ("terminated", "study-ended"), ("closed", "study-ended")],
    )
    def test_that_is_suspended_or_ended(self, hospital: Hospital, state: str, why: str) -> None:
        item = hospital.opened()
        suspended(state)
        hospital.worker().round()
        check_taken_back(hospital, item, why)

    def test_whose_approval_has_lapsed(self, hospital: Hospital) -> None:
        item = hospital.opened()
        suspended("approved", expires=clock.now() - timedelta(minutes=1))
        hospital.worker().round()
        check_taken_back(hospital, item, "study-expired")

    def test_that_goes_on_leaves_taken_back_what_was_taken_back(self, hospital: Hospital) -> None:
        """The log says that it was retracted: nothing is shown again that does."""
        item = hospital.opened()
        suspended()
        hospital.worker().round()
        suspended("approved")
        hospital.worker().round()
        check_taken_back(hospital, item, "study-suspended")
        again = hospital.opened()
        with running(hospital.config | {"threshold": "0"}, hospital.home) as there:  # type: ignore[arg-type]
            (card,) = there.cards()
        assert again.id != item.id
        assert "predicted" in card["summary"]


class TestADefinition:
    @pytest.mark.parametrize("who", ["budapest", "cleveland"])
    def test_that_is_revoked_by_somebody_without_whom_nothing_runs(self, hospital: Hospital, who: str) -> None:
        item = hospital.opened()
        world = hospital.world
        governance.vote(world.homes[who], world.api(who), hospital.definition.digest, approve=False)
        hospital.worker().round()
        check_taken_back(hospital, item, "definition-revoked")

    def test_that_we_revoked_ourselves_with_the_coordinator_away(self, hospital: Hospital) -> None:
        item = hospital.opened()
        hospital.world.transport = Away()
        file = revocation(hospital.home.directory, hospital.definition.digest)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
        hospital.worker().round()
        assert hospital.items.of(item.id).retraction == "definition-revoked"

    def test_whose_model_is_recalled_gives_the_owner_s_advice_on_the_page(self, hospital: Hospital) -> None:
        item, world = hospital.opened(), hospital.world
        advice = "Assess the risk without the model <today>."
        recall = {"reason": "wrong-results", "classification": "I", "advice": advice}
        model, api = hospital.definition.content["model"], world.api("cleveland")
        recalls.recall(world.homes["cleveland"], api, model, **recall)  # type: ignore[arg-type]
        governance.vote(world.homes["cleveland"], api, hospital.definition.digest, approve=False)
        hospital.worker().round()
        page = check_taken_back(hospital, item, "model-recalled")
        assert "“Assess the risk without the model &lt;today&gt;.”" in page
        with running(hospital.config, hospital.home) as there:
            assert "“Assess the risk without the model \\<today\\>.”" in there.cards()[0]["detail"]

    @pytest.mark.parametrize("state", ["waiting", "sent"])
    def test_before_there_was_one_gives_that_advice_too(self, hospital: Hospital, state: str) -> None:
        """A worker that has just looked does not wait until the next look to find it out."""
        worker, world = hospital.worker(), hospital.world
        worker.round()
        item = hospital.enqueue()
        if state == "sent":
            worker.round()
        assert hospital.items.of(item.id).state == state
        recall = {"reason": "wrong-results", "classification": "I", "advice": "Repeat what was decided with it."}
        model = hospital.definition.content["model"]
        recalls.recall(world.homes["cleveland"], world.api("cleveland"), model, **recall)  # type: ignore[arg-type]
        if state == "sent":
            dispatch.reserve(job=Job.objects.get(request_uuid=item.id))  # the coordinator comes to it
        for _ in range(2):
            worker.round()
        assert hospital.items.of(item.id).reason == Reason.MODEL_RECALLED
        with running(hospital.config, hospital.home) as there:
            (card,) = there.cards()
            page = reader(there).page()
        for text in (card["detail"], page):
            assert "The model's owner says: “Repeat what was decided with it.”" in text

    def test_whose_time_is_over(self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
        checked = hospital.definition
        ended = clock.parse(checked.content["valid_until"])
        assert authority._of_definition(checked, "long-beach", ended - timedelta(seconds=1)) == ""
        assert authority._of_definition(checked, "long-beach", ended) == "definition-expired"

    def test_a_vote_that_nobody_signed_takes_nothing_off(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Votes are verified; what is not one leaves the last known state, and the log says that nobody could look."""
        item = hospital.opened()

        def altered(document: Any, **_: Any) -> Any:
            raise votes._invalid("No key can have made this signature.")

        monkeypatch.setattr(votes, "verify", altered)
        worker = hospital.worker()
        with pytest.raises(Exception, match="vote"):
            worker.round()  # it does not go on with a definition that it cannot verify
        assert hospital.items.of(item.id).retraction == ""
        assert "could not be looked at: vote-invalid" in caplog.text


class TestNobodyHasLooked:
    def test_for_some_time_and_card_and_page_say_since_when(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        item = hospital.opened(hours=0.1)
        looked = authority.last_look(hospital.store)
        assert looked is not None
        hospital.world.transport = Away()
        hospital.worker().round()
        assert authority.last_look(hospital.store) == looked
        config: Any = hospital.config | {"threshold": "0"}
        with running(config, hospital.home) as there:
            assert "NOT CHECKED" not in there.cards()[0]["detail"]
            assert "Not checked." not in reader(there).page()
            later = clock.now() + authority.LATE + timedelta(minutes=1)
            monkeypatch.setattr(clock, "now", lambda: later)
            since = f"since {cards.moment(looked)}"
            (card,) = there.cards()
            assert "NOT CHECKED" in card["detail"]
            assert since in card["detail"]
            assert "predicted" in card["summary"]
            assert since in reader(there).page()
            there.cards()
        # Of the card, one receipt without the words and one with them, however often it is shown.
        texts = [each for each in Receipts(hospital.store).of(item) if each.decision == "shown"]
        assert len(texts) == 4  # card and page, before and after

    def test_yet(self, hospital: Hospital) -> None:
        item = hospital.opened()
        with hospital.store.write() as db:
            db.execute("DELETE FROM document WHERE name = 'authority'")
        assert "found out yet" in cards.doubt(authority.last_look(hospital.store), clock.now())
        assert item.state == "open"

    def test_more_often_than_once_a_minute(self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
        hospital.opened()
        looks: list[int] = []
        monkeypatch.setattr(authority.Authority, "look", lambda self: looks.append(1))
        worker = hospital.worker()
        for _ in range(3):
            worker.round()
        assert len(looks) == 1


def test_a_receipt_of_what_has_ended_is_made_up_for_after_a_crash(hospital: Hospital) -> None:
    item = hospital.opened()
    hospital.items.end("study-suspended")  # and then the worker died
    hospital.worker().round()
    said = [(each.decision, each.reason) for each in Receipts(hospital.store).of(item)]
    assert said == [("retracted", "study-suspended")]


def test_what_has_ended_can_still_be_found_to_be_wrong(hospital: Hospital) -> None:
    """Then it does not come back with the same values."""
    item = hospital.opened()
    hospital.items.end("study-suspended")
    hospital.items.retract(patient=PATIENT, why="entered-in-error")
    assert hospital.items.of(item.id).retraction == "entered-in-error"
    with pytest.raises(Exception, match="Correct the record"):
        hospital.items.put(
            patient=PATIENT, values=item.values, taken=item.taken, person=PERSON, consent=item.consent, subject=""
        )
