"""Sessions and scenarios at the matching venue from Python: the same bits, books that add up, inputs refused."""

from __future__ import annotations

import copy
import pickle
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import hypermm
from free_threads import check_others_run
from hypermm import EngineConfig, MarketPreset
from hypermm.exceptions import HypermmError, InvalidConfigError, InvalidInputError
from hypermm.recording import Recording
from hypermm.research.evaluate import markout_curve, mid_path, profit_split

COLUMNS = {
    "seed", "fills", "max_long", "max_short", "max_with_orders", "final_position", "pnl_usd", "min_pnl_usd",
    "volume_usd", "depth_bps", "edge_bps", "two_sided_share", "reducing_share", "reducing_wanted_share", "killed",
}  # fmt: skip
RUST_COLUMNS = ("seed", "fills", "max_long", "pnl_usd", "edge_bps")
CONFIG = EngineConfig(max_position=100.0, maker_fee_bps=1.44)
SHORT: dict[str, Any] = {"duration_s": 900.0}


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(left[name].tobytes() == right[name].tobytes() for name in left)


@pytest.fixture(scope="module")
def played() -> tuple[hypermm.BacktestResult, dict[str, Any]]:
    return hypermm.matching_session("hype", CONFIG, seed=5, **SHORT)


class Driven:
    """Our own engine, driven by hand."""

    def __init__(self) -> None:
        self.engine = hypermm.QuoteEngine(MarketPreset("hype").instrument, CONFIG)

    @property
    def clip(self) -> float | None:
        return self.engine.clip

    def on_event(self, event: hypermm.Event) -> None:
        event.apply(self.engine)

    def quote(self, time_ns: int) -> Any:
        return self.engine.quote(time_ns)


# Kills: a column left out, a column of another length, shares out of their range.
@pytest.mark.parametrize("name", ["feb19", "feb12", "calm"])
def test_every_column_of_every_scenario_is_there(name: str) -> None:
    rows = hypermm.run_scenario(name, seeds=3)
    assert set(rows) == COLUMNS
    assert {len(column) for column in rows.values()} == {3}
    assert rows["seed"].tolist() == [0, 1, 2]
    assert (rows["fills"] > 0).all()
    for share in ("two_sided_share", "reducing_share", "reducing_wanted_share"):
        assert ((rows[share] > 0.5) & (rows[share] <= 1.0)).all()
    assert (rows["min_pnl_usd"] <= np.minimum(rows["pnl_usd"], 0.0) + 1e-9).all()
    assert (rows["max_with_orders"] >= np.maximum(rows["max_long"], rows["max_short"]) - 1e-9).all()
    assert rows["killed"].dtype == bool
    assert not any(column.flags.writeable for column in rows.values())


# Kills: a draw that depends on how many seeds ran before it, or on the core it ran on; a first seed that is ignored.
def test_a_row_depends_on_its_seed_alone() -> None:
    many = hypermm.run_scenario("feb19", seeds=13)
    assert _same(many, hypermm.run_scenario("feb19", seeds=13))
    some = hypermm.run_scenario("feb19", seeds=2, first_seed=9)
    assert _same(some, {name: column[9:11] for name, column in many.items()})
    assert len(set(many["pnl_usd"].tolist())) == 13


def test_the_plain_ladder_is_another_strategy() -> None:
    engine, plain = (hypermm.run_scenario("feb19", seeds=4, strategy=name) for name in ("engine", "plain"))
    assert (engine["pnl_usd"] != plain["pnl_usd"]).all()


# Kills: overrides dropped, or laid over the engine's own defaults, whose cap is not the scenario's.
def test_engine_fields_are_laid_over_the_defaults_of_the_scenario() -> None:
    rows = hypermm.run_scenario("feb19", seeds=3)
    assert _same(rows, hypermm.run_scenario("feb19", seeds=3, engine={}))
    assert _same(rows, hypermm.run_scenario("feb19", seeds=3, engine={"max_position": 8.57}))
    small = hypermm.run_scenario("feb19", seeds=3, engine={"max_position": 2.0})
    assert (small["max_with_orders"] <= 2.0 + 1e-9).all()


