"""QuoteEngine from Python: what it takes, what it refuses, and that a refusal changes nothing."""

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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hypermm
from hypermm import EngineConfig, Instrument, OrderStatus, QuoteEngine, QuoteStatus, Side
from hypermm.exceptions import EngineBusyError, HypermmError, InvalidInputError, SnapshotError, TimeOrderError

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = 1_756_900_000_000_000_000
SECOND = 1_000_000_000
INSTRUMENT = Instrument("ETH", 4, 25)
CONFIG = EngineConfig(max_position=2.0)
BIDS = np.round(4400.0 - 0.1 * np.arange(20), 1)
ASKS = np.round(4400.1 + 0.1 * np.arange(20), 1)
ONES = np.ones(20)
JUNK: list[Any] = [math.nan, math.inf, -math.inf, -1.0, "1", None, True, [1.0], object(), 10**400, b"1"]


def engine_with_history(config: EngineConfig = CONFIG) -> QuoteEngine:
    engine = QuoteEngine(INSTRUMENT, config)
    engine.on_book(T0, BIDS, ONES, ASKS, ONES)
    engine.on_trade(T0 + 1, 4400.1, 0.5, Side.BUY)
    engine.on_order(T0 + 2, "first", OrderStatus.OPEN, Side.BUY, 4399.0, 0.2)
    engine.on_fill(T0 + 3, Side.BUY, 4399.0, 0.1, order_id="first", fill_id=1)
    engine.on_context(T0 + 4, mark_price=4400.0, funding_rate=1e-5)
    return engine


def later(engine: QuoteEngine) -> list[Any]:
    """What an engine answers over the next half minute of a fixed market."""
    answers = []
    for step in range(1, 31):
        now = T0 + step * SECOND
        shift = 0.1 * (step % 7 - 3)
        engine.on_book(now, np.round(BIDS + shift, 1), ONES, np.round(ASKS + shift, 1), ONES)
        engine.on_trade(now, round(float(ASKS[0] + shift), 1), 0.3, Side.BUY if step % 3 else Side.SELL)
        answers.append(engine.quote(now))
    return [*answers, engine.snapshot()]


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


@pytest.mark.parametrize("state", [b"", b"abc", b"HYMM" + bytes(40), "text", None, 7])
def test_foreign_snapshots_are_refused(state: Any) -> None:
    with pytest.raises(SnapshotError) as caught:
        QuoteEngine.restore(state)
    assert caught.value.field == "state"


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_damaged_snapshot_is_refused(place: int, flip: int) -> None:
    state = bytearray(engine_with_history().snapshot())
    state[place % len(state)] ^= flip
    with pytest.raises(SnapshotError):
        QuoteEngine.restore(bytes(state))
    with pytest.raises(SnapshotError):
        QuoteEngine.restore(bytes(state[: place % len(state)]))


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


@pytest.mark.parametrize("scale", [1, 10**3, 10**6], ids=["s", "ms", "µs"])
def test_a_first_time_in_another_unit_is_refused(scale: int) -> None:
    engine = QuoteEngine(INSTRUMENT, CONFIG)
    with pytest.raises(InvalidInputError, match="looks like s/ms/µs"):
        engine.on_best(1_756_900_000 * scale, 4400.0, 1.0, 4400.1, 1.0)
    assert engine.now_ns is None
    engine.on_best(1_756_900_000 * 10**9, 4400.0, 1.0, 4400.1, 1.0)


def test_equal_times_are_legal_and_earlier_ones_are_not() -> None:
    engine = engine_with_history()
    now = engine.now_ns
    assert now is not None
    engine.on_best(now, 4400.0, 1.0, 4400.1, 1.0)
    with pytest.raises(TimeOrderError) as caught:
        engine.on_best(now - 1, 4400.0, 1.0, 4400.1, 1.0)
    assert (caught.value.field, caught.value.value) == ("time_ns", str(now - 1))


