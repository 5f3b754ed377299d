"""What preparation's default rules drop of Tatoeba's sentences, which are all worth keeping, language by language.

Protocol: each file of Tatoeba v1 (LASER's test set, tatoeba.<lang>-eng.<lang>; of English the one beside German) is
prepared on its own with the defaults and with digits folded too. Prints a Markdown table: languages of which a rule
drops more than 0.5%, and all languages together. JSON with every language goes to --output.

    python benchmarks/preparation_tatoeba.py TATOEBA_V1_DIRECTORY --output preparation.json
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from bitextmine.errors import LanguageError
from bitextmine.languages import parse_language
from bitextmine.preparation import PreparationParameters, PreparationReport, rehearse, rule_names

MENTIONED = 0.005  # of a language's sentences dropped


def measured(directory: Path, parameters: PreparationParameters) -> dict[str, PreparationReport]:
    """By the language of the file's name."""
    found = {}
    for path in sorted(directory.glob("tatoeba.*-eng.*")):
        lang = path.suffix.removeprefix(".")
        if lang == "eng" and "deu-eng" not in path.name:
            continue
        try:
            parse_language(lang)
        except LanguageError:
            continue
        found[lang] = rehearse([path], lang, parameters)
    return found


def row(name: str, sentences: int, dropped: Counter[str], rules: list[str]) -> str:
    cells = [f"{dropped[rule]:,}" if dropped[rule] else "" for rule in rules]
    return f"| {name} | {sentences:,} | " + " | ".join(cells) + f" | {sum(dropped.values()) / sentences:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    reports = measured(arguments.directory, PreparationParameters())
    digits = measured(arguments.directory, PreparationParameters.parse({"near_duplicates": "digits"}))
    total: Counter[str] = Counter()
    for report in reports.values():
        total.update(report.dropped)
    rules = [rule for rule in rule_names() if total[rule]]
    print("| language | sentences | " + " | ".join(f"`{rule}`" for rule in rules) + " | dropped |")
    print("| --- | --- | " + " | ".join("---" for _ in rules) + " | --- |")
    for lang, report in reports.items():
        if sum(report.dropped.values()) > MENTIONED * report.sentences:
            print(row(lang, report.sentences, Counter(report.dropped), rules))
    print(row(f"all {len(reports)}", sum(each.sentences for each in reports.values()), total, rules))
    near = sum(each.dropped.get("near-duplicate", 0) for each in digits.values())
    print(f"near duplicates with digits folded: {near:,}")
    unknown = [lang for lang, report in reports.items() if any("does not know" in note for note in report.notes)]
    print("not known to the identifier:", ", ".join(unknown))
    if arguments.output:
        arguments.output.write_text(json.dumps({lang: each.as_json() for lang, each in reports.items()}, indent=1))


if __name__ == "__main__":
    main()
