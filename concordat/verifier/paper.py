"""The dossier on paper: the page of `report`, set as an A4 document with page numbers.

It is made of the page's own text, tag by tag, so it cannot say anything else than the page does. A pure function: the
same answer gives the same bytes, on every machine.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any, ClassVar

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer

from concordat import typeface
from concordat.verifier import report

_MARGIN = 20 * mm
_FRAME = 6
"""What reportlab leaves free around the text, in points."""
_WIDTH = A4[0] - 2 * _MARGIN
_LINE, _QUIET, _BAD = HexColor("#b6bec7"), HexColor("#4a535d"), HexColor("#a40e26")
_PADDING = 3 * mm

_TEXT = ParagraphStyle("text", fontName=typeface.REGULAR, fontSize=9, leading=13, spaceAfter=4, splitLongWords=1)
_SMALL = ParagraphStyle("small", parent=_TEXT, fontSize=7.5, leading=10, spaceAfter=0)
_HEAD = ParagraphStyle("head", parent=_SMALL, fontName=typeface.BOLD, textColor=_QUIET)
_CAPTION = ParagraphStyle("caption", parent=_TEXT, fontName=typeface.BOLD, spaceBefore=4, spaceAfter=1)
_STYLES = {
    "h1": ParagraphStyle("h1", parent=_TEXT, fontName=typeface.BOLD, fontSize=16, leading=20, spaceAfter=8),
    "h2": ParagraphStyle("h2", parent=_CAPTION, fontSize=11.5, leading=15, spaceBefore=12, spaceAfter=4),
    "h3": ParagraphStyle("h3", parent=_CAPTION, fontSize=10, leading=13, spaceBefore=8),
    "p": _TEXT,
    "caption": _CAPTION,
    "li": ParagraphStyle("li", parent=_TEXT, leftIndent=5 * mm, bulletIndent=0),
    "when": ParagraphStyle("when", parent=_SMALL, spaceBefore=5, keepWithNext=1),
    "verdict": ParagraphStyle(
        "verdict",
        parent=_TEXT,
        fontSize=10.5,
        leading=14,
        spaceBefore=8,
        spaceAfter=10,
        leftIndent=6,
        rightIndent=6,
        borderPadding=6,
        borderWidth=0.75,
        borderColor=_QUIET,
    ),
    "th": _HEAD,
    "td": _SMALL,
}
_NEEDS = {"h2": 35 * mm, "h3": 35 * mm, "caption": 25 * mm}
"""What a heading wants below it on the same page; a table may go on to the next."""

_INLINE = {"strong": "b", "code": "code", "em": "em", "time": ""}
_OPEN = {"b": "<b>", "code": f'<font name="{typeface.MONO}" size="-1">', "em": f'<font color="{_QUIET.hexval()}">'}
_CLOSE = {"b": "</b>", "code": "</font>", "em": "</font>"}


@dataclass(frozen=True)
class Stamp:
    """What a copy that is produced in a legal matter bears besides: the legend of a protective order and a number on
    every page, counted on from `first`, and before everything else what is closed in it: the field, and why."""

    legend: str
    prefix: str
    first: int
    closed: Sequence[tuple[str, str]]

    def number(self, page: int) -> str:
        return numbered(self.prefix, self.first + page - 1)


def numbered(prefix: str, number: int) -> str:
    """`LB-0000042`: the number of a page or file that is produced in a legal matter."""
    return f"{prefix}-{number:07d}"


def pdf(answer: Mapping[str, Any]) -> bytes:
    """The document for `Result.to_json()`."""
    return produced(answer, None)[0]


def produced(answer: Mapping[str, Any], stamp: Stamp | None) -> tuple[bytes, int]:
    """The same with a stamp on its pages, and how many those are."""
    return _laid_out(
        report.title(answer),
        _closed(stamp) + report.body(answer),
        subject="What a verified dossier says about one decision",
        author=answer["story"]["trust"]["log"] if answer["story"] else "",
        foot=answer["bundle"] or "Concluded without a bundle",
        stamp=stamp,
    )


def document(name: str, body: str, *, subject: str, author: str, foot: str) -> bytes:
    """An A4 document of this name, of a page that is written in the few tags of `report`.

    Args:
        foot: what stands at the foot of each page.
    """
    return _laid_out(name, body, subject=subject, author=author, foot=foot, stamp=None)[0]


def _laid_out(name: str, body: str, *, subject: str, author: str, foot: str, stamp: Stamp | None) -> tuple[bytes, int]:
    typeface.register()
    out = io.BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN - _FRAME,
        rightMargin=_MARGIN - _FRAME,
        topMargin=24 * mm,
        bottomMargin=22 * mm,
        title=typeface.printable(name),
        subject=subject,
        author=typeface.printable(author),
        creator="Concordat",
        lang="en",
        invariant=1,
    )
    page = _Page()
    page.feed(f"<h1>{escape(name)}</h1>{body}")
    page.close()
    pages: list[int] = []

    class Numbered(_Numbered):
        head, bottom = typeface.printable(name), typeface.printable(foot)
        produced, counted = stamp, pages

    template.build(page.flowables, canvasmaker=Numbered)
    return out.getvalue(), len(pages)


def _closed(stamp: Stamp | None) -> str:
    """Which fields are redacted in a produced copy; everything below says of them only that they are not disclosed."""
    if stamp is None or not stamp.closed:
        return ""
    rows = "".join(f"<tr><th>{escape(field)}</th><td>{escape(why)}</td></tr>" for field, why in stamp.closed)
    head = "<thead><tr><th>What</th><th>Why</th></tr></thead>"
    return f"<h2>Redacted in this copy</h2><table>{head}<tbody>{rows}</tbody></table>"


class _Numbered(Canvas):  # type: ignore[misc]
    """Keeps its pages back until their number is known, since each says of how many it is one."""

    head = bottom = ""
    produced: Stamp | None = None
    counted: ClassVar[list[int]] = []

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802  (reportlab's name)
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, kept in enumerate(self._kept, 1):
            self.__dict__.update(kept)
            self._frame(number, len(self._kept))
            if self.produced is not None:
                self._stamp(self.produced, number)
            self.counted.append(number)
            super().showPage()
        super().save()

    def _frame(self, number: int, of: int) -> None:
        right, top = A4[0] - _MARGIN, A4[1] - 14 * mm
        self.setFillColor(_QUIET)
        self.setStrokeColor(_LINE)
        self.setFont(typeface.REGULAR, 7.5)
        self.drawString(_MARGIN, top, self.head)
        self.drawRightString(right, top, f"page {number} of {of}")
        self.line(_MARGIN, top - 2 * mm, right, top - 2 * mm)
        self.setFont(typeface.MONO, 6.5)
        self.drawString(_MARGIN, 11 * mm, self.bottom)
        self.setFont(typeface.REGULAR, 7.5)
        self.drawRightString(right, 11 * mm, f"{self.head} · page {number} of {of}")

    def _stamp(self, stamp: Stamp, number: int) -> None:
        self.setFillColor(HexColor("#000000"))
        self.setFont(typeface.BOLD, 8)
        self.drawCentredString(A4[0] / 2, 15.5 * mm, typeface.printable(stamp.legend))
        self.drawRightString(A4[0] - _MARGIN, 6 * mm, stamp.number(number))


class _Page(HTMLParser):
    """The few tags that `report` writes, as paragraphs and tables."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.flowables: list[Flowable] = []
        self._text: list[str] = []
        self._within: list[str] = []
        self._bad = self._verdict = self._timed = False
        self._heads: list[str] = []
        self._rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self._timed |= tag == "time"
        if tag in _INLINE:
            self._text.append(_OPEN.get(_INLINE[tag], ""))
            return
        classes = (dict(attributes).get("class") or "").split()
        if tag in ("p", "td", "th", "li", "h1", "h2", "h3", "caption"):
            self._verdict, self._bad = "verdict" in classes, "failed" in classes
            self._text, self._timed = [], False
        elif tag == "table":
            self._heads, self._rows = [], []
        elif tag == "tr":
            self._rows.append([])
        self._within.append(tag)

    def handle_data(self, data: str) -> None:
        self._text.append(escape(typeface.printable(data), quote=False))

    def handle_endtag(self, tag: str) -> None:
        if tag in _INLINE:
            self._text.append(_CLOSE.get(_INLINE[tag], ""))
            return
        self._within.pop()
        if tag in ("td", "th"):
            self._rows[-1].append(self._marked())
        elif tag in ("p", "h1", "h2", "h3", "caption", "li") and (text := self._marked()):
            self.flowables += [CondPageBreak(_NEEDS[tag])] if tag in _NEEDS else []
            self.flowables.append(self._paragraph(tag, text))
        elif tag == "thead":
            self._heads = self._rows.pop()
        elif tag == "table":
            self.flowables.append(_table(self._heads, self._rows))

    def _marked(self) -> str:
        """What stands in the tag that ends."""
        text, self._text = "".join(self._text).strip(), []
        return f'<font color="{_BAD.hexval()}">{text}</font>' if text and self._bad else text

    def _paragraph(self, tag: str, text: str) -> Paragraph:
        if tag == "li":
            return Paragraph(text, _STYLES["li"], bulletText="•")
        if tag == "p" and "li" in self._within:
            return Paragraph(text, _STYLES["when"] if self._timed else _SMALL)
        return Paragraph(text, _STYLES["verdict" if self._verdict else tag])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Flowable:
    body = [[Paragraph(text, _SMALL) for text in row] for row in rows]
    if not body:
        return Spacer(0, 0)
    widths = _widths([heads, *rows])
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
    head = [Paragraph(text, _HEAD) for text in heads]
    return LongTable([head, *body], widths, style=style, repeatRows=1, splitInRow=1, spaceAfter=8, hAlign="LEFT")


def _widths(rows: Iterable[Sequence[str]]) -> list[float]:
    """Of the columns: as wide as their longest text, or what the narrower ones leave over, shared alike."""
    wanted = [max(map(_width, column)) + _PADDING + 1 for column in zip(*rows, strict=True)]
    left, given = _WIDTH, [0.0] * len(wanted)
    for place, (index, width) in enumerate(sorted(enumerate(wanted), key=lambda each: each[1])):
        given[index] = min(width, left / (len(wanted) - place))
        left -= given[index]
    return given


def _width(text: str) -> float:
    plain = unescape(re.sub("<[^>]*>", "", text))  # our own marks: what was written is escaped
    return float(stringWidth(plain, typeface.BOLD, _SMALL.fontSize))
