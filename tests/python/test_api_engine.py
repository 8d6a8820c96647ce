"""QuoteEngine from Python: what it answers, keeps and goes on from."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from engine_calls import ASKS, BIDS, CALLS, CONFIG, INSTRUMENT, ONES, SECOND, T0, engine_with_history, later
from hypermm import OrderStatus, QuoteEngine, QuoteStatus, Side
from hypermm.exceptions import EngineBusyError, InvalidInputError, TimeOrderError
from hypermm.exchange.events import OwnOrder

if TYPE_CHECKING:
    from collections.abc import Callable


def test_quote_asked_twice_answers_the_same_and_changes_no_future() -> None:
    asked, silent = engine_with_history(), engine_with_history()
    before = asked.snapshot()
    first = asked.quote(T0 + 5)
    for ahead in (5, SECOND, 3600 * SECOND):
        asked.quote(T0 + ahead)
    assert asked.quote(T0 + 5) == first
    assert asked.snapshot() == before
    assert later(asked) == later(silent)


def test_restored_copied_and_pickled_engines_go_on_as_if_never_stopped() -> None:
    engine = engine_with_history()
    twins = [
        QuoteEngine.restore(engine.snapshot()),
        engine.copy(),
        copy.copy(engine),
        copy.deepcopy(engine),
        pickle.loads(pickle.dumps(engine)),
    ]
    expected = later(engine)
    for twin in twins:
        assert later(twin) == expected


def test_restore_with_another_config_keeps_what_was_learned() -> None:
    engine = engine_with_history()
    restored = QuoteEngine.restore(engine.snapshot(), config=CONFIG.replace(levels=3))
    assert restored.config.levels == 3
    assert restored.position == engine.position
    engine.update_config(CONFIG.replace(levels=3))
    assert later(engine) == later(restored)
    assert len(engine.quote(T0 + 30 * SECOND).bids) <= 3


def as_inputs(values: np.ndarray[Any, Any]) -> list[Any]:
    strided = np.repeat(values, 2)[::2]
    assert not strided.flags.c_contiguous
    foreign = np.asarray(values, dtype=">f8")
    series: list[Any] = [pd.Series(values), pl.Series(values.tolist())]
    return [values.tolist(), tuple(values.tolist()), strided, foreign, values.astype("longdouble"), *series]


def test_every_kind_of_column_means_the_same() -> None:
    expected = QuoteEngine(INSTRUMENT, CONFIG)
    expected.on_book(T0, BIDS, ONES, ASKS, ONES)
    for bids, asks, ones in zip(as_inputs(BIDS), as_inputs(ASKS), as_inputs(ONES), strict=True):
        engine = QuoteEngine(INSTRUMENT, CONFIG)
        engine.on_book(T0, bids, ones, asks, ones)
        assert engine.snapshot() == expected.snapshot()
    whole: list[Any] = [np.array([4400, 4399]), [1, 2], np.array([4401, 4402], "int32"), np.array([1, 2], "float32")]
    engine = QuoteEngine(INSTRUMENT, CONFIG)
    engine.on_book(T0, *whole)
    assert engine.mid_price == 4400.5


def test_integers_of_any_kind_are_times_and_nothing_else_is() -> None:
    for time in (np.int64(T0), np.uint64(T0), T0):
        engine = QuoteEngine(INSTRUMENT, CONFIG)
        engine.on_book(time, BIDS, ONES, ASKS, ONES)
        assert engine.now_ns == T0
    engine = QuoteEngine(INSTRUMENT, CONFIG)
    for time in (float(T0), np.float64(T0), True, np.bool_(True), "1", None, -1, 2**63, 1.5):  # type: ignore[assignment]
        with pytest.raises(InvalidInputError) as caught:
            engine.on_book(time, BIDS, ONES, ASKS, ONES)
        assert caught.value.field == "time_ns"


def test_equal_times_are_legal_and_earlier_ones_are_not() -> None:
    engine = engine_with_history()
    now = engine.now_ns
    assert now is not None
    engine.on_best(now, 4400.0, 1.0, 4400.1, 1.0)
    with pytest.raises(TimeOrderError) as caught:
        engine.on_best(now - 1, 4400.0, 1.0, 4400.1, 1.0)
    assert (caught.value.field, caught.value.value) == ("time_ns", str(now - 1))


@pytest.mark.parametrize("method", CALLS)
def test_good_calls_are_taken_positionally_and_by_keyword(method: str) -> None:
    left, right = engine_with_history(), engine_with_history()
    before = left.snapshot()
    getattr(left, method)(**CALLS[method])
    getattr(right, method)(*CALLS[method].values())
    assert left.snapshot() == right.snapshot() != before


def test_trades_at_once_equal_trades_one_by_one_all_or_none() -> None:
    generator = np.random.default_rng(5)
    count = 2_000
    times = T0 + 10 + np.sort(generator.integers(0, 600 * SECOND, count))
    venue = times - times % 1_000_000
    prices = np.round(4400.0 + 0.1 * generator.integers(-20, 20, count), 1)
    sizes = np.round(generator.uniform(0.001, 3.0, count), 4)
    signs = generator.choice(np.array([1, -1], "int8"), count)
    members = [Side.BUY if sign > 0 else Side.SELL for sign in signs]
    single = engine_with_history()
    for row in range(count):
        single.on_trade(int(times[row]), prices[row], sizes[row], members[row], exchange_time_ns=int(venue[row]))
    for aggressors in (signs, members, tuple(members), signs.astype("int64")):
        many = engine_with_history()
        many.on_trades(times, prices, sizes, aggressors, exchange_times=venue)
        assert many.snapshot() == single.snapshot()
    engine = engine_with_history()
    before = engine.snapshot()
    for name, column in {"prices": prices, "sizes": sizes}.items():
        spoiled = column.copy()
        spoiled[-1] = math.nan
        arguments = {"times": times, "prices": prices, "sizes": sizes, "aggressors": signs, name: spoiled}
        with pytest.raises(InvalidInputError, match=name.removesuffix("s")):
            engine.on_trades(**arguments)
    wrongs: list[Any] = [signs * 2, signs.astype(float), [1, -1] * (count // 2), members[:-1], ["buy"] * count]
    for wrong in wrongs:
        with pytest.raises(InvalidInputError, match="aggressors"):
            engine.on_trades(times, prices, sizes, wrong)
    with pytest.raises(TimeOrderError):
        engine.on_trades(times[::-1], prices, sizes, signs)
    assert engine.snapshot() == before


@pytest.mark.parametrize("kind", ["book", "best"])
def test_a_print_is_measured_from_the_mid_of_an_earlier_block(kind: str) -> None:
    """Kills: a venue time of a book or best that does not arrive, or is taken for the receive time."""

    def decay(*, told_first: bool) -> float:
        engine = QuoteEngine(INSTRUMENT, CONFIG)
        for step in range(100):
            block = T0 + step * SECOND
            heard = block + 400_000_000

            def show(time: int, exchange_time: int, bid: float) -> None:
                if kind == "best":
                    engine.on_best(time, bid, 1.0, bid + 1.0, 1.0, exchange_time_ns=exchange_time)
                else:
                    engine.on_book(time, [bid], [1.0], [bid + 1.0], [1.0], exchange_time_ns=exchange_time)

            show(heard - 500_000_000, block - 500_000_000, 4400.0)
            if told_first:
                show(heard - 200_000_000, block, 4396.0)
            engine.on_trade(heard, 4397.0, 1.0, Side.SELL, exchange_time_ns=block)
            if not told_first:
                show(heard, block, 4396.0)
        return engine.estimates()["bid_depth_decay"]

    assert decay(told_first=True) == pytest.approx(decay(told_first=False), rel=1e-3)
    engine = QuoteEngine(INSTRUMENT, CONFIG)
    with pytest.raises(InvalidInputError, match="exchange_time_ns"):
        engine.on_best(T0, 4400.0, 1.0, 4401.0, 1.0, exchange_time_ns=T0 // SECOND)


def test_empty_sides_are_said_by_none() -> None:
    engine = engine_with_history()
    engine.on_best(T0 + 9, None, None, 4400.1, 1.0)
    decision = engine.quote(T0 + 9)
    assert decision.status is QuoteStatus.ONE_SIDED
    assert len(decision.bids) == len(decision.asks) == 0
    for arguments in ((None, 1.0, 4400.1, 1.0), (4400.0, None, 4400.1, 1.0)):
        with pytest.raises(InvalidInputError, match="together with"):
            engine.on_best(T0 + 9, *arguments)


def test_orders_and_fills_reach_the_engine() -> None:
    engine = engine_with_history()
    (order,) = engine.open_orders
    assert (order.order_id, order.status, order.side) == ("first", OrderStatus.OPEN, Side.BUY)
    assert (order.price, order.remaining_size) == (4399.0, 0.1)
    assert engine.position == 0.1
    assert not engine.on_fill(T0 + 5, Side.BUY, 4399.0, 0.1, order_id="first", fill_id=1)
    assert engine.position == 0.1
    assert engine.on_fill(T0 + 5, Side.SELL, 4402.0, 0.3, fill_id="another")
    assert engine.position == pytest.approx(-0.2, abs=1e-12)
    assert engine.on_position(T0 + 6, 0.05) == pytest.approx(0.25, abs=1e-12)
    engine.on_order(T0 + 7, 2**64 - 1, OrderStatus.PENDING, Side.SELL, 4402.0, 0.1)
    assert engine.open_orders[-1].order_id == 2**64 - 1
    engine.on_order(T0 + 8, "first", OrderStatus.CANCELED, Side.BUY, 4399.0, 0.0)
    assert [order.order_id for order in engine.open_orders] == [2**64 - 1]


def test_what_was_ordered_tells_fills_from_before_the_first_word() -> None:
    engine = engine_with_history()
    order = OwnOrder("ETH", 7, 7, OrderStatus.OPEN, "open", Side.BUY, 4398.0, 0.06, 0.1, T0)
    order.apply(engine, T0 + 7)
    engine.on_fill(T0 + 8, Side.BUY, 4398.0, 0.04, order_id=7, fill_id=7)
    assert engine.open_orders[-1].remaining_size == 0.06
    with pytest.raises(InvalidInputError, match="original_size"):
        engine.on_order(T0 + 9, 7, OrderStatus.OPEN, Side.BUY, 4398.0, 0.06, original_size=0.05)


def long_call(engine: QuoteEngine, started: threading.Event) -> Callable[[], None]:
    count = 3_000_000
    times = np.arange(T0 + 10, T0 + 10 + count)
    prices, sizes, signs = np.full(count, 4400.0), np.ones(count), np.ones(count, "int8")

    def run() -> None:
        started.set()
        engine.on_trades(times, prices, sizes, signs)

    return run


def test_the_second_of_two_calls_at_once_is_refused_and_waits_for_nothing() -> None:
    engine = engine_with_history()
    started = threading.Event()
    thread = threading.Thread(target=long_call(engine, started))
    refused = 0
    thread.start()
    started.wait()
    while thread.is_alive():
        for call in (lambda: engine.quote(T0 + 20 * SECOND), lambda: engine.position, engine.snapshot, engine.copy):
            try:
                call()
            except EngineBusyError as busy:
                refused += busy.field == "QuoteEngine"
    thread.join()
    print(f"calls refused while the engine worked: {refused}")
    assert refused > 0
    assert engine.quote(T0 + 2 * SECOND).status in QuoteStatus


def test_any_thread_may_call_in_turn() -> None:
    engine, expected = engine_with_history(), later(engine_with_history())
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.extend(later(engine)))
    thread.start()
    thread.join()
    assert answers == expected
