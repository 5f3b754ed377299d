"""Lines a second and peak resident memory of ingesting a corpus.

Protocol: a file of pseudo-sentences (random words of three to nine letters, a few in Cyrillic, one line in fifty a
repetition) is ingested by a fresh process with an empty data directory, once for each compression. The rate includes
starting Python, hashing the file and publishing; memory is the process's maximum as the kernel counts it.
"""

from __future__ import annotations

import argparse
import gzip
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from backports import zstd
from signature import signature, write

CHILD = """
import resource, sys
from pathlib import Path
from bitextmine.artifacts import ArtifactStore
from bitextmine.corpus import CorpusFile, ingest
corpus = ingest(CorpusFile(Path(sys.argv[1]), "eng_Latn"), ArtifactStore(Path(sys.argv[2])))
print(len(corpus), corpus.summary["duplicates"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        plain = directory / "corpus.txt"
        with plain.open("w", encoding="utf-8") as stream:
            stream.writelines(pseudo_sentences(arguments.lines))
        for file in (plain, compressed(plain, ".gz", gzip.open), compressed(plain, ".zst", zstd.open)):
            started = time.monotonic()
            command = [sys.executable, "-c", CHILD, str(file), str(directory / f"store{file.suffix}")]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            seconds = time.monotonic() - started
            sentences, duplicates, kibibytes = map(int, printed)
            run = {
                "file": file.suffix.removeprefix("."),
                "lines": arguments.lines,
                "seconds": round(seconds, 2),
                "lines_per_second": round(arguments.lines / seconds),
                "peak_resident_mib": kibibytes // 1024,
                "sentences": sentences,
                "duplicates": duplicates,
            }
            runs.append(run)
            print("  ".join(f"{key} {value}" for key, value in run.items()), flush=True)
    write(arguments.json, signature(lines=arguments.lines), runs)


def pseudo_sentences(count: int) -> Iterator[str]:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(20_000)]
    words += ["".join(rng.choices("абвгдежзиклмнопрстуфхцчшщэюя", k=rng.randint(3, 9))) for _ in range(1_000)]
    last = "a first sentence\n"
    for number in range(count):
        if number % 50:
            last = " ".join(rng.choices(words, k=rng.randint(6, 24))) + "\n"
        yield last


def compressed(plain: Path, suffix: str, opener: object) -> Path:
    path = plain.with_suffix(suffix)
    with plain.open("rb") as source, opener(path, "wb") as target:  # type: ignore[operator]
        shutil.copyfileobj(source, target, 1 << 20)
    return path


if __name__ == "__main__":
    main()
