"""a₀ and κ_tail of AS_s = a₀·toxicity_s·σ_eff·√10·(1 + κ_tail·kurtosis) + b_s, from the aggressor events of the tape.

No fills of ours are needed: what rests at the best price when an aggressor comes is filled, and the tape says when one
came. Held against is what b_s learns from (section 9 of MODEL.md): the move of the mid against the resting side over
10 s, less what the drift already says of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import hypermm
from hypermm.config.calibration import (
    HORIZON_S,
    MAX_ADVERSE_SELECTION_RATIO,
    MAX_TAIL_FACTOR,
    AdverseSelectionFit,
    CoefficientVerdict,
    Gates,
    VolatilityUse,
)
from hypermm.research.calibration.regression import mean_error
from hypermm.research.calibration.sample import STALE_S
from hypermm.research.calibration.score import forecast_of
from hypermm.research.calibration.threads import single_threaded
from hypermm.research.calibration.volatility import informed_fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypermm.config.calibration import CalibrationArtifact
    from hypermm.recording import Recording
    from hypermm.research.calibration.folds import Fold
    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = [
    "MIN_EVENTS",
    "AggressorEvents",
    "aggressor_events",
    "fit_adverse_selection",
    "joined",
    "validate_adverse_selection",
]

MIN_EVENTS = 200
_BPS = 1e4
_NS = 1e9
# Newey–West weights of one horizon take in half of what overlapping moves share.
_ERROR_HORIZONS = 4
_COLUMNS = ("flow_count_120s", "volatility_ratio", "excess_kurtosis")


class AggressorEvents(NamedTuple):
    """All prints of one venue time and side as one event, against whatever rested there; shape (events,) each.

    Attributes:
        row: Row of the sample whose readings the quotes that rested could have been priced with.
        bid: True where bids were hit, False where asks were lifted.
        adverse_bps: Move of the mid over 10 s against the resting side, beyond the drift's forecast.
        diffusion_bps: toxicity_s·σ_eff·√10 of that side at that row.
        kurtosis: Excess kurtosis, 0 to 10.
    """

    row: NDArray[np.int64]
    bid: NDArray[np.bool_]
    adverse_bps: Floats
    diffusion_bps: Floats
    kurtosis: Floats

    def part(self, rows: NDArray[np.bool_]) -> AggressorEvents:
        """Some of them."""
        row, bid, adverse, diffusion, kurtosis = self
        return AggressorEvents(row[rows], bid[rows], adverse[rows], diffusion[rows], kurtosis[rows])


def joined(parts: Sequence[AggressorEvents]) -> AggressorEvents:
    """Events of some recordings as those of one sample."""
    return AggressorEvents(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def aggressor_events(
    recording: Recording, sample: Sample, forecast_bps: Floats, use: VolatilityUse, segment: int = 0
) -> AggressorEvents:
    """Aggressor events of one recording, by venue time: a mid of the event's own time is one after it.

    An event without a mid before it or 10 s later, neither older than 5 s, or without a row just before it, is left
    out; so is every event where the sample lacks a column that is needed.

    Args:
        recording: The rows that the segment was made from.
        sample: Rows of all recordings.
        forecast_bps: The filter's forecast of the 10 s return at each row, shape (rows,).
        use: ν and c_I of σ_eff.
        segment: Which recording.
    """
    if not set(_COLUMNS) <= set(sample.names):
        nothing = np.zeros(0)
        return AggressorEvents(np.zeros(0, np.int64), np.zeros(0, bool), nothing, nothing, nothing)
    venue_ns, side, heard_ns = _first_prints(recording)
    mids = _venue_mids(recording)
    before = _mid_at(mids, venue_ns - 1)
    later = _mid_at(mids, venue_ns + round(HORIZON_S * _NS))
    # The quotes were priced before either clock says that the event was.
    known_ns = np.minimum(venue_ns, heard_ns)
    row = np.searchsorted(sample.time_ns, known_ns, side="left") - 1
    row = np.maximum(row, 0)
    age_s = (known_ns - sample.time_ns[row]) / _NS
    near = (age_s > 0.0) & (age_s <= 1.5 * sample.step_s) & (sample.segment[row] == segment)
    sign = np.where(side < 0, 1.0, -1.0)
    adverse = sign * (forecast_bps[row] - _BPS * (later - before) / before)
    kept = near & np.isfinite(adverse)
    row, bid = row[kept], (side < 0)[kept]
    flow, informed = sample.column("flow_count_120s")[row], informed_fraction(sample)[row]
    toxicity = np.where(np.where(bid, flow < 0.0, flow > 0.0), informed, 0.0)
    kurtosis = np.clip(np.nan_to_num(sample.column("excess_kurtosis")[row]), 0.0, 10.0)
    volatility = sample.volatility[row] * _volatility_factor(sample, row, informed, use)
    return AggressorEvents(row, bid, adverse[kept], toxicity * volatility * np.sqrt(HORIZON_S), kurtosis)


def _first_prints(recording: Recording) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """Venue time, aggressor and first receive time of each event."""
    venue_ns = np.asarray(recording.trade_exchange_time_ns, np.int64)
    side = np.asarray(recording.trade_aggressor, np.int8)
    heard_ns = np.asarray(recording.trade_time_ns, np.int64)
    order = np.lexsort((heard_ns, side, venue_ns))
    venue_ns, side, heard_ns = venue_ns[order], side[order], heard_ns[order]
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(venue_ns) != 0) | (np.diff(side) != 0)
    return venue_ns[first], side[first], heard_ns[first]


def _venue_mids(recording: Recording) -> tuple[NDArray[np.int64], Floats]:
    """Mids of books and best bids and offers with both sides, in order of venue time."""
    time_ns = np.concatenate([recording.book_exchange_time_ns, np.asarray(recording.best_exchange_time_ns, np.int64)])
    bid = np.concatenate([recording.bid_prices[:, 0], recording.best_bid_price])
    ask = np.concatenate([recording.ask_prices[:, 0], recording.best_ask_price])
    order = np.argsort(time_ns, kind="stable")
    order = order[bid[order] < ask[order]]
    return time_ns[order], (bid[order] + ask[order]) / 2.0


def _mid_at(mids: tuple[NDArray[np.int64], Floats], time_ns: NDArray[np.int64]) -> Floats:
    """The last mid at or before each time; NaN where there is none or it is older than 5 s."""
    heard_ns, mid = mids
    if not len(mid):
        return np.full(len(time_ns), np.nan)
    place = np.searchsorted(heard_ns, time_ns, side="right") - 1
    age_ns = time_ns - heard_ns[np.maximum(place, 0)]
    return np.where((place >= 0) & (age_ns <= STALE_S * _NS), mid[np.maximum(place, 0)], np.nan)


def _volatility_factor(sample: Sample, row: NDArray[np.int64], informed: Floats, use: VolatilityUse) -> Floats:
    """σ_eff/σ as an engine with this use has it: what is not fitted is the config's default."""
    default = hypermm.EngineConfig()
    exponent = default.volatility_ratio_exponent if use.ratio_exponent is None else use.ratio_exponent
    share = default.informed_volatility if use.informed_volatility is None else use.informed_volatility
    ratio = np.nan_to_num(sample.column("volatility_ratio")[row], nan=1.0)
    factor: Floats = np.maximum(1.0, ratio) ** exponent * np.sqrt(1.0 + share * informed)
    return factor


