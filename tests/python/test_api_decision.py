"""A decision from Python: read-only columns that outlive the engine, pickles, and terms that sum to the price."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import hypermm
from engine_calls import ASKS, BIDS, CONFIG, INSTRUMENT, ONES, SECOND, T0, engine_with_history
from hypermm import QuoteEngine, QuoteStatus
from hypermm.exceptions import InvalidInputError, SnapshotError


def test_an_unusable_book_is_a_status_and_never_a_quote() -> None:
    engine = QuoteEngine(INSTRUMENT, CONFIG)
    assert engine.quote(T0).status is QuoteStatus.NO_BOOK
    engine.on_book(T0, BIDS, ONES, ASKS, ONES)
    assert engine.quote(T0).status is QuoteStatus.QUOTING
    stale = engine.quote(T0 + 60 * SECOND)
    assert stale.status is QuoteStatus.STALE
    engine.on_best(T0 + 1, 4400.5, 1.0, 4400.1, 1.0)
    crossed = engine.quote(T0 + 1)
    assert crossed.status is QuoteStatus.CROSSED
    for decision in (stale, crossed):
        assert not len(decision.bids)
        assert not len(decision.asks)
        assert decision.explain() == {"bid": {}, "ask": {}, "drift": {}}


COLUMNS = ("prices", "sizes", "depth_bps", "fill_probability", "expected_edge_bps", "expected_pnl_bps", "reduce_only")


def test_columns_of_a_decision_are_read_only_own_their_memory_and_are_made_once() -> None:
    decision = engine_with_history().quote(T0 + 5)
    assert decision.status is QuoteStatus.QUOTING
    for side in (decision.bids, decision.asks):
        assert len(side) > 0
        for name in COLUMNS:
            column = getattr(side, name)
            assert column.shape == (len(side),)
            assert column.dtype == (bool if name == "reduce_only" else np.float64)
            assert column.flags.owndata
            assert not column.flags.writeable
            assert getattr(side, name) is column
            with pytest.raises(ValueError, match="read-only"):
                column[0] = 1
        for index, level in enumerate(side):
            assert level == side[index]
            assert level.price == side.prices[index]
            assert level.size == side.sizes[index]
            assert all(getattr(level, name) == getattr(side, name)[index] for name in COLUMNS[2:])
        assert side[-1] == list(side)[-1]
        with pytest.raises(IndexError):
            side[len(side)]
    assert decision.bids is decision.bids
    prices = decision.bids.prices
    kept = prices.copy()
    del decision
    assert (prices == kept).all()


def test_a_kept_decision_outlives_later_quotes() -> None:
    engine = engine_with_history()
    kept = [engine.quote(T0 + 5) for _ in range(5)]
    state = [pickle.dumps(decision) for decision in kept]
    for step in range(50):
        engine.on_best(T0 + 6 + step, round(4399.0 - 0.1 * step, 1), 1.0, 4400.1, 1.0)
        engine.quote(T0 + 6 + step)
    assert [pickle.dumps(decision) for decision in kept] == state


def test_decisions_and_their_parts_pickle() -> None:
    decision = engine_with_history().quote(T0 + 5)
    for item in (decision, decision.bids, decision.asks, decision.bids[0], list(decision.asks)):
        assert pickle.loads(pickle.dumps(item)) == item
    again = pickle.loads(pickle.dumps(decision))
    assert again.explain(1) == decision.explain(1)
    assert again.bids != decision.asks
    with pytest.raises(SnapshotError):
        hypermm.Decision._from_bytes(b"x")


def test_explanation_sums_to_the_price() -> None:
    engine = engine_with_history()
    engine.observe(T0 + 5, 0.4, 0.01)
    decision = engine.quote(T0 + 5)
    worst = 0.0
    for level in range(len(decision.bids)):
        for name, side in (("bid", decision.bids), ("ask", decision.asks)):
            terms = decision.explain(level)[name]
            price = terms.pop("price")
            assert price == side.prices[level]
            assert "rest" not in terms
            total = decision.mid_price * (1.0 + 1e-4 * math.fsum(terms.values()))
            worst = max(worst, abs(total / price - 1.0))
    print(f"explanation: largest relative gap {worst:.1e}")
    assert worst < 1e-9
    assert decision.explain(31) == {"bid": {}, "ask": {}, "drift": {}}
    for wrong in (-1, 32, 1.0, True, "0"):
        with pytest.raises(InvalidInputError, match="level"):
            decision.explain(wrong)  # type: ignore[arg-type]
