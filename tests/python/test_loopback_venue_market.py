"""The venue of the exchange on loopback: its books, prints and blocks, and what a block costs."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hypermm import MarketPreset, Side, load_recording
from hypermm._core import (
    LoopbackCoin,
    LoopbackVenue,
    VenueBest,
    VenueBlock,
    VenueFill,
    VenueTrade,
)
from hypermm.exceptions import InvalidInputError
from quiet_venue import DEX, ETH, START_NS, S, fields, order, quiet_venue, still

if TYPE_CHECKING:
    from pathlib import Path


def test_a_recording_plays_with_us_in_its_book() -> None:
    """Kills: prints that trade nothing, prints that pass an order of ours that stands before them."""
    columns = still(4000.0, ETH, 5.0)
    prints = np.array([1 + S, 1 + 2 * S])
    columns |= {
        "trade_time_ns": prints,
        "trade_exchange_time_ns": prints,
        "trade_price": np.array([4000.0, 4000.1]),
        "trade_size": np.array([1.25, 2.0]),
        "trade_aggressor": np.array([-1, 1], dtype=np.int8),
        "trade_id": np.array([1, 2], dtype=np.uint64),
    }
    venue = LoopbackVenue([LoopbackCoin(ETH, 1, recording=columns)], start_ns=START_NS)
    account = venue.open_account({"": 10_000.0})
    venue.place(account, START_NS, [order(Side.SELL, "4000.1", "0.5")])
    events = venue.advance(START_NS + 10 * S)
    trades = [(trade.price, trade.size, trade.aggressor) for trade in events if isinstance(trade, VenueTrade)]
    assert trades == [("4000.0", "1.25", Side.SELL), ("4000.1", "2.0", Side.BUY)]
    assert not [event for event in events if isinstance(event, VenueFill)], "the level's 5.0 stood before us"
    bids, asks = venue.book("ETH")
    assert (bids[0], asks[0]) == (("4000.0", "5.0", 2), ("4000.1", "5.5", 3)), "the book is as recorded again"


def test_stepping_makes_no_difference() -> None:
    """Kills: anything that depends on how often `advance` is called."""

    def play(step_ns: int) -> list[Any]:
        coins = [
            LoopbackCoin(MarketPreset("eth").instrument, 1, preset="eth"),
            LoopbackCoin(DEX, 140_002, preset="hype", dex="hyna"),
        ]
        venue = LoopbackVenue(coins, seed=5, start_ns=START_NS, answer_latency_ns=90_000_000, order_latency_ns=7)
        accounts = [venue.open_account({"": 50_000.0, "hyna": 50_000.0}) for _ in range(2)]
        told: list[Any] = []
        for turn in range(20):
            at_ns = START_NS + turn * S
            while (next_ns := venue.next_block_ns) <= at_ns and step_ns:
                told += venue.advance(min(next_ns + step_ns, at_ns))
            told += venue.advance(at_ns)
            for account, side in zip(accounts, (Side.BUY, Side.SELL), strict=True):
                best = venue.best("ETH")[0 if side is Side.BUY else 1]
                assert best is not None
                venue.place(account, at_ns, [order(side, best[0], "0.01", "good_till_canceled")])
                venue.place(account, at_ns, [order(side, "0", "0.01")])
        told += venue.advance(START_NS + 30 * S)
        return [(type(event).__name__, fields(event)) for event in told]

    at_once, in_steps = play(0), play(1)
    kinds = {name for name, _ in at_once}
    assert {"VenueAnswer", "VenueTrade", "VenueFill", "VenueOrder", "VenueBest", "VenueBlock"} <= kinds
    assert at_once == in_steps


def test_best_prices_are_told_when_they_change_and_only_then() -> None:
    """Kills: best prices told in every block, or not after the last change of a block."""
    venue = LoopbackVenue([LoopbackCoin(ETH, 1, preset="eth")], seed=1, start_ns=START_NS)
    shown: Any = None
    blocks = 0
    while blocks < 300:
        for event in venue.advance(venue.next_block_ns):
            if isinstance(event, VenueBest):
                assert (event.bid, event.ask) != shown
                shown = (event.bid, event.ask)
            elif isinstance(event, VenueBlock):
                blocks += 1
                assert event.height == blocks - 1
                assert venue.best("ETH") == shown
    assert venue.height == blocks


def test_a_block_of_two_coins_costs_well_under_5_ms() -> None:
    """Kills: a venue that cannot keep up with its own clock; prints what a block costs with all that is read of it."""
    coins = [
        LoopbackCoin(MarketPreset("eth").instrument, 1, preset="eth"),
        LoopbackCoin(DEX, 140_002, preset="hype", dex="hyna"),
    ]
    venue = LoopbackVenue(coins, seed=2, start_ns=START_NS)
    account = venue.open_account({"": 1e6, "hyna": 1e6})
    costs = []
    for _ in range(2_000):
        at_ns = venue.next_block_ns
        begun_s = time.perf_counter()
        best = venue.best("ETH")[0]
        assert best is not None
        venue.place(account, at_ns, [order(Side.BUY, best[0], "0.01", "good_till_canceled")])
        for event in venue.advance(at_ns):
            fields(event)
        for coin in ("ETH", "hyna:HYPE"):
            venue.book(coin)
            fields(venue.context(coin))
        costs.append(time.perf_counter() - begun_s)
    median_ms, late_ms = (1e3 * float(np.quantile(costs, share)) for share in (0.5, 0.99))
    print(f"a block with an order of ours, two books of 20 and two contexts: {median_ms:.3f} ms, 99 % {late_ms:.3f} ms")
    assert median_ms < 1.0


def test_a_real_recording_shows_its_touch_and_trades_its_prints(real_recordings: Path) -> None:
    """Kills: a book that drifts from what was recorded, prints that meet nothing. Oracle: the columns themselves."""
    recording = load_recording(real_recordings, "ETH")
    venue = LoopbackVenue([LoopbackCoin(ETH, 1, recording=recording)], start_ns=START_NS)
    times = [np.asarray(recording.book_exchange_time_ns), np.asarray(recording.best_exchange_time_ns)]
    first_ns, span_ns = min(int(column[0]) for column in times), 300 * S
    traded, same, compared = 0.0, 0, 0
    before_ns = START_NS
    while venue.next_block_ns < START_NS + span_ns:
        block_ns = venue.next_block_ns
        traded += sum(float(event.size) for event in venue.advance(block_ns) if isinstance(event, VenueTrade))
        # The venue shows the book of the block before.
        recorded_ns = first_ns + before_ns - START_NS
        before_ns = block_ns
        book, best = (int(np.searchsorted(column, recorded_ns, side="right")) - 1 for column in times)
        if min(book, best) < 0:
            continue
        if times[0][book] > times[1][best]:
            wanted = (recording.bid_prices[book][0], recording.ask_prices[book][0])
        else:
            wanted = (recording.best_bid_price[best], recording.best_ask_price[best])
        shown = tuple(float(level[0]) for level in venue.best("ETH") if level is not None)
        compared += 1
        same += shown == pytest.approx(wanted, abs=1e-9)
    printed = np.asarray(recording.trade_exchange_time_ns)
    within = (printed > first_ns) & (printed <= first_ns + span_ns)
    share = traded / float(np.asarray(recording.trade_size)[within].sum())
    print(f"touch as recorded in {same / compared:.3f} of {compared} blocks; {share:.3f} of what was printed traded")
    assert same / compared > 0.9
    assert 0.8 < share < 1.1


def test_books_are_rounded_outward() -> None:
    """Kills: buckets rounded inward, sizes or counts lost."""
    venue = quiet_venue()
    bids, asks = venue.book("ETH", significant_figures=5, mantissa=5)
    assert [price for price, _, _ in bids] == ["4000.0", "3999.5", "3999.0"]
    assert [price for price, _, _ in asks] == ["4000.5", "4001.0"]
    for levels, whole in zip((bids, asks), venue.book("ETH", 100), strict=True):
        assert sum(Decimal(size) for _, size, _ in levels) == sum(Decimal(size) for _, size, _ in whole)
        assert sum(count for _, _, count in levels) == sum(count for _, _, count in whole)
    assert venue.book("ETH", 1, significant_figures=2) == ([("4000.0", "50.0", 1)], [("4100.0", "500.0", 10)])
    for figures, mantissa in [(6, None), (1, None), (5, 3), (4, 2), (None, 2)]:
        with pytest.raises(InvalidInputError):
            venue.book("ETH", significant_figures=figures, mantissa=mantissa)
