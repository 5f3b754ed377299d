"""A bitext as Parquet: the file itself, or the pairs of some margins in a file of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pyarrow as pa

from bitextmine.bitext import ROW_GROUP, Bitext, PairsReader
from bitextmine.exports.streams import Outbox
from bitextmine.pairs_file import damage_named, damaged, pairs_writer

_CHUNK_BYTES = 1 << 20


def stored_file(bitext: Bitext) -> Iterator[bytes]:
    """The bitext's own file. Its last bytes come only when all are what was published.

    Raises:
        ArtifactError: the file is damaged.
        NotFoundError: `bitext-not-found`, it was deleted meanwhile.
    """
    digest, held = hashlib.sha256(), b""
    with damage_named(bitext.path), bitext.path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            if held:
                yield held
            held = chunk
    if digest.hexdigest() != bitext.sha256:
        raise damaged(bitext.path, "it is not the file that was published")
    yield held


def rewritten(reader: PairsReader, positions: range) -> Iterator[bytes]:
    """A Parquet file of the pairs at these positions; a row group of them is held in memory."""
    outbox = Outbox()
    with pairs_writer(outbox) as writer:
        for rows in _row_groups(reader, positions):
            writer.write_table(rows, row_group_size=ROW_GROUP)
            yield outbox.take()
    yield outbox.take()


def _row_groups(reader: PairsReader, positions: range) -> Iterator[pa.Table]:
    for start in range(positions.start, positions.stop, ROW_GROUP):
        part = range(start, min(start + ROW_GROUP, positions.stop))
        yield pa.Table.from_batches(list(reader.batches(part)))
