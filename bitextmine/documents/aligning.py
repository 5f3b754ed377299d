"""The sentences of linked documents, aligned: merged, split, added and left-out ones found; a bitext comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bitextmine.alignment import AlignmentParameters, Background, align_blocks
from bitextmine.alignment.blocks import BlockTable, embed_documents
from bitextmine.alignment.costs import SAMPLES
from bitextmine.artifacts import Artifact, ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, Bitext
from bitextmine.corpus import Corpus
from bitextmine.documents.beads import BEADS, Beads, BeadWriter, joiner_of, read_beads
from bitextmine.documents.links import DocumentLinks, LinkedDocuments, link_documents
from bitextmine.documents.order import Documents, has_documents, whole_corpus
from bitextmine.encoders import Encoder
from bitextmine.errors import ArtifactError
from bitextmine.progress import Progress, silent
from bitextmine.stage_clock import StageClock

STAGE = "align"
GROUP_KIND = "document-beads"
MADE_BY = "alignment"
_GROUP_SENTENCES = 16_384  # of both sides: what a crash can cost, and what is encoded at once


@dataclass(frozen=True, slots=True)
class AlignedDocuments:
    """The beads of linked documents: those without an empty side are also the pairs of a bitext."""

    bitext: Bitext

    def beads(self) -> Iterator[Mapping[str, Any]]:
        """All beads, in document order, as `beads.BEAD_SCHEMA` names their values.

        Raises:
            ArtifactError: the file is damaged.
        """
        yield from read_beads(self.bitext.artifact.path / BEADS)


def documents_to_align(src: Corpus, tgt: Corpus, links: DocumentLinks | None = None) -> LinkedDocuments:
    """The documents of both corpora that are linked; corpora without any doc_id are one document each.

    Raises:
        ParameterError: `no-documents`: one corpus has doc_ids, or there are links, and the other has none;
            `no-linked-documents`.
    """
    if links is None and not has_documents(src) and not has_documents(tgt):
        return LinkedDocuments(whole_corpus(src), whole_corpus(tgt), np.zeros((1, 2), np.int64), 0)
    return link_documents(src, tgt, links)


def align_documents(
    src: Corpus,
    tgt: Corpus,
    encoder: Encoder,
    store: ArtifactStore,
    parameters: AlignmentParameters | None = None,
    *,
    links: DocumentLinks | None = None,
    progress: Progress = silent,
) -> AlignedDocuments:
    """Align the sentences of each pair of linked documents; whatever exists already is not done again.

    The pairs of the bitext are by falling score, which is their `margin`: see `Bead.score`. Progress counts sentences
    of both sides.

    Args:
        links: which documents belong together; by default those of the same doc_id, or the corpora as a whole where
            they have no doc_ids.

    Raises:
        ParameterError: see `documents_to_align`.
        EncoderError, MismatchError: the encoder does not do what its card says.
        DiskFullError: what was finished before stays.
    """
    parameters = parameters or AlignmentParameters()
    inputs = {"src": src.digest, "tgt": tgt.digest, "encoder": encoder.signature}
    inputs |= {"links": links.digest} if links else {}
    key = ArtifactKey(KIND, _described(src, tgt, encoder, parameters), inputs)
    if (found := store.find(key)) is not None:
        return AlignedDocuments(Bitext(found))
    linked = documents_to_align(src, tgt, links)
    run = _Run(src, tgt, linked, encoder, parameters, store, inputs, progress)
    clock = StageClock()
    with clock.stage(STAGE):
        groups = run.groups()
    with clock.stage("write"), store.publish(key) as staging:
        staging.summary |= run.write(staging.path, groups)
        clock.record_into(staging.summary)
    for group in groups:
        store.delete(GROUP_KIND, group.digest)
    return AlignedDocuments(Bitext(_found(store, key)))


def _described(src: Corpus, tgt: Corpus, encoder: Encoder, parameters: AlignmentParameters) -> dict[str, Any]:
    return {
        "made_by": MADE_BY,
        "src_lang": src.lang,
        "tgt_lang": tgt.lang,
        "src_source": src.source,
        "tgt_source": tgt.source,
        "encoder": encoder.name,
        "alignment": asdict(parameters),
        **dict.fromkeys(("k", "margin", "retrieval", "threshold", "ceiling")),  # what mined bitexts have
        "drop_identical": False,
    }


@dataclass
class _Run:
    """What the stages have in common."""

    src: Corpus
    tgt: Corpus
    linked: LinkedDocuments
    encoder: Encoder
    parameters: AlignmentParameters
    store: ArtifactStore
    inputs: Mapping[str, str]
    progress: Progress
    sizes: NDArray[np.int64] = field(init=False)  # (pairs,) sentences of both sides

    def __post_init__(self) -> None:
        sides = ((self.linked.src, 0), (self.linked.tgt, 1))
        self.sizes = sum(
            (np.diff(documents.starts)[self.linked.pairs[:, column]] for documents, column in sides),
            np.zeros(len(self.linked.pairs), np.int64),
        )

    @cached_property
    def background(self) -> Background | None:
        """Sentences of the linked documents at random; none where there is one pair of documents only."""
        if len(self.linked.pairs) == 1:
            return None
        rng = np.random.default_rng(self.parameters.seed)
        vectors = []
        for side, (corpus, documents) in enumerate(((self.src, self.linked.src), (self.tgt, self.linked.tgt))):
            linked = np.zeros(len(documents), bool)
            linked[self.linked.pairs[:, side]] = True
            rows = np.unique(documents.rows[np.repeat(linked, np.diff(documents.starts))])
            chosen = rng.choice(rows, size=min(len(rows), SAMPLES), replace=False)
            vectors.append(self.encoder.encode(corpus.take("text", chosen).to_pylist()))
        return Background(*vectors)

    def groups(self) -> list[Artifact]:
        """The beads of all pairs of documents, in groups that are an artifact each."""
        found, done = [], 0
        for pairs in _grouped(self.sizes):
            key = ArtifactKey(
                GROUP_KIND, {**asdict(self.parameters), "first": pairs.start, "stop": pairs.stop}, self.inputs
            )
            if self.store.find(key) is None:
                self._align(pairs, key, done)
            done += int(self.sizes[pairs.start : pairs.stop].sum())
            self.progress(STAGE, done, int(self.sizes.sum()))
            found.append(_found(self.store, key))
        return found

    def write(self, directory: Path, groups: list[Artifact]) -> dict[str, Any]:
        """Write the beads and the pairs; returns what there is to count."""
        beads = Beads.of(pa.concat_tables([pq.read_table(group.path / BEADS) for group in groups]))
        writer = BeadWriter(self.src, self.tgt, self.linked)
        writer.write_beads(directory / BEADS, beads)
        identical = writer.write_pairs(directory / PAIRS, beads)
        aligned = beads.aligned
        shapes, counts = np.unique(
            np.stack([beads.src_count, beads.tgt_count], axis=1)[aligned], axis=0, return_counts=True
        )
        truncated = [group.summary["truncated"] for group in groups]
        return {
            "pairs": int(aligned.sum()),
            "src_sentences": len(self.src),
            "tgt_sentences": len(self.tgt),
            "beads": {f"{a}-{b}": int(n) for (a, b), n in zip(shapes.tolist(), counts.tolist(), strict=True)},
            "src_alone": int((beads.tgt_count == 0).sum()),
            "tgt_alone": int((beads.src_count == 0).sum()),
            "truncated": sum(truncated),
            "identical_pairs": identical,
            "documents": self.linked.counts(),
        }

    def _align(self, pairs: range, key: ArtifactKey, done: int) -> None:
        table, places, truncated = self._embedded(pairs, done)
        found: list[tuple[Any, ...]] = []
        for pair in pairs:
            document, other = self.linked.pairs[pair].tolist()
            blocks = table.blocks(places[0, document]), table.blocks(places[1, other])
            src_start, tgt_start = int(self.linked.src.starts[document]), int(self.linked.tgt.starts[other])
            for bead in align_blocks(*blocks, self.parameters, self.background):
                counts = len(bead.src), len(bead.tgt)
                starts = src_start + bead.src.start, tgt_start + bead.tgt.start
                cosine = _cosine(blocks, bead.src, bead.tgt) if all(counts) else 0.0
                found.append((pair, starts[0], counts[0], starts[1], counts[1], bead.cost, bead.score, cosine))
        beads = Beads.listed(found)
        with self.store.publish(key) as staging:
            pq.write_table(beads.table(), staging.path / BEADS)
            staging.summary |= {"beads": len(beads), "truncated": truncated}

    def _embedded(self, pairs: range, done: int) -> tuple[BlockTable, dict[tuple[int, int], int], int]:
        """The blocks of all documents of these pairs, the place of each document, by side and number, among them, and
        how many of their texts were cut at the encoder's limit."""
        places: dict[tuple[int, int], int] = {}
        documents: list[tuple[list[str], str]] = []
        sides = ((self.src, self.linked.src), (self.tgt, self.linked.tgt))
        for side, (corpus, known) in enumerate(sides):
            for number in np.unique(self.linked.pairs[pairs.start : pairs.stop, side]).tolist():
                places[side, number] = len(documents)
                documents.append((_texts(corpus, known, number), joiner_of(corpus.lang)))
        cut, size = [0], int(self.sizes[pairs.start : pairs.stop].sum())

        def encode(texts: Any) -> NDArray[np.float32]:
            encoding = self.encoder.encode_counted(texts, progress=lambda n: report(n / len(texts)))
            cut[0] = encoding.truncated
            return encoding.vectors

        def report(share: float) -> None:
            self.progress(STAGE, done + int(size * share), int(self.sizes.sum()))

        return embed_documents(documents, encode, self.parameters.blocks), places, cut[0]


def _grouped(sizes: NDArray[np.int64]) -> Iterator[range]:
    """Pairs of documents in a row, of not much more than _GROUP_SENTENCES sentences, at least one at a time."""
    start, total = 0, 0
    for pair, size in enumerate(sizes.tolist()):
        if total and total + size > _GROUP_SENTENCES:
            yield range(start, pair)
            start, total = pair, 0
        total += size
    yield range(start, len(sizes))


def _texts(corpus: Corpus, documents: Documents, number: int) -> list[str]:
    texts: list[str] = corpus.take("text", documents.rows_of(number)).to_pylist()
    return texts


def _cosine(blocks: tuple[NDArray[np.float32], NDArray[np.float32]], src: range, tgt: range) -> float:
    left, right = blocks[0][len(src) - 1, src[-1]], blocks[1][len(tgt) - 1, tgt[-1]]
    return float(left.astype(np.float64) @ right.astype(np.float64))


def _found(store: ArtifactStore, key: ArtifactKey) -> Artifact:
    artifact = store.find(key)
    if artifact is None:
        raise ArtifactError(f"{key.kind} {key.digest} vanished after it was published")
    return artifact
