"""Features: streaming against the formulas, nothing from the future, the same every time, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

import hypermm
from hypermm.cli.root import run
from hypermm.recording import Recording, load_recording
from hypermm.recording.instruments import instrument_facts
from hypermm.recording.write import write_columns, write_recording
from hypermm.research.evaluate import mid_path
from oracles.features import Recomputed

S = 10**9
TOLERANCE = 1e-9
# At 30 USD a step of the grid is 3.3 bps: twenty levels reach beyond 50 bps, five do not reach 25.
INSTRUMENT = hypermm.Instrument("WIDE", 4, 25)

Columns = dict[str, Any]


def session(depth: int = 20, seed: int = 1) -> Columns:
    """A market with all that can happen to a feed: a context that moves, one-sided and locked books, a silence."""
    columns = hypermm.synthetic_session(
        seed, 800.0, instrument=INSTRUMENT, start_price=30.0, depth=depth, volatility=3.0, half_spread_bps=1.5
    )
    random = np.random.default_rng(seed)
    columns = {name: np.array(values) for name, values in columns.items()}
    rows = len(columns["context_time_ns"])
    columns["oracle_price"] = columns["oracle_price"] * np.exp(random.normal(0, 2e-4, rows))
    columns["open_interest"] = 1e5 * np.exp(np.cumsum(random.normal(0, 1e-3, rows)))
    columns["funding_rate"] = 1e-5 + np.cumsum(random.normal(0, 1e-6, rows))
    columns["predicted_funding"] = columns["funding_rate"] + random.normal(0, 1e-6, rows)
    for name in ("oracle_price", "open_interest", "funding_rate", "predicted_funding"):
        columns[name][random.random(rows) < 0.3] = np.nan
    empty = random.random(len(columns["best_time_ns"])) < 0.02
    columns["best_ask_price"][empty] = columns["best_ask_size"][empty] = np.nan
    locked = random.random(len(columns["best_time_ns"])) < 0.02
    columns["best_ask_price"][locked & ~empty] = columns["best_bid_price"][locked & ~empty]
    # Twenty seconds without a book, and twelve without anything.
    start = int(columns["book_time_ns"][0])
    for stream, begin_s, end_s in (
        ("book", 300, 320), ("best", 300, 320), ("trade", 500, 540),
        ("book", 600, 612), ("best", 600, 612), ("trade", 600, 612), ("context", 590, 680),
    ):  # fmt: skip
        columns = _without(columns, stream, start + begin_s * S, start + end_s * S)
    return columns


def _without(columns: Columns, stream: str, begin: int, end: int) -> Columns:
    time = columns[f"{stream}_time_ns"]
    keep = (time < begin) | (time >= end)
    return {n: v[keep] if hypermm.recording.schema.COLUMNS[n].stream == stream else v for n, v in columns.items()}


def leader(columns: Columns, seed: int = 2) -> tuple[Any, Any]:
    """A market that moves about as ours will in two seconds, with a silence of its own."""
    random = np.random.default_rng(seed)
    path = mid_path(Recording.from_columns("WIDE", columns))
    time = np.arange(columns["book_time_ns"][0], columns["book_time_ns"][-1], S // 3)
    price = path.at(np.minimum(time + 2 * S, path.time_ns[-1]))
    price = np.where(np.isnan(price), 30.0, price) * np.exp(random.normal(0, 3e-5, len(time))) * 3000
    keep = (time < time[0] + 400 * S) | (time > time[0] + 409 * S)
    return time[keep], price[keep]


def compare(matrix: hypermm.FeatureMatrix, oracle: Recomputed, expected: set[str]) -> None:
    """Prints a table of deviations and judges them. `expected` are the features that must have values."""
    print(f"{'feature':24}{'values':>8}{'of':>8}{'deviation':>12}{'largest':>12}")
    worst = 0.0
    for feature in hypermm.feature_table():
        ours, theirs = matrix.values[feature.name], oracle.values[feature.name]
        assert np.array_equal(np.isnan(ours), np.isnan(theirs)), (
            f"{feature.name}: one has a value where the other has none"
        )
        known = np.isfinite(ours)
        deviation = np.abs(ours - theirs)[known] / np.maximum(1.0, np.abs(theirs[known]))
        largest = np.abs(theirs[known]).max(initial=0.0)
        print(f"{feature.name:24}{known.sum():8}{len(known):8}{deviation.max(initial=0.0):12.1e}{largest:12.4g}")
        worst = max(worst, deviation.max(initial=0.0))
        if feature.name in expected:
            assert known.sum() > 0.05 * len(known), feature.name
            assert np.ptp(theirs[known]) > 0, f"{feature.name} is constant: nothing was compared"
    for name, theirs in oracle.covered.items():
        assert np.allclose(matrix.covered_bps[name], theirs, rtol=0, atol=TOLERANCE, equal_nan=True), name
    print(f"worst {worst:.1e}")
    assert worst <= TOLERANCE


# Kills: a wrong constant, window, sign, clip or order of events in any feature; a band read beyond its edge.
@pytest.mark.parametrize("depth", [20, 5])
def test_streaming_equals_recomputation_from_the_formulas(depth: int) -> None:
    columns = session(depth)
    lead = leader(columns)
    matrix = hypermm.feature_matrix(columns, INSTRUMENT, cycle_ns=1_300_000_000, lead=lead)
    oracle = Recomputed(columns, matrix.time_ns, lead=lead)
    never = {"fill_size_buy", "fill_size_sell"}
    narrow = {"book_imbalance_2bps"} | (set() if depth == 20 else {"pressure_gradient"})
    compare(matrix, oracle, {feature.name for feature in hypermm.feature_table()} - never - narrow)
    covered = matrix.covered_bps["book_imbalance_50bps"]
    print(f"{depth} levels: the 50 bps band is covered to {np.nanmedian(covered):.1f} bps")
    assert (np.nanmedian(covered) == 50.0) == (depth == 20)


@pytest.mark.parametrize(("coin", "other"), [("ETH", "BTC"), ("WLFI", "SOL")])
def test_streaming_equals_recomputation_on_a_real_recording(real_recordings: Path, coin: str, other: str) -> None:
    recording = load_recording(real_recordings, coin)
    path = mid_path(load_recording(real_recordings, other))
    market = (path.time_ns, path.mid_price)
    facts = instrument_facts(coin)
    instrument = hypermm.Instrument(coin, facts.size_decimals, facts.max_leverage)
    matrix = hypermm.feature_matrix(recording, instrument, cycle_ns=5 * S, lead=market, basis=market)
    oracle = Recomputed(recording.columns(), matrix.time_ns, lead=market, basis=market)
    # The recording has no context; its twenty levels reach 10 bps on some coins only.
    absent = {"fill_size_buy", "fill_size_sell", "open_interest_change", "funding_z", "pressure_gradient"}
    compare(matrix, oracle, {feature.name for feature in hypermm.feature_table()} - absent - {"book_imbalance_2bps"})
    covered = matrix.covered_bps["book_imbalance_50bps"]
    print(f"{coin}: the 50 bps band is covered to {np.nanmedian(covered):.2f} bps")


# Kills: an event let in before its time, a later row that reaches back.
@pytest.mark.parametrize("seed", [3, 4])
def test_the_future_changes_no_earlier_value(seed: int) -> None:
    columns = session(20, seed)
    lead = leader(columns)
    whole = hypermm.feature_matrix(columns, INSTRUMENT, lead=lead)
    now = int(whole.time_ns[len(whole.time_ns) // 2])
    changed = {name: values.copy() for name, values in columns.items()}
    for stream, names in {
        "book": ["bid_sizes", "ask_sizes"], "best": ["best_bid_size", "best_ask_size"], "trade": ["trade_size"],
        "context": ["oracle_price", "funding_rate", "predicted_funding", "open_interest"],
    }.items():  # fmt: skip
        later = changed[f"{stream}_time_ns"] > now
        for name in names:
            changed[name][later] *= np.linspace(1.5, 3.0, later.sum()).reshape(-1, *[1] * (changed[name].ndim - 1))
    changed["trade_aggressor"][changed["trade_time_ns"] > now] *= -1
    later = hypermm.feature_matrix(
        changed, INSTRUMENT, lead=(lead[0], np.where(lead[0] > now, lead[1] * 1.01, lead[1]))
    )
    past = whole.time_ns <= now
    different = 0
    for name, values in whole.values.items():
        assert np.array_equal(values[past], later.values[name][past], equal_nan=True), name
        different += not np.array_equal(values[~past], later.values[name][~past], equal_nan=True)
    print(f"{different} features see the change afterwards, none before")
    assert different >= 25


def test_the_same_recording_gives_the_same_bits() -> None:
    columns = session(20, 5)
    first, again = (hypermm.feature_matrix(columns, INSTRUMENT) for _ in range(2))
    for name, values in first.values.items():
        assert values.tobytes() == again.values[name].tobytes()


def test_table_names_units_and_tiers() -> None:
    table = hypermm.feature_table()
    names = [feature.name for feature in table]
    assert len(set(names)) == len(names) == 38
    assert {feature.tier for feature in table} == {"hot", "warm", "cold"}
    for feature in table:
        assert feature.unit
        assert feature.text.endswith(".")
        assert feature.stale_s > 0
        assert feature.band_bps is None or feature.band_bps in (2, 5, 10, 25, 50)
    matrix = hypermm.feature_matrix(session(5), INSTRUMENT, cycle_ns=10 * S)
    assert list(matrix.values) == names
    cycles = len(matrix.time_ns)
    for feature in table:
        assert sum(matrix.statuses[feature.name].values()) == cycles
        assert matrix.statuses[feature.name]["fresh"] == np.isfinite(matrix.values[feature.name]).sum()
        assert (feature.name in matrix.evidence) == (feature.evidence != "1")
        assert (feature.name in matrix.covered_bps) == (feature.band_bps is not None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cycle_ns": 0}, "cycle_ns"),
        ({"hawkes_branching_ratio": 1.0}, "hawkes_branching_ratio"),
        ({"sweep_s": float("nan")}, "sweep_s"),
        ({"speed": 1.0}, "speed"),
        ({"lead": ([1, 2], [1.0])}, "price"),
        ({"lead": ([1, 2], [1.0, float("nan")])}, "price"),
        ({"basis": ([2, 1], [1.0, 1.0])}, "time_ns"),
        ({"basis": "BTC"}, "basis"),
    ],
)
def test_wrong_input_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(hypermm.HypermmError) as refused:
        hypermm.feature_matrix(session(5), INSTRUMENT, **changes)
    assert refused.value.field == field


def test_a_bad_row_is_named_with_its_stream() -> None:
    columns = session(5)
    columns["bid_prices"][7, 0] = 30.012345
    with pytest.raises(hypermm.InvalidInputError) as refused:
        hypermm.feature_matrix(columns, INSTRUMENT)
    assert refused.value.field == "bid_prices"
    assert "book row 7" in str(refused.value)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    for coin, seed in (("ETH", 3), ("BTC", 4)):
        write_recording(Recording.from_columns(coin, hypermm.synthetic_session(seed, 300.0)), folder)
    return folder


def _features(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["features", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_command_writes_the_matrix_and_names_what_is_silent(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "eth.parquet"
    code, printed, _ = _features(capsys, "--data", str(folder), "--coin", "ETH", "--out", str(out), "--json")
    assert code == 0
    summary = json.loads(printed)
    table = parquet.read_table(out).to_pydict()
    assert len(table["time_ns"]) == summary["cycles"]
    assert np.diff(table["time_ns"]).tolist() == [500_000_000] * (summary["cycles"] - 1)
    recording = load_recording(folder, "ETH")
    path = mid_path(load_recording(folder, "BTC"))
    matrix = hypermm.feature_matrix(recording, hypermm.Instrument("ETH", 4, 25), lead=(path.time_ns, path.mid_price))
    for name, values in matrix.values.items():
        assert np.array_equal(np.asarray(table[name], float), values, equal_nan=True), name
    assert summary["lead"] == "BTC"
    # The synthetic funding rate and open interest never move.
    assert summary["constant_columns"] == [
        "context_ETH:funding_rate", "context_ETH:predicted_funding", "context_ETH:open_interest",
    ]  # fmt: skip
    assert "funding_z" in summary["missing_features"]
    assert "open_interest_change" in summary["constant_features"]
    assert (
        _features(capsys, "--data", str(folder), "--coin", "ETH", "--out", str(out))[2].count("constant columns") == 1
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--coin", "eth"], "did you mean ETH?"),
        (["--coin", "ETH", "--lead", "DOGE"], "DOGE"),
        (["--coin", "ETH", "--lead", "ETH"], "another coin"),
        (["--coin", "ETH", "--out", "eth.csv"], ".parquet"),
    ],
)
def test_command_refuses_wrong_input_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    out = ["--out", str(tmp_path / "eth.parquet")] if "--out" not in arguments else []
    code, printed, error = _features(capsys, "--data", str(folder), *arguments, *out)
    assert (code, printed, len(error.splitlines())) == (2, "", 1)
    assert named in error
    assert not list(tmp_path.iterdir())


def test_command_names_a_column_that_is_not_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(load_recording(folder, "ETH"), tmp_path)
    prints = parquet.read_table(tmp_path / "trades_ETH.parquet").to_pydict()
    del prints["size"]
    write_columns(tmp_path / "trades_ETH.parquet", prints)
    code, _, error = _features(capsys, "--data", str(tmp_path), "--coin", "ETH", "--out", str(tmp_path / "o.parquet"))
    assert code == 2
    assert "size" in error
    assert "trades_ETH" in error
