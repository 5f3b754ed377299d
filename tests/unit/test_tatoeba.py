"""The Tatoeba test set: choosing, reading and judging its languages."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bitextmine.encoders import Encoder
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.errors import CorpusInputError, InputError, LanguageError, NotFoundError, ParameterError
from bitextmine.evaluation import tatoeba
from bitextmine.evaluation.retrieval import Accuracy, accuracies
from bitextmine.evaluation.tatoeba import (
    MUSE_14,
    SUBSETS,
    XTREME_36,
    LanguageTest,
    chosen_languages,
    evaluate_languages,
    languages_in,
    mean_accuracy,
    read_test,
)
from bitextmine.margin import Margin
from bitextmine.vectors import unit_rows
from tests.tiny_encoder import build_tiny_encoder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def write_test(directory: Path, code: str, sentences: list[str], english: list[str] | None = None) -> None:
    for side, lines in ((code, sentences), ("eng", english if english is not None else sentences)):
        (directory / f"tatoeba.{code}-eng.{side}").write_text("".join(f"{line}\n" for line in lines))


SENTENCES = [f"museum {n} station {n * 37 % 101}" for n in range(12)]


def test_languages_are_chosen_by_code_by_subset_and_by_what_the_encoder_covers(tmp_path: Path, tiny: Encoder) -> None:
    for code in ("deu", "cmn", "ces", "xxz", *MUSE_14):
        write_test(tmp_path, code, SENTENCES)
    everything = sorted({"deu", "cmn", "ces", "xxz", *MUSE_14})
    assert languages_in(tmp_path) == everything
    assert chosen_languages("all", tmp_path, tiny) == everything
    assert chosen_languages("14", tmp_path, tiny) == list(MUSE_14)
    assert chosen_languages("covered", tmp_path, tiny) == ["ara", "cmn", "deu", "fra", "rus", "tha"]
    assert chosen_languages("de, zh,ces,deu_Latn,xxz", tmp_path, tiny) == ["deu", "cmn", "ces", "xxz"]
    with pytest.raises(NotFoundError, match=r"no test of afr: there is no file tatoeba\.afr-eng\.eng") as caught:
        chosen_languages("36", tmp_path, tiny)
    assert caught.value.code == "file-not-found"
    with pytest.raises(LanguageError):
        chosen_languages("deu,klingonisch", tmp_path, tiny)
    for nothing in ("", " , "):
        with pytest.raises(ParameterError):
            chosen_languages(nothing, tmp_path, tiny)


def test_a_directory_without_a_test_set_or_a_covered_language_is_refused(tmp_path: Path, tiny: Encoder) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotFoundError, match="holds no Tatoeba test set"):
            chosen_languages("all", directory, tiny)
    write_test(tmp_path, "ces", SENTENCES)
    with pytest.raises(ParameterError, match="tiny says it covers"):
        chosen_languages("covered", tmp_path, tiny)


def test_the_subsets_of_the_literature_have_their_numbers_of_languages() -> None:
    assert {name: len(set(codes)) for name, codes in SUBSETS.items()} == {"14": 14, "36": 36}
    assert set(MUSE_14) - set(XTREME_36) == {"pol"}
    assert Counter(map(len, (*MUSE_14, *XTREME_36))) == {3: 50}


def test_a_language_is_judged_on_its_sentences_both_ways(tiny: Encoder) -> None:
    tests = [
        LanguageTest("deu", SENTENCES, SENTENCES),
        LanguageTest("ces", SENTENCES, [*SENTENCES[6:], *SENTENCES[:6]]),
        LanguageTest("xxz", SENTENCES, SENTENCES[::-1]),
    ]
    said: list[int] = []
    results = evaluate_languages(
        tests,
        tiny,
        k=4,
        margins=list(Margin),
        postprocessings=[PostProcessing.parse("centre")],
        progress=lambda stage, done, total: said.append(done),
    )
    assert said == sorted(said)
    assert said[-1] == 2 * 3 * len(SENTENCES)
    assert [result.code for result in results] == ["deu", "ces", "xxz"]
    assert [result.language for result in results] == ["deu_Latn", "ces_Latn", None]
    assert [result.covered for result in results] == [True, False, False]
    for test, result in zip(tests, results, strict=True):
        assert result.n == len(SENTENCES)
        src, tgt = tiny.encode(test.sentences), tiny.encode(test.english)
        assert result.plain == accuracies(src, tgt, k=4)
        centred = [unit_rows(side - side.mean(axis=0)) for side in (src, tgt)]
        assert result.processed == {"centre": accuracies(*centred, k=4)}
    assert results[0].plain[Margin.RATIO] == Accuracy(100, 100)
    assert results[1].plain[Margin.RATIO] == Accuracy(0, 0)


def test_an_encoder_that_names_no_languages_leaves_coverage_open(tmp_path: Path) -> None:
    encoder = build_tiny_encoder(tmp_path)
    silent = Encoder(encoder.card.model_copy(update={"languages": ()}), encoder.directory)
    (result,) = evaluate_languages([LanguageTest("deu", SENTENCES, SENTENCES)], silent)
    assert result.covered is None


def test_what_cannot_be_judged_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    """The encoder has lost its model, so that encoding would be an error of its own."""
    encoder = build_tiny_encoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"")
    tests = [LanguageTest("deu", SENTENCES, SENTENCES), LanguageTest("fra", SENTENCES[:3], SENTENCES[:3])]
    with pytest.raises(ParameterError) as caught:
        evaluate_languages(tests, encoder)
    assert caught.value.code == "k-too-large"
    with pytest.raises(ParameterError, match=r"tatoeba\.deu-eng has 12 vectors; zca needs 32") as caught:
        evaluate_languages(tests[:1], encoder, postprocessings=[PostProcessing.parse("zca")])
    assert caught.value.code == "too-few-vectors"


def test_a_mean_weighs_every_language_the_same() -> None:
    assert mean_accuracy([Accuracy(100, 50), Accuracy(0, 100)]) == Accuracy(50, 75)
    assert Accuracy(98.5, 90) - Accuracy(98, 91) == Accuracy(0.5, -1)


def test_a_test_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_test(tmp_path, "deu", ["eins\u2028zwei", "drei"], ["one two", "three\r"])
    assert read_test(tmp_path, "deu") == LanguageTest("deu", ["eins\u2028zwei", "drei"], ["one two", "three"])
    write_test(tmp_path, "fra", ["un", "deux"], ["one"])
    with pytest.raises(InputError, match=r"tatoeba\.fra-eng\.fra has 2 lines and tatoeba\.fra-eng\.eng 1") as caught:
        read_test(tmp_path, "fra")
    assert caught.value.code == "not-aligned"
    (tmp_path / "tatoeba.deu-eng.deu").unlink()
    with pytest.raises(CorpusInputError, match=r"cannot read tatoeba\.deu-eng\.deu") as missing:
        read_test(tmp_path, "deu")
    assert missing.value.code == "file-not-found"
    monkeypatch.setattr(tatoeba, "MOST_SENTENCES", 11)
    write_test(tmp_path, "rus", SENTENCES)
    with pytest.raises(InputError, match="12 sentences, more than 11") as large:
        read_test(tmp_path, "rus")
    assert large.value.code == "input-too-large"