def validate_adverse_selection(
    artifact: CalibrationArtifact, unseen: Sample, recordings: Sequence[Recording]
) -> dict[str, Any]:
    """What a₀ and κ_tail in force foretell of the adverse moves of rows that they were not fitted to.

    Args:
        artifact: The calibration.
        unseen: Rows outside its span.
        recordings: By segment.

    Returns:
        events; ratio and tail_factor, the config's where the file has none; r2, the share of the squared adverse move
        that the charge takes off beside b_s alone, and tail_r2, beside the charge without a tail, each with its HAC
        error; None without events.
    """
    _, forecast = forecast_of(artifact, unseen)
    found = [
        aggressor_events(recording, unseen, forecast, artifact.volatility, segment)
        for segment, recording in enumerate(recordings)
    ]
    events, default, fit = joined(found), hypermm.EngineConfig(), artifact.adverse_selection
    ratio = default.adverse_selection_ratio if fit.ratio.value is None else fit.ratio.value
    tail = default.tail_factor if fit.tail_factor.value is None else fit.tail_factor.value
    result: dict[str, Any] = {"events": len(events.row), "ratio": ratio, "tail_factor": tail}
    nothing, plain, whole = (
        _centered(events.adverse_bps - _Fitted(*point).charge(events), events.bid) ** 2
        for point in ((0.0, 0.0), (ratio, 0.0), (ratio, tail))
    )
    for name, small in (("r2", nothing), ("tail_r2", plain)):
        total = float(small.sum())
        r2 = 1.0 - float(whole.sum()) / total if total > 0.0 else None
        error = None if r2 is None else _sum_error((1.0 - r2) * small - whole, events.row, unseen.lags) / total
        result |= {name: r2, f"{name}_error": error}
    return result


