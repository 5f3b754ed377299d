"""The data directory: where artifacts, encoders, names and uploads lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from bitextmine.artifacts import ArtifactStore

DATA_DIR_VARIABLE = "BITEXTMINE_DATA_DIR"
ENCODERS_DIR_VARIABLE = "BITEXTMINE_ENCODERS_DIR"


def default_data_dir() -> Path:
    """`$BITEXTMINE_DATA_DIR`, or the platform's place for a user's data (`~/.local/share/bitextmine`)."""
    given = os.environ.get(DATA_DIR_VARIABLE)
    return Path(given) if given else user_data_path("bitextmine")


def default_encoders_dir() -> Path:
    """`$BITEXTMINE_ENCODERS_DIR`, or `encoders` in the platform's place for a user's data.

    Wherever the data directory is: encoders are shared by all of them.
    """
    given = os.environ.get(ENCODERS_DIR_VARIABLE)
    return Path(given) if given else user_data_path("bitextmine") / "encoders"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One data directory. Everything that matters is in `artifacts` and `corpora`; the rest can be made again."""

    root: Path
    encoders: Path

    @classmethod
    def at(cls, root: Path | None = None, encoders: Path | None = None) -> Workspace:
        return cls(root or default_data_dir(), encoders or default_encoders_dir())

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.root / "artifacts")

    @property
    def corpora(self) -> Path:
        """One small JSON file a named corpus."""
        return self.root / "corpora"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"
