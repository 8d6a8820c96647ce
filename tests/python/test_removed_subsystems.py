"""One test for every subsystem the RFC removes: what went wrong with it on Feb 19 cannot happen here."""

from __future__ import annotations

import numpy as np
import pytest

import hypermm
from scenes import (
    FINE_POSITION,
    Market,
    at,
    feb_19_market,
    fine_config,
    fine_instrument,
    spacings,
    unrounded,
    warm_engine,
)

LEVELS = 6


def place(market: Market, fraction: float) -> hypermm.Decision:
    """The decision at inventory fraction x."""
    market.engine.on_position(at(market.time_s), round(fraction * FINE_POSITION, 6))
    return market.quote()


def reservation_bps(decision: hypermm.Decision) -> float:
    """Reservation price, bps from mid."""
    return float((decision.reservation_price / decision.mid_price - 1.0) * 1e4)


def bought_down_to(decision: hypermm.Decision, price: float) -> float:
    """Contracts a sweep down to ``price`` would sell us."""
    return float(decision.bids.sizes[decision.bids.prices >= price].sum())


def test_quote_gate_bids_retreat_before_any_inventory_and_never_by_a_switch() -> None:
    """The gate pulled bids at half the cap, after the damage. Here a falling market empties them with no position.

    As inventory grows all bids together shrink from the first contract on, and no hundredth of the cap takes away more
    than a tenth of them.
    """
    market = feb_19_market()
    market.widen()
    calm = place(market, 0.0)
    deepest = float(calm.bids.prices[-1])
    sizes = [float(place(market, x).bids.sizes.sum()) / FINE_POSITION for x in np.linspace(0.0, 1.0, 101)]
    largest = float(-np.diff(sizes).min())
    place(market, 0.0)
    market.engine.observe(at(market.time_s), -1.0, 1e-6)
    falling = market.quote()
    left = bought_down_to(falling, deepest) / FINE_POSITION
    print(
        f"all bids: {sizes[0]:.3f} of the cap when flat, {sizes[10]:.3f} at x 0.1, {sizes[25]:.3f} at 0.25, "
        f"{sizes[50]:.3f} at 0.5, largest step {largest:.4f}; flat in a fall of 1 bp/s {left:.3f} over the calm ladder"
    )
    assert sizes[0] > 0.05
    assert sizes[20] < sizes[10] < sizes[0]
    assert (np.diff(sizes) <= 1e-9).all()
    assert largest < 0.1 * sizes[0]
    assert left == 0.0
    assert len(falling.asks) > 0


def test_position_zones_nothing_happens_at_their_boundaries() -> None:
    """Prices and sizes bend no more at 0.4, 0.5, 0.6 and 0.8 of the cap than between: one smooth curve."""
    market = warm_engine()
    x = np.linspace(0.3, 0.9, 601)
    gaps = spacings(market.engine.config, LEVELS)
    rows = []
    for fraction in x:
        decision = place(market, float(fraction))
        rows.append([*unrounded(decision, "ask", LEVELS, gaps).offsets_bps, reservation_bps(decision)])
    bends = np.abs(np.diff(np.array(rows), 2, axis=0))
    steps = np.abs(np.diff(np.array(rows), axis=0))
    at_boundary = np.isin(np.round(x[1:-1], 3), np.round([0.4, 0.5, 0.6, 0.8], 3))
    ratio = float((np.nanmax(bends[at_boundary], axis=0) / np.nanmax(bends[~at_boundary], axis=0)).max())
    print(f"largest bend at the old boundaries over the largest elsewhere: {ratio:.3f}")
    assert at_boundary.sum() == 4
    assert ratio < 1.05
    assert np.nanmax(bends) < 0.05 * np.nanmax(steps)


def test_drift_cap_the_shift_grows_with_the_drift_without_limit() -> None:
    """±3 bps was the old cap. From 0.01 to 10 bps/s the shift per unit drift is one constant."""
    per_unit, moved = [], []
    for drift in (-0.01, -0.1, -0.5, -1.0, -10.0, 10.0):
        market = warm_engine()
        market.engine.observe(at(market.time_s), 0.0, 1e-9)
        before = reservation_bps(market.quote())
        market.engine.observe(at(market.time_s), drift, 1e-12)
        decision = market.quote()
        per_unit.append((reservation_bps(decision) - before) / decision.drift_bps_per_s)
        # The quotes move with the reservation price, not only a number beside them.
        if drift < 0.0:
            ladder = unrounded(decision, "ask", LEVELS, spacings(market.engine.config, LEVELS))
            moved.append(ladder.offsets_bps[0] - reservation_bps(decision))
    shift = 10.0 * per_unit[-1]
    print(f"shift per bps/s of drift: {np.min(per_unit):.3f} to {np.max(per_unit):.3f} s; at 10 bps/s {shift:.1f} bps")
    assert np.ptp(per_unit) < 1e-3 * np.mean(per_unit)
    assert np.ptp(moved) < 1e-3
    assert shift > 50.0


