"""Thresholds that explain themselves: precision and recall at every margin, estimated without gold."""

from bitextmine.thresholds.calibrated import estimate_for
from bitextmine.thresholds.estimate import Choice, Search, ThresholdEstimate, check_choice, check_target, estimate
from bitextmine.thresholds.plot import plot_svg
from bitextmine.thresholds.seeds import Seeds, embed_seeds

__all__ = [
    "Choice",
    "Search",
    "Seeds",
    "ThresholdEstimate",
    "check_choice",
    "check_target",
    "embed_seeds",
    "estimate",
    "estimate_for",
    "plot_svg",
]
