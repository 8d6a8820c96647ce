"""Snapshot, restore and continue equals never having stopped, bit for bit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import hypermm
from scenes import START_NS, at

ETH = hypermm.Instrument("ETH", 4, 25)


def history(seed: int, seconds: int) -> list[tuple[str, tuple[object, ...], dict[str, object]]]:
    """Calls of every kind, in time order."""
    rng = np.random.default_rng(seed)
    mid, calls, orders = 4300.0, [], 0
    for step in range(4 * seconds):
        now = at(0.25 * step)
        mid += float(rng.normal(0.0, 0.25))
        bids = np.round(mid - 0.3 - 0.1 * np.arange(5), 1)
        asks = np.round(mid + 0.3 + 0.1 * np.arange(5), 1)
        if step % 2:
            calls.append(("on_best", (now, float(bids[0]), 2.0, float(asks[0]), 3.0), {}))
        else:
            sizes = np.round(rng.uniform(0.1, 9.0, (2, 5)), 4)
            calls.append(("on_book", (now, bids, sizes[0], asks, sizes[1]), {}))
        if rng.random() < 0.3:
            side = hypermm.Side.BUY if rng.random() < 0.5 else hypermm.Side.SELL
            price = float(asks[rng.integers(5)] if side == hypermm.Side.BUY else bids[rng.integers(5)])
            calls.append(("on_trade", (now, price, round(float(rng.uniform(0.01, 4.0)), 4), side), {}))
        if step % 37 == 0:
            calls.append(("observe", (now, float(rng.normal(0.0, 0.2)), 0.05), {"name": f"signal {step % 3}"}))
        if step % 41 == 0:
            rate = float(rng.normal(0.0, 1e-5))
            calls.append(("on_context", (now,), {"funding_rate": rate, "next_settlement_ns": now + 10**12}))
        if step % 29 == 0:
            orders += 1
            status = hypermm.OrderStatus.OPEN
            calls.append(("on_order", (now, f"order {orders}", status, hypermm.Side.BUY, float(bids[1]), 0.05), {}))
        if step % 58 == 30 and orders:
            fill = (now, hypermm.Side.BUY, float(bids[1]), 0.05)
            calls.append(("on_fill", fill, {"order_id": f"order {orders}", "fill_id": 10 * orders, "fee": 0.01}))
        if step % 101 == 0:
            calls.append(("on_quota", (now, 9_000.0 - step, 12_000.0), {}))
    return calls


def play(engine: hypermm.QuoteEngine, calls: list[tuple[str, tuple[object, ...], dict[str, object]]]) -> list[object]:
    """Every decision after every call."""
    decisions = []
    for name, arguments, named in calls:
        getattr(engine, name)(*arguments, **named)
        decisions.append(engine.quote(arguments[0]))
    return decisions


WAYS: dict[str, Callable[[hypermm.QuoteEngine], hypermm.QuoteEngine]] = {
    "snapshot": lambda engine: hypermm.QuoteEngine.restore(engine.snapshot()),
    "snapshot with the same config": lambda e: hypermm.QuoteEngine.restore(e.snapshot(), config=e.config),
    "pickle": lambda engine: pickle.loads(pickle.dumps(engine)),
    "deepcopy": copy.deepcopy,
    "copy": lambda engine: engine.copy(),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_restored_engine_continues_as_if_it_had_never_stopped(way: str) -> None:
    """Four stops in ten minutes of every kind of event: each decision and the final state equal to the last bit."""
    calls = history(3, 600)
    config = hypermm.EngineConfig(max_position=2.0)
    whole = hypermm.QuoteEngine(ETH, config)
    expected = play(whole, calls)
    stopped = hypermm.QuoteEngine(ETH, config)
    found = []
    for part in np.array_split(np.arange(len(calls)), 5):
        stopped = WAYS[way](stopped)
        found += play(stopped, calls[part[0] : part[-1] + 1])
    assert found == expected
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.bids.prices.tobytes() == theirs.bids.prices.tobytes()
        assert ours.asks.sizes.tobytes() == theirs.asks.sizes.tobytes()
        assert np.float64(ours.drift_bps_per_s).tobytes() == np.float64(theirs.drift_bps_per_s).tobytes()
    assert stopped.snapshot() == whole.snapshot()
    assert stopped.position == whole.position != 0.0
    print(f"{way}: {len(expected)} decisions equal to the bit after 5 restores, {len(whole.snapshot())} bytes of state")


def test_a_copy_and_its_original_do_not_touch_each_other() -> None:
    """What one learns after the copy the other does not know."""
    calls = history(4, 60)
    engine = hypermm.QuoteEngine(ETH)
    play(engine, calls[:150])
    before = engine.snapshot()
    other = engine.copy()
    play(other, calls[150:])
    assert engine.snapshot() == before
    assert other.snapshot() != before


def test_quoting_leaves_no_trace() -> None:
    """Asked after every event or never: the same state, to the bit."""
    calls = history(5, 120)
    asked, silent = hypermm.QuoteEngine(ETH), hypermm.QuoteEngine(ETH)
    play(asked, calls)
    for name, arguments, named in calls:
        getattr(silent, name)(*arguments, **named)
    assert asked.snapshot() == silent.snapshot()


def test_standalone_estimators_continue_bit_for_bit() -> None:
    """Every standalone estimator with a state: snapshot, restore, go on."""
    rng = np.random.default_rng(8)
    times = START_NS + np.cumsum(rng.integers(0, 10**9, 400))
    values = rng.normal(0.0, 0.3, 400)

    def drift(estimator: hypermm.DriftFilter, part: slice) -> None:
        for time, value in zip(times[part].tolist(), values[part].tolist(), strict=True):
            estimator.observe(time, value, 0.1)
            estimator.observe_features(time, [value, np.nan], np.diag([0.2, 0.1]), [10.0, 20.0])

    def flow(estimator: hypermm.DirectionalFlow, part: slice) -> None:
        for time, value in zip(times[part].tolist(), values[part].tolist(), strict=True):
            estimator.update(time, hypermm.Side.BUY if value > 0.0 else hypermm.Side.SELL)

    def decay(estimator: hypermm.DepthDecay, part: slice) -> None:
        for time, value in zip(times[part].tolist(), values[part].tolist(), strict=True):
            estimator.update(time, 1.0 + abs(value), 0.5, censored=value > 0.4)

    for make, run in (
        (hypermm.DriftFilter, drift),
        (hypermm.DirectionalFlow, flow),
        (hypermm.DepthDecay, decay),
    ):
        whole, stopped = make(), make()
        run(whole, slice(0, 400))
        run(stopped, slice(0, 150))
        stopped = make.restore(stopped.snapshot())
        run(stopped, slice(150, 400))
        assert stopped.snapshot() == whole.snapshot()
