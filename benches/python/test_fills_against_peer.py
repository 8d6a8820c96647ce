"""Fills of the risk-averse queue against hftbacktest's, order by order, on a minute and a half of Binance's feed.

One strategy of fixed orders: every 200 ms a bid and an ask at the best prices or one tick behind them by turns, taken
back after 190 ms. What our run sent, hftbacktest is given to the nanosecond, with the same constant latency; so every
difference is one of the fill model. ``make peers`` builds its environment and runs this.

What differs, and why:

- A print through our price whose aggressor stands on our own side: the order it met stood beyond ours and would have
  met us first, so we fill. hftbacktest fills at the next change of the book, mostly of the same millisecond.
- Orders larger than what a print leaves: we fill in parts as prints come, it fills the whole order with the first.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypermm
from binance_feed import FEED, LOT, NAME, ORIGIN, TICK, messages, recording

if TYPE_CHECKING:
    from hypermm.recording import Recording

SCRIPT = pathlib.Path(__file__).parent / "peers" / "hftbacktest_orders.py"
TO_VENUE_NS, BACK_NS = 12_000_000, 18_000_000
SLOT_NS, HELD_NS = 200_000_000, 190_000_000
LEAST_AGREEMENT = 0.99
# hftbacktest's numbers of rows and orders.
DEPTH_ROW, TRADE_ROW, CLEAR_ROW, SNAPSHOT_ROW, BUY, SELL = 1, 2, 3, 4, 1 << 29, 1 << 28
EVENT = np.dtype(
    [("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8"), ("order_id", "u8"),
     ("ival", "i8"), ("fval", "f8")], align=True
)  # fmt: skip


def peer_rows(feed: list[tuple[int, int, dict[str, Any]]]) -> np.ndarray[Any, Any]:
    rows = []
    for exchange, local, data in feed:
        if data["e"] == "trade":
            kind = TRADE_ROW | (SELL if data["m"] else BUY)
            rows.append((kind, exchange, local, float(data["p"]), float(data["q"]), 0, 0, 0.0))
        else:
            for side, kind in (("b", BUY), ("a", SELL)):
                row = DEPTH_ROW
                if data["e"] == "snapshot":
                    row = SNAPSHOT_ROW
                    rows.append((CLEAR_ROW | kind, exchange, local, float(data[side][-1][0]), 0.0, 0, 0, 0.0))
                rows += [(row | kind, exchange, local, float(p), float(q), 0, 0, 0.0) for p, q in data[side]]
    return np.array(rows, EVENT)


class FixedOrders:
    """A bid and an ask a slot at prices of its beginning; a side that filled is not quoted again in the slot."""

    def __init__(self, size: float, end_ns: int) -> None:
        self.clip = size
        self.end_ns = end_ns
        self.best: tuple[float, float] | None = None
        self.slot = -1
        self.prices: dict[int, float] = {}
        self.sends: list[tuple[int, int, int, int, int]] = []

    def on_event(self, event: Any) -> None:
        if event.kind == "book":
            self.best = (float(event.bid_prices[0]), float(event.ask_prices[0]))
        elif event.kind == "order":
            side = 0 if event.side == hypermm.Side.BUY else 1
            ticks = round((event.price + ORIGIN) / TICK)
            if event.status == hypermm.OrderStatus.PENDING:
                lots = round(event.remaining_size / LOT)
                self.sends.append((event.time_ns, side, int(event.order_id), ticks, lots))
            elif event.status == hypermm.OrderStatus.CANCEL_PENDING:
                self.sends.append((event.time_ns, 2, int(event.order_id), ticks, 0))
        elif event.kind == "fill":
            self.prices.pop(0 if event.side == hypermm.Side.BUY else 1, None)

    def quote(self, time_ns: int) -> Any:
        if self.best is None:
            return None
        if time_ns // SLOT_NS != self.slot:
            self.slot = time_ns // SLOT_NS
            behind = TICK * (self.slot % 2)
            # hftbacktest cancels no order that is not acknowledged: a slot in which news came late is left out.
            early = time_ns % SLOT_NS < HELD_NS - 2 * (TO_VENUE_NS + BACK_NS)
            bid, ask = round(self.best[0] - behind, 1), round(self.best[1] + behind, 1)
            self.prices = {0: bid, 1: ask} if early and time_ns < self.end_ns else {}
        if time_ns % SLOT_NS > HELD_NS:
            self.prices = {}
        sides = []
        for side in (0, 1):
            prices = [self.prices[side]] if side in self.prices else []
            sides.append(SimpleNamespace(prices=prices, sizes=[self.clip] * len(prices)))
        return SimpleNamespace(bids=sides[0], asks=sides[1])


def ours(columns: Recording, lots: int) -> tuple[list[tuple[int, int, int, int, int]], dict[int, tuple[int, int]]]:
    """What was sent, and by order the venue time of its last fill and the lots filled."""
    instrument = hypermm.Instrument("BTC", 3, 40, min_notional=0.001)
    strategy = FixedOrders(lots * LOT, columns.end_ns - 1_000_000_000)
    result = hypermm.backtest(
        columns,
        instrument,
        hypermm.EngineConfig(max_position=1_000.0),
        fill_model="risk_averse",
        cycle_ns=0,
        latency=(TO_VENUE_NS, BACK_NS),
        strategy=strategy,
        log_decisions=False,
    )
    fills: dict[int, tuple[int, int]] = {}
    columns_of_fills = (result.fills[name] for name in ("order_id", "exchange_time_ns", "size"))
    for order, time_ns, size in zip(*columns_of_fills, strict=True):
        fills[int(order)] = (int(time_ns), fills.get(int(order), (0, 0))[1] + round(size / LOT))
    return strategy.sends, fills


def theirs(python: str, folder: pathlib.Path, rows: Any, sends: Any, *, partial: bool) -> dict[int, tuple[int, int]]:
    work, filled = folder / "work.npz", folder / "fills.npz"
    latency = np.array([TO_VENUE_NS, BACK_NS])
    np.savez(work, rows=rows, sends=np.array(sends, np.int64), latency_ns=latency, tick=TICK, lot=LOT, partial=partial)
    subprocess.run([python, str(SCRIPT), str(work), str(filled)], check=True)  # noqa: S603  # named by the user
    read = np.load(filled)
    assert int(read["sent"]) == len(sends), "hftbacktest ended before the last order was sent"
    found = {}
    for order, (_, time_ns, millionths) in zip(read["ids"].tolist(), read["outcome"].tolist(), strict=True):
        if millionths:
            found[order] = (time_ns, round(millionths / 1e6 / LOT))
    return found


def in_ms(fill: tuple[int, int] | None) -> tuple[int, int] | None:
    return None if fill is None else (fill[0] // 1_000_000, fill[1])


@pytest.mark.parametrize("lots", [1, 50])
def test_fills_are_those_of_hftbacktest(lots: int, tmp_path: pathlib.Path) -> None:
    python = os.environ.get("PEERS_PYTHON")
    if not python:
        pytest.skip("PEERS_PYTHON does not name an environment with hftbacktest: make peers")
    if FEED is None:
        pytest.skip(f"no ../{NAME} beside the repository")
    feed = messages()
    sends, own = ours(recording(feed), lots)
    orders = sum(kind < 2 for _, kind, *_ in sends)
    peer = theirs(python, tmp_path, peer_rows(feed), sends, partial=False)
    either = sorted(own.keys() | peer.keys())
    exact = [order for order in either if own.get(order) == peer.get(order)]
    # The venue states milliseconds; the nanoseconds below them are ours.
    of_one_ms = [order for order in either if in_ms(own.get(order)) == in_ms(peer.get(order))]
    share = len(of_one_ms) / len(either)
    print(
        f"\n{orders} orders of {lots} lots; filled: {len(own)} here, {len(peer)} by hftbacktest; same order, size and "
        f"venue time to the ms: {len(of_one_ms)} of {len(either)}, {share:.1%}; to the message: {len(exact)}"
    )
    if lots == 1:
        for order in sorted(set(either) - set(exact)):
            print(f"  order {order}: here {own.get(order)}, there {peer.get(order)}")
        assert len(either) >= 50
        assert share >= LEAST_AGREEMENT
    else:
        # In parts or at once: the same orders fill, there never later and never less than here.
        assert len(own.keys() & peer.keys()) >= LEAST_AGREEMENT * len(either)
        assert all(
            peer[order][0] <= own[order][0] and peer[order][1] >= own[order][1] for order in own.keys() & peer.keys()
        )
