"""Two questions of the RFC, answered with errors whatever the answer; `hypermm studies` prints them.

Phase 2: do spikes of the rate at which bids are hit precede falls? Phase 6: does the funding z-score say something of
the next hour's return?
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import RecordingError
from hypermm.research.calibration.regression import clark_west, coefficient, coefficient_error, r2_score
from hypermm.research.evaluate import mid_path

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hypermm.recording import Recording

    Floats = NDArray[np.float64]

__all__ = ["funding_study", "rate_spikes"]

_STEP_S = 0.5
_FAST_S, _SLOW_S = 5.0, 300.0
_SPIKE_DEVIATIONS = 3.0
_QUIET_S = 10.0
_WARM_UP_S = 120.0
_HORIZONS_S = (10, 60)
_BLOCK_S = 60.0
_DRAWS = 1_000
_FUNDING_HOURS = 24
# Of the rate: below it 24 equal rates differ by rounding only.
_LEAST_DEVIATION = 1e-10
_FOLDS = 5


def rate_spikes(recording: Recording, seed: int = 0) -> list[dict[str, Any]]:
    """What the mid did after the rate of aggressor events of one side spiked, bps, by side and horizon.

    A spike is the first cycle in 10 s at which the events of the last 5 s (fading) are three standard deviations above
    what the rate of 300 s makes likely. The return runs from that cycle on: what moved with the burst is not counted.
    Errors are of blocks of 60 s drawn with replacement.
    """
    path = mid_path(recording)
    grid = np.arange(int(path.time_ns[0]), int(path.time_ns[-1]), round(_STEP_S * 1e9))
    rows = []
    for side, name, sign in ((-1, "bids hit", -1.0), (1, "asks lifted", 1.0)):
        spikes = _spikes(recording, grid, side)
        for horizon_s in _HORIZONS_S:
            move = 1e4 * np.log(path.at(grid[spikes] + horizon_s * 10**9) / path.at(grid[spikes]))
            known = np.isfinite(move)
            mean, error = _block_mean(sign * move[known], grid[spikes][known], seed)
            rows.append(
                {
                    "coin": recording.coin,
                    "spikes_of": name,
                    "horizon_s": horizon_s,
                    "spikes": int(known.sum()),
                    "move_with_them_bps": mean,
                    "error_bps": error,
                }
            )
    return rows


def _spikes(recording: Recording, grid: NDArray[np.int64], side: int) -> NDArray[np.intp]:
    """Places of the grid at which the rate of one side spikes."""
    from scipy.signal import lfilter

    wanted = np.asarray(recording.trade_aggressor) == side
    _, first = np.unique(np.asarray(recording.trade_exchange_time_ns)[wanted], return_index=True)
    heard = np.asarray(recording.trade_time_ns)[wanted][first]
    place = np.searchsorted(grid, heard)
    counts = np.bincount(place[place < len(grid)], minlength=len(grid)).astype(float)
    fast, slow = (lfilter([1.0], [1.0, -np.exp(-_STEP_S / window)], counts) for window in (_FAST_S, _SLOW_S))
    elapsed = np.arange(1, len(grid) + 1) * _STEP_S
    likely = slow / (_SLOW_S * -np.expm1(-elapsed / _SLOW_S)) * _FAST_S
    # The variance of a fading count of Poisson events is half its mean.
    with np.errstate(divide="ignore", invalid="ignore"):
        high = (fast - likely) / np.sqrt(likely / 2.0) > _SPIKE_DEVIATIONS
    high[elapsed < _WARM_UP_S] = False
    kept: list[int] = []
    for index in np.flatnonzero(high).tolist():
        if not kept or (index - kept[-1]) * _STEP_S >= _QUIET_S:
            kept.append(index)
    return np.array(kept, np.intp)


def _block_mean(values: Floats, time_ns: NDArray[np.int64], seed: int) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    _, block = np.unique(time_ns // round(_BLOCK_S * 1e9), return_inverse=True)
    count = int(block.max()) + 1
    sums, sizes = np.bincount(block, values, count), np.bincount(block, minlength=count)
    draws = np.random.Generator(np.random.Philox(seed)).integers(0, count, (_DRAWS, count))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    return float(values.mean()), float(means.std(ddof=1))


def funding_study(folder: Path, coins: tuple[str, ...] = ("BTC", "ETH", "SOL", "HYPE")) -> list[dict[str, Any]]:
    """Regression of the next hour's return on minus the funding z-score of 24 h, coin by coin.

    Returns:
        A row a coin: hours, their span, α in bps per unit of z with its HAC error (24 lags), out-of-sample R² of five
        walk-forward folds with its error, Clark–West t.

    Raises:
        RecordingError: A file is missing.
    """
    return [_funding_row(coin, *_funding_hours(folder, coin)) for coin in coins]


def _funding_hours(folder: Path, coin: str) -> tuple[Floats, Floats, str]:
    """−z, the return of the hour after it, and the span as text."""
    import polars as pl

    files = [folder / f"{coin}_hourly_funding.csv.gz", folder / f"{coin}_1h_candles.csv.gz"]
    for file in files:
        if not file.is_file():
            raise RecordingError(field=str(file), value="missing", expected="hourly funding and candles of the coin")
    rate = pl.col("hourly_rate")
    funding = (
        pl.read_csv(files[0], try_parse_dates=True)
        .sort("time")
        .with_columns(
            score=(rate - rate.rolling_mean(_FUNDING_HOURS)) / rate.rolling_std(_FUNDING_HOURS),
            reach=pl.col("time") - pl.col("time").shift(_FUNDING_HOURS - 1),
        )
        # Only where the 24 rates are those of 24 hours, and did change.
        .filter(
            pl.col("reach") <= pl.duration(hours=_FUNDING_HOURS),
            rate.rolling_std(_FUNDING_HOURS) > _LEAST_DEVIATION,
        )
    )
    candles = pl.read_csv(files[1], try_parse_dates=True).sort("time")
    both = funding.join(candles, on="time").sort("time")
    move = 1e4 * np.log(both["close"].to_numpy() / both["open"].to_numpy())
    span = f"{both['time'][0]:%Y-%m-%d} to {both['time'][-1]:%Y-%m-%d}"
    return -both["score"].to_numpy(), move, span


def _funding_row(coin: str, score: Floats, move_bps: Floats, span: str) -> dict[str, Any]:
    weight = np.ones(len(score))
    edges = np.linspace(0, len(score), _FOLDS + 2).round().astype(int)
    forecast = np.zeros(len(score))
    for begin, end in pairwise(edges[1:]):
        # A day between train and test: the z-scores share their day.
        train = slice(0, max(2, begin - _FUNDING_HOURS))
        forecast[begin:end] = coefficient(score[train], move_bps[train], weight[train]) * score[begin:end]
    tested = slice(edges[1], None)
    r2, error = r2_score(move_bps[tested], forecast[tested], _FUNDING_HOURS)
    return {
        "coin": coin,
        "hours": len(score),
        "span": span,
        "alpha_bps": coefficient(score, move_bps, weight),
        "alpha_error_bps": coefficient_error(score, move_bps, weight, _FUNDING_HOURS),
        "r2": r2,
        "r2_error": error,
        "clark_west_t": clark_west(move_bps[tested], np.zeros(len(move_bps[tested])), forecast[tested], _FUNDING_HOURS),
    }
