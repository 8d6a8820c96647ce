"""Markouts and the split of profit, against cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hypermm.exceptions import InvalidInputError
from hypermm.recording import Recording
from hypermm.research.evaluate import MidPath, markout_curve, mid_path, profit_split

SECOND = 1_000_000_000
BEGIN = 1_757_000_000 * SECOND


def _path() -> MidPath:
    """100 until 5 s, 101 until 20 s, then 99 until 60 s."""
    return MidPath(BEGIN + np.array([0, 5, 20, 60], "int64") * SECOND, np.array([100.0, 101.0, 99.0, 99.0]))


def _fills() -> dict[str, Any]:
    """A buy of 2 at 99.9 at 1 s; a sell of 1 at 101.2 at 12 s."""
    return {
        "time_ns": BEGIN + np.array([1, 12], "int64") * SECOND,
        "side": np.array([1, -1], "int8"),
        "price": np.array([99.9, 101.2]),
        "size": np.array([2.0, 1.0]),
        "fee_usd": np.array([0.02, 0.01]),
        "mid_at_placement": np.array([100.0, 101.0]),
        "mid_at_fill": np.array([100.0, 101.0]),
    }


def test_mid_is_a_step_function_known_within_the_data_only() -> None:
    times = BEGIN + np.array([-1, 0, 4, 5, 59, 60, 61], "int64") * SECOND
    assert _path().at(times).tolist()[1:6] == [100.0, 100.0, 101.0, 99.0, 99.0]
    assert np.isnan(_path().at(times)[[0, 6]]).all()


def test_markout_is_the_size_weighted_move_in_our_favor() -> None:
    curve = markout_curve(_fills(), _path(), [1.0, 10.0, 50.0])
    # 10 s: the buy gains 1 of 100, the sell 2 of 101; weights 2/3 and 1/3.
    assert curve.mean_bps[1] == pytest.approx((2 * 100.0 + 1e4 * 2 / 101) / 3)
    assert curve.mean_bps[0] == 0.0
    # 50 s after the sell passes the data's end.
    assert curve.fills.tolist() == [2, 2, 1]
    assert curve.mean_bps[2] == pytest.approx(-100.0)


def test_no_fill_within_the_data_has_no_markout() -> None:
    empty = {name: values[:0] for name, values in _fills().items()}
    curve = markout_curve(empty, _path(), [10.0])
    assert np.isnan(curve.mean_bps).all()
    assert curve.fills.tolist() == [0]


def test_profit_splits_into_sources_that_sum() -> None:
    times = BEGIN + np.array([0, 1, 12, 60], "int64") * SECOND
    # Cash and position by hand: buy 2 at 99.9, sell 1 at 101.2, mid 99 at the end.
    profit = np.array([0.0, 2 * 0.1 - 0.02, 2 * 1.1 + 0.2 - 0.03, (2 * -0.9) + 2.2 - 0.03])
    equity = {"time_ns": times, "profit_usd": profit, "funding_usd": np.zeros(4)}
    split = profit_split(_fills(), equity, _path())
    assert split.spread_capture[-1] == pytest.approx(2 * 0.1 + 1 * 0.2)
    assert split.adverse_selection[-1] == pytest.approx(2 * 1.0 + 1 * 2.0)
    assert split.fees[-1] == pytest.approx(-0.03)
    total = split.spread_capture + split.adverse_selection + split.inventory + split.fees + split.funding
    assert total == pytest.approx(profit)
    assert split.inventory[-1] == pytest.approx(profit[-1] - 0.4 - 4.0 + 0.03)


def test_mid_is_the_last_word_received_and_skips_crossed_and_one_sided_rows() -> None:
    clock = BEGIN + np.array([0, 10], "int64") * SECOND
    best = BEGIN + np.array([2, 4, 6, 10], "int64") * SECOND
    recording = Recording.from_columns(
        "ETH",
        {
            "book_time_ns": clock,
            "book_exchange_time_ns": clock - SECOND,
            "bid_prices": np.array([[99.0], [98.0]]),
            "bid_sizes": np.ones((2, 1)),
            "ask_prices": np.array([[101.0], [102.0]]),
            "ask_sizes": np.ones((2, 1)),
            "best_time_ns": best,
            "best_exchange_time_ns": best - SECOND,
            "best_bid_price": np.array([99.5, 103.0, np.nan, 99.0]),
            "best_bid_size": np.array([1.0, 1.0, np.nan, 1.0]),
            "best_ask_price": np.array([101.5, 102.0, 101.0, 103.0]),
            "best_ask_size": np.ones(4),
        },
    )
    path = mid_path(recording)
    assert path.at(BEGIN + np.array([0, 2, 4, 6, 10], "int64") * SECOND).tolist() == [100.0, 100.5, 100.5, 100.5, 101.0]


def test_a_market_that_was_never_two_sided_has_no_mid() -> None:
    clock = np.array([BEGIN], "int64")
    gone = np.full((1, 1), np.nan)
    one_sided = {"bid_prices": np.ones((1, 1)), "bid_sizes": np.ones((1, 1)), "ask_prices": gone, "ask_sizes": gone}
    recording = Recording.from_columns("ETH", {"book_time_ns": clock, "book_exchange_time_ns": clock, **one_sided})
    with pytest.raises(InvalidInputError, match="both sides"):
        mid_path(recording)
