"""Presets as values, files and markets: what is wrong with one is refused by file and key."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypermm
from hypermm import EngineConfig, MarketPreset
from hypermm.exceptions import InvalidInputError
from hypermm.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

NAMES = MarketPreset.names()


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return all(np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f") for name in left)


# Kills: a seed that is not used, a draw that is not seeded, a name that must be in one case.
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_one_market_for_each_seed(name: str) -> None:
    columns = hypermm.synthetic_market(name, seed=3, duration_s=90.0)
    assert _same(columns, hypermm.synthetic_market(MarketPreset(name.upper()), seed=3, duration_s=90.0))
    assert not np.array_equal(
        columns["trade_price"], hypermm.synthetic_market(name, seed=4, duration_s=90.0)["trade_price"]
    )
    recording = Recording.from_columns(name.upper(), columns)
    print(f"{name}: {recording}")
    assert recording.depth == 20
    assert 150 < len(recording.book_time_ns) < 180
    assert np.nanmedian(recording.best_bid_price) == pytest.approx(MarketPreset(name).start_price, rel=0.02)


def test_parameters_are_a_row_of_the_table_each(tmp_path: Path) -> None:
    eth = MarketPreset("eth")
    assert list(eth.parameters) == [row[0] for row in MarketPreset.parameter_table()]
    for _, unit, low, high, text in MarketPreset.parameter_table():
        assert unit
        assert text
        assert low < high
    other = eth.with_parameters({"volatility_bps": 3.0, "touch_orders": 2}, name="wild", text="a wild one")
    assert (other.name, other.text, other.parameters["volatility_bps"]) == ("wild", "a wild one", 3.0)
    assert other.parameters == eth.parameters | {"volatility_bps": 3.0, "touch_orders": 2.0}
    assert eth == MarketPreset("ETH") != other
    path = tmp_path / "wild.json"
    path.write_text(json.dumps(other.as_dict()), "utf-8")
    for twin in (
        MarketPreset.from_file(path),
        MarketPreset.from_file(str(path)),
        MarketPreset.from_dict(other.as_dict()),
    ):
        assert twin == other
    for twin in (pickle.loads(pickle.dumps(other)), copy.deepcopy(other)):
        assert twin == other
    assert not np.array_equal(
        hypermm.synthetic_market(other, duration_s=60.0)["best_bid_price"],
        hypermm.synthetic_market(eth, duration_s=60.0)["best_bid_price"],
    )


def test_the_matching_venue_takes_a_preset_or_its_name() -> None:
    config = EngineConfig(max_position=10.0)
    by_name, named_feed = hypermm.matching_session("hype", config, seed=2, duration_s=120.0)
    by_value, feed = hypermm.matching_session(MarketPreset("HYPE"), config, seed=2, duration_s=120.0)
    assert _same(named_feed, feed)
    assert by_name.summary()["pnl_usd"] == by_value.summary()["pnl_usd"]


def _written(change: dict[str, Any], *, drop: str = "") -> dict[str, Any]:
    written = MarketPreset("sol").as_dict() | change
    written.pop(drop, None)
    return written


def _with(name: str, value: Any) -> dict[str, Any]:
    return {"parameters": MarketPreset("sol").parameters | {name: value}}


@pytest.mark.parametrize(
    ("written", "field", "words"),
    [
        ("{", "market.json", "JSON"),
        ("[1, 2]", "market.json: preset", "mapping"),
        (_written({"coim": "SOL"}), "coim", "keys are name"),
        (_written({}, drop="coin"), "coin", "missing"),
        (_written({"maker_fee_bps": "cheap"}), "maker_fee_bps", "number"),
        (_written({"maker_fee_bps": 1e6}), "maker_fee_bps", "-10 to 100"),
        (_written({"name": " "}), "name", "a name"),
        (_written({"size_decimals": 12}), "size_decimals", "0"),
        (_written(_with("volatility_bps", -1.0)), "volatility_bps", "0.001 to 1000"),
        (_written(_with("volatility_bps", float("nan"))), "volatility_bps", "0.001 to 1000"),
        (_written(_with("touch_orders", 1.5)), "touch_orders", "whole"),
        (_written(_with("tuch_orders", 1.0)), "parameter", "touch_orders"),
        (_written({"parameters": {"volatility_bps": 1.0}}), "start_price", "missing"),
        (_written({"parameters": 3}), "parameters", "mapping"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(written: Any, field: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    path.write_text(written if isinstance(written, str) else json.dumps(written), "utf-8")
    with pytest.raises(InvalidInputError) as refused:
        MarketPreset.from_file(path)
    print(refused.value)
    assert str(path) in refused.value.field
    assert field in refused.value.field
    assert words in str(refused.value)


def test_what_is_no_market_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nowhere"):
        MarketPreset.from_file("nowhere.json")
    with pytest.raises(InvalidInputError, match="one of hype, eth, btc, sol, wlfi"):
        MarketPreset("doge")
    with pytest.raises(InvalidInputError, match="parameter = nope"):
        MarketPreset("eth").with_parameters({"nope": 1.0})
    for duration_s in (0.0, float("nan"), 1e9):
        with pytest.raises(InvalidInputError, match="duration_s"):
            hypermm.synthetic_market("eth", duration_s=duration_s)
    with pytest.raises(InvalidInputError, match="one of feb19"):
        MarketPreset.of_scenario("mar19")
    assert MarketPreset.of_scenario("calm").parameters["event_rate_per_s"] == 0.3


def test_what_progress_raises_ends_a_market() -> None:
    calls: list[tuple[int, int]] = []
    hypermm.synthetic_market("hype", duration_s=600.0, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (600, 600)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hypermm.synthetic_market("hype", duration_s=600.0, progress=stop)
