"""Laws of the whole engine: continuity, expected PnL, explanation, signs and symmetry."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hypermm
from scenes import (
    FINE_POSITION,
    FINE_PRICE,
    Ladder,
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


def sweep(market: Market, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Prices, bps from mid before clamp and grid, and sizes over the cap, both (steps+1, 2, levels), x from −1 to 1."""
    gaps = spacings(market.engine.config, LEVELS)
    prices, sizes = np.empty((2, steps + 1, 2, LEVELS))
    for i in range(steps + 1):
        position = round((2.0 * i / steps - 1.0) * FINE_POSITION, 6)
        market.engine.on_position(at(market.time_s), position)
        decision = market.quote()
        for j, name in enumerate(("bid", "ask")):
            ladder: Ladder = unrounded(decision, name, LEVELS, gaps)
            prices[i, j] = ladder.offsets_bps
            sizes[i, j] = ladder.sizes / FINE_POSITION
    return prices, sizes


def largest_steps(values: np.ndarray, every: int) -> float:
    """Largest move between neighbours of every ``every``-th row; absent quotes do not move."""
    return float(np.nanmax(np.abs(np.diff(values[::every], axis=0))))


@pytest.mark.parametrize("state", ["calm", "falling", "one-sided flow", "half quota", "funding"])
def test_no_price_and_no_size_jumps_as_inventory_sweeps_the_range(state: str) -> None:
    """10⁴ steps from −q_max to q_max: every step a tenth of what it is at 10³ steps, so it is slope and no jump."""
    market = warm_engine()
    if state == "falling":
        market.engine.observe(at(market.time_s), -0.3, 1e-4)
    elif state == "one-sided flow":
        market.run(60.0, sell_rate=1.5, buy_rate=0.05)
        market.widen()
    elif state == "half quota":
        market.engine.on_quota(at(market.time_s), 5_000.0, 10_000.0)
    elif state == "funding":
        market.engine.on_context(at(market.time_s), funding_rate=5e-4, next_settlement_ns=at(market.time_s + 20.0))
    prices, sizes = sweep(market, 10_000)
    report = []
    for name, values in (("price, bps", prices), ("size, of the cap", sizes)):
        fine, coarse = largest_steps(values, 1), largest_steps(values, 10)
        report.append(f"{name} {fine:.1e} (coarse {coarse:.1e})")
        assert fine <= 0.15 * coarse
    print(f"{state}: largest step of 10⁴: {', '.join(report)}")
    quoted = sizes > 0.0
    assert quoted[1:-1].any(axis=2).mean() > 0.5


def penalties(market: Market, fractions: np.ndarray) -> np.ndarray:
    """R(x) in bps as the reservation price moves with inventory, everything else equal."""
    found = []
    for fraction in (0.0, *fractions):
        market.engine.on_position(at(market.time_s), round(float(fraction) * FINE_POSITION, 6))
        decision = market.quote()
        found.append((decision.reservation_price / decision.mid_price - 1.0) * 1e4)
    market.engine.on_position(at(market.time_s), 0.0)
    return found[0] - np.array(found[1:])


def test_expected_pnl_of_buying_falls_with_inventory_and_is_negative_at_half_the_cap() -> None:
    """At every bid quoted when flat: E[PnL] of one more contract there against x, drift known: 0, then −0.15 bps/s."""
    fractions = np.linspace(0.0, 1.0, 101)
    market = feb_19_market()
    market.engine.observe(at(market.time_s), 0.0, 1e-6)
    calm = market.quote()
    assert len(calm.bids) == LEVELS
    probabilities = calm.bids.fill_probability
    found = {}
    for drift in (0.0, -0.15):
        market = feb_19_market()
        market.engine.observe(at(market.time_s), drift, 1e-6)
        shift = (market.quote().reservation_price - calm.reservation_price) / calm.mid_price * 1e4
        # One more contract at a price: margin when flat, moved by what moved the reservation price, less R(x).
        margins = calm.bids.expected_pnl_bps / probabilities + shift
        found[drift] = probabilities[:, None] * (margins[:, None] - penalties(market, fractions)[None, :])
        vanish = [float(fractions[np.argmax(row < 0.0)]) for row in found[drift]]
        print(f"drift {drift}: E[PnL] at x = 0.5 {found[drift][:, 50].round(2)} bps, below zero from x = {vanish}")
    for pnl in found.values():
        assert (np.diff(pnl, axis=1) < 0.0).all()
        assert (pnl[:, 50] < 0.0).all()
    assert (found[0.0][:, 0] > 0.0).all()
    assert (found[-0.15][:, 50] < found[0.0][:, 50] - 1e-3).all()


