"""Poisson aggressor flow and a book of uniform depth that our own orders thicken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SideFlow:
    """Aggressor events of one side."""

    times_s: Array
    """(n,) arrival times from 0."""
    reaches_bps: Array
    """(n,) distance from mid of the worst print."""
    censored: NDArray[np.bool_]
    """(n,) whether our own order was the last thing taken."""


def poisson_times(rng: np.random.Generator, rate_per_s: float, span_s: float) -> Array:
    """Arrival times within the span, sorted."""
    return np.sort(rng.uniform(0.0, span_s, rng.poisson(rate_per_s * span_s)))


def side_flow(
    rng: np.random.Generator,
    *,
    rate_per_s: float,
    depth_decay: float,
    half_spread_bps: float,
    span_s: float,
    own_depths_bps: tuple[float, ...] = (),
    own_width_bps: float = 0.0,
) -> SideFlow:
    """Events that eat a book of uniform depth from its best price outwards.

    Without us an event reaches half_spread + Exp(depth_decay). Each own order holds as much as ``own_width_bps`` of
    book: an event ending within it stops at our price (censored: the book itself might have been taken further),
    one that goes through it ends that much nearer.
    """
    times = poisson_times(rng, rate_per_s, span_s)
    appetite = rng.exponential(1.0 / depth_decay, times.size)
    reaches = np.empty(times.size)
    censored = np.zeros(times.size, dtype=np.bool_)
    for i, total in enumerate(appetite):
        left, place = total, half_spread_bps
        for own in sorted(own_depths_bps):
            if left < own - place:
                break
            left -= own - place
            place = own
            if left < own_width_bps:
                censored[i], left = True, 0.0
                break
            left -= own_width_bps
        reaches[i] = place + left
    return SideFlow(times, reaches, censored)
