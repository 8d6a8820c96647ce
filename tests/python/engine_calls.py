"""An engine with a little history, and one good call for every method that changes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from hypermm import EngineConfig, Instrument, OrderStatus, QuoteEngine, Side

T0 = 1_756_900_000_000_000_000
SECOND = 1_000_000_000
INSTRUMENT = Instrument("ETH", 4, 25)
CONFIG = EngineConfig(max_position=2.0)
BIDS = np.round(4400.0 - 0.1 * np.arange(20), 1)
ASKS = np.round(4400.1 + 0.1 * np.arange(20), 1)
ONES = np.ones(20)


def engine_with_history(config: EngineConfig = CONFIG) -> QuoteEngine:
    engine = QuoteEngine(INSTRUMENT, config)
    engine.on_book(T0, BIDS, ONES, ASKS, ONES)
    engine.on_trade(T0 + 1, 4400.1, 0.5, Side.BUY)
    engine.on_order(T0 + 2, "first", OrderStatus.OPEN, Side.BUY, 4399.0, 0.2)
    engine.on_fill(T0 + 3, Side.BUY, 4399.0, 0.1, order_id="first", fill_id=1)
    engine.on_context(T0 + 4, mark_price=4400.0, funding_rate=1e-5)
    return engine


def later(engine: QuoteEngine) -> list[Any]:
    """What an engine answers over the next half minute of a fixed market."""
    answers = []
    for step in range(1, 31):
        now = T0 + step * SECOND
        shift = 0.1 * (step % 7 - 3)
        engine.on_book(now, np.round(BIDS + shift, 1), ONES, np.round(ASKS + shift, 1), ONES)
        engine.on_trade(now, round(float(ASKS[0] + shift), 1), 0.3, Side.BUY if step % 3 else Side.SELL)
        answers.append(engine.quote(now))
    return [*answers, engine.snapshot()]


# One good call for every method that changes the engine, by name and arguments.
CALLS: dict[str, dict[str, Any]] = {
    "on_book": {"time_ns": T0 + 9, "bid_prices": BIDS, "bid_sizes": ONES, "ask_prices": ASKS, "ask_sizes": ONES},
    "on_best": {"time_ns": T0 + 9, "bid_price": 4400.0, "bid_size": 1.0, "ask_price": 4400.1, "ask_size": 1.0},
    "on_trade": {"time_ns": T0 + 9, "price": 4400.0, "size": 1.0, "aggressor": Side.SELL},
    "on_trades": {
        "times": [T0 + 9, T0 + 10],
        "prices": [4400.0, 4400.1],
        "sizes": [1.0, 2.0],
        "aggressors": [Side.SELL, Side.BUY],
    },
    "on_context": {"time_ns": T0 + 9, "mark_price": 4400.0, "oracle_price": 4400.0, "funding_rate": 1e-5},
    "on_order": {
        "time_ns": T0 + 9,
        "order_id": 5,
        "status": OrderStatus.OPEN,
        "side": Side.SELL,
        "price": 4402.0,
        "remaining_size": 0.1,
    },
    "on_fill": {"time_ns": T0 + 9, "side": Side.SELL, "price": 4402.0, "size": 0.1},
    "on_position": {"time_ns": T0 + 9, "position": 0.5},
    "on_quota": {"time_ns": T0 + 9, "requests_remaining": 100.0, "requests_last_day": 50.0},
    "observe": {"time_ns": T0 + 9, "drift_bps_per_s": 0.1, "variance": 1.0},
}
