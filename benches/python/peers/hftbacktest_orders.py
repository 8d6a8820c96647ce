"""Sends a list of orders to hftbacktest and writes down which filled, when and how much.

Runs in the peers' environment:

    python hftbacktest_orders.py WORK.npz FILLS.npz

WORK.npz holds `rows` (hftbacktest's event dtype without flags of order, exchange and local clock positive), `sends`
(time_ns, kind 0 buy / 1 sell / 2 cancel, order_id, price in ticks, size in lots), `latency_ns` (to the venue, back),
`tick`, `lot` and `partial` (1 for its exchange with partial fills).
"""

from __future__ import annotations

import sys

import numpy as np
from hftbacktest import GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data.validation import correct_event_order, validate_event_order
from hftbacktest.types import event_dtype
from numba import njit


@njit
def send(hbt, sends, tick, lot):
    hbt.elapse(0)
    for row in range(len(sends)):
        time_ns, kind, order_id, ticks, lots = sends[row]
        if hbt.elapse(time_ns - hbt.current_timestamp) != 0:
            return row
        if kind == 0:
            hbt.submit_buy_order(0, order_id, ticks * tick, lots * lot, GTX, LIMIT, False)
        elif kind == 1:
            hbt.submit_sell_order(0, order_id, ticks * tick, lots * lot, GTX, LIMIT, False)
        else:
            orders = hbt.orders(0)
            if order_id in orders and orders.get(order_id).cancellable:
                hbt.cancel(0, order_id, False)
    while hbt.elapse(1_000_000_000) == 0:
        pass
    return len(sends)


@njit
def outcome(hbt, ids):
    found = np.zeros((len(ids), 3), np.int64)
    orders = hbt.orders(0)
    for place in range(len(ids)):
        if ids[place] in orders:
            order = orders.get(ids[place])
            found[place, 0] = order.status
            found[place, 1] = order.exch_timestamp
            found[place, 2] = round((order.qty - order.leaves_qty) * 1e6)
    return found


def main() -> None:
    work = np.load(sys.argv[1])
    sends = work["sends"]
    rows = np.zeros(len(work["rows"]), event_dtype)
    rows[:] = work["rows"]
    by_exchange = np.argsort(rows["exch_ts"], kind="stable")
    by_local = np.argsort(rows["local_ts"], kind="stable")
    data = correct_event_order(rows, by_exchange, by_local)
    validate_event_order(data)
    tick, lot = float(work["tick"]), float(work["lot"])
    asset = BacktestAsset().data([data]).linear_asset(1.0).constant_order_latency(*map(int, work["latency_ns"]))
    asset = asset.risk_adverse_queue_model().tick_size(tick).lot_size(lot).trading_value_fee_model(0.0, 0.0)
    asset = asset.partial_fill_exchange() if work["partial"] else asset.no_partial_fill_exchange()
    hbt = HashMapMarketDepthBacktest([asset])
    sent = send(hbt, sends, tick, lot)
    ids = np.unique(sends[:, 2])
    np.savez(sys.argv[2], ids=ids, outcome=outcome(hbt, ids), sent=sent)
    hbt.close()


if __name__ == "__main__":
    main()
