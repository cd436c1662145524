"""A card states attributes of one model version in plain words, by its owner's key."""

from pathlib import Path
from typing import Any

import pytest

from concordat import clock, model_card, signatures
from concordat.canonical import digest
from concordat.model_card import ATTRIBUTES, LONGEST_PARAGRAPH, MOST_PARAGRAPHS
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

OWNER, OTHER = SigningKey.generate(), SigningKey.generate()
KEYRING = {"cleveland": signatures.keyring(OWNER.public), "zurich": signatures.keyring(OTHER.public)}
MODEL = digest(b"a model")
SAID = {"updates": ["Yearly."], "funding": ["By a state.", "And by p < 0.05 & luck."]}


def signed(key: SigningKey = OWNER, **changes: Any) -> str:
    card: dict[str, Any] = {
        "model": MODEL,
        "institution": "cleveland",
        "sequence": 1,
        "attributes": SAID,
        "time": clock.now(),
    }
    return model_card.describe(**card | changes, key=key)


def refused(call: Any) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason, caught.value.field


def test_it_reads_back_in_the_rule_s_order_and_says_what_it_leaves_out() -> None:
    card = model_card.check_card(signed(), KEYRING, model=MODEL, owner="cleveland")
    told = {each.title: said for each, said in model_card.stated(card["attributes"]).items()}
    assert list(told.items()) == [("Funding", SAID["funding"]), ("Updates", SAID["updates"])]
    left = [each.title for each in model_card.not_stated(card["attributes"])]
    assert len(left) == len(ATTRIBUTES) - 2
    assert "Fairness in test data" in left


def test_every_attribute_can_be_stated_and_its_title_is_its_own() -> None:
    full = {name: ["Yes."] for name in ATTRIBUTES}
    card = model_card.read_card(signed(attributes=full), KEYRING)
    assert not model_card.not_stated(card["attributes"])
    assert len({each.title for each in ATTRIBUTES.values()}) == len({each.paragraph for each in ATTRIBUTES.values()})
    assert len(ATTRIBUTES) == 31 - 7  # those of 45 CFR 170.315(b)(11)(iv)(B) that are signed elsewhere


def test_the_page_for_owners_lists_every_attribute_with_what_it_asks() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/describe-a-model.md").read_text()
    rows = [f"| `{name}` | {each.asks} | {each.paragraph} |" for name, each in ATTRIBUTES.items()]
    assert "\n".join(rows) in page


def test_a_template_states_nothing_until_it_is_filled_in() -> None:
    empty = model_card.template()
    assert refused(lambda: model_card.read_attributes(empty)) == (Reason.FIELD_MISSING, "attributes")
    with pytest.raises(Refused, match=r"at least one of: funding, intended_users, .*, corrections"):
        model_card.read_attributes({})
    assert model_card.read_attributes(empty | SAID) == SAID


@pytest.mark.parametrize(
    ("attributes", "reason", "field"),
    [
        ({}, Reason.FIELD_MISSING, "attributes"),
        ({"fundin": ["x"]}, Reason.FIELD_UNKNOWN, "attributes.fundin"),
        ({"funding": "x"}, Reason.FIELD_INVALID, "attributes.funding"),
        ({"funding": []}, Reason.FIELD_INVALID, "attributes.funding"),
        ({"funding": ["x"] * (MOST_PARAGRAPHS + 1)}, Reason.FIELD_INVALID, "attributes.funding"),
        ({"funding": [""]}, Reason.FIELD_INVALID, "attributes.funding.0"),
        ({"funding": ["x", 3]}, Reason.FIELD_INVALID, "attributes.funding.1"),
        ({"funding": ["x" * (LONGEST_PARAGRAPH + 1)]}, Reason.FIELD_INVALID, "attributes.funding.0"),
        ({"funding": ["one\nand another"]}, Reason.FIELD_INVALID, "attributes.funding.0"),
        ({"funding": ["turned \u202e round"]}, Reason.FIELD_INVALID, "attributes.funding.0"),
        ({"funding": ["a <b>state</b>"]}, Reason.FIELD_INVALID, "attributes.funding.0"),
        ({"funding": ["a &lt;state"]}, Reason.FIELD_INVALID, "attributes.funding.0"),
    ],
)
def test_what_is_none_is_not_signed(attributes: dict[str, Any], reason: Reason, field: str) -> None:
    assert refused(lambda: signed(attributes=attributes)) == (reason, field)


@pytest.mark.parametrize("sequence", [0, -1, 2**31, "1"])
def test_a_number_is_a_whole_number_from_one_on(sequence: Any) -> None:
    assert refused(lambda: signed(sequence=sequence)) == (Reason.FIELD_INVALID, "sequence")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (signed(OTHER), Reason.KEY_UNKNOWN),
        (signed(OTHER, institution="zurich"), Reason.WRONG_INSTITUTION),
        (signed(model=digest(b"another")), Reason.DIGEST_MISMATCH),
        (signed(institution="basel"), Reason.KEY_UNKNOWN),
        (signatures.sign(signatures.peek(signed())[1], kind="recall", key=OWNER), Reason.SIGNATURE_INVALID),
        (signed()[:-8] + "AAAAAAAA", Reason.SIGNATURE_INVALID),
    ],
)
def test_only_the_owner_describes_its_model(token: str, reason: Reason) -> None:
    assert refused(lambda: model_card.check_card(token, KEYRING, model=MODEL, owner="cleveland"))[0] is reason
