"""The client's parts by themselves: events, files to send, files to write, and what the package drags in."""

from __future__ import annotations

import inspect
import io
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, strategies

from bitextmine.client import AsyncClient, Client
from bitextmine.client.destination import Destination
from bitextmine.client.events import Event, EventParser
from bitextmine.client.operation import Group, listing, operation
from bitextmine.client.sources import body_of, name_of
from bitextmine.errors import CorpusInputError, ParameterError

STREAM = (
    b': hello\nretry: 2500\n\nid: 1\nevent: job\ndata: {"a":\ndata: 1}\n\n'
    b"data:two\r\n\r\nid\nevent: progress\ndata:  \xc3\xbc\rdata\r\revent: nothing\n\nid: 9\ndata: last"
)
EVENTS = [Event("job", '{"a":\n1}', "1"), Event("message", "two", "1"), Event("progress", " ü\n", "")]


@given(strategies.lists(strategies.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_however_they_arrive(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    found = [event for low, high in pairwise(edges) for event in parser.feed(STREAM[low:high])]
    assert found == EVENTS
    assert parser.retry_seconds == 2.5


def test_a_file_is_read_in_parts_and_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    content = os.urandom(700_000)
    path.write_bytes(content)
    told: list[tuple[int, int | None]] = []
    body = body_of(path, lambda stage, done, total: told.append((done, total)))
    assert (body.size, body.repeatable) == (700_000, True)
    for _ in range(2):
        assert b"".join(body.blocks()) == content
    assert told[-1] == (700_000, 700_000)
    part = body.part(300_000, 350_000)
    assert b"".join(part.blocks()) == content[300_000:650_000]
    assert told[-1] == (650_000, 700_000)
    assert b"".join(part.part(10, 20).blocks()) == content[300_010:300_030]


def test_an_open_file_is_sent_from_where_it_stands() -> None:
    stream = io.BytesIO(b"head\nbody\n")
    stream.readline()
    body = body_of(stream)
    assert (body.size, b"".join(body.blocks()), b"".join(body.blocks())) == (5, b"body\n", b"body\n")


def test_a_pipe_by_its_path_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", f"printf 'a\\nb\\n' > {path}"]):
        body = body_of(path)
        assert (body.size, body.repeatable) == (None, False)
        assert b"".join(body.blocks()) == b"a\nb\n"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(CorpusInputError) as caught:
            body_of(path)
        assert caught.value.code == "file-not-found"
        assert str(path) in str(caught.value)
    assert body_of(b"").size == 0


def test_sources_have_the_names_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with (tmp_path / "a.txt").open("rb") as stream:
        assert [name_of(each) for each in ("x/b.gz", tmp_path / "a.txt", stream)] == ["b.gz", "a.txt", "a.txt"]
    with os.fdopen(os.open(tmp_path / "a.txt", os.O_RDONLY), "rb") as stream:
        assert name_of(stream) is None
    assert name_of(b"text") is None
    assert name_of(io.BytesIO()) is None


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    path, link = tmp_path / "pairs.tsv", tmp_path / "link.tsv"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    destination = Destination(link)
    destination.write(b"after")
    assert path.read_text() == "before"
    destination.finish()
    destination.abandon()
    assert (link.is_symlink(), path.read_text(), path.stat().st_mode & 0o777) == (True, "after", 0o640)
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        destination = Destination(tmp_path / "new")
        destination.finish()
        destination.abandon()
    finally:
        assert os.umask(before) == 0o027
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_what_is_abandoned_was_never_there(tmp_path: Path) -> None:
    destination = Destination(tmp_path / "pairs.tsv")
    destination.write(b"half")
    destination.abandon()
    assert list(tmp_path.iterdir()) == []
    for path in (tmp_path, tmp_path / "nowhere" / "a.tsv"):
        with pytest.raises(ParameterError) as caught:
            Destination(path)
        assert caught.value.code == "output-not-writable"


def test_an_open_file_is_written_and_left_open() -> None:
    stream = io.BytesIO()
    destination = Destination(stream)
    destination.write(b"pairs")
    destination.finish()
    destination.abandon()
    assert stream.getvalue() == b"pairs"


def test_importing_the_client_is_cheap() -> None:
    heavy = ("numpy", "pyarrow", "onnxruntime", "faiss", "redis", "numba", "typer", "fastapi", "dramatiq")
    code = f"import sys, bitextmine.client; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def groups() -> list[type[Group[object]]]:  # type: ignore[type-var]
    with Client("http://127.0.0.1:9") as client:
        return [type(client), *(type(value) for value in vars(client).values() if isinstance(value, Group))]


def test_every_operation_is_documented() -> None:
    found = [
        (name, value)
        for group in groups()
        for name, value in inspect.getmembers_static(group)
        if isinstance(value, operation | listing)
    ]
    assert len(found) > 25
    for name, value in found:
        assert (value.__doc__ or "").strip(), name


def test_both_clients_have_the_same_operations() -> None:
    async_only = {"aclose", "__aenter__", "__aexit__"}
    sync_only = {"__enter__", "__exit__"}
    assert set(dir(Client)) - sync_only == set(dir(AsyncClient)) - async_only
    with Client("http://127.0.0.1:9") as client:
        assert inspect.signature(client.corpora.upload).parameters["lang"].kind is inspect.Parameter.KEYWORD_ONLY
