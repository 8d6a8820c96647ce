"""What a call from Python costs: the targets of the API, as times and as ratios in one run.

    make bench        or        python -m pytest benches/python/bench_api.py -o addopts="" -s

Ratios are taken with `timeit`, statements in line and the least of many rounds, because noise only ever adds. Every
statement takes its time from the same counter, so that each event is later than the last, as in a real feed.
"""

from __future__ import annotations

import itertools
import timeit
from typing import Any

import numpy as np
import pytest

import hypermm
from hypermm import EngineConfig, Instrument, QuoteEngine, Side, _core

T0 = 1_756_900_000_000_000_000
STEP_NS = 1_000_000
LEVELS = 8
# Short rounds and many of them: the least then falls between the interruptions of a busy machine.
ROUNDS, CALLS = 150, 1_000


def tick(units: Any) -> Any:
    return np.round(np.asarray(units) / 10.0, 1)


def world() -> dict[str, Any]:
    """An engine that has seen ten minutes of a moving market, and everything the statements below name."""
    engine = QuoteEngine(Instrument("ETH", 4, 25), EngineConfig(max_position=10.0, levels=LEVELS))
    sizes = 5.0 + np.arange(20.0)
    for row in range(1200):
        shift = (row * 7919) % 23 - 11
        bids, asks = tick(42_689 + shift - np.arange(20)), tick(42_690 + shift + np.arange(20))
        now = T0 - (1200 - row) * 500_000_000
        engine.on_book(now, bids, sizes, asks, sizes)
        sells = row % 3 == 0
        price = (bids if sells else asks)[row % 5]
        engine.on_trade(now, price, 0.5, Side.SELL if sells else Side.BUY)
    engine.on_position(T0 - 1, 2.5)
    bids, asks = tick(42_689 - np.arange(20)), tick(42_690 + np.arange(20))
    names: dict[str, Any] = {"engine": engine, "empty": _core._Empty(), "next": next, "BUY": Side.BUY}
    names["clock"] = itertools.count(T0, STEP_NS)
    names["arrays"] = (bids, sizes, asks, sizes)
    names["b"], names["s"], names["a"] = bids, sizes, asks
    names["lb"], names["ls"], names["la"] = bids.tolist(), sizes.tolist(), asks.tolist()
    names["quote_in_rust"] = _core._quote_in_rust
    engine.on_book(T0 - 1, bids, sizes, asks, sizes)
    return names


STATEMENTS = {
    "empty method, 3 arguments": "empty.take_3(next(clock), 0.1, 1.0)",
    "observe": "engine.observe(next(clock), 0.1, 1.0)",
    "empty method, 4 arguments": "empty.take_4(next(clock), 4269.0, 0.5, BUY)",
    "on_trade": "engine.on_trade(next(clock), 4269.0, 0.5, BUY)",
    "empty method, 5 arguments": "empty.take_5(next(clock), 4268.9, 5.0, 4269.0, 5.0)",
    "on_best": "engine.on_best(next(clock), 4268.9, 5.0, 4269.0, 5.0)",
    "on_book 20x2, NumPy": "engine.on_book(next(clock), b, s, a, s)",
    "on_book 20x2, lists": "engine.on_book(next(clock), lb, ls, la, ls)",
    "quote": "engine.quote(next(clock))",
    "quote, prices and sizes of both sides read": (
        "d = engine.quote(next(clock)); x = d.bids; y = d.asks; x.prices; x.sizes; y.prices; y.sizes"
    ),
}
FRESH_BOOK = "engine.on_book(next(clock), b, s, a, s)"


def least_ns(statements: dict[str, str], names: dict[str, Any]) -> dict[str, float]:
    """Least time of one call of each statement, ns; taken in turns, so that all meet the same machine."""
    timers = {name: timeit.Timer(statement, globals=names) for name, statement in statements.items()}
    least = dict.fromkeys(timers, float("inf"))
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            # A round steps one second: quotes never run into a stale book.
            exec(FRESH_BOOK, names)  # noqa: S102 - the statements above
            least[name] = min(least[name], timer.timeit(CALLS))
    return {name: time / CALLS * 1e9 for name, time in least.items()}


