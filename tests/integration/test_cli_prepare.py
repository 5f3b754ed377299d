"""`bitextmine prepare` as people use it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from backports import zstd

from bitextmine.cli import run

LINES = [
    "Das ist ein guter Satz.",
    "Das ist ein guter Satz.",
    "DAS IST EIN GUTER SATZ",
    "This is an English sentence in a German file.",
    "%%%%%%%%",
    "",
    "Noch ein guter Satz.",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a file of lines and one of articles; data go below it."""
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("".join(f"{line}\n" for line in LINES))
    article = {"id": 7, "title": "Berlin", "text": "Berlin ist groß. Die Spree ist ein Fluss.\n"}
    Path("wiki").mkdir()
    Path("wiki/wiki_00").write_text(json.dumps(article) + "\n")
    Path("empty").mkdir()
    return tmp_path


def rejects() -> list[dict[str, object]]:
    (path,) = Path("data/artifacts/corpus").glob("*/rejects.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_rules_drop_is_shown_and_written_down(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "a.txt", "--lang", "de", "-o", "out.txt"]) == 0
    printed, said = capfd.readouterr()
    table = {
        line.split()[0]: line.split()[1:3] for line in printed.splitlines() if line.startswith("  ") and line[2] != " "
    }
    assert table == {
        "punctuation": ["1", "16.67%"],
        "language": ["1", "16.67%"],
        "near-duplicate": ["1", "16.67%"],
        "duplicates": ["1", "16.67%"],
        "kept": ["2", "33.33%"],
    }
    assert printed.startswith("refused, empty")
    assert "a.txt:4: another language has a chance of" in printed
    assert "This is an English sentence" in printed
    assert said.startswith("corpus ")
    assert Path("out.txt").read_text() == "Das ist ein guter Satz.\nNoch ein guter Satz.\n"
    assert [(one["rule"], one["line"]) for one in rejects()] == [
        ("near-duplicate", 3),
        ("language", 4),
        ("punctuation", 5),
    ]

    assert run(["prepare", "a.txt", "--lang", "de"]) == 0
    assert capfd.readouterr().out == printed, "what is there already is told as well"


def test_a_dry_run_shows_the_same_and_makes_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "a.txt", "--lang", "de", "--dry-run"]) == 0
    dry, said = capfd.readouterr()
    assert said.endswith("nothing was made\n")
    assert not Path("data").exists()
    assert run(["prepare", "a.txt", "--lang", "de"]) == 0
    assert capfd.readouterr().out == dry


def test_articles_become_sentences_with_their_places(folder: Path) -> None:
    assert run(["prepare", "wiki", "--lang", "de", "-o", "out.jsonl.gz"]) == 0
    records = [json.loads(line) for line in gzip.decompress(Path("out.jsonl.gz").read_bytes()).splitlines()]
    assert records == [
        {"text": "Berlin ist groß.", "id": "7#1", "doc_id": "7", "line": 1, "source": "wiki_00"},
        {"text": "Die Spree ist ein Fluss.", "id": "7#2", "doc_id": "7", "line": 1, "source": "wiki_00"},
    ]
    assert run(["prepare", "out.jsonl.gz", "--lang", "de", "-o", "again.jsonl"]) == 0
    again = [json.loads(line) for line in Path("again.jsonl").read_text().splitlines()]
    assert [(one["text"], one["id"], one["doc_id"]) for one in again] == [
        (one["text"], one["id"], one["doc_id"]) for one in records
    ], "what was prepared stays as it is"


def test_an_output_is_what_its_name_says(folder: Path) -> None:
    texts = ["Das ist ein guter Satz.", "Noch ein guter Satz."]
    for name in ("corpus.de", "out", "out.TXT", "a.b.txt", "out.gz", "out.txt.zst", "out.ndjson", "out.jsonl.zst"):
        assert run(["prepare", "a.txt", "--lang", "de", "-o", name]) == 0
        content = Path(name).read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
        lines = (zstd.decompress(content) if name.endswith(".zst") else content).decode().splitlines()
        assert ([json.loads(line)["text"] for line in lines] if "json" in name else lines) == texts


def test_options_change_what_is_dropped(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def kept(*options: str) -> int:
        assert run(["prepare", "a.txt", "--lang", "de", "--dry-run", *options]) == 0
        last = capfd.readouterr().out.splitlines()[-1].split()
        assert last[0] == "kept"
        return int(last[1])

    assert kept() == 2
    assert kept("--near-duplicates", "keep") == 3
    assert kept("--without", "language", "--without", "punctuation") == 4
    assert kept("--rule", "length.most=20") == 1
    Path("known.tsv").write_text("Noch ein guter Satz.\tAnother good sentence.\n")
    assert kept("--exclude", "known.tsv") == 1
    Path("more.txt").write_text("Ganz\u00a0neu ist dieser Satz.\n")
    assert kept("--tidy", "spaces", "--normalization", "nfkc", "--split", "always", "more.txt") == 3


def test_languages_that_the_identifier_does_not_know_are_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["prepare", "a.txt", "--lang", "ang", "--dry-run"]) == 0
    assert "note: the language identifier does not know ang" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nix.txt"], "cannot read nix.txt: No such file or directory"),
        (["*.nix"], "no file matches '*.nix'"),
        (["empty"], "the directory empty has no files"),
        (["."], "matches files of different formats"),
        (["a.txt", "--rule", "beauty.most=1"], "unknown rule 'beauty'"),
        (["a.txt", "--rule", "length"], "'length' sets no bound"),
        (["a.txt", "--without", "beauty"], "--without 'beauty': the rules to leave out are"),
        (["a.txt", "--exclude", "nix"], "cannot read nix"),
        (["a.txt", "-o", "nix/out.txt"], "cannot write nix/out.txt: there is no directory nix"),
        (["a.txt", "-o", "wiki"], "it is a directory"),
        (
            ["a.txt", "-o", "out.txt.xz"],
            "cannot write out.txt.xz: the sentences are written as .txt, .jsonl or .ndjson",
        ),
        (["a.txt", "-o", "out.parquet"], "cannot write out.parquet"),
        (["a.txt", "-o", "out.json.gz"], "cannot write out.json.gz"),
        (["a.txt", "-o", "out.json"], "cannot write out.json"),
        (["a.txt", "-o", "out.jsonl.gz.zst"], "cannot write out.jsonl.gz.zst"),
        (["a.txt", "-o", "out.tmx.gz"], "cannot write out.tmx.gz"),
        (["a.txt", "-o", "out.txt", "--dry-run"], "--dry-run makes nothing"),
        (["a.txt", "--rule", "length.least=400"], "nothing is left of 7 lines in 1 file"),
        (["a.txt", "--lang", "xx"], "unknown language 'xx'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lang = [] if "--lang" in arguments else ["--lang", "de"]
    assert run(["prepare", *arguments, *lang]) == 2
    printed, error = capfd.readouterr()
    assert printed == ""
    assert error.startswith("bitextmine: ")
    assert said in error
    assert error.count("\n") == 1
    assert not list(Path("data").rglob("rejects.jsonl"))
