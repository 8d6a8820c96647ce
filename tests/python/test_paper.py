"""One recording through paper driven from Python and through the backtest: the same orders, the same fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hypermm
from binance_feed import FEED, LOT, NAME, messages, recording

pytestmark = pytest.mark.skipif(FEED is None, reason=f"no ../{NAME} beside the repository")
INSTRUMENT = hypermm.Instrument("BTC", 3, 40, min_notional=0.001)
CONFIG = hypermm.EngineConfig(max_position=1.0, clip=10 * LOT)
LATENCY_NS = (12_000_000, 18_000_000)


class Paper:
    """The engine in a user's loop: events in, a ladder out, and a note of every order it hears of."""

    def __init__(self) -> None:
        self.engine = hypermm.QuoteEngine(INSTRUMENT, CONFIG)
        self.orders: list[tuple[Any, ...]] = []
        self.fills: list[tuple[Any, ...]] = []

    @property
    def clip(self) -> float | None:
        return self.engine.clip

    def on_event(self, event: hypermm.Event) -> None:
        if event.kind == "order":
            self.orders.append((event.time_ns, event.order_id, event.status, event.side, event.price))
        elif event.kind == "fill":
            self.fills.append((event.side, event.price, event.size, event.order_id))
        event.apply(self.engine)

    def quote(self, time_ns: int) -> hypermm.Decision:
        return self.engine.quote(time_ns)


@pytest.fixture(scope="module")
def market() -> hypermm.Recording:
    return recording(messages())


@pytest.mark.parametrize("fill_model", ["paper", "power"])
def test_paper_driven_from_python_is_the_backtest(market: hypermm.Recording, fill_model: str) -> None:
    """Kills: an event told to one and not the other, told in another order, or an order sent twice."""
    paper = Paper()
    settings: dict[str, Any] = {"fill_model": fill_model, "cycle_ns": 100_000_000, "latency": LATENCY_NS, "seed": 5}
    driven = hypermm.backtest(market, INSTRUMENT, CONFIG, strategy=paper, **settings)
    alone = hypermm.backtest(market, INSTRUMENT, CONFIG, **settings)
    for columns in ("fills", "decisions"):
        ours, theirs = getattr(driven, columns), getattr(alone, columns)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name], equal_nan=ours[name].dtype.kind == "f") for name in ours)
    told, summary = driven.summary(), alone.summary()
    speed = ("wall_s", "events_per_s")
    assert all(told[name] == summary[name] for name in told.keys() - speed)
    sent = [order for order in paper.orders if order[2] == hypermm.OrderStatus.PENDING]
    assert len(sent) == summary["orders_placed"] > 100
    assert len({order[1] for order in sent}) == len(sent)
    heard = [(side, price, size, order) for side, price, size, order in paper.fills]
    assert len(heard) == summary["fills"]
    assert np.array_equal([order for *_, order in heard], alone.fills["order_id"])
    assert np.array_equal([size for _, _, size, _ in heard], alone.fills["size"])
    print(f"\n{fill_model}: {len(sent)} orders, {len(heard)} fills, the same on both ways")
