"""m-n sentence alignment: precision and recall on real documents and on a story, and time by length.

Protocol: apt fetches the Debian Developer's Reference in English and in other languages into DIR/debs (nothing is
installed). Translations are made paragraph by paragraph, so the paragraphs of a page correspond one to one, and are in
the same order. Paragraphs that were left in English are dropped on both sides, and so are pages whose paragraphs are
not as many. Paragraphs become sentences by sentencex on each side for itself. A chapter is one document of a sentence a
line: the aligner knows nothing of paragraphs. Gold: in a paragraph of as many sentences on both sides, the first with
the first and so on; in one of a single sentence on one side, all with that one. Other paragraphs (`unsure`) are
aligned too, and neither their gold nor what was found with any of their sentences counts. A few gold beads are wrong:
translators also merge one sentence and split another. `thinned` leaves a tenth of the paragraphs out on each side,
seeded, so that sentences without a counterpart are common.

The story is demo/documents: German and English, 69 beads, written with merges, splits and omissions.

Time is measured on two documents of 500 to 32,000 sentences a side: the blocks of the first --encoded sentences of the
chapters are encoded, and longer documents are these again and again, each time with other noise on their vectors. Of
aligning it is the CPU's, the best of three. The `points` are those of the table that was filled at the finest level,
beside those of the whole one.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from signature import signature, write

from bitextmine.alignment import AlignmentParameters, Bead, GoldBead, align_blocks, read_ladder, score_alignment
from bitextmine.alignment.align import _band
from bitextmine.alignment.blocks import embed_blocks
from bitextmine.corpus.scripts import UNSPACED
from bitextmine.encoders import Encoder, open_encoder
from bitextmine.languages import parse_language
from bitextmine.preparation.sentences import sentences_in
from bitextmine.vectors import unit_rows
from bitextmine.workspace import default_encoders_dir

DEMO = Path(__file__).parents[1] / "demo" / "documents"
LANGUAGES = ("de", "fr", "ja")
PACKAGE = "developers-reference"
PAGES = "usr/share/developers-reference"
LENGTHS = (500, 1000, 2000, 4000, 8000, 16_000, 32_000)
NOISE = 0.02
PARAMETERS = {
    "default": AlignmentParameters(),
    "skip 1, as in the paper": AlignmentParameters(skip=1.0),
    "one to one only": AlignmentParameters(largest=2),
}
LEFT_OUT = 0.1
BLOCK_TAGS = frozenset("p h1 h2 h3 h4 h5 h6 dt dd li td th".split())  # noqa: SIM905
SKIPPED_TAGS = frozenset("pre script style".split())  # noqa: SIM905


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    parser.add_argument("--encoder", default="muse")
    parser.add_argument("--lengths", nargs="*", type=int, default=LENGTHS)
    parser.add_argument("--encoded", type=int, default=1000, help="sentences a side that time is measured with")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    encoder = open_encoder(arguments.encoder, default_encoders_dir(), threads=arguments.threads)
    encode = Cached(encoder)
    runs = list(judged_story(encode))
    fetch(arguments.directory, arguments.languages)
    chapters = {code: read_chapters(arguments.directory, code) for code in arguments.languages}
    for code, found in chapters.items():
        runs += judged(encode, code, found, None)
        runs += judged(encode, code, found, arguments.seed)
    runs += timed(encoder, chapters[arguments.languages[0]], arguments.lengths, arguments.encoded)
    asked = {"encoder": arguments.encoder, "threads": encoder.threads, "languages": list(arguments.languages)}
    write(arguments.json, signature(**asked, seed=arguments.seed, encoded=arguments.encoded), runs)


class Cached:
    """An encoder that encodes no text twice."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in texts if text not in self._known]
        self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.array([self._known[text] for text in texts])


