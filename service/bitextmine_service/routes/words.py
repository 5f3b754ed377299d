"""/v1/word-alignments: which words of a sentence stand for which of its translation."""

from __future__ import annotations

import threading
from dataclasses import asdict
from http import HTTPStatus

from fastapi import APIRouter

from bitextmine.encoders import open_encoder
from bitextmine.errors import BitextmineError
from bitextmine.word_alignment import align_words
from bitextmine_service.context import Ctx
from bitextmine_service.models.words import WordAlignmentsIn, WordAlignmentsOut
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["search"])
_turn = threading.Lock()
_WAIT_SECONDS = 10.0  # for those before; the first of an encoder takes seconds, while its graph is loaded


@router.post(
    "/word-alignments",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS),
)
def align_words_of_pairs(context: Ctx, wanted: WordAlignmentsIn) -> WordAlignmentsOut:
    """Link the words of sentence pairs, by the vectors that the encoder gives their tokens: those that are each other's
    nearest. Encoders whose graphs have such vectors are muse and e5-small."""
    encoder = open_encoder(wanted.encoder, context.settings.encoders_dir)
    if not _turn.acquire(timeout=_WAIT_SECONDS):
        raise BitextmineError("the words of other pairs are being aligned; try again soon", code="queue-full")
    try:
        found = align_words(encoder, [(pair.src, pair.tgt) for pair in wanted.pairs])
    finally:
        _turn.release()
    return WordAlignmentsOut.model_validate({"alignments": [asdict(each) for each in found], "encoder": encoder.name})
