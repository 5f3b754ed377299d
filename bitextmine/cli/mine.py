"""`bitextmine mine`: two files in, scored pairs out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitextmine.cli import console, remote
from bitextmine.cli.document_options import BonusOption, DocumentsOption, LinksOption, document_rule
from bitextmine.cli.filter_options import FiltersOption, say_filtered, settings_of
from bitextmine.cli.mine_remote import RemoteSide, mine_on_server, refuse_local_options
from bitextmine.cli.output import FORMAT_DEFAULT, OUTPUT_HELP, STDOUT, planned_export, write_export
from bitextmine.cli.plan import MethodOption, TargetRecall, planned, say_plan, say_search
from bitextmine.cli.stages import progress_shown, say
from bitextmine.cli.threshold import SeedsOption, seeds_file, split_target, with_threshold
from bitextmine.corpus import CorpusFormat
from bitextmine.encoders import Encoder, find_encoder
from bitextmine.errors import ParameterError
from bitextmine.exports import ExportFormat
from bitextmine.margin import Margin, Retrieval
from bitextmine.resources import Device, Provider
from bitextmine.search.method import DEFAULT_RECALL, Method

if TYPE_CHECKING:
    from bitextmine.given import GivenVectors


def mine(
    src: Annotated[
        Path,
        typer.Argument(
            metavar="SRC", help="Source corpus: text or JSONL; plain, .gz, .xz or .zst. With --server also a name."
        ),
    ],
    tgt: Annotated[Path, typer.Argument(metavar="TGT", help="Target corpus.")],
    src_lang: Annotated[
        str | None, typer.Option(show_default=False, help="Language of the source: de, deu, deu_Latn, zh-Hans ...")
    ] = None,
    tgt_lang: Annotated[str | None, typer.Option(show_default=False, help="Language of the target.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT_HELP)] = STDOUT,
    output_format: Annotated[
        ExportFormat | None, typer.Option(show_default=FORMAT_DEFAULT, help="How pairs are written.")
    ] = None,
    encoder: console.EncoderName = "muse",
    src_vectors: Annotated[
        Path | None,
        typer.Option(
            help="Vectors of the source as .npy, a row for each line of the file (as embed writes them), float16, 32 "
            "or 64: no encoder is used, nor needed."
        ),
    ] = None,
    tgt_vectors: Annotated[Path | None, typer.Option(help="Vectors of the target; both or neither.")] = None,
    precision: console.MinedPrecision = None,
    seeds: SeedsOption = None,
    k: console.K = 4,
    margin: console.MarginOption = Margin.RATIO,
    retrieval: console.RetrievalOption = Retrieval.MAX_SCORE,
    threshold: Annotated[float | None, typer.Option(help="Drop pairs with a lower margin.")] = None,
    ceiling: Annotated[
        float | None, typer.Option(help="Drop pairs with a higher margin (copies, boilerplate).")
    ] = None,
    input_format: Annotated[
        CorpusFormat | None, typer.Option("--format", show_default="by the files' names", help="How lines are written.")
    ] = None,
    drop_identical: Annotated[
        bool, typer.Option("--drop-identical/--keep-identical", help="Leave out pairs of a sentence with itself.")
    ] = False,
    filters: FiltersOption = "none",
    documents: DocumentsOption = None,
    links: LinksOption = None,
    bonus: BonusOption = None,
    method: MethodOption = Method.AUTO,
    target_recall: TargetRecall = DEFAULT_RECALL,
    postprocess: console.Postprocess = None,
    allow_uncovered: console.AllowUncovered = False,
    verbose: console.Verbose = False,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    gpus: console.Gpus = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
    server: remote.ServerOrHere = None,
    key: remote.KeyOption = None,
) -> None:
    """Mine sentence pairs from two monolingual files, one sentence a line.

    Pairs come best first. Without --threshold every candidate pair is written. Scores differ between encoders and
    corpora, so no default fits: --precision 0.95 chooses the threshold above which so many pairs are expected to be
    right and says how sure that is; bitextmine threshold shows the choices.
    Embeddings are kept, so mining the same files again with other options takes seconds.

    With --server a service does it: files are uploaded unless they are there already, and SRC and TGT may name
    corpora of the service. Ctrl-C cancels the job.

    Example: bitextmine mine news.de news.en.gz --src-lang de --tgt-lang en -o pairs.tsv --threshold 1.1
    """
    from bitextmine.filtered import filter_bitext
    from bitextmine.mining import MiningParameters, check_languages
    from bitextmine.mining import mine as mine_corpora

    started = time.monotonic()
    wanted = planned_export(output, output_format)
    chosen = settings_of(filters)
    of_encoder, target = split_target(precision, threshold, seeds)
    parameters = MiningParameters(
        k=k,
        margin=margin,
        retrieval=retrieval,
        threshold=threshold,
        ceiling=ceiling,
        allow_uncovered_languages=allow_uncovered,
        drop_identical=drop_identical,
        method=method,
        target_recall=target_recall,
        postprocess=postprocess,
        documents=document_rule(documents, links, bonus, (src_lang, tgt_lang)),
    )
    if server is not None:
        refuse_local_options(
            {
                "--src-vectors": src_vectors,
                "--tgt-vectors": tgt_vectors,
                "--precision": of_encoder,
                "--seeds": seeds,
                "--postprocess": postprocess,
                "--threads": threads,
                "--memory": memory,
                "--gpus": gpus,
            }
        )
        sides = [RemoteSide("src", src, src_lang, input_format), RemoteSide("tgt", tgt, tgt_lang, input_format)]
        mine_on_server(server, key, sides, encoder, (parameters, chosen, target), output, wanted, verbose=verbose)
        return
    if src_lang is None or tgt_lang is None:
        raise ParameterError("give --src-lang and --tgt-lang, the languages of the files")
    limits = console.resources(threads, memory, gpus)
    files = [console.corpus_file(path, lang, input_format) for path, lang in ((src, src_lang), (tgt, tgt_lang))]
    known = seeds_file(seeds, src_lang, tgt_lang)
    place = console.writable_workspace(data_dir, encoders_dir)
    model = _given_vectors(src_vectors, tgt_vectors) or find_encoder(
        encoder,
        place.encoders,
        threads=threads,
        precision=of_encoder,
        device=Device(provider, allow_cpu_fallback),
    )
    check_languages((file.lang for file in files), model, parameters)
    with progress_shown(verbose) as progress:
        corpora = console.read_corpora(files, place, progress)
        plan = planned(corpora, model, parameters, limits, place)
        say_plan(plan, corpora, model, parameters, place)
        if target is not None:
            parameters = with_threshold(target, corpora, model, place, parameters, (plan, known), progress)
        bitext = mine_corpora(corpora[0], corpora[1], model, place.artifacts, parameters, plan=plan, progress=progress)
        kept = filter_bitext(bitext, chosen, place.artifacts, progress=progress)
    write_export(output, kept, wanted)
    console.report_pairs(bitext, model.card.max_tokens if isinstance(model, Encoder) else 0)
    if chosen.filters:
        say_filtered(kept.summary)
    say_search(bitext)
    sizes = " x ".join(f"{len(corpus):,}" for corpus in corpora)
    seconds = time.monotonic() - started
    say(f"{len(kept):,} pairs from {sizes} sentences in {seconds:.1f} s: bitext {kept.digest[:8]}")


def _given_vectors(src: Path | None, tgt: Path | None) -> GivenVectors | None:
    """
    Raises:
        ParameterError: of one side only.
        InputError: `vectors-unreadable`, `vectors-shape`, `vectors-dims`.
    """
    from bitextmine.given import GivenVectors

    if src is None and tgt is None:
        return None
    if src is None or tgt is None:
        raise ParameterError("give both --src-vectors and --tgt-vectors, of the same encoder, or neither")
    return GivenVectors(src, tgt)
