from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.embeddings import KIND, VECTORS, Embeddings, delete_embeddings, embed, unit_rows, write_npy
from bitextmine.encoders import Encoder, Encoding
from bitextmine.errors import ArtifactError, EncoderError, MismatchError
from tests.tiny_encoder import build_tiny_encoder

TEXTS = [f"The {noun} costs {number} and opens at nine." for number, noun in enumerate(["museum", "lake", "map"] * 4)][
    :11
]


class CountingEncoder(Encoder):
    """An encoder that remembers how many sentences each call brought."""

    calls: list[int]

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        self.calls.append(len(sentences))
        return super().encode_counted(sentences, progress=progress)


class SpoiltEncoder(Encoder):
    """An encoder whose third vector is what `spoil` makes of it."""

    spoil: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def encode_counted(self, sentences: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Encoding:
        encoding = super().encode_counted(sentences, progress=progress)
        encoding.vectors[2] = self.spoil(encoding.vectors[2])
        return encoding


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny")).directory


@pytest.fixture
def encoder(directory: Path) -> CountingEncoder:
    encoder = CountingEncoder.open(directory)
    assert isinstance(encoder, CountingEncoder)
    encoder.calls = []
    return encoder


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(texts: list[str], store: ArtifactStore, shard_rows: int = 4, name: str = "corpus.txt") -> Corpus:
    path = store.root.parent / name
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return ingest(CorpusFile(path, "eng_Latn"), store, shard_rows=shard_rows)


def all_rows(vectors: Embeddings) -> NDArray[np.float32]:
    return vectors.block(0, len(vectors))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_unit_rows_scales_to_length_one_and_leaves_zero_rows_zero(dtype: DTypeLike) -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0], [-5, 0], [1e-3, 1e-3]], dtype))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [-1, 0], [0.5**0.5, 0.5**0.5]], atol=1e-6)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
def test_unit_rows_leaves_its_argument_as_it_was_and_gives_contiguous_rows(order: str) -> None:
    given = np.array([[3, 4], [0, 2]], np.float32, order=order)
    assert unit_rows(given).flags.c_contiguous
    assert given.tolist() == [[3, 4], [0, 2]]
    assert unit_rows(np.empty((0, 7), np.float16)).shape == (0, 7)


def test_the_vectors_are_the_encoders_in_the_order_of_the_sentences(
    encoder: CountingEncoder, store: ArtifactStore
) -> None:
    vectors = embed(corpus_of(TEXTS, store), encoder, store)
    assert (len(vectors), vectors.dims, vectors.truncated) == (11, encoder.dims, 0)
    np.testing.assert_allclose(all_rows(vectors), Encoder.encode(encoder, TEXTS), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(all_rows(vectors), axis=1), 1, atol=1e-6)


def test_a_block_is_those_rows_wherever_shards_begin_and_end(encoder: CountingEncoder, store: ArtifactStore) -> None:
    vectors = embed(corpus_of(TEXTS, store, shard_rows=4), encoder, store)
    everything = all_rows(vectors)
    for start in range(12):
        for stop in range(start, 12):
            block = vectors.block(start, stop)
            assert np.array_equal(block, everything[start:stop])
            assert block.dtype == np.float32
            assert block.flags.c_contiguous
            assert block.shape == (stop - start, encoder.dims)


def test_vectors_do_not_depend_on_the_number_of_shards(encoder: CountingEncoder, store: ArtifactStore) -> None:
    one, many = (embed(corpus_of(TEXTS, store, rows), encoder, store) for rows in (100, 1))
    assert np.array_equal(all_rows(one), all_rows(many))


def test_a_vector_does_not_depend_on_how_long_the_sentences_beside_it_are(
    encoder: CountingEncoder, store: ArtifactStore
) -> None:
    beside_long = embed(corpus_of([TEXTS[0], "the museum opens at nine " * 9], store), encoder, store)
    alone = embed(corpus_of(TEXTS[:1], store), encoder, store)
    assert np.array_equal(beside_long.block(0, 1), all_rows(alone))


