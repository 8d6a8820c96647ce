"""QuoteEngine from Python: what it refuses, by name, and that a refusal changes nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_calls import ASKS, BIDS, CALLS, CONFIG, INSTRUMENT, ONES, SECOND, T0, engine_with_history
from hypermm import EngineConfig, QuoteEngine, Side
from hypermm.exceptions import HypermmError, InvalidInputError, SnapshotError, TimeOrderError

JUNK: list[Any] = [math.nan, math.inf, -math.inf, -1.0, "1", None, True, [1.0], object(), 10**400, b"1"]


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


@pytest.mark.parametrize("scale", [1, 10**3, 10**6], ids=["s", "ms", "µs"])
def test_a_first_time_in_another_unit_is_refused(scale: int) -> None:
    engine = QuoteEngine(INSTRUMENT, CONFIG)
    with pytest.raises(InvalidInputError, match="looks like s/ms/µs"):
        engine.on_best(1_756_900_000 * scale, 4400.0, 1.0, 4400.1, 1.0)
    assert engine.now_ns is None
    engine.on_best(1_756_900_000 * 10**9, 4400.0, 1.0, 4400.1, 1.0)


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


def test_constructor_refuses_strangers() -> None:
    for arguments, field in ((("ETH", CONFIG), "instrument"), ((INSTRUMENT, {"levels": 3}), "config")):
        with pytest.raises(InvalidInputError) as caught:
            QuoteEngine(*arguments)  # type: ignore[arg-type]
        assert caught.value.field == field
    with pytest.raises(InvalidInputError):
        QuoteEngine(INSTRUMENT, CONFIG).update_config(None)  # type: ignore[arg-type]
    assert QuoteEngine(INSTRUMENT).config == EngineConfig()


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
