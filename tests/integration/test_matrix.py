"""Matrix runs from the command line: again after what ended them, after corpora grew, and what fails alone."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.cli import run
from bitextmine.matrix.stage_log import read_stage_log
from tests.integration.service import numbered
from tests.integration.waiting import heed_ctrl_c, unmeasured_environment, wait_until
from tests.shuffled_words import sentences

WORDS = {"de": "Haus", "en": "house", "fr": "maison", "ru": "дом"}
PAIRS = 6
SETTINGS = 'encoder = "tiny"\noutput = "pairs"\nformat = "tsv.gz"\nfilters = "none"\n'


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small corpora in the current directory; data go below it."""
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    write_corpora(tmp_path, 60)
    return tmp_path


def write_corpora(folder: Path, sentences: int, settings: str = SETTINGS) -> None:
    for lang, word in WORDS.items():
        (folder / f"{lang}.txt").write_bytes(numbered(word, sentences))
    tables = "".join(f'[corpora.{lang}]\nfiles = ["{lang}.txt"]\n' for lang in WORDS)
    (folder / "run.toml").write_text(settings + tables)


def report(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "data" / "matrices").glob("*/report.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def made_twice(folder: Path) -> set[str]:
    lines = [line for log in (folder / "data" / "matrices").glob("*/log") for line in read_stage_log(log)]
    digests = [line.digest for line in lines]
    assert digests
    return {digest for digest in digests if digests.count(digest) > 1}


def files(folder: Path) -> dict[str, bytes]:
    """What each pair's bitext is, byte for byte."""
    store = ArtifactStore(folder / "data" / "artifacts")
    found = {}
    for pair in report(folder)["pairs"]:
        artifact = store.open("bitext", pair["result"]["bitext"])
        assert artifact is not None
        found[f"{pair['src']}-{pair['tgt']}"] = Bitext(artifact).path.read_bytes()
    return found


def test_every_pair_is_mined_and_every_corpus_embedded_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["matrix", "run.toml"]) == 0
    said = capfd.readouterr().err
    assert "plan: 4 corpora, 240 sentences, 240 to embed" in said
    found = report(folder)
    assert found["counts"] == {"waiting": 0, "running": 0, "done": PAIRS, "failed": 0}
    assert found["finished"]
    for pair in found["pairs"]:
        written = folder / "pairs" / f"{pair['src']}-{pair['tgt']}.tsv.gz"
        rows = [line.split("\t") for line in gzip.decompress(written.read_bytes()).decode().splitlines()]
        assert len(rows) == pair["result"]["pairs"] == sum(pair["result"]["histogram"]["counts"]) > 30
        assert all(src.startswith(WORDS[pair["src"]]) and tgt.startswith(WORDS[pair["tgt"]]) for _, src, tgt in rows)
    assert made_twice(folder) == set()
    assert len(list((folder / "data" / "artifacts" / "embeddings").iterdir())) == len(WORDS)
    (page,) = (folder / "data" / "matrices").glob("*/report.html")
    assert "Pairs of sentences that were kept" in page.read_text()
    assert set(found["seconds"]) == {"corpus", "embeddings", "neighbors", "bitext"}


def test_the_same_pairs_as_mining_each_pair_by_itself(folder: Path) -> None:
    assert run(["matrix", "run.toml"]) == 0
    for pair, content in files(folder).items():
        src, tgt = pair.split("-")
        command = ["mine", f"{src}.txt", f"{tgt}.txt", "--src-lang", src, "--tgt-lang", tgt, "--encoder", "tiny"]
        assert run([*command, "-o", "alone.parquet"]) == 0
        assert (folder / "alone.parquet").read_bytes() == content


def test_a_precision_that_nothing_promises_leaves_no_pairs_and_says_why(folder: Path) -> None:
    write_corpora(folder, 60, f"precision = 0.95\n{SETTINGS}")
    assert run(["matrix", "run.toml"]) == 0
    for pair in report(folder)["pairs"]:
        assert (pair["state"], pair["result"]["pairs"]) == ("done", 0)
        assert pair["result"]["threshold"]["code"] == "precision-unknown"
    (page,) = (folder / "data" / "matrices").glob("*/report.html")
    assert "No threshold can be chosen" in page.read_text()


def test_a_precision_that_nothing_promises_leaves_the_pairs_above_the_threshold(folder: Path) -> None:
    write_corpora(folder, 60, f"precision = 0.95\n{SETTINGS}[mining]\nthreshold = 0.9\n")
    assert run(["matrix", "run.toml"]) == 0
    for pair in report(folder)["pairs"]:
        assert pair["result"]["pairs"] > 20
        assert pair["result"]["threshold"]["value"] == 0.9
        assert pair["result"]["threshold"]["why"]


def test_a_precision_gives_each_pair_a_threshold_of_its_own(folder: Path) -> None:
    """Half of the sentences have a partner: what is promised of the pairs above the threshold holds."""
    shared = sentences(0, 300)
    for seed, lang in enumerate(WORDS, 1):
        partnered = [" ".join(random.Random(seed).sample(words, len(words))) for words in map(str.split, shared)]
        (folder / f"{lang}.txt").write_text("\n".join([*partnered, *sentences(seed, 300)]) + "\n")
    tables = "".join(f'[corpora.{lang}]\nfiles = ["{lang}.txt"]\n' for lang in WORDS)
    (folder / "run.toml").write_text(f"precision = 0.9\n{SETTINGS}{tables}")
    assert run(["matrix", "run.toml"]) == 0
    results = [pair["result"] for pair in report(folder)["pairs"]]
    chosen = [result for result in results if result["threshold"]["value"] is not None]
    assert len(chosen) >= PAIRS // 2
    assert all(result["pairs"] == 0 and result["threshold"]["why"] for result in results if result not in chosen)
    for result in chosen:
        threshold = result["threshold"]
        assert threshold["low"] <= threshold["precision"] <= threshold["high"]
        assert threshold["precision"] >= 0.9
        assert result["pairs"] == threshold["pairs"]
    assert len({result["threshold"]["value"] for result in chosen}) == len(chosen)


