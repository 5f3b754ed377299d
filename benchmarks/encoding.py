"""Sentences a second of an encoder, tokenising included.

Protocol: the sentences of a text file, three times for each number of threads; the median of the three. The model is
loaded, and a few sentences encoded, before the clock starts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from signature import signature, write

from bitextmine.encoders import open_encoder
from bitextmine.workspace import default_encoders_dir


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="one sentence a line")
    parser.add_argument("--encoder", default="muse")
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sentences = arguments.file.read_text(encoding="utf-8").splitlines()[: arguments.sentences]
    runs = []
    for threads in arguments.threads:
        encoder = open_encoder(arguments.encoder, default_encoders_dir(), threads=threads)
        encoder.encode(sentences[:64])
        seconds = statistics.median(timed(encoder.encode, sentences) for _ in range(3))
        run = {"threads": threads, "sentences": len(sentences), "sentences_per_second": round(len(sentences) / seconds)}
        runs.append(run)
        print("  ".join(f"{key} {value}" for key, value in run.items()), flush=True)
    write(arguments.json, signature(encoder=arguments.encoder, file=arguments.file.name), runs)


def timed(function: object, argument: object) -> float:
    started = time.monotonic()
    function(argument)  # type: ignore[operator]
    return time.monotonic() - started


if __name__ == "__main__":
    main()