@pytest.fixture(scope="module")
def measured() -> dict[str, float]:
    names = world()
    times = least_ns(STATEMENTS, names)
    rust = []
    for _ in range(ROUNDS):
        exec(FRESH_BOOK, names)  # noqa: S102 - the statements above
        names["now"] = next(names["clock"])
        rust.append(timeit.timeit(f"quote_in_rust(engine, now, {CALLS})", globals=names, number=1))
    times["quote in Rust"] = min(rust) / CALLS * 1e9
    print("\n\nleast time of one call")
    for name, time in times.items():
        print(f"  {name:<46} {time:9.1f} ns")
    return times


def report(what: str, value: float, bound: float, unit: str) -> None:
    print(f"  {what:<60} {value:8.3f} {unit:<3} target {bound:g} {unit}")
    assert value <= bound, what


@pytest.mark.parametrize(("method", "arity"), [("observe", 3), ("on_trade", 4), ("on_best", 5)])
def test_an_event_costs_at_most_three_empty_calls(measured: dict[str, float], method: str, arity: int) -> None:
    ratio = measured[method] / measured[f"empty method, {arity} arguments"]
    report(f"{method} / an empty method of {arity} arguments", ratio, 3.0, "x")


def test_a_snapshot_from_arrays_costs_at_most_1200_ns(measured: dict[str, float]) -> None:
    report("on_book of 20 levels a side from NumPy", measured["on_book 20x2, NumPy"] / 1e3, 1.2, "µs")


def test_a_snapshot_from_lists_costs_at_most_4000_ns(measured: dict[str, float]) -> None:
    report("on_book of 20 levels a side from lists", measured["on_book 20x2, lists"] / 1e3, 4.0, "µs")


def test_a_quote_costs_at_most_400_ns_over_rust(measured: dict[str, float]) -> None:
    report("quote from Python over Rust", (measured["quote"] - measured["quote in Rust"]) / 1e3, 0.4, "µs")


def test_a_quote_read_costs_at_most_1500_ns_over_rust(measured: dict[str, float]) -> None:
    whole = measured["quote, prices and sizes of both sides read"] - measured["quote in Rust"]
    report("quote with prices and sizes of both sides, over Rust", whole / 1e3, 1.5, "µs")


@pytest.mark.parametrize(
    ("name", "count", "cycle_ns", "bound"),
    [("quoting on every event", 7200, 0, 1.0), ("quoting every 250 ms", 86_400, 250_000_000, 3.0)],
)
def test_backtest_reaches_its_events_per_second(name: str, count: int, cycle_ns: int, bound: float) -> None:
    columns = hypermm.synthetic_session(1, float(count), arrival_rate=5.0, best_interval_s=0.02)
    instrument, config = Instrument("ETH", 4, 25), EngineConfig(max_position=2.0)
    runs = [hypermm.backtest(columns, instrument, config, cycle_ns=cycle_ns, log_decisions=False) for _ in range(3)]
    best = max(run.summary()["events_per_s"] for run in runs)
    events = runs[0].summary()["events"]
    print(f"  {events:,} events")
    report(f"events per second {name}: target over reached", bound * 1e6 / best, 1.0, "x")


@pytest.mark.parametrize("name", STATEMENTS)
def test_table(benchmark: Any, name: str) -> None:
    names = world()
    code = compile(STATEMENTS[name], name, "exec")
    exec(FRESH_BOOK, names)  # noqa: S102 - the statements above

    def calls() -> None:
        exec(code, names)  # noqa: S102 - the statements above

    benchmark.pedantic(calls, rounds=200, iterations=20, setup=None)
