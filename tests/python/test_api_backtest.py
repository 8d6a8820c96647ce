"""backtest and synthetic_session from Python: any strategy, the same venue, the same bits."""

from __future__ import annotations

import copy
import math
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import hypermm
from free_threads import check_others_run
from hypermm import EngineConfig, Instrument, QuoteEngine, Side
from hypermm.exceptions import HypermmError, InvalidInputError, TimeOrderError
from hypermm.recording import Recording

INSTRUMENT = Instrument("ETH", 4, 25)
CONFIG = EngineConfig(max_position=2.0)
COLUMNS = hypermm.synthetic_session(7, 240.0)
SETTINGS: dict[str, Any] = {"seed": 3, "fill_model": "paper", "cycle_ns": 100_000_000}


class Driven:
    """Our own engine, driven by hand."""

    def __init__(self) -> None:
        self.engine = QuoteEngine(INSTRUMENT, CONFIG)
        self.kinds: set[str] = set()

    @property
    def clip(self) -> float | None:
        return self.engine.clip

    def on_event(self, event: hypermm.Event) -> None:
        self.kinds.add(event.kind)
        event.apply(self.engine)

    def quote(self, time_ns: int) -> Any:
        return self.engine.quote(time_ns)


class ByMethods(Driven):
    """The same through the engine's methods and the event's facts, answering an object of its own."""

    def on_event(self, event: hypermm.Event) -> None:
        facts, now, engine = event.fields(), event.time_ns, self.engine
        if event.kind == "trade":
            venue_ns = facts.pop("exchange_time_ns")
            engine.on_trade(now, **facts, exchange_time_ns=venue_ns)
        else:
            getattr(engine, f"on_{event.kind}")(now, **facts)
        assert all(getattr(event, name) is not ... for name in facts)

    def quote(self, time_ns: int) -> Any:
        decision = self.engine.quote(time_ns)
        sides = [
            SimpleNamespace(prices=side.prices.tolist(), sizes=side.sizes) for side in (decision.bids, decision.asks)
        ]
        return SimpleNamespace(bids=sides[0], asks=sides[1])


@pytest.fixture(scope="module")
def result() -> hypermm.BacktestResult:
    return hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, **SETTINGS)


def test_two_runs_of_one_seed_are_identical_and_two_seeds_are_not(result: hypermm.BacktestResult) -> None:
    assert hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, **SETTINGS) == result
    assert hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, **{**SETTINGS, "seed": 4}) != result
    again = hypermm.synthetic_session(7, 240.0)
    assert all((again[name] == COLUMNS[name]).all() or np.isnan(COLUMNS[name]).all() for name in COLUMNS)
    assert hypermm.synthetic_session(8, 240.0)["trade_id"].shape != COLUMNS["trade_id"].shape


def test_a_loop_driven_from_python_makes_the_same_decisions(result: hypermm.BacktestResult) -> None:
    strategy = Driven()
    assert hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy, **SETTINGS) == result
    assert {"book", "best", "trade", "context", "order", "fill"} <= strategy.kinds
    assert strategy.engine.position == result.summary()["final_position"]


def test_a_strategy_of_ones_own_is_judged_by_the_same_venue(result: hypermm.BacktestResult) -> None:
    judged = hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=ByMethods(), **SETTINGS)
    assert result.summary()["fills"] > 20
    # Prices and sizes alone expect nothing that could be held against the fills.
    expectations = {"expected_edge_bps", "fill_probability"}
    for name, column in result.fills.items():
        if name in expectations:
            assert np.isnan(judged.fills[name]).all(), name
        else:
            assert judged.fills[name].tobytes() == column.tobytes(), name
    assert judged.summary()["expected_edge_bps"] is None
    for name in ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes"):
        assert judged.decisions[name].tobytes() == result.decisions[name].tobytes(), name


