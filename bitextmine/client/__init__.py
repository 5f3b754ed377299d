"""A client for the service: corpora, jobs, bitexts and vectors from Python, through httpx.

    from bitextmine.client import Client

    with Client("http://127.0.0.1:8000") as client:
        client.jobs.wait(client.corpora.upload("news.de.gz", name="news-de", lang="de"))
        client.jobs.wait(client.corpora.upload("news.en.gz", name="news-en", lang="en"))
        job = client.jobs.wait(client.mine("news-de", "news-en", threshold=1.1), progress=True)
        for pair in client.bitexts.pairs(job):
            print(pair.margin, pair.src, pair.tgt)

`AsyncClient` has the same methods, to be awaited. What goes wrong is a `ServiceError` with the service's stable `code`
(docs/errors.md). It needs nothing of the library's: no encoder, no FAISS, no Redis.
"""

from bitextmine.client.client import AsyncClient, Client
from bitextmine.client.corpus_results import Corpus, Index, Languages, Lengths, RefusedLine, Statistics, UploadState
from bitextmine.client.embedding import Embeddings
from bitextmine.client.judged import Expected, Histogram, Judgement, Judgements, Precision, Sample
from bitextmine.client.results import (
    Bitext,
    Check,
    Encoder,
    Estimate,
    Failure,
    FilterCount,
    Found,
    Hit,
    Hits,
    Job,
    Liveness,
    Pair,
    Plan,
    Readiness,
    RejectedPair,
    Searched,
    Skipped,
    Stage,
)
from bitextmine.client.scoring import PairScore, Scores
from bitextmine.client.words import WordAlignment, WordAlignments
from bitextmine.errors import ServiceError

__all__ = [
    "AsyncClient",
    "Bitext",
    "Check",
    "Client",
    "Corpus",
    "Embeddings",
    "Encoder",
    "Estimate",
    "Expected",
    "Failure",
    "FilterCount",
    "Found",
    "Histogram",
    "Hit",
    "Hits",
    "Index",
    "Job",
    "Judgement",
    "Judgements",
    "Languages",
    "Lengths",
    "Liveness",
    "Pair",
    "PairScore",
    "Plan",
    "Precision",
    "Readiness",
    "RefusedLine",
    "RejectedPair",
    "Sample",
    "Scores",
    "Searched",
    "ServiceError",
    "Skipped",
    "Stage",
    "Statistics",
    "UploadState",
    "WordAlignment",
    "WordAlignments",
]
