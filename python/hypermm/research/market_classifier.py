"""Can a machine tell a minute of the real market from a simulated one?

A gradient-boosted classifier learns on some stretches of time and seeds and judges others: windows of one stretch, or
of one seed, are never on both sides. An area under the curve of 0.5 is a coin toss, 1 is certainty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from hypermm.exceptions import RecordingError
from hypermm.research.market_statistics import reaches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypermm.research.market_statistics import MarketTape

    Floats = NDArray[np.float64]

__all__ = ["FEATURES", "ClassifierScore", "tell_apart", "window_features"]

WINDOW_S = 60.0
_FOLDS = 5
_BPS = 1e4

FEATURES = (
    "events",
    "buyers' share of events",
    "prints an event",
    "log size of events, mean",
    "log size of events, deviation",
    "largest event, log",
    "reach beyond the touch, mean, bps",
    "reach beyond the touch, largest, bps",
    "spread, mean, bps",
    "spread, largest, bps",
    "mid moves",
    "return deviation, 1 s, bps",
    "return autocorrelation, 1 s",
    "range of the mid, bps",
    "log touch size, mean",
    "log touch size, deviation",
    "log size of the 2nd level, mean",
    "log size of the 5th level, mean",
    "touch imbalance, deviation",
    "touch imbalance, change from book to book",
    "20 levels reach, bps",
)


@dataclass(frozen=True, slots=True)
class ClassifierScore:
    """How well real and simulated minutes are told apart.

    Attributes:
        auc: Mean area under the curve over the folds.
        spread: Standard deviation over the folds.
        folds: The area of each fold.
        real_windows: Minutes of the recording.
        simulated_windows: Minutes of simulation.
        by_feature: Features that tell most by themselves, with the area of each, best first.
    """

    auc: float
    spread: float
    folds: tuple[float, ...]
    real_windows: int
    simulated_windows: int
    by_feature: tuple[tuple[str, float], ...]


def window_features(tape: MarketTape) -> tuple[Floats, Floats]:
    """Features of each whole minute without a gap.

    Returns:
        Starts of the windows, s, shape (windows,), and features in the order of `FEATURES`, shape (windows, features);
        NaN where a minute has nothing to make one of.
    """
    starts = np.arange(0.0, tape.span_s - WINDOW_S, WINDOW_S)
    starts = starts[tape.seen(starts, starts + WINDOW_S)]
    reach = reaches(tape)
    with np.errstate(all="ignore"):
        rows = [_features(tape, reach, start) for start in starts]
    return starts, np.array(rows).reshape(len(starts), len(FEATURES))


def _features(tape: MarketTape, reach: Floats, start: float) -> list[float]:
    end = start + WINDOW_S
    event, touch, book = (
        slice(*np.searchsorted(times, (start, end))) for times in (tape.event_s, tape.touch_s, tape.book_s)
    )
    sizes, beyond = np.log(tape.size[event]), reach[event]
    bid, ask = tape.bid[touch], tape.ask[touch]
    spread = (ask - bid) / (0.5 * (ask + bid)) * _BPS
    grid = np.log(tape.mid_at(np.arange(start, end + 0.5))) * _BPS
    moved = np.diff(grid)
    bids, asks = tape.bids[book], tape.asks[book]
    touches = np.log(np.concatenate([bids[:, 0, 1], asks[:, 0, 1]]))
    second, fifth = (
        np.log(np.concatenate([side[:, level, 1] for side in (bids, asks)])) if bids.shape[1] > level else np.empty(0)
        for level in (1, 4)
    )
    imbalance = (bids[:, 0, 1] - asks[:, 0, 1]) / (bids[:, 0, 1] + asks[:, 0, 1])
    depth = (np.fmax.reduce(asks[:, :, 0], axis=1) / asks[:, 0, 0] - 1.0) * _BPS
    return [
        float(len(sizes)),
        _mean(tape.side[event] > 0),
        _mean(tape.prints[event]),
        _mean(sizes),
        _deviation(sizes),
        float(sizes.max()) if len(sizes) else np.nan,
        _mean(beyond),
        float(np.nanmax(beyond)) if np.isfinite(beyond).any() else np.nan,
        _mean(spread),
        float(spread.max()) if len(spread) else np.nan,
        float(np.count_nonzero(np.diff(bid + ask))),
        _deviation(moved),
        _mean(moved[1:] * moved[:-1]) / max(_mean(moved * moved), 1e-12),
        float(np.ptp(grid)),
        _mean(touches),
        _deviation(touches),
        _mean(second),
        _mean(fifth),
        _deviation(imbalance),
        _mean(np.abs(np.diff(imbalance))),
        _mean(depth),
    ]


def _mean(values: NDArray[np.bool_] | Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _deviation(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.std()) if len(known) > 1 else np.nan


def tell_apart(real: MarketTape, simulated: Sequence[MarketTape], *, seed: int = 0) -> ClassifierScore:
    """Trains and judges the classifier.

    Args:
        real: The recording, at least ten whole minutes.
        simulated: Sessions of at least five seeds.
        seed: Of the classifier.

    Raises:
        RecordingError: There is too little to learn from.
    """
    starts, windows = window_features(real)
    if len(windows) < 2 * _FOLDS or len(simulated) < _FOLDS:
        found = f"{len(windows)} whole minutes and {len(simulated)} simulated sessions"
        expected = f"at least {2 * _FOLDS} minutes and {_FOLDS} sessions"
        raise RecordingError(field="recording", value=found, expected=expected, hint="record longer")
    others = [window_features(tape)[1] for tape in simulated]
    # A fold is a stretch of the recording and some of the seeds.
    stretch = np.minimum((np.arange(len(starts)) * _FOLDS) // len(starts), _FOLDS - 1)
    fold = np.concatenate([stretch, *(np.full(len(rows), number % _FOLDS) for number, rows in enumerate(others))])
    features = np.concatenate([windows, *others])
    is_real = np.arange(len(features)) < len(windows)
    areas = []
    for number in range(_FOLDS):
        held = fold == number
        model = HistGradientBoostingClassifier(
            max_iter=80, min_samples_leaf=5, class_weight="balanced", early_stopping=False, random_state=seed
        )
        # So few rows are learned fastest by one thread.
        with threadpool_limits(1):
            model.fit(features[~held], is_real[~held])
        areas.append(float(roc_auc_score(is_real[held], model.predict_proba(features[held])[:, 1])))
    alone = sorted(((_alone(column, is_real), name) for name, column in zip(FEATURES, features.T, strict=True)))[::-1]
    return ClassifierScore(
        auc=float(np.mean(areas)),
        spread=float(np.std(areas, ddof=1)),
        folds=tuple(areas),
        real_windows=len(windows),
        simulated_windows=len(features) - len(windows),
        by_feature=tuple((name, area) for area, name in alone[:5]),
    )


def _alone(column: Floats, is_real: NDArray[np.bool_]) -> float:
    """Area of one feature by itself, whichever way it points."""
    known = np.isfinite(column)
    if len(np.unique(is_real[known])) < 2:
        return 0.5
    area = float(roc_auc_score(is_real[known], column[known]))
    return max(area, 1.0 - area)