def test_a_strategy_may_quote_nothing() -> None:
    silent = SimpleNamespace(on_event=lambda event: None, quote=lambda time_ns: None)
    for strategy in (silent, "silent"):
        summary = hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy).summary()
        assert summary["fills"] == summary["orders_placed"] == 0
        assert summary["pnl_usd"] == 0.0


def test_a_strategy_of_ours_is_known_by_its_name(result: hypermm.BacktestResult) -> None:
    """Kills: a name that plays another strategy."""
    engine, plain = (
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=name, **SETTINGS) for name in ("engine", "plain")
    )
    assert np.array_equal(engine.fills["price"], result.fills["price"])
    assert 0 < len(plain.fills["price"]) != len(engine.fills["price"])
    with pytest.raises(hypermm.InvalidInputError, match="engine, plain or silent"):
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy="martingale")


@pytest.mark.parametrize(
    ("prices", "sizes", "field"),
    [
        ([4270.05], [0.1], "bids"),
        ([4200.0], [0.00001], "bids"),
        ([4200.0], [-0.1], "bids"),
        ([4200.0, 4200.0], [0.1, 0.1], "bids"),
        ([4200.0, 4201.0], [0.1, 0.1], "bids"),
        ([4200.0], [0.1, 0.1], "bids"),
        (["4200"], [0.1], "bids.prices"),
        ([math.nan], [0.1], "bids"),
        ([4200.0 - step for step in range(33)], [0.1] * 33, "bids"),
    ],
)
def test_a_ladder_that_cannot_stand_is_refused(prices: Any, sizes: Any, field: str) -> None:
    side = SimpleNamespace(prices=prices, sizes=sizes)
    empty = SimpleNamespace(prices=[], sizes=[])
    strategy = SimpleNamespace(
        on_event=lambda event: None, quote=lambda time_ns: SimpleNamespace(bids=side, asks=empty)
    )
    with pytest.raises(InvalidInputError) as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy)
    assert caught.value.field.startswith(field)


def test_what_a_strategy_or_the_progress_raises_ends_the_run() -> None:
    class Broken(Driven):
        def quote(self, time_ns: int) -> Any:
            raise KeyError(time_ns)

    with pytest.raises(KeyError):
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=Broken())

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for strategy in (None, Driven()):
        with pytest.raises(KeyboardInterrupt):
            hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy, progress=stop)


def test_progress_ends_at_the_number_of_events(result: hypermm.BacktestResult) -> None:
    calls: list[tuple[int, int]] = []
    hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, progress=lambda done, total: calls.append((done, total)))
    events = result.summary()["events"]
    assert calls[-1] == (events, events)
    assert calls == sorted(calls)


def test_other_threads_run_while_the_engine_replays() -> None:
    long = hypermm.synthetic_session(1, 7200.0)
    check_others_run(lambda: hypermm.backtest(long, INSTRUMENT, CONFIG, cycle_ns=0, log_decisions=False))


def test_result_is_a_value(result: hypermm.BacktestResult) -> None:
    for twin in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert twin == result
        assert twin.summary() == result.summary()
        assert not twin.fills["price"].flags.writeable
    cycles = result.summary()["quote_cycles"]
    assert result.decisions["bid_prices"].shape == (cycles, CONFIG.levels)
    assert result.fills["markout_bps"].shape == (result.summary()["fills"], 6)
    for columns in (result.fills, result.decisions, result.equity):
        for column in columns.values():
            assert not column.flags.writeable
        with pytest.raises(TypeError):
            columns["other"] = 1  # type: ignore[index]
    result.summary()["fills"] = -1
    assert result.summary()["fills"] >= 0
    assert dict(hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, log_decisions=False).decisions) == {}


