"""From recordings to a calibration: the order of the work of section 8 of MODEL.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

import hypermm
from hypermm.config.calibration import (
    HORIZON_S,
    MAX_GAIN,
    AcceptedFeature,
    CalibrationArtifact,
    FilterFit,
    Gates,
    HawkesFit,
    PipelineSettings,
    ReturnOnlyFit,
)
from hypermm.exceptions import InvalidInputError
from hypermm.research.calibration.adverse_selection import aggressor_events, fit_adverse_selection, joined
from hypermm.research.calibration.drift import filter_sample, fit_filter, fit_returns, innovation_scale
from hypermm.research.calibration.fills import FillScores, fill_scores, fit_own_fills
from hypermm.research.calibration.folds import Fold, walk_forward
from hypermm.research.calibration.gates import RESIDUAL_PREFIXES, CostTest, Selection, select
from hypermm.research.calibration.hawkes import aggressor_times, fit_hawkes
from hypermm.research.calibration.noise import Mapping, expected_time, explained_bps2, map_features, moments_of
from hypermm.research.calibration.regression import coefficient, mean_evidence, noise_factors
from hypermm.research.calibration.replay import (
    FusedFeatures,
    edge_difference,
    fused_features,
    replay,
    replay_config,
    window,
)
from hypermm.research.calibration.sample import Sample, concatenated, data_hash, make_sample
from hypermm.research.calibration.threads import single_threaded
from hypermm.research.calibration.volatility import fit_volatility
from hypermm.research.evaluate import mid_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hypermm.recording import Recording

    Floats = NDArray[np.float64]
    Progress = Callable[[int, int], object]

__all__ = [
    "PROVISIONAL_BELOW",
    "Calibrated",
    "Source",
    "calibrate",
    "calibrate_sample",
    "fit_selection",
    "half_spread_bps",
    "pipeline_settings",
    "samples_of",
]

PROVISIONAL_BELOW = 600
_SIGMA_0 = 1.5
_SWEEP_S = 2.0
_HAWKES_DEFAULT = (0.5, 0.5)
# The replay of the cost test comes before the filter is fitted: the middle of that search.
_REPLAY_KAPPA, _REPLAY_RATIO = 0.1, 1.5
_STEPS = 100


class Source(NamedTuple):
    """One recording and the markets beside it.

    Attributes:
        name: Of its folder.
        recording: The coin's own.
        lead: The market that leads, or None.
        basis: The market the basis is taken against, or None for the oracle.
        from_ns: Rows before it are not used, though features may remember them.
        to_ns: Rows from it on are not used, nor targets that reach it.
    """

    name: str
    recording: Recording
    lead: Recording | None = None
    basis: Recording | None = None
    from_ns: int = 0
    to_ns: int = 2**62


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Calibrated:
    """A calibration and what it was made from, for the page.

    Attributes:
        artifact: The calibration.
        sample: Rows it was fitted to.
        held_out_bps: The filter's forecasts on the test rows by what their train rows say, NaN elsewhere; the features,
            κ_μ, P∞ and the noise memory were chosen on all of them, which flatters it.
    """

    artifact: CalibrationArtifact
    sample: Sample
    held_out_bps: Floats


def pipeline_settings(sources: Sequence[Source], fits: Sequence[HawkesFit | None]) -> PipelineSettings:
    """Settings of the features: volatility as recorded, the Hawkes kernel as fitted, both sides pooled.

    Raises:
        InvalidInputError: Sources that differ in the market that leads, or in that of the basis.
    """
    known = [fit for fit in fits if fit is not None]
    decay, branching = _HAWKES_DEFAULT
    if known:
        events = np.array([fit.events for fit in known], float)
        decay = float(np.exp(np.average(np.log([fit.decay_per_s for fit in known]), weights=events)))
        branching = float(np.average([fit.branching_ratio for fit in known], weights=events))
    lead = _one_market("lead", [source.lead for source in sources])
    basis = _one_market("basis", [source.basis for source in sources])
    return PipelineSettings(
        volatility=_SIGMA_0,
        sweep_s=_SWEEP_S,
        hawkes_decay_per_s=decay,
        hawkes_branching_ratio=branching,
        lead=lead,
        basis=basis,
    )


def _one_market(field: str, markets: Sequence[Recording | None]) -> str | None:
    names = {market.coin if market else None for market in markets}
    if len(names) > 1:
        raise InvalidInputError(
            field=field,
            value=", ".join(sorted(name or "none" for name in names)),
            expected="the same market beside every recording",
            hint="leave out the recordings without it, or calibrate without it",
        )
    return names.pop() if names else None


def half_spread_bps(sources: Sequence[Source]) -> float:
    """Median half-spread of the books, bps of mid."""
    spreads = []
    for source in sources:
        bid, ask = source.recording.bid_prices[:, 0], source.recording.ask_prices[:, 0]
        spreads.append(1e4 * (ask - bid) / (ask + bid))
    return float(np.nanmedian(np.concatenate(spreads)))


def samples_of(
    sources: Sequence[Source], instrument: hypermm.Instrument, settings: PipelineSettings, cycle_ns: int
) -> Sample:
    """Features and targets of some recordings on one grid, as one sample."""
    made = []
    for source in sources:
        lead, basis = (mid_path(other) if other else None for other in (source.lead, source.basis))
        sample = make_sample(
            source.recording,
            instrument,
            settings,
            cycle_ns=cycle_ns,
            lead=(lead.time_ns, lead.mid_price) if lead else None,
            basis=(basis.time_ns, basis.mid_price) if basis else None,
        )
        kept = _within(sample, source.from_ns, source.to_ns)
        if not len(kept):
            raise InvalidInputError(field="data", value=source.name, expected="rows within the span that was asked for")
        made.append(kept)
    return concatenated(made)


def _within(sample: Sample, from_ns: int, to_ns: int) -> Sample:
    """Rows of a span; a target that ends beyond it is unknown."""
    part = sample.rows((sample.time_ns >= from_ns) & (sample.time_ns < to_ns))
    for target, reach in ((part.target_bps, HORIZON_S), (part.long_target_bps, 3 * HORIZON_S)):
        target[part.time_ns + round(reach * 1e9) >= to_ns] = np.nan
    return part


@single_threaded
def calibrate(
    sources: Sequence[Source],
    instrument: hypermm.Instrument,
    *,
    created_ns: int,
    gates: Gates | None = None,
    taker_cost_bps: float = 0.0,
    cycle_ns: int = 500_000_000,
    with_replay: bool = True,
    progress: Progress = lambda _done, _total: None,
) -> Calibrated:
    """Calibrates one instrument.

    Args:
        sources: Recordings of it.
        instrument: Facts of the contract.
        created_ns: The present, ns since 1970.
        gates: Thresholds.
        taker_cost_bps: Fee and half-spread, what the cost test "taker" asks for.
        cycle_ns: Grid, ns.
        with_replay: Also ask of each feature that the engine's replay does not lose by it.
        progress: Called with (done, total).

    Raises:
        InvalidInputError: Too little data, recordings that overlap or differ in the markets beside them, or a column
            that is refused.
    """
    # The order of segments in the sample, whatever the order they were named in: the last is the one replayed.
    sources = sorted(sources, key=lambda source: max(source.from_ns, int(source.recording.book_time_ns[0])))
    gates = gates or Gates()
    parts = [_part(source) for source in sources]
    fits = [fit_hawkes([times for part in parts for times in aggressor_times(part, side)]) for side in (1, -1)]
    settings = pipeline_settings(sources, fits)
    progress(5, _STEPS)
    sample = samples_of(sources, instrument, settings, cycle_ns)
    progress(20, _STEPS)
    mid = float(np.nanmedian(sample.mid_price))
    needed = 0.5e4 * instrument.price_increment_at(mid) / mid if gates.cost_test == "maker" else taker_cost_bps
    walk_forward(sample)
    test = _ReplayTest(sample, parts, instrument) if with_replay else None
    cost = CostTest(needed_bps=needed, replay=test)
    fitted = calibrate_sample(sample, gates, cost, lambda done, total: progress(20 + 60 * done // total, _STEPS))
    kappa, stationary = fitted.filter.mean_reversion_per_s, fitted.filter.stationary_variance
    config = replay_config(mid, kappa, stationary, float(np.nanmedian(sample.volatility)))
    residual = price_residual(sample, kappa, stationary)
    fills = [replay(part, instrument, config) for part in parts]
    scores = [fill_scores(made, sample, residual, place) for place, made in enumerate(fills)]
    progress(95, _STEPS)
    scored = FillScores(*(np.concatenate(column) for column in zip(*scores, strict=True)))
    own = fit_own_fills(scored, kappa, stationary, gates)
    volatility = fit_volatility(sample, fitted.selection.folds, gates)
    places = fitted.selection.accepted
    forecast = filter_sample(sample, places, fitted.mapping, kappa, stationary).mean * expected_time(kappa)
    hits = [aggressor_events(part, sample, forecast, volatility, place) for place, part in enumerate(parts)]
    artifact = CalibrationArtifact(
        coin=instrument.coin,
        size_decimals=instrument.size_decimals,
        created_ns=created_ns,
        data_from_ns=int(sample.time_ns[0]),
        data_to_ns=int(sample.time_ns[-1]),
        data_hash=data_hash(parts),
        recordings=tuple(source.name for source in sources),
        cycle_s=sample.step_s,
        horizon_s=HORIZON_S,
        independent_windows=sample.independent_windows,
        provisional=sample.independent_windows < PROVISIONAL_BELOW,
        gates=gates,
        filter=fitted.filter,
        pipeline=settings,
        accepted=fitted.accepted,
        error_covariance=tuple(fitted.mapping.covariance.ravel().tolist()),
        own_fill=own,
        hawkes_buy=fits[0],
        hawkes_sell=fits[1],
        volatility=volatility,
        adverse_selection=fit_adverse_selection(joined(hits), fitted.selection.folds, sample.lags, gates),
        features=fitted.selection.verdicts,
    )
    progress(_STEPS, _STEPS)
    return Calibrated(artifact=artifact, sample=sample, held_out_bps=fitted.held_out_bps)


class FittedSample(NamedTuple):
    """What a sample alone says."""

    selection: Selection
    filter: FilterFit
    mapping: Mapping
    accepted: tuple[AcceptedFeature, ...]
    held_out_bps: Floats


@single_threaded
def calibrate_sample(
    sample: Sample, gates: Gates, cost: CostTest, progress: Progress = lambda _done, _total: None
) -> FittedSample:
    """The statistics of a calibration: which features are in, and the filter that takes them."""
    return_only = fit_returns(sample)
    residual = price_residual(sample, return_only.mean_reversion_per_s, return_only.stationary_variance)
    by_fold = np.array([residual_of_fold(sample, fold) for fold in walk_forward(sample)])

    def judged(done: int, total: int) -> None:
        progress(40 * done // total, 100)

    selection = select(sample, residual, gates, cost, judged, residual_by_fold=by_fold)
    return fit_selection(sample, selection, return_only, lambda done, total: progress(40 + 60 * done // total, 100))


@single_threaded
def fit_selection(
    sample: Sample,
    selection: Selection,
    return_only: ReturnOnlyFit,
    progress: Progress = lambda _done, _total: None,
) -> FittedSample:
    """The filter that takes the features of a selection, and what it takes of each."""
    fit, rule, held_out = fit_filter(sample, selection, return_only, progress)
    kappa, stationary = fit.mean_reversion_per_s, fit.stationary_variance
    rows = np.isfinite(sample.target_bps)
    moments = moments_of(sample, selection.accepted, rows)
    mapping = map_features(selection.alphas, moments, kappa, stationary, rule)
    scale = innovation_scale(sample, selection.accepted, mapping, kappa, stationary)
    mapping = replace(mapping, covariance=scale * mapping.covariance)
    fit = msgspec.structs.replace(fit, noise_scale=scale)
    accepted = tuple(
        AcceptedFeature(
            name=sample.names[place],
            target=selection.targets[index],
            alpha=float(selection.alphas[index]),
            slope=float(mapping.slope[index]),
            gain=float(mapping.gain[index]),
            noise_memory_s=float(mapping.memory_s[index]),
            fresh_noise_share=float(mapping.fresh_share[index]),
            reliability=sample.rules[place],
            mean_evidence=float(mapping.mean_evidence[index]),
        )
        for index, place in enumerate(selection.accepted)
    )
    return FittedSample(selection, fit, mapping, accepted, held_out)


def price_residual(sample: Sample, kappa: float, stationary: float) -> Floats:
    """The 10 s return less what the price-only filter forecasts, bps."""
    filtered = filter_sample(sample, (), None, kappa, stationary)
    return sample.target_bps - filtered.mean * expected_time(kappa)


def residual_of_fold(sample: Sample, fold: Fold) -> Floats:
    """`price_residual` of all rows by the price-only filter of a fold's train rows."""
    fit = fit_returns(sample.rows(fold.train))
    return price_residual(sample, fit.mean_reversion_per_s, fit.stationary_variance)


