"""`bitextmine evaluate tatoeba` and `xsim`: how well an encoder finds translations, without mining."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitextmine import __version__
from bitextmine.cli import console
from bitextmine.cli.stages import progress_shown, say
from bitextmine.encoders import Encoder, find_encoder
from bitextmine.languages import parse_language
from bitextmine.margin import Margin
from bitextmine.resources import Device, Provider

if TYPE_CHECKING:
    from bitextmine.evaluation.retrieval import Accuracy
    from bitextmine.evaluation.tatoeba import LanguageResult
    from bitextmine.evaluation.xsim import Xsim

COSINE = "cosine"  # the usual name of a margin that leaves the cosine as it is
_NAME_WIDTH, _FIGURE_WIDTH = 20, 16


def _margin(text: str) -> Margin:
    try:
        return Margin.ABSOLUTE if text == COSINE else Margin(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is none of ratio, distance, cosine") from error


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def tatoeba(
    data: Annotated[Path, typer.Option(help="Where tatoeba.<language>-eng.<language> and .eng lie.")],
    langs: Annotated[
        str,
        typer.Option(
            help="Codes with commas between them, or covered (by the encoder), all (in --data), 14 (those of mUSE), "
            "36 (those of XTREME)."
        ),
    ] = "covered",
    encoder: console.EncoderName = "muse",
    margin: Annotated[
        list[Margin] | None,
        typer.Option(
            parser=_margin,
            metavar="[ratio|distance|cosine]",
            show_default="ratio and cosine",
            help="Score that the translation must have the highest of; may be given more than once.",
        ),
    ] = None,
    k: console.K = 4,
    postprocess: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEPS",
            show_default="none",
            help="Judge the vectors also after steps with commas between them: centre, outliers, zca. They are fitted, "
            "for each side, on the very sentences of the test (transductive; no alignment is seen), so new sentences "
            "may gain less. May be given more than once.",
        ),
    ] = None,
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    as_json: AsJson = False,
    verbose: console.Verbose = False,
    threads: console.Threads = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """Retrieval accuracy on the Tatoeba test set: the share of sentences whose translation scores highest.

    For each language, to English and from it, in percent, over all sentences of the other side (up to 1,000); the
    neighbourhoods of a margin are the k nearest. Means weigh every language the same.

    Example: bitextmine evaluate tatoeba --data tatoeba-v1 --langs deu,fra --postprocess centre
    """
    from bitextmine.encoders.postprocess import PostProcessing
    from bitextmine.evaluation.tatoeba import chosen_languages, evaluate_languages, read_test

    started = time.monotonic()
    margins = list(dict.fromkeys(margin or [Margin.RATIO, Margin.ABSOLUTE]))
    processings = [PostProcessing.parse(steps) for steps in dict.fromkeys(postprocess or [])]
    model = find_encoder(
        encoder,
        console.workspace(None, encoders_dir).encoders,
        threads=threads,
        precision=precision.precision,
        device=Device(provider, allow_cpu_fallback),
    )
    tests = [read_test(data, code) for code in chosen_languages(langs, data, model)]
    with progress_shown(verbose) as progress:
        results = evaluate_languages(tests, model, k=k, margins=margins, postprocessings=processings, progress=progress)
    report = {
        "languages": [_language_report(result) for result in results],
        "mean": _mean_report(results),
        "mean_covered": _mean_report([result for result in results if result.covered]),
        **_signed(model, {"test": "tatoeba-v1", "k": k, "margin": "+".join(map(_name, margins))}, started),
    }
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    else:
        typer.echo("\n".join(_table(report, margins, encoder)))


def xsim(
    src: Annotated[Path, typer.Option(help="Source sentences, one a line: text, plain or as .gz, .xz or .zst.")],
    tgt: Annotated[Path, typer.Option(help="Their translations, line by line.")],
    src_lang: console.SrcLang,
    tgt_lang: console.TgtLang,
    encoder: console.EncoderName = "muse",
    margin: Annotated[
        Margin, typer.Option(parser=_margin, metavar="[ratio|distance|cosine]", help="Score of a candidate.")
    ] = Margin.RATIO,
    k: console.K = 4,
    precision: console.PrecisionOption = console.PrecisionChoice.AUTO,
    provider: console.ProviderOption = Provider.AUTO,
    allow_cpu_fallback: console.AllowCpuFallback = False,
    as_json: AsJson = False,
    verbose: console.Verbose = False,
    threads: console.Threads = None,
    memory: console.Memory = None,
    encoders_dir: console.EncodersDir = None,
) -> None:
    """xSIM error rate of two files that are aligned line by line: the percentage of wrong best candidates.

    A sentence's candidates are its k nearest of the other side, found by exact search; the one of the highest margin
    should be the aligned sentence. A copy of that sentence on another line is right too. Lower is better.

    Example: bitextmine evaluate xsim --src dev.de --tgt dev.en --src-lang de --tgt-lang en
    """
    from bitextmine.evaluation.sentences import read_aligned
    from bitextmine.evaluation.xsim import encode_stored
    from bitextmine.evaluation.xsim import xsim as error_rates

    started = time.monotonic()
    limits = console.resources(threads, memory)
    langs = parse_language(src_lang), parse_language(tgt_lang)
    model = find_encoder(
        encoder,
        console.workspace(None, encoders_dir).encoders,
        threads=threads,
        precision=precision.precision,
        device=Device(provider, allow_cpu_fallback),
    )
    texts = read_aligned(src, tgt)
    for lang in dict.fromkeys(langs):
        if lang not in model.languages:
            say(f"warning: the encoder {encoder} does not say that it covers {lang}")
    with progress_shown(verbose) as progress:
        src_vectors, src_cut = encode_stored(texts[0], model, stage="encode-src", progress=progress)
        tgt_vectors, tgt_cut = encode_stored(texts[1], model, stage="encode-tgt", progress=progress)
        result = error_rates((src_vectors, tgt_vectors), texts, k=k, margin=margin, resources=limits, progress=progress)
    if src_cut or tgt_cut:
        say(f"{src_cut:,} source and {tgt_cut:,} target sentences were cut at {model.card.max_tokens} tokens")
    settings = {"src_lang": langs[0], "tgt_lang": langs[1], "k": k, "margin": _name(margin)}
    report = {**_xsim_report(result), **settings, **_signed(model, {"test": "xsim", **settings}, started)}
    if as_json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
        return
    typer.echo(f"{'':<24}{'xSIM':>8}{'errors':>10}{'sentences':>12}")
    for name, way in ((f"{langs[0]} to {langs[1]}", "src_to_tgt"), (f"{langs[1]} to {langs[0]}", "tgt_to_src")):
        typer.echo(f"{name:<24}{report['xsim'][way]:>8.2f}{report['errors'][way]:>10,}{result.n:>12,}")
    typer.echo(f"signature: {report['signature']}")


def _signed(model: Encoder, settings: Mapping[str, Any], started: float) -> dict[str, Any]:
    """What makes the figures reproducible."""
    known = {"encoder": model.name, "precision": model.precision.value, **settings, "version": __version__}
    return {
        "encoder": model.name,
        "encoder_signature": model.signature,
        "precision": model.precision.value,
        "provider": model.provider,
        "seconds": round(time.monotonic() - started, 3),
        "signature": "|".join(f"{name}:{value}" for name, value in known.items()),
    }


def _xsim_report(result: Xsim) -> dict[str, Any]:
    return {
        "xsim": {"src_to_tgt": round(result.forward, 4), "tgt_to_src": round(result.backward, 4)},
        "errors": {"src_to_tgt": result.forward_errors, "tgt_to_src": result.backward_errors},
        "n": result.n,
    }


def _name(margin: Margin) -> str:
    return COSINE if margin is Margin.ABSOLUTE else margin.value


def _language_report(result: LanguageResult) -> dict[str, Any]:
    head = {"lang": result.code, "language": result.language, "covered": result.covered, "n": result.n}
    return head | _accuracy_report(result.plain, result.processed)


def _mean_report(results: Sequence[LanguageResult]) -> dict[str, Any] | None:
    """The means over languages; none where there is no language."""
    from bitextmine.evaluation.tatoeba import mean_accuracy

    if not results:
        return None
    first = results[0]
    plain = {margin: mean_accuracy([result.plain[margin] for result in results]) for margin in first.plain}
    processed = {
        steps: {margin: mean_accuracy([result.processed[steps][margin] for result in results]) for margin in found}
        for steps, found in first.processed.items()
    }
    return {"languages": len(results)} | _accuracy_report(plain, processed)


def _accuracy_report(
    plain: Mapping[Margin, Accuracy], processed: Mapping[str, Mapping[Margin, Accuracy]]
) -> dict[str, Any]:
    return {
        "accuracy": {_name(margin): _ways(accuracy) for margin, accuracy in plain.items()},
        "postprocessed": {
            steps: {
                "accuracy": {_name(margin): _ways(accuracy) for margin, accuracy in found.items()},
                "difference": {_name(margin): _ways(accuracy - plain[margin]) for margin, accuracy in found.items()},
            }
            for steps, found in processed.items()
        },
    }


def _ways(accuracy: Accuracy) -> dict[str, float]:
    return {"to_english": round(accuracy.forward, 3), "from_english": round(accuracy.backward, 3)}


def _table(report: Mapping[str, Any], margins: Sequence[Margin], encoder: str) -> list[str]:
    headings = [f"{_name(margin)} {way}" for margin in margins for way in ("to eng", "from eng")]
    lines = [f"{'language':<{_NAME_WIDTH}}{'n':>6}" + "".join(f"{heading:>{_FIGURE_WIDTH}}" for heading in headings)]
    for result in report["languages"]:
        mark = {True: "", False: " *", None: " ?"}[result["covered"]]
        lines += _rows(f"{result['lang']}{mark}", f"{result['n']:,}", result)
    marked = {result["covered"] for result in report["languages"]}
    means = [("mean", report["mean"])]
    if marked == {True, False}:
        means.append(("mean of covered", report["mean_covered"]))
    for name, mean in means:
        lines += _rows(f"{name} ({mean['languages']})", "", mean)
    if False in marked:
        lines.append(f"* not a language that {encoder} says it covers")
    if None in marked:
        lines.append(f"? {encoder} does not say which languages it covers")
    return [*lines, f"signature: {report['signature']}"]


def _rows(name: str, n: str, result: Mapping[str, Any]) -> list[str]:
    """A row without post-processing, and one for each with the difference that it makes."""
    rows = [(name, n, [f"{value:.1f}" for value in _flat(result["accuracy"])])]
    for steps, found in result["postprocessed"].items():
        figures = zip(_flat(found["accuracy"]), _flat(found["difference"]), strict=True)
        rows.append((f"  {steps}", "", [f"{value:.1f} ({difference:+.1f})" for value, difference in figures]))
    return [
        f"{name:<{_NAME_WIDTH}}{n:>6}" + "".join(f"{figure:>{_FIGURE_WIDTH}}" for figure in figures)
        for name, n, figures in rows
    ]


def _flat(accuracies: Mapping[str, Mapping[str, float]]) -> list[float]:
    return [value for ways in accuracies.values() for value in (ways["to_english"], ways["from_english"])]
