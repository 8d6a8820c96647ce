"""What was expected of each fill, held against what came (section 11 of MODEL.md)."""

from __future__ import annotations

import numpy as np

import hypermm
from hypermm import EngineConfig, Instrument

INSTRUMENT = Instrument("ETH", 4, 25)
CONFIG = EngineConfig(max_position=2.0)


def session() -> hypermm.BacktestResult:
    """Twenty minutes of the synthetic market."""
    recording = hypermm.synthetic_session(3, 1200.0, instrument=INSTRUMENT)
    return hypermm.backtest(recording, INSTRUMENT, CONFIG, seed=3)


def test_a_fill_carries_what_the_last_cycle_before_it_expected() -> None:
    result = session()
    fills, decisions = result.fills, result.decisions
    compared = 0
    for row in range(len(fills["time_ns"])):
        side = "bid" if fills["side"][row] > 0 else "ask"
        # Cycles before the print, newest first; the order may have left the ladder in the last of them.
        last = np.searchsorted(decisions["time_ns"], fills["exchange_time_ns"][row], side="right") - 1
        for cycle in range(last, max(last - 8, -1), -1):
            at_price = decisions[f"{side}_prices"][cycle] == fills["price"][row]
            if at_price.any():
                level = int(np.argmax(at_price))
                assert fills["expected_edge_bps"][row] == decisions[f"{side}_expected_edge_bps"][cycle, level]
                assert fills["fill_probability"][row] == decisions[f"{side}_fill_probability"][cycle, level]
                compared += 1
                break
    known = ~np.isnan(fills["expected_edge_bps"])
    print(f"{compared} of {len(known)} fills compared, predictions known for {known.mean():.0%}")
    assert compared >= 0.9 * len(known)
    assert len(known) > 50


def test_expected_edge_is_weighted_over_the_fills_that_have_an_outcome() -> None:
    result = session()
    fills, summary = result.fills, result.summary()
    has_outcome = ~np.isnan(fills["edge_bps"][:, 3]) & ~np.isnan(fills["expected_edge_bps"])
    expected = np.average(fills["expected_edge_bps"][has_outcome], weights=fills["size"][has_outcome])
    print(f"expected edge {summary['expected_edge_bps']:+.3f} bps, realized {summary['edge_bps']:+.3f} bps")
    assert abs(summary["expected_edge_bps"] - expected) < 1e-9


def test_costs_of_each_cycle_are_logged_by_side() -> None:
    decisions = session().decisions
    quoting = decisions["status"] == 0
    assert quoting.sum() > 100
    for side in ("bid", "ask"):
        costs = decisions[f"{side}_cost_bps"][quoting]
        assert (costs >= CONFIG.maker_fee_bps).all()
        assert decisions[f"{side}_expected_pnl_bps"].shape == decisions[f"{side}_prices"].shape
