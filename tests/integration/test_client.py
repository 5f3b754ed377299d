"""The client against a real service: all that it can do, with both clients, and what breaks off on the way."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitextmine.client import AsyncClient, Client, ServiceError, answers, corpora, uploads
from bitextmine.errors import ParameterError
from tests.either_client import MODES, asked
from tests.integration.service import ENCODER, Service, numbered, service_with_corpora


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("client")) as started:
        yield started


@pytest.fixture(scope="module")
def url(running: Service) -> str:
    return running.api.url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as started:
        yield started


@pytest.fixture(scope="module")
def mined(url: str) -> str:
    """The id of a bitext."""
    with Client(url) as client:
        job = client.jobs.wait(client.mine("de", "en", encoder=ENCODER))
    assert job.result
    return str(job.result["bitext"])


@pytest.mark.parametrize("mode", MODES)
def test_a_corpus_from_upload_to_deletion(mode: str, url: str, tmp_path: Path) -> None:
    name = f"news-{mode}"
    file = tmp_path / "news.txt"
    file.write_bytes(numbered("Zeitung", 40) + b"\n\x00\n")
    sent = asked(mode, url, lambda client: client.corpora.upload(file, name=name, lang="de"))
    assert (sent.kind, sent.state) == ("ingest", "queued")
    told: list[tuple[str, int, int | None]] = []
    job = asked(mode, url, lambda client: client.jobs.wait(sent, progress=lambda *news: told.append(news)))
    assert (job.id, job.state, job.error, job.over) == (sent.id, "succeeded", None, True)
    assert {stage for stage, _, _ in told} <= set(job.stage_seconds)
    corpus = asked(mode, url, lambda client: client.corpora.get(name))
    assert (corpus.lang, corpus.sentences, corpus.source) == ("deu_Latn", 40, "news.txt")
    assert name in [each.name for each in asked(mode, url, lambda client: client.corpora.list())]
    lines = asked(mode, url, lambda client: client.corpora.refused(name))
    assert [line.line for line in lines] == [41, 42]
    assert sum(corpus.refused.values()) == 2
    more = asked(mode, url, lambda client: client.corpora.append(name, numbered("Zeitung", 50), file_name="more.txt"))
    asked(mode, url, lambda client: client.jobs.wait(more))
    statistics = asked(mode, url, lambda client: client.corpora.statistics(name))
    assert (statistics.sentences, statistics.duplicates) == (50, 40)
    assert statistics.characters.least <= statistics.characters.mean <= statistics.characters.most
    index = asked(mode, url, lambda client: client.corpora.index(name, encoder=ENCODER))
    asked(mode, url, lambda client: client.jobs.wait(index))
    (found,) = asked(mode, url, lambda client: client.corpora.indexes(name))
    assert (found.encoder, found.sentences, found.searchable) == (ENCODER, 50, True)
    jobs = asked(mode, url, lambda client: client.jobs.list(corpus=name, kind=["ingest", "index"], state="succeeded"))
    assert {job.id for job in jobs} == {sent.id, more.id, index.id}
    asked(mode, url, lambda client: client.corpora.delete(name))
    with pytest.raises(ServiceError) as caught:
        asked(mode, url, lambda client: client.corpora.get(name))
    assert (caught.value.code, caught.value.status) == ("corpus-not-found", 404)


@pytest.mark.parametrize("mode", MODES)
def test_pairs_are_the_same_however_they_are_asked_for(mode: str, url: str, mined: str, tmp_path: Path) -> None:
    bitext = asked(mode, url, lambda client: client.bitexts.get(mined))
    pairs = asked(mode, url, lambda client: client.bitexts.pairs(bitext))
    assert bitext.pairs == len(pairs) > 10
    assert mined in [each.id for each in asked(mode, url, lambda client: client.bitexts.list())]
    margins = [pair.margin for pair in pairs]
    assert margins == sorted(margins, reverse=True)
    middle = margins[len(margins) // 2] - 1e-5  # what is shown is rounded
    best = asked(mode, url, lambda client: client.bitexts.pairs(mined, min_margin=middle, order="asc"))
    assert [pair.margin for pair in best] == sorted(margin for margin in margins if margin >= middle)
    file = tmp_path / "pairs.tsv"
    size = asked(mode, url, lambda client: client.bitexts.download(mined, file, format="tsv"))
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row[1:] for row in rows] == [[pair.src, pair.tgt] for pair in pairs]
    assert size == file.stat().st_size
    asked(
        mode, url, lambda client: client.bitexts.download(mined, file, format="tmx", compress="gz", max_margin=middle)
    )
    assert file.read_bytes().startswith(b"\x1f\x8b")


@pytest.mark.parametrize("mode", MODES)
def test_search_finds_what_was_mined_with_its_margin(mode: str, url: str, mined: str) -> None:
    pair = asked(mode, url, lambda client: client.bitexts.pairs(mined))[0]
    found = asked(
        mode,
        url,
        lambda client: client.search(pair.src, lang="de", corpora="en", encoder=ENCODER, k=1, background="de"),
    )
    (hit,) = found.results[0].hits
    assert hit.text == pair.tgt
    assert hit.margin == pytest.approx(pair.margin, abs=1e-5)
    vectors = asked(mode, url, lambda client: client.embed([pair.src], encoder=ENCODER)).vectors
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    again = asked(mode, url, lambda client: client.search(vectors=vectors, corpora=["en"], encoder=ENCODER, k=1))
    assert again.results[0].hits[0].text == pair.tgt
    with pytest.raises(ParameterError):
        asked(mode, url, lambda client: client.search(corpora=["en"]))


@pytest.mark.parametrize("mode", MODES)
def test_pairs_are_scored_as_they_were_mined(mode: str, url: str, mined: str, tmp_path: Path) -> None:
    pairs = asked(mode, url, lambda client: client.bitexts.pairs(mined))[:20]
    texts = [(pair.src, pair.tgt) for pair in pairs]
    options = {"src_lang": "de", "tgt_lang": "en", "encoder": ENCODER}
    backgrounds = {"src_background": "de", "tgt_background": "en"}
    found = asked(mode, url, lambda client: client.score(texts, **options, **backgrounds))
    assert [score.margin for score in found.scores] == pytest.approx([pair.margin for pair in pairs], abs=1e-5)
    file = tmp_path / "old.tsv"
    file.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in texts), encoding="utf-8")
    job = asked(mode, url, lambda client: client.score_file(file, **options, **backgrounds))
    job = asked(mode, url, lambda client: client.jobs.wait(job))
    scored = asked(mode, url, lambda client: client.bitexts.pairs(job))
    assert {(pair.src, pair.tgt) for pair in scored} == set(texts)
    assert [pair.margin for pair in scored] == pytest.approx([pair.margin for pair in pairs], abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_what_the_service_says_of_itself(mode: str, url: str) -> None:
    assert asked(mode, url, lambda client: client.alive()).live
    ready = asked(mode, url, lambda client: client.ready())
    assert ready.ready
    assert all(check.ok for check in ready.checks)
    assert ENCODER in [
        encoder.name for encoder in asked(mode, url, lambda client: client.encoders()) if encoder.installed
    ]
    plan = asked(mode, url, lambda client: client.plan("de", 1000, encoder=ENCODER, memory="2GB"))
    assert (plan.src_rows, plan.tgt_rows, plan.memory_bytes) == (30, 1000, 2_000_000_000)
    assert plan.method in [estimate.method for estimate in plan.estimates]


@pytest.mark.parametrize("mode", MODES)
def test_a_job_is_followed_cancelled_and_tried_again(mode: str, running: Service, url: str) -> None:
    with running.worker_paused():
        job = asked(mode, url, lambda client: client.mine("de", "en", encoder=ENCODER, threshold=0.5))
        cancelled = asked(mode, url, lambda client: client.jobs.cancel(job))
    states = asked(mode, url, lambda client: client.jobs.follow(job))
    assert states[-1].state == "cancelled"
    assert cancelled.cancel_requested or cancelled.over
    with pytest.raises(ServiceError) as caught:
        asked(mode, url, lambda client: client.jobs.wait(job))
    assert caught.value.code == "job-cancelled"
    assert asked(mode, url, lambda client: client.jobs.wait(job, check=False)).state == "cancelled"
    again = asked(mode, url, lambda client: client.jobs.retry(job))
    assert again.retry_of == job.id
    states = asked(mode, url, lambda client: client.jobs.follow(again.id))
    assert states[-1].state == "succeeded"
    assert len({state.model_dump_json() for state in states}) == len(states)
    asked(mode, url, lambda client: client.jobs.delete(again))
    with pytest.raises(ServiceError, match="there is no job"):
        asked(mode, url, lambda client: client.jobs.follow(again))


def test_a_failed_job_is_an_error_with_its_code(client: Client) -> None:
    job = client.corpora.upload(b"\x00\n", name="rubbish", lang="de")
    with pytest.raises(ServiceError, match=f"job {job.id} failed") as caught:
        client.jobs.wait(job)
    assert caught.value.code == "empty-corpus"


def test_many_threads_share_a_client(client: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: [corpus.name for corpus in client.corpora.list()], range(16)))
    assert all(names == found[0] for names in found)


def test_a_cancelled_task_leaves_the_client_usable(url: str) -> None:
    async def embed_on_and_on(client: AsyncClient) -> None:
        while True:
            await client.embed(["ein Satz"] * 50, encoder=ENCODER)

    async def main() -> None:
        async with AsyncClient(url) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(embed_on_and_on(client), 0.2)
            assert (await client.alive()).live

    asyncio.run(main())


@contextmanager
def cutting_proxy(url: str, cuts: list[int]) -> Iterator[str]:
    """The service behind a connection that is cut after so many bytes from the client, once for each of `cuts`."""
    host, port = url.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
        seen = 0
        try:
            while block := source.recv(65_536):
                seen += len(block)
                if limit is not None and seen > limit:
                    break
                target.sendall(block)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def accept() -> None:
        while not stop.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((host, int(port)))
            limit = cuts.pop(0) if cuts else None
            for pair in ((near, far, limit), (far, near, None)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        with closing(socket.create_connection(listener.getsockname())):
            listener.close()
        thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_a_large_upload_goes_on_where_it_was_cut(
    mode: str, url: str, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "IN_PIECES_BYTES", 100_000)
    monkeypatch.setattr(uploads, "PIECE_BYTES", 400_000)
    monkeypatch.setattr(answers, "FIRST_PAUSE", 0.01)
    file = tmp_path / "large.txt"
    file.write_bytes(numbered(f"Band {mode}", 40_000))
    assert file.stat().st_size > 1_000_000
    told: list[int] = []
    with cutting_proxy(url, [250_000, 600_000, 100_000]) as behind:
        job = asked(
            mode,
            behind,
            lambda there: there.corpora.upload(
                file, name=f"large-{mode}", lang="de", progress=lambda _, done, total: told.append(done)
            ),
        )
    assert client.jobs.wait(job).request["source"] == "large.txt"
    assert client.corpora.get(f"large-{mode}").sentences == 40_000
    assert told[-1] == file.stat().st_size


@pytest.mark.parametrize("mode", MODES)
def test_an_upload_goes_on_in_another_process(mode: str, url: str, tmp_path: Path) -> None:
    content = numbered("Rest", 5_000)
    begun: Any = asked(mode, url, lambda client: client.uploads.begin(len(content), file_name="rest ü.txt"))
    assert (begun.offset, begun.length) == (0, len(content))
    file = tmp_path / "rest.txt"
    file.write_bytes(content)
    with pytest.raises(Exception, match="to send") as caught:
        asked(mode, url, lambda client: client.uploads.send(begun.id, content[:-1]))
    assert caught.value.code == "input-changed"  # type: ignore[attr-defined]
    sent = asked(mode, url, lambda client: client.uploads.send(begun.id, file))
    assert sent.offset == sent.length
    assert asked(mode, url, lambda client: client.uploads.get(begun.id)).offset == len(content)
    asked(mode, url, lambda client: client.uploads.delete(begun.id))
    with pytest.raises(ServiceError) as gone:
        asked(mode, url, lambda client: client.uploads.get(begun.id))
    assert gone.value.status == 404


@pytest.mark.parametrize("mode", MODES)
def test_following_outlives_interruptions(mode: str, running: Service, url: str) -> None:
    """Events that are cut off again and again, and then the job itself, asked for."""
    with running.worker_paused():
        job = asked(mode, url, lambda client: client.mine("de", "en", encoder=ENCODER, threshold=0.7))
    with cutting_proxy(url, [0, 400, 0, 600, 0]) as behind:
        states = asked(mode, behind, lambda client: client.jobs.follow(job))
    assert states[-1].state == "succeeded"