def test_the_market_of_phase_4_is_priced_with_its_own_numbers() -> None:
    """σ 1.7, k 0.25, A 0.04: there R(0.5) is beyond the deepest margin; a BTC-like market has 3 bps against 14.

    Read out of the fill probabilities and penalties the engine shows, not out of its settings.
    """
    market = feb_19_market()
    market.engine.observe(at(market.time_s), 0.0, 1e-6)
    calm = market.quote()
    # An order that nobody precedes, alive for the prior's ten seconds.
    expected = hypermm.fill_probability(np.asarray(calm.bids.depth_bps), 1.7, 10.0, 0.04, 0.25)
    np.testing.assert_allclose(calm.bids.fill_probability, expected, rtol=1e-9)
    horizon = hypermm.InventoryRisk.horizon(1.7, 0.25, 0.25, 0.04, 0.04, 0.03)
    half = float(penalties(market, np.array([0.5]))[0])
    # A pure Brownian mid would give γNx(1 + βx²)σ²τ; what the drift may do adds to it.
    still = 0.03 * 20.0 * 0.5 * (1.0 + 4.0 * 0.25) * 1.7**2 * horizon
    deepest = float((np.asarray(calm.bids.expected_pnl_bps) / np.asarray(calm.bids.fill_probability)).max())
    print(
        f"σ 1.7, k 0.25, A 0.04: τ {horizon:.1f} s, R(0.5) {half:.1f} bps (Brownian part {still:.1f}), "
        f"deepest margin {deepest:.1f} bps"
    )
    assert still < half < 2.0 * still
    assert half > deepest


@pytest.mark.parametrize("gamma", [0.01, 0.03])
def test_price_and_target_inventory_use_the_drift_shift_judged_against_the_exact_one(gamma: float) -> None:
    """D of the standalone formula with τ and a of this market; holding the target inventory, r is mid."""
    market = feb_19_market(risk_aversion=gamma)
    market.engine.observe(at(market.time_s), 0.1, 1e-9)
    decision = market.quote()
    horizon = hypermm.InventoryRisk.horizon(1.7, 0.25, 0.25, 0.04, 0.04, gamma)
    validity, _ = hypermm.InventoryRisk.validity(1.7, 0.25, 0.04, gamma)
    drift = decision.drift_bps_per_s
    expected = hypermm.drift_shift(drift, 0.02, horizon, validity=validity)
    bare = hypermm.drift_shift(drift, 0.02, horizon)
    shown = decision.explain()["bid"]["drift"]
    print(f"γ {gamma}, a {validity:.2f}: drift {shown:.4f} bps, formula {expected:.4f}, with τ for τ_D {bare:.4f}")
    assert shown == pytest.approx(expected, rel=1e-12)
    assert abs(bare / expected - 1.0) > 0.02
    market.engine.on_position(at(market.time_s), round(decision.target_inventory, 6))
    assert market.quote().reservation_price / decision.mid_price - 1.0 == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_more_buyers_than_sellers_raise_both_quotes(direction: float) -> None:
    """Flow that lasts, every drift source and toxicity silent, mid still: both quotes move with the aggressors."""
    quotes = {}
    for lean in (0.0, direction):
        gains = dict.fromkeys(("fill_gain", "flow_gain", "funding_gain"), 0.0)
        config = fine_config(**gains, adverse_selection_ratio=0.0)
        market = Market(hypermm.QuoteEngine(fine_instrument(), config))
        for step in range(960):
            market.time_s += 0.25
            market.show()
            # Sides in turn, or five of eight events on one; all reach equally far.
            bought = lean > 0.0 if lean != 0.0 and step % 8 < 2 else step % 2 == 0
            market.trade(hypermm.Side.BUY if bought else hypermm.Side.SELL, 2.0)
        market.widen()
        quotes[lean] = market.quote()
    moved = [
        (getattr(quotes[direction], side).prices[0] - getattr(quotes[0.0], side).prices[0])
        / quotes[0.0].mid_price
        * 1e4
        for side in ("bids", "asks")
    ]
    shown = quotes[direction].explain()["bid"]["flow"]
    print(f"lean {direction:+.0f}: bid {moved[0]:+.3f} bps, ask {moved[1]:+.3f} bps, flow shift {shown:+.3f} bps")
    assert direction * shown > 0.1
    assert moved == pytest.approx([shown, shown], rel=0.05)


