"""a₀ and κ_tail from aggressor events: planted ones are found, none is invented, and readings are the engine's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import hypermm
from hypermm.config.calibration import AdverseSelectionFit, Gates, VolatilityUse
from hypermm.recording import Recording
from hypermm.research.calibration.adverse_selection import (
    MIN_EVENTS,
    AggressorEvents,
    aggressor_events,
    fit_adverse_selection,
    joined,
)
from hypermm.research.calibration.calibrate import Source, pipeline_settings
from hypermm.research.calibration.folds import Fold
from hypermm.research.calibration.sample import Sample, make_sample

ETH = hypermm.Instrument("ETH", 4, 25)
SECOND = 10**9
LAGS = 20
LEVEL = VolatilityUse(ratio_exponent=0.0, informed_volatility=0.0, log_score_gain=0.0, log_score_error=0.0)


def persistent(rng: np.random.Generator, rows: int, memory_rows: float) -> np.ndarray:
    """A standard Gaussian of each row that remembers."""
    from scipy.signal import lfilter

    keep = np.exp(-1.0 / memory_rows)
    fresh = np.sqrt(1.0 - keep**2) * rng.standard_normal(rows)
    fresh[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -keep], fresh)


def tape(seed: int, ratio: float, tail: float, rows: int = 14_400) -> tuple[AggressorEvents, tuple[Fold, ...]]:
    """Two hours of events whose 10 s moves overlap: toxicity of 120 s, kurtosis of 300 s, b_s of 0.4 and 0.2 bps."""
    rng = np.random.default_rng(seed)
    returns = np.convolve(rng.standard_normal(rows + LAGS), np.ones(LAGS))[LAGS : rows + LAGS] * np.sqrt(0.5)
    leaning = persistent(rng, rows, 240.0)
    volatility = np.exp(0.3 * persistent(rng, rows, 600.0))
    heavy = np.clip(3.0 + 4.0 * persistent(rng, rows, 600.0), 0.0, 10.0)
    row = np.sort(rng.choice(rows, 3_000))
    bid = rng.random(len(row)) < 0.5 + 0.2 * np.tanh(leaning[row])
    toxicity = np.clip(np.where(bid, leaning[row], -leaning[row]) / 2.0, 0.0, 1.0)
    diffusion = toxicity * volatility[row] * np.sqrt(10.0)
    charge = ratio * diffusion * (1.0 + tail * heavy[row])
    adverse = charge + np.where(bid, 0.4, 0.2) + np.where(bid, -1.0, 1.0) * volatility[row] * returns[row]
    place = np.arange(rows)
    folds = tuple(
        Fold(place + 2 * LAGS <= begin, (place >= begin) & (place < end))
        for begin, end in pairwise(np.linspace(0, rows, 7).round().astype(int)[1:])
    )
    return AggressorEvents(row, bid, adverse, diffusion, heavy[row]), folds


def found(seed: int, ratio: float, tail: float) -> AdverseSelectionFit:
    events, folds = tape(seed, ratio, tail)
    return fit_adverse_selection(events, folds, LAGS, Gates())


def recover(seeds: range) -> dict[str, np.ndarray]:
    """Errors in units of the stated error, of those that were admitted."""
    fits = [found(seed, 0.8, 0.4) for seed in seeds]
    pairs = {"a0": [(fit.ratio, 0.8) for fit in fits], "kappa_tail": [(fit.tail_factor, 0.4) for fit in fits]}
    return {
        name: np.array([(one.value - truth) / one.error for one, truth in verdicts if one.value is not None])
        for name, verdicts in pairs.items()
    }


def refused(seeds: range) -> dict[str, float]:
    """Shares of seeds that admit nothing: a₀ where it is 0, κ_tail where it is 0 beside an a₀ of 0.5 or of 0."""
    without, plain = ([found(seed, ratio, 0.0) for seed in seeds] for ratio in (0.0, 0.5))
    return {
        "a0": float(np.mean([fit.ratio.value is None for fit in without])),
        "kappa_tail": float(np.mean([fit.tail_factor.value is None for fit in plain])),
        "kappa_tail without a0": float(np.mean([fit.tail_factor.value is None for fit in without])),
    }


def test_planted_coefficients_are_found_within_their_errors() -> None:
    """Kills: κ_tail that is a₀·κ_tail, errors by events as if none shared a move, b_s counted to a₀."""
    for z in recover(range(1_000, 1_010)).values():
        assert len(z) >= 9
        assert np.abs(z).max() < 4.0
        assert abs(z.mean()) < 1.0


def test_an_effect_of_zero_is_refused() -> None:
    """Kills: a gate in the data of the fit, Clark–West t by events as if none shared a move."""
    assert min(refused(range(2_000, 2_020)).values()) >= 0.9


@pytest.mark.verify
def test_planted_coefficients_and_none_over_many_seeds() -> None:
    """Kills: errors that are not those of many draws, a gate that admits chance."""
    for name, z in recover(range(3_000, 3_400)).items():
        print(f"{name}: admitted {len(z)} of 400, z {z.mean():+.2f} mean, {z.std():.2f} deviation")
        assert len(z) >= 380
        assert abs(z.mean()) < 0.4
        assert 0.8 < z.std() < 1.35
    shares = refused(range(4_000, 4_400))
    print(f"refused where there is none: {shares}")
    assert min(shares.values()) >= 0.95


def test_the_default_stays_where_there_are_too_few_events() -> None:
    """Kills: a verdict on a handful of events, one that does not say why."""
    events, folds = tape(1, 0.8, 0.4)
    few = AggressorEvents(*(column[: MIN_EVENTS - 1] for column in events))
    fit = fit_adverse_selection(few, folds, LAGS, Gates())
    assert (fit.ratio.state, fit.tail_factor.value) == ("not_measured", None)
    assert "199 aggressor events, 200 needed" in fit.tail_factor.summary
    nothing = AggressorEvents(*(np.zeros_like(column) for column in events[:-1]), events.kurtosis)
    silent = fit_adverse_selection(nothing, folds, LAGS, Gates())
    assert (silent.ratio.value, silent.ratio.error, silent.tail_factor.error) == (None, None, None)


def recorded() -> tuple[Recording, Sample]:
    """A quarter of an hour whose venue times are rounded down to 200 ms, so that books and prints share them."""
    columns = hypermm.synthetic_session(4, 900.0)
    coarse = {name: column // (SECOND // 5) * (SECOND // 5) for name, column in columns.items() if "exchange" in name}
    recording = Recording.from_columns("ETH", columns | coarse)
    settings = pipeline_settings([Source("a", recording)], [])
    return recording, make_sample(recording, ETH, settings)


def test_readings_are_those_the_engine_quotes_with() -> None:
    """Kills: toxicity of the other side, of another window, with the event in it; σ_eff without its factors."""
    recording, sample = recorded()
    default = VolatilityUse(ratio_exponent=None, informed_volatility=None, log_score_gain=0.0, log_score_error=0.0)
    events = aggressor_events(recording, sample, np.zeros(len(sample)), default)
    wanted = np.unique(sample.time_ns[events.row]).tolist()
    heard: dict[int, dict[str, float]] = {}

    class Listener:
        """Notes what an engine has learned when the rows of the events come."""

        def __init__(self) -> None:
            self.engine = hypermm.QuoteEngine(ETH, hypermm.EngineConfig())

        def on_event(self, event: hypermm.Event) -> None:
            while len(heard) < len(wanted) and wanted[len(heard)] < event.time_ns:
                heard[wanted[len(heard)]] = self.engine.estimates()
            event.apply(self.engine)

        def quote(self, time_ns: int) -> None:
            return None

    hypermm.backtest(recording, ETH, hypermm.EngineConfig(), strategy=Listener())
    known = [heard[time] for time in sample.time_ns[events.row].tolist()]
    side = np.where(events.bid, "bid_toxicity", "ask_toxicity")
    toxicity = np.array([one[name] for one, name in zip(known, side, strict=True)])
    volatility = np.array([one["effective_volatility"] for one in known])
    ours = events.diffusion_bps / np.sqrt(10.0)
    level = np.nan_to_num(sample.column("volatility_ratio")[events.row], nan=1.0)
    known_volatility = sample.volatility[events.row] * np.maximum(1.0, level) ** 0.5
    # σ of the sample is of its grid's mids, the engine's of one a second.
    np.testing.assert_allclose(known_volatility, volatility, rtol=0.05)
    np.testing.assert_allclose(ours / known_volatility, toxicity, atol=5e-4)
    np.testing.assert_allclose(events.kurtosis, [one["excess_kurtosis"] for one in known], atol=1e-12)
    assert toxicity.max() > 0.05
    assert (toxicity > 0.0).sum() > 100


def test_the_move_is_of_mids_by_venue_time() -> None:
    """Kills: a mid of the event's own time taken for one before it, receive times, a sign, prints counted as events."""
    recording, sample = recorded()
    forecast = np.linspace(-1.0, 1.0, len(sample))
    events = joined([aggressor_events(recording, sample, forecast, LEVEL, segment) for segment in (0, 1)])
    prints = set(zip(recording.trade_exchange_time_ns.tolist(), recording.trade_aggressor.tolist(), strict=True))
    rows = [
        (time, bid, price)
        for stream in ("book", "best")
        for time, bid, price in zip(
            getattr(recording, f"{stream}_exchange_time_ns").tolist(),
            recording.bid_prices[:, 0] if stream == "book" else recording.best_bid_price,
            recording.ask_prices[:, 0] if stream == "book" else recording.best_ask_price,
            strict=True,
        )
    ]
    by_time = {time: (bid + ask) / 2 for time, bid, ask in rows}
    moves = []
    for time, aggressor in sorted(prints):
        mids = [by_time.get(at) for at in range(time - SECOND // 5, time - 5 * SECOND - 1, -SECOND // 5)]
        later = [by_time.get(at) for at in range(time + 10 * SECOND, time + 5 * SECOND - 1, -SECOND // 5)]
        before, after = (next((mid for mid in found if mid is not None), None) for found in (mids, later))
        if before and after:
            moves.append((aggressor < 0, (1 if aggressor < 0 else -1) * -1e4 * (after - before) / before))
    shared = sum(time in by_time for time, _ in prints)
    sign = np.where(events.bid, 1.0, -1.0)
    assert shared > 100
    # The first prints come before the first row.
    tail = moves[-len(events.row) :]
    assert events.bid.tolist() == [bid for bid, _ in tail]
    np.testing.assert_allclose(events.adverse_bps - sign * forecast[events.row], [move for _, move in tail], atol=1e-9)
