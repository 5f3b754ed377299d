"""The histogram of margins and the curves of precision and recall, as an SVG drawing."""

from __future__ import annotations

from collections.abc import Sequence

from bitextmine.thresholds.estimate import Choice, ThresholdEstimate

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 50, 46
_BAR, _PRECISION, _RECALL = "#c3cfdc", "#0b5cad", "#b3541e"
_TICKS = 6


def plot_svg(estimate: ThresholdEstimate, title: str, chosen: Choice | None = None) -> str:
    """A drawing that stands alone: bars of pairs by margin; precision and recall at each threshold with their bands."""
    scale = _Scale(estimate.edges)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{_escaped(title)}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{_escaped(title)}</text>',
        *_bars(estimate, scale),
        *_axes(scale),
    ]
    shown = [point for point in estimate.points if scale.low <= point.threshold <= scale.high]
    if shown:
        parts += [
            _band(shown, scale, "low", "high", _PRECISION),
            _band(shown, scale, "recall_low", "recall_high", _RECALL),
            _line(shown, scale, "precision", _PRECISION),
            _line(shown, scale, "recall", _RECALL),
        ]
    else:
        parts.append(f'<text x="{_LEFT + 8}" y="{_TOP + 16}">{_escaped(estimate.unknown or "no thresholds")}</text>')
    if chosen is not None:
        x = f"{scale.x(chosen.threshold):.1f}"
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="black" stroke-dasharray="4 3"/>'
        )
    return "\n".join([*parts, *_legend(), "</svg>"]) + "\n"


class _Scale:
    """From margins and shares to places."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.low, self.high = (edges[0], edges[-1]) if edges else (0.0, 1.0)

    def x(self, margin: float) -> float:
        share = (margin - self.low) / (self.high - self.low)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(share, 0), 1)

    def y(self, share: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _bars(estimate: ThresholdEstimate, scale: _Scale) -> list[str]:
    tallest = max(estimate.counts, default=0)
    bars = []
    for low, high, count in zip(estimate.edges, estimate.edges[1:], estimate.counts, strict=False):
        top, left = scale.y(count / max(tallest, 1)), scale.x(low)
        bars.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(scale.x(high) - left - 0.5, 0.5):.1f}" '
            f'height="{scale.y(0) - top:.1f}" fill="{_BAR}"><title>{low:g} to {high:g}: {count:,} pairs</title></rect>'
        )
    return bars


def _axes(scale: _Scale) -> list[str]:
    bottom = scale.y(0)
    parts = [f'<path d="M{_LEFT} {_TOP}V{bottom:.1f}H{_WIDTH - _RIGHT}" fill="none" stroke="#444"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<text x="{_LEFT - 8}" y="{scale.y(share) + 4:.1f}" text-anchor="end">{share:g}</text>')
    for number in range(_TICKS):
        margin = scale.low + (scale.high - scale.low) * number / (_TICKS - 1)
        parts.append(f'<text x="{scale.x(margin):.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{margin:.3g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, f'<text x="{middle:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">margin</text>']


def _line(points: Sequence[Choice], scale: _Scale, what: str, colour: str) -> str:
    places = " ".join(f"{scale.x(point.threshold):.1f},{scale.y(getattr(point, what)):.1f}" for point in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _band(points: Sequence[Choice], scale: _Scale, low: str, high: str, colour: str) -> str:
    there = [(point.threshold, getattr(point, high)) for point in points]
    back = [(point.threshold, getattr(point, low)) for point in reversed(points)]
    places = " ".join(f"{scale.x(margin):.1f},{scale.y(share):.1f}" for margin, share in [*there, *back])
    return f'<polygon points="{places}" fill="{colour}" fill-opacity="0.15"/>'


def _legend() -> list[str]:
    entries = (("pairs", _BAR), ("precision", _PRECISION), ("recall", _RECALL))
    return [
        f'<rect x="{_LEFT + 110 * number}" y="30" width="12" height="12" fill="{colour}"/>'
        f'<text x="{_LEFT + 110 * number + 17}" y="40">{name}</text>'
        for number, (name, colour) in enumerate(entries)
    ]


def _escaped(text: str) -> str:
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(mark, entity)
    return text
