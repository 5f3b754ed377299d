"""Fetch a file over HTTP, going on where an earlier attempt broke off, even one of another process."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitextmine.errors import EncoderError, is_disk_full

_TIMEOUT_SECONDS = 15.0  # without an answer or a byte
_BLOCK = 1 << 20


def download(url: str, target: Path, report: Callable[[str], None]) -> None:
    """Fetch one file.

    What has arrived is kept in `<target>.part`, and gone on with only when the server says that the file is still the
    same (its ETag, or its date). A transfer that breaks off is taken up at once, while each attempt brings something.

    Args:
        url: https, or http.
        target: does not exist; its directory does.
        report: told, in one line each, what is going on.

    Raises:
        EncoderError: code encoder-download-failed: no answer within 15 seconds, an answer other than the file, or
            a transfer that broke off and could not be taken up. What has arrived stays.
        OSError: no room.
    """
    if not url.startswith(("https://", "http://")):
        raise _failed(url, "it is neither https nor http")
    part = target.with_name(f"{target.name}.part")
    report(f"fetching {url}")
    while True:
        before = _size(part)
        try:
            _transfer(url, part)
            break
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or before == 0:
                raise _failed(url, f"the server answers {error.code} {error.reason}") from error
            if error.headers.get("Content-Range", "").endswith(f"/{before}"):
                break  # all of it had arrived
            part.unlink()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and is_disk_full(error):
                raise
            if _size(part) <= before:
                raise _failed(url, _reason(error)) from error
            report(f"the transfer broke off after {_size(part):,} bytes ({_reason(error)}); going on")
    part.rename(target)
    _validator_file(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path) -> None:
    """One attempt. Appends to `part` when the server goes on from its end, and writes it anew otherwise.

    Raises:
        OSError, HTTPException: it broke off, could not begin, or there is no room.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "bitextmine"})  # noqa: S310 - the scheme was checked
    validator = _validator_file(part)
    have = _size(part)
    if have and validator.is_file():
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator.read_text())
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
        goes_on = response.status == http.client.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise http.client.HTTPException("the server sends another part than was asked for")
        if not goes_on:
            _remember(validator, response.headers)
        length = response.headers.get("Content-Length")
        arrived = 0
        with part.open("ab" if goes_on else "wb") as stream:
            while block := response.read1(_BLOCK):
                stream.write(block)
                arrived += len(block)
    if length is not None and arrived < int(length):
        raise ConnectionError(f"{int(length) - arrived:,} bytes are missing")


def _remember(validator: Path, headers: Any) -> None:
    """Keep what tells whether the file on the server is still this one; without it, nothing can be gone on with."""
    etag = headers.get("ETag", "")
    mark = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    if mark:
        validator.write_text(mark)
    else:
        validator.unlink(missing_ok=True)


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError):
        return f"no answer within {_TIMEOUT_SECONDS:.0f} seconds"
    return str(inner).strip().partition("\n")[0] or type(error).__name__


def _failed(url: str, reason: str) -> EncoderError:
    return EncoderError(f"{url} could not be fetched: {reason}", code="encoder-download-failed")