def test_explain_sums_to_the_price() -> None:
    """To 1e-9 relative, at every level; the grid's own term is at most one increment and never in our favour's way."""
    worst = 0.0
    for seed, instrument, price in (
        (1, fine_instrument(), FINE_PRICE),
        (2, hypermm.Instrument("ETH", 4, 25), 4321.0),
        (3, hypermm.Instrument("BTC", 5, 40), 109_755.0),
        (4, hypermm.Instrument("WLFI", 0, 5), 0.2),
    ):
        engine = hypermm.QuoteEngine(instrument, hypermm.EngineConfig(max_position=3e4 / price * 10.0))
        increment = instrument.price_increment_at(price)
        engine.on_book(at(0.0), [price - increment], [5.0], [price + increment], [5.0])
        rng = np.random.default_rng(seed)
        for step in range(40):
            engine.observe(at(step), float(rng.normal(0.0, 0.3)), 0.1)
            engine.on_book(at(step), [price - increment], [5.0], [price + increment], [5.0])
            lot = instrument.round_size(float(rng.uniform(0.0, 2e4 / price)))
            engine.on_position(at(step), lot * float(rng.choice([-1.0, 1.0])))
            decision = engine.quote(at(step))
            for name, side, sign in (("bid", decision.bids, -1.0), ("ask", decision.asks, 1.0)):
                for level in range(len(side)):
                    terms = dict(decision.explain(level)[name])
                    shown = terms.pop("price")
                    total = decision.mid_price * (1.0 + 1e-4 * sum(terms.values()))
                    worst = max(worst, abs(total / shown - 1.0))
                    grid = instrument.price_increment_at(shown) / decision.mid_price * 1e4
                    assert shown == side.prices[level]
                    assert -1e-6 <= sign * terms["price_increment"] <= grid * (1.0 + 1e-6) + 1e-6
                    assert all(math.isfinite(value) for value in terms.values())
                    if terms["post_only_clamp"] == 0.0:
                        assert not any("rest" in term or "other" in term for term in terms)
    print(f"explain against price: worst {worst:.1e} relative")
    assert worst < 1e-9


def test_positive_funding_lowers_both_quotes_and_negative_raises_them() -> None:
    """Longs pay: buying costs whether it opens a long or gives up a paid short. Drift source silenced: carry alone."""
    for position in (-0.4, 0.0, 0.4):
        shifts = {}
        for rate in (-3e-4, 0.0, 3e-4):
            market = warm_engine(funding_gain=0.0)
            market.engine.on_position(at(market.time_s), position * FINE_POSITION)
            market.engine.on_context(at(market.time_s), funding_rate=rate, next_settlement_ns=at(market.time_s + 30.0))
            decision = market.quote()
            shifts[rate] = np.array([decision.bids.prices[0], decision.asks.prices[0], decision.reservation_price])
            carry = -decision.explain()["bid"].get("funding_carry", 0.0)
            assert math.copysign(1.0, carry) == math.copysign(1.0, rate) or rate == 0.0
        assert (shifts[3e-4] < shifts[0.0]).all()
        assert (shifts[-3e-4] > shifts[0.0]).all()
        up, down = shifts[0.0] - shifts[3e-4], shifts[-3e-4] - shifts[0.0]
        assert up == pytest.approx(down, rel=1e-6)