def test_no_shard_is_embedded_twice(encoder: CountingEncoder, store: ArtifactStore) -> None:
    corpus = corpus_of(TEXTS, store)
    first = embed(corpus, encoder, store)
    assert encoder.calls == [4, 4, 3]
    again = embed(corpus, encoder, store)
    assert encoder.calls == [4, 4, 3]
    assert (again.digest, all_rows(again).tolist()) == (first.digest, all_rows(first).tolist())


def test_the_same_sentences_in_another_corpus_are_reused(encoder: CountingEncoder, store: ArtifactStore) -> None:
    embed(corpus_of(TEXTS[:8], store), encoder, store)
    encoder.calls.clear()
    longer = embed(corpus_of(TEXTS, store, name="longer.txt"), encoder, store)
    assert encoder.calls == [3]
    np.testing.assert_allclose(all_rows(longer), Encoder.encode(encoder, TEXTS), atol=1e-3)


def test_an_embedding_that_was_interrupted_goes_on_where_it_stopped(
    encoder: CountingEncoder, store: ArtifactStore
) -> None:
    def stop_in_the_third_shard(stage: str, done: int, total: int | None) -> None:
        if done > 8:
            raise KeyboardInterrupt

    corpus = corpus_of(TEXTS, store)
    with pytest.raises(KeyboardInterrupt):
        embed(corpus, encoder, store, progress=stop_in_the_third_shard)
    encoder.calls.clear()
    embed(corpus, encoder, store)
    assert encoder.calls == [3]


def test_another_encoder_never_gets_the_first_ones_vectors(
    encoder: CountingEncoder, store: ArtifactStore, tmp_path: Path
) -> None:
    corpus = corpus_of(TEXTS, store)
    prefixed = build_tiny_encoder(tmp_path / "prefixed", prefix="query: ")
    assert embed(corpus, encoder, store).digest != embed(corpus, prefixed, store).digest


def test_progress_counts_the_sentences_of_all_shards(encoder: CountingEncoder, store: ArtifactStore) -> None:
    seen: list[tuple[str, int, int | None]] = []
    embed(corpus_of(TEXTS, store), encoder, store, stage="embed-src", progress=lambda *report: seen.append(report))
    assert {(stage, total) for stage, _, total in seen} == {("embed-src", 11)}
    done = [count for _, count, _ in seen]
    assert done == sorted(done)
    assert {4, 8, 11} <= set(done)


def test_progress_leaves_out_the_shards_that_exist(encoder: CountingEncoder, store: ArtifactStore) -> None:
    embed(corpus_of(TEXTS[:8], store), encoder, store)
    seen: list[tuple[str, int, int | None]] = []
    embed(corpus_of(TEXTS, store), encoder, store, progress=lambda *report: seen.append(report))
    assert {(stage, total) for stage, _, total in seen} == {("embed", 3)}
    seen.clear()
    embed(corpus_of(TEXTS, store), encoder, store, progress=lambda *report: seen.append(report))
    assert seen == [("embed", 11, 11)]


def test_truncated_sentences_are_counted_over_the_shards(store: ArtifactStore, tmp_path: Path) -> None:
    short_sighted = build_tiny_encoder(tmp_path / "short", max_tokens=6)
    texts = [f"{i} the museum opens at nine" * (1 + i % 2 * 5) for i in range(6)]
    assert embed(corpus_of(texts, store), short_sighted, store).truncated == 6
    assert embed(corpus_of(["a", "b"], store, name="short.txt"), short_sighted, store).truncated == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(directory: Path, store: ArtifactStore, value: float) -> None:
    spoilt = SpoiltEncoder.open(directory)
    spoilt.spoil = lambda vector: vector * np.float32(value)  # type: ignore[attr-defined]
    with pytest.raises(EncoderError, match="not finite"):
        embed(corpus_of(TEXTS, store), spoilt, store)
    assert store.list(KIND) == []