def _part(source: Source) -> Recording:
    if source.from_ns <= 0 and source.to_ns >= 2**62:
        return source.recording
    return window(source.recording, source.from_ns, source.to_ns)


class _ReplayTest:
    """The last fold's test rows replayed to the engine, with the features fitted on its train rows and without.

    Of the last recording that has such rows: one shorter than the horizon has none.
    """

    def __init__(self, sample: Sample, parts: Sequence[Recording], instrument: hypermm.Instrument) -> None:
        self._sample, self._instrument = sample, instrument
        self._fold: Fold = walk_forward(sample)[-1]
        segment = int(sample.segment[self._fold.test][-1])
        rows = np.flatnonzero(self._fold.test & (sample.segment == segment))
        self._part = sample.rows(slice(int(rows[0]), int(rows[-1]) + 1))
        self._recording = window(parts[segment], int(self._part.time_ns[0]), int(self._part.time_ns[-1]))
        self._runs: dict[tuple[str, ...], dict[str, NDArray[np.float64]]] = {}
        self._residual: Floats | None = None

    def __call__(self, names: tuple[str, ...]) -> tuple[float, float] | None:
        """Edge per fill with the features less that without the last of them, and its error."""
        return edge_difference(self._run(names), self._run(names[:-1]))

    def _run(self, names: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        if names not in self._runs:
            self._runs[names] = self._played(names)
        return self._runs[names]

    def _played(self, names: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        sample, train = self._sample, self._fold.train
        places = tuple(sample.names.index(name) for name in names)
        volatility = float(np.nanmedian(sample.volatility[train]))
        mid = float(np.nanmedian(self._part.mid_price))
        floor = (0.05 * volatility) ** 2
        if not names:
            return replay(self._recording, self._instrument, replay_config(mid, _REPLAY_KAPPA, floor, volatility))
        weight = 1.0 / noise_factors(sample, mean_evidence(sample, train), places)
        alpha = np.array(
            [
                coefficient(sample.values[train, place], self._wanted(name)[train], weight[train, column])
                for column, (name, place) in enumerate(zip(names, places, strict=True))
            ]
        )
        moments = moments_of(sample, places, train)
        explained = explained_bps2(alpha, moments) / expected_time(_REPLAY_KAPPA) ** 2
        stationary = max(floor, _REPLAY_RATIO * explained / MAX_GAIN)
        config = replay_config(mid, _REPLAY_KAPPA, stationary, volatility)
        mapping = map_features(alpha, moments, _REPLAY_KAPPA, stationary)
        drift, variance = fused_features(self._part, places, mapping, _REPLAY_KAPPA, stationary)
        engine = hypermm.QuoteEngine(self._instrument, config)
        strategy = FusedFeatures(engine, self._part.time_ns, drift, variance)
        return replay(self._recording, self._instrument, config, strategy)

    def _wanted(self, name: str) -> Floats:
        """What a feature is fitted to, as by the gate: the engine it is replayed in hears the price already."""
        if not name.startswith(RESIDUAL_PREFIXES):
            return self._sample.target_bps
        if self._residual is None:
            self._residual = residual_of_fold(self._sample, self._fold)
        return self._residual
