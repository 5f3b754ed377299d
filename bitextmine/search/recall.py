"""How sure a share is that was seen in a sample."""

from __future__ import annotations

from math import sqrt

_Z = 1.96  # 95 %


def wilson_interval(hits: float, count: float) -> tuple[float, float]:
    """95 % interval of a share of which `hits` of `count` were seen, within 0..1 (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share, z2 = hits / count, _Z**2 / count
    middle, reach = share + z2 / 2, _Z * sqrt(share * (1 - share) / count + z2 / (4 * count))
    return max((middle - reach) / (1 + z2), 0.0), min((middle + reach) / (1 + z2), 1.0)
