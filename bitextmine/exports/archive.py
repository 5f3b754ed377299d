"""A bitext as Moses has it: a file a side, named as OPUS names them, in a zip that is written as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from bitextmine.bitext import Bitext, PairsReader
from bitextmine.exports.lines import side_lines
from bitextmine.exports.streams import Outbox
from bitextmine.exports.wanted import Side, language_pair, side_names

_EPOCH = (1980, 1, 1, 0, 0, 0)  # where a zip's time begins: the same pairs are the same bytes
_READABLE = 0o644 << 16


def moses_side(reader: PairsReader, positions: range, side: Side) -> Iterator[bytes]:
    """One side of the pairs at these positions, a sentence a line."""
    for batch in reader.batches(positions, (side.value,)):
        yield side_lines(batch[side.value])


def moses_zip(bitext: Bitext, reader: PairsReader, positions: range) -> Iterator[bytes]:
    """A zip of both sides: deu_Latn-eng_Latn.deu_Latn and deu_Latn-eng_Latn.eng_Latn. Each is read by itself."""
    outbox = Outbox()
    with ZipFile(outbox, "w") as archive:  # not sought in
        for side, name in zip(Side, side_names(bitext), strict=True):
            info = ZipInfo(f"{language_pair(bitext)}.{name}", _EPOCH)
            info.compress_type = ZIP_DEFLATED
            info.external_attr = _READABLE
            with archive.open(info, "w", force_zip64=True) as member:  # how long it gets is not known before
                for lines in moses_side(reader, positions, side):
                    member.write(lines)
                    if taken := outbox.take():
                        yield taken
    yield outbox.take()