@pytest.mark.parametrize(
    ("arguments", "kind", "field", "words"),
    [
        ({"name": "feb20"}, InvalidInputError, "scenario", "feb19, feb12, calm"),
        ({"name": 19}, InvalidInputError, "scenario", "text"),
        ({"strategy": "martingale"}, InvalidInputError, "strategy", "engine, plain or silent"),
        ({"seeds": 0}, InvalidInputError, "seeds", "1 to 1000000"),
        ({"seeds": 1_000_001}, InvalidInputError, "seeds", "1 to 1000000"),
        ({"seeds": 2.0}, InvalidInputError, "seeds", "an integer"),
        ({"first_seed": -1}, InvalidInputError, "first_seed", "0 to"),
        ({"engine": {"levles": 3}}, InvalidConfigError, "levles", "levels"),
        ({"engine": {"levels": 99}}, InvalidConfigError, "levels", "32"),
        ({"engine": {"levels": "3"}}, InvalidConfigError, "levels", "integer"),
        ({"engine": 3}, InvalidInputError, "engine", "mapping"),
        ({"engine": [3]}, InvalidInputError, "engine", "mapping"),
        ({"engine": {3: 3}}, InvalidInputError, "engine field", "text"),
        ({"progress": 3}, InvalidInputError, "progress", "callable"),
    ],
)
def test_a_wrong_scenario_is_refused_with_what_mends_it(
    arguments: dict[str, Any], kind: type[HypermmError], field: str, words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        hypermm.run_scenario(**({"name": "calm", "seeds": 1} | arguments))
    assert caught.value.field == field  # type: ignore[attr-defined]


def test_progress_counts_seeds_and_what_it_raises_ends_the_run() -> None:
    calls: list[tuple[int, int]] = []
    hypermm.run_scenario("calm", seeds=5, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (5, 5)
    assert calls == sorted(calls)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hypermm.run_scenario("calm", seeds=10**6, progress=stop)


def test_other_threads_run_while_seeds_are_played() -> None:
    check_others_run(lambda: hypermm.run_scenario("calm", seeds=6))


def test_one_seed_is_one_session_and_another_seed_another(
    played: tuple[hypermm.BacktestResult, dict[str, Any]],
) -> None:
    result, columns = played
    again, columns_again = hypermm.matching_session("hype", CONFIG, seed=5, **SHORT)
    assert again == result
    assert _same(columns_again, columns)
    other, _ = hypermm.matching_session("hype", CONFIG, seed=4, **SHORT)
    assert other != result
    assert hypermm.matching_session("eth", EngineConfig(max_position=1.0), **SHORT)[0].summary()["fills"] > 0


# Kills: events of the account or the market that a Python strategy does not hear, or hears in another order.
def test_a_loop_driven_from_python_makes_the_same_session(
    played: tuple[hypermm.BacktestResult, dict[str, Any]],
) -> None:
    strategy = Driven()
    result, columns = hypermm.matching_session("hype", CONFIG, seed=5, strategy=strategy, **SHORT)
    assert result == played[0]
    assert _same(columns, played[1])
    assert strategy.engine.position == result.summary()["final_position"]
    named, _ = hypermm.matching_session("hype", CONFIG, seed=5, strategy="engine", **SHORT)
    assert named == result


# Kills: cash that takes a fee twice or at another rate, a fill booked on one side only, funding left out.
def test_the_books_of_a_session_add_up(played: tuple[hypermm.BacktestResult, dict[str, Any]]) -> None:
    result, _ = played
    fills, summary = result.fills, result.summary()
    assert summary["fills"] > 50
    signed = fills["side"] * fills["size"]
    assert summary["final_position"] == pytest.approx(signed.sum(), abs=1e-9)
    # Cut off at six decimals.
    assert fills["fee_usd"] == pytest.approx(1.44e-4 * fills["price"] * fills["size"], rel=0, abs=1.0001e-6)
    last_mid = result.equity["mid_price"][-1]
    cash = -(signed * fills["price"]).sum() - fills["fee_usd"].sum() - summary["funding_usd"]
    assert cash + signed.sum() * last_mid == pytest.approx(summary["pnl_usd"], abs=1e-4)
    assert summary["conservation"] == "exact"
    watch = summary["watch"]
    path = np.concatenate([[0.0], np.cumsum(signed)])
    assert (watch["max_long"], watch["max_short"]) == pytest.approx((path.max(), -path.min()), abs=1e-9)
    assert max(watch["max_long"], watch["max_short"]) == pytest.approx(summary["max_abs_position"])
    for side in ("long", "short"):
        assert watch[f"max_{side}"] <= watch[f"max_{side}_with_orders"] <= CONFIG.max_position + 1e-9
    assert watch["reducing_share"] == watch["reducing_blocks"] / watch["holding_blocks"] > 0.9


def test_a_plain_session_expects_nothing_and_differs(played: tuple[hypermm.BacktestResult, dict[str, Any]]) -> None:
    plain, _ = hypermm.matching_session("hype", CONFIG, seed=5, strategy="plain", **SHORT)
    assert plain != played[0]
    assert plain.summary()["expected_edge_bps"] is None
    silent = SimpleNamespace(on_event=lambda event: None, quote=lambda time_ns: None)
    watch = hypermm.matching_session("hype", CONFIG, strategy=silent, **SHORT)[0].summary()["watch"]
    assert (watch["max_long"], watch["holding_blocks"], watch["reducing_share"]) == (0.0, 0, 1.0)


# Kills: rows after the end, prices off the grid, streams out of order: the recorded venue refuses them.
def test_the_published_feed_is_a_recording(played: tuple[hypermm.BacktestResult, dict[str, Any]]) -> None:
    result, columns = played
    recording = Recording.from_columns("HYPE", columns)
    summary = result.summary()
    assert recording.events == summary["events"]
    assert summary["start_ns"] <= recording.start_ns
    assert recording.end_ns <= summary["end_ns"]
    replayed = hypermm.backtest(recording, MarketPreset("hype").instrument, CONFIG)
    assert replayed.summary()["fills"] > 0
    # Our fills are prints of the tape, at our price and at the venue's time.
    tape = set(zip(columns["trade_exchange_time_ns"].tolist(), columns["trade_price"].tolist(), strict=True))
    fills = result.fills
    heard = fills["exchange_time_ns"] <= columns["trade_exchange_time_ns"][-1]
    ours = set(zip(fills["exchange_time_ns"][heard].tolist(), fills["price"][heard].tolist(), strict=True))
    assert len(ours) > 20
    assert ours <= tape


def test_markouts_and_split_are_those_of_the_published_feed(
    played: tuple[hypermm.BacktestResult, dict[str, Any]],
) -> None:
    result, columns = played
    path, summary = mid_path(Recording.from_columns("HYPE", columns)), result.summary()
    curve = markout_curve(result.fills, path, [1.0, 5.0, 10.0, 30.0, 60.0])
    reported = [summary["markout_bps"][f"{horizon:g}s"] for horizon in curve.horizon_s]
    assert curve.mean_bps == pytest.approx(reported, abs=1e-6)
    split = profit_split(result.fills, result.equity, path)
    assert split.total[-1] == pytest.approx(summary["pnl_usd"], abs=1e-6)
    assert split.spread_capture[-1] == pytest.approx(summary["spread_capture_usd"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "field", "words"),
    [
        ({"preset": "doge"}, "preset", "one of hype, eth"),
        ({"preset": 3}, "preset", "text"),
        ({"config": {}}, "config", "EngineConfig"),
        ({"strategy": "martingale"}, "strategy", "engine, plain or silent"),
        ({"strategy": object()}, "strategy", "on_event"),
        ({"duration_s": 0.5}, "duration_s", "1 to 2592000 s"),
        ({"duration_s": float("nan")}, "duration_s", "1 to 2592000 s"),
        ({"seed": -1}, "seed", "0 to"),
        ({"cycle_ns": 10**13}, "cycle_ns", "one hour"),
        ({"cycle_ns": 0.25}, "cycle_ns", "integer"),
        ({"deposit_usd": 0.0}, "deposit_usd", "USD"),
        ({"deposit_usd": float("nan")}, "deposit_usd", "USD"),
        ({"leverage": 11}, "leverage", "1 to 10"),
        ({"leverage": 0}, "leverage", "1 to 10"),
        ({"latency": (1, 2)}, "latency", "three of them"),
        ({"latency": (1, 2, -3)}, "feed_ns", "0 to"),
        ({"latency": 10**12}, "latency.order.constant_ns", "60000000000"),
        ({"progress": 3}, "progress", "callable"),
        ({"log_decisions": "yes"}, "log_decisions", "True or False"),
    ],
)
def test_a_wrong_session_is_refused_with_what_mends_it(arguments: dict[str, Any], field: str, words: str) -> None:
    given: dict[str, Any] = {"preset": "hype", "config": CONFIG} | arguments
    with pytest.raises(InvalidInputError, match=words) as caught:
        hypermm.matching_session(given.pop("preset"), given.pop("config"), **given)
    assert caught.value.field == field


def test_settings_of_a_session_reach_the_venue(played: tuple[hypermm.BacktestResult, dict[str, Any]]) -> None:
    fast, columns = hypermm.matching_session(
        "hype", CONFIG, seed=5, latency=(5_000_000, 5_000_000, 20_000_000), **SHORT
    )
    late = columns["book_time_ns"] - columns["book_exchange_time_ns"]
    assert (late == 20_000_000).all()
    assert fast != played[0]
    slow, _ = hypermm.matching_session("hype", CONFIG, seed=5, cycle_ns=2_000_000_000, log_decisions=False, **SHORT)
    assert slow.summary()["quote_cycles"] < played[0].summary()["quote_cycles"] / 4
    assert dict(slow.decisions) == {}
    poor, _ = hypermm.matching_session("hype", CONFIG, seed=5, deposit_usd=20.0, leverage=1, **SHORT)
    assert poor.summary()["orders_rejected"] > played[0].summary()["orders_rejected"]
    assert poor.summary()["max_abs_position"] < 2.0


def test_what_progress_or_a_strategy_raises_ends_the_session() -> None:
    calls: list[tuple[int, int]] = []
    hypermm.matching_session("hype", CONFIG, progress=lambda done, total: calls.append((done, total)), **SHORT)
    assert calls[-1] == (900, 900)
    assert calls == sorted(calls)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    class Broken(Driven):
        def quote(self, time_ns: int) -> Any:
            raise KeyError(time_ns)

    for strategy in (None, "plain", Driven()):
        with pytest.raises(KeyboardInterrupt):
            hypermm.matching_session("hype", CONFIG, strategy=strategy, progress=stop, **SHORT)
    with pytest.raises(KeyError):
        hypermm.matching_session("hype", CONFIG, strategy=Broken(), **SHORT)


def test_a_preset_is_a_value() -> None:
    assert MarketPreset.names() == ("hype", "eth", "btc", "sol", "wlfi")
    for name in MarketPreset.names():
        preset = MarketPreset(name)
        for twin in (pickle.loads(pickle.dumps(preset)), copy.deepcopy(preset)):
            assert twin == preset
        assert repr(preset) == f"MarketPreset('{name}')"
        assert preset.text
        assert preset.instrument.coin == name.upper()
        assert preset.start_price > 0
        assert 0 < preset.maker_fee_bps < preset.taker_fee_bps
    assert MarketPreset("hype") != MarketPreset("eth")


# Kills: a configuration, reach or seed that the binding makes up instead of the scenario's own.
@pytest.mark.verify
def test_rows_are_those_of_rust() -> None:
    root = Path(__file__).parents[2]
    command = ["cargo", "test", "--profile", "fast", "-p", "hypermm-simulation", "--test", "laws", "rows_for_python"]
    printed = subprocess.run(
        [*command, "--", "--ignored", "--nocapture"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    rust = [line.split()[1:] for line in printed.splitlines() if line.startswith("ROW ")]
    assert len(rust) == 18
    for name in ("feb19", "feb12", "calm"):
        for strategy in ("engine", "plain"):
            rows = hypermm.run_scenario(name, seeds=3, first_seed=10_000, strategy=strategy)
            ours = zip(*(rows[column].tolist() for column in RUST_COLUMNS), strict=True)
            theirs = [tuple(map(float, row[2:])) for row in rust if row[:2] == [name, strategy]]
            assert [tuple(map(float, row)) for row in ours] == theirs
