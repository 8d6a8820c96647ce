"""What the engine reports of itself: trend, flow windows, regimes, innovation statistics."""

from __future__ import annotations

import numpy as np

import hypermm
from hypermm import EngineConfig, Instrument, QuoteEngine, Side

SECOND = 1_000_000_000
START = 1_757_015_216 * SECOND


def driven(mids: np.ndarray) -> QuoteEngine:
    """An engine that saw one best bid and offer a second, 0.2 apart, around each mid."""
    engine = QuoteEngine(Instrument("ETH", 4, 25), EngineConfig())
    for second, mid in enumerate(mids):
        low = round(float(mid), 1)
        engine.on_best(START + second * SECOND, low - 0.1, 1.0, low + 0.1, 1.0)
    return engine


def test_rising_market_is_a_bullish_trend_on_all_horizons() -> None:
    readings = driven(4000.0 + 0.5 * np.arange(400)).estimates()
    assert readings["trend_agreement"] == 1.0
    assert readings["trend_continuation"] > 0.9
    assert readings["trend_score"] > 0.0
    for seconds in (10, 60, 300):
        expected = np.log(4199.5 / (4199.5 - 0.5 * seconds)) * 1e4
        assert abs(readings[f"trend_{seconds}s_bps"] / expected - 1.0) < 0.02
    assert readings["drift_bps_per_s"] > 0.0


def test_falling_market_is_the_mirror_of_a_rising_one() -> None:
    rising = driven(4000.0 * np.exp(1e-4 * np.arange(400))).estimates()
    falling = driven(4000.0 * np.exp(-1e-4 * np.arange(400))).estimates()
    assert falling["trend_score"] < 0.0 < rising["trend_score"]
    assert abs(rising["trend_60s_bps"] + falling["trend_60s_bps"]) < 1.0
    assert falling["drift_bps_per_s"] < 0.0


def test_alternating_market_does_not_continue() -> None:
    seconds = np.arange(1200)
    readings = driven(4000.0 + np.where(seconds // 10 % 2 == 0, 0.0, 5.0)).estimates()
    print(f"continuation of a market that turns every 10 s: {readings['trend_continuation']:.3f}")
    assert readings["trend_continuation"] < 0.1


def test_what_is_not_learned_yet_is_zero() -> None:
    readings = driven(np.full(10, 4000.0)).estimates()
    assert [readings[f"regime_{name}"] for name in ("quiet", "normal", "volatile", "cascade")] == [0.0] * 4
    assert readings["log_risk_aversion_shift"] == 0.0


def test_flow_windows_tell_sellers_from_buyers() -> None:
    engine = driven(np.full(100, 4000.0))
    for second in range(60):
        engine.on_trade(START + (100 + second) * SECOND, 3999.9, 1.0, Side.SELL)
    readings = engine.estimates()
    imbalances = [readings[f"flow_imbalance_{window}s"] for window in (5, 30, 120, 300)]
    print(f"imbalance after a minute of sells at 5, 30, 120, 300 s: {np.round(imbalances, 3)}")
    assert all(0.0 < value <= 1.0 for value in imbalances)
    assert readings["bid_toxicity"] > 0.0 == readings["ask_toxicity"]


def test_innovations_are_kept_by_source() -> None:
    rng = np.random.default_rng(7)
    mids = 4000.0 * np.exp(np.cumsum(rng.normal(0.0, 1.5e-4, 3600)))
    engine = driven(mids)
    engine.observe(START + 3600 * SECOND, 0.01, 1.0, name="mine")
    sources = engine.innovations
    assert sources["mine"]["count"] == 1
    assert sources["price"]["count"] > 700
    print(f"price returns of a random walk: NIS {sources['price']['nis']:.3f}")
    assert 0.85 < sources["price"]["nis"] < 1.15
    assert sources["fill"]["count"] == 0


def test_readings_are_finite_before_any_event() -> None:
    readings = QuoteEngine(Instrument("ETH", 4, 25), EngineConfig()).estimates()
    assert all(np.isfinite(value) for value in readings.values())
    assert hypermm.QuoteEngine.estimates.__doc__
