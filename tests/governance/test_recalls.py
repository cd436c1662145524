"""A model's owner recalls it, once and for good; nobody else does; whom it concerns is told once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import selectors, verdict
from governance.models import Definition, InstitutionKey, ModelRecall, Notification
from governance.notices import Notice
from governance.services import definitions, recalls
from ledger.models import LogEntry
from ledger.selectors import document, entries
from tests.governance.conftest import Consortium


@pytest.fixture
def known(consortium: Consortium) -> Definition:
    return consortium.registered()


def recall(consortium: Consortium, known: Definition, by: str = "cleveland", **changes: Any) -> ModelRecall:
    token = consortium.recall(known.content["model"], **changes)
    return recalls.recall(institution=consortium.at[by], token=token)


def refused(call: Any) -> Reason:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def test_the_log_says_why_and_how_grave_and_keeps_the_signed_statement(
    consortium: Consortium, known: Definition
) -> None:
    kept = recall(consortium, known)
    entry = entries(event=Event.MODEL_RECALLED, model=kept.model).get()
    public = {"institution": "cleveland", "reason": "wrong-results", "classification": "I"}
    assert entry.public == public | {"model": kept.model}
    assert document(entry.documents["recall"]).decode() == kept.statement
    assert not entry.commitments


def test_the_same_recall_again_is_no_harm(consortium: Consortium, known: Definition) -> None:
    token = consortium.recall(known.content["model"])
    first = recalls.recall(institution=consortium.at["cleveland"], token=token)
    before = LogEntry.objects.count(), Notification.objects.count()
    assert recalls.recall(institution=consortium.at["cleveland"], token=token) == first
    assert (LogEntry.objects.count(), Notification.objects.count()) == before


def test_what_was_said_first_stays(consortium: Consortium, known: Definition) -> None:
    recall(consortium, known)
    assert refused(lambda: recall(consortium, known, classification="III")) is Reason.CONFLICT
    assert ModelRecall.objects.get().classification == "I"


def test_no_row_of_it_is_changed_or_removed(consortium: Consortium, known: Definition) -> None:
    recall(consortium, known)
    for change in (lambda: ModelRecall.objects.update(advice="Go on."), lambda: ModelRecall.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(
    ("by", "changes", "reason"),
    [
        ("zurich", {}, Reason.WRONG_INSTITUTION),
        ("zurich", {"signer": "zurich"}, Reason.WRONG_INSTITUTION),
        ("cleveland", {"signer": "zurich", "institution": "cleveland"}, Reason.KEY_UNKNOWN),
        ("cleveland", {"model": "sha256:" + "0" * 64}, Reason.MODEL_UNKNOWN),
        ("cleveland", {"time": clock.now() + timedelta(days=1)}, Reason.FIELD_INVALID),
    ],
)
def test_what_does_not_fit_is_refused(
    consortium: Consortium, known: Definition, by: str, changes: dict[str, Any], reason: Reason
) -> None:
    model = changes.pop("model", known.content["model"])
    token = consortium.recall(model, **changes)
    before = LogEntry.objects.count()
    assert refused(lambda: recalls.recall(institution=consortium.at[by], token=token)) is reason
    assert not ModelRecall.objects.exists()
    assert LogEntry.objects.count() == before


def test_a_key_that_is_out_of_force_recalls_nothing(consortium: Consortium, known: Definition) -> None:
    InstitutionKey.objects.filter(kind="identity", institution__slug="cleveland").update(revoked=clock.now())
    assert refused(lambda: recall(consortium, known)) is Reason.KEY_UNKNOWN


def test_an_owner_whose_role_has_ended_still_recalls(consortium: Consortium, known: Definition) -> None:
    owner = consortium.at["cleveland"]
    owner.roles = ["party"]
    owner.save()
    assert recall(consortium, known).owner == owner


def test_it_is_recalled_whatever_the_state_of_the_study(consortium: Consortium, known: Definition) -> None:
    consortium.stop("suspend", consortium.chairs["zurich"], known.study)
    assert recall(consortium, known)


def test_it_ends_the_epoch_of_every_request_under_a_definition_of_the_model(
    consortium: Consortium, known: Definition
) -> None:
    request = consortium.request(known)
    before = verdict.epoch(request)
    recall(consortium, known)
    assert verdict.epoch(request) == before + 1


def test_no_definition_of_it_is_registered_or_approved_any_more_and_revocations_are_taken(
    consortium: Consortium, known: Definition
) -> None:
    recall(consortium, known)
    another = consortium.content(known.study, known.content["model"], what_ifs=1)
    assert refused(lambda: consortium.register(another)) is Reason.MODEL_RECALLED
    vote = consortium.vote("zurich", known)
    assert refused(lambda: definitions.relay_vote(vote=vote)) is Reason.MODEL_RECALLED
    assert definitions.relay_vote(vote=consortium.vote("zurich", known, approve=False))


def test_officers_of_everybody_concerned_are_told_once_and_led_to_the_advice(
    consortium: Consortium, known: Definition
) -> None:
    requester = consortium.signatory.user
    chair = consortium.chairs["budapest"].user
    outsider = consortium.member("zurich", "data-steward")
    recall(consortium, known)
    told = {each.user_id: each for each in Notification.objects.filter(notice=Notice.MODEL_RECALLED)}
    assert {requester.pk, chair.pk} <= set(told)
    assert outsider.pk not in told
    note = told[requester.pk]
    assert note.path == reverse("admin:governance_definition_change", args=[known.pk])
    assert note.sentence == (
        "cleveland recalled the model heart 1 (class I: it gives wrong results). Nothing is computed with it any more: "
        "do as its advice says."
    )


def test_it_concerns_its_owner_those_with_a_say_and_those_in_the_study(
    consortium: Consortium, known: Definition
) -> None:
    model = known.content["model"]
    slugs = set(selectors.told_of_recall(model).values_list("slug", flat=True))
    assert slugs == {"cleveland", "budapest", "zurich", "long-beach", "notary"}
    other = consortium.import_model("linear")
    recalls.recall(institution=consortium.at["cleveland"], token=consortium.recall(other))
    assert [each.slug for each in selectors.told_of_recall(other)] == ["cleveland"]
