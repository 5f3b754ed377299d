"""`bitextmine evaluate tatoeba` and `evaluate xsim` as people use them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bitextmine.cli import run
from bitextmine.encoders import open_encoder
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.evaluation.retrieval import accuracies
from bitextmine.margin import Margin

SENTENCES = 40


@pytest.fixture
def folder(tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two languages of a test set in `set`, aligned files beside it; the encoder covers one of the languages."""
    monkeypatch.setenv("BITEXTMINE_ENCODERS_DIR", str(encoders))
    monkeypatch.setenv("BITEXTMINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    english = [f"the station {n} at {n * 37 % 101} opens" for n in range(SENTENCES)]
    for code, word in (("deu", "Bahnhof"), ("ces", "nádraží")):
        lines = [f"{word} {n} {n * 37 % 101} station" for n in range(SENTENCES)]
        for side, sentences in ((code, lines), ("eng", english)):
            Path(f"set/tatoeba.{code}-eng.{side}").write_text("".join(f"{line}\n" for line in sentences))
    Path("dev.de").write_bytes(Path("set/tatoeba.deu-eng.deu").read_bytes())
    Path("dev.en").write_bytes(Path("set/tatoeba.deu-eng.eng").read_bytes())
    return tmp_path


def tatoeba(*more: str, langs: str = "all", data: str = "set") -> list[str]:
    return ["evaluate", "tatoeba", "--data", data, "--langs", langs, "--encoder", "tiny", *more]


def xsim(*more: str, src: str = "dev.de", tgt: str = "dev.en", src_lang: str = "de") -> list[str]:
    files = ["--src", src, "--tgt", tgt, "--src-lang", src_lang, "--tgt-lang", "en"]
    return ["evaluate", "xsim", *files, "--encoder", "tiny", *more]


def reported(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert run([*arguments, "--json"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    report = json.loads(line)
    assert isinstance(report, dict)
    return report


def ways(forward: float, backward: float) -> dict[str, object]:
    return {"to_english": pytest.approx(forward, abs=1e-3), "from_english": pytest.approx(backward, abs=1e-3)}


def test_tatoeba_reports_accuracies_with_and_without_postprocessing(
    folder: Path, encoders: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = reported(
        tatoeba("--postprocess", "centre", "--postprocess", "outliers, zca", "--margin", "distance", "--k", "3"), capfd
    )
    languages = report["languages"]
    assert isinstance(languages, list)
    heads = [(found["lang"], found["language"], found["covered"], found["n"]) for found in languages]
    assert heads == [("ces", "ces_Latn", False, SENTENCES), ("deu", "deu_Latn", True, SENTENCES)]
    encoder = open_encoder("tiny", encoders)
    german = languages[1]
    src, tgt = (encoder.encode(Path(f"set/tatoeba.deu-eng.{side}").read_text().splitlines()) for side in ("deu", "eng"))
    plain = accuracies(src, tgt, k=3)[Margin.DISTANCE]
    assert german["accuracy"] == {"distance": ways(plain.forward, plain.backward)}
    assert list(german["postprocessed"]) == ["centre", "outliers,zca"]
    for steps, found in german["postprocessed"].items():
        fitted = [PostProcessing.parse(steps).fit(side).apply(side) for side in (src, tgt)]
        after = accuracies(fitted[0], fitted[1], k=3)[Margin.DISTANCE]
        assert found["accuracy"] == {"distance": ways(after.forward, after.backward)}
        assert found["difference"] == {"distance": ways(after.forward - plain.forward, after.backward - plain.backward)}
    both = [found["accuracy"]["distance"]["to_english"] for found in languages]
    assert report["mean"]["languages"] == 2  # type: ignore[index]
    assert report["mean"]["accuracy"]["distance"]["to_english"] == pytest.approx(np.mean(both), abs=1e-2)  # type: ignore[index]
    assert report["mean_covered"]["languages"] == 1  # type: ignore[index]
    assert report["mean_covered"]["accuracy"] == german["accuracy"]  # type: ignore[index]
    assert report["encoder_signature"] == encoder.signature
    assert "encoder:tiny|precision:fp32|test:tatoeba-v1|k:3|margin:distance|" in str(report["signature"])


def test_tatoeba_prints_a_table_that_marks_what_is_not_covered(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tatoeba("--postprocess", "centre")) == 0
    printed, said = capfd.readouterr()
    assert said == ""
    lines = printed.splitlines()
    assert " ".join(lines[0].split()) == "language n ratio to eng ratio from eng cosine to eng cosine from eng"
    names = [line[:20].strip() for line in lines[1:-2]]
    assert names == [name for head in ("ces *", "deu", "mean (2)", "mean of covered (1)") for name in (head, "centre")]
    assert lines[1].split()[2] == str(SENTENCES)
    assert lines[-2] == "* not a language that tiny says it covers"
    assert lines[-1].startswith("signature: encoder:tiny|")
    report = reported(tatoeba("--postprocess", "centre"), capfd)
    figures = report["languages"][0]["accuracy"]  # type: ignore[index]
    assert lines[1].split()[3] == f"{figures['ratio']['to_english']:.1f}"


def test_tatoeba_judges_what_the_encoder_covers_when_nothing_is_said(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "tatoeba", "--data", "set", "--encoder", "tiny", "--verbose"]) == 0
    printed, said = capfd.readouterr()
    assert [line.split()[0] for line in printed.splitlines()] == ["language", "deu", "mean", "signature:"]
    assert said.startswith("encode: 80 in ")


def test_mining_takes_the_same_postprocessing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(mine()) == 0
    plain = capfd.readouterr().out
    assert run(mine("--postprocess", "centre")) == 0
    centred = capfd.readouterr().out
    assert centred.count("\n") > SENTENCES // 2
    assert centred != plain

    for name in ("de", "en"):
        lines = Path(f"dev.{name}").read_text().splitlines()
        Path(f"{name}.tsv").write_text("".join(f"{name}-{n}\t{line}\n" for n, line in enumerate(lines)))
    Path("gold").write_text("".join(f"de-{n}\ten-{n}\n" for n in range(SENTENCES)))
    judged = ["evaluate", "mining", "--src", "de.tsv", "--tgt", "en.tsv", "--gold", "gold", *mine()[3:]]
    assert reported(judged, capfd)["postprocess"] is None
    report = reported([*judged, "--postprocess", "outliers,zca"], capfd)
    assert report["postprocess"] == "outliers,zca"
    assert "|postprocess:outliers,zca|" in str(report["signature"])


def test_xsim_reports_both_directions(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert reported(xsim(), capfd)["n"] == SENTENCES
    lines = Path("dev.en").read_text().splitlines()
    Path("swapped.en").write_text("".join(f"{line}\n" for line in [lines[1], lines[0], *lines[2:]]))
    plain, swapped = reported(xsim(), capfd), reported(xsim(tgt="swapped.en"), capfd)
    for way in ("src_to_tgt", "tgt_to_src"):
        errors = [report["errors"][way] for report in (plain, swapped)]  # type: ignore[index]
        assert errors[1] >= errors[0]
        assert swapped["xsim"][way] == pytest.approx(100 * errors[1] / SENTENCES)  # type: ignore[index]
    settings = (plain["src_lang"], plain["tgt_lang"], plain["k"], plain["margin"], plain["encoder"])
    assert settings == ("deu_Latn", "eng_Latn", 4, "ratio", "tiny")
    assert reported(xsim("--margin", "cosine"), capfd)["margin"] == "cosine"

    Path("dev.en.gz").write_bytes(gzip.compress(Path("dev.en").read_bytes()))
    assert run(xsim(tgt="dev.en.gz")) == 0
    table = capfd.readouterr().out.splitlines()
    assert table[0].split() == ["xSIM", "errors", "sentences"]
    assert table[1].split()[:3] == ["deu_Latn", "to", "eng_Latn"]
    assert table[1].split()[4] == str(plain["errors"]["src_to_tgt"])  # type: ignore[index]


def test_identical_files_have_no_errors(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("dev.en").write_bytes(Path("dev.de").read_bytes() * 2)
    Path("twice.de").write_bytes(Path("dev.de").read_bytes() * 2)
    report = reported(xsim(src="twice.de"), capfd)
    assert report["errors"] == {"src_to_tgt": 0, "tgt_to_src": 0}, "a copy on another line is right"


def test_xsim_says_what_the_figures_do_not_show(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("dev.de").write_text("the museum " * 60 + "\n" + "".join(f"museum {n}\n" for n in range(SENTENCES - 1)))
    assert run(xsim(src_lang="cs")) == 0
    said = capfd.readouterr().err.splitlines()
    assert said == [
        "warning: the encoder tiny does not say that it covers ces_Latn",
        "1 source and 0 target sentences were cut at 64 tokens",
    ]


def mine(*more: str, tgt: str = "dev.en") -> list[str]:
    return ["mine", "dev.de", tgt, "--src-lang", "de", "--tgt-lang", "en", "--encoder", "tiny", *more]


MISTAKES = [
    (mine("--postprocess", "whiten"), "there is no post-processing step 'whiten'"),
    (mine("--postprocess", "zca", tgt="small/tatoeba.deu-eng.eng"), "(eng_Latn) has 5 vectors; zca needs 32"),
    (tatoeba(data="nowhere"), "nowhere holds no Tatoeba test set"),
    (tatoeba(data="empty"), "empty holds no Tatoeba test set"),
    (tatoeba(langs="deu,fra"), "set has no test of fra: there is no file tatoeba.fra-eng.eng"),
    (tatoeba(langs="36"), "set has no test of afr"),
    (tatoeba(langs="klingonisch"), "unknown language 'klingonisch'"),
    (tatoeba(langs=","), "no language is given"),
    (tatoeba(data="lacking"), "cannot read tatoeba.deu-eng.deu: No such file"),
    (tatoeba(data="uneven"), "tatoeba.deu-eng.deu has 40 lines and tatoeba.deu-eng.eng 39"),
    (tatoeba("--margin", "cosin"), "'cosin' is none of ratio, distance, cosine"),
    (tatoeba("--postprocess", "center"), "there is no post-processing step 'center'; known: centre, outliers, zca"),
    (tatoeba("--postprocess", "centre,centre"), "each once, not 'centre,centre'"),
    (tatoeba("--postprocess", "zca", data="small"), "tatoeba.deu-eng has 5 vectors; zca needs 32"),
    (tatoeba("--k", "41"), "k=41 is more than the 40 sentences"),
    (tatoeba("--k", "0"), "k is 0"),
    (tatoeba("--encoder", "muse"), "bitextmine encoders pull muse"),
    (xsim(tgt="missing.en"), "cannot read missing.en: No such file"),
    (xsim(tgt="uneven/tatoeba.deu-eng.eng"), "dev.de has 40 lines and tatoeba.deu-eng.eng 39: they are not aligned"),
    (xsim(src="blank.de"), "blank.de, line 2: blank"),
    (xsim(src_lang="klingonisch"), "unknown language 'klingonisch'"),
    (xsim("--k", "41"), "k=41 is more than the 40 sentences"),
    (xsim("--margin", "best"), "'best' is none of ratio, distance, cosine"),
    (xsim("--memory", "1MB"), "need"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    for name in ("empty", "lacking", "uneven", "small"):
        Path(name).mkdir()
    english = Path("dev.en").read_text().splitlines(keepends=True)
    for name, kept in (("lacking", 40), ("uneven", 39), ("small", 5)):
        Path(f"{name}/tatoeba.deu-eng.eng").write_text("".join(english[:kept]))
    Path("uneven/tatoeba.deu-eng.deu").write_bytes(Path("dev.de").read_bytes())
    Path("small/tatoeba.deu-eng.deu").write_text("".join(english[:5]))
    Path("blank.de").write_text("eins\n\n")
    assert run(arguments) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert errors.startswith("bitextmine: ")
    assert said in errors
    assert errors.count("\n") == 1
