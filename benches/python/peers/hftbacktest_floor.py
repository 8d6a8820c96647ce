"""Replays a feed in hftbacktest without a strategy; prints the seconds of each run, the first of them left out.

Runs in the peers' environment:

    python hftbacktest_floor.py FEED.npz RUNS
"""

from __future__ import annotations

import sys
import time

import numpy as np
from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest
from numba import njit

CYCLE_NS = 100_000_000


@njit
def replay(hbt, cycle_ns):
    while hbt.elapse(cycle_ns) == 0:
        hbt.clear_last_trades(0)


def main() -> None:
    rows = np.load(sys.argv[1])["data"]
    for run in range(int(sys.argv[2]) + 1):
        data = rows[:200_000] if run == 0 else rows
        asset = BacktestAsset().data([data]).linear_asset(1.0).constant_order_latency(12_000_000, 18_000_000)
        asset = asset.power_prob_queue_model(2.0).no_partial_fill_exchange().trading_value_fee_model(0.00015, 0.00045)
        asset = asset.tick_size(0.1).lot_size(0.001).roi_lb(0.0).roi_ub(20_000.0).last_trades_capacity(1000)
        hbt = ROIVectorMarketDepthBacktest([asset])
        start = time.perf_counter()
        replay(hbt, CYCLE_NS)
        elapsed = time.perf_counter() - start
        hbt.close()
        if run:
            print(elapsed)


if __name__ == "__main__":
    main()
