"""Mining by linked documents over HTTP, and bitexts of aligned documents in the same data directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.client import Client
from bitextmine.corpus import CorpusFile, CorpusFormat, ingest
from bitextmine.documents import align_documents
from bitextmine.encoders import open_encoder
from bitextmine.errors import ServiceError
from tests.integration.service import ENCODER, Api, Service, problem, service

SENTENCES = [f"museum {n} station {n * 37 % 101} map {n * n % 997}" for n in range(24)]
LINKS = [["d0", "e0"], ["d1", "e1"], ["d9", "e1"]]


def jsonl(prefix: str | None) -> bytes:
    documents = (f"{prefix}{n // 6}" if prefix else None for n in range(len(SENTENCES)))
    records = ({"text": text, "doc_id": name} for text, name in zip(SENTENCES, documents, strict=True))
    return "".join(json.dumps(record) + "\n" for record in records if record["text"]).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("documents")) as started:
        for name, lang, content in (
            ("de", "deu", jsonl("d")),
            ("en", "eng", jsonl("e") + b'{"text": "Nothing to do with it", "doc_id": "e0"}\n'),
            ("fr", "fra", jsonl(None) + b'{"text": "une autre"}\n'),
        ):
            started.api.succeeded(started.api.upload(name, content, lang, format="jsonl"))
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


def pairs_of(api: Api, job: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.http.get(f"/v1/bitexts/{job['result']['bitext']}/pairs").json()["items"]
    return items


def test_only_linked_documents_are_mined(api: Api) -> None:
    job = api.ended(api.mine("de", "en", documents="restrict", document_links=LINKS))
    assert len(job["request"]["document_links"]) == 32
    pairs = pairs_of(api, job)
    assert {(pair["src_doc_id"], pair["tgt_doc_id"]) for pair in pairs} == {("d0", "e0"), ("d1", "e1")}
    assert sum(pair["src"] == pair["tgt"] for pair in pairs) == 12
    documents = job["result"]["documents"]
    assert documents["linked"] == 2
    assert documents["unknown_links"] == 1
    assert documents["linked_pairs"] == len(pairs)


def test_links_that_say_the_same_are_one_and_a_bonus_counts(api: Api) -> None:
    first = api.succeeded(api.mine("de", "en", documents="boost", document_links=LINKS))
    again = api.succeeded(api.mine("de", "en", documents="boost", document_links=[*reversed(LINKS), LINKS[0]]))
    other = api.succeeded(api.mine("de", "en", documents="boost", document_links=LINKS, document_bonus=0.5))
    plain = api.succeeded(api.mine("de", "en"))
    assert first["bitext"] == again["bitext"]
    assert len({result["bitext"] for result in (first, other, plain)}) == 3
    assert "documents" not in plain


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"documents": "forbid"}, "invalid-request"),
        ({"documents": "restrict", "document_links": []}, "invalid-request"),
        ({"documents": "restrict", "document_links": [["a"]]}, "invalid-request"),
        ({"documents": "restrict", "document_links": [["a", "b", "c"]]}, "invalid-request"),
        ({"documents": "restrict", "document_links": [["a", 7]]}, "invalid-request"),
        ({"documents": "restrict", "document_links": [["a", ""]]}, "invalid-request"),
        ({"documents": "restrict", "document_links": [["a", " "]]}, "invalid-links"),
        ({"documents": "restrict", "document_links": [["a", "b\u0007"]]}, "invalid-links"),
        ({"documents": "restrict", "document_links": [["a", "b"]] * 10_001}, "invalid-request"),
        ({"documents": "boost", "document_bonus": -1}, "invalid-request"),
        ({"documents": "boost", "document_bonus": "1"}, "invalid-request"),
        ({"document_links": LINKS}, "invalid-parameter"),
        ({"documents": "restrict", "tgt": "fr"}, "no-documents"),
    ],
)
def test_what_cannot_work_is_refused_at_once(api: Api, wanted: dict[str, Any], code: str) -> None:
    problem(api.mine(**{"src": "de", "tgt": "en", **wanted}), 422, code)


def test_links_between_other_documents_fail_the_job(api: Api) -> None:
    error = api.failed(api.mine("de", "en", documents="restrict"))
    assert error["code"] == "no-linked-documents"
    assert "'d0'" in error["detail"]


def test_the_client_says_the_same(api: Api) -> None:
    with Client(str(api.http.base_url)) as client:
        job = client.mine("de", "en", encoder=ENCODER, documents="restrict", document_links=[("d2", "e2")])
        bitext = client.bitexts.get(client.jobs.wait(job))
        assert {pair.src_doc_id for pair in client.bitexts.pairs(bitext)} == {"d2"}
        with pytest.raises(ServiceError) as caught:
            client.mine("de", "fr", encoder=ENCODER, documents="boost")
        assert caught.value.code == "no-documents"


def test_bitexts_of_aligned_documents_are_shown_like_others(running: Service, api: Api) -> None:
    mined = api.succeeded(api.mine("de", "en"))["bitext"]
    (folder,) = {path.parents[1] for path in running.data_dir.rglob(mined) if path.is_dir()}
    store = ArtifactStore(folder)
    corpora = []
    for lang in ("deu_Latn", "eng_Latn"):
        path = running.data_dir / f"{lang}.jsonl"
        path.write_bytes(jsonl("d"))
        corpora.append(ingest(CorpusFile(path, lang, CorpusFormat.JSONL), store))
    encoder = open_encoder(ENCODER, running.data_dir.parent / "encoders")
    aligned = align_documents(corpora[0], corpora[1], encoder, store).bitext
    shown = api.http.get(f"/v1/bitexts/{aligned.digest}").raise_for_status().json()
    assert (shown["made_by"], shown["pairs"], shown["k"], shown["margin"]) == ("alignment", 24, None, None)
    assert aligned.digest in [each["id"] for each in api.http.get("/v1/bitexts").raise_for_status().json()["items"]]
    items = api.http.get(f"/v1/bitexts/{aligned.digest}/pairs").raise_for_status().json()["items"]
    assert {(pair["src_doc_id"], pair["tgt_doc_id"]) for pair in items} == {(f"d{n}", f"d{n}") for n in range(4)}
    for form in ("tsv", "tmx", "jsonl", "moses", "parquet"):
        assert (
            api.http.get(f"/v1/bitexts/{aligned.digest}/download", params={"format": form}).raise_for_status().content
        )
    with Client(str(api.http.base_url)) as client:
        assert client.bitexts.get(aligned.digest).made_by == "alignment"
