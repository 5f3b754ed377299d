"""The data directory: where artifacts, encoders, names and uploads lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from bitextmine.artifacts import ArtifactStore
from bitextmine.tenants import DEFAULT_TENANT, check_tenant, is_tenant

DATA_DIR_VARIABLE = "BITEXTMINE_DATA_DIR"
ENCODERS_DIR_VARIABLE = "BITEXTMINE_ENCODERS_DIR"
_TENANTS = "tenants"


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
    """One tenant's data. Everything that matters is in `artifacts` and `corpora`; the rest can be made again.

    The data directory itself is the default tenant's; others have a directory each below it, laid out the same way.
    They share no files but the encoders: what one has stored decides nothing of what another sees, not even how fast.
    """

    root: Path
    encoders: Path
    tenant: str = DEFAULT_TENANT

    @classmethod
    def at(cls, root: Path | None = None, encoders: Path | None = None) -> Workspace:
        return cls(root or default_data_dir(), encoders or default_encoders_dir())

    def of_tenant(self, tenant: str) -> Workspace:
        """The workspace of one of the tenants of this data directory.

        Raises:
            ParameterError: `invalid-name`: the tenant's name cannot be one; it becomes part of a path.
        """
        base = self.data_dir
        if check_tenant(tenant) == DEFAULT_TENANT:
            return Workspace(base, self.encoders)
        return Workspace(base / _TENANTS / tenant, self.encoders, tenant)

    def of_all_tenants(self) -> list[Workspace]:
        """The workspaces that there are, the default one first."""
        directory = self.data_dir / _TENANTS
        names = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
        others = [name for name in names if is_tenant(name) and name != DEFAULT_TENANT]
        return [self.of_tenant(name) for name in (DEFAULT_TENANT, *others)]

    @property
    def data_dir(self) -> Path:
        """The directory that all tenants are in: calibration, keys and the queue belong to all of them."""
        return self.root if self.tenant == DEFAULT_TENANT else self.root.parent.parent

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.root / "artifacts")

    @property
    def corpora(self) -> Path:
        """One small JSON file a named corpus."""
        return self.root / "corpora"

    @property
    def keys(self) -> Path:
        """One small JSON file a key, of all tenants."""
        return self.data_dir / "keys"

    @property
    def matrices(self) -> Path:
        """A directory for each matrix run: its report and its stage log."""
        return self.root / "matrices"

    @property
    def judgements(self) -> Path:
        """One small JSON file a bitext that people have judged pairs of."""
        return self.root / "judgements"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"
