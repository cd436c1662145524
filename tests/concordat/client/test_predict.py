"""One explained prediction through the client, against the real coordinator; and what the client refuses to believe."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from compute.models import Alarm, Job, PartyResult
from concordat import canonical, checkpoint, record_number, ring, signatures, what_if
from concordat.canonical import b64, unb64
from concordat.client import canaries, consents, governance, predict, records
from concordat.client.alarms import ATTEMPTS
from concordat.client.api import Api
from concordat.client.follow import once_there
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.session import Newer
from concordat.client.work import Work
from concordat.definition import OPENED
from concordat.design import build_slopes, read_design
from concordat.fields import plain, read
from concordat.keystore import Keystore
from concordat.model import forward
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from concordat.signatures import SigningKey
from concordat.verifier.disclosure import Disclosure
from ledger.models import SignedCheckpoint
from ledger.services.publish import publish
from tests.concordat.client.conftest import PERSON, PURPOSE, SCHEMA, VALUES, World


@pytest.fixture
def home(world: World) -> ClientHome:
    return world.homes["long-beach"]


@pytest.fixture
def api(world: World) -> Api:
    return world.api("long-beach")


def repin(home: ClientHome, **changes: Any) -> None:
    home.pin(canonical.encode(plain(home.pins.document) | changes))


def published(seconds: float) -> None:
    """While the client waits, the log publishes its head."""
    publish()


def refusal(reason: Reason) -> Any:
    return pytest.raises(Refused, match=f"^{reason}:")


def test_from_the_record_to_the_display_receipt(
    world: World, agreed: CheckedDefinition, home: ClientHome, api: Api, work: Work
) -> None:
    assert predict.submit(work, api)["state"] == "authorised"
    world.compute(agreed)
    seen: list[str] = []
    status = predict.wait(work, api, seconds=5, on_change=lambda each: seen.append(each["state"]))
    opened = predict.open_result(home, api, work)
    predict.show(home, api, work, opened, viewer="clinician", decision="accepted")
    assert seen == ["recorded"]
    assert opened.record == status["record"]
    assert Job.objects.get().displays.count() == 1


def test_what_is_opened_is_what_the_model_says_in_the_clear(
    world: World, agreed: CheckedDefinition, home: ClientHome, api: Api, computed: Work
) -> None:
    opened = predict.open_result(home, api, computed).explanation
    prediction, explanation = world.in_the_clear(agreed, [agreed.schema.encode_row(VALUES).vector])
    expected = dict(
        zip(agreed.design.groups, ring.decode(explanation, ring.RESULT_BITS)[: len(agreed.design.groups)], strict=True)
    )
    assert opened.log_odds == pytest.approx(ring.decode(prediction, ring.RESULT_BITS)[0], abs=1e-3)
    assert {factor.group: factor.coefficient for factor in opened.factors} == pytest.approx(expected, abs=1e-3)


def test_a_disclosure_opens_every_partys_commitment(home: ClientHome, api: Api, computed: Work) -> None:
    predict.open_result(home, api, computed)
    disclosed = predict.disclose(computed)
    assert set(disclosed["outputs"]) == {"cleveland", "budapest", "zurich"}
    assert disclosed["request"] == computed.content["token"]


def test_only_on_demand_a_disclosure_opens_the_record(home: ClientHome, api: Api, computed: Work) -> None:
    predict.open_result(home, api, computed)
    assert "inputs" not in predict.disclose(computed)
    schema, disclosed = FeatureSchema.from_json(SCHEMA), read(predict.disclose(computed, with_record=True), Disclosure)
    shares = [ring.from_bytes(unb64(each["share"]), (len(schema.columns),)) for each in disclosed["inputs"].values()]
    np.testing.assert_allclose(ring.decode(ring.combine(shares)), schema.encode_row(VALUES).vector, atol=1e-4)


def test_nothing_is_disclosed_before_it_was_opened(computed: Work) -> None:
    with refusal(Reason.NOT_FOUND):
        predict.disclose(computed)


def test_following_stops_with_the_reason_for_which_it_was_refused(
    world: World, agreed: CheckedDefinition, home: ClientHome, api: Api
) -> None:
    consent = world.consent()
    consents.withdraw(home, api, consent)
    work = predict.prepare(home, agreed, VALUES, purpose=PURPOSE, person=PERSON, consent=consent)
    assert predict.submit(work, api)["state"] == "refused"
    with refusal(Reason.CONSENT_WITHDRAWN):
        predict.wait(work, api, seconds=5)


def test_a_record_whose_explanation_would_be_implausible_is_refused_before_anything_is_shared(
    world: World, agreed: CheckedDefinition, home: ClientHome
) -> None:
    slopes = replace(agreed, plan=read_design(build_slopes(agreed.schema, seed="tests")))
    eldest, consent = VALUES | {"age": 110}, world.consent()
    with refusal(Reason.DESIGN_IMPLAUSIBLE):
        predict.prepare(home, slopes, eldest, purpose=PURPOSE, person=PERSON, consent=consent)
    assert not list(home.work.glob("*"))
    predict.prepare(home, agreed, eldest, purpose=PURPOSE, person=PERSON, consent=consent)  # masks stay within ranges


def test_what_was_computed_cannot_be_taken_back(api: Api, computed: Work) -> None:
    with refusal(Reason.WRONG_STATE):
        predict.cancel(computed, api)


def test_following_gives_up_in_time(api: Api, work: Work) -> None:
    predict.submit(work, api)
    pauses: list[float] = []
    with refusal(Reason.RESULT_NOT_READY):
        predict.wait(work, api, seconds=0.9, sleep=pauses.append)
    assert pauses[0] == 0.25


def test_a_result_is_opened_as_soon_as_the_log_shows_it(
    world: World, agreed: CheckedDefinition, home: ClientHome, api: Api, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict.submit(work, api)
    publish()
    with monkeypatch.context() as patch:
        patch.setattr("tests.concordat.client.conftest.publish", lambda: None)
        world.compute(agreed)
    opens = partial(predict.open_result, home, api, work)
    with refusal(Reason.RESULT_NOT_READY):
        once_there(opens, seconds=0)
    assert once_there(opens, seconds=30, sleep=published).record


def test_a_result_is_not_released_after_the_consent_was_withdrawn(home: ClientHome, api: Api, computed: Work) -> None:
    (consent,) = home.consents.iterdir()
    consents.withdraw(home, api, consent.stem)
    with refusal(Reason.AUTHORITY_ENDED):
        predict.open_result(home, api, computed)


class TestWhatTheClientRefusesToBelieve:
    """The coordinator, or whoever stands in for it, alters what it hands out."""

    def test_a_receipt_that_its_node_did_not_sign(self, home: ClientHome, api: Api, computed: Work) -> None:
        result = PartyResult.objects.get(node__slug="zurich")
        PartyResult.objects.filter(pk=result.pk).update(receipt=result.receipt[:-4] + "AAAA")
        with refusal(Reason.SIGNATURE_INVALID):
            predict.open_result(home, api, computed)

    def test_shares_in_each_others_place(self, home: ClientHome, api: Api, computed: Work) -> None:
        zurich, budapest = (PartyResult.objects.get(node__slug=slug) for slug in ("zurich", "budapest"))
        PartyResult.objects.filter(pk=zurich.pk).update(sealed=budapest.sealed)
        with refusal(Reason.SEAL_BROKEN):
            predict.open_result(home, api, computed)

    def test_a_partys_silence(self, home: ClientHome, api: Api, computed: Work) -> None:
        PartyResult.objects.filter(node__slug="zurich").update(sealed="")
        with refusal(Reason.NODE_SILENT):
            predict.open_result(home, api, computed)

    def test_another_log_entry(self, home: ClientHome, api: Api, computed: Work) -> None:
        Job.objects.update(prediction_entry=0)
        with refusal(Reason.ENTRY_ALTERED):
            predict.open_result(home, api, computed)

    def test_a_ticket_that_the_coordinator_did_not_sign(self, home: ClientHome, api: Api, computed: Work) -> None:
        repin(home, coordinator_key=home.pins.enrolments["zurich"].identity.b64)
        with refusal(Reason.KEY_UNKNOWN):
            predict.open_result(home, api, computed)

    def test_a_checkpoint_that_the_coordinator_did_not_sign(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        origin = home.pins.log_origin
        head = checkpoint.Checkpoint(origin, 1000, bytes(32))
        forged = checkpoint.sign(head, SigningKey.generate(), origin)
        monkeypatch.setattr(api, "checkpoint", lambda: forged)
        with refusal(Reason.CHECKPOINT_INVALID):
            predict.open_result(home, api, computed)

    def test_a_proof_of_another_entry(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        genuine = api.inclusion
        monkeypatch.setattr(api, "inclusion", lambda index, size: genuine(index - 1, size))
        with refusal(Reason.INCLUSION_INVALID):
            predict.open_result(home, api, computed)

    def test_a_record_number_of_another_decision(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = api.result(computed.job)
        monkeypatch.setattr(api, "result", lambda job: {**told, "record": record_number.format(1)})
        with refusal(Reason.RECORD_NUMBER_INVALID):
            predict.open_result(home, api, computed)

    def test_a_log_that_was_rewritten_since(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The coordinator keeps one log for us and shows another later, each with proofs that hold in themselves."""
        seen = predict.open_result(home, api, computed)
        honest = checkpoint.verify(api.checkpoint(), {home.pins.log_origin: home.pins.coordinator})
        key, origin = Keystore(settings.KEYS_DIR).identity, home.pins.log_origin
        shorter, other = Reason.CHECKPOINT_OLDER, Reason.CONSISTENCY_INVALID
        for size, reason in ((honest.size - 1, shorter), (honest.size, other), (honest.size + 1, other)):
            rewritten = checkpoint.sign(checkpoint.Checkpoint(origin, size, bytes(32)), key, origin)
            with monkeypatch.context() as patched:
                patched.setattr(api, "checkpoint", lambda note=rewritten: note)
                patched.setattr(api, "consistency", lambda first, second: [b64(bytes(32))])
                with refusal(reason):
                    predict.open_result(home, api, computed)
        assert predict.open_result(home, api, computed) == seen

    def test_a_log_that_grew_is_followed(self, home: ClientHome, api: Api, computed: Work) -> None:
        opened = predict.open_result(home, api, computed)
        predict.show(home, api, computed, opened, viewer="clinician", decision="accepted")
        publish()
        assert predict.open_result(home, api, computed).log_size > opened.log_size

    def test_an_entry_that_is_not_published_yet(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        published = SignedCheckpoint.objects.order_by("size").first()
        assert published is not None
        monkeypatch.setattr(api, "checkpoint", lambda: published.note)
        Job.objects.update(prediction_entry=published.size)
        with refusal(Reason.RESULT_NOT_READY):
            predict.open_result(home, api, computed)

    def test_another_definition_under_the_same_digest(
        self, home: ClientHome, api: Api, agreed: CheckedDefinition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = api.definition(agreed.digest)
        answer["definition"]["purposes"] = ["marketing"]
        monkeypatch.setattr(api, "definition", lambda digest: answer)
        with refusal(Reason.DIGEST_MISMATCH):
            governance.fetch_definition(home, api, agreed.digest)

    def test_votes_that_nobody_cast(
        self, home: ClientHome, api: Api, agreed: CheckedDefinition, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = api.definition(agreed.digest)
        answer["votes"][0]["institution"] = "notary"
        monkeypatch.setattr(api, "definition", lambda digest: answer)
        with refusal(Reason.VOTE_INVALID):
            governance.fetch_definition(home, api, agreed.digest)

    def test_receipts_for_other_runs_than_the_tickets(
        self, world: World, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = api.result(str(Job.objects.get().uuid))
        for each in answer["results"]:
            _, payload = signatures.peek(each["receipt"])
            key = world.homes[each["node"]].keys.identity
            other = payload | {"runs": payload["runs"] | {"of": payload["runs"]["of"] + 1}}
            each["receipt"] = signatures.sign(other, kind="receipt", key=key)
        monkeypatch.setattr(api, "result", lambda job: answer)
        with refusal(Reason.RECEIPTS_DISAGREE):
            predict.open_result(home, api, computed)

    @pytest.mark.parametrize("path", ["definitions/", "ticket", "result", "ledger/entries/", "ledger/checkpoint"])
    @pytest.mark.parametrize("answer", [None, [], {}, "text", 7])
    def test_an_answer_of_another_shape(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch, path: str, answer: Any
    ) -> None:
        genuine = api._session.get

        def get(asked: str, **query: Any) -> Any:
            found = genuine(asked, **query)
            if path == "ticket" and asked.endswith("result"):
                return found | {"ticket": answer}
            return answer if path in asked else found

        monkeypatch.setattr(api._session, "get", get)
        with pytest.raises(Refused):
            predict.open_result(home, api, computed)

    @pytest.mark.parametrize("answer", [{}, {"state": "unheard-of"}, {"state": 1}, {"reason": "unheard-of"}])
    def test_a_status_that_there_is_not(
        self, api: Api, work: Work, monkeypatch: pytest.MonkeyPatch, answer: Any
    ) -> None:
        genuine = predict.submit(work, api)
        told = {**genuine, **answer} if answer else answer
        monkeypatch.setattr(
            api._session, "get_newer", lambda *_, **__: Newer({} if told is None else told, "", waited=False)
        )
        with pytest.raises(Refused, match=r"^field-"):
            predict.wait(work, api, seconds=1)

    @pytest.mark.parametrize("leaf", [b"[]", b"{}", b'{"event":"prediction.recorded"}', b"\xff"])
    def test_an_entry_that_is_none(
        self, home: ClientHome, api: Api, computed: Work, monkeypatch: pytest.MonkeyPatch, leaf: bytes
    ) -> None:
        genuine = api.entry
        monkeypatch.setattr(api, "entry", lambda index: genuine(index) | {"leaf": b64(leaf)})
        monkeypatch.setattr("concordat.merkle.verify_inclusion", lambda *arguments: True)
        with pytest.raises(Refused):
            predict.open_result(home, api, computed)

    def test_a_result_that_no_model_can_produce(
        self, world: World, home: ClientHome, api: Api, agreed: CheckedDefinition, work: Work
    ) -> None:
        own = work.content["place"]
        predict.submit(work, api)
        world.compute(agreed, spoil=lambda explanation, place: explanation + np.int64((place == own) << 40))
        with refusal(Reason.RESULT_OUT_OF_RANGE):
            predict.open_result(home, api, work)

    @pytest.mark.parametrize("change", [1 << 15, 3 << 24, 1 << 40])
    def test_a_canary_with_another_result(
        self, world: World, home: ClientHome, api: Api, agreed: CheckedDefinition, work: Work, change: int
    ) -> None:
        own = work.content["place"]
        predict.submit(work, api)
        world.compute(agreed, spoil=lambda explanation, place: explanation + np.int64((place != own) * change))
        with refusal(Reason.CANARY_FAILED):
            predict.open_result(home, api, work, sleep=published)
        with pytest.raises(Refused):
            _ = work.result  # nothing was kept
        job = Job.objects.get()
        assert (job.state, job.reason) == ("withheld", "canary-failed")
        with refusal(Reason.CANARY_FAILED):  # for good
            predict.open_result(home, api, work)
        assert Alarm.objects.get().document == work.alarm

    def test_the_alarm_is_raised_until_it_stands_in_the_log(
        self, world: World, home: ClientHome, api: Api, agreed: CheckedDefinition, work: Work
    ) -> None:
        own, waits = work.content["place"], []
        predict.submit(work, api)
        world.compute(agreed, spoil=lambda explanation, place: explanation + np.int64((place != own) << 24))
        with pytest.raises(Refused, match="the log does not show it: open the result again"):
            predict.open_result(home, api, work, sleep=waits.append)
        assert len(waits) == ATTEMPTS - 1
        entry = Alarm.objects.get().entry
        with pytest.raises(Refused, match=f"^canary-failed.*The alarm is entry {entry} of the log"):
            predict.open_result(home, api, work, sleep=published)

    def test_a_log_that_names_another_alarm(
        self,
        world: World,
        home: ClientHome,
        api: Api,
        agreed: CheckedDefinition,
        work: Work,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        own = work.content["place"]
        predict.submit(work, api)
        world.compute(agreed, spoil=lambda explanation, place: explanation + np.int64((place != own) << 24))
        with refusal(Reason.CANARY_FAILED):
            predict.open_result(home, api, work, sleep=published)
        work.alarmed(work.alarm + " ")  # not the one that the coordinator has logged
        kept = Alarm.objects.get().entry
        with monkeypatch.context() as patch, refusal(Reason.DOCUMENT_ALTERED):
            patch.setattr(api, "raise_alarm", lambda *_: {"entry": kept})
            predict.open_result(home, api, work)
        with monkeypatch.context() as patch, refusal(Reason.ENTRY_ALTERED):
            patch.setattr(api, "raise_alarm", lambda *_: {"entry": kept - 1})
            predict.open_result(home, api, work)

    def test_an_alarm_that_did_not_arrive_is_raised_again(
        self,
        world: World,
        home: ClientHome,
        api: Api,
        agreed: CheckedDefinition,
        work: Work,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        own = work.content["place"]
        predict.submit(work, api)
        world.compute(agreed, spoil=lambda explanation, place: explanation + np.int64((place != own) << 24))

        def lost(*_: Any) -> None:
            raise Refused(Reason.COORDINATOR_UNAVAILABLE)

        with monkeypatch.context() as patch, refusal(Reason.COORDINATOR_UNAVAILABLE):
            patch.setattr(api, "raise_alarm", lost)
            predict.open_result(home, api, work)
        assert not Alarm.objects.exists()
        with refusal(Reason.CANARY_FAILED):
            predict.open_result(home, api, work, sleep=published)
        assert Alarm.objects.get().document == work.alarm


def test_what_ifs_are_answered_with_the_prediction(world: World, home: ClientHome, api: Api) -> None:
    opened = [*OPENED["explain"], "what_ifs"]
    agreed = world.agree(what_ifs=2, opened=opened)
    changes = [
        what_if.parse("trestbps-=20", agreed.schema, VALUES),
        what_if.parse("exang=false, chol=180", agreed.schema, VALUES),
    ]
    work = predict.prepare(
        home, agreed, VALUES, purpose=PURPOSE, person=PERSON, consent=world.consent(), what_ifs=changes
    )
    predict.submit(work, api)
    world.compute(agreed)
    answer = predict.open_result(home, api, work)
    for change, found in zip(changes, answer.what_ifs, strict=True):
        vector = agreed.schema.encode_row({**VALUES, **change}).vector
        log_odds = forward("mlp", world.tensors, vector[None])[0]
        assert found.probability == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-3)
        assert found.words in answer.text
    with refusal(Reason.FIELD_INVALID):
        predict.prepare(
            home, agreed, VALUES, purpose=PURPOSE, person=PERSON, consent=world.consent(), what_ifs=changes * 2
        )


def test_without_canaries_of_the_owners_nothing_is_asked(
    world: World, home: ClientHome, agreed: CheckedDefinition
) -> None:
    with refusal(Reason.CANARIES_MISSING):
        predict.prepare(
            home,
            replace(agreed, sealed_canaries=""),
            VALUES,
            purpose=PURPOSE,
            person=PERSON,
            consent=world.consent(),
        )


def test_a_persons_record_is_at_no_place_in_particular(home: ClientHome, agreed: CheckedDefinition) -> None:
    rows = agreed.schema.encode_row(VALUES).vector[None]
    places = [canaries.mix(home, agreed, rows).place for _ in range(40)]
    assert 5 < sum(places) < 35  # missed once in a million


@pytest.mark.parametrize("content", [b"\xff\xfe", b"age\n" + b'"' + b"9" * 200_000, b"a\x00b\n1\n"])
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    with pytest.raises(Refused):
        records.read_csv(file, 1, FeatureSchema.from_json(SCHEMA))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[" * 100_000])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(content)
    with refusal(Reason.FILE_UNREADABLE):
        records.read_json(file)


def test_a_linear_model_needs_its_owners_disclosure_and_then_works(world: World) -> None:
    assert world.agree("linear").content["disclosure"] == "full"
