"""Sentence retrieval accuracy on the Tatoeba test set of Artetxe & Schwenk (2019).

Protocol: for each language, every sentence must find its translation among all sentences of the other side (up to
1,000), by highest cosine and by highest ratio margin (k = 4, over all sentences). Accuracy is the share that does, in
percent, from the language into English and back. The data lies in DIR as tatoeba.<lang>-eng.{<lang>,eng}; it is not
part of the repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from signature import signature, write

from bitextmine.encoders import Encoder, open_encoder
from bitextmine.margin import Margin, margin_scores
from bitextmine.workspace import default_encoders_dir

K = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the test set lies")
    parser.add_argument("--langs", default="deu,fra,rus,cmn,ara,spa,ita,jpn,kor,nld,pol,por,tha,tur")
    parser.add_argument("--encoder", default="muse")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    encoder = open_encoder(arguments.encoder, default_encoders_dir())
    runs = []
    print("language    n   ratio x-en  en-x   cosine x-en  en-x")
    for lang in arguments.langs.split(","):
        src, tgt = (encode(encoder, arguments.data / f"tatoeba.{lang}-eng.{side}") for side in (lang, "eng"))
        run = {"lang": lang, "n": len(src), **accuracies(src @ tgt.T)}
        runs.append(run)
        figures = [run[name] for name in ("ratio_forward", "ratio_backward", "cosine_forward", "cosine_backward")]
        print(f"{lang:<9}{len(src):>5}{figures[0]:>11.1f}{figures[1]:>7.1f}{figures[2]:>12.1f}{figures[3]:>7.1f}")
    write(arguments.json, signature(encoder=arguments.encoder, k=K), runs)


def encode(encoder: Encoder, path: Path) -> NDArray[np.float32]:
    return encoder.encode(path.read_text(encoding="utf-8").splitlines())


def accuracies(sims: NDArray[np.float32]) -> dict[str, float]:
    """Accuracy in percent of each score and direction, from the (n, n) cosines of aligned sentences."""
    k = min(K, len(sims))
    src_means = np.sort(sims, axis=1)[:, -k:].mean(axis=1)
    tgt_means = np.sort(sims, axis=0)[-k:].mean(axis=0)
    ratio = margin_scores(sims, src_means[:, None], tgt_means[None], Margin.RATIO)
    right = np.arange(len(sims))
    return {
        f"{name}_{way}": round(100 * float((scores.argmax(axis=axis) == right).mean()), 1)
        for name, scores in (("ratio", ratio), ("cosine", sims))
        for way, axis in (("forward", 1), ("backward", 0))
    }


if __name__ == "__main__":
    main()
