"""What each rule drops, and what it must leave alone, in scripts of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitextmine.corpus.identify import looks
from bitextmine.errors import LanguageError, ParameterError
from bitextmine.preparation import NearDuplicates, PreparationParameters, Tidying, rule_names, with_rule
from bitextmine.preparation.characters import Characters
from bitextmine.preparation.language import LEAST_LETTERS, POSSIBLE, Language
from bitextmine.preparation.parameters import DEFAULT_BOUNDS, Normalization
from bitextmine.preparation.rule import Bounded, Rule
from bitextmine.preparation.sentences import sentences_in
from bitextmine.preparation.tidying import tidier

# Short, long, with numbers, quotations and names in other scripts: all of it is to stay.
GOOD = {
    "de": ["Danke.", "Ja!", "Um 10:30 Uhr kostet es 3,50 Euro.", "„Was?“, sagte er – und ging."],
    "zh": ["谢谢。", "好！", "他说:“你好。”", "2024年5月1日,我在DVD上看了三部电影。"],
    "ja": ["はい。", "「はい。」", "ゲームセンターへ行きましょう。", "コーヒーを2杯ください。"],
    "th": ["ขอบคุณ", "ผมชอบกินข้าวกับครอบครัวที่บ้านทุกวันอาทิตย์", "ราคา 25 บาท"],
    "km": ["អរគុណ។", "ខ្ញុំស្រឡាញ់ភាសាខ្មែរ។"],
    "hi": ["धन्यवाद।", "मैं हर दिन पानी पीता हूँ।", "क्या तुम कल दिल्ली जा रहे हो?"],
    "ar": ["شكرا.", "أَيْنَ المَكْتَبَةُ؟", "هل تريد أن تشرب القهوة؟"],
    "ko": ["네.", "오늘은 3월 15일입니다."],
    "am": ["አመሰግናለሁ።", "ውሃ እፈልጋለሁ።"],
    "ru": ["Да.", "Мы смотрели «Titanic» в кино."],
    "en": ["OK", "No!", "No, no, no, no: not 1984 again.", "Aaaaargh!!!", "He said: 'It's 5 p.m.'"],
}
BAD = {
    "length": ("en", "x"),
    "punctuation": ("zh", "。。,!?谢谢"),
    "digits": ("ar", "٠١٢٣٤٥٦٧٨٩ رقم"),
    "script": ("ru", "This is English in a Russian corpus, да."),
    "repeated-characters": ("th", "ลด" + "ๆ" * 11),
    "repeated-words": ("hi", "पानी पानी पानी पानी पानी है"),
    "repeated-passages": ("zh", "免费电影在线观看高清" * 5),
    "language": ("de", "This is an English sentence in a German corpus."),
}


def rules_of(lang: str, **wanted: object) -> tuple[Rule, ...]:
    from bitextmine.languages import parse_language

    return PreparationParameters.parse(wanted).rules(parse_language(lang))


def droppers(lang: str, text: str) -> list[str]:
    sentences = Characters([text])
    return [rule.name for rule in rules_of(lang) if not rule.accept(rule.score(sentences))[0]]


@pytest.mark.parametrize("lang", GOOD)
def test_good_sentences_of_every_script_stay(lang: str) -> None:
    assert {text: droppers(lang, text) for text in GOOD[lang]} == {text: [] for text in GOOD[lang]}


@pytest.mark.parametrize("name", BAD)
def test_each_rule_drops_what_it_is_for_and_says_why(name: str) -> None:
    lang, text = BAD[name]
    assert name in droppers(lang, text)
    rule = next(rule for rule in rules_of(lang) if rule.name == name)
    score = float(rule.score(Characters([text]))[0])
    reason = rule.reason(score)
    assert "\n" not in reason
    bound = rule.least if score < rule.least else rule.most
    assert f"{bound:g}" in reason, "the reason names the bound"


def test_every_rule_with_bounds_is_tested() -> None:
    assert list(BAD) == list(DEFAULT_BOUNDS)
    assert rule_names() == ["excluded", *DEFAULT_BOUNDS, "near-duplicate"]


def test_every_rule_and_parameter_is_documented() -> None:
    guide = Path(__file__).parents[2].joinpath("docs", "preparation.md").read_text()
    assert [name for name in rule_names() if f"`{name}`" not in guide] == []
    fields = ["split", "normalization", "tidy", "near_duplicates", "rules", "languages", "exclude", "shard_rows"]
    assert [name for name in (*fields, "max_document_chars") if f"`{name}`" not in guide] == []


def test_bounds_are_included() -> None:
    rules = {rule.name: rule for rule in rules_of("en", rules={"length": {"least": 3, "most": 5}})}
    scores = rules["length"].score(Characters(["ab", "abc", "abcde", "abcdef"]))
    assert rules["length"].accept(scores).tolist() == [False, True, True, False]
    assert rules["length"].reason(2) == "2 characters, fewer than 3"
    assert rules["length"].reason(6) == "6 characters, more than 5"


def test_marks_and_joiners_are_letters_and_not_punctuation() -> None:
    (punctuation,) = (rule for rule in rules_of("hi") if rule.name == "punctuation")
    assert punctuation.score(Characters(["क्‍ष", "ที่นี่", "أَيْنَ"])).tolist() == [0, 0, 0]
    assert punctuation.score(Characters(["क।"])).tolist() == [0.5]


def test_the_language_rule_knows_close_languages_and_its_own_limits() -> None:
    norwegian, german, unknown = (Language.of(f"{code}_Latn", Bounded(most=0.8), {}) for code in ("nob", "deu", "max"))
    assert (norwegian.most, german.most) == (0.99, 0.8)
    assert (german.is_known, unknown.is_known) == (True, False)
    english = Characters(["This is an English sentence in a corpus of something else.", "Go on"])
    assert german.score(english)[0] > 0.8
    assert german.score(english)[1] == 0, "too few letters to tell"
    assert unknown.score(english).tolist() == [0, 0]
    stricter = Language.of("nob_Latn", Bounded(most=0.8), {"nob": 0.5})
    assert stricter.most == 0.5


@pytest.mark.parametrize(("lang", "usual"), [("cat", 0.9), ("gsw", 1.0), ("deu", 0.8)])
def test_a_bound_that_is_asked_for_holds_for_close_languages_too(lang: str, usual: float) -> None:
    def most(**wanted: object) -> float:
        rules = PreparationParameters.parse(wanted).rules(f"{lang}_Latn")
        return next(rule.most for rule in rules if rule.name == "language")

    assert most() == usual
    assert most(rules={"language": {"most": 0.5}}) == 0.5
    assert most(rules={"language": {"most": 0.85}}) == 0.85
    assert most(rules={"language": {"most": 0.5}}, languages={lang: 0.7}) == 0.7
    assert with_rule(PreparationParameters(), "language.most=0.5")["language"].most == 0.5


def test_languages_are_told_as_all_chances_tell_them() -> None:
    texts = [text for texts in GOOD.values() for text in texts] + ["", "?", "Der Hund und the dog", "bon appetit"]
    texts = [text for text in texts if sum(map(str.isalpha, text)) >= LEAST_LETTERS]
    for lang in ("deu", "zho", "eng", "rus"):
        expected = [look.other if look.own < POSSIBLE else 0.0 for look in looks(texts, lang)]
        assert Language.of(f"{lang}_Latn", Bounded(most=0.8), {}).score(Characters(texts)).tolist() == expected
        assert 0 < sum(score > 0 for score in expected) < len(expected)


def test_nothing_has_no_scores() -> None:
    for rule in rules_of("de"):
        assert rule.accept(rule.score(Characters([]))).shape == (0,)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "Dr. Smith left. Did he?  Yes!", ["Dr. Smith left.", "Did he?", "Yes!"]),
        ("en", "A title\n\nOne. Two.\nThree", ["A title", "One.", "Two.", "Three"]),
        ("zh-Hant", "我愛你。你好嗎？", ["我愛你。", "你好嗎？"]),
        ("hi", "मैं घर जा रहा हूँ। तुम कहाँ हो?", ["मैं घर जा रहा हूँ।", "तुम कहाँ हो?"]),
        ("km", "ខ្ញុំទៅ។ អ្នកទៅ៕ គេ", ["ខ្ញុំទៅ។", "អ្នកទៅ៕", "គេ"]),
        ("th", "ผมไป คุณมา\nเขาอยู่", ["ผมไป คุณมา", "เขาอยู่"]),
        ("de", "Herr A\u00a0. ging\u2028nach Haus", ["Herr A\u00a0. ging", "nach Haus"]),  # sentencex fails on it
        ("de", "  \n\t\n", []),
    ],
)
def test_documents_are_split_and_paragraphs_never_merged(lang: str, text: str, expected: list[str]) -> None:
    from bitextmine.languages import parse_language

    assert sentences_in(text, parse_language(lang)) == expected


def test_a_line_that_the_splitter_fails_on_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from sentencex import segment

    def panics(failing: str) -> BaseException:
        try:
            segment("de", failing)
        except BaseException as error:
            return error
        raise AssertionError("sentencex was mended: leave the plain spaces and this out")

    panic = panics("C\u00a0. .")

    def failing(code: str, line: str) -> list[str]:
        raise panic

    monkeypatch.setattr("bitextmine.preparation.sentences.segment", failing)
    assert sentences_in("Eins. Zwei.\nDrei.", "deu_Latn") == ["Eins. Zwei.", "Drei."]


@pytest.mark.parametrize(
    ("wanted", "lang", "given", "expected"),
    [
        ({Tidying.SPACES}, "deu_Latn", "a\u00a0\tb \u2003c", "a b c"),
        ({Tidying.QUOTES}, "deu_Latn", "„So“, ‚sagt’ er", "\"So\", 'sagt' er"),
        ({Tidying.WIDTH}, "jpn_Jpan", "ＡＢ１２ ｶﾞ ①", "AB12 ガ ①"),
        ({Tidying.ZERO_WIDTH}, "deu_Latn", "Auf\u00adgabe\u200b \ufeffda\u200e", "Aufgabe da"),
        ({Tidying.ZERO_WIDTH}, "khm_Khmr", "ខ្ញុំ\u200bទៅ\ufeff", "ខ្ញុំ\u200bទៅ"),
        ({Tidying.ZERO_WIDTH}, "fas_Arab", "می\u200cخواهم\u200f", "می\u200cخواهم"),
        ({Tidying.ZERO_WIDTH}, "hin_Deva", "क्\u200dष", "क्\u200dष"),
    ],
)
def test_tidying_leaves_joiners_and_word_breaks_alone(
    wanted: set[Tidying], lang: str, given: str, expected: str
) -> None:
    tidy = tidier(Normalization.NFC, tuple(wanted), lang)
    assert tidy is not None
    assert tidy(given) == expected


def test_compatibility_characters_are_replaced_where_it_is_said() -> None:
    tidy = tidier(Normalization.NFKC, (), "deu_Latn")
    assert tidy is not None
    assert tidy("ﬁn ①") == "fin 1"
    assert tidier(Normalization.NFC, (), "deu_Latn") is None


def test_parameters_come_from_toml_and_json() -> None:
    parsed = PreparationParameters.parse(
        {
            "split": "always",
            "normalization": "nfkc",
            "tidy": ["spaces", "quotes", "spaces"],
            "near_duplicates": "digits",
            "rules": {"length": {"most": 300}, "script": False, "digits": True},
            "languages": {"sw": 0.9},
            "exclude": ["old.tmx"],
            "shard_rows": 100,
        }
    )
    assert parsed.bounds["length"] == Bounded(least=2, most=300)
    assert "script" not in parsed.bounds
    assert parsed.languages == {"swa": 0.9}
    assert parsed.tidy == (Tidying.QUOTES, Tidying.SPACES)
    assert parsed.near_duplicates is NearDuplicates.DIGITS
    assert parsed.exclude == (Path("old.tmx"),)
    assert PreparationParameters.parse({}) == PreparationParameters()
    assert with_rule(parsed, "script.most=0.1")["script"] == Bounded(most=0.1)
    assert list(with_rule(parsed, "script.most=0.1")) == list(DEFAULT_BOUNDS)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("default", "is a table"),
        ({"speed": 1}, "unknown parameter 'speed'"),
        ({3: 1}, "unknown parameter 3"),
        ({"split": "maybe"}, "split is 'maybe'; there are: auto, always, never"),
        ({"normalization": None}, "normalization is None"),
        ({"tidy": ["spaces", "shoes"]}, "tidy is 'shoes'"),
        ({"rules": "none"}, "rules are a table"),
        ({"rules": {"beauty": True}}, "unknown rule 'beauty'"),
        ({"rules": {"near-duplicate": False}}, "unknown rule 'near-duplicate'"),
        ({"rules": {"length": 3}}, "length is true, false or its bounds"),
        ({"rules": {"length": {"max": 3}}}, "length has no bound 'max'"),
        ({"rules": {"length": {"most": "3"}}}, "length.most is '3'"),
        ({"rules": {"length": {"most": float("nan")}}}, "length.most is nan"),
        ({"rules": {"length": {"most": True}}}, "length.most is True"),
        ({"rules": {"length": {"least": 600}}}, "no sentence could pass"),
        ({"languages": 0.9}, "languages is a table"),
        ({"languages": {"swa": "x"}}, "languages.swa is 'x'"),
        ({"exclude": 3}, "exclude is a list of files"),
        ({"shard_rows": 0}, "shard_rows is 0"),
        ({"shard_rows": True}, "shard_rows is True"),
        ({"max_document_chars": 1e6}, "max_document_chars is 1000000.0"),
    ],
)
def test_wrong_parameters_are_named(wanted: object, said: str) -> None:
    with pytest.raises(ParameterError, match=said.replace(".", r"\.")) as caught:
        PreparationParameters.parse(wanted)
    assert caught.value.code == "invalid-preparation"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "said", ["length", "length.most", "length=3", "length.most=x", "beauty.most=3", "length.max=3"]
)
def test_wrong_bounds_of_options_are_named(said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        with_rule(PreparationParameters(), said)
    assert caught.value.code == "invalid-preparation"


def test_languages_with_thresholds_are_languages() -> None:
    with pytest.raises(LanguageError):
        PreparationParameters.parse({"languages": {"klingonese": 0.5}})


def test_thresholds_of_other_languages_make_no_other_corpus() -> None:
    plain, swahili = PreparationParameters(), PreparationParameters.parse({"languages": {"swa": 0.7}})
    assert plain.described("deu_Latn") == swahili.described("deu_Latn")
    assert plain.described("swa_Latn") != swahili.described("swa_Latn")
    assert np.isfinite(plain.described("deu_Latn")["rules"]["language"][1])