# One good call for every method that changes the engine, by name and arguments.
CALLS: dict[str, dict[str, Any]] = {
    "on_book": {"time_ns": T0 + 9, "bid_prices": BIDS, "bid_sizes": ONES, "ask_prices": ASKS, "ask_sizes": ONES},
    "on_best": {"time_ns": T0 + 9, "bid_price": 4400.0, "bid_size": 1.0, "ask_price": 4400.1, "ask_size": 1.0},
    "on_trade": {"time_ns": T0 + 9, "price": 4400.0, "size": 1.0, "aggressor": Side.SELL},
    "on_trades": {
        "times": [T0 + 9, T0 + 10],
        "prices": [4400.0, 4400.1],
        "sizes": [1.0, 2.0],
        "aggressors": [Side.SELL, Side.BUY],
    },
    "on_context": {"time_ns": T0 + 9, "mark_price": 4400.0, "oracle_price": 4400.0, "funding_rate": 1e-5},
    "on_order": {
        "time_ns": T0 + 9,
        "order_id": 5,
        "status": OrderStatus.OPEN,
        "side": Side.SELL,
        "price": 4402.0,
        "remaining_size": 0.1,
    },
    "on_fill": {"time_ns": T0 + 9, "side": Side.SELL, "price": 4402.0, "size": 0.1},
    "on_position": {"time_ns": T0 + 9, "position": 0.5},
    "on_quota": {"time_ns": T0 + 9, "requests_remaining": 100.0, "requests_last_day": 50.0},
    "observe": {"time_ns": T0 + 9, "drift_bps_per_s": 0.1, "variance": 1.0},
}
OPTIONAL = {"mark_price", "oracle_price", "funding_rate"}
POSITIVE_OR_SIGNED = {"position": (-1.0,), "drift_bps_per_s": (-1.0,), "funding_rate": (-1.0,)}
EXTRA: dict[str, dict[str, list[Any]]] = {
    "on_trade": {"exchange_time_ns": [1.5, "x", True, -1]},
    "on_trades": {"exchange_times": [[1.5, 2.5], [T0], "ab", np.array([1.0, 2.0])]},
    "on_context": {
        "open_interest": [math.nan, -1.0, "x"],
        "predicted_funding": [math.inf, True],
        "next_settlement_ns": [1.5, True],
    },
    "on_fill": {"order_id": [1.5, True, "", -1, 2**64], "fill_id": [1.5, None.__class__], "fee": [math.nan, "x"]},
    "on_position": {"entry_price": [math.nan, 0.0, -1.0, "x"]},
    "observe": {"name": [1, b"x"]},
}


def bad_arguments() -> list[Any]:
    rows = []
    for method, good in CALLS.items():
        for name in good:
            for value in JUNK:
                both_empty = method == "on_best" and value is None
                accepted = (name in OPTIONAL and value is None) or both_empty
                if accepted or value in POSITIVE_OR_SIGNED.get(name, ()):
                    continue
                if name == "order_id" and value == "1":
                    continue
                if method in ("on_book", "on_trades") and isinstance(value, list):
                    continue
                rows.append(pytest.param(method, name, value, id=f"{method}-{name}-{value!r:.20}"))
        rows += [
            pytest.param(method, name, value, id=f"{method}-{name}-{value!r:.20}")
            for name, values in EXTRA.get(method, {}).items()
            for value in values
        ]
    return rows


@pytest.mark.parametrize(("method", "name", "value"), bad_arguments())
def test_a_refused_argument_is_named_and_changes_nothing(method: str, name: str, value: Any) -> None:
    engine = engine_with_history()
    before = engine.snapshot()
    with pytest.raises(HypermmError) as caught:
        getattr(engine, method)(**{**CALLS[method], name: value})
    assert caught.value.field.split("[")[0].split(".")[0] == name
    assert caught.value.value
    assert caught.value.expected
    assert isinstance(caught.value, ValueError)
    assert engine.snapshot() == before


@pytest.mark.parametrize("method", CALLS)
def test_good_calls_are_taken_positionally_and_by_keyword(method: str) -> None:
    left, right = engine_with_history(), engine_with_history()
    before = left.snapshot()
    getattr(left, method)(**CALLS[method])
    getattr(right, method)(*CALLS[method].values())
    assert left.snapshot() == right.snapshot() != before


def spoil(column: list[float], spot: int, value: float) -> list[float]:
    return [value if index == spot % len(column) else item for index, item in enumerate(column)]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["bid_prices", "bid_sizes", "ask_prices", "ask_sizes"]),
    st.integers(0, 19),
    st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 4400.05]),
)
def test_a_book_with_one_bad_number_changes_nothing(name: str, spot: int, value: float) -> None:
    if value in (4400.05, 1e300) and name.endswith("sizes"):
        value = math.nan
    engine = engine_with_history()
    before = engine.snapshot()
    book = dict(CALLS["on_book"])
    book[name] = spoil(book[name].tolist(), spot, value)
    with pytest.raises(InvalidInputError) as caught:
        engine.on_book(**book)
    assert caught.value.field.startswith(name)
    assert engine.snapshot() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bid_prices": BIDS[::-1]}, "bid_prices"),
        ({"ask_prices": ASKS[::-1]}, "ask_prices"),
        ({"bid_prices": BIDS[:5]}, "bid_sizes"),
        ({"ask_sizes": ONES[:5]}, "ask_sizes"),
        ({"bid_prices": ASKS[::-1]}, "bid_prices"),
        ({"bid_prices": BIDS.reshape(2, 10)}, "bid_prices"),
        ({"bid_prices": BIDS.astype(str)}, "bid_prices"),
        ({"bid_prices": BIDS.astype(object)}, "bid_prices"),
        ({"bid_prices": BIDS.astype(complex)}, "bid_prices"),
        ({"bid_sizes": ONES.astype(bool)}, "bid_sizes"),
        ({"bid_prices": "44"}, "bid_prices"),
        ({"bid_prices": {1.0: 2.0}}, "bid_prices"),
        ({"bid_prices": 4400.0}, "bid_prices"),
    ],
)
def test_columns_of_the_wrong_shape_order_or_dtype_are_refused(change: dict[str, Any], field: str) -> None:
    engine = engine_with_history()
    before = engine.snapshot()
    with pytest.raises(InvalidInputError) as caught:
        engine.on_book(**{**CALLS["on_book"], **change})
    assert caught.value.field.split("[")[0] in (field, field.replace("bid", "ask"))
    assert engine.snapshot() == before


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


