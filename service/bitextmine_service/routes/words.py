"""/v1/word-alignments: which words of a sentence stand for which of its translation."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from anyio import CapacityLimiter, Lock, move_on_after, to_thread
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from bitextmine.encoders import Encoder, open_encoder
from bitextmine.errors import BitextmineError
from bitextmine.word_alignment import align_words
from bitextmine_service.context import Ctx
from bitextmine_service.models.words import WordAlignmentsIn, WordAlignmentsOut
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["search"])
_turn = Lock()
_THREAD = CapacityLimiter(1)  # of its own, so that no other request waits for this one's seconds of computing
_WAIT_SECONDS = 10.0  # for those before; the first of an encoder takes seconds, while its graph is loaded
_MOST_WAITING = 32


@router.post(
    "/word-alignments",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS),
)
async def align_words_of_pairs(context: Ctx, wanted: WordAlignmentsIn) -> WordAlignmentsOut:
    """Link the words of sentence pairs, by the vectors that the encoder gives their tokens: those that are each other's
    nearest. Encoders whose graphs have such vectors are muse and e5-small. One request is worked on at a time; one that
    would wait for long is answered 429."""
    encoder = await run_in_threadpool(open_encoder, wanted.encoder, context.settings.encoders_dir)
    await _take_turn()
    try:
        return await to_thread.run_sync(_aligned, encoder, wanted, limiter=_THREAD)
    finally:
        _turn.release()


def _aligned(encoder: Encoder, wanted: WordAlignmentsIn) -> WordAlignmentsOut:
    found = align_words(encoder, [(pair.src, pair.tgt) for pair in wanted.pairs])
    return WordAlignmentsOut.model_validate({"alignments": [asdict(each) for each in found], "encoder": encoder.name})


async def _take_turn() -> None:
    """Without a thread: any number of those that wait hold up nobody else.

    Raises:
        BitextmineError: `queue-full`.
    """
    if _turn.statistics().tasks_waiting < _MOST_WAITING:
        with move_on_after(_WAIT_SECONDS):
            await _turn.acquire()
            return
    raise BitextmineError("the words of other pairs are being aligned; try again soon", code="queue-full")
