"""A model's owner describes it; the card of the highest number counts, and every one stays."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from concordat import clock
from concordat.events import Event
from concordat.model_card import LONGEST_STEP
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.models import InstitutionKey, ModelCard
from governance.services import model_cards, recalls
from ledger.models import LogEntry
from ledger.selectors import document, entries
from tests.governance.conftest import Consortium


@pytest.fixture
def model(consortium: Consortium) -> str:
    return consortium.import_model()


def describe(consortium: Consortium, model: str, by: str = "cleveland", **changes: Any) -> ModelCard:
    return model_cards.describe(institution=consortium.at[by], token=consortium.card(model, **changes))


def refused(call: Any) -> Reason:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def test_the_log_names_the_number_and_keeps_the_signed_card(consortium: Consortium, model: str) -> None:
    kept = describe(consortium, model)
    entry = entries(event=Event.MODEL_DESCRIBED, model=model).get()
    assert entry.public == {"model": model, "institution": "cleveland", "sequence": 1}
    assert document(entry.documents["card"]).decode() == kept.statement
    assert not entry.commitments


def test_a_newer_card_takes_the_place_of_the_one_before_which_stays(consortium: Consortium, model: str) -> None:
    first = describe(consortium, model)
    second = describe(consortium, model, sequence=5, attributes={"updates": ["Never."]})
    assert selectors.card(model) == second
    assert [each.statement for each in ModelCard.objects.order_by("sequence")] == [first.statement, second.statement]
    assert entries(event=Event.MODEL_DESCRIBED, model=model).count() == 2


def test_the_same_card_again_is_no_harm_and_an_older_one_never_comes_back(consortium: Consortium, model: str) -> None:
    owner = consortium.at["cleveland"]
    tokens = [consortium.card(model, sequence=number) for number in (1, 2)]
    _, newest = (model_cards.describe(institution=owner, token=token) for token in tokens)
    before = LogEntry.objects.count()
    assert [model_cards.describe(institution=owner, token=token) for token in tokens] == [newest, newest]
    assert (LogEntry.objects.count(), selectors.card(model)) == (before, newest)


@pytest.mark.parametrize("number", [1, 2])
def test_another_card_needs_a_higher_number(consortium: Consortium, model: str, number: int) -> None:
    describe(consortium, model, sequence=2)
    other = {"funding": ["Somebody else."]}
    assert refused(lambda: describe(consortium, model, sequence=number, attributes=other)) is Reason.CONFLICT
    assert ModelCard.objects.count() == 1


def test_no_row_of_it_is_changed_or_removed_or_has_the_number_of_another(consortium: Consortium, model: str) -> None:
    kept = describe(consortium, model)
    for change in (lambda: ModelCard.objects.update(sequence=9), lambda: ModelCard.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    kept.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        kept.save(force_insert=True)


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
    consortium: Consortium, model: str, by: str, changes: dict[str, Any], reason: Reason
) -> None:
    before = LogEntry.objects.count()
    assert refused(lambda: describe(consortium, by=by, **{"model": model} | changes)) is reason
    assert not ModelCard.objects.exists()
    assert LogEntry.objects.count() == before


def test_a_key_that_is_out_of_force_describes_nothing(consortium: Consortium, model: str) -> None:
    InstitutionKey.objects.filter(kind="identity", institution__slug="cleveland").update(revoked=clock.now())
    assert refused(lambda: describe(consortium, model)) is Reason.KEY_UNKNOWN


def test_a_number_may_be_skipped_but_nobody_uses_all_of_them_up(consortium: Consortium, model: str) -> None:
    describe(consortium, model, sequence=LONGEST_STEP)
    assert refused(lambda: describe(consortium, model, sequence=2 * LONGEST_STEP + 1)) is Reason.CONFLICT
    assert describe(consortium, model, sequence=2 * LONGEST_STEP)


def test_what_was_wrong_with_a_recalled_model_can_still_be_stated(consortium: Consortium, model: str) -> None:
    recalls.recall(institution=consortium.at["cleveland"], token=consortium.recall(model))
    assert describe(consortium, model, attributes={"known_risks": ["It was wrong for people over 75."]})
