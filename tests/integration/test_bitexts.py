"""Pages and downloads of pairs, from a running service: by margin, in every format."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from backports import zstd

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import KIND, Bitext
from bitextmine.exports import Compression, Export, ExportFormat, Side, export_chunks
from tests.integration.service import Api, Service, problem, service_with_corpora

TEXT = "charset=utf-8"
FORMATS = {
    "tsv": (Export(), f"text/tab-separated-values; {TEXT}", "tsv"),
    "jsonl": (Export(form=ExportFormat.JSONL), f"application/jsonl; {TEXT}", "jsonl"),
    "tmx": (Export(form=ExportFormat.TMX), "application/xml", "tmx"),
    "parquet": (Export(form=ExportFormat.PARQUET), "application/vnd.apache.parquet", "parquet"),
    "moses": (Export(form=ExportFormat.MOSES), "application/zip", "zip"),
}
PACKED = {Compression.GZ: ("application/gzip", gzip.decompress), Compression.ZST: ("application/zstd", zstd.decompress)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("bitexts")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def bitext(running: Service, api: Api) -> Bitext:
    """A mined bitext, as the library reads it."""
    digest = api.succeeded(api.mine("de", "en"))["bitext"]
    artifact = ArtifactStore(running.data_dir / "artifacts").open(KIND, digest)
    assert artifact is not None
    return Bitext(artifact)


def path_of(bitext: Bitext, what: str) -> str:
    return f"/v1/bitexts/{bitext.digest}/{what}"


def downloaded(api: Api, bitext: Bitext, **query: Any) -> httpx.Response:
    answer = api.http.get(path_of(bitext, "download"), params=query)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("name", FORMATS)
def test_a_download_is_the_librarys_export(api: Api, bitext: Bitext, name: str) -> None:
    wanted, media_type, ending = FORMATS[name]
    answer = downloaded(api, bitext, format=name)
    assert answer.content == b"".join(export_chunks(bitext, wanted)) != b""
    assert answer.headers["content-type"] == media_type
    expected = f'attachment; filename="deu_Latn-eng_Latn-{bitext.digest[:8]}.{ending}"'
    assert answer.headers["content-disposition"] == expected
    assert ("content-length" in answer.headers) == (name == "parquet")


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "moses"])
def test_a_compressed_download_is_the_same_within(
    api: Api, bitext: Bitext, name: str, compression: Compression
) -> None:
    media_type, unpacked = PACKED[compression]
    answer = downloaded(api, bitext, format=name, compress=compression)
    assert answer.headers["content-type"] == media_type
    assert "content-encoding" not in answer.headers, "the file is to arrive compressed"
    assert answer.headers["content-disposition"].endswith(f'.{name}.{compression}"')
    assert unpacked(answer.content) == downloaded(api, bitext, format=name).content
    assert answer.content == downloaded(api, bitext, format=name, compress=compression).content


def test_moses_is_two_files_or_one(api: Api, bitext: Bitext) -> None:
    with zipfile.ZipFile(io.BytesIO(downloaded(api, bitext, format="moses").content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert list(members) == ["deu_Latn-eng_Latn.deu_Latn", "deu_Latn-eng_Latn.eng_Latn"]
    for side, content, ending in zip(Side, members.values(), ("deu_Latn", "eng_Latn"), strict=True):
        answer = downloaded(api, bitext, format="moses", side=side)
        assert answer.content == content
        assert answer.headers["content-type"] == f"text/plain; {TEXT}"
        assert answer.headers["content-disposition"].endswith(f'.{ending}"')
        assert content.count(b"\n") == len(bitext)
        packed = downloaded(api, bitext, format="moses", side=side, compress="gz")
        assert packed.headers["content-disposition"].endswith(f'.{ending}.gz"')
        assert gzip.decompress(packed.content) == content


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"format": "moses", "compress": "gz"}, "zip"),
        ({"format": "moses", "compress": "zst"}, "zip"),
        ({"side": "src"}, "moses"),
        ({"format": "parquet", "side": "tgt"}, "moses"),
    ],
)
def test_what_does_not_go_together_is_refused(api: Api, bitext: Bitext, query: dict[str, str], said: str) -> None:
    refused = problem(api.http.get(path_of(bitext, "download"), params=query), 422, "invalid-export")
    assert said in refused["detail"]


@pytest.mark.parametrize("query", [{"format": "csv"}, {"format": ""}, {"compress": "xz"}, {"side": "both"}])
def test_what_there_is_not_is_refused(api: Api, bitext: Bitext, query: dict[str, str]) -> None:
    refused = problem(api.http.get(path_of(bitext, "download"), params=query), 422, "invalid-request")
    assert refused["errors"][0]["where"] == f"query.{next(iter(query))}"


@pytest.mark.parametrize("what", ["pairs", "download"])
@pytest.mark.parametrize("name", ["min_margin", "max_margin"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "-1e7", "", "x", "1,2"])
def test_a_bound_that_is_no_margin_is_refused(api: Api, bitext: Bitext, what: str, name: str, value: str) -> None:
    refused = problem(api.http.get(path_of(bitext, what), params={name: value}), 422, "invalid-request")
    assert refused["errors"][0]["where"] == f"query.{name}"


@pytest.mark.parametrize("what", ["pairs", "download"])
def test_bounds_that_no_pair_can_meet_are_refused(api: Api, bitext: Bitext, what: str) -> None:
    answer = api.http.get(path_of(bitext, what), params={"min_margin": 1.2, "max_margin": 1.1})
    problem(answer, 422, "invalid-threshold")


def pages(api: Api, bitext: Bitext, **query: Any) -> tuple[list[dict[str, Any]], set[int]]:
    """All pairs of a list by its cursors, and the totals that its pages say."""
    items: list[dict[str, Any]] = []
    totals = set()
    while True:
        page = api.http.get(path_of(bitext, "pairs"), params=query).raise_for_status().json()
        items += page["items"]
        totals.add(page["total"])
        if page["next_cursor"] is None:
            return items, totals
        assert len(page["items"]) == query["limit"]
        query["cursor"] = page["next_cursor"]


def test_pages_hold_the_pairs_of_these_margins_either_way(api: Api, bitext: Bitext) -> None:
    everything, totals = pages(api, bitext, limit=1000)
    assert totals == {len(bitext)} == {len(everything)}
    margins = [pair["margin"] for pair in everything]
    assert margins == sorted(margins, reverse=True)
    low, high = (sorted(margins)[len(margins) * part // 4] + 2e-6 for part in (1, 3))
    for bounds in ({}, {"min_margin": low}, {"max_margin": high}, {"min_margin": low, "max_margin": high}):
        least, most = bounds.get("min_margin", -9), bounds.get("max_margin", 9)
        expected = [pair for pair in everything if least <= pair["margin"] <= most]
        assert len(expected) > 0
        assert (len(expected) < len(everything)) == bool(bounds)
        for limit in (1, 4, len(expected), 1000):
            assert pages(api, bitext, limit=limit, **bounds) == (expected, {len(expected)})
        assert pages(api, bitext, limit=3, order="asc", **bounds) == (expected[::-1], {len(expected)})
        lines = downloaded(api, bitext, format="jsonl", **bounds).text.splitlines()
        assert [json.loads(line) for line in lines] == expected
    assert pages(api, bitext, limit=10, min_margin=100) == ([], {0})
    assert downloaded(api, bitext, min_margin=100).content == b""


def test_a_cursor_is_for_the_list_that_gave_it(api: Api, bitext: Bitext) -> None:
    other = api.succeeded(api.mine("de", "en", k=3))["bitext"]
    query: dict[str, Any] = {"limit": 2, "min_margin": 0.5}
    cursor = api.http.get(path_of(bitext, "pairs"), params=query).json()["next_cursor"]
    assert api.http.get(path_of(bitext, "pairs"), params={**query, "cursor": cursor, "limit": 5}).status_code == 200
    for change in ({"min_margin": 0.4}, {"max_margin": 9}, {"order": "asc"}):
        answer = api.http.get(path_of(bitext, "pairs"), params={**query, **change, "cursor": cursor})
        problem(answer, 422, "invalid-cursor")
    answer = api.http.get(f"/v1/bitexts/{other}/pairs", params={**query, "cursor": cursor})
    problem(answer, 422, "invalid-cursor")


@pytest.mark.parametrize("cursor", ["", "!", "0", "x-y", "-1-00000000", "cDA", "9" * 30, "ä", "1" * 201])
def test_what_is_no_cursor_is_refused(api: Api, bitext: Bitext, cursor: str) -> None:
    code = "invalid-request" if len(cursor) > 200 else "invalid-cursor"
    problem(api.http.get(path_of(bitext, "pairs"), params={"cursor": cursor}), 422, code)
