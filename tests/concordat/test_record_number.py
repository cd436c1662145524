"""Record numbers survive being read out, typed in and misheard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import record_number
from concordat.reasons import Reason, Refused

INDEX = st.integers(0, 10**12)


def refused(text: str) -> bool:
    with pytest.raises(Refused) as refusal:
        record_number.parse(text)
    return refusal.value.reason is Reason.RECORD_NUMBER_INVALID


@pytest.mark.parametrize(
    ("index", "number"),
    [
        (42, "C-0000042-3"),
        (794, "C-0000794-0"),  # ISO 7064's own example
        (21825009, "C-21825009-7"),  # ORCID 0000-0002-1825-0097
        (21694233, "C-21694233-X"),  # ORCID 0000-0002-1694-233X
        (0, "C-0000000-1"),
    ],
)
def test_known_check_characters(index, number):
    assert record_number.format(index) == number
    assert record_number.parse(number) == index


@given(INDEX)
def test_a_number_reads_back_as_its_index(index):
    number = record_number.format(index)
    assert record_number.parse(number) == record_number.parse(f" {number.lower()}\n") == index


@given(INDEX, st.data())
def test_one_wrong_digit_is_noticed(index, data):
    number = record_number.format(index)
    place = data.draw(st.sampled_from([i for i, letter in enumerate(number) if letter.isdigit()]))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    assert refused(number[:place] + digit + number[place + 1 :])


@given(INDEX, st.data())
def test_two_digits_swapped_are_noticed(index, data):
    number = record_number.format(index)
    place = data.draw(st.integers(2, len(number) - 4))
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert swapped == number or refused(swapped)


@pytest.mark.parametrize(
    "text", ["", "42", "C-42-3", "C-0000042", "C-0000042-", "C0000042-3", "C-00000042-3", "C-٠٠٠٠٠٤٢-3"]
)
def test_any_other_form_is_refused(text):
    assert refused(text)


def test_there_is_no_negative_index():
    with pytest.raises(ValueError, match="negative"):
        record_number.format(-1)
