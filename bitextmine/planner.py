"""Which method a search should use, and what it will cost: worked out, and said, before anything starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bitextmine.calibration import Calibration, default_calibration
from bitextmine.costs import Estimate, SearchSize, Work, exact_cost, exact_cost_on_gpus, ivf_cost, ivfpq_cost
from bitextmine.errors import ParameterError
from bitextmine.resources import Resources, format_bytes
from bitextmine.search.exact import ExactOptions
from bitextmine.search.index_spec import GPU_KINDS, IndexSpec
from bitextmine.search.method import DEFAULT_RECALL, LEAST_RECALL, MOST_RECALL, Method

SMALL_PRODUCTS = 1e13  # of coordinates; below it auto is exact, whatever the machine (tens of seconds)
WORTH_RATIO, WORTH_SECONDS, LONG_SECONDS = 10.0, 3 * 3600.0, 12 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a search will be done. `method` is never auto; of `estimates` there is one for each method."""

    size: SearchSize
    target_recall: float
    threads: int
    memory_bytes: int
    gpus: int
    calibrated: bool  # whether the rates were measured on this machine
    method: Method
    reason: str
    estimates: tuple[Estimate, ...]
    blocks: ExactOptions  # for exact
    specs: tuple[IndexSpec, ...] = ()  # for ivfpq: of the source's index and of the target's

    @property
    def chosen(self) -> Estimate:
        return self.of(self.method)

    def of(self, method: Method) -> Estimate:
        return next(estimate for estimate in self.estimates if estimate.method is method)

    @property
    def exact_gpus(self) -> int:
        """GPUs that an exact search uses: none for a small one, which takes the CPU no longer."""
        return gpus_for_exact(self.size, self.gpus)

    @property
    def index_gpus(self) -> int:
        """GPUs that `ivfpq` uses: none for indexes that were chosen where there was none, in other codes."""
        return self.gpus if all(spec.kind in GPU_KINDS for spec in self.specs) else 0

    @property
    def parameters(self) -> dict[str, Any]:
        """What decides which neighbours are found: never threads or memory, or how an index is cut into shards."""
        parameters: dict[str, Any] = {"k": self.size.k, "method": self.method.value}
        if self.method is Method.IVF:
            parameters["target_recall"] = self.target_recall
        if self.method is Method.IVFPQ:
            parameters["indexes"] = [{**spec.training, "nprobe": spec.nprobe} for spec in self.specs]
        return parameters

    def line(self) -> str:
        """The plan on one line, for people."""
        chosen = self.chosen
        others = [f"{each.method} {format_seconds(each.seconds)}" for each in self.estimates if each is not chosen]
        recall = f" for a recall of {self.target_recall:g}" if self.method is Method.IVF else ""
        cost = f"about {format_seconds(chosen.seconds)}, {format_bytes(chosen.memory_bytes)} of memory"
        return f"plan: {self.method}{recall}, {cost} ({chosen.how}; others: {', '.join(others)}); {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """What can be stored: plain values."""
        parts = ("target_recall", "threads", "memory_bytes", "gpus", "calibrated")
        estimates = [{**asdict(each), "method": each.method.value} for each in self.estimates]
        fields = asdict(self.size) | {name: getattr(self, name) for name in parts}
        return {
            "method": self.method.value,
            "reason": self.reason,
            **asdict(self.size),
            **fields,
            "estimates": estimates,
        }


def gpus_for_exact(size: SearchSize, gpus: int) -> int:
    return gpus if size.products > SMALL_PRODUCTS else 0


def check_recall(target_recall: float) -> None:
    """
    Raises:
        ParameterError: `invalid-target-recall`.
    """
    if not LEAST_RECALL <= target_recall <= MOST_RECALL:  # NaN is not either
        message = f"the target recall is {target_recall:g}; it must be between {LEAST_RECALL:g} and {MOST_RECALL:g}"
        raise ParameterError(message, code="invalid-target-recall")


def make_plan(
    size: SearchSize,
    resources: Resources,
    calibration: Calibration | None = None,
    *,
    method: Method = Method.AUTO,
    target_recall: float = DEFAULT_RECALL,
    specs: tuple[IndexSpec, ...] = (),
) -> Plan:
    """How to find the k neighbours both ways, and what it will cost.

    `specs` are of `ivfpq`'s indexes, of source and target, where they were chosen before; else the memory decides.
    `auto` is `exact` for small problems whatever the machine, so that their result depends on nothing but the input;
    beyond, while exact fits and takes up to 3 hours, or up to 12 and no more than 10 times the fastest approximation.

    Raises:
        ParameterError: `memory-too-small`: the method, or with auto every method, needs more; `invalid-target-recall`.
    """
    check_recall(target_recall)
    rates = calibration or default_calibration()
    work = Work(size, target_recall, resources.threads, rates)
    exact, blocks = exact_cost(work, resources.memory_bytes)
    if exact_gpus := gpus_for_exact(size, resources.gpus):
        exact = exact_cost_on_gpus(work, exact_gpus)
    ivfpq, specs = ivfpq_cost(work, resources.memory_bytes, resources.gpus, specs)
    estimates = tuple(each.within(resources.memory_bytes) for each in (exact, ivf_cost(work), ivfpq))
    chosen, reason = _choose(size, estimates, method)
    return Plan(
        size=size,
        target_recall=target_recall,
        threads=resources.threads,
        memory_bytes=resources.memory_bytes,
        gpus=resources.gpus,
        calibrated=rates.measured,
        method=chosen,
        reason=reason,
        estimates=estimates,
        blocks=blocks,
        specs=specs,
    )


def format_seconds(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 3.5 h, 9 days."""
    for unit, length, most in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 48 * 3600)):
        if seconds < most:
            count = seconds / length
            return f"{count:.1f} {unit}" if unit == "h" and count < 10 else f"{max(count, 1):.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"


