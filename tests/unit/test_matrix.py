"""What a matrix run is told: which pairs, how they are mined, and the file that says so."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from bitextmine.artifacts import ArtifactKey
from bitextmine.documents import DocumentRule, DocumentUse
from bitextmine.encoders.postprocess import PostProcessing
from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.filters import FilterSettings
from bitextmine.margin import Margin, Retrieval
from bitextmine.matrix import MatrixParameters, PairChoice
from bitextmine.matrix.config import read_config
from bitextmine.matrix.page import report_page
from bitextmine.matrix.parameters import mining_parameters
from bitextmine.matrix.stage_log import StageLog, read_stage_log, seconds_by_stage
from bitextmine.mining import MiningParameters
from bitextmine.search.method import Method

LANGUAGES = {"de": "deu_Latn", "en": "eng_Latn", "web-en": "eng_Latn", "fr": "fra_Latn"}


# --- which pairs


def test_all_pairs_are_of_two_languages_in_the_order_of_the_corpora() -> None:
    found = PairChoice().pairs(LANGUAGES)
    assert found == [pair for pair in combinations(LANGUAGES, 2) if pair != ("en", "web-en")]


@pytest.mark.parametrize("pivot", ["en", "eng_Latn"])
def test_a_pivot_is_the_target_of_every_pair(pivot: str) -> None:
    found = PairChoice(pivots=(pivot,)).pairs(LANGUAGES)
    targets = {"en"} if pivot == "en" else {"en", "web-en"}
    sources = [name for name in LANGUAGES if name not in targets and LANGUAGES[name] != "eng_Latn"]
    assert sorted(found) == sorted((src, tgt) for src in sources for tgt in targets)


def test_several_pivots_are_mined_with_one_another_too() -> None:
    found = PairChoice(pivots=("fra_Latn", "de")).pairs(LANGUAGES)
    assert found == [("en", "de"), ("web-en", "de"), ("de", "fr"), ("en", "fr"), ("web-en", "fr")]


def test_listed_pairs_stay_as_they_are_and_the_first_come_first() -> None:
    listed = (("fr", "de"), ("en", "de"))
    assert PairChoice(listed=listed).pairs(LANGUAGES) == list(listed)
    assert PairChoice(listed=listed, first=(("de", "en"),)).pairs(LANGUAGES) == [("en", "de"), ("fr", "de")]


@pytest.mark.parametrize(
    ("choice", "languages", "code"),
    [
        (PairChoice(pivots=("xx",)), LANGUAGES, "unknown-corpus"),
        (PairChoice(listed=(("de", "xx"),)), LANGUAGES, "unknown-corpus"),
        (PairChoice(first=(("de", "xx"),)), LANGUAGES, "unknown-corpus"),
        (PairChoice(listed=(("en", "web-en"),)), LANGUAGES, "same-language"),
        (PairChoice(listed=(("de", "de"),)), LANGUAGES, "same-language"),
        (PairChoice(listed=(("de", "en"), ("en", "de"))), LANGUAGES, "invalid-parameter"),
        (PairChoice(listed=()), LANGUAGES, "no-pairs"),
        (PairChoice(), {"en": "eng_Latn", "web-en": "eng_Latn"}, "no-pairs"),
        (PairChoice(pivots=("de",)), {"de": "deu_Latn"}, "no-pairs"),
        (PairChoice(), {f"c{n}": f"l{n}" for n in range(500)}, "too-many-pairs"),
    ],
)
def test_what_cannot_be_mined_is_refused(choice: PairChoice, languages: dict[str, str], code: str) -> None:
    with pytest.raises(ParameterError) as error:
        choice.pairs(languages)
    assert error.value.code == code


def test_a_pivot_and_a_list_exclude_each_other() -> None:
    with pytest.raises(ParameterError, match="not both"):
        PairChoice(pivots=("de",), listed=(("de", "en"),))


# --- how they are mined


@pytest.mark.parametrize(
    "parameters",
    [
        MatrixParameters(),
        MatrixParameters(precision=0.9, filters=FilterSettings.defaults()),
        MatrixParameters(precision=0.9, mining=MiningParameters(threshold=1.1)),
        MatrixParameters(
            mining=MiningParameters(
                k=8,
                margin=Margin.DISTANCE,
                retrieval=Retrieval.INTERSECTION,
                threshold=-0.5,
                method=Method.IVF,
                drop_identical=True,
                postprocess=PostProcessing.parse("centre"),
                documents=DocumentRule(use=DocumentUse.BOOST, bonus=0.25),
            )
        ),
    ],
)
def test_parameters_travel_as_json(parameters: MatrixParameters) -> None:
    travelled = json.loads(json.dumps(parameters.as_json()))
    assert MatrixParameters.from_json(travelled) == parameters


def test_filters_that_drop_nothing_are_none() -> None:
    assert MatrixParameters(filters=FilterSettings.none()).as_json() == MatrixParameters().as_json()


@pytest.mark.parametrize("precision", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_precision_is_between_0_and_1(precision: float) -> None:
    with pytest.raises(ParameterError) as error:
        MatrixParameters(precision=precision)
    assert error.value.code == "invalid-threshold"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kk": 4}, "unknown setting 'kk'"),
        ({"k": "4"}, "k is '4'"),
        ({"k": True}, "k is True"),
        ({"threshold": "1"}, "threshold is '1'"),
        ({"margin": "ration"}, "one of ratio, distance, absolute"),
        ({"drop_identical": 1}, "drop_identical is 1"),
        ({"k": 0}, "between 1 and"),
        ({"documents": "some"}, "one of restrict, boost"),
        ({"documents": {"use": "boost", "bonus": "much"}}, "'much', which is no number"),
    ],
)
def test_wrong_parameters_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mining_parameters(values)


# --- the file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for language in ("de", "en", "fr"):
        (tmp_path / f"{language}.txt").write_text("eins\nzwei\n")
    return tmp_path


CORPORA = "\n".join(
    (
        "[corpora.de]\nfiles = ['de.txt']",
        "[corpora.en]\nfiles = 'en.txt'",
        "[corpora.french]\nlang = 'fr'\nfiles = ['fr.*']",
    )
)


def test_a_configuration_says_everything(place: Path) -> None:
    top = 'encoder = "tiny"\nprecision = 0.9\npivot = "en"\noutput = "pairs"\nformat = "jsonl.gz"\nfilters = "none"\n'
    (place / "run.toml").write_text(f"{top}[mining]\nk = 2\n{CORPORA}")
    config = read_config(place / "run.toml")
    assert [(source.name, source.lang, source.files) for source in config.sources] == [
        ("de", "deu_Latn", (str(place / "de.txt"),)),
        ("en", "eng_Latn", (str(place / "en.txt"),)),
        ("french", "fra_Latn", (str(place / "fr.txt"),)),
    ]
    assert (config.encoder, config.choice.pivots, config.parameters.precision) == ("tiny", ("en",), 0.9)
    assert (config.parameters.mining.k, config.parameters.filters) == (2, None)
    assert config.output == place / "pairs"
    assert config.export.form.value == "jsonl"


def test_what_is_excluded_is_found_from_the_configuration(place: Path) -> None:
    (place / "run.toml").write_text(f'[preparation]\nexclude = ["known.tmx"]\n{CORPORA}')
    source = read_config(place / "run.toml").sources[0]
    assert source.preparation == {"exclude": [str(place / "known.tmx")]}


def test_defaults_filter_and_mine_all_pairs(place: Path) -> None:
    (place / "run.toml").write_text(CORPORA)
    config = read_config(place / "run.toml")
    assert config.encoder == "muse"
    assert config.choice == PairChoice()
    assert config.parameters == MatrixParameters(filters=FilterSettings.defaults())
    assert config.output is None


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("pairs = ", "invalid-config", "Invalid value"),
        ("", "invalid-config", "there are no corpora"),
        (f"piovt = 'en'\n{CORPORA}", "invalid-config", "unknown setting 'piovt'"),
        (f"pairs = [['de']]\n{CORPORA}", "invalid-config", "list of pairs"),
        (f"pairs = 'some'\n{CORPORA}", "invalid-config", "list of pairs"),
        (f"precision = 'high'\n{CORPORA}", "invalid-config", "precision is 'high'"),
        (f"precision = 1.5\n{CORPORA}", "invalid-threshold", "between 0 and 1"),
        (f"pivot = 7\n{CORPORA}", "invalid-config", "pivot must be"),
        (f"preparation = 3\n{CORPORA}", "invalid-config", "no table"),
        (f"[preparation]\nsplitt = 3\n{CORPORA}", "invalid-preparation", "splitt"),
        (f"mining = 3\n{CORPORA}", "invalid-config", "no table"),
        (f"format = 'docx'\n{CORPORA}", "output-not-writable", "docx"),
        (f"filters = 'soem'\n{CORPORA}", "invalid-filters", "soem"),
        (f"{CORPORA}\n[corpora.xx]\nfiles = []", "invalid-config", r"\[corpora.xx\]: files"),
        (f"{CORPORA}\n[corpora.XX]\nfiles = ['de.txt']", "invalid-name", "XX"),
        (f"{CORPORA}\n[corpora.qq]\nfiles = ['de.txt']", "unknown-language", "qq"),
        (f"{CORPORA}\n[corpora.ru]\nfiles = ['de.txt']\nform = 'text'", "invalid-config", "'form'"),
        (f"{CORPORA}\n[corpora.ru]\nfiles = ['de.txt']\nformat = 'csv'", "invalid-config", "one of text, jsonl"),
        (f"{CORPORA}\n[corpora.ru]\nfiles = ['none-*.txt']", None, "none-"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_the_file(
    place: Path, content: str, code: str | None, message: str
) -> None:
    (place / "run.toml").write_text(content)
    with pytest.raises(BitextmineError, match=message) as error:
        read_config(place / "run.toml")
    assert error.value.code == code or code is None
    assert str(error.value).startswith(str(place / "run.toml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_configuration_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(ParameterError) as error:
        read_config(tmp_path / "run.toml")
    assert error.value.code == "invalid-config"


# --- what is written down


def test_the_stage_log_has_every_artifact_once_and_bears_half_a_line(tmp_path: Path) -> None:
    store = StageLog(tmp_path / "log", "pair de en").store(tmp_path / "artifacts")
    for number, inputs in enumerate([{}, {"bitext": "x"}]):
        with store.publish(ArtifactKey("bitext", {"n": number}, inputs)):
            pass
    (written,) = (tmp_path / "log").iterdir()
    with written.open("a") as stream:
        stream.write('{"time": "2026')
    lines = read_stage_log(tmp_path / "log")
    assert [(line.stage, line.task) for line in lines] == [("bitext", "pair de en"), ("filter", "pair de en")]
    assert len({line.digest for line in lines}) == 2
    assert set(seconds_by_stage(lines)) == {"bitext", "filter"}
    assert read_stage_log(tmp_path / "nothing") == []


def test_the_page_shows_names_as_text_and_every_state() -> None:
    pair = {"src": "de", "tgt": "en", "src_lang": "deu_Latn", "tgt_lang": "eng_Latn", "expected_seconds": 1.0}
    done = {
        "bitext": "abc",
        "pairs": 7,
        "mined": {"pairs": 9},
        "seconds": 1.5,
        "threshold": {"value": 1.06, "precision": 0.91, "low": 0.88, "high": 0.93},
        "histogram": {"edges": [1.0, 1.1, 1.2], "counts": [3, 4]},
        "filters": [{"name": "copy", "dropped": 2, "alone": 2}],
    }
    corpus = {"lang": "deu_Latn", "sentences": 10, "to_embed": 10, "source": "<script>alert(1)</script>"}
    record = {
        "matrix": "0" * 32,
        "encoder": "muse",
        "started": "2026",
        "finished": None,
        "corpora": {"de": corpus, "en": corpus, "fr": corpus},
        "seconds": {"embeddings": 3.0, "neighbors": 1.0},
        "counts": {"waiting": 0, "running": 1, "done": 1, "failed": 1},
        "pairs": [
            {**pair, "state": "done", "result": done, "error": "", "code": ""},
            {**pair, "tgt": "fr", "state": "failed", "result": {}, "error": "<b>no</b>", "code": "k-too-large"},
            {**pair, "src": "en", "tgt": "fr", "state": "running", "result": {}, "error": "", "code": ""},
        ],
    }
    page = report_page(record)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "7 of 9 mined pairs stay" in page
    assert "precision 0.910 (0.880 to 0.930)" in page
    assert page.count(">7</a>") == 2, "a pair is in two cells"
    assert page.count(">failed</a>") == 2
    assert "75%" in page
