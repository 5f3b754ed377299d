"""`bitextmine align`, and `mine --documents`, as people run them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bitextmine.cli import run
from bitextmine.workspace import default_encoders_dir

DEMO = Path(__file__).parents[2] / "demo" / "documents"
LANGUAGES = ("--src-lang", "de", "--tgt-lang", "en")
TINY = (*LANGUAGES, "--encoder", "tiny")
SENTENCES = [f"museum {n} station {n * 37 % 101} map {n * n % 997}" for n in range(40)]


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.chdir(tmp_path)
    Path("de.txt").write_text("".join(f"{text}\n" for text in SENTENCES))
    merged = [SENTENCES[0], f"{SENTENCES[1]} {SENTENCES[2]}", *SENTENCES[3:]]
    Path("en.txt").write_text("".join(f"{text}\n\n" for text in merged))
    documents = [{"text": text, "doc_id": f"d{n // 8}"} for n, text in enumerate(SENTENCES)]
    Path("de.jsonl").write_text("".join(json.dumps(record) + "\n" for record in documents))
    others = [record | {"doc_id": f"e{record['doc_id'][1:]}"} for record in reversed(documents)]
    Path("en.jsonl").write_text("".join(json.dumps(record) + "\n" for record in others))
    Path("links.tsv").write_text("".join(f"d{n}\te{n}\n" for n in range(4)) + "d9\te1\n")
    return tmp_path


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """What a command says that exits with 2 and writes nothing: its last line is why."""
    before = {path for path in Path().rglob("*") if "data" not in path.parts}
    assert run(arguments) == 2
    out, said = capfd.readouterr()
    assert out == ""
    assert [line.startswith("bitextmine: ") for line in said.splitlines()].count(True) == 1, said
    assert "Traceback" not in said
    assert {path for path in Path().rglob("*") if "data" not in path.parts} == before
    return said.splitlines()[-1]


def test_beads_are_written_in_document_order(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["align", "de.txt", "en.txt", *TINY]) == 0
    out, said = capfd.readouterr()
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[1].split(" museum")[0] for row in rows][:3] == [SENTENCES[0], SENTENCES[1], SENTENCES[3]]
    assert len(rows) == 39
    assert all(-1 < float(score) <= 1 for score, _, _ in rows)
    assert "39 beads (1-1 38, 2-1 1)" in said


def test_lines_are_those_of_the_files_and_every_format_can_be_written(folder: Path) -> None:
    assert run(["align", "de.txt", "en.txt", *TINY, "-o", "beads.jsonl.gz"]) == 0
    beads = [json.loads(line) for line in gzip.decompress(Path("beads.jsonl.gz").read_bytes()).splitlines()]
    assert [(bead["src_lines"], bead["tgt_lines"]) for bead in beads[:3]] == [([1], [1]), ([2, 3], [3]), ([4], [5])]
    assert beads[1]["tgt"] == f"{SENTENCES[1]} {SENTENCES[2]}"
    for name in ("beads.tsv.zst", "beads.tmx", "beads.parquet", "beads.zip"):
        assert run(["align", "de.txt", "en.txt", *TINY, "-o", name]) == 0
        assert Path(name).stat().st_size


def test_a_plot_and_scores_against_gold(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gold = ["[0]:[0]", "[1, 2]:[2]:0.4", *(f"[{n}]:[{2 * n - 2}, {2 * n - 1}]" for n in range(3, 40))]
    Path("gold").write_text("\n".join(gold))
    assert run(["align", "de.txt", "en.txt", *TINY, "-o", "b.tsv", "--gold", "gold", "--plot", "way.svg"]) == 0
    said = capfd.readouterr().err
    assert "strict: precision 1.0000, recall 1.0000, F1 1.0000" in said
    root = ElementTree.parse("way.svg").getroot()
    assert len([node for node in root.iterfind(".//{*}rect") if node.get("class") == "bead"]) == 39
    Path("gold").write_text("[0]:[0]\n[5]:[76]\n")
    assert run(["align", "de.txt", "en.txt", *TINY, "-o", "b.tsv", "--gold", "gold"]) == 0
    assert "strict: precision 0.0256, recall 0.5000" in capfd.readouterr().err


def test_what_is_left_out_is_written_on_request_and_weak_beads_are_not(folder: Path) -> None:
    Path("short.txt").write_text("".join(f"{text}\n" for text in [*SENTENCES[:10], "book book", *SENTENCES[20:]]))
    for options, unaligned in ((["--keep-unaligned"], True), ([], False)):
        assert run(["align", "de.txt", "short.txt", *TINY, "-o", "b.jsonl", *options]) == 0
        beads = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
        assert any(bead["score"] is None for bead in beads) == unaligned
        covered = [line for bead in beads for line in bead["src_lines"]]
        assert (covered == list(range(1, 41))) == unaligned
    assert run(["align", "de.txt", "short.txt", *TINY, "-o", "b.jsonl", "--threshold", "0.99"]) == 0
    beads = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    assert len(beads) >= 30
    assert min(bead["score"] for bead in beads) >= 0.99


def test_paragraphs_are_split_into_sentences_first(folder: Path) -> None:
    Path("a.txt").write_text("Das Haus ist alt. Der See ist kalt.\n\nJa. Das Museum ist neu. Ja.\n")
    Path("b.txt").write_text("Das Haus ist alt.\nDer See ist kalt. Ja. Das Museum ist neu. Ja.\n")
    assert run(["align", "a.txt", "b.txt", *TINY, "--split", "-o", "b.jsonl"]) == 0
    beads = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    texts = ["Das Haus ist alt.", "Der See ist kalt.", "Ja.", "Das Museum ist neu.", "Ja."]
    assert [(bead["src"], bead["tgt"]) for bead in beads] == [(text, text) for text in texts]
    assert [bead["src_ids"] for bead in beads] == [["1"], ["1"], ["3"], ["3"], ["3"]]


def test_lines_that_cannot_be_split_are_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = "Das Haus ist alt. Der See ist kalt. Ja. Das Museum ist neu. Ja.\n"
    Path("a.txt").write_bytes(good.encode() + b"\nDer\tSee.\n" + "Größe.\n".encode("latin-1"))
    Path("b.txt").write_text(good + "x" * 10_001 + "\n")
    assert run(["align", "a.txt", "b.txt", *TINY, "--split", "-o", "b.jsonl"]) == 0
    said = capfd.readouterr().err
    assert "a.txt: 2 of 4 lines or their sentences refused, the others are used:" in said
    assert "  line 3: control-character: control character U+0009 at position 3\n" in said
    assert "  line 4: not-utf8: not UTF-8: byte 0xf6 at position 2\n" in said
    assert "warning: a.txt: 50% of the lines were refused; is it Latin-1?" in said
    assert "  line 2: too-long: 10,001 characters, more than 10,000\n" in said
    assert "b.txt: 1 lines repeat an earlier sentence" in said
    assert "bitextmine-" not in said, "no name of a temporary file"
    assert len(Path("b.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("page.txt", "<!DOCTYPE html>\n<p>Das Haus ist alt.\n", "page.txt is an HTML page"),
        ("records.txt", '{"text": "Das Haus ist alt."}\n', "records.txt looks like JSONL"),
        ("list.json", '[\n{"text": "Das Haus ist alt."}\n]\n', "list.json is JSON, but not JSONL"),
        ("tabs.txt", "Das\tHaus.\nDer\tSee.\n", "tabs.txt holds no usable sentence: 2 lines, all refused"),
        ("empty.txt", "", "empty.txt is empty"),
    ],
)
def test_what_is_no_document_is_not_split(
    name: str, content: str, said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_text(content)
    assert said in refused(["align", "de.txt", name, *TINY, "--split", "-o", "out.tsv"], capfd)


def test_documents_of_corpora_are_aligned_by_links(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["align", "de.jsonl", "en.jsonl", *TINY, "--links", "links.tsv", "-o", "b.jsonl"]) == 0
    beads = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    assert {(bead["src_doc_id"], bead["tgt_doc_id"]) for bead in beads} == {(f"d{n}", f"e{n}") for n in range(4)}
    said = capfd.readouterr().err
    assert "1 links name a document that is not there" in said
    assert "4 pairs of documents" in said


def test_mining_looks_at_linked_documents(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mined = ["mine", "de.jsonl", "en.jsonl", *TINY, "-o", "p.jsonl"]
    assert run([*mined, "--documents", "restrict", "--links", "links.tsv"]) == 0
    pairs = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert {(pair["src_doc_id"], pair["tgt_doc_id"]) for pair in pairs} == {(f"d{n}", f"e{n}") for n in range(4)}
    assert sum(pair["src"] == pair["tgt"] for pair in pairs) == 32
    said = capfd.readouterr().err
    assert f"{len(pairs)} pairs are of 4 pairs of linked documents" in said
    assert "1 links name a document that is not there" in said
    assert run([*mined, "--documents", "boost", "--links", "links.tsv", "--bonus", "0.2"]) == 0
    assert len(Path("p.jsonl").read_text().splitlines()) == 40


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["align", "de.txt", "en.txt", "--gold", "no"], "cannot read no"),
        (["align", "de.txt", "en.txt", "--gold", "de.txt"], "de.txt, line 1: not a bead"),
        (["align", "de.txt", "en.txt", "--plot", "way.png"], "cannot draw way.png"),
        (["align", "de.txt", "en.txt", "--plot", "no/way.svg"], "cannot draw no/way.svg"),
        (["align", "de.txt", "no.txt"], "cannot read no.txt"),
        (["align", "de.txt", "empty.txt"], "empty.txt is empty"),
        (["align", "de.txt", "en.jsonl"], "de.txt (deu_Latn) has no document ids"),
        (["align", "de.jsonl", "en.jsonl"], "no document id is in both corpora"),
        (["align", "de.jsonl", "en.jsonl", "--links", "de.txt"], "de.txt, line 1: 1 columns"),
        (["align", "de.jsonl", "en.jsonl", "--links", "links.tsv", "--plot", "x.svg"], "for one pair of documents"),
        (["align", "de.txt", "en.txt", "--largest", "1"], "beads of 1 sentences"),
        (["align", "de.txt", "en.txt", "--skip", "nan"], "a skip of nan"),
        (["align", "de.txt", "en.txt", "-o", "b.tmx", "--threshold", "0.1"], "are for tsv and jsonl"),
        (["align", "de.txt", "en.txt", "--src-lang", "it"], "does not cover ita_Latn"),
        (["mine", "de.txt", "en.txt", "--documents", "restrict"], "has no document ids"),
        (["mine", "de.jsonl", "en.txt", "--documents", "boost"], "en.txt (eng_Latn) has no document ids"),
        (["mine", "de.jsonl", "en.jsonl", "--documents", "boost"], "no document id is in both corpora"),
        (["mine", "de.jsonl", "en.jsonl", "--links", "links.tsv"], "go with --documents"),
        (["mine", "de.jsonl", "en.jsonl", "--documents", "restrict", "--bonus", "1"], "--bonus goes with"),
        (["mine", "de.jsonl", "en.jsonl", "--documents", "boost", "--bonus", "nan"], "a bonus of nan"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_in_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    Path("empty.txt").touch()
    defaults = TINY if "--src-lang" not in arguments else ("--tgt-lang", "en", "--encoder", "tiny")
    assert wanted in refused([*arguments, *defaults], capfd)


@pytest.mark.encoder
def test_a_story_with_merged_and_split_sentences_is_aligned_as_its_gold_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (default_encoders_dir() / "muse").is_dir():
        pytest.skip("muse is not installed: run `bitextmine encoders pull muse`")
    monkeypatch.chdir(shutil.copytree(DEMO, tmp_path / "story"))
    places = ["--data-dir", "data", "--encoders-dir", str(default_encoders_dir())]
    assert run(["align", "harbour.de", "harbour.en", *LANGUAGES, *places, "--gold", "harbour.gold", "-o", "h.tsv"]) == 0
    said = capfd.readouterr().err
    strict, lax = (line for line in said.splitlines() if line.startswith(("strict", "lax")))
    assert float(strict.rpartition(" ")[2]) > 0.93
    assert lax == "lax: precision 1.0000, recall 1.0000, F1 1.0000"
