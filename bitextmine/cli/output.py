"""Where pairs go: a file whose name tells how they are written, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bitextmine.bitext import Bitext
from bitextmine.errors import ParameterError, disk_full_named
from bitextmine.exports import PLAIN_TSV, Export, ExportFormat, export_chunks, export_named, export_to
from bitextmine.exports.files import write_chunks

STDOUT = Path("-")
OUTPUT_HELP = (
    "Where the pairs go: .tsv (margin, src, tgt), .jsonl, .tmx, .parquet, each also .gz or .zst, or .zip (Moses); - is "
    "stdout."
)
FORMAT_DEFAULT = "by the output's name, tsv on stdout"


def planned_export(output: Path, form: ExportFormat | None, wanted: Export = PLAIN_TSV) -> Export:
    """What is to be written there, as far as `wanted` leaves it to the name; refused before the work if it cannot be.

    Raises:
        ParameterError: `output-not-writable`, `invalid-export`.
    """
    if output == STDOUT:
        export = replace(wanted, form=form or wanted.form)
        if not export.is_text and sys.stdout.isatty():
            raise ParameterError(f"{export.form} is no text: not written to a terminal", code="output-not-writable")
        return export
    if output.is_dir() or not output.parent.is_dir():
        reason = "it is a directory" if output.is_dir() else f"there is no directory {output.parent}"
        raise ParameterError(f"cannot write {output}: {reason}", code="output-not-writable")
    return export_named(str(output), wanted, form=form)


def write_export(output: Path, bitext: Bitext, wanted: Export) -> None:
    """Write an export to a file, whole or not at all, or to standard output.

    Raises:
        ArtifactError: the bitext is damaged.
        BrokenPipeError: whoever read the output has gone.
        DiskFullError: the disk is full.
        ParameterError: `output-not-writable`.
    """
    if output != STDOUT:
        export_to(output, bitext, wanted)
        return
    bitext.check()
    _to_stdout(export_chunks(bitext, wanted))


def write_pieces(output: Path, pieces: Iterator[bytes]) -> None:
    """Write a file of these pieces, whole or not at all, or write them to standard output.

    Raises:
        BrokenPipeError, DiskFullError, ParameterError: see `write_export`.
    """
    if output != STDOUT:
        write_chunks(output, pieces)
    else:
        _to_stdout(pieces)


def _to_stdout(pieces: Iterator[bytes]) -> None:
    with disk_full_named("standard output"):
        sys.stdout.flush()
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