@pytest.mark.parametrize("sign_of_position", [-1, 1])
@pytest.mark.parametrize("sign_of_funding", [-1, 1])
def test_within_two_horizons_of_settlement_quotes_move_away_from_what_pays_funding(
    sign_of_position: int, sign_of_funding: int
) -> None:
    """5 bps, as configured by default: all four combinations, and more the nearer the settlement is.

    Kills: a carry that follows the sign of the position, one that grows with the time left, one that only widens.
    """
    horizon_s = warm_engine().engine.estimates()["horizon_s"]
    moved = []
    for horizons in (2.0, 1.0, 0.25):
        tops = {}
        for rate in (0.0, sign_of_funding * 5e-4):
            market = warm_engine()
            now = at(market.time_s)
            market.engine.on_position(now, sign_of_position * 0.4 * FINE_POSITION)
            due = at(market.time_s + horizons * horizon_s)
            market.engine.on_context(now, funding_rate=rate, next_settlement_ns=due)
            decision = market.quote()
            tops[rate] = np.array([decision.bids.prices[0], decision.asks.prices[0]])
        moved.append((tops[sign_of_funding * 5e-4] / tops[0.0] - 1.0) * 1e4)
    print(
        f"position {sign_of_position:+d}, funding {sign_of_funding:+d}: bid and ask move, bps, at 2, 1, 0.25 horizons",
        moved,
    )
    # Longs pay at a positive rate: whoever is long sells more readily, whoever is short buys back less readily.
    assert all((sign_of_funding * change < 0.0).all() for change in moved)
    assert np.abs(moved[0]).max() < np.abs(moved[1]).max() < np.abs(moved[2]).max()


def isolated(source: str) -> Market:
    """An engine that hears one drift source only, its book still at one price for two minutes."""
    gains = dict.fromkeys(("fill_gain", "flow_gain", "funding_gain"), 0.0)
    if source in ("fill", "flow", "funding"):
        gains[f"{source}_gain"] = 0.3
    market = Market(hypermm.QuoteEngine(fine_instrument(), fine_config(**gains)), 3)
    market.run(120.0, volatility=0.0, sell_rate=0.0, buy_rate=0.0)
    return market


def push(market: Market, source: str, direction: float) -> None:
    """What should move the drift in ``direction``."""
    if source == "price":
        market.run(30.0, volatility=0.0, drift_bps_per_s=0.5 * direction, sell_rate=0.0, buy_rate=0.0)
    elif source == "observe":
        market.engine.observe(at(market.time_s), 0.2 * direction, 0.01)
    elif source == "flow":
        # A balanced hour of minutes first, so that the imbalance has a deviation to be standardised by.
        for i in range(240):
            market.time_s += 1.0
            market.show()
            market.trade(hypermm.Side.BUY if i % 2 else hypermm.Side.SELL, 0.5)
        for _ in range(30):
            market.time_s += 1.0
            market.show()
            market.trade(hypermm.Side.BUY if direction > 0.0 else hypermm.Side.SELL, 0.5)
    elif source == "fill":
        side = hypermm.Side.SELL if direction > 0.0 else hypermm.Side.BUY
        price = float(np.round(market.mid * (1.0 + direction * 3e-4)))
        market.engine.on_fill(at(market.time_s), side, price, 1.0)
    elif source == "funding":
        for i in range(200):
            market.time_s += 60.0
            rate = 1e-5 * (1.0 + 0.5 * math.sin(i))
            if i >= 195:
                rate -= direction * 1e-4
            market.engine.on_context(at(market.time_s), funding_rate=rate)
        market.show()


