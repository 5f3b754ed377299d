"""Make an encoder of a model on the hub or in a directory, or copy one that was made elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from bitextmine.encoders.card import EncoderCard, TokenizerKind, hash_files
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.export import Exported, ExportRequest, check_export_installed, export_model
from bitextmine.encoders.hub import Snapshot, fetch_model, local_snapshot
from bitextmine.encoders.presets import HubSource
from bitextmine.encoders.wanted import DirectorySource, Wanted, is_encoder
from bitextmine.errors import ParameterError

_LICENCE = re.compile(r"^licen[cs]e:[ \t]*['\"]?([A-Za-z0-9][A-Za-z0-9.+-]*)", re.MULTILINE)
_NOT_STATED = "not stated; see where the model comes from"


def install_model(
    wanted: Wanted, source: HubSource | DirectorySource, directory: Path, report: Callable[[str], None]
) -> EncoderCard:
    """Write the graph and the tokenizer into an empty directory; the card that goes with them.

    Raises:
        EncoderError: as `fetch_model` and `export_model`, or the encoder to be copied is damaged.
        NotFoundError: the hub has no such model (code encoder-unknown).
        ParameterError: an option that does not belong to a copy.
    """
    if isinstance(source, DirectorySource) and is_encoder(source.path):
        return _copy(wanted, source.path, directory, report)
    check_export_installed()  # before gigabytes are fetched
    snapshot = _files(wanted, source, report)
    known = wanted.preset
    request = ExportRequest(
        wanted.name,
        prefix=known.prefix if known else wanted.options.prefix,
        pooling=source.pooling if isinstance(source, HubSource) else wanted.options.pooling,
        dims=known.dims if known else None,
    )
    exported = export_model(snapshot.path, directory, request, report=report)
    return _card(wanted, _origin(source, snapshot), exported, directory, _stated_licence(snapshot.path))


def _files(wanted: Wanted, source: HubSource | DirectorySource, report: Callable[[str], None]) -> Snapshot:
    if isinstance(source, DirectorySource):
        return local_snapshot(source.path)
    if (local := wanted.options.local) is None:
        return fetch_model(wanted.name, source, offline=wanted.options.offline, report=report)
    return local_snapshot(local)


def _origin(source: HubSource | DirectorySource, snapshot: Snapshot) -> str:
    """Where it came from, in words."""
    if isinstance(source, DirectorySource):
        return f"the directory {source.path.resolve()}, exported"
    if snapshot.commit:
        return f"{source.repository} on the Hugging Face hub, commit {snapshot.commit}, exported"
    return f"{source.repository} on the Hugging Face hub, from a local copy, exported"


def _card(wanted: Wanted, origin: str, exported: Exported, directory: Path, licence: str) -> EncoderCard:
    known = wanted.preset
    return EncoderCard(
        name=wanted.name,
        dims=exported.dims,
        languages=known.languages if known else (),
        prefix=exported.prefix,
        max_tokens=exported.max_tokens,
        pooling=exported.pooling,
        tokenizer=TokenizerKind.HUGGINGFACE,
        licence=known.licence if known else licence,
        citation=known.citation if known else "",
        source=origin,
        files=hash_files(directory),
        matryoshka=known.matryoshka if known else (),
        parity=exported.parity,
    )


def _copy(wanted: Wanted, source: Path, directory: Path, report: Callable[[str], None]) -> EncoderCard:
    if wanted.options.prefix is not None or wanted.options.pooling is not None:
        raise ParameterError(f"{source} is an encoder already: its prefix and its pooling are settled")
    encoder = Encoder.open(source)
    encoder.check()
    report(f"copying the encoder in {source}")
    for name in encoder.card.files:
        shutil.copyfile(source / name, directory / name)
    return encoder.card.model_copy(update={"name": wanted.name, "files": hash_files(directory)})


def _stated_licence(directory: Path) -> str:
    """What the model's page says at its top."""
    page = directory / "README.md"
    if not page.is_file():
        return _NOT_STATED
    parts = page.read_text(encoding="utf-8", errors="replace").split("---\n", maxsplit=2)
    top = parts[1] if len(parts) == 3 and not parts[0].strip() else ""
    found = _LICENCE.search(top)
    return found.group(1) if found else _NOT_STATED
