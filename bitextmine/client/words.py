"""Word alignment: which words of a sentence stand for which of its translation."""

from __future__ import annotations

from collections.abc import Iterable

from bitextmine.client.answers import model
from bitextmine.client.mining import given
from bitextmine.client.operation import Group, Mode, operation
from bitextmine.client.results import Answer
from bitextmine.client.steps import Call, Flow


class WordAlignment(Answer):
    """Words as spans of characters, and links between their positions."""

    src_words: list[tuple[int, int]]
    tgt_words: list[tuple[int, int]]
    links: list[tuple[int, int]]


class WordAlignments(Answer):
    """The alignment of each pair, in the order of the pairs."""

    alignments: list[WordAlignment]
    encoder: str


class AligningWords(Group[Mode]):
    """`client.align_words`"""

    @operation
    def align_words(self, pairs: Iterable[tuple[str, str]], *, encoder: str | None = None) -> Flow[WordAlignments]:
        """Link the words of up to 32 pairs of sentences, by muse unless another encoder is named.

        Raises:
            ServiceError: `no-token-vectors`: the encoder does not tell; `encoder-unknown`, `queue-full` ...
        """
        listed = [{"src": src, "tgt": tgt} for src, tgt in pairs]
        call = Call("POST", "/v1/word-alignments", json=given({"pairs": listed, "encoder": encoder}))
        return (yield from model(WordAlignments, call))
