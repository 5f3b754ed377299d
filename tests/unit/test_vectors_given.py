"""Mining vectors that were made elsewhere: they must be those of the files, and loudly so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from bitextmine import given
from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.cli import run
from bitextmine.corpus import Corpus, CorpusFile, ingest
from bitextmine.embeddings import KIND
from bitextmine.encoders import Encoder
from bitextmine.errors import InputError
from bitextmine.given import NAME, GivenVectors, adopt
from bitextmine.line_vectors import LineVectors
from bitextmine.mining import MiningParameters, mine
from tests.tiny_encoder import build_tiny_encoder

WORDS = "museum lake map station weather book city plan See Karte Bahnhof Stadt lac livre gare ville".split()  # noqa: SIM905
_rng = np.random.default_rng(4)
SRC = [" ".join(_rng.permutation(WORDS)[:5]) for _ in range(20)]
TGT = [f"{' '.join(reversed(text.split()))} !" for text in SRC]
# Blank and repeated lines, which mining leaves out.
SRC_LINES = ["", *SRC[:9], SRC[2], "", *SRC[9:], SRC[0]]
TGT_LINES = [*TGT, TGT[5], ""]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def corpus_of(lines: list[str], lang: str, store: ArtifactStore) -> Corpus:
    path = store.root.parent / lang
    path.write_text("".join(f"{line}\n" for line in lines))
    return ingest(CorpusFile(path, lang), store, shard_rows=7)


@pytest.fixture
def corpora(store: ArtifactStore) -> tuple[Corpus, Corpus]:
    return corpus_of(SRC_LINES, "deu_Latn", store), corpus_of(TGT_LINES, "eng_Latn", store)


def rows_of(lines: list[str], encoder: Encoder) -> NDArray[np.float32]:
    """A row for each line; those of blank lines are whatever."""
    return encoder.encode([line or "blank" for line in lines])


@pytest.fixture
def files(tmp_path: Path, encoder: Encoder) -> Callable[..., GivenVectors]:
    def write(change: Callable[[NDArray[Any]], Any] = lambda rows: rows) -> GivenVectors:
        np.save(tmp_path / "src.npy", change(rows_of(SRC_LINES, encoder)))
        np.save(tmp_path / "tgt.npy", change(rows_of(TGT_LINES, encoder)))
        return GivenVectors(tmp_path / "src.npy", tmp_path / "tgt.npy")

    return write


def scored(bitext: Bitext) -> list[tuple[str, str, float]]:
    return [(pair.src, pair.tgt, round(pair.margin, 3)) for pair in bitext.pairs()]


def code_of(action: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        action()
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("scale", [1, 1e3])
def test_the_pairs_are_those_of_the_encoder_that_made_the_vectors(
    corpora: tuple[Corpus, Corpus],
    store: ArtifactStore,
    encoder: Encoder,
    files: Callable[..., GivenVectors],
    dtype: DTypeLike,
    scale: float,
) -> None:
    vectors = files(lambda rows: (rows * scale).astype(dtype))
    bitext = mine(*corpora, vectors, store, MiningParameters())
    assert {pair[:2] for pair in scored(bitext)} == set(zip(SRC, TGT, strict=True))
    by_encoder = mine(*corpora, encoder, store, MiningParameters())
    assert {pair[:2] for pair in scored(by_encoder)} == {pair[:2] for pair in scored(bitext)}
    assert bitext.digest != by_encoder.digest


def test_arrays_in_fortran_order_are_read_as_they_are_meant(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors]
) -> None:
    bitext = mine(*corpora, files(np.asfortranarray), store, MiningParameters())
    assert {pair[:2] for pair in scored(bitext)} == set(zip(SRC, TGT, strict=True))


def test_each_sentence_gets_the_row_of_its_first_line(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors], encoder: Encoder
) -> None:
    vectors = adopt(corpora[0], files().src, store)
    np.testing.assert_allclose(vectors.block(0, len(SRC)), encoder.encode(SRC), atol=1e-3)


def test_provenance_says_that_they_came_from_files(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors], encoder: Encoder
) -> None:
    vectors = files()
    summary = mine(*corpora, vectors, store, MiningParameters()).summary
    assert summary["src_vectors"] == {"file": "src.npy", "sha256": vectors.src.sha256}
    assert summary["src_truncated"] == summary["tgt_zeros"] == 0
    (made,) = store.list("bitext")
    assert made.parameters["encoder"] == NAME == "vectors from file"
    assert mine(*corpora, encoder, store, MiningParameters()).summary["src_vectors"] == {
        "provider": "CPUExecutionProvider"
    }


def test_nothing_is_read_again_until_the_file_changes(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors]
) -> None:
    first = mine(*corpora, files(), store, MiningParameters())
    count = len(store.list(KIND))
    assert mine(*corpora, files(), store, MiningParameters()).digest == first.digest
    assert len(store.list(KIND)) == count
    assert mine(*corpora, files(lambda rows: rows + 0.01), store, MiningParameters()).digest != first.digest
    assert len(store.list(KIND)) == 2 * count


def test_the_same_sentences_on_other_lines_have_other_rows(
    store: ArtifactStore, files: Callable[..., GivenVectors]
) -> None:
    vectors = files().src
    one = corpus_of(SRC_LINES, "deu_Latn", store)
    other = corpus_of([SRC[0], "", *SRC[1:9], SRC[2], "", *SRC[9:], SRC[0]], "fra_Latn", store)
    assert one.shards[0].digest == other.shards[0].digest
    first, second = (adopt(corpus, vectors, store) for corpus in (one, other))
    assert first.digest != second.digest
    assert not np.allclose(first.block(0, 1), second.block(0, 1), atol=1e-2)


@pytest.mark.parametrize("change", [lambda rows: rows[:-1], lambda rows: np.concatenate([rows, rows[:1]])])
def test_another_number_of_rows_than_lines_is_refused(
    corpora: tuple[Corpus, Corpus],
    store: ArtifactStore,
    files: Callable[..., GivenVectors],
    change: Callable[[NDArray[Any]], Any],
) -> None:
    code, message = code_of(lambda: mine(*corpora, files(change), store, MiningParameters()))
    assert code == "vectors-count"
    assert "and deu_Latn has 24 lines; there must be a row for each line" in message
    assert store.list(KIND) == []


def test_sides_of_other_dimensions_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 4)))
    np.save(tmp_path / "b.npy", np.ones((3, 5)))
    code, message = code_of(lambda: GivenVectors(tmp_path / "a.npy", tmp_path / "b.npy"))
    assert code == "vectors-dims"
    assert "has 4 dimensions" in message


@pytest.mark.parametrize(
    "array",
    [np.ones(4), np.ones((2, 3, 4)), np.ones((4, 0)), np.ones((4, 2), int), np.ones((4, 2), complex), np.float32(1)],
    ids=["vector", "cube", "no dims", "integers", "complex", "scalar"],
)
def test_arrays_of_another_shape_or_type_are_refused(tmp_path: Path, array: NDArray[Any]) -> None:
    np.save(tmp_path / "a.npy", array)
    assert code_of(lambda: LineVectors(tmp_path / "a.npy"))[0] in {"vectors-shape", "vectors-unreadable"}


def test_what_is_no_array_of_numbers_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.ones((50, 40)))
    np.savez(tmp_path / "archive.npz", a=np.ones((3, 4)))
    np.save(tmp_path / "objects.npy", np.array([[{}]], object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array\n" * 10)
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "half.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-9])
    for name in ("none.npy", "archive.npz", "objects.npy", "text.npy", "empty.npy", "half.npy", "."):
        code, message = code_of(lambda name=name: LineVectors(tmp_path / name))  # type: ignore[misc]
        assert code == "vectors-unreadable", name
        assert str(tmp_path) in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_row(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors], value: float
) -> None:
    def spoil(rows: NDArray[Any]) -> NDArray[Any]:
        rows[15, 3] = value
        return rows

    code, message = code_of(lambda: mine(*corpora, files(spoil), store, MiningParameters()))
    assert code == "vectors-not-finite"
    assert "in row 15 (of line 16)" in message


def test_zero_rows_are_counted(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors]
) -> None:
    def clear(rows: NDArray[Any]) -> NDArray[Any]:
        rows[[1, 4, 21]] = 0
        return rows

    summary = mine(*corpora, files(clear), store, MiningParameters()).summary
    assert summary["src_zeros"] == 3
    assert summary["tgt_zeros"] == 2  # line 22 is blank there


def test_a_file_of_zeros_is_refused(
    corpora: tuple[Corpus, Corpus], store: ArtifactStore, files: Callable[..., GivenVectors]
) -> None:
    assert code_of(lambda: mine(*corpora, files(np.zeros_like), store, MiningParameters()))[0] == "vectors-all-zero"


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_lengths_beyond_float32_do_no_harm(tmp_path: Path, scale: float) -> None:
    np.save(tmp_path / "a.npy", np.array([[3, 4], [0, -5], [0, 0]]) * scale)
    rows = LineVectors(tmp_path / "a.npy").of_lines(np.array([1, 2, 3]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, -1], [0, 0]], atol=1e-6)


def test_a_file_that_changes_while_it_is_read_names_nothing(
    corpora: tuple[Corpus, Corpus],
    store: ArtifactStore,
    files: Callable[..., GivenVectors],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, write = files().src, given.write_npy

    def meanwhile(path: Path, array: NDArray[Any]) -> None:
        write(path, array)
        np.save(vectors.path, np.ones((2, 2)))

    monkeypatch.setattr(given, "write_npy", meanwhile)
    assert code_of(lambda: adopt(corpora[0], vectors, store))[0] == "input-changed"
    assert store.list(KIND) == []


class TestCommand:
    """`bitextmine mine` with vectors; no encoder is installed."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, files: Callable[..., GivenVectors], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(tmp_path / "no-encoders"))
        monkeypatch.chdir(tmp_path)
        files()
        for name, lines in (("de", SRC_LINES), ("hi", TGT_LINES)):
            Path(name).write_text("".join(f"{line}\n" for line in lines))

    def mine(self, *more: str) -> int:
        return run(["mine", "de", "hi", "--src-lang", "de", "--tgt-lang", "hi", "-o", "pairs.tsv", *more])

    def test_no_encoder_is_needed_and_any_language_will_do(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert self.mine("--src-vectors", "src.npy", "--tgt-vectors", "tgt.npy") == 0, capfd.readouterr().err
        pairs = [tuple(line.split("\t")[1:]) for line in Path("pairs.tsv").read_text().splitlines()]
        assert set(pairs) == set(zip(SRC, TGT, strict=True))

    def test_vectors_that_embed_wrote_are_taken(self, encoder: Encoder, capfd: pytest.CaptureFixture[str]) -> None:
        Path("no-encoders").mkdir()
        Path("no-encoders/tiny").symlink_to(encoder.directory)
        for name, output in (("de", "src.npy"), ("hi", "tgt.npy")):
            assert run(["embed", name, "-o", output, "--encoder", "tiny", "--force"]) == 0
        Path("no-encoders/tiny").unlink()
        assert self.mine("--src-vectors", "src.npy", "--tgt-vectors", "tgt.npy") == 0, capfd.readouterr().err
        assert len(Path("pairs.tsv").read_text().splitlines()) == len(SRC)

    @pytest.mark.parametrize("side", ["src", "tgt"])
    def test_one_side_alone_is_refused(self, side: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert self.mine(f"--{side}-vectors", f"{side}.npy") == 2
        assert "give both --src-vectors and --tgt-vectors" in capfd.readouterr().err

    def test_vectors_of_the_other_file_are_refused(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert self.mine("--src-vectors", "tgt.npy", "--tgt-vectors", "src.npy") == 2
        assert "tgt.npy has 22 rows, and de has 24 lines" in capfd.readouterr().err
