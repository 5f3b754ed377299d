"""A real encoder that takes milliseconds: random token vectors, their mean, length 1. Sentences that share words are
near each other, whatever the language; everything else is as with an installed encoder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import sentencepiece
from onnx import numpy_helper

from bitextmine.encoders.card import MODEL, SENTENCEPIECE_MODEL, EncoderCard, hash_files, write_card
from bitextmine.encoders.encoder import Encoder

LANGUAGES = ("ara_Arab", "deu_Latn", "eng_Latn", "fra_Latn", "rus_Cyrl", "tha_Thai", "zho_Hans")

_TRAINING = """
The weather is fine today and we are going to the lake.
She bought three books and a map of the old city.
Where is the nearest station, please?
The museum opens at nine and closes at five.
Das Wetter ist heute schön und wir fahren an den See.
Sie kaufte drei Bücher und eine Karte der alten Stadt.
Wo ist bitte der nächste Bahnhof?
Das Museum öffnet um neun und schließt um fünf.
Il fait beau aujourd'hui et nous allons au lac.
Elle a acheté trois livres et un plan de la vieille ville.
Où est la gare la plus proche, s'il vous plaît ?
Сегодня хорошая погода, и мы едем на озеро.
Она купила три книги и карту старого города.
""".strip().splitlines()

_GRAPH = """
<ir_version: 8, opset_import: ["": 17]>
tiny (int64[batch, length] input_ids, int64[batch, length] attention_mask)
  => (float[batch, dims] sentence_embedding)
{
  axis1 = Constant <value_ints = [1]> ()
  axis2 = Constant <value_ints = [2]> ()
  least = Constant <value_float = 1e-12> ()
  e = Gather (table, input_ids)
  mask_float = Cast <to = 1> (attention_mask)
  mask = Unsqueeze (mask_float, axis2)
  padded = Mul (e, mask)
  total = ReduceSum <keepdims = 0> (padded, axis1)
  squares = Mul (total, total)
  square_norm = ReduceSum <keepdims = 1> (squares, axis1)
  bounded = Max (square_norm, least)
  norm = Sqrt (bounded)
  sentence_embedding = Div (total, norm)
}
"""


def build_tiny_encoder(directory: Path, dims: int = 32, *, max_tokens: int = 64, prefix: str = "") -> Encoder:
    """Write an encoder into a directory, made if need be, and open it. The same arguments give the same vectors."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TRAINING),
        model_writer=tokenizer,
        vocab_size=640,
        hard_vocab_limit=False,
        byte_fallback=True,
        num_threads=1,
        minloglevel=2,
    )
    (directory / SENTENCEPIECE_MODEL).write_bytes(tokenizer.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.getvalue()).get_piece_size()
    table = np.random.default_rng(20).standard_normal((pieces, dims), np.float32)
    table[1:3] *= 0.1  # every sentence has the begin and end marks; they must not make all sentences alike
    model = onnx.parser.parse_model(_GRAPH)
    model.graph.initializer.append(numpy_helper.from_array(table, "table"))
    onnx.save(model, directory / MODEL)
    card = EncoderCard(
        name="tiny",
        dims=dims,
        languages=LANGUAGES,
        prefix=prefix,
        max_tokens=max_tokens,
        pooling="mean",
        licence="Apache-2.0",
        source="random, for tests",
        files=hash_files(directory),
    )
    write_card(card, directory)
    return Encoder.open(directory, threads=2)
