from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitextmine.encoders import download as download_module
from bitextmine.encoders.download import download
from bitextmine.errors import EncoderError
from tests.file_server import FileServer, file_server

CONTENT = bytes(range(256)) * 4000  # a megabyte


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with file_server() as served:
        served.files["a.pt"] = CONTENT
        yield served


def fetch(server: FileServer, directory: Path, name: str = "a.pt") -> list[str]:
    reports: list[str] = []
    download(f"{server.url}/{name}", directory / name, reports.append)
    return reports


def test_a_file_is_fetched_and_nothing_is_left_beside_it(server: FileServer, tmp_path: Path) -> None:
    reports = fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    assert reports == [f"fetching {server.url}/a.pt"]


def test_an_empty_file_is_a_file(server: FileServer, tmp_path: Path) -> None:
    server.files["a.pt"] = b""
    fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == b""


def test_a_transfer_that_breaks_off_goes_on_where_it_was(server: FileServer, tmp_path: Path) -> None:
    server.break_after, server.breaks = 300_000, 3
    reports = fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, *(f"bytes={n}00000-" for n in (3, 6, 9))]
    assert len(reports) == 4
    assert "after 300,000 bytes" in reports[1]


def test_another_process_goes_on_too(server: FileServer, tmp_path: Path) -> None:
    server.break_after, server.breaks = 300_000, 1
    server.files["a.pt"] = CONTENT
    with pytest.raises(KeyboardInterrupt):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", interrupted_at("broke off"))
    assert (tmp_path / "a.pt.part").stat().st_size == 300_000
    fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=300000-"


def interrupted_at(words: str) -> Any:
    def report(line: str) -> None:
        if words in line:
            raise KeyboardInterrupt

    return report


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    server.break_after, server.breaks = 300_000, 1
    with pytest.raises(KeyboardInterrupt):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", interrupted_at("broke off"))
    server.files["a.pt"] = CONTENT[::-1]
    fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("lacking", ["etags", "ranges"])
def test_a_server_that_cannot_resume_is_asked_for_all_of_it(server: FileServer, tmp_path: Path, lacking: str) -> None:
    setattr(server, lacking, False)
    server.break_after, server.breaks = 300_000, 1
    fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT


def test_what_had_arrived_in_full_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    server.break_after, server.breaks = 300_000, 1
    with pytest.raises(KeyboardInterrupt):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", interrupted_at("broke off"))
    (tmp_path / "a.pt.part").write_bytes(CONTENT)  # as when the process died before it renamed the file
    fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT
    (tmp_path / "a.pt").unlink()
    (tmp_path / "a.pt.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.pt.part.validator").write_text("nothing the server knows")
    fetch(server, tmp_path)
    assert (tmp_path / "a.pt").read_bytes() == CONTENT


def test_a_server_that_sends_nothing_more_ends_it(server: FileServer, tmp_path: Path) -> None:
    server.break_after, server.breaks = 0, 100
    with pytest.raises(EncoderError, match="bytes are missing") as caught:
        fetch(server, tmp_path)
    assert caught.value.code == "encoder-download-failed"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [403, 404, 500, 416])
def test_an_answer_other_than_the_file_is_told(server: FileServer, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(EncoderError, match=f"the server answers {status}") as caught:
        fetch(server, tmp_path)
    assert caught.value.code == "encoder-download-failed"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up_within_seconds(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert download_module._TIMEOUT_SECONDS <= 30
    monkeypatch.setattr(download_module, "_TIMEOUT_SECONDS", 0.3)
    server.stall_seconds = 1.0
    started = time.monotonic()
    with pytest.raises(EncoderError, match="no answer within"):
        fetch(server, tmp_path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.pt", "http://no-such-host.invalid/a.pt"])
def test_an_unreachable_host_is_given_up_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    started = time.monotonic()
    with pytest.raises(EncoderError, match="could not be fetched") as caught:
        download(url, tmp_path / "a.pt", print)
    assert time.monotonic() - started < 20
    assert caught.value.code == "encoder-download-failed"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "a.pt"])
def test_only_http_is_spoken(tmp_path: Path, url: str) -> None:
    with pytest.raises(EncoderError, match="neither https nor http"):
        download(url, tmp_path / "a.pt", print)


def test_a_full_disk_is_not_taken_for_a_broken_transfer(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(url: str, part: Path) -> None:
        part.write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download_module, "_transfer", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(server, tmp_path)
