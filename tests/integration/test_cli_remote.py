"""The commands that speak to a service, as programs: what they print, write and leave, and their exit codes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitextmine.cli.mine_remote import name_for
from bitextmine.corpus import CorpusFile, CorpusFormat
from tests.integration.service import ENCODER, Service, numbered, service_with_corpora
from tests.integration.waiting import heed_ctrl_c, unmeasured_environment, wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_corpora(tmp_path_factory.mktemp("remote")) as started:
        yield started


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    src, tgt = tmp_path / "Zeitung (1).de.gz", tmp_path / "news.en"
    src.write_bytes(gzip.compress(numbered("Haus", 60) + b"\x00\n"))
    tgt.write_bytes(numbered("house", 80))
    return src, tgt


def arguments(*words: object) -> list[str]:
    return [sys.executable, "-m", "bitextmine", *map(str, words)]


def bitextmine(*words: object, expect: int = 0, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        arguments(*words), input=text, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    if expect:
        assert done.stderr.count("\n") == 1, done.stderr
    return done


def test_pairs_from_a_service_are_those_of_a_local_run(
    running: Service, files: tuple[Path, Path], tmp_path: Path, encoders: Path
) -> None:
    languages = ("--src-lang", "de", "--tgt-lang", "en", "--encoder", ENCODER, "--k", 3)
    local = bitextmine("mine", *files, *languages, "--data-dir", tmp_path / "d", "--encoders-dir", encoders)
    server = ("--server", running.api.url)
    there = bitextmine("mine", *files, *languages, *server, "-o", tmp_path / "pairs.tsv")
    assert (tmp_path / "pairs.tsv").read_text(encoding="utf-8") == local.stdout
    assert "1 of 61 lines refused (control-character 1)" in there.stderr
    assert "60 x 80 sentences" in there.stderr
    again = bitextmine("mine", *files, *languages, BITEXTMINE_SERVER=running.api.url)
    assert again.stdout == local.stdout
    names = [json.loads(line)["name"] for line in bitextmine("corpora", "list", "--json", *server).stdout.splitlines()]
    assert sorted(name.rpartition("-")[0] for name in names) == ["", "", "news.en", "zeitung-1-.de.gz"]
    by_name = bitextmine("mine", *sorted(names, reverse=True)[:2], "--encoder", ENCODER, "--k", 3, *server)
    assert by_name.stdout == local.stdout
    bitextmine("mine", "de", "en", "--encoder", ENCODER, *server, "-o", tmp_path / "pairs.jsonl.gz")
    assert json.loads(gzip.decompress((tmp_path / "pairs.jsonl.gz").read_bytes()).splitlines()[0])["margin"] > 0


def test_ctrl_c_cancels_the_job(running: Service) -> None:
    jobs = running.api.http
    with running.worker_paused():
        command = arguments("mine", "de", "en", "--encoder", ENCODER, "--threshold", 0.9, "--server", running.api.url)
        with subprocess.Popen(
            command,
            env=unmeasured_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - the tests have one thread
        ) as process:
            waiting = {"kind": "mine", "state": "queued"}
            wait_until(lambda: jobs.get("/v1/jobs", params=waiting).json()["items"], "the job is sent")
            (job,) = jobs.get("/v1/jobs", params=waiting).json()["items"]
            process.send_signal(signal.SIGINT)
            printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert f"job {job['id']} is cancelled" in said
    wait_until(lambda: running.api.job(job["id"])["state"] == "cancelled", "it is")


def test_what_cannot_be_is_said_on_one_line(running: Service, files: tuple[Path, Path], tmp_path: Path) -> None:
    server = ("--server", running.api.url)
    for words, said in (
        (("mine", "de", "nowhere", *server), "neither a file nowhere here nor a corpus of that name there"),
        (("mine", "de", "Keine Datei!", *server), "neither a file"),
        (("mine", *files, *server), "give --src-lang"),
        (("mine", "de", "en", "--src-lang", "fr", *server), "corpus de is in deu_Latn, not in fr"),
        (("mine", "de", "en", "--threads", 2, "--memory", "1GB", *server), "--threads, --memory: not with --server"),
        (("mine", "de", "en", "--encoder", "muze", *server), "encoder"),
        (("mine", "de", "en", "-o", tmp_path / "no" / "p.tsv", *server), "there is no directory"),
        (("mine", "de", "en", "--server", "localhost"), "is no URL of a service"),
        (("mine", "de", "en"), "give --src-lang and --tgt-lang"),
        (("corpora", "show", "nowhere", *server), "there is no corpus 'nowhere'"),
        (("corpora", "upload", tmp_path / "nowhere", "--name", "a", "--lang", "de", *server), "cannot read"),
        (("corpora", "upload", files[1], "--name", "de", "--lang", "de", *server), "there is a corpus 'de' already"),
        (("jobs", "show", "0" * 22, *server), "there is no job"),
        (("search", "Haus", *server), "say where to search"),
    ):
        assert said in bitextmine(*words, expect=2).stderr, words
    unreachable = bitextmine("jobs", "list", "--server", "http://127.0.0.1:9", expect=1)
    assert "http://127.0.0.1:9 cannot be reached" in unreachable.stderr


def test_keys_are_told(running: Service) -> None:
    url = running.start_api(auth="on").url
    assert "asks for a key" in bitextmine("corpora", "list", "--server", url, expect=2).stderr
    made = bitextmine("keys", "create", "--name", "a", "--scope", "read", "--data-dir", running.data_dir).stdout.split()
    assert bitextmine("corpora", "list", "--server", url, "--key", made[-1]).stdout
    assert bitextmine("corpora", "list", "--server", url, BITEXTMINE_KEY=made[-1]).stdout
    refused = bitextmine("corpora", "delete", "de", "--server", url, "--key", made[-1], expect=2)
    assert "scope" in refused.stderr


def test_corpora_jobs_and_search(running: Service, files: tuple[Path, Path]) -> None:
    env = {"BITEXTMINE_SERVER": running.api.url}
    uploaded = bitextmine("corpora", "upload", files[1], "--name", "more", "--lang", "en", **env)
    assert "80 sentences of 80 lines" in uploaded.stderr
    assert "81 sentences" in bitextmine("corpora", "append", "more", "/dev/stdin", text="a new one\n", **env).stderr
    assert json.loads(bitextmine("corpora", "show", "more", **env).stdout)["sentences"] == 81
    assert json.loads(bitextmine("corpora", "statistics", "more", **env).stdout)["sentences"] == 81
    assert "81 sentences can be searched" in bitextmine("corpora", "index", "more", "--encoder", ENCODER, **env).stderr
    listed = bitextmine("jobs", "list", "--corpus", "more", "--kind", "ingest", "--json", **env).stdout.splitlines()
    job = json.loads(listed[-1])
    assert (len(listed), job["state"], job["request"]["name"]) == (2, "succeeded", "more")
    assert "succeeded more" in bitextmine("jobs", "watch", job["id"], **env).stderr
    assert json.loads(bitextmine("jobs", "show", job["id"], **env).stdout)["id"] == job["id"]
    assert "is over" in (said := bitextmine("jobs", "cancel", job["id"], expect=2, **env).stderr) or job["id"] in said
    bitextmine("mine", "de", "more", "--encoder", ENCODER, "-o", os.devnull, **env)
    found = bitextmine(
        "search", "-", "--lang", "de", "-c", "more", "--encoder", ENCODER, "-k", 1, text="Haus 7\n\nHaus 8\n", **env
    ).stdout.splitlines()
    assert [line for line in found if "\t" not in line] == ["Haus 7", "Haus 8"]
    assert all(len(line.split("\t")) == 3 for line in found[1::2])
    as_json = bitextmine("search", "Haus 7", "-c", "more", "--encoder", ENCODER, "--json", **env).stdout
    assert len(json.loads(as_json)["hits"]) == 10
    bitextmine("corpora", "delete", "more", **env)
    bitextmine("corpora", "show", "more", expect=2, **env)


def test_names_stand_for_content_language_and_format(tmp_path: Path) -> None:
    file = tmp_path / "__Überschrift & Co.TXT"
    file.write_text("a\n")
    names = {
        name_for(CorpusFile(file, lang, form))
        for lang in ("deu_Latn", "eng_Latn")
        for form in (CorpusFormat.TEXT, CorpusFormat.JSONL)
    }
    assert len(names) == 4
    assert all(name.startswith("berschrift-co.txt-") for name in names)
    first = name_for(CorpusFile(file, "deu_Latn", CorpusFormat.TEXT))
    file.write_text("b\n")
    assert name_for(CorpusFile(file, "deu_Latn", CorpusFormat.TEXT)) not in names
    assert first in names
    (tmp_path / "…").write_text("a\n")
    assert name_for(CorpusFile(tmp_path / "…", "deu_Latn", CorpusFormat.TEXT)).startswith("corpus-")
