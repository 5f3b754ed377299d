"""Filters of pairs: what each drops, what each leaves alone in every script, and the chain's accounting."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.filters import KEPT, FilterSettings, PairBatch, PairFilter, run_filters
from bitextmine.filters.boilerplate import Boilerplate
from bitextmine.filters.ceiling import Ceiling
from bitextmine.filters.copies import Copy, Overlap
from bitextmine.filters.language import Language
from bitextmine.filters.lengths import LengthRatio
from bitextmine.filters.marks import Addresses, Punctuation
from bitextmine.filters.numbers import Numbers

DOCS = Path(__file__).parents[2] / "docs" / "filters.md"


def batch(*pairs: tuple[str, str], langs: tuple[str, str] = ("deu_Latn", "eng_Latn")) -> PairBatch:
    src, tgt = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return PairBatch(src, tgt, np.linspace(1.5, 1.0, len(pairs), dtype=np.float32), *langs)


def accepts(rule: PairFilter, src: str, tgt: str, **langs: tuple[str, str]) -> bool:
    return bool(rule.accept(rule.score(batch((src, tgt), **langs)))[0])


@pytest.mark.parametrize(
    ("rule", "src", "tgt"),
    [
        (Copy(), "Radio Tirana 93,4", "Radio Tirana 93.4"),
        (Copy(), "BERLIN  MITTE", "Berlin-Mitte"),
        (Copy(), "ﬁle", "FILE"),
        (Overlap(), "Bach, Händel, Vivaldi, Telemann und Purcell", "Bach, Händel, Vivaldi, Telemann, Purcell"),
        (Numbers(), "Der Vertrag wurde 1648 geschlossen.", "The treaty was made in 1684."),
        (Numbers(), "Es kostet 1250 Euro.", "It is rather dear."),
        (Numbers(), "Am 17. kamen 45 Gäste.", "On the 17th 54 guests came."),
        (Numbers(), "人口は３５６７人です。", "It has 3,576 inhabitants."),
        (Numbers(), "In den 1990er Jahren", "In the 1970s"),
        (Numbers(), "Im Jahr 1998", "in the 1990s"),
        (Numbers(), "años 1990", "the 1790s"),
        (Numbers(), "am 3.10.2020", "on 10/3/2021"),
        (Numbers(), "am 3.10.2020", "on 4.10.2020"),
        (Numbers(), "am 23.10.2020", "on 24 October 2020"),
        (Numbers(), "am 3.10.2020", "on 3 October 2021"),
        (Numbers(), "um 14.30 Uhr", "at 15:45"),
        (Numbers(), "um 14.30 Uhr", "at 14.45"),
        (Numbers(), "1 200 000 Einwohner", "1,300,000 inhabitants"),
        (Numbers(), "Version 2.6.32", "version 2.6.39"),
        (Numbers(), "Boeing 747er", "Boeing 737s"),
        (Numbers(), "9" * 5_000, "8" * 5_000),
        (Addresses(), "Mehr auf www.hafen.example", "More at www.airport.example"),
        (Addresses(), "https://hafen.example/a", "https://hafen.example/a"),
        (Addresses(), "Siehe https://rat.example/b", "See https://rat.example/a"),
        (Addresses(), "Siehe de.rat@rat.example", "See rat@rat.example"),
        (Addresses(), "Schreiben Sie an rat@stadt.example!", "Do write to us!"),
        (Punctuation(), "........ 12", "Total"),
        (Punctuation(), "", "Nothing"),
        (Ceiling(most=1.2), "hoch", "high"),
    ],
)
def test_what_is_wrong_is_dropped_with_a_reason(rule: PairFilter, src: str, tgt: str) -> None:
    scores = rule.score(batch((src, tgt)))
    assert not rule.accept(scores)[0]
    assert rule.reason(float(scores[0]))


@pytest.mark.parametrize(
    ("rule", "src", "tgt"),
    [
        (Copy(), "Das Museum ist geschlossen.", "The museum is closed."),
        (Copy(), "東京は大きい。", "Tokyo is large."),
        (Copy(), "Matthew Henry Concise Commentary per SWORD", "Matthew Henry Concise Commentary for SWORD"),
        (Overlap(), "Anna und Tom", "Anna and Tom"),
        (Numbers(), "Sie hat 1.200.000 Einwohner.", "It has 1.2 million inhabitants."),
        (Numbers(), "该市有120万人口。", "The city has 1,200,000 inhabitants."),
        (Numbers(), "ولد عام ١٩٤٥.", "He was born in 1945."),
        (Numbers(), "Am 3. Mai 2011 um 14.30 Uhr", "At 2:30 p.m. on May 3, 2011"),
        (Numbers(), "Ich bin 20.", "I am twenty."),
        (Numbers(), "20世纪90年代末", "the late 1990s"),
        (Numbers(), "Er hat drei Kinder.", "He has 3 children."),
        (Numbers(), "In den 1990er Jahren", "In the 1990s"),
        (Numbers(), "In den 1950ern", "In the 1950's"),
        (Numbers(), "In den 1990er Jahren", "In the nineties"),
        (Numbers(), "dans les années 1990", "in the 1990s"),
        (Numbers(), "в 1990-х годах", "in the 90s"),
        (Numbers(), "1980년대 후반", "late 1980s"),
        (Numbers(), "１９９０年代", "the 1990s"),
        (Numbers(), "am 03.10.2020", "on 3 October 2020"),
        (Numbers(), "am 3.10.2020", "on 10/3/2020"),
        (Numbers(), "2020.10.03", "October 3, 2020"),
        (Numbers(), "vom 3.10.2020 bis zum 23.11.2020", "from 10/3/2020 to November 23, 2020"),
        (Numbers(), "um 14.30 Uhr", "at 14:30"),
        (Numbers(), "um 14.30 Uhr", "at 2:30 pm"),
        (Numbers(), "um 14.30 Uhr", "at 2.30 p.m."),
        (Numbers(), "kl. 14.30", "at 2:30 p.m."),
        (Numbers(), "14時30分に", "at 2:30"),
        (Numbers(), "在14:30开", "at half past two"),
        (Numbers(), "1 200 000 habitants", "1,200,000 inhabitants"),
        (Numbers(), "7\u202f720 mots", "7720 words"),
        (Numbers(), "12,00,000 लोग", "1,200,000 people"),
        (Numbers(), "1.234.567,89 Euro", "1,234,567.89 euros"),
        (Numbers(), "in Raum 50 123 Leute", "123 people in room 50"),
        (Numbers(), "20,30,40", "20, 30 and 40"),
        (Numbers(), "192.168.1.1", "192.168.1.1"),
        (Addresses(), "Siehe http://rat.example.", "See http://rat.example"),
        (Addresses(), "Siehe https:// www.rat.example/", "See http://rat.example"),
        (Addresses(), "Siehe https://de.rat.example/Haus", "See https://en.rat.example/Haus."),
        (Addresses(), "Ohne Adresse", "Without an address"),
        (Punctuation(), "ฉันรักน้ำที่นี่", "I love the water here"),
        (Punctuation(), "لَا يَهُمُّ", "It does not matter"),
        (Punctuation(), "हिन्दी में", "in Hindi"),
        (Ceiling(), "hoch", "high"),
    ],
)
def test_good_pairs_of_any_script_are_left_alone(rule: PairFilter, src: str, tgt: str) -> None:
    assert accepts(rule, src, tgt)


@pytest.mark.parametrize(
    ("src", "tgt", "langs"),
    [
        ("The committee met on Tuesday evening.", "The committee met in the evening.", ("deu_Latn", "eng_Latn")),
        ("Der Rat tagte am Dienstag im Rathaus.", "Der Ausschuss tagte am Abend.", ("deu_Latn", "eng_Latn")),
        ("Совет собрался во вторник.", "The council met on Tuesday.", ("ukr_Cyrl", "eng_Latn")),
        ("ホテルのレストランは午後に開きます。", "The hotel's restaurant opens.", ("zho_Hans", "eng_Latn")),
    ],
)
def test_a_side_in_another_language_is_dropped(src: str, tgt: str, langs: tuple[str, str]) -> None:
    assert not accepts(Language(), src, tgt, langs=langs)


@pytest.mark.parametrize(
    ("src", "tgt", "langs"),
    [
        ("Der Rat tagte am Dienstag im Rathaus.", "The council met on Tuesday.", ("deu_Latn", "eng_Latn")),
        ("不到60年前，保守党在苏格兰拥有多数席位。", "The Conservatives held a majority.", ("zho_Hans", "eng_Latn")),
        ("玫瑰香水的味道充满了房间。", "The smell of roses filled the room.", ("zho_Hans", "eng_Latn")),
        ("ฉันรักเมืองนี้มาก", "I love this town very much.", ("tha_Thai", "eng_Latn")),
        ("中国将会为气候变化的全球共识做出贡献。", "China will work for a global consensus.", ("zho_Hans", "eng_Latn")),
        ("OK, Tom", "Ok, Tom", ("deu_Latn", "eng_Latn")),
        ("Ni siyakuthanda kakhulu bantwana.", "We love you children.", ("xho_Latn", "eng_Latn")),
    ],
)
def test_languages_that_are_right_short_or_unknown_pass(src: str, tgt: str, langs: tuple[str, str]) -> None:
    assert accepts(Language(), src, tgt, langs=langs)


GERMAN = ["Der Regen hört am Abend auf.", "Das Museum ist am Montag geschlossen.", "Wir gehen morgen nach Hause."]
SPANISH = "El museo está cerrado los lunes y los martes por la tarde."
PORTUGUESE = "O museu está fechado às segundas-feiras e não abre à noite."
ENGLISH = "The museum is closed on Mondays and on Tuesday evenings."


def of_sources(*texts: str, lang: str) -> PairBatch:
    return batch(*((text, "It is closed today, they say.") for text in texts), langs=(lang, "eng_Latn"))


def test_a_few_sides_in_a_third_language_are_dropped() -> None:
    rule = Language().fitted([of_sources(*GERMAN * 66, SPANISH, lang="deu_Latn")])
    assert rule.learnt == {"src_trust": 2.0, "tgt_trust": 2.0}
    assert not accepts(rule, SPANISH, "It is closed today, they say.")
    assert accepts(rule, GERMAN[0], "It is closed today, they say.")


def test_where_a_language_is_often_taken_for_a_third_one_that_counts_for_less() -> None:
    galician = ("glg_Latn", "eng_Latn")
    spoiled = of_sources(*(PORTUGUESE for _ in range(60)), *GERMAN * 20, lang="glg_Latn")
    rule = Language().fitted([spoiled])
    assert rule.src_trust < Language().src_trust
    assert rule.learnt["tgt_trust"] == 2.0
    assert not accepts(Language(), PORTUGUESE, "It is closed.", langs=galician)
    assert accepts(rule, PORTUGUESE, "It is closed.", langs=galician)
    assert not accepts(rule, ENGLISH, "It is closed.", langs=galician), "the other side's language still counts"


def test_few_sides_do_not_tell_how_far_the_identifier_is_right() -> None:
    assert Language().fitted([of_sources(*([PORTUGUESE] * 40), lang="glg_Latn")]) == Language()


def test_a_margin_that_is_not_known_is_under_every_ceiling() -> None:
    unknown = PairBatch(["hoch"], ["high"], np.array([np.nan], np.float32), "deu_Latn", "eng_Latn")
    rule = Ceiling(most=1.2)
    assert rule.accept(rule.score(unknown)).tolist() == [True]
    found = run_filters(lambda: [unknown], [Punctuation(most=-1)]).report.as_json()
    assert found["filters"][0]["examples"][0]["margin"] is None
    assert json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("unit", ["7", "9,", "9.", "9 ", "123,", "1:2", "0s", "1/1/", "1世"])
def test_a_line_of_any_length_is_scored(unit: str) -> None:
    text = (unit * 50_000)[:50_000]
    found = run_filters(lambda: [batch((text, "It is rather dear."))], [Numbers()]).report
    assert found.pairs == 1


@pytest.mark.parametrize("unit", ["a", "a.", "a@", "é", "-", "7"])
def test_addresses_are_looked_for_once_in_a_long_line(unit: str) -> None:
    """Where time grows with the square of its length this does not end."""
    text = (unit * 1_000_000)[:1_000_000]
    assert accepts(Addresses(), text, text)


def test_an_address_is_found_where_it_begins() -> None:
    assert accepts(Addresses(), "Siehe (rat-1.a@rat.example), x", "See rat-1.a@rat.example")
    assert not accepts(Addresses(), "Siehe (rat-1.a@rat.example), x", "See a@rat.example")


def test_examples_in_reports_are_short() -> None:
    pairs = batch(("x" * 5000, "y" * 10))
    (count,) = run_filters(lambda: [pairs], [Punctuation(most=-1)]).report.as_json()["filters"]
    assert len(count["examples"][0]["src"]) == 301
    assert count["examples"][0]["tgt"] == "y" * 10


def of_lengths(ratio: float, count: int, seed: int = 0) -> PairBatch:
    rng = np.random.default_rng(seed)
    src = rng.integers(10, 200, count)
    tgt = np.maximum((ratio * src + ratio * rng.normal(0, 1, count) * np.sqrt(6 * src)).astype(int), 1)
    return batch(*(("a" * one, "b" * other) for one, other in zip(src, tgt, strict=True)))


@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.9])
def test_lengths_are_fitted_to_the_languages(ratio: float) -> None:
    pairs = of_lengths(ratio, 400)
    rule = LengthRatio().fitted([pairs])
    assert rule.ratio == pytest.approx(ratio, rel=0.2)
    assert rule.accept(rule.score(pairs)).mean() > 0.98
    wrong = batch(("a" * 150, "b" * int(150 * ratio * 4)), ("a" * 400, "b" * int(400 * ratio / 5)))
    scores = rule.score(wrong)
    assert not rule.accept(scores).any()
    assert "longer" in rule.reason(scores[0])
    assert "shorter" in rule.reason(scores[1])


def test_lengths_are_fitted_in_spite_of_wrong_pairs() -> None:
    right, wrong = of_lengths(1.0, 400), of_lengths(4.0, 100, seed=1)
    assert LengthRatio().fitted([right, wrong]).ratio == pytest.approx(1.0, rel=0.2)


def test_few_pairs_are_no_reason_to_fit() -> None:
    assert LengthRatio().fitted([of_lengths(3.0, 5)]) == LengthRatio()
    assert LengthRatio().fitted([]) == LengthRatio()


def test_templates_are_counted_over_all_batches_but_for_their_digits() -> None:
    templates = [(f"Seite {n} von 900", f"Page {n} of 900") for n in range(40)]
    batches = [batch(*templates[:20], ("Der Regen hört auf.", "The rain stops.")), batch(*templates[20:])]
    rule = Boilerplate(most=30).fitted(batches)
    assert rule.score(batches[0]).tolist() == [40.0] * 20 + [1.0]
    assert rule.accept(rule.score(batches[0])).tolist() == [False] * 20 + [True]
    assert "40 pairs" in rule.reason(40.0)


def test_a_template_of_one_side_counts_for_that_side_only() -> None:
    rule = Boilerplate().fitted([batch(("Seite 1", "Haus"), ("Haus", "Page"), ("Baum", "Haus"))])
    assert rule.score(batch(("Haus", "Baum"), ("Ast", "Haus"))).tolist() == [1.0, 2.0]


def test_each_pair_is_dropped_by_the_first_and_counted_by_all() -> None:
    pairs = [
        ("Es kam 1648 zum Frieden.", "Peace was made in 1648."),
        ("Es kostet 1250 Euro.", "It costs 1520 euros."),
        ("www.hafen.example 1250", "www.airport.example 1520"),
        ("Radio Tirana 93", "Radio Tirana 93"),
    ]
    halves = [batch(*pairs[:2]), batch(*pairs[2:])]
    found = run_filters(lambda: halves, [Numbers(), Addresses(), Copy()])
    assert found.dropped_by.tolist() == [KEPT, 0, 0, 2]
    report = found.report
    assert (report.pairs, report.kept) == (4, 1)
    assert [(each.name, each.dropped, each.alone) for each in report.filters] == [
        ("numbers", 2, 2),
        ("addresses", 0, 1),
        ("copy", 1, 1),
    ]
    assert [example.row for example in report.filters[0].examples] == [1, 2]
    assert report.filters[2].examples[0].reason == "both sides are the same"
    assert run_filters(lambda: halves, [Numbers()], examples=1).report.filters[0].examples[0].row == 1


def test_nothing_to_filter() -> None:
    found = run_filters(list)
    assert (len(found.dropped_by), found.report.pairs, found.report.kept) == (0, 0, 0)


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=8), st.integers(0, 8))
def test_any_text_is_scored_and_batches_make_no_difference(pairs: list[tuple[str, str]], cut: int) -> None:
    whole = run_filters(lambda: [batch(*pairs)], FilterSettings.defaults().filters)
    parts = run_filters(lambda: [batch(*pairs[:cut]), batch(*pairs[cut:])], FilterSettings.defaults().filters)
    assert whole.dropped_by.tolist() == parts.dropped_by.tolist()
    assert [each.alone for each in whole.report.filters] == [each.alone for each in parts.report.filters]


def test_each_filter_has_an_entry_in_the_docs() -> None:
    names: Iterable[str] = [each.name for each in (*FilterSettings.defaults().filters, Ceiling())]
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in names if f"## `{name}`" not in text] == []
