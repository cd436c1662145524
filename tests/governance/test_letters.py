"""Determination letters: everything the investigator is told, no voter's name, and the same bytes every time."""

import re
from typing import Any

import pytest

from concordat import typeface
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import letters
from governance.models import Determination, Study
from governance.services import letters as services
from governance.services import sittings
from ledger.models import LogEntry
from ledger.selectors import entries
from tests.governance.conftest import Consortium
from tests.support.boardroom import APPROVE, DEFER, Boardroom

GLYPH_RUN = re.compile(rb"\((?:[^()\\]|\\.)*\)")
MAPPING = re.compile(rb"<([0-9A-F]+)> <([0-9A-F]+)>")


@pytest.fixture
def study(consortium: Consortium) -> Study:
    return consortium.submitted()


@pytest.fixture
def zurich(consortium: Consortium) -> Boardroom:
    return Boardroom(consortium)


def last(study: Study, board: str) -> Determination:
    return Determination.objects.filter(review__submission__study=study, review__board__slug=board)[0]


def words(determination: Determination, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the letter says: every paragraph that is set, in order."""
    said: list[str] = []
    real = letters.Paragraph

    def setting(text: str, *given: Any) -> Any:
        said.append(text)
        return real(text, *given)

    with monkeypatch.context() as patch:
        patch.setattr(letters, "Paragraph", setting)
        letters.render(determination)
    return " ".join(said)


def test_a_letter_says_what_was_decided_on_what_ground_and_for_whom(
    consortium: Consortium, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    consortium.local_context(study)
    consortium.sign(
        consortium.chairs["cleveland"], study, "approved-with-conditions", conditions=["Shorten the consent form."]
    )
    determination = last(study, "cleveland")
    said = words(determination, monkeypatch)
    for text in (
        "Institutional review board of Hospital of cleveland",
        "To: Hospital of cleveland",
        study.title,
        study.versions.get().digest,
        "Approved with conditions.",
        "Expedited review, 45 CFR 46.110.",
        "Risks to participants are minimised. (45 CFR 46.111(a)(1)) Found.",
        "1. Shorten the consent form.",
        f"until {determination.document['expires']}",
        "Hospital of long-beach (long-beach)",
        "by reliance under 45 CFR 46.114",
        determination.document["reliance"]["long-beach"],
        consortium.chairs["cleveland"].user.officer.name,
        "IRB chair",
        "Verifiable passkey signature",
        determination.digest,
        letters.entry_number(determination),
    ):
        assert text in said


def test_a_convened_board_s_letter_counts_votes_and_names_no_voter(
    consortium: Consortium, zurich: Boardroom, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = zurich.moved(study, motion=DEFER)
    sittings.vote(by=zurich.people["second"], item=str(item.uuid), choice="against", reason="Not so fast.")
    zurich.vote(item, chair="for", lawyer="for")
    zurich.decide(item, controverted="The form.")
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    said = words(last(study, "zurich"), monkeypatch)
    assert "2 for, 1 against, 0 abstaining, 0 recused; 3 present, 3 needed." in said
    assert "The consent form is missing." in said
    assert "Nothing may be computed on the ground of this letter." in said
    for secret in (zurich.people["second"].officer.name, zurich.people["lawyer"].officer.name, "Not so fast."):
        assert secret not in said


def test_a_signature_that_nobody_can_verify_is_called_attested(
    consortium: Consortium, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    consortium.sign(consortium.chairs["zurich"], study)
    determination = last(study, "zurich")
    determination.signature.method = "totp"
    said = words(determination, monkeypatch)
    assert "Attested by the coordinator, not verified." in said
    assert "Verifiable" not in said


def test_a_letter_is_a_pdf_with_the_same_bytes_every_time(consortium: Consortium, study: Study) -> None:
    consortium.sign(consortium.chairs["zurich"], study)
    first, second = (letters.render(last(study, "zurich")) for _ in range(2))
    assert first == second
    assert first.startswith(b"%PDF-")
    assert first.rstrip().endswith(b"%%EOF")
    plain = letters.render(last(study, "zurich"), compressed=False)
    assert b"/Lang" in plain
    assert GLYPH_RUN.search(plain)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("Zürich – “ja”", "Zürich – “ja”"),
        ("Erdős", "Erdős"),
        ("漢", "[U+6F22]"),
        ("Ạ̈", "Ạ[U+0308]"),
        ("a < b & c", "a < b & c"),
    ],
)
def test_a_letter_without_a_sign_in_the_typeface_is_never_an_empty_box(written: str, printed: str) -> None:
    assert typeface.printable(written) == printed


def test_markup_in_what_people_write_stays_text(
    consortium: Consortium, zurich: Boardroom, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    zurich.decided(study, DEFER | {"reasons": "p < 0.05 & <b>bold</b>\nSecond line."})
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    said = words(last(study, "zurich"), monkeypatch)
    assert "p &lt; 0.05 &amp; &lt;b&gt;bold&lt;/b&gt;<br/>Second line." in said


def test_whoever_sees_the_study_reads_the_letter_and_that_is_recorded(consortium: Consortium, study: Study) -> None:
    consortium.sign(consortium.chairs["zurich"], study)
    determination = last(study, "zurich")
    investigator = consortium.member("cleveland", "investigator")
    assert services.hand_out(by=investigator, determination=determination.pk) == letters.render(determination)
    logged = entries(event=Event.RECORD_READ).get().public
    assert logged == {"page": "determination-letter", "study": study.slug, "institution": "zurich"}


def test_nobody_else_reads_it_and_nothing_is_recorded(consortium: Consortium, study: Study) -> None:
    consortium.sign(consortium.chairs["zurich"], study)
    stranger, before = consortium.member("notary", "auditor"), LogEntry.objects.count()
    with pytest.raises(Refused) as caught:
        services.hand_out(by=stranger, determination=last(study, "zurich").pk)
    assert caught.value.reason is Reason.NOT_FOUND
    assert LogEntry.objects.count() == before


def test_every_outcome_of_a_board_has_a_letter(consortium: Consortium, zurich: Boardroom, study: Study) -> None:
    zurich.decided(study, APPROVE)
    consortium.act(zurich.chair, "determine", review=str(zurich.review(study).uuid))
    assert letters.render(last(study, "zurich")).startswith(b"%PDF-")
