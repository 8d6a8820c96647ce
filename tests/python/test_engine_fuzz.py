"""No history of legal events, however strange, brings about an unusable, crossed or oversized quote."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import hypermm
from scenes import at

SIDES = st.sampled_from([hypermm.Side.BUY, hypermm.Side.SELL])
STATUSES = st.sampled_from(list(hypermm.OrderStatus))
KEEPABLE = {hypermm.OrderStatus.PENDING, hypermm.OrderStatus.OPEN}
KINDS = (
    "book",
    "book",
    "best",
    "one_sided",
    "crossed",
    "trade",
    "trade",
    "observe",
    "context",
    "order",
    "fill",
    "position",
    "quota",
)


@dataclass
class Teller:
    """Sends drawn events to an engine; one method per kind of event."""

    draw: st.DrawFn
    engine: hypermm.QuoteEngine
    mid: float
    seconds: float = 0.0
    touch: tuple[float, float] = (0.0, math.inf)

    @property
    def now(self) -> int:
        """Time of the event, ns."""
        return at(self.seconds)

    @property
    def cap(self) -> float:
        """The user's cap, contracts."""
        return float(self.engine.config.max_position)

    def number(self, low: float, high: float) -> float:
        """A float in the range."""
        return float(self.draw(st.floats(low, high)))

    def price(self, bps: float, side: hypermm.Side) -> float:
        """A valid price so far from the last mid."""
        instrument = self.engine.instrument
        lowest = 4.0 * instrument.price_increment_at(self.mid)
        return float(instrument.round_price(max(self.mid * (1.0 + bps * 1e-4), lowest), side))

    def size(self, share: float) -> float:
        """A whole number of lots, at least one."""
        instrument = self.engine.instrument
        return float(max(instrument.round_size(share * self.cap), 10.0**-instrument.size_decimals))

    def quotes(self) -> tuple[float, float, float, float]:
        """Best bid, its size, best ask, its size after a move of mid."""
        instrument = self.engine.instrument
        self.mid *= math.exp(self.number(-0.02, 0.02))
        assume(self.mid > 20.0 * instrument.price_increment_at(self.mid))
        half = self.number(0.0, 300.0)
        bid, ask = self.price(-half, hypermm.Side.BUY), self.price(half, hypermm.Side.SELL)
        if ask <= bid:
            ask = instrument.round_price(bid + 0.5 * instrument.price_increment_at(bid), hypermm.Side.SELL)
        return bid, self.size(self.number(0.0, 10.0)), ask, self.size(self.number(0.0, 10.0))

    def book(self) -> None:
        bid, bid_size, ask, ask_size = self.quotes()
        self.engine.on_book(self.now, [bid], [bid_size], [ask], [ask_size])
        self.touch = (bid, ask)

    def best(self) -> None:
        bid, bid_size, ask, ask_size = self.quotes()
        self.engine.on_best(self.now, bid, bid_size, ask, ask_size)
        self.touch = (bid, ask)

    def one_sided(self) -> None:
        bid, bid_size, ask, ask_size = self.quotes()
        if self.draw(st.booleans()):
            self.engine.on_best(self.now, bid, bid_size, None, None)
        else:
            self.engine.on_best(self.now, None, None, ask, ask_size)

    def crossed(self) -> None:
        bid, bid_size, ask, ask_size = self.quotes()
        self.engine.on_best(self.now, ask, bid_size, bid, ask_size)

    def trade(self) -> None:
        side = self.draw(SIDES)
        self.engine.on_trade(self.now, self.price(self.number(-500.0, 500.0), side), self.size(self.number(0, 5)), side)

    def observe(self) -> None:
        self.engine.observe(self.now, self.number(-50.0, 50.0), self.number(1e-6, 1e4))

    def context(self) -> None:
        settlement = at(self.seconds + self.number(1.0, 3600.0))
        self.engine.on_context(self.now, funding_rate=self.number(-0.01, 0.01), next_settlement_ns=settlement)

    def order(self) -> None:
        side = self.draw(SIDES)
        name = 10 * self.draw(st.integers(1, 6)) + (side == hypermm.Side.BUY)
        price, size = self.price(self.number(-100.0, 100.0), side), self.size(self.number(0.0, 1.0))
        self.engine.on_order(self.now, int(name), self.draw(STATUSES), side, price, size)

    def fill(self) -> None:
        side = self.draw(SIDES)
        self.engine.on_fill(
            self.now, side, self.price(self.number(-50.0, 50.0), side), self.size(self.number(0.0, 1.0))
        )

    def position(self) -> None:
        self.engine.on_position(self.now, self.size(self.number(0.0, 3.0)) * self.draw(st.sampled_from([-1.0, 1.0])))

    def quota(self) -> None:
        self.engine.on_quota(self.now, self.number(0.0, 1e6), self.number(0.0, 1e6))


