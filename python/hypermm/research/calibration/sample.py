"""What a calibration is fitted to: features and future returns on a grid of quote cycles."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import hypermm
from hypermm.config.calibration import HORIZON_S
from hypermm.exceptions import InvalidInputError
from hypermm.recording.schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hypermm.config.calibration import PipelineSettings, Reliability
    from hypermm.recording import Recording

    Floats = NDArray[np.float64]
    Market = tuple[NDArray[np.int64], Floats]

__all__ = ["LONG_HORIZON_S", "Sample", "concatenated", "data_hash", "ewma_volatility", "forward_return", "make_sample"]

LONG_HORIZON_S = 30.0
STALE_S = 5.0
_NS = 1e9
_HORIZON_NS = round(HORIZON_S * _NS)
_BPS = 1e4
_PRIOR_WEIGHT_S = 20.0
_VOLATILITY_S = 300.0
_RULES: dict[str, Reliability] = {
    "contracts in the band": "depth",
    "effective events": "count",
    "agreement squared": "agreement",
    "intensity of both sides, 1/s": "count",
    "R² of the regression": "count",
    "min(|z|, 1)": "funding",
}


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Sample:
    """Rows of quote cycles, in time order; segments are stretches of one recording.

    Attributes:
        time_ns: Shape (rows,), cycle times.
        segment: Shape (rows,), which recording.
        step_s: Time between cycles, s.
        names: Features, shape (features,).
        directional: Which of them say something on direction.
        values: Shape (rows, features), NaN where there is none.
        evidence: Shape (rows, features), what a value rests on; NaN where there is none, 1 where all rest on as much.
        rules: How evidence weighs the noise of each feature.
        tiers: Each feature's tier.
        mid_price: Shape (rows,), NaN where it is unknown or older than 5 s.
        target_bps: Log return of mid over the next 10 s, bps; NaN where either end is unknown.
        long_target_bps: The same over 30 s.
        volatility: σ known at each row, bps/√s.
    """

    time_ns: NDArray[np.int64]
    segment: NDArray[np.int64]
    step_s: float
    names: tuple[str, ...]
    directional: NDArray[np.bool_]
    values: Floats
    evidence: Floats
    rules: tuple[Reliability, ...]
    tiers: tuple[str, ...]
    mid_price: Floats
    target_bps: Floats
    long_target_bps: Floats
    volatility: Floats

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def lags(self) -> int:
        """Rows of one horizon: the lag of HAC errors."""
        return max(1, round(HORIZON_S / self.step_s))

    @property
    def independent_windows(self) -> int:
        """Windows of 10 s with a target that do not overlap."""
        return int(np.isfinite(self.target_bps).sum() // self.lags)

    def column(self, name: str) -> Floats:
        """One feature."""
        return self.values[:, self.names.index(name)]

    def rows(self, keep: NDArray[np.bool_] | slice) -> Sample:
        """Some of the rows, targets as they were."""
        picked = (
            "time_ns",
            "segment",
            "values",
            "evidence",
            "mid_price",
            "target_bps",
            "long_target_bps",
            "volatility",
        )
        return replace(self, **{name: getattr(self, name)[keep] for name in picked})


def make_sample(
    recording: Recording,
    instrument: hypermm.Instrument,
    settings: PipelineSettings,
    *,
    cycle_ns: int = 500_000_000,
    lead: Market | None = None,
    basis: Market | None = None,
) -> Sample:
    """Features of a recording by the streaming pipeline, and what the mid did next.

    Raises:
        InvalidInputError: A setting or a column is refused, the book never has two sides, or `cycle_ns` does not divide
            10 s: the horizon would be another.
    """
    if cycle_ns <= 0 or _HORIZON_NS % cycle_ns:
        raise InvalidInputError(
            field="cycle_ns",
            value=cycle_ns,
            expected="a time between cycles that divides 10 s",
            hint="such as 100, 200, 250, 400, 500 or 1000 ms: --cycle-ms 500",
        )
    matrix = hypermm.feature_matrix(
        recording,
        instrument,
        cycle_ns=cycle_ns,
        lead=lead,
        basis=basis,
        volatility=settings.volatility,
        sweep_s=settings.sweep_s,
        hawkes_decay_per_s=settings.hawkes_decay_per_s,
        hawkes_branching_ratio=settings.hawkes_branching_ratio,
    )
    heard = np.sort(np.concatenate([recording.book_time_ns, np.asarray(recording.best_time_ns, np.int64)]))
    place = np.searchsorted(heard, matrix.time_ns, side="right") - 1
    age_s = np.where(place >= 0, (matrix.time_ns - heard[np.maximum(place, 0)]) / _NS, np.inf)
    mid = np.where(age_s <= STALE_S, matrix.mid_price, np.nan)
    if not np.isfinite(mid).any():
        raise InvalidInputError(field="recording", value=recording.coin, expected="a book with both sides")
    return from_columns(
        np.asarray(matrix.time_ns), mid, matrix.values, matrix.evidence, prior_volatility=settings.volatility
    )


def from_columns(
    time_ns: NDArray[np.int64],
    mid_price: Floats,
    values: Mapping[str, Floats],
    evidence: Mapping[str, Floats] | None = None,
    *,
    prior_volatility: float = 1.5,
) -> Sample:
    """A sample of columns; a name that is not in `hypermm.feature_table` counts as directional, hot and unweighted.

    Raises:
        InvalidInputError: Fewer than two rows, times that are not a grid, or a column with an infinity.
    """
    steps = np.diff(time_ns)
    if not len(steps) or steps.min() <= 0 or steps.max() > 1.5 * steps.min():
        raise InvalidInputError(field="time_ns", value=len(time_ns), expected="two or more rows at an even spacing")
    for name, column in values.items():
        if np.isinf(column).any():
            raise InvalidInputError(field=name, value="inf", expected="finite numbers, NaN for a missing one")
    step_s = float(np.median(steps)) / _NS
    table = {feature.name: feature for feature in hypermm.feature_table()}
    names = tuple(values)
    known = dict(evidence or {})
    columns = [np.asarray(values[name], float) for name in names]
    weights = [np.asarray(known[name], float) if name in known else np.ones(len(time_ns)) for name in names]
    return Sample(
        time_ns=np.asarray(time_ns, np.int64),
        segment=np.zeros(len(time_ns), np.int64),
        step_s=step_s,
        names=names,
        directional=np.array([name not in table or table[name].directional for name in names]),
        values=np.column_stack(columns) if columns else np.zeros((len(time_ns), 0)),
        evidence=np.column_stack(weights) if weights else np.zeros((len(time_ns), 0)),
        rules=tuple(_RULES[table[n].evidence] if n in known and n in table else "none" for n in names),
        tiers=tuple(table[n].tier if n in table else "hot" for n in names),
        mid_price=np.asarray(mid_price, float),
        target_bps=forward_return(mid_price, step_s, HORIZON_S),
        long_target_bps=forward_return(mid_price, step_s, LONG_HORIZON_S),
        volatility=ewma_volatility(mid_price, step_s, prior_volatility),
    )


def forward_return(mid_price: Floats, step_s: float, horizon_s: float) -> Floats:
    """Log return over the next `horizon_s`, bps; NaN where it ends beyond the data or at an unknown mid."""
    ahead = max(1, round(horizon_s / step_s))
    target = np.full(len(mid_price), np.nan)
    target[:-ahead] = _BPS * np.log(mid_price[ahead:] / mid_price[:-ahead])
    return target


def ewma_volatility(mid_price: Floats, step_s: float, prior: float) -> Floats:
    """σ as the engine would know it, bps/√s: 300 s mean of squared 10 s returns, the prior with the weight of 20 s."""
    from scipy.signal import lfilter

    back = max(1, round(HORIZON_S / step_s))
    change = np.full(len(mid_price), np.nan)
    change[back:] = _BPS * np.log(mid_price[back:] / mid_price[:-back])
    known = np.isfinite(change)
    keep = np.exp(-step_s / _VOLATILITY_S)
    square = np.where(known, change, 0.0) ** 2 / HORIZON_S * step_s
    weight = np.where(known, step_s, 0.0)
    start = [keep * _PRIOR_WEIGHT_S]
    total, _ = lfilter([1.0], [1.0, -keep], square, zi=[start[0] * prior**2])
    mass, _ = lfilter([1.0], [1.0, -keep], weight, zi=start)
    volatility: Floats = np.sqrt(np.maximum(total / mass, 1e-12 * prior**2))
    return volatility


def concatenated(samples: Sequence[Sample]) -> Sample:
    """Samples of one instrument as one, in order of their times.

    Raises:
        InvalidInputError: They overlap, or differ in features or spacing.
    """
    ordered = sorted(samples, key=lambda sample: int(sample.time_ns[0]))
    for before, after in pairwise(ordered):
        if before.names != after.names or not np.isclose(before.step_s, after.step_s):
            raise InvalidInputError(field="data", value="recordings that differ", expected="one grid and one table")
        if after.time_ns[0] <= before.time_ns[-1]:
            raise InvalidInputError(
                field="data",
                value=int(after.time_ns[0]),
                expected=f"recordings that do not overlap: after {int(before.time_ns[-1])}",
            )
    joined = ("time_ns", "values", "evidence", "mid_price", "target_bps", "long_target_bps", "volatility")
    columns: dict[str, Any] = {name: np.concatenate([getattr(sample, name) for sample in ordered]) for name in joined}
    segment = np.concatenate([np.full(len(sample), place, np.int64) for place, sample in enumerate(ordered)])
    return replace(ordered[0], segment=segment, **columns)


def data_hash(recordings: Sequence[Recording]) -> str:
    """SHA-256 of every column of the recordings."""
    digest = hashlib.sha256()
    for recording in recordings:
        for name in COLUMNS:
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(getattr(recording, name)).tobytes())
    return digest.hexdigest()