def fetch(directory: Path, languages: list[str]) -> None:
    """The packages, downloaded by apt and unpacked, unless they are there."""
    place = (directory / "debs").absolute()
    place.mkdir(parents=True, exist_ok=True)
    for name in (PACKAGE, *(f"{PACKAGE}-{code}" for code in languages)):
        if not list(place.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", "-q", name], cwd=place, check=True)
        for package in place.glob(f"{name}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, directory / "unpacked"], check=True)


@dataclass(frozen=True)
class Chapter:
    """Paragraphs of sentences, as many on both sides; one may be empty where it was left out."""

    name: str
    src: list[list[str]]
    tgt: list[list[str]]

    def thinned(self, rng: np.random.Generator) -> Chapter:
        kept = rng.random((2, len(self.src))) >= LEFT_OUT
        sides = (
            [p if keep else [] for p, keep in zip(side, of, strict=True)]
            for side, of in zip((self.src, self.tgt), kept, strict=True)
        )
        return Chapter(self.name, *sides)

    @property
    def sentences(self) -> tuple[list[str], list[str]]:
        return [text for p in self.src for text in p], [text for p in self.tgt for text in p]

    def gold(self) -> tuple[list[GoldBead], set[int], set[int]]:
        """Gold beads, and the sentences of either side that nothing is sure of."""
        beads, unsure = [], (set[int](), set[int]())
        src = tgt = 0
        for ours, theirs in zip(self.src, self.tgt, strict=True):
            rows, columns = range(src, src + len(ours)), range(tgt, tgt + len(theirs))
            src, tgt = rows.stop, columns.stop
            if len(ours) == len(theirs):
                beads += [GoldBead([row], [column]) for row, column in zip(rows, columns, strict=True)]
            elif 1 in (len(ours), len(theirs)) and ours and theirs:
                beads.append(GoldBead(rows, columns))
            elif ours and theirs:
                unsure[0].update(rows)
                unsure[1].update(columns)
        return beads, *unsure


def read_chapters(directory: Path, code: str) -> list[Chapter]:
    """The pages of the English and of another edition, without paragraphs that were not translated."""
    english = directory / "unpacked" / PAGES
    lang, found = parse_language(code), []
    for page in sorted((english / code).glob("*.html")):
        sides = paragraphs(page), paragraphs(english / page.name)
        if len(sides[0]) != len(sides[1]) or page.stem in ("search", "index", "developers-reference"):
            continue
        pairs = [(ours, theirs) for ours, theirs in zip(*sides, strict=True) if ours != theirs]
        src = [sentences_in(ours, lang) for ours, _ in pairs]
        found.append(Chapter(page.stem, src, [sentences_in(theirs, "eng_Latn") for _, theirs in pairs]))
    return found


class Blocks(HTMLParser):
    """The text of the paragraphs, headings and items of a page, in its main part."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._text: list[str] = []
        self._depth = self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = dict(attrs).get("class") or ""
        if tag == "section":
            self._depth += 1
        if tag in BLOCK_TAGS | {"section"}:
            self._end()
        if self._skipping or tag in SKIPPED_TAGS or "headerlink" in classes or "section-number" in classes:
            self._skipping += tag not in ("br", "img", "hr")

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        if tag in BLOCK_TAGS | {"section"}:
            self._end()
        self._depth -= tag == "section"

    def handle_data(self, data: str) -> None:
        if self._depth and not self._skipping:
            self._text.append(data)

    def _end(self) -> None:
        if text := " ".join("".join(self._text).split()):
            self.found.append(text)
        self._text.clear()


def paragraphs(page: Path) -> list[str]:
    parser = Blocks()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


def judged_story(encode: Cached) -> Iterator[dict[str, Any]]:
    src, tgt = ((DEMO / f"harbour.{code}").read_text(encoding="utf-8").splitlines() for code in ("de", "en"))
    gold = read_ladder(DEMO / "harbour.gold")
    for name, parameters in PARAMETERS.items():
        beads = align_blocks(*(embed_blocks(side, encode, parameters.blocks) for side in (src, tgt)), parameters)
        counts = {"src": len(src), "tgt": len(tgt), "gold": sum(bool(bead.src and bead.tgt) for bead in gold)}
        yield report({"documents": "story", "languages": "de-en", "parameters": name} | counts | scored(beads, gold))


def judged(encode: Cached, code: str, chapters: list[Chapter], seed: int | None) -> Iterator[dict[str, Any]]:
    """Scores over all chapters, each a document of its own; `seed`: with paragraphs left out."""
    if seed is not None:
        rng = np.random.default_rng(seed)
        chapters = [chapter.thinned(rng) for chapter in chapters]
    joiner = "" if parse_language(code).rpartition("_")[2] in UNSPACED else " "
    most = max(parameters.blocks for parameters in PARAMETERS.values())
    blocks = [
        (embed_blocks(src, encode, most, joiner), embed_blocks(tgt, encode, most))
        for src, tgt in (chapter.sentences for chapter in chapters)
    ]
    for name, parameters in PARAMETERS.items():
        found: list[Bead] = []
        gold: list[GoldBead] = []
        counts = dict.fromkeys(("chapters", "src", "tgt", "gold", "gold_not_1_1", "unsure"), 0)
        for chapter, (src, tgt) in zip(chapters, blocks, strict=True):
            beads = align_blocks(src[: parameters.blocks], tgt[: parameters.blocks], parameters)
            right, unsure_src, unsure_tgt = chapter.gold()
            sure = [b for b in beads if unsure_src.isdisjoint(b.src) and unsure_tgt.isdisjoint(b.tgt)]
            found += [shifted(bead, counts["src"], counts["tgt"]) for bead in sure]
            gold += [shifted(bead, counts["src"], counts["tgt"]) for bead in right]
            sizes = (
                1,
                src.shape[1],
                tgt.shape[1],
                len(right),
                sum(len(b.src) + len(b.tgt) > 2 for b in right),
                len(unsure_src),
            )
            counts = {key: count + size for (key, count), size in zip(counts.items(), sizes, strict=True)}
        kind = "reference" if seed is None else "reference, thinned"
        yield report({"documents": kind, "languages": f"{code}-en", "parameters": name} | counts | scored(found, gold))


def shifted(bead: Bead | GoldBead, src: int, tgt: int) -> GoldBead:
    return GoldBead([row + src for row in bead.src], [row + tgt for row in bead.tgt])


def scored(found: list[Any], gold: list[Any]) -> dict[str, float]:
    scores = score_alignment(found, gold)
    names = [f"{kind}_{what}" for kind in ("strict", "lax") for what in ("precision", "recall", "f1")]
    return {name: round(getattr(scores, name), 4) for name in names}


def timed(encoder: Encoder, chapters: list[Chapter], lengths: list[int], encoded: int) -> Iterator[dict[str, Any]]:
    """Seconds of encoding a sentence's blocks, and of aligning by length."""
    parameters, rng = AlignmentParameters(), np.random.default_rng(0)
    sides = [[text for chapter in chapters for text in chapter.sentences[side]][:encoded] for side in (0, 1)]
    started = time.monotonic()
    short = [embed_blocks(side, encoder.encode, parameters.blocks) for side in sides]
    encoding = time.monotonic() - started
    align_blocks(short[0][:, :9], short[1][:, :9], parameters)  # compiles
    yield report({"documents": "encoded", "sentences": encoded, "encode_seconds": encoding})
    for length in lengths:
        src, tgt = (noisy(blocks, length, rng) for blocks in short)
        seconds = []
        for _ in range(3):
            started = time.process_time()
            align_blocks(src, tgt, parameters)
            seconds.append(time.process_time() - started)
        low, high = _band(src[0], tgt[0], parameters)
        points = {"points": int((high - low + 1).sum()), "all_points": (length + 1) ** 2}
        yield report({"documents": "long", "sentences": length, "align_seconds": min(seconds)} | points)


def noisy(blocks: NDArray[np.float32], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Blocks of a document of so many sentences: these, again and again, the same noise on all blocks of a sentence."""
    rows = np.arange(length) % blocks.shape[1]
    noise = rng.standard_normal((length, blocks.shape[2]), np.float32) * np.float32(NOISE)
    long = blocks[:, rows] + noise
    return unit_rows(long.reshape(-1, long.shape[2])).reshape(long.shape)


def report(run: dict[str, Any]) -> dict[str, Any]:
    print("  ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in run.values()), flush=True)
    return run


if __name__ == "__main__":
    main()