@st.composite
def histories(draw: st.DrawFn) -> tuple[hypermm.QuoteEngine, int, tuple[float, float]]:
    """An engine after any legal history, the time to quote at, and the best prices of its last sound book."""
    decimals = draw(st.integers(0, 5))
    instrument = hypermm.Instrument("ANY", decimals, 20, min_notional=draw(st.sampled_from([0.0, 10.0, 500.0])))
    price = math.exp(draw(st.floats(math.log(10.0 ** (decimals - 3)), math.log(2e5))))
    lots = max(1, round(math.exp(draw(st.floats(math.log(30.0), math.log(1e6)))) / price * 10.0**decimals))
    config = hypermm.EngineConfig(
        max_position=lots * 10.0**-decimals,
        risk_aversion=draw(st.floats(1e-4, 1.0)),
        inventory_curvature=draw(st.sampled_from([0.0, 4.0, 100.0])),
        levels=draw(st.integers(1, 32)),
        volatility=draw(st.floats(0.01, 100.0)),
        depth_decay=draw(st.floats(1e-3, 50.0)),
        arrival_rate=draw(st.floats(1e-3, 100.0)),
        terminal_penalty=draw(st.booleans()),
        maker_fee_bps=draw(st.sampled_from([-2.0, 0.0, 1.5])),
    )
    teller = Teller(draw, hypermm.QuoteEngine(instrument, config), price)
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=25)):
        teller.seconds += draw(st.sampled_from([0.0, 0.01, 0.5, 3.0, 30.0, 4000.0]))
        getattr(teller, kind)()
    if draw(st.sampled_from([True, True, True, False])):
        teller.book()
    return teller.engine, at(teller.seconds + draw(st.sampled_from([0.0, 0.3]))), teller.touch


def check_numbers(decision: hypermm.Decision) -> None:
    """Nothing but finite numbers anywhere."""
    numbers = [decision.mid_price, decision.reservation_price, decision.target_inventory]
    numbers += [decision.drift_bps_per_s, decision.drift_variance]
    for side in (decision.bids, decision.asks):
        for column in (side.prices, side.sizes, side.depth_bps, side.fill_probability):
            numbers += column.tolist()
        numbers += side.expected_edge_bps.tolist() + side.expected_pnl_bps.tolist()
    assert all(math.isfinite(number) for number in numbers)


def check_side(engine: hypermm.QuoteEngine, decision: hypermm.Decision, order_side: hypermm.Side) -> None:
    """Order of prices, grid, lots, explanation, and the cap with every live order counted."""
    instrument, cap = engine.instrument, engine.config.max_position
    buying = order_side == hypermm.Side.BUY
    side, name, sign = (decision.bids, "bid", 1.0) if buying else (decision.asks, "ask", -1.0)
    assert (np.diff(side.prices) * sign < 0.0).all()
    assert ((side.fill_probability > 0.0) & (side.fill_probability <= 1.0)).all()
    live = [order for order in engine.open_orders if order.side == order_side]
    added = 0.0
    for level, (price, size) in enumerate(zip(side.prices.tolist(), side.sizes.tolist(), strict=True)):
        assert instrument.round_price(price, order_side) == price
        assert instrument.round_size(size) == pytest.approx(size, rel=1e-12)
        assert size > 0.0
        added += max(0.0, size - sum(o.remaining_size for o in live if o.price == price and o.status in KEEPABLE))
        terms = dict(decision.explain(level)[name])
        assert terms.pop("price") == pytest.approx(decision.mid_price * (1.0 + 1e-4 * sum(terms.values())), rel=1e-9)
    if added > 0.0:
        most = cap + 0.5 * 10.0**-instrument.size_decimals
        assert sign * engine.position + sum(order.remaining_size for order in live) + added <= most


def check_decision(engine: hypermm.QuoteEngine, time_ns: int, touch: tuple[float, float]) -> None:
    """Asserts what must hold of any decision."""
    decision = engine.quote(time_ns)
    assert engine.quote(time_ns) == decision
    check_numbers(decision)
    if decision.status != hypermm.QuoteStatus.QUOTING:
        assert len(decision.bids) == len(decision.asks) == 0
        return
    check_side(engine, decision, hypermm.Side.BUY)
    check_side(engine, decision, hypermm.Side.SELL)
    assert touch[0] < touch[1]
    assert all(decision.bids.prices < touch[1])
    assert all(decision.asks.prices > touch[0])
    if len(decision.bids) and len(decision.asks):
        assert decision.bids.prices[0] < decision.asks.prices[0]


@given(histories())
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_history_gives_finite_uncrossed_quotes_within_the_cap(
    history: tuple[hypermm.QuoteEngine, int, tuple[float, float]],
) -> None:
    """Books, trades, signals, funding, orders in any state, fills, positions beyond the cap, quota.

    300 histories, the same every time; 10,000 fresh ones below.
    """
    check_decision(*history)


@pytest.mark.verify
@given(histories())
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_histories_give_finite_uncrossed_quotes_within_the_cap(
    history: tuple[hypermm.QuoteEngine, int, tuple[float, float]],
) -> None:
    """The same law at length, from fresh random histories."""
    check_decision(*history)