def test_empty_sides_are_said_by_none() -> None:
    engine = engine_with_history()
    engine.on_best(T0 + 9, None, None, 4400.1, 1.0)
    decision = engine.quote(T0 + 9)
    assert decision.status is QuoteStatus.ONE_SIDED
    assert len(decision.bids) == len(decision.asks) == 0
    for arguments in ((None, 1.0, 4400.1, 1.0), (4400.0, None, 4400.1, 1.0)):
        with pytest.raises(InvalidInputError, match="together with"):
            engine.on_best(T0 + 9, *arguments)


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


def test_constructor_refuses_strangers() -> None:
    for arguments, field in ((("ETH", CONFIG), "instrument"), ((INSTRUMENT, {"levels": 3}), "config")):
        with pytest.raises(InvalidInputError) as caught:
            QuoteEngine(*arguments)  # type: ignore[arg-type]
        assert caught.value.field == field
    with pytest.raises(InvalidInputError):
        QuoteEngine(INSTRUMENT, CONFIG).update_config(None)  # type: ignore[arg-type]
    assert QuoteEngine(INSTRUMENT).config == EngineConfig()


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


@pytest.mark.parametrize("seconds", [1_757_015_216, 1_757_015_216_000, 1_757_015_216_000_000])
def test_a_venue_time_in_seconds_beside_a_time_in_ns_is_refused(seconds: int) -> None:
    engine = engine_with_history()
    before = engine.snapshot()
    now = T0 + 10 * SECOND
    with pytest.raises(InvalidInputError, match="looks like s/ms/µs") as caught:
        engine.on_trade(now, 4400.0, 1.0, Side.BUY, exchange_time_ns=seconds)
    assert (caught.value.field, caught.value.value) == ("exchange_time_ns", str(seconds))
    with pytest.raises(InvalidInputError, match="looks like s/ms/µs") as caught:
        engine.on_trades([now] * 2, [4400.0] * 2, [1.0] * 2, [Side.BUY] * 2, exchange_times=[now, seconds])
    assert caught.value.field == "exchange_times[1]"
    with pytest.raises(InvalidInputError, match="looks like s/ms/µs") as caught:
        engine.on_context(now, funding_rate=1e-5, next_settlement_ns=seconds)
    assert caught.value.field == "next_settlement_ns"
    assert engine.snapshot() == before
    counted = QuoteEngine(INSTRUMENT, CONFIG)
    counted.on_trade(5, 4400.0, 1.0, Side.BUY, exchange_time_ns=3)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("times", T0, TimeOrderError),
        ("prices", 4400.05, InvalidInputError),
        ("prices", math.nan, InvalidInputError),
        ("sizes", 0.0, InvalidInputError),
        ("exchange_times", 17, InvalidInputError),
    ],
)
def test_a_bad_element_of_many_trades_is_named_by_column_and_index(
    name: str, value: Any, kind: type[HypermmError]
) -> None:
    now = T0 + 10 * SECOND
    columns: dict[str, Any] = {"times": [now + row for row in range(4)], "prices": [4400.0] * 4, "sizes": [1.0] * 4}
    columns |= {"aggressors": [Side.SELL] * 4, "exchange_times": [now + row for row in range(4)]}
    columns[name][2] = value
    with pytest.raises(kind) as caught:
        engine_with_history().on_trades(**columns)
    assert caught.value.field == f"{name}[2]"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", None, 3, "price", "fill", "flow", "funding"])
def test_an_outside_signal_needs_a_name_of_its_own(name: Any) -> None:
    engine = engine_with_history()
    before = engine.snapshot()
    with pytest.raises(InvalidInputError) as caught:
        engine.observe(T0 + 10 * SECOND, 0.1, 1.0, name=name)
    assert caught.value.field == "name"
    if name in ("price", "fill", "flow", "funding"):
        assert f"external_{name}" in caught.value.hint
    assert engine.snapshot() == before
    engine.observe(T0 + 10 * SECOND, 0.1, 1.0)
    assert engine.innovations["external"]["count"] >= 1


def test_a_huge_number_is_shown_in_its_shortest_form() -> None:
    with pytest.raises(InvalidInputError) as caught:
        engine_with_history().on_trade(T0 + 10 * SECOND, 4400.0, 1e300, Side.BUY)
    assert caught.value.value == "1e300"
    with pytest.raises(InvalidInputError) as caught:
        engine_with_history().on_trade(T0 + 10 * SECOND, 4400.05, 1.0, Side.BUY)
    assert caught.value.value == "4400.05"
