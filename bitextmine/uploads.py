"""The files in a workspace's directory of uploads: those that came whole, `<id>`, and those that come in pieces.

The latter have `<id>.json` too, and now and then `<id>.unchecked`: see `resumable`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

MAX_AGE_SECONDS = 86_400.0  # since the last byte came, or the last job that used them failed
ID_PATTERN = "[0-9a-f]{32}"
INFO, UNCHECKED = ".json", ".unchecked"


def is_resumable(directory: Path, name: str) -> bool:
    """Whether the upload came, or comes, in pieces."""
    return (directory / f"{name}{INFO}").exists()


def discard(directory: Path, name: str) -> None:
    """Remove an upload that no job will read, whatever is left of it."""
    for suffix in ("", UNCHECKED, INFO):
        (directory / f"{name}{suffix}").unlink(missing_ok=True)


def release(directory: Path, name: str) -> None:
    """What becomes of an upload whose job was cancelled: one that came in pieces can be used by another job."""
    if is_resumable(directory, name):
        keep(directory, name)
    else:
        discard(directory, name)


def keep(directory: Path, name: str) -> None:
    """Count the upload's age from now on: a job that read it failed, and may be tried again."""
    with suppress(FileNotFoundError):
        os.utime(directory / name)


def sweep(
    directory: Path, needed: Collection[str], complain: Callable[[OSError], None], max_age_seconds: float
) -> None:
    """Delete the uploads that have expired and that no job needs; `complain` of what cannot be deleted."""
    for file in directory.iterdir() if directory.is_dir() else ():
        name = file.name.partition(".")[0] if file.suffix in {INFO, UNCHECKED} else file.name
        try:
            if name not in needed and _age(file.with_name(name), file) > max_age_seconds:
                _discard_unlocked(directory, name, file)
        except (FileNotFoundError, BlockingIOError):
            continue  # gone meanwhile, or at work
        except OSError as error:  # what is no upload
            complain(error)


def _age(*files: Path) -> float:
    """Seconds since the last change of one of the files; of those that there are."""
    changed = [0.0]
    for file in files:
        with suppress(FileNotFoundError):
            changed.append(file.lstat().st_mtime)
    return time.time() - max(changed)


def _discard_unlocked(directory: Path, name: str, file: Path) -> None:
    if not file.with_name(name).is_file():
        file.unlink(missing_ok=True)
        return
    with file.with_name(name).open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        discard(directory, name)
