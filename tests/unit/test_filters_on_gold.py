"""The default filters leave real translations alone, in every script. Skipped where there is no Tatoeba test set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitextmine.filters import KEPT, FilterChain, FilterSettings, PairBatch, run_filters
from bitextmine.languages import parse_language

TATOEBA = Path(__file__).parents[3] / "shared" / "data" / "tatoeba-v1"
# Languages of the encoder muse, and others of many scripts.
LANGUAGES = (
    "ara", "cmn", "deu", "fra", "ita", "jpn", "kor", "nld", "pol", "por", "rus", "spa", "tha", "tur",
    "ben", "ces", "dan", "ell", "heb", "hin", "ind", "kat", "khm", "mal", "pes", "swe", "swh", "tam", "tel", "ukr",
    "urd", "vie", "yue",
)  # fmt: skip
MOST_DROPPED = 0.02

pytestmark = pytest.mark.skipif(not TATOEBA.is_dir(), reason="the Tatoeba test set is not there")


def pairs_of(language: str) -> PairBatch:
    files = [TATOEBA / f"tatoeba.{language}-eng.{end}" for end in (language, "eng")]
    src, tgt = (file.read_text(encoding="utf-8").splitlines() for file in files)
    return PairBatch(src, tgt, np.ones(len(src), np.float32), parse_language(language), "eng_Latn")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_default_filter_drops_many_good_pairs(language: str) -> None:
    pairs = pairs_of(language)
    report = run_filters(lambda: [pairs], FilterSettings.defaults().filters).report
    assert report.pairs >= 100
    for count in report.filters:
        dropped = [(example.src, example.tgt, example.reason) for example in count.examples]
        assert count.alone <= MOST_DROPPED * report.pairs, (count.name, count.alone, dropped)


@pytest.mark.parametrize("language", ["ara", "cmn", "deu", "hin", "jpn", "tha"])
def test_pairs_that_do_not_belong_together_are_dropped_more_often(language: str) -> None:
    pairs = pairs_of(language)
    chain = FilterChain.fitted(lambda: [pairs], FilterSettings.defaults().filters)
    shuffled = np.random.default_rng(5).permutation(pairs.tgt).tolist()
    wrong = PairBatch(pairs.src, shuffled, pairs.margin, pairs.src_lang, pairs.tgt_lang)
    right, other = (np.mean(chain.judge(each).dropped_by != KEPT) for each in (pairs, wrong))
    assert other > 2 * right + 0.01
