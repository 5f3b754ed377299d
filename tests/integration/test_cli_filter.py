"""`bitextmine filter` and `mine --filters`: bitexts in every format in, what passes and what does not out."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextmine.cli import run

LANGUAGES = ("--src-lang", "de", "--tgt-lang", "en")
GOOD = [
    ("Der Regen hört am Abend auf.", "The rain stops in the evening."),
    ("Das Museum ist am Montag geschlossen.", "The museum is closed on Mondays."),
]
NUMBERS = ("Es kostet 1250 Euro.", "It costs 1520 euros.")
COPY = ("Radio Tirana live aus Bonn", "Radio Tirana live aus Bonn")
PAIRS = [GOOD[0], NUMBERS, COPY, GOOD[1]]
MARGINS = [1.5, 1.25, 1.75, 1.125]  # in no order: a file may be of any


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    rows = [(*pair, margin) for pair, margin in zip(PAIRS, MARGINS, strict=True)]
    Path("scored.tsv").write_text("".join(f"{margin}\t{src}\t{tgt}\n" for src, tgt, margin in rows))
    Path("plain.tsv").write_text("".join(f"{src}\t{tgt}\n" for src, tgt in PAIRS))
    Path("named.tsv").write_text(
        "tgt\tmargin\tsrc\n" + "".join(f"{tgt}\t{margin}\t{src}\n" for src, tgt, margin in rows)
    )
    Path("pairs.jsonl").write_text(
        "".join(json.dumps({"src": src, "tgt": tgt, "margin": margin}) + "\n" for src, tgt, margin in rows)
    )
    pq.write_table(
        pa.table({"src": [r[0] for r in rows], "tgt": [r[1] for r in rows], "margin": MARGINS}), "pairs.parquet"
    )
    for side, name in enumerate(("de.txt", "en.txt")):
        Path(name).write_text("".join(f"{pair[side]}\n" for pair in PAIRS))
    with zipfile.ZipFile("pairs.zip", "w") as archive:
        archive.write("de.txt", "x.de")
        archive.write("en.txt", "x.en")
    Path("scored.tsv.gz").write_bytes(gzip.compress(Path("scored.tsv").read_bytes()))
    units = "".join(
        f'<tu><prop type="x-margin">{margin}</prop><tuv xml:lang="de"><seg>{src}</seg></tuv>'
        f'<tuv xml:lang="en"><seg>{tgt}</seg></tuv></tu>'
        for src, tgt, margin in rows
    )
    Path("pairs.tmx").write_text(f'<tmx version="1.4"><header/><body>{units}</body></tmx>')
    return tmp_path


def filtered(*arguments: str) -> int:
    return run(["filter", *arguments, *LANGUAGES])


def lines(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.parametrize(
    "name", ["scored.tsv", "scored.tsv.gz", "named.tsv", "pairs.jsonl", "pairs.parquet", "pairs.tmx"]
)
def test_scored_pairs_keep_scores_and_order(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert filtered(name, "--rejected", "dropped.tsv") == 0
    printed, said = capfd.readouterr()
    assert lines(printed) == [["1.500000", *GOOD[0]], ["1.125000", *GOOD[1]]]
    dropped = lines(Path("dropped.tsv").read_text())
    assert [(row[0], *row[2:]) for row in dropped] == [("numbers", "1.250000", *NUMBERS), ("copy", "1.750000", *COPY)]
    assert "the numbers disagree" in dropped[0][1]
    assert "2 of 4 pairs were dropped by filters: numbers 1, copy 1" in said
    assert "2 pairs written" in said
    assert list(Path().glob("bitextmine-*")) == []


@pytest.mark.parametrize(
    ("first_line", "columns"),
    [("score\tgerman\tenglish\n", "german,english"), ("Margin\tde\ten\n", "de,en"), ("", "2,3"), ("", "3,2")],
)
def test_scores_stay_where_columns_are_told(first_line: str, columns: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("told.tsv").write_text(first_line + Path("scored.tsv").read_text())
    assert filtered("told.tsv", "--columns", columns, "--filters", "none", "--set", "ceiling.most=1.3") == 0
    kept = [("1.250000", *NUMBERS), ("1.125000", *GOOD[1])]
    order = [0, 2, 1] if columns == "3,2" else [0, 1, 2]
    assert lines(capfd.readouterr().out) == [[row[place] for place in order] for row in kept]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("id\tgerman\tenglish\n7\tHaus\thouse\n", "german,english"),
        ("score\tgerman\tenglish\thits\tscore\n7\tHaus\thouse\t7\t7\n", "german,english"),
        ("7\tHaus\thouse\tmore\n", "2,3"),
        ("7\tx\tHaus\thouse\n", "3,4"),
        ("a7\tHaus\thouse\n", "2,3"),
        ("7\tHaus\thouse\n", "1,2"),
        ("7\tHaus\n", "1,2"),
        ("german\tenglish\tscore\nHaus\thouse\n", "german,english"),
    ],
)
def test_no_other_column_is_taken_for_scores(content: str, columns: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("told.tsv").write_text(content)
    assert filtered("told.tsv", "--columns", columns, "--filters", "none") == 0
    assert [len(row) for row in lines(capfd.readouterr().out)] == [2]


@pytest.mark.parametrize("arguments", [("plain.tsv",), ("de.txt", "en.txt"), ("pairs.zip",)])
def test_pairs_without_scores_get_none(arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert filtered(*arguments, "--rejected", "dropped.tsv") == 0
    assert lines(capfd.readouterr().out) == [list(pair) for pair in GOOD]
    assert [row[2:] for row in lines(Path("dropped.tsv").read_text())] == [list(NUMBERS), list(COPY)]


@pytest.mark.parametrize("name", ["plain.tsv", "scored.tsv"])
def test_every_format_can_be_written_and_filtered_again(name: str) -> None:
    for output in ("k.jsonl", "k.tmx.gz", "k.parquet", "k.zip", "k.tsv.zst"):
        assert filtered(name, "-o", output) == 0
        assert filtered(output, "-o", "again.jsonl", "--filters", "none") == 0
        found = [json.loads(line) for line in Path("again.jsonl").read_text().splitlines()]
        assert [(each["src"], each["tgt"]) for each in found] == GOOD
        scores = [1.5, 1.125] if name == "scored.tsv" and output != "k.zip" else [None, None]
        assert [each["margin"] for each in found] == scores, output


def test_all_columns_of_an_export_stay(encoders: Path) -> None:
    for name, word in (("de", "Haus"), ("en", "house")):
        Path(f"{name}.txt").write_text("".join(f"{word} {n} museum {n * n % 997}\n" for n in range(20)))
    mined = ["mine", "de.txt", "en.txt", *LANGUAGES, "--encoder", "tiny", "--encoders-dir", str(encoders)]
    for name in ("mined.jsonl", "mined.parquet"):
        assert run([*mined, "-o", name]) == 0
        assert filtered(name, "--filters", "none", "-o", f"kept-{name}") == 0
        assert filtered(name, "--filters", "none", "-o", "kept.jsonl") == 0
        assert Path("kept.jsonl").read_text() == Path("mined.jsonl").read_text()
    assert pq.read_table("kept-mined.parquet").equals(pq.read_table("mined.parquet"))
    assert Path("kept-mined.jsonl").read_text() == Path("mined.jsonl").read_text()


def test_a_dry_run_says_what_each_filter_would_drop(capfd: pytest.CaptureFixture[str]) -> None:
    assert filtered("scored.tsv", "--dry-run", "-o", "kept.tsv") == 0
    printed = capfd.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if not line.startswith(" ")}
    assert rows["numbers"] == ["1", "1"]
    assert rows["copy"] == ["1", "1"]
    assert rows["overlap"] == ["0", "1"]
    assert rows["boilerplate"] == ["0", "0"]
    assert "(ratio 1, variance 6.8)" in printed
    assert NUMBERS[0] in printed
    assert "2 of 4 pairs would be kept" in printed
    assert not Path("kept.tsv").exists()


def test_filters_are_chosen_by_options(capfd: pytest.CaptureFixture[str]) -> None:
    cases = {
        ("--only", "numbers"): 3,
        ("--only", "numbers", "--only", "copy"): 2,
        ("--without", "numbers", "--without", "language"): 3,
        ("--filters", "none"): 4,
        ("--filters", "none", "--set", "ceiling.most=1.3"): 2,
        ("--only", "ceiling", "--set", "ceiling.most=1.6"): 3,
        ("--set", "numbers.least=0", "--without", "language"): 3,
        ("--only", "punctuation", "--set", "punctuation.most=0.01"): 1,
    }
    for options, kept in cases.items():
        assert filtered("scored.tsv", *options) == 0, options
        assert len(capfd.readouterr().out.splitlines()) == kept, options


def test_filters_are_chosen_by_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    Path("f.toml").write_text("numbers = false\n[ceiling]\nmost = 1.2\n")
    Path("f.json").write_text('{"defaults": false, "copy": true}')
    assert filtered("scored.tsv", "--filters", "f.toml") == 0
    assert len(capfd.readouterr().out.splitlines()) == 1
    assert filtered("scored.tsv", "--filters", "f.json") == 0
    assert len(capfd.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("scored.tsv", "--filters", "all"), "'all' is no choice of filters"),
        (("scored.tsv", "--filters", "de.txt"), "de.txt is not TOML"),
        (("scored.tsv", "--only", "lenght-ratio"), "unknown filter 'lenght-ratio'; there are: length-ratio, "),
        (("scored.tsv", "--without", "x"), "unknown filter 'x'"),
        (("scored.tsv", "--set", "copy.most=x"), "'x' is no number"),
        (("scored.tsv", "--set", "copy.most=nan"), "copy.most is nan"),
        (("scored.tsv", "--set", "copy"), "write it as length-ratio.most=4"),
        (("scored.tsv", "--set", "copy.upper=1"), "copy has no bound 'upper'"),
        (("scored.tsv", "--only", "ceiling"), "ceiling needs a bound"),
        (("plain.tsv", "--filters", "none", "--set", "ceiling.most=2"), "looks at margins, and plain.tsv has none"),
        (("nowhere.tsv",), "nowhere.tsv"),
        (("nowhere.parquet",), "nowhere.parquet"),
        (("scored.tsv", "--format", "parquet"), "scored.tsv is no Parquet file"),
        (("scored.tsv", "--rejected", "x.tmx"), "not as tmx"),
        (("scored.tsv", "--rejected", "-"), "cannot both go to stdout"),
        (("scored.tsv", "-o", "x.tsv", "--rejected", "x.tsv"), "cannot both go to x.tsv"),
        (("scored.tsv", "--rejected", "no/where.tsv"), "there is no directory no"),
        (("scored.tsv", "-o", "x.docx"), "cannot write x.docx"),
        (("de.txt",), "no tab between source and target"),
        (("pairs.parquet", "--columns", "1,2"), "a Parquet file is one file"),
        (("other.parquet",), "has not one column src of strings"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"src": [1, 2], "text": ["a", "b"]}), "other.parquet")
    before = sorted(path.name for path in Path().iterdir())
    assert filtered(*arguments) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert said in errors
    assert "Traceback" not in errors
    assert len([line for line in errors.splitlines() if line.startswith(("error", "bitextmine"))]) <= 1
    assert sorted(path.name for path in Path().iterdir()) == before


def test_what_cannot_be_used_is_counted_and_the_rest_is_filtered(capfd: pytest.CaptureFixture[str]) -> None:
    wrong = {"margin": "high", "src_rank": 10**9, "direction": 7, "src_line": True}
    records = [{"src": GOOD[0][0], "tgt": GOOD[0][1], **wrong}, {"src": "x"}, {"src": "a b", "tgt": "c d", "score": 1}]
    records.append({"src": "e f", "tgt": "g h", "margin": float("nan")})
    records.append({"src": "i j", "tgt": "k l", "margin": 1e99})
    Path("mixed.jsonl").write_text("not json\n" + "".join(json.dumps(record) + "\n" for record in records))
    assert filtered("mixed.jsonl", "-o", "kept.jsonl") == 0
    assert "2 of 6 lines cannot be used and are left out" in capfd.readouterr().err
    kept = [json.loads(line) for line in Path("kept.jsonl").read_text().splitlines()]
    assert [(each["margin"], each["src_rank"], each["direction"], each["src_line"]) for each in kept] == [
        (None, None, None, 2),
        (1.0, None, None, 4),
        (None, None, None, 5),
        (None, None, None, 6),
    ]
    assert filtered("mixed.jsonl") == 0
    assert [row[0] for row in lines(capfd.readouterr().out)] == ["", "1.000000", "", ""]


@pytest.mark.parametrize("name", ["d.jsonl", "d.parquet", "d.tsv.gz", "d.jsonl.zst"])
def test_dropped_pairs_in_every_format(name: str) -> None:
    assert filtered("scored.tsv", "-o", "kept.tsv", "--rejected", name) == 0
    if name == "d.parquet":
        rows = pq.read_table(name).to_pylist()
    elif name == "d.jsonl":
        rows = [json.loads(line) for line in Path(name).read_text().splitlines()]
    else:
        assert Path(name).stat().st_size > 20
        return
    assert [(row["src"], row["filter"], row["src_line"]) for row in rows] == [
        (NUMBERS[0], "numbers", 2),
        (COPY[0], "copy", 3),
    ]


def test_nothing_may_be_left_and_nothing_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    Path("copies.tsv").write_text(f"{COPY[0]}\t{COPY[1]}\n")
    assert filtered("copies.tsv", "-o", "kept.tsv", "--rejected", "d.parquet") == 0
    assert Path("kept.tsv").read_text() == ""
    assert filtered("copies.tsv", "--filters", "none", "-o", "kept.tsv", "--rejected", "d.parquet") == 0
    assert pq.read_table("d.parquet").num_rows == 0
    assert lines(Path("kept.tsv").read_text()) == [list(COPY)]
    capfd.readouterr()


def test_mine_filters_what_it_has_mined(encoders: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, word in (("de", "Haus"), ("en", "house")):
        numbers = (n if n < 15 or name == "de" else n + 40 for n in range(30))
        Path(f"{name}.txt").write_text(
            "".join(f"{word} {n} station {n * 37 % 101} museum {n * n % 997}\n" for n in numbers)
        )
    mined = ["mine", "de.txt", "en.txt", *LANGUAGES, "--encoder", "tiny", "--encoders-dir", str(encoders)]
    assert run([*mined, "-o", "all.tsv"]) == 0
    Path("f.toml").write_text("defaults = false\nnumbers = {least = 1}\n")
    capfd.readouterr()
    assert run([*mined, "-o", "kept.tsv", "--filters", "f.toml"]) == 0
    said = capfd.readouterr().err
    before, after = (lines(Path(name).read_text()) for name in ("all.tsv", "kept.tsv"))
    assert 0 < len(after) < len(before)
    assert [row for row in before if row in after] == after
    assert f"{len(before) - len(after)} of {len(before)} pairs were dropped by filters: numbers " in said
    assert f"{len(after)} pairs from 30 x 30 sentences" in said
    assert run([*mined, "--filters", "nowhere.toml"]) == 2
    assert "no choice of filters" in capfd.readouterr().err
