"""Files prepared one after the other make what they make at once; characters are counted as a loop counts them."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import Corpus
from bitextmine.errors import CorpusInputError
from bitextmine.preparation import PreparationParameters, prepare, rehearse, rejects, report_of
from bitextmine.preparation.characters import Characters, Kind
from bitextmine.preparation.near import NearSentences
from bitextmine.preparation.parameters import NearDuplicates

MEMORY = Path("/dev/shm")  # where there is one, hundreds of artifacts are published fast
WORDS = st.sampled_from(
    ["abc", "ABC", "abc!", "abc 1", "abc 2", "def", "de f", "gh,i", "x", "%%%", "\x00", "", "jkl mno"]
)
FILES = st.lists(st.lists(WORDS, max_size=9).map(lambda lines: ["zz top", *lines]), min_size=2, max_size=6)
QUICK = PreparationParameters.parse({"shard_rows": 3, "rules": {"language": False}})
CHARACTERS = st.text(
    st.sampled_from("aaab bcé1２٣.!,  謝谢ไทยก่ हिन्दीक्ष \u200d\u00adЖж\U0001f600ﬁ")
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)


def paths_of(folder: Path, files: list[list[str]]) -> list[Path]:
    paths = [folder / f"{number}.txt" for number in range(len(files))]
    for path, lines in zip(paths, files, strict=True):
        path.write_text("".join(f"{line}\n" for line in lines))
    return paths


def seen(corpus: Corpus) -> dict[str, Any]:
    """All that a corpus holds, however its files were written."""
    rows = np.arange(len(corpus))
    return {
        "digest": corpus.digest,
        "columns": {name: corpus.take(name, rows).to_pylist() for name in ("text", "id", "doc_id", "line", "hash")},
        "sources": [corpus.part_of(row).source for row in rows.tolist()],
        "shards": [(shard.start, shard.stop, shard.digest) for shard in corpus.shards],
        "copies": corpus.copies().to_pylist(),
        "copies by file": [corpus.copies_in(part).to_pylist() for part in corpus.parts],
        "refused": [(part.source, refusal) for part, refusal in corpus.refusals_by_part()],
        "third refusal": list(corpus.refusals(2, 1)),
        "parts": [(part.number, part.source, part.lines, part.first_row, part.refused) for part in corpus.parts],
        "counts": {name: corpus.summary[name] for name in ("lines", "duplicates", "refused", "sentences")},
        "rejects": list(rejects(corpus)),
        "report": report_of(corpus),
    }


@settings(deadline=None, max_examples=60)
@given(files=FILES, data=st.data())
@example(files=[["zz top", "abc"], ["zz top"], ["zz top", "def"]], data=None)
def test_files_prepared_in_steps_make_what_they_make_at_once(files: list[list[str]], data: Any) -> None:
    stops = set(range(1, len(files))) if data is None else data.draw(st.sets(st.integers(1, len(files) - 1)))
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        paths = paths_of(folder, files)
        once = prepare(paths, "en", ArtifactStore(folder / "once"), QUICK)
        store, former = ArtifactStore(folder / "steps"), None
        for stop in sorted(stops):
            former = prepare(paths[:stop], "en", store, QUICK, after=former)
        stepwise = prepare(paths, "en", store, QUICK)
        assert seen(stepwise) == seen(once)
        runs = {part.run for part in stepwise.parts}
        assert runs == {0, *stops}, "each step read its own files only"
        told = rehearse(paths, "en", QUICK)
        assert told == report_of(once), "a rehearsal says what preparation does"
        for row, text in enumerate(once.take("text", np.arange(len(once))).to_pylist()):
            line = once.take("line", np.array([row])).to_pylist()[0]
            assert files[once.part_of(row).number][line - 1] == text, "the line is that of its own file"


@settings(deadline=None, max_examples=60)
@given(files=FILES)
def test_every_line_is_kept_dropped_refused_or_a_copy(files: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        corpus = prepare(paths_of(folder, files), "en", ArtifactStore(folder / "artifacts"), QUICK)
        report = report_of(corpus)
        assert report is not None
        assert report.lines == sum(map(len, files))
        assert report.lines == report.sentences + sum(report.refused.values())
        assert report.sentences == report.kept + report.duplicates + sum(report.dropped.values())
        assert (report.kept, report.duplicates) == (len(corpus), corpus.copies().num_rows)
        assert len(list(rejects(corpus))) == sum(report.dropped.values())


@settings(deadline=None, max_examples=300)
@given(st.lists(CHARACTERS, max_size=6))
def test_characters_are_counted_as_a_loop_counts_them(texts: list[str]) -> None:
    counted = Characters(texts)
    assert counted.lengths.tolist() == [len(text) for text in texts]
    for kind in Kind:
        expected = [sum(kind_of(each) is kind for each in text) for text in texts]
        assert counted.count(counted.kinds == kind).tolist() == expected
    runs = [[(each, len(list(run))) for each, run in groupby(text)] for text in texts]
    longest = [max((count for each, count in found if kind_of(each) is not Kind.SPACE), default=0) for found in runs]
    assert counted.longest_runs().tolist() == longest
    for width in (2, 8):
        assert np.allclose(counted.repeated_share(width), [repeated(text, width) for text in texts])


def kind_of(character: str) -> Kind:
    category = unicodedata.category(character)
    if category[0] in "LM" or character in "\u200c\u200d":
        return Kind.LETTER
    if category[0] == "N":
        return Kind.DIGIT
    return Kind.SPACE if category[0] == "Z" or character.isspace() else Kind.OTHER


def repeated(text: str, width: int) -> float:
    passages = [text[start : start + width] for start in range(len(text) - width + 1)]
    return 1 - len(set(passages)) / len(passages) if len(passages) > width else 0.0


@settings(deadline=None, max_examples=200)
@given(st.lists(CHARACTERS, max_size=12), st.integers(0, 12), st.sampled_from(NearDuplicates))
def test_near_duplicates_are_those_with_the_same_letters(texts: list[str], cut: int, fold: NearDuplicates) -> None:
    near = NearSentences(fold)
    found = [*near.add(texts[:cut]).tolist(), *near.add(texts[cut:]).tolist()]
    kept: dict[str, int] = {}
    expected = []
    for text in texts:
        left = folded(text, fold) or f"!{text}"
        expected.append(-1 if fold is NearDuplicates.KEEP else kept.get(left, -1))
        kept.setdefault(left, len(kept))
    assert found == expected


def folded(text: str, fold: NearDuplicates) -> str:
    left = "".join(each for each in text.casefold() if kind_of(each) in (Kind.LETTER, Kind.DIGIT))
    if fold is NearDuplicates.LETTERS:
        return left
    return "".join("0" if kind_of(each) is Kind.DIGIT else each for each in left)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"text": CHARACTERS | st.integers() | st.none()},
            optional={
                "id": CHARACTERS | st.integers(),
                "doc_id": CHARACTERS | st.lists(st.none()),
                "title": CHARACTERS,
            },
        ).map(json.dumps)
        | CHARACTERS,
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["en", "de", "th", "zh", "km", "ar", "hi"]),
    st.sampled_from(["auto", "always", "never"]),
)
def test_no_record_is_too_strange(lines: list[str], lang: str, split: str) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        path = Path(name, "a.jsonl")
        path.write_text("\n".join(re.sub("[\r\n]", " ", line) for line in lines), encoding="utf-8", newline="")
        parameters = PreparationParameters.parse({"split": split, "tidy": ["spaces", "quotes", "width", "zero-width"]})
        try:
            report = rehearse([path], lang, parameters)
        except CorpusInputError as error:
            refused = error.code
        else:
            refused = ""
            assert report.sentences == report.kept + report.duplicates + sum(report.dropped.values())
        assert refused in {"", "empty-corpus", "unsupported-input"}
