"""The engine's own estimates from books, prints and fills: right from a cold start, whatever the prior."""

from __future__ import annotations

import numpy as np
import pytest

import hypermm
from oracles.flow_process import side_flow
from scenes import FINE_PRICE, at, book_around, fine_config, fine_instrument

SEEDS = 200


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_volatility_is_within_a_fifth_after_five_minutes(factor: float) -> None:
    """In at least 85 % of 200 seeds, priors half to twice the truth, one book a second; the error's decay printed."""
    truth = 1.5
    checkpoints = (60, 120, 300)
    errors = np.empty((SEEDS, len(checkpoints)))
    instrument, config = fine_instrument(), fine_config(volatility=truth * factor)
    for seed in range(SEEDS):
        engine = hypermm.QuoteEngine(instrument, config)
        moves = np.random.default_rng(seed).normal(0.0, truth, 301)
        mids = FINE_PRICE * np.exp(1e-4 * np.cumsum(moves))
        for second, mid in enumerate(mids.tolist()):
            engine.on_best(at(second), round(mid * 0.99995), 5.0, round(mid * 1.00005), 5.0)
            if second in checkpoints:
                errors[seed, checkpoints.index(second)] = engine.estimates()["volatility"] / truth - 1.0
    shares = (np.abs(errors) <= 0.2).mean(axis=0)
    print(
        f"prior {factor} × truth: σ within 20 % in {np.round(100 * shares)} % of seeds after {checkpoints} s, "
        f"median error {np.median(np.abs(errors), axis=0).round(3)}, mean {errors.mean(axis=0).round(3)}"
    )
    assert shares[-1] >= 0.85


@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_rate_and_decay_of_the_engine_are_within_a_fifth_after_a_minute(factor: float) -> None:
    """At least 90 % of 200 seeds, each of Λ_b, Λ_a and of k_b, k_a; 3 aggressor events a second a side."""
    rate, decay = 3.0, 0.25
    hits = np.zeros((2, 2), dtype=int)
    config = fine_config(depth_decay=decay * factor, arrival_rate=rate * factor)
    instrument = fine_instrument()
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        engine = hypermm.QuoteEngine(instrument, config)
        engine.on_book(at(0.0), *book_around(FINE_PRICE, 1.0))
        events = []
        for sign, aggressor in ((-1.0, hypermm.Side.SELL), (1.0, hypermm.Side.BUY)):
            flow = side_flow(rng, rate_per_s=rate, depth_decay=decay, half_spread_bps=1.0, span_s=60.0)
            events += [
                (float(time), float(np.round(FINE_PRICE * (1.0 + sign * reach * 1e-4))), aggressor)
                for time, reach in zip(flow.times_s, flow.reaches_bps, strict=True)
            ]
        events.sort(key=lambda event: event[0])
        for time, price, aggressor in events:
            engine.on_trade(at(time), price, 1.0, aggressor)
        engine.on_book(at(60.0), *book_around(FINE_PRICE, 1.0))
        estimates = engine.estimates()
        for row, (name, truth) in enumerate((("arrival_rate", rate), ("depth_decay", decay))):
            for column, side in enumerate(("bid", "ask")):
                hits[row, column] += abs(estimates[f"{side}_{name}"] / truth - 1.0) <= 0.2
    print(f"prior {factor} × truth, 60 s: Λ within 20 % in {hits[0]}/200 seeds (bid, ask), k in {hits[1]}/200")
    assert (hits >= 0.9 * SEEDS).all()


def decay_with_own_orders(seed: int, factor: float) -> float:
    """k of the bid side after 30 minutes: truth 0.25, 0.04 events a second a side, three bids of ours in the way."""
    own_depths, own_width, span = (2.0, 4.0, 7.0), 1.5, 1800.0
    engine = hypermm.QuoteEngine(fine_instrument(), fine_config(depth_decay=0.25 * factor, arrival_rate=0.04 * factor))
    rng = np.random.default_rng(seed)
    prices = [float(np.round(FINE_PRICE * (1.0 - depth * 1e-4))) for depth in own_depths]
    flow = side_flow(
        rng,
        rate_per_s=0.04,
        depth_decay=0.25,
        half_spread_bps=1.0,
        span_s=span,
        own_depths_bps=own_depths,
        own_width_bps=own_width,
    )
    book = book_around(FINE_PRICE, 1.0)
    engine.on_book(at(0.0), *book)

    def place(time: float) -> None:
        for name, price in enumerate(prices):
            engine.on_order(at(time), name, hypermm.OrderStatus.OPEN, hypermm.Side.BUY, price, 10.0)

    place(0.0)
    shown = 0.0
    for time, reach in zip(flow.times_s.tolist(), flow.reaches_bps.tolist(), strict=True):
        while shown + 5.0 < time:
            shown += 5.0
            engine.on_book(at(shown), *book)
        hit = [index for index, depth in enumerate(own_depths) if depth <= reach]
        for index in hit:
            engine.on_trade(at(time), prices[index], 10.0, hypermm.Side.SELL)
            engine.on_fill(at(time), hypermm.Side.BUY, prices[index], 10.0, order_id=index)
        if not hit or own_depths[hit[-1]] != reach:
            worst = float(np.round(FINE_PRICE * (1.0 - reach * 1e-4)))
            engine.on_trade(at(time), worst, 3.0, hypermm.Side.SELL)
        if hit:
            engine.on_position(at(time), 0.0)
            engine.on_book(at(time), *book)
            place(time)
    return float(engine.estimates()["bid_depth_decay"])


@pytest.mark.parametrize("factor", [0.1, 0.3, 1.0, 3.0, 10.0])
def test_depth_decay_of_the_engine_is_right_with_our_own_orders_in_the_market(factor: float) -> None:
    """Mean of 200 seeds in 0.22–0.28 for a truth of 0.25: prints, our fills and orders as the venue sends them."""
    values = [decay_with_own_orders(seed, factor) for seed in range(SEEDS)]
    print(
        f"prior {factor} × truth: k {np.mean(values):.4f} ± {np.std(values) / np.sqrt(SEEDS):.4f} for a truth of 0.25"
    )
    assert 0.22 < np.mean(values) < 0.28
