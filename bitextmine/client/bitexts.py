"""Bitexts: look at, iterate over their pairs, download, delete."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeAlias
from urllib.parse import quote

from bitextmine.client.answers import LOST, answered, model, opened, unreachable
from bitextmine.client.corpus_results import RefusedLine
from bitextmine.client.destination import Destination, Target
from bitextmine.client.judged import Histogram, Judgements, Sample
from bitextmine.client.operation import Group, Mode, listing, operation
from bitextmine.client.pages import all_items
from bitextmine.client.results import Bitext, Job, Pair, RejectedPair
from bitextmine.client.sources import Progress
from bitextmine.client.steps import Call, Do, Emitting, Flow, Read
from bitextmine.errors import ParameterError

_PATH = "/v1/bitexts"
WhichBitext: TypeAlias = "str | Bitext | Job"  # an id, a bitext, or the job that made it


class Bitexts(Group[Mode]):
    """`client.bitexts`"""

    @listing
    def list(self) -> Emitting[Bitext]:
        """The mined bitexts, newest first."""
        yield from all_items(Bitext, _PATH, {})

    @operation
    def get(self, bitext: WhichBitext) -> Flow[Bitext]:
        """One bitext: its languages, parameters and counts.

        Raises:
            ServiceError: `bitext-not-found`.
        """
        return (yield from model(Bitext, Call("GET", _path(bitext))))

    @listing
    def pairs(
        self,
        bitext: WhichBitext,
        *,
        min_margin: float | None = None,
        max_margin: float | None = None,
        order: str | None = None,
    ) -> Emitting[Pair]:
        """The pairs by falling margin, or by rising where `order` is "asc"; a page is fetched when it is needed.

        Raises:
            ServiceError: `bitext-not-found`.
        """
        bounds = {"min_margin": min_margin, "max_margin": max_margin, "order": order}
        yield from all_items(Pair, f"{_path(bitext)}/pairs", bounds)

    @listing
    def refused(self, bitext: WhichBitext) -> Emitting[RefusedLine]:
        """Of a bitext that was given and scored, the lines of its file (in TMX, the units) that could not be used.

        Raises:
            ServiceError: `bitext-not-found`.
        """
        yield from all_items(RefusedLine, f"{_path(bitext)}/refused", {})

    @listing
    def rejected(self, bitext: WhichBitext, *, filter: str | None = None) -> Emitting[RejectedPair]:
        """Of a filtered bitext, the pairs that filters dropped, or that one did, by falling margin.

        Raises:
            ServiceError: `bitext-not-found`, `invalid-filters`.
        """
        yield from all_items(RejectedPair, f"{_path(bitext)}/rejected", {"filter": filter})

    @operation
    def download(
        self,
        bitext: WhichBitext,
        to: Target,
        *,
        format: str | None = None,
        compress: str | None = None,
        side: str | None = None,
        min_margin: float | None = None,
        max_margin: float | None = None,
        progress: Progress | None = None,
    ) -> Flow[int]:
        """Download the pairs as a file, by falling margin, and return its size in bytes.

        A file is written whole or not at all: what was there is replaced once everything has come.

        Args:
            bitext: Its id, or the mining job.
            to: A path, or a binary file that is open for writing.
            format: tsv (the default), moses, tmx, jsonl or parquet.
            compress: gz or zst.
            side: src or tgt, of moses: one side alone.
            min_margin: Pairs with a lower margin are left out.
            max_margin: Pairs with a higher margin are left out.
            progress: Called as progress("download", bytes received, bytes in all or None).

        Raises:
            ServiceError: `bitext-not-found`; or the connection broke off, of a file that is damaged for one.
            ParameterError: `output-not-writable`.
            DiskFullError: nothing was written.
        """
        query = {
            "format": format,
            "compress": compress,
            "side": side,
            "min_margin": min_margin,
            "max_margin": max_margin,
        }
        call = Call("GET", f"{_path(bitext)}/download", query=query)
        destination: Destination = yield Do(lambda: Destination(to))
        try:
            size = yield from _received(call, destination, progress)
            yield Do(destination.finish)
        finally:
            destination.abandon()
        return size

    @operation
    def histogram(self, bitext: WhichBitext, *, bins: int | None = None) -> Flow[Histogram]:
        """How the margins are distributed, and how many pairs each threshold keeps, how precise as far as was judged.

        Raises:
            ServiceError: `bitext-not-found`.
        """
        return (yield from model(Histogram, Call("GET", f"{_path(bitext)}/histogram", query={"bins": bins})))

    @operation
    def sample(
        self,
        bitext: WhichBitext,
        *,
        size: int | None = None,
        min_margin: float | None = None,
        max_margin: float | None = None,
        seed: int | None = None,
    ) -> Flow[Sample]:
        """Random pairs with such margins; a seed gives the same ones each time.

        Raises:
            ServiceError: `bitext-not-found`, `invalid-threshold`.
        """
        query = {"size": size, "min_margin": min_margin, "max_margin": max_margin, "seed": seed}
        return (yield from model(Sample, Call("GET", f"{_path(bitext)}/sample", query=query)))

    @operation
    def judgements(self, bitext: WhichBitext) -> Flow[Judgements]:
        """What people have said of its pairs.

        Raises:
            ServiceError: `bitext-not-found`.
        """
        return (yield from model(Judgements, Call("GET", f"{_path(bitext)}/judgements")))

    @operation
    def judge(self, bitext: WhichBitext, verdicts: Iterable[tuple[Pair, str | None]]) -> Flow[Judgements]:
        """Say of pairs that they are "good" or "bad", or take that back with None; returns all judgements.

        Raises:
            ServiceError: `bitext-not-found`, `pair-not-found`, `too-many-judgements`.
        """
        items = [{"src_row": pair.src_row, "tgt_row": pair.tgt_row, "verdict": verdict} for pair, verdict in verdicts]
        call = Call("PUT", f"{_path(bitext)}/judgements", json={"judgements": items})
        return (yield from model(Judgements, call))

    @operation
    def delete(self, bitext: WhichBitext) -> Flow[None]:
        """Delete a bitext with its judgements; what it was made of is kept.

        Raises:
            ServiceError: `bitext-not-found`.
        """
        yield from answered(Call("DELETE", _path(bitext)))


def _received(call: Call, destination: Destination, progress: Progress | None) -> Flow[int]:
    found = yield from opened(call)
    length = found.response.headers.get("content-length", "")
    total = int(length) if length.isdigit() and "content-encoding" not in found.response.headers else None
    done = 0
    while True:
        try:
            block: bytes | None = yield Read(found)
        except LOST as error:
            raise unreachable(error) from error
        if block is None:
            return done
        yield Do(partial(destination.write, block))
        done += len(block)
        if progress is not None:
            progress("download", done, total)


def _path(bitext: WhichBitext) -> str:
    """
    Raises:
        ParameterError: a job that made no bitext.
    """
    if isinstance(bitext, Job):
        found = (bitext.result or {}).get("bitext")
        if not isinstance(found, str):
            raise ParameterError(f"job {bitext.id} is {bitext.state} and names no bitext")
        bitext = found
    return f"{_PATH}/{quote(bitext if isinstance(bitext, str) else bitext.id, safe='')}"
