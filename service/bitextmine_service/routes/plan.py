"""/v1/plan: what a mining job would cost, before it is sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from bitextmine.calibration import load_calibration
from bitextmine.costs import SearchSize
from bitextmine.encoders import open_encoder
from bitextmine.errors import ParameterError
from bitextmine.mining import MAX_K
from bitextmine.planner import make_plan
from bitextmine.resources import Resources, parse_memory
from bitextmine.search.method import DEFAULT_RECALL, LEAST_RECALL, MOST_RECALL, Method
from bitextmine_service.context import Context, Ctx
from bitextmine_service.models.common import Name
from bitextmine_service.planning import embedding_cost, resources_of_jobs
from bitextmine_service.problems import documented

router = APIRouter(prefix="/v1", tags=["jobs"])


class PlanIn(BaseModel):
    """Two corpora by name, or their numbers of rows."""

    model_config = ConfigDict(extra="forbid")

    src: Name | None = Field(default=None, description="A corpus; or give src_rows.")
    tgt: Name | None = Field(default=None, description="A corpus; or give tgt_rows.")
    src_rows: int | None = Field(default=None, ge=1, le=1 << 40, description="Distinct sentences of the source.")
    tgt_rows: int | None = Field(default=None, ge=1, le=1 << 40, description="Distinct sentences of the target.")
    encoder: str = Field(default="muse", min_length=1, max_length=64, description="Its dimensions count, or dims.")
    dims: int | None = Field(default=None, ge=1, le=1 << 16, description="Of the vectors, in place of the encoder's.")
    k: int = Field(default=4, ge=1, le=MAX_K, description="Neighbours a side.")
    method: Method = Field(default=Method.AUTO, description="How neighbours are searched.")
    target_recall: float = Field(
        default=DEFAULT_RECALL,
        ge=LEAST_RECALL,
        le=MOST_RECALL,
        description="Share of the true neighbours that ivf aims at.",
    )
    memory: str | None = Field(default=None, max_length=20, description="As 8GB; by default what a job may use.")
    threads: int | None = Field(default=None, ge=1, le=4096, description="By default what a job may use.")
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs that the search may use.")


class EstimateOut(BaseModel):
    """What one method would take."""

    method: Method
    seconds: float
    memory_bytes: int = Field(description="Resident, at most.")
    disk_bytes: int = Field(description="Written by the search, beside the vectors.")
    how: str = Field(description="Blocks, cells, or the index's factory string.")
    refusal: str = Field(description="Why it cannot be used; empty if it can.")


class EmbeddingOut(BaseModel):
    """What is to be embedded before the search."""

    sentences: int = Field(description="Sentences of both corpora that have no vectors by this encoder yet.")
    sentences_per_second: float | None = Field(description="As the encoder was last seen to do in a job.")
    seconds: float | None


class PlanOut(BaseModel):
    """How a mining job would search on the workers that live now, or on this machine where none does."""

    method: Method = Field(description="What would be used; never auto.")
    reason: str
    src_rows: int
    tgt_rows: int
    dims: int
    k: int
    target_recall: float
    threads: int
    memory_bytes: int = Field(description="The budget.")
    gpus: int
    calibrated: bool = Field(description="Whether rates were measured on this machine (bitextmine calibrate-machine).")
    estimates: list[EstimateOut] = Field(description="One for each method.")
    embedding: EmbeddingOut | None = Field(default=None, description="Where two corpora were named.")


@router.get("/plan", responses=documented(HTTPStatus.NOT_FOUND))
def plan_mining_job(context: Ctx, wanted: Annotated[PlanIn, Query()]) -> PlanOut:
    """Say which method a mining job would use, and what time, memory and disk each would take."""
    src_rows = _rows(context, "src", wanted.src, wanted.src_rows)
    tgt_rows = _rows(context, "tgt", wanted.tgt, wanted.tgt_rows)
    encoder = None if wanted.dims else open_encoder(wanted.encoder, context.settings.encoders_dir)
    resources, _ = resources_of_jobs(context)
    memory = parse_memory(wanted.memory) if wanted.memory else resources.memory_bytes
    plan = make_plan(
        SearchSize(src_rows, tgt_rows, encoder.dims if encoder else wanted.dims or 0, wanted.k),
        Resources(wanted.threads or resources.threads, memory, wanted.gpus),
        load_calibration(context.settings.data_dir),
        method=wanted.method,
        target_recall=wanted.target_recall,
    )
    planned = plan.as_json()
    if encoder and wanted.src and wanted.tgt:
        corpora = [context.catalog.open(name) for name in (wanted.src, wanted.tgt)]
        planned["embedding"] = embedding_cost(context, corpora, encoder)
    return PlanOut.model_validate(planned)


def _rows(context: Context, side: str, name: str | None, rows: int | None) -> int:
    """
    Raises:
        ParameterError: neither or both are given.
        NotFoundError: `corpus-not-found`.
    """
    if name is not None and rows is None:
        return len(context.catalog.open(name))
    if name is not None or rows is None:
        raise ParameterError(f"give either {side}, the name of a corpus, or {side}_rows")
    return rows
