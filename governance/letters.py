"""Determination letters: what a board decided, for the leading institution, as a PDF (45 CFR 46.109(d)).

The letter renders the signed record, which alone is authoritative. It names nobody but the signer: votes are numbers.
The same determination gives the same bytes, always.
"""

import io
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer

from concordat import clock, record_number, typeface
from concordat.determination import LETS_PASS, Path
from concordat.events import Event
from concordat.findings import CATEGORIES, needed
from governance.models import AgendaItem, Determination, Institution, RelianceAgreement
from ledger.selectors import entries

REGULATION = {
    Path.EXEMPT: "Exempt research, 45 CFR 46.104",
    Path.EXPEDITED: "Expedited review, 45 CFR 46.110",
    Path.FULL_BOARD: "Review by the convened board, 45 CFR 46.108(b) and 46.109",
    Path.PAPER: "Decided on paper outside this service; the scan is attested, not verified",
}
ANSWERS = {"met": "Found.", "not-met": "Not found.", "not-applicable": "Does not apply."}

_TEXT = ParagraphStyle("text", fontName=typeface.REGULAR, fontSize=9, leading=13, spaceAfter=4)
_QUIET = ParagraphStyle("quiet", parent=_TEXT, fontSize=7.5, leading=10, splitLongWords=1)
_HEAD = ParagraphStyle("head", parent=_TEXT, fontName=typeface.BOLD, fontSize=10, spaceBefore=8, keepWithNext=1)
_TITLE = ParagraphStyle("title", parent=_TEXT, fontName=typeface.BOLD, fontSize=14, leading=18, spaceAfter=8)


def render(determination: Determination, *, compressed: bool = True) -> bytes:
    """The letter of this determination, A4."""
    typeface.register()
    out = io.BytesIO()
    board = determination.review.board
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=20 * mm,
        bottomMargin=20 * mm,
        title=typeface.printable(f"Determination: {determination.document['study']}"),
        author=typeface.printable(f"Board of {board.name}"),
        creator="Concordat",
        lang="en",
        invariant=1,
        pageCompression=int(compressed),
    )

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont(typeface.REGULAR, 7)
        canvas.drawString(22 * mm, 10 * mm, f"{determination.digest} · page {canvas.getPageNumber()}")

    template.build(list(_letter(determination)), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def entry_number(determination: Determination) -> str:
    """The number of the log entry that holds this determination."""
    slug = determination.document["study"]
    for entry in entries(event=Event.REVIEW_SIGNED, study=slug, institution=determination.review.board.slug):
        if entry.documents.get("determination") == determination.digest:
            return record_number.format(entry.index)
    raise AssertionError("a determination is recorded in the transaction that makes it")


def _letter(determination: Determination) -> Iterator[Flowable]:
    document: Mapping[str, Any] = determination.document
    review = determination.review
    submission, board = review.submission, review.board
    study, lead = submission.study, submission.study.institution
    yield _p(f"Institutional review board of {board.name}", _TITLE)
    yield _p(f"{board.slug} · law of {board.jurisdiction} · {clock.rfc3339(determination.made)[:10]}")
    yield Spacer(0, 4 * mm)
    yield _p(f"To: {lead.name} ({lead.slug}), for the investigators of the study")
    yield _p(f"Study: {study.title} ({study.slug})")
    yield _p(f"Submission: {document['kind']}, protocol version {submission.version.number}")
    yield _p(f"Digest of the version: {document['protocol']}", _QUIET)

    yield from _section("Determination", _words(document["outcome"]).capitalize() + ".")
    path = Path(document["path"])
    yield _p(f"{REGULATION[path]}.")
    category = CATEGORIES.get(path, {}).get(document["category"])
    if category:
        yield _p(f"Category: {category}.")
    if document["expires"]:
        made = clock.rfc3339(determination.made)
        yield _p(f"Approved from {made} until {document['expires']}, unless it is suspended, terminated or amended.")
    if document["conditions"]:
        yield from _section(
            "Conditions", "Nothing is computed before an officer of the board has verified all of them."
        )
        for number, condition in enumerate(document["conditions"], 1):
            yield _p(f"{number}. {condition}")
    if document["reasons"]:
        yield from _section("Reasons", document["reasons"])
    if document["findings"]:
        yield from _section("Findings")
        yield from _findings(document)
    if document["minutes"]:
        yield from _section("Vote", _votes(document["minutes"]))
        yield _p(f"Digest of the minutes: {document['minutes']}", _QUIET)
    yield from _section("Sites", "This determination covers:")
    names = dict(Institution.objects.filter(slug__in=document["sites"]).values_list("slug", "name"))
    agreed = dict(
        RelianceAgreement.objects.filter(digest__in=document["reliance"].values()).values_list("digest", "agreed")
    )
    for site in document["sites"]:
        yield _p(f"{names[site]} ({site})")
        if site in document["reliance"]:
            agreement = document["reliance"][site]
            since = f" of {agreed[agreement]:%Y-%m-%d}" if agreed.get(agreement) else ""
            yield _p(f"by reliance under 45 CFR 46.114, agreement{since}: {agreement}", _QUIET)
    yield KeepTogether(list(_signature(determination)))


def _findings(document: Mapping[str, Any]) -> Iterator[Flowable]:
    criteria = needed(document["path"], waiver=True)
    for name, made in document["findings"].items():
        criterion = criteria.get(name)
        question = f"{criterion.question} ({criterion.source})" if criterion else name
        yield _p(f"{question} {ANSWERS[made['answer']]} {made['note']}".rstrip())


def _votes(minutes: str) -> str:
    item = AgendaItem.objects.get(minutes_digest=minutes)
    votes, present = item.minutes["votes"], item.minutes["quorum"]["present"]
    return (
        f"{votes['for']} for, {votes['against']} against, {votes['abstain']} abstaining, "
        f"{len(item.minutes['recused'])} recused; {present} present, {item.minutes['quorum']['needed']} needed."
    )


def _signature(determination: Determination) -> Iterator[Flowable]:
    signature, document = determination.signature, determination.document
    yield from _section("Signature", f"{signature.printed_name}, {_words(signature.role)}")
    yield _p(f"Meaning: {_words(signature.meaning)}. Signed: {clock.rfc3339(signature.signed)} (UTC).")
    verifiable = "Verifiable passkey signature: anybody can verify it off line."
    yield _p(verifiable if signature.verifiable else "Attested by the coordinator, not verified.")
    if document["delegation"]:
        yield _p(f"By the chair's delegation: {document['delegation']}", _QUIET)
    if document["scan"]:
        yield _p(f"Digest of the scan: {document['scan']}", _QUIET)
    yield _p(f"Log entry {entry_number(determination)}. Digest of the signed record: {determination.digest}", _QUIET)
    ends = "" if document["outcome"] in LETS_PASS else " Nothing may be computed on the ground of this letter."
    yield _p(f"The signed record is authoritative; this letter says the same in words.{ends}", _QUIET)


def _section(head: str, text: str = "") -> Iterator[Flowable]:
    yield _p(head, _HEAD)
    if text:
        yield _p(text)


def _p(text: str, style: ParagraphStyle = _TEXT) -> Paragraph:
    lines = escape(typeface.printable(text)).splitlines()
    return Paragraph("<br/>".join(lines), style)


def _words(slug: str) -> str:
    return slug.replace("-", " ").replace("irb", "IRB")
