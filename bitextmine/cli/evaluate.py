"""`bitextmine evaluate`: figures that can be set against the literature's."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitextmine import __version__
from bitextmine.cli import console
from bitextmine.cli.evaluate_encoder import tatoeba, xsim
from bitextmine.cli.plan import MethodOption, TargetRecall, planned, say_search
from bitextmine.cli.stages import progress_shown
from bitextmine.corpus import CorpusFormat, format_of
from bitextmine.encoders import find_encoder
from bitextmine.evaluation import MiningEvaluation, Scores, evaluate_bitext, read_gold
from bitextmine.margin import Margin, Retrieval
from bitextmine.search.method import DEFAULT_RECALL, Method

if TYPE_CHECKING:
    from bitextmine.bitext import Bitext

evaluate = typer.Typer(help="Measure encoders and mining on data with known pairs.", no_args_is_help=True)
evaluate.command()(tatoeba)
evaluate.command()(xsim)


@evaluate.callback()
def _group() -> None:
    """Measure encoders and mining on data with known pairs."""


@evaluate.command()
def mining(
    src: Annotated[Path, typer.Option(help="Source sentences: id, tab, sentence (BUCC's form), or JSONL with ids.")],
    tgt: Annotated[Path, typer.Option(help="Target sentences.")],
    gold: Annotated[Path, typer.Option(help="True pairs: source id, tab, target id.")],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    encoder: console.EncoderName = "muse",
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    k: console.K = 4,
    margin: console.MarginOption = Margin.RATIO,
    retrieval: console.RetrievalOption = Retrieval.MAX_SCORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    method: MethodOption = Method.AUTO,
    target_recall: TargetRecall = DEFAULT_RECALL,
    postprocess: console.Postprocess = None,
    allow_uncovered: console.AllowUncovered = False,
    verbose: console.Verbose = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    gpus: console.Gpus = None,
    data_dir: console.DataDir = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Mine two files whose true pairs are known, and report precision, recall and F1.

    The threshold is tuned on the even-numbered source ids and judged on the odd-numbered ones. "Best threshold on
    all gold" is the most that any threshold could reach: an upper bound, for comparison with papers that tune so.
    """
    from bitextmine.mining import MiningParameters, check_languages, mine

    started = time.monotonic()
    limits = console.resources(threads, memory, gpus)
    pairs = read_gold(gold)
    files = [console.corpus_file(path, lang, _format(path)) for path, lang in ((src, src_lang), (tgt, tgt_lang))]
    place = console.writable_workspace(data_dir, encoders_dir)
    model = find_encoder(encoder, place.encoders, threads=threads, precision=precision.precision)
    parameters = MiningParameters(
        k=k,
        margin=margin,
        retrieval=retrieval,
        allow_uncovered_languages=allow_uncovered,
        method=method,
        target_recall=target_recall,
        postprocess=postprocess,
    )
    check_languages((file.lang for file in files), model, parameters)
    with progress_shown(verbose) as progress:
        corpora = console.read_corpora(files, place, progress)
        plan = planned(corpora, model, parameters, limits, place)
        bitext = mine(corpora[0], corpora[1], model, place.artifacts, parameters, plan=plan, progress=progress)
    console.report_pairs(bitext, model.card.max_tokens)
    say_search(bitext)
    result = evaluate_bitext(bitext, corpora[0], corpora[1], pairs)
    report = _report(result, bitext, time.monotonic() - started)
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    else:
        _print_table(result, report)


def _format(path: Path) -> CorpusFormat:
    form = format_of(path)
    return CorpusFormat.ID_TSV if form is CorpusFormat.TEXT else form


def _report(result: MiningEvaluation, bitext: Bitext, seconds: float) -> dict[str, Any]:
    used, method = bitext.parameters, bitext.summary.get("plan", {}).get("method", Method.EXACT.value)
    signature = "|".join(
        f"{name}:{used[name]}"
        for name in ("encoder", "src_lang", "tgt_lang", "k", "margin", "retrieval", "postprocess")
        if name in used
    )
    return {
        **_scores(result.held_out),
        "threshold": round(result.threshold, 6),
        "pairs": result.held_out.mined,
        "oracle": {**_scores(result.oracle), "threshold": round(result.oracle_threshold, 6)},
        "margin": used["margin"],
        "retrieval": used["retrieval"],
        "k": used["k"],
        "encoder": used["encoder"],
        "postprocess": used.get("postprocess"),
        "method": method,
        "search": bitext.summary.get("search", {}),
        "candidates": len(bitext),
        "seconds": round(seconds, 3),
        "signature": f"{signature}|method:{method}|split:even-odd|version:{__version__}",
    }


def _scores(scores: Scores) -> dict[str, Any]:
    return {
        "f1": round(scores.f1, 4),
        "precision": round(scores.precision, 4),
        "recall": round(scores.recall, 4),
        "correct": scores.correct,
        "gold": scores.gold,
    }


def _print_table(result: MiningEvaluation, report: dict[str, Any]) -> None:
    headings = ("F1", "precision", "recall", "threshold", "pairs", "correct", "gold")
    typer.echo(f"{'':<33}" + "".join(f"{heading:>10}" for heading in headings))
    for name, scores, threshold in (
        ("tuned on even ids, judged on odd", result.held_out, result.threshold),
        ("best threshold on all gold", result.oracle, result.oracle_threshold),
    ):
        shares = "".join(f"{100 * value:>10.1f}" for value in (scores.f1, scores.precision, scores.recall))
        counts = "".join(f"{value:>10,}" for value in (scores.mined, scores.correct, scores.gold))
        typer.echo(f"{name:<33}{shares}{threshold:>10.4f}{counts}")
    typer.echo(f"signature: {report['signature']}")
