"""Uploads in pieces: the offset is what is on the disk, one writer at a time, and nothing that a checksum forbids."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextmine.errors import BitextmineError, ConflictError, CorpusInputError, DiskFullError, NotFoundError
from bitextmine.resumable import Checksum, Uploads, parse_metadata
from bitextmine.uploads import discard, is_resumable, keep, release, sweep

TEXT = b"0123456789"


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads")


def begun(uploads: Uploads, length: int = len(TEXT), metadata: str = "", most: int = 10) -> str:
    return uploads.create(length, metadata, most).id


def sent(uploads: Uploads, upload: str, offset: int, piece: bytes, checksum: Checksum | None = None) -> bool:
    writing = uploads.append(upload, offset, checksum)
    try:
        writing.write(piece)
        whole = True
    except BaseException:
        writing.close(whole=False)
        raise
    return writing.close(whole=whole)


def checksum_of(piece: bytes) -> Checksum:
    return Checksum(hashlib.sha1(usedforsecurity=False), hashlib.sha1(piece, usedforsecurity=False).digest())


def offset_of(uploads: Uploads, upload: str) -> int:
    return Uploads(uploads.directory).get(upload).offset


def files(uploads: Uploads) -> list[str]:
    return sorted(path.name for path in uploads.directory.iterdir())


def code(raised: Callable[[], object]) -> str:
    with pytest.raises(BitextmineError) as error:
        raised()
    assert "\n" not in str(error.value)
    return error.value.code


@settings(max_examples=50, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 10), max_size=5).map(sorted), checked=st.lists(st.booleans(), min_size=6, max_size=6)
)
def test_pieces_of_any_size_make_the_file(tmp_path_factory, cuts: list[int], checked: list[bool]) -> None:
    uploads = Uploads(tmp_path_factory.mktemp("pieces"))
    upload = begun(uploads)
    for (start, stop), check in zip(zip([0, *cuts], [*cuts, 10], strict=True), checked, strict=False):
        piece = TEXT[start:stop]
        assert offset_of(uploads, upload) == start
        assert sent(uploads, upload, start, piece, checksum_of(piece) if check else None)
    assert uploads.get(upload).complete
    assert (uploads.directory / upload).read_bytes() == TEXT
    assert files(uploads) == [upload, f"{upload}.json"]


@pytest.mark.parametrize("offset", [0, 3, 5, 11])
def test_a_piece_that_begins_elsewhere_is_refused(uploads: Uploads, offset: int) -> None:
    upload = begun(uploads)
    sent(uploads, upload, 0, TEXT[:4])
    assert code(lambda: uploads.append(upload, offset)) == "upload-offset"
    assert offset_of(uploads, upload) == 4


def test_more_than_was_announced_is_refused_and_what_fits_before_stays(uploads: Uploads) -> None:
    upload = begun(uploads)
    sent(uploads, upload, 0, TEXT[:4])
    assert code(lambda: sent(uploads, upload, 4, TEXT)) == "upload-too-large"
    assert offset_of(uploads, upload) == 4


def test_a_piece_that_breaks_off_stays_unless_it_has_a_checksum(uploads: Uploads) -> None:
    upload = begun(uploads)
    writing = uploads.append(upload, 0)
    writing.write(TEXT[:3])
    assert writing.close(whole=False)
    assert offset_of(uploads, upload) == 3
    checked = uploads.append(upload, 3, checksum_of(TEXT[3:]))
    checked.write(TEXT[3:6])
    assert offset_of(uploads, upload) == 3, "while it comes"
    assert not checked.close(whole=False)
    assert offset_of(uploads, upload) == 3
    assert files(uploads) == [upload, f"{upload}.json"]
    assert not sent(uploads, upload, 3, b"wrong", checksum_of(TEXT[3:8]))
    assert offset_of(uploads, upload) == 3


@pytest.mark.parametrize("checked", [True, False])
def test_a_writer_that_is_killed_leaves_a_true_offset_and_no_lock(uploads: Uploads, checked: bool) -> None:
    upload = begun(uploads)
    sent(uploads, upload, 0, TEXT[:2])
    checksum = "Checksum(hashlib.sha1(), b'')" if checked else "None"
    program = (
        "import hashlib, os, sys; from pathlib import Path; from bitextmine.resumable import Checksum, Uploads\n"
        f"w = Uploads(Path(sys.argv[1])).append(sys.argv[2], 2, {checksum}); w.write(b'234'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(uploads.directory), upload], check=False)
    known = 2 if checked else 5
    assert offset_of(uploads, upload) == known
    sent(uploads, upload, known, TEXT[known : known + 1])
    assert offset_of(uploads, upload) == known + 1
    sent(uploads, upload, known + 1, TEXT[known + 1 :])
    assert (uploads.directory / upload).read_bytes() == TEXT


def test_one_at_a_time_writes_uses_or_deletes(uploads: Uploads) -> None:
    upload = begun(uploads)
    other = Uploads(uploads.directory)
    writing = uploads.append(upload, 0)
    assert code(lambda: other.append(upload, 0)) == "upload-locked"
    assert code(lambda: other.delete(upload)) == "upload-locked"
    writing.close(whole=True)
    with uploads.locked(upload):
        assert code(lambda: other.append(upload, 0)) == "upload-locked"
        assert other.get(upload).offset == 0, "looking is possible"
    other.delete(upload)
    assert files(uploads) == []


def test_a_refused_piece_leaves_no_lock(uploads: Uploads) -> None:
    upload = begun(uploads)
    assert code(lambda: uploads.append(upload, 7)) == "upload-offset"
    sent(uploads, upload, 0, TEXT)


@pytest.mark.parametrize("name", ["0" * 32, "../x", "a/b", "", "."])
def test_what_is_not_there_is_not_found(uploads: Uploads, name: str) -> None:
    for use in (uploads.get, uploads.delete, lambda upload: uploads.append(upload, 0)):
        assert code(lambda use=use: use(name)) == "upload-not-found"


def test_a_file_that_came_whole_is_no_upload_in_pieces(uploads: Uploads) -> None:
    uploads.directory.mkdir()
    (uploads.directory / ("a" * 32)).write_bytes(TEXT)
    assert code(lambda: uploads.get("a" * 32)) == "upload-not-found"
    assert not is_resumable(uploads.directory, "a" * 32)


def test_there_are_not_more_than_so_many_and_expired_ones_do_not_count(uploads: Uploads) -> None:
    made = [begun(uploads, most=2) for _ in range(2)]
    assert code(lambda: begun(uploads, most=2)) == "too-many-uploads"
    os.utime(uploads.directory / made[0], (1, 1))
    assert code(lambda: uploads.get(made[0])) == "upload-expired"
    assert code(lambda: uploads.append(made[0], 0)) == "upload-expired"
    begun(uploads, most=2)


def test_of_many_that_begin_at_once_only_so_many_do(uploads: Uploads) -> None:
    outcomes: list[str] = []

    def begin() -> None:
        try:
            begun(uploads, most=3)
            outcomes.append("begun")
        except BitextmineError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=begin) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["begun"] * 3 + ["too-many-uploads"] * 9


def test_ids_are_random(uploads: Uploads) -> None:
    ids = {begun(uploads, most=100) for _ in range(50)}
    assert len(ids) == 50
    assert all(len(upload) == 32 and int(upload, 16) >= 0 for upload in ids)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_metadata_is_read(uploads: Uploads) -> None:
    header = f"filename {encoded('Häuser.txt')},other,empty "
    assert parse_metadata(header) == {"filename": "Häuser.txt", "other": "", "empty": ""}
    upload = begun(uploads, metadata=header)
    assert uploads.get(upload).filename == "Häuser.txt"
    assert uploads.get(upload).metadata == header
    assert uploads.get(begun(uploads)).filename is None


@pytest.mark.parametrize("header", ["filename äöü", "filename a", ",", "a,a", "a YQ==,a YQ==", "a Y Q", "a Y\x00"])
def test_bad_metadata_is_refused_and_nothing_is_made(uploads: Uploads, header: str) -> None:
    assert code(lambda: begun(uploads, metadata=header)) == "invalid-upload-metadata"
    assert not uploads.directory.exists()


def test_a_full_disk_says_so_and_keeps_what_came(full_disk: Path) -> None:
    uploads = Uploads(full_disk / "uploads")
    upload = begun(uploads, 10_000_000)

    def fill() -> None:
        for offset in range(0, 10_000_000, 100_000):
            sent(uploads, upload, offset, b"x" * 100_000)

    with pytest.raises(DiskFullError):
        fill()
    assert 100_000 <= offset_of(uploads, upload) < 1_100_000
    content = (uploads.directory / upload).read_bytes()
    assert content == b"x" * offset_of(uploads, upload)


@pytest.fixture
def full_disk(tmp_path: Path):
    point = tmp_path / "disk"
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", str(point)]
    with suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            yield point
            subprocess.run(["umount", "--lazy", str(point)], check=True)
            return
    pytest.skip("a full disk needs the right to mount a tmpfs")


# --- what becomes of files


def test_what_nobody_needs_goes_with_all_its_files(uploads: Uploads) -> None:
    old, needed, young, writing, whole = (begun(uploads) for _ in range(5))
    uploads.append(old, 0, checksum_of(TEXT))._stream.close()  # as after kill -9
    discard(uploads.directory, whole)
    (uploads.directory / whole).write_bytes(TEXT)
    (uploads.directory / ".left.tmp").write_bytes(b"")
    (uploads.directory / f"{'0' * 32}.json").write_bytes(b"{}")  # has lost its file
    for path in uploads.directory.iterdir():
        if not path.name.startswith(young):
            os.utime(path, (time.time() - 1000, time.time() - 1000))
    busy = uploads._open(writing)
    sweep(uploads.directory, {needed}, pytest.fail, max_age_seconds=500)
    busy.close()
    assert files(uploads) == sorted([needed, f"{needed}.json", young, f"{young}.json", writing, f"{writing}.json"])


def test_an_upload_that_is_still_written_to_is_young_with_its_old_record(uploads: Uploads) -> None:
    upload = begun(uploads)
    os.utime(uploads.directory / f"{upload}.json", (1, 1))
    sweep(uploads.directory, set(), pytest.fail, max_age_seconds=500)
    assert uploads.get(upload).offset == 0


def test_a_kept_upload_is_young_again_and_a_cancelled_one_stays_if_it_came_in_pieces(uploads: Uploads) -> None:
    upload = begun(uploads)
    os.utime(uploads.directory / upload, (1, 1))
    keep(uploads.directory, upload)
    assert uploads.get(upload).offset == 0
    whole = uploads.directory / ("b" * 32)
    whole.write_bytes(TEXT)
    release(uploads.directory, whole.name)
    release(uploads.directory, upload)
    keep(uploads.directory, "c" * 32)
    assert files(uploads) == [upload, f"{upload}.json"]


def test_errors_are_of_their_kinds(uploads: Uploads) -> None:
    upload = begun(uploads)
    with pytest.raises(NotFoundError):
        uploads.get("0" * 32)
    with pytest.raises(ConflictError):
        uploads.append(upload, 1)
    with pytest.raises(CorpusInputError):
        sent(uploads, upload, 0, TEXT + TEXT)
