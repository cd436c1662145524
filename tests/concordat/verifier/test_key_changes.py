"""A dossier holds through rotations before and after its decision, and falls with a compromise that reaches it."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test.utils import override_settings

from concordat import clock, signatures
from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.key_change import PROVEN, KeyHistory, build_change
from concordat.keystore import Keystore
from concordat.reasons import Reason
from concordat.signatures import SigningKey
from concordat.verifier import Options, verify
from concordat.verifier.examine import Status
from ledger import dossier
from ledger.models import LogEntry
from ledger.services.publish import publish
from tests.concordat.verifier.conftest import DISCLOSED, Dossier, Forger
from tests.support.consortium import REQUESTER, Consortium
from tests.support.decision import SETTINGS, Decision

pytestmark = pytest.mark.django_db


class Changing(Decision):
    """A decision in whose log institutions change their keys."""

    def change(self, slug: str, kind: Any, *, ground: Any = "rotation", effective: Any = None) -> None:
        keys = self.consortium.homes[slug].keys
        history = self.histories.setdefault(slug, KeyHistory(verify_enrolment(self.consortium.homes[slug].enrolment)))
        new = keys.successors.create([kind])
        token = build_change(
            history,
            kind=kind,
            key=new.public()[kind],
            ground=ground,
            issued=clock.now(),
            effective=effective,
            offline=keys.offline,
            successor=getattr(new, kind) if kind in PROVEN else None,
        )
        self.histories[slug] = history.after(token)
        sequence = self.histories[slug].sequence
        public = {"institution": slug, "kind": kind, "ground": ground, "sequence": sequence}
        self._record(f"change {slug} {sequence}", Event.KEY_CHANGED, public, documents={"change": token})
        keys.promote(kind)

    @property
    def histories(self) -> dict[str, KeyHistory]:
        return self.__dict__.setdefault("_histories", {})


@pytest.fixture
def decided(db: None, tmp_path: Any) -> Any:
    """Everything that was signed before the request was signed by keys that were replaced since."""
    with override_settings(**SETTINGS):
        made = Changing(Consortium(tmp_path, coordinator=Keystore(settings.KEYS_DIR).identity))
        for step in (made.enrol, made.approve, made.define, made.consent):
            step()
        for slug in ("cleveland", REQUESTER, "notary"):
            made.change(slug, "identity")
        made.change("zurich", "offline")
        made.compute()
        yield made


def examined(decision: Decision) -> tuple[Any, Dossier]:
    publish()
    data = dossier.build(decision.index, disclose=DISCLOSED)
    leaves = [bytes(entry.leaf) for entry in LogEntry.objects.order_by("index")]
    return verify(data), Dossier(decision, data, leaves, Keystore(settings.KEYS_DIR).identity)


def failures(result: Any) -> dict[str, Reason]:
    return {check.name: check.reason for check in result.checks if check.status is Status.FAILED}


def test_it_holds_though_manifest_consent_and_roster_were_signed_by_keys_since_replaced(decided: Changing) -> None:
    result, _ = examined(decided)
    assert failures(result) == {}


def test_it_still_holds_when_every_key_was_replaced_since(decided: Changing) -> None:
    for slug in ("cleveland", "budapest", REQUESTER):
        for kind in ("identity", "chain", "offline", "sealing", "client"):
            decided.change(slug, kind)
    result, _ = examined(decided)
    assert failures(result) == {}
    assert sum(line["event"] == "key.changed" for line in result.story["since"]) == 15


def test_whoever_trusts_the_present_key_trusts_the_dossier(decided: Changing) -> None:
    _, made = examined(decided)
    present = decided.consortium.identity("cleveland").kid
    first = decided.histories["cleveland"].keys[0].key_id
    for key, reason in ((present, None), (first, None), ("another", Reason.KEY_UNKNOWN)):
        found = failures(verify(made.data, Options(keys={"cleveland": key})))
        assert found.get("keys") == reason


def test_a_compromise_from_before_the_decision_takes_the_signatures_since_then(decided: Changing) -> None:
    decided.change("budapest", "identity", ground="compromise", effective=clock.now() - timedelta(hours=1))
    result, _ = examined(decided)
    assert {"acceptances", "receipts"} <= set(failures(result))


def test_a_compromise_from_after_the_decision_leaves_it_alone(decided: Changing) -> None:
    later = max(entry.time for entry in decided.entries.values()) + timedelta(seconds=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "now", lambda: later + timedelta(seconds=5))
        decided.change("budapest", "identity", ground="compromise", effective=later)
    result, _ = examined(decided)
    assert failures(result) == {}


def test_a_chain_key_changed_before_the_decision_ends_its_vote(db: None, tmp_path: Any) -> None:
    with override_settings(**SETTINGS):
        made = Changing(Consortium(tmp_path, coordinator=Keystore(settings.KEYS_DIR).identity))
        for step in (made.enrol, made.approve, made.define, made.consent):
            step()
        made.change("zurich", "chain")
        made.compute()
        result, _ = examined(made)
    assert failures(result)["approvals"] is Reason.DEFINITION_NOT_APPROVED


def test_a_key_change_that_is_left_out_is_missed(decided: Changing) -> None:
    decided.change("budapest", "client")
    _, made = examined(decided)
    forger = Forger(made)
    forger.hide("change budapest 1")
    assert failures(verify(forger.forge()))["completeness"] is Reason.INCOMPLETE


def test_a_key_change_that_is_reported_wrongly_is_found(decided: Changing) -> None:
    _, made = examined(decided)
    forger = Forger(made)
    forger.entry("change cleveland 1")["public"]["ground"] = "compromise"
    assert Reason.DIGEST_MISMATCH in failures(verify(forger.forge())).values()


def test_the_coordinator_cannot_change_an_institution_s_key(decided: Changing) -> None:
    _, made = examined(decided)
    forger = Forger(made)
    coordinator = Keystore(settings.KEYS_DIR).identity
    history = KeyHistory(verify_enrolment(decided.consortium.homes["cleveland"].enrolment))
    forger.put("change cleveland 1", "change", _forged(history, coordinator))
    assert Reason.KEY_UNKNOWN in failures(verify(forger.forge())).values()


def _forged(history: KeyHistory, key: Any) -> str:
    new = SigningKey.generate()
    document = {
        "institution": history.institution,
        "sequence": 1,
        "replaces": {"kind": "identity", "key_id": history.need("identity").key_id},
        "key": new.public.b64,
        "ground": "rotation",
        "effective": clock.rfc3339(clock.now()),
        "issued": clock.rfc3339(clock.now()),
        "previous": history.head,
        "possession": None,
    }
    return signatures.sign(document, kind="key-change", key=key)
