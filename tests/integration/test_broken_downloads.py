"""Downloads that meet damage, a deletion, or somebody who leaves on the way."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.bitext import HASHED_BYTES, KIND, PAIRS, SCHEMA, Bitext
from bitextmine.exports import export_chunks
from bitextmine.pairs_file import pairs_writer
from tests.integration.service import Api, Service, problem, service_with_corpora
from tests.integration.test_bitexts import FORMATS, downloaded, path_of
from tests.integration.waiting import wait_until

GROUPS, ROWS = 8, 4000  # of the large bitext: row groups, and rows of each
ROOM = 16 << 20  # that they need at most


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("downloads")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def large_bitext(running: Service, folder: Path) -> Bitext:
    """A bitext whose file is so large that it is not read before an answer begins; most of the file is a hole."""
    key = ArtifactKey(KIND, {"src_lang": "deu_Latn", "tgt_lang": "eng_Latn", "of": folder.name}, {})
    store = ArtifactStore(running.data_dir / "artifacts")
    with store.publish(key) as staging:
        path = staging.path / PAIRS
        path.touch()
        os.truncate(path, HASHED_BYTES + ROOM)
        with pa.memory_map(str(path), "r+") as sink:
            with pairs_writer(sink) as writer:
                writer.write_table(rows_of(0))
                sink.seek(HASHED_BYTES)
                for group in range(1, GROUPS):
                    writer.write_table(rows_of(group))
            end = sink.tell()
        os.truncate(path, end)
        staging.summary["pairs"] = GROUPS * ROWS
    artifact = store.find(key)
    assert artifact is not None
    return Bitext(artifact)


def rows_of(group: int) -> pa.Table:
    row: dict[str, Any] = {field.name: 1 for field in SCHEMA if not pa.types.is_string(field.type)}
    row |= {"margin": 2 - group / 10, "direction": "both", "src_id": "1", "tgt_id": "1"}
    texts = ({"src": f"Satz {group} {n * 7919 % 9973}", "tgt": f"{n * 104729 % 9967} sentence"} for n in range(ROWS))
    return pa.Table.from_pylist([row | text for text in texts], SCHEMA)


def damage(bitext: Bitext) -> None:
    """Change a sentence of each side in the sixth row group."""
    group = pq.read_metadata(bitext.path).row_group(5)
    for column in (2, 3):
        with bitext.path.open("r+b") as stream:
            stream.seek(group.column(column).data_page_offset + 200)
            byte = stream.read(1)
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ 1]))


@pytest.fixture
def large(running: Service, api: Api, tmp_path: Path) -> Iterator[Bitext]:
    bitext = large_bitext(running, tmp_path)
    yield bitext
    assert api.http.delete(f"/v1/bitexts/{bitext.digest}").status_code in (204, 404)


def broken_offs(api: Api) -> int:
    return len(re.findall("the download of .* is broken off: .* is damaged", api.process.log))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("compress", ["none", "zst"])
def test_a_download_that_meets_damage_is_broken_off_where_everybody_sees_it(
    api: Api, large: Bitext, name: str, compress: str
) -> None:
    if name == "moses":
        compress = "none"
    damage(large)
    before, query = broken_offs(api), {"format": name, "compress": compress}
    with api.http.stream("GET", path_of(large, "download"), params=query) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete chunked read|without sending complete"):
            list(answer.iter_raw())
    wait_until(lambda: broken_offs(api) == before + 1, "the log says why")
    assert api.http.get("/livez").status_code == 200
    sound = api.http.get(path_of(large, "download"), params={"min_margin": 1.55, "format": "jsonl"})
    assert len(sound.text.splitlines()) == 5 * ROWS, "what is sound can be had"


@pytest.mark.parametrize("sound", [True, False])
def test_http_1_0_has_no_sign_of_an_end_so_the_file_is_read_before(api: Api, large: Bitext, sound: bool) -> None:
    if not sound:
        damage(large)
    url = httpx.URL(api.url)
    with socket.create_connection((url.host, url.port or 0), 60) as connection:
        connection.sendall(f"GET {path_of(large, 'download')} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if sound:
        assert b" 200 " in head.splitlines()[0]
        assert body.count(b"\n") == GROUPS * ROWS
    else:
        assert b" 500 " in head.splitlines()[0]
        assert json.loads(body)["code"] == "artifact-damaged"


def test_a_small_file_that_is_damaged_anywhere_is_a_problem_before_anything_is_sent(running: Service, api: Api) -> None:
    digest = api.succeeded(api.mine("de", "en", k=2))["bitext"]
    pairs = running.data_dir / "artifacts" / KIND / digest / PAIRS
    content = pairs.read_bytes()
    for part in (0.01, 0.5, 0.99):
        place = int(part * len(content))
        pairs.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        for name in FORMATS:
            answer = api.http.get(f"/v1/bitexts/{digest}/download", params={"format": name})
            problem(answer, 500, "artifact-damaged")
    pairs.write_bytes(content)
    assert api.http.get(f"/v1/bitexts/{digest}/download").status_code == 200


@pytest.mark.parametrize("name", ["tsv", "moses", "tmx"])
def test_a_download_goes_on_when_its_bitext_is_deleted(api: Api, large: Bitext, name: str) -> None:
    expected = b"".join(export_chunks(large, FORMATS[name][0]))
    with api.http.stream("GET", path_of(large, "download"), params={"format": name}) as answer:
        chunks = answer.iter_raw()
        received = [next(chunks)]
        assert httpx.delete(f"{api.url}/v1/bitexts/{large.digest}", timeout=60).status_code == 204
        received.extend(chunks)
    assert b"".join(received) == expected
    problem(api.http.get(path_of(large, "download")), 404, "bitext-not-found")


def test_who_leaves_in_the_middle_of_a_download_harms_nobody(api: Api, large: Bitext) -> None:
    for name in FORMATS:
        with (
            httpx.Client(base_url=api.url, timeout=60) as client,
            client.stream("GET", path_of(large, "download"), params={"format": name}) as answer,
        ):
            next(answer.iter_raw(100))
    assert downloaded(api, large).text.count("\n") == GROUPS * ROWS