def test_summary_agrees_with_the_columns(result: hypermm.BacktestResult) -> None:
    summary, fills = result.summary(), result.fills
    assert summary["fills"] == len(fills["price"]) == summary["buy_fills"] + summary["sell_fills"]
    assert summary["volume_usd"] == pytest.approx((fills["price"] * fills["size"]).sum(), rel=1e-9)
    assert summary["final_position"] == pytest.approx((fills["side"] * fills["size"]).sum(), abs=1e-9)
    assert summary["max_abs_position"] == pytest.approx(np.abs(fills["position"]).max(), abs=1e-9)
    assert summary["fees_usd"] == pytest.approx(fills["fee_usd"].sum(), abs=1e-5)
    assert summary["conservation"] == "exact"
    assert summary["max_abs_position"] <= CONFIG.max_position
    assert set(summary["markout_bps"]) == {"0.5s", "1s", "5s", "10s", "30s", "60s"}


def test_a_recording_and_its_columns_are_the_same_input(result: hypermm.BacktestResult) -> None:
    recording = Recording.from_columns("ETH", COLUMNS)
    assert hypermm.backtest(recording, INSTRUMENT, CONFIG, **SETTINGS) == result


@pytest.mark.parametrize(
    ("name", "spoil", "kind"),
    [
        ("bid_prices", lambda column: -column, InvalidInputError),
        ("bid_prices", lambda column: column[:, ::-1].copy(), InvalidInputError),
        ("bid_prices", lambda column: column[1:], InvalidInputError),
        ("bid_prices", lambda column: column.astype("float32"), InvalidInputError),
        ("bid_prices", lambda column: column.ravel(), InvalidInputError),
        ("bid_prices", lambda column: None, InvalidInputError),
        ("book_time_ns", lambda column: column[::-1].copy(), TimeOrderError),
        ("book_time_ns", lambda column: column.astype(float), InvalidInputError),
        ("trade_aggressor", lambda column: column * 2, InvalidInputError),
        ("trade_price", lambda column: column * math.nan, InvalidInputError),
        ("trade_size", lambda column: column[1:], InvalidInputError),
        ("trade_id", lambda column: column.astype(float), InvalidInputError),
    ],
)
def test_a_bad_column_is_named(name: str, spoil: Any, kind: type[HypermmError]) -> None:
    with pytest.raises(kind) as caught:
        hypermm.backtest({**COLUMNS, name: spoil(COLUMNS[name])}, INSTRUMENT, CONFIG)
    assert caught.value.field.split("[")[0] == name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"fill_model": "lucky"}, "fill_model"),
        ({"fill_model": 3}, "fill_model"),
        ({"fill_model": (1.5, 0.5)}, "touch_probability"),
        ({"fill_model": ("power", 0)}, "cancel_exponent"),
        ({"fill_model": ("power", "1")}, "cancel_exponent"),
        ({"fill_model": ("log", 1)}, "fill_model"),
        ({"cycle_ns": 0.25}, "cycle_ns"),
        ({"cycle_ns": -1}, "cycle_ns"),
        ({"latency": -1}, "latency"),
        ({"latency": (1, 2.0)}, "acknowledge_ns"),
        ({"latency": 10**12}, "to_venue_ns"),
        ({"log_decisions": "yes"}, "log_decisions"),
    ],
)
def test_a_bad_setting_is_named(setting: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, **setting)
    assert caught.value.field == field


@pytest.mark.parametrize("setting", [{"volatilty": 1.0}, {"volatility": -1.0}, {"depth": 2.5}, {"depth": 0}])
def test_a_bad_session_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        hypermm.synthetic_session(1, 60.0, **setting)
    assert caught.value.field == next(iter(setting))


def test_events_are_what_the_columns_hold() -> None:
    seen: list[hypermm.Event] = []
    strategy = SimpleNamespace(on_event=seen.append, quote=lambda time_ns: None)
    hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy)
    trades = [event for event in seen if event.kind == "trade"]
    assert [event.price for event in trades] == COLUMNS["trade_price"].tolist()
    assert [event.time_ns for event in trades] == COLUMNS["trade_time_ns"].tolist()
    assert [event.aggressor is Side.BUY for event in trades] == (COLUMNS["trade_aggressor"] > 0).tolist()
    book = next(event for event in seen if event.kind == "book")
    assert (book.bid_prices == COLUMNS["bid_prices"][0]).all()
    assert [event.time_ns for event in seen] == sorted(event.time_ns for event in seen)
    with pytest.raises(AttributeError, match="a book event has no price"):
        _ = book.price
    with pytest.raises(InvalidInputError, match="engine"):
        book.apply(None)  # type: ignore[arg-type]


