"""The factors as a picture: bars to either side of zero, with their intervals; SVG, drawn here.

Direction is told three times over: by the side, by a word and by the colour: two that colour-blind people tell
apart (blue and vermilion of Okabe and Ito). The table beside it says the same.
"""

from collections.abc import Sequence
from html import escape

from concordat.bedside.view import Shown

_WIDTH, _ROW, _TOP = 360, 46, 22
_MIDDLE, _REACH = 180, 150


def draw(factors: Sequence[Shown], scale: str) -> str:
    """An SVG element for the page's style sheet; `scale` is what a bar's length means."""
    largest = max((abs(end) for each in factors for end in each.ends), default=0.0) or 1.0
    rows = "".join(_row(place, each, _REACH / largest) for place, each in enumerate(factors))
    height = _TOP + _ROW * len(factors) + 4
    described = "; ".join(f"{each.label} ({each.value}) {each.direction} it, {each.size}" for each in factors)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="chart-title chart-described">'
        f'<title id="chart-title">The strongest factors, in {escape(scale)}</title>'
        f'<desc id="chart-described">{escape(described)}</desc>'
        f'<text class="side" x="{_MIDDLE - 8}" y="12" text-anchor="end">◀ lowers</text>'
        f'<text class="side" x="{_MIDDLE + 8}" y="12">raises ▶</text>'
        f"{rows}</svg>"
    )


def _row(place: int, factor: Shown, scale: float) -> str:
    y = _TOP + place * _ROW
    start, end = sorted((0.0, factor.coefficient))
    kind = {"raises": "raises", "lowers": "lowers"}.get(factor.direction, "open")
    x, width = _MIDDLE + start * scale, max((end - start) * scale, 1.0)
    whisker = ""
    if factor.low is not None and factor.high is not None:
        low, high = _MIDDLE + factor.low * scale, _MIDDLE + factor.high * scale
        whisker = (
            f'<path class="interval" d="M{low:.1f} {y + 30}H{high:.1f}M{low:.1f} {y + 25}v10M{high:.1f} {y + 25}v10"/>'
        )
    label = f"{factor.label}: {factor.value}" + (" (not measured)" if factor.imputed else "")
    return (
        f'<text class="name" x="4" y="{y + 14}">{escape(label if len(label) <= 52 else label[:51] + "…")}</text>'
        f'<line class="zero" x1="{_MIDDLE}" x2="{_MIDDLE}" y1="{y + 18}" y2="{y + 42}"/>'
        f'<rect class="{kind}" x="{x:.1f}" y="{y + 21}" width="{width:.1f}" height="18"/>{whisker}'
    )
