"""An export takes the same memory whatever the bitext's size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bitextmine.exports import ExportFormat

SMALL, LARGE = 30_000, 300_000
SENTENCE_BYTES = 180
GROWTH = 32  # MiB that a process may grow by while it exports ten times as much; both sides are 100 MiB
_EXPORTING = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import KIND, PAIRS, SCHEMA, Bitext, MarginRange
from bitextmine.exports import Export, ExportFormat, export_chunks
from bitextmine.pairs_file import pairs_writer

def bitext(rows):
    key = ArtifactKey(KIND, {"src_lang": "deu_Latn", "tgt_lang": "eng_Latn", "rows": rows}, {})
    with store.publish(key) as staging:
        with pa.OSFile(str(staging.path / PAIRS), "wb") as sink, pairs_writer(sink) as writer:
            for start in range(0, rows, 10_000):
                writer.write_table(part(start))
        staging.summary["pairs"] = rows
    return Bitext(store.find(key))

def part(start):
    numbers = range(start, start + 10_000)
    texts = pa.array([str(n).zfill(size) for n in numbers])
    columns = {field.name: pa.array([1] * 10_000).cast(field.type) for field in SCHEMA}
    columns |= {"src": texts, "tgt": texts, "margin": pa.array([-float(n) for n in numbers])}
    return pa.table([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)

def mebibytes(rows, form):
    wanted = Export(form=form, margins=MarginRange(None, -1))
    written = sum(map(len, export_chunks(bitexts[rows], wanted)))
    return written >> 20, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

store, form = ArtifactStore(Path(sys.argv[1])), ExportFormat(sys.argv[2])
small, large, size = map(int, sys.argv[3:])
bitexts = {rows: bitext(rows) for rows in (small, large)}
print(*mebibytes(small, form), *mebibytes(large, form))
"""


@pytest.mark.parametrize("form", ExportFormat)
def test_memory_does_not_grow_with_the_bitext(tmp_path: Path, form: ExportFormat) -> None:
    numbers = map(str, (SMALL, LARGE, SENTENCE_BYTES))
    command = [sys.executable, "-c", _EXPORTING, str(tmp_path), form.value, *numbers]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    small_written, small_peak, large_written, large_peak = map(int, output.split())
    assert large_written >= 8 * small_written
    assert large_peak - small_peak < GROWTH
