"""Keys on the disk: a small file each, which all APIs of a data directory read. None is lost with Redis."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from bitextmine.errors import ArtifactError, NotFoundError
from bitextmine.files import fsync, locked, write_atomically
from bitextmine.keys.record import ID_PATTERN, Grant, KeyRecord, SecretRecord, Token

_PRIVATE = 0o700
_ID = re.compile(ID_PATTERN)


class KeyStore:
    """The keys in one directory (mode 0700, files 0600). Changes are made one at a time, whoever makes them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self, grant: Grant) -> Token:
        """A new key; its token is not kept anywhere.

        Raises:
            DiskFullError: there is no room; nothing was made.
        """
        self._directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        if self._directory.stat().st_mode & 0o777 != _PRIVATE:
            self._directory.chmod(_PRIVATE)
        token = Token.new(secrets.token_hex(6))
        now = datetime.now(UTC)
        kept = (SecretRecord(sha256=token.digest),)
        self._write(KeyRecord(**dict(grant), id=token.key_id, created=now, secrets=kept), replace=False)
        return token

    def read(self, key_id: str) -> KeyRecord | None:
        """None where there is no such key.

        Raises:
            ArtifactError: `key-damaged`: its file cannot be read, or does not hold its record.
        """
        path = self._path(key_id)
        try:
            record = KeyRecord.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError as error:
            raise _damaged(path, error.errors(include_input=False, include_url=False)[0]["msg"]) from None
        except OSError as error:
            raise _damaged(path, str(error.strerror)) from error
        if record.id != key_id:
            raise _damaged(path, f"it is the record of {record.id}")
        return record

    def ids(self) -> list[str]:
        """The ids of all keys, damaged ones too."""
        names = (path.stem for path in self._directory.glob("*.json")) if self._directory.is_dir() else iter(())
        return sorted(name for name in names if _ID.fullmatch(name))

    def rotate(self, key_id: str, grace: timedelta | None = None) -> Token:
        """A new token for a key; the one so far is accepted for `grace` more, or no longer. Older ones never are.

        Raises:
            NotFoundError: `key-not-found`.
            ArtifactError: `key-damaged`.
        """
        now = datetime.now(UTC)
        token = Token.new(key_id)

        def change() -> None:
            if (record := self.read(key_id)) is None:
                raise _not_found(key_id)
            fresh: tuple[SecretRecord, ...] = (SecretRecord(sha256=token.digest),)
            if grace is not None:
                fresh += (record.secrets[0].model_copy(update={"until": now + grace}),)
            self._write(record.model_copy(update={"secrets": fresh}), replace=True)

        self._alone(key_id, change)
        return token

    def revoke(self, key_id: str) -> None:
        """Forget a key, were its file damaged. What was made with it stays its tenant's.

        Raises:
            NotFoundError: `key-not-found`.
        """

        def change() -> None:
            try:
                self._path(key_id).unlink()
            except FileNotFoundError:
                raise _not_found(key_id) from None
            fsync(self._directory)

        self._alone(key_id, change)

    def _alone(self, key_id: str, change: Callable[[], None]) -> None:
        """Make a change while nobody else makes one: a key revoked must not come back by being rotated."""
        if not (_ID.fullmatch(key_id) and self._directory.is_dir()):
            raise _not_found(key_id)
        with locked(self._directory, wait=True):
            change()

    def _write(self, record: KeyRecord, *, replace: bool) -> None:
        write_atomically(self._path(record.id), record.model_dump_json(indent=1).encode(), replace=replace)

    def _path(self, key_id: str) -> Path:
        return self._directory / f"{key_id}.json"


def _not_found(key_id: str) -> NotFoundError:
    return NotFoundError(f"there is no key {key_id[:80]!r}; bitextmine keys list shows them", code="key-not-found")


def _damaged(path: Path, why: str) -> ArtifactError:
    message = f"the key file {path} cannot be used: {why}; revoke the key and make another"
    return ArtifactError(message, code="key-damaged")
