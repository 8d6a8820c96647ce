"""Own fills as an observation: what a fill at some depth says of the next 10 s beyond what the price has said."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypermm.config.calibration import HORIZON_S, MAX_GAIN, Gates, OwnFill
from hypermm.research.calibration.folds import EMBARGO_S
from hypermm.research.calibration.noise import expected_time
from hypermm.research.calibration.regression import clark_west, coefficient, r2_score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = ["MIN_FILLS", "FillScores", "fill_scores", "fit_own_fills"]

MIN_FILLS = 60
_ONE_AGGRESSOR_NS = 100_000_000
_CLIP = 4.0
_FOLDS = 5
# What a return reaches over, and the embargo.
_PURGE_NS = round((HORIZON_S + EMBARGO_S) * 1e9)


class FillScores(NamedTuple):
    """Fills as observations, in order of time.

    Attributes:
        time_ns: Cycle from which the return counts, shape (fills,).
        score: s = −sgn·depth/σ within ±4.
        residual_bps: The residual return that followed.
    """

    time_ns: NDArray[np.int64]
    score: Floats
    residual_bps: Floats


def fill_scores(
    fills: Mapping[str, NDArray[Any]], sample: Sample, residual_bps: Floats, segment: int = 0
) -> FillScores:
    """Scores each aggressor's deepest fill, and the residual return that followed.

    The return is that of the first cycle at or after the fill: what moved before we heard of it is no forecast. A fill
    without such a cycle within one spacing, in the same recording, is left out.

    Args:
        fills: Of the replay of one recording.
        sample: Rows of all recordings.
        residual_bps: The 10 s return less what the price-only filter forecasts, shape (rows,).
        segment: Which recording.
    """
    time = np.asarray(fills["time_ns"], np.int64)
    side = np.asarray(fills["side"], float)
    mid = np.asarray(fills["mid_at_fill"], float)
    depth = np.maximum(side * (mid - np.asarray(fills["price"], float)) / mid * 1e4, 0.0)
    kept: list[int] = []
    for index in range(len(time)):
        if kept and side[kept[-1]] == side[index] and time[index] - time[kept[-1]] <= _ONE_AGGRESSOR_NS:
            if depth[index] > depth[kept[-1]]:
                kept[-1] = index
        else:
            kept.append(index)
    place = np.searchsorted(sample.time_ns, time[kept])
    row = np.minimum(place, len(sample) - 1)
    late_ns = sample.time_ns[row] - time[kept]
    inside = (place < len(sample)) & (late_ns <= round(sample.step_s * 1e9)) & (sample.segment[row] == segment)
    picked, place = np.array(kept, int)[inside], place[inside]
    score = np.clip(-side[picked] * depth[picked] / sample.volatility[place], -_CLIP, _CLIP)
    known = np.isfinite(residual_bps[place])
    return FillScores(sample.time_ns[place][known], score[known], residual_bps[place][known])


def fit_own_fills(scored: FillScores, kappa: float, stationary: float, gates: Gates) -> OwnFill:
    """Judges fills by walk-forward on the residual of the price-only filter, purged and embargoed as any feature.

    Args:
        scored: The fills.
        kappa: κ_μ, 1/s.
        stationary: P∞, (bps/s)².
        gates: Thresholds of R² and Clark–West t.
    """
    time_ns, score, residual_bps = scored
    count = len(score)
    if count < MIN_FILLS:
        return OwnFill(state="not_measured", reason=f"{count} fills in the replay, {MIN_FILLS} needed", fills=count)
    forecast = np.zeros(count)
    edges = np.linspace(0, count, _FOLDS + 2).round().astype(int)
    for begin, end in pairwise(edges[1:]):
        train = time_ns + _PURGE_NS <= time_ns[begin]
        alpha = coefficient(score[train], residual_bps[train], np.ones(int(train.sum())))
        forecast[begin:end] = (alpha if np.isfinite(alpha) else 0.0) * score[begin:end]
    tested = slice(edges[1], None)
    # Fills of one move share its outcome: lags of a few fills.
    lags = max(1, round(count ** (1 / 3)))
    r2, error = r2_score(residual_bps[tested], forecast[tested], lags)
    t = clark_west(residual_bps[tested], np.zeros(count - edges[1]), forecast[tested], lags)
    facts: dict[str, Any] = {"fills": count, "r2": float(np.nan_to_num(r2)), "r2_error": float(np.nan_to_num(error))}
    alpha = coefficient(score, residual_bps, np.ones(count))
    if reason := _fails(r2, error, t, alpha, gates):
        return OwnFill(state="rejected", reason=reason, **facts)
    rate = alpha / expected_time(kappa, HORIZON_S)
    gain = min(float(rate**2 * np.mean(score**2) / stationary), MAX_GAIN)
    return OwnFill(state="accepted", reason="passed the gate", alpha=alpha, slope=rate / gain, gain=gain, **facts)


def _fails(r2: float, error: float, t: float, alpha: float, gates: Gates) -> str:
    if not r2 > gates.r2:
        return f"out-of-sample R² {r2:.4f} ± {error:.4f} of what price alone leaves, above {gates.r2:g} needed"
    if not t > gates.clark_west_t:
        return f"Clark–West t {t:.2f} of what price alone leaves, above {gates.clark_west_t:g} needed"
    if not alpha > 0.0:
        return f"coefficient {alpha:.3g}: the price would come back after a fill, which is no adverse selection"
    return ""
