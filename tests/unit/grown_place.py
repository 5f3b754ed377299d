"""Corpora that grow in a store, mined with an encoder that counts what it embeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import PAIRS, Bitext
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.encoders import Encoder, Encoding
from bitextmine.mining import MiningParameters, mine
from bitextmine.search.stored import KIND as NEIGHBORS

WORDS = ["museum", "lake", "map", "book", "train", "egg", "house", "river", "night", "paper", "stone", "bread"]

PARAMETERS = MiningParameters(k=3)


def sentences(lang: str, start: int, stop: int) -> list[str]:
    """Sentences of a few words of the same list on both sides; every one is another."""
    rng = np.random.default_rng(7)
    chosen = [" ".join(rng.choice(WORDS, 4)) for _ in range(stop)]
    return [f"{text} {lang} {number}" for number, text in enumerate(chosen)][start:]


class CountingEncoder(Encoder):
    """An encoder that remembers how many sentences each call brought."""

    calls: list[int]

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.calls.append(len(sentences))
        return super().encode_counted(sentences, progress=progress)


class Place:
    """A store, and the files that its corpora are made of."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.store = folder, ArtifactStore(folder / "artifacts")
        self.searched: list[int] = []

    def corpus(self, lang: str, count: int, *, after: Corpus | None = None, shard_rows: int = 16) -> Corpus:
        """The first `count` sentences of a language, in one file, or those after a corpus in a further one."""
        path = self.folder / f"{lang[:3]}.txt"
        begin = len(after) if after else 0
        path.write_text("".join(f"{text}\n" for text in sentences(lang, begin, count)), encoding="utf-8")
        return ingest(CorpusFile(path, lang), self.store, shard_rows=shard_rows, after=after)

    def both(self, sizes: tuple[int, int], after: tuple[Corpus, Corpus] | None = None) -> tuple[Corpus, Corpus]:
        langs = ("deu_Latn", "eng_Latn")
        corpora = [
            self.corpus(lang, size, after=after[side] if after and len(after[side]) < size else None)
            if not after or len(after[side]) < size
            else after[side]
            for side, (lang, size) in enumerate(zip(langs, sizes, strict=True))
        ]
        return corpora[0], corpora[1]

    def mine(
        self, corpora: tuple[Corpus, Corpus], encoder: Encoder, parameters: MiningParameters = PARAMETERS
    ) -> Bitext:
        totals: list[int] = [0]
        bitext = mine(
            *corpora,
            encoder,
            self.store,
            parameters,
            progress=lambda stage, done, total: totals.append(total) if stage == "search" else None,
        )
        self.searched.append(totals[-1])
        return bitext


def neighbors_of(place: Place, bitext: Bitext) -> dict[str, bytes]:
    folder = place.store.path(NEIGHBORS, bitext.artifact.manifest["inputs"]["neighbors"])
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npy"))}


def assert_same(place: Place, bitext: Bitext, other: Place, scratch: Bitext) -> None:
    assert (bitext.artifact.path / PAIRS).read_bytes() == (scratch.artifact.path / PAIRS).read_bytes()
    arrays = neighbors_of(place, bitext)
    assert len(arrays) == 4
    assert arrays == neighbors_of(other, scratch)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