class _Point(NamedTuple):
    """a₀ and κ_tail; None is to be fitted."""

    ratio: float | None
    tail: float | None


class _Fitted(NamedTuple):
    ratio: float
    tail: float

    def charge(self, events: AggressorEvents) -> Floats:
        """a₀·toxicity·σ_eff·√10·(1 + κ_tail·kurtosis), bps."""
        result: Floats = self.ratio * events.diffusion_bps * (1.0 + self.tail * events.kurtosis)
        return result


@single_threaded
def fit_adverse_selection(
    events: AggressorEvents, folds: Sequence[Fold], lags: int, gates: Gates
) -> AdverseSelectionFit:
    """Fits a₀ and κ_tail on train, judges each on the tests against the model without it; b_s in every model.

    a₀ is judged beside the default κ_tail; κ_tail beside a₀ fitted with it where a₀ passed, else beside the default a₀:
    what the engine would have beside it. One that fails keeps its default, and the other is what goes with that.

    Args:
        events: Aggressor events.
        folds: Walk-forward folds of the sample's rows.
        lags: Rows of one horizon.
        gates: Threshold of Clark–West t.
    """
    count = len(events.row)
    default = hypermm.EngineConfig()
    if count < MIN_EVENTS:
        unknown = CoefficientVerdict(state="not_measured", reason=f"{count} aggressor events, {MIN_EVENTS} needed")
        return AdverseSelectionFit(events=count, ratio=unknown, tail_factor=unknown)
    beside_tail = _Point(None, default.tail_factor)
    ratio_gain = _gain(events, folds, lags, beside_tail._replace(ratio=0.0), beside_tail)
    ratio_in = ratio_gain.passes(gates)
    beside_ratio = _Point(None if ratio_in else default.adverse_selection_ratio, None)
    tail_gain = _gain(events, folds, lags, beside_ratio._replace(tail=0.0), beside_ratio)
    tail_in = tail_gain.passes(gates)
    both = _fitted(events, beside_ratio)
    alone = both if ratio_in and tail_in else _fitted(events, beside_tail)
    tail_error = _errors(events, both, (ratio_in, True), lags)[-1]
    ratio_error = _errors(events, alone, (True, ratio_in and tail_in), lags)[0]
    return AdverseSelectionFit(
        events=count,
        ratio=_verdict(alone.ratio, ratio_error, ratio_gain, default.adverse_selection_ratio, gates),
        tail_factor=_verdict(both.tail, tail_error, tail_gain, default.tail_factor, gates),
    )


def _verdict(estimate: float, error: float | None, gain: _Gain, default: float, gates: Gates) -> CoefficientVerdict:
    accepted = gain.passes(gates)
    needed = f"Clark–West t {gain.t:.2f}, above {gates.clark_west_t:g} needed, R² {gain.r2:+.4f}, above 0 needed"
    return CoefficientVerdict(
        state="accepted" if accepted else "rejected",
        reason="passed the gate" if accepted else f"{needed}: the default {default:g} stays",
        value=estimate if accepted else None,
        estimate=estimate,
        error=error,
        clark_west_t=gain.t,
        incremental_r2=gain.r2,
    )


