"""The dossier on paper says what the page says, on numbered pages, in letters for everybody's name."""

import io
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from concordat import canonical
from concordat.verifier import Options, paper, report, verify

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")
def answers(dossier_of_a_decision: Any, dossier_of_a_forest: Any) -> Mapping[str, Mapping[str, Any]]:
    """With the result, without it, of a forest, and of a dossier that was changed."""
    made = dossier_of_a_decision
    return {
        "closed": verify(made.data).to_json(),
        "disclosed": verify(made.data, Options(disclosure=canonical.encode(made.decision.disclosure))).to_json(),
        "forest": verify(
            dossier_of_a_forest.data, Options(disclosure=canonical.encode(dossier_of_a_forest.decision.disclosure))
        ).to_json(),
        "changed": verify(made.data[:-1]).to_json(),
    }


class Words(HTMLParser):
    """What a reader of the page reads, without the style."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.reading = True

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.reading = tag not in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self.reading = True

    def handle_data(self, data: str) -> None:
        if self.reading:
            self.said += data.split()


def on_the_page(answer: Mapping[str, Any]) -> list[str]:
    words = Words()
    words.feed(report.html(answer))
    return words.said


def on_paper(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages)


def squeezed(text: str) -> str:
    """Lines break at other places on paper, and within long digests."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("name", ["closed", "disclosed", "forest", "changed"])
def test_every_word_of_the_page_is_on_the_paper(answers: Mapping[str, Any], name: str) -> None:
    printed = squeezed(on_paper(paper.pdf(answers[name])))
    missing = [word for word in on_the_page(answers[name]) if word not in printed]
    assert missing == []


def test_every_check_with_its_reason_code_and_the_exact_words(answers: Mapping[str, Any]) -> None:
    printed = squeezed(on_paper(paper.pdf(answers["disclosed"])))
    for check in answers["disclosed"]["checks"]:
        assert squeezed(f"{check['name']} ") in printed
        assert (check["reason"] or "") in printed
    for claim in (
        "Self-hosted anchor: The coordinator runs the chain 31338 alone",
        "Time asserted by the operator:",
        "semi-honest privacy",
        "For correctness it is covert: 1 record with known results went with the person's",
    ):
        assert squeezed(claim) in printed


def test_pages_are_numbered_and_name_decision_and_bundle(answers: Mapping[str, Any]) -> None:
    answer = answers["disclosed"]
    pages = PdfReader(io.BytesIO(paper.pdf(answer))).pages
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        text = page.extract_text()
        assert f"page {number} of {len(pages)}" in text
        assert text.count(f"Decision {answer['story']['record']}") >= 2  # in the head and in the foot
        assert answer["bundle"] in text


def test_the_file_has_a_title_a_language_and_all_its_letters(answers: Mapping[str, Any]) -> None:
    reader = PdfReader(io.BytesIO(paper.pdf(answers["closed"])))
    assert reader.metadata is not None
    assert reader.metadata.title == f"Decision {answers['closed']['story']['record']}"
    assert reader.trailer["/Root"]["/Lang"] == "en"
    fonts = {
        font.get_object()["/BaseFont"]: font.get_object()
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
    }
    shown = [font for name, font in fonts.items() if "DejaVu" in name]
    assert shown
    assert all("/FontFile2" in font["/FontDescriptor"] for font in shown)


def test_equal_answers_give_equal_bytes(answers: Mapping[str, Any]) -> None:
    assert paper.pdf(answers["disclosed"]) == paper.pdf(answers["disclosed"])


def named(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    changed = canonical.decode(canonical.encode(dict(answer)))
    changed["story"]["allowed"]["reviews"][0]["name"] = name
    return changed


@pytest.mark.parametrize("name", ["Dr. Jürg Müßiggang", "Dr. Győző Űrhajós", "Zoë Çelik–Nuñez", "Ирина Петрова"])
def test_names_keep_their_accents(answers: Mapping[str, Any], name: str) -> None:
    assert squeezed(name) in squeezed(on_paper(paper.pdf(named(answers["closed"], name))))


def test_markup_and_signs_without_a_letter_stay_text(answers: Mapping[str, Any]) -> None:
    printed = squeezed(on_paper(paper.pdf(named(answers["closed"], '<b>x</b> & "<script>" \u6f22'))))
    assert squeezed('<b>x</b> & "<script>" [U+6F22]') in printed


@pytest.mark.parametrize("length", [2_000, 8_000])
def test_what_fills_more_than_a_page_is_printed_all_the_same(answers: Mapping[str, Any], length: int) -> None:
    for text in ("x" * length, "word " * (length // 5)):
        changed = named(answers["closed"], text)
        changed["story"]["since"][0]["sentence"] = text
        assert squeezed(text)[:40] in squeezed(on_paper(paper.pdf(changed)))


@given(st.text(max_size=60))
@settings(max_examples=8)
def test_no_text_stops_the_press(text: str) -> None:
    answer = {
        "v": 1,
        "bundle": None,
        "holds": False,
        "story": None,
        "checks": [{"name": text, "status": "failed", "reason": text, "sentence": text}],
    }
    assert paper.pdf(answer).startswith(b"%PDF-")