def test_the_plan_alone_mines_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["matrix", "run.toml", "--plan"]) == 0
    said = capfd.readouterr().err
    assert said.count(" x 60, exact") == PAIRS
    assert not (folder / "data" / "artifacts" / "embeddings").exists()
    assert not list((folder / "data" / "matrices").glob("*/report.json"))


def test_a_second_run_finds_everything(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["matrix", "run.toml"]) == 0
    first = files(folder)
    assert run(["matrix", "run.toml"]) == 0
    said = capfd.readouterr().err
    assert said.count("searched before") == PAIRS
    assert made_twice(folder) == set()
    assert files(folder) == first


def test_corpora_are_prepared_where_it_is_asked_for(folder: Path) -> None:
    """Every sentence twice, once in capitals, and an address: what preparation drops is in nobody's pairs."""
    for lang in WORDS:
        text = (folder / f"{lang}.txt").read_text()
        (folder / f"{lang}.txt").write_text(text + text.upper() + "@@@ !!! ??? ### $$$ %%%\n")
    rules = '[preparation]\nnear_duplicates = "letters"\nrules = { language = false, script = false }\n'
    tables = "".join(f'[corpora.{lang}]\nfiles = ["{lang}.txt"]\n' for lang in WORDS)
    (folder / "run.toml").write_text(SETTINGS + rules + tables)
    assert run(["matrix", "run.toml"]) == 0
    found = report(folder)
    assert {corpus["sentences"] for corpus in found["corpora"].values()} == {60}
    assert found["counts"]["done"] == PAIRS


def test_corpora_that_grew_are_mined_as_if_from_scratch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["matrix", "run.toml"]) == 0
    write_corpora(folder, 66)
    assert run(["matrix", "run.toml"]) == 0
    latest = max((folder / "data" / "matrices").glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    grown = {(pair["src"], pair["tgt"]): pair["result"] for pair in json.loads(latest.read_text())["pairs"]}
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(folder / "fresh" / "data"))
    assert run(["matrix", "run.toml"]) == 0
    fresh = {(pair["src"], pair["tgt"]): pair["result"] for pair in report(folder / "fresh")["pairs"]}
    for pair, result in grown.items():
        assert result["reused"], "the neighbours of the first run"
        stores = [ArtifactStore(place / "data" / "artifacts") for place in (folder, folder / "fresh")]
        bitexts = [
            store.open("bitext", made["bitext"]) for store, made in zip(stores, (result, fresh[pair]), strict=True)
        ]
        contents = [Bitext(artifact).path.read_bytes() for artifact in bitexts if artifact is not None]
        assert len(contents) == 2
        assert contents[0] == contents[1]


def test_a_pair_that_fails_leaves_the_others_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A neighbours artifact that is damaged: only who needs it fails, and says what to do."""
    assert run(["matrix", "run.toml"]) == 0
    made = files(folder)
    store = ArtifactStore(folder / "data" / "artifacts")
    for bitext in store.list("bitext"):
        store.delete("bitext", bitext.digest)
    damaged = store.list("neighbors")[0].path / "forward.ids.npy"
    damaged.write_bytes(b"")
    assert run(["matrix", "run.toml"]) == 1
    said = capfd.readouterr().err
    assert "forward.ids.npy is missing or was truncated" in said
    counts = report(folder)["counts"]
    assert (counts["done"], counts["failed"]) == (PAIRS - 1, 1)
    store.delete("neighbors", damaged.parent.name)
    assert run(["matrix", "run.toml"]) == 0
    assert files(folder) == made


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('encoder = "tiny"\npivot = "ja"\n', "the pivot 'jpn_Jpan' is none of"),
        ('encoder = "nine"\n', "nine"),
        ('encoder = "tiny"\n[mining]\nk = 100\n', "k=100 is more than the 60 sentences of"),
    ],
)
def test_what_cannot_work_is_one_line(
    folder: Path, settings: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_corpora(folder, 60, settings)
    assert run(["matrix", "run.toml"]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert message in said[0]


def test_ctrl_c_ends_it_and_the_next_run_goes_on(folder: Path) -> None:
    write_corpora(folder, 20_000)
    command = [sys.executable, "-m", "bitextmine", "matrix", "run.toml"]
    process = subprocess.Popen(
        command,
        env=unmeasured_environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - the tests have one thread
    )
    embeddings = folder / "data" / "artifacts" / "embeddings"
    wait_until(lambda: embeddings.is_dir() and len(list(embeddings.iterdir())) >= 2, "something is embedded")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "bitextmine: interrupted"
    kept = {path.name for path in embeddings.iterdir()}
    assert run(["matrix", "run.toml"]) == 0
    assert kept <= {path.name for path in embeddings.iterdir()}
    assert made_twice(folder) == set()
