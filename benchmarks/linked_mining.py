"""What links between documents are good for in mining: F1 without them, with a bonus, and restricted to them.

Protocol: the text and the paragraphs of alignment.py (DIR is the same). The corpora are all sentences of both editions;
PARAGRAPHS in a row are a document, whose translation has the same doc_id. Gold: the sentences of paragraphs of as many
sentences on both sides, the first with the first and so on, each distinct pair once; pairs of sentences of other
paragraphs do not count. Each run's threshold is that of its highest F1 on the gold: a run is judged by what it can do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from alignment import Chapter, fetch, read_chapters, report
from signature import signature, write

from bitextmine.artifacts import ArtifactStore
from bitextmine.bitext import Bitext
from bitextmine.corpus import Corpus, CorpusFile, CorpusFormat, ingest
from bitextmine.documents import DocumentRule, DocumentUse
from bitextmine.encoders import open_encoder
from bitextmine.languages import parse_language
from bitextmine.mining import MiningParameters, mine
from bitextmine.workspace import default_encoders_dir

PARAGRAPHS = 10
RULES: dict[str, DocumentRule | None] = {
    "none": None,
    **{f"boost {bonus}": DocumentRule(use=DocumentUse.BOOST, bonus=bonus) for bonus in (0.02, 0.05, 0.1, 0.2)},
    "restrict": DocumentRule(use=DocumentUse.RESTRICT),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--languages", nargs="+", default=("de", "fr"))
    parser.add_argument("--encoder", default="muse")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    fetch(arguments.directory, arguments.languages)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="linked-mining-") as name:
        for code in arguments.languages:
            chapters = read_chapters(arguments.directory, code)
            runs += judged(Path(name), code, chapters, arguments.encoder)
    write(arguments.json, signature(encoder=arguments.encoder, languages=list(arguments.languages)), runs)


def judged(place: Path, code: str, chapters: list[Chapter], encoder: str) -> Iterator[dict[str, Any]]:
    store = ArtifactStore(place / "artifacts")
    sides: tuple[list[tuple[str, str]], ...] = ([], [])
    gold, unsure = set(), (set[str](), set[str]())
    for chapter in chapters:
        for number, (ours, theirs) in enumerate(zip(chapter.src, chapter.tgt, strict=True)):
            document = f"{chapter.name} {number // PARAGRAPHS}"
            for lines, sentences in zip(sides, (ours, theirs), strict=True):
                lines += [(document, text) for text in sentences]
            if len(ours) == len(theirs):
                gold.update(zip(ours, theirs, strict=True))
            else:
                unsure[0].update(ours)
                unsure[1].update(theirs)
    gold = {pair for pair in gold if pair[0] not in unsure[0] and pair[1] not in unsure[1]}
    corpora = [corpus(place, lang, lines, store) for lang, lines in zip((code, "en"), sides, strict=True)]
    for name, rule in RULES.items():
        model = open_encoder(encoder, default_encoders_dir())
        bitext = mine(corpora[0], corpora[1], model, store, MiningParameters(documents=rule))
        found = best_f1(bitext, gold, unsure, rule)
        yield report({"languages": f"{code}-en", "documents": name, "gold": len(gold), **found})


def corpus(place: Path, code: str, lines: list[tuple[str, str]], store: ArtifactStore) -> Corpus:
    path = place / f"{code}.jsonl"
    records = (json.dumps({"text": text, "doc_id": document}) + "\n" for document, text in lines)
    path.write_text("".join(records), encoding="utf-8")
    return ingest(CorpusFile(path, parse_language(code), CorpusFormat.JSONL), store)


def best_f1(
    bitext: Bitext, gold: set[tuple[str, str]], unsure: tuple[set[str], set[str]], rule: DocumentRule | None
) -> dict[str, float]:
    """Precision, recall and F1 at the threshold of highest F1; what a bonus does to a margin is done here too."""
    pairs = [pair for pair in bitext.pairs() if pair.src not in unsure[0] and pair.tgt not in unsure[1]]
    boosted = rule.bonus if rule and rule.use is DocumentUse.BOOST else 0.0
    scores = np.array([pair.margin + boosted * (pair.src_doc_id == pair.tgt_doc_id) for pair in pairs])
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum([(pairs[n].src, pairs[n].tgt) in gold for n in order])
    precision, recall = right / np.arange(1, len(order) + 1), right / len(gold)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    best = int(f1.argmax())
    values = {"threshold": scores[order[best]], "precision": precision[best], "recall": recall[best], "f1": f1[best]}
    return {name: round(float(value), 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
