"""The report of a run, kept up to date beside the work: who hands out tasks does not wait while it is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bitextmine.errors import BitextmineError
from bitextmine.matrix.page import write_page
from bitextmine.matrix.record import MatrixRecord, now, write_record

_SHARE = 10  # of many corpora reports are long: at most about a tenth of the time goes into them
_LEAST_SECONDS = 0.2  # from the end of a report to the next


class Reports:
    """Writes a record as JSON and as a page when the block begins, soon after each change, and when the block ends.

    A block that ends well has finished the run; after any other end the report says that the run was stopped.
    """

    def __init__(self, record: MatrixRecord, directory: Path, seconds: Callable[[], Mapping[str, float]]) -> None:
        """
        Args:
            record: changed in `changing` only, while the block runs.
            directory: where the files go.
            seconds: the record's `seconds`, asked for each report.
        """
        self._record, self._directory, self._seconds = record, directory, seconds
        self._lock = threading.Lock()
        self._news, self._over = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._keep_writing, name="matrix-report", daemon=True)

    def __enter__(self) -> Self:
        """
        Raises:
            DiskFullError: no room.
        """
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what came of it all.

        Raises:
            DiskFullError: no room; not raised where the block ended by an error.
        """
        self._over.set()
        self._news.set()
        self._thread.join()
        if error is None:
            self._record.finished = now()
            self._write()
            return
        self._record.stop()
        with suppress(BitextmineError, OSError):  # the error of the block is the one to tell
            self._write()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the record inside the block; a report follows.

        Raises:
            DiskFullError: there was no room for the last one.
        """
        if self._error is not None:
            raise self._error
        with self._lock:
            yield
        self._news.set()

    def _keep_writing(self) -> None:
        while True:
            self._news.wait()
            if self._over.is_set():
                return
            self._news.clear()
            began = time.monotonic()
            try:
                self._write()
            except Exception as error:  # noqa: BLE001 - raised where tasks are handed out
                self._error = error
                return
            self._over.wait(max(_LEAST_SECONDS, _SHARE * (time.monotonic() - began)))

    def _write(self) -> None:
        seconds = dict(self._seconds())
        with self._lock:
            self._record.seconds = seconds
            record = self._record.as_json()
        write_record(record, self._directory)
        write_page(record, self._directory)
