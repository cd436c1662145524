"""Who is under the GDPR says on which letters a use rests."""

import pytest

from concordat.law import EUROPEAN_UNION, check_gdpr, regime
from concordat.reasons import Reason, Refused

LETTERS = {"article6": "e", "article9": "j"}


def basis(ground="consent", gdpr=None, institution="budapest"):
    return {"institution": institution, "purpose": "care", "ground": ground, "gdpr": gdpr, "note": "n"}


def refused(bases, law):
    with pytest.raises(Refused) as caught:
        check_gdpr(bases, {"budapest": law, "boston": "US"})
    assert caught.value.reason is Reason.FIELD_INVALID
    return caught.value.field


@pytest.mark.parametrize("law", ["HU", "DE", "NO", "IS", "LI", "GB"])
def test_an_institution_under_it_names_its_letters(law):
    assert refused([basis(institution="boston"), basis()], law) == "bases.1.gdpr"
    check_gdpr([basis(gdpr=LETTERS)], {"budapest": law})


@pytest.mark.parametrize("law", ["US", "CH", "BR"])
def test_an_institution_elsewhere_need_not_but_may(law):
    check_gdpr([basis(), basis(gdpr=LETTERS)], {"budapest": law})


@pytest.mark.parametrize("article", ["article6", "article9"])
def test_the_letter_of_consent_needs_consent(article):
    letters = LETTERS | {article: "a"}
    assert refused([basis("waiver", letters)], "HU") == f"bases.0.gdpr.{article}"
    check_gdpr([basis("consent", letters)], {"budapest": "HU"})


def test_consent_to_research_may_rest_on_another_letter():
    check_gdpr([basis("consent", LETTERS)], {"budapest": "HU"})


def test_the_union_has_27_members():
    assert len(EUROPEAN_UNION) == 27


@pytest.mark.parametrize(
    ("code", "words"), [("US", "HIPAA"), ("HU", "GDPR"), ("CH", "Human Research Act"), ("BR", "BR")]
)
def test_the_law_that_applies_is_said_in_words(code: str, words: str) -> None:
    assert words in regime(code)
