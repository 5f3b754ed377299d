"""A picture of the way through two documents, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

from bitextmine.alignment.score import GoldBead

_SIDE, _LEFT, _TOP = 640, 64, 40  # of the frame, in pixels
_LEAST = 1.5  # pixels of a bead's side, so that one in thousands is seen
_TICKS = 6
_LOW, _HIGH = (198, 219, 239), (8, 48, 107)  # colours of score 0 and less, and of 1
_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<style>text {{ font: 12px sans-serif; fill: #333; }} .frame {{ fill: #fff; stroke: #999; }}
.gold {{ fill: none; stroke: #d95f0e; }} .tick {{ stroke: #ccc; }}</style>
"""
DrawnBead = tuple[Sequence[int], Sequence[int], float | None]  # source and target lines, score


def path_svg(beads: Sequence[DrawnBead], names: tuple[str, str], gold: Iterable[GoldBead] = ()) -> str:
    """Beads in document order: the source's sentences from left to right, the target's from top to bottom.

    A bead is the darker the higher its score. Gold beads that were not found are drawn as frames; lines that are no
    sentences of the documents are left out of them.
    """
    src, tgt = ({line: at for at, line in enumerate(_lines(beads, side))} for side in (0, 1))
    across, down = _SIDE / max(len(src), 1), _SIDE / max(len(tgt), 1)
    width, height = _LEFT + _SIDE + 20, _TOP + _SIDE + 40
    parts = [_HEAD.format(width=width, height=height)]
    parts.append(f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>\n')
    parts += _ticks(len(src), across, True)
    parts += _ticks(len(tgt), down, False)
    for src_lines, tgt_lines, score in beads:
        if src_lines and tgt_lines:
            box = _box([src[line] for line in src_lines], [tgt[line] for line in tgt_lines], across, down)
            parts.append(f'<rect class="bead" {box} fill="{_colour(score or 0.0)}"/>\n')
    found = {(tuple(bead[0]), tuple(bead[1])) for bead in beads}
    for bead in gold:
        rows, columns = [src[line] for line in bead.src if line in src], [tgt[line] for line in bead.tgt if line in tgt]
        if rows and columns and (tuple(bead.src), tuple(bead.tgt)) not in found:
            parts.append(f'<rect class="gold" {_box(rows, columns, across, down)}/>\n')
    parts.append(f'<text x="{_LEFT}" y="18">{escape(names[0])}: {len(src):,} sentences, from left to right</text>\n')
    parts.append(f'<text x="{_LEFT}" y="{height - 6}">{escape(names[1])}: {len(tgt):,} sentences, downwards</text>\n')
    return "".join([*parts, "</svg>\n"])


def _lines(beads: Sequence[DrawnBead], side: int) -> Iterator[int]:
    return (line for bead in beads for line in (bead[0], bead[1])[side])


def _box(rows: Sequence[int], columns: Sequence[int], across: float, down: float) -> str:
    x, y = _LEFT + rows[0] * across, _TOP + columns[0] * down
    width = max((rows[-1] - rows[0] + 1) * across, _LEAST)
    height = max((columns[-1] - columns[0] + 1) * down, _LEAST)
    return f'x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"'


def _ticks(count: int, pixels: float, is_across: bool) -> Iterator[str]:
    """Marks and numbers at round numbers of sentences, about _TICKS of them."""
    step = next(n * 10**power for power in range(12) for n in (1, 2, 5) if n * 10**power * _TICKS >= count)
    for number in range(step, count + 1, step):
        place = number * pixels
        if is_across:
            x = _LEFT + place
            yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_TOP + _SIDE}"/>\n'
            yield f'<text x="{x:.1f}" y="{_TOP - 6}" text-anchor="middle">{number}</text>\n'
        else:
            y = _TOP + place
            yield f'<line class="tick" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{y:.1f}" y2="{y:.1f}"/>\n'
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number}</text>\n'


def _colour(score: float) -> str:
    share = min(max(score, 0.0), 1.0)
    return "#" + "".join(f"{round(low + (high - low) * share):02x}" for low, high in zip(_LOW, _HIGH, strict=True))
