"""The account of disclosures on paper says what the document says, and what it leaves out."""

import io
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pypdf import PdfReader

from concordat import accounting
from concordat.accounting import Accounting, Erased

ASKED = date(2026, 3, 1)


def document(*, erased: Erased | None = None, **changes: Any) -> Accounting:
    disclosed: accounting.Disclosure = {
        "recipient": {"name": "Ministry of <Health>", "institution": "ministry", "jurisdiction": "CH"},
        "decision": "C-0000042-3",
        "opened": ["subject"],
        "what": accounting.described(["subject"]),
        "purpose": "oversight",
        "first": "2026-01-01T10:00:00Z",
        "last": "2026-02-01T10:00:00Z",
        "times": 3,
        "entries": ["C-0000043-1", "C-0000050-4"],
    }
    base: dict[str, Any] = {
        "v": 1,
        "institution": "long-beach",
        "name": "Long Beach Hospital",
        "subject": "6f1d2f3e-0000-4000-8000-000000000001",
        "asked": "2026-03-01",
        "made": "2026-03-02T10:00:00Z",
        "since": "2020-03-01T00:00:00Z",
        "until": "2026-03-02T00:00:00Z",
        "due": "2026-04-30",
        "extended": "2026-05-30",
        "earlier": [],
        "erased": erased,
        "disclosures": [] if erased else [disclosed],
        "left_out": [{"why": "given to the person", "times": 2}],
        "statements": accounting.statements("Long Beach Hospital", asked=ASKED, erased=erased),
    }
    return base | changes  # type: ignore[return-value]


def printed(of: Accounting) -> str:
    pages = PdfReader(io.BytesIO(accounting.pdf(of))).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_the_paper_says_who_what_when_and_why() -> None:
    shown = printed(document())
    for text in (
        "Account of disclosures by Long Beach Hospital",
        "To Ministry of <Health>, under the law of CH",
        "3 times, 2026-01-01T10:00:00Z to 2026-02-01T10:00:00Z",
        "the person's pseudonym; of decision C-0000042-3",
        "C-0000043-1, C-0000050-4",
        "given to the person: 2",
        "free of charge",
        "by 2026-04-30",
        "until 2026-05-30",
        "secret shares",
        "164.528(a)(2)",
    ):
        assert text in shown


def test_equal_documents_give_equal_papers_with_their_digest() -> None:
    assert accounting.pdf(document()) == accounting.pdf(document())
    assert "sha256:" in printed(document())


def test_an_erased_person_s_says_so_first() -> None:
    erased: Erased = {"time": "2026-01-01T10:00:00Z", "ground": "objection"}
    shown = printed(document(erased=erased))
    assert "was destroyed on 2026-01-01T10:00:00Z (ground: objection)" in shown
    assert "Nothing that has to be listed." in shown


@pytest.mark.parametrize(
    ("day", "before"), [((2026, 3, 1), (2020, 3, 1)), ((2028, 2, 29), (2022, 2, 28)), ((2022, 2, 28), (2016, 2, 28))]
)
def test_six_years_before_a_day_is_a_day(day: tuple[int, int, int], before: tuple[int, int, int]) -> None:
    assert accounting.years_before(datetime(*day, tzinfo=UTC)) == datetime(*before, tzinfo=UTC)