@pytest.mark.parametrize("fraction", [-0.9, -0.3, 0.0, 0.3, 0.9])
def test_signal_weight_drift_reaches_the_quotes_at_every_position(fraction: float) -> None:
    """The old weight stood at 0.000. Here one bps/s of drift moves both quotes by the same amount at any inventory."""
    moved = []
    for position in (0.0, fraction):
        market = warm_engine()
        # Known to a hair first: what the drift's own uncertainty adds to the inventory penalty stays the same.
        market.engine.observe(at(market.time_s), 0.0, 1e-12)
        before = place(market, position)
        market.engine.observe(at(market.time_s), before.drift_bps_per_s - 0.2, 1e-15)
        after = market.quote()
        moved.append(
            (reservation_bps(after) - reservation_bps(before)) / (after.drift_bps_per_s - before.drift_bps_per_s)
        )
    print(f"x {fraction}: {moved[1]:.4f} bps per bps/s of drift, flat {moved[0]:.4f}")
    assert moved[0] > 1.0
    assert moved[1] == pytest.approx(moved[0], rel=5e-3)


def test_smoothed_drift_the_first_observation_moves_the_first_quote() -> None:
    """It never warmed up. Here a signal one nanosecond after the first book moves the quotes by its full gain."""
    engine = hypermm.QuoteEngine(fine_instrument(), fine_config())
    market = Market(engine)
    market.show()
    before = market.quote()
    assert before.drift_bps_per_s == 0.0
    prior = before.drift_variance
    engine.observe(at(0.0) + 1, -0.5, prior)
    after = engine.quote(at(0.0) + 1)
    print(f"first observation: drift {after.drift_bps_per_s:.4f} of an observed −0.5, prior gain one half")
    assert after.drift_bps_per_s == pytest.approx(-0.25, rel=1e-6)
    assert reservation_bps(after) < reservation_bps(before) - 0.5


def test_toxicity_multiplier_one_sided_selling_moves_prices_and_empties_what_stood_there() -> None:
    """3 to 17 % off every size while ladders were swept. Here bids leave the prices where they stood.

    Two markets with one price path: in the last two minutes one is only sold to, at the rate the other trades at.
    """
    quotes = {}
    for name, sell_rate, buy_rate in (("balanced", 0.2, 0.2), ("sold", 0.4, 0.0)):
        market = feb_19_market()
        market.run(120.0, volatility=1.7, sell_rate=0.2, buy_rate=0.2)
        market.rng = np.random.default_rng(9)
        flow = np.random.default_rng(10)
        for _ in range(240):
            market.run(0.5, volatility=1.7, sell_rate=0.0, buy_rate=0.0)
            for side, rate in ((hypermm.Side.SELL, sell_rate), (hypermm.Side.BUY, buy_rate)):
                if flow.random() < 0.5 * rate:
                    market.trade(side, 0.5 + flow.exponential(4.0))
        market.widen()
        quotes[name] = market.quote()
    calm, toxic = quotes["balanced"], quotes["sold"]
    lower = float(toxic.bids.depth_bps[0] - calm.bids.depth_bps[0])
    cost = -toxic.explain()["bid"]["adverse_selection"]
    swept = [float(q.bids.sizes[q.bids.depth_bps <= calm.bids.depth_bps[2] + 1e-6].sum()) for q in (calm, toxic)]
    print(
        f"only sold to: adverse selection {cost:.2f} bps, best bid {lower:.2f} bps lower; a sweep to where the third "
        f"bid stood sells us {swept[1] / swept[0]:.2f} of what it did"
    )
    assert cost > 1.0
    assert toxic.explain()["ask"]["adverse_selection"] == 0.0
    assert lower > 2.0
    assert swept[1] < 0.5 * swept[0]


def test_pre_fill_multipliers_costs_add_bps_and_multiply_nothing() -> None:
    """The same toxic flow adds the same bps whatever the base spread is: nothing is scaled by it."""
    added, spreads = [], []
    for aversion in (0.003, 0.1, 3.0):
        terms = []
        for ratio in (0.0, 0.5):
            market = warm_engine(seed=5, seconds=30.0, risk_aversion=aversion, adverse_selection_ratio=ratio)
            market.run(30.0, volatility=0.3, sell_rate=2.0, buy_rate=0.02)
            market.widen()
            market.engine.on_position(at(market.time_s), -0.3 * FINE_POSITION)
            terms.append(market.quote().explain()["bid"])
        changed = {name for name in terms[0] if terms[0][name] != pytest.approx(terms[1][name], abs=1e-6)}
        assert changed <= {"adverse_selection", "price", "price_increment"}
        added.append(terms[0]["adverse_selection"] - terms[1]["adverse_selection"])
        spreads.append(abs(terms[1]["half_spread"]))
    print(f"half-spreads {np.round(spreads, 2)} bps, added by toxicity {np.round(added, 4)} bps")
    assert max(spreads) > 1.3 * min(spreads)
    assert added[0] > 0.5
    assert np.ptp(added) < 1e-9
