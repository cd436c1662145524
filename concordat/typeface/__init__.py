"""The typeface of everything printed: DejaVu Sans, reduced to Latin, Greek and Cyrillic letters and a few signs.

It lies here, and not in some library, so that a document has the same bytes on every machine, and so that the names of
Zürich and of Győr are both in it. LICENSE is its own.
"""

import unicodedata
from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD, MONO = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"


@cache
def register() -> None:
    """Make the three fonts known to reportlab, which embeds what a document uses of them."""
    folder = Path(__file__).parent
    for name in (REGULAR, BOLD, MONO):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    pdfmetrics.registerFontFamily(MONO, normal=MONO, bold=MONO, italic=MONO, boldItalic=MONO)


def printable(text: str) -> str:
    """The text in letters that the typeface has: one without a sign of its own is drawn without its accent, or by its
    code, rather than as an empty box."""
    register()
    return "".join(_drawn(letter) for letter in text)


def _drawn(letter: str) -> str:
    known = _known()
    if ord(letter) in known or letter == "\n":
        return letter
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if ord(base) in known else f"[U+{ord(letter):04X}]"


@cache
def _known() -> frozenset[int]:
    """What all three have."""
    faces = (pdfmetrics.getFont(name).face.charToGlyph for name in (REGULAR, BOLD, MONO))
    return frozenset.intersection(*(frozenset(face) for face in faces))