@pytest.mark.parametrize("source", ["price", "observe", "flow", "fill", "funding"])
def test_every_drift_source_is_bullish_positive(source: str) -> None:
    """Rising prices, buyers, our asks lifted, cheap funding: the drift rises; and the other way round."""
    found = {}
    for direction in (-1.0, 1.0):
        market = isolated(source)
        before = market.quote()
        push(market, source, direction)
        market.engine.on_position(at(market.time_s), 0.0)
        found[direction] = market.quote().drift_bps_per_s - before.drift_bps_per_s
    print(f"{source}: drift {found[-1.0]:+.2e} when bearish, {found[1.0]:+.2e} when bullish")
    assert found[1.0] > 0.0 > found[-1.0]


def mirrored_pair(seed: int) -> tuple[Market, Market]:
    """The same history twice, the second reflected at the mid: prices, aggressors, positions, observations, funding."""
    pair = []
    for sign in (1.0, -1.0):
        rng = np.random.default_rng(seed)
        market = Market(hypermm.QuoteEngine(fine_instrument(), fine_config()), seed)
        offset = 0.0
        for step in range(600):
            market.time_s = 0.5 * (step + 1)
            offset += float(rng.normal(0.0, 0.2))
            market.mid = FINE_PRICE * (1.0 + sign * offset * 1e-4)
            depth, bid_size, ask_size = rng.uniform(0.3, 1.0), rng.uniform(1.0, 5.0), rng.uniform(1.0, 5.0)
            sizes = (bid_size, ask_size) if sign > 0.0 else (ask_size, bid_size)
            half = depth * 1e-4 * FINE_PRICE
            market.engine.on_book(
                at(market.time_s),
                [float(np.round(market.mid - half))],
                [round(sizes[0], 6)],
                [float(np.round(market.mid + half))],
                [round(sizes[1], 6)],
            )
            if rng.random() < 0.3:
                bought = rng.random() < 0.6
                aggressor = hypermm.Side.BUY if bought == (sign > 0.0) else hypermm.Side.SELL
                market.trade(aggressor, depth + float(rng.exponential(2.0)), round(float(rng.uniform(0.1, 3.0)), 6))
            if step % 100 == 50:
                market.engine.observe(at(market.time_s), sign * float(rng.normal(0.1, 0.1)), 0.05)
                market.engine.on_context(at(market.time_s), funding_rate=sign * float(rng.normal(0.0, 1e-4)))
            if step % 150 == 149:
                side = hypermm.Side.BUY if sign > 0.0 else hypermm.Side.SELL
                market.engine.on_fill(at(market.time_s), side, float(np.round(market.mid - sign * 2.0 * half)), 400.0)
        market.widen(50.0)
        pair.append(market)
    return pair[0], pair[1]


@pytest.mark.parametrize("seed", range(4))
def test_the_mirrored_market_gets_the_mirrored_quotes(seed: int) -> None:
    """Bids of one are asks of the other, to what logarithms of mirrored prices differ by."""
    here, there = (market.quote() for market in mirrored_pair(seed))
    assert here.position == -there.position != 0.0
    assert here.drift_bps_per_s == pytest.approx(-there.drift_bps_per_s, rel=1e-2, abs=1e-5)
    for ours, theirs in ((here.bids, there.asks), (here.asks, there.bids)):
        assert len(ours) == len(theirs) > 0
        np.testing.assert_allclose(ours.depth_bps, theirs.depth_bps, rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(ours.sizes, theirs.sizes, rtol=5e-3, atol=1e-3 * FINE_POSITION)
        np.testing.assert_allclose(ours.fill_probability, theirs.fill_probability, rtol=5e-3)
