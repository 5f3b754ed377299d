"""What is exported can be given back: the readers of bitexts that others made take every export."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.exports import Export, ExportFormat, Side, export_named, export_to
from bitextmine.pair_files import PairFormat, pair_format_of
from tests.unit.bitexts import with_texts
from tests.unit.pair_readers import read

PAIRS = [('Grüße, <Welt> & \\ "du"', "大小"), ("a\u2029b", "x\ty"), ("𝕏 \U0001fffe", "'quoted'")]
AS_LINES = [tuple(text.replace("\u2029", " ").replace("\t", " ") for text in pair) for pair in PAIRS]


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("ending", ["tsv", "tmx", "jsonl"])
def test_an_export_is_read_back(tmp_path: Path, ending: str, compression: str) -> None:
    path = tmp_path / f"pairs.{ending}{compression}"
    texts = PAIRS if ending == "tsv" else AS_LINES  # a sentence with breaks is none, to a reader that can see them
    export_to(path, with_texts(ArtifactStore(tmp_path / "artifacts"), *texts), export_named(path.name))
    found = read(path, pair_format_of(path))
    assert [(src, tgt) for _, src, tgt in found.pairs] == AS_LINES
    assert found.refused == []


def test_a_zip_of_moses_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "pairs.zip"
    export_to(path, with_texts(ArtifactStore(tmp_path / "artifacts"), *PAIRS), export_named(path.name))
    assert [(src, tgt) for _, src, tgt in read(path, PairFormat.MOSES).pairs] == AS_LINES
    swapped = read(path, PairFormat.MOSES, src_lang="eng_Latn", tgt_lang="deu_Latn")
    assert [(tgt, src) for _, src, tgt in swapped.pairs] == AS_LINES


def test_both_sides_of_moses_are_read_back(tmp_path: Path) -> None:
    bitext = with_texts(ArtifactStore(tmp_path / "artifacts"), *PAIRS)
    for side in Side:
        export_to(tmp_path / side, bitext, Export(form=ExportFormat.MOSES, side=side))
    found = read(tmp_path / "src", PairFormat.MOSES, tgt_path=tmp_path / "tgt")
    assert [(src, tgt) for _, src, tgt in found.pairs] == AS_LINES
