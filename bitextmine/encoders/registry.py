"""The encoders on the Hugging Face hub that can be installed by name: one row of facts each.

Left out: models that run code of their own, which is never run here (gte-multilingual), and models that are not in
sentence-transformers' form (SONAR). Any other sentence-transformers model can be pulled by its `owner/name`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitextmine.encoders.language_lists import LABSE, SBERT_STUDENTS, XLM_R
from bitextmine.encoders.model_directory import Pooling

_REIMERS = "Reimers & Gurevych 2020, Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation"
_LEALLA = "Mao & Nakagawa 2023, LEALLA: Learning Lightweight Language-agnostic Sentence Embeddings"
_E5 = "Wang et al. 2024, Multilingual E5 Text Embeddings: A Technical Report"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model on the hub and what its authors say of it."""

    name: str
    repository: str
    description: str
    dims: int
    max_tokens: int
    licence: str
    citation: str
    pooling: str  # in words
    languages: tuple[str, ...] = ()  # empty where the authors give no list
    prefix: str = ""
    matryoshka: tuple[int, ...] = ()  # fewer dims to which its vectors may be cut
    plain: Pooling | None = None  # how to pool a repository without modules.json


HUB_MODELS = (
    HubModel(
        name="labse",
        repository="sentence-transformers/LaBSE",
        description="LaBSE: made for bitext mining, 109 languages",
        dims=768,
        max_tokens=256,
        licence="Apache-2.0",
        citation="Feng et al. 2022, Language-agnostic BERT Sentence Embedding",
        pooling="first token, dense layer with tanh, length 1",
        languages=LABSE,
    ),
    *(
        HubModel(
            name=f"lealla-{size}",
            repository=f"setu4993/LEALLA-{size}",
            description=f"LEALLA {size}: distilled from LaBSE, light and fast",
            dims=dims,
            max_tokens=512,
            licence="Apache-2.0",
            citation=_LEALLA,
            pooling="first token, BERT's pooler, length 1",
            languages=LABSE,
            plain=Pooling.POOLER,
        )
        for size, dims in (("small", 128), ("base", 192), ("large", 256))
    ),
    HubModel(
        name="distiluse-multilingual",
        repository="sentence-transformers/distiluse-base-multilingual-cased-v2",
        description="multilingual USE, distilled into DistilBERT",
        dims=512,
        max_tokens=128,
        licence="Apache-2.0",
        citation=_REIMERS,
        pooling="mean over the tokens, dense layer with tanh, length 1",
        languages=SBERT_STUDENTS,
    ),
    HubModel(
        name="paraphrase-multilingual-minilm",
        repository="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        description="paraphrase model, distilled: small and fast",
        dims=384,
        max_tokens=128,
        licence="Apache-2.0",
        citation=_REIMERS,
        pooling="mean over the tokens, length 1",
        languages=SBERT_STUDENTS,
    ),
    HubModel(
        name="paraphrase-multilingual-mpnet",
        repository="sentence-transformers/paraphrase-multilingual-mpnet-base-v2",
        description="paraphrase model, distilled",
        dims=768,
        max_tokens=128,
        licence="Apache-2.0",
        citation=_REIMERS,
        pooling="mean over the tokens, length 1",
        languages=SBERT_STUDENTS,
    ),
    *(
        HubModel(
            name=f"e5-{size}",
            repository=f"intfloat/multilingual-e5-{size}",
            description=f"multilingual E5, {size}",
            dims=dims,
            max_tokens=512,
            licence="MIT",
            citation=_E5,
            pooling="mean over the tokens, length 1",
            languages=XLM_R,
            prefix="query: ",
        )
        for size, dims in (("base", 768), ("large", 1024))
    ),
    HubModel(
        name="e5-large-instruct",
        repository="intfloat/multilingual-e5-large-instruct",
        description="multilingual E5, large, told to find parallel sentences",
        dims=1024,
        max_tokens=512,
        licence="MIT",
        citation=_E5,
        pooling="mean over the tokens, length 1",
        languages=XLM_R,
        prefix="Instruct: Retrieve parallel sentences.\nQuery: ",
    ),
    HubModel(
        name="arctic-embed-l-v2",
        repository="Snowflake/snowflake-arctic-embed-l-v2.0",
        description="Arctic-Embed 2.0, large: retrieval in many languages",
        dims=1024,
        max_tokens=8192,
        licence="Apache-2.0",
        citation="Yu et al. 2024, Arctic-Embed 2.0: Multilingual Retrieval Without Compromise",
        pooling="first token, length 1",
        matryoshka=(256,),
    ),
    HubModel(
        name="bge-m3",
        repository="BAAI/bge-m3",
        description="BGE-M3, its dense vectors: more than 100 languages",
        dims=1024,
        max_tokens=8192,
        licence="MIT",
        citation="Chen et al. 2024, BGE M3-Embedding",
        pooling="first token, length 1",
    ),
    HubModel(
        name="indic-sbert",
        repository="l3cube-pune/indic-sentence-bert-nli",
        description="IndicSBERT: languages of India",
        dims=768,
        max_tokens=512,
        licence="CC-BY-4.0",
        citation="Deode et al. 2023, L3Cube-IndicSBERT",
        pooling="mean over the tokens, length 1",
        languages=(
            *("ben_Beng", "eng_Latn", "guj_Gujr", "hin_Deva", "kan_Knda", "mal_Mlym", "mar_Deva", "ori_Orya"),
            *("pan_Guru", "tam_Taml", "tel_Telu"),
        ),
    ),
    HubModel(
        name="luxembedder",
        repository="fredxlpy/LuxEmbedder",
        description="LuxEmbedder: LaBSE, adapted to Luxembourgish",
        dims=768,
        max_tokens=256,
        licence="see the model's page",
        citation="Philippy et al. 2025, LuxEmbedder: A Cross-Lingual Approach to Enhanced Luxembourgish Sentence "
        "Embeddings",
        pooling="as LaBSE",
        languages=("eng_Latn", "fra_Latn", "ltz_Latn"),
    ),
)