def _choose(size: SearchSize, estimates: tuple[Estimate, ...], wanted: Method) -> tuple[Method, str]:
    """A method that is possible, and why.

    Raises:
        ParameterError: `memory-too-small`.
    """
    exact = next(each for each in estimates if each.method is Method.EXACT)
    possible = [each for each in estimates if each.possible]
    if wanted is not Method.AUTO:
        return _insisted(size, wanted, estimates, "it was asked for")
    if size.products <= SMALL_PRODUCTS:
        return _insisted(size, Method.EXACT, estimates, "it misses nothing, and this is small")
    if not possible:
        raise _too_small(size, estimates, [])
    fastest = min(possible, key=lambda each: each.seconds)
    if not exact.possible:
        return fastest.method, f"exact {exact.refusal}"
    if exact.seconds <= WORTH_SECONDS:
        return Method.EXACT, f"it misses nothing and takes less than {format_seconds(WORTH_SECONDS)}"
    if fastest is exact or exact.seconds <= min(WORTH_RATIO * fastest.seconds, LONG_SECONDS):
        return Method.EXACT, "it misses nothing, and nothing that fits is much faster"
    return fastest.method, f"exact would take {format_seconds(exact.seconds)}"


def _insisted(size: SearchSize, method: Method, estimates: tuple[Estimate, ...], reason: str) -> tuple[Method, str]:
    estimate = next(each for each in estimates if each.method is method)
    if estimate.possible:
        return method, reason
    raise _too_small(size, (estimate,), [each.method for each in estimates if each.possible])


def _too_small(size: SearchSize, estimates: tuple[Estimate, ...], instead: list[Method]) -> ParameterError:
    needs = "; ".join(f"{each.method} {each.refusal}" for each in estimates)
    hint = f" ({' or '.join(instead)} would fit)" if instead else ""
    return ParameterError(f"{size} dimensions: {needs}{hint}", code="memory-too-small")
