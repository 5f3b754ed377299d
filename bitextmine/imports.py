"""Files of the server that may become corpora: those below directories that its operator lists, and no others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from bitextmine.errors import BitextmineError, CorpusInputError

IMPORT_DIRS_VARIABLE = "BITEXTMINE_IMPORT_DIRS"


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A regular file below an allowed directory; both paths without links. `state` changes when the file does."""

    path: Path
    root: Path
    state: str


def import_dirs(text: str) -> tuple[Path, ...]:
    """The directories of a list with os.pathsep in between; empty where there are none."""
    return tuple(Path(name) for name in text.split(os.pathsep) if name.strip())


def find_import(path: str, roots: Sequence[Path]) -> ImportedFile:
    """The file that a path names: an absolute one, or one below an allowed directory, the first that has it.

    What a path outside of the directories names is not looked at, so that nobody learns what there is.

    Raises:
        BitextmineError: `imports-off`: there are no such directories; `import-refused`: the path leads out of them.
        CorpusInputError: `file-not-found`: there is no such file, or it is no regular one, or cannot be read.
    """
    if not roots:
        raise BitextmineError("this service imports no files; its operator can allow it", code="imports-off")
    if "\0" in path:
        raise _refused(path)
    inside = [found for root in roots if (found := _inside(path, root)) is not None]
    if not inside:
        raise _refused(path)
    there = [(real, root) for real, root in inside if os.path.lexists(real)]
    return _opened(path, *(there or inside)[0])


def check_import(path: Path, root: Path, state: str) -> Path:
    """The path of a file that was found before, unless something has changed.

    Raises:
        BitextmineError: `import-refused`: it leads out of the directory now.
        CorpusInputError: `file-not-found`; `input-changed`.
    """
    found = _inside(str(path), root)
    if found is None or found != (path, root):
        raise _refused(path.name)
    if _opened(path.name, *found).state != state:
        message = f"{path.name} was changed since it was asked for; ask again when nothing writes to it"
        raise CorpusInputError(message, code="input-changed")
    return path


def _inside(path: str, root: Path) -> tuple[Path, Path] | None:
    """The path with all links followed, and so the directory; None where the one is not below the other."""
    if ".." in Path(path).parts:
        return None
    real_root = Path(os.path.realpath(root))
    real = Path(os.path.realpath(root / path))
    return (real, real_root) if real.is_relative_to(real_root) and real != real_root else None


def _opened(name: str, real: Path, root: Path) -> ImportedFile:
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CorpusInputError(f"cannot read {name[:200]!r}: {error.strerror}", code="file-not-found") from error
    if not S_ISREG(status.st_mode):
        raise CorpusInputError(f"cannot read {name[:200]!r}: it is no regular file", code="file-not-found")
    return ImportedFile(real, root, f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}")


def _refused(path: str) -> BitextmineError:
    message = f"{path[:200]!r} is not below a directory that files may be imported from"
    return BitextmineError(message, code="import-refused")
