"""The pairs of a file, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator

from bitextmine.corpus.readers import Limits, read_blocks, read_chunks, split_lines
from bitextmine.pair_files.archive import entry_chunks, opened_archive, shown, two_texts
from bitextmine.pair_files.lines import read_jsonl, read_tsv
from bitextmine.pair_files.moses import read_moses
from bitextmine.pair_files.pairs import PairBlock, PairFile, PairFormat, printable
from bitextmine.pair_files.tmx import read_tmx


def read_pairs(file: PairFile, limits: Limits) -> Iterator[PairBlock]:
    """The file's pairs, some thousand at a time; what cannot be used is among the refused of its block.

    Raises:
        CorpusInputError: the file as a whole is unusable: `file-not-found`, `unsupported-input`, `truncated-input`,
            `corrupt-input`, `input-too-large`, `decompression-bomb`, `input-changed`, `unknown-columns`,
            `not-aligned`, `xml-entities`, `xml-malformed`, `empty-corpus`.
    """
    label, most, langs = file.label, limits.max_chars, (file.src_lang, file.tgt_lang)
    match file.format:
        case PairFormat.TSV:
            blocks = read_blocks(file.path, limits, name=label, sha256=file.sha256)
            yield from read_tsv(blocks, file.columns, label, most)
        case PairFormat.JSONL:
            yield from read_jsonl(read_blocks(file.path, limits, name=label, sha256=file.sha256), label, most)
        case PairFormat.TMX:
            chunks = read_chunks(file.path, limits, name=label, sha256=file.sha256, utf16=True)
            yield from read_tmx(chunks, langs, label, most)
        case PairFormat.MOSES if file.tgt_path is not None:
            names = label, printable(str(file.tgt_path))
            src = read_blocks(file.path, limits, name=names[0], sha256=file.sha256)
            tgt = read_blocks(file.tgt_path, limits, name=names[1], sha256=file.tgt_sha256)
            yield from read_moses(src, tgt, names, most)
        case PairFormat.MOSES:
            yield from _read_archive(file, limits)


def _read_archive(file: PairFile, limits: Limits) -> Iterator[PairBlock]:
    with opened_archive(file.path, file.label, file.sha256) as archive:
        entries = two_texts(archive, (file.src_lang, file.tgt_lang), file.label)
        src, tgt = (split_lines(entry_chunks(archive, entry, limits, file.label), limits) for entry in entries)
        yield from read_moses(src, tgt, (shown(entries[0]), shown(entries[1])), limits.max_chars)
