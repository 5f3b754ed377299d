"""Every error that bitextmine raises on purpose.

    BitextmineError
      InputError            what was given is wrong; the command line exits with 2
        CorpusInputError      a corpus file as a whole: empty, truncated, too large, not what it says it is
        LanguageError         an unknown language code, or one that the encoder does not cover
        ParameterError        k, a threshold, a name, a combination of options
        NotFoundError         a corpus, job, bitext or encoder that is not there
        ConflictError         a name that is taken, an artifact in use
        EncoderError          an encoder that is not installed, does not match its record, or cannot be fetched
        MismatchError         vectors that do not belong to the text they are given with
      ArtifactError         an artifact on disk that is damaged
      DiskFullError         no room to write; nothing is half-written
      StoreUnavailableError Redis (or Valkey) does not answer
      ServiceError          what a service answered to bitextmine.client, or that it did not

Each error carries a stable `code` (kebab-case, documented in docs/errors.md). The service maps codes to HTTP
statuses in one table; messages name the file, line and reason and fit on one line.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class BitextmineError(Exception):
    """The root: `code` is stable and machine-readable, `str(error)` one line for people."""

    default_code = "internal-error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code


class InputError(BitextmineError):
    default_code = "invalid-input"


class CorpusInputError(InputError):
    default_code = "invalid-corpus"


class LanguageError(InputError):
    default_code = "unknown-language"


class ParameterError(InputError):
    default_code = "invalid-parameter"


class NotFoundError(InputError):
    default_code = "not-found"


class ConflictError(InputError):
    default_code = "conflict"


class EncoderError(InputError):
    default_code = "encoder-unusable"


class MismatchError(InputError):
    default_code = "vectors-mismatch"


class ArtifactError(BitextmineError):
    default_code = "artifact-damaged"


class DiskFullError(BitextmineError):
    default_code = "disk-full"


class StoreUnavailableError(BitextmineError):
    default_code = "store-unavailable"


class ServiceError(BitextmineError):
    """What a service answered to its client, or that it did not: `code` and the message are the service's own.

    `status` is the HTTP status, None where there was no answer or where a job failed; `retry_after` the seconds that
    the service asks to wait, where it does; `errors` what is wrong with the fields of a request, each with `where`
    and `message`.
    """

    default_code = "unexpected-answer"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(message, code=code)
        self.status, self.retry_after, self.errors = status, retry_after, tuple(errors)

    @property
    def is_refusal(self) -> bool:
        """Whether what was asked for is wrong, so that asking again would be in vain."""
        return self.status is not None and 400 <= self.status < 500 and self.status != 429


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: OSError) -> bool:
    """Whether the error says that the disk is full (pyarrow puts the number into the message only)."""
    return error.errno in _NO_SPACE or any(f"[errno {number}]" in str(error).lower() for number in _NO_SPACE)


@contextmanager
def disk_full_named(what: str) -> Iterator[None]:
    """Turn "no space left" inside the block into a DiskFullError that says what was being written.

    Raises:
        DiskFullError: when the block failed for want of space.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"no space left on the disk while writing {what}; nothing was published") from error
        raise
