"""Replay speed against hftbacktest's, on one synthetic feed, in one run: no strategy, a fixed ladder, the whole engine.

The feed is that of the peer's own ``gen_feed.py``: seeded changes of single levels and prints, 22 batches a second.
Rates are rows of that feed per second for both. hftbacktest reads the rows as they are; our recording holds the same
feed as books of twenty levels, one a batch, and prints, which the converter of ``hypermm data convert`` makes once
beforehand (its time is printed apart). Both keep queues by the power law with exponent 2, send with 12 ms and hear with
18 ms of latency and look at the market every 100 ms. The fixed ladders have eight levels a side, a tick apart: the
peer's moves with its position, ours is symmetric around the mid.

The environment with hftbacktest is named by ``PEERS_PYTHON`` (``make peers``), its scripts by ``PEERS_SCRIPTS``
(default: ``../shared/peers`` beside the repository), the length of the feed by ``PEERS_ROWS``. The ratio is that of the
fastest of three runs each, in turn.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import time

import pytest

import hypermm
from hypermm.recording.convert.hftbacktest import read_hftbacktest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = pathlib.Path(os.environ.get("PEERS_SCRIPTS", ROOT.parent / "shared" / "peers"))
FLOOR = pathlib.Path(__file__).parent / "peers" / "hftbacktest_floor.py"
ROWS = int(os.environ.get("PEERS_ROWS", "2000000"))
TURNS = 3
CYCLE_NS = 100_000_000
LATENCY_NS = (12_000_000, 18_000_000)
CLIP, MAX_POSITION, LEVELS = 1.0, 20.0, 8
TICK_BPS = 0.1 / 3000.0 * 1e4
# Ours over theirs; the whole engine is held against their fixed ladder.
LEAST = {"silent": 1.5, "plain": 2.0, "engine": 1.0}


def peer(*command: str) -> str:
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # named by the user
    return run.stdout


def ours(recording: hypermm.Recording, strategy: str) -> tuple[float, hypermm.BacktestResult]:
    instrument = hypermm.Instrument("ETH", 3, 25, min_notional=10.0)
    config = hypermm.EngineConfig(levels=LEVELS, clip=CLIP, max_position=MAX_POSITION)
    if strategy == "plain":
        # One tick from the mid, one tick apart, as the peer's.
        config = config.replace(
            depth_decay=1.0 / TICK_BPS, level_spacing_bps=TICK_BPS, level_growth=1.0, maker_fee_bps=0.0
        )
    start = time.perf_counter()
    result = hypermm.backtest(
        recording, instrument, config, fill_model=("power", 2.0), cycle_ns=CYCLE_NS, latency=LATENCY_NS,
        strategy=strategy, log_decisions=False,
    )  # fmt: skip
    return time.perf_counter() - start, result


def test_replay_is_faster_than_hftbacktest(tmp_path: pathlib.Path) -> None:
    python = os.environ.get("PEERS_PYTHON")
    if not python:
        pytest.skip("PEERS_PYTHON does not name an environment with hftbacktest: make peers")
    if not (SCRIPTS / "gen_feed.py").exists():
        pytest.skip(f"the peer's scripts are not at {SCRIPTS}")
    feed = tmp_path / "feed.npz"
    print("\n" + peer(python, str(SCRIPTS / "gen_feed.py"), "--rows", str(ROWS), "--out", str(feed)).strip())
    start = time.perf_counter()
    recording = read_hftbacktest(feed, "ETH")
    print(f"converted once in {time.perf_counter() - start:.1f} s: {recording.events:,} events")
    seconds: dict[str, list[float]] = {"floor": [], "ladder": [], "silent": [], "plain": [], "engine": []}
    told = ""
    for _ in range(TURNS):
        seconds["floor"] += [float(line) for line in peer(python, str(FLOOR), str(feed), "1").split()]
        told = peer(python, str(SCRIPTS / "bench_hft_grid.py"), str(feed), "--levels", str(LEVELS), "--reps", "1")
        found = re.search(r"median ([\d.]+) s", told)
        assert found, told
        seconds["ladder"].append(float(found.group(1)))
        for strategy in LEAST:
            elapsed, result = ours(recording, strategy)
            seconds[strategy].append(elapsed)
            if len(seconds[strategy]) == TURNS:
                summary = result.summary()
                work = (f"{summary[name]:,} {name}" for name in ("quote_cycles", "orders_placed", "fills"))
                print(f"{strategy:>7}: {', '.join(work)}")
    print("peer's ladder: " + told.strip())
    best = {name: min(taken) for name, taken in seconds.items()}
    rate = {name: ROWS / taken / 1e6 for name, taken in best.items()}
    ratios = {name: best["floor" if name == "silent" else "ladder"] / best[name] for name in LEAST}
    for name, ratio in ratios.items():
        against = "floor" if name == "silent" else "ladder"
        print(
            f"{name:>7}: {rate[name]:6.1f} M rows/s, hftbacktest's {against} {rate[against]:5.1f}: "
            f"{ratio:.2f} ×, wanted {LEAST[name]:.1f}"
        )
    for name, ratio in ratios.items():
        assert ratio >= LEAST[name], f"{name}: {ratio:.2f}"