LADDER = SimpleNamespace(prices=[], sizes=[])


@pytest.mark.parametrize(
    ("strategy", "hint"),
    [
        (object(), ""),
        (SimpleNamespace(on_event=lambda event: None), ""),
        (SimpleNamespace(on_event=lambda event: None, quote=3), ""),
        (SimpleNamespace(on_event=None, quote=lambda time_ns: None), ""),
        (QuoteEngine(INSTRUMENT, CONFIG), "event.apply(engine)"),
        (Driven, "a class"),
    ],
)
def test_a_strategy_without_its_methods_is_refused(strategy: Any, hint: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy)
    assert caught.value.field == "strategy"
    assert "on_event(event) and quote(time_ns)" in caught.value.expected
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ("buy", "quote()"),
        ((4200.0, 0.1), "quote()"),
        (7, "quote()"),
        (SimpleNamespace(bids=LADDER), "quote()"),
        (SimpleNamespace(bids=None, asks=LADDER), "bids"),
        (SimpleNamespace(bids=LADDER, asks=[(4300.0, 0.1)]), "asks"),
        (SimpleNamespace(bids=SimpleNamespace(prices=[4200.0], sizes=None), asks=LADDER), "bids.sizes"),
        (SimpleNamespace(bids=LADDER, asks=SimpleNamespace(prices=[4300.0, 4301.0], sizes=[0.1])), "asks"),
        (SimpleNamespace(bids=SimpleNamespace(prices=[4200.0], sizes=[math.nan]), asks=LADDER), "bids.sizes[0]"),
        (
            SimpleNamespace(bids=LADDER, asks=SimpleNamespace(prices=[4300.0, math.nan], sizes=[0.1, 0.1])),
            "asks.prices[1]",
        ),
    ],
)
def test_what_is_no_decision_is_refused_by_field_value_and_expectation(answer: Any, field: str) -> None:
    strategy = SimpleNamespace(on_event=lambda event: None, quote=lambda time_ns: answer)
    with pytest.raises(InvalidInputError) as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=strategy)
    assert caught.value.field == field
    assert caught.value.value
    assert caught.value.expected


@pytest.mark.parametrize("error", [AttributeError("mine"), TypeError("mine"), InvalidInputError("mine", field="x")])
@pytest.mark.parametrize("method", ["on_event", "quote"])
def test_what_the_users_own_code_raises_passes_unchanged(method: str, error: Exception) -> None:
    def broken(_: object) -> None:
        raise error

    methods: dict[str, Any] = {"on_event": lambda event: None, "quote": lambda time_ns: None, method: broken}
    with pytest.raises(type(error)) as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, strategy=SimpleNamespace(**methods))
    assert caught.value is error


def test_a_progress_that_cannot_be_called_is_refused_before_the_run() -> None:
    with pytest.raises(InvalidInputError, match="callable") as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, progress=True)  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.value) == ("progress", "True")


@pytest.mark.parametrize("setting", [{"fill_model": (1, 1, 1)}, {"fill_model": "lucky"}, {"fill_model": 3}])
def test_a_refused_fill_model_says_all_that_it_may_be(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, **setting)
    assert caught.value.value == repr(setting["fill_model"])
    for word in ("paper", "default", "risk_averse", '("power", exponent)', "log", "(touch_probability, queue_factor)"):
        assert word in caught.value.expected
    with pytest.raises(InvalidInputError, match="to the venue, back from it"):
        hypermm.backtest(COLUMNS, INSTRUMENT, CONFIG, latency=(1, 2, 3))  # type: ignore[arg-type]
