"""Files to prepare, and what a corpus made of them holds."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from bitextmine.corpus import Corpus
from bitextmine.preparation import PreparationParameters

TEXTS = [f"The {noun} costs {number} and opens at nine." for number, noun in enumerate(["museum", "lake", "map"] * 4)]


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def jsonl(path: Path, *records: dict[str, Any]) -> Path:
    return written(path, *(json.dumps(record) for record in records))


def rows_of(corpus: Corpus, *columns: str) -> list[tuple[Any, ...]]:
    rows = np.arange(len(corpus))
    return list(zip(*(corpus.take(column, rows).to_pylist() for column in columns), strict=True))


def parsed(**wanted: object) -> PreparationParameters:
    return PreparationParameters.parse(wanted)


def tmx(path: Path, *units: tuple[str, str]) -> Path:
    body = ""
    for number, (src, tgt) in enumerate(units):
        variants = f'<tuv xml:lang="de-DE"><seg>{src}</seg></tuv><tuv xml:lang="en"><seg>{tgt}</seg></tuv>'
        body += f'<tu tuid="u{number}">{variants}</tu>'
    return written(path, f'<?xml version="1.0"?><tmx version="1.4"><header/><body>{body}</body></tmx>')


def moses(path: Path, **texts: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for lang, text in texts.items():
            archive.writestr(f"corpus.{lang}", text)
    return path