def test_vectors_of_any_length_are_stored_as_unit_vectors(directory: Path, store: ArtifactStore) -> None:
    spoilt = SpoiltEncoder.open(directory)
    spoilt.spoil = lambda vector: vector * np.float32(1e6)  # type: ignore[attr-defined] # more than float16 can hold
    vectors = embed(corpus_of(TEXTS, store), spoilt, store)
    np.testing.assert_allclose(all_rows(vectors), Encoder.open(directory).encode(TEXTS), atol=1e-3)


def test_a_zero_vector_stays_zero(directory: Path, store: ArtifactStore) -> None:
    spoilt = SpoiltEncoder.open(directory)
    spoilt.spoil = np.zeros_like  # type: ignore[attr-defined]
    assert not embed(corpus_of(TEXTS, store), spoilt, store).block(2, 3).any()


@pytest.mark.parametrize("rows", [0, 3, 5])
def test_stored_vectors_that_do_not_fit_their_text_are_refused(
    encoder: CountingEncoder, store: ArtifactStore, rows: int
) -> None:
    corpus = corpus_of(TEXTS, store)
    key = ArtifactKey(KIND, {"encoder": encoder.signature}, {"sentences": corpus.shards[0].digest})
    with store.publish(key) as staging:
        write_npy(staging.path / VECTORS, np.zeros((rows, encoder.dims), np.float16))
        staging.summary |= {"rows": rows, "truncated": 0}
    with pytest.raises(MismatchError, match="do not hold the 4 sentences of shard 0"):
        embed(corpus, encoder, store)


def test_stored_vectors_of_other_dimensions_are_refused(encoder: CountingEncoder, store: ArtifactStore) -> None:
    corpus = corpus_of(TEXTS, store)
    key = ArtifactKey(KIND, {"encoder": encoder.signature}, {"sentences": corpus.shards[0].digest})
    with store.publish(key) as staging:
        write_npy(staging.path / VECTORS, np.zeros((4, 8), np.float16))
        staging.summary |= {"rows": 4, "dims": 8, "truncated": 0}
    with pytest.raises(MismatchError, match=f"have 8 dimensions, not {encoder.dims}; delete "):
        embed(corpus, encoder, store)


def test_vectors_say_what_they_were_made_on(encoder: CountingEncoder, store: ArtifactStore) -> None:
    origin = embed(corpus_of(TEXTS, store), encoder, store).origin("src")
    assert origin == {"src_truncated": 0, "src_zeros": 0, "src_vectors": {"provider": "CPUExecutionProvider"}}


def test_missing_vectors_are_an_error_and_never_made_up(encoder: CountingEncoder, store: ArtifactStore) -> None:
    corpus = corpus_of(TEXTS, store)
    embed(corpus, encoder, store)
    stored = store.list(KIND)[0].path / VECTORS
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="missing or was truncated"):
        embed(corpus, encoder, store)


def test_deleting_embeddings_spares_other_shards(encoder: CountingEncoder, store: ArtifactStore) -> None:
    corpus = corpus_of(TEXTS, store)
    embed(corpus, encoder, store)
    delete_embeddings(store, {corpus.shards[1].digest})
    encoder.calls.clear()
    embed(corpus, encoder, store)
    assert encoder.calls == [4]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.linspace(-1, 1, 6).astype(np.float16).reshape(3, 2),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
        np.empty((0, 3), np.float16),
        np.empty((3, 0), np.int64),
        np.array([True, False]),
    ],
    ids=["int64", "float16", "fortran order", "strided", "no rows", "no columns", "bool"],
)
def test_an_array_comes_back_as_it_was_written(tmp_path: Path, array: NDArray[np.generic]) -> None:
    write_npy(tmp_path / "array.npy", array)
    back = np.load(tmp_path / "array.npy", allow_pickle=False)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array)


def test_a_full_disk_is_told_by_its_number() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write_npy(Path("/dev/full"), np.zeros((1000, 1000)))
    assert caught.value.errno == errno.ENOSPC
