"""POST /v1/scoring-jobs against a running service: files of pairs become bitexts with a mining job's scores."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine.client import Client
from tests.integration.scored import (
    BACKGROUNDS,
    LANGUAGES,
    Pairs,
    assert_nothing_is_left,
    assert_same_scores,
    job,
    mined_pairs,
    pages,
    scoring_service,
    texts,
    tsv,
)
from tests.integration.service import ENCODER, Api, Service, numbered, problem, text_of

BOMB = gzip.compress(b"0" * (80 << 20))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with scoring_service(tmp_path_factory.mktemp("score")) as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Service) -> Api:
    return running.api


@pytest.fixture(scope="module")
def mined(api: Api) -> Pairs:
    return mined_pairs(api)


@pytest.fixture(autouse=True)
def _nothing_is_left(running: Service) -> Iterator[None]:
    yield
    assert_nothing_is_left(running)


def test_a_file_becomes_a_bitext_with_the_scores_of_a_mining_job(api: Api, mined: Pairs) -> None:
    content = b"\xff\tnot UTF-8\n" + tsv(mined[::-1])
    accepted = job(api, content, source="old.tsv", **BACKGROUNDS)
    assert accepted.json()["kind"] == "score"
    assert "upload" not in accepted.json()["request"]
    assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['id']}"
    ended = api.ended(accepted)
    assert ended["state"] == "succeeded", ended
    result = ended["result"]
    assert (result["pairs"], result["lines"], result["refused"]) == (len(mined), len(mined) + 1, {"not-utf8": 1})
    found = pages(api, result["bitext"])
    assert_same_scores(found, mined)
    refused = api.http.get(f"/v1/bitexts/{result['bitext']}/refused").json()
    assert [(line["line"], line["reason"]) for line in refused["items"]] == [(1, "not-utf8")]
    by_texts = {(pair["src"], pair["tgt"]): pair for pair in mined}
    for pair in found:
        truth = by_texts[pair["src"], pair["tgt"]]
        assert (pair["src_rank"], pair["tgt_rank"]) == (truth["src_rank"], truth["tgt_rank"])
        assert (pair["direction"], pair["src_line"]) == (None, pair["tgt_line"])
    bitext = api.http.get(ended["links"]["bitext"]).json()
    expected = {"made_by": "scoring", "retrieval": None, "src_source": "old.tsv", "refused": {"not-utf8": 1}}
    assert bitext | expected | BACKGROUNDS == bitext


@pytest.mark.parametrize("margin", ["ratio", "absolute"])
def test_a_scored_bitext_is_downloaded_like_a_mined_one(api: Api, mined: Pairs, margin: str) -> None:
    bitext = api.succeeded(job(api, tsv(mined), margin=margin))["bitext"]
    for form in ("tsv", "moses", "tmx", "jsonl", "parquet"):
        response = api.http.get(f"/v1/bitexts/{bitext}/download", params={"format": form})
        assert response.status_code == 200
        assert len(response.content) > 100
    assert api.http.delete(f"/v1/bitexts/{bitext}").status_code == 204


@pytest.mark.parametrize("form", ["tsv", "moses", "tmx", "jsonl"])
def test_downloads_of_a_mined_bitext_are_scored_as_they_were_mined(api: Api, mined: Pairs, form: str) -> None:
    (bitext,) = (each for each in api.http.get("/v1/bitexts").json()["items"] if each["made_by"] == "mining")
    content = api.http.get(f"/v1/bitexts/{bitext['id']}/download", params={"format": form}).content
    result = api.succeeded(job(api, content, format=form, **BACKGROUNDS))
    assert_same_scores(pages(api, result["bitext"]), mined)
    api.http.delete(f"/v1/bitexts/{result['bitext']}")


def archive(**entries: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(f"a.{name}", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "query", "code"),
    [
        (b"no tab\n", {}, "empty-corpus"),
        (b"a\tb\tc\td\n", {}, "unknown-columns"),
        (b"a\tb\n", {"columns": "de,en"}, "unknown-columns"),
        (b'{"src": "a", "tgt": "b"}\n', {}, "unsupported-input"),
        (b"Haus\thouse\n", {}, "corpus-too-small"),
        (gzip.compress(b"a\tb\n" * 9999)[:-30], {}, "truncated-input"),
        (BOMB, {}, "decompression-bomb"),
        (archive(de=b"0" * (80 << 20), en=b"y\n"), {"format": "moses"}, "decompression-bomb"),
        (archive(de=b"x\n", en=b"y\nz\n"), {"format": "moses"}, "not-aligned"),
        (archive(de=b"x\n", fr=b"y\n"), {"format": "moses"}, "unsupported-input"),
        (archive(de=b"x\n", en=BOMB[:90]), {"format": "moses"}, "unsupported-input"),
        (b'<!DOCTYPE tmx [<!ENTITY a "b">]><tmx/>', {"format": "tmx"}, "xml-entities"),
        (b'<!DOCTYPE tmx [<!ENTITY a SYSTEM "/etc/passwd">]><tmx>&a;</tmx>', {"format": "tmx"}, "xml-entities"),
        (b"<tmx><body>", {"format": "tmx"}, "truncated-input"),
        (b"<tmx></body>", {"format": "tmx"}, "xml-malformed"),
        (b"<tmx/>", {"source": "x.tmx.gz"}, "empty-corpus"),
    ],
)
def test_files_that_cannot_be_scored_fail_their_job(api: Api, content: bytes, query: dict[str, str], code: str) -> None:
    error = api.failed(job(api, content, **query))
    assert error["code"] == code, error
    assert "\n" not in error["detail"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"src_background": "nowhere"}, 404, "corpus-not-found"),
        ({"src_background": "en"}, 422, "background-language"),
        ({"tgt_background": "en", "k": "51"}, 422, "k-too-large"),
        ({"src_lang": "xx"}, 422, "unknown-language"),
        ({"src_lang": "cs"}, 422, "language-not-covered"),
        ({"encoder": "nowhere"}, 404, "encoder-unknown"),
        ({"encoder": "../x"}, 422, "invalid-parameter"),
        ({"columns": "2"}, 422, "invalid-parameter"),
        ({"columns": "1,2", "format": "tmx"}, 422, "invalid-parameter"),
        ({"format": "tmx", "tgt_lang": "de"}, 422, "invalid-parameter"),
        ({"format": "pdf"}, 422, "invalid-request"),
        ({"surprise": "x"}, 422, "invalid-request"),
        ({"k": "1025"}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_it_is_sent(
    api: Api, query: dict[str, str], status: int, code: str
) -> None:
    problem(job(api, b"a\tb\n", **query), status, code)


def test_bodies_that_are_no_files_are_refused(api: Api) -> None:
    problem(job(api, b""), 422, "empty-corpus")
    form = {"content-type": "multipart/form-data; boundary=x"}
    problem(job(api, b"--x", headers=form), 422, "unsupported-input")


def test_an_upload_over_the_limit_is_refused(running: Service) -> None:
    strict = running.start_api(max_upload_bytes="1000")
    problem(job(strict, b"a\tb\n" * 300), 413, "upload-too-large")


def test_sent_again_with_its_key_a_file_makes_one_job(api: Api, mined: Pairs) -> None:
    key = {"Idempotency-Key": "scored once"}
    first = job(api, tsv(mined), headers=key)
    again = job(api, tsv(mined), headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    problem(job(api, tsv(mined[1:]), headers=key), 422, "idempotency-key-reused")
    api.http.delete(f"/v1/bitexts/{api.succeeded(first)['bitext']}")


def test_a_file_that_came_in_pieces_is_scored(api: Api, mined: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitextmine.client.corpora.IN_PIECES_BYTES", 100)
    content = "".join(json.dumps(pair) + "\n" for pair in texts(mined)).encode() + b"{"
    with Client(api.url) as client:
        accepted = client.score_file(
            io.BytesIO(content), file_name="old.jsonl", src_lang="de", tgt_lang="en", encoder=ENCODER, **BACKGROUNDS
        )
        done = client.jobs.wait(accepted)
        found = [pair.model_dump() for pair in client.bitexts.pairs(done)]
        assert_same_scores(found, mined)
        assert [(line.source, line.line) for line in client.bitexts.refused(done)] == [("old.jsonl", len(mined) + 1)]
        pairs = [(pair["src"], pair["tgt"]) for pair in mined]
        scores = client.score(pairs, src_lang="de", tgt_lang="en", encoder=ENCODER, **BACKGROUNDS).scores
        assert_same_scores([each.model_dump() for each in scores], mined)
        bitext = client.bitexts.get(done)
        assert (bitext.made_by, bitext.src_source, bitext.src_background) == ("scoring", "old.jsonl", "de")
    response = api.http.post(
        "/v1/scoring-jobs", params={**LANGUAGES, "encoder": ENCODER, "upload": "0" * 32}, content=b""
    )
    problem(response, 404, "upload-not-found")
    problem(job(api, b"a\tb\n", upload="0" * 32), 422, "invalid-parameter")
    problem(job(api, b"", upload="../../etc/passwd"), 422, "invalid-request")


def test_of_a_mined_bitext_nothing_was_refused(api: Api) -> None:
    (bitext,) = (each for each in api.http.get("/v1/bitexts").json()["items"] if each["made_by"] == "mining")
    assert api.http.get(f"/v1/bitexts/{bitext['id']}/refused").json() == {"items": [], "next_cursor": None}
    problem(api.http.get("/v1/bitexts/nowhere/refused"), 404, "bitext-not-found")


def test_a_job_that_is_cancelled_before_it_runs_leaves_nothing(running: Service, api: Api) -> None:
    with running.worker_paused():
        waiting = job(api, text_of("a\tb")).json()["id"]
        assert len(running.uploads) == 1
        assert api.http.post(f"/v1/jobs/{waiting}/cancel").json()["state"] == "cancelled"
        assert running.uploads == []


def test_a_background_stays_while_a_job_needs_it(running: Service, api: Api, mined: Pairs) -> None:
    api.succeeded(api.upload("more", numbered("word", 20), "en"))
    with running.worker_paused():
        waiting = job(api, tsv(mined), tgt_background="more", src_background="de")
        problem(api.http.delete("/v1/corpora/more"), 409, "corpus-in-use")
    bitext = api.succeeded(waiting)["bitext"]
    assert api.http.delete("/v1/corpora/more").status_code == 204
    assert len(pages(api, bitext)) == len(mined)
    lines = api.http.get(f"/v1/bitexts/{bitext}/download", params={"format": "jsonl"}).text.splitlines()
    assert [json.loads(line)["src_line"] for line in lines] == [pair["src_line"] for pair in pages(api, bitext)]


def test_the_server_reads_no_file_that_a_request_names(api: Api, tmp_path: Path) -> None:
    (tmp_path / "secret.tsv").write_text("a\tb\n" * 9)
    error = api.failed(job(api, b"x\n", source=str(tmp_path / "secret.tsv")))
    assert error["code"] == "empty-corpus"