def _fitted(events: AggressorEvents, model: _Point, rows: NDArray[np.bool_] | None = None) -> _Fitted:
    """Least squares of what is free, within its bounds; the intercept of each side is partialled out."""
    from scipy.optimize import nnls

    some = events if rows is None else events.part(rows)
    target = _centered(some.adverse_bps, some.bid)
    plain = _centered(some.diffusion_bps, some.bid)
    tailed = _centered(some.diffusion_bps * some.kurtosis, some.bid)
    if model.ratio is None and model.tail is None:
        # The cone a₀ ≥ 0, 0 ≤ κ_tail ≤ 5 is spanned by its edges.
        (least, most), _ = nnls(np.column_stack([plain, plain + MAX_TAIL_FACTOR * tailed]), target)
        ratio = float(least + most)
        tail = MAX_TAIL_FACTOR * float(most) / ratio if ratio > 0.0 else 0.0
    elif model.tail is not None:
        tail = model.tail
        ratio = _slope(plain + tail * tailed, target) if model.ratio is None else model.ratio
    elif model.ratio is not None:
        ratio = model.ratio
        tail = _slope(ratio * tailed, target - ratio * plain)
    ratio, tail = min(max(ratio, 0.0), MAX_ADVERSE_SELECTION_RATIO), min(max(tail, 0.0), MAX_TAIL_FACTOR)
    return _Fitted(ratio, tail)


def _slope(column: Floats, target: Floats) -> float:
    square = float(column @ column)
    return float(column @ target) / square if square > 0.0 else 0.0


def _side_means(values: Floats, bid: NDArray[np.bool_]) -> Floats:
    side = bid.astype(int)
    mean: Floats = np.bincount(side, values, 2) / np.maximum(np.bincount(side, minlength=2), 1)
    return mean


def _centered(values: Floats, bid: NDArray[np.bool_]) -> Floats:
    result: Floats = values - _side_means(values, bid)[bid.astype(int)]
    return result


class _Gain(NamedTuple):
    """What a coefficient adds out of sample: Clark–West t, and the share of the squared error that it takes off."""

    t: float
    r2: float

    def passes(self, gates: Gates) -> bool:
        """Clark–West forgives what the estimate costs; no money is put on one that forecasts worse."""
        return self.t > gates.clark_west_t and self.r2 > 0.0


def _gain(events: AggressorEvents, folds: Sequence[Fold], lags: int, small: _Point, large: _Point) -> _Gain:
    """The large model's forecasts of the tests against the small one's."""
    adjusted, taken = np.full(len(events.row), np.nan), np.zeros(len(events.row))
    square = np.zeros(len(events.row))
    for fold in folds:
        train, test = fold.train[events.row], fold.test[events.row]
        less, more = (_forecast(events, model, train)[test] for model in (small, large))
        wanted = events.adverse_bps[test]
        square[test] = (wanted - less) ** 2
        taken[test] = square[test] - (wanted - more) ** 2
        adjusted[test] = taken[test] + (less - more) ** 2
    tested = np.isfinite(adjusted)
    total = float(square.sum())
    if total <= 0.0:
        return _Gain(0.0, 0.0)
    mean = float(adjusted[tested].mean())
    error = _sum_error(adjusted[tested] - mean, events.row[tested], lags) / int(tested.sum())
    return _Gain(mean / error if error > 0.0 else 0.0, float(taken.sum()) / total)


def _forecast(events: AggressorEvents, model: _Point, train: NDArray[np.bool_]) -> Floats:
    charge = _fitted(events, model, train).charge(events)
    intercept = _side_means((events.adverse_bps - charge)[train], events.bid[train])
    forecast: Floats = charge + intercept[events.bid.astype(int)]
    return forecast


def _errors(events: AggressorEvents, at: _Fitted, free: tuple[bool, bool], lags: int) -> list[float | None]:
    """HAC standard errors of the free ones of (a₀, κ_tail): the sandwich of nonlinear least squares."""
    slopes = (at._replace(ratio=1.0).charge(events), at.ratio * events.diffusion_bps * events.kurtosis)
    columns = np.column_stack([_centered(slope, events.bid) for slope, one in zip(slopes, free, strict=True) if one])
    residual = _centered(events.adverse_bps - at.charge(events), events.bid)
    product = columns.T @ columns
    if np.linalg.matrix_rank(product, hermitian=True) < len(product):
        return [None] * len(product)
    influence = residual[:, None] * np.linalg.solve(product, columns.T).T
    return [_sum_error(column, events.row, lags) for column in influence.T]


def _sum_error(values: Floats, row: NDArray[np.int64], lags: int) -> float:
    """HAC standard error of a sum over events, by the sample's rows.

    Events come in bursts: lags counted in events would reach over less than a second of one.
    """
    sums = np.bincount(row - row.min(), values).astype(float)
    return mean_error(sums, _ERROR_HORIZONS * lags) * len(sums)
