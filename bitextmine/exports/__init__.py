"""Bitexts as the files that people use: TSV, Moses, TMX, JSONL and Parquet; plain, .gz or .zst."""

from bitextmine.exports.chunks import export_chunks
from bitextmine.exports.files import export_to, write_chunks
from bitextmine.exports.rejected import check_rejected_export, rejected_chunks
from bitextmine.exports.streams import compressed
from bitextmine.exports.wanted import PLAIN_TSV, Compression, Export, ExportFormat, Side, export_named, file_name

__all__ = [
    "PLAIN_TSV",
    "Compression",
    "Export",
    "ExportFormat",
    "Side",
    "check_rejected_export",
    "compressed",
    "export_chunks",
    "export_named",
    "export_to",
    "file_name",
    "rejected_chunks",
    "write_chunks",
]
