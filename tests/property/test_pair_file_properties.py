"""What is written by an export is read again as it was, and bytes of no sense never surprise a reader."""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Limits
from bitextmine.corpus.cleaning import RefusedLineError, clean_text
from bitextmine.errors import CorpusInputError
from bitextmine.exports import export_named, export_to
from bitextmine.pair_files import PairFile, PairFormat, pair_format_of, read_pairs
from tests.unit.bitexts import with_texts

DEU, ENG = "deu_Latn", "eng_Latn"
LIMITS = Limits(max_chars=200, max_bytes=1 << 20)
_NOT_IN_XML = str.maketrans("\ufffe\uffff", "\ufffd\ufffd")


def _usable(text: str) -> bool:
    try:
        return clean_text(text, 100) == text
    except RefusedLineError:
        return False


tricky = st.sampled_from(
    ["<b>&amp;</b>", '"a" \\t', "src", "tgt", "]]>", "1.5", "&lt;", "﷽", "e\u0301é", "{}", "  a  b"]
)
sentences = (st.text(min_size=1, max_size=40) | tricky).filter(_usable)


def found_in(path: Path) -> tuple[list[tuple[str, str]], int]:
    pairs: list[tuple[str, str]] = []
    refused = 0
    for block in read_pairs(PairFile(path, DEU, ENG, pair_format_of(path)), LIMITS):
        pairs += zip(block.src.texts, block.tgt.texts, strict=True)
        refused += len(block.refused)
    return pairs, refused


@pytest.mark.parametrize(
    "name", ["pairs.tsv", "pairs.jsonl", "pairs.tmx", "pairs.zip", "pairs.tsv.gz", "pairs.tmx.zst"]
)
@settings(deadline=None, max_examples=60)
@given(pairs=st.lists(st.tuples(sentences, sentences), min_size=1, max_size=8))
def test_what_is_exported_is_read_as_it_was(name: str, pairs: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        export_to(path, with_texts(ArtifactStore(Path(folder) / "artifacts"), *pairs), export_named(name))
        written = [(src.translate(_NOT_IN_XML), tgt.translate(_NOT_IN_XML)) for src, tgt in pairs]
        assert found_in(path) == (written if "tmx" in name else pairs, 0)


junk = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass"))
_XML = (
    b'<tmx> <body> <tu> <tuv@xml:lang="de"> <tuv@xml:lang="en"> <seg> Haus </seg> </tuv> </tu> </body> </tmx> '
    b'<ph> </ph> <!DOCTYPE@tmx@[ <!ENTITY@a@"b"> ]> &a; &#10; <![CDATA[ ]]> <!-- --> <?xml@version="1.0"?>'
)
_LINES = b'{"src":@ "a",@ "tgt":@"b"} [ \x1f\x8b \xef\xbb\xbf 1.5\t a\tb\n \n \r\n \t \x00 \xff'
_PARTS = [part.replace(b"@", b" ") for part in (_XML + b" " + _LINES).split(b" ")]
pieces = st.lists(st.sampled_from(_PARTS), max_size=30).map(b"".join)


@pytest.mark.parametrize("form", list(PairFormat))
@settings(deadline=None, max_examples=200)
@given(content=junk | pieces)
def test_any_bytes_are_read_or_refused(form: PairFormat, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given"
        path.write_bytes(content)
        with suppress(CorpusInputError):
            for block in read_pairs(PairFile(path, DEU, ENG, form), LIMITS):
                assert len(block.src.texts) == len(block.tgt.texts) == len(block.src.lines)
                assert block.lines == len(block) + len(block.refused)
                assert all(map(_usable_here, block.src.texts + block.tgt.texts))


def _usable_here(text: str) -> bool:
    return clean_text(text, LIMITS.max_chars) == text


@settings(deadline=None, max_examples=100)
@given(
    content=st.lists(junk, min_size=2, max_size=2),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
)
def test_damaged_archives_are_read_or_refused(content: list[bytes], damage: list[tuple[float, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.de", content[0])
            archive.writestr("a.en", content[1])
        spoilt = bytearray(path.read_bytes())
        for place, value in damage:
            spoilt[int(place * len(spoilt))] = value
        path.write_bytes(spoilt)
        with suppress(CorpusInputError):
            list(read_pairs(PairFile(path, DEU, ENG, PairFormat.MOSES), LIMITS))
